//! R1 to R11: reports that are written as files and recorded.

use std::collections::BTreeSet;
use std::sync::Arc;

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::report::{
    AntiPatternReport, EvalReport, LearningReport, LedgerReport, MonthlyReport, ProofReport, ReportWanted,
    ReportWritten, SourceReport, TaskReport, TopicReport, WeeklyReport, YearlyReport,
};
use kaizen_proto::limits;
use kaizen_proto::operation::Status;
use kaizen_proto::time::Timestamp;

use super::super::record::{self, Window};
use super::selection::Selection;
use super::{blockers, period, sections};
use crate::plane::{Cell, ReadTx, WriteTx};
use crate::registry::{Context, Registry, WriteOperation};
use crate::report::file::{self, Name, Written};
use crate::report::{Block, Document, Format, Section};

/// Records in a report when the caller does not say how many.
const DEFAULT_LIMIT: i64 = 50;
/// Records in a report at most, whatever is asked for: nobody reads more, and the document is made in memory.
const MAX_ROWS: i64 = 10_000;

/// How the records of a report are grouped.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Status,
    DayAndTask,
    Conclusion,
    Category,
    Tier,
    Scope,
}

/// What one of the reports is about.
pub(super) struct Kind {
    code: &'static str,
    report_type: &'static str,
    heading: &'static str,
    pub(super) table: &'static str,
    /// One and several of its records.
    units: [&'static str; 2],
    /// Columns that each line shows in brackets.
    pub(super) extras: &'static [&'static str],
    /// Columns that the groups and the remarks need beside them.
    more: &'static [&'static str],
    /// Columns that are counted for the table at the top, and what it calls them.
    counted: &'static [(&'static str, &'static str)],
    pub(super) order: Order,
    /// Days back from the end, for the reports on a period.
    days: Option<i64>,
}

const LEDGER: Kind = Kind {
    code: "R2",
    report_type: "ledger",
    heading: "Ledger Report",
    table: "ledger_events",
    units: ["ledger event", "ledger events"],
    extras: &["task_id", "status"],
    more: &["title", "scope", "source_command"],
    counted: &[("By status", "status"), ("By operation", "source_command"), ("By scope", "scope")],
    order: Order::DayAndTask,
    days: None,
};
const TASKS: Kind = Kind {
    code: "R1",
    report_type: "task",
    heading: "Task Report",
    table: "tasks",
    units: ["task", "tasks"],
    extras: &["status"],
    more: &["title", "scope"],
    counted: &[("By status", "status"), ("By scope", "scope")],
    order: Order::Status,
    days: None,
};
const LESSONS: Kind = Kind {
    code: "R3",
    report_type: "learning",
    heading: "Learning Report",
    table: "learning",
    units: ["learning", "learnings"],
    more: &["title", "scope", "source_gotcha_id"],
    ..TASKS
};
const PROOFS: Kind = Kind {
    code: "R4",
    report_type: "proof",
    heading: "Proof Report",
    table: "verification_events",
    units: ["proof or verification", "proofs and verifications"],
    extras: &["conclusion", "severity", "actionability", "task_id"],
    more: &["proof_id", "scope_label"],
    counted: &[("By conclusion", "conclusion"), ("By severity", "severity")],
    order: Order::Conclusion,
    days: None,
};
const CASES: Kind = Kind {
    code: "R5",
    report_type: "eval",
    heading: "Eval Report",
    table: "eval_cases",
    units: ["eval case", "eval cases"],
    extras: &["category", "status"],
    more: &["title", "scope"],
    counted: &[("By category", "category"), ("By status", "status")],
    order: Order::Category,
    days: None,
};
const SOURCES: Kind = Kind {
    code: "R6",
    report_type: "source",
    heading: "Source Report",
    table: "source_locks",
    units: ["source lock", "source locks"],
    extras: &["authority_tier"],
    more: &["source_id", "url_or_repository", "version_or_commit", "license", "supersedes"],
    counted: &[("By authority", "authority_tier"), ("By licence", "license")],
    order: Order::Tier,
    days: None,
};
const ANTI_PATTERNS: Kind = Kind {
    code: "R7",
    report_type: "anti-pattern",
    heading: "Anti-Pattern Report",
    table: "anti_patterns",
    units: ["anti-pattern", "anti-patterns"],
    order: Order::Scope,
    ..TASKS
};
const WEEK: Kind =
    Kind { code: "R8", report_type: "weekly", heading: "Weekly Report", days: Some(7), ..LEDGER };
const MONTH: Kind =
    Kind { code: "R9", report_type: "monthly", heading: "Monthly Report", days: Some(30), ..LEDGER };
const YEAR: Kind =
    Kind { code: "R10", report_type: "yearly", heading: "Yearly Report", days: Some(365), ..LEDGER };
const TOPIC: Kind = Kind { code: "R11", report_type: "topic", heading: "Topic Report", ..LEDGER };

/// A report whose file is written and whose row is to come.
pub struct Draft {
    kind: &'static Kind,
    file: Arc<Written>,
    rows: usize,
    scope: String,
    test: bool,
}

macro_rules! reports {
    ($( $operation:ident $kind:ident; )+) => {
        /// Registers the reports.
        pub(super) fn register(registry: &mut Registry) {
            registry$( .write::<$operation>() )+;
        }

        $( impl WriteOperation for $operation {
            type Prepared = Draft;

            async fn prepare(context: &Context, params: ReportWanted) -> Result<Draft, Denial> {
                prepare(context, &$kind, params).await
            }

            fn file(draft: &Draft) -> Option<Arc<Written>> {
                Some(draft.file.clone())
            }

            fn apply(tx: &mut WriteTx<'_>, draft: &Draft) -> Result<ReportWritten, Denial> {
                apply(tx, draft)
            }
        } )+
    };
}

reports! {
    TaskReport TASKS;
    LedgerReport LEDGER;
    LearningReport LESSONS;
    ProofReport PROOFS;
    EvalReport CASES;
    SourceReport SOURCES;
    AntiPatternReport ANTI_PATTERNS;
    WeeklyReport WEEK;
    MonthlyReport MONTH;
    YearlyReport YEAR;
    TopicReport TOPIC;
}

/// Refuses filters that the report does not have.
fn check(kind: &Kind, params: &ReportWanted) -> Result<(), Denial> {
    let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    if kind.code == TOPIC.code {
        record::required_query(params.query.as_ref())?;
    }
    let is_proofs = kind.code == PROOFS.code;
    let by_task = is_proofs || kind.code == TASKS.code || (kind.table == LEDGER.table && kind.days.is_none());
    for (flag, value, known) in [
        ("--severity", &params.severity, is_proofs),
        ("--actionability", &params.actionability, is_proofs),
        ("--task-id", &params.task_id, by_task),
        ("--since", &params.since, kind.days.is_none()),
    ] {
        if given(value) && !known {
            return Err(Denial::new(Code::FilterUnsupported).with("flag", flag).with("report", kind.code));
        }
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    limits::check_bytes("query", &text(&params.query), limits::SUMMARY_BYTES)?;
    record::check_short(&[
        ("scope", &text(&params.scope)),
        ("task_id", &text(&params.task_id)),
        ("severity", &text(&params.severity)),
        ("actionability", &text(&params.actionability)),
    ])
}

async fn prepare(context: &Context, kind: &'static Kind, params: ReportWanted) -> Result<Draft, Denial> {
    check(kind, &params)?;
    let format = Format::of(params.format.as_deref())?;
    let mut window = Window::read(params.since.clone(), params.until.clone())?;
    let now = Timestamp::now();
    if let Some(days) = kind.days {
        let end = window.until.as_deref().and_then(Timestamp::parse).unwrap_or(now);
        window.since = Some(end.minus_days(days).to_string());
    }
    let plane = context.plane().await?;
    let mut tx = plane.read().await?;
    let (document, rows) = document(&mut tx, kind, &params, &window, now).await?;
    drop(tx);
    let contents = crate::care::blocking(move || document.render(format)).await?;
    let name = Name::Stamped { report_type: kind.report_type, at: now };
    let file = file::write(context, &plane, name, format.extension(), contents).await?;
    Ok(Draft { kind, file, rows, scope: record::given_or(params.scope, "project"), test: params.test })
}

fn apply(tx: &mut WriteTx<'_>, draft: &Draft) -> Result<ReportWritten, Denial> {
    record::warn_scope(tx, &draft.scope);
    let rows = draft.rows;
    let summary = format!("{} of {rows} {}.", draft.kind.heading, draft.kind.units[usize::from(rows != 1)]);
    let id = draft.file.record(tx, draft.kind.report_type, &draft.scope, &summary, draft.test)?;
    let columns = ["id", "created_at"].iter().chain(draft.kind.extras).chain(&["summary"]);
    Ok(ReportWritten {
        status: Status::Ok,
        id,
        path: draft.file.path.clone(),
        rows,
        columns: columns.map(|column| (*column).to_owned()).collect(),
        sha256: draft.file.sha256.clone(),
    })
}

/// The document, and how many records it lists.
async fn document(
    tx: &mut ReadTx,
    kind: &Kind,
    params: &ReportWanted,
    window: &Window,
    now: Timestamp,
) -> Result<(Document, usize), Denial> {
    let query = record::given(params.query.clone());
    let task = record::soft_read(tx, "tasks", record::given(params.task_id.clone())).await?;
    let searched: &[&str] = if kind.code == ANTI_PATTERNS.code { &["summary"] } else { &["summary", "body"] };
    let mut records = Selection::of(kind.table, params.include_test)
        .within("created_at", window)
        .holding(searched, query.as_deref());
    if let Some(task) = &task {
        let column = if kind.code == TASKS.code { "t.id = ?" } else { "t.task_id = ?" };
        records = records.only(column, Cell::Text(task));
    }
    let mut document = Document::new(kind.heading);
    for (name, column, value) in [
        ("Severity", "severity", record::given(params.severity.clone())),
        ("Actionability", "actionability", record::given(params.actionability.clone())),
    ] {
        if let Some(value) = value {
            records = records.only(&format!("t.{column} = ?"), Cell::Text(&value));
            document.facts.push((name, value.into()));
        }
    }
    let limit = record::page_limit(params.limit, DEFAULT_LIMIT);
    let limit = if limit < 0 { MAX_ROWS } else { limit.min(MAX_ROWS) };
    let mut columns = vec!["id", "created_at", "summary"];
    columns.extend(kind.extras.iter().chain(kind.more));
    let columns: Vec<String> = columns.iter().map(|column| format!("t.{column}")).collect();
    let rows = records.rows(tx, &columns.join(", "), limit).await?;
    let counted: Vec<&'static str> = kind.counted.iter().map(|(_, column)| *column).collect();
    let tally = records.tally(tx, &counted).await?;
    let found = tally.span.rows;

    document.head = vec![("Generated", now.to_string()), ("Rows", rows.len().to_string())];
    if let Some(days) = kind.days {
        let end = record::given(params.until.clone()).unwrap_or_else(|| "this report".into());
        document.facts.push(("Period", format!("the {days} days before {end}").into()));
    } else {
        let ends = [("Since", &params.since), ("Until", &params.until)];
        for (name, end) in ends {
            document.facts.extend(record::given(end.clone()).map(|end| (name, end.into())));
        }
    }
    document.facts.extend(query.clone().map(|query| ("About", query.into())));
    document.facts.extend(task.map(|task| ("Task", crate::report::Inline::new().code(task))));
    let told = match (&query, kind.days) {
        (_, Some(_)) => Some(period::of_window(tx, window, params.include_test).await?),
        (Some(query), None) if kind.code == TOPIC.code => {
            Some(period::of_topic(tx, query, window, params.include_test).await?)
        }
        _ => None,
    };
    if let Some(told) = told {
        document.facts.extend(told.facts);
        document.sections.extend(told.sections);
    }
    document.facts.push(("Found", format!("{found} {}", kind.units[usize::from(found != 1)]).into()));
    document.facts.extend(tally.facts(kind.counted));
    let mut blocking = BTreeSet::new();
    if kind.code == PROOFS.code {
        let open = records.clone().when(format!(
            "t.id IN (SELECT verification_id FROM {})",
            blockers(params.include_test, tx.is_small())
        ));
        let open = open.rows(tx, "t.id", MAX_ROWS).await?;
        document.facts.push(("Still blocking", open.len().to_string().into()));
        blocking = open.iter().map(|row| row.text("id").to_owned()).collect();
        if found > 0 {
            let outcomes = period::outcomes_chart(tally.by("conclusion"));
            document.sections.push(Section::new("Outcomes").with(outcomes));
        }
    }
    if kind.table == LEDGER.table && found > 0 {
        let chart = tally.activity("Ledger events", "events");
        document.sections.push(Section::new("Activity").with(Block::Chart(chart)));
    }
    document.sections.extend(sections::of(tx, kind, &rows, &blocking).await?);
    let listed = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    if found > listed {
        let note = format!(
            "Listed are the newest {listed} of {found} {}. --limit lists more of them, up to {MAX_ROWS}; --until \
             lists older ones.",
            kind.units[1]
        );
        document.sections.push(Section::new("Not listed").with(Block::Note(note.into())));
    }
    Ok((document, rows.len()))
}
