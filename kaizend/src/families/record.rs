//! What the record families share: how records are added and revised with their revisions and ledger events, and how
//! they are listed, found and shown.

use kaizen_proto::canonical_json;
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::record::{
    Inspected, ListRecords, NewRecord, QueryRecords, RecordBrief, RecordList, RecordMatches, Recorded,
    ReviseRecord,
};
use kaizen_proto::operation::Status;
use kaizen_proto::{id, limits, spaced_json};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::plane::search_index::{candidates, like_pattern};
use crate::plane::{Cell, ReadTx, WriteTx, value};

/// Records in a list when the caller does not say how many.
pub const DEFAULT_LIMIT: i64 = 20;

/// A kind of record that has revisions.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its table.
    pub table: &'static str,
    /// The table of its revisions.
    pub revisions: &'static str,
    /// The column of a revision that names its record.
    pub parent: &'static str,
    /// What its ids start with.
    pub prefix: &'static str,
    /// What the ids of its revisions start with.
    pub revision_prefix: &'static str,
    /// Statuses that it knows beside the common ones.
    pub statuses: &'static [&'static str],
}

/// Statuses that every kind knows.
const STATUSES: &[&str] = &["active", "recorded", "resolved", "superseded", "draft", "noted", "promoted"];
/// Scopes.
const SCOPES: &[&str] = &["project", "global", "skill", "session"];

/// A text parameter of which an empty value counts as absent.
pub fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// [`given`], or a default.
pub fn given_or(text: Option<String>, default: &str) -> String {
    given(text).unwrap_or_else(|| default.to_owned())
}

/// The number of rows of a page: 0 and nothing mean the default, negative means all.
pub fn page_limit(limit: Option<i64>, default: i64) -> i64 {
    limit.filter(|limit| *limit != 0).unwrap_or(default)
}

/// The title, which must not be empty.
///
/// # Errors
/// `DENIED_TITLE_REQUIRED`.
pub fn title(title: Option<String>) -> Result<String, Denial> {
    match given(title) {
        Some(title) => Ok(title),
        None => Err(Denial::new(Code::TitleRequired).with("field", "title")),
    }
}

/// Checks the short texts of a record: whatever is neither summary nor body.
///
/// # Errors
/// `DENIED_TEXT_TOO_LONG`, `DENIED_TEXT_INVALID`.
pub fn check_short(fields: &[(&str, &str)]) -> Result<(), Denial> {
    fields.iter().try_for_each(|(field, text)| limits::check_bytes(field, text, limits::TITLE_BYTES))
}

/// Warns about a status that its kind does not know. It is stored all the same.
pub fn warn_status(tx: &mut WriteTx<'_>, status: &str, more: &[&str]) {
    let known: Vec<&str> = STATUSES.iter().chain(more).copied().collect();
    warn_unknown(tx, "status", status, &known);
}

/// Warns about a scope that is not in the vocabulary. It is stored all the same.
pub fn warn_scope(tx: &mut WriteTx<'_>, scope: &str) {
    warn_unknown(tx, "scope", scope, SCOPES);
}

/// Warns about a word outside a vocabulary, naming the nearest one that is in it.
pub fn warn_unknown(tx: &mut WriteTx<'_>, field: &str, word: &str, known: &[&str]) {
    if known.contains(&word) {
        return;
    }
    let near = known
        .iter()
        .map(|other| (strsim::normalized_damerau_levenshtein(word, other), *other))
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .filter(|(likeness, _)| *likeness > 0.5);
    tx.warn(match near {
        Some((_, near)) => format!("unknown {field} \"{word}\"; did you mean \"{near}\"?"),
        None => format!("unknown {field} \"{word}\"; known are {}", known.join(", ")),
    });
}

/// A start of an id must have at least so many bytes to be taken for one where any text is accepted.
const SHORTEST_START: usize = 8;

/// The whole id when `given` is an id or an unambiguous start of one among the rows of [`id_sql`].
fn soft_id(given: &str, found: &[value::Row]) -> Option<String> {
    if found.iter().any(|row| row.text("id") == given) {
        return Some(given.to_owned());
    }
    match found {
        [only] if given.len() >= SHORTEST_START => Some(only.text("id").to_owned()),
        _ => None,
    }
}

/// A reference that may name anything: an unambiguous start of an id becomes the whole id, and a record that does not
/// exist is kept as it was given, with a warning.
pub fn soft_reference(
    tx: &mut WriteTx<'_>,
    field: &str,
    table: &str,
    given: Option<&str>,
) -> Result<Option<String>, Denial> {
    let Some(given) = given else { return Ok(None) };
    let found = tx.query(&id_sql(table), &[Cell::Text(given), Cell::Text(&after_prefix(given))])?;
    let whole = soft_id(given, &found);
    if whole.is_none() {
        tx.warn(format!(
            "{field}: there is no record \"{given}\" in {table}; the reference is stored as it is"
        ));
    }
    Ok(Some(whole.unwrap_or_else(|| given.to_owned())))
}

/// [`soft_reference`] to the task that a record is said to belong to.
pub fn soft_task(tx: &mut WriteTx<'_>, task_id: Option<&str>) -> Result<Option<String>, Denial> {
    soft_reference(tx, "task_id", "tasks", task_id)
}

/// The whole id for a reference that is only searched for.
pub async fn soft_read(
    tx: &mut ReadTx,
    table: &str,
    given: Option<String>,
) -> Result<Option<String>, Denial> {
    let Some(given) = given else { return Ok(None) };
    let found = tx.query(&id_sql(table), &[Cell::Text(&given), Cell::Text(&after_prefix(&given))]).await?;
    Ok(Some(soft_id(&given, &found).unwrap_or(given)))
}

/// The first text that sorts after everything that starts with `prefix`.
fn after_prefix(prefix: &str) -> String {
    format!("{prefix}\u{10ffff}")
}

fn id_sql(table: &str) -> String {
    format!("SELECT id FROM {table} WHERE id >= $1 AND id < $2 ORDER BY id LIMIT 6")
}

/// The id that a caller gave.
///
/// # Errors
/// `DENIED_ID_REQUIRED`.
pub fn required_id(id: Option<&String>) -> Result<&str, Denial> {
    match id {
        Some(id) if !id.is_empty() => Ok(id),
        _ => Err(Denial::new(Code::IdRequired)),
    }
}

fn only_id(table: &str, given: &str, found: &[value::Row]) -> Result<String, Denial> {
    let exact = found.iter().find(|row| row.text("id") == given);
    match (exact, found) {
        (Some(row), _) => Ok(row.text("id").to_owned()),
        (None, []) => Err(Denial::record_not_found(given, table)),
        (None, [only]) => Ok(only.text("id").to_owned()),
        (None, several) => {
            let candidates: Vec<&str> = several.iter().take(5).map(|row| row.text("id")).collect();
            Err(Denial::new(Code::IdAmbiguous)
                .with("id", given)
                .with("table", table)
                .with("candidates", json!(candidates)))
        }
    }
}

/// The whole id for an id or an unambiguous start of one, while writing.
///
/// # Errors
/// `DENIED_RECORD_NOT_FOUND`, `DENIED_ID_AMBIGUOUS`.
pub fn resolve(tx: &WriteTx<'_>, table: &str, given: &str) -> Result<String, Denial> {
    let found = tx.query(&id_sql(table), &[Cell::Text(given), Cell::Text(&after_prefix(given))])?;
    only_id(table, given, &found)
}

/// The whole id for an id or an unambiguous start of one, while reading.
///
/// # Errors
/// `DENIED_RECORD_NOT_FOUND`, `DENIED_ID_AMBIGUOUS`.
pub async fn resolve_read(tx: &mut ReadTx, table: &str, given: &str) -> Result<String, Denial> {
    let found = tx.query(&id_sql(table), &[Cell::Text(given), Cell::Text(&after_prefix(given))]).await?;
    only_id(table, given, &found)
}

/// A record that is ready to be written.
#[derive(Clone, Debug)]
pub struct Draft {
    pub(super) title: String,
    pub(super) summary: String,
    pub(super) body: String,
    pub(super) scope: String,
    pub(super) status: String,
    pub(super) writer_role: String,
    pub(super) task_id: Option<String>,
    /// What was given, for the ledger event, whose defaults differ from the record's.
    pub(super) given_status: Option<String>,
    pub(super) test: bool,
}

/// Checks the parameters of a new record.
///
/// # Errors
/// `DENIED_TITLE_REQUIRED`, then what is wrong with summary, body and the short fields, in this order.
pub fn draft(params: NewRecord) -> Result<Draft, Denial> {
    let draft = texts(params)?;
    check_draft(&draft)?;
    Ok(draft)
}

/// The first part of [`draft`]: whether title, summary and body are there, and within their limits.
///
/// # Errors
/// `DENIED_TITLE_REQUIRED`, then what is wrong with summary and body.
pub fn texts(params: NewRecord) -> Result<Draft, Denial> {
    let draft = Draft {
        title: title(params.title)?,
        summary: params.summary.unwrap_or_default(),
        body: params.body.unwrap_or_default(),
        scope: given_or(params.scope, "project"),
        given_status: given(params.status.clone()),
        status: given_or(params.status, "active"),
        writer_role: given_or(params.writer_role, "agent"),
        task_id: given(params.task_id),
        test: params.test,
    };
    limits::check_summary(&draft.summary)?;
    limits::check_body("body", &draft.body)?;
    Ok(draft)
}

/// The second part of [`draft`]: the short fields, which a kind with rules of its own checks after them.
///
/// # Errors
/// `DENIED_TEXT_TOO_LONG`, `DENIED_TEXT_INVALID`.
pub fn check_draft(draft: &Draft) -> Result<(), Denial> {
    check_short(&[
        ("title", &draft.title),
        ("scope", &draft.scope),
        ("status", &draft.status),
        ("writer_role", &draft.writer_role),
        ("task_id", draft.task_id.as_deref().unwrap_or_default()),
    ])
}

/// What the content hash of a new record covers.
pub(crate) struct Created<'a> {
    pub(crate) id: &'a str,
    pub(crate) scope: &'a str,
    pub(crate) status: &'a str,
    pub(crate) title: &'a str,
    pub(crate) summary: &'a str,
    pub(crate) body: &'a str,
    pub(crate) source_task_id: Option<&'a str>,
    pub(crate) source_command: &'a str,
    pub(crate) writer_role: &'a str,
    /// Column and id of the record that it was promoted from.
    pub(crate) source: Option<(&'static str, &'a str)>,
}

/// The content hash of a new record.
pub(crate) fn created_hash(record: &Created<'_>) -> String {
    let mut extra = Map::new();
    if let Some((column, source_id)) = record.source {
        extra.insert(column.into(), source_id.into());
    }
    canonical_json::hash(&json!({
        "id": record.id, "scope": record.scope, "status": record.status, "title": record.title,
        "summary": record.summary, "body": record.body,
        "source_task_id": record.source_task_id.unwrap_or_default(), "source_command": record.source_command,
        "writer_role": record.writer_role, "extra": extra,
    }))
}

/// The content hash of a record that is revised.
pub(crate) fn revised_hash(id: &str, summary: &str, body: &str, status: &str) -> String {
    canonical_json::hash(&json!({"id": id, "summary": summary, "body": body, "status": status}))
}

/// Adds a record with its first revision. `source` is the column and id of the record that it was promoted from.
///
/// # Errors
/// What the plane denies.
pub fn add(
    tx: &mut WriteTx<'_>,
    kind: Kind,
    operation: &str,
    draft: &Draft,
    task_id: Option<&str>,
    source: Option<(&'static str, &str)>,
) -> Result<Recorded, Denial> {
    warn_status(tx, &draft.status, kind.statuses);
    warn_scope(tx, &draft.scope);
    let (id, revision_id, now) = (id::new(kind.prefix), id::new(kind.revision_prefix), tx.now());
    let content_hash = created_hash(&Created {
        id: &id,
        scope: &draft.scope,
        status: &draft.status,
        title: &draft.title,
        summary: &draft.summary,
        body: &draft.body,
        source_task_id: task_id,
        source_command: operation,
        writer_role: &draft.writer_role,
        source,
    });
    let mut row: Vec<(&'static str, Cell<'_>)> = vec![
        ("id", Cell::Text(&id)),
        ("created_at", Cell::Text(&now)),
        ("updated_at", Cell::Text(&now)),
        ("scope", Cell::Text(&draft.scope)),
        ("status", Cell::Text(&draft.status)),
        ("title", Cell::Text(&draft.title)),
        ("summary", Cell::Text(&draft.summary)),
        ("body", Cell::Text(&draft.body)),
    ];
    if kind.table != "tasks" {
        row.extend([("source_task_id", task_id.into()), ("artifact_ids_json", Cell::Text("[]"))]);
    }
    row.extend([
        ("source_command", Cell::Text(operation)),
        ("writer_role", Cell::Text(&draft.writer_role)),
        ("content_hash", Cell::Text(&content_hash)),
        ("current_revision_id", Cell::Text(&revision_id)),
        ("is_test", Cell::from(draft.test)),
    ]);
    if let Some((column, source_id)) = source {
        row.push((column, Cell::Text(source_id)));
    }
    tx.insert(kind.table, &row)?;
    tx.insert(
        kind.revisions,
        &[
            ("id", Cell::Text(&revision_id)),
            (kind.parent, Cell::Text(&id)),
            ("created_at", Cell::Text(&now)),
            ("revision_number", Cell::Integer(1)),
            ("summary", Cell::Text(&draft.summary)),
            ("body", Cell::Text(&draft.body)),
            ("status", Cell::Text(&draft.status)),
            ("content_hash", Cell::Text(&content_hash)),
            ("previous_hash", Cell::Null),
            ("source_command", Cell::Text(operation)),
        ],
    )?;
    Ok(Recorded { status: Status::Ok, id, revision_id, content_hash })
}

/// What a revision changes; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct Revision {
    /// New summary.
    pub summary: Option<String>,
    /// New body.
    pub body: Option<String>,
    /// New status.
    pub status: Option<String>,
}

impl Revision {
    /// What the parameters of a revision change. An empty status keeps the stored one; an empty body clears it.
    pub fn of(params: &ReviseRecord) -> Self {
        Revision {
            summary: params.summary.clone(),
            body: params.body.clone(),
            status: given(params.status.clone()),
        }
    }
}

/// Revises a record: the row changes and a numbered revision is added that carries the hash before.
///
/// # Errors
/// `DENIED_RECORD_NOT_FOUND`, `DENIED_ID_AMBIGUOUS`, or what is wrong with the merged texts.
pub fn revise(
    tx: &mut WriteTx<'_>,
    kind: Kind,
    operation: &str,
    id: &str,
    revision: &Revision,
) -> Result<Recorded, Denial> {
    let id = resolve(tx, kind.table, id)?;
    let sql = format!(
        "SELECT r.summary, r.body, r.status, r.content_hash, \
         (SELECT coalesce(max(revision_number), 0) FROM {} v WHERE v.{} = r.id) AS revisions \
         FROM {} r WHERE r.id = $1",
        kind.revisions, kind.parent, kind.table
    );
    let stored =
        tx.query_row(&sql, &[Cell::Text(&id)])?.ok_or_else(|| Denial::record_not_found(&id, kind.table))?;
    let summary = revision.summary.as_deref().unwrap_or_else(|| stored.text("summary"));
    let body = revision.body.as_deref().unwrap_or_else(|| stored.text("body"));
    let status = revision.status.as_deref().unwrap_or_else(|| stored.text("status"));
    limits::check_summary(summary)?;
    limits::check_body("body", body)?;
    check_short(&[("status", status)])?;
    if revision.status.is_some() {
        warn_status(tx, status, kind.statuses);
    }
    let (revision_id, now) = (id::new(kind.revision_prefix), tx.now());
    let content_hash = revised_hash(&id, summary, body, status);
    tx.update(
        kind.table,
        &id,
        &[
            ("updated_at", Cell::Text(&now)),
            ("summary", Cell::Text(summary)),
            ("body", Cell::Text(body)),
            ("status", Cell::Text(status)),
            ("content_hash", Cell::Text(&content_hash)),
            ("current_revision_id", Cell::Text(&revision_id)),
        ],
    )?;
    tx.insert(
        kind.revisions,
        &[
            ("id", Cell::Text(&revision_id)),
            (kind.parent, Cell::Text(&id)),
            ("created_at", Cell::Text(&now)),
            ("revision_number", Cell::Integer(stored.integer("revisions") + 1)),
            ("summary", Cell::Text(summary)),
            ("body", Cell::Text(body)),
            ("status", Cell::Text(status)),
            ("content_hash", Cell::Text(&content_hash)),
            ("previous_hash", stored.get("content_hash")),
            ("source_command", Cell::Text(operation)),
        ],
    )?;
    Ok(Recorded { status: Status::Ok, id, revision_id, content_hash })
}

/// What a ledger event says beside the reply that it keeps.
#[derive(Clone, Copy, Debug)]
pub struct LedgerEvent<'a> {
    /// The task that it belongs to.
    pub task_id: Option<&'a str>,
    /// Scope; project when absent.
    pub scope: Option<&'a str>,
    /// Status; noted when absent.
    pub status: Option<&'a str>,
    /// Summary; the title when absent.
    pub summary: Option<&'a str>,
    /// Who writes.
    pub writer_role: &'a str,
    /// Whether it is a test record.
    pub test: bool,
}

/// What the content hash of a ledger event covers.
pub(crate) struct Logged<'a> {
    pub(crate) id: &'a str,
    pub(crate) task_id: Option<&'a str>,
    pub(crate) scope: &'a str,
    pub(crate) status: &'a str,
    pub(crate) title: &'a str,
    pub(crate) summary: &'a str,
    pub(crate) body: &'a str,
    pub(crate) source_command: &'a str,
    pub(crate) writer_role: &'a str,
}

/// The content hash of a ledger event.
pub(crate) fn ledger_hash(event: &Logged<'_>) -> String {
    canonical_json::hash(&json!({
        "id": event.id, "task_id": event.task_id, "scope": event.scope, "status": event.status,
        "title": event.title, "summary": event.summary, "body": event.body,
        "source_command": event.source_command, "writer_role": event.writer_role,
    }))
}

/// Adds the ledger event of an operation, with the operation's reply as its body.
///
/// # Errors
/// What the plane denies.
pub fn ledger(
    tx: &mut WriteTx<'_>,
    operation: &str,
    record_id: &str,
    reply: &impl Serialize,
    event: LedgerEvent<'_>,
) -> Result<(), Denial> {
    let title = format!("{operation} {record_id}");
    let (id, now, body) = (id::new("led"), tx.now(), spaced_json::to_string(reply));
    let summary = event.summary.unwrap_or(&title);
    let (scope, status) = (event.scope.unwrap_or("project"), event.status.unwrap_or("noted"));
    let content_hash = ledger_hash(&Logged {
        id: &id,
        task_id: event.task_id,
        scope,
        status,
        title: &title,
        summary,
        body: &body,
        source_command: operation,
        writer_role: event.writer_role,
    });
    tx.insert(
        "ledger_events",
        &[
            ("id", Cell::Text(&id)),
            ("created_at", Cell::Text(&now)),
            ("task_id", event.task_id.into()),
            ("scope", Cell::Text(scope)),
            ("status", Cell::Text(status)),
            ("title", Cell::Text(&title)),
            ("summary", Cell::Text(summary)),
            ("body", Cell::Text(&body)),
            ("source_command", Cell::Text(operation)),
            ("writer_role", Cell::Text(event.writer_role)),
            ("content_hash", Cell::Text(&content_hash)),
            ("is_test", Cell::from(event.test)),
        ],
    )
}

/// Adds a record and its ledger event: W1, G1 and L1.
///
/// # Errors
/// What the plane denies.
pub fn add_with_ledger(
    tx: &mut WriteTx<'_>,
    kind: Kind,
    operation: &str,
    draft: &Draft,
) -> Result<Recorded, Denial> {
    let task_id = soft_task(tx, draft.task_id.as_deref())?;
    let reply = add(tx, kind, operation, draft, task_id.as_deref(), None)?;
    let about = if kind.table == "tasks" { Some(reply.id.as_str()) } else { task_id.as_deref() };
    tx.about_task(about);
    let event = LedgerEvent {
        task_id: task_id.as_deref(),
        scope: Some(&draft.scope),
        status: draft.given_status.as_deref(),
        summary: Some(&draft.summary),
        writer_role: &draft.writer_role,
        test: draft.test,
    };
    ledger(tx, operation, &reply.id, &reply, event)?;
    Ok(reply)
}

/// Checks what a revision can be refused for before it is queued.
///
/// # Errors
/// `DENIED_ID_REQUIRED`, or what is wrong with the given texts.
pub fn check_revision(params: &ReviseRecord) -> Result<(), Denial> {
    required_id(params.id.as_ref())?;
    check_short(&[
        ("id", params.id.as_deref().unwrap_or_default()),
        ("scope", params.scope.as_deref().unwrap_or_default()),
        ("writer_role", params.writer_role.as_deref().unwrap_or_default()),
        ("task_id", params.task_id.as_deref().unwrap_or_default()),
    ])
}

/// Revises a record and adds its ledger event: W2 and G5.
///
/// # Errors
/// What [`revise`] denies.
pub fn revise_with_ledger(
    tx: &mut WriteTx<'_>,
    kind: Kind,
    operation: &str,
    params: &ReviseRecord,
) -> Result<Recorded, Denial> {
    let reply = revise(tx, kind, operation, required_id(params.id.as_ref())?, &Revision::of(params))?;
    let task_id = soft_task(tx, params.task_id.as_deref().filter(|id| !id.is_empty()))?;
    let about = if kind.table == "tasks" { Some(reply.id.as_str()) } else { task_id.as_deref() };
    tx.about_task(about);
    let (scope, status) = (given(params.scope.clone()), given(params.status.clone()));
    let event = LedgerEvent {
        task_id: task_id.as_deref(),
        scope: scope.as_deref(),
        status: status.as_deref(),
        summary: params.summary.as_deref().filter(|summary| !summary.is_empty()),
        writer_role: params.writer_role.as_deref().filter(|role| !role.is_empty()).unwrap_or("agent"),
        test: params.test,
    };
    ledger(tx, operation, &reply.id, &reply, event)?;
    Ok(reply)
}

/// A query over one table, newest first: which columns, which rows, from where on.
#[derive(Clone, Debug)]
pub struct Listing<'a> {
    /// The table.
    pub table: &'static str,
    /// The columns, as SQL.
    pub columns: &'static str,
    /// The columns that a text is searched in.
    pub searched: &'static [&'static str],
    /// The text to find.
    pub query: Option<&'a str>,
    /// Columns that must have exactly these values.
    pub filters: Vec<(&'static str, &'a str)>,
    /// At most this many rows; negative means all.
    pub limit: i64,
    /// The id after which to go on.
    pub after: Option<&'a str>,
}

/// A page of rows and the id that the next page starts after.
pub struct Page<T> {
    /// The rows.
    pub records: Vec<T>,
    /// The id of the last row, when there are more.
    pub next: Option<String>,
}

/// Runs a listing.
///
/// # Errors
/// `DENIED_RECORD_NOT_FOUND` for an unknown `after`, or what the plane denies.
pub async fn page<T: DeserializeOwned>(tx: &mut ReadTx, listing: &Listing<'_>) -> Result<Page<T>, Denial> {
    let table = listing.table;
    if let Some(query) = listing.query {
        // LIKE and the index both fail on a NUL and on patterns beyond their own limits.
        limits::check_bytes("query", query, limits::SUMMARY_BYTES)?;
    }
    let pattern = listing.query.map(like_pattern);
    let indexed = listing.query.and_then(candidates);
    let mut parameters: Vec<Cell<'_>> = Vec::new();
    let mut conditions: Vec<String> = Vec::new();
    if let Some(pattern) = &pattern {
        parameters.push(Cell::Text(pattern));
        let place = parameters.len();
        let like: Vec<String> = listing
            .searched
            .iter()
            .map(|column| format!("t.\"{column}\" LIKE ${place} ESCAPE '\\'"))
            .collect();
        conditions.push(format!("({})", like.join(" OR ")));
    }
    for (column, wanted) in &listing.filters {
        parameters.push(Cell::Text(wanted));
        conditions.push(format!("t.\"{column}\" = ${}", parameters.len()));
    }
    let after = match listing.after {
        Some(after) => {
            let after = resolve_read(tx, table, after).await?;
            let sql = format!("SELECT id, created_at FROM {table} WHERE id = $1");
            tx.query_row(&sql, &[Cell::Text(&after)]).await?
        }
        None => None,
    };
    if let Some(after) = &after {
        parameters.extend([after.get("created_at"), after.get("id")]);
        let place = parameters.len();
        conditions.push(format!("(t.created_at, t.id) < (${}, ${place})", place - 1));
    }
    // A candidate from the index is checked with LIKE all the same. Index numbers grow with creation, so the newest
    // come first without sorting, and a common word costs no more than a rare one.
    let source = match &indexed {
        Some(expression) if crate::plane::search_index::covers(table, listing.searched) => {
            parameters.push(Cell::Text(expression));
            conditions
                .push(format!("search_text MATCH ${} AND s.record_table = '{table}'", parameters.len()));
            format!(
                "search_text f JOIN search_rows s ON s.number = f.rowid JOIN {table} t ON t.id = s.record_id"
            )
        }
        _ => format!("{table} t"),
    };
    let order =
        if source.starts_with("search_text") { "f.rowid DESC" } else { "t.created_at DESC, t.id DESC" };
    // One more than wanted tells whether there is a next page.
    parameters.push(Cell::Integer(if listing.limit < 0 { -1 } else { listing.limit.saturating_add(1) }));
    let sql = format!(
        "SELECT {} FROM {source} {} {} ORDER BY {order} LIMIT ${}",
        listing.columns,
        if conditions.is_empty() { "" } else { "WHERE" },
        conditions.join(" AND "),
        parameters.len()
    );
    let mut rows = tx.query(&sql, &parameters).await?;
    let wanted = usize::try_from(listing.limit).unwrap_or(usize::MAX);
    let more = rows.len() > wanted;
    rows.truncate(wanted);
    let next = if more { rows.last().map(|row| row.text("id").to_owned()) } else { None };
    Ok(Page { records: value::decode_all(rows)?, next })
}

const BRIEF: &str = "t.id, t.status, t.scope, t.title, t.summary, t.created_at";
const TEXTS: &[&str] = &["title", "summary", "body"];

/// Lists the records of a kind, newest first.
///
/// # Errors
/// What [`page`] denies.
pub async fn list(tx: &mut ReadTx, kind: Kind, params: ListRecords) -> Result<RecordList, Denial> {
    let after = given(params.after);
    let listing = Listing {
        table: kind.table,
        columns: BRIEF,
        searched: TEXTS,
        query: None,
        filters: Vec::new(),
        limit: page_limit(params.limit, DEFAULT_LIMIT),
        after: after.as_deref(),
    };
    let page: Page<RecordBrief> = page(tx, &listing).await?;
    Ok(RecordList { status: Status::Ok, count: page.records.len(), records: page.records, next: page.next })
}

/// The text that a query must give.
///
/// # Errors
/// `DENIED_QUERY_REQUIRED`, or what is wrong with the text.
pub fn required_query(query: Option<&String>) -> Result<&str, Denial> {
    match query {
        Some(query) if !query.is_empty() => {
            limits::check_bytes("query", query, limits::SUMMARY_BYTES)?;
            Ok(query)
        }
        _ => Err(Denial::new(Code::QueryRequired)),
    }
}

/// Finds the records of a kind that hold a text, newest first.
///
/// # Errors
/// `DENIED_QUERY_REQUIRED`, or what [`page`] denies.
pub async fn find(tx: &mut ReadTx, kind: Kind, params: QueryRecords) -> Result<RecordMatches, Denial> {
    let query = required_query(params.query.as_ref())?;
    let after = given(params.after.clone());
    let listing = Listing {
        table: kind.table,
        columns: BRIEF,
        searched: TEXTS,
        query: Some(query),
        filters: Vec::new(),
        limit: page_limit(params.limit, DEFAULT_LIMIT),
        after: after.as_deref(),
    };
    let page: Page<RecordBrief> = page(tx, &listing).await?;
    Ok(RecordMatches {
        status: Status::Ok,
        count: page.records.len(),
        records: page.records,
        query: query.to_owned(),
        next: page.next,
    })
}

/// One record, whole.
///
/// # Errors
/// `DENIED_ID_REQUIRED`, `DENIED_RECORD_NOT_FOUND`, `DENIED_ID_AMBIGUOUS`.
pub async fn inspect<T: DeserializeOwned>(
    tx: &mut ReadTx,
    table: &'static str,
    id: Option<&String>,
) -> Result<Inspected<T>, Denial> {
    let id = resolve_read(tx, table, required_id(id)?).await?;
    let sql = format!("SELECT * FROM {table} WHERE id = $1");
    let row =
        tx.query_row(&sql, &[Cell::Text(&id)]).await?.ok_or_else(|| Denial::record_not_found(&id, table))?;
    Ok(Inspected { status: Status::Ok, record: row.decode()? })
}

/// Parses a JSON text that a caller gave.
///
/// # Errors
/// `DENIED_JSON_INVALID`, or what is wrong with its size.
pub fn parse_json(field: &str, text: &str) -> Result<Value, Denial> {
    limits::check_bytes(field, text, limits::PAYLOAD_BYTES)?;
    serde_json::from_str(text).map_err(|error| {
        Denial::new(Code::JsonInvalid).with("field", field).message(format!("{field} is not JSON: {error}"))
    })
}
