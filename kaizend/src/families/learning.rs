//! Learnings and what was learned (L): validated lessons, and lessons that changed behaviour.

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::learning::{
    Learned, LearnedContext, LearnedInspect, LearnedList, LearnedQuery, Learning, LearningAdd,
    LearningInspect, LearningList, LearningQuery, Lesson, LessonChain, LessonStep, Lessons, LessonsWanted,
    Promote, PromoteGotcha, PromoteLearning, PromotedGotcha, PromotedLearning,
};
use kaizen_proto::families::record::{
    InspectRecord, Inspected, ListRecords, NewRecord, QueryRecords, RecordList, RecordMatches, Recorded,
};
use kaizen_proto::operation::Status;
use serde::{Deserialize, Serialize};

use super::gotcha::GOTCHA;
use super::record::{self, Draft, Kind, Listing, Revision, Window};
use crate::plane::{Cell, ReadTx, WriteTx};
use crate::registry::{Context, ReadOperation, Registry, WriteOperation};

/// Lessons in a reply of L10 when the caller does not say how many.
const DEFAULT_LESSONS: i64 = 10;

/// Learnings.
pub const LEARNING: Kind = Kind {
    table: "learning",
    revisions: "learning_revision",
    parent: "learning_id",
    prefix: "l",
    revision_prefix: "lr",
    statuses: &[],
};

/// Learned lessons.
pub const LEARNED: Kind = Kind {
    table: "learned",
    revisions: "learned_revision",
    parent: "learned_id",
    prefix: "ld",
    revision_prefix: "ldr",
    statuses: &[],
};

/// Registers the handlers.
pub fn register(registry: &mut Registry) {
    registry
        .write::<LearningAdd>()
        .write::<PromoteGotcha>()
        .write::<PromoteLearning>()
        .read::<LearningList>()
        .read::<LearningQuery>()
        .read::<LearningInspect>()
        .read::<LearnedList>()
        .read::<LearnedQuery>()
        .read::<LearnedInspect>()
        .read::<LearnedContext>();
}

impl WriteOperation for LearningAdd {
    type Prepared = Draft;

    async fn prepare(_context: &Context, params: NewRecord) -> Result<Draft, Denial> {
        record::draft(params)
    }

    fn apply(tx: &mut WriteTx<'_>, draft: &Draft) -> Result<Recorded, Denial> {
        record::add_with_ledger(tx, LEARNING, "L1", draft)
    }
}

/// A step of the ladder: from which kind to which, and how the new record names its source.
struct Step {
    operation: &'static str,
    from: Kind,
    to: Kind,
    source_column: &'static str,
}

const TO_LEARNING: Step =
    Step { operation: "L2", from: GOTCHA, to: LEARNING, source_column: "source_gotcha_id" };
const TO_LEARNED: Step =
    Step { operation: "L3", from: LEARNING, to: LEARNED, source_column: "source_learning_id" };

fn check_promotion(params: &Promote) -> Result<(), Denial> {
    let id = record::required_id(params.id.as_ref())?;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    record::check_short(&[
        ("id", id),
        ("status", &text(&params.status)),
        ("task_id", &text(&params.task_id)),
        ("writer_role", &text(&params.writer_role)),
    ])
}

/// Adds the new record, marks its source as promoted and writes the ledger event, all or nothing. `reply` makes the
/// operation's own reply, which the ledger event keeps.
fn promote<R: Serialize>(
    tx: &mut WriteTx<'_>,
    step: &Step,
    params: &Promote,
    reply: impl FnOnce(Recorded) -> R,
) -> Result<R, Denial> {
    let id = record::resolve(tx, step.from.table, record::required_id(params.id.as_ref())?)?;
    let existing = format!("SELECT id FROM {} WHERE {} = $1 LIMIT 1", step.to.table, step.source_column);
    if let Some(existing) = tx.query_row(&existing, &[Cell::Text(&id)])? {
        return Err(Denial::new(Code::AlreadyPromoted)
            .with("id", id.as_str())
            .with("promoted_id", existing.text("id"))
            .with("table", step.to.table)
            .message(format!("{id} was promoted to {} already", existing.text("id"))));
    }
    let sql = format!("SELECT scope, status, title, summary, body FROM {} WHERE id = $1", step.from.table);
    let source = tx
        .query_row(&sql, &[Cell::Text(&id)])?
        .ok_or_else(|| Denial::record_not_found(&id, step.from.table))?;
    let given_status = record::given(params.status.clone());
    let draft = Draft {
        title: source.text("title").to_owned(),
        summary: source.text("summary").to_owned(),
        body: source.text("body").to_owned(),
        scope: source.text("scope").to_owned(),
        status: given_status.clone().unwrap_or_else(|| "active".into()),
        given_status,
        writer_role: record::given_or(params.writer_role.clone(), "agent"),
        task_id: record::given(params.task_id.clone()),
        test: params.test,
    };
    let task_id = record::soft_task(tx, draft.task_id.as_deref())?;
    tx.about_task(task_id.as_deref());
    let source_link = Some((step.source_column, id.as_str()));
    let recorded = record::add(tx, step.to, step.operation, &draft, task_id.as_deref(), source_link)?;
    let new_id = recorded.id.clone();
    let promoted = Revision { status: Some("promoted".into()), ..Revision::default() };
    record::revise(tx, step.from, step.operation, &id, &promoted)?;
    let reply = reply(recorded);
    let event = record::LedgerEvent {
        task_id: task_id.as_deref(),
        scope: Some(&draft.scope),
        status: draft.given_status.as_deref(),
        summary: Some(&draft.summary),
        writer_role: &draft.writer_role,
        test: draft.test,
    };
    record::ledger(tx, step.operation, &new_id, &reply, event)?;
    Ok(reply)
}

impl WriteOperation for PromoteGotcha {
    type Prepared = Promote;

    async fn prepare(_context: &Context, params: Promote) -> Result<Promote, Denial> {
        check_promotion(&params)?;
        Ok(params)
    }

    fn apply(tx: &mut WriteTx<'_>, params: &Promote) -> Result<PromotedGotcha, Denial> {
        promote(tx, &TO_LEARNING, params, |new| PromotedGotcha {
            status: Status::Ok,
            id: new.id,
            revision_id: new.revision_id,
            content_hash: new.content_hash,
            source_gotcha_status: "promoted".into(),
        })
    }
}

impl WriteOperation for PromoteLearning {
    type Prepared = Promote;

    async fn prepare(_context: &Context, params: Promote) -> Result<Promote, Denial> {
        check_promotion(&params)?;
        Ok(params)
    }

    fn apply(tx: &mut WriteTx<'_>, params: &Promote) -> Result<PromotedLearning, Denial> {
        promote(tx, &TO_LEARNED, params, |new| PromotedLearning {
            status: Status::Ok,
            id: new.id,
            revision_id: new.revision_id,
            content_hash: new.content_hash,
            source_learning_status: "promoted".into(),
        })
    }
}

impl ReadOperation for LearningList {
    async fn run(_context: &Context, tx: &mut ReadTx, params: ListRecords) -> Result<RecordList, Denial> {
        record::list(tx, LEARNING, params).await
    }
}

impl ReadOperation for LearningQuery {
    fn check(params: &QueryRecords) -> Result<(), Denial> {
        record::required_query(params.query.as_ref()).map(drop)
    }

    async fn run(_context: &Context, tx: &mut ReadTx, params: QueryRecords) -> Result<RecordMatches, Denial> {
        record::find(tx, LEARNING, params).await
    }
}

impl ReadOperation for LearningInspect {
    fn check(params: &InspectRecord) -> Result<(), Denial> {
        record::required_id(params.id.as_ref()).map(drop)
    }

    async fn run(
        _context: &Context,
        tx: &mut ReadTx,
        params: InspectRecord,
    ) -> Result<Inspected<Learning>, Denial> {
        record::inspect(tx, LEARNING.table, params.id.as_ref()).await
    }
}

impl ReadOperation for LearnedList {
    async fn run(_context: &Context, tx: &mut ReadTx, params: ListRecords) -> Result<RecordList, Denial> {
        record::list(tx, LEARNED, params).await
    }
}

impl ReadOperation for LearnedQuery {
    fn check(params: &QueryRecords) -> Result<(), Denial> {
        record::required_query(params.query.as_ref()).map(drop)
    }

    async fn run(_context: &Context, tx: &mut ReadTx, params: QueryRecords) -> Result<RecordMatches, Denial> {
        record::find(tx, LEARNED, params).await
    }
}

impl ReadOperation for LearnedInspect {
    fn check(params: &InspectRecord) -> Result<(), Denial> {
        record::required_id(params.id.as_ref()).map(drop)
    }

    async fn run(
        _context: &Context,
        tx: &mut ReadTx,
        params: InspectRecord,
    ) -> Result<Inspected<Learned>, Denial> {
        record::inspect(tx, LEARNED.table, params.id.as_ref()).await
    }
}

/// A lesson with its sources, as one query reads it.
#[derive(Deserialize)]
struct LessonRow {
    id: String,
    title: String,
    summary: String,
    created_at: String,
    learning_id: Option<String>,
    learning_title: Option<String>,
    learning_summary: Option<String>,
    gotcha_id: Option<String>,
    gotcha_title: Option<String>,
    gotcha_summary: Option<String>,
}

const LESSON: &str = "t.id, t.title, t.summary, t.created_at, \
    (SELECT l.id FROM learning l WHERE l.id = t.source_learning_id) AS learning_id, \
    (SELECT l.title FROM learning l WHERE l.id = t.source_learning_id) AS learning_title, \
    (SELECT l.summary FROM learning l WHERE l.id = t.source_learning_id) AS learning_summary, \
    (SELECT g.id FROM gotcha g JOIN learning l ON g.id = l.source_gotcha_id WHERE l.id = t.source_learning_id) AS gotcha_id, \
    (SELECT g.title FROM gotcha g JOIN learning l ON g.id = l.source_gotcha_id WHERE l.id = t.source_learning_id) AS gotcha_title, \
    (SELECT g.summary FROM gotcha g JOIN learning l ON g.id = l.source_gotcha_id WHERE l.id = t.source_learning_id) AS gotcha_summary";

impl From<LessonRow> for Lesson {
    fn from(row: LessonRow) -> Self {
        let step = |id: Option<String>, title: Option<String>, summary: Option<String>| {
            Some(LessonStep { id: id?, title: title?, summary: summary? })
        };
        let learning = step(row.learning_id, row.learning_title, row.learning_summary);
        let gotcha = step(row.gotcha_id, row.gotcha_title, row.gotcha_summary);
        let mut narrative = String::new();
        if let Some(gotcha) = &gotcha {
            narrative.push_str(&format!("GOTCHA: {} -> ", gotcha.summary));
        }
        if let Some(learning) = &learning {
            narrative.push_str(&format!("LEARNING: {} -> ", learning.summary));
        }
        narrative.push_str(&format!("LEARNED: {}", row.summary));
        Lesson {
            id: row.id,
            title: row.title,
            summary: row.summary,
            created_at: row.created_at,
            chain: LessonChain { learning, gotcha },
            narrative,
        }
    }
}

impl ReadOperation for LearnedContext {
    async fn run(_context: &Context, tx: &mut ReadTx, params: LessonsWanted) -> Result<Lessons, Denial> {
        let (query, after) = (record::given(params.query), record::given(params.after));
        let status = record::given(params.status);
        let listing = Listing {
            table: LEARNED.table,
            columns: LESSON,
            searched: &["title", "summary", "body"],
            query: query.as_deref(),
            filters: record::filters(&[("status", &status)]),
            limit: record::page_limit(params.limit, DEFAULT_LESSONS),
            after: after.as_deref(),
            window: Window::read(params.since, params.until)?,
        };
        let page = record::page::<LessonRow>(tx, &listing).await?;
        let records: Vec<Lesson> = page.records.into_iter().map(Lesson::from).collect();
        Ok(Lessons { status: Status::Ok, count: records.len(), records, next: page.next })
    }
}
