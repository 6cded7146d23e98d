//! The first message of a connection: who calls, for which project, in which protocol.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The protocol that this release speaks. A daemon and a client with different numbers refuse each other.
pub const PROTOCOL: u32 = 1;

/// Methods that every protocol answers alike, so that any client can find out about and stop any daemon.
pub mod method {
    /// Binds the connection to a project and a caller.
    pub const HELLO: &str = "hello";
    /// Reports on the daemon and its projects.
    pub const STATUS: &str = "status";
    /// Closes the project, or ends the daemon.
    pub const STOP: &str = "stop";
}

/// How the client came by the project root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RootSource {
    /// Named by a flag, a variable, or an editor's workspace.
    #[default]
    Named,
    /// Found by a marker, upwards from the working directory.
    Found,
    /// The working directory, for want of a marker: good for reading, not for creating a data plane.
    Fallback,
}

/// Parameters of `hello`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Hello {
    /// The protocol of the client.
    pub protocol: u32,
    /// The client's name.
    pub client: String,
    /// The client's release, for information.
    pub version: String,
    /// Absolute path of the project. Absent: only methods without a project can be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_root: Option<String>,
    /// How the root was found.
    pub root_source: RootSource,
    /// The caller's working directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Who acts, for the journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// In which session, for the journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The caller's `KAIZEN_*` variables that override the daemon's own for the calls of this connection.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// The reply to `hello`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Welcome {
    /// The daemon's protocol.
    pub protocol: u32,
    /// The daemon's release.
    pub version: String,
    /// The daemon's process, for display.
    pub pid: u32,
    /// The project root with all symbolic links resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_root: Option<String>,
    /// Bytes of the largest message that is accepted.
    pub max_frame: usize,
    /// Calls of one connection that may be under way.
    pub max_calls: usize,
}

/// What a call can carry beside its own parameters, under the key `_meta`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Meta {
    /// Idempotency key of a write: the same call with the same key is carried out once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether secrets in the parameters of a write are replaced by `[REDACTED:class]` instead of refused.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub redact: bool,
}

/// Parameters of `stop`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Stop {
    /// End the daemon whatever projects it has open.
    pub all: bool,
}

/// The reply to `stop`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stopping {
    /// Whether the daemon ends.
    pub daemon_ends: bool,
    /// Whether the project of this connection was open and is closed now.
    pub project_closed: bool,
}

/// One open project in the reply to `status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectStatus {
    /// The project root.
    pub root: String,
    /// The database file.
    pub db_path: String,
    /// Writes that wait.
    pub queue_depth: usize,
    /// Number of the last journal entry.
    pub seq: i64,
    /// Size of the write-ahead log in bytes.
    pub wal_bytes: u64,
    /// Seconds since the last call.
    pub idle_s: u64,
    /// How the watching of its files goes; absent while it has not begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<WatchState>,
}

/// How the watching of a project's files goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WatchState {
    /// Files that wait or are being read.
    pub pending: usize,
    /// Files that could not be read.
    pub failed: usize,
    /// Whether files are left alone at present.
    pub paused: bool,
    /// Whether changes are found by walks, because the system has no watches left.
    pub polling: bool,
    /// When the system reported a change last.
    pub last_event: Option<String>,
    /// When everything was compared with the disk last.
    pub last_reconcile: Option<String>,
    /// Directories that are watched.
    pub watches: usize,
    /// Watches that the user may have in all.
    pub watch_limit: Option<usize>,
}

/// The reply to `status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DaemonStatus {
    /// The daemon's release.
    pub version: String,
    /// The daemon's protocol.
    pub protocol: u32,
    /// The daemon's process, for display.
    pub pid: u32,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// The socket it listens on.
    pub endpoint: String,
    /// Open connections.
    pub connections: usize,
    /// Whether it refuses new calls because it is about to end.
    pub draining: bool,
    /// The projects it has open.
    pub projects: Vec<ProjectStatus>,
}
