//! Reading a snapshot row by row.

use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::plane::value::{OwnedCell, Row};
use crate::plane::write_tx;

/// Hands the rows of a query to `visit`, one at a time: no check may need memory for a whole table.
pub(super) fn each(
    connection: &Connection,
    sql: &str,
    mut visit: impl FnMut(Row) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let columns: Arc<[String]> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let cells = (0..columns.len()).map(|at| cell(row, at)).collect::<Result<_, _>>()?;
        visit(Row { columns: columns.clone(), cells })?;
    }
    Ok(())
}

/// A value as it is: a text that is not UTF-8 counts as bytes, so that no repaired form of it can pass for the text
/// that was written.
fn cell(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<OwnedCell> {
    match row.get_ref(at)? {
        ValueRef::Text(bytes) if std::str::from_utf8(bytes).is_err() => Ok(OwnedCell::Blob(bytes.to_vec())),
        _ => write_tx::owned_cell(row, at),
    }
}
