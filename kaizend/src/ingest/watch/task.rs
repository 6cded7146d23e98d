//! The task of a watcher: the only place where its state changes. It never blocks; it waits for whatever comes first.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::time::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::deal::{self, Found, Settled};
use super::ignores::Ignores;
use super::inbox::Inbox;
use super::pending::Pending;
use super::rescan::{Rescan, answer};
use super::rules::is_within;
use super::scan::{Finding, Ground, Scope, Walked};
use super::walk::Refused;
use super::walking::Walking;
use super::watcher::{Command, Waiter};
use super::watches::{self, Watches};
use super::{Depth, Failed, Future, KnownFiles, Outcome, Rules, Settings, Sink, WatchStatus};

/// How many refusals are listed.
const MAX_REFUSED: usize = 1000;
/// How many failures a status names.
const MAX_FAILED: usize = 1000;
/// How long to wait after a walk that failed, at first and at most.
const AFTER_FAILURE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(10));
/// How much longer than a polling walk its pause is.
const POLL_PAUSE: u32 = 19;

/// Refusals by path, the first of them only, and how many there are.
#[derive(Debug, Default)]
struct RefusedPaths {
    listed: BTreeMap<String, Refused>,
    more: usize,
}

impl RefusedPaths {
    fn add(&mut self, refused: Refused) {
        if self.listed.len() < MAX_REFUSED || self.listed.contains_key(&refused.path) {
            self.listed.insert(refused.path.clone(), refused);
        } else {
            self.more += 1;
        }
    }
}

/// The state.
pub(super) struct Task {
    ground: Ground,
    inbox: Arc<Inbox>,
    settings: Settings,
    sink: Sink,
    known: KnownFiles,
    pending: Pending,
    working: FuturesUnordered<Future<Settled>>,
    walking: Option<Walking>,
    rescans: Vec<Rescan>,
    /// Who waits for a walk that has not begun.
    waiters: Vec<Waiter>,
    /// Paths of directories that were watched, where another thing may stand now.
    replaced: HashSet<String>,
    /// Directories that are to be walked as new ones.
    unwalked: BTreeSet<String>,
    /// Directories below which something may have gone.
    vanished: BTreeSet<String>,
    refused: RefusedPaths,
    /// What the present walk of everything refuses, which takes the place of the above.
    refused_anew: RefusedPaths,
    is_paused: bool,
    is_polling: bool,
    ignored_rules: Vec<String>,
    walk_failure: Option<(Denial, u32)>,
    /// Before this, no walk of everything begins by itself.
    walk_from: Instant,
    /// At this, one begins although nothing asks for it.
    reconcile_at: Instant,
    last_event: Option<Timestamp>,
    last_reconcile: Option<Timestamp>,
}

impl Task {
    pub(super) fn new(
        rules: Arc<Rules>,
        settings: Settings,
        stop: CancellationToken,
        sink: Sink,
        known: KnownFiles,
    ) -> Self {
        let inbox = Arc::new(Inbox::new(rules.clone(), settings.events));
        let watches = Watches::new(rules.clone(), inbox.clone(), settings.max_watches);
        let now = Instant::now();
        let mut pending = Pending::new(settings.patience);
        pending.note_all();
        Task {
            ground: Ground {
                rules,
                ignores: Arc::new(Ignores::default()),
                watches: Arc::new(Mutex::new(watches)),
                stop,
            },
            inbox,
            settings,
            sink,
            known,
            pending,
            working: FuturesUnordered::new(),
            walking: None,
            rescans: Vec::new(),
            waiters: Vec::new(),
            replaced: HashSet::new(),
            unwalked: BTreeSet::new(),
            vanished: BTreeSet::new(),
            refused: RefusedPaths::default(),
            refused_anew: RefusedPaths::default(),
            is_paused: false,
            is_polling: false,
            ignored_rules: Vec::new(),
            walk_failure: None,
            walk_from: now,
            reconcile_at: now + settings.reconcile_every,
            last_event: None,
            last_reconcile: None,
        }
    }

    /// Works until it is stopped, or all handles are gone.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let stop = self.ground.stop.clone();
        while !stop.is_cancelled() {
            self.take_events();
            self.begin_walk();
            self.hand_out();
            let deadline = self.deadline();
            let takes_findings = self.pending.has_room();
            tokio::select! {
                () = stop.cancelled() => break,
                command = commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => break,
                },
                Some(settled) = self.working.next() => self.settle(settled),
                () = self.inbox.wait() => {}
                found = Walking::next(&mut self.walking, takes_findings) => match found {
                    Ok(finding) => self.find(finding),
                    Err(end) => self.end_walk(end),
                },
                () = sleep_until(deadline) => {}
            }
        }
        self.end().await;
    }

    async fn end(mut self) {
        self.ground.stop.cancel();
        let finish = async {
            while self.working.next().await.is_some() {}
            if let Some(walking) = self.walking.take() {
                walking.abandon().await;
            }
        };
        if tokio::time::timeout(self.settings.grace, finish).await.is_err() {
            tracing::warn!(root = %self.ground.rules.root().display(), "a file was still being taken at the end");
        }
        self.watches().clear();
    }

    fn watches(&self) -> MutexGuard<'_, Watches> {
        self.ground.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what the system has reported.
    fn take_events(&mut self) {
        let delivery = self.inbox.take();
        let now = Instant::now();
        self.last_event = delivery.at.or(self.last_event);
        self.is_polling |= delivery.is_out_of_watches;
        if delivery.is_root {
            self.watches().clear();
        }
        if delivery.is_all {
            self.pending.note_all();
        }
        for refused in delivery.nameless {
            self.refuse(refused);
        }
        for (path, told) in delivery.paths {
            if told.is_replaced && self.watches().forget(&path) {
                // What is being taken below it may be stored after the look at what has gone.
                let below: Vec<_> =
                    self.pending.busy().filter(|busy| is_within(busy, &path)).cloned().collect();
                for busy in below {
                    self.pending.note(&busy, now);
                }
                self.replaced.insert(path.clone());
            }
            self.pending.note(&path, now);
        }
    }

    fn refuse(&mut self, refused: Refused) {
        if self.walking.as_ref().is_some_and(Walking::is_of_all) {
            self.refused_anew.add(refused.clone());
        }
        self.refused.add(refused);
    }

    /// When a walk of everything is to begin; none while there is one or no reason.
    fn next_walk(&self) -> Option<Instant> {
        if self.is_paused || self.walking.is_some() {
            return None;
        }
        if !self.waiters.is_empty() {
            return Some(Instant::now());
        }
        let wanted = if self.pending.wants_all() { self.walk_from } else { self.reconcile_at };
        Some(wanted.max(self.walk_from))
    }

    fn begin_walk(&mut self) {
        if self.next_walk().is_some_and(|at| at <= Instant::now()) {
            self.pending.take_all();
            // It sees all that these would see.
            self.replaced.clear();
            self.unwalked.clear();
            self.vanished.clear();
            self.refused_anew = RefusedPaths::default();
            let waiters = std::mem::take(&mut self.waiters);
            let is_thorough = waiters.iter().any(|waiter| waiter.depth == Depth::Everything);
            let rescan = if waiters.is_empty() {
                None
            } else {
                Some(Rescan::new(waiters, &self.pending.retry_all(Instant::now())))
            };
            let known = (self.known)();
            self.walking = Some(Walking::begin(&self.ground, Scope::All, is_thorough, rescan, Some(known)));
            return;
        }
        if self.is_paused || self.walking.is_some() || (self.unwalked.is_empty() && self.vanished.is_empty())
        {
            return;
        }
        let vanished: Vec<String> = std::mem::take(&mut self.vanished).into_iter().collect();
        let mut walked: Vec<String> = Vec::new();
        for directory in std::mem::take(&mut self.unwalked) {
            if !walked.iter().any(|known| is_within(&directory, known)) {
                walked.push(directory);
            }
        }
        // What the sink knows takes a while to tell, and only matters for what may have gone.
        let known = (!vanished.is_empty()).then(|| (self.known)());
        let scope = Scope::Some { walked, vanished };
        self.walking = Some(Walking::begin(&self.ground, scope, false, None, known));
    }

    fn find(&mut self, finding: Finding) {
        let Some(walking) = &mut self.walking else { return };
        let now = Instant::now();
        let path = match finding {
            Finding::Refused(refused) => return self.refuse(refused),
            Finding::Gone(path) => path,
            Finding::File(seen) => {
                let is_asked = walking.rescan.is_some();
                let is_dealt_with =
                    walking.was_taken(&seen) || self.pending.has_failed(&seen.path, &seen.stamp);
                if walking.is_of_all() && is_dealt_with && !is_asked {
                    return;
                }
                seen.path
            }
        };
        if let Some(rescan) = &mut walking.rescan {
            rescan.expect(&path, self.pending.is_busy(&path));
        }
        self.pending.note(&path, now);
    }

    fn end_walk(&mut self, end: Result<Walked, Denial>) {
        let Some(walking) = self.walking.take() else { return };
        let now = Instant::now();
        let is_of_all = walking.is_of_all();
        match end {
            Ok(walked) => {
                if is_of_all {
                    self.refused = std::mem::take(&mut self.refused_anew);
                    self.ignored_rules = walked.ignored_rules;
                    self.is_polling = false;
                    self.walk_failure = None;
                    self.last_reconcile = Some(Timestamp::now());
                    self.walk_from = now + walked.cost.max(self.settings.patience.quiet);
                    self.reconcile_at = now + self.settings.reconcile_every;
                }
                if walked.lacks_watches && !self.is_polling {
                    tracing::warn!(root = %self.ground.rules.root().display(), "no more file watches; polling");
                }
                self.is_polling |= walked.lacks_watches;
                if self.is_polling {
                    let pause = self.settings.poll_every.max(walked.cost.saturating_mul(POLL_PAUSE));
                    self.reconcile_at = self.reconcile_at.min(now + pause);
                }
                self.rescans.extend(walking.rescan.map(|mut rescan| {
                    rescan.end_walk();
                    rescan
                }));
            }
            Err(denial) => {
                tracing::warn!(%denial, root = %self.ground.rules.root().display(), "looking for files failed");
                let times = self.walk_failure.as_ref().map_or(0, |(_, times)| *times);
                let pause = AFTER_FAILURE.0.saturating_mul(1 << times.min(20)).min(AFTER_FAILURE.1);
                // Whatever it was about, a walk of everything makes up for it.
                self.pending.note_all();
                self.walk_from = now + pause;
                self.walk_failure = Some((denial.clone(), times + 1));
                if let Some(rescan) = walking.rescan {
                    rescan.fail(&denial);
                }
            }
        }
        self.finish_rescans();
    }

    fn finish_rescans(&mut self) {
        for rescan in self.rescans.extract_if(.., |rescan| rescan.is_settled()) {
            rescan.finish();
        }
    }

    /// Hands paths that are due to the sink, as many as it may work on.
    fn hand_out(&mut self) {
        if self.is_paused {
            return;
        }
        let room = self.settings.in_flight.max(1).saturating_sub(self.working.len());
        for path in self.pending.ready(Instant::now(), room) {
            self.working.push(Box::pin(deal::deal(self.ground.clone(), self.sink.clone(), path)));
        }
    }

    fn settle(&mut self, settled: Settled) {
        let Settled { path, found } = settled;
        let now = Instant::now();
        let was_replaced = self.replaced.remove(&*path);
        if was_replaced {
            self.vanished.insert(path.to_string());
        }
        if !matches!(found, Found::Refused(_)) {
            self.refused.listed.remove(&*path);
            self.refused_anew.listed.remove(&*path);
        }
        let mut failure = None;
        match found {
            Found::File(stamp, Outcome::Done) => {
                if let Some(walking) = &mut self.walking {
                    walking.take(path.clone(), stamp);
                }
            }
            Found::File(stamp, Outcome::Refused(denial)) => failure = Some((Some(stamp), denial)),
            Found::Nothing(Outcome::Refused(denial)) | Found::Failed(denial) => {
                failure = Some((None, denial));
            }
            Found::Nothing(Outcome::Done) => {
                if watches::MAY_BE_DIRECTORY {
                    self.vanished.insert(path.to_string());
                }
            }
            Found::Directory(outcome) => {
                if was_replaced || !self.watches().contains(&path) {
                    self.unwalked.insert(path.to_string());
                }
                if let Outcome::Refused(denial) = outcome {
                    failure = Some((None, denial));
                }
            }
            Found::Uncovered => {}
            Found::Refused(refused) => self.refuse(refused),
        }
        let has_failed = failure.is_some();
        match failure {
            Some((stamp, denial)) => self.pending.failed(&path, stamp, denial, now, Timestamp::now()),
            None => self.pending.done(&path),
        }
        let walked = self.walking.as_mut().and_then(|walking| walking.rescan.as_mut());
        for rescan in self.rescans.iter_mut().chain(walked) {
            rescan.settle(&path, has_failed);
        }
        self.finish_rescans();
    }

    /// When to look again at the latest.
    fn deadline(&self) -> Option<Instant> {
        let has_hands = !self.is_paused && self.working.len() < self.settings.in_flight.max(1);
        let ready = self.pending.next_deadline().filter(|_| has_hands);
        [ready, self.next_walk()].into_iter().flatten().min()
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Pause(reply) => {
                self.is_paused = true;
                for waiter in self.waiters.drain(..) {
                    answer(waiter, Err(paused()));
                }
                for rescan in self.rescans.drain(..) {
                    rescan.fail(&paused());
                }
                if let Some(rescan) = self.walking.as_mut().and_then(|walking| walking.rescan.take()) {
                    rescan.fail(&paused());
                }
                let _ = reply.send(());
            }
            Command::Resume(reply) => {
                self.is_paused = false;
                let _ = reply.send(());
            }
            Command::Rescan(waiter) if self.is_paused => answer(waiter, Err(paused())),
            Command::Rescan(waiter) => self.waiters.push(waiter),
            Command::Status(reply) => {
                let _ = reply.send(self.status());
            }
        }
    }

    fn status(&self) -> WatchStatus {
        let watches = self.watches().len();
        let watch_limit = watches::limit();
        let mut warnings = Vec::new();
        if self.is_polling {
            warnings.push(watches::warning(watches, watch_limit));
        }
        warnings.extend(self.ignored_rules.iter().map(|base| {
            format!("git ignores {base}, so the rule for it finds nothing; take it out of .gitignore")
        }));
        warnings.extend(self.walk_failure.iter().map(|(denial, times)| {
            format!("looking for files failed {times} times and is tried again: {denial}")
        }));
        let mut failed: Vec<Failed> = self
            .pending
            .failures()
            .map(|(path, failure)| Failed {
                path: path.to_owned(),
                code: failure.denial.code.text(),
                message: failure.denial.to_string(),
                attempts: failure.attempts,
                at: failure.at,
            })
            .collect();
        failed.sort_unstable_by(|left, right| left.path.cmp(&right.path));
        if failed.len() > MAX_FAILED {
            warnings
                .push(format!("{} files could not be taken; {MAX_FAILED} of them are listed", failed.len()));
            failed.truncate(MAX_FAILED);
        }
        WatchStatus {
            rules: self.ground.rules.all().to_vec(),
            paused: self.is_paused,
            polling: self.is_polling,
            walking: self.walking.is_some(),
            last_event: self.last_event,
            last_reconcile: self.last_reconcile,
            pending: self.pending.len(),
            failed,
            refused: self.refused.listed.values().cloned().collect(),
            refused_total: self.refused.listed.len() + self.refused.more,
            watches,
            watch_limit,
            warnings,
        }
    }
}

fn paused() -> Denial {
    Denial::new(Code::Busy).message("watching for files is paused").action("Resume it, then repeat the call.")
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
