//! The journal: its chain from the first entry on, and the rows that it names against the rows that are stored.

use std::collections::HashMap;

use kaizen_proto::families::core::JournalState;
use rusqlite::Connection;

use super::findings::{Check, Findings, Place};
use crate::plane::journal::{self, GENESIS};
use crate::plane::tables::{Table, Tables};
use crate::plane::value::{OwnedCell, Row};
use crate::plane::write_tx;
use crate::plane::write_tx::each;

/// What the last entry that names a row says of it.
struct Last {
    /// The row's hash; none when the row was deleted.
    hash: Option<[u8; 32]>,
    seq: i64,
}

/// The last word on every row of one table, by id.
struct Known<'a> {
    table: &'a Table,
    rows: HashMap<Box<str>, Last>,
}

/// What the journal says of the rows of all tables, by table.
pub(super) struct Told<'a>(Vec<Known<'a>>);

impl<'a> Told<'a> {
    /// Nothing yet, for all tables that the journal covers.
    pub(super) fn new(tables: &'a Tables) -> Self {
        let mut known: Vec<_> = tables
            .values()
            .filter(|table| table.journalled)
            .map(|table| Known { table, rows: HashMap::new() })
            .collect();
        known.sort_by(|left, right| left.table.name.cmp(&right.table.name));
        Told(known)
    }

    /// Takes over what an entry says. Its text must be the canonical one.
    fn entry(&mut self, seq: i64, text: &str) -> Result<(), String> {
        let rows: Vec<(String, String, Option<String>)> =
            serde_json::from_str(text).map_err(|error| format!("its rows cannot be read: {error}"))?;
        let mut canonical = String::with_capacity(text.len());
        canonical.push('[');
        for (table, id, hash) in rows {
            journal::push_row(&mut canonical, &table, &id, hash.as_deref());
            let hash = match hash.as_deref().map(digest) {
                Some(None) => return Err(format!("it gives {table} {id} a hash that is none")),
                Some(hash) => hash,
                None => None,
            };
            match self.0.iter_mut().find(|known| known.table.name == table) {
                Some(known) => drop(known.rows.insert(id.into(), Last { hash, seq })),
                // A table that a later release took away leaves only tombstones.
                None if hash.is_none() => {}
                None => {
                    return Err(format!("it names the table {table}, which this release does not journal"));
                }
            }
        }
        canonical.push(']');
        if canonical == text { Ok(()) } else { Err("its rows are not in canonical form".to_owned()) }
    }
}

/// The bytes of a hash.
fn digest(hex: &str) -> Option<[u8; 32]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    if hex.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// The chain as far as it has been read.
pub(super) struct Chain {
    pub(super) state: JournalState,
}

impl Chain {
    /// A chain without entries.
    pub(super) fn new() -> Self {
        let chain_hash = GENESIS.to_owned();
        Chain { state: JournalState { entries: 0, seq: 0, chain_hash, first_broken_seq: None } }
    }

    fn broken(&mut self, seq: i64, place: Place, problem: impl Into<String>, findings: &mut Findings) {
        self.state.first_broken_seq = Some(self.state.first_broken_seq.map_or(seq, |first| first.min(seq)));
        findings.add(Check::Journal, place, problem);
    }

    /// Follows the journal from its first entry to its last and on to the head.
    pub(super) fn follow(
        &mut self,
        connection: &Connection,
        told: &mut Told<'_>,
        findings: &mut Findings,
    ) -> rusqlite::Result<()> {
        let sql = "SELECT seq, at, operation, task_id, actor, session, rows, prev_hash, chain_hash \
                   FROM journal ORDER BY seq";
        each(connection, sql, |row| {
            self.entry(&row, told, findings);
            Ok(())
        })?;
        let heads = write_tx::query(connection, "SELECT plane_id, seq, chain_hash FROM plane_head", &[])?;
        let last = self.state.seq;
        let [head] = heads.as_slice() else {
            let problem = format!("the plane has {} heads instead of one", heads.len());
            self.broken(last, Place::table("plane_head"), problem, findings);
            return Ok(());
        };
        let seq = head.integer("seq");
        let place = Place::row("plane_head", head.text("plane_id")).with_entry(seq);
        if seq > last {
            let problem =
                format!("the head is entry {seq}, but the journal ends with {last}: it was cut off");
            self.broken(last.saturating_add(1), place, problem, findings);
        } else if seq < last {
            let problem = format!("the head is entry {seq}, but the journal goes on to {last}");
            self.broken(seq.saturating_add(1), place, problem, findings);
        } else if head.text("chain_hash") != self.state.chain_hash {
            self.broken(last, place, "the head does not carry the hash of the last entry", findings);
        }
        Ok(())
    }

    fn entry(&mut self, row: &Row, told: &mut Told<'_>, findings: &mut Findings) {
        let (seq, due) = (row.integer("seq"), self.state.seq.saturating_add(1));
        if seq != due {
            let problem = if seq == due.saturating_add(1) {
                "the entry is missing".to_owned()
            } else {
                format!("the entry is missing; the next one is {seq}")
            };
            self.broken(due, Place::entry(due), problem, findings);
        } else if row.text("prev_hash") != self.state.chain_hash {
            // After a gap it cannot fit, and the gap has been reported.
            self.broken(seq, Place::entry(seq), "prev_hash is not the hash of the entry before", findings);
        }
        let rows = row.text("rows");
        let entry = journal::Entry {
            at: row.text("at"),
            operation: row.text("operation"),
            task_id: row.optional_text("task_id"),
            actor: row.optional_text("actor"),
            session: row.optional_text("session"),
            rows,
        };
        if journal::chain_hash(row.text("prev_hash"), seq, &entry) != row.text("chain_hash") {
            self.broken(seq, Place::entry(seq), "chain_hash is not the hash of the entry", findings);
        }
        if let Err(problem) = told.entry(seq, rows) {
            self.broken(seq, Place::entry(seq), problem, findings);
        }
        self.state.entries += 1;
        self.state.seq = seq;
        row.text("chain_hash").clone_into(&mut self.state.chain_hash);
    }
}

/// Compares every stored row with the last entry that names it, and every row that the journal knows with what is
/// stored. Returns how many stored rows there are; each table's outcome goes to `finished`.
pub(super) fn rows(
    connection: &Connection,
    told: Told<'_>,
    findings: &mut Findings,
    mut finished: impl FnMut(&mut Findings, &str, rusqlite::Result<()>) -> bool,
) -> usize {
    let mut compared = 0;
    let mut scratch = String::with_capacity(1024);
    for Known { table, rows: mut known } in told.0 {
        if table.group.is_some() {
            let outcome = groups(connection, table, &mut known, findings);
            compared += *outcome.as_ref().unwrap_or(&0);
            if finished(findings, &table.name, outcome.map(drop)) {
                missing(table, known, findings);
            }
            continue;
        }
        let Table { name, columns, sorted, key, .. } = table;
        let place = |id: &str| Place::row(name, id);
        // Named through the table, a column that is gone is an error and not a text.
        let selected: Vec<String> = sorted.iter().map(|at| format!("t.\"{}\"", columns[*at])).collect();
        let outcome = each(connection, &format!("SELECT {} FROM {name} t", selected.join(", ")), |row| {
            compared += 1;
            let cells = sorted.iter().zip(&row.cells);
            let hash = journal::row_hash(
                cells.map(|(at, cell)| (columns[*at].as_str(), OwnedCell::as_cell(cell))),
                &mut scratch,
            );
            let id = row.text(key);
            match known.remove(id) {
                None => findings.add(Check::Row, place(id), "the row is in no journal entry"),
                Some(Last { hash: None, seq }) => {
                    findings.add(Check::Row, place(id).with_entry(seq), "the row is there, but was deleted");
                }
                Some(Last { hash: Some(last), seq }) if digest(&hash) != Some(last) => {
                    let problem = "the row is not as the last entry that names it left it";
                    findings.add(Check::Row, place(id).with_entry(seq), problem);
                }
                Some(_) => {}
            }
            Ok(())
        });
        if !finished(findings, name, outcome) {
            // What was not read cannot be told from what is missing.
            continue;
        }
        missing(table, known, findings);
    }
    compared
}

/// Compares the groups of a table's rows. Returns how many rows there are.
fn groups(
    connection: &Connection,
    table: &Table,
    known: &mut HashMap<Box<str>, Last>,
    findings: &mut Findings,
) -> rusqlite::Result<usize> {
    journal::groups(connection, table, None, |group, hash| {
        let place = Place::row(&table.name, group);
        match known.remove(group) {
            None => findings.add(Check::Row, place, "the rows of the group are in no journal entry"),
            Some(Last { hash: None, seq }) => {
                findings.add(Check::Row, place.with_entry(seq), "the group has rows, but was deleted");
            }
            Some(Last { hash: Some(last), seq }) if hash.as_deref().and_then(digest) != Some(last) => {
                let problem = "the rows of the group are not as the last entry that names it left them";
                findings.add(Check::Row, place.with_entry(seq), problem);
            }
            Some(_) => {}
        }
    })
}

/// Tells of what the journal knows and no row is stored of.
fn missing(table: &Table, known: HashMap<Box<str>, Last>, findings: &mut Findings) {
    let what = if table.group.is_some() { "the rows of the group are missing" } else { "the row is missing" };
    let mut missing: Vec<_> = known.into_iter().filter(|(_, last)| last.hash.is_some()).collect();
    missing.sort_by(|(left, _), (right, _)| left.cmp(right));
    for (id, last) in missing {
        findings.add(Check::Row, Place::row(&table.name, &id).with_entry(last.seq), what);
    }
}
