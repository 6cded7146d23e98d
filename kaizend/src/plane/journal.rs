//! The journal chain: what each entry's hash covers, and how a row is hashed.
//!
//! `row_hash` is SHA-256 over the canonical JSON object of the row's columns that are not NULL, so a new column that
//! starts as NULL leaves all hashes as they are. `chain_hash` is SHA-256 over the previous entry's `chain_hash`
//! followed by the canonical JSON of the entry `{actor, at, operation, rows, seq, session, task_id}`.
//!
//! Of some tables the journal names groups of rows instead: the pieces of one document. The hash of a group is SHA-256
//! over the row hashes of its rows, as text, in the order of their keys; a group without rows counts as deleted.

use kaizen_proto::canonical_json::{hex, sha256_hex, write_string};
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::feed::Cursor;
use rusqlite::Connection;
use sha2::{Digest, Sha256};

use super::readers::ReadTx;
use super::tables::Table;
use super::value::{Cell, OwnedCell, Row};
use super::write_tx::{each_of, execute, query};

/// The `prev_hash` of the first entry.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One entry, without its place in the chain.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// When it was written.
    pub at: &'a str,
    /// The operation's code, or `migration`.
    pub operation: &'a str,
    /// The task it belongs to.
    pub task_id: Option<&'a str>,
    /// Who acted.
    pub actor: Option<&'a str>,
    /// In which session.
    pub session: Option<&'a str>,
    /// Canonical JSON `[[table, id, row_hash], …]`.
    pub rows: &'a str,
}

/// The hash of an entry at `seq` that follows `prev_hash`.
pub fn chain_hash(prev_hash: &str, seq: i64, entry: &Entry<'_>) -> String {
    let mut text = String::with_capacity(entry.rows.len() + 320);
    text.push_str(prev_hash);
    text.push_str("{\"actor\":");
    push_optional(&mut text, entry.actor);
    text.push_str(",\"at\":");
    write_string(&mut text, entry.at);
    text.push_str(",\"operation\":");
    write_string(&mut text, entry.operation);
    text.push_str(",\"rows\":");
    text.push_str(entry.rows);
    text.push_str(",\"seq\":");
    text.push_str(&seq.to_string());
    text.push_str(",\"session\":");
    push_optional(&mut text, entry.session);
    text.push_str(",\"task_id\":");
    push_optional(&mut text, entry.task_id);
    text.push('}');
    sha256_hex(text.as_bytes())
}

fn push_optional(text: &mut String, value: Option<&str>) {
    match value {
        Some(value) => write_string(text, value),
        None => text.push_str("null"),
    }
}

/// The hash of a row. `columns` must come sorted by name.
pub fn row_hash<'a>(columns: impl Iterator<Item = (&'a str, Cell<'a>)>, scratch: &mut String) -> String {
    use std::fmt::Write as _;
    scratch.clear();
    scratch.push('{');
    for (name, cell) in columns {
        if cell == Cell::Null {
            continue;
        }
        if scratch.len() > 1 {
            scratch.push(',');
        }
        write_string(scratch, name);
        scratch.push(':');
        // Writing to a string cannot fail.
        match cell {
            Cell::Null => {}
            Cell::Integer(number) => drop(write!(scratch, "{number}")),
            Cell::Real(number) => kaizen_proto::canonical_json::write(scratch, &number.into()),
            Cell::Text(text) => write_string(scratch, text),
            Cell::Blob(bytes) => drop(write!(scratch, "\"{}\"", hex(bytes))),
        }
    }
    scratch.push('}');
    hex(&Sha256::digest(scratch.as_bytes()))
}

/// The hash of a group of rows, from the hashes of its rows in the order of their keys.
#[derive(Debug, Default)]
pub(crate) struct GroupHash {
    digest: Sha256,
    rows: usize,
}

impl GroupHash {
    /// Adds the hash of the next row.
    pub(crate) fn add(&mut self, row_hash: &str) {
        self.digest.update(row_hash.as_bytes());
        self.rows += 1;
    }

    /// The hash of the group; none when it has no rows.
    pub(crate) fn finish(self) -> Option<String> {
        (self.rows > 0).then(|| hex(&self.digest.finalize()))
    }
}

/// The hashes of the groups of a table, each from all its rows: of one group when it is named, else of all of them in
/// order. Returns how many rows there are.
pub(crate) fn groups(
    connection: &Connection,
    table: &Table,
    only: Option<&str>,
    mut visit: impl FnMut(&str, Option<String>),
) -> rusqlite::Result<usize> {
    let Some(group) = table.group else { return Ok(0) };
    let Table { name, columns, sorted, key, .. } = table;
    let group = &columns[group];
    // Named through the table, a column that is gone is an error and not a text.
    let selected: Vec<String> = sorted.iter().map(|at| format!("t.\"{}\"", columns[*at])).collect();
    let condition = if only.is_some() { format!("WHERE t.\"{group}\" = $1 ") } else { String::new() };
    let sql = format!(
        "SELECT {} FROM {name} t {condition}ORDER BY t.\"{group}\", t.\"{key}\"",
        selected.join(", ")
    );
    let parameters: Vec<Cell<'_>> = only.iter().map(|only| Cell::Text(only)).collect();
    let mut scratch = String::with_capacity(1024);
    let mut current: Option<(String, GroupHash)> = None;
    let mut rows = 0;
    each_of(connection, &sql, &parameters, |row| {
        rows += 1;
        let cells = sorted.iter().zip(&row.cells);
        let hash =
            row_hash(cells.map(|(at, cell)| (columns[*at].as_str(), OwnedCell::as_cell(cell))), &mut scratch);
        let of = row.text(group);
        match &mut current {
            Some((name, known)) if name == of => known.add(&hash),
            _ => {
                let mut fresh = GroupHash::default();
                fresh.add(&hash);
                if let Some((name, done)) = current.replace((of.to_owned(), fresh)) {
                    visit(&name, done.finish());
                }
            }
        }
        Ok(())
    })?;
    match current {
        Some((name, done)) => visit(&name, done.finish()),
        None => only.into_iter().for_each(|only| visit(only, None)),
    }
    Ok(rows)
}

/// Adds an entry to the journal. The caller moves the head.
pub(crate) fn append(
    connection: &Connection,
    seq: i64,
    prev_hash: &str,
    chain_hash: &str,
    entry: &Entry<'_>,
) -> rusqlite::Result<()> {
    execute(
        connection,
        "INSERT INTO journal (seq, at, operation, task_id, actor, session, rows, prev_hash, chain_hash) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            Cell::Integer(seq),
            Cell::Text(entry.at),
            Cell::Text(entry.operation),
            entry.task_id.into(),
            entry.actor.into(),
            entry.session.into(),
            Cell::Text(entry.rows),
            Cell::Text(prev_hash),
            Cell::Text(chain_hash),
        ],
    )
    .map(drop)
}

/// Adds `[table, id, hash]` to the canonical JSON list of an entry's rows, which starts as `[`.
pub fn push_row(rows: &mut String, table: &str, id: &str, hash: Option<&str>) {
    if rows.len() > 1 {
        rows.push(',');
    }
    rows.push('[');
    write_string(rows, table);
    rows.push(',');
    write_string(rows, id);
    rows.push(',');
    push_optional(rows, hash);
    rows.push(']');
}

/// The data plane's own name; empty when it has no head, which whoever opens it finds out by itself.
pub(super) fn plane_id(connection: &Connection) -> rusqlite::Result<String> {
    let head = query(connection, "SELECT plane_id FROM plane_head", &[])?;
    Ok(head.first().map(|row| row.text("plane_id").to_owned()).unwrap_or_default())
}

/// Where the journal ends.
///
/// # Errors
/// `DENIED_SCHEMA_STATUS` when it has no head, or what SQLite denies.
pub async fn head(tx: &mut ReadTx) -> Result<Cursor, Denial> {
    let head = tx.query_row("SELECT plane_id, seq FROM plane_head", &[]).await?;
    let head =
        head.ok_or_else(|| Denial::new(Code::SchemaStatus).with("reason", "the journal has no head"))?;
    Ok(Cursor { plane_id: head.text("plane_id").to_owned(), seq: head.integer("seq") })
}

/// Which entries a reader wants.
#[derive(Clone, Debug, Default)]
pub struct Wanted<'a> {
    /// Those after this one; the last ones when absent.
    pub since: Option<i64>,
    /// At most this many.
    pub limit: i64,
    /// Columns that must have exactly these values.
    pub filters: Vec<(&'static str, &'a str)>,
    /// Rows of an entry that are read.
    pub rows: i64,
}

/// Reads entries in the order of the journal, along its primary key. `rows` holds the first `[table, id, row_hash]` of
/// an entry as JSON, `row_count` how many there are.
///
/// # Errors
/// What SQLite denies.
pub async fn entries(tx: &mut ReadTx, wanted: &Wanted<'_>) -> Result<Vec<Row>, Denial> {
    let mut parameters = vec![
        Cell::Integer(wanted.since.unwrap_or(0)),
        Cell::Integer(wanted.limit),
        Cell::Integer(wanted.rows),
    ];
    let mut filters = String::new();
    for (column, value) in &wanted.filters {
        parameters.push(Cell::Text(value));
        filters.push_str(&format!(" AND \"{column}\" = ${}", parameters.len()));
    }
    let order = if wanted.since.is_some() { "ASC" } else { "DESC" };
    // An entry can name very many rows, and one that was tampered with none that can be read.
    let sql = format!(
        "SELECT seq, at, operation, task_id, actor, session, chain_hash, \
         CASE WHEN json_valid(rows) THEN json_array_length(rows) END AS row_count, \
         CASE WHEN json_valid(rows) THEN (SELECT json_group_array(json(value)) FROM \
         (SELECT value FROM json_each(journal.rows) LIMIT $3)) END AS rows \
         FROM journal WHERE seq > $1{filters} ORDER BY seq {order} LIMIT $2"
    );
    let mut entries = tx.query(&sql, &parameters).await?;
    if wanted.since.is_none() {
        entries.reverse();
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_column_does_not_change_the_hash() {
        let mut scratch = String::new();
        let with = [("a", Cell::Text("x")), ("b", Cell::Null), ("c", Cell::Integer(1))];
        let without = [("a", Cell::Text("x")), ("c", Cell::Integer(1))];
        let left = row_hash(with.into_iter(), &mut scratch);
        assert_eq!(left, row_hash(without.into_iter(), &mut scratch));
        assert_eq!(left, sha256_hex(br#"{"a":"x","c":1}"#));
    }

    #[test]
    fn every_part_of_an_entry_counts() {
        let entry = Entry { at: "t", operation: "W1", task_id: None, actor: None, session: None, rows: "[]" };
        let hash = chain_hash(GENESIS, 1, &entry);
        let others = [
            chain_hash(GENESIS, 2, &entry),
            chain_hash(&hash, 1, &entry),
            chain_hash(GENESIS, 1, &Entry { at: "u", ..entry }),
            chain_hash(GENESIS, 1, &Entry { operation: "W2", ..entry }),
            chain_hash(GENESIS, 1, &Entry { task_id: Some("t"), ..entry }),
            chain_hash(GENESIS, 1, &Entry { actor: Some("t"), ..entry }),
            chain_hash(GENESIS, 1, &Entry { session: Some("t"), ..entry }),
            chain_hash(GENESIS, 1, &Entry { rows: "[[]]", ..entry }),
        ];
        assert!(others.iter().all(|other| *other != hash));
    }
}
