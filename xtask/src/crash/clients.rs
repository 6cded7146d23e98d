//! One client of the crash loop: what it sends, and what it was told.

use std::sync::atomic::{AtomicBool, Ordering};

use kaizen_proto::client::{CallError, Connection};
use kaizen_proto::id;
use serde_json::{Value, json};

use crate::random::Random;

/// One writing call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The operation's code.
    pub(super) operation: &'static str,
    /// Its idempotency key.
    pub(super) key: String,
    /// A text that no other call writes.
    pub(super) mark: String,
    method: &'static str,
    params: String,
}

/// A call that was answered.
#[derive(Clone, Debug)]
pub(super) struct Acknowledged {
    pub(super) call: Call,
    pub(super) reply: String,
    /// Only when it was sent again.
    pub(super) again: bool,
}

/// A client.
pub(super) struct Client {
    /// What it was told since the last comparison.
    pub(super) acknowledged: Vec<Acknowledged>,
    /// The call that the kill left without an answer.
    pub(super) unanswered: Option<Call>,
    /// What should not have happened.
    pub(super) complaints: Vec<String>,
    name: String,
    random: Random,
    calls: u64,
    task: Option<String>,
}

impl Client {
    /// A client whose marks start with `name`.
    pub(super) fn new(name: String, random: Random) -> Self {
        Client {
            acknowledged: Vec::new(),
            unanswered: None,
            complaints: Vec::new(),
            name,
            random,
            calls: 0,
            task: None,
        }
    }

    /// Writes until told to stop or until the connection breaks, beginning with the call that has no answer yet.
    pub(super) fn write(&mut self, mut connection: Connection, stop: &AtomicBool) {
        while !stop.load(Ordering::SeqCst) {
            let (call, again) = match self.unanswered.take() {
                Some(call) => (call, true),
                None => (self.next_call(), false),
            };
            let outcome = connection.call(call.method, &call.params);
            if !self.settle(call, outcome.map(|reply| reply.get().to_owned()), again) {
                if !stop.load(Ordering::SeqCst) {
                    self.complaints.push("the connection broke before the daemon was killed".to_owned());
                }
                return;
            }
        }
    }

    /// Sends the call without an answer once more, and also the last one that was answered: that must give the same
    /// answer and do nothing.
    pub(super) fn send_again(&mut self, mut connection: Connection) {
        if let Some(Acknowledged { call, reply, .. }) = self.acknowledged.last().cloned() {
            match connection.call(call.method, &call.params) {
                Ok(again) if again.get() == reply => {}
                Ok(again) => self.complaints.push(format!(
                    "{} {} was acknowledged with {reply}, sent again with {again}",
                    call.operation, call.mark
                )),
                Err(error) => {
                    self.complaints.push(format!("{} {} sent again: {error}", call.operation, call.mark));
                }
            }
        }
        if let Some(call) = self.unanswered.take() {
            let name = format!("{} {}", call.operation, call.mark);
            let outcome = connection.call(call.method, &call.params);
            if !self.settle(call, outcome.map(|reply| reply.get().to_owned()), true) {
                self.complaints.push(format!("{name} has no answer after the restart either"));
            }
        }
    }

    /// Notes the outcome of a call. Says whether the connection still works.
    fn settle(&mut self, call: Call, outcome: Result<String, CallError>, again: bool) -> bool {
        match outcome {
            Ok(reply) => {
                if call.operation == "W1" {
                    let reply: Value = serde_json::from_str(&reply).unwrap_or_default();
                    self.task = reply["id"].as_str().map(str::to_owned);
                }
                self.acknowledged.push(Acknowledged { call, reply, again });
                true
            }
            Err(CallError::Broken(_)) => {
                self.unanswered = Some(call);
                false
            }
            Err(CallError::Denied(denial)) => {
                self.complaints.push(format!("{} {} was denied: {denial}", call.operation, call.mark));
                self.task = None;
                true
            }
            Err(error @ (CallError::Garbled(_) | CallError::TimedOut)) => {
                self.complaints.push(format!("{} {}: {error}", call.operation, call.mark));
                self.unanswered = Some(call);
                false
            }
        }
    }

    fn next_call(&mut self) -> Call {
        self.calls += 1;
        let mark = format!("mark {}-{}", self.name, self.calls);
        let (kind, summary) = (self.random.below(100), 4 + self.random.below(30));
        let (summary, length) = (self.random.words(summary), self.random.below(400));
        let body = self.random.words(length);
        let (operation, method, mut params) = match (kind, &self.task) {
            (60..75, Some(task)) => (
                "W2",
                "task.update",
                json!({"id": task, "task_id": task, "summary": mark, "body": body, "status": "active"}),
            ),
            (75..85, task) => (
                "Q2",
                "verification.add",
                json!({"task_id": task, "summary": mark, "conclusion": "VERIFIED_ACCEPTABLE", "evidence": "[\"log\"]"}),
            ),
            (85.., _) => {
                let body = format!("{body}.");
                ("G1", "gotcha.add", json!({"title": mark, "summary": summary, "body": body}))
            }
            _ => ("W1", "task.start", json!({"title": mark, "summary": summary, "body": body})),
        };
        let key = id::idempotency_key();
        params["_meta"] = json!({"key": key});
        Call { operation, key, mark, method, params: params.to_string() }
    }
}
