//! A daemon in this process, and a connection to it for each project.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kaizen_proto::endpoint::RuntimeDir;
use kaizend::daemon::{Daemon, PEER_PATIENCE};
use kaizend::registry::Registry;
use kaizend::transport::listener;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

type Peer = BufReader<UnixStream>;

/// A daemon in this process.
pub(crate) struct Served {
    runtime: tokio::runtime::Runtime,
    daemon: Arc<Daemon>,
    peers: RefCell<HashMap<String, Peer>>,
    kept: RefCell<HashMap<String, String>>,
    directory: tempfile::TempDir,
}

impl Served {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let daemon = runtime.block_on(async {
            let runtime = RuntimeDir::at(directory.path().join("run"));
            // This program is a test and reads no documents.
            let daemon = Daemon::with(runtime, PEER_PATIENCE, env!("CARGO_BIN_EXE_kaizend").into());
            let mut registry = Registry::new(daemon.clone());
            kaizend::families::register(&mut registry);
            let listener = listener::bind(&directory.path().join("socket")).unwrap();
            daemon.tasks.spawn(listener::accept(daemon.clone(), registry.into_methods(), listener));
            daemon
        });
        let served =
            Served { runtime, daemon, peers: RefCell::default(), kept: RefCell::default(), directory };
        served.keep("text", &json!(served.root("project").join("text.txt")));
        served
    }

    /// The root of a project.
    pub(crate) fn root(&self, project: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(project)
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, path: &str, contents: impl AsRef<[u8]>) {
        let path = self.root("project").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
    }

    /// Changes the project's database with a connection of its own.
    pub(crate) fn tamper(&self, sql: &str) {
        let path = self.root("project").join("AI/db/kaizen.db");
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    /// Calls a method for a project.
    pub(crate) fn call(&self, project: &str, method: &str, params: &Value) -> Value {
        let mut peers = self.peers.borrow_mut();
        let peer = peers.entry(project.to_owned()).or_insert_with(|| {
            let root = self.root(project);
            std::fs::create_dir_all(&root).unwrap();
            let mut peer = self.connect();
            let hello =
                json!({"protocol": 1, "project_root": root.canonicalize().unwrap(), "actor": "conformance"});
            assert_eq!(self.exchange(&mut peer, "hello", &hello)["result"]["protocol"], 1);
            peer
        });
        self.exchange(peer, method, params)
    }

    /// Calls a method on a connection that has said no hello.
    pub(crate) fn call_unbound(&self, method: &str, params: &Value) -> Value {
        self.exchange(&mut self.connect(), method, params)
    }

    fn connect(&self) -> Peer {
        let socket = self.directory.path().join("socket");
        BufReader::new(self.runtime.block_on(UnixStream::connect(socket)).unwrap())
    }

    fn exchange(&self, peer: &mut Peer, method: &str, params: &Value) -> Value {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.runtime.block_on(async {
            peer.get_mut().write_all(format!("{message}\n").as_bytes()).await.unwrap();
            let mut line = String::new();
            let read = tokio::time::timeout(Duration::from_mins(1), peer.read_line(&mut line)).await;
            read.unwrap().unwrap();
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{method}: {error}: {line:?}"))
        })
    }

    /// Remembers a part of a reply under a name.
    pub(crate) fn keep(&self, name: &str, value: &Value) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.kept.borrow_mut().insert(name.to_owned(), text);
    }

    /// Puts what is remembered in place of `$name` in all texts.
    pub(crate) fn resolve(&self, value: &Value) -> Value {
        match value {
            Value::String(text) if text.contains('$') => {
                let kept = self.kept.borrow();
                let mut names: Vec<_> = kept.iter().collect();
                names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
                let filled = names
                    .iter()
                    .fold(text.clone(), |text, (name, value)| text.replace(&format!("${name}"), value));
                assert!(!filled.contains('$'), "nothing is kept for {filled}");
                Value::from(filled)
            }
            Value::Array(list) => list.iter().map(|value| self.resolve(value)).collect(),
            Value::Object(object) => {
                object.iter().map(|(name, value)| (name.clone(), self.resolve(value))).collect()
            }
            other => other.clone(),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.daemon.closing.cancel();
        let daemon = self.daemon.clone();
        self.runtime.block_on(async move { daemon.projects.close_all().await });
    }
}
