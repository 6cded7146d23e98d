//! Ids that callers give: whole or shortened, of records that must exist or of anything at all.

use kaizen_proto::denial::{Code, Denial};
use serde_json::json;

use crate::plane::{Cell, ReadTx, WriteTx, value};

/// A start of an id must have at least so many bytes to be taken for one where any text is accepted.
const SHORTEST_START: usize = 8;

/// So many bytes must follow the `_` in a start of an id. All ids of a table begin alike, so that `g_0` would name
/// the only gotcha there is, whoever meant it.
const FEWEST_DIGITS: usize = 4;

/// Whether a text is long enough to stand for the only id that starts with it.
pub fn names_one(given: &str) -> bool {
    given.split_once('_').map_or(given, |(_, digits)| digits).len() >= FEWEST_DIGITS
}

/// The whole id when `given` is an id or an unambiguous start of one among the rows of [`id_sql`].
fn soft_id(given: &str, found: &[value::Row]) -> Option<String> {
    if found.iter().any(|row| row.text("id") == given) {
        return Some(given.to_owned());
    }
    match found {
        [only] if given.len() >= SHORTEST_START => Some(only.text("id").to_owned()),
        _ => None,
    }
}

/// A reference that may name anything: an unambiguous start of an id becomes the whole id, and a record that does not
/// exist is kept as it was given, with a warning.
pub fn soft_reference(
    tx: &mut WriteTx<'_>,
    field: &str,
    table: &str,
    given: Option<&str>,
) -> Result<Option<String>, Denial> {
    let Some(given) = given else { return Ok(None) };
    let found = tx.query(&id_sql(table), &[Cell::Text(given), Cell::Text(&after_prefix(given))])?;
    let whole = soft_id(given, &found);
    if whole.is_none() {
        tx.warn(format!(
            "{field}: there is no record \"{given}\" in {table}; the reference is stored as it is"
        ));
    }
    Ok(Some(whole.unwrap_or_else(|| given.to_owned())))
}

/// [`soft_reference`] to the task that a record is said to belong to.
pub fn soft_task(tx: &mut WriteTx<'_>, task_id: Option<&str>) -> Result<Option<String>, Denial> {
    soft_reference(tx, "task_id", "tasks", task_id)
}

/// The whole id for a reference that is only searched for.
pub async fn soft_read(
    tx: &mut ReadTx,
    table: &str,
    given: Option<String>,
) -> Result<Option<String>, Denial> {
    let Some(given) = given else { return Ok(None) };
    let found = tx.query(&id_sql(table), &[Cell::Text(&given), Cell::Text(&after_prefix(&given))]).await?;
    Ok(Some(soft_id(&given, &found).unwrap_or(given)))
}

/// The first text that sorts after everything that starts with `prefix`.
pub fn after_prefix(prefix: &str) -> String {
    format!("{prefix}\u{10ffff}")
}

fn id_sql(table: &str) -> String {
    format!("SELECT id FROM {table} WHERE id >= $1 AND id < $2 ORDER BY id LIMIT 6")
}

/// The id that a caller gave.
///
/// # Errors
/// `DENIED_ID_REQUIRED`.
pub fn required_id(id: Option<&String>) -> Result<&str, Denial> {
    match id {
        Some(id) if !id.is_empty() => Ok(id),
        _ => Err(Denial::new(Code::IdRequired)),
    }
}

fn only_id(table: &str, given: &str, found: &[value::Row]) -> Result<String, Denial> {
    let exact = found.iter().find(|row| row.text("id") == given);
    match (exact, found) {
        (Some(row), _) => Ok(row.text("id").to_owned()),
        (None, [only]) if names_one(given) => Ok(only.text("id").to_owned()),
        (None, [] | [_]) => Err(Denial::record_not_found(given, table)),
        (None, several) => {
            let candidates: Vec<&str> = several.iter().take(5).map(|row| row.text("id")).collect();
            Err(Denial::new(Code::IdAmbiguous)
                .with("id", given)
                .with("table", table)
                .with("candidates", json!(candidates)))
        }
    }
}

/// The whole id for an id or an unambiguous start of one, while writing.
///
/// # Errors
/// `DENIED_RECORD_NOT_FOUND`, `DENIED_ID_AMBIGUOUS`.
pub fn resolve(tx: &WriteTx<'_>, table: &str, given: &str) -> Result<String, Denial> {
    let found = tx.query(&id_sql(table), &[Cell::Text(given), Cell::Text(&after_prefix(given))])?;
    only_id(table, given, &found)
}

/// The whole id for an id or an unambiguous start of one, while reading.
///
/// # Errors
/// `DENIED_RECORD_NOT_FOUND`, `DENIED_ID_AMBIGUOUS`.
pub async fn resolve_read(tx: &mut ReadTx, table: &str, given: &str) -> Result<String, Denial> {
    let found = tx.query(&id_sql(table), &[Cell::Text(given), Cell::Text(&after_prefix(given))]).await?;
    only_id(table, given, &found)
}
