//! Anti-patterns: Q5 and Q6.

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::quality::{AntiPatternAdd, AntiPatternQuery, NewAntiPattern};
use kaizen_proto::families::record::{QueryRecords, RecordBrief, RecordMatches, Stored};
use kaizen_proto::operation::Status;
use kaizen_proto::{canonical_json, id, limits};
use serde_json::{Map, Value, json};

use super::super::record::{self, Listing, Window};
use crate::plane::{Cell, ReadTx, WriteTx};
use crate::registry::{Context, ReadOperation, WriteOperation};

/// The texts that an anti-pattern must have, in the order in which they are asked for.
pub(crate) const TEXTS: [&str; 8] = [
    "title",
    "symptom",
    "maintainability_harm",
    "trigger_evidence",
    "preferred_correction",
    "valid_exceptions",
    "verification",
    "summary",
];

/// An anti-pattern that is ready to be written.
pub struct Draft {
    texts: [String; TEXTS.len()],
    scope: String,
    status: String,
    test: bool,
}

/// The content hash of an anti-pattern, whose texts come in the order of [`TEXTS`].
pub(crate) fn hash<'a>(id: &str, texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut covered: Map<String, Value> =
        TEXTS.iter().zip(texts).map(|(name, text)| ((*name).to_owned(), Value::from(text))).collect();
    covered.insert("id".into(), Value::from(id));
    canonical_json::hash(&Value::Object(covered))
}

impl WriteOperation for AntiPatternAdd {
    type Prepared = Draft;

    async fn prepare(_context: &Context, params: NewAntiPattern) -> Result<Draft, Denial> {
        let draft = Draft {
            texts: [
                params.title,
                params.symptom,
                params.maintainability_harm,
                params.trigger_evidence,
                params.preferred_correction,
                params.valid_exceptions,
                params.verification,
                params.summary,
            ]
            .map(Option::unwrap_or_default),
            scope: record::given_or(params.scope, "project"),
            status: record::given_or(params.status, "active"),
            test: params.test,
        };
        let texts = || TEXTS.into_iter().zip(&draft.texts);
        let missing: Vec<&str> = texts().filter(|(_, text)| text.is_empty()).map(|(name, _)| name).collect();
        if !missing.is_empty() {
            let flags: Vec<String> =
                missing.iter().map(|name| format!("--{}", name.replace('_', "-"))).collect();
            return Err(Denial::new(Code::RequiredFields)
                .with("fields", json!(missing))
                .action(format!("Give {}.", flags.join(", "))));
        }
        let [others @ .., summary] = &draft.texts;
        limits::check_summary(summary)?;
        TEXTS.into_iter().zip(others).try_for_each(|(name, text)| limits::check_body(name, text))?;
        record::check_short(&[
            ("title", &draft.texts[0]),
            ("scope", &draft.scope),
            ("status", &draft.status),
        ])?;
        Ok(draft)
    }

    fn apply(tx: &mut WriteTx<'_>, draft: &Draft) -> Result<Stored, Denial> {
        record::warn_status(tx, &draft.status, &[]);
        record::warn_scope(tx, &draft.scope);
        let (id, now) = (id::new("ap"), tx.now());
        let content_hash = hash(&id, draft.texts.iter().map(String::as_str));
        let mut row = vec![
            ("id", Cell::Text(&id)),
            ("created_at", Cell::Text(&now)),
            ("scope", Cell::Text(&draft.scope)),
            ("status", Cell::Text(&draft.status)),
        ];
        row.extend(TEXTS.into_iter().zip(draft.texts.iter().map(Cell::from)));
        row.extend([("content_hash", Cell::Text(&content_hash)), ("is_test", Cell::from(draft.test))]);
        tx.insert("anti_patterns", &row)?;
        Ok(Stored { status: Status::Ok, id, content_hash })
    }
}

impl ReadOperation for AntiPatternQuery {
    fn check(params: &QueryRecords) -> Result<(), Denial> {
        record::required_query(params.query.as_ref()).map(drop)
    }

    async fn run(_context: &Context, tx: &mut ReadTx, params: QueryRecords) -> Result<RecordMatches, Denial> {
        let query = record::required_query(params.query.as_ref())?;
        let (after, status) = (record::given(params.after), record::given(params.status));
        let listing = Listing {
            table: "anti_patterns",
            columns: "t.id, t.status, t.scope, t.title, t.summary, t.created_at",
            searched: &["title", "summary", "symptom", "trigger_evidence"],
            query: Some(query),
            filters: record::filters(&[("status", &status)]),
            limit: record::page_limit(params.limit, record::DEFAULT_LIMIT),
            after: after.as_deref(),
            window: Window::read(params.since, params.until)?,
        };
        let page = record::page::<RecordBrief>(tx, &listing).await?;
        Ok(RecordMatches {
            status: Status::Ok,
            count: page.records.len(),
            records: page.records,
            query: query.to_owned(),
            next: page.next,
        })
    }
}
