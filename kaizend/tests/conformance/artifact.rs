//! A: files with their hashes.

use serde_json::json;

use crate::case::{Case, denied, ok};

pub(crate) fn cases() -> Vec<Case> {
    const ADDED: &str = "status id path sha256 bytes";
    const CHECKED: &str = "status id path expected actual match";
    vec![
        ok("A1", json!({"path": "text.txt", "summary": "S.", "body": "B"}), ADDED).id("artifact"),
        ok("A1", json!({"path": "gone.txt"}), ADDED).id("gone").after(|served| served.write("gone.txt", "x")),
        ok("A1", json!({"path": "never.txt"}), ADDED),
        ok("A2", json!({"path": "text.txt"}), "status path sha256 bytes"),
        ok("A3", json!({"id": "$artifact"}), "status record"),
        denied("A3", json!({"id": "a_absent"}), "DENIED_RECORD_NOT_FOUND", 1, json!({"table": "artifacts"})),
        ok("A4", json!({}), "status records count"),
        ok("A4", json!({"query": "text"}), "status records count"),
        ok("A5", json!({"id": "$artifact"}), CHECKED),
        denied("A5", json!({"id": "$gone"}), "DENIED_FILE_NOT_FOUND", 1, json!({}))
            .after(|served| std::fs::remove_file(served.root("project").join("gone.txt")).unwrap()),
        // A file that differs is found, and the call works.
        ok("A5", json!({"id": "$gone"}), CHECKED).after(|served| served.write("gone.txt", "y")),
    ]
}
