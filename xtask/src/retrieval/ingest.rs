//! Every file through E1, and what came of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::{FOLDER, File, open};
use crate::place::Project;
use crate::wire::{Line, write_request};

/// A file that was refused: where it is, the denial's code, and what it says.
type Refused = (String, String, String);

/// What came of all files.
pub(super) struct Told {
    manner: String,
    elapsed: Duration,
    ingested: u64,
    unchanged: u64,
    /// Secrets and personal details; a call for a whole folder does not tell.
    masked: Option<u64>,
    refused: Vec<Refused>,
    refused_count: u64,
    slowest: Vec<(Duration, String)>,
}

/// Has every file read, over so many connections, or over none by one call for the whole folder.
pub(super) fn ingest(
    socket: &Path,
    project: &Project,
    files: &[File],
    connections: usize,
) -> anyhow::Result<Told> {
    if connections == 0 {
        return whole(socket, project);
    }
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    let parts = std::thread::scope(|scope| {
        let next = &next;
        let readers: Vec<_> =
            (0..connections).map(|_| scope.spawn(move || some(socket, project, files, next))).collect();
        readers
            .into_iter()
            .map(|reader| reader.join().map_err(|_| anyhow::anyhow!("a thread that ingests panicked"))?)
            .collect::<anyhow::Result<Vec<Told>>>()
    })?;
    let mut told = Told::new(format!("file by file over {connections} connections"));
    told.elapsed = started.elapsed();
    for part in parts {
        told.ingested += part.ingested;
        told.unchanged += part.unchanged;
        told.masked = Some(told.masked.unwrap_or(0) + part.masked.unwrap_or(0));
        told.refused_count += part.refused_count;
        told.refused.extend(part.refused);
        told.slowest.extend(part.slowest);
    }
    told.refused.sort();
    told.slowest.sort_by(|one, other| other.cmp(one));
    told.slowest.truncate(5);
    Ok(told)
}

/// The files that the other connections leave to this one.
fn some(socket: &Path, project: &Project, files: &[File], next: &AtomicUsize) -> anyhow::Result<Told> {
    let mut line = Line::bound(socket, project)?;
    let mut told = Told::new(String::new());
    while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
        let began = Instant::now();
        line.send(&write_request("evidence.ingest_file", json!({"path": file.path})))?;
        let reply: Value = serde_json::from_slice(line.receive()?)?;
        told.slowest.push((began.elapsed(), file.path.clone()));
        match (reply.get("result"), reply["error"]["data"]["code"].as_str()) {
            (Some(result), _) if result["unchanged"] == true => told.unchanged += 1,
            (Some(result), _) => {
                told.ingested += 1;
                told.masked = Some(told.masked.unwrap_or(0) + result["redactions"].as_u64().unwrap_or(0));
            }
            (None, Some(code)) => {
                told.refused_count += 1;
                let message = reply["error"]["message"].as_str().unwrap_or_default();
                told.refused.push((file.path.clone(), code.to_owned(), message.to_owned()));
            }
            (None, None) => ensure!(false, "{}: {reply}", file.path),
        }
    }
    Ok(told)
}

/// The folder in one call.
fn whole(socket: &Path, project: &Project) -> anyhow::Result<Told> {
    let mut line = Line::bound(socket, project)?;
    let started = Instant::now();
    let request = write_request("evidence.ingest_file", json!({"path": FOLDER, "recursive": true}));
    let reply: Value = serde_json::from_slice(line.call(&request)?)?;
    let result = &reply["result"];
    let count = |name: &str| result[name].as_u64().unwrap_or(0);
    let mut told = Told::new("E1 --recursive".to_owned());
    told.elapsed = started.elapsed();
    told.ingested = count("ingested");
    told.unchanged = count("unchanged_files");
    told.refused_count = count("refused_count");
    for refused in result["refused"].as_array().into_iter().flatten() {
        let text = |name: &str| refused[name].as_str().unwrap_or_default().to_owned();
        told.refused.push((text("path"), text("code"), text("message")));
    }
    Ok(told)
}

impl Told {
    fn new(manner: String) -> Self {
        Told {
            manner,
            elapsed: Duration::ZERO,
            ingested: 0,
            unchanged: 0,
            masked: None,
            refused: Vec::new(),
            refused_count: 0,
            slowest: Vec::new(),
        }
    }

    /// Prints all figures.
    #[expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "figures for the terminal")]
    pub(super) fn print(&self, files: &[File], project: &Project, each: bool) -> anyhow::Result<()> {
        let bytes: u64 = files.iter().map(|file| file.bytes).sum();
        let seconds = self.elapsed.as_secs_f64().max(0.001);
        println!(
            "retrieval: {} files ({}), {}: {} ingested, {} unchanged, {} refused{}",
            files.len(),
            megabytes(bytes),
            self.manner,
            self.ingested,
            self.unchanged,
            self.refused_count,
            self.masked.map_or(String::new(), |masked| format!(", {masked} secrets and details masked"))
        );
        println!(
            "retrieval: {seconds:.1} s, {:.1} files/s, {:.2} MB/s",
            files.len() as f64 / seconds,
            bytes as f64 / 1e6 / seconds
        );
        let mut by_code: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, code, _) in &self.refused {
            *by_code.entry(code).or_default() += 1;
        }
        for (code, count) in &by_code {
            println!("  {count:>5} {code}");
        }
        if each {
            for (path, _, message) in &self.refused {
                println!("  {path}: {message}");
            }
        }
        for (time, path) in &self.slowest {
            println!("  slow: {:.1} s {path}", time.as_secs_f64());
        }
        let connection = open(project)?;
        let count =
            |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).context(sql.to_owned());
        let text = u64::try_from(count("SELECT coalesce(sum(octet_length(text)), 0) FROM evidence_blocks")?)?;
        let database: u64 = ["", "-wal"]
            .iter()
            .filter_map(|end| std::fs::metadata(format!("{}{end}", project.database().display())).ok())
            .map(|data| data.len())
            .sum();
        println!(
            "retrieval: {} blocks, {} chunks, {} of text, {} of database, {:.1} times the text",
            count("SELECT count(*) FROM evidence_blocks")?,
            count("SELECT count(*) FROM evidence_chunks")?,
            megabytes(text),
            megabytes(database),
            database as f64 / (text.max(1)) as f64
        );
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for the terminal")]
fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
