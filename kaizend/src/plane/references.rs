//! Which columns name which other records: the one list behind the check for broken references and the links that are
//! shown with a record.

/// A column that names a row of another table, or of its own.
#[derive(Clone, Copy, Debug)]
pub struct Reference {
    /// The table with the column.
    pub child: &'static str,
    /// The column that identifies its rows.
    pub key: &'static str,
    /// The column that refers.
    pub column: &'static str,
    /// The table whose `id` it refers to.
    pub parent: &'static str,
    /// What the column means.
    pub strength: Strength,
}

/// What a reference means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// A revision's record: shown as a revision, not as a link. A row that does not exist is a fault.
    Revision,
    /// A row that does not exist is a fault.
    Owned,
    /// May name what does not exist: a task, a review, a proof, neighbours.
    Soft,
    /// As `Soft`, and the column holds a JSON list of ids.
    SoftList,
}

const fn reference(
    child: &'static str,
    column: &'static str,
    parent: &'static str,
    strength: Strength,
) -> Reference {
    Reference { child, key: "id", column, parent, strength }
}

use Strength::{Owned, Revision, Soft, SoftList};

/// All references. The owned ones come in the order in which the check has always named them.
pub const REFERENCES: &[Reference] = &[
    reference("gotcha_revision", "gotcha_id", "gotcha", Revision),
    reference("learning_revision", "learning_id", "learning", Revision),
    reference("learned_revision", "learned_id", "learned", Revision),
    reference("task_revision", "task_id", "tasks", Revision),
    reference("plan_revision", "plan_id", "plans", Revision),
    reference("private_policy_revision", "policy_id", "private_policy", Revision),
    reference("learning", "source_gotcha_id", "gotcha", Owned),
    reference("learned", "source_learning_id", "learning", Owned),
    reference("evidence_documents", "source_lock_id", "source_locks", Owned),
    reference("evidence_blocks", "document_id", "evidence_documents", Owned),
    reference("evidence_chunks", "document_id", "evidence_documents", Owned),
    reference("evidence_chunks", "source_lock_id", "source_locks", Owned),
    reference("eval_runs", "eval_case_id", "eval_cases", Owned),
    reference("eval_scores", "trace_event_id", "trace_events", Owned),
    reference("eval_scores", "eval_run_id", "eval_runs", Owned),
    reference("eval_scores", "verification_id", "verification_events", Owned),
    reference("generative_runs", "workflow_artifact_id", "artifacts", Owned),
    Reference {
        child: "generative_run_routes",
        key: "run_id",
        column: "run_id",
        parent: "generative_runs",
        strength: Owned,
    },
    reference("gotcha", "source_task_id", "tasks", Soft),
    reference("learning", "source_task_id", "tasks", Soft),
    reference("learned", "source_task_id", "tasks", Soft),
    reference("plans", "task_id", "tasks", Soft),
    reference("ledger_events", "task_id", "tasks", Soft),
    reference("verification_events", "task_id", "tasks", Soft),
    reference("verification_events", "proof_id", "verification_events", Soft),
    reference("verification_events", "artifact_ids_json", "artifacts", SoftList),
    reference("artifacts", "task_id", "tasks", Soft),
    reference("subagent_packets", "task_id", "tasks", Soft),
    reference("diagnostic_packets", "task_id", "tasks", Soft),
    reference("eval_runs", "artifact_ids_json", "artifacts", SoftList),
    reference("irl_reviews", "review_id", "irl_reviews", Soft),
    reference("source_locks", "supersedes", "source_locks", Soft),
    reference("trace_events", "task_id", "tasks", Soft),
    reference("trace_events", "parent_event_id", "trace_events", Soft),
    reference("evidence_documents", "task_id", "tasks", Soft),
    reference("generative_runs", "task_id", "tasks", Soft),
];

/// The references whose broken ones are faults.
pub fn checked() -> impl Iterator<Item = &'static Reference> {
    REFERENCES.iter().filter(|reference| matches!(reference.strength, Revision | Owned))
}
