//! Traces (T): events here; in its parts scores and the report.

mod report;
pub(crate) mod score;

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::record::Stored;
use kaizen_proto::families::trace::{NewTraceEvent, ScoreAdd, ScoreQuery, TraceAdd, TraceReport};
use kaizen_proto::operation::Status;
use kaizen_proto::record_schema::types::TraceEvent;
use kaizen_proto::record_schema::vocabulary::TraceLevel;
use kaizen_proto::{canonical_json, id, record_schema, spaced_json};
use serde_json::{Map, Value};

use super::record;
use crate::plane::value::Row;
use crate::plane::{Cell, WriteTx};
use crate::redaction;
use crate::registry::{Context, Registry, WriteOperation};

/// Statuses of trace events beside the common ones.
const STATUSES: &[&str] = &["ok", "error", "running", "completed", "failed", "cancelled"];

/// Registers the handlers.
pub fn register(registry: &mut Registry) {
    registry.write::<TraceAdd>().write::<ScoreAdd>().write::<TraceReport>().read::<ScoreQuery>();
}

/// The payload that a caller gave; nothing is an empty object.
fn payload(text: Option<String>) -> Result<Map<String, Value>, Denial> {
    let text = record::given_or(text, "{}");
    match record::parse_json("payload_json", &text)? {
        Value::Object(payload) => Ok(payload),
        _ => Err(Denial::new(Code::PayloadType).message("the payload is JSON, but not an object")),
    }
}

/// A trace event that is ready to be written.
pub struct Draft {
    event: TraceEvent,
    test: bool,
}

impl WriteOperation for TraceAdd {
    type Prepared = Draft;

    async fn prepare(_context: &Context, params: NewTraceEvent) -> Result<Draft, Denial> {
        let mut payload = payload(params.payload_json)?;
        for (name, flag) in
            [("kind", params.kind), ("task_id", params.task_id), ("trace_id", params.trace_id)]
        {
            if let Some(flag) = record::given(flag)
                && payload.get(name).is_none_or(Value::is_null)
            {
                payload.insert(name.into(), flag.into());
            }
        }
        for (name, flag) in [("summary", params.summary), ("body", params.body)] {
            if let Some(flag) = flag {
                payload.insert(name.into(), flag.into());
            }
        }
        let mut event: TraceEvent = record_schema::read(Value::Object(payload))?;
        check_clean(&event)?;
        for reference in [&mut event.task_id, &mut event.trace_id, &mut event.parent_event_id] {
            *reference = record::given(reference.take());
        }
        Ok(Draft { event, test: params.test })
    }

    fn apply(tx: &mut WriteTx<'_>, draft: &Draft) -> Result<Stored, Denial> {
        let event = &draft.event;
        let status = event.status.as_deref().filter(|status| !status.is_empty()).unwrap_or("recorded");
        record::warn_status(tx, status, STATUSES);
        let task_id = record::soft_task(tx, event.task_id.as_deref())?;
        tx.about_task(task_id.as_deref());
        let parent =
            record::soft_reference(tx, "parent_event_id", "trace_events", event.parent_event_id.as_deref())?;
        let (id, now) = (id::new("te"), tx.now());
        let tags = spaced_json::to_string(event.tags.as_deref().unwrap_or_default());
        let covered = [
            ("id", Cell::Text(&id)),
            ("task_id", (&task_id).into()),
            ("trace_id", (&event.trace_id).into()),
            ("parent_event_id", (&parent).into()),
            ("kind", Cell::Text(event.kind.text())),
            ("name", (&event.name).into()),
            ("level", Cell::Text(event.level.unwrap_or(TraceLevel::Default).text())),
            ("environment", (&event.environment).into()),
            ("session_id", (&event.session_id).into()),
            ("status", Cell::Text(status)),
            ("status_message", (&event.status_message).into()),
            ("model", (&event.model).into()),
            ("provider", (&event.provider).into()),
            ("prompt_tokens", event.prompt_tokens.into()),
            ("completion_tokens", event.completion_tokens.into()),
            ("total_tokens", event.total_tokens.into()),
            ("cost", event.cost.into()),
            ("latency_ms", event.latency_ms.into()),
            ("tags_json", Cell::Text(&tags)),
            ("input_ref", (&event.input_ref).into()),
            ("output_ref", (&event.output_ref).into()),
            ("summary", Cell::Text(&event.summary)),
            ("body", Cell::Text(event.body.as_deref().unwrap_or_default())),
        ];
        let content_hash = covered_hash(covered.iter().copied());
        let mut row = covered.to_vec();
        row.extend([
            ("created_at", Cell::Text(&now)),
            ("redaction_status", Cell::Text("scanned_clean")),
            ("content_hash", Cell::Text(&content_hash)),
            ("is_test", Cell::from(draft.test)),
        ]);
        tx.insert("trace_events", &row)?;
        Ok(Stored { status: Status::Ok, id, content_hash })
    }
}

/// Passes every text of an event to the scanner.
fn check_clean(event: &TraceEvent) -> Result<(), Denial> {
    let text = |text: &'_ Option<String>| text.clone().unwrap_or_default();
    let tags: Vec<String> = event.tags.iter().flatten().map(score::as_text).collect();
    redaction::assert_clean(&[
        ("summary", &event.summary),
        ("body", &text(&event.body)),
        ("name", &text(&event.name)),
        ("status_message", &text(&event.status_message)),
        ("input_ref", &text(&event.input_ref)),
        ("output_ref", &text(&event.output_ref)),
        ("environment", &text(&event.environment)),
        ("session_id", &text(&event.session_id)),
        ("tags", &tags.join(" ")),
        ("status", &text(&event.status)),
        ("model", &text(&event.model)),
        ("provider", &text(&event.provider)),
        ("trace_id", &text(&event.trace_id)),
        ("task_id", &text(&event.task_id)),
        ("parent_event_id", &text(&event.parent_event_id)),
    ])
}

/// What no content hash of a row covers.
const UNCOVERED: &[&str] = &["created_at", "redaction_status", "content_hash", "is_test"];

/// The content hash of the columns of a trace event or a score that have a value.
fn covered_hash<'a>(columns: impl Iterator<Item = (&'a str, Cell<'a>)>) -> String {
    let covered: Map<String, Value> = columns
        .filter(|(name, cell)| *cell != Cell::Null && !UNCOVERED.contains(name))
        .map(|(name, cell)| (name.to_owned(), Value::from(crate::plane::value::OwnedCell::from(cell))))
        .collect();
    canonical_json::hash(&Value::Object(covered))
}

/// The content hash that a stored trace event or score should have.
pub(crate) fn stored_hash(row: &Row) -> String {
    covered_hash(row.columns.iter().map(String::as_str).zip(row.cells.iter().map(|cell| cell.as_cell())))
}
