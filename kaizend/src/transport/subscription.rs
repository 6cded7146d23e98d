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
        let permit = self.places.clone().try_acquire_owned().map_err(|_| {
            Denial::usage(format!("this connection has {MAX_SUBSCRIPTIONS} subscriptions already"))
                .with("limit", MAX_SUBSCRIPTIONS)
                .action("Send journal.unsubscribe for one of them; one is enough for a project.")
        })?;
        self.last += 1;
        Ok(subscribe(daemon, binding, params, self.last, permit))
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
    permit: OwnedSemaphorePermit,
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
    let welcome = Subscribed {
        status: Status::Ok,
        subscription: number,
        cursor: end.to_string(),
        plane_id: end.plane_id,
        seq: end.seq,
    };
    Ok((Subscription { number, binding, told, head: Some(follow), opened, _place: permit }, welcome))
}

impl Subscription {
    async fn changed(&mut self, daemon: &Daemon) -> Changed {
        loop {
            if let Some(head) = &mut self.head {
                if let Some(end) = grown(head, &mut self.opened, self.told.seq).await {
                    self.told.seq = end;
                    return self.news(false);
                }
                self.head = None;
            }
            // Before looking, so that an opening from now on ends the wait.
            self.opened.borrow_and_update();
            let Some((plane_id, head)) = daemon.projects.followed(&self.binding).await else {
                if self.opened.changed().await.is_err() {
                    // The daemon is gone; so is the connection.
                    return std::future::pending().await;
                }
                continue;
            };
            let seq = *head.borrow();
            self.head = Some(head);
            // In the same plane, what was missed shows as growth.
            if plane_id != self.told.plane_id || seq < self.told.seq {
                self.told = Cursor { plane_id, seq };
                return self.news(true);
            }
        }
    }

    fn news(&self, reset: bool) -> Changed {
        Changed { subscription: self.number, cursor: self.told.to_string(), reset }
    }
}

/// Waits for the journal to reach beyond an entry. Returns its end, or none when the project was closed or one was
/// opened: where a directory was replaced, the new plane is open beside the old one.
async fn grown(head: &mut watch::Receiver<i64>, opened: &mut watch::Receiver<u64>, told: i64) -> Option<i64> {
    loop {
        let end = *head.borrow_and_update();
        if end > told {
            return Some(end);
        }
        tokio::select! {
            changed = head.changed() => changed.ok()?,
            _ = opened.changed() => return None,
        }
    }
}
