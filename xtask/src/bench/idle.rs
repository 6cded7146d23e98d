//! What a daemon costs that nobody calls, and how long the first call takes that must start one.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::json;

use super::figure::{median, verdict};
use super::{Bench, writes};
use crate::place::{self, Place};
use crate::random::Random;
use crate::wire::{Line, request};

/// Resident memory of an idle daemon at most, in bytes.
const RSS: u64 = 25 << 20;
/// A share of one core that counts as none: the daemon looks after itself once a second.
const CPU: f64 = 0.001;
/// From no daemon to the first reply.
const COLD: f64 = 0.150;

/// Resident memory of a process in bytes.
pub(super) fn rss(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kilobytes: u64 = line.split_whitespace().next().context("VmRSS")?.parse()?;
    Ok(kilobytes << 10)
}

/// Time on the processor of all threads of a process.
fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let mut nanoseconds = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let Ok(schedule) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        nanoseconds += schedule.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Measures memory and processor of an idle daemon with one project open.
#[expect(clippy::print_stdout, reason = "a program for the terminal")]
pub(super) fn run(bench: &Bench) -> anyhow::Result<()> {
    let place = Place::new(bench.program.clone())?;
    let daemon = place.start()?;
    let project = place.project("project")?;
    let mut line = Line::bound(&daemon.socket, &project)?;
    for task in writes::tasks(&mut Random::new(1), 20) {
        line.call(&task)?;
    }
    line.call(&request("session.digest", &json!({})))?;
    drop(line);
    let length = Duration::from_secs(if bench.quick { 2 } else { 5 });
    place::pause(Duration::from_secs(1));
    let (before, started) = (cpu(daemon.pid())?, Instant::now());
    place::pause(length);
    let used = cpu(daemon.pid())?.saturating_sub(before);
    let share = used.as_secs_f64() / started.elapsed().as_secs_f64();
    let rss = rss(daemon.pid())?;
    println!("idle daemon, one project open: {} KiB RSS, ≤ 25 MiB, {}", rss >> 10, verdict(rss <= RSS));
    println!(
        "idle daemon, processor: {:.1} ms in {:.0} s, {:.3} %, ≤ {:.1} %, {}",
        used.as_secs_f64() * 1e3,
        started.elapsed().as_secs_f64(),
        share * 100.0,
        CPU * 100.0,
        verdict(share <= CPU)
    );
    Ok(())
}

/// Measures how long `kaizenctl K1` takes when it must start the daemon.
#[expect(clippy::print_stdout, reason = "a program for the terminal")]
pub(super) fn cold_start(bench: &Bench) -> anyhow::Result<()> {
    let place = Place::new(bench.program.clone())?;
    let kaizenctl = |arguments: &[&str], project: &str| -> anyhow::Result<Duration> {
        let project = place.project(project)?;
        let mut command = place.command(&bench.client);
        command.args(arguments).env("KAIZEN_REPO_ROOT", &project.root).current_dir(&project.root);
        let started = Instant::now();
        let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output()?;
        let took = started.elapsed();
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(took)
    };
    let stop = || kaizenctl(&["daemon", "stop", "--all", "--json"], "project").map(drop);
    let (mut known, mut fresh) = (Vec::new(), Vec::new());
    kaizenctl(&["K1", "--json"], "project")?;
    for at in 0..if bench.quick { 3 } else { 15 } {
        stop()?;
        known.push(kaizenctl(&["K1", "--json"], "project")?);
        stop()?;
        fresh.push(kaizenctl(&["K1", "--json"], &format!("fresh-{at}"))?);
    }
    stop()?;
    let (known, fresh) = (median(&mut known), median(&mut fresh));
    println!("cold start, kaizenctl K1: {:.1} ms, ≤ 150 ms, {}", known * 1e3, verdict(known <= COLD));
    println!("cold start, kaizenctl K1 that creates the plane: {:.1} ms, no target", fresh * 1e3);
    Ok(())
}
