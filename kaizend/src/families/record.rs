//! What the record families share: how records are added and revised with their revisions and ledger events, and, in
//! its parts, how they are listed and how their ids are read.

mod listing;
mod reference;

use kaizen_proto::canonical_json;
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::record::{NewRecord, Recorded, ReviseRecord};
use kaizen_proto::operation::Status;
use kaizen_proto::values::{SCOPES, STATUSES};
use kaizen_proto::{id, limits, spaced_json};
use serde::Serialize;
use serde_json::{Map, json};

use crate::plane::{Cell, WriteTx};

pub use listing::{
    DEFAULT_LIMIT, Listing, Page, Window, filters, find, inspect, list, page, page_limit, parse_json,
    required_query,
};
pub use reference::{
    after_prefix, names_one, required_id, resolve, resolve_read, soft_read, soft_reference, soft_task,
};

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

/// A text parameter of which an empty value counts as absent.
pub fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// [`given`], or a default.
pub fn given_or(text: Option<String>, default: &str) -> String {
    given(text).unwrap_or_else(|| default.to_owned())
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
    fields.iter().try_for_each(|(field, text)| {
        let limit = if *field == "title" { limits::TITLE_BYTES } else { limits::SHORT_BYTES };
        limits::check_bytes(field, text, limit)
    })
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
