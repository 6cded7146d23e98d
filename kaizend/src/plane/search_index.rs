//! The index for substring search over records.
//!
//! A query of three characters or more is cut into trigrams that all must occur; the records that hold them are
//! candidates, and the query then checks them with LIKE, so the index only ever saves work. The full-text engine
//! flushes at each savepoint, which halves the speed of writes, so changes are noted and indexed once per batch.

use rusqlite::Connection;

use super::tables::Table;
use super::value::{Cell, Row};
use super::write_tx::{execute, query};

/// The tables that are searched, with the columns that hold text.
pub const SEARCHED: &[(&str, &[&str])] = &[
    ("gotcha", &["title", "summary", "body"]),
    ("learning", &["title", "summary", "body"]),
    ("learned", &["title", "summary", "body"]),
    ("tasks", &["title", "summary", "body"]),
    ("plans", &["title", "summary", "body"]),
    ("verification_events", &["summary", "body"]),
    ("artifacts", &["path", "summary", "body"]),
    ("private_policy", &["title", "summary", "body", "trigger", "scope"]),
];

/// A row whose text must be indexed anew, or taken out when there is none.
#[derive(Debug)]
pub struct Change {
    table: &'static str,
    id: String,
    /// The row was inserted just now, so the index cannot know it.
    new: bool,
    content: Option<String>,
}

/// Notes a change of a row.
pub(super) fn changed(
    changes: &mut Vec<Change>,
    table: &Table,
    id: &str,
    new: bool,
    after: Option<&[Cell<'_>]>,
) {
    let Some((name, columns)) = SEARCHED.iter().find(|(name, _)| *name == table.name) else { return };
    let content = after.map(|cells| {
        let text = |column: &&str| {
            let at = table.columns.iter().position(|name| name == column)?;
            match cells[at] {
                Cell::Text(text) => Some(text),
                _ => None,
            }
        };
        columns.iter().filter_map(text).collect::<Vec<_>>().join("\n")
    });
    changes.push(Change { table: name, id: id.to_owned(), new, content });
}

/// Indexes the changes of a batch.
pub(super) fn flush(connection: &Connection, changes: &mut Vec<Change>) -> rusqlite::Result<()> {
    for change in changes.drain(..) {
        let known = if change.new { None } else { number_of(connection, &change)? };
        if let Some(number) = known {
            execute(connection, "DELETE FROM search_text WHERE rowid = $1", &[Cell::Integer(number)])?;
        }
        let Some(content) = change.content else {
            execute(connection, "DELETE FROM search_rows WHERE number = $1", &[known.into()])?;
            continue;
        };
        let number = if let Some(number) = known {
            number
        } else {
            execute(
                connection,
                "INSERT INTO search_rows (record_table, record_id) VALUES ($1, $2)",
                &[Cell::Text(change.table), Cell::Text(&change.id)],
            )?;
            connection.last_insert_rowid()
        };
        execute(
            connection,
            "INSERT INTO search_text (rowid, content) VALUES ($1, $2)",
            &[Cell::Integer(number), Cell::Text(&content)],
        )?;
    }
    Ok(())
}

fn number_of(connection: &Connection, change: &Change) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT number FROM search_rows WHERE record_id = $1 AND record_table = $2";
    let known = query(connection, sql, &[Cell::Text(&change.id), Cell::Text(change.table)])?;
    Ok(known.first().map(|row| row.integer("number")))
}

/// Builds the whole index anew from the records.
pub(crate) fn rebuild(connection: &Connection) -> rusqlite::Result<()> {
    execute(connection, "DELETE FROM search_rows", &[])?;
    execute(connection, "INSERT INTO search_text (search_text) VALUES ('delete-all')", &[])?;
    for (table, columns) in SEARCHED {
        let content: Vec<String> =
            columns.iter().map(|column| format!("coalesce(\"{column}\", '')")).collect();
        // In steps, so that a large table need not fit into memory.
        let sql = format!(
            "SELECT rowid AS at, id, {} AS content FROM {table} WHERE rowid > $1 ORDER BY rowid LIMIT 500",
            content.join(" || char(10) || ")
        );
        let mut at = i64::MIN;
        loop {
            let rows = query(connection, &sql, &[Cell::Integer(at)])?;
            let Some(last) = rows.last() else { break };
            at = last.integer("at");
            let mut changes: Vec<Change> = rows.iter().map(|row| from_row(table, row)).collect();
            flush(connection, &mut changes)?;
        }
    }
    Ok(())
}

fn from_row(table: &'static str, row: &Row) -> Change {
    Change { table, id: row.text("id").to_owned(), new: true, content: Some(row.text("content").to_owned()) }
}

/// Whether a search in these columns of a table can use the index.
pub fn covers(table: &str, columns: &[&str]) -> bool {
    SEARCHED
        .iter()
        .any(|(name, indexed)| *name == table && columns.iter().all(|column| indexed.contains(column)))
}

/// The full-text expression for the candidates of a substring query; none when it is too short for trigrams.
pub fn candidates(query: &str) -> Option<String> {
    let characters: Vec<char> = query.chars().collect();
    let trigrams = characters.windows(3).map(|window| {
        let trigram: String = window.iter().collect();
        format!("\"{}\"", trigram.replace('"', "\"\""))
    });
    let expression = trigrams.collect::<Vec<_>>().join(" AND ");
    (!expression.is_empty()).then_some(expression)
}

/// The LIKE pattern for a substring query, with `\` as the escape.
pub fn like_pattern(query: &str) -> String {
    let mut pattern = String::with_capacity(query.len() + 2);
    pattern.push('%');
    for character in query.chars() {
        if matches!(character, '\\' | '%' | '_') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_escape_what_like_would_read() {
        assert_eq!(like_pattern("a_b"), r"%a\_b%");
        assert_eq!(like_pattern("50%off"), r"%50\%off%");
        assert_eq!(like_pattern(r"c:\x"), r"%c:\\x%");
    }

    #[test]
    fn candidates_are_all_trigrams() {
        assert_eq!(candidates("ab"), None);
        assert_eq!(candidates("abcd").as_deref(), Some("\"abc\" AND \"bcd\""));
        assert_eq!(candidates("a\"b").as_deref(), Some("\"a\"\"b\""));
    }
}
