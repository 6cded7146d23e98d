//! W: tasks, plans and packets.

use serde_json::json;

use crate::case::{Case, denied, ok};

const RECORDED: &str = "status id revision_id content_hash";
const STORED: &str = "status id content_hash";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        ok("W1", json!({"title": "T", "summary": "S.", "body": "B"}), RECORDED).id("task"),
        ok("W1", json!({"title": "T2", "summary": "S.", "scope": "global", "status": "in_progress", "writer_role": "user",
            "task_id": "$task", "test": true}), RECORDED).id("other_task"),
        ok("W2", json!({"id": "$task", "summary": "Further.", "body": "B", "task_id": "$task"}), RECORDED),
        // Nothing changes, and it is a revision all the same.
        ok("W2", json!({"id": "$task"}), RECORDED),
        denied("W2", json!({"id": "t_absent"}), "DENIED_RECORD_NOT_FOUND", 1, json!({"id": "t_absent", "table": "tasks"})),
        ok("W3", json!({"title": "P", "summary": "S.", "body": "B", "task_id": "$task"}), RECORDED).id("plan"),
        ok("W3", json!({"title": "P2", "summary": "S."}), RECORDED),
        ok("W4", json!({"id": "$plan", "summary": "Changed.", "body": "B"}), RECORDED),
        denied("W4", json!({"id": "p_absent"}), "DENIED_RECORD_NOT_FOUND", 1, json!({"table": "plans"})),
        ok("W9", json!({"id": "$task"}), "status task plans timeline verifications blocking open_gotchas lessons artifacts packets traces"),
        ok("W10", json!({}), "status records count"),
        ok("W10", json!({"limit": 1, "status": "active"}), "status records count"),
        ok("W10", json!({"limit": 1}), "status records count next"),
    ];
    for code in ["W5", "W6", "W7", "W8"] {
        let packet = json!({"title": "T", "summary": "S.", "body": "B", "payload_json": "{\"b\": 1}", "task_id": "$task"});
        cases.push(ok(code, packet, STORED).id("packet"));
        cases.push(ok(code, json!({"summary": "S."}), STORED));
        cases.push(denied(code, json!({}), "DENIED_SUMMARY_REQUIRED", 2, json!({"field": "summary"})));
    }
    cases
}
