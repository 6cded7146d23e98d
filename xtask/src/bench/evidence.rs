//! Evidence: finding passages among many chunks, and reading a large file.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rusqlite::types::Value as Cell;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use serde_json::json;

use super::figure::{Figure, Target, Unit};
use super::{Bench, samples};
use crate::place::Project;
use crate::random::Random;
use crate::wire::{Clients, Line, request, write_request};

/// Connections over which documents are read.
const CONNECTIONS: usize = 4;
/// Chunks of one document, about.
const CHUNKS: usize = 100;
/// Bytes of the large file.
const LARGE: usize = 1_000_000;
/// The tables that the chunks and blocks of a document fill, with what is derived from them.
const TABLES: [&str; 4] = ["evidence_blocks", "evidence_chunks", "evidence_numbers", "evidence_words"];

/// Measures them, and prints what is no ratio.
#[expect(clippy::print_stdout, reason = "a program for the terminal")]
pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Figure>> {
    let wanted = if bench.quick { 2_000 } else { bench.chunks };
    let project = bench.fresh_project()?;
    let began = Instant::now();
    fill(bench, &project, wanted)?;
    let took = began.elapsed();
    let looking = looking(&project)?;
    let one = |sql: &str| -> anyhow::Result<i64> { Ok(looking.query_row(sql, [], |row| row.get(0))?) };
    let chunks = one("SELECT count(*) FROM evidence_chunks")?;
    let text = one("SELECT sum(length(CAST(text AS BLOB))) FROM evidence_chunks")?;
    let words = one("SELECT sum(length(block)) FROM evidence_words_data")?;
    println!(
        "{chunks} chunks of {} MB of text read in {:.1} s; database {} MB, index of words {} MB",
        text / 1_000_000,
        took.as_secs_f64(),
        fs::metadata(project.database())?.len() / 1_000_000,
        words / 1_000_000
    );
    let mut figures = Vec::new();
    let queries = [
        ("a rare word", "zebrafinch", Target::AtMost(0.2)),
        ("a word of one chunk in a hundred", "medium17", Target::None),
        ("a word of every chunk", "ledger", Target::None),
        ("two words", "medium17 zebrafinch", Target::None),
    ];
    for (name, query, target) in queries {
        figures.push(searched(bench, &project, &looking, (name, query, target), chunks)?);
    }
    drop(looking);
    bench.close(&project)?;
    figures.push(large(bench)?);
    Ok(figures)
}

/// Documents whose chunks all have common words, one in a hundred of them a word of its own, and a few a rare one.
fn fill(bench: &mut Bench, project: &Project, wanted: usize) -> anyhow::Result<()> {
    let mut clients = Clients::open(&bench.daemon.socket, project, CONNECTIONS)?;
    let mut random = bench.random.fork();
    let documents = wanted.div_ceil(CHUNKS);
    let mut requests = Vec::with_capacity(documents);
    for number in 0..documents {
        let mut text = format!("# Document {number}\n\n");
        for part in 0..CHUNKS {
            let rare =
                if part == 7 && number.is_multiple_of((documents / 5).max(1)) { "zebrafinch " } else { "" };
            // A section fills about one chunk.
            write!(text, "## Part {part}\n\nledger {rare}medium{part} {}.\n\n", random.words(170))?;
        }
        let path = format!("documents/{number}.md");
        let file = project.root.join(&path);
        fs::create_dir_all(file.parent().context("a directory")?)?;
        fs::write(file, text)?;
        requests.push(write_request("evidence.ingest_file", json!({"path": path})));
    }
    clients.drive(&requests, |_| Ok(())).map(drop)
}

fn looking(project: &Project) -> anyhow::Result<Connection> {
    let connection = Connection::open_with_flags(project.database(), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.execute_batch("PRAGMA cache_size = -8000; PRAGMA query_only = ON")?;
    Ok(connection)
}

fn searched(
    bench: &Bench,
    project: &Project,
    looking: &Connection,
    (name, query, target): (&str, &str, Target),
    chunks: i64,
) -> anyhow::Result<Figure> {
    let mut line = Line::bound(&bench.daemon.socket, project)?;
    let call = request("evidence.query", &json!({"query": query}));
    let found = line.json("evidence.query", &json!({"query": query}))?["count"].as_u64().unwrap_or(0);
    ensure!(found > 0, "{query} is not found");
    let hits: Vec<String> =
        query.split(' ').enumerate().map(|(at, _)| format!("text LIKE ?{}", at + 1)).collect();
    let sql = format!("SELECT * FROM evidence_chunks NOT INDEXED WHERE {}", hits.join(" AND "));
    let mut statement = looking.prepare(&sql)?;
    let patterns: Vec<String> = query.split(' ').map(|word| format!("%{word}%")).collect();
    let mut figure =
        Figure::new(format!("E4 for {name} among {chunks} chunks (LIKE scan)"), Unit::Time, target);
    for _ in 0..bench.rounds.min(3) {
        let (mut ours, mut reference) = (Vec::new(), Vec::new());
        for _ in 0..samples(bench.quick, 15) {
            ours.push(line.timed(&call)?);
            let began = Instant::now();
            let mut rows = statement.query(params_from_iter(&patterns))?;
            while let Some(row) = rows.next()? {
                // What is not asked for would not be read.
                let _ = row.get_ref(0)?;
            }
            reference.push(began.elapsed());
        }
        figure.times(&mut ours, &mut reference);
    }
    Ok(figure)
}

/// E1 of a Markdown file of 1 MB, against the same rows of blocks and chunks with their index of words through SQLite.
fn large(bench: &mut Bench) -> anyhow::Result<Figure> {
    let project = bench.fresh_project()?;
    let mut line = Line::bound(&bench.daemon.socket, &project)?;
    let mut figure = Figure::new(
        "E1 of 1 MB of Markdown, cut and indexed (the same rows, raw)",
        Unit::Time,
        Target::AtMost(3.0),
    );
    let mut random = bench.random.fork();
    for round in 0..bench.rounds {
        let (mut ours, mut reference) = (Vec::new(), Vec::new());
        for time in 0..3 {
            let name = format!("large-{round}-{time}.md");
            fs::write(project.root.join(&name), markdown(&mut random))?;
            let call = write_request("evidence.ingest_file", json!({"path": name}));
            ours.push(line.timed(&call)?);
            reference.push(raw(&project, &bench.place.path(&format!("raw-{round}-{time}.db")), &name)?);
        }
        figure.times(&mut ours, &mut reference);
    }
    drop(line);
    bench.close(&project)?;
    Ok(figure)
}

fn markdown(random: &mut Random) -> String {
    let mut text = String::with_capacity(LARGE + 1_000);
    while text.len() < LARGE {
        // Writing to a string cannot fail.
        let _ = write!(text, "## {}\n\n{}.\n\n{}.\n\n", random.words(4), random.words(60), random.words(80));
    }
    text
}

/// The time that SQLite takes to store the rows of a document in tables and indexes of the same shape.
fn raw(project: &Project, path: &Path, name: &str) -> anyhow::Result<Duration> {
    let looking = looking(project)?;
    let id: String =
        looking
            .query_row("SELECT id FROM evidence_documents WHERE origin_key = ?1", [name], |row| row.get(0))?;
    let mut target = Connection::open(path)?;
    target
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -64000; PRAGMA foreign_keys = OFF")?;
    for table in TABLES {
        let mut made = looking.prepare(
            "SELECT sql FROM sqlite_schema WHERE tbl_name = ?1 AND sql IS NOT NULL ORDER BY type = 'index'",
        )?;
        let statements: Vec<String> = made.query_map([table], |row| row.get(0))?.collect::<Result<_, _>>()?;
        statements.iter().try_for_each(|sql| target.execute_batch(sql))?;
    }
    let read = |sql: &str| -> anyhow::Result<Vec<Vec<Cell>>> {
        let mut statement = looking.prepare(sql)?;
        let width = statement.column_count();
        let rows = statement.query_map([&id], |row| (0..width).map(|at| row.get(at)).collect())?;
        Ok(rows.collect::<Result<_, _>>()?)
    };
    let plain = |table: &str| read(&format!("SELECT * FROM {table} WHERE document_id = ?1"));
    let words = "SELECT n.number, c.text, c.context, ?1 FROM evidence_chunks c JOIN evidence_numbers n \
                 ON n.chunk_id = c.id WHERE c.document_id = ?1";
    let work = [
        ("evidence_blocks", plain("evidence_blocks")?),
        ("evidence_chunks", plain("evidence_chunks")?),
        ("evidence_numbers", plain("evidence_numbers")?),
        ("evidence_words (rowid, text, heading, name)", read(words)?),
    ];
    let began = Instant::now();
    let transaction = target.transaction()?;
    for (table, rows) in &work {
        let Some(first) = rows.first() else { continue };
        let places = vec!["?"; first.len()].join(", ");
        let mut statement = transaction.prepare(&format!("INSERT INTO {table} VALUES ({places})"))?;
        for row in rows {
            statement.execute(params_from_iter(row))?;
        }
    }
    transaction.commit()?;
    Ok(began.elapsed())
}
