//! What happened in a period, and what is known about a topic: short tables of the records of other families.

use kaizen_proto::denial::Denial;

use super::super::record::Window;
use super::blockers;
use super::sections::shown;
use super::selection::Selection;
use crate::plane::ReadTx;
use crate::report::{Block, Chart, Inline, Section, Table};

/// Rows of each table.
const ROWS: i64 = 20;
/// Statuses of a task that is over.
const FINISHED: &str = "t.status IN ('done', 'resolved', 'cancelled', 'superseded')";

/// A table of records: its heading, which records, and what of them. The first column is the record itself.
struct Part {
    title: &'static str,
    records: Selection,
    /// The column that names a record, beside its id; empty when there is none.
    named: &'static str,
    columns: &'static [(&'static str, &'static str)],
    /// The column whose time counts, newest first.
    time: &'static str,
}

/// A period in which things happened, as sections and as lines for the table at the top.
pub(super) struct Told {
    pub(super) facts: Vec<(&'static str, Inline)>,
    pub(super) sections: Vec<Section>,
}

const STATUS_AND_SUMMARY: &[(&str, &str)] = &[("Status", "status"), ("Summary", "summary")];

/// What was begun, finished, decided, verified and learned in a window, and what blocks now.
pub(super) async fn of_window(tx: &mut ReadTx, window: &Window, include_test: bool) -> Result<Told, Denial> {
    let all = |table| Selection::of(table, include_test);
    let made = |table| all(table).within("created_at", window);
    let verified = made("verification_events").when("t.conclusion <> 'PROOF_RECORDED'");
    let outcomes = made("verification_events").tally(tx, &["conclusion"]).await?;
    let blocking = all("verification_events")
        .when(format!("t.id IN (SELECT verification_id FROM {})", blockers(include_test, tx.is_small())));
    let conclusion: &[(&str, &str)] =
        &[("Conclusion", "conclusion"), ("Task", "task_id"), ("Summary", "summary")];
    let parts = [
        part("Blocking now", blocking, "", conclusion),
        Part {
            time: "updated_at",
            ..part(
                "Tasks finished",
                all("tasks").when(FINISHED).within("updated_at", window),
                "title",
                STATUS_AND_SUMMARY,
            )
        },
        part("Tasks started", made("tasks"), "title", STATUS_AND_SUMMARY),
        part(
            "Decisions",
            made("irl_reviews"),
            "decision",
            &[("Kind", "event_type"), ("Review", "review_id"), ("Summary", "summary")],
        ),
        part("Verified", verified, "", conclusion),
        part("Learned", made("learned"), "title", &[("Summary", "summary")]),
        part("Lessons noted", made("learning"), "title", STATUS_AND_SUMMARY),
        part("New pitfalls", made("gotcha"), "title", STATUS_AND_SUMMARY),
    ];
    let mut told = tell(tx, &parts).await?;
    if let Some(section) = told.sections.iter_mut().find(|section| section.title == "Verified".into()) {
        section.blocks.insert(0, outcomes_chart(outcomes.by("conclusion")));
    }
    Ok(told)
}

/// The conclusions as a chart.
pub(super) fn outcomes_chart(outcomes: &[(String, i64)]) -> Block {
    Block::Chart(Chart::Pie { title: "Verification outcomes".into(), slices: outcomes.to_vec() })
}

/// What is known about a topic beside the ledger.
pub(super) async fn of_topic(
    tx: &mut ReadTx,
    query: &str,
    window: &Window,
    include_test: bool,
) -> Result<Told, Denial> {
    let found = |table, columns: &[&str]| {
        Selection::of(table, include_test).within("created_at", window).holding(columns, Some(query))
    };
    let texts = ["title", "summary", "body"];
    let parts = [
        part("Pitfalls", found("gotcha", &texts), "title", STATUS_AND_SUMMARY),
        part("Learned", found("learned", &texts), "title", &[("Summary", "summary")]),
        part("Lessons noted", found("learning", &texts), "title", STATUS_AND_SUMMARY),
        part(
            "Verifications",
            found("verification_events", &["summary", "body"]),
            "",
            &[("Conclusion", "conclusion"), ("Task", "task_id"), ("Summary", "summary")],
        ),
        part("Tasks", found("tasks", &texts), "title", STATUS_AND_SUMMARY),
    ];
    tell(tx, &parts).await
}

fn part(
    title: &'static str,
    records: Selection,
    named: &'static str,
    columns: &'static [(&'static str, &'static str)],
) -> Part {
    Part { title, records, named, columns, time: "created_at" }
}

async fn tell(tx: &mut ReadTx, parts: &[Part]) -> Result<Told, Denial> {
    let mut told = Told { facts: Vec::new(), sections: Vec::new() };
    for part in parts {
        let count = part.records.count(tx).await?;
        told.facts.push((part.title, count.to_string().into()));
        if count == 0 {
            continue;
        }
        let name = if part.named.is_empty() { "NULL" } else { part.named };
        let mut select = format!("t.id, {name} AS name");
        for (_, column) in part.columns {
            select.push_str(&format!(", t.{column}"));
        }
        let order = format!("t.{} DESC, t.id DESC", part.time);
        let rows = part.records.ordered(tx, &select, &order, ROWS).await?;
        let mut columns = vec!["Record"];
        columns.extend(part.columns.iter().map(|(name, _)| *name));
        let rows = rows.iter().map(|row| {
            let title = Some(row.text("name").to_owned());
            let mut cells = vec![Inline::new().record(row.text("id"), title)];
            cells.extend(part.columns.iter().map(|(_, column)| {
                let text = shown(row.get(column));
                if *column == "task_id" && !text.is_empty() {
                    Inline::new().record(text, None)
                } else {
                    text.into()
                }
            }));
            cells
        });
        let mut section =
            Section::new(part.title).with(Block::Table(Table { columns, rows: rows.collect() }));
        if count > ROWS {
            section = section.with(Block::Note(format!("The newest {ROWS} of {count}.").into()));
        }
        told.sections.push(section);
    }
    Ok(told)
}
