//! Reading query plans.

use std::collections::BTreeSet;

use anyhow::Context as _;
use rusqlite::Connection;

/// Tables that may be read whole, and why.
const SMALL: &[(&str, &str)] = &[
    ("plane_head", "one row"),
    ("schema_version", "one row for each migration"),
    ("migrations", "one row for each migration"),
    ("sqlite_schema", "one row for each table and index"),
    ("open_blockers", "only what blocks now"),
];

/// What the plans came to.
#[derive(Default)]
pub(super) struct Plans {
    /// Statements that read a whole table.
    pub(super) tables: BTreeSet<String>,
    /// Statements that read a whole index.
    pub(super) indexes: BTreeSet<String>,
    /// Statements of reports that count all the records that the report is about.
    pub(super) sums: BTreeSet<String>,
}

impl Plans {
    /// Looks at the plan of a statement.
    pub(super) fn look(&mut self, connection: &Connection, sql: &str) -> anyhow::Result<()> {
        let mut statement =
            connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).with_context(|| sql.to_owned())?;
        let mut details: Vec<String> = Vec::new();
        // Its parameters stay unbound: no value changes the plan.
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            details.push(row.get("detail")?);
        }
        for detail in &details {
            match scan(sql, &details, detail) {
                Scan::Nothing => {}
                Scan::Index => drop(self.indexes.insert(format!("{detail}: {sql}"))),
                Scan::Table if is_sum(sql) => drop(self.sums.insert(format!("{detail}: {sql}"))),
                Scan::Table => drop(self.tables.insert(format!("{detail}: {sql}"))),
            }
        }
        Ok(())
    }
}

/// Whether a statement is a sum over what a report is about, as `Selection` in the daemon writes them: a report of all
/// records must look at all of them. One that names its records with an index does not come here.
fn is_sum(sql: &str) -> bool {
    sql.contains("count(*) AS rows") && !sql.contains(" IN (")
}

/// What a line of a plan reads whole.
#[derive(Debug, PartialEq)]
enum Scan {
    Nothing,
    Index,
    Table,
}

fn scan(sql: &str, plan: &[String], detail: &str) -> Scan {
    let Some(what) = detail.strip_prefix("SCAN ") else { return Scan::Nothing };
    let (name, how) = what.split_once(' ').unwrap_or((what, ""));
    let source = table(sql, name);
    if how.starts_with("USING INDEX") || how.starts_with("USING COVERING INDEX") {
        return Scan::Index;
    }
    if let Some((_, constraint)) = how.split_once("VIRTUAL TABLE INDEX ") {
        // The full-text engine names what it looks up behind the colon; json_each reads its argument.
        let is_lookup = constraint.split_once(':').is_none_or(|(_, wanted)| !wanted.is_empty());
        return if is_lookup || source.starts_with("json_") { Scan::Nothing } else { Scan::Table };
    }
    let is_made = |how: &str| {
        plan.iter().any(|line| [name, source].iter().any(|made| *line == format!("{how} {made}")))
    };
    if what == "CONSTANT ROW"
        || what.ends_with("-ROW VALUES CLAUSE")
        || name.starts_with('(')
        || is_made("CO-ROUTINE")
        || is_made("MATERIALIZE")
    {
        return Scan::Nothing;
    }
    if SMALL.iter().any(|(small, _)| *small == source) { Scan::Nothing } else { Scan::Table }
}

/// The table behind a name in a statement.
fn table<'a>(sql: &'a str, name: &'a str) -> &'a str {
    let words: Vec<&str> = sql.split([' ', ',', '(', ')']).filter(|word| !word.is_empty()).collect();
    let aliased = words.windows(3).find(|window| {
        matches!(window[0], "FROM" | "JOIN")
            && window[2] == name
            && window[1].starts_with(char::is_alphabetic)
    });
    aliased.map_or(name, |window| window[1])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn plans(sql: &str) -> Plans {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE tasks (id TEXT PRIMARY KEY, title TEXT); CREATE INDEX titles ON tasks(title); \
                 CREATE TABLE plane_head (id TEXT); CREATE VIRTUAL TABLE words USING fts5(text);",
            )
            .unwrap();
        let mut plans = Plans::default();
        plans.look(&connection, sql).unwrap();
        plans
    }

    #[test]
    fn a_scan_of_a_table_is_found_and_nothing_else() {
        for sql in [
            "SELECT title, id FROM tasks t WHERE id LIKE $1",
            "SELECT 1 FROM (SELECT title, id FROM tasks LIMIT 5) WHERE id > $1",
            "SELECT * FROM words",
            "UPDATE tasks SET title = NULL WHERE id || title = $1",
            "SELECT p.id FROM plane_head p JOIN tasks t ON t.id || '' = p.id || t.title",
        ] {
            assert_eq!(plans(sql).tables.len(), 1, "{sql}");
        }
        for sql in [
            "SELECT title, id FROM tasks WHERE id = $1",
            "SELECT id FROM plane_head p",
            "SELECT rowid FROM words WHERE words MATCH $1",
            "SELECT value FROM json_each($1)",
            "SELECT 1 FROM (SELECT title FROM tasks WHERE title > $1 LIMIT 5) x",
            "VALUES (1), (2)",
            "WITH some AS MATERIALIZED (SELECT id FROM tasks WHERE title = $1) SELECT * FROM some s",
        ] {
            assert_eq!(plans(sql).tables, BTreeSet::new(), "{sql}");
        }
        let walk = plans("SELECT title FROM tasks ORDER BY title");
        assert_eq!((walk.tables.len(), walk.indexes.len()), (0, 1));
    }
}
