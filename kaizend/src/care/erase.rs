//! K12: taking a secret out of everything that the data plane keeps, without a way back.
//!
//! First one journalled write: the field and the same field of the record's revisions are masked, every other text of
//! every table that holds the same secret likewise, the content hashes and revision chains of what changed are computed
//! anew, and kept replies that quote it are forgotten. Then the residue: the search index is built anew, the database
//! vacuumed, and the log written back and emptied. Then each backup, through a copy that takes its place when it is
//! clean. A crash in between leaves work undone that the same call does when it is repeated: the copies in a backup are
//! found through the backup's own row of the record.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aho_corasick::AhoCorasick;
use kaizen_proto::canonical_json::hex;
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::core::{RecordErased, WhatToErase};
use kaizen_proto::limits;
use kaizen_proto::operation::Status;
use kaizen_proto::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::blocking;
use super::integrity::content;
use crate::families::record;
use crate::files;
use crate::plane::tables::Table;
use crate::plane::value::OwnedCell;
use crate::plane::write_tx;
use crate::plane::writer::Writer;
use crate::plane::{Caller, Cell, Plane, WriteTx, fault, search_index};
use crate::redaction::{Kind, gate, json as texts};

const OPERATION: &str = "K12";
/// What stands for a whole field.
const ERASED: &str = "[ERASED]";
/// The class under which a whole field is reported.
const WHOLE: &str = "ERASED";
/// Characters that a whole field must have to be looked for in other rows: shorter ones stand there by chance.
const LOOKED_FOR: usize = 12;
/// Bytes of the parts in which a longer text is looked for in files: a database cuts a text where a page ends.
const PART: usize = 48;
/// What the directories start with in which backups are rewritten.
const WORKSHOP: &str = ".erase-";
/// Held by the call that erases.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
const ALL: &[Kind] = &[Kind::Secret, Kind::Personal];

/// What is to be erased.
#[derive(Clone, Debug)]
pub struct Request {
    id: String,
    field: String,
    whole: bool,
    reason: Option<String>,
}

/// A text that must not be anywhere any more, and its class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Unwanted {
    text: String,
    class: &'static str,
}

impl Unwanted {
    fn mask(&self) -> String {
        if self.class == WHOLE { ERASED.to_owned() } else { format!("[REDACTED:{}]", self.class) }
    }

    /// The text as it is, and as a JSON text spells it.
    fn spellings(&self) -> Vec<String> {
        let quoted = Value::from(self.text.as_str()).to_string();
        let escaped = quoted[1..quoted.len() - 1].to_owned();
        if escaped == self.text { vec![escaped] } else { vec![self.text.clone(), escaped] }
    }
}

/// What the write did.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Changed {
    id: String,
    table: String,
    classes: Vec<String>,
    rows: BTreeMap<String, i64>,
    /// The writer adds these two.
    #[serde(skip_serializing)]
    seq: i64,
    #[serde(skip_serializing)]
    chain_hash: String,
}

/// Checks the parameters.
///
/// # Errors
/// `DENIED_ID_REQUIRED`, `DENIED_USAGE` without a field, what is wrong with the reason, `DENIED_SECRET` when it holds one.
pub fn request(params: WhatToErase) -> Result<Request, Denial> {
    let id = record::required_id(params.id.as_ref())?.to_owned();
    let field = record::given(params.field)
        .ok_or_else(|| Denial::usage("--field is missing").action("Name the field that holds the secret."))?;
    let reason = record::given(params.reason);
    record::check_short(&[("id", &id), ("field", &field)])?;
    if let Some(reason) = &reason {
        limits::check_summary(reason)?;
        gate::check_text("reason", reason)?;
    }
    Ok(Request { id, field, whole: params.whole, reason })
}

/// Erases.
///
/// # Errors
/// `DENIED_RECORD_NOT_FOUND`, `DENIED_ID_AMBIGUOUS`, `DENIED_NOTHING_TO_ERASE`, or what SQLite or the disk denies; the
/// same call finishes then what is left.
pub async fn run(
    plane: &Plane,
    root: &Path,
    caller: Arc<Caller>,
    request: Request,
) -> Result<RecordErased, Denial> {
    // Another call would take this one's workshops for left-overs.
    let _alone = ALONE.lock().await;
    let unwanted = Arc::new(Mutex::new(BTreeSet::new()));
    let changed = write(plane, caller.clone(), &request, &unwanted, true).await?;
    plane.chore(clean).await?;
    let whole_id = Request { id: changed.id.clone(), ..request.clone() };
    let backups = backups(plane, root, &caller, &whole_id, &unwanted).await?;
    let directory = plane.db_path().with_file_name("");
    let all = held(&unwanted);
    let shown_root = root.to_path_buf();
    let open = plane.db_path().to_path_buf();
    let files = blocking(move || Ok(holders(&directory, &shown_root, &open, &all))).await?;
    let required_action = if files.is_empty() {
        "Change the secret where it is used: whoever read it before may still know it."
    } else {
        "Delete the files that are named, or make them anew; and change the secret where it is used."
    };
    Ok(RecordErased {
        status: Status::Ok,
        id: changed.id,
        table: changed.table,
        field: request.field,
        classes: changed.classes,
        rows: changed.rows,
        backups_rewritten: backups.rewritten,
        backups_removed: backups.removed,
        backups_unread: backups.unread,
        files,
        seq: changed.seq,
        chain_hash: changed.chain_hash,
        required_action: required_action.to_owned(),
    })
}

type Shared = Arc<Mutex<BTreeSet<Unwanted>>>;

fn held(unwanted: &Shared) -> Vec<Unwanted> {
    let mut all: Vec<Unwanted> =
        unwanted.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
    // A text that holds another one must be replaced before it.
    all.sort_by_key(|unwanted| std::cmp::Reverse(unwanted.text.len()));
    all
}

async fn write(
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

/// Takes away what the write has left in the files: in the search index, in free pages and in the log.
fn clean(writer: &mut Writer) -> Result<(), Denial> {
    let fail = |error: rusqlite::Error| fault::from_rusqlite("clean the database", &error);
    if writer.shared().is_suspect() {
        return Err(Denial::new(Code::PlaneSuspect).message("the last write could not be made durable"));
    }
    let connection = writer.connection();
    connection.execute_batch("BEGIN IMMEDIATE").map_err(fail)?;
    let rebuilt = search_index::rebuild(connection).and_then(|()| connection.execute_batch("COMMIT"));
    if let Err(error) = rebuilt {
        if !connection.is_autocommit()
            && let Err(again) = connection.execute_batch("ROLLBACK")
        {
            tracing::error!(error = %again, "could not roll back");
            writer.shared().close();
        }
        return Err(fail(error));
    }
    // The copy that VACUUM makes may be larger than memory should hold.
    let vacuumed = connection.execute_batch("PRAGMA temp_store = FILE; VACUUM");
    connection.execute_batch("PRAGMA temp_store = MEMORY").map_err(fail)?;
    vacuumed.map_err(fail)?;
    let outcome = write_tx::query(connection, "PRAGMA wal_checkpoint(TRUNCATE)", &[]).map_err(fail)?;
    if outcome.first().is_some_and(|row| row.integer("busy") != 0) {
        return Err(Denial::new(Code::DatabaseLocked)
            .message("the record is clean; a reader holds the log, which still has the old text")
            .action("Repeat the call."));
    }
    Ok(())
}

/// What became of the backups.
#[derive(Default)]
struct Backups {
    rewritten: Vec<String>,
    removed: Vec<String>,
    unread: Vec<String>,
}

async fn backups(
    plane: &Plane,
    root: &Path,
    caller: &Arc<Caller>,
    request: &Request,
    unwanted: &Shared,
) -> Result<Backups, Denial> {
    let mut outcome = Backups::default();
    let directory = plane.db_path().with_file_name("backups");
    let Ok(entries) = fs::read_dir(&directory) else { return Ok(outcome) };
    let mut backups: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    backups.sort();
    for backup in backups {
        let name = backup.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let fail = |error: std::io::Error| fault::from_io("remove a backup", &backup, &error);
        if name.starts_with(WORKSHOP) {
            // Left by a call that did not come to its end.
            fs::remove_dir_all(&backup).map_err(fail)?;
            continue;
        }
        let database = backup.join("kaizen.db");
        if !database.is_file() {
            continue;
        }
        let shown = backup.strip_prefix(root).unwrap_or(&backup).display().to_string();
        let workshop = directory.join(format!("{WORKSHOP}{}", kaizen_proto::id::idempotency_key()));
        let rewritten = rewrite(&database, &workshop, caller, request, unwanted).await;
        if workshop.exists() {
            fs::remove_dir_all(&workshop).map_err(fail)?;
        }
        match rewritten {
            Ok(true) => outcome.rewritten.push(shown),
            Ok(false) => {}
            Err(denial) => {
                tracing::warn!(code = denial.code.text(), backup = %shown, "a backup could not be rewritten");
                if holds(&database, &held(unwanted)) {
                    fs::remove_dir_all(&backup).map_err(fail)?;
                    outcome.removed.push(shown);
                } else {
                    outcome.unread.push(shown);
                }
            }
        }
    }
    files::sync_directory(&directory)
        .map_err(|error| fault::from_io("remove a backup", &directory, &error))?;
    Ok(outcome)
}

/// Erases in one backup, through a copy. Says whether there was anything.
async fn rewrite(
    database: &Path,
    workshop: &Path,
    caller: &Arc<Caller>,
    request: &Request,
    unwanted: &Shared,
) -> Result<bool, Denial> {
    let copy = workshop.join("kaizen.db");
    let (from, to) = (database.to_path_buf(), copy.clone());
    let (opened, lock) = blocking(move || {
        let fail = |error: std::io::Error| fault::from_io("copy a backup", &from, &error);
        fs::create_dir(to.parent().unwrap_or(&to)).map_err(fail)?;
        fs::copy(&from, &to).map_err(fail)?;
        Plane::open(&to, "")
    })
    .await?;
    let changed = write(&opened, caller.clone(), request, unwanted, false).await;
    let there = match &changed {
        Ok(changed) => !changed.rows.is_empty() || holds(database, &held(unwanted)),
        Err(_) => false,
    };
    let cleaned = if there { opened.chore(clean).await } else { Ok(()) };
    opened.close().await;
    drop(lock);
    changed?;
    cleaned?;
    if !there {
        return Ok(false);
    }
    let target = database.to_path_buf();
    blocking(move || replace(&copy, &target)).await?;
    Ok(true)
}

/// Puts the rewritten copy in the place of a backup, and says so in its manifest.
fn replace(copy: &Path, target: &Path) -> Result<(), Denial> {
    let fail = |error: rusqlite::Error| fault::from_rusqlite("finish a backup", &error);
    let connection = rusqlite::Connection::open(copy).map_err(fail)?;
    connection.execute_batch("PRAGMA journal_mode = DELETE").map_err(fail)?;
    let head = write_tx::query(&connection, "SELECT seq, chain_hash FROM plane_head", &[]).map_err(fail)?;
    connection.close().map_err(|(_, error)| fail(error))?;
    files::publish(copy, target)?;
    let path = target.with_file_name("backup-manifest.json");
    let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
    let Ok(mut manifest) = serde_json::from_str::<Value>(&text) else { return Ok(()) };
    let mut digest = Sha256::new();
    let read = File::open(target).and_then(|mut file| std::io::copy(&mut file, &mut digest));
    let bytes = read.map_err(|error| fault::from_io("read a backup", target, &error))?;
    for file in manifest["files"].as_array_mut().into_iter().flatten() {
        if file["path"].as_str().is_some_and(|path| path.ends_with("kaizen.db")) {
            file["sha256"] = hex(&digest.clone().finalize()).into();
            file["bytes"] = bytes.into();
        }
    }
    if let Some(head) = head.first() {
        manifest["seq"] = head.integer("seq").into();
        manifest["chain_hash"] = head.text("chain_hash").into();
    }
    manifest["rewritten"] = json!({"at": Timestamp::now().to_string(), "by": OPERATION});
    let text = serde_json::to_string_pretty(&manifest)
        .map_err(|error| fault::unexpected("write a manifest", &error))?;
    files::write(&path, (text + "\n").as_bytes())
}

/// Whether a file holds one of the texts.
fn holds(path: &Path, unwanted: &[Unwanted]) -> bool {
    let spellings: Vec<String> = unwanted.iter().flat_map(Unwanted::spellings).collect();
    let looked_for: Vec<&[u8]> = spellings.iter().flat_map(|text| parts(text.as_bytes())).collect();
    let Ok(file) = File::open(path) else { return false };
    match AhoCorasick::new(&looked_for) {
        Ok(automaton) if !looked_for.is_empty() => {
            automaton.stream_find_iter(file).any(|found| found.is_ok())
        }
        _ => false,
    }
}

/// A short text whole, of a longer one its two ends and its middle: no two pages end within all of them.
fn parts(text: &[u8]) -> Vec<&[u8]> {
    if text.len() < 3 * PART {
        return vec![text];
    }
    let (end, middle) = (text.len() - PART, text.len() / 2);
    vec![&text[..PART], &text[middle..middle + PART], &text[end..]]
}

/// Whether a file belongs to the open database. Whoever closes such a file takes SQLite's locks away.
fn is_of_open(database: &Path, path: &Path) -> bool {
    let endings = ["", "-wal", "-shm", "-journal"];
    let name = database.file_name().unwrap_or_default().to_string_lossy();
    path.parent() == database.parent()
        && path.file_name().is_some_and(|file| {
            endings.iter().any(|ending| file.to_string_lossy() == format!("{name}{ending}"))
        })
}

/// The files below the data plane's directory that hold one of the texts, but for the open database and the backups.
/// Databases that a restore has put aside, or left unfinished, are among them.
fn holders(directory: &Path, root: &Path, open: &Path, unwanted: &[Unwanted]) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(directory) else { return found };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && name != "backups" => {
                found.extend(holders(&path, root, open, unwanted));
            }
            Ok(kind) if kind.is_file() && !is_of_open(open, &path) && holds(&path, unwanted) => {
                found.push(path.strip_prefix(root).unwrap_or(&path).display().to_string());
            }
            _ => {}
        }
    }
    found.sort();
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
