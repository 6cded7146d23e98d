//! The outside of the child process: it is started, fed, watched, and ended with everything that it started.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use kaizen_proto::denial::Denial;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, Command};

use super::{Extracted, Limits, Source, child, fault, rewind};

/// Bytes of an answer: the largest document that the limits allow, in JSON, with room to spare.
const LONGEST_ANSWER: u64 = 256 * 1024 * 1024;
/// Bytes of a child's standard error that are kept; the rest is read and dropped.
const LONGEST_COMPLAINT: usize = 8 * 1024;

/// Reads a document in a child process of its own.
///
/// # Errors
/// What the child denies, or `DENIED_EXTRACTION_FAILED` with what became of it.
pub(super) async fn in_child(
    extension: &str,
    source: Source,
    ocr: bool,
    limits: &Limits,
    program: &Path,
) -> Result<Extracted, Denial> {
    let failed = |reason: &str| fault::failed(extension, reason);
    let max_bytes = limits.bytes_for(extension);
    // A file becomes the child's standard input as it is; bytes are written to it.
    let (stdin, bytes) = match source {
        Source::File(mut file) => {
            let size = rewind(&mut file).map_err(|error| failed(&error.to_string()))?;
            check_size(size, max_bytes)?;
            (Stdio::from(file), None)
        }
        Source::Bytes(bytes) => {
            check_size(bytes.len() as u64, max_bytes)?;
            (Stdio::piped(), Some(bytes))
        }
    };
    let order = serde_json::to_string(limits).map_err(|error| failed(&error.to_string()))?;
    let mut command = Command::new(program);
    command.args([child::COMMAND, "--ext", extension, "--limits", &order]).args(ocr.then_some("--ocr"));
    // What the daemon inherited is no business of a reader, apart from where programs and their data are.
    command.env_clear();
    let kept = ["PATH", "TESSDATA_PREFIX", "LD_LIBRARY_PATH"];
    command.envs(kept.into_iter().filter_map(|name| std::env::var_os(name).map(|value| (name, value))));
    command.current_dir("/").kill_on_drop(true).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    command.process_group(0);
    let mut process =
        command.spawn().map_err(|error| failed(&format!("its reader could not be started: {error}")))?;
    let group = Group::of(&process);
    let (stdin, stdout, stderr) = (process.stdin.take(), process.stdout.take(), process.stderr.take());
    let work = async {
        let answer = async {
            let answer = answer(stdout).await;
            if answer.is_none() {
                // It would wait for ever for somebody to read on.
                group.kill();
            }
            answer
        };
        let (answer, complaint, status, ()) =
            tokio::join!(answer, complaint(stderr), process.wait(), feed(stdin, bytes));
        (answer, complaint, status)
    };
    let ended = tokio::time::timeout(Duration::from_secs(limits.wall_seconds), work).await;
    // What the child started may have outlived it.
    drop(group);
    let Ok((answer, complaint, status)) = ended else {
        return Err(failed(&format!("it took more than {} seconds", limits.wall_seconds)));
    };
    let answer = answer.ok_or_else(|| failed("its reader gave an answer without end"))?;
    let status = status.map_err(|error| failed(&error.to_string()))?;
    understood(status, &answer).unwrap_or_else(|| Err(failed(&fate(status, &complaint, limits))))
}

fn check_size(bytes: u64, max_bytes: u64) -> Result<(), Denial> {
    if bytes > max_bytes { Err(fault::too_large(bytes, max_bytes)) } else { Ok(()) }
}

/// What the child answered, when it ended in one of the two ways in which it ends by itself.
fn understood(status: ExitStatus, answer: &[u8]) -> Option<Result<Extracted, Denial>> {
    match status.code()? {
        0 => serde_json::from_slice(answer).ok().map(Ok),
        1 => child::denial(&serde_json::from_slice(answer).ok()?).map(Err),
        _ => None,
    }
}

/// What became of a child that gave no answer.
fn fate(status: ExitStatus, complaint: &str, limits: &Limits) -> String {
    if complaint.contains("memory allocation of") || complaint.contains("out of memory") {
        return format!("reading it takes more than {} bytes of memory", limits.memory_bytes);
    }
    if complaint.contains("overflowed its stack") {
        return "it is nested too deeply, or refers to itself".to_owned();
    }
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        if [rustix::process::Signal::XCPU, rustix::process::Signal::KILL]
            .iter()
            .any(|known| known.as_raw() == signal)
        {
            return format!(
                "reading it takes more than {} seconds of processor time, or was ended",
                limits.cpu_seconds
            );
        }
        return format!("its reader crashed with signal {signal}");
    }
    format!("its reader gave no answer ({status})")
}

/// Writes the document to the child. One that does not read to the end says why in its answer.
async fn feed(stdin: Option<ChildStdin>, bytes: Option<Vec<u8>>) {
    if let (Some(mut stdin), Some(bytes)) = (stdin, bytes) {
        let _ = stdin.write_all(&bytes).await;
    }
}

/// The child's answer; none when it is too long.
async fn answer(stdout: Option<impl AsyncRead + Unpin>) -> Option<Vec<u8>> {
    let mut answer = Vec::new();
    if let Some(stdout) = stdout {
        // A pipe that breaks leaves half an answer, which nobody understands.
        let _ = stdout.take(LONGEST_ANSWER + 1).read_to_end(&mut answer).await;
    }
    (answer.len() as u64 <= LONGEST_ANSWER).then_some(answer)
}

/// The beginning of what the child complains about. All of it is read, so that it need not wait.
async fn complaint(stderr: Option<impl AsyncRead + Unpin>) -> String {
    let mut kept = Vec::new();
    let mut piece = [0; 4096];
    if let Some(mut stderr) = stderr {
        while let Ok(count @ 1..) = stderr.read(&mut piece).await {
            let room = LONGEST_COMPLAINT.saturating_sub(kept.len()).min(count);
            kept.extend_from_slice(&piece[..room]);
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// The child with all that it starts; ended when this is dropped, also when the caller went away in the middle.
struct Group {
    #[cfg(unix)]
    leader: Option<rustix::process::Pid>,
}

#[cfg(unix)]
impl Group {
    fn of(process: &tokio::process::Child) -> Self {
        let id = process.id().and_then(|id| i32::try_from(id).ok());
        Group { leader: id.and_then(rustix::process::Pid::from_raw) }
    }

    fn kill(&self) {
        if let Some(leader) = self.leader {
            // It fails when nobody is left.
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(not(unix))]
impl Group {
    fn of(_process: &tokio::process::Child) -> Self {
        Group {}
    }

    fn kill(&self) {}
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
