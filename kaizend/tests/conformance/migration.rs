//! M: Markdown files of lessons.

use serde_json::json;

use crate::case::{Case, denied, ok};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ok("M1", json!({}), "status roots").after(|served| served.write("skill/GOTCHA.md", "# Notes\n")),
        ok("M2", json!({}), "status dry_run actions count"),
        ok("M4", json!({}), "status unmigrated count"),
        ok("M5", json!({}), "status path count"),
        ok("M3", json!({"root": ["skill"]}), "status changed count manifest")
            .keep("manifest", "/manifest")
            .alone(),
        denied("M3", json!({"root": ["/"]}), "DENIED_ROOT_NOT_ALLOWLISTED", 2, json!({"root": "/"})),
        denied("M3", json!({"root": ["odd"]}), "DENIED_SURFACE_UNFIT", 1, json!({}))
            .after(|served| std::fs::create_dir_all(served.root("project").join("odd/GOTCHA.md")).unwrap()),
        denied(
            "M3",
            json!({"undo": "AI/work/kaizen-v4-migration/backups/absent/manifest.json"}),
            "DENIED_FILE_NOT_FOUND",
            1,
            json!({}),
        ),
        denied("M3", json!({"undo": "../manifest.json"}), "DENIED_PATH_OUTSIDE_REPO", 2, json!({})),
        denied("M3", json!({"undo": "$manifest"}), "DENIED_UNDO_DIFFERS", 1, json!({}))
            .after(|served| served.write("skill/evals/GOTCHA.md", "changed")),
        ok("M4", json!({"root": ["skill"]}), "status unmigrated count"),
    ]
}
