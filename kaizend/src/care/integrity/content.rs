//! The content hashes, recomputed from what is stored by the definitions of the families themselves, and the chains of
//! revisions.
//!
//! An artifact's hash covers the absolute path of its file, which need not be where the project is now, and a report's
//! is that of its file, which may have been deleted, so both are left to the row's own hash in the journal.

use kaizen_proto::denial::Denial;
use rusqlite::Connection;
use serde_json::Value;

use super::findings::{Check, Findings, Place};
use crate::families::evidence;
use crate::families::gotcha::GOTCHA;
use crate::families::lab::propose;
use crate::families::learning::{LEARNED, LEARNING};
use crate::families::quality::{anti_pattern, eval};
use crate::families::record::{self, Kind};
use crate::families::trace;
use crate::families::work::{self, PLAN, TASK};
use crate::families::{irl, policy, quality};
use crate::plane::value::Row;
use crate::plane::write_tx::each;
use crate::plane::{Cell, WriteTx};

/// The content hash that a row should have.
type Hash = fn(&Row) -> String;

/// A kind of record with revisions. The row that the hash of the first revision is made of holds the record's columns,
/// among them those that `more` adds.
struct Chain {
    table: &'static str,
    revisions: &'static str,
    parent: &'static str,
    more: &'static str,
    /// None when something that the hash covers is not stored any more.
    created: fn(&Row) -> Option<String>,
    revised: Hash,
}

const fn chain(kind: Kind, more: &'static str, created: fn(&Row) -> Option<String>) -> Chain {
    Chain { table: kind.table, revisions: kind.revisions, parent: kind.parent, more, created, revised }
}

/// The task that a task was said to belong to stands only in the ledger event of its creation.
const TASK_OF_TASK: &str = ", CASE WHEN v.revision_number = 1 THEN (SELECT coalesce(e.task_id, '') FROM ledger_events e \
    WHERE e.created_at = r.created_at AND e.title = r.source_command || ' ' || r.id) END AS source_task_id";

const CHAINS: [Chain; 6] = [
    chain(GOTCHA, "", |row| created(row, None)),
    chain(LEARNING, "", |row| created(row, Some("source_gotcha_id"))),
    chain(LEARNED, "", |row| created(row, Some("source_learning_id"))),
    chain(TASK, TASK_OF_TASK, |row| row.optional_text("source_task_id").and_then(|_| created(row, None))),
    chain(PLAN, "", |row| {
        let (summary, body) = (row.text("v_summary"), row.text("v_body"));
        Some(work::plan_hash(row.text("id"), row.text("title"), summary, body))
    }),
    Chain {
        table: "private_policy",
        revisions: "private_policy_revision",
        parent: "policy_id",
        more: ", v.\"trigger\" AS v_trigger, v.priority AS v_priority, v.source_command AS v_source_command",
        created: |row| Some(policy_hash(row)),
        revised: policy_hash,
    },
];

/// The record that a row belongs to: of a revision its record, of any other row itself.
pub(in crate::care) fn owner(tx: &WriteTx<'_>, table: &str, id: &str) -> Result<(String, String), Denial> {
    let Some(chain) = CHAINS.iter().find(|chain| chain.revisions == table) else {
        return Ok((table.to_owned(), id.to_owned()));
    };
    let sql = format!("SELECT {} AS parent FROM {table} WHERE id = $1", chain.parent);
    let row = tx.query_row(&sql, &[Cell::Text(id)])?.ok_or_else(|| Denial::record_not_found(id, table))?;
    Ok((chain.table.to_owned(), row.text("parent").to_owned()))
}

/// The table of a record's revisions, and their column that names the record.
pub(in crate::care) fn revisions_of(table: &str) -> Option<(&'static str, &'static str)> {
    CHAINS.iter().find(|chain| chain.table == table).map(|chain| (chain.revisions, chain.parent))
}

/// Computes the content hashes of a record and its revisions anew, after its texts were changed in place. A hash that
/// covers something that is not stored any more stays as it is.
pub(in crate::care) fn rehash(tx: &mut WriteTx<'_>, table: &str, id: &str) -> Result<(), Denial> {
    if let Some((_, hash)) = SINGLE.iter().find(|(single, _)| *single == table) {
        let sql = format!("SELECT * FROM {table} WHERE id = $1");
        let Some(row) = tx.query_row(&sql, &[Cell::Text(id)])? else { return Ok(()) };
        return tx.rewrite(table, id, &[("content_hash", Cell::Text(&hash(&row)))]);
    }
    let Some(chain) = CHAINS.iter().find(|chain| chain.table == table) else { return Ok(()) };
    let mut previous: Option<String> = None;
    for row in tx.query(&chain.sql("WHERE r.id = $1"), &[Cell::Text(id)])? {
        let computed = chain.hash(&row);
        let hash = computed.unwrap_or_else(|| row.text("v_content_hash").to_owned());
        tx.rewrite(
            chain.revisions,
            row.text("v_id"),
            &[("content_hash", Cell::Text(&hash)), ("previous_hash", (&previous).into())],
        )?;
        previous = Some(hash);
    }
    match previous {
        Some(hash) => tx.rewrite(table, id, &[("content_hash", Cell::Text(&hash))]),
        None => Ok(()),
    }
}

impl Chain {
    /// The revisions with their records, in order.
    fn sql(&self, condition: &str) -> String {
        let Chain { table, revisions, parent, more, .. } = self;
        format!(
            "SELECT r.*, v.id AS v_id, v.revision_number AS v_number, v.summary AS v_summary, v.body AS v_body, \
             v.status AS v_status, v.content_hash AS v_content_hash, v.previous_hash AS v_previous_hash{more} \
             FROM {revisions} v JOIN {table} r ON r.id = v.{parent} {condition} ORDER BY v.{parent}, v.revision_number"
        )
    }

    /// The hash that a revision should have.
    fn hash(&self, row: &Row) -> Option<String> {
        if row.integer("v_number") == 1 { (self.created)(row) } else { Some((self.revised)(row)) }
    }
}

fn created(row: &Row, source_column: Option<&'static str>) -> Option<String> {
    let source = source_column.and_then(|column| Some((column, row.optional_text(column)?)));
    let source_command = row.text("source_command");
    if source.is_none() && matches!(source_command, "L2" | "L3") {
        // The record that it was promoted from has been deleted, and the reference with it.
        return None;
    }
    Some(record::created_hash(&record::Created {
        id: row.text("id"),
        scope: row.text("scope"),
        status: row.text("v_status"),
        title: row.text("title"),
        summary: row.text("v_summary"),
        body: row.text("v_body"),
        source_task_id: row.optional_text("source_task_id"),
        source_command,
        writer_role: row.text("writer_role"),
        source,
    }))
}

fn policy_hash(row: &Row) -> String {
    policy::content_hash(&policy::Content {
        id: row.text("id"),
        scope: row.text("scope"),
        trigger: row.text("v_trigger"),
        priority: row.text("v_priority"),
        status: row.text("v_status"),
        title: row.text("title"),
        summary: row.text("v_summary"),
        body: row.text("v_body"),
        source_command: row.text("v_source_command"),
        writer_role: row.text("writer_role"),
    })
}

fn revised(row: &Row) -> String {
    let (summary, body, status) = (row.text("v_summary"), row.text("v_body"), row.text("v_status"));
    record::revised_hash(row.text("id"), summary, body, status)
}

/// Revisions: their numbers, the hash before, their own hash, and the record that shows the last of them.
pub(super) fn revisions(connection: &Connection, findings: &mut Findings) -> rusqlite::Result<()> {
    for chain in &CHAINS {
        let Chain { table, revisions, parent, .. } = chain;
        let sql = chain.sql("");
        let mut last: Option<Row> = None;
        each(connection, &sql, |row| {
            let before = match last.take() {
                Some(before) if before.text("id") == row.text("id") => Some(before),
                Some(other) => {
                    shows_last(chain, &other, findings);
                    None
                }
                None => None,
            };
            revision(chain, before.as_ref(), &row, findings);
            last = Some(row);
            Ok(())
        })?;
        if let Some(last) = last {
            shows_last(chain, &last, findings);
        }
        let sql = format!(
            "SELECT r.id FROM {table} r WHERE NOT EXISTS (SELECT 1 FROM {revisions} v WHERE v.{parent} = r.id)"
        );
        each(connection, &sql, |row| {
            findings.add(Check::Revision, Place::row(table, row.text("id")), "the record has no revisions");
            Ok(())
        })?;
    }
    Ok(())
}

fn revision(chain: &Chain, before: Option<&Row>, row: &Row, findings: &mut Findings) {
    let place = || Place::row(chain.revisions, row.text("v_id"));
    let (number, expected) =
        (row.integer("v_number"), before.map_or(1, |before| before.integer("v_number").saturating_add(1)));
    if number != expected {
        let problem = format!("the revision has number {number} where {expected} is due");
        findings.add(Check::Revision, place(), problem);
    }
    if row.optional_text("v_previous_hash") != before.map(|before| before.text("v_content_hash")) {
        findings.add(
            Check::Revision,
            place(),
            "previous_hash is not the content hash of the revision before",
        );
    }
    if let Some(hash) = chain.hash(row) {
        compare(row.text("v_content_hash"), &hash, place, findings);
    }
}

/// Whether a record shows its last revision.
fn shows_last(chain: &Chain, row: &Row, findings: &mut Findings) {
    let place = || Place::row(chain.table, row.text("id"));
    let last = row.text("v_id");
    if row.text("current_revision_id") != last {
        findings.add(
            Check::Revision,
            place(),
            format!("current_revision_id is not the last revision, {last}"),
        );
    }
    for column in ["summary", "body", "status"] {
        if row.get(column) != row.get(&format!("v_{column}")) {
            findings.add(
                Check::Revision,
                place(),
                format!("{column} is not that of the last revision, {last}"),
            );
        }
    }
    if row.text("content_hash") != row.text("v_content_hash") {
        let problem = format!("content_hash is not that of the last revision, {last}");
        findings.add(Check::ContentHash, place(), problem);
    }
}

fn compare(stored: &str, recomputed: &str, place: impl FnOnce() -> Place, findings: &mut Findings) {
    if recomputed != stored {
        findings.add(Check::ContentHash, place(), "content_hash is not the hash of what is stored");
    }
}

/// The tables without revisions.
const SINGLE: [(&str, Hash); 14] = [
    ("ledger_events", |row| {
        record::ledger_hash(&record::Logged {
            id: row.text("id"),
            task_id: row.optional_text("task_id"),
            scope: row.text("scope"),
            status: row.text("status"),
            title: row.text("title"),
            summary: row.text("summary"),
            body: row.text("body"),
            source_command: row.text("source_command"),
            writer_role: row.text("writer_role"),
        })
    }),
    ("irl_reviews", |row| {
        let (event_type, summary, body) = (row.text("event_type"), row.text("summary"), row.text("body"));
        irl::review_hash(row.text("id"), row.text("review_id"), event_type, summary, body)
    }),
    ("subagent_packets", packet),
    ("diagnostic_packets", packet),
    ("verification_events", |row| {
        // A text that is no JSON any more becomes what no verification holds, so that the hashes differ.
        let json = |column: &str| serde_json::from_str(row.text(column)).unwrap_or(Value::Bool(false));
        quality::verification_hash(&quality::Verified {
            id: row.text("id"),
            conclusion: row.text("conclusion"),
            summary: row.text("summary"),
            body: row.text("body"),
            evidence: &json("evidence_locations_json"),
            findings: &json("findings_json"),
            remedies: &json("remedies_json"),
        })
    }),
    ("eval_cases", |row| {
        eval::case_hash(row.text("id"), row.text("title"), row.text("summary"), row.text("body"))
    }),
    ("eval_runs", |row| eval::run_hash(row.text("id"), row.text("summary"), row.text("body"))),
    ("anti_patterns", |row| {
        anti_pattern::hash(row.text("id"), anti_pattern::TEXTS.iter().map(|column| row.text(column)))
    }),
    ("trace_events", trace::stored_hash),
    ("evidence_documents", |row| {
        let (id, origin_ref, sha256) = (row.text("id"), row.text("origin_ref"), row.text("file_sha256"));
        evidence::document_hash(id, origin_ref, sha256, row.integer("block_count"))
    }),
    ("evidence_blocks", |row| {
        evidence::block_hash(row.text("id"), row.text("document_id"), row.text("text"))
    }),
    ("evidence_chunks", |row| {
        evidence::chunk_hash(row.text("id"), row.text("document_id"), row.text("text"))
    }),
    ("eval_scores", trace::stored_hash),
    ("improvement_proposals", |row| {
        propose::proposal_hash(&propose::Proposed {
            id: row.text("id"),
            contract: row.text("contract"),
            title: row.text("title"),
            summary: row.text("summary"),
            body: row.text("body"),
            payload_json: row.optional_text("payload_json"),
        })
    }),
];

fn packet(row: &Row) -> String {
    let (title, summary, body) = (row.text("title"), row.text("summary"), row.text("body"));
    work::packet_hash(row.text("id"), title, summary, body, row.text("payload_json"))
}

/// The content hashes of the tables without revisions.
pub(super) fn single_rows(connection: &Connection, findings: &mut Findings) -> rusqlite::Result<()> {
    for (table, hash) in SINGLE {
        each(connection, &format!("SELECT * FROM {table}"), |row| {
            compare(row.text("content_hash"), &hash(&row), || Place::row(table, row.text("id")), findings);
            Ok(())
        })?;
    }
    Ok(())
}
