//! One walk on a thread of its own: it begins watches, compares what it meets with what is known, and sends on what is
//! to be dealt with. It goes no faster than that is taken.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kaizen_proto::denial::{Code, Denial};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Known;
use super::ignores::Ignores;
use super::rules::Rules;
use super::walk::{self, Look, Met, Refused, Seen, is_within_any};
use super::watches::{Added, Watches};

/// How many findings wait for the task.
const FINDINGS: usize = 256;

/// What a walk is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everything that the rules cover.
    All,
    /// Some directories.
    Some {
        /// New ones, with everything below them.
        walked: Vec<String>,
        /// Those that went or were replaced: what is known below them may have gone too.
        vanished: Vec<String>,
    },
}

/// What a walk finds.
#[derive(Debug)]
pub(super) enum Finding {
    /// A file that is not known in this state.
    File(Seen),
    /// A known file that is no longer there.
    Gone(String),
    /// Something that cannot be taken.
    Refused(Refused),
}

/// How a walk went.
#[derive(Clone, Debug)]
pub(super) struct Walked {
    /// How long it took on its own, without waiting for its findings to be taken.
    pub(super) cost: Duration,
    /// Whether directories were left without a watch.
    pub(super) lacks_watches: bool,
    /// Rules whose files git ignores.
    pub(super) ignored_rules: Vec<String>,
}

/// What every walk needs.
#[derive(Clone)]
pub(super) struct Ground {
    pub(super) rules: Arc<Rules>,
    pub(super) ignores: Arc<Ignores>,
    pub(super) watches: Arc<Mutex<Watches>>,
    /// Ends walks early.
    pub(super) stop: CancellationToken,
}

/// A channel for the findings.
pub(super) fn channel() -> (mpsc::Sender<Finding>, mpsc::Receiver<Finding>) {
    mpsc::channel(FINDINGS)
}

/// Walks. `known` is what the sink has; a file in a known state is not sent on unless `is_thorough`.
pub(super) fn run(
    ground: &Ground,
    scope: &Scope,
    mut known: HashMap<String, Known>,
    is_thorough: bool,
    findings: &mpsc::Sender<Finding>,
) -> Result<Walked, Denial> {
    let start = Instant::now();
    let mut waited = Duration::ZERO;
    let mut lacks_watches = false;
    let mut send = |finding: Finding| {
        if ground.stop.is_cancelled() {
            return ControlFlow::Break(());
        }
        let since = Instant::now();
        // Nobody takes findings once the watcher stops.
        let sent = findings.blocking_send(finding);
        waited += since.elapsed();
        if sent.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let (walked, vanished) = match scope {
        Scope::All => (vec![String::new()], None),
        Scope::Some { walked, vanished } => (walked.clone(), Some(vanished)),
    };
    let came_through = walk::walk(&ground.rules, &ground.ignores, walked, &mut |met| match met {
        Met::Directory(directory) => {
            if ground.stop.is_cancelled() {
                return ControlFlow::Break(());
            }
            // One refusal is enough: each further one would cost a call to the system.
            if !lacks_watches {
                let mut watches = ground.watches.lock().unwrap_or_else(PoisonError::into_inner);
                lacks_watches = watches.add(directory) == Added::Unwatched;
            }
            ControlFlow::Continue(())
        }
        Met::File(seen) => {
            let is_known = known.remove(&seen.path).is_some_and(|known| known.describes(&seen.stamp));
            // What is new somewhere may have kept its size and time, so there it is sent on anyway.
            let is_skipped = is_known && vanished.is_none() && !is_thorough;
            if is_skipped { ControlFlow::Continue(()) } else { send(Finding::File(seen)) }
        }
        Met::Refused(refused) => send(Finding::Refused(refused)),
    });
    if !ground.rules.root().is_dir() {
        // A project that was unmounted or moved away has not lost its files.
        return Err(
            Denial::new(Code::ProjectNotFound).with("path", ground.rules.root().display().to_string())
        );
    }
    // A walk that was broken off is not one that found nothing.
    let broken_off = || Denial::new(Code::Draining).message("files are no longer watched");
    if came_through.is_break() {
        return Err(broken_off());
    }
    for path in known.into_keys() {
        let is_meant = vanished.is_none_or(|vanished| is_within_any(&path, vanished));
        // What is there but refused, or no longer covered by a rule, has not gone.
        let is_gone = || {
            let look = walk::look(&ground.rules, &ground.ignores, &path);
            matches!(look, Look::Absent | Look::Directory)
        };
        if is_meant && is_gone() && send(Finding::Gone(path)).is_break() {
            return Err(broken_off());
        }
    }
    let mut ignored_rules = Vec::new();
    if *scope == Scope::All {
        let bases = ground.rules.bases().into_iter().filter(|base| !base.is_empty());
        let ignored = bases.filter(|base| ground.ignores.covers(ground.rules.root(), base, true));
        ignored_rules.extend(ignored.map(str::to_owned));
    }
    Ok(Walked { cost: start.elapsed().saturating_sub(waited), lacks_watches, ignored_rules })
}
