//! Work (W): tasks, plans, and the packets that agents hand to each other.

mod show;

use kaizen_proto::canonical_json;
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::record::{ListRecords, NewRecord, RecordList, Recorded, ReviseRecord, Stored};
use kaizen_proto::families::work::{
    DiagnosticPacketCreate, DiagnosticResultIngest, NewPacket, NewPlan, PlanCreate, PlanRevise, RevisePlan,
    SubagentPacketCreate, SubagentPacketIngest, TaskList, TaskShow, TaskStart, TaskUpdate,
};
use kaizen_proto::operation::Status;
use kaizen_proto::values::TASK_STATUSES;
use kaizen_proto::{id, limits};
use serde_json::json;

use super::record::{self, Draft, Kind};
use crate::plane::{Cell, ReadTx, WriteTx};
use crate::registry::{Context, ReadOperation, Registry, WriteOperation};

/// Tasks.
pub const TASK: Kind = Kind {
    table: "tasks",
    revisions: "task_revision",
    parent: "task_id",
    prefix: "t",
    revision_prefix: "tr",
    statuses: TASK_STATUSES,
};

/// Plans.
pub(crate) const PLAN: Kind = Kind {
    table: "plans",
    revisions: "plan_revision",
    parent: "plan_id",
    prefix: "p",
    revision_prefix: "pr",
    statuses: &[],
};

/// Registers the handlers.
pub fn register(registry: &mut Registry) {
    registry
        .write::<TaskStart>()
        .write::<TaskUpdate>()
        .write::<PlanCreate>()
        .write::<PlanRevise>()
        .write::<SubagentPacketCreate>()
        .write::<SubagentPacketIngest>()
        .write::<DiagnosticPacketCreate>()
        .write::<DiagnosticResultIngest>()
        .read::<TaskShow>()
        .read::<TaskList>();
}

impl ReadOperation for TaskList {
    async fn run(_context: &Context, tx: &mut ReadTx, params: ListRecords) -> Result<RecordList, Denial> {
        record::list(tx, TASK, params).await
    }
}

impl WriteOperation for TaskStart {
    type Prepared = Draft;

    async fn prepare(_context: &Context, params: NewRecord) -> Result<Draft, Denial> {
        record::draft(params)
    }

    fn apply(tx: &mut WriteTx<'_>, draft: &Draft) -> Result<Recorded, Denial> {
        record::add_with_ledger(tx, TASK, "W1", draft)
    }
}

impl WriteOperation for TaskUpdate {
    type Prepared = ReviseRecord;

    async fn prepare(_context: &Context, params: ReviseRecord) -> Result<ReviseRecord, Denial> {
        record::check_revision(&params)?;
        Ok(params)
    }

    fn apply(tx: &mut WriteTx<'_>, params: &ReviseRecord) -> Result<Recorded, Denial> {
        record::revise_with_ledger(tx, TASK, "W2", params)
    }
}

impl WriteOperation for PlanCreate {
    type Prepared = NewPlan;

    async fn prepare(_context: &Context, mut params: NewPlan) -> Result<NewPlan, Denial> {
        let title = record::given(params.title.take()).ok_or_else(|| Denial::new(Code::TitleRequired))?;
        limits::check_summary(params.summary.as_deref().unwrap_or_default())?;
        limits::check_body("body", params.body.as_deref().unwrap_or_default())?;
        let plan = NewPlan {
            title: Some(title),
            status: Some(record::given_or(params.status, "draft")),
            writer_role: Some(record::given_or(params.writer_role, "agent")),
            task_id: record::given(params.task_id),
            ..params
        };
        for (field, text) in [
            ("title", &plan.title),
            ("status", &plan.status),
            ("task_id", &plan.task_id),
            ("writer_role", &plan.writer_role),
        ] {
            record::check_short(&[(field, text.as_deref().unwrap_or_default())])?;
        }
        Ok(plan)
    }

    fn apply(tx: &mut WriteTx<'_>, plan: &NewPlan) -> Result<Recorded, Denial> {
        let task_id = record::soft_task(tx, plan.task_id.as_deref())?;
        tx.about_task(task_id.as_deref());
        let (id, revision_id, now) = (id::new(PLAN.prefix), id::new(PLAN.revision_prefix), tx.now());
        let (title, status) =
            (plan.title.as_deref().unwrap_or_default(), plan.status.as_deref().unwrap_or_default());
        let (summary, body) =
            (plan.summary.as_deref().unwrap_or_default(), plan.body.as_deref().unwrap_or_default());
        record::warn_status(tx, status, PLAN.statuses);
        let content_hash = plan_hash(&id, title, summary, body);
        tx.insert(
            "plans",
            &[
                ("id", Cell::Text(&id)),
                ("task_id", task_id.as_deref().into()),
                ("created_at", Cell::Text(&now)),
                ("updated_at", Cell::Text(&now)),
                ("status", Cell::Text(status)),
                ("title", Cell::Text(title)),
                ("summary", Cell::Text(summary)),
                ("body", Cell::Text(body)),
                ("source_command", Cell::Text("W3")),
                ("writer_role", (&plan.writer_role).into()),
                ("content_hash", Cell::Text(&content_hash)),
                ("current_revision_id", Cell::Text(&revision_id)),
                ("is_test", Cell::from(plan.test)),
            ],
        )?;
        tx.insert(
            "plan_revision",
            &[
                ("id", Cell::Text(&revision_id)),
                ("plan_id", Cell::Text(&id)),
                ("created_at", Cell::Text(&now)),
                ("revision_number", Cell::Integer(1)),
                ("summary", Cell::Text(summary)),
                ("body", Cell::Text(body)),
                ("status", Cell::Text(status)),
                ("content_hash", Cell::Text(&content_hash)),
                ("previous_hash", Cell::Null),
                ("source_command", Cell::Text("W3")),
            ],
        )?;
        Ok(Recorded { status: Status::Ok, id, revision_id, content_hash })
    }
}

/// The content hash of a new plan.
pub(crate) fn plan_hash(id: &str, title: &str, summary: &str, body: &str) -> String {
    canonical_json::hash(&json!({"id": id, "title": title, "summary": summary, "body": body}))
}

impl WriteOperation for PlanRevise {
    type Prepared = RevisePlan;

    async fn prepare(_context: &Context, params: RevisePlan) -> Result<RevisePlan, Denial> {
        record::check_short(&[("id", record::required_id(params.id.as_ref())?)])?;
        Ok(params)
    }

    fn apply(tx: &mut WriteTx<'_>, params: &RevisePlan) -> Result<Recorded, Denial> {
        let revision = record::Revision {
            summary: params.summary.clone(),
            body: params.body.clone(),
            status: record::given(params.status.clone()),
        };
        let reply = record::revise(tx, PLAN, "W4", record::required_id(params.id.as_ref())?, &revision)?;
        let plan = tx.query_row("SELECT task_id FROM plans WHERE id = $1", &[Cell::Text(&reply.id)])?;
        tx.about_task(plan.as_ref().and_then(|plan| plan.optional_text("task_id")));
        Ok(reply)
    }
}

/// A packet that is ready to be written.
pub struct Packet {
    title: String,
    summary: String,
    body: String,
    payload_json: String,
    task_id: Option<String>,
    status: String,
    test: bool,
}

fn packet(params: NewPacket, packet_type: &str) -> Result<Packet, Denial> {
    let packet = Packet {
        title: params.title.unwrap_or_else(|| format!("{packet_type} packet")),
        summary: params.summary.unwrap_or_default(),
        body: params.body.unwrap_or_default(),
        payload_json: record::given_or(params.payload_json, "{}"),
        task_id: record::given(params.task_id),
        status: record::given_or(params.status, "recorded"),
        test: params.test,
    };
    limits::check_summary(&packet.summary)?;
    limits::check_body("body", &packet.body)?;
    if !record::parse_json("payload_json", &packet.payload_json)?.is_object() {
        return Err(Denial::new(Code::PayloadType).message("the payload is JSON, but not an object"));
    }
    record::check_short(&[
        ("title", &packet.title),
        ("status", &packet.status),
        ("task_id", packet.task_id.as_deref().unwrap_or_default()),
    ])?;
    Ok(packet)
}

/// The content hash of a packet.
pub(crate) fn packet_hash(id: &str, title: &str, summary: &str, body: &str, payload_json: &str) -> String {
    canonical_json::hash(&json!({
        "id": id, "title": title, "summary": summary, "body": body, "payload_json": payload_json,
    }))
}

fn store_packet(
    tx: &mut WriteTx<'_>,
    table: &'static str,
    prefix: &str,
    packet_type: &str,
    packet: &Packet,
) -> Result<Stored, Denial> {
    record::warn_status(tx, &packet.status, &[]);
    let task_id = record::soft_task(tx, packet.task_id.as_deref())?;
    tx.about_task(task_id.as_deref());
    let (id, now) = (id::new(prefix), tx.now());
    let content_hash = packet_hash(&id, &packet.title, &packet.summary, &packet.body, &packet.payload_json);
    tx.insert(
        table,
        &[
            ("id", Cell::Text(&id)),
            ("created_at", Cell::Text(&now)),
            ("task_id", task_id.as_deref().into()),
            ("packet_type", Cell::Text(packet_type)),
            ("status", Cell::Text(&packet.status)),
            ("title", Cell::Text(&packet.title)),
            ("summary", Cell::Text(&packet.summary)),
            ("body", Cell::Text(&packet.body)),
            ("payload_json", Cell::Text(&packet.payload_json)),
            ("content_hash", Cell::Text(&content_hash)),
            ("is_test", Cell::from(packet.test)),
        ],
    )?;
    Ok(Stored { status: Status::Ok, id, content_hash })
}

impl WriteOperation for SubagentPacketCreate {
    type Prepared = Packet;

    async fn prepare(_context: &Context, params: NewPacket) -> Result<Packet, Denial> {
        packet(params, "request")
    }

    fn apply(tx: &mut WriteTx<'_>, packet: &Packet) -> Result<Stored, Denial> {
        store_packet(tx, "subagent_packets", "sp", "request", packet)
    }
}

impl WriteOperation for SubagentPacketIngest {
    type Prepared = Packet;

    async fn prepare(_context: &Context, params: NewPacket) -> Result<Packet, Denial> {
        packet(params, "ingest")
    }

    fn apply(tx: &mut WriteTx<'_>, packet: &Packet) -> Result<Stored, Denial> {
        store_packet(tx, "subagent_packets", "sp", "ingest", packet)
    }
}

impl WriteOperation for DiagnosticPacketCreate {
    type Prepared = Packet;

    async fn prepare(_context: &Context, params: NewPacket) -> Result<Packet, Denial> {
        packet(params, "request")
    }

    fn apply(tx: &mut WriteTx<'_>, packet: &Packet) -> Result<Stored, Denial> {
        store_packet(tx, "diagnostic_packets", "dp", "request", packet)
    }
}

impl WriteOperation for DiagnosticResultIngest {
    type Prepared = Packet;

    async fn prepare(_context: &Context, params: NewPacket) -> Result<Packet, Denial> {
        packet(params, "ingest")
    }

    fn apply(tx: &mut WriteTx<'_>, packet: &Packet) -> Result<Stored, Denial> {
        store_packet(tx, "diagnostic_packets", "dp", "ingest", packet)
    }
}
