//! Following a journal: a subscription says that there is something after an entry, and its client pulls.
//!
//! A subscription holds neither the data plane nor the daemon: both may close when nobody uses them, and nothing can be
//! written meanwhile. It rests until somebody opens the project again, and then goes on, or says that the data plane is
//! not the one it was.

use std::sync::Arc;

use futures_util::future::{FutureExt as _, select_all};
use kaizen_proto::denial::Denial;
use kaizen_proto::feed::{Changed, Cursor, MAX_SUBSCRIPTIONS, Since, Subscribe, Subscribed};
use kaizen_proto::operation::Status;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::daemon::{Binding, Daemon};
use crate::plane::journal;

/// One subscription of a connection.
pub struct Subscription {
    number: u64,
    binding: Arc<Binding>,
    /// What the client was told last.
    told: Cursor,
    /// The end of the journal; none while the project is closed.
    head: Option<watch::Receiver<i64>>,
    /// Changes whenever a project is opened.
    opened: watch::Receiver<u64>,
    /// Frees its place when the subscription ends.
    _place: OwnedSemaphorePermit,
}

/// The subscriptions of a connection.
pub struct Subscriptions {
    open: Vec<Subscription>,
    places: Arc<Semaphore>,
    last: u64,
}

impl Default for Subscriptions {
    fn default() -> Self {
        Subscriptions { open: Vec::new(), places: Arc::new(Semaphore::new(MAX_SUBSCRIPTIONS)), last: 0 }
    }
}

impl Subscriptions {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Prepares a new one. It takes its place at once, so that calls that are under way together count too.
    ///
    /// # Errors
    /// `DENIED_USAGE` when the connection has as many as it may.
    pub fn begin(
        &mut self,
        daemon: Arc<Daemon>,
        binding: Arc<Binding>,
        params: Subscribe,
    ) -> Result<impl Future<Output = Result<(Subscription, Subscribed), Denial>> + use<>, Denial> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| {
            Denial::usage(format!("this connection has {MAX_SUBSCRIPTIONS} subscriptions already"))
                .with("limit", MAX_SUBSCRIPTIONS)
                .action("Send journal.unsubscribe for one of them; one is enough for a project.")
        })?;
        self.last += 1;
        Ok(subscribe(daemon, binding, params, self.last, place))
    }

    /// Takes in one whose reply is about to be sent.
    pub fn add(&mut self, subscription: Subscription) {
        self.open.push(subscription);
    }

    /// Ends one. Says whether there was such a one.
    pub fn end(&mut self, number: u64) -> bool {
        let before = self.open.len();
        self.open.retain(|subscription| subscription.number != number);
        self.open.len() < before
    }

    /// Waits until one of them has something to say. However much happens until it is asked again, it is said once.
    /// Waiting may be given up at any time.
    pub async fn changed(&mut self, daemon: &Daemon) -> Changed {
        if self.open.is_empty() {
            return std::future::pending().await;
        }
        let waiting = self.open.iter_mut().map(|subscription| subscription.changed(daemon).boxed());
        select_all(waiting).await.0
    }
}

async fn subscribe(
    daemon: Arc<Daemon>,
    binding: Arc<Binding>,
    params: Subscribe,
    number: u64,
    place: OwnedSemaphorePermit,
) -> Result<(Subscription, Subscribed), Denial> {
    let _call = daemon.begin_call()?;
    let since = params.cursor.map(|cursor| Since::parse("cursor", &cursor)).transpose()?;
    let opened = daemon.projects.opened();
    let plane = daemon.projects.plane(&binding).await?;
    // Followed before it is read: what comes between shows as a change.
    let follow = plane.follow();
    let end = journal::head(&mut plane.read().await?).await?;
    let mut told = end.clone();
    if let Some(since) = since {
        since.check(&end)?;
        told.seq = since.seq;
    }
    let reply = Subscribed {
        status: Status::Ok,
        subscription: number,
        cursor: end.to_string(),
        plane_id: end.plane_id,
        seq: end.seq,
    };
    Ok((Subscription { number, binding, told, head: Some(follow), opened, _place: place }, reply))
}

impl Subscription {
    async fn changed(&mut self, daemon: &Daemon) -> Changed {
        loop {
            let reset = match &mut self.head {
                Some(head) => {
                    let end = *head.borrow_and_update();
                    if end > self.told.seq {
                        self.told.seq = end;
                        false
                    } else {
                        let over = tokio::select! {
                            changed = head.changed() => changed.is_err(),
                            // Where a directory was replaced, the new plane is open beside the old one.
                            _ = self.opened.changed() => true,
                        };
                        if over {
                            self.head = None;
                        }
                        continue;
                    }
                }
                None => {
                    self.opened.borrow_and_update();
                    match daemon.projects.followed(&self.binding).await {
                        Some((plane_id, head)) => {
                            let seq = *head.borrow();
                            self.head = Some(head);
                            if plane_id == self.told.plane_id && seq >= self.told.seq {
                                // The same one, and what was missed shows as a change.
                                continue;
                            }
                            self.told = Cursor { plane_id, seq };
                            true
                        }
                        None if self.opened.changed().await.is_ok() => continue,
                        // The daemon is gone; so is the connection.
                        None => std::future::pending().await,
                    }
                }
            };
            return Changed { subscription: self.number, cursor: self.told.to_string(), reset };
        }
    }
}
