//! The writer under unkind jobs. These run in release builds too, where panics must unwind all the same.

use std::path::PathBuf;
use std::sync::Arc;

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::time::Timestamp;
use tempfile::TempDir;

use super::open::PlaneLock;
use super::{Apply, Caller, Cell, Plane, RequestKey, WriteTx};

struct Bench {
    plane: Plane,
    path: PathBuf,
    lock: PlaneLock,
    directory: TempDir,
}

fn bench() -> Bench {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("AI/db/kaizen.db");
    let (plane, lock) = Plane::open(&path, "test").unwrap();
    Bench { plane, path, lock, directory }
}

fn packet(tx: &mut WriteTx<'_>, id: &str, summary: &str) -> Result<(), Denial> {
    let now = tx.now();
    tx.insert(
        "subagent_packets",
        &[
            ("id", Cell::Text(id)),
            ("created_at", Cell::Text(&now)),
            ("packet_type", Cell::Text("request")),
            ("status", Cell::Text("recorded")),
            ("title", Cell::Text("t")),
            ("summary", Cell::Text(summary)),
            ("body", Cell::Text("")),
            ("payload_json", Cell::Text("{}")),
            ("content_hash", Cell::Text("h")),
        ],
    )
}

fn good(id: &str) -> Apply {
    let id = id.to_owned();
    Box::new(move |tx| packet(tx, &id, "s").map(|()| format!(r#"{{"id":"{id}"}}"#)))
}

async fn write(bench: &Bench, apply: Apply) -> Result<String, Denial> {
    bench.plane.write("W5", Arc::new(Caller::default()), None, apply).await
}

fn count(bench: &Bench, sql: &str) -> i64 {
    rusqlite::Connection::open(&bench.path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn one_bad_job_never_hurts_its_batch_mates() {
    let bench = bench();
    // A chore that waits holds the writer until all jobs are queued, so that they make one batch.
    let (go, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let hold = bench.plane.chore(move |_| {
        wait.recv().unwrap();
        Ok(())
    });
    let jobs: Vec<Apply> = vec![
        good("sp_1"),
        Box::new(|tx| {
            packet(tx, "sp_panic", "s")?;
            panic!("on purpose");
        }),
        good("sp_2"),
        // A key that exists already.
        good("sp_1"),
        Box::new(|tx| {
            packet(tx, "sp_denied", "s")?;
            Err(Denial::usage("on purpose"))
        }),
        Box::new(|tx| {
            packet(tx, "sp_orphan", "s")?;
            tx.insert("evidence_blocks", &[("id", Cell::Text("eb_1")), ("document_id", Cell::Text("none"))])?;
            Ok("{}".into())
        }),
        good("sp_3"),
    ];
    let writes = async {
        let writes: Vec<_> = jobs.into_iter().map(|job| write(&bench, job)).collect();
        let mut outcomes = futures_util::future::join_all(writes);
        // Polled once, every job is in the queue.
        assert!(futures_util::poll!(&mut outcomes).is_pending());
        go.send(()).unwrap();
        outcomes.await
    };
    let (chore, outcomes) = futures_util::future::join(hold, writes).await;
    chore.unwrap();
    let good: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, true, false, false, false, true], "{outcomes:?}");
    assert_eq!(outcomes[1].as_ref().unwrap_err().code, Code::Unexpected);
    assert_eq!(outcomes[4].as_ref().unwrap_err().code, Code::Usage);
    assert_eq!(count(&bench, "SELECT count(*) FROM subagent_packets"), 3);
    assert_eq!(count(&bench, "SELECT count(*) FROM journal"), 3);
    assert_eq!(count(&bench, "SELECT seq FROM plane_head"), 3);
    // One batch means one time reading each, never the same twice.
    assert_eq!(count(&bench, "SELECT count(DISTINCT at) FROM journal"), 3);
}

#[tokio::test]
async fn a_reply_means_that_another_process_can_read_the_row() {
    let bench = bench();
    for number in 0..50 {
        write(&bench, good(&format!("sp_{number}"))).await.unwrap();
        assert_eq!(count(&bench, "SELECT count(*) FROM subagent_packets"), number + 1);
    }
}

#[tokio::test]
async fn the_same_key_is_carried_out_once() {
    let bench = bench();
    let key = |params: &str| Some(RequestKey { key: "k".into(), params_hash: params.into() });
    let caller = Arc::new(Caller::default());
    let first = bench.plane.write("W5", caller.clone(), key("a"), good("sp_1")).await.unwrap();
    let again = bench.plane.write("W5", caller.clone(), key("a"), good("sp_2")).await.unwrap();
    assert_eq!(first, again);
    let other = bench.plane.write("W5", caller, key("b"), good("sp_3")).await.unwrap_err();
    assert_eq!(other.code, Code::KeyReused);
    assert_eq!(count(&bench, "SELECT count(*) FROM subagent_packets"), 1);
}

#[tokio::test]
async fn times_never_go_back_when_the_clock_does() {
    let bench = bench();
    write(&bench, good("sp_1")).await.unwrap();
    let future = Timestamp::from_micros(Timestamp::now().micros() + 3_600_000_000).to_string();
    let Bench { plane, path, lock, directory } = bench;
    plane.close().await;
    drop(lock);
    // The clock was an hour ahead when the last entry was written, and is right again now.
    let hand = rusqlite::Connection::open(&path).unwrap();
    hand.execute("UPDATE journal SET at = ?1", [&future]).unwrap();
    drop(hand);
    let (plane, lock) = Plane::open(&path, "test").unwrap();
    let bench = Bench { plane, path, lock, directory };
    write(&bench, good("sp_2")).await.unwrap();
    let later = rusqlite::Connection::open(&bench.path)
        .unwrap()
        .query_row("SELECT at FROM journal WHERE seq = 2", [], |row| row.get::<_, String>(0))
        .unwrap();
    assert!(later > future, "{later} after {future}");
}

#[tokio::test]
async fn a_replaced_file_takes_no_write() {
    let bench = bench();
    write(&bench, good("sp_1")).await.unwrap();
    std::fs::remove_file(&bench.path).unwrap();
    std::fs::write(&bench.path, b"").unwrap();
    let denial = write(&bench, good("sp_2")).await.unwrap_err();
    assert_eq!(denial.code, Code::PlaneReplaced);
    assert!(denial.retryable());
    assert!(bench.plane.is_closed());
}

#[tokio::test]
async fn a_suspect_plane_refuses_writes() {
    let bench = bench();
    bench
        .plane
        .chore(|writer| {
            writer.shared().set_suspect(true);
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(write(&bench, good("sp_1")).await.unwrap_err().code, Code::PlaneSuspect);
    // A restart does not make the disk any better.
    let Bench { plane, path, lock, directory } = bench;
    plane.close().await;
    drop(lock);
    let (plane, lock) = Plane::open(&path, "test").unwrap();
    let bench = Bench { plane, path, lock, directory };
    assert_eq!(write(&bench, good("sp_1")).await.unwrap_err().code, Code::PlaneSuspect);
}

/// Size and time of the file cannot tell, for the writer changes them at the same moment.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn somebody_who_writes_while_the_log_is_written_back_is_noticed() {
    let bench = bench();
    write(&bench, good("sp_1")).await.unwrap();
    let path = bench.path.clone();
    bench
        .plane
        .chore(move |writer| {
            writer.connection().execute_batch("PRAGMA wal_checkpoint(PASSIVE)").unwrap();
            let database = std::fs::read(&path).unwrap();
            std::fs::write(&path, database).unwrap();
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(write(&bench, good("sp_2")).await.unwrap_err().code, Code::PlaneSuspect);
}

#[tokio::test]
async fn somebody_who_reads_meanwhile_is_none_of_the_writers_business() {
    let bench = bench();
    write(&bench, good("sp_1")).await.unwrap();
    let path = bench.path.clone();
    bench
        .plane
        .chore(move |writer| {
            writer.connection().execute_batch("PRAGMA wal_checkpoint(PASSIVE)").unwrap();
            // A program of its own: closing a descriptor in this one would take SQLite's locks away.
            std::process::Command::new("cat").arg(&path).output().unwrap();
            Ok(())
        })
        .await
        .unwrap();
    write(&bench, good("sp_2")).await.unwrap();
}

/// The SQL of every definition and every read must be understood by the schema; what families write is checked by
/// their own tests.
#[tokio::test]
async fn every_definition_is_valid_sql() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kaizen.db");
    let (_plane, _lock) = Plane::open(&path, "test").unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    let definitions = super::counters::DEFINITIONS.iter().map(|(_, sql)| *sql);
    for sql in definitions.chain([super::counters::OPEN_BLOCKERS, super::schema::VERSION_SQL]) {
        connection.prepare(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
    }
}

#[tokio::test]
async fn a_pause_empties_the_log_and_stays_quiet_afterwards() {
    let bench = bench();
    write(&bench, good("p1")).await.unwrap();
    let log = bench.path.with_file_name("kaizen.db-wal");
    let bytes = || std::fs::metadata(&log).map_or(0, |log| log.len());
    assert!(bytes() > 0);
    let pause = async || {
        // There is a reader, and it reads nothing: one that does keeps the log as it is.
        drop(bench.plane.readers.acquire().await.unwrap());
        bench.plane.rest_when_idle().await;
        // The queue is in order: what was asked for before is done by now.
        let (done, wait) = tokio::sync::oneshot::channel();
        let chore = Box::new(move |_: &mut super::Writer| -> super::writer::Answer {
            Box::new(move || done.send(()).unwrap())
        });
        bench.plane.queue.send(super::Message::Chore(chore)).await.unwrap();
        wait.await.unwrap();
    };
    pause().await;
    assert!(bytes() > 0, "a plane in use is left alone");
    let long_ago = Timestamp::now().minus_days(1).micros();
    bench.plane.last_used.store(long_ago, std::sync::atomic::Ordering::Relaxed);
    pause().await;
    assert_eq!(bytes(), 0);
    // Once in each pause: what somebody else leaves in the log meanwhile is not the plane's to look at every second.
    assert_eq!(bench.plane.rested.load(std::sync::atomic::Ordering::Relaxed), long_ago);
    assert_eq!(count(&bench, "SELECT count(*) FROM subagent_packets"), 1);
    write(&bench, good("p2")).await.unwrap();
    bench.plane.close().await;
    drop((bench.lock, bench.directory));
}
