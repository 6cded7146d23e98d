//! A plane to check, and ways to spoil it.

use std::path::PathBuf;
use std::sync::Arc;

use kaizen_proto::endpoint::RuntimeDir;
use kaizen_proto::families::artifact::ArtifactAdd;
use kaizen_proto::families::core::Integrity;
use kaizen_proto::families::gotcha::{GotchaAdd, GotchaUpdate};
use kaizen_proto::families::lab::LabPropose;
use kaizen_proto::families::learning::{LearningAdd, PromoteGotcha, PromoteLearning};
use kaizen_proto::families::policy::PolicyAdd;
use kaizen_proto::families::quality::{AntiPatternAdd, EvalCaseAdd, EvalRunAdd, ProofAdd, VerificationAdd};
use kaizen_proto::families::trace::{ScoreAdd, TraceAdd};
use kaizen_proto::families::work::{
    DiagnosticResultIngest, PlanCreate, PlanRevise, SubagentPacketCreate, TaskStart, TaskUpdate,
};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::super::check;
use crate::daemon::{Binding, Daemon};
use crate::plane::open::PlaneLock;
use crate::plane::{Caller, Plane, WriteTx};
use crate::registry::{Context, WriteOperation};

/// Texts that every layer must carry through unchanged.
pub(in crate::care) const NASTY: &str =
    "quote \" backslash \\ tab \t bell \u{7} unit \u{1f} del \u{7f} é \u{2028} 😀 'it''s' $1";

/// A plane in a directory of its own, as the daemon holds it.
pub(in crate::care) struct Lab {
    directory: tempfile::TempDir,
    context: Context,
    pub(in crate::care) caller: Arc<Caller>,
    open: Option<(Plane, PlaneLock)>,
}

impl Lab {
    pub(in crate::care) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let binding = Binding {
            root: Some(directory.path().canonicalize().unwrap()),
            db_path: directory.path().join("AI/db/kaizen.db"),
            ..Binding::default()
        };
        let daemon = Daemon::new(RuntimeDir::at(directory.path().join("run")));
        let caller = Arc::new(Caller { actor: Some(NASTY.into()), session: Some("s1".into()) });
        let mut lab =
            Lab { directory, context: Context { daemon, binding: Arc::new(binding) }, caller, open: None };
        lab.open();
        lab
    }

    pub(in crate::care) fn root(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap()
    }

    pub(in crate::care) fn db_path(&self) -> PathBuf {
        self.directory.path().join("AI/db/kaizen.db")
    }

    pub(in crate::care) fn open(&mut self) {
        self.open = Some(Plane::open(&self.db_path(), "test").unwrap());
    }

    pub(in crate::care) fn plane(&self) -> &Plane {
        &self.open.as_ref().unwrap().0
    }

    pub(in crate::care) async fn close(&mut self) {
        let (plane, lock) = self.open.take().unwrap();
        plane.close().await;
        drop(lock);
    }

    pub(in crate::care) async fn write<O: WriteOperation>(&self, params: Value) -> Value {
        let prepared = O::prepare(&self.context, serde_json::from_value(params).unwrap()).await.unwrap();
        let apply = Box::new(move |tx: &mut WriteTx<'_>| {
            O::apply(tx, &prepared).map(|output| serde_json::to_string(&output).unwrap())
        });
        let reply = self.plane().write(O::CODE, self.caller.clone(), None, apply).await.unwrap();
        serde_json::from_str(&reply).unwrap()
    }

    /// Changes the closed plane behind its back, and checks it.
    pub(in crate::care) async fn tampered(mut self, sql: &str) -> Integrity {
        self.close().await;
        let connection = Connection::open(self.db_path()).unwrap();
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        connection.execute_batch(sql).unwrap();
        drop(connection);
        self.open();
        let found = check(self.plane()).await.unwrap();
        self.close().await;
        found
    }
}

/// Ids of what [`filled`] wrote.
pub(in crate::care) struct Ids {
    pub(in crate::care) task: String,
    pub(in crate::care) gotcha: String,
    pub(in crate::care) revision: String,
    pub(in crate::care) blocker: String,
    pub(in crate::care) seq: i64,
}

/// A plane with at least one record of every kind that can be written.
pub(in crate::care) async fn filled() -> (Lab, Ids) {
    let lab = Lab::new();
    let id = |reply: &Value| reply["id"].as_str().unwrap().to_owned();
    let text = json!({"title": "A title", "summary": NASTY, "body": NASTY});
    let with = |more: Value| {
        let mut params = text.clone();
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        params
    };
    let untitled = |more: Value| {
        let mut params = with(more);
        params.as_object_mut().unwrap().remove("title");
        params
    };
    let task = id(&lab.write::<TaskStart>(text.clone()).await);
    lab.write::<TaskStart>(with(json!({"task_id": task, "test": true}))).await;
    lab.write::<TaskUpdate>(json!({"id": task, "status": "in_progress", "task_id": task})).await;
    lab.write::<TaskUpdate>(json!({"id": task, "status": "active", "body": ""})).await;
    let plan = id(&lab.write::<PlanCreate>(with(json!({"task_id": task}))).await);
    lab.write::<PlanRevise>(json!({"id": plan, "summary": "Another one."})).await;
    lab.write::<SubagentPacketCreate>(with(json!({"payload_json": "{ \"b\": 1, \"a\": 2.50 }"}))).await;
    lab.write::<DiagnosticResultIngest>(text.clone()).await;
    let gotcha = id(&lab.write::<GotchaAdd>(with(json!({"task_id": "t_elsewhere"}))).await);
    let revised = lab.write::<GotchaUpdate>(json!({"id": gotcha, "summary": "Seen again."})).await;
    let learning = id(&lab.write::<PromoteGotcha>(json!({"id": gotcha, "task_id": task})).await);
    lab.write::<PromoteLearning>(json!({"id": learning})).await;
    lab.write::<LearningAdd>(text.clone()).await;
    lab.write::<PolicyAdd>(with(json!({"priority": "critical"}))).await;
    let evidence = r#"[{"z": 1e30, "a": -0.0, "é": [0.1, 12345678901234567890123, "\u0007"]}, null]"#;
    lab.write::<ProofAdd>(untitled(json!({"evidence": evidence, "findings": "null"}))).await;
    let blocker = id(&lab.write::<VerificationAdd>(untitled(json!({"task_id": task}))).await);
    let cleared = id(&lab.write::<VerificationAdd>(untitled(json!({}))).await);
    lab.write::<VerificationAdd>(untitled(json!({"proof_id": cleared, "conclusion": "VERIFIED_ACCEPTABLE"})))
        .await;
    write_evals(&lab, &text, &task).await;
    std::fs::write(lab.directory.path().join("file.txt"), "content").unwrap();
    lab.write::<ArtifactAdd>(json!({"path": "file.txt"})).await;
    let revision = revised["revision_id"].as_str().unwrap().to_owned();
    let seq = lab.plane().seq();
    (lab, Ids { task, gotcha, revision, blocker, seq })
}

/// Evals, anti-patterns, traces, scores and proposals, with numbers of every sort.
async fn write_evals(lab: &Lab, text: &Value, task: &str) {
    let id = |reply: Value| reply["id"].as_str().unwrap().to_owned();
    let case = id(lab.write::<EvalCaseAdd>(text.clone()).await);
    let run = json!({"eval_case_id": case, "summary": NASTY, "body": NASTY, "artifact_ids": "[\"a_none\"]"});
    let run = id(lab.write::<EvalRunAdd>(run).await);
    let mut pattern = text.clone();
    let fields = pattern.as_object_mut().unwrap();
    fields.shift_remove("body");
    let texts = [
        "symptom",
        "maintainability_harm",
        "trigger_evidence",
        "preferred_correction",
        "valid_exceptions",
        "verification",
    ];
    fields.extend(texts.map(|name| (name.to_owned(), Value::from(format!("{name} {NASTY}")))));
    lab.write::<AntiPatternAdd>(pattern).await;
    let event =
        json!({"kind": "judge", "summary": NASTY, "tags": ["é", {"a": 1.50}], "cost": 0.1, "task_id": task});
    let event = id(lab.write::<TraceAdd>(json!({"payload_json": event.to_string()})).await);
    lab.write::<TraceAdd>(json!({"kind": "tool_call", "summary": "S.", "payload_json": "{\"cost\": 3}"}))
        .await;
    for value in ["0.1", "-0.0", "1", "1e300", "5e-324", "9007199254740993", "\" -2.5 \""] {
        let score = format!(
            r#"{{"name": "n", "value": {value}, "data_type": "numeric", "source": "model", "trace_event_id": "{event}"}}"#
        );
        lab.write::<ScoreAdd>(json!({"payload_json": score})).await;
    }
    let score = json!({"name": "n", "value": NASTY, "data_type": "categorical", "source": "human", "eval_run_id": run});
    lab.write::<ScoreAdd>(json!({"payload_json": score.to_string()})).await;
    let mut proposal = text.clone();
    proposal["contract"] = json!("review-loop");
    proposal["baseline_score"] = json!(-0.0);
    proposal["candidate_score"] = json!(0.3);
    lab.write::<LabPropose>(proposal).await;
}
