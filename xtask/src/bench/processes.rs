//! Whole kaizenctl processes against `true`, the external program.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::figure::{Figure, Target, Unit};
use super::{Bench, samples};
use crate::place::Project;

const PARALLEL: usize = 16;
const K2: &[&str] = &["K2", "--json"];
const W1: &[&str] =
    &["W1", "--title", "Fix the retry loop", "--summary", "Calls hang when the server restarts.", "--json"];

fn external_true() -> anyhow::Result<PathBuf> {
    let places = ["/bin/true", "/usr/bin/true"].map(PathBuf::from);
    places.into_iter().find(|path| path.is_file()).context("there is no program `true`")
}

fn command(bench: &Bench, program: &Path, arguments: &[&str], project: &Project) -> Command {
    let mut command = bench.place.command(program);
    command.args(arguments).current_dir(&project.root).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn timed(mut command: Command) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let status = command.status()?;
    let took = started.elapsed();
    ensure!(status.success(), "{}: {status}", command.get_program().display());
    Ok(took)
}

/// Measures them.
pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Figure>> {
    let reference = external_true()?;
    let project = bench.fresh_project()?;
    let mut look = Figure::new("kaizenctl K2, whole process, p50 (true)", Unit::Time, Target::AtMost(1.5));
    let mut write = Figure::new("kaizenctl W1, whole process, p50 (true)", Unit::Time, Target::AtMost(2.2));
    let mut parallel = Figure::new(
        format!("{PARALLEL} parallel kaizenctl W1 (true)"),
        Unit::PerSecond,
        Target::AtLeast(0.65),
    );
    let count = samples(bench.quick, 40);
    let each = if bench.quick { 3 } else { 20 };
    for _ in 0..bench.rounds {
        for (figure, arguments) in [(&mut look, K2), (&mut write, W1)] {
            let (mut ours, mut references) = (Vec::new(), Vec::new());
            for _ in 0..count {
                ours.push(timed(command(bench, &bench.client, arguments, &project))?);
                references.push(timed(command(bench, &reference, &[], &project))?);
            }
            figure.times(&mut ours, &mut references);
        }
        let ours = at_once(each, || command(bench, &bench.client, W1, &project))?;
        parallel.round(ours, at_once(each, || command(bench, &reference, &[], &project))?);
    }
    bench.close(&project)?;
    Ok(vec![look, write, parallel])
}

/// Calls in a second of so many threads, each of which runs so many processes one after the other.
fn at_once(each: usize, command: impl Fn() -> Command + Sync) -> anyhow::Result<f64> {
    let started = Instant::now();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..PARALLEL)
            .map(|_| scope.spawn(|| (0..each).try_for_each(|_| timed(command()).map(drop))))
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| anyhow::bail!("panicked")))
    })?;
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let calls = (PARALLEL * each) as f64;
    Ok(calls / started.elapsed().as_secs_f64())
}
