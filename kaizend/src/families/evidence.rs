//! Evidence (E): files that are read, taken apart into blocks and chunks, and found again by what they say.
//!
//! `ingest` reads a file, `store` keeps documents and their versions, `chunking` cuts them, `query` finds chunks,
//! `inspect` shows them, and `watch` reads by itself what the rules name.

mod chunking;
mod ingest;
mod inspect;
mod query;
mod store;
mod watch;

use kaizen_proto::denial::Denial;
use kaizen_proto::families::evidence::{
    DocumentRemoved, DocumentToRemove, EvidenceChunk, EvidenceIngestFile, EvidenceInspect, EvidenceQuery,
    EvidenceRemove, EvidenceWatch,
};
use kaizen_proto::limits;
use kaizen_proto::operation::Status;

use super::record;
use crate::plane::WriteTx;
use crate::registry::{Context, Registry, WriteOperation};

pub(crate) use store::{block_hash, chunk_hash, document_hash};
pub(crate) use watch::begin as watch;

/// Registers the handlers.
pub fn register(registry: &mut Registry) {
    registry
        .write::<EvidenceIngestFile>()
        .plain::<EvidenceWatch>()
        .write::<EvidenceChunk>()
        .read::<EvidenceQuery>()
        .read::<EvidenceInspect>()
        .write::<EvidenceRemove>();
}

/// A document that is to be retired, and why.
pub struct Removal {
    id: String,
    reason: Option<String>,
}

impl WriteOperation for EvidenceRemove {
    type Prepared = Removal;

    async fn prepare(_context: &Context, params: DocumentToRemove) -> Result<Removal, Denial> {
        let id = record::required_id(params.id.as_ref())?.to_owned();
        let reason = record::given(params.summary);
        reason.as_deref().map_or(Ok(()), limits::check_summary)?;
        Ok(Removal { id, reason })
    }

    fn apply(tx: &mut WriteTx<'_>, removal: &Removal) -> Result<DocumentRemoved, Denial> {
        let id = record::resolve(tx, "evidence_documents", &removal.id)?;
        let document = store::document(tx, &id)?;
        let (blocks, chunks) = store::delete_texts(tx, &id)?;
        store::retire(tx, &document)?;
        let removed = DocumentRemoved {
            status: Status::Ok,
            id: id.clone(),
            origin_ref: document.text("origin_ref").to_owned(),
            blocks,
            chunks,
        };
        let event = record::LedgerEvent {
            task_id: document.optional_text("task_id"),
            scope: None,
            status: None,
            summary: removal.reason.as_deref(),
            writer_role: "agent",
            test: document.integer("is_test") != 0,
        };
        record::ledger(tx, "E6", &id, &removed, event)?;
        Ok(removed)
    }
}
