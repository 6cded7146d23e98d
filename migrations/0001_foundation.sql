-- The tables of the original harness, column by column, so that its users find their records under the same names.
-- What is new here: STRICT typing, foreign keys for owned rows, and one number per revision of a record.

CREATE TABLE schema_version (
    id TEXT NOT NULL PRIMARY KEY,
    schema_version INTEGER NOT NULL,
    migration_id TEXT NOT NULL,
    applied_at TEXT NOT NULL,
    tool_version TEXT NOT NULL,
    manifest_hash TEXT
) STRICT;

CREATE TABLE gotcha (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    scope TEXT NOT NULL,
    status TEXT NOT NULL,
    title TEXT NOT NULL,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    source_task_id TEXT,
    source_command TEXT,
    writer_role TEXT,
    artifact_ids_json TEXT,
    content_hash TEXT NOT NULL,
    current_revision_id TEXT,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE gotcha_revision (
    id TEXT NOT NULL PRIMARY KEY,
    gotcha_id TEXT NOT NULL REFERENCES gotcha(id),
    created_at TEXT NOT NULL,
    revision_number INTEGER NOT NULL,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    status TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    previous_hash TEXT,
    source_command TEXT,
    UNIQUE (gotcha_id, revision_number)
) STRICT;

CREATE TABLE learning (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    scope TEXT NOT NULL,
    status TEXT NOT NULL,
    title TEXT NOT NULL,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    source_task_id TEXT,
    source_command TEXT,
    writer_role TEXT,
    artifact_ids_json TEXT,
    source_gotcha_id TEXT REFERENCES gotcha(id) ON DELETE SET NULL,
    content_hash TEXT NOT NULL,
    current_revision_id TEXT,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE learning_revision (
    id TEXT NOT NULL PRIMARY KEY,
    learning_id TEXT NOT NULL REFERENCES learning(id),
    created_at TEXT NOT NULL,
    revision_number INTEGER NOT NULL,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    status TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    previous_hash TEXT,
    source_command TEXT,
    UNIQUE (learning_id, revision_number)
) STRICT;

CREATE TABLE learned (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    scope TEXT NOT NULL,
    status TEXT NOT NULL,
    title TEXT NOT NULL,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    source_task_id TEXT,
    source_command TEXT,
    writer_role TEXT,
    artifact_ids_json TEXT,
    source_learning_id TEXT REFERENCES learning(id) ON DELETE SET NULL,
    content_hash TEXT NOT NULL,
    current_revision_id TEXT,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE learned_revision (
    id TEXT NOT NULL PRIMARY KEY,
    learned_id TEXT NOT NULL REFERENCES learned(id),
    created_at TEXT NOT NULL,
    revision_number INTEGER NOT NULL,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    status TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    previous_hash TEXT,
    source_command TEXT,
    UNIQUE (learned_id, revision_number)
) STRICT;

CREATE TABLE tasks (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    scope TEXT NOT NULL,
    status TEXT NOT NULL,
    title TEXT NOT NULL,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    source_command TEXT,
    writer_role TEXT,
    content_hash TEXT NOT NULL,
    current_revision_id TEXT,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE task_revision (
    id TEXT NOT NULL PRIMARY KEY,
    task_id TEXT NOT NULL REFERENCES tasks(id),
    created_at TEXT NOT NULL,
    revision_number INTEGER NOT NULL,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    status TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    previous_hash TEXT,
    source_command TEXT,
    UNIQUE (task_id, revision_number)
) STRICT;

CREATE TABLE plans (
    id TEXT NOT NULL PRIMARY KEY,
    task_id TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    status TEXT NOT NULL,
    title TEXT NOT NULL,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    source_command TEXT,
    writer_role TEXT,
    content_hash TEXT NOT NULL,
    current_revision_id TEXT,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE plan_revision (
    id TEXT NOT NULL PRIMARY KEY,
    plan_id TEXT NOT NULL REFERENCES plans(id),
    created_at TEXT NOT NULL,
    revision_number INTEGER NOT NULL,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    status TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    previous_hash TEXT,
    source_command TEXT,
    UNIQUE (plan_id, revision_number)
) STRICT;

CREATE TABLE ledger_events (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    task_id TEXT,
    scope TEXT NOT NULL,
    status TEXT NOT NULL,
    title TEXT NOT NULL,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    source_command TEXT,
    writer_role TEXT,
    content_hash TEXT NOT NULL,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE verification_events (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    task_id TEXT,
    proof_id TEXT,
    conclusion TEXT NOT NULL,
    evidence_locations_json TEXT NOT NULL,
    findings_json TEXT NOT NULL,
    remedies_json TEXT NOT NULL,
    severity TEXT,
    scope_label TEXT,
    actionability TEXT,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    artifact_ids_json TEXT,
    content_hash TEXT NOT NULL,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE artifacts (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    task_id TEXT,
    kind TEXT NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT,
    bytes INTEGER,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE eval_cases (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    category TEXT NOT NULL,
    scope TEXT NOT NULL,
    status TEXT NOT NULL,
    title TEXT NOT NULL,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    fixture_path TEXT,
    expected_json TEXT,
    content_hash TEXT NOT NULL,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE eval_runs (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    eval_case_id TEXT REFERENCES eval_cases(id),
    status TEXT NOT NULL,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    artifact_ids_json TEXT,
    content_hash TEXT NOT NULL,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE source_locks (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    source_id TEXT NOT NULL,
    authority_tier TEXT NOT NULL,
    url_or_repository TEXT NOT NULL,
    version_or_commit TEXT,
    retrieved_at TEXT,
    content_hash TEXT,
    license TEXT,
    supersedes TEXT,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE irl_reviews (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    review_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    status TEXT NOT NULL,
    decision TEXT NOT NULL,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE subagent_packets (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    task_id TEXT,
    packet_type TEXT NOT NULL,
    status TEXT NOT NULL,
    title TEXT NOT NULL,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    payload_json TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE diagnostic_packets (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    task_id TEXT,
    packet_type TEXT NOT NULL,
    status TEXT NOT NULL,
    title TEXT NOT NULL,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    payload_json TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE anti_patterns (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    scope TEXT NOT NULL,
    status TEXT NOT NULL,
    title TEXT NOT NULL,
    symptom TEXT NOT NULL,
    maintainability_harm TEXT NOT NULL,
    trigger_evidence TEXT NOT NULL,
    preferred_correction TEXT NOT NULL,
    valid_exceptions TEXT NOT NULL,
    verification TEXT NOT NULL,
    summary TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE agentgateway_events (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    event_type TEXT NOT NULL,
    status TEXT NOT NULL,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    payload_json TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE reports (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    report_type TEXT NOT NULL,
    scope TEXT NOT NULL,
    path TEXT NOT NULL,
    summary TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE private_policy (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    scope TEXT NOT NULL,
    "trigger" TEXT NOT NULL,
    priority TEXT NOT NULL,
    status TEXT NOT NULL,
    title TEXT NOT NULL,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    source_command TEXT,
    writer_role TEXT,
    content_hash TEXT NOT NULL,
    current_revision_id TEXT,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE private_policy_revision (
    id TEXT NOT NULL PRIMARY KEY,
    policy_id TEXT NOT NULL REFERENCES private_policy(id),
    created_at TEXT NOT NULL,
    revision_number INTEGER NOT NULL,
    "trigger" TEXT NOT NULL,
    priority TEXT NOT NULL,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    status TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    previous_hash TEXT,
    source_command TEXT,
    UNIQUE (policy_id, revision_number)
) STRICT;

CREATE TABLE evidence_documents (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    source_lock_id TEXT REFERENCES source_locks(id) ON DELETE SET NULL,
    task_id TEXT,
    origin_kind TEXT NOT NULL,
    origin_ref TEXT NOT NULL,
    media_type TEXT,
    backend TEXT NOT NULL,
    backend_version TEXT,
    extraction_method TEXT,
    extraction_confidence REAL,
    block_count INTEGER,
    chunk_count INTEGER,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE evidence_blocks (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    document_id TEXT NOT NULL REFERENCES evidence_documents(id),
    block_index INTEGER NOT NULL,
    block_type TEXT NOT NULL,
    page_no INTEGER,
    bbox_json TEXT,
    section_path TEXT,
    text TEXT NOT NULL,
    image_ref TEXT,
    extraction_method TEXT,
    confidence REAL,
    content_hash TEXT NOT NULL
) STRICT;

CREATE TABLE evidence_chunks (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    document_id TEXT NOT NULL REFERENCES evidence_documents(id),
    source_lock_id TEXT REFERENCES source_locks(id) ON DELETE SET NULL,
    chunk_index INTEGER NOT NULL,
    text TEXT NOT NULL,
    start_index INTEGER,
    end_index INTEGER,
    token_count INTEGER,
    context TEXT,
    chunker TEXT NOT NULL,
    backend TEXT,
    neighbor_prev_id TEXT,
    neighbor_next_id TEXT,
    content_hash TEXT NOT NULL
) STRICT;

CREATE TABLE chunk_embeddings (
    chunk_id TEXT NOT NULL REFERENCES evidence_chunks(id),
    embedding_model TEXT NOT NULL,
    dim INTEGER NOT NULL,
    embedding BLOB NOT NULL,
    created_at TEXT NOT NULL,
    is_test INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (chunk_id, embedding_model)
) STRICT;

CREATE TABLE db_settings (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT,
    updated_at TEXT NOT NULL
) STRICT;

CREATE TABLE trace_events (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    task_id TEXT,
    trace_id TEXT,
    parent_event_id TEXT,
    kind TEXT NOT NULL,
    name TEXT,
    level TEXT NOT NULL,
    environment TEXT,
    session_id TEXT,
    status TEXT NOT NULL,
    status_message TEXT,
    model TEXT,
    provider TEXT,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    total_tokens INTEGER,
    cost REAL,
    latency_ms INTEGER,
    tags_json TEXT,
    input_ref TEXT,
    output_ref TEXT,
    redaction_status TEXT,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE eval_scores (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    trace_event_id TEXT REFERENCES trace_events(id),
    eval_run_id TEXT REFERENCES eval_runs(id),
    verification_id TEXT REFERENCES verification_events(id),
    name TEXT NOT NULL,
    value_num REAL,
    value_label TEXT,
    data_type TEXT NOT NULL,
    source TEXT NOT NULL,
    comment TEXT,
    content_hash TEXT NOT NULL,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE improvement_proposals (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    contract TEXT NOT NULL,
    status TEXT NOT NULL,
    title TEXT NOT NULL,
    summary TEXT NOT NULL,
    body TEXT NOT NULL,
    baseline_score REAL,
    candidate_score REAL,
    metric TEXT,
    payload_json TEXT,
    content_hash TEXT NOT NULL,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE generative_runs (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    task_id TEXT,
    backend TEXT NOT NULL,
    template TEXT NOT NULL,
    endpoint TEXT,
    workflow_hash TEXT NOT NULL,
    workflow_artifact_id TEXT REFERENCES artifacts(id) ON DELETE SET NULL,
    seed TEXT,
    models_json TEXT,
    status TEXT NOT NULL,
    prompt_id TEXT,
    output_artifact_ids_json TEXT,
    output_dir TEXT,
    latency_ms INTEGER,
    summary TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE generative_run_routes (
    run_id TEXT NOT NULL PRIMARY KEY REFERENCES generative_runs(id),
    created_at TEXT NOT NULL,
    route TEXT NOT NULL,
    runtime_profile TEXT,
    mcp_candidate TEXT,
    mcp_version TEXT,
    ab_pair_id TEXT,
    payload_json TEXT,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE pii_scan (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    task_id TEXT,
    trace_id TEXT,
    source_ref TEXT,
    regex_hit_count INTEGER NOT NULL,
    model_hit_count INTEGER NOT NULL,
    hits_json TEXT NOT NULL,
    model TEXT,
    provider TEXT,
    summary TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    is_test INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX idx_gotcha_scope ON gotcha(scope);
CREATE INDEX idx_learning_scope ON learning(scope);
CREATE INDEX idx_learned_scope ON learned(scope);
CREATE INDEX idx_tasks_status ON tasks(status, updated_at, id);
CREATE INDEX idx_plans_task ON plans(task_id);
CREATE INDEX idx_ledger_task ON ledger_events(task_id);
CREATE INDEX idx_artifacts_path ON artifacts(path);
CREATE INDEX idx_eval_cases_category ON eval_cases(category);
CREATE INDEX idx_sources_source_id ON source_locks(source_id);
CREATE INDEX idx_irl_review ON irl_reviews(review_id);
CREATE INDEX idx_anti_patterns_scope ON anti_patterns(scope);
CREATE INDEX idx_private_policy_scope ON private_policy(scope);
CREATE INDEX idx_private_policy_trigger ON private_policy("trigger");
CREATE INDEX idx_evidence_documents_source ON evidence_documents(source_lock_id);
CREATE INDEX idx_evidence_blocks_document ON evidence_blocks(document_id);
CREATE INDEX idx_evidence_chunks_document ON evidence_chunks(document_id);
CREATE INDEX idx_chunk_embeddings_model ON chunk_embeddings(embedding_model);
CREATE INDEX idx_chunk_embeddings_chunk ON chunk_embeddings(chunk_id);
CREATE INDEX idx_trace_events_task ON trace_events(task_id);
CREATE INDEX idx_trace_events_trace ON trace_events(trace_id);
CREATE INDEX idx_eval_scores_trace ON eval_scores(trace_event_id);
CREATE INDEX idx_improvement_proposals_contract ON improvement_proposals(contract);
CREATE INDEX idx_generative_runs_backend ON generative_runs(backend);
CREATE INDEX idx_generative_runs_task ON generative_runs(task_id);
CREATE INDEX idx_gen_routes_pair ON generative_run_routes(ab_pair_id);

-- Lists run newest first; ids are time-ordered, so they break ties.
CREATE INDEX idx_gotcha_created ON gotcha(created_at, id);
CREATE INDEX idx_learning_created ON learning(created_at, id);
CREATE INDEX idx_learned_created ON learned(created_at, id);
CREATE INDEX idx_verifications_created ON verification_events(created_at, id);
CREATE INDEX idx_artifacts_created ON artifacts(created_at, id);
CREATE INDEX idx_source_locks_created ON source_locks(created_at, id);
CREATE INDEX idx_anti_patterns_created ON anti_patterns(created_at, id);
CREATE INDEX idx_ledger_created ON ledger_events(created_at, id);
CREATE INDEX idx_gotcha_status ON gotcha(status, created_at, id);
CREATE INDEX idx_verifications_task ON verification_events(task_id);
CREATE INDEX idx_verifications_proof ON verification_events(proof_id);
CREATE INDEX idx_learning_source ON learning(source_gotcha_id);
CREATE INDEX idx_learned_source ON learned(source_learning_id);
-- The window of the most important policies: the rank of the priority, then the newest.
CREATE INDEX idx_private_policy_status ON private_policy(
    status,
    (CASE lower(trim(priority)) WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'low' THEN 3 ELSE 2 END),
    created_at DESC,
    id DESC
);
