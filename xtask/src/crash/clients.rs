//! One client of the crash loop: what it sends, and what it was told.

use std::collections::HashMap;
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
    /// The id that the last call of an operation was answered with.
    known: HashMap<&'static str, String>,
}

/// Operations whose records others refer to.
const REFERRED_TO: [&str; 9] = ["W1", "W3", "G1", "L1", "I1", "Q3", "Q4", "T1", "X1"];

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
            known: HashMap::new(),
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
                if REFERRED_TO.contains(&call.operation) {
                    let reply: Value = serde_json::from_str(&reply).unwrap_or_default();
                    self.known.extend(reply["id"].as_str().map(|id| (call.operation, id.to_owned())));
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
                self.known.clear();
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
        let (operation, method, mut params) = self.call_of(kind, &mark, &summary, &body);
        let key = id::idempotency_key();
        params["_meta"] = json!({"key": key});
        Call { operation, key, mark, method, params: params.to_string() }
    }

    /// The call for a number below a hundred. What needs a record that this client has not made yet makes a task.
    fn call_of(
        &mut self,
        kind: u64,
        mark: &str,
        summary: &str,
        body: &str,
    ) -> (&'static str, &'static str, Value) {
        let known = |operation: &str| self.known.get(operation).cloned();
        let task = known("W1");
        let texts = json!({"title": mark, "summary": summary, "body": body});
        let with = |mut params: Value, field: &str, value: Value| {
            params[field] = value;
            params
        };
        let marked = json!({"summary": mark, "body": body});
        let call = match kind {
            0..8 => task.map(|task| {
                let params = with(marked, "id", json!(task));
                ("W2", "task.update", with(with(params, "task_id", json!(task)), "status", json!("active")))
            }),
            8..16 => {
                let params = with(marked, "conclusion", json!("VERIFIED_ACCEPTABLE"));
                let params = with(with(params, "evidence", json!("[\"log\"]")), "task_id", json!(task));
                Some(("Q2", "verification.add", params))
            }
            16..26 => Some(("G1", "gotcha.add", with(texts, "body", json!(format!("{body}."))))),
            26..32 => Some(("L1", "learning.add", texts)),
            // Each is promoted once; its copy differs from it by its status only.
            32..36 => {
                let id = self.known.remove("G1");
                id.map(|id| ("L2", "gotcha.promote", json!({"id": id, "status": mark})))
            }
            36..40 => {
                let id = self.known.remove("L1");
                id.map(|id| ("L3", "learning.promote", json!({"id": id, "status": mark})))
            }
            40..44 => Some(("W3", "plan.create", with(texts, "task_id", json!(task)))),
            44..48 => known("W3").map(|id| ("W4", "plan.revise", with(marked, "id", json!(id)))),
            48..50 => Some(("W5", "subagent_packet.create", with(texts, "payload_json", json!("{}")))),
            50..52 => Some(("W8", "diagnostic_result.ingest", with(texts, "payload_json", json!("{}")))),
            52..55 => {
                let params = json!({"source_id": "rfc", "authority_tier": "normative",
                    "url_or_repository": "https://example.org", "summary": mark});
                Some(("S1", "source.add", params))
            }
            55..57 => Some(("I1", "irl.create", marked)),
            57..60 => known("I1").map(|id| ("I2", "irl.prediction_add", with(marked, "review_id", json!(id)))),
            60..62 => known("I1").map(|id| ("I3", "irl.correction_add", with(marked, "review_id", json!(id)))),
            62..64 => known("I1").map(|id| ("I4", "irl.outcome_add", with(marked, "review_id", json!(id)))),
            64..66 => Some(("Q3", "eval_case.add", with(texts, "category", json!("behavior")))),
            66..69 => known("Q3").map(|id| ("Q4", "eval_run.add", with(marked, "eval_case_id", json!(id)))),
            69..71 => {
                let params = json!({"title": mark, "summary": summary, "symptom": "s", "maintainability_harm": "h",
                    "trigger_evidence": "e", "preferred_correction": "c", "valid_exceptions": "x",
                    "verification": "v"});
                Some(("Q5", "anti_pattern.add", params))
            }
            71..75 => {
                let payload = json!({"kind": "tool_call", "summary": mark, "task_id": task, "body": body,
                    "parent_event_id": known("T1")});
                Some(("T1", "trace.add", json!({"payload_json": payload.to_string()})))
            }
            75..78 => known("T1").map(|id| {
                let payload = json!({"trace_event_id": id, "name": "speed", "value": 1, "data_type": "numeric",
                    "source": "deterministic", "comment": mark});
                ("T2", "score.add", json!({"payload_json": payload.to_string()}))
            }),
            78..80 => Some(("O2", "lab.propose", with(texts, "contract", json!("speed")))),
            80..82 => Some(("X1", "policy.add", texts)),
            82..85 => known("X1").map(|id| ("X6", "policy.update", with(marked, "id", json!(id)))),
            85..88 => {
                Some(("A1", "artifact.add", with(marked, "path", json!("target/absent.log"))))
            }
            88..90 => Some(("R1", "report.task", json!({"scope": mark, "limit": 5}))),
            _ => None,
        };
        call.unwrap_or_else(|| ("W1", "task.start", json!({"title": mark, "summary": summary, "body": body})))
    }
}
