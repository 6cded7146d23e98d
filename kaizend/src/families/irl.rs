//! Reviews against reality (I): what was decided, what was expected of it, and what came of it.

use std::sync::Arc;

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::irl::{
    IrlCorrectionAdd, IrlCreate, IrlOutcomeAdd, IrlPredictionAdd, IrlReport, NewReviewEvent,
    ReviewEventStored, ReviewReported, ReviewWanted,
};
use kaizen_proto::operation::Status;
use kaizen_proto::{canonical_json, id, limits};
use serde_json::json;

use super::record;
use super::report::selection::Selection;
use crate::care::blocking;
use crate::plane::{Cell, ReadTx, Row, WriteTx};
use crate::registry::{Context, Registry, WriteOperation};
use crate::report::escape::slug;
use crate::report::file::{self, Name, Written};
use crate::report::{Block, Document, Entry, Format, Section, Tags};

/// Events in a report at most.
const MAX_EVENTS: i64 = 10_000;

/// Registers the handlers.
pub fn register(registry: &mut Registry) {
    registry
        .write::<IrlCreate>()
        .write::<IrlPredictionAdd>()
        .write::<IrlCorrectionAdd>()
        .write::<IrlOutcomeAdd>()
        .write::<IrlReport>();
}

/// An event of a review that is ready to be written.
pub struct Draft {
    /// None when a review begins.
    review_id: Option<String>,
    event_type: &'static str,
    decision: String,
    status: String,
    summary: String,
    body: String,
    test: bool,
}

fn draft(params: NewReviewEvent, event_type: &'static str) -> Result<Draft, Denial> {
    let (summary, body) = (params.summary.unwrap_or_default(), params.body.unwrap_or_default());
    limits::check_summary(&summary)?;
    limits::check_body("body", &body)?;
    let review_id = record::given(params.review_id);
    if review_id.is_none() && event_type != "review" {
        return Err(Denial::new(Code::ReviewIdRequired));
    }
    // A denial names the parameter that was given.
    let (named, decision) = match (record::given(params.decision), record::given(params.title)) {
        (Some(decision), _) => ("decision", decision),
        (None, Some(title)) => ("title", title),
        (None, None) => ("decision", event_type.to_owned()),
    };
    let draft = Draft {
        decision,
        status: record::given_or(params.status, "recorded"),
        review_id,
        event_type,
        summary,
        body,
        test: params.test,
    };
    record::check_short(&[
        ("review_id", draft.review_id.as_deref().unwrap_or_default()),
        (named, &draft.decision),
        ("status", &draft.status),
    ])?;
    Ok(draft)
}

/// The content hash of an event of a review.
pub(crate) fn review_hash(id: &str, review_id: &str, event_type: &str, summary: &str, body: &str) -> String {
    canonical_json::hash(&json!({
        "id": id, "review_id": review_id, "event_type": event_type, "summary": summary, "body": body,
    }))
}

fn apply(tx: &mut WriteTx<'_>, draft: &Draft) -> Result<ReviewEventStored, Denial> {
    record::warn_status(tx, &draft.status, &[]);
    let (id, now) = (id::new("irl"), tx.now());
    let review_id = match &draft.review_id {
        None => id.clone(),
        // Whoever begins a review may call it as they like.
        Some(given) if draft.event_type == "review" => given.clone(),
        Some(given) => {
            let sql = "SELECT 1 FROM irl_reviews WHERE review_id = $1 LIMIT 1";
            if tx.query_row(sql, &[Cell::Text(given)])?.is_some() {
                given.clone()
            } else {
                record::soft_reference(tx, "review_id", "irl_reviews", Some(given))?
                    .unwrap_or_else(|| given.clone())
            }
        }
    };
    let content_hash = review_hash(&id, &review_id, draft.event_type, &draft.summary, &draft.body);
    tx.insert(
        "irl_reviews",
        &[
            ("id", Cell::Text(&id)),
            ("created_at", Cell::Text(&now)),
            ("review_id", Cell::Text(&review_id)),
            ("event_type", Cell::Text(draft.event_type)),
            ("status", Cell::Text(&draft.status)),
            ("decision", Cell::Text(&draft.decision)),
            ("summary", Cell::Text(&draft.summary)),
            ("body", Cell::Text(&draft.body)),
            ("content_hash", Cell::Text(&content_hash)),
            ("is_test", Cell::from(draft.test)),
        ],
    )?;
    Ok(ReviewEventStored { status: Status::Ok, id, review_id, event_type: draft.event_type.to_owned() })
}

macro_rules! events {
    ($( $operation:ident $event_type:literal; )+) => { $(
        impl WriteOperation for $operation {
            type Prepared = Draft;

            async fn prepare(_context: &Context, params: NewReviewEvent) -> Result<Draft, Denial> {
                draft(params, $event_type)
            }

            fn apply(tx: &mut WriteTx<'_>, draft: &Draft) -> Result<ReviewEventStored, Denial> {
                apply(tx, draft)
            }
        }
    )+ };
}

events! {
    IrlCreate "review";
    IrlPredictionAdd "prediction";
    IrlCorrectionAdd "user_correction";
    IrlOutcomeAdd "observed_outcome";
}

/// A report whose file is written and whose row is to come.
pub struct Report {
    review_id: String,
    rows: usize,
    file: Arc<Written>,
    test: bool,
}

impl WriteOperation for IrlReport {
    type Prepared = Report;

    async fn prepare(context: &Context, params: ReviewWanted) -> Result<Report, Denial> {
        let given = record::given(params.review_id).or(record::given(params.id));
        let given = given.ok_or_else(|| Denial::new(Code::ReviewIdRequired))?;
        record::check_short(&[("review_id", &given)])?;
        let format = Format::of(params.format.as_deref())?;
        let alone = file::alone().await;
        let plane = context.plane().await?;
        let mut tx = plane.read().await?;
        let review_id = review(&mut tx, given).await?;
        let events =
            Selection::of("irl_reviews", params.include_test).only("t.review_id = ?", Cell::Text(&review_id));
        let columns = "t.id, t.created_at, t.event_type, t.status, t.decision, t.summary";
        let rows = events.ordered(&mut tx, columns, "t.created_at, t.id", MAX_EVENTS).await?;
        let mut document = Document::new(format!("IRL Review {review_id}"));
        document.head = vec![("Rows", rows.len().to_string())];
        let tally = events.tally(&mut tx, &["event_type", "status"]).await?;
        document.facts.extend(tally.facts(&[("By event", "event_type"), ("By status", "status")]));
        if !rows.is_empty() {
            let entries = rows.iter().map(entry).collect();
            document.sections.push(Section::new("Events").with(Block::Records(entries)));
        }
        let extension = format.extension();
        let name = file::fixed_name(
            context,
            &plane,
            &mut tx,
            "irl-review",
            slug(&review_id, "review"),
            &review_id,
            extension,
        )
        .await?;
        drop(tx);
        let contents = blocking(move || document.render(format)).await?;
        let file = file::write(context, &plane, Name::Fixed(name, alone), extension, contents).await?;
        Ok(Report { review_id, rows: rows.len(), file, test: params.test })
    }

    fn file(report: &Report) -> Option<Arc<Written>> {
        Some(report.file.clone())
    }

    fn apply(tx: &mut WriteTx<'_>, report: &Report) -> Result<ReviewReported, Denial> {
        let summary = match report.rows {
            1 => "IRL review of 1 event.".to_owned(),
            rows => format!("IRL review of {rows} events."),
        };
        let report_id = report.file.record(tx, "irl-review", &report.review_id, &summary, report.test)?;
        Ok(ReviewReported {
            status: Status::Ok,
            review_id: report.review_id.clone(),
            path: report.file.path.clone(),
            rows: report.rows,
            sha256: report.file.sha256.clone(),
            report_id,
        })
    }
}

/// The review that a caller means: by its id, a start of it, or the id of one of its events.
async fn review(tx: &mut ReadTx, given: String) -> Result<String, Denial> {
    let sql = "SELECT review_id FROM irl_reviews WHERE review_id = $1 LIMIT 1";
    if tx.query_row(sql, &[Cell::Text(&given)]).await?.is_some() {
        return Ok(given);
    }
    let event = record::soft_read(tx, "irl_reviews", Some(given.clone())).await?.unwrap_or(given);
    let sql = "SELECT review_id FROM irl_reviews WHERE id = $1";
    let found = tx.query_row(sql, &[Cell::Text(&event)]).await?;
    Ok(found.map_or(event, |row| row.text("review_id").to_owned()))
}

fn entry(row: &Row) -> Entry {
    Entry {
        id: row.text("id").to_owned(),
        created_at: row.text("created_at").to_owned(),
        tags: Tags::Joined(vec![row.text("event_type").to_owned(), row.text("status").to_owned()]),
        lead: row.text("decision").to_owned(),
        summary: row.text("summary").to_owned(),
        ..Entry::default()
    }
}
