//! K: the data plane as a whole. Last, because what is left is less than before.

use serde_json::json;

use crate::case::{Case, denied, ok};

pub(crate) fn cases() -> Vec<Case> {
    const EXPORTED: &str = "status path sha256 bytes complete table_counts seq chain_hash omitted";
    vec![
        ok("K0", json!({}), "status count records"),
        ok("K0", json!({"query": "record a pitfall", "limit": 3}), "status query count records"),
        ok("K0", json!({"query": "zzqqxxunmatchable"}), "status query count records required_action"),
        ok("K1", json!({}), "status message schema"),
        ok("K1", json!({"integrity": true}), "status message schema integrity"),
        ok("K1", json!({"restamp_manifest": true}), "status restamped manifest_hash note"),
        denied("K1", json!({"restamp_manifest": true}), "DENIED_SCHEMA_STATUS", 2, json!({})).within("untouched"),
        ok("K2", json!({}), "status schema"),
        ok("K2", json!({}), "status schema").within("untouched"),
        ok("K3", json!({}), "status backup_dir files manifest").keep("backup", "/backup_dir"),
        ok("K3", json!({"list": true}), "status count records"),
        denied("K3", json!({"keep": 0}), "DENIED_USAGE", 2, json!({})),
        ok("K6", json!({}), "status manifest_path manifest"),
        ok("K8", json!({"id": "$gotcha"}), "status kind table record revisions links journal"),
        ok("K9", json!({"query": "again"}), "status mode records count query"),
        denied("K9", json!({"query": "s", "kind": "colour"}), "DENIED_SCHEMA_ENUM", 2,
            json!({"record_type": "find", "field": "kind", "value": "colour"})),
        ok("K10", json!({"limit": 1}), "status plane_id seq entries count cursor more"),
        denied("K10", json!({"since": "plane_0:0"}), "DENIED_CURSOR_RESET", 1, json!({})),
        ok("K15", json!({}), "status message healthy failed warned findings"),
        ok("K16", json!({}), "status path exists count records"),
        ok("K13", json!({"path": "plane.jsonl"}), EXPORTED).alone(),
        denied("K13", json!({"path": "plane.jsonl"}), "DENIED_FILE_EXISTS", 2, json!({})),
        denied("K13", json!({"path": "../plane.jsonl"}), "DENIED_PATH_OUTSIDE_REPO", 2, json!({})),
        ok("K13", json!({"include_policy": true, "include_test": true, "path": "whole.jsonl"}),
            "status path sha256 bytes complete table_counts seq chain_hash"),
        denied("K14", json!({"path": "plane.jsonl"}), "DENIED_PLANE_NOT_EMPTY", 1, json!({})),
        denied("K14", json!({"path": ""}), "DENIED_PATH_REQUIRED", 2, json!({})).within("copy"),
        denied("K14", json!({"path": "../plane.jsonl"}), "DENIED_PATH_OUTSIDE_REPO", 2, json!({})).within("copy"),
        denied("K14", json!({"path": "absent"}), "DENIED_FILE_NOT_FOUND", 1, json!({})).within("copy"),
        denied("K14", json!({"path": "part.jsonl"}), "DENIED_EXPORT_INVALID", 2, json!({})).within("copy").after(|served| {
            let text = std::fs::read_to_string(served.root("project").join("whole.jsonl")).unwrap();
            std::fs::write(served.root("copy").join("part.jsonl"), &text[..text.len() / 2]).unwrap();
            std::fs::write(served.root("copy").join("whole.jsonl"), &text).unwrap();
        }),
        ok("K14", json!({"path": "whole.jsonl"}), "status message path complete table_counts plane_id seq chain_hash")
            .within("copy")
            .alone(),
        denied("K12", json!({"id": "$gotcha"}), "DENIED_USAGE", 2, json!({})),
        denied("K12", json!({"id": "$gotcha", "field": "title"}), "DENIED_NOTHING_TO_ERASE", 2, json!({"field": "title"})),
        ok("K12", json!({"id": "$third_gotcha", "field": "title", "whole": true, "reason": "R."}),
            "status id table field classes rows backups_rewritten backups_removed backups_unread files seq chain_hash required_action"),
        ok("K7", json!({}), "status message purged total children restored files"),
        denied("K11", json!({"path": ""}), "DENIED_PATH_REQUIRED", 2, json!({})),
        denied("K11", json!({"path": "../x"}), "DENIED_PATH_OUTSIDE_REPO", 2, json!({})),
        denied("K11", json!({"path": "absent"}), "DENIED_FILE_NOT_FOUND", 1, json!({})),
        denied("K11", json!({"path": "AI/db"}), "DENIED_BACKUP_INVALID", 1, json!({})),
        denied("K11", json!({"path": "text.txt"}), "DENIED_FOREIGN_DATABASE", 1, json!({"db_path": "$text"})),
        ok("K11", json!({"path": "$backup"}),
            "status message path replaced plane_id old_seq old_chain_hash backup_seq backup_chain_hash seq chain_hash \
             table_counts integrity").alone(),
    ]
}
