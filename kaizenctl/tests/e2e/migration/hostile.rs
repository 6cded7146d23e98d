//! Trees that are made to mislead: links, odd files, odd names, too much of everything. Nothing outside is changed,
//! and nothing is changed halfway.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::{Value, json};

use super::{HARNESS_STUB, WORK, absolute, actions, paths, prepared, put, run_in, snapshot, verify};
use crate::context::Place;
use crate::rows::{text, words};

/// M2, M3 and M5 are denied alike, and nothing is changed.
fn blocked(place: &Place, code: &str, exit_code: i32) -> Value {
    let before = snapshot(&place.root);
    let denials = ["M2", "M3", "M5"].map(|operation| place.denied(&[operation], code, exit_code));
    assert_eq!(snapshot(&place.root), before);
    assert!(denials.iter().all(|denial| denial == &denials[0]), "{denials:?}");
    // Looking is still possible.
    let scanned = place.ok(&["M1"]);
    let path = text(&denials[0], "path");
    assert!(scanned["warnings"].to_string().contains(path), "{path}: {scanned}");
    assert!(paths(&verify(place, &[]), "unmigrated").contains(&path));
    denials[0].clone()
}

#[test]
fn a_root_outside_is_denied_before_anything_is_written() {
    let place = prepared();
    let outside = place.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("GOTCHA.md"), "untouched").unwrap();
    symlink(&outside, place.root.join("out")).unwrap();
    symlink("/nonexistent/dangling", place.root.join("dangling")).unwrap();
    let before = snapshot(&place.root);
    for root in
        ["..", "/", "../outside", "out", "out/../..", "dangling", "skills/../../outside", "/proc/self/cwd/.."]
    {
        for operation in ["M1", "M2", "M3", "M4", "M5"] {
            let denial = place.denied(
                &[operation, "--root", "skills", "--root", root],
                "DENIED_ROOT_NOT_ALLOWLISTED",
                2,
            );
            assert_eq!(
                denial["allowed_roots"],
                json!([absolute(&place, "").trim_end_matches('/')]),
                "{root}"
            );
            assert!(!text(&denial, "root").starts_with(&absolute(&place, "")), "{denial}");
        }
    }
    assert_eq!(snapshot(&place.root), before);
    assert!(!place.root.join("AI").exists());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn roots_of_the_wrong_shape_are_denied() {
    let place = Place::new();
    for operation in ["M1", "M2", "M3", "M4", "M5"] {
        let denied =
            |arguments: &[&str], code: &str| place.denied(&[&[operation], arguments].concat(), code, 2);
        denied(&["--root", ""], "DENIED_PATH_REQUIRED");
        denied(&["--root"], "DENIED_USAGE");
        denied(&["--root", &"x".repeat(5000)], "DENIED_TEXT_TOO_LONG");
        denied(&["--path", "."], "DENIED_USAGE");
        let many: Vec<&str> = std::iter::repeat_n(["--root", "."], 65).flatten().collect();
        denied(&many, "DENIED_USAGE");
        for (params, code) in [
            (r#"{"root":"."}"#, "DENIED_USAGE"),
            (r#"{"root":[1]}"#, "DENIED_USAGE"),
            (r#"{"root":["a\u0000b"]}"#, "DENIED_TEXT_INVALID"),
        ] {
            place
                .run_with_input(&[operation, "--params", "-", "--json"], params.as_bytes())
                .assert_denied(code, 2);
        }
    }
    place.denied(&["M1", "--undo", "x"], "DENIED_USAGE", 2);
    let mut command = place.command("kaizenctl");
    command.args(["M1", "--json", "--root"]).arg(OsStr::from_bytes(b"caf\xe9"));
    super::outcome(command).assert_denied("DENIED_USAGE", 2);
    assert_eq!(fs::read_dir(&place.root).unwrap().count(), 0);
}

#[test]
fn a_link_that_leads_out_is_never_written_through() {
    for link in ["evals", "evals/GOTCHA.md", "GOTCHA.md", "skills/moved/evals", "skills/moved/LEARNING.md"] {
        for (target, exists) in [("outside", true), ("outside/GOTCHA.md", true), ("outside/absent", false)] {
            let place = prepared();
            let outside = place.path("outside");
            fs::create_dir(&outside).unwrap();
            fs::write(outside.join("GOTCHA.md"), HARNESS_STUB).unwrap();
            let path = place.root.join(link);
            let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
            symlink(place.path(target), &path).unwrap();
            let denial = blocked(&place, "DENIED_PATH_OUTSIDE_REPO", 2);
            assert!(text(&denial, "path").starts_with(&absolute(&place, link)), "{denial}");
            assert!(text(&denial, "reason").contains("leads out"), "{denial}");
            assert_eq!(place.path(target).exists(), exists, "{link} -> {target}");
            assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
            assert_eq!(fs::read_to_string(outside.join("GOTCHA.md")).unwrap(), HARNESS_STUB);
        }
    }
}

#[test]
fn a_link_within_the_project_is_read_and_never_written_through() {
    let place = Place::new();
    put(&place, "shared/GOTCHA.md", HARNESS_STUB);
    for name in ["LEARNED.md", "LEARNING.md"] {
        put(&place, &format!("shared/{name}"), HARNESS_STUB);
    }
    put(&place, "one/SKILL.md", "A skill.");
    symlink("../shared", place.root.join("one/evals")).unwrap();
    let one = actions(&place, &["--root", "one"]);
    assert_eq!(one.iter().map(|(action, _)| action.as_str()).collect::<Vec<_>>(), ["keep-stub"; 3]);
    assert_eq!(verify(&place, &["--root", "one"])["status"], "OK");
    assert_eq!(place.ok(&["M3", "--root", "one"])["count"], 0);
    let denied = |reason: &str| {
        let denial = place.denied(&["M3", "--root", "one"], "DENIED_SURFACE_UNFIT", 1);
        assert!(text(&denial, "reason").contains(reason), "{denial}");
        assert!(text(&denial, "path").ends_with("one/evals/GOTCHA.md"), "{denial}");
    };
    put(&place, "shared/GOTCHA.md", "no stub");
    denied("behind a symbolic link");
    fs::remove_file(place.root.join("shared/GOTCHA.md")).unwrap();
    denied("behind a symbolic link");
    symlink("GOTCHA.md", place.root.join("shared/GOTCHA.md")).unwrap();
    denied("symbolic link");
    // A directory behind a link is not walked into.
    symlink("one", place.root.join("two")).unwrap();
    symlink(".", place.root.join("again")).unwrap();
    assert_eq!(place.ok(&["M1"])["roots"][0]["count"], 9);
}

#[test]
fn our_own_directory_must_not_lead_out() {
    let place = prepared();
    let outside = place.path("outside");
    fs::create_dir(&outside).unwrap();
    for link in ["AI", "AI/work", WORK] {
        let path = place.root.join(link);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(&outside, &path).unwrap();
        let before = snapshot(&place.root);
        for operation in ["M3", "M5"] {
            let denial = place.denied(&[operation], "DENIED_PATH_OUTSIDE_REPO", 2);
            assert_eq!(denial["path"], absolute(&place, WORK));
        }
        assert_eq!(snapshot(&place.root), before);
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        fs::remove_file(&path).unwrap();
    }
    fs::create_dir_all(place.root.join(WORK)).unwrap();
    symlink(outside.join("lock"), place.root.join(WORK).join("migration.lock")).unwrap();
    let denial = place.denied(&["M3"], "DENIED_STORAGE_ERROR", 75);
    assert!(text(&denial, "path").ends_with("migration.lock"), "{denial}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let place = Place::new();
    for path in ["GOTCHA.md", "evals/GOTCHA.md"] {
        let path = place.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let denial = blocked(&place, "DENIED_SURFACE_UNFIT", 1);
        assert_eq!(denial["reason"], "it is not a regular file");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(blocked(&place, "DENIED_SURFACE_UNFIT", 1)["path"], denial["path"]);
        fs::remove_dir(&path).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(blocked(&place, "DENIED_SURFACE_UNFIT", 1)["path"], denial["path"]);
        fs::remove_file(&path).unwrap();
    }
    fs::remove_dir(place.root.join("evals")).unwrap();
    put(&place, "evals", "a file");
    let denial = blocked(&place, "DENIED_SURFACE_UNFIT", 1);
    assert_eq!(denial["reason"], "its folder is not a directory");
}

#[test]
fn a_huge_file_is_denied_and_not_read() {
    let place = Place::new();
    put(&place, "one/LEARNED.md", "");
    let file = fs::File::options().write(true).open(place.root.join("one/LEARNED.md")).unwrap();
    file.set_len(1 << 40).unwrap();
    let denial = blocked(&place, "DENIED_FILE_TOO_LARGE", 2);
    assert_eq!([&denial["bytes"], &denial["limit"]], [&json!(1_u64 << 40), &json!(8 * 1024 * 1024)]);
    // The largest that can be, and a byte more.
    for (bytes, fits) in [(8 * 1024 * 1024, true), (8 * 1024 * 1024 + 1, false)] {
        file.set_len(bytes).unwrap();
        assert_eq!(place.run(["M2", "--json"]).status.success(), fits);
    }
}

#[test]
fn some_directories_are_never_looked_into() {
    let place = Place::new();
    for skipped in [
        ".git",
        ".agents",
        ".claude",
        "node_modules",
        ".venv",
        "__pycache__",
        "_src",
        "_corpus",
        "_tmp",
        "AI",
        "evals",
    ] {
        put(&place, &format!("{skipped}/below/GOTCHA.md"), "x");
        put(&place, &format!("{skipped}/SKILL.md"), "x");
    }
    put(&place, ".github/deep/er/SKILL.md", "x");
    put(&place, "skill.md/gotcha.md", "x");
    let found: Vec<(String, String)> = actions(&place, &[]);
    let directories: Vec<&str> = found.iter().step_by(3).map(|(_, path)| path.as_str()).collect();
    assert_eq!(directories, ["evals/GOTCHA.md", ".github/deep/er/evals/GOTCHA.md"]);
    // Named as a root they are, though the surfaces of `evals` itself are those of the directory above.
    assert_eq!(place.ok(&["M2", "--root", ".git"])["count"], 6);
    let reply = place.ok(&["M2", "--root", "evals"]);
    assert!(reply["warnings"][0].as_str().unwrap().contains("directory above"), "{reply}");
}

#[test]
fn names_that_are_no_text_are_skipped_with_a_warning() {
    let place = Place::new();
    let odd = place.root.join(OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir_all(odd.join("below")).unwrap();
    fs::write(odd.join("GOTCHA.md"), "x").unwrap();
    fs::write(odd.join("below/GOTCHA.md"), "x").unwrap();
    fs::write(place.root.join(OsStr::from_bytes(b"GOTCHA\xff.md")), "x").unwrap();
    put(&place, "quote\" back\\slash\u{1b}[31m/LEARNED.md", "x");
    let reply = place.ok(&["M3"]);
    assert_eq!(reply["count"], 6);
    assert_eq!(reply["warnings"].as_array().unwrap().len(), 1);
    assert!(reply["warnings"][0].as_str().unwrap().contains("not UTF-8"), "{reply}");
    assert!(
        paths(&reply, "changed")
            .contains(&absolute(&place, "quote\" back\\slash\u{1b}[31m/evals/LEARNED.md").as_str())
    );
    assert_eq!(fs::read_to_string(odd.join("GOTCHA.md")).unwrap(), "x");
    assert!(!place.run(["M2"]).stdout.contains('\u{1b}'));
    // As a root it is no name that a reply could repeat.
    symlink(&odd, place.root.join("plain")).unwrap();
    let denial = place.denied(&["M1", "--root", "plain"], "DENIED_SURFACE_UNFIT", 1);
    assert!(text(&denial, "reason").contains("UTF-8"), "{denial}");
    for number in 0..30 {
        fs::create_dir(place.root.join(OsStr::from_bytes(&[b'a', b'0' + number, 0xff]))).unwrap();
    }
    let warnings = place.ok(&["M2"])["warnings"].as_array().unwrap().clone();
    assert_eq!([warnings.len(), 1], [21, 1]);
    assert_eq!(warnings[20], "and 11 more");
}

#[test]
fn a_tree_with_too_many_surfaces_is_denied() {
    let place = Place::new();
    for number in 0..2000 {
        put(&place, &format!("{number}/SKILL.md"), "");
    }
    // The root is one too.
    let denial = place.denied(&["M3"], "DENIED_TREE_TOO_LARGE", 2);
    assert_eq!(denial["limit"], 2000);
    assert!(text(&denial, "required_action").contains("--root"), "{denial}");
    assert!(!place.root.join("evals").exists());
    fs::remove_dir_all(place.root.join("7")).unwrap();
    assert_eq!(place.ok(&["M1"])["roots"][0]["count"], 6000);
    place.denied(&["M2", "--root", ".", "--root", "AI", "--root", "8"], "DENIED_TREE_TOO_LARGE", 2);
    // Long names count for more than short ones, since every reply repeats them.
    let long = Place::new();
    for number in 0..1400 {
        put(&long, &format!("{}{number}/SKILL.md", words(100).replace(' ', "\"")), "");
    }
    long.denied(&["M1"], "DENIED_TREE_TOO_LARGE", 2);
}

#[test]
fn another_migration_of_the_project_is_not_joined() {
    let place = prepared();
    let manifest = text(&place.ok(&["M3", "--root", "skills/moved"]), "manifest").to_owned();
    let before = snapshot(&place.root);
    let lock = fs::File::open(place.root.join(WORK).join("migration.lock")).unwrap();
    lock.lock().unwrap();
    for call in [&["M3"][..], &["M3", "--undo", &manifest]] {
        let denial = place.denied(call, "DENIED_BUSY", 75);
        assert_eq!(denial["retryable"], true);
    }
    assert_eq!(snapshot(&place.root), before);
    // Looking goes on.
    place.ok(&["M1"]);
    place.ok(&["M5"]);
    drop(lock);
    place.ok(&["M3"]);
}

#[test]
fn a_project_behind_a_link_is_one_project() {
    let place = prepared();
    let link = place.path("link");
    symlink(&place.root, &link).unwrap();
    let mut command = place.command("kaizenctl");
    command.env("KAIZEN_REPO_ROOT", &link).current_dir(&link).args([
        "M3",
        "--json",
        "--root",
        "skills/fresh",
    ]);
    let applied = super::reply(&super::outcome(command));
    assert_eq!(paths(&applied, "changed")[0], absolute(&place, "skills/fresh/evals/GOTCHA.md"));
    let undone = run_in(&place, &place.root, None, &["M3", "--undo", text(&applied, "manifest")]);
    assert_eq!(super::reply(&undone)["count"], 3);
}
