//! `kaizenctl init`: makes a directory a project. It creates the data plane and lays the files of the minimal project:
//! those that are missing, and a block of rules in those that agents read. What is there is not touched.

mod block;
mod files;
mod templates;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command};
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::core::PlaneCheck;
use kaizen_proto::hello::RootSource;
use kaizen_proto::operation::Operation as _;
use serde_json::{Map, Value, json};

use crate::arguments::Globals;
use crate::{Failure, Output, connect, operation, print};
use files::{Found, State, Without};
use templates::{DIRECTORIES, IGNORE, TEMPLATES};

/// The parser, from which the help is made too.
pub(crate) fn command() -> Command {
    Command::new("init")
        .about("Make a directory a project")
        .no_binary_name(true)
        .disable_help_flag(true)
        .arg(
            Arg::new("directory")
                .value_name("DIR")
                .value_parser(clap::value_parser!(OsString))
                .help("The project's root; the working directory by default"),
        )
        .arg(
            Arg::new("check")
                .long("check")
                .action(ArgAction::SetTrue)
                .help("Change nothing; exit with 1 when something is missing or out of date"),
        )
        .arg(
            Arg::new("remove")
                .long("remove")
                .action(ArgAction::SetTrue)
                .conflicts_with("check")
                .help("Take away the blocks and the files that are as they were laid; never AI/db"),
        )
}

/// Carries out `kaizenctl init`.
pub(crate) fn run(globals: &Globals, words: &[OsString]) -> Result<Output, Failure> {
    let usage = |message: String| Denial::usage(message).action("See `kaizenctl init --help`.");
    let matches = command().try_get_matches_from(words).map_err(|error| {
        let text = error.to_string();
        usage(text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned())
    })?;
    let mut globals = globals.clone();
    if let Some(directory) = matches.get_one::<OsString>("directory") {
        if globals.project.is_some() {
            return Err(usage("init takes either a directory or --project, not both".into()).into());
        }
        globals.project = Some(directory.clone());
    }
    let root = root(&globals)?;
    if matches.get_flag("check") {
        check(&root)
    } else if matches.get_flag("remove") {
        remove(&root)
    } else {
        lay(&globals, &root)
    }
}

/// The directory that is meant, whatever `KAIZEN_REPO_ROOT` says, without links.
fn root(globals: &Globals) -> Result<PathBuf, Denial> {
    let named = globals.project.as_deref().map_or(Path::new("."), Path::new);
    let denied = |reason: String| {
        Denial::new(Code::ProjectNotFound).with("path", named.display().to_string()).with("reason", reason)
    };
    let root = named.canonicalize().map_err(|error| denied(error.to_string()))?;
    if root.is_dir() { Ok(root) } else { Err(denied("it is not a directory".into())) }
}

/// How a file is reported. In a check nothing has been changed yet.
fn word(state: State, is_done: bool) -> &'static str {
    match (state, is_done) {
        (State::Missing, false) => "missing",
        (State::Missing, true) => "created",
        (State::BlockMissing, false) => "block_missing",
        (State::BlockMissing, true) => "block_added",
        (State::BlockOutdated, false) => "block_outdated",
        (State::BlockOutdated, true) => "block_updated",
        (State::Current, _) => "current",
        (State::Own, _) => "own",
        (State::Same, _) => "same_file",
        (State::Outside, _) => "outside",
    }
}

fn is_wanting(found: &Found) -> bool {
    matches!(found.state, State::Missing | State::BlockMissing | State::BlockOutdated)
}

fn rows(found: &[Found], is_done: bool) -> Value {
    found.iter().map(|one| json!({"path": one.template.path, "state": word(one.state, is_done)})).collect()
}

/// What the reader should see to, because this program leaves it alone.
fn warnings(found: &[Found]) -> Vec<String> {
    let outside = found.iter().filter(|one| one.state == State::Outside);
    outside.map(|one| format!("{} leads out of the project and is left alone.", one.template.path)).collect()
}

fn report(root: &Path, found: &[Found], is_done: bool, message: String) -> Map<String, Value> {
    let complete = is_done || !found.iter().any(is_wanting);
    let mut reply = Map::new();
    reply.insert("status".into(), if complete { "OK" } else { "INCOMPLETE" }.into());
    reply.insert("message".into(), message.into());
    reply.insert("project".into(), root.display().to_string().into());
    reply.insert("complete".into(), complete.into());
    reply.insert("files".into(), rows(found, is_done));
    let warnings = warnings(found);
    if !warnings.is_empty() {
        reply.insert("warnings".into(), warnings.into());
    }
    reply
}

const IN_PLACE: &str = "All of the project's Kaizen files are in place.";

fn check(root: &Path) -> Result<Output, Failure> {
    let found = files::look(root, TEMPLATES)?;
    let wanting = found.iter().filter(|one| is_wanting(one)).count();
    if wanting == 0 {
        return Ok(Output::Reply(print::raw(&report(root, &found, false, IN_PLACE.into()))?));
    }
    let message =
        format!("Missing or out of date: {wanting} of {} files; run `kaizenctl init`.", found.len());
    Ok(Output::Wanting(print::raw(&report(root, &found, false, message))?))
}

fn lay(globals: &Globals, root: &Path) -> Result<Output, Failure> {
    // Everything that can be refused is, before anything is made.
    let writable = |found: &[Found]| {
        let mut changes =
            found.iter().filter(|one| matches!(one.state, State::BlockMissing | State::BlockOutdated));
        changes.try_for_each(|one| files::check_writable(one.template.path, &one.target))
    };
    writable(&files::look(root, TEMPLATES)?)?;
    let mut hello = operation::hello(&Globals { project: Some(root.into()), ..globals.clone() })?;
    hello.root_source = RootSource::Named;
    let plane = connect::call(&hello, PlaneCheck::METHOD, "{}")?;
    // Starting the daemon may have taken a while.
    let found = files::look(root, TEMPLATES)?;
    writable(&found)?;
    for one in &found {
        if let Some(text) = &one.text {
            files::write(&one.target, text, one.state == State::Missing)?;
        }
    }
    let count = |state| found.iter().filter(|one| one.state == state).count();
    let (created, blocks) = (count(State::Missing), count(State::BlockMissing) + count(State::BlockOutdated));
    let message = match (created, blocks) {
        (0, 0) => IN_PLACE.into(),
        (created, blocks) => format!(
            "Files created: {created}. Blocks added or brought up to date: {blocks}. Nothing else was touched."
        ),
    };
    let mut reply = report(root, &found, true, message);
    let plane: Map<String, Value> = serde_json::from_str(plane.get())
        .map_err(|error| Denial::new(Code::Protocol).message(error.to_string()))?;
    for (name, value) in plane {
        reply.entry(name).or_insert(value);
    }
    Ok(Output::Reply(print::raw(&reply)?))
}

fn remove(root: &Path) -> Result<Output, Failure> {
    let found = files::look(root, TEMPLATES)?;
    let mut plan = Vec::new();
    for one in &found {
        let without = files::without(one)?;
        if matches!(without, Without::Text(_)) {
            files::check_writable(one.template.path, &one.target)?;
        }
        plan.push((one, without));
    }
    let (mut removed, mut left) = (Vec::new(), Vec::new());
    let leave = |path: &str, reason: &str| json!({"path": path, "reason": reason});
    for (one, without) in plan {
        let path = one.template.path;
        match without {
            Without::Nothing if path == IGNORE && holds_more(root, &one.target) => {
                left.push(leave(path, "it keeps what is in AI/ out of version control"));
            }
            Without::Nothing => {
                files::delete(&one.target)?;
                removed.push(json!({"path": path, "what": "file"}));
            }
            Without::Text(text) => {
                files::write(&one.target, &text, false)?;
                removed.push(json!({"path": path, "what": "block"}));
            }
            Without::Unchanged => match one.state {
                State::Own => left.push(leave(path, "it is not as init lays it, so it is the project's own")),
                State::Outside => left.push(leave(path, "it leads out of the project")),
                _ => {}
            },
        }
    }
    remove_empty_directories(root);
    if root.join("AI/db").exists() {
        left.push(leave("AI/db", "records are never deleted"));
    }
    let message = if removed.is_empty() {
        "There was nothing to remove.".to_owned()
    } else {
        format!("Files and blocks removed: {}.", removed.len())
    };
    Ok(Output::Reply(print::raw(&json!({"status": "OK", "message": message,
        "project": root.display().to_string(), "removed": removed, "left": left}))?))
}

/// Removes the directories that were made for the files that are gone.
fn remove_empty_directories(root: &Path) {
    for directory in DIRECTORIES {
        // Fails, as it should, for one that holds something.
        let _ = std::fs::remove_dir(root.join(directory));
    }
}

/// Whether the directory of a file holds anything else, now that the other files are gone.
fn holds_more(root: &Path, file: &Path) -> bool {
    remove_empty_directories(root);
    let Some(Ok(mut entries)) = file.parent().map(std::fs::read_dir) else { return true };
    entries.any(|entry| entry.is_ok_and(|entry| entry.path() != file))
}
