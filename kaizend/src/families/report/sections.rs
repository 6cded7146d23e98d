//! The records of a report as lines, in the groups that a reader looks for.

use std::collections::{BTreeMap, BTreeSet};

use kaizen_proto::denial::Denial;
use kaizen_proto::families::quality::BLOCKING;
use kaizen_proto::record_schema::vocabulary::AuthorityTier;

use super::selection::titles;
use super::written::{Kind, Order};
use crate::plane::{Cell, ReadTx, Row};
use crate::report::{Block, Entry, Inline, Section, Tags};

/// Statuses in the order in which they matter to a reader; others come after them, by name.
const STATUSES: &[&str] = &[
    "active",
    "in_progress",
    "blocked",
    "draft",
    "proposed",
    "recorded",
    "noted",
    "accepted",
    "promoted",
    "done",
    "resolved",
    "superseded",
    "cancelled",
    "rejected",
    "retired",
];
/// Conclusions in the same way.
const CONCLUSIONS: &[&str] = &[
    BLOCKING[0],
    BLOCKING[1],
    BLOCKING[2],
    "ACCEPTABLE_WITH_CONCERNS",
    "VERIFIED_ACCEPTABLE",
    "PROOF_RECORDED",
];
/// Tiers of authority, the highest first.
const TIERS: &[&str] = AuthorityTier::WORDS;

/// What the lines of a report refer to.
struct Context {
    tasks: BTreeMap<String, (String, String)>,
    gotchas: BTreeMap<String, (String, String)>,
    /// What a learning became, by the learning's id.
    learned: BTreeMap<String, (String, String)>,
}

/// The records, grouped as their kind wants it. `blocking` are the ids of verifications that block now.
pub(super) async fn of(
    tx: &mut ReadTx,
    kind: &Kind,
    rows: &[Row],
    blocking: &BTreeSet<String>,
) -> Result<Vec<Section>, Denial> {
    let ids = |column: &'static str| rows.iter().map(move |row| row.text(column));
    let context = Context {
        tasks: titles(tx, "tasks", "id", rows.iter().map(task_of)).await?,
        gotchas: titles(tx, "gotcha", "id", ids("source_gotcha_id")).await?,
        learned: if kind.table == "learning" {
            titles(tx, "learned", "source_learning_id", ids("id")).await?
        } else {
            BTreeMap::new()
        },
    };
    Ok(match kind.order {
        Order::DayAndTask => by_day_and_task(kind, rows, &context),
        Order::Status => grouped(kind, rows, &context, "status", STATUSES),
        Order::Category => grouped(kind, rows, &context, "category", &[]),
        Order::Scope => grouped(kind, rows, &context, "scope", &[]),
        Order::Tier => grouped(kind, rows, &context, "authority_tier", TIERS),
        Order::Conclusion => {
            let (open, rest): (Vec<&Row>, Vec<&Row>) =
                rows.iter().partition(|row| blocking.contains(row.text("id")));
            let mut sections = Vec::new();
            if !open.is_empty() {
                let title = format!("Still blocking ({})", open.len());
                let entries = open.iter().map(|row| entry(kind, row, &context)).collect();
                sections.push(Section::new(title).with(Block::Records(entries)));
            }
            let rest: Vec<Row> = rest.into_iter().cloned().collect();
            sections.extend(grouped(kind, &rest, &context, "conclusion", CONCLUSIONS));
            sections
        }
    })
}

/// A section for each value of a column.
fn grouped(
    kind: &Kind,
    rows: &[Row],
    context: &Context,
    column: &str,
    order: &'static [&'static str],
) -> Vec<Section> {
    let mut groups: BTreeMap<(usize, &str), Vec<Entry>> = BTreeMap::new();
    for row in rows {
        let name = row.text(column);
        let rank = order.iter().position(|known| *known == name).unwrap_or(order.len());
        groups.entry((rank, name)).or_default().push(entry(kind, row, context));
    }
    groups
        .into_iter()
        .map(|((_, name), entries)| {
            let name = if name.trim().is_empty() { "none" } else { name };
            Section::new(format!("{name} ({})", entries.len())).with(Block::Records(entries))
        })
        .collect()
}

/// A section for each day, with a part for each task, in the order of the rows.
fn by_day_and_task(kind: &Kind, rows: &[Row], context: &Context) -> Vec<Section> {
    let mut days: Vec<(&str, Vec<(&str, Vec<Entry>)>)> = Vec::new();
    for row in rows {
        let (time, task) = (row.text("created_at"), task_of(row));
        let day = time.get(..10).unwrap_or(time);
        if days.last().is_none_or(|(last, _)| *last != day) {
            days.push((day, Vec::new()));
        }
        let Some((_, tasks)) = days.last_mut() else { continue };
        let entry = entry(kind, row, context);
        match tasks.iter_mut().find(|(known, _)| *known == task) {
            Some((_, entries)) => entries.push(entry),
            None => tasks.push((task, vec![entry])),
        }
    }
    let mut sections = Vec::new();
    for (day, mut tasks) in days {
        // What belongs to no task comes last; the order is otherwise kept.
        tasks.sort_by_key(|(task, _)| task.is_empty());
        let events: usize = tasks.iter().map(|(_, entries)| entries.len()).sum();
        sections.push(Section::new(format!("{day} ({events})")));
        for (task, entries) in tasks {
            let title = if task.is_empty() { "No task".into() } else { task_name(task, context) };
            sections.push(Section::part(title).with(Block::Records(entries)));
        }
    }
    sections
}

/// The task that an event belongs to. That of a task's own creation names it in its title only.
fn task_of(row: &Row) -> &str {
    match (row.text("task_id"), row.text("source_command"), row.text("title").split_once(' ')) {
        ("", "W1" | "W2", Some(("W1" | "W2", id))) => id,
        (task, ..) => task,
    }
}

fn task_name(task: &str, context: &Context) -> Inline {
    Inline::new().record(task, context.tasks.get(task).map(|(_, title)| title.clone()))
}

/// A cell as a text; empty when it is NULL.
pub(in crate::families) fn shown(cell: Cell<'_>) -> String {
    match cell {
        Cell::Null | Cell::Blob(_) => String::new(),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => number.to_string(),
        Cell::Text(text) => text.to_owned(),
    }
}

fn entry(kind: &Kind, row: &Row, context: &Context) -> Entry {
    Entry {
        id: row.text("id").to_owned(),
        created_at: row.text("created_at").to_owned(),
        tags: Tags::Named(kind.extras.iter().map(|column| (*column, shown(row.get(column)))).collect()),
        summary: row.text("summary").to_owned(),
        detail: detail(kind, row, context),
        ..Entry::default()
    }
}

/// What stands below the line of a record.
fn detail(kind: &Kind, row: &Row, context: &Context) -> Inline {
    let title = row.text("title");
    let remark = |line: Inline, name: &str, column: &str| match row.text(column) {
        "" => line,
        text => line.and().text(format!("{name}{text}")),
    };
    match kind.table {
        "ledger_events" => match title.split_once(' ') {
            // The title of an event is the operation and the record that it was about.
            Some((operation, id)) if operation == row.text("source_command") => {
                Inline::new().text(format!("{operation} ")).record(id, None)
            }
            _ if title == row.text("summary") => Inline::new(),
            _ => title.into(),
        },
        "verification_events" => {
            let mut line = Inline::new();
            let task = row.text("task_id");
            if !task.is_empty() {
                line =
                    line.text("task: ").record(task, context.tasks.get(task).map(|(_, title)| title.clone()));
            }
            let proof = row.text("proof_id");
            if !proof.is_empty() {
                line = line.and().text("verifies ").record(proof, None);
            }
            remark(line, "covers ", "scope_label")
        }
        "source_locks" => {
            let mut line =
                Inline::new().strong(row.text("source_id")).and().text(row.text("url_or_repository"));
            line = remark(line, "version ", "version_or_commit");
            line = remark(line, "licence ", "license");
            match row.text("supersedes") {
                "" => line,
                other => line.and().text("supersedes ").record(other, None),
            }
        }
        "learning" => {
            let mut line = Inline::new().strong(title);
            let source = row.text("source_gotcha_id");
            if !source.is_empty() {
                let title = context.gotchas.get(source).map(|(_, title)| title.clone());
                line = line.and().text("from gotcha ").record(source, title);
            }
            match context.learned.get(row.text("id")) {
                Some((id, title)) => line.and().text("became ").record(id, Some(title.clone())),
                None => line,
            }
        }
        _ if title.trim().is_empty() => Inline::new(),
        _ => Inline::new().strong(title),
    }
}
