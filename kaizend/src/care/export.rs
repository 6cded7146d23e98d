//! K13: the whole plane as JSON lines, from one snapshot, without ever holding more than a row of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use kaizen_proto::canonical_json::hex;
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::core::{ExportPlane, Exported};
use kaizen_proto::operation::Status;
use kaizen_proto::time::Timestamp;
use rusqlite::Connection;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::test_rows::{LINKS, ORDER};
use super::transfer::{Digest, FORMAT, Header, Line, VERSION, encode};
use super::{backup, blocking, manifest};
use crate::families::artifact;
use crate::files;
use crate::plane::tables::{self, Table};
use crate::plane::{fault, open, write_tx};
use crate::registry::Context;

/// The tables of private policies.
const POLICIES: [&str; 2] = ["private_policy", "private_policy_revision"];

/// What is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) policy: bool,
    pub(super) test: bool,
}

impl Choice {
    /// Whether nothing is left out.
    fn is_complete(self) -> bool {
        self.policy && self.test
    }
}

/// Carries K13 out.
///
/// # Errors
/// What is wrong with the path, or what the disk or SQLite denies; nothing half-written stays.
pub async fn export(context: &Context, params: ExportPlane) -> Result<Exported, Denial> {
    let root = context.binding.root()?.clone();
    let choice = Choice { policy: params.include_policy, test: params.include_test };
    let (target, shown) = if params.path.as_ref().is_some_and(|path| !path.is_empty()) {
        let resolved = artifact::resolve_allowed(&root, params.path.as_ref(), params.allow_external)?;
        (resolved.file, resolved.shown)
    } else {
        let name = format!("plane-{}.jsonl", manifest::stamped());
        let target = context.binding.db_path.with_file_name("exports").join(name);
        let shown = manifest::shown(&root, &target);
        (target, shown)
    };
    let plane = context.plane().await?;
    // The gate of every read.
    drop(plane.read().await?);
    let db_path = plane.db_path().to_path_buf();
    blocking(move || {
        let free = || {
            if target.symlink_metadata().is_err() {
                return Ok(());
            }
            Err(Denial::new(Code::FileExists).with("path", target.display().to_string()))
        };
        free()?;
        let (header, sha256, bytes) = files::write_by(&target, |file| {
            let written = write(&db_path, choice, file)?;
            free()?;
            Ok(written)
        })?;
        let mut omitted = Vec::new();
        if !choice.test {
            omitted.push("test records: --include-test".to_owned());
        }
        if !choice.policy {
            omitted.push("private policies: --include-policy".to_owned());
        }
        if !choice.is_complete() {
            omitted.push("the journal, which only a complete export has: both flags".to_owned());
        }
        Ok(Exported {
            status: Status::Ok,
            path: shown,
            sha256,
            bytes,
            complete: header.complete,
            table_counts: header.tables,
            seq: header.seq,
            chain_hash: header.chain_hash,
            omitted,
        })
    })
    .await
}

/// Writes lines and hashes them.
struct Lines<W: Write> {
    to: W,
    digest: Sha256,
    bytes: i64,
}

impl<W: Write> Lines<W> {
    fn write(&mut self, line: &impl Serialize) -> Result<(), Denial> {
        let mut text = serde_json::to_vec(line).map_err(|error| fault::unexpected("write a line", &error))?;
        text.push(b'\n');
        self.digest.update(&text);
        self.bytes += i64::try_from(text.len()).unwrap_or(0);
        self.to.write_all(&text).map_err(failed)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is mapped over")]
fn failed(error: std::io::Error) -> Denial {
    fault::from_io("write the export", Path::new("the export"), &error)
}

/// Writes a database's export. Returns the header, and hash and size of what was written.
pub(super) fn write(
    db_path: &Path,
    choice: Choice,
    file: &mut File,
) -> Result<(Header, String, i64), Denial> {
    let fail = |error: rusqlite::Error| fault::from_rusqlite("export the data plane", &error);
    let mut connection = open::reader_connection(db_path)?;
    let snapshot = connection.transaction().map_err(fail)?;
    let mut selected = Vec::new();
    let mut tables: Vec<Table> = tables::read(&snapshot).map_err(fail)?.into_values().collect();
    tables.sort_by(|left, right| left.name.cmp(&right.name));
    for table in &tables {
        let is_left_out = !choice.policy && POLICIES.contains(&table.name.as_str());
        if table.name != "schema_version" && !is_left_out {
            selected.push((table.name.as_str(), select(table, choice)));
        }
    }
    if choice.is_complete() {
        let journal = "SELECT seq, at, operation, task_id, actor, session, rows, prev_hash, chain_hash \
                       FROM journal ORDER BY seq";
        selected.push(("journal", journal.to_owned()));
    }
    let mut counts = BTreeMap::new();
    for (table, sql) in &selected {
        let rows = write_tx::query(&snapshot, &format!("SELECT count(*) AS rows FROM ({sql})"), &[]);
        let count = rows.map_err(fail)?.first().map_or(0, |row| row.integer("rows"));
        counts.insert((*table).to_owned(), count);
    }
    let head = backup::head(&snapshot)?.unwrap_or_default();
    let header = Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        tool_version: kaizen_proto::VERSION.to_owned(),
        exported_at: Timestamp::now().to_string(),
        plane_id: head.plane_id,
        seq: head.seq,
        chain_hash: head.chain_hash,
        complete: choice.is_complete(),
        tables: counts,
    };
    let mut lines = Lines { to: BufWriter::new(file), digest: Sha256::new(), bytes: 0 };
    lines.write(&header)?;
    let mut rows = 0;
    for (table, sql) in &selected {
        rows += stream(&snapshot, table, sql, &mut lines)?;
    }
    let sha256 = hex(&lines.digest.clone().finalize());
    lines.write(&Digest { sha256, rows })?;
    lines.to.flush().map_err(failed)?;
    Ok((header, hex(&lines.digest.finalize()), lines.bytes))
}

/// The rows of a table that are exported, in the order of their keys. Links to what is left out are too.
fn select(table: &Table, choice: Choice) -> String {
    let name = table.name.as_str();
    let link = |column: &str| {
        let links = LINKS.iter().filter(|_| !choice.test);
        links.into_iter().find(|(of, link, ..)| *of == name && *link == column).map(|(_, _, to, _)| *to)
    };
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| match link(column) {
            Some(to) => format!(
                "CASE WHEN \"{column}\" IN (SELECT id FROM {to} WHERE is_test <> 0) THEN NULL ELSE \"{column}\" END AS \"{column}\""
            ),
            None => format!("\"{column}\""),
        })
        .collect();
    let conditions: Vec<String> = ORDER
        .iter()
        .filter(|(of, _)| !choice.test && *of == name)
        .map(|(_, condition)| format!(" WHERE ({condition}) IS NOT TRUE"))
        .collect();
    let second = if name == "chunk_embeddings" { ", embedding_model" } else { "" };
    format!(
        "SELECT {} FROM {name}{} ORDER BY \"{}\"{second}",
        columns.join(", "),
        conditions.join(""),
        table.key
    )
}

fn stream<W: Write>(
    snapshot: &Connection,
    table: &str,
    sql: &str,
    lines: &mut Lines<W>,
) -> Result<i64, Denial> {
    let fail = |error: rusqlite::Error| fault::from_rusqlite("export the data plane", &error);
    let mut statement = snapshot.prepare(sql).map_err(fail)?;
    let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut rows = statement.query([]).map_err(fail)?;
    let mut count = 0;
    while let Some(row) = rows.next().map_err(fail)? {
        let mut line = Line { table: table.to_owned(), row: serde_json::Map::new() };
        for (at, column) in columns.iter().enumerate() {
            let value = encode(&write_tx::owned_cell(row, at).map_err(fail)?);
            if !value.is_null() {
                line.row.insert(column.clone(), value);
            }
        }
        lines.write(&line)?;
        count += 1;
    }
    Ok(count)
}
