//! Somebody waits for a walk, and for all that it found.

use std::collections::HashMap;
use std::sync::Arc;

use kaizen_proto::denial::Denial;

use super::Progress;
use super::watcher::Waiter;

/// A walk that was asked for.
#[derive(Debug)]
pub(super) struct Rescan {
    waiters: Vec<Waiter>,
    /// What has not been dealt with, and whether an earlier state of it was in work when it was found.
    open: HashMap<String, bool>,
    progress: Progress,
}

impl Rescan {
    /// A walk for these waiters, with another attempt at what failed before.
    pub(super) fn new(waiters: Vec<Waiter>, failed: &[Arc<str>]) -> Self {
        let progress = Progress { is_walking: true, ..Progress::default() };
        let mut rescan = Rescan { waiters, open: HashMap::new(), progress };
        for path in failed {
            rescan.expect(path, false);
        }
        rescan
    }

    /// A path was found that is to be dealt with.
    pub(super) fn expect(&mut self, path: &str, is_busy: bool) {
        if self.open.insert(path.to_owned(), is_busy).is_none() {
            self.progress.total += 1;
        }
        self.tell();
    }

    /// A path has been dealt with.
    pub(super) fn settle(&mut self, path: &str, has_failed: bool) {
        match self.open.get_mut(path) {
            None => return,
            Some(is_busy) if *is_busy => *is_busy = false,
            Some(_) => {
                self.open.remove(path);
                self.progress.done += 1;
                self.progress.failed += u64::from(has_failed);
            }
        }
        self.tell();
    }

    /// The walk has ended.
    pub(super) fn end_walk(&mut self) {
        self.progress.is_walking = false;
        self.tell();
    }

    /// Whether nothing is left.
    pub(super) fn is_settled(&self) -> bool {
        !self.progress.is_walking && self.open.is_empty()
    }

    /// Tells all who wait that it is done.
    pub(super) fn finish(self) {
        for waiter in self.waiters {
            answer(waiter, Ok(self.progress));
        }
    }

    /// Tells all who wait that it came to nothing.
    pub(super) fn fail(self, denial: &Denial) {
        for waiter in self.waiters {
            answer(waiter, Err(denial.clone()));
        }
    }

    fn tell(&self) {
        for sender in self.waiters.iter().filter_map(|waiter| waiter.progress.as_ref()) {
            sender.send_replace(self.progress);
        }
    }
}

/// Answers one who waits, who may have gone.
pub(super) fn answer(waiter: Waiter, answer: Result<Progress, Denial>) {
    let _ = waiter.reply.send(answer);
}
