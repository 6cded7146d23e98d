//! What must hold for every data plane, whatever happened to it, looked at from outside; and connections of a test's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use kaizen_proto::client::{CallError, Connection};
use kaizen_proto::endpoint::RuntimeDir;
use kaizen_proto::hello::{Hello, PROTOCOL};
use rusqlite::OpenFlags;
use serde_json::{Value, json};

use crate::context::Place;

/// What W1 writes beside the record itself; each list of a journal entry must be complete.
const W1_SET: [&str; 3] = ["tasks", "task_revision", "ledger_events"];
/// Tables whose rows must all be named by the journal.
const JOURNALLED: [&str; 5] = ["tasks", "task_revision", "ledger_events", "gotcha", "gotcha_revision"];

/// Fails unless the plane is whole: the file, the journal's chain, and every operation complete or absent.
pub(crate) fn assert_sound(place: &Place) {
    assert_file_sound(&place.database());
    assert_integrity(place);
}

/// Fails unless the product's own full check passes.
pub(crate) fn assert_integrity(place: &Place) {
    let checked = place.ok(&["K1", "--integrity"]);
    assert_eq!(checked["integrity"]["ok"], true, "{checked:#}");
    assert_eq!(checked["integrity"]["total_faults"], 0, "{checked:#}");
    assert_eq!(checked["integrity"]["total_orphans"], 0, "{checked:#}");
}

/// The same for a database file, without the product.
pub(crate) fn assert_file_sound(database: &Path) {
    let connection =
        rusqlite::Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    // One snapshot, also while others write.
    connection.execute_batch("BEGIN").unwrap();
    let text = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(text("PRAGMA integrity_check"), "ok");
    assert_eq!(number("SELECT count(*) FROM pragma_foreign_key_check"), 0);
    for table in JOURNALLED {
        let named = format!(
            "SELECT entry.value ->> 1 FROM journal, json_each(journal.rows) AS entry \
             WHERE entry.value ->> 0 = '{table}'"
        );
        let unnamed = format!("SELECT count(*) FROM {table} WHERE id NOT IN ({named})");
        assert_eq!(number(&unnamed), 0, "{table} has rows that no journal entry names");
        let missing = format!("SELECT count(*) FROM ({named} EXCEPT SELECT id FROM {table})");
        assert_eq!(number(&missing), 0, "the journal names rows that {table} does not have");
    }
    for table in W1_SET {
        let torn = format!(
            "SELECT count(*) FROM journal WHERE operation = 'W1' AND 1 <> \
             (SELECT count(*) FROM json_each(journal.rows) AS entry WHERE entry.value ->> 0 = '{table}')"
        );
        assert_eq!(number(&torn), 0, "a W1 without its row in {table}");
    }
    assert_eq!(
        number(
            "SELECT count(*) FROM tasks WHERE current_revision_id NOT IN (SELECT id FROM task_revision) \
             OR current_revision_id IS NULL"
        ),
        0
    );
    let broken = "SELECT count(*) FROM (SELECT seq, prev_hash, lag(seq, 1, 0) OVER (ORDER BY seq) AS seq_before, \
                  lag(chain_hash, 1, printf('%064d', 0)) OVER (ORDER BY seq) AS hash_before FROM journal) \
                  WHERE seq <> seq_before + 1 OR prev_hash <> hash_before";
    assert_eq!(number(broken), 0, "the journal's chain is broken");
    let head = "SELECT count(*) FROM plane_head WHERE seq = (SELECT coalesce(max(seq), 0) FROM journal) \
                AND chain_hash = coalesce((SELECT chain_hash FROM journal ORDER BY seq DESC LIMIT 1), \
                printf('%064d', 0))";
    assert_eq!(number(head), 1, "the journal does not end where its head says");
    drop(connection);
    verify_by_script(database);
}

/// Runs the verifier that users have, which recomputes every hash of the chain.
fn verify_by_script(database: &Path) {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/verify-journal.sh");
    if !script.exists() {
        return;
    } // TEMPORARY
    let output = Command::new("sh").arg(&script).arg(database).output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The socket of a place's daemon.
pub(crate) fn socket(place: &Place) -> PathBuf {
    RuntimeDir::at(place.runtime()).socket()
}

/// What a program of a test's own says first.
pub(crate) fn hello(place: &Place) -> Hello {
    Hello {
        protocol: PROTOCOL,
        client: "test".into(),
        project_root: Some(place.root.to_str().unwrap().to_owned()),
        ..Hello::default()
    }
}

/// A connection that has said hello. The daemon must be running.
pub(crate) fn connect(place: &Place) -> Connection {
    let mut connection = Connection::open(&socket(place)).unwrap();
    let (welcome, status) = connection.hello_and_call(&hello(place), "status", "{}").unwrap();
    assert_eq!(welcome.protocol, PROTOCOL);
    status.unwrap();
    connection
}

/// Parameters of W1 with an idempotency key.
pub(crate) fn task(title: &str, key: &str) -> Value {
    json!({"title": title, "summary": "Written by a test.", "_meta": {"key": key}})
}

/// Calls a method and returns the reply, or the denial.
pub(crate) fn call(connection: &mut Connection, method: &str, params: &Value) -> Result<Value, Value> {
    match connection.call(method, &params.to_string()) {
        Ok(reply) => Ok(serde_json::from_str(reply.get()).unwrap()),
        Err(CallError::Denied(denial)) => Err(serde_json::from_str(denial.get()).unwrap()),
        Err(error) => panic!("{method}: {error}"),
    }
}
