//! Every column of every row of every table that the journal covers, and of the journal itself, changed by hand: each
//! change is found, and named.
//!
//! Each case is a change in a transaction that is checked as it stands and then taken back, so that all cases share one
//! file. Only the part of the check that the journal is for looks at each of them; the whole check, which contains it,
//! looks at every two-hundredth.

use std::collections::{BTreeMap, BTreeSet};

use kaizen_proto::families::core::Integrity;
use kaizen_proto::families::irl::IrlCreate;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use serde_json::json;

use super::super::content::rehash;
use super::super::findings::Findings;
use super::super::{Found, against_journal, inspect, outcome};
use super::lab::{Lab, filled};
use crate::plane::tables::{self, Table, Tables};
use crate::plane::{Cell, WriteTx, migrate};

/// A column as the database declares it.
struct Column {
    name: String,
    kind: String,
    required: bool,
}

fn columns(connection: &Connection, table: &str) -> Vec<Column> {
    let mut info = connection.prepare("SELECT name, type, \"notnull\" FROM pragma_table_info(?1)").unwrap();
    let columns = info
        .query_map([table], |row| Ok(Column { name: row.get(0)?, kind: row.get(1)?, required: row.get(2)? }));
    columns.unwrap().map(Result::unwrap).collect()
}

fn count(connection: &Connection, table: &str) -> i64 {
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

fn journalled(connection: &Connection) -> Vec<Table> {
    let mut tables: Vec<Table> = tables::read(connection).unwrap().into_values().collect();
    tables.retain(|table| table.journalled);
    tables.sort_by(|left, right| left.name.cmp(&right.name));
    tables
}

/// Writes a row into a table that no operation fills yet, and into the tables it refers to before.
async fn fill(lab: &Lab, connection: &Connection, table: &str) {
    if count(connection, table) > 0 {
        return;
    }
    let mut keys = connection.prepare("SELECT \"from\", \"table\" FROM pragma_foreign_key_list(?1)").unwrap();
    let parents = keys.query_map([table], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let parents: BTreeMap<String, String> = parents.map(Result::unwrap).collect();
    let mut row: Vec<(&'static str, Value)> = Vec::new();
    for (number, column) in columns(connection, table).into_iter().enumerate() {
        let value = match parents.get(&column.name) {
            Some(parent) => {
                Box::pin(fill(lab, connection, parent)).await;
                connection.query_row(&format!("SELECT min(id) FROM {parent}"), [], |row| row.get(0)).unwrap()
            }
            // Some that need not be there are, and some are not.
            None if !column.required && number % 2 == 0 => Value::Null,
            None => match column.kind.as_str() {
                "INTEGER" => Value::Integer(0),
                "REAL" => Value::Real(0.25),
                _ if column.name.ends_with("_json") => Value::Text("[\"ä\"]".into()),
                _ => Value::Text(format!("{} of {table}", column.name)),
            },
        };
        row.push((column.name.leak(), value));
    }
    let table: &'static str = table.to_owned().leak();
    let apply = Box::new(move |tx: &mut WriteTx<'_>| {
        let cells: Vec<(&'static str, Cell<'_>)> = row
            .iter()
            .map(|(name, value)| {
                let cell = match value {
                    Value::Integer(number) => Cell::Integer(*number),
                    Value::Real(number) => Cell::Real(*number),
                    Value::Text(text) => Cell::Text(text),
                    _ => Cell::Null,
                };
                (*name, cell)
            })
            .collect();
        tx.insert(table, &cells)?;
        rehash(tx, table, &format!("id of {table}"))?;
        Ok("{}".into())
    });
    lab.plane().write("W1", lab.caller.clone(), None, apply).await.unwrap();
}

/// A plane with a row in every table that the journal covers, closed, and a connection to change it with.
async fn full() -> (Lab, Connection, Vec<Table>) {
    let (mut lab, _) = filled().await;
    lab.write::<IrlCreate>(json!({"summary": "A summary.", "decision": "one writer"})).await;
    let reader = Connection::open(lab.db_path()).unwrap();
    let tables = journalled(&reader);
    for table in &tables {
        fill(&lab, &reader, &table.name).await;
    }
    drop(reader);
    lab.close().await;
    let connection = Connection::open(lab.db_path()).unwrap();
    connection.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF").unwrap();
    let empty: Vec<&String> =
        tables.iter().map(|table| &table.name).filter(|name| count(&connection, name) == 0).collect();
    assert!(empty.is_empty() && tables.len() > 30, "nothing is in {empty:?} of {} tables", tables.len());
    (lab, connection, tables)
}

/// Checks the plane as one change leaves it, and takes the change back.
struct Hand {
    connection: Connection,
    fresh: Connection,
    tables: Tables,
    cases: usize,
}

impl Hand {
    fn new(connection: Connection) -> Self {
        let fresh = migrate::fresh().unwrap();
        let tables = tables::read(&fresh).unwrap();
        let clean = inspect(&connection, &fresh).unwrap();
        assert_eq!(clean.findings.total(), 0, "{:#?}", clean.findings);
        Hand { connection, fresh, tables, cases: 0 }
    }

    fn check(&self) -> Found {
        if self.cases.is_multiple_of(200) {
            return inspect(&self.connection, &self.fresh).unwrap();
        }
        let mut findings = Findings::default();
        let (journal, rows_checked) = against_journal(&self.connection, &self.tables, &mut findings).unwrap();
        Found { findings, orphans: Vec::new(), rows_checked, journal }
    }

    /// What a check finds after these statements; none when the schema does not let them through.
    fn after(&mut self, changes: &[(&str, &[Value])]) -> Option<Integrity> {
        self.connection.execute_batch("BEGIN").unwrap();
        let executed = changes.iter().try_for_each(|(sql, values)| {
            let rows = self.connection.execute(sql, params_from_iter(*values))?;
            assert!(rows > 0, "nothing changed: {sql} {values:?}");
            Ok::<(), rusqlite::Error>(())
        });
        let found = executed.map(|()| {
            let found = self.check();
            let clean = found.findings.total() == 0;
            outcome(found, clean, String::new())
        });
        self.connection.execute_batch("ROLLBACK").unwrap();
        self.cases += 1;
        match found {
            Ok(found) => Some(found),
            Err(rusqlite::Error::SqliteFailure(failure, _))
                if failure.code == rusqlite::ErrorCode::ConstraintViolation =>
            {
                None
            }
            Err(error) => panic!("{changes:?}: {error}"),
        }
    }

    fn after_one(&mut self, sql: &str) -> Integrity {
        self.after(&[(sql, &[])]).unwrap()
    }
}

/// The character at a place of a text replaced by another.
fn flipped(text: &str, at: usize) -> String {
    let flip = |character: char| if character == 'x' { 'y' } else { 'x' };
    text.chars().enumerate().map(|(number, other)| if number == at { flip(other) } else { other }).collect()
}

/// Other values for a column, as near to its own as can be.
fn others(column: &Column, value: &Value) -> Vec<Value> {
    let mut others = match value {
        Value::Null => match column.kind.as_str() {
            "INTEGER" => vec![Value::Integer(0)],
            "REAL" => vec![Value::Real(0.0)],
            "BLOB" => vec![Value::Blob(vec![0])],
            _ => vec![Value::Text(String::new()), Value::Text("null".into())],
        },
        Value::Integer(number) => vec![Value::Integer(number + 1)],
        // The nearest number there is.
        Value::Real(number) => vec![Value::Real(f64::from_bits(number.to_bits() + 1))],
        Value::Blob(bytes) => {
            vec![Value::Blob(bytes.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at == 0)).collect())]
        }
        Value::Text(text) => {
            let length = text.chars().count();
            let places: BTreeSet<usize> = [0, length / 2, length.saturating_sub(1)].into();
            let places = places.into_iter().filter(|at| *at < length);
            let mut others: Vec<Value> = places.map(|at| Value::Text(flipped(text, at))).collect();
            if length < 2 {
                others.push(Value::Text(format!("{text} ")));
            }
            others
        }
    };
    if *value != Value::Null && !column.required {
        others.push(Value::Null);
    }
    others
}

fn values(connection: &Connection, sql: &str) -> Vec<Vec<Value>> {
    let mut statement = connection.prepare(sql).unwrap();
    let width = statement.column_count();
    let rows = statement.query_map([], |row| (0..width).map(|at| row.get(at)).collect()).unwrap();
    rows.map(Result::unwrap).collect()
}

fn names_row(found: &Integrity, table: &str, id: &str) -> bool {
    found.faults.iter().any(|fault| {
        (fault.check.as_str(), fault.table.as_deref(), fault.id.as_deref()) == ("row", Some(table), Some(id))
    })
}

#[tokio::test]
async fn every_column_of_every_row_is_covered() {
    let (_lab, connection, tables) = full().await;
    let mut hand = Hand::new(connection);
    let (mut checked, mut refused) = (0, 0);
    for Table { name, key, group, .. } in &tables {
        let columns = columns(&hand.connection, name);
        for row in values(&hand.connection, &format!("SELECT * FROM {name} ORDER BY rowid")) {
            let at = columns.iter().position(|column| column.name == *key).unwrap();
            let Value::Text(id) = &row[at] else { panic!("{name}: {row:?}") };
            // Of some tables the journal names the groups that rows are in.
            let Value::Text(named) = &row[group.unwrap_or(at)] else { panic!("{name}: {row:?}") };
            for (column, value) in columns.iter().zip(&row) {
                for other in others(column, value) {
                    let sql = format!("UPDATE {name} SET \"{}\" = ?1 WHERE \"{key}\" = ?2", column.name);
                    let Some(found) = hand.after(&[(&sql, &[other.clone(), Value::Text(id.clone())])]) else {
                        refused += 1;
                        continue;
                    };
                    checked += 1;
                    let what = format!("{name}.{} of {id}: {value:?} is {other:?}", column.name);
                    assert!(!found.ok && names_row(&found, name, named), "{what}: {found:#?}");
                    assert_eq!(found.journal.first_broken_seq, None, "{what}");
                    if column.name == *key && group.is_none() {
                        let Value::Text(other) = &other else { panic!("{what}") };
                        assert!(names_row(&found, name, other), "{what}: {found:#?}");
                    }
                }
            }
            let gone = format!("DELETE FROM {name} WHERE \"{key}\" = ?1");
            let found = hand.after(&[(&gone, &[Value::Text(id.clone())])]).unwrap();
            assert!(!found.ok && names_row(&found, name, named), "{name} without {id}: {found:#?}");
        }
    }
    println!("{checked} changes and {refused} that the schema refuses, in {} tables", tables.len());
    // Nothing but a second revision of the same number is refused.
    assert!(checked > 2000 && refused < 40, "{checked} checked, {refused} refused");
}

#[tokio::test]
async fn every_column_of_the_journal_is_covered() {
    let (_lab, connection, _) = full().await;
    let mut hand = Hand::new(connection);
    let columns = columns(&hand.connection, "journal");
    let entries = values(&hand.connection, "SELECT * FROM journal ORDER BY seq");
    let last = i64::try_from(entries.len()).unwrap();
    for (entry, seq) in entries.iter().zip(1_i64..) {
        for (column, value) in columns.iter().zip(entry) {
            // The next number is taken, so the entry moves to the end.
            let others =
                if column.name == "seq" { vec![Value::Integer(seq + last)] } else { others(column, value) };
            for other in others {
                let sql = format!("UPDATE journal SET {} = ?1 WHERE seq = {seq}", column.name);
                let found = hand.after(&[(&sql, std::slice::from_ref(&other))]).unwrap();
                let what = format!("{} of entry {seq} is {other:?}", column.name);
                assert_eq!(found.journal.first_broken_seq, Some(seq), "{what}: {found:#?}");
                assert!(!found.ok && found.faults[0].check == "journal", "{what}: {found:#?}");
            }
        }
    }
    println!("{} changes of {last} entries", hand.cases);
    for column in ["seq", "chain_hash"] {
        let value = if column == "seq" { "seq + 1" } else { "'x' || substr(chain_hash, 2)" };
        let found = hand.after_one(&format!("UPDATE plane_head SET {column} = {value}"));
        let broken = if column == "seq" { last + 1 } else { last };
        assert_eq!(found.journal.first_broken_seq, Some(broken), "{column}: {found:#?}");
    }
    let found = hand.after_one("DELETE FROM plane_head");
    assert_eq!(found.journal.first_broken_seq, Some(last), "{found:#?}");
}

#[tokio::test]
async fn entries_that_are_deleted_added_swapped_or_cut_off_are_found() {
    let (_lab, connection, _) = full().await;
    let mut hand = Hand::new(connection);
    let last = count(&hand.connection, "journal");
    let swap = |one: i64, other: i64| {
        [
            format!("UPDATE journal SET seq = -1 WHERE seq = {one}"),
            format!("UPDATE journal SET seq = {one} WHERE seq = {other}"),
            format!("UPDATE journal SET seq = {other} WHERE seq = -1"),
        ]
    };
    for seq in 1..=last {
        let found = hand.after_one(&format!("DELETE FROM journal WHERE seq = {seq}"));
        assert_eq!(found.journal.first_broken_seq, Some(seq), "{seq} is deleted: {found:#?}");
        for other in [seq + 1, seq + 7].into_iter().filter(|other| *other <= last) {
            let [one, two, three] = swap(seq, other);
            let found = hand.after(&[(&one, &[]), (&two, &[]), (&three, &[])]).unwrap();
            assert_eq!(
                found.journal.first_broken_seq,
                Some(seq),
                "{seq} and {other} are swapped: {found:#?}"
            );
        }
        // Another entry pushed in before this one, with the rest moved on.
        let found = hand
            .after(&[
                (&format!("UPDATE journal SET seq = -seq WHERE seq >= {seq}"), &[]),
                ("UPDATE journal SET seq = 1 - seq WHERE seq < 0", &[]),
                (
                    &format!(
                        "INSERT INTO journal SELECT {seq}, at, 'forged', task_id, actor, session, rows, \
                         prev_hash, chain_hash FROM journal WHERE seq = {}",
                        seq + 1
                    ),
                    &[],
                ),
            ])
            .unwrap();
        assert_eq!(found.journal.first_broken_seq, Some(seq), "pushed in at {seq}: {found:#?}");
    }
    for cut in 1..=last {
        let cut_off = format!("DELETE FROM journal WHERE seq > {}", last - cut);
        let found = hand.after_one(&cut_off);
        assert_eq!(found.journal.first_broken_seq, Some(last - cut + 1), "{cut} cut off: {found:#?}");
        // With the head moved back the chain is whole, but the rows are newer than it says.
        let head = "UPDATE plane_head SET seq = (SELECT ifnull(max(seq), 0) FROM journal), chain_hash = \
                    ifnull((SELECT chain_hash FROM journal ORDER BY seq DESC LIMIT 1), ?1)";
        let genesis = [Value::Text(crate::plane::journal::GENESIS.to_owned())];
        let found = hand.after(&[(&cut_off, &[]), (head, &genesis)]).unwrap();
        assert_eq!(found.journal.first_broken_seq, None, "{cut} cut off and the head moved back: {found:#?}");
        let rows = found.faults.iter().filter(|fault| fault.check == "row").count();
        assert!(!found.ok && rows > 0, "{cut} cut off and the head moved back: {found:#?}");
    }
}
