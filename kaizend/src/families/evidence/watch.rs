//! E2: the files that are read by themselves, and what the watcher tells.
//!
//! Rules come from `kaizen.toml` and from E2 itself, whose rules stand in `db_settings`. The watcher of an open project is
//! begun by the daemon within a second; what it hands over is read and stored as E1 does it, two files at a time, each in
//! a write of its own, so that other writes never wait for more than these.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::evidence::{
    EvidenceWatch, WATCH_ACTIONS, WatchFailure, WatchReport, WatchRule, WatchWanted,
};
use kaizen_proto::operation::Status;
use kaizen_proto::record_schema::vocabulary::AuthorityTier;
use serde_json::json;

use super::ingest::{self, Manner, Site, Target};
use super::store;
use crate::care::blocking;
use crate::care::config::{Config, WatchConfig};
use crate::daemon::Daemon;
use crate::families::{artifact, record};
use crate::ingest::extract::Limits;
use crate::ingest::watch::{Change, Depth, Known, Outcome, Rule, Rules, Settings, WatchStatus, Watcher};
use crate::plane::{Caller, Cell, Plane, ReadTx, WriteTx, fault};
use crate::projects::{Unwatched, Watched};
use crate::registry::{Context, PlainOperation};

/// Who writes in the journal what was read by itself.
const ACTOR: &str = "kaizend";
/// The settings under which the rules that E2 added stand, and whether files are left alone.
const ADDED: &str = "evidence.watch";
const PAUSED: &str = "evidence.paused";
/// Files that a report names when they could not be read.
const NAMED: usize = 100;

/// The rules of a project and whether they rest.
#[derive(Clone, Debug, Default, PartialEq)]
struct Wanted {
    file: Vec<WatchConfig>,
    added: Vec<WatchConfig>,
    paused: bool,
}

impl Wanted {
    async fn read(tx: &mut ReadTx, root: PathBuf) -> Result<(Self, Config), Denial> {
        let config = blocking(move || Config::read(&root)).await?;
        let sql = "SELECT key, value FROM db_settings WHERE key IN ($1, $2)";
        let rows = tx.query(sql, &[Cell::Text(ADDED), Cell::Text(PAUSED)]).await?;
        let mut wanted = Wanted { file: config.evidence.watch.clone(), ..Wanted::default() };
        for row in rows {
            match row.text("key") {
                ADDED => wanted.added = serde_json::from_str(row.text("value")).unwrap_or_default(),
                _ => wanted.paused = row.text("value") == "true",
            }
        }
        Ok((wanted, config))
    }

    fn rules(&self, root: &Path) -> Result<Rules, Denial> {
        let rule = |config: &WatchConfig| Rule {
            paths: config.paths.clone(),
            authority_tier: config.authority_tier.clone(),
            source_id: config.source_id.clone(),
        };
        // What E2 adds comes to the default; what stands in the file takes its place.
        let mut rules = if self.file.is_empty() { vec![Rule::standard()] } else { Vec::new() };
        rules.extend(self.file.iter().chain(&self.added).map(rule));
        Rules::new(root, rules, Limits::default().bytes)
    }

    /// The rules as they are shown.
    fn shown(&self) -> Vec<WatchRule> {
        let shown = |origin: &'static str| {
            move |config: &WatchConfig| WatchRule {
                paths: config.paths.clone(),
                authority_tier: config.authority_tier.clone(),
                source_id: config.source_id.clone(),
                origin: origin.to_owned(),
            }
        };
        let mut rules: Vec<WatchRule> = self.file.iter().map(shown("kaizen.toml")).collect();
        if rules.is_empty() {
            let standard = Rule::standard();
            let (authority_tier, source_id) = (standard.authority_tier, standard.source_id);
            rules.push(WatchRule {
                paths: standard.paths,
                authority_tier,
                source_id,
                origin: "default".into(),
            });
        }
        rules.extend(self.added.iter().map(shown("added")));
        rules
    }
}

/// Begins to watch the files of an open project.
pub(crate) async fn begin(daemon: Arc<Daemon>, unwatched: Unwatched) {
    let Unwatched { root, plane } = unwatched;
    if let Err(denial) = start(&daemon, &root, plane).await {
        // The files are not lost: they are found when somebody mends what stands in the way and asks for a rescan.
        tracing::warn!(%denial, root = %root.display(), "files are not watched");
    }
}

async fn start(daemon: &Arc<Daemon>, root: &Path, plane: Arc<Plane>) -> Result<(), Denial> {
    let (wanted, config) = Wanted::read(&mut plane.glance().await?, root.to_path_buf()).await?;
    let mut rules = wanted.rules(root)?;
    // A database that stands elsewhere in the project.
    if let Some(database) = plane.db_path().strip_prefix(root).ok().and_then(Path::to_str) {
        for ending in ["", "-wal", "-shm", "-suspect", "-swap"] {
            rules = rules.without(&format!("{database}{ending}"));
        }
    }
    let is_asked_for =
        !(wanted.file.is_empty() && wanted.added.is_empty()) && config.daemon.idle_exit.is_none();
    let taker = Arc::new(Taker {
        daemon: Arc::downgrade(daemon),
        plane: Arc::downgrade(&plane),
        root: root.to_path_buf(),
        config,
        caller: Arc::new(Caller { actor: Some(ACTOR.to_owned()), session: None }),
    });
    let teller = taker.clone();
    let watcher = Watcher::start(
        rules,
        Settings::default(),
        &daemon.tasks,
        move |change| {
            let taker = taker.clone();
            async move { taker.take(change).await.map_or_else(Outcome::Refused, |()| Outcome::Done) }
        },
        move || {
            let teller = teller.clone();
            async move { teller.known().await }
        },
    )?;
    if wanted.paused {
        watcher.pause().await;
    }
    let begun = Watched { watcher: Arc::new(watcher), is_asked_for };
    let (db_path, held) = (plane.db_path().to_path_buf(), Arc::downgrade(&plane));
    drop(plane);
    daemon.projects.watch(&db_path, &held, begun).await;
    if daemon.draining.is_cancelled() {
        // Whoever ends the daemon may have looked before it was there.
        daemon.projects.stop_watching().await;
    }
    Ok(())
}

/// Takes what the watcher hands over. It holds neither daemon nor plane open.
struct Taker {
    daemon: Weak<Daemon>,
    plane: Weak<Plane>,
    root: PathBuf,
    config: Config,
    caller: Arc<Caller>,
}

impl Taker {
    fn plane(&self) -> Result<Arc<Plane>, Denial> {
        self.plane.upgrade().ok_or_else(|| Denial::new(Code::Draining).message("the project was closed"))
    }

    async fn take(&self, change: Change) -> Result<(), Denial> {
        let plane = self.plane()?;
        match change {
            Change::Written { path, rule, .. } => self.read(&plane, path, &rule).await,
            Change::Gone { path } => self.miss(&plane, path).await,
        }
    }

    async fn read(&self, plane: &Plane, path: String, rule: &Rule) -> Result<(), Denial> {
        let daemon = self.daemon.upgrade().ok_or_else(|| Denial::new(Code::Draining))?;
        let resolved = artifact::resolve(&self.root, Some(&path), false)?;
        if daemon.projects.holds(&resolved.file) {
            return Ok(());
        }
        // A link is known by its own name.
        let target = Target { file: resolved.file, shown: path.clone(), key: path };
        let manner = Manner::by_itself(&self.config, rule)?;
        let site = Site { plane, root: &self.root, program: &daemon.program };
        let draft = ingest::draft(site, target, manner).await?;
        ingest::write(plane, "E1", self.caller.clone(), draft).await.map(drop)
    }

    /// Marks the document of a file that is gone.
    async fn miss(&self, plane: &Plane, path: String) -> Result<(), Denial> {
        let mut tx = plane.glance().await?;
        let known = tx.query_row(store::LATEST, &[Cell::Text(&path), Cell::Integer(0)]).await?;
        drop(tx);
        if known.is_none_or(|known| known.text("state") != "current") {
            return Ok(());
        }
        let apply = Box::new(move |tx: &mut WriteTx<'_>| {
            if let Some(known) = tx.query_row(store::LATEST, &[Cell::Text(&path), Cell::Integer(0)])?
                && known.text("state") == "current"
            {
                tx.about_task(known.optional_text("task_id"));
                store::set_state(tx, known.text("id"), "missing")?;
            }
            Ok("{\"status\":\"OK\"}".to_owned())
        });
        plane.write("E2", self.caller.clone(), None, apply).await.map(drop)
    }

    /// The files whose latest version is stored, or was removed on purpose.
    async fn known(&self) -> Result<HashMap<String, Known>, Denial> {
        let sql = "SELECT origin_key, file_bytes, file_mtime FROM evidence_documents \
                   WHERE state IN ('current', 'removed') AND is_test = 0 ORDER BY created_at";
        let rows = self.plane()?.glance().await?.query(sql, &[]).await?;
        let known = |row: &crate::plane::Row| {
            let size = u64::try_from(row.integer("file_bytes")).unwrap_or(0);
            (row.text("origin_key").to_owned(), Known { size, mtime_ns: row.integer("file_mtime") })
        };
        Ok(rows.iter().filter(|row| !row.text("origin_key").starts_with("external:")).map(known).collect())
    }
}

impl PlainOperation for EvidenceWatch {
    async fn run(context: &Context, params: WatchWanted) -> Result<WatchReport, Denial> {
        let action = record::given_or(params.action.clone(), "status");
        if !WATCH_ACTIONS.contains(&action.as_str()) {
            return Err(Denial::new(Code::SchemaEnum)
                .with("field", "action")
                .with("value", action.chars().take(80).collect::<String>())
                .with("allowed", json!(WATCH_ACTIONS)));
        }
        let tier = record::given(params.authority_tier.clone());
        if tier.as_ref().is_some_and(|tier| !AuthorityTier::WORDS.contains(&tier.as_str())) {
            return Err(Denial::new(Code::SchemaEnum)
                .with("field", "authority_tier")
                .with("value", tier.unwrap_or_default().chars().take(80).collect::<String>())
                .with("allowed", json!(AuthorityTier::WORDS)));
        }
        let plane = context.plane().await?;
        let root = context.binding.root()?.clone();
        let wanted = Wanted::read(&mut plane.read().await?, root.clone()).await?.0;
        let mut changed = wanted.clone();
        match action.as_str() {
            "add" => changed.added.push(rule_of(&root, &params)?),
            "remove" => remove(&mut changed, &params)?,
            "pause" => changed.paused = true,
            "resume" => changed.paused = false,
            _ => {}
        }
        if changed != wanted {
            keep(context, &plane, &changed).await?;
        }
        let db_path = plane.db_path().to_path_buf();
        drop(plane);
        let mut begun = context.daemon.projects.watched(&db_path).await;
        // New rules, those of kaizen.toml too, count from here on.
        let is_old = match &begun {
            Some(begun) => action == "rescan" && !is_by(&wanted, &root, &begun.watcher).await,
            None => true,
        };
        if changed.added != wanted.added || is_old {
            start(&context.daemon, &root, context.plane().await?).await?;
            begun = context.daemon.projects.watched(&db_path).await;
        }
        let watcher = begun.ok_or_else(|| Denial::new(Code::Draining))?.watcher;
        match action.as_str() {
            "pause" => watcher.pause().await,
            "resume" => watcher.resume().await,
            _ => {}
        }
        let found = if action == "rescan" {
            let depth = if params.thorough { Depth::Everything } else { Depth::Changed };
            Some(watcher.rescan(depth, None).await?.total)
        } else {
            None
        };
        let found = found.map(|found| i64::try_from(found).unwrap_or(i64::MAX));
        Ok(report(action, &changed, watcher.status().await?, found))
    }
}

/// Whether a watcher goes by these rules.
async fn is_by(wanted: &Wanted, root: &Path, watcher: &Watcher) -> bool {
    let Ok(status) = watcher.status().await else { return false };
    wanted.rules(root).is_ok_and(|rules| rules.all() == status.rules)
}

/// The rule that is to be added.
fn rule_of(root: &Path, params: &WatchWanted) -> Result<WatchConfig, Denial> {
    let path = record::given(params.path.clone()).ok_or_else(|| Denial::new(Code::PathRequired))?;
    let tier = record::given(params.authority_tier.clone());
    let rule = WatchConfig {
        paths: vec![path],
        authority_tier: tier,
        source_id: record::given(params.source_id.clone()),
    };
    let alone = Wanted { added: vec![rule.clone()], ..Wanted::default() };
    alone.rules(root).map_err(|denial| Denial::usage(denial.to_string()))?;
    Ok(rule)
}

fn remove(wanted: &mut Wanted, params: &WatchWanted) -> Result<(), Denial> {
    let path = record::given(params.path.clone()).ok_or_else(|| Denial::new(Code::PathRequired))?;
    let before = wanted.added.len();
    wanted.added.retain(|rule| rule.paths != [path.clone()]);
    if wanted.added.len() < before {
        return Ok(());
    }
    let denial = Denial::new(Code::RecordNotFound).with("id", path.as_str()).with("table", ADDED);
    if wanted.file.iter().any(|rule| rule.paths.contains(&path)) {
        return Err(denial.message("the rule stands in kaizen.toml").action("Take it out of kaizen.toml."));
    }
    Err(denial.message("no such rule was added").action("`kaizenctl E2 --action list` shows the rules."))
}

/// Stores the rules that were added, and whether files are left alone.
async fn keep(context: &Context, plane: &Plane, wanted: &Wanted) -> Result<(), Denial> {
    let added =
        serde_json::to_string(&wanted.added).map_err(|error| fault::unexpected("write the rules", &error))?;
    let paused = wanted.paused.to_string();
    let mut warnings = Vec::new();
    let caller = context.binding.caller(false, &mut warnings)?;
    let apply = Box::new(move |tx: &mut WriteTx<'_>| {
        let now = tx.now();
        for (key, value) in [(ADDED, &added), (PAUSED, &paused)] {
            let sql = "SELECT value FROM db_settings WHERE key = $1";
            let cells = [("value", Cell::Text(value)), ("updated_at", Cell::Text(&now))];
            match tx.query_row(sql, &[Cell::Text(key)])? {
                Some(row) if row.text("value") == value => {}
                Some(_) => tx.update("db_settings", key, &cells)?,
                None => tx.insert("db_settings", &[("key", Cell::Text(key)), cells[0], cells[1]])?,
            }
        }
        Ok("{\"status\":\"OK\"}".to_owned())
    });
    plane.write("E2", caller, None, apply).await.map(drop)
}

fn report(action: String, wanted: &Wanted, status: WatchStatus, found: Option<i64>) -> WatchReport {
    let number = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
    let failed_count = number(status.failed.len() + status.refused_total);
    let failed = status.failed.iter().map(|failed| WatchFailure {
        path: failed.path.clone(),
        code: failed.code.to_owned(),
        message: failed.message.clone(),
        attempts: failed.attempts.into(),
        at: Some(failed.at.to_string()),
    });
    let refused = status.refused.iter().map(|refused| WatchFailure {
        path: refused.path.clone(),
        code: Code::FileUnreadable.text().to_owned(),
        message: refused.reason.clone(),
        attempts: 0,
        at: None,
    });
    WatchReport {
        status: Status::Ok,
        action,
        rules: wanted.shown(),
        paused: status.paused,
        polling: status.polling,
        last_event: status.last_event.map(|at| at.to_string()),
        last_reconcile: status.last_reconcile.map(|at| at.to_string()),
        pending: number(status.pending),
        failed: failed.chain(refused).take(NAMED).collect(),
        failed_count,
        watches: number(status.watches),
        watch_limit: status.watch_limit.map(number),
        found,
        notes: status.warnings,
    }
}
