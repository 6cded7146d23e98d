//! The index of words over the chunks of documents.
//!
//! As with the records' own index, changes are noted and indexed once per batch. Beside its text a chunk is found by the
//! headings above it and by the name of its file.

use std::collections::HashMap;

use rusqlite::Connection;

use super::tables::Table;
use super::value::Cell;
use super::write_tx::{each, execute, query};

/// What has changed.
#[derive(Debug)]
pub(super) enum Change {
    /// A chunk was inserted or rewritten.
    Chunk { id: String, document_id: String, text: String, heading: String, new: bool },
    /// A chunk was deleted.
    Gone { id: String },
    /// A document's file was renamed.
    Renamed { document_id: String },
    /// A document was superseded, or is the current one again.
    State { document_id: String, is_current: bool },
}

/// Notes a change of a row.
pub(super) fn changed(
    changes: &mut Vec<Change>,
    table: &Table,
    id: &str,
    before: Option<&[Cell<'_>]>,
    after: Option<&[Cell<'_>]>,
) {
    let text = |cells: &[Cell<'_>], name: &str| -> Option<String> {
        let at = table.columns.iter().position(|column| column == name)?;
        if let Cell::Text(text) = cells[at] { Some(text.to_owned()) } else { None }
    };
    match table.name.as_str() {
        "evidence_chunks" => changes.push(match after {
            Some(cells) => Change::Chunk {
                id: id.to_owned(),
                document_id: text(cells, "document_id").unwrap_or_default(),
                text: text(cells, "text").unwrap_or_default(),
                heading: text(cells, "context").unwrap_or_default(),
                new: before.is_none(),
            },
            None => Change::Gone { id: id.to_owned() },
        }),
        "evidence_documents" => {
            let (Some(before), Some(after)) = (before, after) else { return };
            if text(before, "origin_ref") != text(after, "origin_ref") {
                changes.push(Change::Renamed { document_id: id.to_owned() });
            }
            let state = text(after, "state");
            if text(before, "state") != state {
                let is_current = is_found(state.as_deref());
                changes.push(Change::State { document_id: id.to_owned(), is_current });
            }
        }
        _ => {}
    }
}

/// Whether the chunks of a document in this state are found; one without a state was written before there were any.
fn is_found(state: Option<&str>) -> bool {
    state.is_none_or(|state| matches!(state, "current" | "missing"))
}

/// What the index needs of a document.
struct Document {
    name: String,
    is_current: bool,
    is_test: i64,
}

/// Indexes the changes of a batch.
pub(super) fn flush(connection: &Connection, changes: &mut Vec<Change>) -> rusqlite::Result<()> {
    let mut documents = HashMap::new();
    for change in changes.drain(..) {
        match change {
            Change::Chunk { id, document_id, text, heading, new } => {
                if !new {
                    forget(connection, &id)?;
                }
                let document = document(connection, &mut documents, &document_id)?;
                index(connection, &id, &document_id, document, [&text, &heading])?;
            }
            Change::Gone { id } => forget(connection, &id)?,
            Change::State { document_id, is_current } => {
                documents.remove(&document_id);
                let sql = "UPDATE evidence_numbers SET is_current = $1 WHERE document_id = $2";
                execute(connection, sql, &[Cell::from(is_current), Cell::Text(&document_id)])?;
            }
            Change::Renamed { document_id } => {
                documents.remove(&document_id);
                let sql = "SELECT id, text, context FROM evidence_chunks WHERE document_id = $1";
                for row in query(connection, sql, &[Cell::Text(&document_id)])? {
                    forget(connection, row.text("id"))?;
                    let document = document(connection, &mut documents, &document_id)?;
                    index(
                        connection,
                        row.text("id"),
                        &document_id,
                        document,
                        [row.text("text"), row.text("context")],
                    )?;
                }
            }
        }
    }
    Ok(())
}

fn document<'d>(
    connection: &Connection,
    known: &'d mut HashMap<String, Document>,
    id: &str,
) -> rusqlite::Result<&'d Document> {
    if !known.contains_key(id) {
        let sql = "SELECT origin_ref, state, is_test FROM evidence_documents WHERE id = $1";
        let row = query(connection, sql, &[Cell::Text(id)])?.into_iter().next();
        let document = Document {
            name: row.as_ref().map(|row| name(row.text("origin_ref")).to_owned()).unwrap_or_default(),
            is_current: is_found(row.as_ref().and_then(|row| row.optional_text("state"))),
            is_test: row.as_ref().map_or(0, |row| row.integer("is_test")),
        };
        known.insert(id.to_owned(), document);
    }
    Ok(&known[id])
}

/// The name of a file, by which its chunks are found too.
fn name(origin_ref: &str) -> &str {
    origin_ref.rsplit(['/', ':']).next().unwrap_or(origin_ref)
}

fn index(
    connection: &Connection,
    id: &str,
    document_id: &str,
    document: &Document,
    [text, heading]: [&str; 2],
) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO evidence_numbers (chunk_id, document_id, is_current, is_test) VALUES ($1, $2, $3, $4)";
    let (is_current, is_test) = (Cell::from(document.is_current), Cell::Integer(document.is_test));
    execute(connection, sql, &[Cell::Text(id), Cell::Text(document_id), is_current, is_test])?;
    let number = Cell::Integer(connection.last_insert_rowid());
    let sql = "INSERT INTO evidence_words (rowid, text, heading, name) VALUES ($1, $2, $3, $4)";
    let cells = [number, Cell::Text(text), Cell::Text(heading), Cell::Text(&document.name)];
    execute(connection, sql, &cells).map(drop)
}

fn forget(connection: &Connection, id: &str) -> rusqlite::Result<()> {
    let known =
        query(connection, "SELECT number FROM evidence_numbers WHERE chunk_id = $1", &[Cell::Text(id)])?;
    let Some(row) = known.first() else { return Ok(()) };
    let number = [Cell::Integer(row.integer("number"))];
    execute(connection, "DELETE FROM evidence_words WHERE rowid = $1", &number)?;
    execute(connection, "DELETE FROM evidence_numbers WHERE number = $1", &number).map(drop)
}

/// Builds the index anew from the chunks.
pub(super) fn rebuild(connection: &Connection) -> rusqlite::Result<()> {
    execute(connection, "DELETE FROM evidence_numbers", &[])?;
    execute(connection, "INSERT INTO evidence_words (evidence_words) VALUES ('delete-all')", &[])?;
    let mut documents = HashMap::new();
    let sql =
        "SELECT c.id, c.document_id, c.text, c.context FROM evidence_chunks c ORDER BY c.created_at, c.id";
    each(connection, sql, |row| {
        let document_id = row.text("document_id");
        let document = document(connection, &mut documents, document_id)?;
        index(connection, row.text("id"), document_id, document, [row.text("text"), row.text("context")])
    })
}
