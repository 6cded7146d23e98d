//! K7: deleting the test records, each with what belongs to it, children before parents, all or nothing.
//!
//! Every row goes through the journal, also a link that SQLite would set to NULL by itself.

use std::mem;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use kaizen_proto::denial::Denial;
use kaizen_proto::families::core::{Nothing, RestoredSource, TestPurge, TestPurged};
use kaizen_proto::operation::Status;
use serde_json::{Map, Value};

use crate::care;
use crate::care::test_rows::{LINKS, ORDER, ROOTS};
use crate::families::gotcha::GOTCHA;
use crate::families::learning::LEARNING;
use crate::families::record::{self, Kind, Revision};
use crate::files;
use crate::plane::{Cell, WriteTx, fault};
use crate::registry::{Context, WriteOperation};

/// Rows that one call deletes at most: its journal entry has a limit, and SQLite's journal of the savepoint costs more
/// for each further row.
const MOST: usize = 10_000;
/// Rows that are read at a time.
const STEP: i64 = 500;
/// Files that the reply names at most.
const NAMED_FILES: usize = 200;

/// A file that a deleted report had written, and its hash.
#[derive(Debug)]
struct Written {
    path: String,
    sha256: String,
}

/// What `apply` learns for the time after COMMIT.
#[derive(Debug, Default)]
pub struct Files(Mutex<Vec<Written>>);

impl WriteOperation for TestPurge {
    type Prepared = Files;

    async fn prepare(_context: &Context, _params: Nothing) -> Result<Files, Denial> {
        Ok(Files::default())
    }

    fn apply(tx: &mut WriteTx<'_>, files: &Files) -> Result<TestPurged, Denial> {
        let (purged, written) = purge(tx, MOST)?;
        *files.0.lock().unwrap_or_else(PoisonError::into_inner) = written;
        Ok(purged)
    }

    async fn finish(context: &Context, files: &Files, reply: String) -> Result<String, Denial> {
        let written = mem::take(&mut *files.0.lock().unwrap_or_else(PoisonError::into_inner));
        if written.is_empty() {
            return Ok(reply);
        }
        let (context, root) = (context.daemon.clone(), context.binding.root()?.clone());
        let deleted =
            care::blocking(move || Ok(delete_files(&root, &written, |path| context.projects.holds(path))))
                .await?;
        let mut object: Map<String, Value> =
            serde_json::from_str(&reply).map_err(|error| fault::unexpected("read the reply", &error))?;
        object.insert("files".into(), deleted.into());
        Ok(Value::Object(object).to_string())
    }
}

/// Deletes the test records, up to so many rows.
fn purge(tx: &mut WriteTx<'_>, most: usize) -> Result<(TestPurged, Vec<Written>), Denial> {
    let mut purge = Purge {
        tx,
        left: most,
        purged: ROOTS.iter().map(|table| ((*table).to_owned(), Value::from(0))).collect(),
        children: Map::new(),
        written: Vec::new(),
    };
    let mut restored = Vec::new();
    for step in
        [("learning", "source_gotcha_id", GOTCHA, "L2"), ("learned", "source_learning_id", LEARNING, "L3")]
    {
        purge.take_promotions_back(step, &mut restored)?;
    }
    for link in LINKS {
        purge.cut(link)?;
    }
    for (table, condition) in ORDER {
        purge.delete(table, condition)?;
    }
    let remaining = purge.left == 0 && purge.finds_more()?;
    let Purge { purged, children, written, .. } = purge;
    let total = purged.values().filter_map(Value::as_i64).sum();
    let message = match (total, remaining) {
        (_, true) => format!("{total} test records were deleted; there are more: repeat the call."),
        (0, false) => "There are no test records.".to_owned(),
        (1, false) => "1 test record was deleted.".to_owned(),
        _ => format!("{total} test records were deleted."),
    };
    let purged = TestPurged {
        status: Status::Ok,
        message,
        purged,
        total,
        children,
        restored,
        files: Vec::new(),
        remaining,
    };
    Ok((purged, written))
}

struct Purge<'p, 'a> {
    tx: &'p mut WriteTx<'a>,
    /// Rows that may still be deleted.
    left: usize,
    purged: Map<String, Value>,
    children: Map<String, Value>,
    written: Vec<Written>,
}

impl Purge<'_, '_> {
    /// A record is promoted no more when the copy was only a test: its status becomes what it was before, by a revision of
    /// its own, unless somebody has revised it since.
    fn take_promotions_back(
        &mut self,
        (table, column, kind, operation): (&'static str, &str, Kind, &str),
        restored: &mut Vec<RestoredSource>,
    ) -> Result<(), Denial> {
        let sql = format!(
            "SELECT r.id, (SELECT b.status FROM {revisions} b WHERE b.{parent} = r.id \
                AND b.revision_number = v.revision_number - 1) AS status_before \
             FROM {of} r JOIN {revisions} v ON v.id = r.current_revision_id \
             WHERE r.is_test = 0 AND r.status = 'promoted' AND v.status = 'promoted' AND v.source_command = $1 AND r.id > $2 \
             AND EXISTS (SELECT 1 FROM {table} c WHERE c.{column} = r.id AND c.is_test <> 0) \
             AND NOT EXISTS (SELECT 1 FROM {table} c WHERE c.{column} = r.id AND c.is_test = 0) \
             ORDER BY r.id LIMIT {STEP}",
            of = kind.table,
            revisions = kind.revisions,
            parent = kind.parent,
        );
        let mut last = String::new();
        loop {
            let rows = self.tx.query(&sql, &[Cell::Text(operation), Cell::Text(&last)])?;
            let Some(row) = rows.last() else { return Ok(()) };
            row.text("id").clone_into(&mut last);
            for row in &rows {
                let Some(status) = row.optional_text("status_before") else { continue };
                let revision = Revision { status: Some(status.to_owned()), ..Revision::default() };
                record::revise(self.tx, kind, "K7", row.text("id"), &revision)?;
                restored.push(RestoredSource {
                    table: kind.table.to_owned(),
                    id: row.text("id").to_owned(),
                    status: status.to_owned(),
                });
            }
        }
    }

    /// Sets the links of records that stay to records that go to NULL, so that the journal knows.
    fn cut(
        &mut self,
        (table, column, to, stays): (&'static str, &'static str, &str, &str),
    ) -> Result<(), Denial> {
        let sql = format!(
            "SELECT rowid AS at, id FROM {table} WHERE rowid > $1 AND {stays} \
             AND {column} IN (SELECT id FROM {to} WHERE is_test <> 0) ORDER BY rowid LIMIT {STEP}"
        );
        let mut at = i64::MIN;
        loop {
            let rows = self.tx.query(&sql, &[Cell::Integer(at)])?;
            let Some(last) = rows.last() else { return Ok(()) };
            at = last.integer("at");
            for row in &rows {
                self.tx.update(table, row.text("id"), &[(column, Cell::Null)])?;
            }
        }
    }

    fn finds_more(&self) -> Result<bool, Denial> {
        for (table, condition) in ORDER {
            let sql = format!("SELECT 1 FROM {table} WHERE {condition} LIMIT 1");
            if self.tx.query_row(&sql, &[])?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn delete(&mut self, table: &'static str, condition: &str) -> Result<(), Denial> {
        let is_root = ROOTS.contains(&table);
        let columns = match table {
            "chunk_embeddings" => "chunk_id AS id, embedding_model",
            "generative_run_routes" => "run_id AS id",
            "reports" => "id, is_test, path, content_hash",
            _ if is_root => "id, is_test",
            _ => "id",
        };
        let sql = format!(
            "SELECT rowid AS at, {columns} FROM {table} WHERE rowid > $1 AND ({condition}) ORDER BY rowid LIMIT $2"
        );
        let (mut at, mut roots, mut children) = (i64::MIN, 0, 0);
        while self.left > 0 {
            let step = STEP.min(i64::try_from(self.left).unwrap_or(STEP));
            let rows = self.tx.query(&sql, &[Cell::Integer(at), Cell::Integer(step)])?;
            let Some(last) = rows.last() else { break };
            at = last.integer("at");
            self.left -= rows.len();
            for row in &rows {
                let id = row.text("id");
                if table == "chunk_embeddings" {
                    self.tx.discard(
                        table,
                        &[("chunk_id", Cell::Text(id)), ("embedding_model", row.get("embedding_model"))],
                    )?;
                } else {
                    self.tx.delete(table, id)?;
                }
                if table == "reports" {
                    let (path, sha256) = (row.text("path").to_owned(), row.text("content_hash").to_owned());
                    self.written.push(Written { path, sha256 });
                }
                if is_root && row.integer("is_test") != 0 {
                    roots += 1;
                } else {
                    children += 1;
                }
            }
        }
        if roots > 0 {
            self.purged.insert(table.to_owned(), roots.into());
        }
        if children > 0 {
            self.children.insert(table.to_owned(), children.into());
        }
        Ok(())
    }
}

/// Deletes the files of reports that are gone: those under the project's exports that are still as the report left them.
/// A file that somebody has edited is somebody's work. Returns the names of those that are deleted, up to a limit.
fn delete_files(root: &Path, written: &[Written], is_held: impl Fn(&Path) -> bool) -> Vec<String> {
    let Ok(exports) = root.join("AI/db/exports").canonicalize() else { return Vec::new() };
    let mut deleted = Vec::new();
    for Written { path, sha256 } in written {
        let file = root.join(path);
        let inside = file.parent().and_then(|parent| parent.canonicalize().ok());
        if !inside.is_some_and(|directory| directory.starts_with(&exports)) || is_held(&file) {
            continue;
        }
        let is_ours = files::open(&file).and_then(files::digest).is_ok_and(|(found, _)| found == *sha256);
        if !is_ours {
            continue;
        }
        match std::fs::remove_file(&file) {
            Ok(()) if deleted.len() < NAMED_FILES => deleted.push(path.clone()),
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, "the file of a purged report stays"),
        }
    }
    deleted
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
