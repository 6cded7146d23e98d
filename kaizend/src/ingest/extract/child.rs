//! The inside of the child process: `kaizend extract` takes a document from standard input and answers on standard
//! output, within limits that the system holds it to.
//!
//! The answer is an [`Extracted`] as JSON and exit status 0, or a denial as JSON and exit status 1.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use kaizen_proto::denial::{Code, Denial};
use serde_json::Value;

use super::{Extracted, Limits, fault};

/// The word that makes `kaizend` this child.
pub const COMMAND: &str = "extract";

/// What the child is told.
#[derive(Debug, Default)]
struct Order {
    extension: String,
    limits: Limits,
    ocr: bool,
}

/// The program after its command: `--ext .pdf [--limits JSON] [--ocr]`.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(order) = parse(arguments) else { return ExitCode::from(2) };
    // What a library prints must not get between the words of the answer.
    let Ok(mut answer) = claim_output() else { return ExitCode::from(2) };
    let outcome = restrict(&order.limits)
        .map_err(|error| {
            fault::failed(&order.extension, &format!("its reader could not be restricted: {error}"))
        })
        .and_then(|()| extract(&order));
    let (text, status) = match outcome {
        Ok(extracted) => (serde_json::to_vec(&extracted), ExitCode::SUCCESS),
        Err(denial) => (serde_json::to_vec(&denial.to_json()), ExitCode::from(1)),
    };
    match text.map_err(io::Error::from).and_then(|text| answer.write_all(&text)) {
        Ok(()) => status,
        Err(_) => ExitCode::from(2),
    }
}

fn parse(mut arguments: impl Iterator<Item = OsString>) -> Option<Order> {
    let mut order = Order::default();
    while let Some(argument) = arguments.next() {
        match argument.to_str()? {
            "--ext" => order.extension = arguments.next()?.into_string().ok()?,
            "--limits" => order.limits = serde_json::from_str(arguments.next()?.to_str()?).ok()?,
            "--ocr" => order.ocr = true,
            _ => return None,
        }
    }
    Some(order)
}

fn extract(order: &Order) -> Result<Extracted, Denial> {
    let max_bytes = order.limits.bytes_for(&order.extension);
    let mut bytes = Vec::new();
    io::stdin()
        .take(max_bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| fault::failed(&order.extension, &error.to_string()))?;
    let work = || super::read(&order.extension, &bytes, &order.limits, order.ocr);
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|payload| Err(fault::failed(&order.extension, &fault::panic_text(payload.as_ref()))))
}

/// Keeps standard output for the answer, and points it to nowhere for everybody else.
#[cfg(unix)]
fn claim_output() -> io::Result<File> {
    let answer = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    let nowhere = File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    Ok(File::from(answer))
}

/// Elsewhere there is no such way yet, and no such child.
#[cfg(not(unix))]
fn claim_output() -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Asks the system to stop this process, and what it starts, at the limits.
#[cfg(unix)]
fn restrict(limits: &Limits) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// Files that may be open: standard streams, the answer, and the data of a program for pictures.
    const FILES: u64 = 64;
    let wanted = [
        (Resource::As, limits.memory_bytes),
        (Resource::Cpu, limits.cpu_seconds),
        (Resource::Core, 0),
        (Resource::Nofile, FILES),
        (Resource::Fsize, 0),
    ];
    for (resource, wanted) in wanted {
        let allowed = getrlimit(resource).maximum.map_or(wanted, |maximum| maximum.min(wanted));
        setrlimit(resource, Rlimit { current: Some(allowed), maximum: Some(allowed) })?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn restrict(_limits: &Limits) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The denial that a child wrote; none when it is none that an extraction may end with.
pub(super) fn denial(answer: &Value) -> Option<Denial> {
    const OURS: [Code; 8] = [
        Code::UnsupportedMedia,
        Code::FileTooLarge,
        Code::ExtractionFailed,
        Code::PdfEncrypted,
        Code::PdfTooManyPages,
        Code::PdfUnreadable,
        Code::PdfNoText,
        Code::OcrUnavailable,
    ];
    let code =
        OURS.into_iter().find(|code| answer.get("code").and_then(Value::as_str) == Some(code.text()))?;
    let mut denial = Denial::new(code);
    for (name, value) in answer.as_object()? {
        match (name.as_str(), value) {
            ("status" | "code" | "exit_code" | "retryable" | "example", _) => {}
            ("required_action", Value::String(action)) => denial = denial.action(action),
            _ => denial = denial.with(name, value.clone()),
        }
    }
    Some(denial)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_survives_the_way_to_the_parent() {
        let told = fault::failed(".docx", "damaged").action("Do this.");
        assert_eq!(denial(&told.to_json()), Some(told));
        let told = fault::too_large(2, 1);
        assert_eq!(denial(&told.to_json()), Some(told));
        assert_eq!(denial(&Denial::new(Code::Busy).to_json()), None);
        assert_eq!(denial(&Value::Null), None);
    }

    #[test]
    fn the_order_is_understood_or_refused() {
        let order = |words: &[&str]| parse(words.iter().map(OsString::from));
        let read = order(&["--ext", ".pdf", "--limits", r#"{"pdf_pages":3}"#, "--ocr"]).unwrap();
        assert_eq!((read.extension.as_str(), read.limits.pdf_pages, read.ocr), (".pdf", 3, true));
        assert_eq!(read.limits.bytes, Limits::default().bytes);
        assert!(order(&["--ext"]).is_none());
        assert!(order(&["--limits", "{\"unknown\":1}"]).is_none());
        assert!(order(&["more"]).is_none());
    }
}
