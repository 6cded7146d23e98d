//! The journal as a feed: K10, its cursors, and `--follow`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use kaizen_proto::families;
use kaizen_proto::operation::Access;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::checks::assert_sound;
use crate::context::{Place, wait_for};
use crate::rows::{assert_time, keys, text};

const W1: [&str; 5] = ["W1", "--title", "Task", "--summary", "A task."];

fn seqs(page: &Value) -> Vec<i64> {
    page["entries"].as_array().unwrap().iter().map(|entry| entry["seq"].as_i64().unwrap()).collect()
}

fn cursor(page: &Value) -> &str {
    page["cursor"].as_str().unwrap()
}

/// A project with five entries: three tasks, a note on the second by somebody in a session, and a gotcha.
fn filled() -> (Place, String) {
    let place = Place::new();
    place.ok(&W1);
    let task = place.id(&W1);
    let note = ["W5", "--summary", "S.", "--task-id", &task, "--actor", "ann", "--session", "s 1"];
    place.ok(&note);
    place.ok(&W1);
    place.ok(&["G1", "--title", "T", "--summary", "S.", "--body", "B", "--actor", "bob"]);
    (place, task)
}

#[test]
fn an_entry_says_what_was_written_by_whom() {
    let (place, task) = filled();
    let page = place.ok(&["K10", "--since", "2", "--limit", "1"]);
    assert_eq!(keys(&page), ["status", "plane_id", "seq", "entries", "count", "cursor", "more"]);
    assert_eq!([&page["seq"], &page["count"], &page["more"]], [&json!(5), &json!(1), &json!(true)]);
    assert_eq!(cursor(&page), format!("{}:3", text(&page, "plane_id")));
    let entry = &page["entries"][0];
    assert_eq!(
        keys(entry),
        ["seq", "at", "operation", "alias", "task_id", "actor", "session", "rows", "chain_hash"]
    );
    assert_time(&entry["at"]);
    assert_eq!(
        [&entry["operation"], &entry["task_id"], &entry["actor"], &entry["session"]],
        [&json!("W5"), &json!(task), &json!("ann"), &json!("s 1")]
    );
    let card = families::find("W5").unwrap();
    assert_eq!(text(entry, "alias"), card.alias);
    assert_eq!(entry["rows"][0]["table"], "subagent_packets", "{entry}");
    assert_eq!(entry["rows"][0].get("deleted"), None);
    let stored: String = place
        .tamper()
        .query_row("SELECT chain_hash FROM journal WHERE seq = 3", [], |row| row.get(0))
        .unwrap();
    assert_eq!(entry["chain_hash"], stored);
    // For people: a line each, and where to go on.
    let shown = place.run(["journal", "--since", "2"]).stdout;
    assert_eq!(shown.lines().count(), 4, "{shown}");
    assert!(shown.contains("W5") && shown.contains("by ann/s 1") && shown.contains(&task), "{shown}");
    assert!(shown.ends_with(&format!("3 entries; go on with --since {}:5\n", text(&page, "plane_id"))));
}

#[test]
fn a_reader_goes_on_from_its_cursor_and_misses_nothing() {
    let (place, _) = filled();
    let mut since = "0".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = place.ok(&["K10", "--since", &since, "--limit", "2"]);
        seen.extend(seqs(&page));
        since = cursor(&page).to_owned();
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    let nothing = place.ok(&["K10", "--since", &since]);
    assert_eq!([&nothing["count"], &nothing["more"]], [&json!(0), &json!(false)]);
    assert_eq!(cursor(&nothing), since);
    place.ok(&W1);
    assert_eq!(seqs(&place.ok(&["K10", "--since", &since])), [6]);
    // Without a place to start from: the last ones, in their order.
    let last = place.ok(&["K10", "--limit", "2"]);
    assert_eq!(seqs(&last), [5, 6]);
    assert_eq!([&last["more"], &last["seq"]], [&json!(false), &json!(6)]);
    for (limit, expected) in
        [("0", 6), ("-1", 6), ("-9223372036854775808", 6), ("9223372036854775807", 6), ("3", 3)]
    {
        assert_eq!(place.ok(&["K10", "--since", "0", "--limit", limit])["count"], expected, "{limit}");
        assert_eq!(place.ok(&["K10", "--limit", limit])["count"], expected, "{limit}");
    }
    // Reading is no entry.
    assert_eq!(place.count("SELECT count(*) FROM journal"), 6);
}

#[test]
fn filters_choose_and_the_cursor_passes_what_they_left_out() {
    let (place, task) = filled();
    let found = |more: &[&str]| seqs(&place.ok(&[&["K10", "--since", "0"], more].concat()));
    assert_eq!(found(&["--operation", "W1"]), [1, 2, 4]);
    assert_eq!(found(&["--operation", "task-start"]), [1, 2, 4]);
    assert_eq!(found(&["--operation", "g1"]), [5]);
    assert_eq!(found(&["--operation", "R0"]), [0_i64; 0]);
    assert_eq!(found(&["--operation", "Migration"]), [0_i64; 0]);
    assert_eq!(found(&["--task-id", &task]), [2, 3]);
    assert_eq!(found(&["--by-actor", "ann"]), [3]);
    assert_eq!(found(&["--by-session", "s 1"]), [3]);
    assert_eq!(found(&["--by-actor", "ann", "--operation", "W1"]), [0_i64; 0]);
    assert_eq!(found(&["--by-actor", "' OR 1=1 --"]), [0_i64; 0]);
    let page = place.ok(&["K10", "--since", "0", "--operation", "W1", "--limit", "2"]);
    assert_eq!((seqs(&page), page["more"].clone()), (vec![1, 2], json!(true)));
    let page = place.ok(&["K10", "--since", cursor(&page), "--operation", "W1", "--limit", "2"]);
    assert_eq!((seqs(&page), page["more"].clone()), (vec![4], json!(false)));
    assert!(cursor(&page).ends_with(":5"), "all was looked at: {page}");
    assert_eq!(seqs(&place.ok(&["K10", "--operation", "W1", "--limit", "1"])), [4]);
    let denial = place.denied(&["K10", "--operation", "nothing-such"], "DENIED_USAGE", 2);
    assert_eq!(denial["field"], "operation");
}

#[test]
fn a_cursor_of_another_plane_or_beyond_the_end_is_reset() {
    let (place, _) = filled();
    let here = place.ok(&["K10"])["cursor"].as_str().unwrap().to_owned();
    let other = Place::new();
    other.ok(&W1);
    let there = other.ok(&["K10"])["cursor"].as_str().unwrap().to_owned();
    for since in [there.as_str(), "6", &here.replace(":5", ":6"), "9223372036854775807"] {
        let denial = place.denied(&["K10", "--since", since], "DENIED_CURSOR_RESET", 1);
        assert_eq!([&denial["cursor"], &denial["seq"]], [&json!(here), &json!(5)], "{denial}");
        assert!(text(&denial, "example").contains("--since 0"), "{denial}");
        place.ok(&["K10", "--since", text(&denial, "cursor")]);
    }
    for since in ["-1", "x", "1.5", ":", "99999999999999999999", "plane:x", "1 "] {
        let denial = place.denied(&["K10", "--since", since], "DENIED_USAGE", 2);
        assert_eq!(denial["field"], "since", "{denial}");
    }
    assert_eq!(seqs(&place.ok(&["K10", "--since", ""])).len(), 5, "an empty text names no place");
}

#[test]
fn an_entry_with_very_many_rows_and_long_names_stays_readable() {
    let place = Place::new();
    let long = "a".repeat(4096);
    for _ in 0..3 {
        place.ok(&[&W1[..], &["--actor", &long, "--session", &long]].concat());
    }
    let rows: Vec<Value> = (0..50_000).map(|row| json!(["tasks", format!("t_{row}"), null])).collect();
    place.stop();
    place.tamper().execute("UPDATE journal SET rows = $1 WHERE seq = 2", [json!(rows).to_string()]).unwrap();
    place.tamper().execute("UPDATE journal SET rows = 'nonsense' WHERE seq = 3", []).unwrap();
    // Enough of the long ones to pass the largest page.
    place
        .tamper()
        .execute_batch(
            "WITH RECURSIVE n(n) AS (SELECT 4 UNION ALL SELECT n + 1 FROM n WHERE n < 400)
             INSERT INTO journal SELECT n, at, operation, task_id, actor, session, rows, prev_hash, chain_hash
             FROM n, journal WHERE seq = 1;
             UPDATE plane_head SET seq = 400;",
        )
        .unwrap();
    let page = place.ok(&["K10", "--since", "1", "--limit", "2"]);
    assert_eq!(page["entries"][0]["rows"].as_array().unwrap().len(), 10);
    assert_eq!(page["entries"][0]["more_rows"], 49_990);
    assert_eq!(page["entries"][0]["rows"][0], json!({"table": "tasks", "id": "t_0", "deleted": true}));
    assert_eq!(page["entries"][1]["rows"], json!([]));
    let mut since = "0".to_owned();
    let mut seen = Vec::new();
    loop {
        let outcome = place.run(["K10", "--since", &since, "--limit", "1000", "--json"]);
        assert!(outcome.stdout.len() < 2 * 1024 * 1024, "{} bytes", outcome.stdout.len());
        let page: Value = serde_json::from_str(&outcome.stdout).unwrap();
        seen.extend(seqs(&page));
        since = cursor(&page).to_owned();
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(seen, (1..=400).collect::<Vec<_>>());
    let last = seqs(&place.ok(&["K10", "--limit", "1000"]));
    assert!(last.ends_with(&[399, 400]) && last.len() > 50, "{last:?}");
}

/// `kaizenctl K10 --follow` under way.
struct Follower {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Follower {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .args(["K10", "--follow"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output: BufReader<ChildStdout> = BufReader::new(child.stdout.take().unwrap());
        let (line, lines) = mpsc::sync_channel(10_000);
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|text| line.send(text)));
        Follower { child, lines }
    }

    fn json(place: &Place, more: &[&str]) -> Self {
        Follower::start(place.command("kaizenctl").args(more).arg("--json"))
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(10)).expect("a line")
    }

    fn seq(&self) -> i64 {
        serde_json::from_str::<Value>(&self.line()).unwrap()["seq"].as_i64().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().cast_signed()).unwrap(), signal).unwrap();
    }

    /// Waits for its end. Returns its exit status and what it said on standard error.
    fn end(mut self) -> (Option<i32>, String) {
        wait_for("the follower's end", || self.child.try_wait().unwrap().is_some());
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // One that a failed test leaves behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn following_prints_entries_as_they_come_and_ends_cleanly() {
    for signal in [Signal::INT, Signal::TERM] {
        let place = Place::new();
        place.ok(&W1);
        let follower = Follower::json(&place, &["--since", "0"]);
        assert_eq!(follower.seq(), 1);
        for seq in 2..=5 {
            place.ok(&W1);
            assert_eq!(follower.seq(), seq);
        }
        follower.signal(signal);
        assert_eq!(follower.end(), (Some(0), String::new()));
    }
}

#[test]
fn following_starts_at_the_end_or_with_the_last_entries() {
    let (place, _) = filled();
    let last = Follower::json(&place, &["--limit", "2"]);
    assert_eq!([last.seq(), last.seq()], [4, 5]);
    let chosen = Follower::json(&place, &["--since", "0", "--operation", "G1"]);
    assert_eq!(chosen.seq(), 5);
    let people = Follower::start(place.command("kaizenctl").args(["--since", "4"]));
    let line = people.line();
    assert!(line.starts_with("     5  ") && line.contains("G1") && line.contains("by bob"), "{line}");
    // One that starts at the end cannot be seen to have started, so it is written to until it says something.
    let end = Follower::json(&place, &[]);
    let mut first = None;
    wait_for("the one that starts at the end", || {
        place.ok(&W1);
        first = end.lines.try_recv().ok();
        first.is_some()
    });
    let first: Value = serde_json::from_str(&first.unwrap()).unwrap();
    assert!(first["seq"].as_i64().unwrap() > 5, "{first}");
    place.ok(&["G1", "--title", "T", "--summary", "S.", "--body", "B"]);
    assert_eq!(last.seq(), 6);
    assert!(chosen.seq() > 6, "what the filter leaves out is passed over");
    for follower in [last, chosen, people, end] {
        follower.signal(Signal::INT);
        assert_eq!(follower.end(), (Some(0), String::new()));
    }
}

#[test]
fn following_goes_on_over_restarts_and_a_killed_daemon() {
    let place = Place::new();
    place.ok(&W1);
    let follower = Follower::json(&place, &["--since", "0"]);
    assert_eq!(follower.seq(), 1);
    place.stop();
    // The follower starts no daemon; only this write does.
    assert_eq!(place.ok(&["daemon", "status"])["running"], false);
    place.ok(&W1);
    assert_eq!(follower.seq(), 2);
    place.ok(&["daemon", "restart"]);
    place.ok(&W1);
    assert_eq!(follower.seq(), 3);
    let pid = Pid::from_raw(place.daemon_pid().cast_signed()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    place.ok(&W1);
    assert_eq!(follower.seq(), 4);
    // Closing the project alone ends no subscription.
    let other = place.path("other");
    std::fs::create_dir(&other).unwrap();
    place.ok(&["K1", "--project", other.to_str().unwrap()]);
    assert_eq!(place.ok(&["daemon", "stop"])["daemon_ended"], false);
    place.ok(&W1);
    assert_eq!(follower.seq(), 5);
    follower.signal(Signal::INT);
    assert_eq!(follower.end(), (Some(0), String::new()));
    assert_sound(&place);
}

#[test]
fn following_says_when_the_plane_was_replaced() {
    let place = Place::new();
    place.ok(&W1);
    let follower = Follower::json(&place, &["--since", "0"]);
    assert_eq!(follower.seq(), 1);
    std::fs::remove_dir_all(place.root.join("AI")).unwrap();
    place.ok(&W1);
    let (status, said) = follower.end();
    let denial: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((status, &denial["code"]), (Some(1), &json!("DENIED_CURSOR_RESET")), "{denial}");

    let wrong = Follower::json(&place, &["--since", "plane_1:1"]);
    let (status, said) = wrong.end();
    assert!(status == Some(1) && said.contains("DENIED_CURSOR_RESET"), "{said}");
    let wrong = Follower::json(&place, &["--operation", "nothing-such", "--since", "0"]);
    let (status, said) = wrong.end();
    assert!(status == Some(2) && said.contains("DENIED_USAGE"), "{said}");
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_following() {
    let place = Place::new();
    place.ok(&W1);
    let kaizenctl = place.command("kaizenctl");
    let mut shell = Command::new("sh");
    shell.env_clear().envs(kaizenctl.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // The shell ends once both have, although nothing more is ever written.
    let script = r#"{ "$0" K10 --follow --since 0 --json; echo "status $?" >&2; } | head -n 1"#;
    let output = shell.args(["-c", script]).arg(kaizenctl.get_program()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "status 0\n");
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap()["seq"], 1);
}

#[test]
fn only_the_journal_can_be_followed() {
    let place = Place::new();
    for card in families::cards().filter(|card| card.code != "K10" && card.access != Access::Write) {
        let denial = place.denied(&[card.code, "--follow"], "DENIED_USAGE", 2);
        assert!(text(&denial, "message").contains("--follow"), "{denial}");
    }
    // The daemon knows nothing of it.
    let outcome = place.run_with_input(&["K10", "--params", "-", "--json"], br#"{"follow":true}"#);
    outcome.assert_denied("DENIED_USAGE", 2);
}

#[test]
fn a_burst_of_writers_is_followed_in_order_without_gaps() {
    const WRITERS: usize = 8;
    const EACH: usize = 25;
    let place = Place::new();
    place.ok(&W1);
    let follower = Follower::json(&place, &["--since", "0"]);
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| (0..EACH).for_each(|_| drop(place.ok(&W1))));
        }
    });
    let seen: Vec<i64> = (0..=WRITERS * EACH).map(|_| follower.seq()).collect();
    assert_eq!(seen, (1..=i64::try_from(WRITERS * EACH + 1).unwrap()).collect::<Vec<_>>());
    follower.signal(Signal::INT);
    assert_eq!(follower.end(), (Some(0), String::new()));
}
