use std::sync::{Arc, Mutex};

use kaizen_proto::families::core::TestPurged;
use serde_json::json;

use super::purge;
use crate::care::integrity;
use crate::care::test_rows::ROOTS;
use crate::plane::open::PlaneLock;
use crate::plane::{Apply, Caller, Cell, Plane, WriteTx};

struct Lab {
    plane: Plane,
    _lock: PlaneLock,
    _directory: tempfile::TempDir,
}

fn lab() -> Lab {
    let directory = tempfile::tempdir().unwrap();
    let (plane, lock) = Plane::open(&directory.path().join("AI/db/kaizen.db"), "test").unwrap();
    Lab { plane, _lock: lock, _directory: directory }
}

impl Lab {
    async fn write(&self, apply: Apply) {
        self.plane.write("K7", Arc::new(Caller::default()), None, apply).await.unwrap();
    }

    async fn insert(&self, rows: &[(&'static str, &[(&'static str, Cell<'static>)])]) {
        let rows: Vec<_> = rows.iter().map(|(table, given)| (*table, given.to_vec())).collect();
        self.write(Box::new(move |tx| {
            for (table, given) in &rows {
                insert(tx, table, given);
            }
            Ok("{}".to_owned())
        }))
        .await;
    }

    async fn purge(&self, most: usize) -> TestPurged {
        let purged = Arc::new(Mutex::new(None));
        let into = purged.clone();
        self.write(Box::new(move |tx| {
            *into.lock().unwrap() = Some(purge(tx, most)?.0);
            Ok("{}".to_owned())
        }))
        .await;
        purged.lock().unwrap().take().unwrap()
    }

    fn count(&self, table: &str) -> i64 {
        let connection = rusqlite::Connection::open(self.plane.db_path()).unwrap();
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }

    async fn assert_sound(&self) {
        let found = integrity::check(&self.plane).await.unwrap();
        assert!(found.ok && found.total_faults == 0 && found.total_orphans == 0, "{found:#?}");
    }

    /// Sound but for the hashes and revisions of rows that only [`insert`] made up.
    async fn assert_journalled(&self) {
        let found = integrity::check(&self.plane).await.unwrap();
        let made_up = |check: &str| matches!(check, "content_hash" | "revision");
        assert!(
            found.total_orphans == 0 && found.faults.iter().all(|fault| made_up(&fault.check)),
            "{found:#?}"
        );
    }
}

/// Inserts a row; columns that must have a value and are not given get one that fits their type.
fn insert(tx: &mut WriteTx<'_>, table: &'static str, given: &[(&'static str, Cell<'_>)]) {
    let columns = tx
        .query(&format!("SELECT name, type, \"notnull\" AS needed FROM pragma_table_info('{table}')"), &[])
        .unwrap();
    let row: Vec<(&'static str, Cell<'_>)> = columns
        .iter()
        .filter_map(|column| {
            let name = column.text("name");
            if let Some(cell) = given.iter().find(|(known, _)| *known == name) {
                return Some(*cell);
            }
            let cell = match column.text("type") {
                _ if column.integer("needed") == 0 || name == "is_test" => return None,
                "TEXT" if name.ends_with("_at") => Cell::Text("2026-01-01T00:00:00.000000+00:00"),
                "TEXT" => Cell::Text("x"),
                "BLOB" => Cell::Blob(b"x"),
                "REAL" => Cell::Real(0.5),
                _ => Cell::Integer(1),
            };
            Some((name.to_owned().leak() as &'static str, cell))
        })
        .collect();
    tx.insert(table, &row).unwrap();
}

const FLAG: (&str, Cell<'static>) = ("is_test", Cell::Integer(1));

const fn text(name: &'static str, value: &'static str) -> (&'static str, Cell<'static>) {
    (name, Cell::Text(value))
}

/// One test record in each table, written in the order in which they refer to each other.
async fn flagged(lab: &Lab) {
    lab.write(Box::new(|tx| {
        for table in ROOTS {
            insert(tx, table, &[("id", Cell::Text(&format!("{table}-t"))), FLAG]);
        }
        Ok("{}".to_owned())
    }))
    .await;
}

#[tokio::test]
async fn one_test_record_of_each_table_goes_and_nothing_else() {
    let lab = lab();
    flagged(&lab).await;
    let purged = lab.purge(1000).await;
    assert_eq!((purged.total, purged.remaining), (24, false), "{purged:?}");
    assert_eq!(purged.purged.keys().collect::<Vec<_>>(), ROOTS);
    assert!(purged.purged.values().all(|count| *count == 1), "{purged:?}");
    assert_eq!(purged.message, "24 test records were deleted.");
    assert!(ROOTS.iter().all(|table| lab.count(table) == 0));
    lab.assert_sound().await;

    let again = lab.purge(1000).await;
    assert_eq!((again.total, again.children.len()), (0, 0));
    assert_eq!(again.purged.len(), 24);
    lab.assert_sound().await;
}

#[tokio::test]
async fn what_belongs_to_a_test_record_goes_with_it() {
    let lab = lab();
    flagged(&lab).await;
    lab.insert(&[
        ("gotcha_revision", &[text("id", "gr"), text("gotcha_id", "gotcha-t")]),
        ("learning_revision", &[text("id", "lr"), text("learning_id", "learning-t")]),
        ("learned_revision", &[text("id", "ldr"), text("learned_id", "learned-t")]),
        ("task_revision", &[text("id", "tr"), text("task_id", "tasks-t")]),
        ("plan_revision", &[text("id", "pr"), text("plan_id", "plans-t")]),
        ("private_policy_revision", &[text("id", "polr"), text("policy_id", "private_policy-t")]),
        // The run is no test itself, but its case is; and a score hangs on the run.
        ("eval_runs", &[text("id", "run-of-case"), text("eval_case_id", "eval_cases-t")]),
        ("eval_scores", &[text("id", "es-1"), text("eval_run_id", "run-of-case")]),
        ("eval_scores", &[text("id", "es-2"), text("trace_event_id", "trace_events-t")]),
        ("eval_scores", &[text("id", "es-3"), text("verification_id", "verification_events-t")]),
        ("generative_run_routes", &[text("run_id", "generative_runs-t")]),
        ("evidence_blocks", &[text("id", "b"), text("document_id", "evidence_documents-t")]),
        ("evidence_chunks", &[text("id", "c"), text("document_id", "evidence_documents-t")]),
        ("chunk_embeddings", &[text("chunk_id", "c"), text("embedding_model", "one")]),
        ("chunk_embeddings", &[text("chunk_id", "c"), text("embedding_model", "two")]),
        // From here on, what stays: only its link to what goes is cut.
        ("evidence_documents", &[text("id", "d"), text("source_lock_id", "source_locks-t")]),
        (
            "evidence_chunks",
            &[text("id", "dc"), text("document_id", "d"), text("source_lock_id", "source_locks-t")],
        ),
        ("chunk_embeddings", &[text("chunk_id", "dc"), text("embedding_model", "one")]),
        ("chunk_embeddings", &[text("chunk_id", "dc"), text("embedding_model", "trial"), FLAG]),
        ("generative_runs", &[text("id", "y"), text("workflow_artifact_id", "artifacts-t")]),
        ("db_settings", &[text("key", "active_embedding_model"), text("value", "one")]),
    ])
    .await;
    lab.assert_journalled().await;

    let purged = lab.purge(1000).await;
    assert_eq!(purged.total, 24, "{purged:?}");
    assert_eq!(
        json!(purged.children),
        json!({
            "eval_scores": 3, "eval_runs": 1, "generative_run_routes": 1, "chunk_embeddings": 3,
            "evidence_chunks": 1, "evidence_blocks": 1, "gotcha_revision": 1, "learning_revision": 1,
            "learned_revision": 1, "task_revision": 1, "plan_revision": 1, "private_policy_revision": 1
        })
    );
    for (table, left) in [
        ("evidence_documents WHERE source_lock_id IS NULL", 1),
        ("evidence_chunks WHERE source_lock_id IS NULL", 1),
        ("generative_runs WHERE workflow_artifact_id IS NULL", 1),
        ("chunk_embeddings", 1),
        ("db_settings", 1),
        ("eval_scores", 0),
    ] {
        assert_eq!(lab.count(table), left, "{table}");
    }
    // The links that were cut are in the journal too.
    lab.assert_journalled().await;
}

#[tokio::test]
async fn a_call_deletes_no_more_than_its_limit_and_the_next_goes_on() {
    let lab = lab();
    flagged(&lab).await;
    lab.insert(&[("task_revision", &[text("id", "tr"), text("task_id", "tasks-t")])]).await;
    let (mut total, mut calls) = (0, 0);
    loop {
        let purged = lab.purge(7).await;
        total += purged.total;
        calls += 1;
        lab.assert_journalled().await;
        if !purged.remaining {
            break;
        }
        assert!(purged.message.contains("repeat"), "{purged:?}");
    }
    assert_eq!((total, calls), (24, 4));
    lab.assert_sound().await;
}

#[tokio::test]
async fn what_a_deleted_or_changed_verification_had_cleared_blocks_again() {
    let lab = lab();
    let at = |name: &'static str| text("created_at", name);
    lab.insert(&[
        (
            "verification_events",
            &[
                text("id", "bad"),
                text("task_id", "t"),
                text("conclusion", "VERIFICATION_FAILED"),
                at("2026-01-01T00:00:01.000000+00:00"),
            ],
        ),
        (
            "verification_events",
            &[
                text("id", "good"),
                text("task_id", "t"),
                text("conclusion", "VERIFIED_ACCEPTABLE"),
                at("2026-01-01T00:00:02.000000+00:00"),
            ],
        ),
        (
            "verification_events",
            &[
                text("id", "again"),
                text("task_id", "t"),
                text("conclusion", "NEEDS_HUMAN_DECISION"),
                at("2026-01-01T00:00:03.000000+00:00"),
            ],
        ),
    ])
    .await;
    assert_eq!(lab.count("open_blockers"), 1);
    // A change of what is cleared does not make it block.
    lab.write(Box::new(|tx| {
        tx.update("verification_events", "bad", &[("body", Cell::Text("y"))])?;
        tx.update("verification_events", "good", &[("body", Cell::Text("y"))])?;
        Ok("{}".to_owned())
    }))
    .await;
    assert_eq!(lab.count("open_blockers WHERE verification_id = 'again'"), 1);
    assert_eq!(lab.count("open_blockers"), 1);
    lab.write(Box::new(|tx| tx.delete("verification_events", "good").map(|()| "{}".to_owned()))).await;
    assert_eq!(lab.count("open_blockers"), 2);
    lab.assert_journalled().await;
}

#[test]
fn only_report_files_as_they_were_written_are_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    std::fs::create_dir_all(root.join("AI/db/exports/reports")).unwrap();
    let written = |path: &str, text: &str, hashed: &str| {
        std::fs::write(root.join(path), text).unwrap();
        super::Written {
            path: path.to_owned(),
            sha256: kaizen_proto::canonical_json::sha256_hex(hashed.as_bytes()),
        }
    };
    let files = [
        written("AI/db/exports/reports/same.md", "report", "report"),
        written("AI/db/exports/reports/edited.md", "my notes", "report"),
        written("AI/db/exports/../outside.md", "report", "report"),
        written("elsewhere.md", "report", "report"),
        written("AI/db/exports/held.md", "report", "report"),
    ];
    std::os::unix::fs::symlink(root.join("elsewhere.md"), root.join("AI/db/exports/link.md")).unwrap();
    let link = super::Written { path: "AI/db/exports/link.md".into(), sha256: files[0].sha256.clone() };
    let gone = super::Written { path: "AI/db/exports/gone.md".into(), sha256: files[0].sha256.clone() };
    let all: Vec<_> = files.into_iter().chain([link, gone]).collect();
    let deleted = super::delete_files(&root, &all, |path| path.ends_with("held.md"));
    assert_eq!(deleted, ["AI/db/exports/reports/same.md"]);
    for kept in ["reports/edited.md", "../outside.md", "held.md", "link.md", "../../../elsewhere.md"] {
        assert!(root.join("AI/db/exports").join(kept).exists(), "{kept}");
    }
    assert!(!root.join("AI/db/exports/reports/same.md").exists());
}
