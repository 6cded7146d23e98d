//! A walk that is under way, as the task sees it.

use std::collections::HashMap;
use std::sync::Arc;

use kaizen_proto::denial::Denial;
use tokio::sync::mpsc;

use super::rescan::Rescan;
use super::scan::{self, Finding, Ground, Scope, Walked};
use super::walk::{Seen, Stamp};
use super::{Future, Known};
use crate::care::blocking;

/// What is asked for what is known.
type Telling = Future<Result<HashMap<String, Known>, Denial>>;

/// A walk and its findings.
pub(super) struct Walking {
    is_of_all: bool,
    findings: Option<mpsc::Receiver<Finding>>,
    end: Future<Result<Walked, Denial>>,
    ended: Option<Result<Walked, Denial>>,
    /// What the sink has taken since the walk asked what is known.
    taken: HashMap<Arc<str>, Stamp>,
    /// Who asked for it.
    pub(super) rescan: Option<Rescan>,
}

impl Walking {
    /// Begins a walk, after `known` has answered.
    pub(super) fn begin(
        ground: &Ground,
        scope: Scope,
        is_thorough: bool,
        rescan: Option<Rescan>,
        known: Option<Telling>,
    ) -> Self {
        let (sender, findings) = scan::channel();
        let ground = ground.clone();
        let is_of_all = scope == Scope::All;
        let end = async move {
            let known = match known {
                Some(known) => known.await?,
                None => HashMap::new(),
            };
            blocking(move || scan::run(&ground, &scope, known, is_thorough, &sender)).await
        };
        Walking {
            is_of_all,
            findings: Some(findings),
            end: Box::pin(end),
            ended: None,
            taken: HashMap::new(),
            rescan,
        }
    }

    /// Whether it is a walk of everything.
    pub(super) fn is_of_all(&self) -> bool {
        self.is_of_all
    }

    /// Remembers what was taken while the walk goes on.
    pub(super) fn take(&mut self, path: Arc<str>, stamp: Stamp) {
        if self.is_of_all {
            self.taken.insert(path, stamp);
        }
    }

    /// Whether a file was taken in this very state since the walk began.
    pub(super) fn was_taken(&self, seen: &Seen) -> bool {
        self.taken.get(&*seen.path) == Some(&seen.stamp)
    }

    /// The next finding, or the end. Never, while there is no walk. May be dropped and called again.
    pub(super) async fn next(
        walking: &mut Option<Walking>,
        takes_findings: bool,
    ) -> Result<Finding, Result<Walked, Denial>> {
        let Some(walking) = walking else { return std::future::pending().await };
        loop {
            let is_over = walking.findings.is_none();
            tokio::select! {
                finding = receive(&mut walking.findings), if takes_findings && !is_over => match finding {
                    Some(finding) => return Ok(finding),
                    None => walking.findings = None,
                },
                end = &mut walking.end, if walking.ended.is_none() => walking.ended = Some(end),
                else => match walking.ended.take() {
                    Some(end) if is_over => return Err(end),
                    // It has ended, and its last findings wait for room.
                    end => {
                        walking.ended = end;
                        return std::future::pending().await;
                    }
                },
            }
        }
    }

    /// Ends it, and waits until its thread has noticed.
    pub(super) async fn abandon(mut self) {
        self.findings = None;
        if self.ended.is_none() {
            let _ = self.end.await;
        }
    }
}

async fn receive(findings: &mut Option<mpsc::Receiver<Finding>>) -> Option<Finding> {
    match findings {
        Some(findings) => findings.recv().await,
        None => None,
    }
}
