//! Help, made from the contract.

use clap::Command;
use kaizen_proto::denial::Denial;
use kaizen_proto::families::{self, FAMILIES, Family};
use kaizen_proto::operation::Card;
use serde_json::{Value, json};

use crate::arguments::{self, GLOBAL_FLAGS};
use crate::{daemon, init};

/// The reply to `--version --json`.
pub(crate) fn version() -> Value {
    json!({"status": "OK", "tool_version": kaizen_proto::VERSION})
}

/// Help on a topic: an operation, a family, another command, or everything when there is none.
///
/// # Errors
/// `DENIED_USAGE` for a topic that does not exist.
pub(crate) fn text(topic: &[String]) -> Result<String, Denial> {
    let Some(topic) = topic.first() else { return Ok(overview()) };
    if let Some(card) = families::find(topic) {
        return Ok(operation(card));
    }
    if let Some(family) = families::find_family(topic) {
        return Ok(family_text(family));
    }
    match topic.as_str() {
        "daemon" => Ok(daemon_text()),
        "init" => Ok(init_text()),
        "completions" => Ok(COMPLETIONS.to_owned()),
        _ => Err(arguments::unknown_operation(topic)),
    }
}

const COMPLETIONS: &str = "\
Print a completion script for a shell

Usage: kaizenctl completions bash|zsh|fish

It completes codes, aliases, flags and the words that flags take. setup.sh installs it. By hand, for bash:
  kaizenctl completions bash > ~/.local/share/bash-completion/completions/kaizenctl
";

fn init_text() -> String {
    format!(
        "Make a directory a project\n\n\
         Usage: kaizenctl init [DIR] [--check | --remove] [--json]\n\n\
         DIR is the project's root, the working directory by default. init creates the data plane, AI/db/kaizen.db,\n\
         and lays the files that are missing: a block of rules between markers in AGENTS.md and CLAUDE.md,\n\
         Kaizen_System.md, kaizen.toml, setup/SETUP.md, evals/ and the folders of AI/. Nothing else is touched, and\n\
         doing it again changes nothing.\n\nFlags\n{}",
        flags_of(&init::command())
    )
}

/// Everything at a glance.
fn overview() -> String {
    let mut text = String::from(
        "kaizenctl - the system of record for AI coding agents\n\n\
         Usage: kaizenctl OPERATION [FLAGS]\n\
         \x20      kaizenctl help [OPERATION|FAMILY]\n\
         \x20      kaizenctl init [DIR] | doctor | config show | daemon start|stop|status|restart|logs | completions SHELL\n\n\
         An operation is named by its code or alias, in any case. Start a session with `kaizenctl R0`.\n\n\
         Command families\n",
    );
    for family in FAMILIES {
        text.push_str(&format!("\n  {} {} - {}\n", family.letter, family.name, family.purpose));
        for card in family.cards {
            text.push_str(&format!("    {:<4} {:<26} {}\n", card.code, card.alias, card.purpose));
        }
    }
    text.push('\n');
    text.push_str(&global_flags(&Command::new("kaizenctl")));
    text.push_str(
        "\nExit status: 0 done, 1 not found or refused by the state, 2 wrong call, 75 try again later.\n",
    );
    text
}

/// What every operation takes, but for what one has just said of itself.
fn global_flags(told: &Command) -> String {
    let mut text = String::from("Flags of every operation\n");
    let is_told =
        |name: &str| told.get_arguments().any(|flag| !flag.is_hide_set() && flag.get_long() == Some(name));
    for flag in GLOBAL_FLAGS.iter().filter(|flag| !is_told(flag.name)) {
        let shown = match flag.value {
            Some(value) => format!("--{} <{value}>", flag.name),
            None => format!("--{}", flag.name),
        };
        text.push_str(&format!("  {shown:<20} {}\n", flag.help));
    }
    text
}

fn family_text(family: &Family) -> String {
    let mut text = format!("{} ({}): {}\n", family.name, family.letter, family.purpose);
    for card in family.cards {
        text.push_str(&format!(
            "\n  {:<4} {}\n       {}\n       {}\n",
            card.code, card.alias, card.purpose, card.example
        ));
    }
    text.push_str(
        "\n`kaizenctl CODE --help` shows the flags of one. Command families: `kaizenctl --help`.\n",
    );
    text
}

fn operation(card: &Card) -> String {
    let command = arguments::command(card);
    let flags = flags_of(&command);
    let names: Vec<&str> = card.names().skip(1).collect();
    let flags = if flags.is_empty() { String::new() } else { format!("Flags\n{flags}\n") };
    format!(
        "{code} {names} - {purpose}\n\nUsage: kaizenctl {code} [FLAGS]\n\n{flags}Example\n  {example}\n\n{globals}\
         \nCommand families: `kaizenctl --help`. Method {method}; the reply's fields: docs/operations.md.\n",
        code = card.code,
        names = names.join(", "),
        purpose = card.purpose,
        example = card.example,
        globals = global_flags(&command),
        method = card.method,
    )
}

fn daemon_text() -> String {
    let command = daemon::command();
    let mut text = String::from(
        "Look after the daemon that owns the data planes\n\nUsage: kaizenctl daemon VERB [--json]\n\n",
    );
    for verb in command.get_subcommands() {
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        text.push_str(&format!("  {:<10} {about}\n", verb.get_name()));
        for flag in verb.get_arguments() {
            let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
            text.push_str(&format!("    --{:<8} {help}\n", flag.get_long().unwrap_or_default()));
        }
    }
    text
}

/// The flags of a command, one a line, wrapped at 110 columns.
fn flags_of(command: &Command) -> String {
    let mut text = String::new();
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set() && arg.get_long().is_some()) {
        let value = arg.get_value_names().and_then(|names| names.first()).map(|name| format!(" <{name}>"));
        let value = if arg.get_action().takes_values() { value.unwrap_or_default() } else { String::new() };
        let shown = format!("--{}{value}", arg.get_long().unwrap_or_default());
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let mut lines = wrap(&help, 76).into_iter();
        if shown.chars().count() > 32 {
            text.push_str(&format!("  {shown}\n"));
        } else {
            let first = lines.next().unwrap_or_default();
            text.push_str(&format!("  {shown:<32} {first}\n"));
        }
        for line in lines {
            text.push_str(&format!("  {:<32} {line}\n", ""));
        }
    }
    text
}

/// A text in lines of at most so many characters, broken between words.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
