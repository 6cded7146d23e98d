//! Binding a connection to a project and a caller.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::frame::MAX_FRAME;
use kaizen_proto::hello::{Hello, PROTOCOL, Welcome};
use kaizen_proto::limits;

use super::connection::MAX_CALLS;
use crate::care::config::Config;
use crate::daemon::Binding;
use crate::plane::Caller;
use crate::redaction::gate;

/// Carries out `hello`.
///
/// # Errors
/// `DENIED_PROTOCOL`, `DENIED_PROJECT_NOT_FOUND`, `DENIED_CONFIG`, `DENIED_USAGE` for texts that are too long.
pub fn bind(hello: Hello) -> Result<(Binding, Welcome), Denial> {
    if hello.protocol != PROTOCOL {
        return Err(Denial::new(Code::Protocol)
            .with("protocol", hello.protocol)
            .with("expected_protocol", PROTOCOL)
            .with("daemon_version", kaizen_proto::VERSION)
            .message("client and daemon speak different protocols"));
    }
    for (field, text) in [("actor", &hello.actor), ("session", &hello.session), ("cwd", &hello.cwd)] {
        if let Some(text) = text {
            limits::check_bytes(field, text, 4096)?;
        }
    }
    let root = hello.project_root.as_deref().map(canonical_root).transpose()?;
    let config = root.as_deref().map(Config::read).transpose()?.unwrap_or_default();
    let db_path = root.as_ref().map_or_else(PathBuf::new, |root| config.db_path(root));
    let welcome = Welcome {
        protocol: PROTOCOL,
        version: kaizen_proto::VERSION.into(),
        pid: std::process::id(),
        project_root: root.as_ref().map(|root| root.display().to_string()),
        max_frame: MAX_FRAME,
        max_calls: MAX_CALLS,
    };
    let (mut refused, mut warnings) = (None, Vec::new());
    let mut given = |field, text: Option<String>| {
        let mut text = text.filter(|text| !text.is_empty())?;
        // Reads are answered all the same, so this is not the place to refuse.
        refused = refused.take().or(gate::check_text(field, &text).err());
        warnings.extend(gate::mask_text(field, &mut text));
        Some(text)
    };
    let caller = Caller { actor: given("actor", hello.actor), session: given("session", hello.session) };
    let binding = Binding {
        root,
        db_path,
        cwd: hello.cwd.filter(|cwd| Path::new(cwd).is_absolute()).map(PathBuf::from),
        config,
        root_source: hello.root_source,
        caller: Arc::new(caller),
        caller_warnings: warnings,
        caller_refused: refused,
        env: hello
            .env
            .into_iter()
            .filter(|(name, value)| name.starts_with("KAIZEN_") && !value.is_empty())
            .collect(),
    };
    Ok((binding, welcome))
}

fn canonical_root(root: &str) -> Result<PathBuf, Denial> {
    let denied =
        |reason: String| Denial::new(Code::ProjectNotFound).with("path", root).with("reason", reason);
    if !Path::new(root).is_absolute() {
        return Err(denied("the project root must be an absolute path".into()));
    }
    let path = std::fs::canonicalize(root).map_err(|error| denied(error.to_string()))?;
    if !path.is_dir() {
        return Err(denied("it is not a directory".into()));
    }
    Ok(path)
}
