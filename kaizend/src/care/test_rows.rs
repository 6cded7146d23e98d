//! Which rows are test records or belong to one: what K7 deletes and K13 leaves out.

/// The tables that records have test marks in, in the order in which the reply names them.
pub(crate) const ROOTS: [&str; 24] = [
    "gotcha",
    "learning",
    "learned",
    "tasks",
    "plans",
    "ledger_events",
    "verification_events",
    "artifacts",
    "eval_cases",
    "eval_runs",
    "eval_scores",
    "source_locks",
    "irl_reviews",
    "subagent_packets",
    "diagnostic_packets",
    "anti_patterns",
    "agentgateway_events",
    "reports",
    "private_policy",
    "improvement_proposals",
    "generative_runs",
    "evidence_documents",
    "trace_events",
    "pii_scan",
];

const TEST: &str = "is_test <> 0";
const OF_TEST_DOCUMENT: &str = "document_id IN (SELECT id FROM evidence_documents WHERE is_test <> 0)";
const OF_TEST_CASE: &str = "is_test <> 0 OR eval_case_id IN (SELECT id FROM eval_cases WHERE is_test <> 0)";

/// What is deleted and in which order: a table and which of its rows. Whoever refers to a row goes before it.
pub(crate) const ORDER: [(&str, &str); 34] = [
    (
        "eval_scores",
        "is_test <> 0 OR trace_event_id IN (SELECT id FROM trace_events WHERE is_test <> 0) \
         OR verification_id IN (SELECT id FROM verification_events WHERE is_test <> 0) \
         OR eval_run_id IN (SELECT id FROM eval_runs WHERE is_test <> 0 \
            OR eval_case_id IN (SELECT id FROM eval_cases WHERE is_test <> 0))",
    ),
    ("eval_runs", OF_TEST_CASE),
    (
        "generative_run_routes",
        "is_test <> 0 OR run_id IN (SELECT id FROM generative_runs WHERE is_test <> 0)",
    ),
    (
        "chunk_embeddings",
        "is_test <> 0 OR chunk_id IN (SELECT c.id FROM evidence_chunks c \
            JOIN evidence_documents d ON d.id = c.document_id WHERE d.is_test <> 0)",
    ),
    ("evidence_chunks", OF_TEST_DOCUMENT),
    ("evidence_blocks", OF_TEST_DOCUMENT),
    ("gotcha_revision", "gotcha_id IN (SELECT id FROM gotcha WHERE is_test <> 0)"),
    ("learning_revision", "learning_id IN (SELECT id FROM learning WHERE is_test <> 0)"),
    ("learned_revision", "learned_id IN (SELECT id FROM learned WHERE is_test <> 0)"),
    ("task_revision", "task_id IN (SELECT id FROM tasks WHERE is_test <> 0)"),
    ("plan_revision", "plan_id IN (SELECT id FROM plans WHERE is_test <> 0)"),
    ("private_policy_revision", "policy_id IN (SELECT id FROM private_policy WHERE is_test <> 0)"),
    ("learned", TEST),
    ("learning", TEST),
    ("gotcha", TEST),
    ("tasks", TEST),
    ("plans", TEST),
    ("ledger_events", TEST),
    ("verification_events", TEST),
    ("generative_runs", TEST),
    ("artifacts", TEST),
    ("eval_cases", TEST),
    ("evidence_documents", TEST),
    ("source_locks", TEST),
    ("irl_reviews", TEST),
    ("subagent_packets", TEST),
    ("diagnostic_packets", TEST),
    ("anti_patterns", TEST),
    ("agentgateway_events", TEST),
    ("reports", TEST),
    ("private_policy", TEST),
    ("improvement_proposals", TEST),
    ("trace_events", TEST),
    ("pii_scan", TEST),
];

const STAYS: &str = "is_test = 0";

/// Links that become NULL when what they name is deleted: table, column, the table that the column names, and which rows
/// stay, since only theirs matter.
pub(crate) const LINKS: [(&str, &str, &str, &str); 5] = [
    ("learning", "source_gotcha_id", "gotcha", STAYS),
    ("learned", "source_learning_id", "learning", STAYS),
    ("evidence_documents", "source_lock_id", "source_locks", STAYS),
    (
        "evidence_chunks",
        "source_lock_id",
        "source_locks",
        "document_id IN (SELECT id FROM evidence_documents WHERE is_test = 0)",
    ),
    ("generative_runs", "workflow_artifact_id", "artifacts", STAYS),
];
