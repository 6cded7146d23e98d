//! Migration (M): what is found, planned, done, checked and reported.

mod hostile;
mod undo;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use kaizen_proto::canonical_json::sha256_hex;
use serde_json::{Value, json};

use crate::context::{Outcome, Place};
use crate::rows::{assert_time, keys, text};

const WORK: &str = "AI/work/kaizen-v4-migration";
const HARNESS_STUB: &str =
    "# GOTCHA\n\nThis file is a Kaizen command surface.\n\n- `python kaizen.py G2 --json`\n";

/// Writes a file of the project, with a time of change that is none of now.
fn put(place: &Place, path: &str, contents: impl AsRef<[u8]>) {
    let path = place.root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, contents).unwrap();
    let file = fs::File::options().append(true).open(&path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::new(1_500_000_000, 123_456_789)).unwrap();
}

fn read(place: &Place, path: &str) -> String {
    fs::read_to_string(place.root.join(path)).unwrap()
}

/// The absolute path of a file of the project, as replies name it.
fn absolute(place: &Place, path: &str) -> String {
    place.root.canonicalize().unwrap().join(path).to_str().unwrap().to_owned()
}

/// Every path below a directory but those of `AI/`: what it holds or leads to, its permissions, a file's time of change.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u32, Option<SystemTime>)> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![root.to_path_buf()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            if path == root.join("AI") {
                continue;
            }
            let (mut contents, mut modified) = (Vec::new(), None);
            if metadata.is_dir() {
                waiting.push(path.clone());
            } else if metadata.is_symlink() {
                contents = fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes();
            } else if metadata.is_file() {
                // As much as tells one from another; some are made to be too large.
                fs::File::open(&path).unwrap().take(64 * 1024).read_to_end(&mut contents).unwrap();
                modified = Some(metadata.modified().unwrap());
            }
            found.insert(path, (contents, metadata.permissions().mode(), modified));
        }
    }
    found
}

fn paths<'a>(reply: &'a Value, list: &str) -> Vec<&'a str> {
    reply[list].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect()
}

/// The actions of a plan: what, and to which path.
fn actions(place: &Place, arguments: &[&str]) -> Vec<(String, String)> {
    let reply = place.ok(&[&["M2"], arguments].concat());
    let root = absolute(place, "");
    let actions = reply["actions"].as_array().unwrap();
    assert_eq!(reply["count"], actions.len());
    actions
        .iter()
        .map(|action| {
            let path = text(action, "path");
            (text(action, "action").to_owned(), path.strip_prefix(&root).unwrap_or(path).to_owned())
        })
        .collect()
}

/// M4's reply, whose exit status is 0 whatever it says.
fn verify(place: &Place, arguments: &[&str]) -> Value {
    let outcome = place.run([&["M4", "--json"], arguments].concat());
    assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
    assert_eq!(outcome.stderr, "");
    serde_json::from_str(&outcome.stdout).unwrap()
}

/// Runs kaizenctl in a directory, with KAIZEN_SKILLS_ROOT when it is given.
fn run_in(place: &Place, directory: &Path, skills: Option<&str>, arguments: &[&str]) -> Outcome {
    let mut command = place.command("kaizenctl");
    command.current_dir(directory).args(arguments).arg("--json");
    command.envs(skills.map(|skills| ("KAIZEN_SKILLS_ROOT", skills)));
    outcome(command)
}

fn outcome(mut command: Command) -> Outcome {
    let output = command.stdin(Stdio::null()).output().unwrap();
    Outcome {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        status: output.status,
    }
}

fn reply(outcome: &Outcome) -> Value {
    assert!(outcome.status.success(), "{outcome:?}");
    serde_json::from_str(&outcome.stdout).unwrap()
}

/// A project with a directory for each case that a plan knows.
fn prepared() -> Place {
    let place = Place::new();
    put(&place, "evals/GOTCHA.md", HARNESS_STUB);
    put(&place, "GOTCHA.md", "the root's old gotchas\n");
    put(&place, "skills/moved/LEARNING.md", "old learning\n");
    put(&place, "skills/moved/LEARNED.md", format!("{HARNESS_STUB}\na pasted view\n"));
    put(&place, "skills/both/evals/LEARNED.md", "new learned\n");
    put(&place, "skills/both/LEARNED.md", "old learned\n");
    put(&place, "skills/fresh/SKILL.md", "A skill.\n");
    put(&place, "skills/none/README.md", "No surface.\n");
    place
}

#[test]
fn a_scan_tells_what_stands_where() {
    let place = prepared();
    let before = snapshot(&place.root);
    let reply = place.ok(&["M1"]);
    assert_eq!(keys(&reply), ["status", "roots"]);
    let root = &reply["roots"][0];
    assert_eq!(keys(root), ["root", "exists", "files", "count"]);
    assert_eq!(
        [&root["root"], &root["exists"], &root["count"]],
        [&json!(absolute(&place, "").trim_end_matches('/')), &json!(true), &json!(12)]
    );
    let files = root["files"].as_array().unwrap();
    let directories: Vec<&str> = files.iter().step_by(3).map(|file| text(file, "root")).collect();
    let expected = ["", "skills/both", "skills/fresh", "skills/moved"]
        .map(|path| absolute(&place, path).trim_end_matches('/').to_owned());
    assert_eq!(directories, expected);
    let hash = |contents: &str| json!(sha256_hex(contents.as_bytes()));
    assert_eq!(
        files[0],
        json!({
            "root": expected[0], "target_path": absolute(&place, "evals/GOTCHA.md"), "target_exists": true,
            "target_stub": true, "target_sha256": hash(HARNESS_STUB),
            "old_sibling_path": absolute(&place, "GOTCHA.md"), "old_sibling_exists": true, "old_sibling_stub": false,
            "old_sibling_sha256": hash("the root's old gotchas\n"),
        })
    );
    assert_eq!(
        keys(&files[0]),
        [
            "root",
            "target_path",
            "target_exists",
            "target_stub",
            "target_sha256",
            "old_sibling_path",
            "old_sibling_exists",
            "old_sibling_stub",
            "old_sibling_sha256"
        ]
    );
    let names: Vec<&str> =
        files[..3].iter().map(|file| text(file, "target_path").rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["GOTCHA.md", "LEARNED.md", "LEARNING.md"]);
    assert_eq!(
        files[8],
        json!({
            "root": expected[2], "target_path": absolute(&place, "skills/fresh/evals/LEARNING.md"),
            "target_exists": false, "target_stub": false, "target_sha256": null,
            "old_sibling_path": absolute(&place, "skills/fresh/LEARNING.md"), "old_sibling_exists": false,
            "old_sibling_stub": false, "old_sibling_sha256": null,
        })
    );
    assert_eq!(snapshot(&place.root), before);
    // Looking makes nothing.
    assert!(!place.root.join("AI").exists());
}

#[test]
fn a_plan_names_each_action_and_changes_nothing() {
    let place = prepared();
    let before = snapshot(&place.root);
    let reply = place.ok(&["M2"]);
    assert_eq!(keys(&reply), ["status", "dry_run", "actions", "count"]);
    assert_eq!(reply["dry_run"], true);
    let create = |path: &str| ("create-stub".to_owned(), path.to_owned());
    let other = |action: &str, path: &str| (action.to_owned(), path.to_owned());
    assert_eq!(
        actions(&place, &[]),
        [
            other("keep-stub", "evals/GOTCHA.md"),
            other("backup-and-remove-old-sibling", "GOTCHA.md"),
            create("evals/LEARNED.md"),
            create("evals/LEARNING.md"),
            create("skills/both/evals/GOTCHA.md"),
            other("backup-and-replace-stub", "skills/both/evals/LEARNED.md"),
            other("backup-and-remove-old-sibling", "skills/both/LEARNED.md"),
            create("skills/both/evals/LEARNING.md"),
            create("skills/fresh/evals/GOTCHA.md"),
            create("skills/fresh/evals/LEARNED.md"),
            create("skills/fresh/evals/LEARNING.md"),
            create("skills/moved/evals/GOTCHA.md"),
            other("relocate-sibling-to-evals", "skills/moved/evals/LEARNED.md"),
            other("relocate-sibling-to-evals", "skills/moved/evals/LEARNING.md"),
        ]
    );
    let of = |at: usize| &reply["actions"][at];
    assert_eq!(keys(of(0)), ["path", "target_path", "old_sibling_path", "action", "sha256"]);
    assert_eq!(of(1)["sha256"], sha256_hex(b"the root's old gotchas\n"));
    assert_eq!(
        [&of(1)["path"], &of(1)["target_path"]],
        [&json!(absolute(&place, "GOTCHA.md")), &json!(absolute(&place, "evals/GOTCHA.md"))]
    );
    assert_eq!(of(2)["sha256"], Value::Null);
    assert_eq!(of(5)["sha256"], sha256_hex(b"new learned\n"));
    assert_eq!(of(13)["sha256"], sha256_hex(b"old learning\n"));
    assert_eq!(of(13)["path"], of(13)["target_path"]);
    assert_eq!(snapshot(&place.root), before);
    assert!(!place.root.join("AI").exists());
}

#[test]
fn a_migration_backs_up_what_it_replaces_and_leaves_stubs() {
    let place = prepared();
    fs::set_permissions(place.root.join("skills/both/evals/LEARNED.md"), Permissions::from_mode(0o604))
        .unwrap();
    let reply = place.ok(&["M3"]);
    assert_eq!(keys(&reply), ["status", "changed", "count", "manifest"]);
    let expected = [
        "GOTCHA.md",
        "evals/LEARNED.md",
        "evals/LEARNING.md",
        "skills/both/evals/GOTCHA.md",
        "skills/both/evals/LEARNED.md",
        "skills/both/LEARNED.md",
        "skills/both/evals/LEARNING.md",
        "skills/fresh/evals/GOTCHA.md",
        "skills/fresh/evals/LEARNED.md",
        "skills/fresh/evals/LEARNING.md",
        "skills/moved/evals/GOTCHA.md",
        "skills/moved/evals/LEARNED.md",
        "skills/moved/evals/LEARNING.md",
    ]
    .map(|path| absolute(&place, path));
    assert_eq!(paths(&reply, "changed"), expected);
    assert_eq!(reply["count"], 13);

    let stub = |name: &str| {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../evals").join(name)).unwrap()
    };
    for (name, command) in [
        ("GOTCHA.md", "python kaizen.py G2"),
        ("LEARNED.md", "python kaizen.py L7"),
        ("LEARNING.md", "python kaizen.py L4"),
    ] {
        let text = read(&place, &format!("skills/fresh/evals/{name}"));
        assert_eq!(text, stub(name));
        assert!(text.contains("This file is a Kaizen command surface") && text.contains(command), "{text}");
    }
    assert_eq!(read(&place, "evals/GOTCHA.md"), HARNESS_STUB);
    assert_eq!(read(&place, "skills/both/evals/LEARNED.md"), stub("LEARNED.md"));
    assert_eq!(read(&place, "skills/moved/evals/LEARNING.md"), stub("LEARNING.md"));
    // A stub is moved as it is.
    assert_eq!(read(&place, "skills/moved/evals/LEARNED.md"), format!("{HARNESS_STUB}\na pasted view\n"));
    let of = |path: &str| place.root.join(path).metadata().unwrap();
    assert_eq!(of("skills/both/evals/LEARNED.md").permissions().mode() & 0o777, 0o604);
    for gone in ["GOTCHA.md", "skills/both/LEARNED.md", "skills/moved/LEARNED.md", "skills/moved/LEARNING.md"]
    {
        assert!(!place.root.join(gone).exists(), "{gone}");
    }
    // Files of the project are like its others, not private like records.
    put(&place, "ordinary", "");
    let mode = of("ordinary").permissions().mode();
    assert_eq!(of("skills/fresh/evals/GOTCHA.md").permissions().mode(), mode);

    let manifest: Value = serde_json::from_str(&read(&place, text(&reply, "manifest"))).unwrap();
    assert_eq!(keys(&manifest)[..2], ["created_at", "files"]);
    assert_time(&manifest["created_at"]);
    let files = manifest["files"].as_array().unwrap();
    let backed_up = [
        ("GOTCHA.md", "0001-GOTCHA.md", "the root's old gotchas\n"),
        ("skills/both/evals/LEARNED.md", "0002-LEARNED.md", "new learned\n"),
        ("skills/both/LEARNED.md", "0003-LEARNED.md", "old learned\n"),
        ("skills/moved/LEARNED.md", "0004-LEARNED.md", &format!("{HARNESS_STUB}\na pasted view\n")),
        ("skills/moved/LEARNING.md", "0005-LEARNING.md", "old learning\n"),
    ];
    assert_eq!(files.len(), backed_up.len());
    for (file, (source, name, contents)) in files.iter().zip(backed_up) {
        assert_eq!(keys(file), ["source_path", "backup_path", "sha256"]);
        assert_eq!(file["source_path"], absolute(&place, source));
        assert_eq!(file["sha256"], sha256_hex(contents.as_bytes()));
        let backup = text(file, "backup_path");
        assert!(
            backup.starts_with(&format!("{WORK}/backups/")) && backup.ends_with(&format!("/files/{name}"))
        );
        assert_eq!(read(&place, backup), contents);
        let metadata = of(backup);
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        let modified = metadata.modified().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(modified, Duration::new(1_500_000_000, 123_456_789));
    }
    assert_eq!(of(WORK).permissions().mode() & 0o777, 0o700);
    assert_eq!(read(&place, &format!("{WORK}/.gitignore")), "*\n");

    let after = snapshot(&place.root);
    let again = place.ok(&["M3"]);
    assert_eq!([&again["count"], &again["changed"]], [&json!(0), &json!([])]);
    assert_ne!(again["manifest"], reply["manifest"]);
    let manifest: Value = serde_json::from_str(&read(&place, text(&again, "manifest"))).unwrap();
    assert_eq!(manifest["files"], json!([]));
    assert_eq!(snapshot(&place.root), after);
    // No records are needed, and none are made.
    assert!(!place.database().exists());
}

#[test]
fn a_verification_tells_what_is_left_to_do() {
    let place = prepared();
    let unmigrated = |reply: &Value| -> Vec<String> {
        assert_eq!(keys(reply)[..3], ["status", "unmigrated", "count"]);
        let list = paths(reply, "unmigrated");
        assert_eq!(reply["count"], list.len());
        assert_eq!(reply["status"], if list.is_empty() { "OK" } else { "FAILED" });
        let root = absolute(&place, "");
        list.iter().map(|path| path.strip_prefix(&root).unwrap_or(path).to_owned()).collect()
    };
    assert_eq!(
        unmigrated(&verify(&place, &["--root", "skills/both", "--root", "absent"])),
        [
            "absent",
            "skills/both/evals/GOTCHA.md",
            "skills/both/evals/LEARNED.md",
            "skills/both/LEARNED.md",
            "skills/both/evals/LEARNING.md"
        ]
    );
    assert_eq!(unmigrated(&verify(&place, &[]))[..2], ["GOTCHA.md", "evals/LEARNED.md"]);
    place.ok(&["M3"]);
    assert_eq!(unmigrated(&verify(&place, &[])), [""; 0]);
    // A stub of the harness is one; so is a sibling that is a stub, and yet it has to go.
    put(&place, "skills/fresh/evals/GOTCHA.md", HARNESS_STUB);
    put(&place, "skills/fresh/LEARNED.md", HARNESS_STUB);
    put(&place, "skills/fresh/evals/LEARNING.md", "kaizenctl L4\n");
    assert_eq!(
        unmigrated(&verify(&place, &[])),
        ["skills/fresh/LEARNED.md", "skills/fresh/evals/LEARNING.md"]
    );
    let shown = place.run(["M4"]);
    assert!(shown.stdout.starts_with("FAILED\n") && shown.stdout.ends_with("\n2 unmigrated\n"), "{shown:?}");
    assert_eq!(shown.status.code(), Some(0));
}

#[test]
fn a_report_lists_the_plan_and_creates_no_stub() {
    let place = Place::new();
    let reply = place.ok(&["M5"]);
    assert_eq!(keys(&reply), ["status", "path", "count"]);
    assert_eq!(reply["count"], 3);
    let path = text(&reply, "path");
    assert!(
        path.starts_with(&format!("{WORK}/reports/migration-report-"))
            && Path::new(path).extension() == Some("md".as_ref()),
        "{path}"
    );
    let target = |name: &str| absolute(&place, &format!("evals/{name}"));
    assert_eq!(
        read(&place, path),
        format!(
            "# Kaizen Migration Report\n\nActions: 3\n\n- create-stub: `{}`\n- create-stub: `{}`\n- create-stub: `{}`\n",
            target("GOTCHA.md"),
            target("LEARNED.md"),
            target("LEARNING.md")
        )
    );
    assert!(!place.root.join("evals").exists());
    assert_eq!(place.root.join(path).metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_ne!(place.ok(&["M5"])["path"], reply["path"]);
    put(&place, "odd\nname/GOTCHA.md", "x");
    let path = place.ok(&["M5"])["path"].as_str().unwrap().to_owned();
    assert_eq!(read(&place, &path).lines().count(), 4 + 6);
}

#[test]
fn roots_may_be_given_several_times_and_start_from_where_the_caller_is() {
    let place = prepared();
    let skills = place.root.join("skills");
    let roots = |reply: &Value| -> Vec<(String, bool)> {
        let roots = reply["roots"].as_array().unwrap();
        roots.iter().map(|root| (text(root, "root").to_owned(), root["exists"] == true)).collect()
    };
    let here = |arguments: &[&str]| reply(&run_in(&place, &skills, None, arguments));
    let (both, fresh) = (absolute(&place, "skills/both"), absolute(&place, "skills/fresh"));
    let found =
        here(&["M1", "--root", "both", "--root=fresh", "--root", "absent", "--root", "../skills/./both"]);
    assert_eq!(
        roots(&found),
        [(both.clone(), true), (fresh.clone(), true), (absolute(&place, "skills/absent"), false)]
    );
    assert_eq!(
        found["roots"][2],
        json!({"root": absolute(&place, "skills/absent"), "exists": false, "files": []})
    );
    assert_eq!(roots(&here(&["M1", "--root", ".."]))[0].0, absolute(&place, "").trim_end_matches('/'));
    assert_eq!(roots(&here(&["M1"]))[0].0, absolute(&place, "").trim_end_matches('/'));
    assert_eq!(roots(&here(&["M1", "--root", &both]))[0].0, both);
    // A directory that several roots hold is handled once.
    assert_eq!(
        here(&["M2", "--root", ".", "--root", "both"])["count"],
        here(&["M2", "--root", "."])["count"]
    );
    let given = place
        .run_with_input(&["M1", "--params", "-", "--json"], br#"{"root": ["skills/fresh", "skills/both"]}"#);
    assert_eq!(roots(&reply(&given)), [(fresh, true), (both.clone(), true)]);
    let missing = here(&["M3", "--root", "absent"]);
    assert_eq!(missing["count"], 0);
    assert!(missing["warnings"][0].as_str().unwrap().contains("absent"), "{missing}");
    let applied = here(&["M3", "--root", "both"]);
    assert!(paths(&applied, "changed").iter().all(|path| path.starts_with(&both)), "{applied}");
    // The manifest is where the project is, not where the caller is.
    assert!(place.root.join(text(&applied, "manifest")).is_file());
    assert!(!place.root.join("evals/LEARNED.md").exists());
}

#[test]
fn a_caller_without_a_directory_of_its_own_is_in_the_project() {
    let place = prepared();
    place.ok(&["daemon", "start"]);
    for cwd in [json!(null), json!("skills"), json!("")] {
        let mut hello = json!({"protocol": 1, "project_root": place.root});
        if !cwd.is_null() {
            hello["cwd"] = cwd;
        }
        let mut stream = UnixStream::connect(place.runtime().join("kaizend.sock")).unwrap();
        for (method, params) in [("hello", hello), ("migration.scan", json!({"root": ["skills/fresh"]}))] {
            let call = json!({"jsonrpc": "2.0", "id": method, "method": method, "params": params});
            stream.write_all(format!("{call}\n").as_bytes()).unwrap();
        }
        let line = BufReader::new(stream).lines().nth(1).unwrap().unwrap();
        let reply: Value = serde_json::from_str(&line).unwrap();
        let root = &reply["result"]["roots"][0];
        assert_eq!(
            [&root["root"], &root["count"]],
            [&json!(absolute(&place, "skills/fresh")), &json!(3)],
            "{line}"
        );
    }
}

#[test]
fn a_directory_of_skills_outside_the_project_can_be_allowed() {
    let place = Place::new();
    let skills = place.path("skills");
    fs::create_dir_all(skills.join("one")).unwrap();
    fs::write(skills.join("one/SKILL.md"), "A skill.").unwrap();
    let given = skills.to_str().unwrap();
    let call = |variable: Option<&str>, arguments: &[&str]| run_in(&place, &place.root, variable, arguments);
    for variable in [None, Some("")] {
        let denial = call(variable, &["M3", "--root", given]).assert_denied("DENIED_ROOT_NOT_ALLOWLISTED", 2);
        assert_eq!(denial["allowed_roots"], json!([place.root.canonicalize().unwrap()]));
    }
    let one = skills.join("one").canonicalize().unwrap();
    for variable in [given, "../skills"] {
        let found = reply(&call(Some(variable), &["M1", "--root", "../skills/one"]));
        assert_eq!(found["roots"][0]["root"], one.to_str().unwrap());
    }
    // The variable allows; it does not ask for anything.
    assert_eq!(reply(&call(Some(given), &["M2"]))["count"], 3);
    let denial = call(Some(given), &["M3", "--root", "/"]).assert_denied("DENIED_ROOT_NOT_ALLOWLISTED", 2);
    assert_eq!(
        [&denial["root"], &denial["allowed_roots"][1]],
        [&json!("/"), &json!(skills.canonicalize().unwrap())]
    );
    let applied = reply(&call(Some(given), &["M3", "--root", given]));
    assert_eq!(applied["count"], 6);
    assert!(one.join("evals/GOTCHA.md").is_file() && skills.join("evals/GOTCHA.md").is_file());
    assert!(!place.root.join("evals").exists());
    // What was allowed then must be allowed still.
    let undo = ["M3", "--undo", text(&applied, "manifest")];
    call(None, &undo).assert_denied("DENIED_PATH_OUTSIDE_REPO", 2);
    assert!(one.join("evals/GOTCHA.md").is_file());
    assert_eq!(reply(&call(Some(given), &undo))["count"], 6);
    assert!(!one.join("evals").exists());
}

#[test]
fn no_data_plane_is_needed_and_none_is_looked_at() {
    let place = Place::new();
    fs::create_dir_all(place.root.join("AI/db")).unwrap();
    fs::write(place.database(), "This is a text, not a database. ".repeat(10)).unwrap();
    for operation in ["M1", "M2", "M3", "M5"] {
        place.ok(&[operation]);
    }
    assert_eq!(verify(&place, &[])["status"], "OK");
    // Outside any project there is nothing to write into; looking is free.
    let nowhere = place.path("home/nowhere");
    fs::create_dir_all(&nowhere).unwrap();
    for (operation, denied) in [("M1", false), ("M2", false), ("M4", false), ("M3", true), ("M5", true)] {
        let mut command = place.command("kaizenctl");
        command.env_remove("KAIZEN_REPO_ROOT").current_dir(&nowhere).args([operation, "--json"]);
        let outcome = outcome(command);
        if denied {
            outcome.assert_denied("DENIED_PROJECT_REQUIRED", 2);
        } else {
            reply(&outcome);
        }
    }
    assert_eq!(fs::read_dir(&nowhere).unwrap().count(), 0);
}

#[test]
fn migrations_at_the_same_time_do_not_interleave() {
    let place = Place::new();
    for number in 0..20 {
        put(&place, &format!("skills/{number}/GOTCHA.md"), format!("gotcha {number}\n"));
    }
    let before = snapshot(&place.root);
    place.ok(&["daemon", "start"]);
    let replies: Vec<Value> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..4).map(|_| scope.spawn(|| place.ok(&["M3"]))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    // The first one to get its turn did all of it.
    let mut counts: Vec<u64> = replies.iter().map(|reply| reply["count"].as_u64().unwrap()).collect();
    counts.sort_unstable();
    assert_eq!(counts, [0, 0, 0, 63]);
    assert_eq!(verify(&place, &[])["status"], "OK");
    let first = replies.iter().find(|reply| reply["count"] == 63).unwrap();
    place.ok(&["M3", "--undo", text(first, "manifest")]);
    assert_eq!(snapshot(&place.root), before);
}
