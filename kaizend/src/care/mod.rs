//! Looking after data planes as a whole: configuration, backups, integrity.

pub mod backup;
pub mod config;
pub mod doctor;
pub mod erase;
pub mod export;
pub mod import;
pub mod integrity;
pub mod manifest;
pub mod restore;
pub mod schedule;
mod staging;
pub(crate) mod test_rows;
mod transfer;

use kaizen_proto::denial::Denial;

use crate::plane::fault;

/// Runs work that blocks off the threads that serve calls.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Denial> + Send + 'static,
) -> Result<T, Denial> {
    #[expect(
        clippy::disallowed_methods,
        reason = "awaited right here, so a drain waits for it with the call"
    )]
    let working = tokio::task::spawn_blocking(work);
    working.await.unwrap_or_else(|error| Err(fault::unexpected("finish the work", &error)))
}
