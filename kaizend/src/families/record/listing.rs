//! Reading records: lists, searches and single records.

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::record::{
    Inspected, ListRecords, QueryRecords, RecordBrief, RecordList, RecordMatches,
};
use kaizen_proto::limits;
use kaizen_proto::operation::Status;
use kaizen_proto::time::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::reference::{required_id, resolve_read};
use super::{Kind, given};
use crate::plane::search_index::{candidates, like_pattern};
use crate::plane::{Cell, ReadTx, value};

/// Records in a list when the caller does not say how many.
pub const DEFAULT_LIMIT: i64 = 20;

/// The number of rows of a page: 0 and nothing mean the default, negative means all.
pub fn page_limit(limit: Option<i64>, default: i64) -> i64 {
    limit.filter(|limit| *limit != 0).unwrap_or(default)
}

/// A query over one table, newest first: which columns, which rows, from where on.
#[derive(Clone, Debug)]
pub struct Listing<'a> {
    /// The table.
    pub table: &'static str,
    /// The columns, as SQL.
    pub columns: &'static str,
    /// The columns that a text is searched in.
    pub searched: &'static [&'static str],
    /// The text to find.
    pub query: Option<&'a str>,
    /// Columns that must have exactly these values.
    pub filters: Vec<(&'static str, &'a str)>,
    /// At most this many rows; negative means all.
    pub limit: i64,
    /// The id after which to go on.
    pub after: Option<&'a str>,
    /// When the records were made.
    pub window: Window,
}

/// A span of time in which records were made: from `since` on and before `until`, as they are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The first moment that counts.
    pub since: Option<String>,
    /// The first moment that does not count any more.
    pub until: Option<String>,
}

impl Window {
    /// Reads the two ends as a caller gave them.
    ///
    /// # Errors
    /// `DENIED_TIME_INVALID`.
    pub fn read(since: Option<String>, until: Option<String>) -> Result<Self, Denial> {
        let now = Timestamp::now();
        let read = |field: &str, text: Option<String>, end_of_day: bool| match given(text) {
            Some(text) => match Timestamp::parse_moment(&text, now, end_of_day) {
                Some(moment) => Ok(Some(moment.to_string())),
                None => Err(Denial::new(Code::TimeInvalid)
                    .with("field", field)
                    .with("value", text.chars().take(80).collect::<String>())),
            },
            None => Ok(None),
        };
        Ok(Window { since: read("since", since, false)?, until: read("until", until, true)? })
    }

    /// Adds the two ends to the conditions of a query on the table `t`.
    pub fn conditions<'a>(&'a self, conditions: &mut Vec<String>, parameters: &mut Vec<Cell<'a>>) {
        for (end, compare) in [(&self.since, ">="), (&self.until, "<")] {
            if let Some(end) = end {
                parameters.push(Cell::Text(end));
                conditions.push(format!("t.created_at {compare} ${}", parameters.len()));
            }
        }
    }
}

/// A page of rows and the id that the next page starts after.
pub struct Page<T> {
    /// The rows.
    pub records: Vec<T>,
    /// The id of the last row, when there are more.
    pub next: Option<String>,
}

/// The filters of a [`Listing`]: those of the columns that a caller gave a value for.
pub fn filters<'a>(wanted: &[(&'static str, &'a Option<String>)]) -> Vec<(&'static str, &'a str)> {
    wanted.iter().filter_map(|(column, value)| Some((*column, value.as_deref()?))).collect()
}

/// Runs a listing.
///
/// # Errors
/// `DENIED_RECORD_NOT_FOUND` for an unknown `after`, or what the plane denies.
pub async fn page<T: DeserializeOwned>(tx: &mut ReadTx, listing: &Listing<'_>) -> Result<Page<T>, Denial> {
    let table = listing.table;
    if let Some(query) = listing.query {
        // LIKE and the index both fail on a NUL and on patterns beyond their own limits.
        limits::check_bytes("query", query, limits::SUMMARY_BYTES)?;
    }
    let pattern = listing.query.map(like_pattern);
    let indexed = if tx.is_small() { None } else { listing.query.and_then(candidates) };
    let mut parameters: Vec<Cell<'_>> = Vec::new();
    let mut conditions: Vec<String> = Vec::new();
    if let Some(pattern) = &pattern {
        parameters.push(Cell::Text(pattern));
        let place = parameters.len();
        let like: Vec<String> = listing
            .searched
            .iter()
            .map(|column| format!("t.\"{column}\" LIKE ${place} ESCAPE '\\'"))
            .collect();
        conditions.push(format!("({})", like.join(" OR ")));
    }
    for (column, wanted) in &listing.filters {
        parameters.push(Cell::Text(wanted));
        conditions.push(format!("t.\"{column}\" = ${}", parameters.len()));
    }
    listing.window.conditions(&mut conditions, &mut parameters);
    let after = match listing.after {
        Some(after) => {
            let after = resolve_read(tx, table, after).await?;
            let sql = format!("SELECT id, created_at FROM {table} WHERE id = $1");
            tx.query_row(&sql, &[Cell::Text(&after)]).await?
        }
        None => None,
    };
    if let Some(after) = &after {
        parameters.extend([after.get("created_at"), after.get("id")]);
        let place = parameters.len();
        conditions.push(format!("(t.created_at, t.id) < (${}, ${place})", place - 1));
    }
    // A candidate from the index is checked with LIKE all the same. Index numbers grow with creation, so the newest
    // come first without sorting, and a common word costs no more than a rare one.
    let source = match &indexed {
        Some(expression) if crate::plane::search_index::covers(table, listing.searched) => {
            parameters.push(Cell::Text(expression));
            conditions
                .push(format!("search_text MATCH ${} AND s.record_table = '{table}'", parameters.len()));
            format!(
                "search_text f CROSS JOIN search_rows s ON s.number = f.rowid CROSS JOIN {table} t ON t.id = s.record_id"
            )
        }
        _ => format!("{table} t"),
    };
    let order =
        if source.starts_with("search_text") { "f.rowid DESC" } else { "t.created_at DESC, t.id DESC" };
    // One more than wanted tells whether there is a next page.
    parameters.push(Cell::Integer(if listing.limit < 0 { -1 } else { listing.limit.saturating_add(1) }));
    let sql = format!(
        "SELECT {} FROM {source} {} {} ORDER BY {order} LIMIT ${}",
        listing.columns,
        if conditions.is_empty() { "" } else { "WHERE" },
        conditions.join(" AND "),
        parameters.len()
    );
    let mut rows = tx.query(&sql, &parameters).await?;
    let wanted = usize::try_from(listing.limit).unwrap_or(usize::MAX);
    let more = rows.len() > wanted;
    rows.truncate(wanted);
    let next = if more { rows.last().map(|row| row.text("id").to_owned()) } else { None };
    Ok(Page { records: value::decode_all(rows)?, next })
}

const BRIEF: &str = "t.id, t.status, t.scope, t.title, t.summary, t.created_at";
const TEXTS: &[&str] = &["title", "summary", "body"];

/// Lists the records of a kind, newest first.
///
/// # Errors
/// What [`page`] denies.
pub async fn list(tx: &mut ReadTx, kind: Kind, params: ListRecords) -> Result<RecordList, Denial> {
    let (after, status) = (given(params.after), given(params.status));
    let listing = Listing {
        table: kind.table,
        columns: BRIEF,
        searched: TEXTS,
        query: None,
        filters: filters(&[("status", &status)]),
        limit: page_limit(params.limit, DEFAULT_LIMIT),
        after: after.as_deref(),
        window: Window::read(params.since, params.until)?,
    };
    let page: Page<RecordBrief> = page(tx, &listing).await?;
    Ok(RecordList { status: Status::Ok, count: page.records.len(), records: page.records, next: page.next })
}

/// The text that a query must give.
///
/// # Errors
/// `DENIED_QUERY_REQUIRED`, or what is wrong with the text.
pub fn required_query(query: Option<&String>) -> Result<&str, Denial> {
    match query {
        Some(query) if !query.is_empty() => {
            limits::check_bytes("query", query, limits::SUMMARY_BYTES)?;
            Ok(query)
        }
        _ => Err(Denial::new(Code::QueryRequired)),
    }
}

/// Finds the records of a kind that hold a text, newest first.
///
/// # Errors
/// `DENIED_QUERY_REQUIRED`, or what [`page`] denies.
pub async fn find(tx: &mut ReadTx, kind: Kind, params: QueryRecords) -> Result<RecordMatches, Denial> {
    let query = required_query(params.query.as_ref())?;
    let (after, status) = (given(params.after.clone()), given(params.status.clone()));
    let listing = Listing {
        table: kind.table,
        columns: BRIEF,
        searched: TEXTS,
        query: Some(query),
        filters: filters(&[("status", &status)]),
        limit: page_limit(params.limit, DEFAULT_LIMIT),
        after: after.as_deref(),
        window: Window::read(params.since.clone(), params.until.clone())?,
    };
    let page: Page<RecordBrief> = page(tx, &listing).await?;
    Ok(RecordMatches {
        status: Status::Ok,
        count: page.records.len(),
        records: page.records,
        query: query.to_owned(),
        next: page.next,
    })
}

/// One record, whole.
///
/// # Errors
/// `DENIED_ID_REQUIRED`, `DENIED_RECORD_NOT_FOUND`, `DENIED_ID_AMBIGUOUS`.
pub async fn inspect<T: DeserializeOwned>(
    tx: &mut ReadTx,
    table: &'static str,
    id: Option<&String>,
) -> Result<Inspected<T>, Denial> {
    let id = resolve_read(tx, table, required_id(id)?).await?;
    let sql = format!("SELECT * FROM {table} WHERE id = $1");
    let row =
        tx.query_row(&sql, &[Cell::Text(&id)]).await?.ok_or_else(|| Denial::record_not_found(&id, table))?;
    Ok(Inspected { status: Status::Ok, record: row.decode()? })
}

/// Parses a JSON text that a caller gave.
///
/// # Errors
/// `DENIED_JSON_INVALID`, or what is wrong with its size.
pub fn parse_json(field: &str, text: &str) -> Result<Value, Denial> {
    limits::check_bytes(field, text, limits::PAYLOAD_BYTES)?;
    serde_json::from_str(text).map_err(|error| {
        Denial::new(Code::JsonInvalid).with("field", field).message(format!("{field} is not JSON: {error}"))
    })
}
