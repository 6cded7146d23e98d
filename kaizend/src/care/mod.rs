//! Looking after data planes as a whole: configuration, backups, integrity.

pub mod backup;
pub mod config;
pub mod erase;
pub mod integrity;
pub mod manifest;
