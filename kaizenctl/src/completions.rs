//! `kaizenctl completions SHELL`: prints a completion script. What it knows comes from the contract and from the
//! parsers, like the help; the shells' own code is in `templates/completions/`.

use std::ffi::OsString;

use clap::Command;
use kaizen_proto::denial::Denial;
use kaizen_proto::families::{self, FAMILIES};
use kaizen_proto::operation::Card;
use kaizen_proto::values;

use crate::arguments::{self, BUILTINS, CONFIG_SHOW, GLOBAL_FLAGS};
use crate::{Failure, Output, daemon, init};

/// What may follow a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Follows {
    /// Nothing.
    Nothing,
    /// Any text.
    Text,
    /// One of these words.
    Words(Vec<String>),
    /// The name of a file.
    File,
    /// The name of a directory.
    Directory,
}

/// A flag with its dashes.
struct Flag {
    name: String,
    help: String,
    follows: Follows,
}

/// Something that is named first on the command line, and what it takes.
struct Entry {
    names: Vec<String>,
    about: String,
    flags: Vec<Flag>,
    /// The words that may follow it, each with what it means.
    arguments: Vec<(String, String)>,
}

/// A shell: its name, its script without the data, and how the data is written in it.
struct Shell {
    name: &'static str,
    script: &'static str,
    entry: fn(&Entry) -> String,
    globals: fn(&[Flag]) -> String,
    described: fn(&str, &str) -> String,
    alternatives: &'static str,
}

const SHELLS: &[Shell] = &[
    Shell {
        name: "bash",
        script: include_str!("../templates/completions/kaizenctl.bash"),
        entry: bash::entry,
        globals: bash::globals,
        described: |name, _| name.to_owned(),
        alternatives: " | ",
    },
    Shell {
        name: "zsh",
        script: include_str!("../templates/completions/_kaizenctl"),
        entry: zsh::entry,
        globals: zsh::globals,
        described: zsh::described,
        alternatives: "|",
    },
    Shell {
        name: "fish",
        script: include_str!("../templates/completions/kaizenctl.fish"),
        entry: fish::entry,
        globals: fish::globals,
        described: fish::described,
        alternatives: " ",
    },
];

/// Prints the script.
pub(crate) fn run(words: &[OsString]) -> Result<Output, Failure> {
    let known = || SHELLS.iter().map(|shell| shell.name);
    let [name] = words else {
        return Err(usage("completions needs the name of one shell".into()).into());
    };
    let shell = SHELLS.iter().find(|shell| name == shell.name).ok_or_else(|| {
        usage(format!(
            "there are completions for {}, not for {:.40}",
            known().collect::<Vec<_>>().join(", "),
            name.display()
        ))
    })?;
    Ok(Output::Text(script(shell)))
}

fn usage(message: String) -> Denial {
    Denial::usage(message).action("Use `kaizenctl completions bash|zsh|fish`.")
}

fn script(shell: &Shell) -> String {
    let entries = entries();
    let globals = globals();
    let join = |texts: Vec<String>, by: &str| texts.join(by);
    let described = |indent: &str, pairs: Vec<(String, String)>| -> String {
        let lines: Vec<String> =
            pairs.iter().map(|(name, about)| format!("{indent}{}", (shell.described)(name, about))).collect();
        if shell.name == "fish" { lines.join(" \\\n") } else { lines.join("\n") }
    };
    let codes: Vec<String> = families::cards().map(|card| card.code.to_owned()).collect();
    let other_names: Vec<String> =
        entries.iter().flat_map(|entry| &entry.names).filter(|name| !codes.contains(name)).cloned().collect();
    let names: Vec<(String, String)> = entries
        .iter()
        .flat_map(|entry| entry.names.iter().map(|name| (name.clone(), entry.about.clone())))
        .collect();
    let global_names: Vec<String> = globals.iter().map(|flag| flag.name.clone()).collect();
    let global_pairs = globals.iter().map(|flag| (flag.name.clone(), flag.help.clone())).collect();
    let valued = globals.iter().filter(|flag| flag.follows != Follows::Nothing);
    let valued = join(valued.map(|flag| flag.name.clone()).collect(), shell.alternatives);
    let operations = join(entries.iter().map(shell.entry).collect(), "\n");
    let (names, flags) = if shell.name == "bash" {
        (other_names.join(" "), global_names.join(" "))
    } else {
        (described("            ", names), described("            ", global_pairs))
    };
    shell
        .script
        .replace("\r\n", "\n")
        .replace("@VERSION@", kaizen_proto::VERSION)
        .replace("@GLOBAL_VALUED@", &valued)
        .replace("@GLOBALS@", &(shell.globals)(&globals))
        .replace("@OPERATIONS@", &operations)
        .replace("@POSITIONAL_DIRECTORY@", init::command().get_name())
        .replace("@CODES@", &codes.join(" "))
        .replace("@NAMES@", &names)
        .replace("@GLOBAL_FLAGS@", &flags)
}

fn globals() -> Vec<Flag> {
    let flag = |flag: &arguments::GlobalFlag| Flag {
        name: format!("--{}", flag.name),
        help: flag.help.to_owned(),
        follows: follows_name(flag.value),
    };
    GLOBAL_FLAGS.iter().map(flag).collect()
}

/// What follows a flag whose value has this name in the help.
fn follows_name(value: Option<&str>) -> Follows {
    match value {
        None => Follows::Nothing,
        Some("DIR") => Follows::Directory,
        Some("FILE") => Follows::File,
        Some(_) => Follows::Text,
    }
}

fn entries() -> Vec<Entry> {
    families::cards()
        .map(operation)
        .chain(BUILTINS.iter().map(|(name, about)| builtin(name, about)))
        .chain(families::find(CONFIG_SHOW).map(config))
        .collect()
}

/// `config show`, which is an operation in two words.
fn config(card: &Card) -> Entry {
    let arguments = vec![("show".to_owned(), card.purpose.to_owned())];
    Entry { names: vec!["config".to_owned()], about: card.purpose.to_owned(), flags: Vec::new(), arguments }
}

fn operation(card: &Card) -> Entry {
    let command = arguments::command(card);
    Entry {
        names: card.names().map(str::to_owned).collect(),
        about: card.purpose.to_owned(),
        flags: flags(&command, |name| {
            let field = name.replace('-', "_");
            let words = values::of(card, &field);
            if !words.is_empty() {
                Some(Follows::Words(words.into_iter().map(str::to_owned).collect()))
            } else if field == "path" || field.ends_with("_path") {
                Some(Follows::File)
            } else {
                None
            }
        }),
        arguments: Vec::new(),
    }
}

fn flags(command: &Command, special: impl Fn(&str) -> Option<Follows>) -> Vec<Flag> {
    let own = command.get_arguments().filter(|arg| !arg.is_hide_set() && arg.get_long().is_some());
    own.map(|arg| {
        let name = arg.get_long().unwrap_or_default();
        let value = arg.get_value_names().and_then(|names| names.first()).map(clap::builder::Str::as_str);
        let takes_value = arg.get_action().takes_values();
        let usual = follows_name(takes_value.then_some(value.unwrap_or_default()));
        Flag {
            name: format!("--{name}"),
            help: arg.get_help().map(ToString::to_string).unwrap_or_default(),
            follows: special(name).filter(|_| takes_value).unwrap_or(usual),
        }
    })
    .collect()
}

fn builtin(name: &str, about: &str) -> Entry {
    let pair = |name: &str, about: &str| (name.to_owned(), about.to_owned());
    let about_of = |command: &Command| command.get_about().map(ToString::to_string).unwrap_or_default();
    let (flags, arguments) = match name {
        "init" => (flags(&init::command(), |_| None), Vec::new()),
        "daemon" => {
            let command = daemon::command();
            let verbs: Vec<&Command> = command.get_subcommands().collect();
            (
                verbs.iter().flat_map(|verb| self::flags(verb, |_| None)).collect(),
                verbs.iter().map(|verb| pair(verb.get_name(), &about_of(verb))).collect(),
            )
        }
        "completions" => {
            (Vec::new(), SHELLS.iter().map(|shell| pair(shell.name, "A completion script")).collect())
        }
        _ => {
            let operations =
                families::cards().flat_map(|card| card.names().map(|name| pair(name, card.purpose)));
            let families = FAMILIES.iter().map(|family| pair(family.name, family.purpose));
            let builtins = BUILTINS.iter().filter(|(other, _)| *other != name);
            (
                Vec::new(),
                operations.chain(families).chain(builtins.map(|(name, about)| pair(name, about))).collect(),
            )
        }
    };
    Entry { names: vec![name.to_owned()], about: about.to_owned(), flags, arguments }
}

impl Entry {
    /// The names of the flags that something of this kind follows.
    fn that_take(&self, follows: &Follows) -> Vec<&str> {
        self.flags.iter().filter(|flag| flag.follows == *follows).map(|flag| flag.name.as_str()).collect()
    }

    /// The flags that one of some words follows.
    fn with_words(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.flags.iter().filter_map(|flag| match &flag.follows {
            Follows::Words(words) => Some((flag.name.as_str(), &words[..])),
            _ => None,
        })
    }
}

/// The first sentence of a text, which has room beside a flag.
fn brief(text: &str) -> &str {
    let end = [". ", "; ", ": "].iter().filter_map(|end| text.find(end)).min().unwrap_or(text.len());
    text[..end].trim_end_matches('.')
}

/// A text in single quotes, as bash and zsh read it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

mod bash {
    use super::{Entry, Flag, Follows};

    /// A pattern that fits a name in any case of its code.
    fn pattern(name: &str) -> String {
        let mut characters = name.chars();
        match characters.next() {
            Some(first) if first.is_ascii_uppercase() => {
                format!("[{first}{}]{}", first.to_ascii_lowercase(), characters.as_str())
            }
            _ => name.to_owned(),
        }
    }

    pub(super) fn entry(entry: &Entry) -> String {
        let names: Vec<String> = entry.names.iter().map(|name| pattern(name)).collect();
        let mut text = format!("        {})\n", names.join(" | "));
        let mut set = |name: &str, words: Vec<&str>| {
            if !words.is_empty() {
                text.push_str(&format!("            {name}='{}'\n", words.join(" ")));
            }
        };
        set("flags", entry.flags.iter().map(|flag| flag.name.as_str()).collect());
        set("arguments", entry.arguments.iter().map(|(word, _)| word.as_str()).collect());
        set("texts", entry.that_take(&Follows::Text));
        set("files", entry.that_take(&Follows::File));
        set("directories", entry.that_take(&Follows::Directory));
        let mut with_words = entry.with_words().peekable();
        if with_words.peek().is_some() {
            text.push_str("            case $prev in\n");
            for (flag, words) in with_words {
                text.push_str(&format!("                {flag}) words='{}' ;;\n", words.join(" ")));
            }
            text.push_str("            esac\n");
        }
        text + "            ;;"
    }

    /// The operations' own lists are set after this, so here only what is done at once.
    pub(super) fn globals(flags: &[Flag]) -> String {
        let arm = |follows: &Follows, action: &str| {
            let names: Vec<&str> =
                flags.iter().filter(|flag| flag.follows == *follows).map(|flag| flag.name.as_str()).collect();
            format!("        {})\n{action}            return\n            ;;", names.join(" | "))
        };
        let list = |option: &str| format!("            _kaizenctl_paths {option} \"$cur\"\n");
        [arm(&Follows::File, &list("-f")), arm(&Follows::Directory, &list("-d")), arm(&Follows::Text, "")]
            .join("\n")
    }
}

mod zsh {
    use super::{Entry, Flag, Follows, brief, quoted};

    pub(super) fn described(name: &str, about: &str) -> String {
        quoted(&format!("{}:{}", name.replace(':', "\\:"), brief(about)))
    }

    pub(super) fn entry(entry: &Entry) -> String {
        let names: Vec<String> = entry.names.iter().map(|name| name.to_lowercase()).collect();
        let mut text = format!("        ({})\n", names.join("|"));
        let mut set = |name: &str, words: Vec<String>| {
            if !words.is_empty() {
                text.push_str(&format!("            {name}=({})\n", words.join(" ")));
            }
        };
        let plain = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        set("flags", entry.flags.iter().map(|flag| described(&flag.name, &flag.help)).collect());
        set("arguments", entry.arguments.iter().map(|(word, about)| described(word, about)).collect());
        set("texts", plain(entry.that_take(&Follows::Text)));
        set("files", plain(entry.that_take(&Follows::File)));
        set("directories", plain(entry.that_take(&Follows::Directory)));
        let mut with_words = entry.with_words().peekable();
        if with_words.peek().is_some() {
            text.push_str("            case $previous in\n");
            for (flag, words) in with_words {
                text.push_str(&format!(
                    "                ({flag}) compadd -- {}; return ;;\n",
                    words.join(" ")
                ));
            }
            text.push_str("            esac\n");
        }
        text + "            ;;"
    }

    pub(super) fn globals(flags: &[Flag]) -> String {
        let arm = |follows: &Follows, action: &str| {
            let names: Vec<&str> =
                flags.iter().filter(|flag| flag.follows == *follows).map(|flag| flag.name.as_str()).collect();
            format!("        ({}) {action}; return ;;", names.join("|"))
        };
        [
            arm(&Follows::File, "_files"),
            arm(&Follows::Directory, "_files -/"),
            arm(&Follows::Text, "_message 'text'"),
        ]
        .join("\n")
    }
}

mod fish {
    use super::{Entry, Flag, Follows, brief};

    fn quoted(text: &str) -> String {
        format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
    }

    pub(super) fn described(name: &str, about: &str) -> String {
        format!("{} {}", quoted(name), quoted(brief(about)))
    }

    pub(super) fn entry(entry: &Entry) -> String {
        let names: Vec<String> = entry.names.iter().map(|name| name.to_lowercase()).collect();
        let mut text = format!("        case {}\n", names.join(" "));
        let mut set = |name: &str, words: Vec<String>| {
            if !words.is_empty() {
                text.push_str(&format!("            set {name} {}\n", words.join(" ")));
            }
        };
        let plain = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        set("flags", entry.flags.iter().map(|flag| described(&flag.name, &flag.help)).collect());
        set("arguments", entry.arguments.iter().map(|(word, about)| described(word, about)).collect());
        set("texts", plain(entry.that_take(&Follows::Text)));
        set("files", plain(entry.that_take(&Follows::File)));
        set("directories", plain(entry.that_take(&Follows::Directory)));
        let mut with_words = entry.with_words().peekable();
        if with_words.peek().is_some() {
            text.push_str("            switch $previous\n");
            for (flag, words) in with_words {
                text.push_str(&format!(
                    "                case {flag}\n                    printf \"$joined%s\\n\" {}\n                    return\n",
                    words.join(" ")
                ));
            }
            text.push_str("            end\n");
        }
        text.trim_end().to_owned()
    }

    pub(super) fn globals(flags: &[Flag]) -> String {
        let arm = |follows: &Follows, action: &str| {
            let names: Vec<&str> =
                flags.iter().filter(|flag| flag.follows == *follows).map(|flag| flag.name.as_str()).collect();
            format!("        case {}\n            {action}return", names.join(" "))
        };
        [
            arm(
                &Follows::File,
                "__fish_complete_path $current | string replace -r '^' -- $joined\n            ",
            ),
            arm(
                &Follows::Directory,
                "__fish_complete_directories $current | string replace -r '^' -- $joined\n            ",
            ),
            arm(&Follows::Text, ""),
        ]
        .join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_is_filled_and_names_every_operation() {
        for shell in SHELLS {
            let script = script(shell);
            let placeholder = script.split('@').nth(1).unwrap_or_default();
            assert!(
                !placeholder.chars().all(|c| c.is_ascii_uppercase() || c == '_') || placeholder.is_empty(),
                "{placeholder}"
            );
            for name in families::cards().flat_map(Card::names) {
                assert!(script.contains(name), "{} {name}", shell.name);
            }
        }
    }

    #[test]
    fn the_commands_beside_the_operations_are_complete() {
        for (name, about) in BUILTINS {
            let entry = builtin(name, about);
            assert!(*name == "init" || !entry.arguments.is_empty(), "{name}");
        }
        assert_eq!(
            builtin("help", "").arguments.len(),
            families::cards().flat_map(Card::names).count() + FAMILIES.len() + BUILTINS.len() - 1
        );
    }
}
