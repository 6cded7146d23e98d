//! The journalled write: a secret in a record's field, in its revisions, and wherever else it stands in a row.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use kaizen_proto::denial::{Code, Denial};
use serde_json::{Value, json};

use super::{ALL, Changed, ERASED, OPERATION, Request, Shared, Unwanted, WHOLE, held};
use crate::care::integrity::content;
use crate::families::record;
use crate::plane::tables::Table;
use crate::plane::value::OwnedCell;
use crate::plane::{Caller, Cell, Plane, WriteTx, fault};
use crate::redaction::{Kind, json as texts};

/// Characters that a whole field must have to be looked for in other rows: shorter ones stand there by chance.
const LOOKED_FOR: usize = 12;

pub(super) async fn write(
    plane: &Plane,
    caller: Arc<Caller>,
    request: &Request,
    unwanted: &Shared,
    must_exist: bool,
) -> Result<Changed, Denial> {
    let (request, unwanted) = (request.clone(), unwanted.clone());
    let apply = Box::new(move |tx: &mut WriteTx<'_>| {
        let changed = erase(tx, &request, &unwanted, must_exist)?;
        serde_json::to_string(&changed).map_err(|error| fault::unexpected("write the reply", &error))
    });
    let reply = plane.write(OPERATION, caller, None, apply).await?;
    serde_json::from_str(&reply).map_err(|error| fault::unexpected("read the reply", &error))
}

/// The journalled part.
fn erase(
    tx: &mut WriteTx<'_>,
    request: &Request,
    unwanted: &Shared,
    must_exist: bool,
) -> Result<Changed, Denial> {
    let mut changed = Changed::default();
    let mut touched: BTreeSet<(String, String)> = BTreeSet::new();
    match find(tx, &request.id) {
        Ok((table, id)) => {
            let (table, id) = content::owner(tx, &table, &id)?;
            match field(tx, request, (&table, &id), unwanted, &mut changed, &mut touched) {
                // A backup may be older than the secret in this field, and hold it elsewhere.
                Err(denial) if must_exist || denial.code != Code::NothingToErase => return Err(denial),
                _ => (changed.table, changed.id) = (table, id),
            }
        }
        Err(denial) if must_exist => return Err(denial),
        Err(_) => {}
    }
    for unwanted in held(unwanted) {
        everywhere(tx, &unwanted, &mut touched)?;
        for spelling in unwanted.spellings() {
            tx.forget_replies(&spelling)?;
        }
    }
    let mut owners = BTreeSet::new();
    for (table, id) in &touched {
        *changed.rows.entry(table.clone()).or_default() += 1;
        owners.insert(content::owner(tx, table, id)?);
    }
    for (table, id) in owners {
        content::rehash(tx, &table, &id)?;
    }
    if !touched.is_empty() && !changed.id.is_empty() {
        let event = record::LedgerEvent {
            task_id: None,
            scope: None,
            status: None,
            summary: request.reason.as_deref(),
            writer_role: "user",
            test: false,
        };
        record::ledger(tx, OPERATION, &changed.id, &changed, event)?;
    }
    Ok(changed)
}

/// The record with this id, or an unambiguous start of it, in any table.
fn find(tx: &WriteTx<'_>, given: &str) -> Result<(String, String), Denial> {
    let mut found: Vec<(String, String)> = Vec::new();
    let after = format!("{given}\u{10ffff}");
    for Table { name, key, .. } in tx.journalled() {
        let sql = format!(
            "SELECT \"{key}\" AS id FROM {name} WHERE \"{key}\" >= $1 AND \"{key}\" < $2 ORDER BY 1 LIMIT 6"
        );
        for row in tx.query(&sql, &[Cell::Text(given), Cell::Text(&after)])? {
            found.push((name.clone(), row.text("id").to_owned()));
        }
    }
    if let Some(exact) = found.iter().find(|(_, id)| id == given) {
        return Ok(exact.clone());
    }
    match found.as_slice() {
        [only] if record::names_one(given) => Ok(only.clone()),
        [] | [_] => Err(Denial::record_not_found(given, "any")),
        several => {
            let candidates: Vec<&str> = several.iter().take(5).map(|(_, id)| id.as_str()).collect();
            Err(Denial::new(Code::IdAmbiguous).with("id", given).with("candidates", json!(candidates)))
        }
    }
}

/// Whether a column holds a text that somebody wrote, rather than what holds the records together.
fn is_text(column: &str) -> bool {
    !matches!(column, "id" | "key" | "source_command" | "packet_type" | "is_test")
        && !["_id", "_at", "_hash", "_number", "sha256"].iter().any(|ending| column.ends_with(ending))
}

/// Masks the field of a record and of its revisions, and notes what was in it.
fn field(
    tx: &mut WriteTx<'_>,
    request: &Request,
    (table, id): (&str, &str),
    unwanted: &Shared,
    changed: &mut Changed,
    touched: &mut BTreeSet<(String, String)>,
) -> Result<(), Denial> {
    let field = request.field.as_str();
    let tables = tx.journalled();
    let has_field = |name: &str| {
        let table = tables.iter().find(|table| table.name == name);
        table.filter(|table| table.columns.iter().any(|column| column == field))
    };
    let Some(owner) = has_field(table).filter(|_| is_text(field)) else {
        let fields: Vec<&String> = tables
            .iter()
            .filter(|other| other.name == table)
            .flat_map(|table| table.columns.iter().filter(|column| is_text(column)))
            .collect();
        return Err(
            Denial::usage(format!("{table} has no text field {field:.80}")).with("fields", json!(fields))
        );
    };
    let sql = format!("SELECT \"{}\" AS id, \"{field}\" AS text FROM {table} WHERE \"{0}\" = $1", owner.key);
    let mut cells: Vec<(String, String, String)> = Vec::new();
    let mut read = |tx: &WriteTx<'_>, table: &str, sql: &str| -> Result<(), Denial> {
        for row in tx.query(sql, &[Cell::Text(id)])? {
            if let Some(text) = row.optional_text("text") {
                cells.push((table.to_owned(), row.text("id").to_owned(), text.to_owned()));
            }
        }
        Ok(())
    };
    read(tx, table, &sql)?;
    if let Some((revisions, parent)) = content::revisions_of(table)
        && has_field(revisions).is_some()
    {
        read(tx, revisions, &format!("SELECT id, \"{field}\" AS text FROM {revisions} WHERE {parent} = $1"))?;
    }
    let mut classes: Vec<&'static str> = Vec::new();
    let mut was_erased = false;
    for (table, row, text) in &cells {
        was_erased |= text.contains("[REDACTED:") || text.contains(ERASED);
        let masked = if request.whole { erased(text) } else { texts::mask(text, ALL).into_owned() };
        note(text, request.whole, unwanted, &mut classes);
        if masked != *text {
            tx.rewrite(table, row, &[(field, Cell::Text(&masked))])?;
            touched.insert((table.clone(), row.clone()));
        }
    }
    if classes.is_empty() && !was_erased {
        return Err(Denial::new(Code::NothingToErase)
            .with("id", id)
            .with("field", field)
            .message("no secret was recognised in the field"));
    }
    changed.classes = classes.into_iter().map(str::to_owned).collect();
    Ok(())
}

/// What stands in place of a whole text; JSON stays JSON of the same sort.
fn erased(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(_)) => json!({"erased": ERASED}).to_string(),
        Ok(Value::Array(_)) => json!([ERASED]).to_string(),
        _ if text.is_empty() => String::new(),
        _ => ERASED.to_owned(),
    }
}

/// Notes what of a text must not be anywhere else.
fn note(text: &str, whole: bool, unwanted: &Shared, classes: &mut Vec<&'static str>) {
    let mut unwanted = unwanted.lock().unwrap_or_else(PoisonError::into_inner);
    let secrets = texts::found_texts(text, &[Kind::Secret]);
    // Personal details are masked in the field itself; elsewhere they may stand rightly.
    for (class, _) in texts::found_texts(text, ALL) {
        if !classes.contains(&class) {
            classes.push(class);
        }
    }
    unwanted.extend(secrets.into_iter().map(|(class, text)| Unwanted { text, class }));
    if whole && !text.contains(ERASED) {
        if !classes.contains(&WHOLE) {
            classes.push(WHOLE);
        }
        if text.chars().nth(LOOKED_FOR - 1).is_some() {
            unwanted.insert(Unwanted { text: text.to_owned(), class: WHOLE });
        }
    }
}

/// Replaces a text wherever it occurs.
fn everywhere(
    tx: &mut WriteTx<'_>,
    unwanted: &Unwanted,
    touched: &mut BTreeSet<(String, String)>,
) -> Result<(), Denial> {
    let mask = unwanted.mask();
    for Table { name, key, columns, select_sql, .. } in tx.journalled() {
        for spelling in unwanted.spellings() {
            let held: Vec<String> = columns
                .iter()
                .filter(|column| *column != key)
                .map(|column| format!("instr(\"{column}\", $1) > 0"))
                .collect();
            let sql = format!("SELECT \"{key}\" AS id FROM {name} WHERE {}", held.join(" OR "));
            for found in tx.query(&sql, &[Cell::Text(&spelling)])? {
                let id = found.text("id");
                let Some(row) = tx.query_row(select_sql, &[Cell::Text(id)])? else { continue };
                let replaced: Vec<(&str, String)> = columns
                    .iter()
                    .zip(&row.cells)
                    .filter(|(column, _)| *column != key)
                    .filter_map(|(column, cell)| match cell {
                        OwnedCell::Text(text) if text.contains(&spelling) => {
                            Some((column.as_str(), text.replace(&spelling, &mask)))
                        }
                        _ => None,
                    })
                    .collect();
                let changes: Vec<(&str, Cell<'_>)> =
                    replaced.iter().map(|(column, text)| (*column, Cell::Text(text))).collect();
                if !changes.is_empty() {
                    tx.rewrite(name, id, &changes)?;
                    touched.insert((name.clone(), id.to_owned()));
                }
            }
        }
    }
    Ok(())
}
