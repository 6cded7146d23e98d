//! The installer that needs no checkout: it makes one, and further projects.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{Machine, code};
use crate::context::{feed, programs};

#[test]
fn the_bootstrap_installs_from_a_checkout_and_makes_further_projects() {
    let machine = Machine::new();
    let source = machine.path("source");
    fs::rename(machine.checkout(), &source).unwrap();
    let git = |arguments: &[&str]| {
        let mut command = machine.command("git");
        command
            .arg("-C")
            .arg(&source)
            .args(["-c", "user.name=T", "-c", "user.email=t@example.com"])
            .args(arguments);
        assert!(feed(command, b"").status.success(), "{arguments:?}");
    };
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "A checkout"]);
    // As with curl: the script comes on standard input, and nothing lies beside it.
    let script = fs::read(source.join("setup/install-kaizen.sh")).unwrap();
    let dev = machine.path("fresh dev");
    let run = |arguments: &[&str]| {
        let mut command = machine.command("bash");
        command.args(["-s", "--", "--devroot"]).arg(&dev).args(arguments);
        feed(command, &script)
    };
    let programs = programs().to_str().unwrap();
    assert_eq!(code(&run(&["--duplicate", "shop"])), Some(69), "nothing is installed yet");
    let install =
        ["--repo-source", source.to_str().unwrap(), "--programs", programs, "--no-dev-tools", "--no-network"];
    for _ in 0..2 {
        let outcome = run(&install);
        assert_eq!(code(&outcome), Some(0), "{outcome:?}");
        assert!(outcome.stderr.contains("[1/7]") && outcome.stderr.contains("[11/11]"), "{outcome:?}");
    }
    assert!(
        dev.join("kaizen/AI/db/kaizen.db").exists() && machine.home().join(".local/bin/kaizend").exists()
    );
    // Half a download does nothing.
    let mut command = machine.command("bash");
    command.args(["-s", "--", "--devroot"]).arg(machine.path("half"));
    let _ = feed(command, &script[..script.len() - 10]);
    assert!(!machine.path("half").exists());

    let store = dev.join("SKILLS/skills/review");
    fs::create_dir_all(&store).unwrap();
    fs::write(store.join("SKILL.md"), "---\nname: review\ndescription: Reviews things\n---\n").unwrap();
    let outcome = run(&["--duplicate", "shop"]);
    assert_eq!(code(&outcome), Some(0), "{outcome:?}");
    let shop = dev.join("shop");
    for name in [
        "AGENTS.md",
        "kaizen.toml",
        "AI/db/kaizen.db",
        ".agents/skills/INDEX.md",
        "_workspace/shop-tools.code-workspace",
    ] {
        assert!(shop.join(name).exists(), "{name}");
    }
    assert!(
        fs::read_to_string(shop.join(".claude/skills/LINKED.md"))
            .unwrap()
            .contains("review/SKILL.md): Reviews things")
    );
    let workspace: Value =
        serde_json::from_slice(&fs::read(shop.join("_workspace/shop-tools.code-workspace")).unwrap())
            .unwrap();
    assert_eq!(workspace["settings"]["terminal.integrated.env.linux"]["KAIZEN_REPO_ROOT"], json!(shop));
    // The wrapper is for this project from anywhere, unless the variable says otherwise.
    let db_path = |root: Option<&Path>| {
        let mut command = machine.command(shop.join("kaizen.sh"));
        command.args(["K2", "--json"]);
        root.map(|root| command.env("KAIZEN_REPO_ROOT", root));
        let outcome = feed(command, b"");
        serde_json::from_str::<Value>(&outcome.stdout).unwrap()["schema"]["db_path"].clone()
    };
    assert_eq!(db_path(None), json!(shop.join("AI/db/kaizen.db")));
    assert_eq!(db_path(Some(&dev.join("kaizen"))), json!(dev.join("kaizen/AI/db/kaizen.db")));
    assert_eq!(
        fs::read_dir(machine.path(""))
            .unwrap()
            .filter(|entry| { entry.as_ref().unwrap().file_name().to_string_lossy().starts_with('\'') })
            .count(),
        0
    );
    // A directory that is in use is not a place for a new project.
    assert_eq!(code(&run(&["--duplicate", "shop"])), Some(64));
}
