//! Planes of earlier releases: each released schema has a fixture that this release must bring forward.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use kaizen_proto::families::core::SchemaReport;
use kaizen_proto::hello::{Hello, PROTOCOL, RootSource, method};
use serde_json::json;

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

/// Opens the plane with a daemon that is killed after this time, or once the opening is finished. Returns how long that
/// took. The call is made without kaizenctl, which would start another daemon that finishes what this one began.
#[expect(clippy::disallowed_methods, reason = "the moment of the kill is the input of the test")]
fn open_and_kill(place: &Place, after: Option<Duration>) -> Duration {
    let mut daemon = place.command("kaizend").stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let socket = place.runtime().join("kaizend.sock");
    // It has its name a moment before it listens.
    let mut connected = None;
    wait_for("the daemon", || {
        connected = UnixStream::connect(&socket).ok();
        connected.is_some()
    });
    let hello = Hello {
        protocol: PROTOCOL,
        client: "test".into(),
        version: kaizen_proto::VERSION.into(),
        project_root: Some(place.root.display().to_string()),
        root_source: RootSource::Named,
        ..Hello::default()
    };
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": method::HELLO, "params": hello});
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "plane.check", "params": {}});
    let mut stream = connected.unwrap();
    let begun = Instant::now();
    stream.write_all(format!("{hello}\n{call}\n").as_bytes()).unwrap();
    if let Some(after) = after {
        std::thread::sleep(after.saturating_sub(begun.elapsed()));
    } else {
        let replies: Vec<_> = BufReader::new(&stream).lines().take(2).map(Result::unwrap).collect();
        assert!(replies[1].contains("\"status\":\"OK\""), "{replies:?}");
    }
    daemon.kill().unwrap();
    let took = begun.elapsed();
    daemon.wait().unwrap();
    took
}

/// Kills the daemon at moments that are spread over the time that an opening takes, and a little after it. Each migration
/// is a transaction of its own, so what is left is the schema before or after one of them, which the next opening goes on
/// from.
#[test]
fn a_kill_leaves_the_old_schema_or_the_new_one() {
    const ROUNDS: u32 = 20;
    /// Where others keep the processor from this test, its kills come late, and it takes more of them.
    const MOST: u32 = 200;
    let undisturbed = place(SECOND);
    let whole = open_and_kill(&undisturbed, None);
    let known = migrations(&undisturbed);
    assert!(known > 2, "an opening that is finished is durable, {known}");
    let (mut old, mut new) = (0, 0);
    let (mut latest_old, mut earliest_new) = (Duration::ZERO, whole);
    for round in 0..MOST {
        if round >= ROUNDS && old > 0 {
            break;
        }
        let place = place(SECOND);
        // Every other kill aims at the commit, as far as it is known where that is.
        let spread = whole * (round % ROUNDS) * 5 / (ROUNDS * 4);
        let after = if round % 2 == 0 { spread } else { (latest_old + earliest_new) / 2 };
        open_and_kill(&place, Some(after));
        match migrations(&place) {
            2 => (old, latest_old) = (old + 1, latest_old.max(after)),
            applied if applied <= known => (new, earliest_new) = (new + 1, earliest_new.min(after)),
            applied => panic!("{applied} of {known} migrations after {after:?}"),
        }
        let checked = place.ok(&["K1", "--integrity"]);
        assert_eq!(checked["integrity"]["ok"], true, "killed after {after:?}: {checked}");
        assert_eq!(migrations(&place), known);
        assert_eq!(place.ok(&["K9", "--query", "cafe"])["count"], 3);
    }
    println!("killed {old} times before and {new} times after the first commit, an opening took {whole:?}");
    assert!(old > 0, "no kill came before the first commit");
}
