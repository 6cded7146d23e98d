//! Denials that say "not now": a full queue, and a daemon on its way out. What was taken before is carried out.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::context::{Place, wait_for};

/// A connection to the daemon that has said hello.
struct Peer {
    stream: BufReader<UnixStream>,
}

impl Peer {
    fn new(place: &Place) -> Self {
        let stream = UnixStream::connect(place.runtime().join("kaizend.sock")).unwrap();
        let mut peer = Peer { stream: BufReader::new(stream) };
        let hello = json!({"protocol": 1, "client": "test", "version": "0", "project_root": place.root});
        peer.send(0, "hello", &hello);
        assert!(peer.receive()["result"].is_object());
        peer
    }

    fn send(&mut self, id: usize, method: &str, params: &Value) {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.stream.get_mut().write_all(format!("{message}\n").as_bytes()).unwrap();
    }

    fn write(&mut self, id: usize) {
        self.send(id, "task.start", &json!({"title": "T", "summary": "S."}));
    }

    fn receive(&mut self) -> Value {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

fn project_status(place: &Place) -> Value {
    place.ok(&["daemon", "status"])["projects"][0].clone()
}

#[test]
fn a_full_queue_is_busy_and_loses_nothing() {
    const PEERS: usize = 160;
    const CALLS: usize = 32;
    const QUEUE: usize = 4096;
    let place = Place::new();
    place.ok(&["K1"]);
    let other = place.tamper();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut peers: Vec<Peer> = (0..PEERS).map(|_| Peer::new(&place)).collect();
    for peer in &mut peers {
        (1..=CALLS).for_each(|id| peer.write(id));
    }
    wait_for("a full queue", || project_status(&place)["queue_depth"] == QUEUE);
    other.execute_batch("ROLLBACK").unwrap();
    let (mut done, mut busy) = (0, 0);
    for peer in &mut peers {
        for _ in 0..CALLS {
            let reply = peer.receive();
            let denial = &reply["error"]["data"];
            if reply["result"]["status"] == "OK" {
                done += 1;
            } else {
                assert_eq!(
                    [&denial["code"], &denial["retryable"], &denial["exit_code"]],
                    [&json!("DENIED_BUSY"), &json!(true), &json!(75)]
                );
                busy += 1;
            }
        }
    }
    assert!(done >= QUEUE && busy > 0, "{done} done, {busy} busy");
    assert_eq!(place.count("SELECT count(*) FROM tasks"), i64::try_from(done).unwrap());
    assert_eq!(project_status(&place)["queue_depth"], 0);
}

#[test]
fn a_draining_daemon_finishes_what_it_has_and_takes_nothing_new() {
    let place = Place::new();
    place.ok(&["K1"]);
    let (mut busy, mut late) = (Peer::new(&place), Peer::new(&place));
    let other = place.tamper();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // One write waits behind another that the writer has: both were taken.
    let mut sent = 0;
    wait_for("a write that waits", || {
        sent += 1;
        busy.write(sent);
        // One alone is in the queue too, for as long as the writer has not woken up.
        project_status(&place)["queue_depth"] != 0 && sent >= 2
    });
    let mut stop = place.command("kaizenctl");
    let mut stop = stop.args(["daemon", "stop", "--all"]).stdout(Stdio::null()).spawn().unwrap();
    wait_for("the drain", || {
        late.send(1, "status", &json!({}));
        late.receive()["result"]["draining"] == true
    });
    late.write(2);
    let reply = late.receive();
    let denial = &reply["error"]["data"];
    assert_eq!(
        [&denial["code"], &denial["retryable"], &denial["exit_code"]],
        [&json!("DENIED_DRAINING"), &json!(true), &json!(75)]
    );
    assert!(stop.try_wait().unwrap().is_none(), "stop must wait for the write");
    other.execute_batch("ROLLBACK").unwrap();
    let replies: Vec<Value> = (0..sent).map(|_| busy.receive()).collect();
    let done = replies.iter().filter(|reply| reply["result"]["status"] == "OK").count();
    let refused = replies.iter().filter(|reply| reply["error"]["data"]["code"] == "DENIED_DRAINING").count();
    assert!(done >= 2 && done + refused == sent, "{replies:?}");
    assert!(stop.wait().unwrap().success());
    assert_eq!(place.count("SELECT count(*) FROM tasks"), i64::try_from(done).unwrap());
    // The next call finds a new daemon.
    place.ok(&["W1", "--title", "T", "--summary", "S."]);
    assert_eq!(place.count("SELECT count(*) FROM tasks"), i64::try_from(done + 1).unwrap());
}
