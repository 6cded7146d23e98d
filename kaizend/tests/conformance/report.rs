//! R: the digest and the reports.

use serde_json::json;

use crate::case::{Case, denied, ok};

pub(crate) fn cases() -> Vec<Case> {
    const DIGEST: &str = "status message policies active_gotchas blocking_verifications recent_learned active_tasks \
        counts seq required_action";
    const REPORT: &str = "status id path rows columns sha256";
    let mut cases =
        vec![ok("R0", json!({}), DIGEST), ok("R0", json!({"limit": 1, "include_test": true}), DIGEST)];
    for code in ["R1", "R2", "R3", "R5", "R6", "R7", "R8", "R9", "R10"] {
        cases.push(ok(code, json!({}), REPORT));
        cases.push(denied(
            code,
            json!({"severity": "high"}),
            "DENIED_FILTER_UNSUPPORTED",
            2,
            json!({"flag": "--severity", "report": code}),
        ));
    }
    cases.push(ok("R4", json!({"severity": "high", "actionability": "now"}), REPORT));
    cases.push(ok("R11", json!({"query": "s", "format": "json"}), REPORT));
    for code in ["R8", "R9", "R10"] {
        cases.push(denied(
            code,
            json!({"since": "1d"}),
            "DENIED_FILTER_UNSUPPORTED",
            2,
            json!({"flag": "--since", "report": code}),
        ));
    }
    cases
}
