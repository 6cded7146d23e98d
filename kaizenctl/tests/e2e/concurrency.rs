//! Many callers at once: each is served, none is seen half.

use std::process::Stdio;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::checks::{assert_sound, call, connect, task};
use crate::context::{Place, programs};

#[test]
fn eight_processes_with_25_writes_each_on_a_cold_daemon_all_succeed() {
    programs();
    let place = Place::new();
    let start = Barrier::new(8);
    thread::scope(|scope| {
        for writer in 0..8 {
            let (place, start) = (&place, &start);
            scope.spawn(move || {
                start.wait();
                for number in 0..25 {
                    // `ok` asserts the exit status, the reply and an empty standard error: no retry may show.
                    place.id(&["W1", "--title", &format!("{writer}-{number}"), "--summary", "One of many."]);
                }
            });
        }
    });
    assert_eq!(place.count("SELECT count(*) FROM tasks"), 200);
    assert_eq!(place.count("SELECT count(DISTINCT title) FROM tasks"), 200);
    assert_eq!(place.count("SELECT count(*) FROM ledger_events"), 200);
    assert_eq!(place.count("SELECT count(*) FROM journal WHERE operation = 'W1'"), 200);
    assert_sound(&place);
}

#[test]
fn sixty_four_persistent_connections_write_at_once() {
    const CONNECTIONS: usize = 64;
    const WRITES: usize = 8;
    let place = Place::new();
    place.ok(&["daemon", "start"]);
    let start = Barrier::new(CONNECTIONS);
    let mut seqs: Vec<i64> = thread::scope(|scope| {
        let writers: Vec<_> = (0..CONNECTIONS)
            .map(|writer| {
                let (place, start) = (&place, &start);
                scope.spawn(move || {
                    let mut connection = connect(place);
                    start.wait();
                    let write = |number| {
                        let name = format!("{writer}-{number}");
                        let reply = call(&mut connection, "task.start", &task(&name, &name)).unwrap();
                        reply["seq"].as_i64().unwrap()
                    };
                    (0..WRITES).map(write).collect::<Vec<_>>()
                })
            })
            .collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    seqs.sort_unstable();
    let total = i64::try_from(CONNECTIONS * WRITES).unwrap();
    assert_eq!(seqs, (1..=total).collect::<Vec<_>>(), "each write has a place of its own in the journal");
    assert_eq!(place.count("SELECT count(DISTINCT title) FROM tasks"), total);
    assert_eq!(place.count("SELECT count(*) FROM ledger_events"), total);
    assert_sound(&place);
}

#[test]
fn parallel_revisions_of_one_record_form_one_chain() {
    let place = Place::new();
    let gotcha =
        place.id(&["G1", "--title", "Contended", "--summary", "Everybody revises it.", "--body", "Seen."]);
    let start = Barrier::new(6);
    let mut acknowledged: Vec<String> = thread::scope(|scope| {
        let writers: Vec<_> = (0..6)
            .map(|writer| {
                let (place, start, gotcha) = (&place, &start, &gotcha);
                scope.spawn(move || {
                    start.wait();
                    let summary = format!("Revised by {writer}.");
                    let reply = place.ok(&["G5", "--id", gotcha, "--summary", &summary]);
                    reply["revision_id"].as_str().unwrap().to_owned()
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let connection = place.tamper();
    let mut statement = connection
        .prepare("SELECT id, revision_number, content_hash, previous_hash FROM gotcha_revision ORDER BY 2")
        .unwrap();
    let revisions: Vec<(String, i64, String, Option<String>)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(revisions.iter().map(|row| row.1).collect::<Vec<_>>(), (1..=7).collect::<Vec<_>>());
    assert_eq!(revisions[0].3, None);
    for pair in revisions.windows(2) {
        assert_eq!(pair[1].3.as_ref(), Some(&pair[0].2), "revision {} follows the one before", pair[1].1);
    }
    let mut stored: Vec<String> = revisions[1..].iter().map(|row| row.0.clone()).collect();
    stored.sort();
    acknowledged.sort();
    assert_eq!(stored, acknowledged);
    let current = place.ok(&["G4", "--id", &gotcha]);
    assert_eq!(current["record"]["current_revision_id"], revisions[6].0.as_str());
    drop(statement);
    assert_sound(&place);
}

#[test]
fn four_first_checks_at_once_make_one_plane() {
    programs();
    for _ in 0..3 {
        let place = Place::new();
        let start = Barrier::new(4);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    place.ok(&["K1"]);
                });
            }
        });
        assert_eq!(place.count("SELECT count(*) FROM plane_head"), 1);
        assert_eq!(place.count("SELECT count(*) FROM schema_version"), 1);
        assert_sound(&place);
    }
}

/// kaizenctl is interrupted at moments spread over its whole life; then the same call is made again with the same key.
#[test]
#[expect(clippy::disallowed_methods, reason = "the moment of the interruption is what varies")]
fn an_interrupted_client_leaves_all_or_nothing_and_may_be_repeated() {
    const ROUNDS: u32 = 60;
    let place = Place::new();
    let arguments = |round: u32| {
        let name = format!("round-{round}");
        ["W1", "--json", "--title", &name, "--summary", "Perhaps.", "--key", &name].map(str::to_owned)
    };
    place.ok(&["K1"]);
    let life = (0..5)
        .map(|round| {
            let started = Instant::now();
            assert!(place.run(arguments(1000 + round)).status.success());
            started.elapsed()
        })
        .max()
        .unwrap();
    let (mut interrupted, mut finished, mut acknowledged) = (0, 0, Vec::new());
    for round in 0..ROUNDS {
        let mut command = place.command("kaizenctl");
        command.args(arguments(round)).stdout(Stdio::piped()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        thread::sleep(life.mul_f64(f64::from(round) / f64::from(ROUNDS) * 1.5).max(Duration::from_micros(1)));
        let signal = if round % 2 == 0 { Signal::INT } else { Signal::KILL };
        kill_process(Pid::from_child(&child), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            finished += 1;
        } else {
            interrupted += 1;
        }
        // A reply that was printed counts, however the process ended.
        if let Ok(reply) = serde_json::from_slice::<serde_json::Value>(&output.stdout) {
            acknowledged.push(reply["id"].as_str().unwrap().to_owned());
        }
    }
    assert!(interrupted >= 10, "only {interrupted} calls were interrupted");
    assert!(finished >= 10, "only {finished} calls were left to finish");
    for id in &acknowledged {
        assert_eq!(place.count(&format!("SELECT count(*) FROM tasks WHERE id = '{id}'")), 1);
    }
    assert_sound(&place);
    for round in 0..ROUNDS {
        assert!(place.run(arguments(round)).status.success());
    }
    assert_eq!(place.count("SELECT count(*) FROM tasks"), i64::from(ROUNDS) + 5, "each key wrote once");
    assert_eq!(place.count("SELECT count(DISTINCT title) FROM tasks"), i64::from(ROUNDS) + 5);
    assert_sound(&place);
}
