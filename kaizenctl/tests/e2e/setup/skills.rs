//! Skills, linked from their store into both mirrors.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{Machine, REPOSITORY, code};
use crate::context::feed;

#[test]
fn skills_are_linked_into_both_mirrors() {
    let machine = Machine::new();
    let checkout = machine.checkout();
    assert_eq!(code(&machine.run("link-skills.sh", &[])), Some(1), "there is no store");
    let store = machine.dev().join("SKILLS/skills");
    for name in ["one", "two", "no skill", "kept"] {
        fs::create_dir_all(store.join(name)).unwrap();
        if name != "no skill" {
            fs::write(store.join(name).join("SKILL.md"), format!("---\ndescription: The {name}\n---\n"))
                .unwrap();
        }
    }
    fs::create_dir(checkout.join(".agents/skills/kept")).unwrap();
    let run = |arguments: &[&str]| {
        let outcome = machine.run("link-skills.sh", arguments);
        assert_eq!(code(&outcome), Some(0), "{outcome:?}");
        outcome.stdout
    };
    assert!(run(&[]).contains("links made: 5, kept: 1"));
    assert!(run(&[]).contains("links made: 0, kept: 6"));
    for mirror in [".agents/skills", ".claude/skills"] {
        let mirror = checkout.join(mirror);
        assert_eq!(fs::read_link(mirror.join("one")).unwrap(), store.join("one"));
        assert!(!mirror.join("no skill").exists());
        let listed = fs::read_to_string(mirror.join("LINKED.md")).unwrap();
        assert!(listed.contains("- [two](two/SKILL.md): The two\n"), "{listed}");
        assert_eq!(
            fs::read(mirror.join("INDEX.md")).unwrap(),
            fs::read(Path::new(REPOSITORY).join(".agents/skills/INDEX.md")).unwrap()
        );
    }
    assert!(!fs::symlink_metadata(checkout.join(".agents/skills/kept")).unwrap().is_symlink());
    // A link whose skill has gone goes too.
    fs::remove_dir_all(store.join("two")).unwrap();
    symlink("/nowhere", checkout.join(".agents/skills/foreign")).unwrap();
    assert!(run(&[]).contains("removed because the skill is gone: 2"));
    assert!(fs::symlink_metadata(checkout.join(".agents/skills/foreign")).is_ok());
    // A store that is no clone is not replaced by one; an empty one is, and is updated later.
    assert_eq!(code(&machine.run("link-skills.sh", &["file:///nowhere"])), Some(1));
    assert_eq!(code(&machine.run("link-skills.sh", &["x", "--no-network"])), Some(1));
    let origin = machine.path("origin");
    fs::create_dir_all(origin.join("three")).unwrap();
    fs::write(origin.join("three/SKILL.md"), "# Three\n").unwrap();
    let git = |arguments: &[&str]| {
        let mut command = machine.command("git");
        command
            .arg("-C")
            .arg(&origin)
            .args(["-c", "user.name=T", "-c", "user.email=t@example.com"])
            .args(arguments);
        assert!(feed(command, b"").status.success(), "{arguments:?}");
    };
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "Skills"]);
    fs::remove_dir_all(&store).unwrap();
    run(&["--store-url", origin.to_str().unwrap()]);
    assert!(checkout.join(".claude/skills/three/SKILL.md").exists());
    fs::create_dir(origin.join("four")).unwrap();
    fs::write(origin.join("four/SKILL.md"), "# Four\n").unwrap();
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "More"]);
    run(&[origin.to_str().unwrap()]);
    assert!(checkout.join(".claude/skills/four/SKILL.md").exists());
}

#[test]
fn both_indexes_are_the_same() {
    let read = |mirror: &str| fs::read(Path::new(REPOSITORY).join(mirror).join("skills/INDEX.md")).unwrap();
    assert_eq!(read(".agents"), read(".claude"));
}
