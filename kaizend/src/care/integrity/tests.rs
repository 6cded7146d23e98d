use std::path::Path;
use std::process::Command;

use kaizen_proto::families::core::{Fault, Integrity};
use kaizen_proto::families::work::TaskUpdate;
use rusqlite::Connection;
use serde_json::json;

use self::lab::{Lab, filled};
use super::check;

pub(in crate::care) mod lab;
mod tampering;

fn has(found: &Integrity, check: &str, table: &str, id: &str) -> bool {
    let wanted = |fault: &&Fault| {
        (fault.check.as_str(), fault.table.as_deref(), fault.id.as_deref()) == (check, Some(table), Some(id))
    };
    found.faults.iter().any(|fault| wanted(&fault))
}

fn entries(found: &Integrity) -> Vec<i64> {
    found.faults.iter().filter(|fault| fault.check == "journal").filter_map(|fault| fault.seq).collect()
}

#[tokio::test]
async fn a_clean_plane_has_no_faults() {
    let (mut lab, ids) = filled().await;
    for _ in 0..2 {
        let found = check(lab.plane()).await.unwrap();
        assert!(found.ok && found.total_faults == 0 && found.total_orphans == 0, "{found:#?}");
        assert_eq!((found.journal.entries, found.journal.seq), (ids.seq, ids.seq));
        assert_eq!((found.relationships_checked, found.journal.first_broken_seq), (18, None));
        assert_eq!(found.rows_checked, 52);
        // Once more after SQLite has gathered its statistics on closing.
        lab.close().await;
        lab.open();
    }
}

#[tokio::test]
async fn a_new_plane_has_no_faults() {
    let found = check(Lab::new().plane()).await.unwrap();
    assert!(found.ok && found.total_faults == 0, "{found:#?}");
    assert_eq!((found.rows_checked, found.journal.entries), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_sees_one_snapshot_while_others_write() {
    let (lab, ids) = filled().await;
    let writing = async {
        for _ in 0..200 {
            lab.write::<TaskUpdate>(json!({"id": ids.task, "status": "active", "task_id": ids.task})).await;
        }
    };
    let checking = async {
        for _ in 0..5 {
            let found = check(lab.plane()).await.unwrap();
            assert!(found.ok && found.total_faults == 0, "{found:#?}");
            assert_eq!(found.journal.entries, found.journal.seq);
            let (code, verdict) = script(&lab.db_path());
            assert_eq!(code, Some(0), "{verdict}");
        }
    };
    tokio::join!(writing, checking);
}

#[tokio::test]
async fn an_edited_column_is_named() {
    // writer_role is in no content hash of a revised record, and artifact_ids_json in none at all.
    for column in ["title", "summary", "status", "artifact_ids_json", "updated_at", "is_test", "writer_role"]
    {
        let (lab, ids) = filled().await;
        let value = if column == "is_test" { "1" } else { "'x'" };
        let sql = format!("UPDATE gotcha SET {column} = {value} WHERE id = '{}'", ids.gotcha);
        let found = lab.tampered(&sql).await;
        assert!(!found.ok && has(&found, "row", "gotcha", &ids.gotcha), "{column}: {found:#?}");
        assert_eq!(found.journal.first_broken_seq, None);
    }
}

#[tokio::test]
async fn an_edited_text_that_is_not_utf8_is_named() {
    let (lab, ids) = filled().await;
    let sql = format!("UPDATE gotcha SET body = CAST(x'ff' AS TEXT) WHERE id = '{}'", ids.gotcha);
    let found = lab.tampered(&sql).await;
    assert!(!found.ok && has(&found, "row", "gotcha", &ids.gotcha), "{found:#?}");
}

#[tokio::test]
async fn an_edited_content_hash_or_what_it_covers_is_named() {
    for (table, column) in [
        ("ledger_events", "body"),
        ("ledger_events", "content_hash"),
        ("verification_events", "evidence_locations_json"),
        ("verification_events", "remedies_json"),
        ("subagent_packets", "payload_json"),
        ("diagnostic_packets", "title"),
        ("plan_revision", "body"),
        ("task_revision", "content_hash"),
        ("private_policy_revision", "trigger"),
        ("learned_revision", "status"),
        ("eval_cases", "body"),
        ("eval_runs", "summary"),
        ("anti_patterns", "valid_exceptions"),
        ("trace_events", "tags_json"),
        ("eval_scores", "name"),
        ("improvement_proposals", "payload_json"),
    ] {
        let (lab, _) = filled().await;
        let first = format!("(SELECT min(id) FROM {table})");
        let found = lab.tampered(&format!("UPDATE {table} SET \"{column}\" = 'x' WHERE id = {first}")).await;
        let of = |check: &str| {
            let in_table = found.faults.iter().filter(|fault| fault.table.as_deref() == Some(table));
            in_table.filter(|fault| fault.check == check).count()
        };
        assert!(!found.ok && of("row") == 1 && of("content_hash") == 1, "{table}.{column}: {found:#?}");
    }
}

#[tokio::test]
async fn a_deleted_row_is_named() {
    let (lab, ids) = filled().await;
    let found = lab.tampered(&format!("DELETE FROM verification_events WHERE id = '{}'", ids.blocker)).await;
    assert!(!found.ok && has(&found, "row", "verification_events", &ids.blocker), "{found:#?}");
    // What is derived stays as it is while the records themselves are in doubt.
    assert!(has(&found, "derived", "open_blockers", &ids.blocker), "{found:#?}");
}

#[tokio::test]
async fn an_inserted_row_is_named() {
    let (lab, _) = filled().await;
    let sql = "INSERT INTO artifacts (id, created_at, kind, path, summary, body, content_hash) \
               VALUES ('a_forged', '2026-01-01T00:00:00.000000+00:00', 'file', 'x', 's', 'b', 'h')";
    let found = lab.tampered(sql).await;
    assert!(!found.ok && has(&found, "row", "artifacts", "a_forged"), "{found:#?}");
}

#[tokio::test]
async fn an_orphan_is_counted_with_its_id() {
    let (lab, ids) = filled().await;
    let sql = format!(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 7) \
         INSERT INTO gotcha_revision (id, gotcha_id, created_at, revision_number, summary, body, status, content_hash) \
         SELECT 'gr_' || n, 'g_none', '', n, '', '', '', '' FROM n; \
         DELETE FROM tasks WHERE id = '{}'; \
         INSERT INTO chunk_embeddings (chunk_id, embedding_model, dim, embedding, created_at) \
         VALUES ('c_none', 'm', 1, x'00', '')",
        ids.task
    );
    let found = lab.tampered(&sql).await;
    assert!(!found.ok && found.total_orphans == 7 + 3, "{found:#?}");
    let [gotcha, task] = found.orphaned_relationships.as_slice() else { panic!("{found:#?}") };
    assert_eq!((gotcha.child.as_str(), gotcha.parent.as_str()), ("gotcha_revision.gotcha_id", "gotcha.id"));
    assert_eq!((gotcha.orphans, gotcha.sample.len(), gotcha.sample_truncated), (7, 5, true));
    assert_eq!(
        (gotcha.sample[0].child_id.as_str(), gotcha.sample[0].missing_ref.as_str()),
        ("gr_1", "g_none")
    );
    assert_eq!(
        (task.child.as_str(), task.orphans, task.sample_truncated),
        ("task_revision.task_id", 3, false)
    );
    let foreign: Vec<&Fault> = found.faults.iter().filter(|fault| fault.check == "foreign_key").collect();
    assert_eq!(foreign.len(), 1, "{found:#?}");
    assert_eq!(foreign[0].id.as_deref(), Some("c_none"));
}

#[tokio::test]
async fn an_edited_or_missing_revision_is_named() {
    let (lab, ids) = filled().await;
    let sql = format!("UPDATE gotcha_revision SET summary = 'x' WHERE id = '{}'", ids.revision);
    let found = lab.tampered(&sql).await;
    assert!(has(&found, "row", "gotcha_revision", &ids.revision), "{found:#?}");
    assert!(has(&found, "content_hash", "gotcha_revision", &ids.revision), "{found:#?}");

    let (lab, ids) = filled().await;
    let sql = format!("DELETE FROM gotcha_revision WHERE id = '{}'", ids.revision);
    let found = lab.tampered(&sql).await;
    assert!(has(&found, "row", "gotcha_revision", &ids.revision), "{found:#?}");
    let problems: Vec<&str> = found.faults.iter().map(|fault| fault.problem.as_str()).collect();
    assert!(problems.contains(&"the revision has number 3 where 2 is due"), "{problems:#?}");
    assert!(
        problems.contains(&"previous_hash is not the content hash of the revision before"),
        "{problems:#?}"
    );

    let (lab, ids) = filled().await;
    let sql = format!(
        "UPDATE gotcha SET current_revision_id = '{}', status = 'active' WHERE id = '{}'",
        ids.revision, ids.gotcha
    );
    let found = lab.tampered(&sql).await;
    let revisions = found.faults.iter().filter(|fault| fault.check == "revision");
    assert_eq!(revisions.filter(|fault| fault.id.as_deref() == Some(&ids.gotcha)).count(), 2, "{found:#?}");
}

/// Ways to break the journal, with the first entry that then fails.
fn broken_journals(seq: i64) -> Vec<(&'static str, String, i64)> {
    let set = |change: &str| format!("UPDATE journal SET {change} WHERE seq = 5");
    vec![
        (
            "two entries change places",
            "UPDATE journal SET seq = -5 WHERE seq = 5; UPDATE journal SET seq = 5 WHERE seq = 6; \
             UPDATE journal SET seq = 6 WHERE seq = -5"
                .into(),
            5,
        ),
        ("the tail is cut off", format!("DELETE FROM journal WHERE seq > {}", seq - 3), seq - 2),
        ("an entry is deleted", "DELETE FROM journal WHERE seq = 5".into(), 5),
        ("the first entry is deleted", "DELETE FROM journal WHERE seq = 1".into(), 1),
        ("all entries are deleted", "DELETE FROM journal".into(), 1),
        ("rows are edited", set("rows = '[]'"), 5),
        ("rows are spaced", set("rows = replace(rows, ',', ', ')"), 5),
        ("the time is edited", set("at = at || 'x'"), 5),
        ("the operation is edited", set("operation = 'W9'"), 5),
        ("the task is edited", set("task_id = 'x'"), 5),
        ("the actor is edited", set("actor = NULL"), 5),
        ("the session is edited", set("session = 'null'"), 5),
        ("prev_hash is edited", set("prev_hash = chain_hash"), 5),
        ("chain_hash is edited", set("chain_hash = 'a b'"), 5),
        ("the head is moved back", "UPDATE plane_head SET seq = 7".into(), 8),
        ("the head's hash is edited", "UPDATE plane_head SET chain_hash = 'x'".into(), seq),
        (
            "an entry is added",
            "INSERT INTO journal SELECT seq + 1, at, operation, task_id, actor, session, rows, chain_hash, chain_hash \
             FROM journal ORDER BY seq DESC LIMIT 1"
                .into(),
            seq + 1,
        ),
    ]
}

#[tokio::test]
async fn a_broken_journal_is_named_by_its_first_broken_entry() {
    let seq = filled().await.1.seq;
    for (what, sql, broken) in broken_journals(seq) {
        let (lab, _) = filled().await;
        let found = lab.tampered(&sql).await;
        assert_eq!(found.journal.first_broken_seq, Some(broken), "{what}: {found:#?}");
        assert!(!found.ok && found.faults[0].check == "journal", "{what}: {found:#?}");
        let named = entries(&found);
        let wanted = match what {
            "the tail is cut off" | "all entries are deleted" => seq,
            "the head is moved back" => 7,
            _ => broken,
        };
        assert!(named.contains(&wanted), "{what}: {named:?}");
    }
}

#[tokio::test]
async fn only_derived_data_is_rebuilt() {
    for (sql, table) in [
        ("DELETE FROM open_blockers", "open_blockers"),
        ("UPDATE open_blockers SET created_at = 'x'", "open_blockers"),
        ("INSERT INTO open_blockers VALUES ('qv_x', 'x', NULL, NULL)", "open_blockers"),
        ("UPDATE counters SET value = value + 1 WHERE name = 'gotchas_active'", "counters"),
        ("DELETE FROM counters", "counters"),
        ("INSERT INTO counters VALUES ('made_up', 0, 1)", "counters"),
        ("DELETE FROM search_rows WHERE record_table = 'gotcha'", "gotcha"),
        (
            "INSERT INTO search_rows (record_table, record_id, created_at, is_test) VALUES ('gotcha', 'g_x', '', 0)",
            "search_rows",
        ),
        (
            "INSERT INTO search_rows (record_table, record_id, created_at, is_test) VALUES ('journal', 'r_x', '', 0)",
            "search_rows",
        ),
        ("DELETE FROM search_text WHERE rowid = 1", "search_rows"),
        ("DELETE FROM search_words WHERE rowid = 1", "search_rows"),
        ("UPDATE search_rows SET status = 'other' WHERE record_table = 'gotcha'", "gotcha"),
        ("UPDATE search_rows SET task_id = 'other' WHERE record_table = 'gotcha'", "gotcha"),
        ("DELETE FROM search_text_data WHERE id > 100", "search_text"),
        ("DELETE FROM search_words_data WHERE id > 100", "search_words"),
    ] {
        let (mut lab, _) = filled().await;
        lab.close().await;
        Connection::open(lab.db_path()).unwrap().execute_batch(sql).unwrap();
        lab.open();
        let found = check(lab.plane()).await.unwrap();
        assert!(found.ok && found.total_faults > 0, "{sql}: {found:#?}");
        assert!(found.faults.iter().any(|fault| fault.table.as_deref() == Some(table)), "{sql}: {found:#?}");
        assert!(
            found.faults.iter().all(|fault| fault.check == "derived" && fault.problem.ends_with("rebuilt"))
        );
        assert!(found.note.contains("rebuilt"), "{}", found.note);
        let again = check(lab.plane()).await.unwrap();
        assert!(again.ok && again.total_faults == 0, "{sql}: {again:#?}");
    }
}

#[tokio::test]
async fn a_changed_schema_is_named() {
    for (sql, name) in [
        ("DROP INDEX idx_gotcha_scope", "idx_gotcha_scope"),
        ("CREATE TABLE mine (x)", "mine"),
        ("ALTER TABLE gotcha ADD COLUMN mine TEXT", "gotcha"),
        ("CREATE TRIGGER mine AFTER INSERT ON gotcha BEGIN DELETE FROM gotcha; END", "mine"),
        ("DROP TABLE reports", "reports"),
        ("ALTER TABLE diagnostic_packets DROP COLUMN packet_type", "diagnostic_packets"),
    ] {
        let (lab, _) = filled().await;
        let found = lab.tampered(sql).await;
        let named = |fault: &Fault| fault.check == "schema" && fault.id.as_deref() == Some(name);
        assert!(!found.ok && found.faults.iter().any(named), "{sql}: {found:#?}");
    }
}

#[tokio::test]
async fn a_damaged_page_is_a_fault_and_no_denial() {
    let (mut lab, ids) = filled().await;
    lab.close().await;
    let connection = Connection::open(lab.db_path()).unwrap();
    let page = |name: &str| -> u32 {
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
        connection.query_row(sql, [name], |row| row.get(0)).unwrap()
    };
    let at = usize::try_from((page("plan_revision") - 1) * 4096).unwrap();
    drop(connection);
    let mut bytes = std::fs::read(lab.db_path()).unwrap();
    bytes[at..at + 64].fill(0xee);
    std::fs::write(lab.db_path(), bytes).unwrap();
    lab.open();
    let found = check(lab.plane()).await.unwrap();
    assert!(!found.ok && found.faults.iter().any(|fault| fault.check == "sqlite"), "{found:#?}");
    assert_eq!((found.journal.seq, found.journal.first_broken_seq), (ids.seq, None));
}

#[tokio::test]
async fn more_faults_than_are_listed_are_counted() {
    let (lab, _) = filled().await;
    let sql = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 200) \
               INSERT INTO db_settings (key, value, updated_at) SELECT 'k' || n, '', '' FROM n; \
               UPDATE plane_head SET chain_hash = 'x'";
    let found = lab.tampered(sql).await;
    assert_eq!((found.total_faults, found.faults.len()), (201, 50), "{}", found.note);
    assert_eq!((found.faults[0].check.as_str(), found.faults[1].check.as_str()), ("journal", "row"));
}

#[tokio::test]
async fn a_suspect_plane_writes_again_once_it_has_passed() {
    let (lab, ids) = filled().await;
    let suspect = |writer: &mut crate::plane::writer::Writer| {
        writer.shared().set_suspect(true);
        Ok(())
    };
    lab.plane().chore(suspect).await.unwrap();
    let refused = lab.plane().write("W1", lab.caller.clone(), None, Box::new(|_| Ok("{}".into()))).await;
    assert_eq!(refused.unwrap_err().code, kaizen_proto::denial::Code::PlaneSuspect);
    let found = check(lab.plane()).await.unwrap();
    assert!(found.ok && found.note.contains("takes writes again"), "{}", found.note);
    lab.write::<TaskUpdate>(json!({"id": ids.task, "status": "done"})).await;
    assert!(check(lab.plane()).await.unwrap().ok);

    let (lab, _) = filled().await;
    Connection::open(lab.db_path()).unwrap().execute_batch("UPDATE tasks SET title = 'x'").unwrap();
    lab.plane().chore(suspect).await.unwrap();
    assert!(!check(lab.plane()).await.unwrap().ok);
    let refused = lab.plane().write("W1", lab.caller.clone(), None, Box::new(|_| Ok("{}".into()))).await;
    assert_eq!(refused.unwrap_err().code, kaizen_proto::denial::Code::PlaneSuspect);
}

/// Runs the script that verifies the journal without our code.
fn script(db_path: &Path) -> (Option<i32>, String) {
    for tool in ["sqlite3", "sh"] {
        let found = Command::new(tool).args(["-c", ""]).output();
        assert!(found.is_ok(), "the command {tool} is needed for docs/verify-journal.sh and its test");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/verify-journal.sh");
    let output = Command::new("sh").arg(script).arg(db_path).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.is_empty(), "{errors}");
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn the_script_agrees_with_the_check() {
    let (mut lab, ids) = filled().await;
    let found = check(lab.plane()).await.unwrap();
    let verdict = format!("ok: {} entries, head {} {}\n", ids.seq, ids.seq, found.journal.chain_hash);
    assert_eq!(script(&lab.db_path()), (Some(0), verdict.clone()), "while the plane is open");
    lab.close().await;
    assert_eq!(script(&lab.db_path()), (Some(0), verdict), "when the plane is closed");
    let new = Lab::new();
    assert_eq!(script(&new.db_path()).0, Some(0));

    let clean = std::fs::read(lab.db_path()).unwrap();
    for (what, sql, broken) in broken_journals(ids.seq) {
        std::fs::write(lab.db_path(), &clean).unwrap();
        Connection::open(lab.db_path()).unwrap().execute_batch(&sql).unwrap();
        assert_eq!(script(&lab.db_path()), (Some(1), format!("broken at seq {broken}\n")), "{what}");
    }
}
