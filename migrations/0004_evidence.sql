-- What the evidence family needs beside the tables of the original: which file a document is and which version of it, how
-- it was read, where a piece stands, and an index of words over the pieces.

-- `origin_key` is the path under the root, or external:HASH for a file elsewhere, whose path is nobody's business.
ALTER TABLE evidence_documents ADD COLUMN origin_key TEXT;
ALTER TABLE evidence_documents ADD COLUMN file_sha256 TEXT;
ALTER TABLE evidence_documents ADD COLUMN file_bytes INTEGER;
-- Nanoseconds since 1970: with the size, what tells a file that has changed from one that has not.
ALTER TABLE evidence_documents ADD COLUMN file_mtime INTEGER;
-- current, missing (its file is gone), superseded (by a newer version of the same file) or removed.
ALTER TABLE evidence_documents ADD COLUMN state TEXT;
ALTER TABLE evidence_documents ADD COLUMN updated_at TEXT;
ALTER TABLE evidence_documents ADD COLUMN supersedes TEXT;
ALTER TABLE evidence_documents ADD COLUMN superseded_by TEXT;
ALTER TABLE evidence_documents ADD COLUMN page_count INTEGER;
ALTER TABLE evidence_documents ADD COLUMN chunker TEXT;
ALTER TABLE evidence_documents ADD COLUMN redaction_status TEXT;
ALTER TABLE evidence_documents ADD COLUMN redaction_count INTEGER;
ALTER TABLE evidence_chunks ADD COLUMN page_no INTEGER;
ALTER TABLE evidence_chunks ADD COLUMN section_path TEXT;

CREATE INDEX idx_documents_origin ON evidence_documents(origin_key, created_at);
CREATE INDEX idx_documents_sha256 ON evidence_documents(file_sha256);
CREATE INDEX idx_documents_state ON evidence_documents(state, created_at, id);
CREATE INDEX idx_documents_updated ON evidence_documents(updated_at, id);
-- Blocks and pieces are read in their order.
CREATE INDEX idx_blocks_order ON evidence_blocks(document_id, block_index);
CREATE INDEX idx_chunks_order ON evidence_chunks(document_id, chunk_index);
DROP INDEX idx_evidence_blocks_document;
DROP INDEX idx_evidence_chunks_document;

-- Derived from here on.

-- Ranked search over the pieces: their words, the headings above them and the name of their file. The number stands for a
-- piece in the index; only pieces of documents that are current or missing are found unless older versions are wanted.
CREATE TABLE evidence_numbers (
    number INTEGER NOT NULL PRIMARY KEY,
    chunk_id TEXT NOT NULL UNIQUE,
    document_id TEXT NOT NULL,
    is_current INTEGER NOT NULL,
    is_test INTEGER NOT NULL
) STRICT;
CREATE INDEX idx_numbers_document ON evidence_numbers(document_id);
CREATE VIRTUAL TABLE evidence_words USING fts5(
    text, heading, name, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);
