//! Work (W): tasks, plans, and the packets that agents hand to each other.

use std::collections::BTreeMap;

use super::quality::VerificationBrief;
use super::record::{ListRecords, NewRecord, RecordList, Recorded, ReviseRecord, Stored};
use crate::operation::{NO_TWINS, Status, TEXT_TWINS, Twin, TwinRule};

crate::params! {
    /// A new plan.
    NewPlan {
        /// Title in one line.
        title: Option<String>,
        /// Summary in one or two sentences, at most 80 words.
        summary: Option<String>,
        /// Body, at most 1,000 words.
        body: Option<String>,
        /// Status; draft by default.
        status: Option<String>,
        /// The task that it plans.
        task_id: Option<String>,
        /// Who writes: agent (default), user, verifier …
        writer_role: Option<String>,
        /// Mark the plan as a test record.
        test: bool,
    }

    /// A revision of a plan. What is not given stays as it is.
    RevisePlan {
        /// Id of the plan, or an unambiguous start of it.
        id: Option<String>,
        /// New summary in one or two sentences.
        summary: Option<String>,
        /// New body.
        body: Option<String>,
        /// New status.
        status: Option<String>,
    }

    /// A packet: what one agent asks of or tells another.
    NewPacket {
        /// Summary in one or two sentences, at most 80 words.
        summary: Option<String>,
        /// Title in one line; the packet's type by default.
        title: Option<String>,
        /// Body, at most 1,000 words.
        body: Option<String>,
        /// A JSON object, stored as it is given.
        payload_json: Option<String>,
        /// The task that it belongs to.
        task_id: Option<String>,
        /// Status; recorded by default.
        status: Option<String>,
        /// Mark the packet as a test record.
        test: bool,
    }
}

crate::params! {
    /// Which task to show.
    TaskWanted {
        /// Id of the task, or an unambiguous start of it.
        id: Option<String>,
        /// At most this many records of each kind, the newest; 20 by default, 200 at most.
        #[cfg_attr(feature = "cli", arg(allow_negative_numbers = true))]
        limit: Option<i64>,
    }
}

crate::outputs! {
    /// A task, whole.
    Task {
        /// Id.
        id: String,
        /// Title.
        title: String,
        /// Status.
        status: String,
        /// Summary.
        summary: String,
        /// Body.
        body: String,
        /// Scope.
        scope: String,
        /// Who wrote it.
        writer_role: Option<String>,
        /// When it was made.
        created_at: String,
        /// When it last changed.
        updated_at: String,
        /// How many revisions it has.
        revisions: i64,
        /// 1 for a test record.
        is_test: i64,
    }

    /// A plan of a task.
    TaskPlan {
        /// Id.
        id: String,
        /// Status.
        status: String,
        /// Title.
        title: String,
        /// Summary.
        summary: String,
        /// When it last changed.
        updated_at: String,
        /// How many revisions it has.
        revisions: i64,
    }

    /// What happened to a task.
    TaskEvent {
        /// Id of the ledger event.
        id: String,
        /// When.
        created_at: String,
        /// Status of the event.
        status: String,
        /// Operation and record.
        title: String,
        /// Summary.
        summary: String,
    }

    /// Another record of a task.
    TaskRecord {
        /// Id.
        id: String,
        /// What kind of record it is.
        kind: String,
        /// Its status.
        status: String,
        /// Its title, or the path of an artifact.
        title: String,
        /// Summary.
        summary: String,
        /// When it was made.
        created_at: String,
    }

    /// One task with all that belongs to it.
    TaskShown {
        /// OK.
        status: Status,
        /// The task.
        task: Task,
        /// Its plans, the last changed first.
        plans: Vec<TaskPlan>,
        /// The ledger, the first event first.
        timeline: Vec<TaskEvent>,
        /// Proofs and verifications, newest first.
        verifications: Vec<VerificationBrief>,
        /// The verifications that still block, and why it is not done.
        blocking: Vec<VerificationBrief>,
        /// Its open gotchas, newest first.
        open_gotchas: Vec<TaskRecord>,
        /// What was learned in it.
        lessons: Vec<TaskRecord>,
        /// Its artifacts.
        artifacts: Vec<TaskRecord>,
        /// Packets and diagnoses.
        packets: Vec<TaskRecord>,
        /// Traces.
        traces: Vec<TaskRecord>,
        /// By list, how many older records are not shown.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        omitted: BTreeMap<String, i64>,
    }
}

const PACKET_TWINS: &[Twin] = &[
    Twin { field: "summary", rule: TwinRule::Inline },
    Twin { field: "body", rule: TwinRule::Inline },
    Twin { field: "payload_json", rule: TwinRule::File },
];

crate::operations! {
    /// Record a task that begins
    W1 "task-start" "task.start" Write TaskStart(NewRecord) -> Recorded,
        twins: TEXT_TWINS, keywords: "begin open create job todo work item",
        example: "kaizenctl W1 --title \"Fix the retry loop\" --summary \"Calls hang when the server restarts.\" --json";
    /// Update a task's status, summary or body
    W2 "task-update" "task.update" Write TaskUpdate(ReviseRecord) -> Recorded,
        twins: TEXT_TWINS, keywords: "progress finish done close block change ledger mark complete note",
        example: "kaizenctl W2 --id TASK_ID --task-id TASK_ID --status done --summary \"The loop backs off and the test passes.\" --json";
    /// Record a plan
    W3 "plan-create" "plan.create" Write PlanCreate(NewPlan) -> Recorded,
        twins: TEXT_TWINS, keywords: "approach steps design draft",
        example: "kaizenctl W3 --task-id TASK_ID --title \"Retry plan\" --summary \"Reproduce, bound the back-off, test.\" --json";
    /// Revise a plan
    W4 "plan-revise" "plan.revise" Write PlanRevise(RevisePlan) -> Recorded,
        twins: TEXT_TWINS, keywords: "change adapt scope update",
        example: "kaizenctl W4 --id PLAN_ID --summary \"Back off per host rather than per call.\" --json";
    /// Record a request to a sub-agent
    W5 "subagent-packet-create" "subagent_packet.create" Write SubagentPacketCreate(NewPacket) -> Stored,
        twins: PACKET_TWINS, keywords: "delegate helper hand-off handoff request",
        example: "kaizenctl W5 --task-id TASK_ID --summary \"Read the retry code.\" --payload-json-file request.json --json";
    /// Record what a sub-agent returned
    W6 "subagent-packet-ingest" "subagent_packet.ingest" Write SubagentPacketIngest(NewPacket) -> Stored,
        twins: PACKET_TWINS, keywords: "result answer helper return",
        example: "kaizenctl W6 --task-id TASK_ID --summary \"The retry code never resets.\" --payload-json-file result.json --json";
    /// Record a request for a diagnosis
    W7 "diagnostic-packet-create" "diagnostic_packet.create" Write DiagnosticPacketCreate(NewPacket) -> Stored,
        twins: PACKET_TWINS, keywords: "debug investigate request",
        example: "kaizenctl W7 --task-id TASK_ID --summary \"Find out why the socket stays open.\" --payload-json-file request.json --json";
    /// Record the result of a diagnosis
    W8 "diagnostic-result-ingest" "diagnostic_result.ingest" Write DiagnosticResultIngest(NewPacket) -> Stored,
        twins: PACKET_TWINS, keywords: "debug finding cause result",
        example: "kaizenctl W8 --task-id TASK_ID --summary \"The socket leaks in the error path.\" --payload-json-file result.json --json";
    /// Show one task with everything that belongs to it
    W9 "task-show" "task.show" Read TaskShow(TaskWanted) -> TaskShown,
        twins: NO_TWINS, keywords: "read open timeline history blockers evidence plan ledger resume blocked why stuck",
        example: "kaizenctl W9 --id TASK_ID --json";
    /// List tasks, newest first
    W10 "task-list" "task.list" Read TaskList(ListRecords) -> RecordList,
        twins: NO_TWINS, keywords: "open active todo all show backlog",
        example: "kaizenctl W10 --status active --json";
}
