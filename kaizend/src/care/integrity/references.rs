//! The references between records, each with its broken ones.

use crate::plane::write_tx::each;
use kaizen_proto::families::core::{Orphan, OrphanedRelationship};
use rusqlite::Connection;

/// Broken references of one kind that are shown.
const SAMPLE: usize = 5;

/// Child table, the column that names its rows, the column that refers, and the table whose `id` it refers to. Soft
/// references (a task, a review, a proof, neighbours) may name what does not exist and are left out.
const REFERENCES: [(&str, &str, &str, &str); 18] = [
    ("gotcha_revision", "id", "gotcha_id", "gotcha"),
    ("learning_revision", "id", "learning_id", "learning"),
    ("learned_revision", "id", "learned_id", "learned"),
    ("task_revision", "id", "task_id", "tasks"),
    ("plan_revision", "id", "plan_id", "plans"),
    ("private_policy_revision", "id", "policy_id", "private_policy"),
    ("learning", "id", "source_gotcha_id", "gotcha"),
    ("learned", "id", "source_learning_id", "learning"),
    ("evidence_documents", "id", "source_lock_id", "source_locks"),
    ("evidence_blocks", "id", "document_id", "evidence_documents"),
    ("evidence_chunks", "id", "document_id", "evidence_documents"),
    ("evidence_chunks", "id", "source_lock_id", "source_locks"),
    ("eval_runs", "id", "eval_case_id", "eval_cases"),
    ("eval_scores", "id", "trace_event_id", "trace_events"),
    ("eval_scores", "id", "eval_run_id", "eval_runs"),
    ("eval_scores", "id", "verification_id", "verification_events"),
    ("generative_runs", "id", "workflow_artifact_id", "artifacts"),
    ("generative_run_routes", "run_id", "run_id", "generative_runs"),
];

/// How many references are checked.
pub(super) const CHECKED: usize = REFERENCES.len();

/// Whether a column is one of the references.
pub(super) fn covers(table: &str, column: &str) -> bool {
    REFERENCES.iter().any(|(child, _, refers, _)| (*child, *refers) == (table, column))
}

/// The references that some rows break.
pub(super) fn orphans(
    connection: &Connection,
    found: &mut Vec<OrphanedRelationship>,
) -> rusqlite::Result<()> {
    for (child, key, column, parent) in REFERENCES {
        let mut broken = OrphanedRelationship {
            child: format!("{child}.{column}"),
            parent: format!("{parent}.id"),
            orphans: 0,
            sample: Vec::new(),
            sample_truncated: false,
        };
        let sql = format!(
            "SELECT c.\"{key}\" AS child_id, c.\"{column}\" AS missing_ref FROM {child} c \
             WHERE c.\"{column}\" IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE p.id = c.\"{column}\") ORDER BY c.\"{key}\""
        );
        each(connection, &sql, |row| {
            broken.orphans += 1;
            if broken.sample.len() < SAMPLE {
                let text = |column: &str| row.text(column).to_owned();
                broken.sample.push(Orphan { child_id: text("child_id"), missing_ref: text("missing_ref") });
            }
            Ok(())
        })?;
        broken.sample_truncated = broken.orphans > broken.sample.len();
        if broken.orphans > 0 {
            found.push(broken);
        }
    }
    Ok(())
}
