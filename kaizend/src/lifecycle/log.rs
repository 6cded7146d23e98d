//! The daemon's log: a file a day in the state directory, a week of them.

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::endpoint::RuntimeDir;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::EnvFilter;

/// Log files that are kept.
const KEPT: usize = 7;

/// Starts logging. `KAIZEN_LOG`, else `RUST_LOG`, says what; `info` by default.
///
/// # Errors
/// `DENIED_RUNTIME_DIR` when the file cannot be opened.
pub fn start(runtime: &RuntimeDir) -> Result<(), Denial> {
    let filter = ["KAIZEN_LOG", "RUST_LOG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|filter| !filter.is_empty()));
    let filter =
        EnvFilter::try_new(filter.as_deref().unwrap_or("info")).unwrap_or_else(|_| EnvFilter::new("info"));
    let file = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("kaizend")
        .filename_suffix("log")
        .max_log_files(KEPT)
        .build(runtime.logs())
        .map_err(|error| {
            Denial::new(Code::RuntimeDir)
                .with("path", runtime.logs().display().to_string())
                .with("reason", error.to_string())
        })?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(file).with_ansi(false).init();
    Ok(())
}
