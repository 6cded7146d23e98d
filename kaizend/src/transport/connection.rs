//! One connection: frames in, calls under way, frames out, all in one task.
//!
//! The calls of a connection are polled by the task that reads and writes it, so a quick call costs no task and no
//! channel. While [`MAX_CALLS`] are under way or replies wait to be taken, nothing more is read: back-pressure reaches
//! the peer through the socket. What subscriptions have to say is asked for only when all else is sent, so there is
//! never more than one notification of each that waits.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use interprocess::local_socket::tokio::Stream;
use jsonrpsee_core::server::{ConnectionId, Extensions, MethodCallback, Methods};
use jsonrpsee_types::{Id, Params};
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::feed::{self, Subscribe, Unsubscribe, Unsubscribed};
use kaizen_proto::frame::{self, Decoder, FrameError, Framing, MAX_FRAME};
use kaizen_proto::hello::{Hello, Stop, Stopping, method};
use kaizen_proto::operation::Status;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::request::{Message, Request, error_reply, notification, result_reply, with_rpc_code};
use super::subscription::{Subscription, Subscriptions};
use super::{hangup, hello};
use crate::daemon::{Binding, Daemon};
use crate::plane::fault;
use crate::registry::{Cancel, Cancellable, error_object};

/// Calls of one connection that may be under way.
pub const MAX_CALLS: usize = 32;
/// Bytes that are read at a time.
const READ_CHUNK: usize = 8 * 1024;

/// What comes of a message: a reply, or none for a notification, and what it subscribed to.
#[derive(Default)]
struct Answer {
    reply: Option<String>,
    subscribed: Vec<Subscription>,
}

type Call = BoxFuture<'static, Answer>;

/// Serves a connection until its peer closes it, breaks the framing or stops reading, or the daemon closes.
pub async fn serve(daemon: Arc<Daemon>, methods: Methods, stream: Stream, number: usize) {
    let _open = daemon.begin_connection();
    let mut connection = Connection {
        daemon,
        methods,
        number,
        bound: Ok(Arc::default()),
        under_way: Vec::new(),
        subscriptions: Subscriptions::default(),
    };
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
    /// Operations that can be taken back, by the ids of their requests; notifications have none.
    under_way: Vec<(Option<Id<'static>>, Cancellable)>,
    subscriptions: Subscriptions,
}

impl Connection {
    async fn run(&mut self, stream: Stream) -> std::io::Result<()> {
        let (mut input, mut output) = (&stream, &stream);
        let closing = self.daemon.closing.clone();
        let mut decoder = Decoder::new();
        let mut chunk = vec![0; READ_CHUNK];
        let mut calls = FuturesUnordered::new();
        let mut replies = Vec::new();
        let mut reading = true;
        let mut gone = false;
        // Asked for only where reading does not tell.
        let mut hangup = std::pin::pin!(hangup::of(&stream));
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
            while let Some(Some(answer)) = calls.next().now_or_never() {
                self.take(answer, &mut replies, decoder.framing());
            }
            if gone {
                // Nobody waits for the reads any more. What writes is carried out, as it was asked for.
                self.under_way.iter().for_each(|(_, call)| call.cancel());
                replies.clear();
            }
            if !replies.is_empty() {
                tokio::time::timeout(self.daemon.peer_patience, output.write_all(&replies)).await??;
                replies.clear();
                replies.shrink_to(64 * 1024);
                continue;
            }
            if !reading && calls.is_empty() {
                return Ok(());
            }
            tokio::select! {
                answer = calls.next(), if !calls.is_empty() => {
                    if let Some(answer) = answer {
                        self.take(answer, &mut replies, decoder.framing());
                    }
                }
                read = input.read(&mut chunk), if reading && calls.len() < MAX_CALLS => {
                    match read? {
                        // The peer may have closed only its sending half, and waits for replies.
                        0 => reading = false,
                        bytes => decoder.feed(&chunk[..bytes]),
                    }
                }
                changed = self.subscriptions.changed(&self.daemon), if !self.subscriptions.is_empty() => {
                    match notification(feed::method::CHANGED, &changed) {
                        Ok(text) => push(&mut replies, decoder.framing(), &text),
                        Err(error) => drop(fault::unexpected("write the notification", &error)),
                    }
                }
                () = &mut hangup, if !gone && (!reading || calls.len() >= MAX_CALLS) => gone = true,
                () = closing.cancelled(), if calls.is_empty() => return Ok(()),
            }
        }
    }

    /// Takes in what came of a message. A reply goes out before the notifications that it announces.
    fn take(&mut self, answer: Answer, replies: &mut Vec<u8>, framing: Option<Framing>) {
        if let Some(reply) = answer.reply {
            push(replies, framing, &reply);
        }
        for subscription in answer.subscribed {
            self.subscriptions.add(subscription);
        }
    }

    fn message(&mut self, body: &[u8]) -> Call {
        match Message::read(body) {
            Err(error) => ready(error_reply(&Id::Null, &error)),
            Ok(Message::One(text)) => self.request(text),
            Ok(Message::Batch(texts)) => {
                let calls: Vec<Call> = texts.into_iter().map(|text| self.request(text)).collect();
                async move {
                    let (mut replies, mut all) = (Vec::new(), Answer::default());
                    for answer in join_all(calls).await {
                        replies.extend(answer.reply);
                        all.subscribed.extend(answer.subscribed);
                    }
                    all.reply = (!replies.is_empty()).then(|| format!("[{}]", replies.join(",")));
                    all
                }
                .boxed()
            }
        }
    }

    fn request(&mut self, text: &RawValue) -> Call {
        let request = match Request::read(text) {
            Ok(request) => request,
            Err((id, error)) => return ready(error_reply(&id, &error)),
        };
        let id = request.id.map(Id::into_owned);
        let wants_reply = id.is_some();
        let call = self.dispatch(id, &request.method, request.params);
        if wants_reply { call } else { call.map(|_| Answer::default()).boxed() }
    }

    fn dispatch(&mut self, asked: Option<Id<'static>>, name: &str, params: Option<&RawValue>) -> Call {
        let params = params.map(RawValue::get);
        let id = asked.clone().unwrap_or(Id::Null);
        match name {
            method::HELLO => ready(self.hello(&id, params)),
            method::STATUS => {
                let daemon = self.daemon.clone();
                async move { Answer { reply: Some(answer(&id, Ok(daemon.status().await))), ..Answer::default() } }
                    .boxed()
            }
            method::STOP => self.stop(id, params),
            // Whoever cannot be told the number of a subscription does not get one.
            feed::method::SUBSCRIBE if asked.is_none() => ready(String::new()),
            feed::method::SUBSCRIBE => self.subscribe(id, params),
            feed::method::UNSUBSCRIBE => ready(answer(&id, self.unsubscribe(params))),
            feed::method::CANCEL => {
                self.cancel(params);
                ready(answer(&id, Ok(())))
            }
            _ => self.operation(asked, id, name, params),
        }
    }

    /// Takes back the calls with an id. One that is answered already, or never was, is nobody's mistake.
    fn cancel(&mut self, params: Option<&str>) {
        #[derive(serde::Deserialize)]
        struct Cancelled<'a> {
            #[serde(borrow)]
            id: Id<'a>,
        }
        let Ok(wanted) = serde_json::from_str::<Cancelled<'_>>(params.unwrap_or_default()) else { return };
        for (id, call) in &self.under_way {
            if id.as_ref() == Some(&wanted.id) {
                call.cancel();
            }
        }
    }

    fn subscribe(&mut self, id: Id<'static>, params: Option<&str>) -> Call {
        let begun = self.bound.clone().and_then(|binding| {
            self.subscriptions.begin(self.daemon.clone(), binding, parse::<Subscribe>(params)?)
        });
        match begun {
            Ok(subscribing) => async move {
                match subscribing.await {
                    Ok((subscription, subscribed)) => {
                        let reply = Some(answer(&id, Ok(subscribed)));
                        Answer { reply, subscribed: vec![subscription] }
                    }
                    Err(denial) => {
                        Answer { reply: Some(answer::<()>(&id, Err(denial))), subscribed: Vec::new() }
                    }
                }
            }
            .boxed(),
            Err(denial) => ready(answer::<()>(&id, Err(denial))),
        }
    }

    fn unsubscribe(&mut self, params: Option<&str>) -> Result<Unsubscribed, Denial> {
        let wanted: Unsubscribe = parse(params)?;
        Ok(Unsubscribed { status: Status::Ok, ended: self.subscriptions.end(wanted.subscription) })
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
            Err(denial) => return ready(answer::<()>(&id, Err(denial))),
        };
        let daemon = self.daemon.clone();
        let binding = self.bound.clone().unwrap_or_default();
        async move {
            let project_closed = if stop.all { false } else { daemon.projects.close(&binding).await };
            let daemon_ends = stop.all || daemon.projects.count() == 0;
            if daemon_ends {
                daemon.draining.cancel();
            }
            Answer {
                reply: Some(answer(&id, Ok(Stopping { daemon_ends, project_closed }))),
                ..Answer::default()
            }
        }
        .boxed()
    }

    fn operation(
        &mut self,
        asked: Option<Id<'static>>,
        id: Id<'static>,
        name: &str,
        params: Option<&str>,
    ) -> Call {
        let binding = match &self.bound {
            Ok(binding) => binding.clone(),
            Err(denial) => return ready(answer::<()>(&id, Err(denial.clone()))),
        };
        let Some(MethodCallback::Async(callback)) = self.methods.method(name) else {
            let denial = Denial::usage(format!("there is no method {name:.80}"))
                .action("Call a method of docs/contract.json; K0 finds one by purpose.");
            return ready(error_reply(&id, &with_rpc_code(-32601, &denial)));
        };
        let mut extensions = Extensions::new();
        extensions.insert(binding);
        let cancel = Cancel::default();
        self.under_way.retain(|(_, call)| call.is_under_way());
        self.under_way.push((asked, cancel.remember()));
        extensions.insert(cancel);
        let params = Params::new(params).into_owned();
        callback(id, params, ConnectionId(self.number), MAX_FRAME, extensions)
            .map(|response| Answer {
                reply: Some(response.into_json().get().to_owned()),
                subscribed: Vec::new(),
            })
            .boxed()
    }
}

fn ready(reply: String) -> Call {
    std::future::ready(Answer { reply: Some(reply), subscribed: Vec::new() }).boxed()
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
