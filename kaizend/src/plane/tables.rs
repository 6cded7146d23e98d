//! What the writer knows about each table, read from the database itself so that the migrations stay the only
//! definition.

use std::collections::HashMap;

use rusqlite::Connection;

/// Tables of the schema that the journal does not cover: they describe the schema or are derived from other rows.
const NOT_JOURNALLED: &[&str] = &["schema_version", "chunk_embeddings"];
/// Tables of which the journal names whole groups of rows, and the column that says which group a row is in: a document
/// has hundreds of blocks and pieces that are written and deleted together.
const GROUPED: &[(&str, &str)] = &[("evidence_blocks", "document_id"), ("evidence_chunks", "document_id")];
/// Our own tables, which hold the journal itself or are derived.
const OWN: &[&str] = &[
    "migrations",
    "journal",
    "plane_head",
    "requests",
    "counters",
    "open_blockers",
    "search_rows",
    "evidence_numbers",
];

/// One table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns, in physical order.
    pub columns: Vec<String>,
    /// Positions of the columns in the order of their names, as hashes take them.
    pub sorted: Vec<usize>,
    /// The column that identifies a row in the journal.
    pub key: String,
    /// `INSERT` of a whole row.
    pub insert_sql: String,
    /// `SELECT` of a whole row by its key.
    pub select_sql: String,
    /// `DELETE` of a row by its key.
    pub delete_sql: String,
    /// Whether the journal covers it.
    pub journalled: bool,
    /// The position of the column that says which group a row is in, when the journal names groups and not rows.
    pub group: Option<usize>,
}

/// All tables of the original's schema, by name.
pub type Tables = HashMap<String, Table>;

/// Reads the tables of a database.
pub fn read(connection: &Connection) -> rusqlite::Result<Tables> {
    let mut names = connection.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
         AND name NOT LIKE 'search\\_text%' ESCAPE '\\' AND name NOT LIKE 'search\\_words%' ESCAPE '\\' \
         AND name NOT LIKE 'evidence\\_words%' ESCAPE '\\'",
    )?;
    let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    names
        .into_iter()
        .filter(|name| !OWN.contains(&name.as_str()))
        .map(|name| Ok((name.clone(), describe(connection, name)?)))
        .collect()
}

fn describe(connection: &Connection, name: String) -> rusqlite::Result<Table> {
    let mut info = connection.prepare("SELECT name, pk FROM pragma_table_info($1) ORDER BY cid")?;
    let columns: Vec<(String, i64)> =
        info.query_map([&name], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let key = columns.iter().find(|(_, pk)| *pk == 1).map_or_else(String::new, |(name, _)| name.clone());
    let columns: Vec<String> = columns.into_iter().map(|(name, _)| name).collect();
    let mut sorted: Vec<usize> = (0..columns.len()).collect();
    sorted.sort_by_key(|at| &columns[*at]);
    let quoted: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
    let places: Vec<String> = (1..=columns.len()).map(|at| format!("${at}")).collect();
    Ok(Table {
        insert_sql: format!("INSERT INTO {name} ({}) VALUES ({})", quoted.join(", "), places.join(", ")),
        select_sql: format!("SELECT {} FROM {name} WHERE \"{key}\" = $1", quoted.join(", ")),
        delete_sql: format!("DELETE FROM {name} WHERE \"{key}\" = $1"),
        journalled: !NOT_JOURNALLED.contains(&name.as_str()),
        group: GROUPED
            .iter()
            .find(|(table, _)| *table == name)
            .and_then(|(_, group)| columns.iter().position(|column| column == group)),
        name,
        columns,
        sorted,
        key,
    })
}
