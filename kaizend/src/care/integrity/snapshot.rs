//! Reading a snapshot row by row.

use std::sync::Arc;

use rusqlite::Connection;

use crate::plane::value::Row;
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
        let cells = (0..columns.len()).map(|at| write_tx::owned_cell(row, at)).collect::<Result<_, _>>()?;
        visit(Row { columns: columns.clone(), cells })?;
    }
    Ok(())
}
