//! Eval cases and their runs: Q3 and Q4.

use kaizen_proto::denial::Denial;
use kaizen_proto::families::quality::{EvalCaseAdd, EvalRunAdd, NewEvalCase, NewEvalRun};
use kaizen_proto::families::record::Stored;
use kaizen_proto::operation::Status;
use kaizen_proto::record_schema::vocabulary::EVAL_CATEGORIES;
use kaizen_proto::{canonical_json, id, limits, spaced_json};
use serde_json::{Value, json};

use super::super::record;
use crate::plane::{Cell, WriteTx};
use crate::registry::{Context, WriteOperation};

/// Statuses of runs beside the common ones.
const RUN_STATUSES: &[&str] = &["passed", "failed", "skipped"];

/// An eval case that is ready to be written.
pub struct Case {
    pub(super) title: String,
    pub(super) summary: String,
    pub(super) body: String,
    pub(super) category: String,
    pub(super) scope: String,
    pub(super) status: String,
    pub(super) fixture_path: Option<String>,
    pub(super) expected_json: Option<String>,
    pub(super) test: bool,
}

impl Case {
    /// Checks the texts that have no rules of their own.
    pub(super) fn check_short(&self) -> Result<(), Denial> {
        record::check_short(&[
            ("title", &self.title),
            ("category", &self.category),
            ("scope", &self.scope),
            ("status", &self.status),
        ])?;
        let path = self.fixture_path.as_deref().unwrap_or_default();
        limits::check_bytes("path", path, limits::REFERENCE_BYTES)?;
        limits::check_bytes(
            "expected_json",
            self.expected_json.as_deref().unwrap_or_default(),
            limits::BODY_BYTES,
        )
    }
}

/// The content hash of an eval case.
pub(crate) fn case_hash(id: &str, title: &str, summary: &str, body: &str) -> String {
    canonical_json::hash(&json!({"id": id, "title": title, "summary": summary, "body": body}))
}

/// The content hash of an eval run.
pub(crate) fn run_hash(id: &str, summary: &str, body: &str) -> String {
    canonical_json::hash(&json!({"id": id, "summary": summary, "body": body}))
}

/// Warns about words of a case that are in no vocabulary.
pub(super) fn warn(tx: &mut WriteTx<'_>, case: &Case) {
    record::warn_unknown(tx, "category", &case.category, EVAL_CATEGORIES);
    record::warn_status(tx, &case.status, &[]);
    record::warn_scope(tx, &case.scope);
}

/// Adds an eval case; gives its id and content hash.
pub(super) fn store(tx: &mut WriteTx<'_>, case: &Case) -> Result<(String, String), Denial> {
    let (id, now) = (id::new("qe"), tx.now());
    let content_hash = case_hash(&id, &case.title, &case.summary, &case.body);
    tx.insert(
        "eval_cases",
        &[
            ("id", Cell::Text(&id)),
            ("created_at", Cell::Text(&now)),
            ("category", Cell::Text(&case.category)),
            ("scope", Cell::Text(&case.scope)),
            ("status", Cell::Text(&case.status)),
            ("title", Cell::Text(&case.title)),
            ("summary", Cell::Text(&case.summary)),
            ("body", Cell::Text(&case.body)),
            ("fixture_path", (&case.fixture_path).into()),
            ("expected_json", (&case.expected_json).into()),
            ("content_hash", Cell::Text(&content_hash)),
            ("is_test", Cell::from(case.test)),
        ],
    )?;
    Ok((id, content_hash))
}

impl WriteOperation for EvalCaseAdd {
    type Prepared = Case;

    async fn prepare(_context: &Context, params: NewEvalCase) -> Result<Case, Denial> {
        let case = Case {
            title: record::title(params.title)?,
            summary: params.summary.unwrap_or_default(),
            body: params.body.unwrap_or_default(),
            category: record::given_or(params.category, "behavior"),
            scope: record::given_or(params.scope, "project"),
            status: record::given_or(params.status, "active"),
            fixture_path: record::given(params.path),
            expected_json: record::given(params.expected_json),
            test: params.test,
        };
        limits::check_summary(&case.summary)?;
        limits::check_body("body", &case.body)?;
        case.check_short()?;
        Ok(case)
    }

    fn apply(tx: &mut WriteTx<'_>, case: &Case) -> Result<Stored, Denial> {
        warn(tx, case);
        let (id, content_hash) = store(tx, case)?;
        Ok(Stored { status: Status::Ok, id, content_hash })
    }
}

/// An eval run that is ready to be written.
pub struct Run {
    eval_case_id: Option<String>,
    status: String,
    summary: String,
    body: String,
    artifact_ids: Value,
    test: bool,
}

impl WriteOperation for EvalRunAdd {
    type Prepared = Run;

    async fn prepare(_context: &Context, params: NewEvalRun) -> Result<Run, Denial> {
        let (summary, body) = (params.summary.unwrap_or_default(), params.body.unwrap_or_default());
        limits::check_summary(&summary)?;
        limits::check_body("body", &body)?;
        let artifact_ids = super::list("artifact_ids", params.artifact_ids)?;
        let eval_case_id = record::given(params.eval_case_id);
        let status = record::given_or(params.status, "recorded");
        record::check_short(&[
            ("eval_case_id", eval_case_id.as_deref().unwrap_or_default()),
            ("status", &status),
        ])?;
        Ok(Run { eval_case_id, status, summary, body, artifact_ids, test: params.test })
    }

    fn apply(tx: &mut WriteTx<'_>, run: &Run) -> Result<Stored, Denial> {
        let case = run.eval_case_id.as_deref().map(|id| record::resolve(tx, "eval_cases", id)).transpose()?;
        record::warn_status(tx, &run.status, RUN_STATUSES);
        let artifact_ids = super::whole_artifact_ids(tx, &run.artifact_ids)?;
        let (id, now) = (id::new("qr"), tx.now());
        let content_hash = run_hash(&id, &run.summary, &run.body);
        tx.insert(
            "eval_runs",
            &[
                ("id", Cell::Text(&id)),
                ("created_at", Cell::Text(&now)),
                ("eval_case_id", (&case).into()),
                ("status", Cell::Text(&run.status)),
                ("summary", Cell::Text(&run.summary)),
                ("body", Cell::Text(&run.body)),
                ("artifact_ids_json", Cell::Text(&spaced_json::to_string(&artifact_ids))),
                ("content_hash", Cell::Text(&content_hash)),
                ("is_test", Cell::from(run.test)),
            ],
        )?;
        Ok(Stored { status: Status::Ok, id, content_hash })
    }
}
