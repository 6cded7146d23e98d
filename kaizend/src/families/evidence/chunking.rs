//! E3: cutting a document into chunks, and the parameters that say how.

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::evidence::{Chunked, DocumentToChunk, EvidenceChunk};
use kaizen_proto::operation::Status;
use serde_json::json;

use super::store;
use crate::care::blocking;
use crate::families::record;
use crate::ingest::block::{Block, BlockKind};
use crate::ingest::chunk::{self, Chunk, Options, Strategy};
use crate::plane::{Cell, ReadTx, Row, WriteTx};
use crate::registry::{Context, WriteOperation};

/// Strategies that need what is not there yet.
const RESERVED: &[&str] = &["neural"];

/// How a document is to be cut.
///
/// # Errors
/// `DENIED_CHUNKER_UNSUPPORTED`, `DENIED_BACKEND_UNCONFIGURED` for chunks by meaning, `DENIED_SCHEMA_RANGE`.
pub(super) fn options(
    chunker: Option<String>,
    tokens: Option<i64>,
    overlap: Option<i64>,
) -> Result<Options, Denial> {
    let name = record::given_or(chunker, Strategy::Recursive.name());
    if name == "semantic" {
        return Err(super::query::no_embeddings());
    }
    let Ok(strategy) = name.parse::<Strategy>() else {
        let implemented: Vec<&str> = Strategy::ALL.iter().map(|strategy| strategy.name()).collect();
        return Err(Denial::new(Code::ChunkerUnsupported)
            .with("chunker", name.chars().take(80).collect::<String>())
            .with("implemented", json!(implemented))
            .with("reserved", json!(RESERVED)));
    };
    let mut options = Options { strategy, ..Options::default() };
    let within = |field: &str, given: Option<i64>, least: usize, most: usize| match given
        .filter(|given| *given != 0)
    {
        None => Ok(None),
        Some(given) => match usize::try_from(given).ok().filter(|given| (least..=most).contains(given)) {
            Some(fits) => Ok(Some(fits)),
            None => Err(Denial::new(Code::SchemaRange)
                .with("field", field)
                .with("value", given)
                .with("minimum", least)
                .with("maximum", most)),
        },
    };
    if let Some(tokens) = within("chunk_tokens", tokens, Options::MIN_TOKENS, Options::MAX_TOKENS)? {
        options.tokens = tokens;
        options.overlap = options.overlap.min(tokens / 8);
    }
    // Nothing and zero differ here: zero is no overlap.
    if overlap == Some(0) {
        options.overlap = 0;
    } else if let Some(overlap) = within("overlap", overlap, 0, options.tokens / 2 - 1)? {
        options.overlap = overlap;
    }
    Ok(options)
}

/// The blocks of a document as they were stored.
fn block(row: &Row) -> Block {
    let kind = BlockKind::find(row.text("block_type")).unwrap_or(BlockKind::Text);
    let section = row.optional_text("section_path").unwrap_or_default();
    Block {
        kind,
        text: row.text("text").to_owned(),
        page: u32::try_from(row.integer("page_no")).ok().filter(|page| *page > 0),
        section: section.split(" > ").filter(|heading| !heading.is_empty()).map(str::to_owned).collect(),
    }
}

async fn blocks(tx: &mut ReadTx, document_id: &str) -> Result<Vec<Block>, Denial> {
    let sql = "SELECT block_type, text, page_no, section_path FROM evidence_blocks WHERE document_id = $1 \
               ORDER BY block_index";
    Ok(tx.query(sql, &[Cell::Text(document_id)]).await?.iter().map(block).collect())
}

/// Chunks that are ready to be stored.
pub struct Draft {
    id: String,
    options: Options,
    chunks: Vec<Chunk>,
    content_hash: String,
    task_id: Option<String>,
}

impl WriteOperation for EvidenceChunk {
    type Prepared = Draft;

    async fn prepare(context: &Context, params: DocumentToChunk) -> Result<Draft, Denial> {
        let given = record::required_id(params.id.as_ref())?.to_owned();
        let plane = context.plane().await?;
        let mut tx = plane.read().await?;
        let id = record::resolve_read(&mut tx, "evidence_documents", &given).await?;
        let sql = "SELECT content_hash FROM evidence_documents WHERE id = $1";
        let document = tx
            .query_row(sql, &[Cell::Text(&id)])
            .await?
            .ok_or_else(|| Denial::record_not_found(&id, "evidence_documents"))?;
        let blocks = blocks(&mut tx, &id).await?;
        drop(tx);
        if blocks.is_empty() {
            return Err(Denial::new(Code::NoBlocks).with("id", id));
        }
        let options = options(params.chunker, params.chunk_tokens, params.overlap)?;
        let chunks = blocking(move || Ok(chunk::chunk(&blocks, &options))).await?;
        let task_id = record::given(params.task_id);
        record::check_short(&[("task_id", task_id.as_deref().unwrap_or_default())])?;
        Ok(Draft { id, options, chunks, content_hash: document.text("content_hash").to_owned(), task_id })
    }

    fn apply(tx: &mut WriteTx<'_>, draft: &Draft) -> Result<Chunked, Denial> {
        let document = store::document(tx, &draft.id)?;
        if document.text("content_hash") != draft.content_hash {
            return Err(Denial::new(Code::Busy).message("the document was changed meanwhile"));
        }
        let task_id = record::soft_task(tx, draft.task_id.as_deref())?;
        tx.about_task(task_id.as_deref().or(document.optional_text("task_id")));
        let chunker = draft.options.strategy.name();
        let lock = document.optional_text("source_lock_id");
        let count = store::replace_chunks(tx, (&draft.id, lock), chunker, &draft.chunks)?;
        let changes = [("chunk_count", Cell::Integer(count)), ("chunker", Cell::Text(chunker))];
        tx.update("evidence_documents", &draft.id, &changes)?;
        Ok(Chunked {
            status: Status::Ok,
            document_id: draft.id.clone(),
            chunk_count: count,
            chunker: chunker.to_owned(),
            embedded: false,
            embedding_model: None,
        })
    }
}
