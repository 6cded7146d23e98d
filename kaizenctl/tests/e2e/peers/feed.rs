//! Subscriptions, calls that are taken back, and peers and daemons that fall silent.

use std::process::Stdio;
use std::time::{Duration, Instant};

use kaizen_proto::feed::MAX_SUBSCRIPTIONS;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{Peer, assert_unhurt, frame, request, resident, started, tasks};
use crate::checks::{assert_sound, hello, task};
use crate::context::{Place, wait_for};

fn subscribe(peer: &mut Peer, id: u64, params: &Value) -> Value {
    peer.line(&request(id, "journal.subscribe", params));
    let reply = peer.reply();
    assert_eq!(reply["id"], id, "{reply}");
    reply["result"].clone()
}

fn write(place: &Place, title: &str) {
    place.ok(&["W1", "--title", title, "--summary", "S."]);
}

fn changed(subscription: &Value, cursor: &str) -> Value {
    json!({"jsonrpc": "2.0", "method": "journal.changed",
        "params": {"subscription": subscription, "cursor": cursor}})
}

#[test]
fn a_subscription_says_that_there_is_more_in_both_framings() {
    let place = started();
    let mut lines = Peer::greeted(&place);
    let reply = subscribe(&mut lines, 1, &json!({}));
    assert_eq!(reply["seq"], 0, "{reply}");
    let plane_id = reply["plane_id"].as_str().unwrap();
    assert_eq!(reply["cursor"], format!("{plane_id}:0"));

    let mut headers = Peer::new(&place);
    headers.send(&frame(&request(1, "hello", &json!(hello(&place)))));
    headers.send(&frame(&request(2, "journal.subscribe", &json!({}))));
    assert_eq!(headers.framed_reply()["id"], 1);
    let framed = headers.framed_reply()["result"]["subscription"].clone();

    for seq in 1..=3 {
        write(&place, "Told");
        let cursor = format!("{plane_id}:{seq}");
        assert_eq!(lines.reply(), changed(&reply["subscription"], &cursor));
        assert_eq!(headers.framed_reply(), changed(&framed, &cursor));
    }
    // Reading changes nothing, and a denied write neither: the next message is the reply.
    lines.line(&request(2, "session.digest", &json!({})));
    assert_eq!(lines.reply()["id"], 2);
    lines.line(&request(3, "task.start", &json!({"title": "No summary"})));
    assert_eq!(lines.reply()["id"], 3);
    lines.line(&request(4, "journal.read", &json!({"since": format!("{plane_id}:1")})));
    let page = lines.reply()["result"].clone();
    assert_eq!([&page["count"], &page["cursor"]], [&json!(2), &json!(format!("{plane_id}:3"))]);
}

#[test]
fn a_subscription_from_a_cursor_tells_what_was_missed() {
    let place = started();
    write(&place, "Before");
    write(&place, "Before");
    let mut peer = Peer::greeted(&place);
    let end = subscribe(&mut peer, 1, &json!({}));
    let plane_id = end["plane_id"].as_str().unwrap().to_owned();
    let late = subscribe(&mut peer, 2, &json!({"cursor": format!("{plane_id}:1")}));
    assert_eq!(peer.reply(), changed(&late["subscription"], &format!("{plane_id}:2")));
    let level = subscribe(&mut peer, 3, &json!({"cursor": format!("{plane_id}:2")}));
    assert_eq!(level["cursor"], end["cursor"], "and nothing is said to the one that stands at the end");
    for (params, code) in [
        (json!({"cursor": format!("{plane_id}:3")}), "DENIED_CURSOR_RESET"),
        (json!({"cursor": "plane_0:1"}), "DENIED_CURSOR_RESET"),
        (json!({"cursor": "3"}), "DENIED_CURSOR_RESET"),
        (json!({"cursor": "x"}), "DENIED_USAGE"),
        (json!({"cursor": 1}), "DENIED_USAGE"),
        (json!({"other": 1}), "DENIED_USAGE"),
    ] {
        peer.line(&request(9, "journal.subscribe", &params));
        let reply = peer.reply();
        assert_eq!(reply["error"]["data"]["code"], code, "{params}: {reply}");
    }
    let mut stranger = Peer::new(&place);
    stranger.line(&request(1, "journal.subscribe", &json!({})));
    assert_eq!(stranger.reply()["error"]["data"]["code"], "DENIED_HELLO_REQUIRED");
}

#[test]
fn subscriptions_are_limited_also_in_one_breath_and_end_on_demand() {
    let place = started();
    let mut peer = Peer::greeted(&place);
    let many: Vec<Value> = (0..20).map(|id| request(id, "journal.subscribe", &json!({}))).collect();
    peer.line(&json!(many));
    let replies = peer.reply();
    let replies = replies.as_array().unwrap();
    let numbers: Vec<&Value> = replies
        .iter()
        .map(|reply| &reply["result"]["subscription"])
        .filter(|number| number.is_u64())
        .collect();
    assert_eq!(numbers.len(), MAX_SUBSCRIPTIONS, "{replies:?}");
    let refused = replies.iter().find(|reply| reply["error"].is_object()).unwrap();
    assert_eq!(refused["error"]["data"]["limit"], MAX_SUBSCRIPTIONS, "{refused}");

    for (number, ended) in [(numbers[0], true), (numbers[0], false), (&json!(999), false)] {
        peer.line(&request(30, "journal.unsubscribe", &json!({"subscription": number})));
        assert_eq!(peer.reply()["result"], json!({"status": "OK", "ended": ended}));
    }
    peer.line(&request(31, "journal.unsubscribe", &json!({})));
    assert_eq!(peer.reply()["error"]["data"]["code"], "DENIED_USAGE");
    // Its place is free again; one that was asked for without an id is given to nobody.
    for _ in 0..3 {
        peer.line(&json!({"jsonrpc": "2.0", "method": "journal.subscribe", "params": {}}));
    }
    let last = subscribe(&mut peer, 32, &json!({}))["subscription"].clone();
    write(&place, "Told");
    let mut told: Vec<u64> =
        (0..MAX_SUBSCRIPTIONS).map(|_| peer.reply()["params"]["subscription"].as_u64().unwrap()).collect();
    told.sort_unstable();
    let mut expected: Vec<u64> =
        numbers[1..].iter().copied().chain([&last]).map(|number| number.as_u64().unwrap()).collect();
    expected.sort_unstable();
    assert_eq!(told, expected);
    // Another connection has its own.
    subscribe(&mut Peer::greeted(&place), 1, &json!({}));
}

#[test]
fn a_subscriber_that_does_not_read_loses_nothing_and_costs_nothing() {
    const WRITES: u64 = 300;
    let place = started();
    let pid = place.daemon_pid();
    let mut slow = Peer::greeted(&place);
    let reply = subscribe(&mut slow, 1, &json!({}));
    let plane_id = reply["plane_id"].as_str().unwrap();
    let before = resident(pid);
    let mut writer = Peer::greeted(&place);
    for number in 0..WRITES {
        writer.line(&request(number, "task.start", &task("Written", &format!("w-{number}"))));
        if number % 30 == 29 {
            (0..30).for_each(|_| drop(writer.reply()));
        }
    }
    assert!(resident(pid) < before + super::GROWTH);
    let mut told = 0;
    loop {
        let notification = slow.reply();
        told += 1;
        let cursor = notification["params"]["cursor"].as_str().unwrap().to_owned();
        if cursor == format!("{plane_id}:{WRITES}") {
            break;
        }
    }
    assert!(told <= WRITES, "{told} notifications for {WRITES} writes");
    slow.line(&request(2, "journal.read", &json!({"since": reply["cursor"], "limit": 1000})));
    assert_eq!(slow.reply()["result"]["count"], WRITES, "and then there is silence");
    assert_unhurt(&place, pid);
}

#[test]
fn a_subscription_rests_while_its_project_is_closed() {
    let place = started();
    let other = place.path("other");
    std::fs::create_dir(&other).unwrap();
    place.ok(&["K1", "--project", other.to_str().unwrap()]);
    let mut peer = Peer::greeted(&place);
    let reply = subscribe(&mut peer, 1, &json!({}));
    let plane_id = reply["plane_id"].as_str().unwrap();
    // Nothing holds the plane: it closes at once.
    assert_eq!(place.ok(&["daemon", "stop"])["project_closed"], true);
    peer.line(&request(2, "status", &json!({})));
    let status = peer.reply();
    assert_eq!(status["result"]["projects"].as_array().unwrap().len(), 1, "{status}");
    write(&place, "Told");
    assert_eq!(peer.reply(), changed(&reply["subscription"], &format!("{plane_id}:1")));
    // Another plane in its place.
    std::fs::remove_dir_all(place.root.join("AI")).unwrap();
    write(&place, "New");
    let told = peer.reply();
    assert_eq!(
        [&told["params"]["reset"], &told["params"]["subscription"]],
        [&json!(true), &reply["subscription"]]
    );
    let cursor = told["params"]["cursor"].as_str().unwrap().to_owned();
    assert!(!cursor.starts_with(plane_id), "{told}");
    peer.line(&request(3, "journal.read", &json!({"since": reply["cursor"]})));
    let mut denial = peer.reply();
    while denial["id"] != 3 {
        // The write came after the plane was opened.
        denial = peer.reply();
    }
    assert_eq!(denial["error"]["data"]["code"], "DENIED_CURSOR_RESET", "{denial}");
}

#[test]
fn a_subscription_keeps_no_daemon_alive_and_ends_with_it() {
    let place = Place::new();
    let mut command = place.command("kaizenctl");
    let output = command.args(["K1", "--json"]).env("KAIZEN_IDLE_EXIT", "1").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut peer = Peer::greeted(&place);
    subscribe(&mut peer, 1, &json!({}));
    peer.assert_closed();
    place.ok(&["K1"]);
    let mut peer = Peer::greeted(&place);
    subscribe(&mut peer, 1, &json!({}));
    place.stop();
    peer.assert_closed();
    assert_sound(&place);
}

#[test]
fn a_call_that_is_taken_back_is_answered_as_such() {
    let place = started();
    write(&place, "Other");
    let cancel = |id: &Value| json!({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": id}});
    for framed in [false, true] {
        for id in [json!(7), json!("seven"), Value::Null] {
            let mut peer = Peer::new(&place);
            let read = json!({"jsonrpc": "2.0", "id": id, "method": "session.digest"});
            let messages = [request(1, "hello", &json!(hello(&place))), read, cancel(&id)];
            // In one piece: the call is taken back before it has begun to be carried out.
            let bytes: Vec<u8> = if framed {
                messages.iter().flat_map(frame).collect()
            } else {
                messages.iter().flat_map(|message| format!("{message}\n").into_bytes()).collect()
            };
            peer.send(&bytes);
            let mut reply = || if framed { peer.framed_reply() } else { peer.reply() };
            let mut replies = [reply(), reply()];
            replies.sort_by_key(|reply| reply["id"] == id);
            let error = &replies[1]["error"];
            assert_eq!([&replies[1]["id"], &error["code"]], [&id, &json!(-32800)], "{replies:?}");
            assert_eq!(error["data"]["code"], "DENIED_CANCELLED");
            assert_eq!(error["data"]["exit_code"], 130);
            assert_eq!(error["data"].get("retryable"), None);
        }
    }

    // A write that was asked for is carried out, and answered.
    let mut peer = Peer::greeted(&place);
    let text = format!("{}\n{}\n", request(1, "task.start", &task("Kept", "kept")), cancel(&json!(1)));
    peer.send(text.as_bytes());
    assert_eq!(peer.reply()["result"]["status"], "OK");
    assert_eq!(tasks(&place), 1);
    // Calls that are answered, never were, or cannot be meant are nobody's business.
    for id in [json!(1), json!(99), json!("x"), json!(1.5), json!({}), json!([1])] {
        peer.line(&cancel(&id));
    }
    peer.line(&json!({"jsonrpc": "2.0", "method": "$/cancelRequest"}));
    peer.line(&json!({"jsonrpc": "2.0", "method": "$/setTrace", "params": {"value": "off"}}));
    peer.line(&json!([request(2, "session.digest", &json!({})), cancel(&json!(2))]));
    let batch = peer.reply();
    assert_eq!(batch[0]["error"]["code"], -32800, "{batch}");
    peer.line(&request(3, "$/cancelRequest", &json!({"id": 1})));
    assert_eq!(peer.reply(), json!({"jsonrpc": "2.0", "id": 3, "result": null}));
    peer.line(&request(4, "session.digest", &json!({})));
    assert_eq!(peer.reply()["result"]["status"], "OK");
}

#[test]
fn a_request_with_the_id_null_is_answered() {
    let place = started();
    let mut peer = Peer::greeted(&place);
    let asked = |method: &str, params: Value| json!({"jsonrpc": "2.0", "id": null, "method": method, "params": params});
    peer.line(&asked("task.start", task("Null", "null")));
    let reply = peer.reply();
    assert_eq!((reply.get("id"), &reply["result"]["status"]), (Some(&Value::Null), &json!("OK")), "{reply}");
    peer.line(&asked("task.start", json!({})));
    let reply = peer.reply();
    assert_eq!(reply.get("id"), Some(&Value::Null));
    assert_eq!(reply["error"]["data"]["code"], "DENIED_TITLE_REQUIRED", "{reply}");
    peer.line(&json!([asked("status", json!({})), {"jsonrpc": "2.0", "method": "status"}]));
    let batch = peer.reply();
    assert_eq!(batch.as_array().unwrap().len(), 1, "{batch}");
    assert_eq!(batch[0]["id"], Value::Null);
    // Ids that are none.
    for id in [json!(1.5), json!(-1), json!({}), json!([1]), json!(true)] {
        peer.line(&json!({"jsonrpc": "2.0", "id": id, "method": "status"}));
        let error = peer.reply();
        assert_eq!([&error["error"]["code"], &error["id"]], [&json!(-32600), &Value::Null], "{id}");
    }
}

#[test]
fn a_peer_that_never_reads_is_dropped_in_the_end() {
    let place = Place::new();
    let mut command = place.command("kaizenctl");
    let output = command.args(["K1", "--json"]).env("KAIZEN_PEER_TIMEOUT", "1").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let pid = place.daemon_pid();
    let mut peer = Peer::greeted(&place);
    peer.stream.get_ref().set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let call = format!("{}\n", request(1, "session.digest", &json!({})));
    let sent =
        (0..20_000).position(|_| std::io::Write::write_all(peer.stream.get_mut(), call.as_bytes()).is_err());
    assert!(sent.is_some(), "20,000 calls were taken from a peer that reads no reply");
    wait_for("the peer to be dropped", || place.ok(&["daemon", "status"])["connections"] == 1);
    // One that reads, however slowly it is spoken to, is not.
    let mut reader = Peer::greeted(&place);
    let waited = Instant::now();
    wait_for("more than the time that a silent peer has", || waited.elapsed() > Duration::from_millis(1300));
    reader.line(&request(1, "status", &json!({})));
    assert_eq!(reader.reply()["result"]["pid"], pid);
    assert_unhurt(&place, pid);
}

#[test]
fn a_daemon_that_says_nothing_is_given_up_and_the_call_can_be_repeated() {
    let place = started();
    let pid = Pid::from_raw(place.daemon_pid().cast_signed()).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = place.command("kaizenctl");
        let command = command.args(arguments).arg("--json").env("KAIZEN_TIMEOUT", "1").stdin(Stdio::null());
        command.output().unwrap()
    };
    kill_process(pid, Signal::STOP).unwrap();
    let began = Instant::now();
    let write = ["W1", "--title", "Late", "--summary", "S."];
    let outputs = [run(&write), run(&["R0"]), run(&["daemon", "status"])];
    let took = began.elapsed();
    kill_process(pid, Signal::CONT).unwrap();
    for output in &outputs {
        assert_eq!(output.status.code(), Some(75), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let denial: Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(denial["code"], "DENIED_TIMEOUT", "{denial}");
        assert_eq!([&denial["retryable"], &denial["seconds"]], [&json!(true), &json!(1)], "{denial}");
    }
    assert!(took < Duration::from_secs(12), "{took:?}");
    // The call had reached the daemon's socket; the key that the denial names keeps it from happening twice.
    let denial: Value = serde_json::from_slice(&outputs[0].stderr).unwrap();
    let key = denial["key"].as_str().unwrap();
    assert!(denial["required_action"].as_str().unwrap().contains(key), "{denial}");
    let again = place.ok(&[&write[..], &["--key", key]].concat());
    assert_eq!(again["seq"], 1);
    wait_for("the first call to be carried out too", || place.count("SELECT count(*) FROM journal") == 1);
    assert_eq!(place.ok(&[&write[..], &["--key", key]].concat()), again);
    assert_sound(&place);
}

#[test]
fn a_daemon_that_is_busy_with_the_call_is_waited_for() {
    let place = started();
    // A writer that another program keeps waiting for longer than the client is patient.
    let hand = place.tamper();
    hand.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut command = place.command("kaizenctl");
    command.args(["W1", "--title", "T", "--summary", "S.", "--json"]).env("KAIZEN_TIMEOUT", "1");
    let began = Instant::now();
    let output = command.stdin(Stdio::null()).output().unwrap();
    let denial: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(denial["code"], "DENIED_DATABASE_LOCKED", "the daemon's own answer: {denial}");
    assert!(began.elapsed() > Duration::from_secs(3), "{:?}", began.elapsed());
}
