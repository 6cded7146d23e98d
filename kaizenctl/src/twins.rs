//! `--<field>-file`: parameters that are read from a file, relative to the caller's own directory.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use clap::ArgMatches;
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::limits::{self, PAYLOAD_BYTES};
use kaizen_proto::operation::{Card, TwinRule};
use serde_json::{Map, Value};

use crate::arguments::flag_of;

/// Puts the contents of the given files into the parameters.
///
/// # Errors
/// `DENIED_FILE_NOT_FOUND`, `DENIED_FILE_NOT_UTF8`, `DENIED_FILE_TOO_LARGE`.
pub(crate) fn fill(card: &Card, matches: &ArgMatches, params: &mut Map<String, Value>) -> Result<(), Denial> {
    for twin in card.twins {
        let Some(path) = matches.get_one::<std::ffi::OsString>(&format!("{}-file", flag_of(twin.field)))
        else {
            continue;
        };
        let inline = params.get(twin.field).and_then(Value::as_str);
        let file_counts = match twin.rule {
            TwinRule::Inline => inline.is_none(),
            TwinRule::NonEmptyInline | TwinRule::NonEmptyText => inline.is_none_or(str::is_empty),
            TwinRule::File | TwinRule::FileOrNothing => true,
        };
        if file_counts {
            let text = match twin.rule {
                TwinRule::Inline | TwinRule::FileOrNothing | TwinRule::NonEmptyText => {
                    read_text(path, card.code)?
                }
                TwinRule::NonEmptyInline | TwinRule::File => {
                    read_json(path, card.code).map_err(|denial| texts_first(params, denial))?
                }
            };
            params.insert(twin.field.to_owned(), Value::from(text));
        }
    }
    Ok(())
}

/// Reads a file that holds JSON. An empty parameter means the default; an empty file is a mistake.
fn read_json(path: &OsStr, operation: &str) -> Result<String, Denial> {
    let text = read_text(path, operation)?;
    if text.is_empty() {
        return Err(Denial::new(Code::JsonInvalid).message(format!("{} is empty", path.display())));
    }
    Ok(text)
}

/// What is wrong with summary or body comes before what is wrong with a JSON file.
fn texts_first(params: &Map<String, Value>, denial: Denial) -> Denial {
    let text = |field: &str| params.get(field).and_then(Value::as_str).unwrap_or_default();
    let checked = limits::check_summary(text("summary"));
    checked.and_then(|()| limits::check_body("body", text("body"))).err().unwrap_or(denial)
}

/// Reads a text file, or standard input for `-`: UTF-8 without its byte order mark, with line feeds only.
///
/// # Errors
/// `DENIED_FILE_NOT_FOUND` (exit status 2), `DENIED_FILE_NOT_UTF8`, `DENIED_FILE_TOO_LARGE`.
pub(crate) fn read_text(path: &OsStr, operation: &str) -> Result<String, Denial> {
    let shown = path.to_string_lossy().into_owned();
    let not_found = |reason: String| {
        Denial::new(Code::FileNotFound)
            .with("path", shown.as_str())
            .with("reason", reason)
            .exit(2)
            .example(format!("kaizenctl {operation} --summary-file summary.txt --json"))
    };
    let mut bytes = Vec::new();
    // One byte more than fits shows that there is too much.
    let limit = PAYLOAD_BYTES as u64 + 1;
    let read = if path == "-" {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        // Opening a FIFO would wait for a writer.
        match std::fs::metadata(Path::new(path)) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Err(not_found("it is not a regular file".into())),
            Err(error) => return Err(not_found(error.to_string())),
        }
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    read.map_err(|error| not_found(error.to_string()))?;
    if bytes.len() > PAYLOAD_BYTES {
        return Err(Denial::new(Code::FileTooLarge)
            .with("path", shown.as_str())
            .with("limit", PAYLOAD_BYTES));
    }
    let text =
        String::from_utf8(bytes).map_err(|_| Denial::new(Code::FileNotUtf8).with("path", shown.as_str()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}
