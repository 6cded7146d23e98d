//! K9: search over all records by their words, best first.

use std::collections::HashMap;

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::core::{Found, FoundRecords, RecordFind, RecordsSought};
use kaizen_proto::operation::Status;
use serde_json::json;

use super::inspect::title_sql;
use crate::families::passage::{Term, expression, snippet, terms};
use crate::families::record::{self, Window, page_limit, required_query};
use crate::plane::search_index::{SEARCHED, Searched, searched};
use crate::plane::{Cell, ReadTx, Row};
use crate::registry::{Context, ReadOperation};

/// Records in a reply when the caller does not say how many.
const DEFAULT_LIMIT: i64 = 20;
/// Records in a reply at most.
const MAX_LIMIT: i64 = 200;
/// What a hit in title, summary and body weighs.
const RANK: &str = "bm25(search_words, 8.0, 4.0, 1.0)";
/// Characters of a snippet, marks not counted.
const SNIPPET: usize = 160;

impl ReadOperation for RecordFind {
    fn check(params: &RecordsSought) -> Result<(), Denial> {
        required_query(params.query.as_ref())?;
        tables(params.kind.as_deref())?;
        Window::read(params.since.clone(), params.until.clone()).map(drop)
    }

    async fn run(_context: &Context, tx: &mut ReadTx, params: RecordsSought) -> Result<FoundRecords, Denial> {
        let query = required_query(params.query.as_ref())?.to_owned();
        let terms = terms(&query);
        let limit = page_limit(params.limit, DEFAULT_LIMIT);
        let limit = if limit < 0 { MAX_LIMIT } else { limit.min(MAX_LIMIT) };
        let search = Search {
            tables: tables(params.kind.as_deref())?,
            status: record::given(params.status),
            task_id: record::soft_read(tx, "tasks", record::given(params.task_id)).await?,
            window: Window::read(params.since, params.until)?,
            include_test: params.include_test,
            limit,
        };
        let mut mode = "all";
        let mut rows = Vec::new();
        if !terms.is_empty() {
            // The page before says which mode it was by what it found, so the mode is decided without `after`.
            let after = record::given(params.after);
            rows = search.run(tx, &expression(&terms, " AND "), after.as_deref()).await?;
            if rows.is_empty() && terms.len() > 1 && !search.any(tx, &expression(&terms, " AND ")).await? {
                mode = "any";
                rows = search.run(tx, &expression(&terms, " OR "), after.as_deref()).await?;
            }
        }
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let is_last = rows.len() <= wanted;
        rows.truncate(wanted);
        let records = show(tx, &rows, &terms).await?;
        let next = if is_last { None } else { rows.last().map(|row| row.text("record_id").to_owned()) };
        Ok(FoundRecords { status: Status::Ok, mode: mode.into(), count: records.len(), records, query, next })
    }
}

/// The tables of the wanted kinds; without any, all but the ledger, which repeats what the records say.
fn tables(kinds: Option<&str>) -> Result<Vec<&'static Searched>, Denial> {
    let kinds: Vec<&str> =
        kinds.unwrap_or_default().split(',').map(str::trim).filter(|kind| !kind.is_empty()).collect();
    if kinds.is_empty() {
        return Ok(SEARCHED.iter().filter(|searched| searched.kind != "ledger").collect());
    }
    kinds
        .iter()
        .map(|kind| {
            SEARCHED.iter().find(|searched| searched.kind == *kind || searched.table == *kind).ok_or_else(
                || {
                    let known: Vec<&str> = SEARCHED.iter().map(|searched| searched.kind).collect();
                    Denial::new(Code::SchemaEnum)
                        .with("record_type", "find")
                        .with("field", "kind")
                        .with("value", kind.chars().take(80).collect::<String>())
                        .with("allowed", json!(known))
                },
            )
        })
        .collect()
}

struct Search {
    tables: Vec<&'static Searched>,
    status: Option<String>,
    task_id: Option<String>,
    window: Window,
    include_test: bool,
    limit: i64,
}

impl Search {
    /// The conditions beside the words. `search_rows` is called `t`.
    fn conditions<'a>(&'a self, conditions: &mut Vec<String>, parameters: &mut Vec<Cell<'a>>) {
        let names: Vec<String> = self.tables.iter().map(|searched| format!("'{}'", searched.table)).collect();
        conditions.push(format!("t.record_table IN ({})", names.join(", ")));
        if !self.include_test {
            conditions.push("t.is_test = 0".into());
        }
        for (column, wanted) in [("status", &self.status), ("task_id", &self.task_id)] {
            if let Some(wanted) = wanted {
                parameters.push(Cell::Text(wanted));
                conditions.push(format!("t.{column} = ${}", parameters.len()));
            }
        }
        self.window.conditions(conditions, parameters);
    }

    /// The best rows after one that is named, and one more than wanted.
    async fn run(&self, tx: &mut ReadTx, words: &str, after: Option<&str>) -> Result<Vec<Row>, Denial> {
        let mut parameters = vec![Cell::Text(words)];
        let mut conditions = vec!["search_words MATCH $1".to_owned()];
        self.conditions(&mut conditions, &mut parameters);
        let last = match after {
            Some(after) => self.place(tx, words, after).await?,
            None => None,
        };
        if let Some(last) = &last {
            parameters.extend([last.get("rank"), last.get("number")]);
            let at = parameters.len();
            conditions.push(format!("({RANK}, t.number) > (${}, ${at})", at - 1));
        }
        parameters.push(Cell::Integer(self.limit.saturating_add(1)));
        let sql = format!(
            "SELECT t.record_table, t.record_id, t.status, t.task_id, t.created_at, {RANK} AS rank \
             FROM search_words f CROSS JOIN search_rows t ON t.number = f.rowid WHERE {} ORDER BY rank, t.number LIMIT ${}",
            conditions.join(" AND "),
            parameters.len()
        );
        tx.query(&sql, &parameters).await
    }

    /// Where a record stands in the order of this search.
    async fn place(&self, tx: &mut ReadTx, words: &str, id: &str) -> Result<Option<Row>, Denial> {
        let sql = format!(
            "SELECT t.number, {RANK} AS rank FROM search_words f CROSS JOIN search_rows t ON t.number = f.rowid \
             WHERE search_words MATCH $1 AND f.rowid IN (SELECT number FROM search_rows WHERE record_id = $2)"
        );
        let place = tx.query_row(&sql, &[Cell::Text(words), Cell::Text(id)]).await?;
        let known = "SELECT 1 FROM search_rows WHERE record_id = $1";
        if place.is_none() && tx.query_row(known, &[Cell::Text(id)]).await?.is_none() {
            return Err(Denial::record_not_found(id, "any table"));
        }
        Ok(place)
    }

    /// Whether any row fits at all.
    async fn any(&self, tx: &mut ReadTx, words: &str) -> Result<bool, Denial> {
        let mut parameters = vec![Cell::Text(words)];
        let mut conditions = vec!["search_words MATCH $1".to_owned()];
        self.conditions(&mut conditions, &mut parameters);
        let sql = format!(
            "SELECT 1 FROM search_words f CROSS JOIN search_rows t ON t.number = f.rowid WHERE {} LIMIT 1",
            conditions.join(" AND ")
        );
        Ok(tx.query_row(&sql, &parameters).await?.is_some())
    }
}

/// The found rows as people read them. Texts are read table by table.
async fn show(tx: &mut ReadTx, rows: &[Row], terms: &[Term]) -> Result<Vec<Found>, Denial> {
    let mut texts: HashMap<(&str, String), (String, String)> = HashMap::new();
    for Searched { table, words, .. } in SEARCHED {
        let ids: Vec<&str> = rows
            .iter()
            .filter(|row| row.text("record_table") == *table)
            .map(|row| row.text("record_id"))
            .collect();
        if ids.is_empty() {
            continue;
        }
        let places: Vec<String> = (1..=ids.len()).map(|at| format!("${at}")).collect();
        // A list without anything in it is no text that somebody reads.
        let column = |column: &&str| format!("coalesce(nullif(t.\"{column}\", '[]'), '')");
        let columns: Vec<String> = words[1].iter().chain(words[2]).map(column).collect();
        let sql = format!(
            "SELECT t.id, {} AS title, {} AS text FROM {table} t WHERE t.id IN ({})",
            title_sql(table),
            columns.join(" || char(10) || "),
            places.join(", ")
        );
        let ids: Vec<Cell<'_>> = ids.into_iter().map(Cell::Text).collect();
        for row in tx.query(&sql, &ids).await? {
            let shown = (row.text("title").to_owned(), row.text("text").to_owned());
            texts.insert((*table, row.text("id").to_owned()), shown);
        }
    }
    let found = rows.iter().filter_map(|row| {
        let kind = searched(row.text("record_table"))?;
        let (title, text) = texts.remove(&(kind.table, row.text("record_id").to_owned()))?;
        // SQLite's rank is lower for what fits better.
        let score = match row.get("rank") {
            Cell::Real(rank) => (-rank * 1e4).round() / 1e4,
            _ => 0.0,
        };
        Some(Found {
            id: row.text("record_id").to_owned(),
            kind: kind.kind.into(),
            status: row.optional_text("status").map(str::to_owned),
            title,
            snippet: snippet(&text, terms, SNIPPET).0,
            task_id: row.optional_text("task_id").map(str::to_owned),
            created_at: row.text("created_at").to_owned(),
            score,
        })
    });
    Ok(found.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> String {
        expression(&terms(query), " AND ")
    }

    #[test]
    fn a_query_is_words_and_phrases_whatever_it_holds() {
        assert_eq!(read("retry loop"), "\"retry\" AND \"loop\"");
        assert_eq!(read("\"retry loop\" back*"), "\"retry loop\" AND \"back\" *");
        assert_eq!(read("NEAR(a b) OR -c:d^2"), "\"NEAR(a\" AND \"b)\" AND \"OR\" AND \"-c:d^2\"");
        assert_eq!(read("-- * \"\" ()"), "");
        assert_eq!(read("an \"open quote"), "\"an\" AND \"open quote\"");
    }
}
