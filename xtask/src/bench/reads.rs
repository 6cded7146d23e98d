//! Reads of planes of several sizes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use super::figure::{Figure, Target, Unit, verdict};
use super::wire::{Clients, Line, request, write_request};
use super::{Bench, samples};
use crate::place::Project;
use crate::random::Random;

/// A word that a few records of each kind that is searched have.
const RARE: &str = "zebrafinch";
/// Bytes of a digest at most.
const DIGEST_BYTES: usize = 7_500;

/// The requests that make the records of a plane, as agents leave them: tasks, pitfalls, verifications, learnings and
/// policies.
fn records(random: &mut Random, count: usize) -> Vec<Vec<u8>> {
    let blocks_between = (count / 93 / 3).max(1);
    (0..count)
        .map(|at| {
            let is_rare = matches!(at % 93, 30 | 60) && (at / 93) % blocks_between == 0;
            let rare = if is_rare { format!("{RARE} ") } else { String::new() };
            let (title, summary) = (random.words(6), random.words(18));
            let body = format!("{rare}{}", random.words(30));
            let status = if random.below(2) == 0 { "active" } else { "resolved" };
            let record = json!({"title": title, "summary": summary, "body": body, "status": status});
            match at % 93 {
                0..30 => write_request("task.start", record),
                30..60 => write_request("gotcha.add", record),
                60..80 => {
                    let conclusion = if random.below(50) == 0 { "VERIFICATION_FAILED" } else { "VERIFIED_ACCEPTABLE" };
                    let evidence = "[\"target/test.log\"]";
                    write_request(
                        "verification.add",
                        json!({"summary": summary, "body": body, "conclusion": conclusion, "evidence": evidence}),
                    )
                }
                80..87 => write_request("learning.add", record),
                _ => write_request("policy.add", record),
            }
        })
        .collect()
}

/// Fills a plane with so many records, among them learned lessons.
fn fill(bench: &mut Bench, project: &Project, count: usize) -> anyhow::Result<()> {
    let requests = records(&mut bench.random, count * 93 / 100);
    let mut clients = Clients::open(&bench.daemon.socket, project, 64)?;
    let mut learnings = Vec::new();
    clients.drive(&requests, |reply| {
        let reply = std::str::from_utf8(reply)?;
        if let Some((_, rest)) = reply.split_once(r#""id":"l_"#)
            && let Some((digits, _)) = rest.split_once('"')
        {
            learnings.push(format!("l_{digits}"));
        }
        Ok(())
    })?;
    ensure!(!learnings.is_empty(), "no learning has an id that starts with l_");
    let promotions: Vec<Vec<u8>> =
        learnings.iter().map(|id| write_request("learning.promote", json!({"id": id}))).collect();
    clients.drive(&promotions, |_| Ok(()))?;
    Ok(())
}

/// Measures them, and prints what is no ratio of two times.
#[expect(clippy::print_stdout, reason = "a program for the terminal")]
pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Figure>> {
    let sizes: [usize; 3] = if bench.quick { [100, 1_000, 5_000] } else { [100, 5_000, 100_000] };
    let mut planes = Vec::new();
    for size in sizes {
        let project = bench.fresh_project()?;
        fill(bench, &project, size)?;
        planes.push((size, project));
    }
    println!(
        "daemon after writing all these: {} MiB RSS, no target",
        super::idle::rss(bench.daemon.pid())? >> 20
    );
    let mut figures = digests(bench, &planes)?;
    let (size, largest) = planes.last().context("a plane")?;
    figures.extend(queries(bench, largest, *size)?);
    for (_, project) in &planes {
        bench.close(project)?;
    }
    Ok(figures)
}

#[expect(clippy::print_stdout, reason = "a program for the terminal")]
fn digests(bench: &mut Bench, planes: &[(usize, Project)]) -> anyhow::Result<Vec<Figure>> {
    let digest = request("session.digest", &json!({}));
    let mut lines = Vec::new();
    for (size, project) in planes {
        let mut line = Line::bound(&bench.daemon.socket, project)?;
        let bytes = line.json("session.digest", &json!({}))?.to_string().len();
        println!("R0 at {size} records: {bytes} bytes, ≤ {DIGEST_BYTES}, {}", verdict(bytes <= DIGEST_BYTES));
        lines.push(line);
    }
    let target = [Target::None, Target::AtMost(1.5)];
    let mut figures: Vec<Figure> = planes[1..]
        .iter()
        .zip(target)
        .map(|((size, _), target)| {
            Figure::new(format!("R0 at {size} records (at {})", planes[0].0), Unit::Time, target)
        })
        .collect();
    let count = samples(bench.quick, 60);
    for _ in 0..bench.rounds {
        let mut times: Vec<Vec<Duration>> = vec![Vec::new(); lines.len()];
        for _ in 0..count {
            for (line, times) in lines.iter_mut().zip(&mut times) {
                times.push(line.timed(&digest)?);
            }
        }
        let (smallest, larger) = times.split_at_mut(1);
        for (figure, times) in figures.iter_mut().zip(larger) {
            figure.times(times, &mut smallest[0]);
        }
    }
    Ok(figures)
}

/// A query over one table: the call, and the scan that would answer it without an index.
struct Query {
    name: &'static str,
    method: &'static str,
    table: &'static str,
    scan: &'static str,
}

const QUERIES: [Query; 2] = [
    Query {
        name: "G3",
        method: "gotcha.query",
        table: "gotcha",
        scan: "SELECT id, status, scope, title, summary, created_at FROM gotcha \
               WHERE title LIKE $1 OR summary LIKE $1 OR body LIKE $1 ORDER BY created_at DESC, id DESC LIMIT 21",
    },
    Query {
        name: "Q9",
        method: "verification.query",
        table: "verification_events",
        scan: "SELECT id, created_at, task_id, proof_id, conclusion, severity, scope_label, actionability, summary \
               FROM verification_events WHERE summary LIKE $1 OR body LIKE $1 \
               ORDER BY created_at DESC, id DESC LIMIT 21",
    },
];

fn queries(bench: &mut Bench, project: &Project, size: usize) -> anyhow::Result<Vec<Figure>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let scans = Connection::open_with_flags(project.database(), flags)?;
    scans.execute_batch("PRAGMA cache_size = -8000; PRAGMA query_only = ON")?;
    let mut line = Line::bound(&bench.daemon.socket, project)?;
    let mut figures = Vec::new();
    for query in &QUERIES {
        let rows: i64 =
            scans.query_row(&format!("SELECT count(*) FROM {}", query.table), [], |row| row.get(0))?;
        let name = format!("{} for a rare word, {rows} rows of {size} records (LIKE scan)", query.name);
        let mut figure = Figure::new(name, Unit::Time, Target::AtMost(0.2));
        let params = json!({"query": RARE});
        let found = line.json(query.method, &params)?["records"].as_array().map(Vec::len);
        let scan = || -> anyhow::Result<usize> {
            let mut statement = scans.prepare_cached(query.scan)?;
            let mut rows = statement.query([format!("%{RARE}%")])?;
            let mut count = 0;
            while rows.next()?.is_some() {
                count += 1;
            }
            Ok(count)
        };
        let scanned = scan()?;
        ensure!(found == Some(scanned) && scanned > 0, "{}: {found:?}, the scan finds {scanned}", query.name);
        let call = request(query.method, &params);
        for _ in 0..bench.rounds {
            let (mut ours, mut reference) = (Vec::new(), Vec::new());
            for _ in 0..samples(bench.quick, 15) {
                ours.push(line.timed(&call)?);
                let started = Instant::now();
                scan()?;
                reference.push(started.elapsed());
            }
            figure.times(&mut ours, &mut reference);
        }
        figures.push(figure);
    }
    Ok(figures)
}
