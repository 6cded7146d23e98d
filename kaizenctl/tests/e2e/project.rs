//! Which project a call is for.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use crate::context::{Outcome, Place, feed};

const NEW: [&str; 6] = ["W1", "--title", "T", "--summary", "S.", "--json"];

/// Runs kaizenctl from a directory, with nothing but its place to tell the project by.
fn from(place: &Place, directory: &Path, arguments: &[&str]) -> Outcome {
    let mut command = place.command("kaizenctl");
    command.env_remove("KAIZEN_REPO_ROOT").current_dir(directory).args(arguments);
    feed(command, b"")
}

/// The database that a call from a directory is about.
fn database(place: &Place, directory: &Path) -> String {
    let outcome = from(place, directory, &["K2", "--json"]);
    let reply: Value =
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    reply["schema"]["db_path"].as_str().unwrap().to_owned()
}

fn expected(root: &Path) -> String {
    root.canonicalize().unwrap().join("AI/db/kaizen.db").to_str().unwrap().to_owned()
}

fn directory(place: &Place, name: &str) -> std::path::PathBuf {
    let path = place.path(name);
    fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn the_nearest_marker_upwards_names_the_project() {
    let place = Place::new();
    let home = place.path("home");
    let inner = directory(&place, "home/a/b/c/d");
    // Nothing marks a project: the directory itself, for looking only.
    assert_eq!(database(&place, &inner), expected(&inner));
    fs::create_dir(home.join("a/.git")).unwrap();
    assert_eq!(database(&place, &inner), expected(&home.join("a")));
    fs::write(home.join("a/b/kaizen.toml"), "").unwrap();
    assert_eq!(database(&place, &inner), expected(&home.join("a/b")));
    // A work tree has a file in place of the directory.
    fs::write(home.join("a/b/c/.git"), "gitdir: ../x").unwrap();
    assert_eq!(database(&place, &inner), expected(&home.join("a/b/c")));
    assert!(from(&place, &inner, &NEW).status.success());
    assert!(home.join("a/b/c/AI/db/kaizen.db").exists());
    // An existing data plane is a marker too.
    fs::remove_file(home.join("a/b/c/.git")).unwrap();
    assert_eq!(database(&place, &inner), expected(&home.join("a/b/c")));
}

#[test]
fn the_search_ends_below_home() {
    let place = Place::new();
    let home = place.path("home");
    fs::create_dir_all(home.join(".git")).unwrap();
    let inner = directory(&place, "home/work");
    assert_eq!(database(&place, &inner), expected(&inner));
    // Who stands in HOME itself means it.
    assert_eq!(database(&place, &home), expected(&home));
}

#[test]
fn a_write_needs_a_project_and_init_makes_one() {
    let place = Place::new();
    let nowhere = directory(&place, "home/nowhere");
    let denial = from(&place, &nowhere, &NEW).assert_denied("DENIED_PROJECT_REQUIRED", 2);
    assert!(denial["required_action"].as_str().unwrap().contains("kaizenctl init"), "{denial}");
    for looking in [&["K2", "--json"][..], &["K0", "--json"], &["--help"]] {
        assert!(from(&place, &nowhere, looking).status.success());
    }
    from(&place, &nowhere, &["W1", "--json"]).assert_denied("DENIED_TITLE_REQUIRED", 2);
    assert_eq!(fs::read_dir(&nowhere).unwrap().count(), 0);
    for _ in 0..2 {
        let outcome = from(&place, &nowhere, &["init", "--json"]);
        let reply: Value =
            serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
        assert_eq!(reply["schema"]["db_path"], expected(&nowhere));
    }
    assert!(from(&place, &nowhere, &NEW).status.success());
    // Init makes the directory where it is called a project, whatever lies above.
    let below = directory(&place, "home/nowhere/below");
    assert!(from(&place, &below, &["init"]).status.success());
    assert!(below.join("AI/db/kaizen.db").exists());
    let named = directory(&place, "home/named");
    assert!(from(&place, &nowhere, &["init", "--project", "../named"]).status.success());
    assert!(named.join("AI/db/kaizen.db").exists());
}

#[test]
fn a_project_that_is_named_wins() {
    let place = Place::new();
    let (one, two, three) = (directory(&place, "one"), directory(&place, "two"), directory(&place, "three"));
    fs::create_dir(three.join(".git")).unwrap();
    let database = |environment: Option<&str>, arguments: &[&str]| {
        let mut command = place.command("kaizenctl");
        command.current_dir(&three).args(["K2", "--json"]).args(arguments);
        match environment {
            Some(root) => command.env("KAIZEN_REPO_ROOT", root),
            None => command.env_remove("KAIZEN_REPO_ROOT"),
        };
        let outcome = feed(command, b"");
        let reply: Value =
            serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
        reply["schema"]["db_path"].as_str().unwrap().to_owned()
    };
    let two_name = two.to_str().unwrap();
    assert_eq!(database(None, &[]), expected(&three));
    assert_eq!(database(Some(""), &[]), expected(&three));
    assert_eq!(database(Some(two_name), &[]), expected(&two));
    assert_eq!(database(Some("../two"), &[]), expected(&two));
    assert_eq!(database(Some(two_name), &["--project", one.to_str().unwrap()]), expected(&one));
    assert_eq!(database(Some(two_name), &["--project", "../one"]), expected(&one));
    assert_eq!(database(Some(two_name), &["--project=../one", "--project", "."]), expected(&three));
    // What the variable names is made; what the flag names must be there.
    let fresh = place.path("fresh/deep");
    let database = database(Some(fresh.to_str().unwrap()), &[]);
    assert_eq!(database, expected(&fresh));
    for (name, reason) in
        [("../absent", "No such file"), (place.path("file").to_str().unwrap(), "not a directory")]
    {
        fs::write(place.path("file"), "").unwrap();
        let denial = place.denied(
            &["W1", "--title", "T", "--summary", "S.", "--project", name],
            "DENIED_PROJECT_NOT_FOUND",
            1,
        );
        assert!(denial["reason"].as_str().unwrap().contains(reason), "{denial}");
    }
    assert!(!place.path("absent").exists());
}

#[test]
fn a_root_may_be_called_anything_and_lie_deep() {
    let place = Place::new();
    let deep = format!("deep/{}", ["0123456789abcdefghijklmnopqrstuvwxyz"; 6].join("/"));
    for name in
        ["with spaces and 'quotes\"", "Größe 日本 🦀", "-dash", "per%cent #hash ?query", "new\nline", &deep]
    {
        let root = directory(&place, name);
        let id = {
            let mut command = place.command("kaizenctl");
            command.args(NEW).arg("--project").arg(&root);
            let outcome = feed(command, b"");
            let reply: Value =
                serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
            reply["id"].as_str().unwrap().to_owned()
        };
        let outcome = from(&place, &root, &["R0", "--json"]);
        assert!(outcome.stdout.contains(&id), "{name}: {outcome:?}");
        let outcome = from(&place, &root, &["K3", "--json"]);
        assert!(outcome.status.success(), "{name}: {outcome:?}");
    }
    // So may the place of the socket: a name that is too long for one is replaced by a short one.
    let runtime = place.path(&deep);
    let mut command = place.command("kaizenctl");
    command.env("KAIZEN_RUNTIME_DIR", &runtime).args(["K1", "--project"]).arg(directory(&place, "own"));
    assert!(feed(command, b"").status.success());
    let mut command = place.command("kaizenctl");
    command.env("KAIZEN_RUNTIME_DIR", &runtime).args(["daemon", "stop", "--all"]);
    assert!(feed(command, b"").status.success());
}

#[test]
fn a_link_to_a_root_leads_to_the_same_project() {
    let place = Place::new();
    let root = directory(&place, "root");
    symlink(&root, place.path("link")).unwrap();
    symlink(place.path("link"), place.path("link-to-link")).unwrap();
    let list = |name: &str| {
        let path = place.path(name);
        place.ok(&["G2", "--project", path.to_str().unwrap()])["count"].clone()
    };
    let g1 = ["G1", "--title", "T", "--summary", "S.", "--body", "B", "--project"];
    for (number, name) in ["link", "root", "link-to-link"].iter().enumerate() {
        let path = place.path(name);
        place.ok(&[&g1[..], &[path.to_str().unwrap()]].concat());
        for name in ["link", "root", "link-to-link"] {
            assert_eq!(list(name), number + 1);
        }
    }
    let projects = place.ok(&["daemon", "status"])["projects"].clone();
    assert_eq!(projects.as_array().unwrap().len(), 1, "{projects}");
    // A path is shown under the root by whatever name the root was reached.
    fs::write(root.join("file"), "x").unwrap();
    let link = place.path("link");
    let reply =
        place.ok(&["A1", "--project", link.to_str().unwrap(), "--path", link.join("file").to_str().unwrap()]);
    assert_eq!(reply["path"], "file");
}

#[test]
fn two_checkouts_are_two_projects_of_one_daemon() {
    let place = Place::new();
    let (one, two) = (directory(&place, "home/one"), directory(&place, "home/two"));
    for root in [&one, &two] {
        fs::create_dir(root.join(".git")).unwrap();
    }
    assert!(
        from(&place, &one, &["G1", "--title", "Of one", "--summary", "S.", "--body", "B"]).status.success()
    );
    for _ in 0..2 {
        assert!(
            from(&place, &two, &["G1", "--title", "Of two", "--summary", "S.", "--body", "B"])
                .status
                .success()
        );
    }
    let shown = |root: &Path| from(&place, root, &["G2", "--json"]).stdout;
    assert!(shown(&one).contains("\"count\":1") && shown(&one).contains("Of one"));
    assert!(shown(&two).contains("\"count\":2") && !shown(&two).contains("Of one"));
    assert_eq!(place.ok(&["daemon", "status"])["projects"].as_array().unwrap().len(), 2);
}

#[test]
fn the_database_may_lie_elsewhere() {
    let place = Place::new();
    let elsewhere = place.path("elsewhere/plane.db");
    fs::create_dir_all(elsewhere.parent().unwrap()).unwrap();
    fs::write(place.root.join("kaizen.toml"), format!("[db]\npath = {:?}\n", elsewhere.to_str().unwrap()))
        .unwrap();
    place.ok(&["G1", "--title", "T", "--summary", "S.", "--body", "B"]);
    assert!(elsewhere.exists() && !place.database().exists());
    assert_eq!(place.ok(&["G2"])["count"], 1);
    for wrong in ["[db]\npath = 1", "[db]\npfad = 'x'", "colour = 1", "[db", "\u{0}"] {
        fs::write(place.root.join("kaizen.toml"), wrong).unwrap();
        let denial = place.denied(&["G2"], "DENIED_CONFIG", 2);
        assert!(denial["path"].as_str().unwrap().ends_with("kaizen.toml"), "{denial}");
    }
}
