//! Planes of earlier releases: each released schema has a fixture that this release must bring forward.

use std::process::Stdio;
use std::time::{Duration, Instant};

use kaizen_proto::families::core::SchemaReport;

use crate::context::{Place, wait_for};

/// A plane as the release with two migrations left it: tasks, plans, a promoted gotcha, verifications, a policy, packets.
const SECOND: &[u8] = include_bytes!("../fixtures/migration-2.db");

fn place(fixture: &[u8]) -> Place {
    let place = Place::new();
    std::fs::create_dir_all(place.database().parent().unwrap()).unwrap();
    std::fs::write(place.database(), fixture).unwrap();
    place
}

fn migrations(place: &Place) -> i64 {
    place.count("SELECT count(*) FROM migrations")
}

#[test]
fn an_earlier_plane_is_backed_up_and_brought_forward() {
    let place = place(SECOND);
    let journal = place.count("SELECT count(*) FROM journal");
    let checked = place.ok(&["K1", "--integrity"]);
    assert_eq!(checked["integrity"]["ok"], true, "{checked}");
    assert_eq!(checked["schema"]["manifest_match"], true);
    let report: SchemaReport = serde_json::from_value(place.ok(&["K2"])).unwrap();
    let counted = report.schema.migrations.unwrap();
    assert_eq!(counted.applied, counted.known);
    assert_eq!(place.count("SELECT count(*) FROM journal"), journal, "no record changed");
    assert_eq!(place.ok(&["K9", "--query", "cafe"])["count"], 3, "what was there can be searched");
    assert_eq!(place.ok(&["R0"])["counts"]["blocking_verifications"], 1);
    let backups: Vec<_> = std::fs::read_dir(place.root.join("AI/db/backups"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(backups.len(), 1);
    let copy = rusqlite::Connection::open(backups[0].join("kaizen.db")).unwrap();
    let applied: i64 = copy.query_row("SELECT count(*) FROM migrations", [], |row| row.get(0)).unwrap();
    assert_eq!(applied, 2);
}

/// Kills the daemon at ever later moments of the opening, until one opening is finished before it dies.
#[test]
#[expect(clippy::disallowed_methods, reason = "the moment of the kill is the input of the test")]
fn a_kill_leaves_the_old_schema_or_the_new_one() {
    let (mut old, mut new) = (0, 0);
    for round in 0..400_u64 {
        let place = place(SECOND);
        let mut daemon = place.command("kaizend").stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for("the daemon's socket", || place.runtime().join("kaizend.sock").exists());
        let client = place
            .command("kaizenctl")
            .args(["K1", "--json"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut client = client.unwrap();
        let deadline = Instant::now() + Duration::from_micros(round * 2_000);
        while Instant::now() < deadline && client.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_micros(200));
        }
        let finished = client.try_wait().unwrap().is_some();
        daemon.kill().unwrap();
        daemon.wait().unwrap();
        client.wait().unwrap();
        match migrations(&place) {
            2 => old += 1,
            _ => new += 1,
        }
        let checked = place.ok(&["K1", "--integrity"]);
        assert_eq!(checked["integrity"]["ok"], true, "killed after {} ms: {checked}", round * 2);
        assert_eq!(place.ok(&["K9", "--query", "cafe"])["count"], 3);
        if finished && new > 1 {
            break;
        }
    }
    assert!(old > 0 && new > 0, "killed {old} times before and {new} times after");
}
