//! Reaching the daemon: connect, start it when there is none, try again when it goes away.

use std::fs::{self, File, TryLockError};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use kaizen_proto::client::{CallError, ConnectError, Connection};
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::endpoint::RuntimeDir;
use kaizen_proto::hello::{Hello, Stop, Welcome, method};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Failure;

/// How long a daemon may take to start, or an old one to end, before that is an error.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause between two looks at something that has no event to wait for.
const PAUSE: Duration = Duration::from_millis(10);
/// Bytes of the start log that a denial quotes.
const QUOTED_LOG: u64 = 2000;

/// How long the daemon may be silent, unless `KAIZEN_TIMEOUT` says otherwise.
const SILENCE: Duration = Duration::from_mins(2);
/// How long it may take to say that it is alive.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// How long the daemon may be silent before it is asked whether it is alive; none for ever.
fn silence() -> Option<Duration> {
    let seconds = std::env::var("KAIZEN_TIMEOUT").ok().and_then(|seconds| seconds.parse().ok());
    Some(seconds.map_or(SILENCE, Duration::from_secs)).filter(|silence| !silence.is_zero())
}

/// Connects to a socket. Some operations take long, and a busy daemon answers others meanwhile; so when nothing comes
/// for a while, the daemon is asked for its status, and only when it does not answer that either is it given up.
fn connect(socket: &Path) -> Result<Connection, ConnectError> {
    let mut connection = Connection::open(socket)?;
    if let Some(silence) = silence() {
        let asked = socket.to_path_buf();
        let alive = Box::new(move || {
            let Ok(mut other) = Connection::open(&asked) else { return false };
            other.patience(silence.min(SIGN_OF_LIFE), Box::new(|| false)).is_ok()
                && matches!(other.call(method::STATUS, "{}"), Ok(_) | Err(CallError::Denied(_)))
        });
        connection.patience(silence, alive).map_err(|error| {
            let denial = Denial::new(Code::DaemonUnreachable);
            ConnectError::Denied(
                denial.with("endpoint", socket.display().to_string()).with("reason", error.to_string()),
            )
        })?;
    }
    Ok(connection)
}

/// The denial for a daemon that is there and says nothing.
pub(crate) fn timed_out() -> Denial {
    Denial::new(Code::Timeout)
        .with("seconds", silence().unwrap_or_default().as_secs())
        .message("the daemon does not answer; a write may have been carried out or not")
}

/// Makes one call for a project, starting the daemon when there is none. A broken connection and a daemon that is
/// about to end are tried again: a write carries its idempotency key, so it happens once.
pub(crate) fn call(hello: &Hello, name: &str, params: &str) -> Result<Box<RawValue>, Failure> {
    let runtime = RuntimeDir::resolve()?;
    let deadline = Instant::now() + PATIENCE;
    let mut broken = false;
    let mut replaced = false;
    loop {
        let mut connection = open_or_start(&runtime, deadline)?;
        let outcome = match connection.hello_and_call(hello, name, params) {
            Ok((welcome, outcome)) => {
                let older = is_older(&welcome);
                let refused = matches!(outcome, Err(CallError::Denied(_)));
                if older && !replaced {
                    replaced = true;
                    retire(&runtime, &mut connection)?;
                    if refused {
                        continue;
                    }
                }
                outcome
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(reply) => return Ok(reply),
            Err(CallError::Broken(error)) if broken => {
                return Err(Denial::new(Code::DaemonUnreachable)
                    .with("endpoint", runtime.socket().display().to_string())
                    .message(format!("the connection broke twice: {error}"))
                    .into());
            }
            Err(CallError::Broken(_)) => broken = true,
            Err(CallError::TimedOut) => {
                return Err(timed_out().with("endpoint", runtime.socket().display().to_string()).into());
            }
            Err(CallError::Garbled(reason)) => {
                return Err(Denial::new(Code::Protocol).message(reason).into());
            }
            Err(CallError::Denied(denial)) => {
                let denial: Value = serde_json::from_str(denial.get()).unwrap_or_default();
                match denial["code"].as_str() {
                    Some("DENIED_DRAINING") if Instant::now() < deadline => pause(),
                    // Its directory was deleted, so that another daemon took its place; it will notice and give way.
                    Some("DENIED_OWNED")
                        if denial["endpoint"] == runtime.socket().display().to_string()
                            && Instant::now() < deadline =>
                    {
                        pause();
                    }
                    Some("DENIED_OWNED") => return call_owner(&denial, hello, name, params),
                    _ => return Err(Failure::Refused(denial)),
                }
            }
        }
    }
}

/// Calls the daemon that owns the data plane, which another runtime directory or container started.
fn call_owner(denial: &Value, hello: &Hello, name: &str, params: &str) -> Result<Box<RawValue>, Failure> {
    let owned = || Failure::Refused(denial.clone());
    let endpoint = denial["endpoint"].as_str().ok_or_else(owned)?;
    let mut connection = connect(Path::new(endpoint)).map_err(|_| owned())?;
    match connection.hello_and_call(hello, name, params) {
        Ok((_, Ok(reply))) => Ok(reply),
        Ok((_, Err(CallError::Denied(denial)))) => {
            Err(Failure::Refused(serde_json::from_str(denial.get()).unwrap_or_default()))
        }
        Ok((_, Err(CallError::TimedOut))) | Err(CallError::TimedOut) => {
            Err(timed_out().with("endpoint", endpoint).into())
        }
        Ok((_, Err(_))) | Err(_) => Err(owned()),
    }
}

/// Whether the daemon is of an older release than this client. A newer one is never replaced.
fn is_older(welcome: &Welcome) -> bool {
    let numbers = |version: &str| -> Vec<u64> {
        version.split(['.', '-']).map_while(|part| part.parse().ok()).collect()
    };
    numbers(&welcome.version) < numbers(kaizen_proto::VERSION)
}

/// Asks an older daemon to finish and waits until it has gone.
fn retire(runtime: &RuntimeDir, connection: &mut Connection) -> Result<(), Denial> {
    let stop = serde_json::to_string(&Stop { all: true }).unwrap_or_default();
    // A daemon that is going already does not answer, which is just as well.
    let _ = connection.call(method::STOP, &stop);
    wait_until_ended(runtime)
}

/// Connects to the daemon when one listens.
pub(crate) fn open(runtime: &RuntimeDir) -> Result<Option<Connection>, Denial> {
    open_at(&runtime.socket())
}

/// Connects to a socket when a daemon listens there.
pub(crate) fn open_at(socket: &Path) -> Result<Option<Connection>, Denial> {
    match connect(socket) {
        Ok(connection) => Ok(Some(connection)),
        Err(ConnectError::NoDaemon) => Ok(None),
        Err(ConnectError::Denied(denial)) => Err(denial),
    }
}

/// Connects to the daemon, starting it when none listens.
pub(crate) fn open_or_start(runtime: &RuntimeDir, deadline: Instant) -> Result<Connection, Denial> {
    if let Some(connection) = open(runtime)? {
        return Ok(connection);
    }
    let _starting = start_lock(runtime, deadline)?;
    loop {
        // Whoever held the lock before may have started it.
        if let Some(connection) = open(runtime)? {
            return Ok(connection);
        }
        match start(runtime)? {
            Started::Ready => {}
            // One that is about to end, or has lost its socket and is making a new one.
            Started::OtherRuns(denial) if Instant::now() >= deadline => return Err(denial),
            Started::OtherRuns(_) => pause(),
        }
    }
}

/// Waits until no daemon holds the lock.
pub(crate) fn wait_until_ended(runtime: &RuntimeDir) -> Result<(), Denial> {
    let deadline = Instant::now() + PATIENCE * 4;
    loop {
        match File::open(runtime.daemon_lock()) {
            // Shared: this only asks whether somebody holds the lock, and must not look like a daemon itself.
            Ok(lock) => match lock.try_lock_shared() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => pause(),
                Err(_) => break,
            },
            Err(_) => return Ok(()),
        }
    }
    Err(Denial::new(Code::Draining).message("the daemon has not ended yet"))
}

fn start_lock(runtime: &RuntimeDir, deadline: Instant) -> Result<File, Denial> {
    let path = runtime.start_lock();
    let denied = |error: &std::io::Error| {
        Denial::new(Code::RuntimeDir)
            .with("path", path.display().to_string())
            .with("reason", error.to_string())
    };
    make_directory(&runtime.logs()).map_err(|error| denied(&error))?;
    let lock = File::options().create(true).append(true).open(&path).map_err(|error| denied(&error))?;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => pause(),
            Err(TryLockError::WouldBlock) => {
                return Err(Denial::new(Code::DaemonStart)
                    .message("another client has been starting the daemon for too long"));
            }
            Err(TryLockError::Error(error)) => return Err(denied(&error)),
        }
    }
}

#[cfg(unix)]
fn make_directory(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn make_directory(path: &Path) -> std::io::Result<()> {
    fs::create_dir_all(path)
}

enum Started {
    Ready,
    OtherRuns(Denial),
}

/// Starts `kaizend` detached and waits for its word that it listens, or for its end.
fn start(runtime: &RuntimeDir) -> Result<Started, Denial> {
    let program = daemon_program();
    let failed = |reason: String| {
        Denial::new(Code::DaemonStart).with("program", program.display().to_string()).with("reason", reason)
    };
    let log = File::create(runtime.start_log()).map_err(|error| failed(error.to_string()))?;
    let absent = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => failed("it is not installed".into())
            .action("Install kaizend beside kaizenctl or on PATH; setup/setup.sh does both.")
            .example("./setup/setup.sh"),
        _ => failed(error.to_string()),
    };
    let mut child = Command::new(&program)
        .arg("--detach")
        .current_dir("/")
        .env("KAIZEN_RUNTIME_DIR", runtime.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(absent)?;
    let output = child.stdout.take();
    let (said, heard) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut line = String::new();
        if let Some(output) = output {
            let _ = BufReader::new(output).read_line(&mut line);
        }
        let _ = said.send(line);
    });
    match heard.recv_timeout(PATIENCE) {
        Ok(line) if line == "ready\n" => return Ok(Started::Ready),
        Ok(_) => {}
        Err(_) => return Err(failed(format!("it was not ready after {} s", PATIENCE.as_secs()))),
    }
    let _ = child.wait();
    let log = tail(&runtime.start_log());
    if log.contains(Code::Owned.text()) {
        return Ok(Started::OtherRuns(
            Denial::new(Code::DaemonUnreachable)
                .with("endpoint", runtime.socket().display().to_string())
                .message("a daemon holds the lock but does not listen"),
        ));
    }
    Err(last_words(&log).unwrap_or_else(|| {
        failed("it ended before it listened".into()).with("log", log).example("kaizenctl daemon logs")
    }))
}

/// The denial with which the daemon ended, when it said one.
fn last_words(log: &str) -> Option<Denial> {
    let said: Value = serde_json::from_str(log.lines().last()?).ok()?;
    let code = Code::ALL.iter().find(|code| said["code"] == code.text())?;
    let fields = ["path", "reason", "message"].iter().filter_map(|name| Some((name, said[name].as_str()?)));
    Some(fields.fold(Denial::new(*code), |denial, (name, text)| denial.with(name, text)))
}

/// The daemon beside this program, else the one on PATH.
pub(crate) fn daemon_program() -> PathBuf {
    let name = format!("kaizend{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe()
        .ok()
        .and_then(|own| own.canonicalize().ok())
        .map(|own| own.with_file_name(&name));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| name.into())
}

fn tail(path: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(std::io::SeekFrom::Start(length.saturating_sub(QUOTED_LOG)))?;
        let mut bytes = Vec::new();
        file.take(QUOTED_LOG).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).trim().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "there is no event for another process's lock or socket")]
fn pause() {
    std::thread::sleep(PAUSE);
}
