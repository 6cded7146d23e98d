//! kaizend: the daemon that owns the data planes of a user's projects.
//!
//! A call comes in through [`transport`], meets its handler in [`registry`], and the handlers of [`families`] read and
//! write through [`plane`]. [`projects`] holds what is open, [`lifecycle`] the daemon's own beginning and end.

pub mod care;
pub mod daemon;
pub mod families;
pub mod files;
pub mod ingest;
pub mod lifecycle;
pub mod plane;
pub mod projects;
pub mod redaction;
pub mod registry;
pub mod report;
pub mod search;
pub mod transport;
