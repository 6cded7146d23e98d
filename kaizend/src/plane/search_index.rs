//! The two indexes for search over records: words for ranked search, trigrams for the exact meaning of `--query`.
//!
//! A query of three characters or more is cut into trigrams that all must occur; the records that hold them are
//! candidates, and the query then checks them with LIKE, so the index only ever saves work. The full-text engine
//! flushes at each savepoint, which halves the speed of writes, so changes are noted and indexed once per batch.

use rusqlite::Connection;

use super::evidence_index;
use super::tables::Table;
use super::value::Cell;
use super::write_tx::{each, execute, query};

/// How one table is searched.
#[derive(Debug)]
pub struct Searched {
    /// The table.
    pub table: &'static str,
    /// What people call its records.
    pub kind: &'static str,
    /// The columns behind the title, summary and body of ranked search.
    pub words: [&'static [&'static str]; 3],
    /// The columns that `--query` of the table's own operations may search as a substring.
    pub substring: &'static [&'static str],
    /// The column that says how things stand with a record; empty when there is none.
    pub status: &'static str,
    /// The column that names the task it belongs to; empty when there is none.
    pub task: &'static str,
}

/// The tables that are searched.
pub const SEARCHED: &[Searched] = &[
    lifecycle("gotcha", "gotcha", "source_task_id"),
    lifecycle("learning", "learning", "source_task_id"),
    lifecycle("learned", "learned", "source_task_id"),
    lifecycle("tasks", "task", "id"),
    lifecycle("plans", "plan", "task_id"),
    Searched {
        table: "ledger_events",
        kind: "ledger",
        // The body repeats the ids of the title.
        words: [&["title"], &["summary"], &[]],
        substring: &["title", "summary"],
        status: "status",
        task: "task_id",
    },
    Searched {
        table: "verification_events",
        kind: "verification",
        // The ids of artifacts are how a verification is found from its evidence.
        words: [
            &[],
            &["summary"],
            &["body", "findings_json", "remedies_json", "evidence_locations_json", "artifact_ids_json"],
        ],
        substring: &["summary", "body"],
        status: "conclusion",
        task: "task_id",
    },
    Searched {
        table: "artifacts",
        kind: "artifact",
        words: [&["path"], &["summary"], &["body"]],
        substring: &["path", "summary", "body"],
        status: "kind",
        task: "task_id",
    },
    Searched {
        table: "private_policy",
        kind: "policy",
        words: [&["title"], &["summary"], &["body", "trigger"]],
        substring: &["title", "summary", "body", "trigger", "scope"],
        status: "status",
        task: "",
    },
    Searched {
        table: "eval_cases",
        kind: "eval-case",
        words: [&["title", "category"], &["summary"], &["body"]],
        substring: &["title", "summary", "body"],
        status: "status",
        task: "",
    },
    Searched {
        table: "eval_runs",
        kind: "eval-run",
        words: [&[], &["summary"], &["body", "artifact_ids_json"]],
        substring: &[],
        status: "status",
        task: "",
    },
    Searched {
        table: "anti_patterns",
        kind: "anti-pattern",
        words: [
            &["title"],
            &["summary", "symptom"],
            &[
                "maintainability_harm",
                "trigger_evidence",
                "preferred_correction",
                "valid_exceptions",
                "verification",
            ],
        ],
        substring: &["title", "summary", "symptom", "trigger_evidence"],
        status: "status",
        task: "",
    },
    Searched {
        table: "source_locks",
        kind: "source",
        words: [&["source_id", "url_or_repository"], &["summary"], &["body"]],
        substring: &["source_id", "url_or_repository", "summary", "body"],
        status: "authority_tier",
        task: "",
    },
    Searched {
        table: "irl_reviews",
        kind: "review",
        words: [&["decision"], &["summary"], &["body"]],
        substring: &[],
        status: "status",
        task: "",
    },
    lifecycle("subagent_packets", "packet", "task_id"),
    lifecycle("diagnostic_packets", "diagnostic", "task_id"),
    Searched {
        table: "trace_events",
        kind: "trace",
        words: [&["name"], &["summary"], &["body"]],
        substring: &[],
        status: "status",
        task: "task_id",
    },
    Searched {
        table: "eval_scores",
        kind: "score",
        words: [&["name"], &["value_label"], &["comment"]],
        substring: &["name"],
        status: "data_type",
        task: "",
    },
    lifecycle("improvement_proposals", "proposal", ""),
    Searched {
        table: "evidence_documents",
        kind: "document",
        words: [&["origin_ref"], &["summary"], &["body"]],
        substring: &[],
        status: "state",
        task: "task_id",
    },
    Searched {
        table: "reports",
        kind: "report",
        words: [&["report_type"], &["summary"], &[]],
        substring: &[],
        status: "",
        task: "",
    },
];

/// A table with title, summary, body and status.
const fn lifecycle(table: &'static str, kind: &'static str, task: &'static str) -> Searched {
    Searched {
        table,
        kind,
        words: [&["title"], &["summary"], &["body"]],
        substring: &["title", "summary", "body"],
        status: "status",
        task,
    }
}

/// How the table of this name is searched.
pub fn searched(table: &str) -> Option<&'static Searched> {
    SEARCHED.iter().find(|searched| searched.table == table)
}

/// A row whose text must be indexed anew, or taken out when there is none.
#[derive(Debug)]
pub struct Change {
    searched: &'static Searched,
    id: String,
    /// The row was inserted just now, so the index cannot know it.
    new: bool,
    content: Option<Content>,
}

/// What the indexes hold of a row.
#[derive(Debug)]
struct Content {
    words: [String; 3],
    substring: String,
    created_at: String,
    status: Option<String>,
    task_id: Option<String>,
    is_test: i64,
}

impl Content {
    /// What the indexes hold of a row, `cell` being its columns by name.
    fn of<'c>(searched: &Searched, cell: impl Fn(&str) -> Cell<'c>) -> Self {
        let text = |column: &str| match cell(column) {
            Cell::Text(text) => Some(text),
            _ => None,
        };
        let join =
            |columns: &[&str]| columns.iter().filter_map(|name| text(name)).collect::<Vec<_>>().join("\n");
        let owned = |column: &str| text(column).map(str::to_owned);
        Content {
            words: searched.words.map(join),
            substring: join(searched.substring),
            created_at: owned("created_at").unwrap_or_default(),
            status: owned(searched.status),
            task_id: owned(searched.task),
            is_test: if let Cell::Integer(number) = cell("is_test") { number } else { 0 },
        }
    }
}

/// Notes a change of a row.
pub(super) fn changed(
    changes: &mut Vec<Change>,
    table: &Table,
    id: &str,
    new: bool,
    after: Option<&[Cell<'_>]>,
) {
    let Some(searched) = searched(&table.name) else { return };
    let content = after.map(|cells| {
        Content::of(searched, |column| {
            let at = table.columns.iter().position(|name| name == column);
            at.map_or(Cell::Null, |at| cells[at])
        })
    });
    changes.push(Change { searched, id: id.to_owned(), new, content });
}

/// Indexes the changes of a batch.
pub(super) fn flush(connection: &Connection, changes: &mut Vec<Change>) -> rusqlite::Result<()> {
    changes.drain(..).try_for_each(|change| index(connection, &change))
}

fn index(connection: &Connection, change: &Change) -> rusqlite::Result<()> {
    let has_text = !change.searched.substring.is_empty();
    let known = if change.new { None } else { number_of(connection, change)? };
    if let Some(number) = known {
        let number = [Cell::Integer(number)];
        execute(connection, "DELETE FROM search_words WHERE rowid = $1", &number)?;
        if has_text {
            execute(connection, "DELETE FROM search_text WHERE rowid = $1", &number)?;
        }
    }
    let Some(content) = &change.content else {
        execute(connection, "DELETE FROM search_rows WHERE number = $1", &[known.into()])?;
        return Ok(());
    };
    let number = if let Some(number) = known {
        execute(
            connection,
            "UPDATE search_rows SET created_at = $1, status = $2, task_id = $3, is_test = $4 WHERE number = $5",
            &[
                Cell::Text(&content.created_at),
                (&content.status).into(),
                (&content.task_id).into(),
                Cell::Integer(content.is_test),
                Cell::Integer(number),
            ],
        )?;
        number
    } else {
        execute(
            connection,
            "INSERT INTO search_rows (record_table, record_id, created_at, status, task_id, is_test) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            &[
                Cell::Text(change.searched.table),
                Cell::Text(&change.id),
                Cell::Text(&content.created_at),
                (&content.status).into(),
                (&content.task_id).into(),
                Cell::Integer(content.is_test),
            ],
        )?;
        connection.last_insert_rowid()
    };
    let [title, summary, body] = &content.words;
    execute(
        connection,
        "INSERT INTO search_words (rowid, title, summary, body) VALUES ($1, $2, $3, $4)",
        &[Cell::Integer(number), title.into(), summary.into(), body.into()],
    )?;
    if has_text {
        execute(
            connection,
            "INSERT INTO search_text (rowid, content) VALUES ($1, $2)",
            &[Cell::Integer(number), Cell::Text(&content.substring)],
        )?;
    }
    Ok(())
}

fn number_of(connection: &Connection, change: &Change) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT number FROM search_rows WHERE record_id = $1 AND record_table = $2";
    let known = query(connection, sql, &[Cell::Text(&change.id), Cell::Text(change.searched.table)])?;
    Ok(known.first().map(|row| row.integer("number")))
}

/// Builds the indexes anew, that of the chunks too.
pub(crate) fn rebuild(connection: &Connection) -> rusqlite::Result<()> {
    execute(connection, "DELETE FROM search_rows", &[])?;
    execute(connection, "INSERT INTO search_text (search_text) VALUES ('delete-all')", &[])?;
    execute(connection, "INSERT INTO search_words (search_words) VALUES ('delete-all')", &[])?;
    for searched in SEARCHED {
        let sql = format!("SELECT * FROM {} ORDER BY created_at, id", searched.table);
        each(connection, &sql, |row| {
            let content = Content::of(searched, |column| row.get(column));
            let id = row.text("id").to_owned();
            index(connection, &Change { searched, id, new: true, content: Some(content) })
        })?;
    }
    evidence_index::rebuild(connection)
}

/// Whether a search in these columns of a table can use the index.
pub fn covers(table: &str, columns: &[&str]) -> bool {
    searched(table).is_some_and(|searched| columns.iter().all(|column| searched.substring.contains(column)))
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
