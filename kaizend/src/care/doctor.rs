//! K15: looks at everything that a project depends on, and says for each finding what to do. It mends nothing itself.

mod publish;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kaizen_proto::denial::Denial;
use kaizen_proto::families::core::{Examined, Finding, WhatToExamine};
use kaizen_proto::hello::WatchState;
use kaizen_proto::operation::Status;

use super::backup::{self, Backup, Head};
use super::schedule::Schedule;
use super::{blocking, manifest};
use crate::plane::{Plane, fault, journal, open, write_tx};
use crate::registry::Context;

/// Entries of the journal that are checked, from its end.
const ENTRIES: i64 = 1000;
/// A backup that is older than this is too old when something has changed since, in seconds.
const OLD: u64 = 7 * 24 * 3600;
/// Free space below which writing is about to fail, and below which it is worth a word.
const LITTLE: u64 = 64 * 1024 * 1024;
const LOW: u64 = 1024 * 1024 * 1024;
/// A log of this size should long have been written back.
const LARGE_LOG: u64 = 128 * 1024 * 1024;
/// File watches that should be free.
const WATCHES: u64 = 10_000;

/// What was found so far.
#[derive(Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, level: &str, check: &str, detail: impl Into<String>, fix: Option<String>) {
        let (check, level) = (check.to_owned(), level.to_owned());
        self.0.push(Finding { check, level, detail: detail.into(), fix });
    }

    pub(super) fn ok(&mut self, check: &str, detail: impl Into<String>) {
        self.add("ok", check, detail, None);
    }

    pub(super) fn warn(&mut self, check: &str, detail: impl Into<String>, fix: impl Into<String>) {
        self.add("warn", check, detail, Some(fix.into()));
    }

    pub(super) fn fail(&mut self, check: &str, detail: impl Into<String>, fix: impl Into<String>) {
        self.add("fail", check, detail, Some(fix.into()));
    }

    fn denied(&mut self, check: &str, denial: &Denial) {
        let fix = denial.field("required_action").and_then(|action| action.as_str()).unwrap_or_default();
        self.fail(check, denial.to_string(), fix);
    }
}

/// Carries K15 out.
///
/// # Errors
/// Only without a project; everything else is a finding.
pub async fn examine(context: &Context, params: WhatToExamine) -> Result<Examined, Denial> {
    let root = context.binding.root()?.clone();
    let mut findings = Findings::default();
    running(context, &mut findings).await;
    let settings = root.join("kaizen.toml");
    if settings.exists() {
        findings.ok("config", format!("{} is understood", settings.display()));
    } else {
        findings.ok("config", "there is no kaizen.toml; the defaults are in force");
    }
    let db_path = context.binding.db_path.clone();
    let plane = if db_path.exists() {
        match context.plane().await {
            Ok(plane) => Some(plane),
            Err(denial) => {
                findings.denied("database", &denial);
                None
            }
        }
    } else {
        findings.warn("database", "there is no data plane yet", "Run `kaizenctl init`.");
        None
    };
    if let Some(plane) = &plane {
        opened(plane, &mut findings).await;
        evidence(context.daemon.watch_state(plane.db_path()).await, &mut findings);
    }
    let schedule = context.daemon.projects.schedule(&context.binding).await;
    let asked = context.binding.config.schedule().is_some();
    let daemon = context.daemon.clone();
    let findings = blocking(move || {
        let head = plane.as_deref().and_then(|plane| chain(plane, &mut findings));
        place(&db_path, &mut findings);
        backups(&db_path, &root, head.as_ref(), schedule.as_ref(), asked, &mut findings);
        watches(&mut findings);
        if params.publish {
            let is_held = |path: &Path| daemon.projects.holds(path);
            publish::examine(&root, plane.as_deref(), &is_held, &mut findings);
        }
        Ok(findings.0)
    })
    .await?;
    let count = |level: &str| findings.iter().filter(|finding| finding.level == level).count();
    let (failed, warned) = (count("fail"), count("warn"));
    let message = match (failed, warned) {
        (0, 0) => "Everything is as it should be.".to_owned(),
        _ => format!("Of {} checks, {failed} failed and {warned} warned.", findings.len()),
    };
    Ok(Examined { status: Status::Ok, message, healthy: failed == 0, failed, warned, findings })
}

async fn running(context: &Context, findings: &mut Findings) {
    let status = context.daemon.status().await;
    findings.ok(
        "daemon",
        format!("kaizend {} runs as process {} since {} s", status.version, status.pid, status.uptime_s),
    );
    let runtime = &context.daemon.runtime;
    private(runtime.path(), "runtime", findings);
    private(&runtime.socket(), "socket", findings);
}

/// How the files of the project are kept in step.
fn evidence(state: Option<WatchState>, findings: &mut Findings) {
    let Some(state) = state else {
        return findings.ok("evidence", "the watching of files has not begun yet; E2 shows it");
    };
    let compared = state.last_reconcile.as_deref().unwrap_or("never");
    let said = format!(
        "{} directories are watched, {} files wait, everything was compared last: {compared}",
        state.watches, state.pending
    );
    if state.polling {
        let fix = "sudo sysctl fs.inotify.max_user_watches=524288, then `kaizenctl E2 --action rescan`";
        return findings.warn(
            "evidence",
            format!("no inotify watches are left, so files are found by walks; {said}"),
            fix,
        );
    }
    if state.failed > 0 {
        let detail = format!("{} files could not be read; {said}", state.failed);
        return findings.warn("evidence", detail, "See which and why: `kaizenctl E2`.");
    }
    if state.paused {
        return findings.warn(
            "evidence",
            format!("files are left alone; {said}"),
            "`kaizenctl E2 --action resume`",
        );
    }
    findings.ok("evidence", said);
}

/// Whether nobody else may use a file or directory.
fn private(path: &Path, check: &str, findings: &mut Findings) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        match std::fs::symlink_metadata(path) {
            Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => findings.fail(
                check,
                format!("others may use {}", path.display()),
                format!("chmod go= '{}'", path.display()),
            ),
            Ok(_) => findings.ok(check, format!("{} is this user's alone", path.display())),
            Err(error) => findings.fail(
                check,
                format!("{} cannot be looked at: {error}", path.display()),
                "kaizenctl daemon restart",
            ),
        }
    }
    #[cfg(not(unix))]
    findings.ok(check, path.display().to_string());
}

async fn opened(plane: &Plane, findings: &mut Findings) {
    if plane.is_suspect() {
        findings.fail(
            "database",
            "writes wait for a full check: the last write may not be on disk, or somebody else wrote into the file",
            "kaizenctl K1 --integrity",
        );
    } else {
        findings.ok("database", format!("{} is open", plane.db_path().display()));
    }
    let log = plane.wal_bytes();
    if log > LARGE_LOG {
        findings.warn(
            "log",
            format!("the write-ahead log has {} MiB: somebody keeps reading an old state", log >> 20),
            "Close programs that have the database open, then run `kaizenctl daemon restart`.",
        );
    }
    match plane.schema_state().await {
        Ok(state) if !state.schema_ok => findings.fail(
            "schema",
            state.reason.unwrap_or_else(|| "it is not the schema of this release".into()),
            "Install the release that wrote the database, or run `kaizenctl K1` when the version row is missing.",
        ),
        Ok(state) if state.manifest_match == Some(false) => findings.fail(
            "schema",
            "the stored definitions are not those of this release; writes are denied",
            "kaizenctl K1 --restamp-manifest, when the change is wanted",
        ),
        Ok(_) => findings.ok("schema", "as this release expects it"),
        Err(denial) => findings.denied("schema", &denial),
    }
}

/// The end of the journal: each entry's hash, its link to the one before, and the head.
fn chain(plane: &Plane, findings: &mut Findings) -> Option<Head> {
    let looked = (|| {
        let fail = |error: rusqlite::Error| fault::from_rusqlite("read the journal", &error);
        let mut connection = open::reader_connection(plane.db_path())?;
        let snapshot = connection.transaction().map_err(fail)?;
        let head = backup::head(&snapshot)?;
        let sql = "SELECT seq, at, operation, task_id, actor, session, rows, prev_hash, chain_hash \
                   FROM journal ORDER BY seq DESC LIMIT $1";
        let mut statement = snapshot.prepare(sql).map_err(fail)?;
        let mut rows = statement.query([ENTRIES]).map_err(fail)?;
        let mut expected = head.clone().map(|head| (head.seq, head.chain_hash));
        let mut checked = 0;
        while let Some(row) = rows.next().map_err(fail)? {
            let text = |column| row.get::<_, Option<String>>(column).map_err(fail);
            let (seq, prev_hash) =
                (row.get::<_, i64>("seq").map_err(fail)?, text("prev_hash")?.unwrap_or_default());
            let (at, operation) = (text("at")?.unwrap_or_default(), text("operation")?.unwrap_or_default());
            let (task_id, actor, session) = (text("task_id")?, text("actor")?, text("session")?);
            let entries = text("rows")?.unwrap_or_default();
            let entry = journal::Entry {
                at: &at,
                operation: &operation,
                task_id: task_id.as_deref(),
                actor: actor.as_deref(),
                session: session.as_deref(),
                rows: &entries,
            };
            let hash = journal::chain_hash(&prev_hash, seq, &entry);
            if expected != Some((seq, hash)) || text("chain_hash")? != expected.map(|(_, hash)| hash) {
                return Ok((head, checked, Some(seq)));
            }
            expected = Some((seq - 1, prev_hash));
            checked += 1;
        }
        let is_whole = checked == ENTRIES || expected.is_none_or(|(seq, _)| seq == 0);
        Ok((head, checked, (!is_whole).then_some(0)))
    })();
    match looked {
        Ok((head, checked, None)) => {
            let detail = match checked {
                0 => "the journal is empty".to_owned(),
                1 => "the last entry of the journal is as it was written".to_owned(),
                several => format!("the last {several} entries of the journal follow from each other"),
            };
            findings.ok("chain", detail);
            head
        }
        Ok((head, _, Some(seq))) => {
            findings.fail(
                "chain",
                format!("the journal does not hold together at entry {seq}"),
                "kaizenctl K1 --integrity names what was changed; kaizenctl K11 restores a backup",
            );
            head
        }
        Err(denial) => {
            findings.denied("chain", &denial);
            None
        }
    }
}

/// The directory of the database: who may enter it, what an interruption left in it, and how much space there is.
fn place(db_path: &Path, findings: &mut Findings) {
    let directory = db_path.parent().unwrap_or(db_path);
    if !directory.exists() {
        return;
    }
    private(directory, "permissions", findings);
    let names = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let leftovers: Vec<PathBuf> = names
        .map(|entry| entry.path())
        .filter(|path| {
            // A database that was being made has files of SQLite's beside it.
            let ending = path.extension().unwrap_or_default().to_string_lossy();
            matches!(ending.as_ref(), "partial" | "partial-wal" | "partial-shm" | "partial-journal")
        })
        .collect();
    if let Some(first) = leftovers.first() {
        findings.warn(
            "leftovers",
            format!("{} unfinished files, such as {}", leftovers.len(), first.display()),
            format!("Delete {}/*.partial* when no backup is being restored.", directory.display()),
        );
    }
    #[cfg(unix)]
    if let Ok(disk) = rustix::fs::statvfs(directory) {
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let size = std::fs::metadata(db_path).map_or(0, |file| file.len());
        let detail = format!("{} free, the database has {}", shown_size(free), shown_size(size));
        if free < LITTLE {
            findings.fail("disk", detail, "Free some space: writes will soon be denied.");
        } else if free < LOW || free < size.saturating_mul(2) {
            findings.warn("disk", detail, "Free some space: a backup needs as much as the database.");
        } else {
            findings.ok("disk", detail);
        }
    }
}

/// A size in the unit in which it is a number that can be read.
fn shown_size(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        0x10_0000..0x2_8000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

fn backups(
    db_path: &Path,
    root: &Path,
    head: Option<&Head>,
    schedule: Option<&Arc<Schedule>>,
    asked: bool,
    findings: &mut Findings,
) {
    if let Some(failure) = schedule.and_then(|schedule| schedule.failure()) {
        findings.fail(
            "backups",
            format!("the scheduled backup of {} failed: {}", failure.at, failure.reason),
            "Remove the cause, and run `kaizenctl K3` to see whether it is gone.",
        );
    }
    let list = match backup::list(db_path) {
        Ok(list) => list,
        Err(denial) => return findings.denied("backups", &denial),
    };
    let written = head.is_some_and(|head| head.seq > 0);
    let how = if asked {
        "kaizenctl K3"
    } else {
        "kaizenctl K3, or `[backup]` in kaizen.toml, which makes one each day"
    };
    let Some(newest) = list.iter().find(|backup| backup.is_regular()) else {
        if written {
            findings.warn("backups", "there is no backup", how);
        }
        return;
    };
    let shown = manifest::shown(root, &newest.directory);
    let state = newest.state();
    let is_current = |backup: &Backup| {
        head.is_none_or(|head| (&head.plane_id, head.seq) == (&backup.manifest.plane_id, backup.manifest.seq))
    };
    if state != "good" {
        findings.fail("backups", format!("the newest backup, {shown}, is {state}"), "kaizenctl K3");
    } else if newest.age_seconds() > OLD && !is_current(newest) {
        let days = newest.age_seconds() / (24 * 3600);
        findings.warn("backups", format!("the newest backup is {days} days old"), how);
    } else {
        findings.ok("backups", format!("the newest of {} is good: {shown}", list.len()));
    }
}

/// The file watches that are left for this user; each watched directory takes one.
fn watches(findings: &mut Findings) {
    #[cfg(target_os = "linux")]
    {
        let Some(limit) = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches")
            .ok()
            .and_then(|text| text.trim().parse::<u64>().ok())
        else {
            return;
        };
        let used = used_watches();
        let detail = format!("{} of {limit} file watches are free", limit.saturating_sub(used));
        if limit.saturating_sub(used) < WATCHES {
            findings.warn(
                "watches",
                detail,
                "sudo sysctl fs.inotify.max_user_watches=524288, and the same line in /etc/sysctl.d/ to keep it",
            );
        } else {
            findings.ok("watches", detail);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (findings, WATCHES);
}

/// Watches of the processes that this user may look into, which are those that count against the same limit.
#[cfg(target_os = "linux")]
fn used_watches() -> u64 {
    let list = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    let is_watch = |descriptor: &PathBuf| {
        std::fs::read_link(descriptor).is_ok_and(|target| target.as_os_str() == "anon_inode:inotify")
    };
    let mut used = 0;
    for process in list(Path::new("/proc")) {
        if !process.file_name().to_string_lossy().bytes().all(|digit| digit.is_ascii_digit()) {
            continue;
        }
        for descriptor in list(&process.path().join("fd")).map(|entry| entry.path()).filter(is_watch) {
            let info = process.path().join("fdinfo").join(descriptor.file_name().unwrap_or_default());
            let text = std::fs::read_to_string(info).unwrap_or_default();
            used += text.lines().filter(|line| line.starts_with("inotify wd:")).count() as u64;
        }
    }
    used
}

/// The paths that artifacts name, up to so many.
fn artifact_paths(plane: &Plane, limit: i64) -> Result<Vec<String>, Denial> {
    let connection = open::reader_connection(plane.db_path())?;
    let sql = format!("SELECT DISTINCT path FROM artifacts ORDER BY path LIMIT {limit}");
    let rows = write_tx::query(&connection, &sql, &[])
        .map_err(|error| fault::from_rusqlite("read the artifacts", &error))?;
    Ok(rows.iter().map(|row| row.text("path").to_owned()).collect())
}
