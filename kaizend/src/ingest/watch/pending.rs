//! The queue of paths that something happened to. It holds each path once, waits until a path is quiet, and brings
//! failures back. It reads no clock and touches no file: the time is passed in.
//!
//! Nothing that was noted gets lost: a path waits, or is in somebody's hands, or [`Pending::wants_all`] says that
//! everything has to be looked at, which happens when more paths would have to wait than there is room for.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kaizen_proto::denial::Denial;
use kaizen_proto::time::Timestamp;

use super::walk::Stamp;

/// How long to wait before the first new attempt at something that failed.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// How long to wait at most.
const LAST_RETRY: Duration = Duration::from_mins(10);

/// How patient the queue is, and how much it holds.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long nothing must have happened to a path.
    pub quiet: Duration,
    /// How long a path waits at most when something happens to it all the time.
    pub longest: Duration,
    /// How many paths wait or are in work at the same time. As many failures are remembered.
    pub most: usize,
}

/// A path that could not be taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Why.
    pub denial: Denial,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was tried last.
    pub at: Timestamp,
    /// The state of the file that failed; none when there was no file.
    pub stamp: Option<Stamp>,
}

#[derive(Clone, Copy, Debug)]
struct Noted {
    first: Instant,
    due: Instant,
}

/// The queue.
#[derive(Debug)]
pub struct Pending {
    patience: Patience,
    waiting: HashMap<Arc<str>, Noted>,
    /// The same paths, by the time when they are due.
    order: BTreeSet<(Instant, Arc<str>)>,
    /// What was handed out, and what happened to it since.
    busy: HashMap<Arc<str>, Option<Noted>>,
    failures: HashMap<Arc<str>, Failure>,
    wants_all: bool,
}

impl Pending {
    /// An empty queue.
    pub fn new(patience: Patience) -> Self {
        Pending {
            patience,
            waiting: HashMap::new(),
            order: BTreeSet::new(),
            busy: HashMap::new(),
            failures: HashMap::new(),
            wants_all: false,
        }
    }

    /// Something happened to a path. It becomes ready when nothing more happens to it for a while.
    pub fn note(&mut self, path: &str, now: Instant) {
        let quiet_at = now + self.patience.quiet;
        let longest = self.patience.longest;
        let noted = |first: Instant| Noted { first, due: quiet_at.min(first + longest) };
        if let Some(again) = self.busy.get_mut(path) {
            let first = again.map_or(now, |again| again.first);
            *again = Some(noted(first));
            return;
        }
        if let Some((path, before)) = self.waiting.remove_entry(path) {
            self.order.remove(&(before.due, path.clone()));
            // One that waits for another attempt begins anew.
            let first = if before.first > now { now } else { before.first };
            self.wait(path, noted(first));
            return;
        }
        if self.len() >= self.patience.most {
            self.wants_all = true;
            return;
        }
        self.wait(path.into(), noted(now));
    }

    fn wait(&mut self, path: Arc<str>, noted: Noted) {
        self.order.insert((noted.due, path.clone()));
        self.waiting.insert(path, noted);
    }

    /// Anything may have happened anywhere.
    pub fn note_all(&mut self) {
        self.wants_all = true;
    }

    /// Whether everything has to be looked at.
    pub fn wants_all(&self) -> bool {
        self.wants_all
    }

    /// Whoever is told so has to look at everything now: what happens from here on is noted again.
    pub fn take_all(&mut self) -> bool {
        std::mem::take(&mut self.wants_all)
    }

    /// Hands out up to `most` paths that are due. Each is out of the queue until [`Self::done`] or [`Self::failed`] is
    /// called for it, so that nobody works on one path twice at a time.
    pub fn ready(&mut self, now: Instant, most: usize) -> Vec<Arc<str>> {
        let mut ready = Vec::new();
        while ready.len() < most && self.order.first().is_some_and(|(due, _)| *due <= now) {
            let Some((_, path)) = self.order.pop_first() else { break };
            self.waiting.remove(&path);
            self.busy.insert(path.clone(), None);
            ready.push(path);
        }
        ready
    }

    /// When the next path is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.order.first().map(|(due, _)| *due)
    }

    /// A path that was handed out has been dealt with. What happened to it meanwhile makes it wait again.
    pub fn done(&mut self, path: &str) {
        self.failures.remove(path);
        self.release(path);
    }

    fn release(&mut self, path: &str) -> bool {
        let Some((path, again)) = self.busy.remove_entry(path) else { return true };
        if let Some(noted) = again {
            self.wait(path, noted);
            return true;
        }
        false
    }

    /// A path that was handed out could not be dealt with. It is tried again when something happens to it; if the denial
    /// says that it may succeed later, also by itself, after a second, then two, then four, up to ten minutes.
    pub fn failed(&mut self, path: &str, stamp: Option<Stamp>, denial: Denial, now: Instant, at: Timestamp) {
        let attempts = self.failures.get(path).map_or(1, |before| before.attempts.saturating_add(1));
        let is_retryable = denial.retryable();
        let waits_again = self.release(path);
        if is_retryable && !waits_again {
            let pause = FIRST_RETRY.saturating_mul(1 << (attempts - 1).min(20)).min(LAST_RETRY);
            self.wait(path.into(), Noted { first: now + pause, due: now + pause });
        }
        if self.failures.len() < self.patience.most || self.failures.contains_key(path) {
            self.failures.insert(path.into(), Failure { denial, attempts, at, stamp });
        }
    }

    /// Tries what failed again, as far as there is room, and returns it: somebody says that the reasons have gone.
    pub fn retry_all(&mut self, now: Instant) -> Vec<Arc<str>> {
        let mut failed: Vec<Arc<str>> = self.failures.keys().cloned().collect();
        failed.truncate(self.patience.most.saturating_sub(self.len()));
        for path in &failed {
            self.note(path, now);
        }
        failed
    }

    /// Whether a file in this very state has failed before, so that there is no point in another attempt but those that
    /// are planned.
    pub fn has_failed(&self, path: &str, stamp: &Stamp) -> bool {
        self.failures.get(path).is_some_and(|failure| failure.stamp.as_ref() == Some(stamp))
    }

    /// What could not be taken.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &Failure)> {
        self.failures.iter().map(|(path, failure)| (&**path, failure))
    }

    /// What has been handed out and not come back.
    pub fn busy(&self) -> impl Iterator<Item = &Arc<str>> {
        self.busy.keys()
    }

    /// Whether somebody works on a path.
    pub fn is_busy(&self, path: &str) -> bool {
        self.busy.contains_key(path)
    }

    /// How many paths wait or are in work.
    pub fn len(&self) -> usize {
        self.waiting.len() + self.busy.len()
    }

    /// Whether no path waits or is in work.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is so much room that a walk may go on adding what it finds. Half of it is kept for events.
    pub fn has_room(&self) -> bool {
        self.len() < self.patience.most.div_ceil(2)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashSet;

    use kaizen_proto::denial::Code;
    use proptest::prelude::*;

    use super::*;

    const PATIENCE: Patience =
        Patience { quiet: Duration::from_millis(100), longest: Duration::from_secs(2), most: 8 };

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn names(paths: &[Arc<str>]) -> Vec<&str> {
        paths.iter().map(|path| &**path).collect()
    }

    fn fail(pending: &mut Pending, path: &str, code: Code, now: Instant) {
        pending.failed(path, None, Denial::new(code), now, Timestamp::MIN);
    }

    #[test]
    fn a_path_is_ready_once_it_is_quiet() {
        let (mut pending, start) = (Pending::new(PATIENCE), Instant::now());
        pending.note("a", start);
        pending.note("a", start + ms(60));
        assert_eq!(pending.next_deadline(), Some(start + ms(160)));
        assert!(pending.ready(start + ms(159), 9).is_empty());
        assert_eq!(names(&pending.ready(start + ms(160), 9)), ["a"]);
        assert_eq!(pending.next_deadline(), None);
        pending.done("a");
        assert!(pending.is_empty());
    }

    #[test]
    fn a_path_that_is_never_quiet_is_ready_after_a_while_and_again_when_quiet() {
        let (mut pending, start) = (Pending::new(PATIENCE), Instant::now());
        let mut ready = Vec::new();
        for at in (0..=2000).step_by(50) {
            pending.note("a", start + ms(at));
            ready = pending.ready(start + ms(at), 9);
            assert_eq!(ready.is_empty(), at < 2000, "{at}");
        }
        assert_eq!(names(&ready), ["a"]);
        // It goes on while the path is in somebody's hands.
        pending.note("a", start + ms(2050));
        assert!(pending.ready(start + ms(9000), 9).is_empty(), "nobody else may have it");
        pending.done("a");
        assert_eq!(names(&pending.ready(start + ms(2150), 9)), ["a"]);
    }

    #[test]
    fn a_failure_comes_back_later_and_later_when_it_may_succeed() {
        let (mut pending, start) = (Pending::new(PATIENCE), Instant::now());
        let mut now = start;
        pending.note("a", now);
        now += ms(100);
        for (attempt, seconds) in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600].into_iter().enumerate() {
            assert_eq!(names(&pending.ready(now, 9)), ["a"]);
            fail(&mut pending, "a", Code::Busy, now);
            assert_eq!(pending.next_deadline(), Some(now + Duration::from_secs(seconds)));
            assert_eq!(pending.failures().next().unwrap().1.attempts as usize, attempt + 1);
            now += Duration::from_secs(seconds);
        }
        // Something happens to it: no reason to wait any longer.
        let before = pending.next_deadline().unwrap().checked_sub(Duration::from_mins(5)).unwrap();
        pending.note("a", before);
        assert_eq!(names(&pending.ready(before + Duration::from_secs(1), 9)), ["a"]);
        pending.done("a");
        assert_eq!(pending.failures().count(), 0);
    }

    #[test]
    fn a_failure_for_good_comes_back_when_something_happens_to_it() {
        let (mut pending, start) = (Pending::new(PATIENCE), Instant::now());
        pending.note("a", start);
        pending.ready(start + ms(100), 9);
        let stamp = Stamp { size: 1, ..Stamp::default() };
        pending.failed("a", Some(stamp), Denial::new(Code::FileNotUtf8), start, Timestamp::MIN);
        assert_eq!(pending.next_deadline(), None);
        assert!(pending.has_failed("a", &stamp) && !pending.has_failed("a", &Stamp { size: 2, ..stamp }));
        pending.note("a", start + ms(200));
        assert_eq!(names(&pending.ready(start + ms(300), 9)), ["a"]);
        assert_eq!(pending.failures().count(), 1, "it stays listed until it succeeds");
        // It changes while it fails again.
        pending.note("a", start + ms(301));
        fail(&mut pending, "a", Code::FileNotUtf8, start + ms(302));
        assert_eq!(names(&pending.ready(start + ms(401), 9)), ["a"]);
        fail(&mut pending, "a", Code::FileNotUtf8, start + ms(402));
        pending.retry_all(start + ms(500));
        assert_eq!(names(&pending.ready(start + ms(600), 9)), ["a"]);
    }

    #[test]
    fn what_finds_no_room_makes_everything_be_looked_at() {
        let (mut pending, start) = (Pending::new(PATIENCE), Instant::now());
        for path in 0..8 {
            pending.note(&path.to_string(), start);
        }
        assert!(!pending.wants_all() && !pending.has_room());
        pending.note("0", start);
        assert!(!pending.wants_all(), "it is there already");
        pending.note("8", start);
        assert!(pending.take_all() && !pending.wants_all());
        assert_eq!(pending.len(), 8);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Note(u8),
        Pass(u64),
        Ready(usize),
        Done(u8),
        Fail(u8, bool),
        TakeAll,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..20_u8).prop_map(Step::Note),
            2 => (0..1500_u64).prop_map(Step::Pass),
            2 => (0..4_usize).prop_map(Step::Ready),
            2 => (0..20_u8).prop_map(Step::Done),
            1 => ((0..20_u8), any::<bool>()).prop_map(|(path, retryable)| Step::Fail(path, retryable)),
            1 => Just(Step::TakeAll),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        /// Whatever happens in whatever order: after the last event on a path, the path is handed out again, or a walk
        /// of everything is asked for; a path is never in two hands, and memory stays bounded.
        #[test]
        fn nothing_that_was_noted_is_lost(steps in steps()) {
            let mut pending = Pending::new(PATIENCE);
            let mut now = Instant::now();
            // What somebody has yet to be told of, as a plain set; a walk of everything tells of all.
            let (mut owed, mut held) = (HashSet::new(), HashSet::new());
            for step in steps {
                match step {
                    Step::Note(path) => {
                        let path = path.to_string();
                        pending.note(&path, now);
                        owed.insert(path);
                    }
                    Step::Pass(time) => now += ms(time),
                    Step::Ready(most) => {
                        let ready = pending.ready(now, most);
                        prop_assert!(ready.len() <= most);
                        for path in ready {
                            owed.remove(&*path);
                            prop_assert!(held.insert(path.to_string()), "{path} is in two hands");
                        }
                    }
                    Step::Done(path) => {
                        let path = path.to_string();
                        if held.remove(&path) {
                            pending.done(&path);
                        }
                    }
                    Step::Fail(path, retryable) => {
                        let path = path.to_string();
                        if held.remove(&path) {
                            let code = if retryable { Code::Busy } else { Code::FileNotUtf8 };
                            fail(&mut pending, &path, code, now);
                            if retryable {
                                owed.insert(path);
                            }
                        }
                    }
                    Step::TakeAll => {
                        if pending.take_all() {
                            owed.clear();
                        }
                    }
                }
                prop_assert!(pending.len() <= PATIENCE.most);
                prop_assert_eq!(pending.order.len(), pending.waiting.len());
                prop_assert!(pending.failures.len() <= PATIENCE.most);
            }
            let all = pending.take_all();
            for path in held {
                pending.done(&path);
            }
            let rest: HashSet<String> =
                pending.ready(now + LAST_RETRY * 2, usize::MAX).iter().map(ToString::to_string).collect();
            prop_assert!(all || owed.is_subset(&rest), "{owed:?} are not among {rest:?}");
        }

        /// A path is ready when it was quiet for long enough, or has waited for the longest time, and not before.
        #[test]
        fn it_waits_as_long_as_it_says(gaps in proptest::collection::vec(0..250_u64, 1..60)) {
            let (mut pending, start) = (Pending::new(PATIENCE), Instant::now());
            let (mut now, mut first, mut last) = (start, start, None::<Instant>);
            for gap in gaps {
                now += ms(gap);
                let due = last.map(|last| (last + PATIENCE.quiet).min(first + PATIENCE.longest));
                let ready = pending.ready(now, 1);
                prop_assert_eq!(!ready.is_empty(), due.is_some_and(|due| due <= now));
                if !ready.is_empty() {
                    pending.done("a");
                    last = None;
                }
                if last.is_none() {
                    first = now;
                }
                pending.note("a", now);
                last = Some(now);
            }
        }
    }
}
