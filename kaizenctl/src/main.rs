//! kaizenctl: the command-line client. It maps an operation's code or alias and its flags onto one call of the daemon,
//! starting the daemon when there is none, and prints the reply.

mod arguments;
mod completions;
mod connect;
mod daemon;
mod doctor;
mod follow;
mod help;
mod init;
mod operation;
mod print;
mod project;
mod render;
mod twins;

use std::ffi::OsString;
use std::process::ExitCode;

use arguments::Request;
use kaizen_proto::denial::Denial;
use serde_json::Value;

/// Why there is no reply to print.
#[derive(Debug)]
enum Failure {
    /// The client itself denies the call.
    Denied(Denial),
    /// The daemon denied it; the object is printed as it came.
    Refused(Value),
}

impl From<Denial> for Failure {
    fn from(denial: Denial) -> Self {
        Failure::Denied(denial)
    }
}

/// What goes to standard output.
enum Output {
    /// A reply: JSON or, for people, a rendering of it.
    Reply(Box<serde_json::value::RawValue>),
    /// A reply that reports something missing: printed likewise, with exit status 1.
    Wanting(Box<serde_json::value::RawValue>),
    /// A text for people, whatever `--json` says.
    Text(String),
    /// All has been printed already.
    Printed(ExitCode),
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    match run(&arguments) {
        Ok(Output::Reply(reply)) => print::reply(&reply, json),
        Ok(Output::Wanting(reply)) => {
            print::reply(&reply, json);
            ExitCode::FAILURE
        }
        Ok(Output::Text(text)) => print::text(&text),
        Ok(Output::Printed(status)) => status,
        Err(Failure::Denied(denial)) => print::denial(&denial.to_json(), json),
        Err(Failure::Refused(denial)) => print::denial(&denial, json),
    }
}

fn run(arguments: &[OsString]) -> Result<Output, Failure> {
    match arguments::read(arguments)? {
        Request::Help(topic) => Ok(Output::Text(help::text(&topic)?)),
        Request::Version { json: true } => Ok(Output::Reply(print::raw(&help::version())?)),
        Request::Version { json: false } => {
            Ok(Output::Text(format!("kaizenctl {}\n", kaizen_proto::VERSION)))
        }
        Request::Operation(card, globals, words) => operation::run(card, &globals, &words),
        Request::Daemon(globals, words) => daemon::run(&globals, &words),
        Request::Init(globals, words) => init::run(&globals, &words),
        Request::Completions(words) => completions::run(&words),
    }
}
