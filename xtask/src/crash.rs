//! The crash loop: clients write, the daemon is killed in the middle, restarted, and what is stored is compared with
//! what was acknowledged. Killing a process leaves what it gave to the kernel, so this tries the order of COMMIT and
//! reply, the recovery of the log and the idempotency keys; it does not pull the plug.

mod clients;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use kaizen_proto::time::Timestamp;

use self::clients::Client;
use self::verify::{Fault, Findings, Verifier};
use crate::place::{self, Daemon, Place, Project};
use crate::random::Random;

/// The longest time between the first call of a round and the kill, in milliseconds.
const LONGEST: u64 = 500;
/// The same for the kill that follows a restart at once, one round in four: it hits the recovery of the log and the
/// calls that are sent again.
const AT_ONCE: u64 = 20;
/// How long the calls that are sent again may take before the daemon counts as hung.
const PATIENCE: Duration = Duration::from_mins(1);
/// Of the kills, at least so many in a hundred must hit calls in flight; else the loop has tried nothing.
const MIN_HITS: u64 = 90;
/// A line is printed after so many rounds.
const REPORT: u64 = 50;

/// What is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How often the daemon is killed
    #[arg(long, default_value_t = 25)]
    rounds: u64,
    /// Repeats the calls and pauses of an earlier run
    #[arg(long)]
    seed: Option<u64>,
    /// Clients that write at the same time
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Acknowledged writes per round, on average, below which the loop fails
    #[arg(long, default_value_t = 20)]
    min_acks: u64,
    /// Rounds on one data plane, which makes it larger and its check slower
    #[arg(long, default_value_t = 100)]
    rounds_per_plane: u64,
    /// Another daemon than this release's
    #[arg(long)]
    daemon: Option<PathBuf>,
}

/// What the rounds so far came to.
#[derive(Default)]
struct Totals {
    rounds: u64,
    acknowledged: u64,
    fewest: Option<u64>,
    kills: u64,
    hits: u64,
    resent: u64,
    already_done: u64,
    findings: Findings,
}

/// Runs the loop.
///
/// # Errors
/// What keeps it from running; what it finds is in the exit status.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let seed = options.seed.unwrap_or_else(|| Timestamp::now().micros().unsigned_abs());
    let program = place::daemon_program(options.daemon.as_deref())?;
    println!(
        "crash: {} rounds, {} clients, seed {seed}, {}",
        options.rounds,
        options.clients,
        program.display()
    );
    let started = Instant::now();
    let place = Place::new(program)?;
    let mut random = Random::new(seed);
    let mut totals = Totals::default();
    let mut planes = 0;
    while totals.rounds < options.rounds {
        let rounds = options.rounds_per_plane.max(1).min(options.rounds - totals.rounds);
        let project = place.project(&format!("plane-{planes}"))?;
        let mut run = Run::new(&place, project, options.clients, planes, &mut random)?;
        for _ in 0..rounds {
            run.round(&mut random, &mut totals)?;
            for fault in totals.findings.news() {
                eprintln!("round {}: {fault}", totals.rounds);
            }
            if totals.rounds % REPORT == 0 {
                println!("after {:.0} s: {}", started.elapsed().as_secs_f64(), totals.line());
            }
        }
        run.full_check(&mut totals.findings)?;
        for fault in totals.findings.news() {
            eprintln!("plane {planes}: {fault}");
        }
        std::fs::remove_dir_all(&run.project.root)?;
        planes += 1;
    }
    println!("{}", totals.line());
    Ok(totals.verdict(options, seed))
}

impl Totals {
    fn line(&self) -> String {
        format!(
            "{} rounds, {} acknowledged ({} a round, {} at least), {} of {} kills hit calls in flight, {} resent ({} were \
             done already), lost {}, partial {}, doubled {}, other faults {}",
            self.rounds,
            self.acknowledged,
            self.acknowledged / self.rounds.max(1),
            self.fewest.unwrap_or(0),
            self.hits,
            self.kills,
            self.resent,
            self.already_done,
            self.findings.count(Fault::Lost),
            self.findings.count(Fault::Partial),
            self.findings.count(Fault::Doubled),
            self.findings.count(Fault::Other),
        )
    }

    #[expect(clippy::print_stderr, reason = "a program for the terminal")]
    fn verdict(&self, options: &Options, seed: u64) -> ExitCode {
        let mut good = true;
        let mut fail = |reason: String| {
            eprintln!("crash: {reason}; repeat with --seed {seed}");
            good = false;
        };
        if self.findings.total() > 0 {
            fail("what is stored is not what was acknowledged".to_owned());
        }
        if self.acknowledged < options.min_acks * self.rounds {
            fail(format!("fewer than {} writes a round were acknowledged", options.min_acks));
        }
        if self.hits * 100 < MIN_HITS * self.kills {
            fail(format!("fewer than {MIN_HITS} % of the kills hit calls in flight"));
        }
        if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// The rounds on one data plane.
struct Run<'a> {
    place: &'a Place,
    project: Project,
    daemon: Daemon,
    clients: Vec<Client>,
    verifier: Verifier,
}

impl<'a> Run<'a> {
    fn new(
        place: &'a Place,
        project: Project,
        clients: usize,
        number: u64,
        random: &mut Random,
    ) -> anyhow::Result<Self> {
        let daemon = place.start()?;
        let clients =
            (0..clients).map(|client| Client::new(format!("{number}-{client}"), random.fork())).collect();
        Ok(Run { place, project, daemon, clients, verifier: Verifier::default() })
    }

    /// One round: write, kill, restart, send again what had no answer, compare.
    fn round(&mut self, random: &mut Random, totals: &mut Totals) -> anyhow::Result<()> {
        self.write_until_killed(1 + random.below(LONGEST), totals)?;
        if random.below(4) == 0 {
            self.daemon = self.place.start()?;
            self.write_until_killed(1 + random.below(AT_ONCE), totals)?;
        }
        let killed = Timestamp::now().to_string();
        let acknowledged: usize = self.clients.iter().map(|client| client.acknowledged.len()).sum();
        let acknowledged = acknowledged as u64;
        totals.rounds += 1;
        totals.acknowledged += acknowledged;
        totals.fewest = Some(totals.fewest.map_or(acknowledged, |fewest| fewest.min(acknowledged)));

        self.daemon = self.place.start()?;
        self.send_again(&mut totals.findings)?;
        let mut calls = Vec::new();
        for client in &mut self.clients {
            for complaint in client.complaints.drain(..) {
                totals.findings.add(Fault::Other, complaint);
            }
            calls.append(&mut client.acknowledged);
        }
        totals.already_done +=
            self.verifier.round(&self.project.database(), &calls, &killed, &mut totals.findings)?;
        Ok(())
    }

    fn write_until_killed(&mut self, after: u64, totals: &mut Totals) -> anyhow::Result<()> {
        let connections = (0..self.clients.len()).map(|_| self.daemon.connect(&self.project));
        let connections = connections.collect::<Result<Vec<_>, _>>()?;
        let stop = AtomicBool::new(false);
        let start = Barrier::new(self.clients.len() + 1);
        let daemon = &mut self.daemon;
        thread::scope(|scope| {
            for (client, connection) in self.clients.iter_mut().zip(connections) {
                let (start, stop) = (&start, &stop);
                scope.spawn(move || {
                    start.wait();
                    client.write(connection, stop);
                });
            }
            start.wait();
            place::pause(Duration::from_millis(after));
            stop.store(true, Ordering::SeqCst);
            daemon.kill()
        })
        .context("kill the daemon")?;
        let unanswered = self.clients.iter().filter(|client| client.unanswered.is_some()).count() as u64;
        totals.kills += 1;
        totals.hits += u64::from(unanswered > 0);
        totals.resent += unanswered;
        Ok(())
    }

    fn send_again(&mut self, findings: &mut Findings) -> anyhow::Result<()> {
        let connections = (0..self.clients.len()).map(|_| self.daemon.connect(&self.project));
        let connections = connections.collect::<Result<Vec<_>, _>>()?;
        let (done, finished) = mpsc::sync_channel(self.clients.len());
        let count = self.clients.len();
        let daemon = &mut self.daemon;
        thread::scope(|scope| {
            for (client, connection) in self.clients.iter_mut().zip(connections) {
                let done = done.clone();
                scope.spawn(move || {
                    client.send_again(connection);
                    // The receiver outlives the scope.
                    let _ = done.send(());
                });
            }
            let deadline = Instant::now() + PATIENCE;
            for _ in 0..count {
                let left = deadline.saturating_duration_since(Instant::now());
                if finished.recv_timeout(left).is_err() {
                    findings.add(
                        Fault::Other,
                        format!("no answer within {} s after a restart", PATIENCE.as_secs()),
                    );
                    // Whoever waits for an answer now sees the connection break.
                    return daemon.kill();
                }
            }
            Ok(())
        })
        .context("end a daemon that hangs")
    }

    /// What the daemon itself says about the plane.
    fn full_check(&mut self, findings: &mut Findings) -> anyhow::Result<()> {
        let mut connection = self.daemon.connect(&self.project)?;
        match connection.call("plane.check", r#"{"integrity":true}"#) {
            Ok(report) => {
                let report: serde_json::Value = serde_json::from_str(report.get())?;
                if report["integrity"]["ok"] != true {
                    findings.add(Fault::Other, format!("K1 --integrity: {}", report["integrity"]));
                }
            }
            Err(error) => findings.add(Fault::Other, format!("K1 --integrity: {error}")),
        }
        Ok(())
    }
}
