//! How every statement finds its rows: a large plane of all kinds of records, every operation that reads with every
//! filter that it has, and the query plan of each statement that the daemon ran for them. A plan that reads a whole
//! table is a failure.
//!
//! What is called comes from the contract and the schemas of its parameters, so a new operation or filter is covered as
//! soon as it exists; one that no call gets an answer from is a failure too.

mod calls;
mod plan;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use rusqlite::Connection;

use crate::place::{self, Place, Project};
use crate::random::Random;
use crate::seed;

/// Records that are made while the daemon logs, so that the statements of writing operations are seen too.
const WRITTEN: usize = 200;

/// Documents beside the records.
const DOCUMENTS: usize = 500;

/// What is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Records in the plane
    #[arg(long, default_value_t = 100_000)]
    records: usize,
    /// Also tell the sums, and the statements that walk a whole index
    #[arg(long)]
    walks: bool,
    /// Another daemon than this release's
    #[arg(long)]
    daemon: Option<PathBuf>,
}

/// Seeds, calls and explains.
///
/// # Errors
/// What keeps it from looking; what it finds is in the exit status.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let place = Place::new(place::daemon_program(options.daemon.as_deref())?)?;
    let project = place.project("project")?;
    let mut random = Random::new(1);
    let mut daemon = place.start()?;
    let mut seeded = seed::seed(&daemon.socket, &project, options.records, seed::MIX, &mut random)?;
    seeded.add_file(&daemon.socket, &project)?;
    seeded.add_documents(&daemon.socket, &project, DOCUMENTS)?;
    daemon.kill()?;
    println!("explain: {} records after {:.0} s", options.records, started.elapsed().as_secs_f64());

    let mut daemon = place.start_with(&[("KAIZEN_LOG", "kaizend::sql=trace")])?;
    // Before the walk, so that what they write is seen by it.
    seed::seed(&daemon.socket, &project, WRITTEN, seed::MIX, &mut random)?;
    let walk = calls::walk(&daemon, &project, &seeded)?;
    daemon.kill()?;
    let statements = logged(&place)?;
    ensure!(!statements.is_empty(), "the daemon logged no statement");

    // As a plane is that nobody analysed, and as it is afterwards.
    let mut scans = plan::Plans::default();
    explain(&project, &statements, &mut scans)?;
    open(&project)?.execute_batch("ANALYZE").context("ANALYZE")?;
    explain(&project, &statements, &mut scans)?;

    for fault in walk.faults.iter().chain(&scans.tables) {
        eprintln!("{fault}");
    }
    if options.walks {
        scans.sums.iter().chain(&scans.indexes).for_each(|walk| println!("{walk}"));
    }
    println!(
        "explain: {} operations, {} calls ({} answered), {} statements, {} scans of a table, {} sums of reports, {} \
         walks of an index, {} calls missing, {:.0} s",
        walk.operations,
        walk.calls,
        walk.answered,
        statements.len(),
        scans.tables.len(),
        scans.sums.len(),
        scans.indexes.len(),
        walk.faults.len(),
        started.elapsed().as_secs_f64()
    );
    let is_good = walk.faults.is_empty() && scans.tables.is_empty();
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn open(project: &Project) -> anyhow::Result<Connection> {
    Connection::open(project.database()).context("open the database")
}

fn explain(project: &Project, statements: &[String], plans: &mut plan::Plans) -> anyhow::Result<()> {
    let connection = open(project)?;
    statements.iter().try_for_each(|sql| plans.look(&connection, sql))
}

/// The statements in the daemon's log, each once.
fn logged(place: &Place) -> anyhow::Result<Vec<String>> {
    const TARGET: &str = " kaizend::sql: ";
    let mut statements = Vec::new();
    for file in std::fs::read_dir(place.runtime().logs())? {
        let text = std::fs::read_to_string(file?.path())?;
        let lines = text.lines().filter_map(|line| line.split_once(TARGET));
        statements.extend(lines.map(|(_, sql)| sql.to_owned()));
    }
    statements.sort_unstable();
    statements.dedup();
    Ok(statements)
}
