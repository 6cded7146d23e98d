//! Reading the command line as far as telling which operation is meant. Only that operation's parser is built: all of
//! them would cost more than the call.

use std::ffi::{OsStr, OsString};

use clap::{Arg, ArgAction, ArgMatches, Command};
use kaizen_proto::denial::Denial;
use kaizen_proto::families;
use kaizen_proto::families::core::JournalRead;
use kaizen_proto::operation::{Card, Operation as _, Twin};

/// What the command line asks for.
pub(crate) enum Request {
    /// Help on a topic: an operation, a family, or everything.
    Help(Vec<String>),
    /// The version.
    Version {
        /// As JSON.
        json: bool,
    },
    /// An operation with its own words.
    Operation(&'static Card, Globals, Vec<OsString>),
    /// Looking after the daemon.
    Daemon(Globals, Vec<OsString>),
    /// Making a directory a project.
    Init(Globals, Vec<OsString>),
    /// A completion script for a shell.
    Completions(Vec<OsString>),
}

/// Flags that every operation takes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Globals {
    /// `--json`
    pub(crate) json: bool,
    /// `--project`
    pub(crate) project: Option<OsString>,
    /// `--params`
    pub(crate) params: Option<OsString>,
    /// `--key`
    pub(crate) key: Option<String>,
    /// `--actor`
    pub(crate) actor: Option<String>,
    /// `--session`
    pub(crate) session: Option<String>,
    /// `--redact`
    pub(crate) redact: bool,
}

impl Globals {
    /// Refuses `--redact` where nothing is stored.
    ///
    /// # Errors
    /// `DENIED_USAGE`.
    pub(crate) fn refuse_redact(&self, name: &str) -> Result<(), Denial> {
        if self.redact {
            return Err(Denial::usage(format!("{name} takes no flag --redact: it stores no texts")));
        }
        Ok(())
    }
}

/// A flag that every operation takes: its name, the name of its value, and its help.
pub(crate) struct GlobalFlag {
    /// The name without dashes.
    pub(crate) name: &'static str,
    /// The name of its value; none for a flag without one.
    pub(crate) value: Option<&'static str>,
    /// What it does.
    pub(crate) help: &'static str,
}

/// The flags that every operation takes beside its own.
pub(crate) const GLOBAL_FLAGS: &[GlobalFlag] = &[
    GlobalFlag { name: "json", value: None, help: "Print the reply as JSON; denials too, on standard error" },
    GlobalFlag {
        name: "project",
        value: Some("DIR"),
        help: "The project; else KAIZEN_REPO_ROOT, else found upwards from here",
    },
    GlobalFlag {
        name: "params",
        value: Some("FILE"),
        help: "Read the parameters as a JSON object; - for standard input",
    },
    GlobalFlag {
        name: "key",
        value: Some("KEY"),
        help: "Idempotency key: the same write with the same key happens once",
    },
    GlobalFlag { name: "actor", value: Some("NAME"), help: "Who acts, for the journal; else KAIZEN_ACTOR" },
    GlobalFlag {
        name: "session",
        value: Some("ID"),
        help: "In which session, for the journal; else KAIZEN_SESSION",
    },
    GlobalFlag {
        name: "redact",
        value: None,
        help: "Store [REDACTED:class] in place of secrets instead of refusing them; writes only",
    },
    GlobalFlag { name: "test", value: None, help: "Mark what is written as test records" },
    GlobalFlag { name: "help", value: None, help: "Print help" },
    GlobalFlag { name: "version", value: None, help: "Print the version" },
];

/// The commands that are no operations, each with what it does.
pub(crate) const BUILTINS: &[(&str, &str)] = &[
    ("init", "Make a directory a project"),
    ("daemon", "Look after the daemon that owns the data planes"),
    ("completions", "Print a completion script for a shell"),
    ("help", "Help on an operation, a family or a command"),
];

/// Reads the command line.
///
/// # Errors
/// `DENIED_USAGE`.
pub(crate) fn read(arguments: &[OsString]) -> Result<Request, Denial> {
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    if has("--version") || (arguments.len() == 1 && has("-V")) {
        return Ok(Request::Version { json: has("--json") });
    }
    let place = operation_place(arguments);
    let Some(place) = place else {
        // Nothing but flags: whatever they say, the reader needs the overview first.
        return match arguments.iter().find(|argument| is_unknown_flag(argument)) {
            Some(stray) if !has("--help") && !has("-h") => Err(unknown_flag(stray)),
            _ => Ok(Request::Help(Vec::new())),
        };
    };
    let name = arguments[place].to_string_lossy().into_owned();
    let rest: Vec<OsString> = [&arguments[..place], &arguments[place + 1..]].concat();
    let wants_help = rest.iter().any(|argument| argument == "--help" || argument == "-h");
    match name.as_str() {
        "help" => {
            let topics = rest.iter().map(|word| word.to_string_lossy().into_owned());
            return Ok(Request::Help(topics.filter(|word| !word.starts_with('-')).collect()));
        }
        "daemon" | "init" | "completions" if wants_help => return Ok(Request::Help(vec![name])),
        "daemon" => {
            let (globals, words) = split_globals(rest)?;
            globals.refuse_redact(&name)?;
            return Ok(Request::Daemon(globals, words));
        }
        "init" => {
            let (globals, words) = split_globals(rest)?;
            globals.refuse_redact(&name)?;
            return Ok(Request::Init(globals, words));
        }
        "completions" => {
            let (globals, words) = split_globals(rest)?;
            globals.refuse_redact(&name)?;
            return Ok(Request::Completions(words));
        }
        _ => {}
    }
    // `config show` reads better than the operation's own names.
    let (name, rest) =
        if name == "config" { (CONFIG_SHOW, config_words(rest, wants_help)?) } else { (&*name, rest) };
    let Some(card) = families::find(name) else {
        if wants_help {
            // Whoever asks for help does not want to hear that a word is off.
            let topic = families::find_family(name).map(|_| name.to_owned());
            return Ok(Request::Help(topic.into_iter().collect()));
        }
        return Err(unknown_operation(name));
    };
    if wants_help {
        return Ok(Request::Help(vec![card.code.to_owned()]));
    }
    let (globals, words) = split_globals(rest)?;
    Ok(Request::Operation(card, globals, words))
}

/// The operation behind `kaizenctl config show`.
pub(crate) const CONFIG_SHOW: &str =
    <kaizen_proto::families::core::ConfigShow as kaizen_proto::operation::Operation>::CODE;

/// The words after `config` without `show`, which must be there.
fn config_words(mut words: Vec<OsString>, wants_help: bool) -> Result<Vec<OsString>, Denial> {
    match operation_place(&words) {
        Some(place) if words[place] == "show" => {
            words.remove(place);
            Ok(words)
        }
        _ if wants_help => Ok(words),
        _ => Err(Denial::usage("config takes one word: show").action("Run `kaizenctl config show`.")),
    }
}

fn global_flag(flag: &OsStr) -> Option<&'static GlobalFlag> {
    let name = flag.to_str()?.strip_prefix("--")?;
    GLOBAL_FLAGS.iter().find(|global| global.name == name)
}

fn is_flag(argument: &OsStr) -> bool {
    argument.len() > 1 && argument.as_encoded_bytes().starts_with(b"-")
}

fn is_unknown_flag(argument: &OsStr) -> bool {
    let name = argument.to_string_lossy();
    let name = name.split('=').next().unwrap_or_default();
    is_flag(argument) && name != "-h" && global_flag(OsStr::new(name)).is_none()
}

/// Where the operation stands. Flags may come before it; for one that is not global, whether it takes a value is
/// looked up in the whole contract, which only such unusual calls pay for.
fn operation_place(arguments: &[OsString]) -> Option<usize> {
    let mut at = 0;
    while let Some(argument) = arguments.get(at) {
        if !is_flag(argument) {
            return Some(at);
        }
        let takes_value = match global_flag(argument) {
            Some(global) => global.value.is_some(),
            None => some_operation_takes_value(argument),
        };
        at += if takes_value { 2 } else { 1 };
    }
    None
}

fn some_operation_takes_value(flag: &OsStr) -> bool {
    let Some(name) = flag.to_str().and_then(|flag| flag.strip_prefix("--")) else { return false };
    families::cards().any(|card| {
        own_command(card)
            .get_arguments()
            .any(|arg| arg.get_long() == Some(name) && arg.get_action().takes_values())
    })
}

/// Takes the global flags out of the words, wherever they stand; the last of several wins.
fn split_globals(words: Vec<OsString>) -> Result<(Globals, Vec<OsString>), Denial> {
    let mut globals = Globals::default();
    let mut rest = Vec::with_capacity(words.len());
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let (name, joined) = match word.to_str().and_then(|word| word.split_once('=')) {
            Some((name, value)) => (OsString::from(name), Some(OsString::from(value))),
            None => (word.clone(), None),
        };
        let value = match global_flag(&name).map(|global| global.value) {
            Some(Some(_)) if name != "--test" => match joined.or_else(|| words.next()) {
                Some(value) => value,
                None => return Err(Denial::usage(format!("{} needs a value", name.display()))),
            },
            Some(None) if name == "--json" && joined.is_none() => {
                globals.json = true;
                continue;
            }
            Some(None) if name == "--redact" && joined.is_none() => {
                globals.redact = true;
                continue;
            }
            _ => {
                rest.push(word);
                continue;
            }
        };
        match name.to_str() {
            Some("--project") => globals.project = Some(value),
            Some("--params") => globals.params = Some(value),
            Some("--key") => globals.key = Some(utf8("--key", value)?),
            Some("--actor") => globals.actor = Some(utf8("--actor", value)?),
            _ => globals.session = Some(utf8("--session", value)?),
        }
    }
    Ok((globals, rest))
}

/// The text of a value.
///
/// # Errors
/// `DENIED_USAGE` when it is not UTF-8.
pub(crate) fn utf8(flag: &str, value: OsString) -> Result<String, Denial> {
    value.into_string().map_err(|_| Denial::usage(format!("the value of {flag} is not UTF-8")))
}

/// The flag of a parameter.
pub(crate) fn flag_of(field: &str) -> String {
    field.replace('_', "-")
}

fn twin_arg(twin: &Twin) -> Arg {
    let flag = format!("{}-file", flag_of(twin.field));
    Arg::new(flag.clone())
        .long(flag)
        .value_name("FILE")
        .value_parser(clap::value_parser!(OsString))
        .help(format!("Read --{} from a file; - for standard input", flag_of(twin.field)))
}

/// The flag with which K10 does not end; the daemon knows nothing of it.
pub(crate) const FOLLOW: &str = "follow";

fn follow_arg() -> Arg {
    Arg::new(FOLLOW).long(FOLLOW).action(ArgAction::SetTrue).help(
        "Print entries as they are written, one a line, until Ctrl-C; from --since, or from now on after the last --limit",
    )
}

fn own_command(card: &Card) -> Command {
    let command =
        Command::new(card.code).args_override_self(true).no_binary_name(true).disable_help_flag(true);
    let follow = (card.code == JournalRead::CODE).then(follow_arg);
    (card.augment)(command).args(card.twins.iter().map(twin_arg)).args(follow)
}

/// The parser of one operation, with the flags that help shows.
pub(crate) fn command(card: &Card) -> Command {
    let mut command = own_command(card);
    if !command.get_arguments().any(|arg| arg.get_long() == Some("test")) {
        command = command.arg(Arg::new("test").long("test").action(ArgAction::SetTrue).hide(true));
    }
    command
}

/// Parses the words of one operation.
///
/// # Errors
/// `DENIED_USAGE` that names the nearest flag.
pub(crate) fn parse(card: &Card, words: Vec<OsString>) -> Result<ArgMatches, Denial> {
    let command = command(card);
    let words = join_values(&command, words);
    let brackets = words.iter().any(|word| {
        let word = word.to_string_lossy();
        word.contains('{') || word.contains('\\')
    });
    command.clone().try_get_matches_from(&words).map_err(|error| usage(&command, card, &error, brackets))
}

/// Joins each flag that takes a value with the word after it, unless that word is itself one of the flags. So a value
/// may start with a dash, and a forgotten value is noticed.
fn join_values(command: &Command, words: Vec<OsString>) -> Vec<OsString> {
    let takes_value = |word: &OsStr| {
        let name = word.to_str().and_then(|word| word.strip_prefix("--"));
        name.and_then(|name| command.get_arguments().find(|arg| arg.get_long() == Some(name)))
            .map(|arg| arg.get_action().takes_values())
    };
    let mut joined = Vec::with_capacity(words.len());
    let mut words = words.into_iter().peekable();
    while let Some(mut word) = words.next() {
        if takes_value(&word) == Some(true)
            && let Some(value) =
                words.next_if(|next| takes_value(next).is_none() && global_flag(next).is_none())
        {
            word.push("=");
            word.push(value);
        }
        joined.push(word);
    }
    joined
}

fn usage(command: &Command, card: &Card, error: &clap::Error, brackets: bool) -> Denial {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    let argument = context(ContextKind::InvalidArg).unwrap_or_default();
    let name = argument.split([' ', '=']).next().unwrap_or_default().to_owned();
    let mut denial = match error.kind() {
        ErrorKind::UnknownArgument if name.starts_with('-') => {
            let near = nearest_flag(command, &name);
            let message = match &near {
                Some(near) => format!("{} takes no flag {name}; did you mean {near}?", card.code),
                None => format!("{} takes no flag {name}", card.code),
            };
            Denial::usage(message)
        }
        ErrorKind::UnknownArgument => {
            Denial::usage(format!("{} takes no further argument: {name:.200}", card.code))
        }
        ErrorKind::InvalidValue | ErrorKind::NoEquals | ErrorKind::WrongNumberOfValues => {
            Denial::usage(format!("{name} needs a value"))
        }
        ErrorKind::ValueValidation => {
            let value = context(ContextKind::InvalidValue).unwrap_or_default();
            Denial::usage(format!("{name} does not take {value:.200}: a number is expected"))
        }
        ErrorKind::InvalidUtf8 => Denial::usage("a value on the command line is not UTF-8"),
        ErrorKind::TooManyValues => Denial::usage(format!("{name} takes no value")),
        _ => Denial::usage(error.to_string().lines().next().unwrap_or_default().to_owned()),
    };
    denial = denial.with("operation", card.code).action(format!("See `kaizenctl {} --help`.", card.code));
    let unknown_flag = error.kind() == ErrorKind::UnknownArgument && name.starts_with('-');
    if brackets && !unknown_flag {
        denial = denial.action(
            "The shell may have eaten the quotes of a JSON value: put it into a file and pass --payload-json-file FILE.",
        );
    }
    denial
}

fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .map(|other| (strsim::normalized_damerau_levenshtein(&word, &other.to_lowercase()), other))
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .filter(|(likeness, _)| *likeness > 0.45)
        .map(|(_, other)| other)
}

fn nearest_flag(command: &Command, name: &str) -> Option<String> {
    let own = command.get_arguments().filter_map(Arg::get_long);
    let known = own.chain(GLOBAL_FLAGS.iter().map(|flag| flag.name));
    nearest(name.trim_start_matches('-'), known).map(|near| format!("--{near}"))
}

fn unknown_flag(flag: &OsStr) -> Denial {
    let flag = flag.to_string_lossy();
    let near = nearest(flag.trim_start_matches('-'), GLOBAL_FLAGS.iter().map(|global| global.name));
    Denial::usage(match near {
        Some(near) => {
            format!("no operation is named, and there is no flag {flag:.200}; did you mean --{near}?")
        }
        None => format!("no operation is named, and there is no flag {flag:.200}"),
    })
    .action("Run `kaizenctl --help` for the operations.")
}

/// The denial for an operation that does not exist.
pub(crate) fn unknown_operation(name: &str) -> Denial {
    let names = families::cards()
        .flat_map(Card::names)
        .chain(BUILTINS.iter().map(|(name, _)| *name))
        .chain(["config"]);
    let message = match nearest(name, names) {
        Some(near) => format!("there is no operation {name:.200}; did you mean {near}?"),
        None => format!("there is no operation {name:.200}"),
    };
    Denial::usage(message).with("operation", format!("{name:.200}")).action(
        "Run `kaizenctl --help` for all operations, or `kaizenctl K0 --query \"what you want to do\"`.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parser_is_sound() {
        for card in families::cards() {
            command(card).debug_assert();
        }
        crate::daemon::command().debug_assert();
        crate::init::command().debug_assert();
    }

    #[test]
    fn no_operation_takes_a_global_flag_for_its_own() {
        for card in families::cards() {
            for arg in own_command(card).get_arguments() {
                let own = arg.get_long().unwrap_or_default();
                let global = GLOBAL_FLAGS.iter().find(|global| global.name == own);
                assert!(global.is_none_or(|global| global.name == "test"), "{} --{own}", card.code);
            }
        }
    }
}
