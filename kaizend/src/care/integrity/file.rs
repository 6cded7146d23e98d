//! SQLite's own checks, and the definitions of the tables.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use kaizen_proto::denial::Denial;
use rusqlite::Connection;

use super::findings::{Check, Findings, Place};
use super::references;
use crate::plane::tables::Tables;
use crate::plane::write_tx;
use crate::plane::write_tx::each;
use crate::plane::{fault, migrate};

/// Pages, indexes, types, and the structure of the full-text index.
pub(super) fn structure(connection: &Connection, findings: &mut Findings) -> rusqlite::Result<()> {
    each(connection, "PRAGMA integrity_check(1000000)", |row| {
        let problem = row.text("integrity_check");
        if problem.to_lowercase().contains("fts5") {
            let table = if problem.contains("search_words") { "search_words" } else { "search_text" };
            findings.add(Check::Derived, Place::table(table), problem);
        } else if problem != "ok" {
            findings.add(Check::Sqlite, Place::default(), problem);
        }
        Ok(())
    })
}

/// References that SQLite enforces. Those of the reference map are counted there, with their samples.
pub(super) fn foreign_keys(
    connection: &Connection,
    tables: &Tables,
    findings: &mut Findings,
) -> rusqlite::Result<()> {
    each(connection, "PRAGMA foreign_key_check", |row| {
        let (table, parent) = (row.text("table"), row.text("parent"));
        let keys =
            write_tx::query(connection, "SELECT * FROM pragma_foreign_key_list($1)", &[row.get("table")])?;
        let key = keys.iter().find(|key| key.integer("id") == row.integer("fkid"));
        let column = key.map_or("", |key| key.text("from"));
        if references::covers(table, column) {
            return Ok(());
        }
        let Some(known) = tables.get(table) else {
            findings.add(
                Check::ForeignKey,
                Place::table(table),
                format!("{column} names no row of {parent}"),
            );
            return Ok(());
        };
        let sql = format!(
            "SELECT \"{}\" AS id, t.\"{column}\" AS missing FROM {table} t WHERE rowid = $1",
            known.key
        );
        let child = write_tx::query(connection, &sql, &[row.get("rowid")])?;
        let (id, missing) = child.first().map_or(("", ""), |child| (child.text("id"), child.text("missing")));
        findings.add(
            Check::ForeignKey,
            Place::row(table, id),
            format!("{column} names {missing}, which is not in {parent}"),
        );
        Ok(())
    })
}

type Definitions = BTreeMap<(String, String), (String, Option<String>)>;

fn definitions(connection: &Connection) -> rusqlite::Result<Definitions> {
    let mut found = Definitions::new();
    // SQLite keeps statistics in tables of its own, which come and go.
    let sql = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\'";
    each(connection, sql, |row| {
        let (name, table) = (row.text("name").to_owned(), row.text("tbl_name").to_owned());
        found.insert(
            (row.text("type").to_owned(), name),
            (table, row.optional_text("sql").map(str::to_owned)),
        );
        Ok(())
    })?;
    Ok(found)
}

/// The definitions that a database lacks of these tables and their indexes, tables first.
///
/// # Errors
/// What SQLite denies.
pub(super) fn missing(connection: &Connection, tables: &[&str]) -> Result<Vec<String>, Denial> {
    static EXPECTED: OnceLock<Definitions> = OnceLock::new();
    let fail = |error: rusqlite::Error| fault::from_rusqlite("read the schema", &error);
    let stored = definitions(connection).map_err(fail)?;
    let expected = if let Some(expected) = EXPECTED.get() {
        expected
    } else {
        let fresh = definitions(&migrate::fresh()?).map_err(fail)?;
        EXPECTED.get_or_init(|| fresh)
    };
    let of = |wanted: &str| {
        let lacking = expected.iter().filter(|(key, (table, _))| {
            key.0 == wanted && tables.contains(&table.as_str()) && !stored.contains_key(key)
        });
        lacking.filter_map(|(_, (_, sql))| sql.clone()).collect::<Vec<String>>()
    };
    Ok([of("table"), of("index")].concat())
}

/// Every table, index, trigger and view against a fresh database of this release.
pub(super) fn schema(
    connection: &Connection,
    fresh: &Connection,
    findings: &mut Findings,
) -> rusqlite::Result<()> {
    let expected = definitions(fresh)?;
    let mut stored = definitions(connection)?;
    for ((kind, name), (table, sql)) in expected {
        let place = Place::row(&table, &name);
        match stored.remove(&(kind.clone(), name.clone())) {
            None => findings.add(Check::Schema, place, format!("the {kind} {name} is missing")),
            Some((stored_table, stored_sql)) if (&stored_table, &stored_sql) != (&table, &sql) => {
                findings.add(
                    Check::Schema,
                    place,
                    format!("the {kind} {name} is not defined as in this release"),
                );
            }
            Some(_) => {}
        }
    }
    for ((kind, name), (table, _)) in stored {
        findings.add(
            Check::Schema,
            Place::row(&table, &name),
            format!("this release knows no {kind} {name}"),
        );
    }
    Ok(())
}
