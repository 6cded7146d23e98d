//! A burst of files while clients write records, with a daemon that is killed in the middle: each file must have exactly
//! one document afterwards, with the hash that the disk has, and each acknowledged record must be there. Also how long
//! the records take before and during the burst, and how long a single file takes until it is found.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use kaizen_proto::canonical_json::sha256_hex;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::place::{self, Place, Project, pause};
use crate::wire::{Line, write_request};

/// Directories that the files are written into.
const DIRECTORIES: usize = 100;
/// Clients that write records meanwhile.
const CLIENTS: usize = 8;
/// How long a client rests between two records, as agents do.
const REST: Duration = Duration::from_millis(5);
/// How long the burst may take.
const LONGEST: Duration = Duration::from_mins(10);
/// Files that are timed one by one.
const SINGLE: usize = 40;

/// What is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Files in the burst
    #[arg(long, default_value_t = 10_000)]
    files: usize,
    /// Another daemon than this release's
    #[arg(long)]
    daemon: Option<PathBuf>,
}

/// What a client was told, and how long its calls took.
#[derive(Default)]
struct Told {
    ids: BTreeSet<String>,
    times: Vec<Duration>,
}

/// Runs it.
///
/// # Errors
/// What keeps it from running; what it finds is in the exit status.
#[expect(clippy::print_stdout, reason = "a program for the terminal")]
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let place = Place::new(place::daemon_program(options.daemon.as_deref())?)?;
    let project = place.project("project")?;
    let evidence = project.root.join("AI/evidence");
    fs::create_dir_all(&evidence)?;
    let mut daemon = place.start()?;
    let mut line = Line::bound(&daemon.socket, &project)?;
    line.call(&write_request("task.start", json!({"title": "first", "summary": "The plane is open."})))?;

    let single = singles(&mut line, &evidence)?;
    let quiet = clients(&daemon.socket, &project, || {
        pause(Duration::from_secs(2));
        Ok(())
    })?;
    let started = Instant::now();
    let mut written = BTreeMap::new();
    // The first half with one daemon, until it is killed in the middle of it.
    let mut busy = clients(&daemon.socket, &project, || {
        written = write_files(&project.root, options.files)?;
        let some = options.files / 10;
        wait("a tenth of the documents", || Ok(documents(&project)? >= some))
    })?;
    let before = documents(&project)?;
    daemon.kill()?;
    drop(line);
    let daemon = place.start()?;
    let rest = clients(&daemon.socket, &project, || {
        let mut line = Line::bound(&daemon.socket, &project)?;
        line.json("evidence.watch", &json!({}))?;
        wait("all documents", || Ok(documents(&project)? >= written.len()))
    })?;
    let took = started.elapsed();
    busy.ids.extend(rest.ids);
    busy.times.extend(rest.times);

    let faults = compare(&daemon.socket, &project, &written, &[&quiet, &busy])?;
    let bytes: usize = (0..options.files).map(|number| contents(number).len()).sum();
    println!(
        "burst: {} files in {DIRECTORIES} directories, killed after {before} documents, {:.1} s, {:.0} files/s, {:.2} MB/s",
        options.files,
        took.as_secs_f64(),
        rate(options.files, took),
        rate(bytes, took) / 1e6
    );
    println!("file closed until it is found by E4, idle: {}", shown(single));
    println!("W1 before the burst, {CLIENTS} clients: {}", shown(quiet.times));
    println!("W1 during the burst, {CLIENTS} clients: {}", shown(busy.times));
    for fault in &faults {
        println!("fault: {fault}");
    }
    println!("burst: {} acknowledged records, {} faults", quiet.ids.len() + busy.ids.len(), faults.len());
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn contents(number: usize) -> String {
    format!("# File {number}\n\nThe passage of file {number} speaks of heron{number} and of nothing else.\n")
}

/// Writes the files, each into one of the directories, and returns their paths and hashes.
fn write_files(root: &Path, count: usize) -> anyhow::Result<BTreeMap<String, String>> {
    let mut written = BTreeMap::new();
    for number in 0..count {
        let path = format!("AI/evidence/burst/{}/{number}.md", number % DIRECTORIES);
        let file = root.join(&path);
        fs::create_dir_all(file.parent().context("a directory")?)?;
        fs::write(&file, contents(number))?;
        written.insert(path, sha256_hex(contents(number).as_bytes()));
    }
    Ok(written)
}

/// A connection that only looks.
fn looking(project: &Project) -> anyhow::Result<Connection> {
    Ok(Connection::open_with_flags(project.database(), OpenFlags::SQLITE_OPEN_READ_ONLY)?)
}

fn documents(project: &Project) -> anyhow::Result<usize> {
    let sql = "SELECT count(*) FROM evidence_documents WHERE origin_key LIKE 'AI/evidence/burst/%' AND state = 'current'";
    let count: i64 = looking(project)?.query_row(sql, [], |row| row.get(0))?;
    Ok(usize::try_from(count)?)
}

fn wait(what: &str, mut holds: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + LONGEST;
    while !holds()? {
        ensure!(Instant::now() < deadline, "waited for {what} in vain");
        pause(Duration::from_millis(20));
    }
    Ok(())
}

/// Has clients write records as long as some work takes. A client whose connection breaks has ended.
fn clients(
    socket: &Path,
    project: &Project,
    work: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Told> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| -> anyhow::Result<Told> {
                    let mut line = Line::bound(socket, project)?;
                    let mut told = Told::default();
                    while !stop.load(Ordering::Relaxed) {
                        let call = write_request(
                            "task.start",
                            json!({"title": "record", "summary": "One of many."}),
                        );
                        let began = Instant::now();
                        let reply: Value = serde_json::from_slice(line.call(&call)?)?;
                        told.times.push(began.elapsed());
                        told.ids.extend(reply["result"]["id"].as_str().map(str::to_owned));
                        pause(REST);
                    }
                    Ok(told)
                })
            })
            .collect();
        let worked = work();
        stop.store(true, Ordering::Relaxed);
        let mut all = Told::default();
        for client in clients {
            let told = client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
            all.ids.extend(told.ids);
            all.times.extend(told.times);
        }
        worked.map(|()| all)
    })
}

/// How long single files take from being closed until E4 finds them.
fn singles(line: &mut Line, evidence: &Path) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(SINGLE);
    for number in 0..SINGLE {
        let word = format!("stork{number}x");
        fs::write(evidence.join(format!("single-{number}.md")), format!("A passage about {word}."))?;
        let closed = Instant::now();
        wait("a single file", || {
            Ok(line.json("evidence.query", &json!({"query": word}))?["count"].as_u64() == Some(1))
        })?;
        // The first one waits for the watcher to begin.
        if number > 0 {
            times.push(closed.elapsed());
        }
    }
    Ok(times)
}

/// What is not as it should be.
fn compare(
    socket: &Path,
    project: &Project,
    written: &BTreeMap<String, String>,
    told: &[&Told],
) -> anyhow::Result<Vec<String>> {
    let connection = looking(project)?;
    let sql = "SELECT origin_key, file_sha256, state FROM evidence_documents WHERE origin_key LIKE 'AI/evidence/burst/%'";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
    })?;
    let mut faults = Vec::new();
    let mut found = BTreeMap::new();
    for row in rows {
        let (path, sha256, state) = row?;
        if state != "current" || found.insert(path.clone(), sha256).is_some() {
            faults.push(format!("{path} has more than one document"));
        }
    }
    for (path, sha256) in written {
        match found.get(path) {
            None => faults.push(format!("{path} has no document")),
            Some(other) if other != sha256 => faults.push(format!("{path} has another hash")),
            Some(_) => {}
        }
    }
    if found.len() > written.len() {
        faults.push(format!("{} documents of {} files", found.len(), written.len()));
    }
    let mut known = connection.prepare("SELECT 1 FROM tasks WHERE id = ?1")?;
    for id in told.iter().flat_map(|told| &told.ids) {
        if !known.exists([id])? {
            faults.push(format!("the acknowledged task {id} is lost"));
        }
    }
    drop((statement, known));
    drop(connection);
    let mut line = Line::bound(socket, project)?;
    let checked = line.json("plane.check", &json!({"integrity": true}))?;
    if checked["integrity"]["ok"] != true {
        faults.push(format!("integrity: {:.400}", checked["integrity"].to_string()));
    }
    Ok(faults)
}

fn rate(count: usize, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below sixteen digits")]
    let count = count as f64;
    count / took.as_secs_f64()
}

/// The median and the 99th percentile.
fn shown(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |part: usize| times.get((times.len() * part / 100).min(times.len().saturating_sub(1)));
    match (at(50), at(99)) {
        (Some(middle), Some(late)) => format!(
            "p50 {:.1} ms, p99 {:.1} ms of {}",
            middle.as_secs_f64() * 1e3,
            late.as_secs_f64() * 1e3,
            times.len()
        ),
        _ => "not measured".to_owned(),
    }
}
