//! Gotchas (G): observed failures and suspicions, freely recorded.

use kaizen_proto::denial::Denial;
use kaizen_proto::families::gotcha::{
    Gotcha, GotchaAdd, GotchaInspect, GotchaList, GotchaQuery, GotchaUpdate,
};
use kaizen_proto::families::record::{
    InspectRecord, Inspected, ListRecords, NewRecord, QueryRecords, RecordList, RecordMatches, Recorded,
    ReviseRecord,
};
use kaizen_proto::record_schema;
use serde_json::json;

use super::record::{self, Draft, Kind};
use crate::plane::{ReadTx, WriteTx};
use crate::registry::{Context, ReadOperation, Registry, WriteOperation};

/// Gotchas.
pub const GOTCHA: Kind = Kind {
    table: "gotcha",
    revisions: "gotcha_revision",
    parent: "gotcha_id",
    prefix: "g",
    revision_prefix: "gr",
    statuses: &[],
};

/// Registers the handlers.
pub fn register(registry: &mut Registry) {
    registry
        .write::<GotchaAdd>()
        .read::<GotchaList>()
        .read::<GotchaQuery>()
        .read::<GotchaInspect>()
        .write::<GotchaUpdate>();
}

impl WriteOperation for GotchaAdd {
    type Prepared = Draft;

    async fn prepare(_context: &Context, params: NewRecord) -> Result<Draft, Denial> {
        let draft = record::texts(params)?;
        record_schema::validate(
            "gotcha",
            &json!({
                "title": draft.title, "summary": draft.summary, "body": draft.body, "scope": draft.scope,
                "status": draft.status, "writer_role": draft.writer_role, "task_id": draft.task_id,
            }),
        )?;
        Ok(draft)
    }

    fn apply(tx: &mut WriteTx<'_>, draft: &Draft) -> Result<Recorded, Denial> {
        record::add_with_ledger(tx, GOTCHA, "G1", draft)
    }
}

impl ReadOperation for GotchaList {
    async fn run(_context: &Context, tx: &mut ReadTx, params: ListRecords) -> Result<RecordList, Denial> {
        record::list(tx, GOTCHA, params).await
    }
}

impl ReadOperation for GotchaQuery {
    fn check(params: &QueryRecords) -> Result<(), Denial> {
        record::required_query(params.query.as_ref()).map(drop)
    }

    async fn run(_context: &Context, tx: &mut ReadTx, params: QueryRecords) -> Result<RecordMatches, Denial> {
        record::find(tx, GOTCHA, params).await
    }
}

impl ReadOperation for GotchaInspect {
    fn check(params: &InspectRecord) -> Result<(), Denial> {
        record::required_id(params.id.as_ref()).map(drop)
    }

    async fn run(
        _context: &Context,
        tx: &mut ReadTx,
        params: InspectRecord,
    ) -> Result<Inspected<Gotcha>, Denial> {
        record::inspect(tx, GOTCHA.table, params.id.as_ref()).await
    }
}

impl WriteOperation for GotchaUpdate {
    type Prepared = ReviseRecord;

    async fn prepare(_context: &Context, params: ReviseRecord) -> Result<ReviseRecord, Denial> {
        record::check_revision(&params)?;
        Ok(params)
    }

    fn apply(tx: &mut WriteTx<'_>, params: &ReviseRecord) -> Result<Recorded, Denial> {
        record::revise_with_ledger(tx, GOTCHA, "G5", params)
    }
}
