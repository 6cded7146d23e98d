-- What the lists, filters and searches of all families need: an index behind each order and filter, and an index of
-- words behind ranked search. Nothing here holds records; all of it can be computed from the tables before.

-- Lists run newest first, within a status too.
CREATE INDEX idx_tasks_created ON tasks(created_at, id);
CREATE INDEX idx_plans_created ON plans(created_at, id);
CREATE INDEX idx_learning_status ON learning(status, created_at, id);
CREATE INDEX idx_learned_status ON learned(status, created_at, id);
CREATE INDEX idx_private_policy_created ON private_policy(created_at, id);
-- All policies, the most important first; the expression is that of idx_private_policy_status.
CREATE INDEX idx_private_policy_rank ON private_policy(
    (CASE lower(trim(priority)) WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'low' THEN 3 ELSE 2 END),
    created_at DESC,
    id DESC
);
CREATE INDEX idx_verifications_conclusion ON verification_events(conclusion, created_at, id);
CREATE INDEX idx_eval_cases_created ON eval_cases(created_at, id);
CREATE INDEX idx_eval_cases_status ON eval_cases(status, created_at, id);
CREATE INDEX idx_eval_runs_created ON eval_runs(created_at, id);
CREATE INDEX idx_eval_runs_case ON eval_runs(eval_case_id);
CREATE INDEX idx_eval_scores_created ON eval_scores(created_at, id);
CREATE INDEX idx_eval_scores_run ON eval_scores(eval_run_id);
CREATE INDEX idx_eval_scores_verification ON eval_scores(verification_id);
CREATE INDEX idx_eval_scores_name ON eval_scores(name, created_at, id);
CREATE INDEX idx_irl_created ON irl_reviews(created_at, id);
CREATE INDEX idx_anti_patterns_status ON anti_patterns(status, created_at, id);
CREATE INDEX idx_subagent_packets_created ON subagent_packets(created_at, id);
CREATE INDEX idx_subagent_packets_task ON subagent_packets(task_id);
CREATE INDEX idx_diagnostic_packets_created ON diagnostic_packets(created_at, id);
CREATE INDEX idx_diagnostic_packets_task ON diagnostic_packets(task_id);
CREATE INDEX idx_trace_events_created ON trace_events(created_at, id);
CREATE INDEX idx_trace_events_parent ON trace_events(parent_event_id);
CREATE INDEX idx_sources_supersedes ON source_locks(supersedes) WHERE supersedes IS NOT NULL;
CREATE INDEX idx_generative_runs_workflow ON generative_runs(workflow_artifact_id);
CREATE INDEX idx_proposals_created ON improvement_proposals(created_at, id);
CREATE INDEX idx_proposals_status ON improvement_proposals(status, created_at, id);
CREATE INDEX idx_reports_created ON reports(created_at, id);
CREATE INDEX idx_generative_runs_created ON generative_runs(created_at, id);
CREATE INDEX idx_documents_created ON evidence_documents(created_at, id);
CREATE INDEX idx_documents_task ON evidence_documents(task_id);
CREATE INDEX idx_chunks_source ON evidence_chunks(source_lock_id);
CREATE INDEX idx_pii_scan_created ON pii_scan(created_at, id);
CREATE INDEX idx_gateway_events_created ON agentgateway_events(created_at, id);
-- The filters of single lists (A4 --kind, S2 --authority-tier, Q9 --severity): without them a word that few records have
-- is looked for in all of them.
CREATE INDEX idx_artifacts_kind ON artifacts(kind, created_at, id);
CREATE INDEX idx_sources_tier ON source_locks(authority_tier, created_at, id);
CREATE INDEX idx_verifications_severity ON verification_events(severity, created_at, id) WHERE severity IS NOT NULL;
-- A report with a fixed name looks for the row of its file before each time that it is written.
CREATE INDEX idx_reports_path ON reports(path);

-- What belongs to a task, newest first.
CREATE INDEX idx_ledger_task_created ON ledger_events(task_id, created_at, id);
DROP INDEX idx_ledger_task;
CREATE INDEX idx_artifacts_task ON artifacts(task_id);
CREATE INDEX idx_gotcha_task ON gotcha(source_task_id) WHERE source_task_id IS NOT NULL;
CREATE INDEX idx_learning_task ON learning(source_task_id) WHERE source_task_id IS NOT NULL;
CREATE INDEX idx_learned_task ON learned(source_task_id) WHERE source_task_id IS NOT NULL;

-- The entries that changed a record are found by their time.
CREATE INDEX idx_journal_at ON journal(at);

-- Ranked search: the words of the same rows that search_rows numbers, by title, summary and body. What search filters by
-- stands beside the number, so that no record is read but those that are shown.
CREATE VIRTUAL TABLE search_words USING fts5(
    title, summary, body, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);
DROP TABLE search_rows;
CREATE TABLE search_rows (
    number INTEGER NOT NULL PRIMARY KEY,
    record_table TEXT NOT NULL,
    record_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    status TEXT,
    task_id TEXT,
    is_test INTEGER NOT NULL,
    UNIQUE (record_id, record_table)
) STRICT;
