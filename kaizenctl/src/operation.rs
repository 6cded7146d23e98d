//! One operation: from its words to its reply.

use std::ffi::OsString;

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::core::{OperationFind, OperationWanted};
use kaizen_proto::hello::{Hello, Meta, PROTOCOL};
use kaizen_proto::operation::{Access, Card, Operation as _};
use kaizen_proto::{find, id};
use serde_json::{Map, Value, json};

use crate::arguments::{self, Globals};
use crate::{Failure, Output, connect, print, project, twins};

/// The caller's variables that operations look at: the daemon has the environment of whoever started it.
const SENT_VARIABLES: &[&str] = &["KAIZEN_SKILLS_ROOT"];

/// Carries out an operation.
pub(crate) fn run(card: &Card, globals: &Globals, words: &[OsString]) -> Result<Output, Failure> {
    let named = |denial: Denial| denial.for_operation(card);
    if card.access != Access::Write {
        globals.refuse_redact(card.code).map_err(|denial| named(denial.with("operation", card.code)))?;
    }
    let mut params = params(card, globals, words).map_err(named)?;
    if card.code == OperationFind::CODE {
        let wanted: OperationWanted = serde_json::from_value(Value::Object(params))
            .map_err(|error| Denial::usage(format!("the parameters do not fit: {error}")))?;
        return Ok(Output::Reply(print::raw(&find::operations(&wanted))?));
    }
    if card.access == Access::Write {
        let meta = Meta {
            key: Some(globals.key.clone().unwrap_or_else(id::idempotency_key)),
            redact: globals.redact,
        };
        params.insert("_meta".into(), json!(meta));
    }
    let params = Value::Object(params).to_string();
    Ok(Output::Reply(connect::call(&hello(globals)?, card.method, &params)?))
}

/// The parameters: those of `--params` first, then what the flags say, then the files.
fn params(card: &Card, globals: &Globals, words: &[OsString]) -> Result<Map<String, Value>, Denial> {
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
    Ok(params)
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
