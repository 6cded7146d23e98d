//! Writing to standard output and standard error, also when nobody reads them any more.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use kaizen_proto::denial::{Code, Denial};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::render;

/// A value as the text of a reply.
///
/// # Errors
/// None that plain data can cause.
pub(crate) fn raw(value: &impl serde::Serialize) -> Result<Box<RawValue>, Denial> {
    serde_json::value::to_raw_value(value)
        .map_err(|error| Denial::new(Code::Protocol).message(error.to_string()))
}

/// Prints a reply: with `--json` one compact line, indented on a terminal; else for people.
pub(crate) fn reply(reply: &RawValue, json: bool) -> ExitCode {
    if json && !io::stdout().is_terminal() {
        return text(&format!("{}\n", reply.get()));
    }
    let value: Value = serde_json::from_str(reply.get()).unwrap_or_default();
    if json {
        return text(&format!("{}\n", serde_json::to_string_pretty(&value).unwrap_or_default()));
    }
    text(&render::reply(&value, &render::Style::of_stdout()))
}

/// Prints a text. Whoever closed the pipe has seen enough.
pub(crate) fn text(text: &str) -> ExitCode {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Prints a denial on standard error, and returns its exit status.
pub(crate) fn denial(denial: &Value, json: bool) -> ExitCode {
    let mut output = io::stderr().lock();
    let text = if !json {
        render::denial(denial, &render::Style::of_stderr())
    } else if output.is_terminal() {
        format!("{}\n", serde_json::to_string_pretty(denial).unwrap_or_default())
    } else {
        format!("{denial}\n")
    };
    // With standard error closed there is nowhere left to say so.
    let _ = output.write_all(text.as_bytes());
    let status = denial["exit_code"].as_u64().and_then(|status| u8::try_from(status).ok());
    ExitCode::from(status.unwrap_or(1))
}
