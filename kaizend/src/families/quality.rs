//! Quality (Q): proofs and verifications here; in its parts evals, anti-patterns, and checks of texts and payloads.

pub(crate) mod anti_pattern;
mod check;
pub(crate) mod eval;
mod import;
mod lint;

use kaizen_proto::denial::Denial;
use kaizen_proto::families::quality::{
    AntiPatternAdd, AntiPatternQuery, ContractLint, EvalCaseAdd, EvalCaseImport, EvalRunAdd, NewVerification,
    OutputValidate, ProofAdd, QualityInspect, VerificationAdd, VerificationBrief, VerificationQuery,
    Verifications, VerificationsWanted,
};
use kaizen_proto::families::record::Stored;
use kaizen_proto::operation::Status;
use kaizen_proto::record_schema::types::Verification;
use kaizen_proto::record_schema::{self, vocabulary::Conclusion};
use kaizen_proto::{canonical_json, id, limits, spaced_json};
use serde_json::{Value, json};

use super::record::{self, Listing, Window};
use crate::plane::{Cell, ReadTx, WriteTx};
use crate::registry::{Context, ReadOperation, Registry, WriteOperation};

/// Registers the handlers.
pub fn register(registry: &mut Registry) {
    registry
        .write::<ProofAdd>()
        .write::<VerificationAdd>()
        .write::<EvalCaseAdd>()
        .write::<EvalRunAdd>()
        .write::<AntiPatternAdd>()
        .read::<AntiPatternQuery>()
        .read::<QualityInspect>()
        .plain::<OutputValidate>()
        .read::<VerificationQuery>()
        .plain::<ContractLint>()
        .write::<EvalCaseImport>();
}

/// A verification that is ready to be written.
pub struct Draft {
    conclusion: Conclusion,
    summary: String,
    body: String,
    task_id: Option<String>,
    proof_id: Option<String>,
    evidence: Value,
    findings: Value,
    remedies: Value,
    artifact_ids: Value,
    severity: Option<String>,
    scope_label: Option<String>,
    actionability: Option<String>,
    test: bool,
}

/// A JSON parameter that is a list, or null.
fn list(field: &str, text: Option<String>) -> Result<Value, Denial> {
    match record::given(text) {
        Some(text) => record::parse_json(field, &text),
        None => Ok(json!([])),
    }
}

fn draft(params: NewVerification, default_conclusion: Conclusion) -> Result<Draft, Denial> {
    let (summary, body) = (params.summary.unwrap_or_default(), params.body.unwrap_or_default());
    limits::check_summary(&summary)?;
    limits::check_body("body", &body)?;
    let given = record::given;
    let verification: Verification = record_schema::read(json!({
        "task_id": given(params.task_id),
        "proof_id": given(params.proof_id),
        "conclusion": given(params.conclusion),
        "summary": summary,
        "body": body,
        "evidence": list("evidence", params.evidence)?,
        "findings": list("findings", params.findings)?,
        "remedies": list("remedies", params.remedies)?,
        "severity": given(params.severity),
        "scope_label": given(params.scope_label),
        "actionability": given(params.actionability),
        "artifact_ids": list("artifact_ids", params.artifact_ids)?,
    }))?;
    let list = |list: Option<Vec<Value>>| list.map_or(Value::Null, Value::Array);
    Ok(Draft {
        conclusion: verification.conclusion.unwrap_or(default_conclusion),
        summary: verification.summary,
        body: verification.body.unwrap_or_default(),
        task_id: verification.task_id,
        proof_id: verification.proof_id,
        evidence: list(verification.evidence),
        findings: list(verification.findings),
        remedies: list(verification.remedies),
        artifact_ids: list(verification.artifact_ids),
        severity: verification.severity,
        scope_label: verification.scope_label,
        actionability: verification.actionability,
        test: params.test,
    })
}

/// What the content hash of a verification covers.
pub(crate) struct Verified<'a> {
    pub(crate) id: &'a str,
    pub(crate) conclusion: &'a str,
    pub(crate) summary: &'a str,
    pub(crate) body: &'a str,
    pub(crate) evidence: &'a Value,
    pub(crate) findings: &'a Value,
    pub(crate) remedies: &'a Value,
}

/// The content hash of a verification.
pub(crate) fn verification_hash(verification: &Verified<'_>) -> String {
    canonical_json::hash(&json!({
        "id": verification.id, "conclusion": verification.conclusion, "summary": verification.summary,
        "body": verification.body, "evidence": verification.evidence, "findings": verification.findings,
        "remedies": verification.remedies,
    }))
}

/// A list of artifact ids with shortened ones made whole; what is no list stays as it is.
fn whole_artifact_ids(tx: &mut WriteTx<'_>, given: &Value) -> Result<Value, Denial> {
    let mut artifact_ids = given.clone();
    for artifact in artifact_ids.as_array_mut().into_iter().flatten() {
        if let Some(whole) = record::soft_reference(tx, "artifact_ids", "artifacts", artifact.as_str())? {
            *artifact = Value::from(whole);
        }
    }
    Ok(artifact_ids)
}

fn store(tx: &mut WriteTx<'_>, draft: &Draft) -> Result<Stored, Denial> {
    let task_id = record::soft_task(tx, draft.task_id.as_deref())?;
    tx.about_task(task_id.as_deref());
    let proof_id = record::soft_reference(tx, "proof_id", "verification_events", draft.proof_id.as_deref())?;
    let artifact_ids = whole_artifact_ids(tx, &draft.artifact_ids)?;
    let (id, now) = (id::new("qv"), tx.now());
    let content_hash = verification_hash(&Verified {
        id: &id,
        conclusion: draft.conclusion.text(),
        summary: &draft.summary,
        body: &draft.body,
        evidence: &draft.evidence,
        findings: &draft.findings,
        remedies: &draft.remedies,
    });
    tx.insert(
        "verification_events",
        &[
            ("id", Cell::Text(&id)),
            ("created_at", Cell::Text(&now)),
            ("task_id", task_id.as_deref().into()),
            ("proof_id", (&proof_id).into()),
            ("conclusion", Cell::Text(draft.conclusion.text())),
            ("evidence_locations_json", Cell::Text(&spaced_json::to_string(&draft.evidence))),
            ("findings_json", Cell::Text(&spaced_json::to_string(&draft.findings))),
            ("remedies_json", Cell::Text(&spaced_json::to_string(&draft.remedies))),
            ("severity", (&draft.severity).into()),
            ("scope_label", (&draft.scope_label).into()),
            ("actionability", (&draft.actionability).into()),
            ("summary", Cell::Text(&draft.summary)),
            ("body", Cell::Text(&draft.body)),
            ("artifact_ids_json", Cell::Text(&spaced_json::to_string(&artifact_ids))),
            ("content_hash", Cell::Text(&content_hash)),
            ("is_test", Cell::from(draft.test)),
        ],
    )?;
    Ok(Stored { status: Status::Ok, id, content_hash })
}

impl WriteOperation for ProofAdd {
    type Prepared = Draft;

    async fn prepare(_context: &Context, params: NewVerification) -> Result<Draft, Denial> {
        draft(params, Conclusion::ProofRecorded)
    }

    fn apply(tx: &mut WriteTx<'_>, draft: &Draft) -> Result<Stored, Denial> {
        store(tx, draft)
    }
}

impl WriteOperation for VerificationAdd {
    type Prepared = Draft;

    async fn prepare(_context: &Context, params: NewVerification) -> Result<Draft, Denial> {
        draft(params, Conclusion::NeedsHumanDecision)
    }

    fn apply(tx: &mut WriteTx<'_>, draft: &Draft) -> Result<Stored, Denial> {
        store(tx, draft)
    }
}

/// The columns of a verification in a list.
pub(crate) const BRIEF: &str = "t.id, t.created_at, t.task_id, t.proof_id, t.conclusion, t.severity, t.scope_label, \
    t.actionability, t.summary";

impl ReadOperation for VerificationQuery {
    async fn run(
        _context: &Context,
        tx: &mut ReadTx,
        params: VerificationsWanted,
    ) -> Result<Verifications, Denial> {
        let (query, after) = (record::given(params.query), record::given(params.after));
        let task_id = record::soft_read(tx, "tasks", record::given(params.task_id)).await?;
        let conclusion = record::given(params.conclusion);
        let severity = record::given(params.severity);
        let listing = Listing {
            table: "verification_events",
            columns: BRIEF,
            searched: &["summary", "body"],
            query: query.as_deref(),
            filters: record::filters(&[
                ("task_id", &task_id),
                ("conclusion", &conclusion),
                ("severity", &severity),
            ]),
            limit: record::page_limit(params.limit, record::DEFAULT_LIMIT),
            after: after.as_deref(),
            window: Window::read(params.since, params.until)?,
        };
        let page = record::page::<VerificationBrief>(tx, &listing).await?;
        Ok(Verifications {
            status: Status::Ok,
            count: page.records.len(),
            records: page.records,
            next: page.next,
        })
    }
}
