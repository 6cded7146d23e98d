//! `kaizen.toml` and the settings that take effect.

use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::context::{Place, wait_for};
use crate::rows::keys;

fn setting(place: &Place, words: &[&str], name: &str) -> (String, String) {
    let shown = place.ok(words);
    assert_eq!(keys(&shown), ["status", "path", "exists", "count", "records"]);
    let found = shown["records"].as_array().unwrap().iter().find(|setting| setting["name"] == name);
    let text = |field: &str| {
        found.unwrap_or_else(|| panic!("no {name}: {shown}"))[field].as_str().unwrap().to_owned()
    };
    (text("value"), text("source"))
}

fn both(value: &str, source: &str) -> (String, String) {
    (value.to_owned(), source.to_owned())
}

#[test]
fn each_setting_is_shown_with_where_it_comes_from() {
    let place = Place::new();
    let show = &["config", "show"][..];
    let root = place.root.canonicalize().unwrap().display().to_string();
    assert_eq!(setting(&place, show, "project.root"), both(&root, "KAIZEN_REPO_ROOT"));
    let by_flag = &["config", "show", "--project", &root][..];
    assert_eq!(setting(&place, by_flag, "project.root"), both(&root, "--project"));
    assert_eq!(setting(&place, show, "db.path"), both(&format!("{root}/AI/db/kaizen.db"), "default"));
    assert_eq!(setting(&place, show, "backup.every"), both("off", "default"));
    assert_eq!(setting(&place, show, "daemon.idle_exit"), both("30m", "default"));
    assert_eq!(setting(&place, show, "daemon.runtime_dir").1, "default");
    let as_ada = &["config", "show", "--actor", "ada"][..];
    assert_eq!(setting(&place, as_ada, "caller.actor"), both("ada", "--actor"));
    // Nothing is created by looking.
    assert!(!place.database().exists());

    // The next connection sees the change.
    let text = "[backup]\nevery = \"7d\"\n[daemon]\nidle_exit = \"45m\"\n[db]\npath = \"data/plane.db\"\n";
    fs::write(place.root.join("kaizen.toml"), text).unwrap();
    assert_eq!(setting(&place, &["K16"], "backup.every"), both("168h", "kaizen.toml"));
    assert_eq!(setting(&place, show, "backup.keep"), both("7", "default"));
    assert_eq!(setting(&place, show, "daemon.idle_exit"), both("45m", "kaizen.toml"));
    assert_eq!(setting(&place, show, "db.path"), both(&format!("{root}/data/plane.db"), "kaizen.toml"));
    let human = place.run(["config", "show"]);
    assert!(human.stdout.contains("backup.every") && human.stdout.contains("168h"), "{human:?}");
    place.denied(&["config"], "DENIED_USAGE", 2);
    place.denied(&["config", "hide"], "DENIED_USAGE", 2);
}

#[test]
fn a_wrong_setting_is_named_with_its_line_and_the_nearest_right_one() {
    let place = Place::new();
    fs::write(place.root.join("kaizen.toml"), "# settings\n[backup]\nkep = 3\n").unwrap();
    let denial = place.denied(&["K1"], "DENIED_CONFIG", 2);
    assert_eq!(
        [&denial["line"], &denial["key"], &denial["nearest"]],
        [&json!(3), &json!("kep"), &json!("keep")]
    );
    assert!(denial["message"].as_str().unwrap().contains("did you mean keep?"), "{denial}");
    fs::write(place.root.join("kaizen.toml"), "[backup]\nevery = 24\n").unwrap();
    let denial = place.denied(&["K1"], "DENIED_CONFIG", 2);
    assert_eq!([&denial["line"], &denial["key"]], [&json!(2), &json!("every")]);
}

#[test]
fn a_pipe_in_its_place_keeps_nobody_waiting() {
    let place = Place::new();
    let path = place.root.join("kaizen.toml");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    place.denied(&["K2"], "DENIED_CONFIG", 2);
}

#[test]
fn a_project_says_how_long_the_daemon_waits_for_the_next_call() {
    let place = Place::new();
    fs::write(place.root.join("kaizen.toml"), "[daemon]\nidle_exit = \"1s\"\n").unwrap();
    place.ok(&["K1"]);
    let status = || -> Value {
        let output = place
            .command("kaizenctl")
            .args(["daemon", "status", "--json"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    };
    wait_for("the daemon to end by itself", || status()["running"] == false);
}
