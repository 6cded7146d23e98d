//! A daemon in this process, with an operation that waits for as long as a test wants it to.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test that meets the unexpected stops right there")]

use std::sync::Arc;
use std::time::Duration;

use kaizen_proto::denial::Denial;
use kaizen_proto::endpoint::RuntimeDir;
use kaizen_proto::families::core::{Nothing, SchemaReport};
use kaizen_proto::operation::{NO_TWINS, Status};
use kaizend::daemon::Daemon;
use kaizend::plane::ReadTx;
use kaizend::registry::{Context, ReadOperation, Registry};
use kaizend::transport::listener;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;

kaizen_proto::operations! {
    /// Wait until the test says go
    Z1 "wait" "test.wait" Read Wait(Nothing) -> SchemaReport,
        twins: NO_TWINS, keywords: "", example: "";
}

static STARTED: Semaphore = Semaphore::const_new(0);
static GO: Semaphore = Semaphore::const_new(0);
static DROPPED: Semaphore = Semaphore::const_new(0);

struct Dropped;

impl Drop for Dropped {
    fn drop(&mut self) {
        DROPPED.add_permits(1);
    }
}

impl ReadOperation for Wait {
    async fn run(_context: &Context, tx: &mut ReadTx, _params: Nothing) -> Result<SchemaReport, Denial> {
        let dropped = Dropped;
        tx.query_row("SELECT 1", &[]).await?;
        STARTED.add_permits(1);
        next(&GO).await;
        std::mem::forget(dropped);
        let schema = kaizend::plane::schema::look(std::path::Path::new("/nonexistent"))?;
        Ok(SchemaReport { status: Status::Ok, schema })
    }
}

/// Waits until this has happened once more.
async fn next(event: &Semaphore) {
    tokio::time::timeout(Duration::from_secs(20), event.acquire()).await.unwrap().unwrap().forget();
}

struct Peer(BufReader<UnixStream>);

impl Peer {
    async fn greeted(socket: &std::path::Path, root: &std::path::Path) -> Self {
        let mut peer = Peer(BufReader::new(UnixStream::connect(socket).await.unwrap()));
        peer.send(json!({"jsonrpc": "2.0", "id": 0, "method": "hello", "params": {"protocol": 1, "project_root": root}}))
            .await;
        assert_eq!(peer.reply().await["result"]["protocol"], 1);
        peer
    }

    async fn send(&mut self, message: Value) {
        self.0.get_mut().write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    /// Makes a call that waits, and waits until it does.
    async fn wait(&mut self, id: &Value) {
        self.send(json!({"jsonrpc": "2.0", "id": id, "method": "test.wait"})).await;
        next(&STARTED).await;
    }

    async fn reply(&mut self) -> Value {
        let mut line = String::new();
        let read = self.0.read_line(&mut line);
        tokio::time::timeout(Duration::from_secs(20), read).await.unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

#[tokio::test]
async fn a_running_read_is_dropped_when_it_is_cancelled_or_its_caller_has_gone() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    let daemon = Daemon::new(RuntimeDir::at(root.join("run")));
    let mut registry = Registry::new(daemon.clone());
    registry.read::<Wait>();
    let socket = root.join("socket");
    let listener = listener::bind(&socket).unwrap();
    let accepting = daemon.tasks.spawn(listener::accept(daemon.clone(), registry.into_methods(), listener));

    // Of two that run, the one that is meant ends, and the other goes on.
    let mut peer = Peer::greeted(&socket, &root).await;
    peer.wait(&json!(1)).await;
    peer.wait(&json!("1")).await;
    peer.send(json!({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 1}})).await;
    let reply = peer.reply().await;
    assert_eq!([&reply["id"], &reply["error"]["code"]], [&json!(1), &json!(-32800)], "{reply}");
    assert_eq!(reply["error"]["data"]["code"], "DENIED_CANCELLED");
    next(&DROPPED).await;
    GO.add_permits(1);
    let reply = peer.reply().await;
    assert_eq!([&reply["id"], &reply["result"]["status"]], [&json!("1"), &json!("OK")], "{reply}");

    // A peer that has only nothing more to say still gets its reply.
    peer.wait(&json!(2)).await;
    peer.0.get_mut().shutdown().await.unwrap();
    GO.add_permits(1);
    assert_eq!(peer.reply().await["id"], 2);

    // One that has gone, at once or after it had nothing more to say, needs none.
    for politely in [false, true] {
        let mut peer = Peer::greeted(&socket, &root).await;
        peer.wait(&json!(3)).await;
        if politely {
            peer.0.get_mut().shutdown().await.unwrap();
        }
        drop(peer);
        next(&DROPPED).await;
    }
    // One that goes while it may not send more calls.
    let mut peer = Peer::greeted(&socket, &root).await;
    for id in 0..4 {
        peer.wait(&json!(id)).await;
    }
    for id in 4..40 {
        peer.send(json!({"jsonrpc": "2.0", "id": id, "method": "test.wait"})).await;
    }
    drop(peer);
    for _ in 0..4 {
        next(&DROPPED).await;
    }

    // No reader of the data plane was lost on the way.
    let mut peer = Peer::greeted(&socket, &root).await;
    for id in 0..8 {
        GO.add_permits(1);
        peer.send(json!({"jsonrpc": "2.0", "id": id, "method": "test.wait"})).await;
        assert_eq!(peer.reply().await["result"]["status"], "OK");
    }
    accepting.abort();
    drop(peer);
    daemon.closing.cancel();
    daemon.tasks.close();
    daemon.tasks.wait().await;
    daemon.projects.close_all().await;
    assert_eq!(Arc::strong_count(&daemon), 1, "nothing holds on to the daemon");
}
