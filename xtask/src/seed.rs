//! Records as agents leave them: all kinds, linked to each other, made through the daemon by many clients at once.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::place::Project;
use crate::random::Random;
use crate::wire::{Clients, Line, write_request};

/// A word that a few records of each kind have.
pub(crate) const RARE: &str = "zebrafinch";
/// Clients that write at the same time.
const CLIENTS: usize = 64;
/// Calls of which none can refer to a record that another of them makes.
const BATCH: usize = 1_024;
/// One call in so many changes a record that is there, and makes none.
const CHANGES: usize = 12;

/// How many calls of each operation a plane is made of, in this order and again and again.
pub(crate) type Mix = &'static [(&'static str, usize)];

/// A hundred new records of all kinds.
pub(crate) const MIX: Mix = &[
    ("W1", 13),
    ("G1", 12),
    ("Q2", 14),
    ("T1", 13),
    ("T2", 9),
    ("W3", 4),
    ("L1", 5),
    ("A1", 4),
    ("Q4", 4),
    ("L3", 2),
    ("L2", 1),
    ("Q1", 2),
    ("Q3", 2),
    ("Q5", 4),
    ("S1", 5),
    ("X1", 1),
    ("I1", 1),
    ("I2", 1),
    ("I3", 0),
    ("I4", 1),
    ("W5", 0),
    ("W6", 1),
    ("W7", 0),
    ("W8", 0),
    ("O2", 1),
];

/// The ids of the records that there are, by the operation that made them.
#[derive(Default)]
pub(crate) struct Seeded {
    ids: HashMap<&'static str, Vec<String>>,
    /// Names of traces.
    traces: Vec<String>,
    /// How many of an operation's records were promoted, the oldest first: each can be once only.
    promoted: HashMap<&'static str, usize>,
}

impl Seeded {
    /// The records that this operation made, the oldest first.
    pub(crate) fn of(&self, operation: &str) -> &[String] {
        self.ids.get(operation).map_or(&[], Vec::as_slice)
    }

    /// All operations that made records, with these.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        self.ids.iter().map(|(operation, ids)| (*operation, ids.as_slice()))
    }

    /// The traces.
    pub(crate) fn traces(&self) -> &[String] {
        &self.traces
    }

    /// Makes an artifact of a file that is there; those of the mix are of files that are gone.
    pub(crate) fn add_file(&mut self, socket: &Path, project: &Project) -> anyhow::Result<()> {
        std::fs::write(project.root.join("present.log"), "ok")?;
        let request = write_request("artifact.add", json!({"path": "present.log", "summary": "A log."}));
        let id = id_of(Line::bound(socket, project)?.call(&request)?).context("the artifact's id")?;
        self.ids.entry("A1 of a file").or_default().push(id);
        Ok(())
    }

    /// Makes documents of some files that are there.
    pub(crate) fn add_documents(
        &mut self,
        socket: &Path,
        project: &Project,
        count: usize,
    ) -> anyhow::Result<()> {
        let mut line = Line::bound(socket, project)?;
        let mut random = Random::new(count as u64);
        for number in 0..count {
            let name = format!("notes/{number}.md");
            let file = project.root.join(&name);
            std::fs::create_dir_all(file.parent().context("a directory")?)?;
            let rare = if number.is_multiple_of(50) { RARE } else { "" };
            std::fs::write(file, format!("# {}\n\n{rare} re {}\n", random.words(3), random.words(200)))?;
            let request = write_request("evidence.ingest_file", json!({"path": name}));
            let id = id_of(line.call(&request)?).context("the document's id")?;
            self.ids.entry("E1").or_default().push(id);
        }
        let found = line.json("evidence.query", &json!({"query": RARE, "limit": 1}))?;
        let chunk = found["records"][0]["id"].as_str().context("a chunk's id")?.to_owned();
        self.ids.entry("a chunk").or_default().push(chunk);
        Ok(())
    }

    fn unpromoted(&mut self, operation: &'static str) -> Option<String> {
        let at = self.promoted.entry(operation).or_default();
        let id = self.ids.get(operation)?.get(*at)?;
        *at += 1;
        Some(id.clone())
    }

    fn some(&self, operation: &str, random: &mut Random) -> Option<&str> {
        pick(self.of(operation), random)
    }
}

/// One of these, if there is one. New ones are picked more often than old ones, as agents do.
fn pick<'a>(ids: &'a [String], random: &mut Random) -> Option<&'a str> {
    let count = ids.len() as u64;
    if count == 0 {
        return None;
    }
    let recent = if random.below(2) == 0 { count.min(200) } else { count };
    let at = count - 1 - random.below(recent);
    usize::try_from(at).ok().and_then(|at| ids.get(at)).map(String::as_str)
}

/// Makes so many records of this mix in a plane that has none.
pub(crate) fn seed(
    socket: &Path,
    project: &Project,
    count: usize,
    mix: Mix,
    random: &mut Random,
) -> anyhow::Result<Seeded> {
    let mut clients = Clients::open(socket, project, CLIENTS.min(count))?;
    let cycle: Vec<&str> =
        mix.iter().flat_map(|(operation, times)| std::iter::repeat_n(*operation, *times)).collect();
    let mut seeded = Seeded::default();
    let (mut made, mut calls) = (0, 0);
    while made < count {
        // Small at first, so that there is something to refer to.
        let batch = made.clamp(CLIENTS, BATCH).min(count - made);
        let mut requests = Vec::with_capacity(batch);
        let mut operations = Vec::with_capacity(batch);
        let end = made + batch;
        while made < end {
            calls += 1;
            if usize::is_multiple_of(calls, CHANGES)
                && let Some(request) = change(&seeded, random)
            {
                requests.push(request);
                operations.push("");
                continue;
            }
            // The kinds that are least frequent come in turn.
            let operation = match cycle[made % cycle.len()] {
                "I2" if (made / cycle.len()) % 2 == 1 => "I3",
                "W6" => ["W5", "W6", "W7", "W8"][(made / cycle.len()) % 4],
                other => other,
            };
            let blocks = (count / cycle.len() / 3).max(1);
            let first = made % cycle.len() == 0 || cycle[made % cycle.len() - 1] != cycle[made % cycle.len()];
            let is_rare = first && (made / cycle.len()).is_multiple_of(blocks);
            let (operation, request) = new(operation, made, is_rare, &mut seeded, random);
            requests.push(request);
            operations.push(operation);
            made += 1;
        }
        let mut answered = operations.into_iter();
        clients.drive(&requests, |reply| {
            let operation = answered.next().unwrap_or_default();
            if !operation.is_empty() {
                let id = id_of(reply)
                    .with_context(|| format!("{operation} told no id: {}", String::from_utf8_lossy(reply)))?;
                seeded.ids.entry(operation).or_default().push(id);
            }
            Ok(())
        })?;
        seeded.traces = (0..=made / 100).map(|at| format!("trace-{at}")).collect();
    }
    Ok(seeded)
}

/// The id in a reply. A full parse of each would cost more than the daemon has left.
fn id_of(reply: &[u8]) -> Option<String> {
    let reply = std::str::from_utf8(reply).ok()?;
    let (_, rest) = reply.split_once(r#","id":""#).or_else(|| {
        let (_, result) = reply.split_once(r#""result":"#)?;
        result.split_once(r#""id":""#)
    })?;
    rest.split_once('"').map(|(id, _)| id.to_owned())
}

/// A call that changes a record.
fn change(seeded: &Seeded, random: &mut Random) -> Option<Vec<u8>> {
    let (summary, body) = (random.words(12), random.words(20));
    Some(match random.below(10) {
        0 => {
            let id = seeded.some("X1", random)?;
            write_request("policy.update", json!({"id": id, "summary": summary, "priority": "normal"}))
        }
        1 => write_request(
            "plan.revise",
            json!({"id": seeded.some("W3", random)?, "summary": summary, "body": body, "status": "active"}),
        ),
        2 | 3 => write_request(
            "gotcha.update",
            json!({"id": seeded.some("G1", random)?, "summary": summary, "body": body, "status": "resolved"}),
        ),
        _ => {
            let id = seeded.some("W1", random)?;
            let status = ["active", "active", "done", "blocked"][small(random, 4)];
            write_request(
                "task.update",
                json!({"id": id, "task_id": id, "summary": summary, "body": body, "status": status}),
            )
        }
    })
}

fn small(random: &mut Random, limit: u64) -> usize {
    usize::try_from(random.below(limit)).unwrap_or(0)
}

/// The call that makes the record of this number. What needs a record that is not there yet becomes another call.
#[expect(clippy::too_many_lines, reason = "one arm for each kind of record")]
fn new(
    operation: &'static str,
    number: usize,
    is_rare: bool,
    seeded: &mut Seeded,
    random: &mut Random,
) -> (&'static str, Vec<u8>) {
    let rare = if is_rare { format!("{RARE} ") } else { String::new() };
    let (title, summary) = (random.words(6), random.words(18));
    let body = format!("{rare}{}", random.words(30));
    let status = ["active", "resolved"][small(random, 2)];
    // Half of what is written belongs to a task.
    let task = if random.below(2) == 0 { seeded.some("W1", random).map(str::to_owned) } else { None };
    let record = json!({"title": title, "summary": summary, "body": body, "status": status});
    let of_task = |mut record: Value| {
        record["task_id"] = json!(task);
        record
    };
    let plain = || ("W1", write_request("task.start", record.clone()));
    let request = match operation {
        "W3" => write_request("plan.create", of_task(record)),
        "W5" | "W6" | "W7" | "W8" => {
            let method = match operation {
                "W5" => "subagent_packet.create",
                "W6" => "subagent_packet.ingest",
                "W7" => "diagnostic_packet.create",
                _ => "diagnostic_result.ingest",
            };
            let payload = json!({"steps": random.words(8)}).to_string();
            let mut packet = of_task(record);
            packet["payload_json"] = payload.into();
            write_request(method, packet)
        }
        "G1" => write_request("gotcha.add", of_task(record)),
        "L1" => write_request("learning.add", of_task(record)),
        "L2" | "L3" => {
            let (from, method) =
                if operation == "L2" { ("G1", "gotcha.promote") } else { ("L1", "learning.promote") };
            let Some(id) = seeded.unpromoted(from) else { return plain() };
            write_request(method, json!({"id": id}))
        }
        "Q1" | "Q2" => {
            let conclusion = match random.below(50) {
                0 => "VERIFICATION_FAILED",
                1 => "NEEDS_HUMAN_DECISION",
                2..12 => "ACCEPTABLE_WITH_CONCERNS",
                _ => "VERIFIED_ACCEPTABLE",
            };
            let severity = ["low", "medium", "high"][small(random, 3)];
            let proof = seeded.some("Q1", random);
            let mut params = of_task(json!({"summary": summary, "body": body, "severity": severity,
                "evidence": "[\"target/test.log\"]"}));
            if operation == "Q2" {
                params["conclusion"] = conclusion.into();
                params["proof_id"] = json!(proof.filter(|_| number.is_multiple_of(5)));
            }
            write_request(if operation == "Q1" { "proof.add" } else { "verification.add" }, params)
        }
        "Q3" => {
            let category = ["behavior", "routing", "grounding", "security"][small(random, 4)];
            let mut case = record;
            case["category"] = category.into();
            write_request("eval_case.add", case)
        }
        "Q4" => {
            let case = seeded.some("Q3", random);
            let status = ["passed", "failed"][small(random, 2)];
            write_request(
                "eval_run.add",
                json!({"eval_case_id": case, "summary": summary, "body": body, "status": status}),
            )
        }
        "Q5" => write_request(
            "anti_pattern.add",
            json!({"title": title, "summary": format!("{rare}{summary}"), "symptom": random.words(12),
                "maintainability_harm": random.words(8), "trigger_evidence": random.words(8),
                "preferred_correction": random.words(8), "valid_exceptions": random.words(4),
                "verification": random.words(6), "status": status}),
        ),
        "S1" => {
            let tier = ["normative", "official_docs", "implementation", "design_guidance"];
            write_request(
                "source.add",
                json!({"source_id": format!("source-{}", random.below(500)), "authority_tier": tier[small(random, 4)],
                    "url_or_repository": format!("https://example.org/{number}"), "summary": format!("{rare}{summary}"), "body": body,
                    "license": "MIT"}),
            )
        }
        "X1" => {
            let priority = ["critical", "high", "normal", "low"][small(random, 4)];
            let mut policy = record;
            policy["priority"] = priority.into();
            policy["trigger"] = ["session-start", "before-commit", "review"][small(random, 3)].into();
            write_request("policy.add", policy)
        }
        "I1" => write_request("irl.create", json!({"decision": title, "summary": summary, "body": body})),
        "I2" | "I3" | "I4" => {
            let Some(review) = seeded.some("I1", random) else { return plain() };
            let method = match operation {
                "I2" => "irl.prediction_add",
                "I3" => "irl.correction_add",
                _ => "irl.outcome_add",
            };
            write_request(method, json!({"review_id": review, "summary": summary, "body": body}))
        }
        "A1" => write_request(
            "artifact.add",
            of_task(json!({"path": format!("target/logs/{number}.log"), "summary": summary, "body": body,
                "kind": "log"})),
        ),
        "T1" => {
            let trace = format!("trace-{}", number / 100);
            // About three in four are part of another event of the last hundred.
            let parent = pick(last(seeded.of("T1"), 18), random).filter(|_| !number.is_multiple_of(4));
            let kind = ["model_call", "tool_call", "subagent", "verifier"][small(random, 4)];
            let tokens = random.below(4_000);
            let payload = json!({"kind": kind, "name": random.words(2), "trace_id": trace, "parent_event_id": parent,
                "task_id": task, "summary": summary, "body": body, "status": "ok", "model": "small-model",
                "provider": "local", "prompt_tokens": tokens, "completion_tokens": tokens / 4,
                "total_tokens": tokens + tokens / 4, "cost": 0.001, "latency_ms": random.below(9_000)});
            write_request("trace.add", json!({"payload_json": payload.to_string()}))
        }
        "T2" => {
            let (parent, id) = match random.below(3) {
                0 => ("eval_run_id", seeded.some("Q4", random)),
                1 => ("verification_id", seeded.some("Q2", random)),
                _ => ("trace_event_id", seeded.some("T1", random)),
            };
            let Some(id) = id else { return plain() };
            let mut payload = json!({"name": format!("{rare}{}", random.words(2)), "value": random.below(100),
                "data_type": "numeric", "source": "deterministic", "comment": random.words(8)});
            payload[parent] = id.into();
            write_request("score.add", json!({"payload_json": payload.to_string()}))
        }
        "O2" => {
            #[expect(clippy::cast_precision_loss, reason = "below a hundred")]
            let mut score = || random.below(100) as f64 / 100.0;
            let (baseline, candidate) = (score(), score());
            let mut proposal = record;
            proposal["contract"] = format!("contract-{}", number % 7).into();
            proposal["metric"] = "accuracy".into();
            proposal["baseline_score"] = baseline.into();
            proposal["candidate_score"] = candidate.into();
            write_request("lab.propose", proposal)
        }
        _ => return plain(),
    };
    (operation, request)
}

fn last(ids: &[String], count: usize) -> &[String] {
    &ids[ids.len().saturating_sub(count)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_makes_a_hundred() {
        assert_eq!(MIX.iter().map(|(_, times)| times).sum::<usize>(), 100);
    }

    #[test]
    fn the_id_of_a_reply_is_its_own() {
        let reply = br#"{"jsonrpc":"2.0","id":1,"result":{"status":"OK","id":"t_1","revision_id":"tr_2"}}"#;
        assert_eq!(id_of(reply).as_deref(), Some("t_1"));
        assert_eq!(id_of(br#"{"id":1,"result":{"id":"t_1"}}"#).as_deref(), Some("t_1"));
        assert_eq!(id_of(br#"{"id":1,"result":{}}"#), None);
    }
}
