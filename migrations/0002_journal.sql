-- The journal: one row for each writing operation, in the transaction of what it wrote. It only grows.
-- `rows` is canonical JSON [[table, id, row_hash], ...]; chain_hash is SHA-256 over prev_hash and the canonical JSON of
-- {actor, at, operation, rows, seq, session, task_id}. The first prev_hash is 64 zeros.
CREATE TABLE journal (
    seq INTEGER NOT NULL PRIMARY KEY,
    at TEXT NOT NULL,
    operation TEXT NOT NULL,
    task_id TEXT,
    actor TEXT,
    session TEXT,
    rows TEXT NOT NULL,
    prev_hash TEXT NOT NULL,
    chain_hash TEXT NOT NULL
) STRICT;

-- Where the journal ends. A truncated journal does not reach it.
CREATE TABLE plane_head (
    plane_id TEXT NOT NULL PRIMARY KEY,
    seq INTEGER NOT NULL,
    chain_hash TEXT NOT NULL
) STRICT;

-- Replies by idempotency key, kept for a day: a call that is sent again is not carried out again.
CREATE TABLE requests (
    key TEXT NOT NULL PRIMARY KEY,
    params_hash TEXT NOT NULL,
    seq INTEGER NOT NULL,
    reply TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;
CREATE INDEX idx_requests_at ON requests(at);

-- Derived from here on: everything below can be computed from the tables above.

-- Counts that the digest shows. `bucket` is an hour since 1970 for counts over time, else 0.
CREATE TABLE counters (
    name TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (name, bucket)
) STRICT, WITHOUT ROWID;

-- Blocking verifications that no later acceptable one has cleared.
CREATE TABLE open_blockers (
    verification_id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL,
    task_id TEXT,
    proof_id TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_open_blockers_task ON open_blockers(task_id);
CREATE INDEX idx_open_blockers_proof ON open_blockers(proof_id);
CREATE INDEX idx_open_blockers_created ON open_blockers(created_at, verification_id);

-- Substring search over the texts of all record families. Trigrams without positions: a match is a candidate, which
-- the query checks against the record itself.
CREATE TABLE search_rows (
    number INTEGER NOT NULL PRIMARY KEY,
    record_table TEXT NOT NULL,
    record_id TEXT NOT NULL,
    UNIQUE (record_id, record_table)
) STRICT;
CREATE VIRTUAL TABLE search_text USING fts5(
    content, content = '', contentless_delete = 1, tokenize = 'trigram', detail = 'none'
);
