//! Calls over the socket that touch no record, against a bare echo.

use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use kaizen_proto::hello::method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use super::figure::{Figure, Target, Unit};
use super::{Bench, samples};
use crate::wire::{Line, request};

/// A server that sends back what it gets, on a runtime like the daemon's, as a process of its own like the daemon.
///
/// # Errors
/// What the system denies.
#[expect(clippy::print_stdout, reason = "whoever started it waits for the word")]
pub(crate) fn echo(socket: &Path) -> anyhow::Result<()> {
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).clamp(2, 4);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(async {
        let listener = UnixListener::bind(socket)?;
        println!("ready");
        loop {
            let (stream, _) = listener.accept().await?;
            #[expect(clippy::disallowed_methods, reason = "nothing is lost when the echo is killed")]
            tokio::spawn(send_back(stream));
        }
    })
}

async fn send_back(mut stream: UnixStream) -> std::io::Result<()> {
    let mut bytes = vec![0; 8 * 1024];
    loop {
        match stream.read(&mut bytes).await? {
            0 => return Ok(()),
            count => stream.write_all(&bytes[..count]).await?,
        }
    }
}

struct Echo {
    process: Child,
    socket: PathBuf,
}

impl Echo {
    fn start(bench: &Bench) -> anyhow::Result<Self> {
        // In the directory of the daemon's socket, whose path is short enough for one.
        let socket = bench.daemon.socket.with_file_name("echo.sock");
        let mut command = bench.place.command(&std::env::current_exe()?);
        let mut process = command.arg("echo").arg(&socket).stdout(Stdio::piped()).spawn()?;
        let mut word = String::new();
        let output = process.stdout.take().context("its output")?;
        let echo = Echo { process, socket };
        std::io::BufReader::new(output).read_line(&mut word)?;
        ensure!(word == "ready\n", "the echo did not start");
        Ok(echo)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill().and_then(|()| self.process.wait());
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// Measures ping.
pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Figure> {
    let echo = Echo::start(bench)?;
    let project = bench.fresh_project()?;
    let mut ours = Line::bound(&bench.daemon.socket, &project)?;
    let mut reference = Line::open(&echo.socket)?;
    let ping = request(method::STATUS, &json!({}));
    let mut figure =
        Figure::new("ping (status), p50 (echo of the same bytes)", Unit::Time, Target::AtMost(1.35));
    let count = samples(bench.quick, 400);
    for _ in 0..bench.rounds {
        let (mut calls, mut echoes): (Vec<Duration>, Vec<Duration>) = Default::default();
        for _ in 0..count {
            calls.push(ours.timed(&ping)?);
            let started = Instant::now();
            reference.send(&ping)?;
            ensure!(reference.receive()? == ping, "the echo is none");
            echoes.push(started.elapsed());
        }
        figure.times(&mut calls, &mut echoes);
    }
    drop(ours);
    bench.close(&project)?;
    Ok(figure)
}
