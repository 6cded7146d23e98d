//! Reads of planes of several sizes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use super::figure::{Figure, Target, Unit, verdict};
use super::{Bench, samples};
use crate::place::Project;
use crate::seed::{self, MIX, Mix, RARE};
use crate::wire::{Line, request, write_request};

/// Bytes of a digest at most.
const DIGEST_BYTES: usize = 7_500;

/// Measures them, and prints what is no ratio of two times.
#[expect(clippy::print_stdout, reason = "a program for the terminal")]
pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Figure>> {
    let sizes: [usize; 3] = if bench.quick { [100, 1_000, 5_000] } else { [100, 5_000, 100_000] };
    let mut planes = Vec::new();
    for size in sizes {
        let project = bench.fresh_project()?;
        seed::seed(&bench.daemon.socket, &project, size, MIX, &mut bench.random)?;
        planes.push((size, project));
    }
    println!(
        "daemon after writing all these: {} MiB RSS, no target",
        super::idle::rss(bench.daemon.pid())? >> 20
    );
    let mut figures = digests(bench, &planes)?;
    let (size, largest) = planes.last().context("a plane")?;
    figures.extend(single(bench, &planes[0], (*size, largest))?);
    let scans = Scans::open(largest)?;
    for query in QUERIES.iter().filter(|query| query.mix == MIX) {
        figures.push(queried(bench, query, largest, *size, &scans)?);
    }
    figures.push(report(bench, largest, *size, &scans)?);
    drop(scans);
    let size = *size;
    for query in QUERIES.iter().filter(|query| query.mix != MIX) {
        let project = bench.fresh_project()?;
        seed::seed(&bench.daemon.socket, &project, size, query.mix, &mut bench.random)?;
        let scans = Scans::open(&project)?;
        figures.push(queried(bench, query, &project, size, &scans)?);
        drop(scans);
        bench.close(&project)?;
    }
    // The last ones, for a daemon that has no project any more ends.
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

/// A task with something of each kind that belongs to it: the same in every plane, whatever else is there.
fn subject(line: &mut Line) -> anyhow::Result<String> {
    let mut write = |method: &str, params: Value| -> anyhow::Result<String> {
        let reply: Value = serde_json::from_slice(line.call(&write_request(method, params))?)?;
        Ok(reply["result"]["id"].as_str().context("an id")?.to_owned())
    };
    let text = "the writer keeps every call under load after the server restarts";
    let task = write("task.start", json!({"title": "subject", "summary": text, "body": text}))?;
    for step in 0..5 {
        let summary = format!("step {step}: {text}");
        write("task.update", json!({"id": task, "task_id": task, "summary": summary}))?;
        write("gotcha.add", json!({"title": "pitfall", "summary": text, "body": text, "task_id": task}))?;
    }
    let plan = json!({"title": "plan", "summary": text, "body": text, "task_id": task});
    write("plan.create", plan)?;
    for conclusion in ["VERIFICATION_FAILED", "VERIFIED_ACCEPTABLE", "VERIFICATION_FAILED"] {
        let params =
            json!({"summary": text, "conclusion": conclusion, "evidence": "[\"log\"]", "task_id": task});
        write("verification.add", params)?;
    }
    write("artifact.add", json!({"path": "target/subject.log", "summary": text, "task_id": task}))?;
    let trace = json!({"kind": "tool_call", "name": "build", "task_id": task, "summary": text}).to_string();
    write("trace.add", json!({"payload_json": trace}))?;
    Ok(task)
}

/// Reads of one record, in the largest plane and in the smallest.
fn single(
    bench: &Bench,
    (smallest, small): &(usize, Project),
    (size, large): (usize, &Project),
) -> anyhow::Result<Vec<Figure>> {
    let mut lines = [small, large].map(|project| Line::bound(&bench.daemon.socket, project));
    let mut sides = Vec::new();
    for line in &mut lines {
        let line = line.as_mut().map_err(|error| anyhow::anyhow!("{error}"))?;
        let task = subject(line)?;
        sides.push((line, json!({"id": task})));
    }
    let mut figures = Vec::new();
    for (name, method) in [("W9", "task.show"), ("K8", "record.inspect")] {
        let name = format!("{name} of the same task at {size} records (at {smallest})");
        let mut figure = Figure::new(name, Unit::Time, Target::AtMost(1.5));
        let calls: Vec<Vec<u8>> = sides.iter().map(|(_, params)| request(method, params)).collect();
        for _ in 0..bench.rounds {
            let mut times = [Vec::new(), Vec::new()];
            for _ in 0..samples(bench.quick, 60) {
                for (at, (line, _)) in sides.iter_mut().enumerate() {
                    times[at].push(line.timed(&calls[at])?);
                }
            }
            let [reference, ours] = &mut times;
            figure.times(ours, reference);
        }
        figures.push(figure);
    }
    Ok(figures)
}

/// A query: the call, the tables and columns that a scan must look into without an index, and what the plane is made
/// of. Kinds of which the usual mix has few get a plane of their own: beside a few thousand rows the cost of the call
/// itself is all that is seen.
struct Query {
    name: &'static str,
    method: &'static str,
    mix: Mix,
    tables: &'static [(&'static str, &'static str)],
}

const TEXTS: &str = "title, summary, body";

const QUERIES: [Query; 6] = [
    Query { name: "G3", method: "gotcha.query", mix: MIX, tables: &[("gotcha", TEXTS)] },
    Query {
        name: "Q9",
        method: "verification.query",
        mix: MIX,
        tables: &[("verification_events", "summary, body")],
    },
    Query {
        name: "T4",
        method: "score.query",
        mix: &[("Q2", 1), ("Q4", 1), ("T1", 1), ("T2", 97)],
        tables: &[("eval_scores", "name")],
    },
    Query {
        name: "S2",
        method: "source.query",
        mix: &[("S1", 100)],
        tables: &[("source_locks", "source_id, url_or_repository, summary")],
    },
    Query {
        name: "Q6",
        method: "anti_pattern.query",
        mix: &[("Q5", 100)],
        tables: &[("anti_patterns", "title, summary, symptom, trigger_evidence")],
    },
    Query {
        name: "K9",
        method: "record.find",
        mix: MIX,
        tables: &[
            ("gotcha", TEXTS),
            ("learning", TEXTS),
            ("learned", TEXTS),
            ("tasks", TEXTS),
            ("plans", TEXTS),
            ("verification_events", "summary, body"),
            ("artifacts", "path, summary, body"),
            ("private_policy", TEXTS),
            ("eval_cases", TEXTS),
            ("eval_runs", "summary, body"),
            ("anti_patterns", "title, summary, symptom"),
            ("source_locks", "source_id, summary, body"),
            ("irl_reviews", "decision, summary, body"),
            ("subagent_packets", TEXTS),
            ("diagnostic_packets", TEXTS),
            ("trace_events", "name, summary, body"),
            ("eval_scores", "name, comment"),
            ("improvement_proposals", TEXTS),
        ],
    },
];

/// Raw SQLite on the file of a plane.
struct Scans(Connection);

impl Scans {
    fn open(project: &Project) -> anyhow::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(project.database(), flags)?;
        connection.execute_batch("PRAGMA cache_size = -8000; PRAGMA query_only = ON")?;
        Ok(Scans(connection))
    }

    /// Steps through the rows of some statements.
    fn rows(&self, statements: &[String], parameter: &str) -> anyhow::Result<usize> {
        let mut count = 0;
        for sql in statements {
            let mut statement = self.0.prepare_cached(sql)?;
            let mut rows = statement.query([parameter])?;
            while let Some(row) = rows.next()? {
                // What is not asked for would not be read.
                let _ = row.get_ref(0)?;
                count += 1;
            }
        }
        Ok(count)
    }
}

fn queried(
    bench: &Bench,
    query: &Query,
    project: &Project,
    size: usize,
    scans: &Scans,
) -> anyhow::Result<Figure> {
    let mut line = Line::bound(&bench.daemon.socket, project)?;
    let mut rows = 0;
    for (table, _) in query.tables {
        let count: i64 = scans.0.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
        rows += count;
    }
    let name = format!("{} for a rare word, {rows} rows of {size} records (LIKE scan)", query.name);
    let mut figure = Figure::new(name, Unit::Time, Target::AtMost(0.2));
    let params = json!({"query": RARE, "limit": 200});
    let found = line.json(query.method, &params)?["records"].as_array().map(Vec::len);
    let statements: Vec<String> = query
        .tables
        .iter()
        .map(|(table, columns)| {
            let hits: Vec<String> = columns.split(", ").map(|column| format!("{column} LIKE $1")).collect();
            let condition = hits.join(" OR ");
            format!("SELECT * FROM {table} NOT INDEXED WHERE {condition} ORDER BY created_at DESC, id DESC")
        })
        .collect();
    let pattern = format!("%{RARE}%");
    let scanned = scans.rows(&statements, &pattern)?;
    ensure!(found == Some(scanned) && scanned > 0, "{}: {found:?}, the scan finds {scanned}", query.name);
    let call = request(query.method, &params);
    for _ in 0..bench.rounds {
        let (mut ours, mut reference) = (Vec::new(), Vec::new());
        for _ in 0..samples(bench.quick, 15) {
            ours.push(line.timed(&call)?);
            let started = Instant::now();
            scans.rows(&statements, &pattern)?;
            reference.push(started.elapsed());
        }
        figure.times(&mut ours, &mut reference);
    }
    Ok(figure)
}

/// The report of a week in which all the records were made, file and row included, against reading the records that it
/// is about once: it counts them by several fields, which indexes must make cheaper than that.
fn report(bench: &Bench, project: &Project, size: usize, scans: &Scans) -> anyhow::Result<Figure> {
    const WINDOW: [&str; 7] =
        ["ledger_events", "tasks", "irl_reviews", "verification_events", "learned", "learning", "gotcha"];
    let statements = WINDOW.map(|table| {
        format!(
            "SELECT * FROM {table} WHERE created_at >= $1 AND is_test = 0 ORDER BY created_at DESC, id DESC"
        )
    });
    let mut line = Line::bound(&bench.daemon.socket, project)?;
    let rows = scans.rows(&statements, "2000")?;
    let name = format!("R8 over {rows} rows of {size} records (reading these rows)");
    let mut figure = Figure::new(name, Unit::Time, Target::AtMost(1.0));
    for _ in 0..bench.rounds.min(3) {
        let (mut ours, mut reference) = (Vec::new(), Vec::new());
        for _ in 0..15 {
            ours.push(line.timed(&write_request("report.weekly", json!({})))?);
            let started = Instant::now();
            scans.rows(&statements, "2000")?;
            reference.push(started.elapsed());
        }
        figure.times(&mut ours, &mut reference);
    }
    Ok(figure)
}
