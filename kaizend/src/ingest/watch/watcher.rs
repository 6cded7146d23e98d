//! The handle of a watcher.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use kaizen_proto::denial::{Code, Denial};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::task::Task;
use super::{Change, Depth, Known, Outcome, Progress, Rules, Settings, WatchStatus};
use crate::plane::fault;

/// How many requests wait for the task.
const COMMANDS: usize = 16;

/// Who waits for a rescan.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) depth: Depth,
    pub(super) progress: Option<watch::Sender<Progress>>,
    pub(super) reply: oneshot::Sender<Result<Progress, Denial>>,
}

/// What the task is asked for.
#[derive(Debug)]
pub(super) enum Command {
    Pause(oneshot::Sender<()>),
    Resume(oneshot::Sender<()>),
    Rescan(Waiter),
    Status(oneshot::Sender<WatchStatus>),
}

/// Watches the files of one project until it is stopped or dropped.
#[derive(Debug)]
pub struct Watcher {
    commands: mpsc::Sender<Command>,
    stop: CancellationToken,
    ended: CancellationToken,
}

impl Watcher {
    /// Begins to watch, which begins with a walk of everything. `sink` takes each change; `known` tells which files it
    /// has, by their paths relative to the root. The work is done by one task on `tasks`, and on threads for what blocks.
    ///
    /// # Errors
    /// What the disk denies when the root is looked up.
    pub fn start<Taking, Telling>(
        rules: Rules,
        settings: Settings,
        tasks: &TaskTracker,
        sink: impl Fn(Change) -> Taking + Send + Sync + 'static,
        known: impl Fn() -> Telling + Send + Sync + 'static,
    ) -> Result<Self, Denial>
    where
        Taking: Future<Output = Outcome> + Send + 'static,
        Telling: Future<Output = Result<HashMap<String, Known>, Denial>> + Send + 'static,
    {
        let root = rules.root();
        let real = root.canonicalize().map_err(|error| fault::from_io("watch a project", root, &error))?;
        let (commands, asked) = mpsc::channel(COMMANDS);
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let task = Task::new(
            Arc::new(rules.at(real)),
            settings,
            stop.clone(),
            Arc::new(move |change| Box::pin(sink(change))),
            Arc::new(move || Box::pin(known())),
        );
        // However the task ends, nobody waits for it in vain.
        let guard = ended.clone().drop_guard();
        tasks.spawn(async move {
            task.run(asked).await;
            drop(guard);
        });
        Ok(Watcher { commands, stop, ended })
    }

    /// Hands nothing more to the sink until [`Self::resume`]; what it works on is finished. Changes are still noted.
    pub async fn pause(&self) {
        let _ = self.ask(Command::Pause).await;
    }

    /// Goes on after [`Self::pause`].
    pub async fn resume(&self) {
        let _ = self.ask(Command::Resume).await;
    }

    /// Walks everything, tries again what failed, and returns when all that it found has been dealt with.
    ///
    /// # Errors
    /// `DENIED_BUSY` while the watcher is paused, `DENIED_DRAINING` when it stops, and what the sink says when it is
    /// asked for what it knows.
    pub async fn rescan(
        &self,
        depth: Depth,
        progress: Option<watch::Sender<Progress>>,
    ) -> Result<Progress, Denial> {
        self.ask(|reply| Command::Rescan(Waiter { depth, progress, reply })).await?
    }

    /// How it is.
    ///
    /// # Errors
    /// `DENIED_DRAINING` once the watcher has stopped.
    pub async fn status(&self) -> Result<WatchStatus, Denial> {
        self.ask(Command::Status).await
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Denial> {
        let stopped = || Denial::new(Code::Draining).message("files are no longer watched");
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())
    }

    /// Ends it: no new change is handed out, and what the sink works on gets some time to finish. Returns when nothing
    /// of it runs any more.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.ended.cancelled().await;
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
