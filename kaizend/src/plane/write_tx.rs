//! What a writing operation may do: insert, update and delete whole rows, and read what it needs for that.
//!
//! Every change goes through three verbs, so the journal, the counters and the search index cannot be forgotten.

use std::collections::BTreeSet;
use std::sync::Arc;

use kaizen_proto::denial::Denial;
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, ToSql};

use super::counters::{self, Deltas};
use super::tables::{Table, Tables};
use super::value::{Cell, OwnedCell, Row};
use super::{evidence_index, fault, journal, search_index};

/// Who calls, for the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Who acts.
    pub actor: Option<String>,
    /// In which session.
    pub session: Option<String>,
}

/// What is to be indexed for search once the batch is complete.
#[derive(Debug, Default)]
pub(super) struct Indexed {
    pub(super) records: Vec<search_index::Change>,
    pub(super) chunks: Vec<evidence_index::Change>,
}

/// One operation's part of a batch: a savepoint in the batch's transaction.
pub struct WriteTx<'a> {
    connection: &'a Connection,
    tables: &'a Tables,
    now: String,
    pub(super) task_id: Option<String>,
    pub(super) rows: String,
    /// Groups of rows that were changed, by table.
    groups: BTreeSet<(String, String)>,
    pub(super) warnings: Vec<String>,
    pub(super) deltas: Deltas,
    pub(super) indexed: Indexed,
    scratch: String,
}

impl<'a> WriteTx<'a> {
    pub(super) fn new(connection: &'a Connection, tables: &'a Tables, now: String) -> Self {
        WriteTx {
            connection,
            tables,
            now,
            task_id: None,
            rows: String::from("["),
            groups: BTreeSet::new(),
            warnings: Vec::new(),
            deltas: Deltas::default(),
            indexed: Indexed::default(),
            scratch: String::with_capacity(1024),
        }
    }

    /// The time of this operation, the same however often it is asked for.
    pub fn now(&self) -> String {
        self.now.clone()
    }

    /// Names the task that the journal entry belongs to.
    pub fn about_task(&mut self, task_id: Option<&str>) {
        self.task_id = task_id.map(str::to_owned);
    }

    /// Adds a warning to the reply.
    pub fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    /// Inserts a row. Columns that are not named become NULL, `is_test` becomes 0.
    ///
    /// # Errors
    /// What SQLite denies; an unknown table or column is `ERROR_UNEXPECTED`.
    pub fn insert(&mut self, table: &'static str, row: &[(&'static str, Cell<'_>)]) -> Result<(), Denial> {
        let table = self.table(table)?;
        let cells = arrange(table, row)?;
        self.execute(&table.insert_sql, &cells)?;
        let id = match cells.iter().zip(&table.columns).find(|(_, column)| **column == table.key) {
            Some((Cell::Text(id), _)) => *id,
            _ => return Err(fault::unexpected("insert a row", &format!("{} without a key", table.name))),
        };
        self.note(table, id, None, Some(&cells))
    }

    /// Changes columns of the row with this key.
    ///
    /// # Errors
    /// `DENIED_RECORD_NOT_FOUND`, or what SQLite denies.
    pub fn update(
        &mut self,
        table: &'static str,
        id: &str,
        changes: &[(&'static str, Cell<'_>)],
    ) -> Result<(), Denial> {
        self.rewrite(table, id, changes)
    }

    /// [`WriteTx::update`] of a table and columns that were read from the database itself, for what looks after all of
    /// them.
    pub(crate) fn rewrite(
        &mut self,
        table: &str,
        id: &str,
        changes: &[(&str, Cell<'_>)],
    ) -> Result<(), Denial> {
        let table = self.table(table)?;
        let before = self.current(table, id)?;
        let mut after: Vec<Cell<'_>> = before.cells.iter().map(OwnedCell::as_cell).collect();
        let mut sql = format!("UPDATE {} SET ", table.name);
        let mut parameters = Vec::with_capacity(changes.len() + 1);
        for (at, (column, cell)) in changes.iter().enumerate() {
            let place = table.columns.iter().position(|name| name == column);
            let place = place.ok_or_else(|| unknown_column(table, column))?;
            after[place] = *cell;
            parameters.push(*cell);
            let comma = if at == 0 { "" } else { ", " };
            sql.push_str(&format!("{comma}\"{column}\" = ${}", at + 1));
        }
        parameters.push(Cell::Text(id));
        sql.push_str(&format!(" WHERE \"{}\" = ${}", table.key, parameters.len()));
        self.execute(&sql, &parameters)?;
        let before: Vec<Cell<'_>> = before.cells.iter().map(OwnedCell::as_cell).collect();
        self.note(table, id, Some(&before), Some(&after))
    }

    /// Deletes the row with this key. The journal keeps a tombstone.
    ///
    /// # Errors
    /// `DENIED_RECORD_NOT_FOUND`, or what SQLite denies.
    pub fn delete(&mut self, table: &'static str, id: &str) -> Result<(), Denial> {
        let table = self.table(table)?;
        let before = self.current(table, id)?;
        self.execute(&table.delete_sql, &[Cell::Text(id)])?;
        let before: Vec<Cell<'_>> = before.cells.iter().map(OwnedCell::as_cell).collect();
        self.note(table, id, Some(&before), None)
    }

    /// Deletes the rows with these values from a table that the journal does not cover.
    ///
    /// # Errors
    /// What SQLite denies; a table that the journal covers is `ERROR_UNEXPECTED`.
    pub fn discard(
        &mut self,
        table: &'static str,
        conditions: &[(&'static str, Cell<'_>)],
    ) -> Result<(), Denial> {
        let table = self.table(table)?;
        if table.journalled || conditions.is_empty() {
            return Err(fault::unexpected("discard rows", &format!("{} is journalled", table.name)));
        }
        let mut sql = format!("DELETE FROM {} WHERE ", table.name);
        for (at, (column, _)) in conditions.iter().enumerate() {
            let and = if at == 0 { "" } else { " AND " };
            sql.push_str(&format!("{and}\"{column}\" = ${}", at + 1));
        }
        let parameters: Vec<Cell<'_>> = conditions.iter().map(|(_, cell)| *cell).collect();
        self.execute(&sql, &parameters)
    }

    /// The first row of a query.
    ///
    /// # Errors
    /// What SQLite denies.
    pub fn query_row(&self, sql: &str, parameters: &[Cell<'_>]) -> Result<Option<Row>, Denial> {
        Ok(self.query(sql, parameters)?.into_iter().next())
    }

    /// All rows of a query.
    ///
    /// # Errors
    /// What SQLite denies.
    pub fn query(&self, sql: &str, parameters: &[Cell<'_>]) -> Result<Vec<Row>, Denial> {
        query(self.connection, sql, parameters).map_err(|error| fault::from_rusqlite("read", &error))
    }

    /// All tables that the journal covers, by name.
    pub(crate) fn journalled(&self) -> Vec<&'a Table> {
        let tables: &'a Tables = self.tables;
        let mut journalled: Vec<_> = tables.values().filter(|table| table.journalled).collect();
        journalled.sort_by(|left, right| left.name.cmp(&right.name));
        journalled
    }

    /// Forgets the replies that hold a text. The calls that they answered are carried out again when they are sent again.
    pub(crate) fn forget_replies(&self, text: &str) -> Result<(), Denial> {
        self.execute("DELETE FROM requests WHERE instr(reply, $1) > 0", &[Cell::Text(text)])
    }

    fn table(&self, name: &str) -> Result<&'a Table, Denial> {
        let tables: &'a Tables = self.tables;
        tables.get(name).ok_or_else(|| fault::unexpected("write a row", &format!("no table {name}")))
    }

    fn current(&self, table: &Table, id: &str) -> Result<Row, Denial> {
        self.query_row(&table.select_sql, &[Cell::Text(id)])?
            .ok_or_else(|| Denial::record_not_found(id, &table.name))
    }

    fn execute(&self, sql: &str, parameters: &[Cell<'_>]) -> Result<(), Denial> {
        execute(self.connection, sql, parameters)
            .map(drop)
            .map_err(|error| fault::from_rusqlite("write a row", &error))
    }

    fn note(
        &mut self,
        table: &Table,
        id: &str,
        before: Option<&[Cell<'_>]>,
        after: Option<&[Cell<'_>]>,
    ) -> Result<(), Denial> {
        if let Some(group) = table.group {
            for cells in [before, after].into_iter().flatten() {
                if let Cell::Text(group) = cells[group] {
                    self.groups.insert((table.name.clone(), group.to_owned()));
                }
            }
        } else if table.journalled {
            let hash = after.map(|cells| {
                let columns = table.sorted.iter().map(|at| (table.columns[*at].as_str(), cells[*at]));
                journal::row_hash(columns, &mut self.scratch)
            });
            journal::push_row(&mut self.rows, &table.name, id, hash.as_deref());
        }
        counters::changed(self.connection, &mut self.deltas, table, before, after)
            .map_err(|error| fault::from_rusqlite("count", &error))?;
        search_index::changed(&mut self.indexed.records, table, id, before.is_none(), after);
        evidence_index::changed(&mut self.indexed.chunks, table, id, before, after);
        Ok(())
    }
}

impl WriteTx<'_> {
    /// Adds the groups of rows that were changed to what the journal entry names.
    ///
    /// # Errors
    /// What SQLite denies.
    pub(super) fn seal_groups(&mut self) -> Result<(), Denial> {
        for (name, group) in std::mem::take(&mut self.groups) {
            let table = self.table(&name)?;
            let mut hash = None;
            journal::groups(self.connection, table, Some(&group), |_, found| hash = found)
                .map_err(|error| fault::from_rusqlite("hash a group of rows", &error))?;
            journal::push_row(&mut self.rows, &name, &group, hash.as_deref());
        }
        Ok(())
    }
}

/// Puts the named cells into the order of the table's columns.
fn arrange<'c>(table: &Table, row: &[(&'static str, Cell<'c>)]) -> Result<Vec<Cell<'c>>, Denial> {
    let mut cells = Vec::with_capacity(table.columns.len());
    let mut used = 0;
    for (at, column) in table.columns.iter().enumerate() {
        // Callers name columns in physical order as a rule, so the search seldom starts.
        let found = match row.get(at) {
            Some((name, cell)) if name == column => Some(*cell),
            _ => row.iter().find(|(name, _)| name == column).map(|(_, cell)| *cell),
        };
        used += usize::from(found.is_some());
        cells.push(found.unwrap_or(if column == "is_test" { Cell::Integer(0) } else { Cell::Null }));
    }
    if used == row.len() {
        return Ok(cells);
    }
    let stray = row.iter().find(|(name, _)| table.columns.iter().all(|column| column != name));
    Err(unknown_column(table, stray.map_or("(twice)", |(name, _)| name)))
}

fn unknown_column(table: &Table, column: &str) -> Denial {
    fault::unexpected("write a row", &format!("no column {column} in {}", table.name))
}

struct Bound<'c>(Cell<'c>);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        use rusqlite::types::ValueRef;
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Cell::Null => ValueRef::Null,
            Cell::Integer(number) => ValueRef::Integer(number),
            Cell::Real(number) => ValueRef::Real(number),
            Cell::Text(text) => ValueRef::Text(text.as_bytes()),
            Cell::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Whether `$1`, `$2` … first appear in this order: SQLite takes them for names and numbers them as they come.
fn in_order(sql: &str) -> bool {
    let numbers = sql.split('$').skip(1).filter_map(|rest| {
        let digits = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
        rest[..digits].parse::<usize>().ok()
    });
    let mut last = 0;
    numbers.into_iter().all(|number| {
        let fits = number <= last + 1;
        last = last.max(number);
        fits
    })
}

/// Runs a statement on a connection that writes. For `plane` and `care` only.
pub(crate) fn execute(
    connection: &Connection,
    sql: &str,
    parameters: &[Cell<'_>],
) -> rusqlite::Result<usize> {
    debug_assert!(in_order(sql), "placeholders out of order: {sql}");
    tracing::trace!(target: "kaizend::sql", "{sql}");
    let mut statement = connection.prepare_cached(sql)?;
    statement.execute(rusqlite::params_from_iter(parameters.iter().map(|cell| Bound(*cell))))
}

/// Runs a query on a blocking connection. For `plane` and `care` only.
pub(crate) fn query(
    connection: &Connection,
    sql: &str,
    parameters: &[Cell<'_>],
) -> rusqlite::Result<Vec<Row>> {
    debug_assert!(in_order(sql), "placeholders out of order: {sql}");
    tracing::trace!(target: "kaizend::sql", "{sql}");
    let mut statement = connection.prepare_cached(sql)?;
    let columns: Arc<[String]> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut rows = statement.query(rusqlite::params_from_iter(parameters.iter().map(|cell| Bound(*cell))))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let cells = (0..columns.len()).map(|at| owned_cell(row, at)).collect::<Result<_, _>>()?;
        found.push(Row { columns: columns.clone(), cells });
    }
    Ok(found)
}

/// Hands the rows of a query to `visit`, one at a time, so that no table must fit into memory. For `plane` and `care`
/// only.
pub(crate) fn each(
    connection: &Connection,
    sql: &str,
    visit: impl FnMut(Row) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    each_of(connection, sql, &[], visit)
}

/// [`each`] with parameters.
pub(crate) fn each_of(
    connection: &Connection,
    sql: &str,
    parameters: &[Cell<'_>],
    mut visit: impl FnMut(Row) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    tracing::trace!(target: "kaizend::sql", "{sql}");
    let mut statement = connection.prepare_cached(sql)?;
    let columns: Arc<[String]> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut rows = statement.query(rusqlite::params_from_iter(parameters.iter().map(|cell| Bound(*cell))))?;
    while let Some(row) = rows.next()? {
        let cells = (0..columns.len()).map(|at| exact_cell(row, at)).collect::<Result<_, _>>()?;
        visit(Row { columns: columns.clone(), cells })?;
    }
    Ok(())
}

/// A value as it is: a text that is not UTF-8 counts as bytes, so that no repaired form of it can pass for the text
/// that was written.
fn exact_cell(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<OwnedCell> {
    use rusqlite::types::ValueRef;
    match row.get_ref(at)? {
        ValueRef::Text(bytes) if std::str::from_utf8(bytes).is_err() => Ok(OwnedCell::Blob(bytes.to_vec())),
        _ => owned_cell(row, at),
    }
}

/// One value of a row of a blocking connection. For `plane` and `care` only.
pub(crate) fn owned_cell(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<OwnedCell> {
    use rusqlite::types::ValueRef;
    Ok(match row.get_ref(at)? {
        ValueRef::Null => OwnedCell::Null,
        ValueRef::Integer(number) => OwnedCell::Integer(number),
        ValueRef::Real(number) => OwnedCell::Real(number),
        ValueRef::Text(text) => OwnedCell::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => OwnedCell::Blob(bytes.to_vec()),
    })
}
