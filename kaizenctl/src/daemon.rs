//! `kaizenctl daemon`: looking after the daemon itself.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, Command};
use kaizen_proto::client::{CallError, Connection};
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::endpoint::RuntimeDir;
use kaizen_proto::hello::{DaemonStatus, Stop, Stopping, method};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::arguments::Globals;
use crate::{Failure, Output, connect, operation, print};

/// Lines of the log that are shown.
const LOG_LINES: usize = 50;
/// How long the daemon may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// The parser, from which the help is made too.
pub(crate) fn command() -> Command {
    let verb =
        |name: &'static str, about: &'static str| Command::new(name).about(about).disable_help_flag(true);
    Command::new("daemon")
        .about("Look after the daemon that owns the data planes")
        .no_binary_name(true)
        .disable_help_subcommand(true)
        .disable_help_flag(true)
        .subcommand_required(true)
        .subcommand(verb("start", "Start the daemon when it is not running"))
        .subcommand(
            verb("stop", "Close this project; end the daemon when it has no other").arg(
                Arg::new("all")
                    .long("all")
                    .action(ArgAction::SetTrue)
                    .help("End the daemon with all its projects"),
            ),
        )
        .subcommand(verb("status", "Show the daemon and its open projects"))
        .subcommand(verb("restart", "End the daemon and start it again"))
        .subcommand(verb("logs", "Show the end of the daemon's log"))
}

/// Carries out `kaizenctl daemon …`.
pub(crate) fn run(globals: &Globals, words: &[OsString]) -> Result<Output, Failure> {
    let matches = command().try_get_matches_from(words).map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Denial::usage(first).action("Use `kaizenctl daemon start|stop|status|restart|logs`.")
    })?;
    let runtime = RuntimeDir::resolve()?;
    match matches.subcommand() {
        Some(("start", _)) => start(&runtime),
        Some(("stop", matches)) => stop(&runtime, globals, matches.get_flag("all")),
        Some(("restart", _)) => {
            stop(&runtime, globals, true)?;
            start(&runtime)
        }
        Some(("logs", _)) => logs(&runtime),
        _ => status(&runtime),
    }
}

fn reply(value: &impl serde::Serialize) -> Result<Output, Failure> {
    Ok(Output::Reply(print::raw(value)?))
}

fn ask<T: DeserializeOwned>(connection: &mut Connection, name: &str, params: &str) -> Result<T, Failure> {
    match connection.call(name, params) {
        Ok(reply) => serde_json::from_str(reply.get())
            .map_err(|error| Denial::new(Code::Protocol).message(error.to_string()).into()),
        Err(CallError::Denied(denial)) => {
            Err(Failure::Refused(serde_json::from_str(denial.get()).unwrap_or_default()))
        }
        Err(error) => Err(unanswered(&error).into()),
    }
}

fn unanswered(error: &CallError) -> Denial {
    match error {
        CallError::TimedOut => {
            connect::timed_out().action("Look what holds the daemon up; its pid stands in daemon.lock.")
        }
        error => Denial::new(Code::DaemonUnreachable).message(error.to_string()),
    }
}

fn describe(status: &DaemonStatus) -> Result<Output, Failure> {
    let mut value = json!({"status": "OK", "running": true});
    if let (Some(object), serde_json::Value::Object(more)) = (value.as_object_mut(), json!(status)) {
        object.extend(more);
    }
    reply(&value)
}

fn start(runtime: &RuntimeDir) -> Result<Output, Failure> {
    let mut connection = connect::open_or_start(runtime, Instant::now() + PATIENCE)?;
    describe(&ask(&mut connection, method::STATUS, "{}")?)
}

fn status(runtime: &RuntimeDir) -> Result<Output, Failure> {
    let Some(mut connection) = connect::open(runtime)? else { return reply(&not_running(runtime)) };
    match ask(&mut connection, method::STATUS, "{}") {
        Ok(status) => describe(&status),
        // It ended while it was asked; whether another one runs is seen by looking again.
        Err(Failure::Denied(denial)) if denial.code == Code::DaemonUnreachable => {
            match connect::open(runtime)? {
                Some(mut connection) => describe(&ask(&mut connection, method::STATUS, "{}")?),
                None => reply(&not_running(runtime)),
            }
        }
        Err(failure) => Err(failure),
    }
}

fn not_running(runtime: &RuntimeDir) -> serde_json::Value {
    json!({"status": "OK", "running": false, "endpoint": runtime.socket().display().to_string(),
        "message": "No daemon is running; the next operation starts one."})
}

fn stop(runtime: &RuntimeDir, globals: &Globals, all: bool) -> Result<Output, Failure> {
    let Some(mut connection) = connect::open(runtime)? else {
        // One that is on its way out has no socket any more, but still its lock.
        connect::wait_until_ended(runtime)?;
        return reply(&not_running(runtime));
    };
    let params = serde_json::to_string(&Stop { all }).unwrap_or_default();
    let stopping: Stopping = if all {
        ask(&mut connection, method::STOP, &params)?
    } else {
        match connection.hello_and_call(&operation::hello(globals)?, method::STOP, &params) {
            Ok((_, Ok(reply))) => serde_json::from_str(reply.get())
                .map_err(|error| Denial::new(Code::Protocol).message(error.to_string()))?,
            Ok((_, Err(CallError::Denied(denial)))) | Err(CallError::Denied(denial)) => {
                return Err(Failure::Refused(serde_json::from_str(denial.get()).unwrap_or_default()));
            }
            Ok((_, Err(error))) | Err(error) => {
                return Err(unanswered(&error).into());
            }
        }
    };
    drop(connection);
    if stopping.daemon_ends {
        connect::wait_until_ended(runtime)?;
    }
    let message = match (stopping.daemon_ends, stopping.project_closed) {
        (true, _) => "The daemon has ended.",
        (false, true) => "This project is closed; the daemon has others open.",
        (false, false) => "This project was not open; the daemon has others open.",
    };
    reply(&json!({"status": "OK", "message": message, "daemon_ended": stopping.daemon_ends,
        "project_closed": stopping.project_closed}))
}

fn logs(runtime: &RuntimeDir) -> Result<Output, Failure> {
    let directory = runtime.logs();
    let mut files: Vec<PathBuf> = std::fs::read_dir(&directory)
        .map(|entries| entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect())
        .unwrap_or_default();
    // Names carry the day.
    files.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("kaizend.")));
    files.sort();
    let Some(newest) = files.last() else {
        return Err(Denial::new(Code::FileNotFound)
            .with("path", directory.display().to_string())
            .message("the daemon has not logged anything yet")
            .action("Run `kaizenctl daemon start`.")
            .into());
    };
    let text =
        std::fs::read(newest).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let tail = &lines[lines.len().saturating_sub(LOG_LINES)..];
    Ok(Output::Text(format!("{}\n{}\n", newest.display(), tail.join("\n"))))
}
