//! K14: an export becomes a data plane.
//!
//! It is read into a database of its own, in one transaction, and everything is checked there. Only then does that take the
//! place of the empty plane, so that nobody ever sees a part of it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use kaizen_proto::canonical_json::hex;
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::core::{ImportPlane, Imported};
use kaizen_proto::operation::Status;
use kaizen_proto::time::Timestamp;
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};

use super::backup::{self, Head};
use super::staging::Staging;
use super::transfer::{Digest, FORMAT, Header, Line, VERSION, decode};
use super::{blocking, integrity, manifest};
use crate::families::artifact;
use crate::files;
use crate::plane::swap::{self, Swap};
use crate::plane::tables::{self, Table, Tables};
use crate::plane::value::OwnedCell;
use crate::plane::{Caller, Cell, counters, fault, journal, migrate, open, search_index, write_tx};
use crate::registry::Context;

/// The longest line that is read. The longest that is written is the journal entry of a large purge.
const MAX_LINE: u64 = 64 * 1024 * 1024;
/// Rows that one entry of the new journal names.
const ENTRY_ROWS: usize = 10_000;

/// Carries K14 out.
///
/// # Errors
/// `DENIED_PLANE_NOT_EMPTY`, `DENIED_EXPORT_INVALID`, or what is wrong with the path; then nothing has changed.
pub async fn import(context: &Context, params: ImportPlane) -> Result<Imported, Denial> {
    let binding = context.binding.clone();
    let root = binding.root()?.clone();
    let resolved = artifact::resolve_allowed(&root, params.path.as_ref(), params.allow_external)?;
    if !resolved.file.is_file() {
        return Err(Denial::new(Code::FileNotFound).with("path", resolved.file.display().to_string()));
    }
    if context.daemon.projects.holds(&resolved.file) {
        return Err(invalid(0, "it is a data plane that is in use"));
    }
    let plane = context.plane().await?;
    empty(&Head { seq: plane.seq(), ..Head::default() })?;
    drop(plane);
    let (staging, header, head) = {
        let (db_path, caller) = (binding.db_path.clone(), binding.caller.clone());
        let file = resolved.file.clone();
        blocking(move || stage(&file, &db_path, &caller)).await?
    };
    let aside = format!("replaced/{}", manifest::stamped());
    let swap = Swap { new: staging.name(), aside: aside.clone() };
    let db_path = binding.db_path.clone();
    let replacing = context.daemon.projects.replace(&binding, move || {
        if db_path.exists() {
            // Somebody may have written since the first look.
            empty(&backup::head(&open::reader_connection(&db_path)?)?.unwrap_or_default())?;
        }
        swap::begin(&db_path, &swap)?;
        // What it was is an empty plane, which nobody misses.
        let aside = db_path.with_file_name(aside);
        for ending in ["", "-wal"] {
            let mut name = db_path.file_name().unwrap_or_default().to_owned();
            name.push(ending);
            let _ = std::fs::remove_file(aside.join(name));
        }
        let _ = std::fs::remove_dir(&aside);
        let _ = std::fs::remove_dir(aside.parent().unwrap_or(&aside));
        Ok(())
    });
    replacing.await?;
    let rows: i64 = header.tables.values().sum();
    Ok(Imported {
        status: Status::Ok,
        message: format!("{rows} rows were read and checked; they are the data plane now."),
        path: resolved.shown,
        complete: header.complete,
        table_counts: header.tables,
        plane_id: head.plane_id,
        seq: head.seq,
        chain_hash: head.chain_hash,
    })
}

fn empty(head: &Head) -> Result<(), Denial> {
    if head.seq == 0 {
        return Ok(());
    }
    Err(Denial::new(Code::PlaneNotEmpty)
        .with("seq", head.seq)
        .message("the data plane has a journal already, which an import would replace"))
}

fn invalid(line: i64, reason: &str) -> Denial {
    let denial = Denial::new(Code::ExportInvalid);
    if line > 0 { denial.with("line", line) } else { denial }.with("reason", reason)
}

/// Makes a database of an export, and checks everything in it.
fn stage(file: &Path, db_path: &Path, caller: &Arc<Caller>) -> Result<(Staging, Header, Head), Denial> {
    let (staging, _file) = Staging::new(db_path)?;
    let (connection, header) = load(file, staging.path(), caller)?;
    let (found, _) = integrity::look(staging.path())?;
    if !found.ok {
        let first = found.faults.first().map(|fault| fault.problem.clone()).unwrap_or_default();
        return Err(invalid(0, "the full check finds faults in what it holds")
            .with("faults", found.total_faults)
            .with("orphans", found.total_orphans)
            .with("first_fault", first));
    }
    let head = backup::head(&connection)?.unwrap_or_default();
    if header.complete && (head.seq, &head.chain_hash) != (found.journal.seq, &found.journal.chain_hash) {
        return Err(invalid(1, "the head is not where the journal ends"));
    }
    staging.seal(connection)?;
    Ok((staging, header, head))
}

/// Reads an export into a database that is empty, in one transaction.
pub(super) fn load(file: &Path, path: &Path, caller: &Caller) -> Result<(Connection, Header), Denial> {
    let fail = |error: rusqlite::Error| fault::from_rusqlite("import", &error);
    let reading = |error: std::io::Error| fault::from_io("read the export", file, &error);
    let mut connection = open::writer_connection(path)?;
    migrate::run_on_copy(&mut connection, path)?;
    // Rows come in the order of their tables; the full check finds what has no parent.
    connection.execute_batch("PRAGMA foreign_keys = OFF").map_err(fail)?;
    let tables = tables::read(&connection).map_err(fail)?;
    let transaction = connection.transaction().map_err(fail)?;
    let mut reader = Reader {
        from: BufReader::with_capacity(256 * 1024, files::open(file).map_err(reading)?),
        line: Vec::new(),
        number: 0,
        digest: Sha256::new(),
    };
    let header = header(&mut reader).map_err(|failure| failure.denial(file))?;
    let mut load = Load {
        connection: &transaction,
        tables: &tables,
        complete: header.complete,
        counts: BTreeMap::new(),
        entries: Entries::new(&transaction, caller)?,
    };
    loop {
        let before = reader.digest.clone();
        if !reader.next().map_err(|failure| failure.denial(file))? {
            return Err(invalid(reader.number, "it ends before its last line: it is cut off"));
        }
        if let Ok(line) = serde_json::from_slice::<Line>(&reader.line) {
            load.row(&line, reader.number)?;
            continue;
        }
        let digest: Digest = serde_json::from_slice(&reader.line)
            .map_err(|_| invalid(reader.number, "the line is neither a row nor the last one"))?;
        if hex(&before.finalize()) != digest.sha256 {
            return Err(invalid(reader.number, "its hash is not the one that it was written with"));
        }
        let rows: i64 = load.counts.values().sum();
        load.counts
            .extend(header.tables.iter().filter(|(_, rows)| **rows == 0).map(|(name, _)| (name.clone(), 0)));
        if rows != digest.rows || load.counts != header.tables {
            return Err(invalid(reader.number, "it has not as many rows as it says"));
        }
        if reader.next().map_err(|failure| failure.denial(file))? {
            return Err(invalid(reader.number, "something follows its last line"));
        }
        break;
    }
    let Load { mut entries, .. } = load;
    if !header.complete {
        entries.add_groups(&transaction, &tables).map_err(fail)?;
    }
    if header.complete {
        write_tx::execute(
            &transaction,
            "UPDATE plane_head SET plane_id = $1, seq = $2, chain_hash = $3",
            &[Cell::Text(&header.plane_id), Cell::Integer(header.seq), Cell::Text(&header.chain_hash)],
        )
        .map_err(fail)?;
    } else {
        entries.write(&transaction).map_err(fail)?;
    }
    counters::rebuild(&transaction).map_err(fail)?;
    search_index::rebuild(&transaction).map_err(fail)?;
    transaction.commit().map_err(fail)?;
    Ok((connection, header))
}

fn header<R: BufRead>(reader: &mut Reader<R>) -> Result<Header, Failure> {
    let not_ours = || Failure::Denied(invalid(1, "it does not begin like an export of a data plane"));
    if !reader.next()? {
        return Err(not_ours());
    }
    let header: Header = serde_json::from_slice(&reader.line).map_err(|_| not_ours())?;
    if header.format != FORMAT {
        return Err(not_ours());
    }
    if header.version != VERSION {
        return Err(Failure::Denied(
            invalid(1, "a newer release wrote it")
                .action("Install the release that wrote it, or a newer one."),
        ));
    }
    Ok(header)
}

enum Failure {
    Denied(Denial),
    Unread(std::io::Error),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Unread(error)
    }
}

impl Failure {
    fn denial(self, file: &Path) -> Denial {
        match self {
            Failure::Denied(denial) => denial,
            Failure::Unread(error) => fault::from_io("read the export", file, &error),
        }
    }
}

/// Reads lines of a limited length, and hashes them.
struct Reader<R> {
    from: R,
    line: Vec<u8>,
    number: i64,
    digest: Sha256,
}

impl<R: BufRead> Reader<R> {
    /// The next line, if there is one.
    fn next(&mut self) -> Result<bool, Failure> {
        self.line.clear();
        let read = (&mut self.from).take(MAX_LINE).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(false);
        }
        self.number += 1;
        if self.line.last() != Some(&b'\n') {
            let reason = if read as u64 == MAX_LINE { "the line is too long" } else { "the line is cut off" };
            return Err(Failure::Denied(invalid(self.number, reason)));
        }
        self.digest.update(&self.line);
        Ok(true)
    }
}

struct Load<'l> {
    connection: &'l Connection,
    tables: &'l Tables,
    complete: bool,
    counts: BTreeMap<String, i64>,
    entries: Entries<'l>,
}

impl Load<'_> {
    fn row(&mut self, line: &Line, number: i64) -> Result<(), Denial> {
        let refused = |error: &rusqlite::Error| {
            invalid(number, &format!("the row does not fit: {error}")).with("table", line.table.as_str())
        };
        *self.counts.entry(line.table.clone()).or_insert(0) += 1;
        let mut cells = BTreeMap::new();
        for (column, value) in &line.row {
            let cell = decode(value).ok_or_else(|| {
                invalid(number, &format!("the value of {column:.100} is none"))
                    .with("table", line.table.as_str())
            })?;
            cells.insert(column.as_str(), cell);
        }
        if line.table == "journal" && self.complete {
            return self.journal(&cells).map_err(|error| refused(&error));
        }
        let table = self.tables.get(&line.table).filter(|table| table.name != "schema_version");
        let Some(table) = table else {
            return Err(invalid(number, "this release has no such table")
                .with("table", format!("{:.100}", line.table)));
        };
        if let Some(stray) = cells.keys().find(|column| !table.columns.iter().any(|known| known == *column)) {
            return Err(invalid(number, &format!("this release has no such column: {stray:.100}"))
                .with("table", line.table.as_str()));
        }
        let null = OwnedCell::Null;
        let ordered: Vec<Cell<'_>> = table
            .columns
            .iter()
            .map(|column| cells.get(column.as_str()).unwrap_or(&null).as_cell())
            .collect();
        write_tx::execute(self.connection, &table.insert_sql, &ordered).map_err(|error| refused(&error))?;
        if !self.complete && table.journalled && table.group.is_none() {
            self.entries.add(self.connection, table, &ordered).map_err(|error| refused(&error))?;
        }
        Ok(())
    }

    fn journal(&self, cells: &BTreeMap<&str, OwnedCell>) -> rusqlite::Result<()> {
        const COLUMNS: [&str; 9] =
            ["seq", "at", "operation", "task_id", "actor", "session", "rows", "prev_hash", "chain_hash"];
        let null = OwnedCell::Null;
        let ordered: Vec<Cell<'_>> =
            COLUMNS.iter().map(|column| cells.get(column).unwrap_or(&null).as_cell()).collect();
        let sql = "INSERT INTO journal (seq, at, operation, task_id, actor, session, rows, prev_hash, chain_hash) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        write_tx::execute(self.connection, sql, &ordered).map(drop)
    }
}

/// The journal of a plane that is made of a part of another.
struct Entries<'e> {
    caller: &'e Caller,
    head: Head,
    at: Timestamp,
    rows: String,
    count: usize,
    scratch: String,
}

impl<'e> Entries<'e> {
    fn new(connection: &Connection, caller: &'e Caller) -> Result<Self, Denial> {
        let head = backup::head(connection)?.unwrap_or_default();
        let rows = String::from("[");
        Ok(Entries { caller, head, at: Timestamp::now(), rows, count: 0, scratch: String::new() })
    }

    fn add(&mut self, connection: &Connection, table: &Table, cells: &[Cell<'_>]) -> rusqlite::Result<()> {
        let key = table.columns.iter().position(|column| *column == table.key);
        let Some(Cell::Text(id)) = key.map(|at| cells[at]) else { return Ok(()) };
        let columns = table.sorted.iter().map(|at| (table.columns[*at].as_str(), cells[*at]));
        let hash = journal::row_hash(columns, &mut self.scratch);
        self.push(connection, &table.name, id, &hash)
    }

    /// Adds the groups of rows of the tables that the journal knows by groups.
    fn add_groups(&mut self, connection: &Connection, tables: &Tables) -> rusqlite::Result<()> {
        let mut grouped: Vec<&Table> = tables.values().filter(|table| table.group.is_some()).collect();
        grouped.sort_by(|left, right| left.name.cmp(&right.name));
        for table in grouped {
            let mut hashes = Vec::new();
            journal::groups(connection, table, None, |group, hash| {
                hashes.extend(hash.map(|hash| (group.to_owned(), hash)));
            })?;
            for (group, hash) in hashes {
                self.push(connection, &table.name, &group, &hash)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, connection: &Connection, table: &str, id: &str, hash: &str) -> rusqlite::Result<()> {
        journal::push_row(&mut self.rows, table, id, Some(hash));
        self.count += 1;
        if self.count < ENTRY_ROWS { Ok(()) } else { self.write(connection) }
    }

    /// Writes the rows so far as an entry, and moves the head.
    fn write(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut rows = std::mem::replace(&mut self.rows, String::from("["));
        if std::mem::take(&mut self.count) == 0 && self.head.seq > 0 {
            return Ok(());
        }
        rows.push(']');
        let at = self.at.to_string();
        self.at = Timestamp::from_micros(self.at.micros() + 1);
        let entry = journal::Entry {
            at: &at,
            operation: "K14",
            task_id: None,
            actor: self.caller.actor.as_deref(),
            session: self.caller.session.as_deref(),
            rows: &rows,
        };
        let (seq, before) = (self.head.seq + 1, &self.head.chain_hash);
        let chain_hash = journal::chain_hash(before, seq, &entry);
        journal::append(connection, seq, before, &chain_hash, &entry)?;
        write_tx::execute(
            connection,
            "UPDATE plane_head SET seq = $1, chain_hash = $2",
            &[Cell::Integer(seq), Cell::Text(&chain_hash)],
        )?;
        self.head = Head { seq, chain_hash, plane_id: std::mem::take(&mut self.head.plane_id) };
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
