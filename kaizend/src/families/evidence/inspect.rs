//! E5: a document, block or chunk whole, and what belongs to a document.

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::evidence::{
    EmbeddingState, EvidenceInspect, EvidenceShown, EvidenceWanted, KINDS, LISTS, VersionBrief,
};
use kaizen_proto::operation::Status;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::families::record::{self, page_limit};
use crate::plane::{Cell, ReadTx, Row, value};
use crate::registry::{Context, ReadOperation};

/// Blocks or chunks in a list when the caller does not say how many.
const DEFAULT_LIMIT: i64 = 50;
/// Blocks or chunks in a list at most.
const MAX_LIMIT: i64 = 500;
/// Versions of a document that are listed.
const VERSIONS: i64 = 100;

fn kind_of(params: &EvidenceWanted) -> Result<String, Denial> {
    let kind = record::given_or(params.kind.clone(), "document");
    if KINDS.contains(&kind.as_str()) { Ok(kind) } else { Err(invalid(&kind, KINDS)) }
}

fn list_of(params: &EvidenceWanted) -> Result<Option<String>, Denial> {
    match record::given(params.list.clone()) {
        Some(list) if !LISTS.contains(&list.as_str()) => Err(invalid(&list, LISTS)),
        list => Ok(list),
    }
}

fn invalid(kind: &str, allowed: &[&str]) -> Denial {
    Denial::new(Code::KindInvalid)
        .with("kind", kind.chars().take(80).collect::<String>())
        .with("allowed", json!(allowed))
}

impl ReadOperation for EvidenceInspect {
    fn check(params: &EvidenceWanted) -> Result<(), Denial> {
        record::required_id(params.id.as_ref())?;
        let kind = kind_of(params)?;
        match list_of(params)? {
            Some(list) if kind != "document" => {
                Err(Denial::usage(format!("--list {list} is for documents")).action("Name the document."))
            }
            _ => Ok(()),
        }
    }

    async fn run(
        _context: &Context,
        tx: &mut ReadTx,
        params: EvidenceWanted,
    ) -> Result<EvidenceShown, Denial> {
        let kind = kind_of(&params)?;
        let table = match kind.as_str() {
            "block" => "evidence_blocks",
            "chunk" => "evidence_chunks",
            _ => "evidence_documents",
        };
        let id = record::resolve_read(tx, table, record::required_id(params.id.as_ref())?).await?;
        let row = tx
            .query_row(&format!("SELECT * FROM {table} WHERE id = $1"), &[Cell::Text(&id)])
            .await?
            .ok_or_else(|| Denial::record_not_found(&id, table))?;
        let mut shown = EvidenceShown {
            status: Status::Ok,
            embeddings: embeddings(tx, &kind, &id).await?,
            versions: None,
            blocks: None,
            chunks: None,
            next: None,
            record: record_of(&row),
        };
        match list_of(&params)?.as_deref() {
            Some("versions") => shown.versions = Some(versions(tx, &row).await?),
            Some("blocks") => {
                let columns = "id, block_index, block_type, page_no, section_path, text";
                let (blocks, next) =
                    part(tx, &params, &id, ("evidence_blocks", "block_index", columns)).await?;
                (shown.blocks, shown.next) = (Some(blocks), next);
            }
            Some(_) => {
                let columns = "id, chunk_index, page_no, context, token_count, text";
                let (chunks, next) =
                    part(tx, &params, &id, ("evidence_chunks", "chunk_index", columns)).await?;
                (shown.chunks, shown.next) = (Some(chunks), next);
            }
            None => {}
        }
        Ok(shown)
    }
}

fn record_of(row: &Row) -> Map<String, Value> {
    row.columns.iter().cloned().zip(row.cells.iter().cloned().map(Value::from)).collect()
}

/// The vectors of a chunk or of a document's chunks; none for a block.
async fn embeddings(tx: &mut ReadTx, kind: &str, id: &str) -> Result<Option<Vec<EmbeddingState>>, Denial> {
    let of = match kind {
        "chunk" => {
            "SELECT e.embedding_model AS model, e.dim, NULL AS chunks FROM chunk_embeddings e \
                    WHERE e.chunk_id = $1 ORDER BY e.embedding_model"
        }
        "document" => {
            "SELECT e.embedding_model AS model, max(e.dim) AS dim, count(*) AS chunks FROM evidence_chunks c \
             CROSS JOIN chunk_embeddings e ON e.chunk_id = c.id WHERE c.document_id = $1 \
             GROUP BY e.embedding_model ORDER BY e.embedding_model"
        }
        _ => return Ok(None),
    };
    let active =
        tx.query_row("SELECT value FROM db_settings WHERE key = 'active_embedding_model'", &[]).await?;
    let active = active.as_ref().and_then(|row| row.optional_text("value"));
    let rows = tx.query(of, &[Cell::Text(id)]).await?;
    let state = |row: &Row| EmbeddingState {
        model: row.text("model").to_owned(),
        dim: row.integer("dim"),
        active: active == Some(row.text("model")),
        chunks_indexed: (kind == "document").then(|| row.integer("chunks")),
    };
    Ok(Some(rows.iter().map(state).collect()))
}

/// The versions of a document's file, newest first.
async fn versions(tx: &mut ReadTx, document: &Row) -> Result<Vec<VersionBrief>, Denial> {
    let sql = "SELECT id, created_at, state, origin_ref, file_sha256, chunk_count FROM evidence_documents \
               WHERE origin_key = $1 AND is_test = $2 ORDER BY created_at DESC, id DESC LIMIT $3";
    let parameters = [document.get("origin_key"), document.get("is_test"), Cell::Integer(VERSIONS)];
    value::decode_all(tx.query(sql, &parameters).await?)
}

/// A page of the blocks or chunks of a document, in their order.
async fn part<T: DeserializeOwned>(
    tx: &mut ReadTx,
    params: &EvidenceWanted,
    document_id: &str,
    (table, order, columns): (&str, &str, &str),
) -> Result<(Vec<T>, Option<String>), Denial> {
    let limit = page_limit(params.limit, DEFAULT_LIMIT);
    let limit = if limit < 0 { MAX_LIMIT } else { limit.min(MAX_LIMIT) };
    let mut parameters = vec![Cell::Text(document_id)];
    let mut conditions = String::new();
    let after = match record::given(params.after.clone()) {
        Some(after) => {
            let sql = format!("SELECT {order} AS place FROM {table} WHERE id = $1");
            let row = tx.query_row(&sql, &[Cell::Text(&after)]).await?;
            Some(row.ok_or_else(|| Denial::record_not_found(&after, table))?.integer("place"))
        }
        None => None,
    };
    if let Some(after) = after {
        parameters.push(Cell::Integer(after));
        conditions.push_str(&format!(" AND {order} > ${}", parameters.len()));
    }
    if let Some(page) = params.page {
        parameters.push(Cell::Integer(page));
        conditions.push_str(&format!(" AND page_no = ${}", parameters.len()));
    }
    parameters.push(Cell::Integer(limit + 1));
    let sql = format!(
        "SELECT {columns} FROM {table} WHERE document_id = $1{conditions} ORDER BY {order} LIMIT ${}",
        parameters.len()
    );
    let mut rows = tx.query(&sql, &parameters).await?;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > wanted;
    rows.truncate(wanted);
    let next = if more { rows.last().map(|row| row.text("id").to_owned()) } else { None };
    Ok((value::decode_all(rows)?, next))
}
