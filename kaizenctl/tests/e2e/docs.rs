//! What stands in the documents works: every shell line of README.md, setup/SETUP.md and evals/README.md, and the example
//! of every operation.
//!
//! The `sh` blocks of a document are run in their order, as one script, by bash, in a fresh HOME and project; each line
//! must end with status 0. Lines of `console` blocks that call the installers are run with `--plan-only`, which prints what
//! they would do and does nothing; `setup.rs` tests what they do. Three kinds of lines are not run:
//! - other lines of `console` blocks, which build or test this repository;
//! - lines with `<…>`, which only the reader can fill in: at most three in each document;
//! - what is no command of ours: a line must begin with one of [`FIRST_WORDS`].
//!
//! A word like `TASK_ID` stands for a record of that kind, and `RECORD_ID` for any: it is replaced by the id of the
//! latest fitting record that an earlier line made, or else by one that is made for it (see [`Names`]).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use kaizen_proto::families;
use serde_json::Value;

use crate::context::{Place, programs};

/// What a line of a document may begin with, after assignments.
const FIRST_WORDS: &[&str] = &["kaizenctl", "cd", "mkdir", "printf", "echo", "export", "cat"];

/// The words that stand for a record's id, and the call that makes such a record.
const PLACEHOLDERS: &[(&str, &str)] = &[
    ("DOCUMENT_ID", "E1 --path README.md"),
    ("TASK_ID", r#"W1 --title "T" --summary "S.""#),
    ("PLAN_ID", r#"W3 --title "T" --summary "S.""#),
    ("GOTCHA_ID", r#"G1 --title "T" --summary "S." --body "B""#),
    ("LEARNING_ID", r#"L1 --title "T" --summary "S.""#),
    ("LEARNED_ID", "L3 --id LEARNING_ID"),
    ("POLICY_ID", r#"X1 --title "T" --summary "S.""#),
    (
        "SOURCE_ID",
        r#"S1 --source-id s --authority-tier normative --url-or-repository https://x --summary "S.""#,
    ),
    ("REVIEW_ID", r#"I1 --summary "S.""#),
    ("ARTIFACT_ID", "A1 --path docs/report.md"),
    ("VERIFICATION_ID", r#"Q2 --summary "S.""#),
    ("CASE_ID", r#"Q3 --title "T" --summary "S.""#),
    ("RUN_ID", r#"Q4 --summary "S.""#),
    ("RECORD_ID", r#"G1 --title "T" --summary "Recorded." --body "B""#),
    // The latest one, so that a restore keeps what was made before.
    ("BACKUP", "K3"),
];

/// Files that examples name, which a reader has and a fresh project has not.
const FILES: &[(&str, &str)] = &[
    ("README.md", "# A project\n\nIt has a log, and writes a checkpoint of the log.\n"),
    ("docs/report.md", "# A report\n"),
    ("AGENTS.md", "The loop waits a minute. Then it ends.\n"),
    ("Cargo.lock", "version = 4\n"),
    ("target/test.log", "40 passed\n"),
    ("request.json", "{\"question\": \"Which way?\"}\n"),
    ("result.json", "{\"answer\": \"This way.\"}\n"),
    ("plane.jsonl", "{}\n"),
];

/// Examples that a project with records, and without secrets in them, refuses, and with what.
const REFUSED: &[(&str, &str)] = &[("K12", "DENIED_NOTHING_TO_ERASE"), ("K14", "DENIED_PLANE_NOT_EMPTY")];

/// A shell in a place, with the programs under test on PATH.
struct Shell<'a> {
    place: &'a Place,
    path: String,
    names: Names,
}

/// Ids by the word that stands for them in documents.
#[derive(Default)]
struct Names(BTreeMap<&'static str, String>);

impl Names {
    /// Notes the id of a reply for every word that it fits.
    fn note(&mut self, stdout: &str) {
        for reply in stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            if let Some(name) = reply["backup_dir"].as_str().and_then(|path| path.rsplit('/').next()) {
                self.0.insert("BACKUP", name.to_owned());
            }
            let Some(id) = reply["id"].as_str() else { continue };
            let prefix = id.split('_').next().unwrap();
            let word = match prefix {
                "t" => "TASK_ID",
                "ed" => "DOCUMENT_ID",
                "p" => "PLAN_ID",
                "g" => "GOTCHA_ID",
                "l" => "LEARNING_ID",
                "ld" => "LEARNED_ID",
                "pol" => "POLICY_ID",
                "s" => "SOURCE_ID",
                "irl" => "REVIEW_ID",
                "a" => "ARTIFACT_ID",
                "qv" => "VERIFICATION_ID",
                "qe" => "CASE_ID",
                "qr" => "RUN_ID",
                _ => continue,
            };
            self.0.insert(word, reply["review_id"].as_str().unwrap_or(id).to_owned());
            self.0.insert("RECORD_ID", id.to_owned());
        }
    }
}

/// What a line came to.
struct Ran {
    stdout: String,
    stderr: String,
    code: Option<i32>,
}

impl<'a> Shell<'a> {
    fn new(place: &'a Place) -> Self {
        let path = format!("{}:{}", programs().display(), std::env::var("PATH").unwrap());
        Shell { place, path, names: Names::default() }
    }

    fn run(&self, script: &str) -> Ran {
        let mut command = Command::new("bash");
        command.args(["-e", "-u", "-o", "pipefail", "-c", script]).current_dir(&self.place.root);
        let output = command
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", self.place.path("home"))
            .output()
            .unwrap();
        Ran {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code(),
        }
    }

    /// The line with ids in place of the words that stand for them.
    fn filled(&mut self, line: &str) -> String {
        let mut line = line.to_owned();
        for (word, call) in PLACEHOLDERS {
            if !contains_word(&line, word) {
                continue;
            }
            if !self.names.0.contains_key(word) || *word == "BACKUP" {
                let call = self.filled(call);
                let ran = self.run(&format!("kaizenctl {call} --json"));
                assert_eq!(ran.code, Some(0), "{call}: {}", ran.stderr);
                self.names.note(&ran.stdout);
            }
            line = line.replace(word, &self.names.0[word]);
        }
        line
    }
}

/// Whether a word of capitals stands in a line by itself.
fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let part = |character: Option<char>| character.is_some_and(|one| one.is_alphanumeric() || one == '_');
        !part(line[..at].chars().next_back()) && !part(line[at + word.len()..].chars().next())
    })
}

/// The lines of the fenced blocks of a document in one language, with the number of each.
fn lines(text: &str, language: &str) -> Vec<(usize, String)> {
    let (mut lines, mut inside) = (Vec::new(), false);
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            inside = !inside && line.strip_prefix("```") == Some(language);
        } else if inside && !line.trim().is_empty() && !line.starts_with('#') {
            lines.push((number + 1, line.to_owned()));
        }
    }
    lines
}

/// The command of a line: its first word after assignments.
fn first_word(line: &str) -> &str {
    let assigned =
        line.split_once("=$(").filter(|(name, _)| name.chars().all(|one| one.is_ascii_uppercase()));
    let line = assigned.map_or(line, |(_, command)| command);
    line.split_whitespace().next().unwrap_or_default()
}

/// Runs a document in a project in which this was called before, and returns how many lines that were.
fn run_document(path: &str, before: &str) -> usize {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let place = Place::new();
    // What a document says of files of this repository is true in it.
    fs::create_dir(place.root.join("evals")).unwrap();
    fs::copy(root.join("evals/seed-cases.jsonl"), place.root.join("evals/seed-cases.jsonl")).unwrap();
    fs::create_dir(place.root.join(".git")).unwrap();
    let mut shell = Shell::new(&place);
    let text = fs::read_to_string(root.join(path)).unwrap();
    let lines = lines(&text, "sh");
    if !before.is_empty() {
        assert_eq!(shell.run(before).code, Some(0), "{before}");
    }
    let for_readers = |line: &str| line.contains('<') && line.contains('>');
    let skipped = lines.iter().filter(|(_, line)| for_readers(line)).count();
    assert!(skipped <= 3, "{path} has {skipped} lines that cannot be run");
    // Variables live as long as the document, so each line is run after those before it that set something.
    let mut before = String::new();
    let mut count = 0;
    for (number, line) in lines.iter().filter(|(_, line)| !for_readers(line)) {
        assert!(FIRST_WORDS.contains(&first_word(line)), "{path}:{number}: not known to be safe: {line}");
        let filled = shell.filled(line);
        let assigns = filled.split_once("=$(").map(|(name, _)| name.to_owned());
        let said = assigns.as_ref().map_or(String::new(), |name| format!("\nprintf '%s' \"${name}\""));
        let ran = shell.run(&format!("{before}{filled}{said}"));
        assert_eq!(ran.code, Some(0), "{path}:{number}: {line}\n{}\n{}", ran.stdout, ran.stderr);
        assert_eq!(ran.stderr, "", "{path}:{number}: {line}");
        match assigns {
            Some(name) => {
                assert!(!ran.stdout.is_empty(), "{path}:{number}: {name} is empty");
                before.push_str(&format!("{name}={}\n", ran.stdout));
            }
            None if first_word(line) == "cd" || first_word(line) == "export" => {
                before.push_str(&format!("{filled}\n"));
            }
            None => shell.names.note(&ran.stdout),
        }
        count += 1;
    }
    assert_eq!(place.ok(&["K1", "--integrity"])["integrity"]["ok"], true);
    count
}

#[test]
fn every_command_of_the_readme_works() {
    assert!(run_document("README.md", "") >= 20);
}

#[test]
fn every_command_of_the_setup_document_works() {
    assert!(run_document("setup/SETUP.md", "") >= 10);
}

#[test]
fn every_command_of_the_evals_document_works() {
    assert!(run_document("evals/README.md", "") >= 3);
}

#[test]
fn every_command_of_what_init_lays_works() {
    assert!(run_document("kaizenctl/templates/SETUP.md", "kaizenctl init") >= 4);
}

#[test]
fn every_call_of_the_installers_plans() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let place = Place::new();
    let mut count = 0;
    for path in ["README.md", "setup/SETUP.md"] {
        for (number, line) in lines(&fs::read_to_string(root.join(path)).unwrap(), "console") {
            let line = line.split('#').next().unwrap().trim_end();
            // The installer is called from where it was copied to.
            let line = line.replace("bash install-kaizen.sh", "bash setup/install-kaizen.sh");
            // The other project of the example has to exist.
            let line = line.replace("../shop", place.root.to_str().unwrap());
            if !["./setup/", "bash setup/"].iter().any(|start| line.starts_with(start)) {
                continue;
            }
            let mut command = Command::new("bash");
            command
                .args(["-e", "-c", &format!("{line} --plan-only")])
                .current_dir(root)
                .env("HOME", place.path("home"));
            let output = command.output().unwrap();
            assert!(output.status.success(), "{path}:{number}: {line}: {output:?}");
            count += 1;
        }
    }
    assert!(count >= 8, "{count}");
    assert_eq!(fs::read_dir(place.path("home")).unwrap().count(), 0, "a plan creates nothing");
}

#[test]
fn the_example_of_every_operation_can_be_pasted() {
    let place = Place::new();
    for (path, contents) in FILES {
        fs::create_dir_all(place.root.join(path).parent().unwrap()).unwrap();
        fs::write(place.root.join(path), contents).unwrap();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::create_dir(place.root.join("evals")).unwrap();
    fs::copy(root.join("evals/seed-cases.jsonl"), place.root.join("evals/seed-cases.jsonl")).unwrap();
    fs::create_dir(place.root.join(".git")).unwrap();
    let mut shell = Shell::new(&place);
    let mut denied = Vec::new();
    for card in families::cards() {
        let line = shell.filled(card.example);
        let ran = shell.run(&line);
        if ran.code == Some(0) {
            assert_eq!(ran.stderr, "", "{line}");
            shell.names.note(&ran.stdout);
        } else if !REFUSED.iter().any(|(code, with)| card.code == *code && ran.stderr.contains(with)) {
            denied.push(format!("{line}: {}", ran.stderr));
        }
    }
    assert!(denied.is_empty(), "{denied:#?}");
    // So can the remedy of every denial, but for the names of the reader's own.
    let example = place.denied(&["W1"], "DENIED_TITLE_REQUIRED", 2)["example"].as_str().unwrap().to_owned();
    assert_eq!(shell.run(&example).code, Some(0), "{example}");
}
