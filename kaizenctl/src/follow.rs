//! `K10 --follow`: the journal line by line as it grows, over restarts of the daemon, until somebody has seen enough.
//!
//! The daemon only says that there is something after an entry; this pulls. When the daemon goes away, nothing is
//! written either, so this waits for the next one, which it leaves to others to start.

mod wait;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use kaizen_proto::client::{CallError, Connection, Incoming};
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::endpoint::RuntimeDir;
use kaizen_proto::feed::{Subscribe, Subscribed, method};
use kaizen_proto::hello;
use kaizen_proto::operation::Card;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::arguments::Globals;
use crate::render::{self, Style};
use crate::{Failure, Output, connect, operation};
use wait::{Event, Waiter};

/// How long the daemon may take to start.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause before the first look for a daemon after the last one has gone; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why there is nothing more to do on this connection.
enum Stop {
    /// Somebody has seen enough: Ctrl-C, a signal to end, or nobody reads any more.
    Done,
    /// Standard output takes nothing, for another reason.
    Unwritable,
    /// The connection is of no more use; another may be.
    Lost,
    /// It makes no sense to go on.
    Failed(Failure),
}

impl From<Denial> for Stop {
    fn from(denial: Denial) -> Self {
        Stop::Failed(denial.into())
    }
}

struct Follower<'a> {
    card: &'a Card,
    hello: String,
    filters: Map<String, Value>,
    /// Where to go on; none before the first look at the journal.
    cursor: Option<String>,
    /// How many entries from before are wanted, when none is named to start from.
    past: Option<Value>,
    json: bool,
    waiter: Waiter,
    /// Whether there is something that has not been pulled.
    changed: bool,
    /// Where the data plane's owner listens, when it is not this user's own daemon.
    owner: Option<PathBuf>,
}

/// A part of the journal.
#[derive(Deserialize)]
struct Page {
    entries: Vec<Box<RawValue>>,
    cursor: String,
    more: bool,
}

/// Follows the journal.
///
/// # Errors
/// What the daemon denies for good, `DENIED_CURSOR_RESET` among it.
pub(crate) fn run(card: &Card, globals: &Globals, params: &Map<String, Value>) -> Result<Output, Failure> {
    let waiter = Waiter::new()
        .map_err(|error| Denial::new(Code::DaemonUnreachable).message(format!("no signals: {error}")))?;
    let hello = serde_json::to_string(&operation::hello(globals)?)
        .map_err(|error| Denial::usage(error.to_string()))?;
    let mut filters = params.clone();
    let since = filters.shift_remove("since").and_then(|since| since.as_str().map(str::to_owned));
    let since = since.filter(|since| !since.is_empty());
    let past = filters.shift_remove("limit").filter(|_| since.is_none());
    let mut follower = Follower {
        card,
        hello,
        filters,
        cursor: since,
        past,
        json: globals.json,
        waiter,
        changed: false,
        owner: None,
    };
    let runtime = RuntimeDir::resolve()?;
    let mut connection = connect::open_or_start(&runtime, Instant::now() + PATIENCE)?;
    let stop = loop {
        let stop = match follower.session(&mut connection) {
            Ok(never) => match never {},
            Err(Stop::Lost) => match follower.reconnect(&runtime) {
                Ok(next) => {
                    connection = next;
                    continue;
                }
                Err(stop) => stop,
            },
            Err(stop) => stop,
        };
        break stop;
    };
    match stop {
        Stop::Done | Stop::Lost => Ok(Output::Printed(ExitCode::SUCCESS)),
        Stop::Unwritable => Ok(Output::Printed(ExitCode::FAILURE)),
        Stop::Failed(Failure::Denied(denial)) => Err(denial.for_operation(card).into()),
        Stop::Failed(failure) => Err(failure),
    }
}

impl Follower<'_> {
    /// Follows on one connection until it ends.
    fn session(&mut self, connection: &mut Connection) -> Result<std::convert::Infallible, Stop> {
        let hello = std::mem::take(&mut self.hello);
        let greeted = self.call(connection, hello::method::HELLO, &hello);
        self.hello = hello;
        greeted?;
        if self.cursor.is_none() && self.past.is_some() {
            self.pull(connection)?;
        }
        let subscribe = serde_json::to_string(&Subscribe { cursor: self.cursor.clone() }).unwrap_or_default();
        let subscribed = self.call(connection, method::SUBSCRIBE, &subscribe)?;
        let subscribed: Subscribed = parse(&subscribed)?;
        if self.cursor.is_none() {
            self.cursor = Some(subscribed.cursor);
        } else {
            // Filters are refused here at the latest, not with the first change.
            self.pull(connection)?;
        }
        loop {
            if self.changed {
                self.pull(connection)?;
            } else if let Incoming::Notification { method, .. } = self.next(connection)? {
                self.changed = method == method::CHANGED;
            }
        }
    }

    /// Reads and prints what comes after the cursor, all of it; without one, the last entries.
    fn pull(&mut self, connection: &mut Connection) -> Result<(), Stop> {
        loop {
            // What was told before a call, its reply covers; what is told from now on, it may not.
            self.changed = false;
            let mut params = self.filters.clone();
            match &self.cursor {
                Some(cursor) => params.insert("since".into(), json!(cursor)),
                None => params.insert("limit".into(), json!(self.past)),
            };
            let reply = self.call(connection, self.card.method, &Value::Object(params).to_string())?;
            let page: Page = parse(&reply)?;
            self.print(&page.entries)?;
            self.cursor = Some(page.cursor);
            if !page.more {
                return Ok(());
            }
        }
    }

    fn print(&self, entries: &[Box<RawValue>]) -> Result<(), Stop> {
        let style = Style::of_stdout();
        let mut text = String::new();
        for entry in entries {
            if self.json {
                text.push_str(entry.get());
                text.push('\n');
            } else {
                text.push_str(&render::journal_line(&parse(entry)?, &style));
            }
        }
        let mut output = io::stdout().lock();
        output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Stop::Done,
            _ => Stop::Unwritable,
        })
    }

    /// Makes a call, and notes the notifications that come meanwhile.
    fn call(&mut self, connection: &mut Connection, name: &str, params: &str) -> Result<Box<RawValue>, Stop> {
        let id = connection.send(name, params).map_err(stop)?;
        let outcome = loop {
            match self.next(connection)? {
                Incoming::Reply { id: of, outcome } if of.is_none_or(|of| of == id) => break outcome,
                Incoming::Notification { method, .. } => self.changed |= method == method::CHANGED,
                Incoming::Reply { .. } => {}
            }
        };
        outcome.map_err(|error| match error {
            CallError::Denied(denial) => self.denied(&denial),
            error => stop(error),
        })
    }

    /// What a denial means: another daemon, another try, or the end.
    fn denied(&mut self, denial: &RawValue) -> Stop {
        let denial: Value = serde_json::from_str(denial.get()).unwrap_or_default();
        match (denial["code"].as_str(), denial["endpoint"].as_str()) {
            (Some("DENIED_OWNED"), Some(endpoint)) if self.owner.is_none() => {
                self.owner = Some(endpoint.into());
                Stop::Lost
            }
            _ if denial["retryable"] == true => Stop::Lost,
            _ => Stop::Failed(Failure::Refused(denial)),
        }
    }

    /// The next message.
    fn next(&self, connection: &mut Connection) -> Result<Incoming, Stop> {
        loop {
            if !connection.has_received()
                && let Event::Enough = self.waiter.wait(Some(connection), None)
            {
                return Err(Stop::Done);
            }
            if let Some(incoming) = connection.receive().map_err(stop)? {
                return Ok(incoming);
            }
        }
    }

    /// Waits for a daemon that somebody else starts.
    fn reconnect(&mut self, runtime: &RuntimeDir) -> Result<Connection, Stop> {
        let mut pause = FIRST_PAUSE;
        loop {
            if let Event::Enough = self.waiter.wait(None, Some(pause)) {
                return Err(Stop::Done);
            }
            let opened = match &self.owner {
                Some(owner) => connect::open_at(owner)?,
                None => connect::open(runtime)?,
            };
            match opened {
                Some(connection) => return Ok(connection),
                // The owner has gone; whoever is next says so.
                None => self.owner = None,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

fn stop(error: CallError) -> Stop {
    match error {
        CallError::Broken(_) | CallError::TimedOut => Stop::Lost,
        CallError::Garbled(reason) => Denial::new(Code::Protocol).message(reason).into(),
        CallError::Denied(denial) => {
            Stop::Failed(Failure::Refused(serde_json::from_str(denial.get()).unwrap_or_default()))
        }
    }
}

fn parse<T: for<'de> Deserialize<'de>>(text: &RawValue) -> Result<T, Stop> {
    serde_json::from_str(text.get())
        .map_err(|error| Denial::new(Code::Protocol).message(error.to_string()).into())
}
