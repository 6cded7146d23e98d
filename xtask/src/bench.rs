//! The promised figures. Every speed is a ratio taken in one run: ours and a reference by turns, so that both see the
//! same machine at the same time. Medians of at least 15 calls; each side's best round counts, with the median of the
//! rounds' ratios beside it.

mod calls;
mod evidence;
mod figure;
mod idle;
mod processes;
mod raw;
mod reads;
mod writes;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, ensure};

pub(crate) use self::calls::echo;
use crate::place::{self, Daemon, Place};
use crate::random::Random;

/// What is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A short form that only shows that everything works
    #[arg(long)]
    quick: bool,
    /// Only the parts named: writes, ping, processes, reads, evidence, idle, cold
    parts: Vec<String>,
    /// Chunks that passages are looked for among
    #[arg(long, default_value_t = 100_000)]
    chunks: usize,
    /// Another daemon than this release's
    #[arg(long)]
    daemon: Option<PathBuf>,
    /// Another kaizenctl than this release's
    #[arg(long)]
    client: Option<PathBuf>,
}

/// What the parts share.
struct Bench {
    quick: bool,
    rounds: usize,
    place: Place,
    program: PathBuf,
    client: PathBuf,
    daemon: Daemon,
    random: Random,
    projects: usize,
    chunks: usize,
}

/// Calls of each side in a round: so many, or the fewest that make a median.
fn samples(quick: bool, full: usize) -> usize {
    if quick { 15 } else { full }
}

/// Measures and prints.
///
/// # Errors
/// What keeps it from measuring. A figure that misses its target is printed and is no error.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    if cfg!(debug_assertions) {
        // The references are Rust too: unoptimised they would flatter the daemon, which is measured as it is released.
        return place::run_optimised();
    }
    let program = place::daemon_program(options.daemon.as_deref())?;
    let client = client_program(options.client.as_deref())?;
    let place = Place::new(program)?;
    // kaizenctl starts the daemon that lies beside it.
    let (program, copied_client) = (place.path("bin/kaizend"), place.path("bin/kaizenctl"));
    std::fs::create_dir(place.path("bin"))?;
    std::fs::copy(place.program(), &program)?;
    std::fs::copy(&client, &copied_client)?;
    let daemon = place.start()?;
    let mut bench = Bench {
        quick: options.quick,
        rounds: if options.quick { 1 } else { 7 },
        place,
        program,
        client: copied_client,
        daemon,
        random: Random::new(1),
        projects: 0,
        chunks: options.chunks,
    };
    let wants = |part: &str| options.parts.is_empty() || options.parts.iter().any(|wanted| wanted == part);
    bench.measure(wants)?;
    Ok(ExitCode::SUCCESS)
}

impl Bench {
    #[expect(clippy::print_stdout, reason = "a program for the terminal")]
    fn measure(&mut self, wants: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        println!(
            "name (reference): ours, reference, ratio of the best rounds (median of the rounds' ratios), target, verdict"
        );
        // A daemon that has no project open ends when one is closed.
        let _keep = self.fresh_project()?;
        if wants("writes") {
            writes::run(self)?.iter().for_each(|figure| println!("{figure}"));
        }
        if wants("ping") {
            println!("{}", calls::run(self)?);
        }
        if wants("processes") {
            processes::run(self)?.iter().for_each(|figure| println!("{figure}"));
        }
        if wants("reads") {
            reads::run(self)?.iter().for_each(|figure| println!("{figure}"));
        }
        if wants("evidence") {
            evidence::run(self)?.iter().for_each(|figure| println!("{figure}"));
        }
        if wants("idle") {
            idle::run(self)?;
        }
        if wants("cold") {
            idle::cold_start(self)?;
        }
        Ok(())
    }
}

/// kaizenctl as setup.sh builds it: static where that works, so that no loader runs at each call.
#[expect(clippy::print_stderr, reason = "a program for the terminal")]
fn client_program(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(program) = given {
        return std::fs::canonicalize(program).with_context(|| program.display().to_string());
    }
    let rustc = Command::new("rustc").arg("-vV").output().context("rustc does not start")?;
    ensure!(rustc.status.success(), "rustc -vV failed");
    let text = String::from_utf8(rustc.stdout)?;
    let triple = text.lines().find_map(|line| line.strip_prefix("host: ")).context("the host's triple")?;
    let flags = "-C target-feature=+crt-static -C relocation-model=static";
    let arguments = ["--profile", "client", "--package", "kaizenctl"];
    let with_target = [&arguments[..], &["--target", triple]].concat();
    match place::cargo(&with_target, Some(flags)) {
        Ok(()) => place::built(&[triple, "client", "kaizenctl"]),
        Err(error) => {
            eprintln!("no static kaizenctl here ({error}); the dynamic one is measured");
            place::cargo(&arguments, None)?;
            place::built(&["client", "kaizenctl"])
        }
    }
}
