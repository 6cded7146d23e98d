//! T3: a trace as a document.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::trace::TraceReport;
use kaizen_proto::families::trace::report::{TraceReported, TraceToReport};
use kaizen_proto::operation::Status;
use serde_json::Number;

use super::super::record;
use super::super::report::selection::Selection;
use crate::care::blocking;
use crate::plane::value::OwnedCell;
use crate::plane::{Cell, ReadTx, Row, WriteTx};
use crate::registry::{Context, WriteOperation};
use crate::report::escape::slug;
use crate::report::file::{self, Name, Written};
use crate::report::{Block, Chart, Document, Entry, Format, Inline, Section, Table, Tags};

/// Events with a line of their own at most. The totals are of all.
const MAX_EVENTS: i64 = 10_000;
/// Scores that are read for the charts.
const MAX_SCORES: i64 = 2_000;
/// Charts of scores.
const CHARTS: usize = 3;
/// Rows of the table of models.
const MODELS: i64 = 20;

/// A report whose file is written and whose row is to come.
pub struct Report {
    key: String,
    events: i64,
    total_tokens: i64,
    total_cost: Number,
    file: Arc<Written>,
    test: bool,
}

impl WriteOperation for TraceReport {
    type Prepared = Report;

    async fn prepare(context: &Context, params: TraceToReport) -> Result<Report, Denial> {
        let (task, trace) = (record::given(params.task_id), record::given(params.trace_id));
        if task.is_none() && trace.is_none() {
            return Err(Denial::new(Code::IdRequired)
                .message("name a task or a trace")
                .example("kaizenctl T3 --task-id TASK_ID --json"));
        }
        record::check_short(&[
            ("task_id", task.as_deref().unwrap_or_default()),
            ("trace_id", trace.as_deref().unwrap_or_default()),
        ])?;
        let format = Format::of(params.format.as_deref())?;
        let alone = file::alone().await;
        let plane = context.plane().await?;
        let mut tx = plane.read().await?;
        let (column, key) = match (record::soft_read(&mut tx, "tasks", task).await?, trace) {
            (Some(task), _) => ("task_id", task),
            (None, trace) => ("trace_id", trace.unwrap_or_default()),
        };
        let events = Selection::of("trace_events", params.include_test)
            .only(&format!("t.{column} = ?"), Cell::Text(&key));
        let totals = Totals::of(&events.totals(&mut tx).await?);
        let mut document = Document::new(format!("Trace {key}"));
        document.head = vec![
            ("Events", totals.events.to_string()),
            ("Total tokens", totals.tokens.to_string()),
            ("Total cost", totals.cost.to_string()),
        ];
        describe(&mut tx, &mut document, &events, &totals).await?;
        let owner = format!("{}:{key}", &column[..column.len() - 3]);
        let extension = format.extension();
        let name =
            file::fixed_name(context, &plane, &mut tx, "trace", slug(&key, "trace"), &owner, extension)
                .await?;
        drop(tx);
        let contents = blocking(move || document.render(format)).await?;
        let file = file::write(context, &plane, Name::Fixed(name, alone), extension, contents).await?;
        Ok(Report {
            key: owner,
            events: totals.events,
            total_tokens: totals.tokens,
            total_cost: totals.cost,
            file,
            test: params.test,
        })
    }

    fn file(report: &Report) -> Option<Arc<Written>> {
        Some(report.file.clone())
    }

    fn apply(tx: &mut WriteTx<'_>, report: &Report) -> Result<TraceReported, Denial> {
        let (kind, key) = report.key.split_once(':').unwrap_or_default();
        if kind == "task" {
            tx.about_task(Some(key));
        }
        let summary = match report.events {
            1 => "Trace report of 1 event.".to_owned(),
            events => format!("Trace report of {events} events."),
        };
        let report_id = report.file.record(tx, "trace", &report.key, &summary, report.test)?;
        Ok(TraceReported {
            status: Status::Ok,
            key: key.to_owned(),
            events: report.events,
            total_tokens: report.total_tokens,
            total_cost: report.total_cost.clone(),
            path: report.file.path.clone(),
            sha256: report.file.sha256.clone(),
            report_id,
        })
    }
}

/// What the events come to.
struct Totals {
    events: i64,
    tokens: i64,
    cost: Number,
    latency: i64,
    failed: i64,
}

impl Totals {
    fn of(row: &Row) -> Self {
        // The cost of nothing is a whole 0; that of something is as it was given.
        let cost = match row.get("cost") {
            Cell::Real(cost) => Number::from_f64(cost).unwrap_or_else(|| 0.into()),
            _ => 0.into(),
        };
        Totals {
            events: row.integer("events"),
            tokens: row.integer("tokens"),
            cost,
            latency: row.integer("latency"),
            failed: row.integer("failed"),
        }
    }
}

/// Sums as SQL. They are of reals, so that no number of tokens is too large for them, and are rounded in the end.
const SUMS: &str = "count(*) AS events, \
     CAST(total(t.total_tokens) AS INTEGER) AS tokens, sum(t.cost) AS cost, \
     CAST(total(t.latency_ms) AS INTEGER) AS latency, \
     coalesce(sum(t.level = 'error' OR t.status IN ('error', 'failed')), 0) AS failed";

impl Selection {
    /// What the events come to.
    async fn totals(&self, tx: &mut ReadTx) -> Result<Row, Denial> {
        let rows = self.query(tx, SUMS, "").await?;
        Ok(rows.into_iter().next().unwrap_or(Row { columns: Arc::default(), cells: Vec::new() }))
    }

    /// What the events come to by the values of these columns, the most expensive first.
    async fn totals_by(&self, tx: &mut ReadTx, columns: [&str; 2]) -> Result<Vec<Row>, Denial> {
        let select = format!("t.{} AS first, t.{} AS second, {SUMS}", columns[0], columns[1]);
        let rest = format!(
            "GROUP BY 1, 2 ORDER BY total(t.cost) DESC, total(t.total_tokens) DESC, 1, 2 LIMIT {MODELS}"
        );
        self.query(tx, &select, &rest).await
    }
}

async fn describe(
    tx: &mut ReadTx,
    document: &mut Document,
    events: &Selection,
    totals: &Totals,
) -> Result<(), Denial> {
    let tally = events.tally(tx, &["kind", "status", "level"]).await?;
    document.facts.extend(tally.facts(&[
        ("By kind", "kind"),
        ("By status", "status"),
        ("By level", "level"),
    ]));
    if totals.events == 0 {
        return Ok(());
    }
    document.facts.push(("Time spent", format!("{} ms", totals.latency).into()));
    document.facts.push(("Failed", totals.failed.to_string().into()));
    for (title, columns, names) in [
        ("By kind", ["kind", "name"], ["Kind", "Name"]),
        ("By model", ["model", "provider"], ["Model", "Provider"]),
    ] {
        let rows = match columns[0] {
            "model" => events.clone().when("t.model IS NOT NULL").totals_by(tx, columns).await?,
            _ => events.totals_by(tx, columns).await?,
        };
        let rows: Vec<Vec<Inline>> = rows.iter().map(sums).collect();
        let columns = vec![names[0], names[1], "Events", "Tokens", "Cost", "Milliseconds", "Failed"];
        if !rows.is_empty() {
            let table = Block::Table(Table { columns, rows });
            document.sections.push(Section::new(title).with(table));
        }
    }
    let rows = events
        .ordered(
            tx,
            "t.id, t.created_at, t.parent_event_id, t.kind, t.name, t.level, t.status, t.status_message, t.model, \
             t.total_tokens, t.cost, t.latency_ms, t.summary",
            "t.created_at, t.id",
            MAX_EVENTS,
        )
        .await?;
    document.sections.extend(scores(tx, &rows).await?);
    let mut section = Section::new("Events").with(Block::Records(tree(&rows)));
    if i64::try_from(rows.len()).unwrap_or(i64::MAX) < totals.events {
        let note = format!("The first {MAX_EVENTS} of {} events.", totals.events);
        section = section.with(Block::Note(note.into()));
    }
    document.sections.push(section);
    Ok(())
}

/// A row of a table of sums.
fn sums(row: &Row) -> Vec<Inline> {
    let totals = Totals::of(row);
    let mut cells = vec![row.text("first").into(), row.text("second").into()];
    cells.extend(
        [
            totals.events.to_string(),
            totals.tokens.to_string(),
            totals.cost.to_string(),
            totals.latency.to_string(),
            totals.failed.to_string(),
        ]
        .map(Inline::from),
    );
    cells
}

/// The events in the order of their times, each below the one that caused it.
fn tree(rows: &[Row]) -> Vec<Entry> {
    let known: BTreeSet<&str> = rows.iter().map(|row| row.text("id")).collect();
    let mut below: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        let parent = row.text("parent_event_id");
        let parent = if known.contains(parent) && parent != row.text("id") { parent } else { "" };
        below.entry(parent).or_default().push(row);
    }
    let mut entries = Vec::with_capacity(rows.len());
    let mut seen = BTreeSet::new();
    walk(&below, "", &mut seen, &mut entries);
    // Events that cause each other in a circle have no beginning; they are shown from the first of them on.
    for row in rows {
        if seen.insert(row.text("id")) {
            entries.push(entry(row, 0));
            walk(&below, row.text("id"), &mut seen, &mut entries);
        }
    }
    entries
}

/// Adds what is below an event, without recursion: a chain of events can be as long as the trace.
fn walk<'r>(
    below: &BTreeMap<&str, Vec<&'r Row>>,
    start: &str,
    seen: &mut BTreeSet<&'r str>,
    entries: &mut Vec<Entry>,
) {
    let first_depth = usize::from(!start.is_empty());
    let children = |id: &str, depth: usize| {
        let rows = below.get(id).into_iter().flatten().rev();
        rows.map(move |row| (*row, depth)).collect::<Vec<_>>()
    };
    let mut open = children(start, first_depth);
    while let Some((row, depth)) = open.pop() {
        if seen.insert(row.text("id")) {
            entries.push(entry(row, depth));
            open.extend(children(row.text("id"), depth + 1));
        }
    }
}

fn entry(row: &Row, depth: usize) -> Entry {
    let mut lead = Vec::new();
    for (name, column) in [("", "model"), ("tok=", "total_tokens"), ("cost=", "cost"), ("ms=", "latency_ms")]
    {
        match OwnedCell::from(row.get(column)) {
            OwnedCell::Integer(number) => lead.push(format!("{name}{number}")),
            OwnedCell::Real(number) => lead.push(format!("{name}{number:?}")),
            OwnedCell::Text(text) if !text.is_empty() => lead.push(format!("{name}{text}")),
            _ => {}
        }
    }
    let mut detail = Inline::new();
    if !row.text("name").is_empty() {
        detail = detail.strong(row.text("name"));
    }
    if !row.text("status_message").is_empty() {
        detail = detail.and().text(row.text("status_message"));
    }
    Entry {
        id: row.text("id").to_owned(),
        created_at: row.text("created_at").to_owned(),
        tags: Tags::Joined(["kind", "level", "status"].map(|column| row.text(column).to_owned()).into()),
        lead: lead.join(" "),
        summary: row.text("summary").to_owned(),
        detail,
        depth,
    }
}

/// When a score was given, its id, and its value.
type Point = (String, String, f64);

/// The scores of the events over time, a chart for each of the names with the most of them.
async fn scores(tx: &mut ReadTx, events: &[Row]) -> Result<Option<Section>, Denial> {
    let mut series: BTreeMap<String, Vec<Point>> = BTreeMap::new();
    let mut read = 0;
    for some in events.chunks(500) {
        let places: Vec<String> = (1..=some.len()).map(|at| format!("${at}")).collect();
        let sql = format!(
            "SELECT name, created_at, id, value_num FROM eval_scores WHERE trace_event_id IN ({}) \
             AND value_num IS NOT NULL ORDER BY created_at, id LIMIT {}",
            places.join(", "),
            MAX_SCORES - read
        );
        let ids: Vec<Cell<'_>> = some.iter().map(|row| row.get("id")).collect();
        for row in tx.query(&sql, &ids).await? {
            read += 1;
            if let Cell::Real(value) = row.get("value_num") {
                let point = (row.text("created_at").to_owned(), row.text("id").to_owned(), value);
                series.entry(row.text("name").to_owned()).or_default().push(point);
            }
        }
    }
    if series.is_empty() {
        return Ok(None);
    }
    let mut section = Section::new("Scores");
    let mut rows = Vec::new();
    for (name, points) in &series {
        let count = super::super::report::selection::height(i64::try_from(points.len()).unwrap_or(0));
        let values = || points.iter().map(|(.., value)| *value);
        rows.push(vec![
            name.as_str().into(),
            points.len().to_string().into(),
            (values().sum::<f64>() / count).to_string().into(),
            values().fold(f64::INFINITY, f64::min).to_string().into(),
            values().fold(f64::NEG_INFINITY, f64::max).to_string().into(),
        ]);
    }
    section = section
        .with(Block::Table(Table { columns: vec!["Score", "Count", "Mean", "Lowest", "Highest"], rows }));
    let mut longest: Vec<(String, Vec<Point>)> = series.into_iter().collect();
    longest.sort_by_key(|(_, points)| std::cmp::Reverse(points.len()));
    for (name, mut points) in longest.into_iter().filter(|(_, points)| points.len() > 1).take(CHARTS) {
        points.sort_by(|left, right| (&left.0, &left.1).cmp(&(&right.0, &right.1)));
        let points =
            points.iter().map(|(time, _, value)| (time.get(5..16).unwrap_or(time).replace('T', " "), *value));
        let title = format!("Score {name}");
        section = section.with(Block::Chart(Chart::Line { title, unit: "score", points: points.collect() }));
    }
    Ok(Some(section))
}
