//! `kaizenctl init`: laying a project's files, checking and removing them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::context::{Place, feed};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const BEGIN: &str = "<!-- kaizen:begin -->";
const END: &str = "<!-- kaizen:end -->";
const LAID: [&str; 13] = [
    "AGENTS.md",
    "CLAUDE.md",
    "Kaizen_System.md",
    "kaizen.toml",
    "setup/SETUP.md",
    "evals/README.md",
    "evals/GOTCHA.md",
    "evals/LEARNING.md",
    "evals/LEARNED.md",
    "evals/seed-cases.jsonl",
    "AI/work/README.md",
    "AI/generation/.gitignore",
    "AI/.gitignore",
];

/// Every file below a directory with what is in it, but for what the daemon keeps.
fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, directory: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if name == "AI/db" {
                continue;
            }
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(root, root, &mut found);
    found
}

fn states(reply: &Value) -> BTreeMap<&str, &str> {
    let files = reply["files"].as_array().unwrap();
    files.iter().map(|file| (file["path"].as_str().unwrap(), file["state"].as_str().unwrap())).collect()
}

/// The reply of `init --check`, which must say that something is wanting.
fn wanting(place: &Place) -> Value {
    let outcome = place.run(["init", "--check", "--json"]);
    assert_eq!((outcome.status.code(), outcome.stderr.as_str()), (Some(1), ""), "{outcome:?}");
    let reply: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!((&reply["status"], &reply["complete"]), (&"INCOMPLETE".into(), &false.into()));
    reply
}

#[test]
fn an_empty_directory_becomes_a_project() {
    let place = Place::new();
    let reply = wanting(&place);
    assert!(states(&reply).values().all(|state| *state == "missing"), "{reply}");
    assert_eq!(fs::read_dir(&place.root).unwrap().count(), 0);
    assert!(!place.runtime().exists(), "a check starts no daemon");

    let reply = place.ok(&["init"]);
    assert_eq!(states(&reply).keys().copied().collect::<Vec<_>>().len(), LAID.len());
    assert!(states(&reply).values().all(|state| *state == "created"), "{reply}");
    let tree_before = tree(&place.root);
    assert_eq!(tree_before.keys().map(String::as_str).collect::<Vec<_>>(), {
        let mut laid = LAID.to_vec();
        laid.sort_unstable();
        laid
    });
    assert!(place.database().exists());
    // What this repository has itself is laid as it is.
    for name in ["Kaizen_System.md", "evals/README.md", "evals/GOTCHA.md", "evals/seed-cases.jsonl"] {
        assert_eq!(tree_before[name], fs::read(Path::new(REPOSITORY).join(name)).unwrap(), "{name}");
    }
    let rules = String::from_utf8(tree_before["AGENTS.md"].clone()).unwrap();
    let ours = fs::read_to_string(Path::new(REPOSITORY).join("AGENTS.md")).unwrap();
    let block = &ours[ours.find(BEGIN).unwrap()..ours.find(END).unwrap()];
    assert!(rules.contains(block));
    let below_first_line = |name: &str| {
        let text = String::from_utf8(tree_before[name].clone()).unwrap();
        text.split_once('\n').map(|(_, rest)| rest.to_owned())
    };
    assert_eq!(below_first_line("AGENTS.md"), below_first_line("CLAUDE.md"));

    let reply = place.ok(&["init"]);
    assert!(states(&reply).values().all(|state| *state == "current"), "{reply}");
    assert!(reply["message"].as_str().unwrap().contains("in place"), "{reply}");
    assert_eq!(place.ok(&["init", "--check"])["complete"], true);
    assert_eq!(tree(&place.root), tree_before);
    // The settings are those that exist, and uncommented they are what holds anyway.
    let settings = fs::read_to_string(place.root.join("kaizen.toml")).unwrap();
    let uncommented: Vec<&str> = settings
        .lines()
        .filter(|line| !line.starts_with('#') || line.contains(" = "))
        .map(|line| line.trim_start_matches("# "))
        .collect();
    fs::write(place.root.join("kaizen.toml"), uncommented.join("\n")).unwrap();
    place.ok(&["G2"]);
    assert_eq!(states(&place.ok(&["init"]))["kaizen.toml"], "own");
}

#[test]
fn a_repository_keeps_what_it_has() {
    let place = Place::new();
    let own: [(&str, &[u8]); 5] = [
        ("AGENTS.md", b"# Our rules\n\nBe kind."),
        ("CLAUDE.md", b"# Ours\r\n\r\nBe brief.\r\n"),
        ("evals/README.md", b"our evals\n"),
        ("Kaizen_System.md", b"\xff not even text"),
        (".gitignore", b"target\n"),
    ];
    fs::create_dir(place.root.join("evals")).unwrap();
    for (name, contents) in own {
        fs::write(place.root.join(name), contents).unwrap();
    }
    fs::set_permissions(place.root.join("AGENTS.md"), fs::Permissions::from_mode(0o640)).unwrap();
    let before = tree(&place.root);
    let states_now = |reply: &Value, name: &str| states(reply)[name].to_owned();
    assert_eq!(states_now(&wanting(&place), "CLAUDE.md"), "block_missing");
    assert_eq!(tree(&place.root), before);

    let reply = place.ok(&["init"]);
    for (name, state) in [
        ("AGENTS.md", "block_added"),
        ("CLAUDE.md", "block_added"),
        ("evals/README.md", "own"),
        ("Kaizen_System.md", "own"),
        ("evals/GOTCHA.md", "created"),
    ] {
        assert_eq!(states_now(&reply, name), state, "{reply}");
    }
    let after = tree(&place.root);
    for (name, contents) in own {
        assert!(after[name].starts_with(contents), "{name}");
    }
    assert!(after["AGENTS.md"].ends_with(END.as_bytes()), "the last line still has no end");
    let windows = String::from_utf8(after["CLAUDE.md"].clone()).unwrap();
    assert_eq!(windows.matches('\n').count(), windows.matches("\r\n").count());
    assert_eq!(fs::metadata(place.root.join("AGENTS.md")).unwrap().permissions().mode() & 0o777, 0o640);
    place.ok(&["init"]);
    assert_eq!(tree(&place.root), after);

    // A block of another release is replaced where it stands; what is around it stays.
    let text = format!("before\n\n{BEGIN}\nolder rules\n{END}\n\nafter\n");
    fs::write(place.root.join("AGENTS.md"), &text).unwrap();
    assert_eq!(states_now(&wanting(&place), "AGENTS.md"), "block_outdated");
    assert_eq!(states_now(&place.ok(&["init"]), "AGENTS.md"), "block_updated");
    let text = fs::read_to_string(place.root.join("AGENTS.md")).unwrap();
    assert!(text.starts_with("before\n\n<!--") && text.ends_with("-->\n\nafter\n"), "{text}");
    assert!(!text.contains("older rules") && text.contains("first actions"));
    fs::write(place.root.join("AGENTS.md"), own[0].1).unwrap();
    place.ok(&["init"]);

    // Taking it away leaves the repository as it was, and says what else it leaves.
    fs::write(place.root.join("AI/work/notes.txt"), "notes").unwrap();
    fs::write(place.root.join("evals/LEARNED.md"), "pasted").unwrap();
    let reply = place.ok(&["init", "--remove"]);
    let mut left: Vec<&str> =
        reply["left"].as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect();
    left.sort_unstable();
    assert_eq!(left, ["AI/.gitignore", "AI/db", "Kaizen_System.md", "evals/LEARNED.md", "evals/README.md"]);
    let after = tree(&place.root);
    for (name, contents) in own {
        assert_eq!(after[name], contents, "{name}");
    }
    let mut expected: Vec<&str> = own.iter().map(|(name, _)| *name).collect();
    expected.extend(["AI/.gitignore", "AI/work/notes.txt", "evals/LEARNED.md"]);
    expected.sort_unstable();
    assert_eq!(after.keys().map(String::as_str).collect::<Vec<_>>(), expected);
    assert!(!place.root.join("setup").exists() && !place.root.join("AI/generation").exists());
    assert!(place.database().exists());
    assert_eq!(place.ok(&["init", "--remove"])["removed"], serde_json::json!([]));
}

#[test]
fn what_was_laid_goes_without_a_trace() {
    let place = Place::new();
    place.ok(&["init"]);
    place.stop();
    fs::remove_dir_all(place.root.join("AI/db")).unwrap();
    let reply = place.ok(&["init", "--remove"]);
    assert_eq!(reply["left"], serde_json::json!([]), "{reply}");
    assert_eq!(reply["removed"].as_array().unwrap().len(), LAID.len());
    assert_eq!(fs::read_dir(&place.root).unwrap().count(), 0);
}

#[test]
fn a_link_between_the_rule_files_stays_a_link() {
    for (link, file) in [("AGENTS.md", "CLAUDE.md"), ("CLAUDE.md", "AGENTS.md")] {
        // The file is there, or not yet.
        for text in [Some("# Ours\n"), None] {
            let place = Place::new();
            symlink(file, place.root.join(link)).unwrap();
            if let Some(text) = text {
                fs::write(place.root.join(file), text).unwrap();
            }
            let reply = place.ok(&["init"]);
            assert_eq!(states(&reply)["CLAUDE.md"], "same_file", "{reply}");
            assert!(fs::symlink_metadata(place.root.join(link)).unwrap().is_symlink());
            let written = fs::read_to_string(place.root.join(file)).unwrap();
            assert_eq!(written.matches(BEGIN).count(), 1, "{written}");
            assert!(written.starts_with(text.unwrap_or(&format!("# {file}\n"))), "{written}");
            assert_eq!(place.ok(&["init", "--check"])["complete"], true);
            place.ok(&["init", "--remove"]);
            assert_eq!(fs::read_to_string(place.root.join(file)).ok().as_deref(), text);
            assert!(fs::symlink_metadata(place.root.join(link)).unwrap().is_symlink());
        }
    }
}

#[test]
fn what_leads_out_of_the_project_is_left_alone() {
    let place = Place::new();
    fs::create_dir(place.path("shared")).unwrap();
    fs::write(place.path("shared/rules.md"), "shared\n").unwrap();
    symlink("../shared/rules.md", place.root.join("AGENTS.md")).unwrap();
    symlink("../shared/absent.md", place.root.join("CLAUDE.md")).unwrap();
    symlink("../shared", place.root.join("evals")).unwrap();
    let reply = place.ok(&["init"]);
    assert_eq!(states(&reply)["AGENTS.md"], "outside", "{reply}");
    assert_eq!(states(&reply)["CLAUDE.md"], "outside");
    assert_eq!(states(&reply)["evals/GOTCHA.md"], "outside");
    assert_eq!(reply["warnings"].as_array().unwrap().len(), 7, "{reply}");
    assert_eq!(fs::read_dir(place.path("shared")).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(place.path("shared/rules.md")).unwrap(), "shared\n");
    place.ok(&["init", "--remove"]);
    assert_eq!(fs::read_to_string(place.path("shared/rules.md")).unwrap(), "shared\n");
}

#[test]
fn a_file_that_cannot_take_the_block_stops_everything() {
    let place = Place::new();
    let rules = place.root.join("AGENTS.md");
    let refuse = |code: &str, exit_code: i32, words: &str| {
        let before = tree(&place.root);
        let denial = place.denied(&["init"], code, exit_code);
        assert_eq!(denial["path"], "AGENTS.md", "{denial}");
        assert!(denial.to_string().contains(words), "{denial}");
        assert_eq!(tree(&place.root), before, "nothing is half done");
        assert!(!place.root.join("AI").exists());
    };
    fs::write(&rules, b"latin \xe9\n").unwrap();
    refuse("DENIED_FILE_NOT_UTF8", 2, "UTF-8");
    fs::write(&rules, "x".repeat(1024 * 1024 + 1)).unwrap();
    refuse("DENIED_FILE_TOO_LARGE", 2, "too large");
    for text in
        [format!("{BEGIN}\n"), format!("{END}\n{BEGIN}\n"), format!("{BEGIN}\n{END}\n{BEGIN}\n{END}\n")]
    {
        fs::write(&rules, text).unwrap();
        refuse("DENIED_CONFIG", 2, "kaizen:begin");
    }
    fs::write(&rules, "# Ours\n").unwrap();
    fs::set_permissions(&rules, fs::Permissions::from_mode(0o444)).unwrap();
    refuse("DENIED_STORAGE_READ_ONLY", 1, "read-only");
    // With its block it need not be written.
    fs::set_permissions(&rules, fs::Permissions::from_mode(0o644)).unwrap();
    fs::remove_file(&rules).unwrap();
    fs::create_dir(&rules).unwrap();
    let denial = place.denied(&["init"], "DENIED_FILE_UNREADABLE", 1);
    assert!(denial["reason"].as_str().unwrap().contains("not a regular file"), "{denial}");
    fs::remove_dir(&rules).unwrap();
    symlink("AGENTS.md", &rules).unwrap();
    place.denied(&["init"], "DENIED_FILE_UNREADABLE", 1);
    fs::remove_file(&rules).unwrap();
    fs::write(place.root.join("evals"), "a file").unwrap();
    let denial = place.denied(&["init"], "DENIED_FILE_UNREADABLE", 1);
    assert!(denial["reason"].as_str().unwrap().contains("not a directory"), "{denial}");
    assert!(!place.runtime().exists(), "no daemon was needed to say so");
}

#[test]
fn a_read_only_file_that_is_complete_is_no_obstacle() {
    let place = Place::new();
    place.ok(&["init"]);
    for name in ["AGENTS.md", "CLAUDE.md"] {
        fs::set_permissions(place.root.join(name), fs::Permissions::from_mode(0o444)).unwrap();
    }
    place.ok(&["init"]);
    place.ok(&["init", "--check"]);
}

#[test]
fn the_directory_is_named_in_three_ways() {
    let place = Place::new();
    for name in ["one", "two", "with space"] {
        fs::create_dir(place.path(name)).unwrap();
    }
    let (one, two) = (place.path("one"), place.path("two"));
    assert_eq!(place.ok(&["init", "../one"])["project"], one.canonicalize().unwrap().to_str().unwrap());
    place.ok(&["init", "--project", two.to_str().unwrap()]);
    let mut command = place.command("kaizenctl");
    command.arg("init").current_dir(place.path("with space"));
    assert!(feed(command, b"").status.success());
    for name in ["one", "two", "with space"] {
        assert!(place.path(name).join("AI/db/kaizen.db").exists(), "{name}");
        assert!(place.path(name).join("AGENTS.md").exists(), "{name}");
    }
    assert_eq!(fs::read_dir(&place.root).unwrap().count(), 0);
    place.denied(&["init", "one", "two"], "DENIED_USAGE", 2);
    place.denied(&["init", "../one", "--project", "../two"], "DENIED_USAGE", 2);
    place.denied(&["init", "--check", "--remove"], "DENIED_USAGE", 2);
    place.denied(&["init", "--chekc"], "DENIED_USAGE", 2);
    place.denied(&["init", "../absent"], "DENIED_PROJECT_NOT_FOUND", 1);
    fs::write(place.path("file"), "").unwrap();
    place.denied(&["init", "../file"], "DENIED_PROJECT_NOT_FOUND", 1);
}

#[test]
fn git_sees_the_rules_and_not_the_records() {
    let place = Place::new();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(&place.root).args(arguments).env("HOME", place.path("home"));
        let outcome = feed(command, b"");
        assert!(outcome.status.success(), "{outcome:?}");
        outcome.stdout
    };
    git(&["init", "--quiet"]);
    place.ok(&["init"]);
    place.ok(&["K3"]);
    fs::write(place.root.join("AI/work/notes.txt"), "private").unwrap();
    fs::create_dir(place.root.join("AI/work/clone")).unwrap();
    fs::write(place.root.join("AI/work/clone/README.md"), "private").unwrap();
    fs::create_dir(place.root.join("AI/generation/txt2img")).unwrap();
    fs::write(place.root.join("AI/generation/txt2img/out.png"), "private").unwrap();
    git(&["add", "--all"]);
    let tracked = git(&["ls-files", "AI"]);
    assert_eq!(
        tracked.lines().collect::<Vec<_>>(),
        ["AI/.gitignore", "AI/generation/.gitignore", "AI/work/README.md"]
    );
}

#[test]
fn this_repository_is_such_a_project_itself() {
    let place = Place::new();
    let outcome = place.run(["init", "--check", "--json", REPOSITORY]);
    let reply: Value = serde_json::from_str(&outcome.stdout).unwrap();
    for (name, state) in states(&reply) {
        // It has its own SETUP.md and AI/, and keeps the defaults without a kaizen.toml.
        let elsewhere = ["setup/SETUP.md", "kaizen.toml"].contains(&name) || name.starts_with("AI/");
        assert!(state == "current" || elsewhere, "{name} is {state}");
    }
}

#[test]
fn several_at_once_lay_one_project() {
    let place = Place::new();
    fs::write(place.root.join("AGENTS.md"), "# Ours\n").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| place.ok(&["init"]));
        }
    });
    let laid: Vec<String> = tree(&place.root).into_keys().collect();
    let mut expected = LAID.map(str::to_owned).to_vec();
    expected.sort_unstable();
    assert_eq!(laid, expected, "no file is left half way");
    let rules = fs::read_to_string(place.root.join("AGENTS.md")).unwrap();
    assert_eq!(rules.matches(BEGIN).count(), 1);
    assert_eq!(place.ok(&["init", "--check"])["complete"], true);
}

#[test]
fn the_seed_cases_have_the_shape_of_eval_cases() {
    let evals = Path::new(REPOSITORY).join("evals");
    let explained = fs::read_to_string(evals.join("README.md")).unwrap();
    let cases: Vec<Value> = fs::read_to_string(evals.join("seed-cases.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut names = std::collections::BTreeSet::new();
    let mut categories = BTreeMap::new();
    for case in &cases {
        let keys: Vec<&str> = case.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["title", "summary", "body", "category", "scope", "expected"]);
        let text = |field: &str| case[field].as_str().unwrap();
        assert!(explained.contains(&format!("| {} |", text("category"))), "{case}");
        assert!(kaizen_proto::limits::check_summary(text("summary")).is_ok(), "{case}");
        assert!(case["expected"]["operations"].is_array(), "{case}");
        assert!(names.insert((text("title"), text("category"))), "{case}");
        *categories.entry(text("category")).or_insert(0) += 1;
    }
    let expected = [
        ("grounding", 1),
        ("learning_regression", 1),
        ("proof", 1),
        ("routing", 2),
        ("should_not_trigger", 1),
        ("should_trigger", 2),
    ];
    assert_eq!(categories, BTreeMap::from(expected));
}

#[test]
fn the_seed_cases_are_loaded_once() {
    let place = Place::new();
    place.ok(&["init"]);
    let load = ["Q11", "--path", "evals/seed-cases.jsonl"];
    let reply = place.ok(&load);
    assert!(reply.get("warnings").is_none(), "{reply}");
    assert_eq!(place.count("SELECT count(*) FROM eval_cases"), 8);
    place.ok(&load);
    assert_eq!(place.count("SELECT count(*) FROM eval_cases"), 8);
}
