//! The rows of documents, blocks and chunks: which version of a file is the current one, and what belongs to it.

use kaizen_proto::canonical_json;
use kaizen_proto::denial::Denial;
use kaizen_proto::id;
use serde_json::json;

use crate::ingest::block::Block;
use crate::ingest::chunk::Chunk;
use crate::plane::{Cell, Row, WriteTx};

/// The hash of a document's content.
pub(crate) fn document_hash(id: &str, origin_ref: &str, sha256: &str, blocks: i64) -> String {
    canonical_json::hash(&json!({"id": id, "ref": origin_ref, "sha256": sha256, "blocks": blocks}))
}

/// The hash of a block's content.
pub(crate) fn block_hash(id: &str, document_id: &str, text: &str) -> String {
    canonical_json::hash(&json!({"id": id, "document_id": document_id, "text": text}))
}

/// The hash of a chunk's content.
pub(crate) fn chunk_hash(id: &str, document_id: &str, text: &str) -> String {
    block_hash(id, document_id, text)
}

/// The headings above a piece, as one text.
pub(super) fn section_path(section: &[String]) -> Option<String> {
    (!section.is_empty()).then(|| section.join(" > "))
}

/// A document's row.
///
/// # Errors
/// `DENIED_RECORD_NOT_FOUND`, or what SQLite denies.
pub(super) fn document(tx: &WriteTx<'_>, id: &str) -> Result<Row, Denial> {
    tx.query_row("SELECT * FROM evidence_documents WHERE id = $1", &[Cell::Text(id)])?
        .ok_or_else(|| Denial::record_not_found(id, "evidence_documents"))
}

/// The latest version of a file, whatever became of it.
pub(super) const LATEST: &str = "SELECT * FROM evidence_documents WHERE origin_key = $1 AND is_test = $2 \
    AND state <> 'superseded' ORDER BY created_at DESC, id DESC LIMIT 1";

/// Stores the blocks of a document.
pub(super) fn insert_blocks(
    tx: &mut WriteTx<'_>,
    document_id: &str,
    blocks: &[Block],
    (method, confidence): (&str, f64),
) -> Result<(), Denial> {
    let now = tx.now();
    for (index, block) in (0_i64..).zip(blocks) {
        let id = id::new("eb");
        let section = section_path(&block.section);
        tx.insert(
            "evidence_blocks",
            &[
                ("id", Cell::Text(&id)),
                ("created_at", Cell::Text(&now)),
                ("document_id", Cell::Text(document_id)),
                ("block_index", Cell::Integer(index)),
                ("block_type", Cell::Text(block.kind.name())),
                ("page_no", block.page.map(i64::from).into()),
                ("section_path", (&section).into()),
                ("text", Cell::Text(&block.text)),
                ("extraction_method", Cell::Text(method)),
                ("confidence", Cell::Real(confidence)),
                ("content_hash", Cell::Text(&block_hash(&id, document_id, &block.text))),
            ],
        )?;
    }
    Ok(())
}

/// Puts these chunks in the place of those that a document has. Returns how many there are.
pub(super) fn replace_chunks(
    tx: &mut WriteTx<'_>,
    document: (&str, Option<&str>),
    chunker: &str,
    chunks: &[Chunk],
) -> Result<i64, Denial> {
    let (document_id, lock_id) = document;
    delete_chunks(tx, document_id)?;
    let now = tx.now();
    let ids: Vec<String> = chunks.iter().map(|_| id::new("ec")).collect();
    let number = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
    for (at, chunk) in chunks.iter().enumerate() {
        let section = section_path(&chunk.section);
        let neighbour = |at: Option<usize>| at.and_then(|at| ids.get(at)).map(String::as_str);
        tx.insert(
            "evidence_chunks",
            &[
                ("id", Cell::Text(&ids[at])),
                ("created_at", Cell::Text(&now)),
                ("document_id", Cell::Text(document_id)),
                ("source_lock_id", lock_id.into()),
                ("chunk_index", Cell::Integer(number(at))),
                ("text", Cell::Text(&chunk.text)),
                ("start_index", Cell::Integer(number(chunk.start))),
                ("end_index", Cell::Integer(number(chunk.end))),
                ("token_count", Cell::Integer(number(chunk.tokens))),
                ("context", Cell::Text(&chunk.context)),
                ("chunker", Cell::Text(chunker)),
                ("backend", Cell::Text("native")),
                ("neighbor_prev_id", neighbour(at.checked_sub(1)).into()),
                ("neighbor_next_id", neighbour(Some(at + 1)).into()),
                ("content_hash", Cell::Text(&chunk_hash(&ids[at], document_id, &chunk.text))),
                ("page_no", chunk.page.map(i64::from).into()),
                ("section_path", (&section).into()),
            ],
        )?;
    }
    Ok(number(chunks.len()))
}

fn delete_chunks(tx: &mut WriteTx<'_>, document_id: &str) -> Result<i64, Denial> {
    let sql = "SELECT id FROM evidence_chunks WHERE document_id = $1";
    let chunks = tx.query(sql, &[Cell::Text(document_id)])?;
    for chunk in &chunks {
        let id = chunk.text("id");
        tx.discard("chunk_embeddings", &[("chunk_id", Cell::Text(id))])?;
        tx.delete("evidence_chunks", id)?;
    }
    Ok(i64::try_from(chunks.len()).unwrap_or(i64::MAX))
}

/// Deletes the blocks and chunks of a document. Returns how many there were of each.
pub(super) fn delete_texts(tx: &mut WriteTx<'_>, document_id: &str) -> Result<(i64, i64), Denial> {
    let chunks = delete_chunks(tx, document_id)?;
    let blocks =
        tx.query("SELECT id FROM evidence_blocks WHERE document_id = $1", &[Cell::Text(document_id)])?;
    for block in &blocks {
        tx.delete("evidence_blocks", block.text("id"))?;
    }
    Ok((i64::try_from(blocks.len()).unwrap_or(i64::MAX), chunks))
}

/// Marks a document as removed. Its row stays, so that the same file is not taken for a new one.
pub(super) fn retire(tx: &mut WriteTx<'_>, document: &Row) -> Result<(), Denial> {
    let now = tx.now();
    let (id, sha256) = (document.text("id"), document.text("file_sha256"));
    tx.update(
        "evidence_documents",
        id,
        &[
            ("block_count", Cell::Integer(0)),
            ("chunk_count", Cell::Integer(0)),
            ("state", Cell::Text("removed")),
            ("updated_at", Cell::Text(&now)),
            ("content_hash", Cell::Text(&document_hash(id, document.text("origin_ref"), sha256, 0))),
        ],
    )
}

/// Marks a document whose file is gone, or is back.
pub(super) fn set_state(tx: &mut WriteTx<'_>, id: &str, state: &str) -> Result<(), Denial> {
    let now = tx.now();
    tx.update("evidence_documents", id, &[("state", Cell::Text(state)), ("updated_at", Cell::Text(&now))])
}

/// Gives a document the new place of its file.
pub(super) fn relocate(
    tx: &mut WriteTx<'_>,
    document: &Row,
    (key, shown, mtime): (&str, &str, i64),
) -> Result<(), Denial> {
    let now = tx.now();
    let (id, blocks) = (document.text("id"), document.integer("block_count"));
    let hash = document_hash(id, shown, document.text("file_sha256"), blocks);
    tx.update(
        "evidence_documents",
        id,
        &[
            ("origin_ref", Cell::Text(shown)),
            ("origin_key", Cell::Text(key)),
            ("file_mtime", Cell::Integer(mtime)),
            ("state", Cell::Text("current")),
            ("updated_at", Cell::Text(&now)),
            ("content_hash", Cell::Text(&hash)),
        ],
    )?;
    let Some(lock) = document.optional_text("source_lock_id") else { return Ok(()) };
    tx.update("source_locks", lock, &[("url_or_repository", Cell::Text(shown))])
}
