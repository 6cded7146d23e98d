//! One operation: from its words to its reply.

use std::ffi::OsString;

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::core::{ConfigShow, Doctor, OperationFind, OperationWanted, Settings};
use kaizen_proto::hello::{Hello, Meta, PROTOCOL};
use kaizen_proto::operation::{Access, Card, Operation as _};
use kaizen_proto::{find, id};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::arguments::{self, Globals};
use crate::{Failure, Output, connect, doctor, follow, print, project, twins};

/// The caller's variables that operations look at: the daemon has the environment of whoever started it.
const SENT_VARIABLES: &[&str] = &["KAIZEN_SKILLS_ROOT"];

/// Carries out an operation.
pub(crate) fn run(card: &Card, globals: &Globals, words: &[OsString]) -> Result<Output, Failure> {
    let named = |denial: Denial| denial.for_operation(card);
    if card.access != Access::Write {
        globals.refuse_redact(card.code).map_err(|denial| named(denial.with("operation", card.code)))?;
    }
    let (mut params, follow) = params(card, globals, words).map_err(named)?;
    if follow {
        return follow::run(card, globals, &params);
    }
    if card.code == OperationFind::CODE {
        let wanted: OperationWanted = serde_json::from_value(Value::Object(params))
            .map_err(|error| Denial::usage(format!("the parameters do not fit: {error}")))?;
        return Ok(Output::Reply(print::raw(&find::operations(&wanted))?));
    }
    let mut key = None;
    if card.access == Access::Write {
        let given = globals.key.clone().unwrap_or_else(id::idempotency_key);
        let meta = Meta { key: Some(given.clone()), redact: globals.redact };
        params.insert("_meta".into(), json!(meta));
        key = Some(given);
    }
    let params = Value::Object(params).to_string();
    let reply = match (connect::call(&hello(globals)?, card.method, &params), key) {
        (Err(Failure::Denied(denial)), Some(key)) if denial.code == Code::Timeout => {
            // Only whoever knows the key can repeat the call without writing twice.
            let action = format!("Repeat the call with --key {key}, so that it happens once.");
            return Err(denial.with("key", key).action(action).into());
        }
        (Err(failure), _) if card.code == Doctor::CODE => return doctor::without_daemon(&failure),
        (outcome, _) => outcome?,
    };
    if card.code == Doctor::CODE {
        return Ok(doctor::examined(reply)?);
    }
    if card.code == ConfigShow::CODE {
        return Ok(Output::Reply(name_sources(&reply, globals)?));
    }
    Ok(Output::Reply(reply))
}

/// The settings with the sources that only the caller knows: which of a flag and a variable it was.
fn name_sources(reply: &RawValue, globals: &Globals) -> Result<Box<RawValue>, Denial> {
    let mut settings: Settings = serde_json::from_str(reply.get())
        .map_err(|error| Denial::new(Code::Protocol).message(error.to_string()))?;
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    for (name, by_flag, flag, variable) in [
        ("project.root", globals.project.is_some(), "--project", "KAIZEN_REPO_ROOT"),
        ("caller.actor", globals.actor.is_some(), "--actor", "KAIZEN_ACTOR"),
        ("caller.session", globals.session.is_some(), "--session", "KAIZEN_SESSION"),
        ("daemon.runtime_dir", false, "", "KAIZEN_RUNTIME_DIR"),
    ] {
        let Some(setting) = settings.records.iter_mut().find(|setting| setting.name == name) else {
            continue;
        };
        if by_flag {
            flag.clone_into(&mut setting.source);
        } else if is_set(variable) {
            variable.clone_into(&mut setting.source);
        } else if name == "daemon.runtime_dir" {
            // The daemon was told by whoever started it, who knew no other either.
            "default".clone_into(&mut setting.source);
        }
    }
    print::raw(&settings)
}

/// The parameters: those of `--params` first, then what the flags say, then the files. And whether to follow.
fn params(card: &Card, globals: &Globals, words: &[OsString]) -> Result<(Map<String, Value>, bool), Denial> {
    let mut params = match &globals.params {
        Some(path) => {
            let text = twins::read_text(path, card.code)?;
            let value: Value = serde_json::from_str(&text).map_err(|error| {
                Denial::new(Code::JsonInvalid)
                    .message(format!("--params is not JSON: {error}"))
                    .example(format!("kaizenctl {} --params params.json --json", card.code))
            })?;
            match value {
                Value::Object(object) => object,
                _ => return Err(Denial::new(Code::PayloadType).message("--params must be a JSON object")),
            }
        }
        None => Map::new(),
    };
    let matches = arguments::parse(card, words.to_vec())?;
    let given = (card.parse)(&matches).map_err(|error| Denial::usage(error.to_string()))?;
    if let Value::Object(given) = given {
        params.extend(given);
    }
    twins::fill(card, &matches, &mut params)?;
    let follow = matches!(matches.try_get_one::<bool>(arguments::FOLLOW), Ok(Some(true)));
    Ok((params, follow))
}

/// Who calls, and for which project.
pub(crate) fn hello(globals: &Globals) -> Result<Hello, Denial> {
    let cwd = std::env::current_dir().map_err(|error| {
        Denial::new(Code::ProjectNotFound).with("reason", format!("the working directory is gone: {error}"))
    })?;
    let (root, root_source) = project::resolve(globals, &cwd)?;
    let text = |path: std::path::PathBuf| {
        path.into_os_string().into_string().map_err(|path| {
            Denial::new(Code::ProjectNotFound)
                .with("path", path.to_string_lossy().into_owned())
                .with("reason", "the path is not UTF-8")
        })
    };
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    Ok(Hello {
        protocol: PROTOCOL,
        client: "kaizenctl".into(),
        version: kaizen_proto::VERSION.into(),
        project_root: Some(text(root)?),
        root_source,
        cwd: Some(text(cwd)?),
        actor: globals.actor.clone().or_else(|| variable("KAIZEN_ACTOR")),
        session: globals.session.clone().or_else(|| variable("KAIZEN_SESSION")),
        env: SENT_VARIABLES.iter().filter_map(|name| Some(((*name).to_owned(), variable(name)?))).collect(),
    })
}
