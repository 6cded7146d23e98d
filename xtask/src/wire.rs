//! The lean side of the benchmarks and of seeding: connections that send bytes made beforehand and look no closer at a reply than it
//! takes to tell a result from an error. What the harness spends here is missing from the daemon's share of the cores.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use kaizen_proto::hello::method;
use kaizen_proto::id;
use serde_json::{Value, json};

use crate::place::Project;

/// One request as it goes over the wire.
pub(crate) fn request(method: &str, params: &Value) -> Vec<u8> {
    let mut bytes =
        json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string().into_bytes();
    bytes.push(b'\n');
    bytes
}

/// One writing request with an idempotency key, as kaizenctl sends it.
pub(crate) fn write_request(method: &str, mut params: Value) -> Vec<u8> {
    params["_meta"] = json!({"key": id::idempotency_key()});
    request(method, &params)
}

/// A connection.
pub(crate) struct Line {
    stream: BufReader<UnixStream>,
    reply: Vec<u8>,
}

impl Line {
    /// Connects without a word.
    pub(crate) fn open(socket: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(socket).with_context(|| socket.display().to_string())?;
        Ok(Line { stream: BufReader::with_capacity(64 * 1024, stream), reply: Vec::new() })
    }

    /// Connects and says hello for a project.
    pub(crate) fn bound(socket: &Path, project: &Project) -> anyhow::Result<Self> {
        let mut line = Line::open(socket)?;
        let hello: Value = serde_json::from_str(&project.hello())?;
        line.call(&request(method::HELLO, &hello))?;
        Ok(line)
    }

    /// Sends a request.
    pub(crate) fn send(&mut self, request: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.get_mut().write_all(request)?)
    }

    /// Waits for a line.
    pub(crate) fn receive(&mut self) -> anyhow::Result<&[u8]> {
        self.reply.clear();
        self.stream.read_until(b'\n', &mut self.reply)?;
        ensure!(self.reply.ends_with(b"\n"), "the connection broke");
        Ok(&self.reply)
    }

    /// Waits for a reply that must be a result.
    pub(crate) fn result(&mut self) -> anyhow::Result<&[u8]> {
        let reply = self.receive()?;
        let head = &reply[..reply.len().min(48)];
        ensure!(
            head.windows(9).any(|part| part == b"\"result\":"),
            "denied: {}",
            String::from_utf8_lossy(reply)
        );
        Ok(reply)
    }

    /// Sends a request and waits for its result.
    pub(crate) fn call(&mut self, request: &[u8]) -> anyhow::Result<&[u8]> {
        self.send(request)?;
        self.result()
    }

    /// The time from a request to its result.
    pub(crate) fn timed(&mut self, request: &[u8]) -> anyhow::Result<Duration> {
        let started = Instant::now();
        self.call(request)?;
        Ok(started.elapsed())
    }

    /// The result of a call as JSON.
    pub(crate) fn json(&mut self, method: &str, params: &Value) -> anyhow::Result<Value> {
        let mut reply: Value = serde_json::from_slice(self.call(&request(method, params))?)?;
        Ok(reply["result"].take())
    }
}

/// Persistent clients, each of which sends its next request when the one before is answered.
pub(crate) struct Clients {
    lines: Vec<Line>,
}

impl Clients {
    /// So many clients of a project.
    pub(crate) fn open(socket: &Path, project: &Project, count: usize) -> anyhow::Result<Self> {
        let lines = (0..count).map(|_| Line::bound(socket, project)).collect::<Result<_, _>>()?;
        Ok(Clients { lines })
    }

    /// Has all requests carried out. One thread looks after all clients in turn: with one thread each, the harness
    /// would take more of the cores than the daemon.
    pub(crate) fn drive(
        &mut self,
        requests: &[Vec<u8>],
        mut each: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let count = self.lines.len();
        for (line, request) in self.lines.iter_mut().zip(requests) {
            line.send(request)?;
        }
        for at in 0..requests.len() {
            let line = &mut self.lines[at % count];
            each(line.result()?)?;
            if let Some(next) = requests.get(at + count) {
                line.send(next)?;
            }
        }
        Ok(started.elapsed())
    }
}
