//! Work (W): tasks, plans, and the packets that agents hand to each other.

use super::record::{NewRecord, Recorded, ReviseRecord, Stored};
use crate::operation::{TEXT_TWINS, Twin, TwinRule};

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
        twins: TEXT_TWINS, keywords: "progress finish done close block change ledger",
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
}
