//! Completions, asked of the shells themselves.

use std::fs;
use std::process::{Command, Stdio};

use kaizen_proto::families;

use crate::context::{Place, feed, programs};

fn script(place: &Place, shell: &str) -> std::path::PathBuf {
    let outcome = place.run(["completions", shell]);
    assert!(outcome.status.success() && outcome.stderr.is_empty(), "{outcome:?}");
    let path = place.path(&format!("completions.{shell}"));
    fs::write(&path, outcome.stdout).unwrap();
    path
}

/// Whether a shell can be had. Where everything is to be tried, it must be.
fn has(shell: &str) -> bool {
    let found = Command::new(shell).arg("--version").stdout(Stdio::null()).status().is_ok();
    assert!(found || std::env::var("CI").as_deref() != Ok("true"), "{shell} is missing");
    if !found {
        eprintln!("skipped: {shell} is missing");
    }
    found
}

/// What is typed, and what must be offered: all of it, or at least what stands there when the list ends in an ellipsis.
const CASES: &[(&str, &[&str])] = &[
    ("kaizenctl w", &["W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8", "…"]),
    ("kaizenctl task-", &["task-start", "task-update", "…"]),
    ("kaizenctl W1 --summ", &["--summary", "--summary-file"]),
    ("kaizenctl task-start --status in", &["in_progress"]),
    ("kaizenctl x1 --status re", &["recorded", "resolved", "retired"]),
    ("kaizenctl --project . Q2 --json --conclusion VERIFI", &["VERIFIED_ACCEPTABLE", "VERIFICATION_FAILED"]),
    ("kaizenctl R0 --only active_", &["active_gotchas", "active_tasks"]),
    ("kaizenctl X1 --priority ", &["critical", "high", "low", "medium", "normal"]),
    ("kaizenctl daemon sta", &["start", "status"]),
    ("kaizenctl help qual", &["quality", "…"]),
    ("kaizenctl init --rem", &["--remove"]),
    ("kaizenctl completions ", &["bash", "fish", "zsh"]),
    ("kaizenctl conf", &["config", "config-show"]),
    ("kaizenctl config sh", &["show"]),
    ("kaizenctl A1 --path da", &["data.json"]),
    ("kaizenctl W1 --body-file da", &["data.json"]),
];

fn expect(shell: &str, line: &str, mut offered: Vec<String>, expected: &[&str]) {
    offered.sort();
    offered.dedup();
    if let Some((_, at_least)) = expected.split_last().filter(|(last, _)| **last == "…") {
        let missing: Vec<_> = at_least.iter().filter(|word| !offered.iter().any(|o| o == **word)).collect();
        assert!(missing.is_empty(), "{shell}: {line}: {missing:?} of {offered:?}");
        return;
    }
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(offered, expected, "{shell}: {line}");
}

#[test]
fn bash_completes() {
    let place = Place::new();
    fs::write(place.root.join("data.json"), "{}").unwrap();
    let path = script(&place, "bash");
    let complete = |words: &[&str]| -> Vec<String> {
        let ask = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1))\n\
            complete -p kaizenctl | grep -q _kaizenctl || exit 9\n\
            _kaizenctl kaizenctl \"${COMP_WORDS[COMP_CWORD]}\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
        let mut command = Command::new("bash");
        command.args(["--norc", "-uc", ask, "bash"]).arg(&path).args(words).current_dir(&place.root);
        let outcome = feed(command, b"");
        assert!(outcome.status.success() && outcome.stderr.is_empty(), "{words:?}: {outcome:?}");
        outcome.stdout.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    for (line, expected) in CASES {
        let words: Vec<&str> = line.split(' ').collect();
        expect("bash", line, complete(&words), expected);
    }
    // bash hands --flag=value over in three words.
    expect("bash", "=", complete(&["kaizenctl", "R0", "--only", "=", "pol"]), &["policies"]);
    expect("bash", "= alone", complete(&["kaizenctl", "R0", "--only", "="]), families::report::LISTS);
    expect(
        "bash",
        "=.",
        complete(&["kaizenctl", "--project", "=", "x", "R0", "--only", "pol"]),
        &["policies"],
    );
    // Every name of every operation is offered, and every one of its flags.
    let names = complete(&["kaizenctl", ""]);
    for card in families::cards() {
        assert!(card.names().all(|name| names.iter().any(|offered| offered == name)), "{}", card.code);
        let schema = (card.params_schema)();
        let fields = schema.get("properties").and_then(serde_json::Value::as_object);
        for name in card.names() {
            let flags = complete(&["kaizenctl", name, "--"]);
            for field in fields.into_iter().flat_map(|fields| fields.keys()) {
                let flag = format!("--{}", field.replace('_', "-"));
                assert!(flags.contains(&flag), "{name} {flag}");
            }
            for twin in card.twins {
                let flag = format!("--{}-file", twin.field.replace('_', "-"));
                assert!(flags.contains(&flag), "{name} {flag}");
            }
            assert!(flags.contains(&"--json".to_owned()), "{name}");
        }
    }
    // What is text has no suggestions.
    assert!(complete(&["kaizenctl", "W1", "--title", ""]).is_empty());
}

#[test]
fn fish_completes() {
    if !has("fish") {
        return;
    }
    let place = Place::new();
    fs::write(place.root.join("data.json"), "{}").unwrap();
    let path = script(&place, "fish");
    for (line, expected) in CASES {
        let mut command = Command::new("fish");
        command.args(["--no-config", "-c", "source $argv[1]; complete -C $argv[2]"]).arg(&path).arg(line);
        // fish offers only for commands that exist.
        let search = format!("{}:{}", programs().display(), std::env::var("PATH").unwrap());
        command.current_dir(&place.root).env("HOME", place.path("home")).env("PATH", search);
        let outcome = feed(command, b"");
        assert_eq!(outcome.stderr, "", "{line}");
        let offered =
            outcome.stdout.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned());
        expect("fish", line, offered.collect(), expected);
    }
}

/// Types each line and TAB into one interactive zsh, and writes down what the completion adds: one file for each line.
const ZSH: &str = r#"
zmodload zsh/zpty
script=$1; shift
zpty shell zsh -f -i
zpty -w shell "PROMPT= RPROMPT=; bindkey -e; autoload -Uz compinit; compinit -u -D; source '$script'"
zpty -w shell "compadd() { local -a offered; builtin compadd -O offered \"\$@\"; print -rl -- \$offered >> offered; builtin compadd \"\$@\" }"
zpty -w shell "finished() { : > finished }; zle -N finished; bindkey '^G' finished"
typeset -F SECONDS
for line; do
    : > offered
    zpty -w -n shell "$line"$'\t\a'
    deadline=$(( SECONDS + 20 ))
    while [[ ! -e finished ]] && (( SECONDS < deadline )); do zpty -r -t shell >/dev/null; done
    mv finished "finished.$(( ++at ))" && mv offered "offered.$at"
    zpty -w -n shell $'\C-u'
done
zpty -d shell
"#;

#[test]
fn zsh_completes() {
    if !has("zsh") {
        return;
    }
    let place = Place::new();
    fs::write(place.root.join("data.json"), "{}").unwrap();
    let path = script(&place, "zsh");
    let mut command = Command::new("zsh");
    command.args(["-f", "-c", ZSH, "zsh"]).arg(&path).args(CASES.iter().map(|(line, _)| line));
    command.current_dir(&place.root).env("HOME", place.path("home")).env("TERM", "dumb");
    let outcome = feed(command, b"");
    for (at, (line, expected)) in CASES.iter().enumerate() {
        let offered = fs::read_to_string(place.root.join(format!("offered.{}", at + 1)));
        let offered = offered.unwrap_or_else(|error| panic!("{line}: {error}: {outcome:?}"));
        let offered = offered.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
        expect("zsh", line, offered, expected);
    }
}

#[test]
fn another_shell_is_refused() {
    let place = Place::new();
    for words in [&["completions"][..], &["completions", "tcsh"], &["completions", "bash", "zsh"]] {
        let denial = place.denied(words, "DENIED_USAGE", 2);
        assert!(denial["required_action"].as_str().unwrap().contains("bash|zsh|fish"), "{denial}");
    }
    assert!(!place.runtime().exists());
}
