//! Hostile and broken peers: what comes over the socket is trusted for nothing, and hurts nobody else.

mod feed;

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::checks::{assert_sound, call, connect, hello, socket, task};
use crate::context::{Place, wait_for};

/// How much the daemon may grow for peers that misbehave, in KiB.
const GROWTH: u64 = 50 * 1024;

/// A bare connection.
struct Peer {
    stream: BufReader<UnixStream>,
}

impl Peer {
    fn new(place: &Place) -> Self {
        let stream = UnixStream::connect(socket(place)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
        Peer { stream: BufReader::new(stream) }
    }

    /// One that has said hello in lines.
    fn greeted(place: &Place) -> Self {
        let mut peer = Peer::new(place);
        peer.line(&request(0, "hello", &json!(hello(place))));
        assert_eq!(peer.reply()["result"]["protocol"], 1);
        peer
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    fn line(&mut self, message: &Value) {
        self.send(format!("{message}\n").as_bytes());
    }

    fn reply(&mut self) -> Value {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// A reply in `Content-Length` framing.
    fn framed_reply(&mut self) -> Value {
        let mut length = None;
        loop {
            let mut header = String::new();
            self.stream.read_line(&mut header).unwrap();
            match header.trim_end().split_once(": ") {
                Some(("Content-Length", value)) => length = Some(value.parse().unwrap()),
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length.unwrap()];
        self.stream.read_exact(&mut body).unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    /// The daemon must close now, without another byte.
    fn assert_closed(&mut self) {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => {}
            // What it did not read any more turns its close into a reset.
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
        }
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }
}

fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn frame(message: &Value) -> Vec<u8> {
    let body = message.to_string();
    format!("Content-Length: {}\r\nContent-Type: application/vscode-jsonrpc\r\n\r\n{body}", body.len()).into()
}

fn started() -> Place {
    let place = Place::new();
    place.ok(&["K1"]);
    place
}

/// The daemon is alive, and the same one, and serves others.
fn assert_unhurt(place: &Place, pid: u32) {
    let started = Instant::now();
    place.ok(&["W1", "--title", "Other", "--summary", "Somebody else's."]);
    assert!(started.elapsed() < Duration::from_secs(2), "others wait {:?}", started.elapsed());
    assert_eq!(place.daemon_pid(), pid);
}

/// Resident memory of a process in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn tasks(place: &Place) -> i64 {
    place.count("SELECT count(*) FROM tasks WHERE title <> 'Other'")
}

#[test]
fn frames_may_come_byte_by_byte_in_both_framings() {
    let place = started();
    let mut lines = Peer::new(&place);
    let text = format!(
        "\r\n  {}\r\n\n{}\n",
        request(1, "hello", &json!(hello(&place))),
        request(2, "task.start", &task("Lines ü", "lines"))
    );
    for byte in text.as_bytes() {
        lines.send(&[*byte]);
    }
    assert_eq!(lines.reply()["id"], 1);
    assert_eq!(lines.reply()["result"]["status"], "OK");

    let mut headers = Peer::new(&place);
    let mut bytes = frame(&request(1, "hello", &json!(hello(&place))));
    bytes.extend(frame(&request(2, "task.start", &task("Headers ü", "headers"))));
    for byte in bytes {
        headers.send(&[byte]);
    }
    assert_eq!(headers.framed_reply()["id"], 1);
    assert_eq!(headers.framed_reply()["result"]["status"], "OK");
    assert_eq!(tasks(&place), 2);
}

#[test]
fn half_a_frame_is_not_a_call() {
    let place = started();
    let pid = place.daemon_pid();
    for cut in [1, 40, 90] {
        let text = request(1, "task.start", &task("Half", &format!("half-{cut}"))).to_string();
        let mut lines = Peer::greeted(&place);
        lines.send(&text.as_bytes()[..cut]);
        drop(lines);
        let mut headers = Peer::new(&place);
        headers.send(&frame(&request(0, "hello", &json!(hello(&place)))));
        assert_eq!(headers.framed_reply()["id"], 0);
        let bytes = frame(&request(1, "task.start", &task("Half", &format!("half-{cut}"))));
        headers.send(&bytes[..bytes.len() - cut]);
        // One that goes away, and one that closes only its sending half.
        headers.stream.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
        headers.assert_closed();
    }
    assert_unhurt(&place, pid);
    assert_eq!(tasks(&place), 0);
}

#[test]
fn a_line_of_ten_megabytes_gets_one_error_and_the_connection_closes() {
    let place = started();
    let pid = place.daemon_pid();
    let before = resident(pid);
    let mut peer = Peer::greeted(&place);
    let writer = peer.stream.get_ref().try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        let chunk = vec![b'x'; 1024 * 1024];
        let mut writer = writer;
        // The daemon stops reading somewhere in the middle.
        let _ = writer.write_all(b"{\"").and_then(|()| (0..10).try_for_each(|_| writer.write_all(&chunk)));
    });
    let error = peer.reply();
    assert_eq!(error["error"]["code"], -32600, "{error}");
    assert_eq!(error["error"]["data"]["code"], "DENIED_FRAME_TOO_LARGE");
    assert_eq!(error["id"], Value::Null);
    peer.assert_closed();
    sending.join().unwrap();
    assert_unhurt(&place, pid);
    wait_for("the memory to be given back", || resident(pid) <= before + GROWTH);
}

#[test]
fn broken_framing_gets_one_error_and_the_connection_closes() {
    let place = started();
    let pid = place.daemon_pid();
    let long_header = format!("Content-Length: 2\r\nX: {}\r\n\r\n{{}}", "y".repeat(5000));
    let cases: [(&[u8], bool, &str); 6] = [
        (b"GET / HTTP/1.1\r\n\r\n", false, "DENIED_USAGE"),
        (b"\x16\x03\x01\x02\x00", false, "DENIED_USAGE"),
        (long_header.as_bytes(), true, "DENIED_FRAME_TOO_LARGE"),
        (b"Content-Length: 99999999999999\r\n\r\n", true, "DENIED_FRAME_TOO_LARGE"),
        (b"Content-Length: -1\r\n\r\n", true, "DENIED_USAGE"),
        (b"Content-Type: x\r\n\r\n{}", true, "DENIED_USAGE"),
    ];
    for (bytes, framed, code) in cases {
        let mut peer = Peer::new(&place);
        peer.send(bytes);
        let error = if framed { peer.framed_reply() } else { peer.reply() };
        assert_eq!(error["error"]["data"]["code"], code, "{error}");
        assert_eq!(error["error"]["code"], -32600);
        peer.assert_closed();
    }
    assert_unhurt(&place, pid);
}

#[test]
fn broken_json_gets_an_error_and_the_connection_goes_on() {
    let place = started();
    let pid = place.daemon_pid();
    let mut peer = Peer::greeted(&place);
    let deep = "[".repeat(100_000);
    let deep_parameters =
        format!("{{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"task.start\",\"params\":{{\"title\":{deep}");
    let closed = format!("{deep_parameters}{}}}}}", "]".repeat(100_000));
    let cases: [(&[u8], i64); 8] = [
        (b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"status\"", -32700),
        (b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"stat\xff\xfe\"}", -32700),
        (b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"status\"} {}", -32700),
        (deep.as_bytes(), -32700),
        (deep_parameters.as_bytes(), -32700),
        (closed.as_bytes(), -32602),
        (b"{\"jsonrpc\": \"1.0\", \"id\": 1, \"method\": \"status\"}", -32600),
        (b"{\"id\": 1}", -32600),
    ];
    for (bytes, code) in cases {
        peer.send(bytes);
        peer.send(b"\n");
        let error = peer.reply();
        let shown = format!("{:.300}", error.to_string());
        assert_eq!(error["error"]["code"], code, "{shown}");
        assert_eq!(error["error"]["data"]["status"], "DENIED", "{shown}");
    }
    // Lone surrogates and NUL are texts that cannot be stored.
    for title in ["\\ud800", "nul\\u0000"] {
        peer.send(
            format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"task.start\",\
                 \"params\":{{\"title\":\"{title}\",\"summary\":\"S.\"}}}}\n"
            )
            .as_bytes(),
        );
        let error = peer.reply();
        assert_eq!(error["error"]["data"]["status"], "DENIED", "{title}: {error}");
    }
    peer.line(&request(9, "status", &json!({})));
    assert_eq!(peer.reply()["result"]["pid"], pid, "the same connection still works");
    assert_eq!(tasks(&place), 0);
    assert_unhurt(&place, pid);
}

#[test]
fn batches_are_answered_together_and_bounded() {
    let place = started();
    let mut peer = Peer::greeted(&place);
    let notification = json!({"jsonrpc": "2.0", "method": "task.start", "params": task("Told", "told")});
    peer.line(&json!([
        request(1, "task.start", &task("First", "first")),
        request(2, "task.start", &json!({"title": "No summary"})),
        notification,
        "nonsense",
        request(3, "no.such.method", &json!({})),
    ]));
    let replies = peer.reply();
    let of = |id: u64| replies.as_array().unwrap().iter().find(|reply| reply["id"] == id).unwrap();
    assert_eq!(replies.as_array().unwrap().len(), 4, "{replies}");
    assert_eq!(of(1)["result"]["status"], "OK");
    assert_eq!(of(2)["error"]["data"]["code"], "DENIED_SUMMARY_REQUIRED");
    assert_eq!(of(3)["error"]["code"], -32601);
    assert!(replies.as_array().unwrap().iter().any(|reply| reply["id"].is_null()), "{replies}");
    assert_eq!(tasks(&place), 2, "the batch is answered when all of it is done");

    for (batch, count) in
        [("[]".to_owned(), 0), (json!(vec![request(1, "status", &json!({})); 65]).to_string(), 65)]
    {
        peer.send(format!("{batch}\n").as_bytes());
        let error = peer.reply();
        assert_eq!(error["error"]["code"], -32600, "{count}");
        assert_eq!(error["id"], Value::Null);
    }
    peer.line(&json!(vec![request(1, "status", &json!({})); 64]));
    assert_eq!(peer.reply().as_array().unwrap().len(), 64);
    // Nothing but notifications: no reply at all, so the next one is the next call's.
    peer.line(
        &json!([{"jsonrpc": "2.0", "method": "status"}, {"jsonrpc": "2.0", "method": "no.such.method"}]),
    );
    peer.line(&json!({"jsonrpc": "2.0", "method": "task.start", "params": {}}));
    peer.line(&json!({"jsonrpc": "2.0", "method": "task.start", "params": task("Silent", "silent")}));
    peer.line(&request(77, "status", &json!({})));
    assert_eq!(peer.reply()["id"], 77);
    wait_for("the notification to be carried out", || tasks(&place) == 3);
}

#[test]
fn the_first_message_must_be_a_hello_that_fits() {
    let place = started();
    let mut peer = Peer::new(&place);
    let write = request(1, "task.start", &task("Early", "early"));
    peer.line(&write);
    let error = peer.reply();
    assert_eq!(error["error"]["data"]["code"], "DENIED_HELLO_REQUIRED", "{error}");

    let mut other = json!(hello(&place));
    other["protocol"] = 99.into();
    peer.line(&request(2, "hello", &other));
    let error = peer.reply();
    assert_eq!(error["error"]["data"]["code"], "DENIED_PROTOCOL", "{error}");
    assert_eq!(error["error"]["data"]["expected_protocol"], 1);
    peer.line(&write);
    assert_eq!(peer.reply()["error"]["data"]["code"], "DENIED_PROTOCOL", "the calls that follow say so too");
    peer.line(&request(3, "status", &json!({})));
    assert_eq!(peer.reply()["result"]["protocol"], 1, "status works across protocols");
    assert_eq!(tasks(&place), 0);

    peer.line(&request(4, "hello", &json!(hello(&place))));
    assert_eq!(peer.reply()["result"]["protocol"], 1);
    peer.line(&request(5, "no.such.method", &json!({})));
    let error = peer.reply();
    assert_eq!(error["error"]["code"], -32601);
    assert_eq!(error["error"]["data"]["status"], "DENIED", "{error}");
    peer.line(&write);
    assert_eq!(peer.reply()["result"]["status"], "OK");
}

#[test]
fn replies_carry_the_ids_of_their_pipelined_calls() {
    let place = started();
    let mut peer = Peer::greeted(&place);
    let mut text = String::new();
    for number in 1..=200_u64 {
        let call = match number % 4 {
            0 => request(number, "task.start", &task("Piped", &format!("pipe-{number}"))),
            1 => request(number, "session.digest", &json!({})),
            2 => request(number, "task.start", &json!({})),
            _ => json!({"jsonrpc": "2.0", "id": format!("text-{number}"), "method": "status"}),
        };
        text += &format!("{call}\n");
    }
    peer.send(text.as_bytes());
    let mut ids = Vec::new();
    for _ in 1..=200 {
        let reply = peer.reply();
        let number = reply["id"].as_u64();
        match number.map(|number| number % 4) {
            Some(0) => assert_eq!(reply["result"]["status"], "OK", "{reply}"),
            Some(1) => assert!(reply["result"]["counts"].is_object(), "{reply}"),
            Some(2) => assert_eq!(reply["error"]["data"]["status"], "DENIED", "{reply}"),
            _ => assert!(reply["result"]["pid"].is_u64(), "{reply}"),
        }
        let text = reply["id"].as_str().and_then(|id| id.strip_prefix("text-")?.parse().ok());
        ids.push(number.or(text).unwrap());
    }
    ids.sort_unstable();
    assert_eq!(ids, (1..=200).collect::<Vec<_>>());
    assert_eq!(tasks(&place), 50);
}

#[test]
fn a_peer_that_never_reads_is_held_back_and_hurts_nobody() {
    let place = started();
    let pid = place.daemon_pid();
    for number in 0..20 {
        place.ok(&["W1", "--title", &format!("Filler {number}"), "--summary", &"word ".repeat(60)]);
    }
    let before = resident(pid);
    let mut peers: Vec<Peer> = (0..8).map(|_| Peer::greeted(&place)).collect();
    for peer in &mut peers {
        peer.stream.get_ref().set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        let call = format!("{}\n", request(1, "session.digest", &json!({})));
        let sent = (0..20_000).position(|_| peer.stream.get_mut().write_all(call.as_bytes()).is_err());
        assert!(sent.is_some(), "20,000 calls were taken from a peer that reads no reply");
    }
    assert_unhurt(&place, pid);
    let growth = resident(pid).saturating_sub(before);
    assert!(growth <= GROWTH, "the daemon grew by {growth} KiB");
    drop(peers);
    assert_unhurt(&place, pid);
}

#[test]
fn a_thousand_idle_connections_cost_little_and_hurt_nobody() {
    let (soft, hard) = limits();
    assert!(hard.is_none_or(|hard| hard >= 1500), "this test needs 1,500 file descriptors");
    let place = Place::new();
    // A daemon that was started from an ordinary shell, whose limit is lower than the daemon's needs.
    let kaizenctl = place.command("kaizenctl");
    let mut shell = std::process::Command::new("sh");
    shell.env_clear().envs(kaizenctl.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let script = "ulimit -S -n 256 && exec \"$0\" K1";
    let output = shell.args(["-c", script]).arg(kaizenctl.get_program()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    raise(soft, hard);
    let pid = place.daemon_pid();
    assert_unhurt(&place, pid);
    let before = resident(pid);
    let mut peers: Vec<Peer> = (0..1000).map(|_| Peer::new(&place)).collect();
    for peer in peers.iter_mut().step_by(10) {
        peer.line(&request(0, "hello", &json!(hello(&place))));
        assert_eq!(peer.reply()["result"]["protocol"], 1);
    }
    wait_for("all connections to be accepted", || {
        place.ok(&["daemon", "status"])["connections"].as_u64().is_some_and(|count| count >= 1000)
    });
    assert_unhurt(&place, pid);
    let growth = resident(pid).saturating_sub(before);
    assert!(growth <= GROWTH, "the daemon grew by {growth} KiB");
    let last = peers.last_mut().unwrap();
    last.line(&request(1, "status", &json!({})));
    assert_eq!(last.reply()["result"]["pid"], pid);
    drop(peers);
    wait_for("the connections to be let go", || {
        place.ok(&["daemon", "status"])["connections"].as_u64().is_some_and(|count| count < 10)
    });
}

fn limits() -> (Option<u64>, Option<u64>) {
    let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    (limits.current, limits.maximum)
}

/// This process holds the other ends.
fn raise(soft: Option<u64>, hard: Option<u64>) {
    if soft.is_some_and(|soft| soft < 1500) {
        let limit = rustix::process::Rlimit { current: hard, maximum: hard };
        rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    }
}

#[test]
fn a_disconnect_in_the_middle_of_a_write_leaves_it_done_or_not() {
    const ROUNDS: usize = 60;
    let place = started();
    let pid = place.daemon_pid();
    let name = |round: usize| format!("gone-{round}");
    for round in 0..ROUNDS {
        let mut peer = Peer::greeted(&place);
        let text = format!("{}\n", request(1, "task.start", &task(&name(round), &name(round))));
        // Some calls are whole, some lack their end.
        peer.send(&text.as_bytes()[..text.len() - round % 3]);
    }
    assert_unhurt(&place, pid);
    assert_sound(&place);
    let mut connection = connect(&place);
    for round in 0..ROUNDS {
        call(&mut connection, "task.start", &task(&name(round), &name(round))).unwrap();
    }
    assert_eq!(tasks(&place), i64::try_from(ROUNDS).unwrap(), "each key wrote once");
    assert_eq!(place.count("SELECT count(DISTINCT title) FROM tasks WHERE title LIKE 'gone-%'"), 60);
    assert_sound(&place);
}
