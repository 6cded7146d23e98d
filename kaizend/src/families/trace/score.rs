//! Scores: T2 and T4.

use kaizen_proto::canonical_json;
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::record::Stored;
use kaizen_proto::families::trace::{
    NewScore, ScoreAdd, ScoreAggregates, ScoreBrief, ScoreGroup, ScoreQuery, Scores, ScoresWanted,
};
use kaizen_proto::operation::Status;
use kaizen_proto::record_schema::types::EvalScore;
use kaizen_proto::record_schema::vocabulary::ScoreDataType;
use kaizen_proto::{id, limits, record_schema};
use serde_json::Value;

use super::super::record::{self, Listing, Window};
use crate::plane::search_index::like_pattern;
use crate::plane::{Cell, ReadTx, WriteTx, value};
use crate::redaction;
use crate::registry::{Context, ReadOperation, WriteOperation};

/// Scores in a list when the caller does not say how many.
const DEFAULT_LIMIT: i64 = 50;
/// Names that are summed up at most.
const MAX_GROUPS: i64 = 1000;

/// A score that is ready to be written.
pub struct Draft {
    score: EvalScore,
    value_num: Option<f64>,
    value_label: Option<String>,
    test: bool,
}

/// A JSON value as a text, in the form that the predecessor stored: Python's.
pub(super) fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => {
            let mut text = String::new();
            write_literal(&mut text, other);
            text
        }
    }
}

fn write_literal(out: &mut String, value: &Value) {
    let list = |out: &mut String, brackets: [char; 2], parts: &mut dyn Iterator<Item = String>| {
        out.push(brackets[0]);
        out.push_str(&parts.collect::<Vec<_>>().join(", "));
        out.push(brackets[1]);
    };
    let literal = |value: &Value| {
        let mut text = String::new();
        write_literal(&mut text, value);
        text
    };
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(_) => canonical_json::write(out, value),
        Value::String(text) => {
            let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
            out.push(quote);
            for character in text.chars() {
                match character {
                    '\n' => out.push_str("\\n"),
                    '\r' => out.push_str("\\r"),
                    '\t' => out.push_str("\\t"),
                    '\\' => out.push_str("\\\\"),
                    own if own == quote => {
                        out.push('\\');
                        out.push(own);
                    }
                    control if control.is_control() => {
                        out.push_str(&format!("\\x{:02x}", u32::from(control)));
                    }
                    other => out.push(other),
                }
            }
            out.push(quote);
        }
        Value::Array(items) => list(out, ['[', ']'], &mut items.iter().map(literal)),
        Value::Object(members) => {
            let mut parts = members
                .iter()
                .map(|(name, value)| format!("{}: {}", literal(&Value::from(name.as_str())), literal(value)));
            list(out, ['{', '}'], &mut parts);
        }
    }
}

/// The number of a numeric score.
fn number(value: &Value) -> Result<f64, Denial> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite()).ok_or_else(|| {
        let shown: String = as_text(value).chars().take(80).collect();
        Denial::new(Code::ScoreValue)
            .with("field", "value")
            .with("value", shown)
            .with("data_type", ScoreDataType::Numeric.text())
    })
}

/// Whether a boolean score is true. The words are exactly these; others are false, and [`is_plain`] tells them.
fn truth(value: &Value) -> bool {
    match value {
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() == Some(1.0),
        Value::String(text) => matches!(text.as_str(), "true" | "True" | "yes"),
        _ => false,
    }
}

/// Whether a boolean score says plainly what it is.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Bool(_) => true,
        Value::Number(number) => matches!(number.as_f64(), Some(0.0 | 1.0)),
        Value::String(text) => {
            matches!(text.as_str(), "true" | "True" | "yes" | "false" | "False" | "no")
        }
        _ => false,
    }
}

impl WriteOperation for ScoreAdd {
    type Prepared = Draft;

    async fn prepare(_context: &Context, params: NewScore) -> Result<Draft, Denial> {
        let payload = super::payload(params.payload_json)?;
        let mut score: EvalScore = record_schema::read(Value::Object(payload))?;
        for parent in [&mut score.trace_event_id, &mut score.eval_run_id, &mut score.verification_id] {
            *parent = record::given(parent.take());
        }
        let (value_num, value_label) = match score.data_type {
            ScoreDataType::Numeric => (Some(number(&score.value)?), None),
            ScoreDataType::Boolean => {
                (Some(f64::from(u8::from(truth(&score.value)))), Some(as_text(&score.value)))
            }
            ScoreDataType::Categorical => (None, Some(as_text(&score.value))),
        };
        let label = value_label.as_deref().unwrap_or_default();
        limits::check_bytes("value", label, limits::SUMMARY_BYTES)?;
        redaction::assert_clean(&[
            ("name", &score.name),
            ("comment", score.comment.as_deref().unwrap_or_default()),
            ("value_label", label),
        ])?;
        Ok(Draft { score, value_num, value_label, test: params.test })
    }

    fn apply(tx: &mut WriteTx<'_>, draft: &Draft) -> Result<Stored, Denial> {
        let score = &draft.score;
        let parent = |tx: &WriteTx<'_>, table: &str, id: &Option<String>| {
            id.as_deref().map(|id| record::resolve(tx, table, id)).transpose()
        };
        let trace_event_id = parent(tx, "trace_events", &score.trace_event_id)?;
        let eval_run_id = parent(tx, "eval_runs", &score.eval_run_id)?;
        let verification_id = parent(tx, "verification_events", &score.verification_id)?;
        if score.data_type == ScoreDataType::Boolean && !is_plain(&score.value) {
            let label: String = draft.value_label.iter().flat_map(|label| label.chars()).take(80).collect();
            tx.warn(format!("value \"{label}\" counts as false; say true or false"));
        }
        let (id, now) = (id::new("es"), tx.now());
        let covered = [
            ("id", Cell::Text(&id)),
            ("trace_event_id", (&trace_event_id).into()),
            ("eval_run_id", (&eval_run_id).into()),
            ("verification_id", (&verification_id).into()),
            ("name", Cell::Text(&score.name)),
            ("value_num", draft.value_num.into()),
            ("value_label", (&draft.value_label).into()),
            ("data_type", Cell::Text(score.data_type.text())),
            ("source", Cell::Text(score.source.text())),
            ("comment", (&score.comment).into()),
        ];
        let content_hash = super::covered_hash(covered.iter().copied());
        let mut row = covered.to_vec();
        row.extend([
            ("created_at", Cell::Text(&now)),
            ("content_hash", Cell::Text(&content_hash)),
            ("is_test", Cell::from(draft.test)),
        ]);
        tx.insert("eval_scores", &row)?;
        Ok(Stored { status: Status::Ok, id, content_hash })
    }
}

/// What the scores of a page come to.
fn aggregates(scores: &[ScoreBrief]) -> ScoreAggregates {
    let numbers: Vec<f64> = scores.iter().filter_map(|score| score.value_num).collect();
    ScoreAggregates {
        count: scores.len(),
        numeric_count: numbers.len(),
        mean: mean(&numbers),
        min: numbers.iter().copied().reduce(f64::min),
        max: numbers.iter().copied().reduce(f64::max),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a page has far fewer rows than a float has integers")]
fn mean(numbers: &[f64]) -> Option<f64> {
    let count = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    match numbers {
        [] => None,
        _ if mean.is_finite() => Some(mean),
        // The sum of very large numbers is not finite, their mean is.
        _ => Some(numbers.iter().map(|number| number / count).sum()),
    }
}

impl ReadOperation for ScoreQuery {
    async fn run(_context: &Context, tx: &mut ReadTx, params: ScoresWanted) -> Result<Scores, Denial> {
        let (query, after) = (record::given(params.query), record::given(params.after));
        let trace = record::soft_read(tx, "trace_events", record::given(params.trace_id)).await?;
        let run = record::soft_read(tx, "eval_runs", record::given(params.id)).await?;
        let listing = Listing {
            table: "eval_scores",
            columns: "t.id, t.created_at, t.trace_event_id, t.eval_run_id, t.verification_id, t.name, t.value_num, \
                      t.value_label, t.data_type, t.source, t.comment",
            searched: &["name"],
            query: query.as_deref(),
            filters: record::filters(&[("trace_event_id", &trace), ("eval_run_id", &run)]),
            limit: record::page_limit(params.limit, DEFAULT_LIMIT),
            after: after.as_deref(),
            window: Window::read(params.since, params.until)?,
        };
        let page = record::page::<ScoreBrief>(tx, &listing).await?;
        let groups = if params.group { Some(groups(tx, &listing).await?) } else { None };
        Ok(Scores {
            status: Status::Ok,
            aggregates: aggregates(&page.records),
            count: page.records.len(),
            records: page.records,
            next: page.next,
            groups,
        })
    }
}

/// Each name over all scores that fit a listing, whatever its page.
async fn groups(tx: &mut ReadTx, listing: &Listing<'_>) -> Result<Vec<ScoreGroup>, Denial> {
    let pattern = listing.query.map(like_pattern);
    let mut parameters: Vec<Cell<'_>> = Vec::new();
    let mut conditions: Vec<String> = Vec::new();
    if let Some(pattern) = &pattern {
        parameters.push(Cell::Text(pattern));
        conditions.push("t.name LIKE $1 ESCAPE '\\'".into());
    }
    for (column, wanted) in &listing.filters {
        parameters.push(Cell::Text(wanted));
        conditions.push(format!("t.\"{column}\" = ${}", parameters.len()));
    }
    listing.window.conditions(&mut conditions, &mut parameters);
    let condition =
        if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
    let sql = format!(
        "SELECT t.name, count(*) AS count, count(t.value_num) AS numeric_count, avg(t.value_num) AS mean, \
         min(t.value_num) AS min, max(t.value_num) AS max FROM eval_scores t {condition} \
         GROUP BY t.name ORDER BY count(*) DESC, t.name LIMIT {MAX_GROUPS}"
    );
    value::decode_all(tx.query(&sql, &parameters).await?)
}
