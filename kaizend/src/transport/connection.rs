//! One connection: frames in, calls under way, frames out, all in one task.
//!
//! The calls of a connection are polled by the task that reads and writes it, so a quick call costs no task and no
//! channel. While [`MAX_CALLS`] are under way or replies wait to be taken, nothing more is read: back-pressure reaches
//! the peer through the socket.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use jsonrpsee_core::server::{ConnectionId, Extensions, MethodCallback, Methods};
use jsonrpsee_types::{Id, Params};
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::frame::{self, Decoder, FrameError, Framing, MAX_FRAME};
use kaizen_proto::hello::{Hello, Stop, Stopping, method};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::hello;
use super::request::{Message, Request, error_reply, owned_id, result_reply, with_rpc_code};
use crate::daemon::{Binding, Daemon};
use crate::plane::fault;
use crate::registry::error_object;

/// Calls of one connection that may be under way.
pub const MAX_CALLS: usize = 32;
/// A peer that does not take its replies for this long is dropped.
const WRITE_DEADLINE: Duration = Duration::from_secs(30);
/// Bytes that are read at a time.
const READ_CHUNK: usize = 8 * 1024;

/// A reply, or none for a notification.
type Reply = Option<String>;
type Call = BoxFuture<'static, Reply>;

/// Serves a connection until its peer closes it, breaks the framing or stops reading, or the daemon closes.
pub async fn serve<S>(daemon: Arc<Daemon>, methods: Methods, stream: S, number: usize)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let _open = daemon.begin_connection();
    let mut connection = Connection { daemon, methods, number, bound: Ok(Arc::default()) };
    if let Err(error) = connection.run(stream).await {
        tracing::debug!(number, %error, "connection ended");
    }
}

struct Connection {
    daemon: Arc<Daemon>,
    methods: Methods,
    number: usize,
    /// What `hello` bound it to, or why `hello` was denied.
    bound: Result<Arc<Binding>, Denial>,
}

impl Connection {
    async fn run<S>(&mut self, stream: S) -> std::io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut input, mut output) = tokio::io::split(stream);
        let closing = self.daemon.closing.clone();
        let mut decoder = Decoder::new();
        let mut chunk = vec![0; READ_CHUNK];
        let mut calls = FuturesUnordered::new();
        let mut replies = Vec::new();
        let mut reading = true;
        loop {
            while reading && calls.len() < MAX_CALLS {
                match decoder.next() {
                    Ok(Some(body)) => calls.push(self.message(&body)),
                    Ok(None) => break,
                    Err(error) => {
                        push(&mut replies, decoder.framing(), &framing_error(error));
                        reading = false;
                    }
                }
            }
            // What is ready goes out together.
            while let Some(Some(reply)) = calls.next().now_or_never() {
                if let Some(reply) = reply {
                    push(&mut replies, decoder.framing(), &reply);
                }
            }
            if !replies.is_empty() {
                tokio::time::timeout(WRITE_DEADLINE, output.write_all(&replies)).await??;
                replies.clear();
                replies.shrink_to(64 * 1024);
                continue;
            }
            if !reading && calls.is_empty() {
                return output.shutdown().await;
            }
            tokio::select! {
                reply = calls.next(), if !calls.is_empty() => {
                    if let Some(Some(reply)) = reply {
                        push(&mut replies, decoder.framing(), &reply);
                    }
                }
                read = input.read(&mut chunk), if reading && calls.len() < MAX_CALLS => {
                    match read? {
                        // The peer may have closed only its sending half, and waits for replies.
                        0 => reading = false,
                        bytes => decoder.feed(&chunk[..bytes]),
                    }
                }
                () = closing.cancelled(), if calls.is_empty() => return output.shutdown().await,
            }
        }
    }

    fn message(&mut self, body: &[u8]) -> Call {
        match Message::read(body) {
            Err(error) => ready(Some(error_reply(&Id::Null, &error))),
            Ok(Message::One(text)) => self.request(text),
            Ok(Message::Batch(texts)) => {
                let calls: Vec<Call> = texts.into_iter().map(|text| self.request(text)).collect();
                async move {
                    let replies: Vec<String> = join_all(calls).await.into_iter().flatten().collect();
                    (!replies.is_empty()).then(|| format!("[{}]", replies.join(",")))
                }
                .boxed()
            }
        }
    }

    fn request(&mut self, text: &RawValue) -> Call {
        let request = match Request::read(text) {
            Ok(request) => request,
            Err((id, error)) => return ready(Some(error_reply(&id, &error))),
        };
        let wants_reply = request.id.is_some();
        let id = owned_id(request.id);
        let call = self.dispatch(id, &request.method, request.params);
        if wants_reply { call } else { call.map(|_| None).boxed() }
    }

    fn dispatch(&mut self, id: Id<'static>, name: &str, params: Option<&RawValue>) -> Call {
        let params = params.map(RawValue::get);
        match name {
            method::HELLO => ready(Some(self.hello(&id, params))),
            method::STATUS => ready(Some(answer(&id, Ok(self.daemon.status())))),
            method::STOP => self.stop(id, params),
            _ => self.operation(id, name, params),
        }
    }

    fn hello(&mut self, id: &Id<'_>, params: Option<&str>) -> String {
        match parse::<Hello>(params).and_then(hello::bind) {
            Ok((binding, welcome)) => {
                self.daemon.projects.note(&binding);
                self.bound = Ok(Arc::new(binding));
                answer(id, Ok(welcome))
            }
            Err(denial) => {
                self.bound = Err(denial.clone());
                answer::<()>(id, Err(denial))
            }
        }
    }

    fn stop(&self, id: Id<'static>, params: Option<&str>) -> Call {
        let stop = match parse::<Stop>(params) {
            Ok(stop) => stop,
            Err(denial) => return ready(Some(answer::<()>(&id, Err(denial)))),
        };
        let daemon = self.daemon.clone();
        let binding = self.bound.clone().unwrap_or_default();
        async move {
            let project_closed = if stop.all { false } else { daemon.projects.close(&binding).await };
            let daemon_ends = stop.all || daemon.projects.count() == 0;
            if daemon_ends {
                daemon.draining.cancel();
            }
            Some(answer(&id, Ok(Stopping { daemon_ends, project_closed })))
        }
        .boxed()
    }

    fn operation(&self, id: Id<'static>, name: &str, params: Option<&str>) -> Call {
        let binding = match &self.bound {
            Ok(binding) => binding.clone(),
            Err(denial) => return ready(Some(answer::<()>(&id, Err(denial.clone())))),
        };
        let Some(MethodCallback::Async(callback)) = self.methods.method(name) else {
            let denial = Denial::usage(format!("there is no method {name:.80}"))
                .action("Call a method of docs/contract.json; K0 finds one by purpose.");
            return ready(Some(error_reply(&id, &with_rpc_code(-32601, &denial))));
        };
        let mut extensions = Extensions::new();
        extensions.insert(binding);
        let params = Params::new(params).into_owned();
        callback(id, params, ConnectionId(self.number), MAX_FRAME, extensions)
            .map(|response| Some(response.into_json().get().to_owned()))
            .boxed()
    }
}

fn ready(reply: Reply) -> Call {
    std::future::ready(reply).boxed()
}

fn parse<T: DeserializeOwned>(params: Option<&str>) -> Result<T, Denial> {
    serde_json::from_str(params.unwrap_or("{}"))
        .map_err(|error| Denial::usage(format!("the parameters do not fit: {error}")))
}

fn answer<T: serde::Serialize>(id: &Id<'_>, outcome: Result<T, Denial>) -> String {
    let reply = outcome.and_then(|value| {
        result_reply(id, &value).map_err(|error| fault::unexpected("write the reply", &error))
    });
    match reply {
        Ok(reply) => reply,
        Err(denial) => error_reply(id, &error_object(&denial)),
    }
}

fn push(replies: &mut Vec<u8>, framing: Option<Framing>, reply: &str) {
    frame::encode(framing.unwrap_or(Framing::Lines), reply.as_bytes(), replies);
}

fn framing_error(error: FrameError) -> String {
    let denial = match error {
        FrameError::TooLarge | FrameError::HeaderTooLarge => {
            Denial::new(Code::FrameTooLarge).with("limit", MAX_FRAME).message(error.to_string())
        }
        FrameError::BadHeader | FrameError::UnknownFraming => Denial::usage(error.to_string())
            .action("Send one JSON object a line, or Content-Length headers; see docs/rpc.md."),
    };
    error_reply(&Id::Null, &with_rpc_code(-32600, &denial))
}
