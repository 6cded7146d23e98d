//! What is covered but is no plain file: nothing hangs, and nothing is skipped in silence.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

fn make_odd(lab: &Lab) {
    let at = |path: &str| lab.path(&format!("AI/evidence/{path}"));
    lab.write("AI/evidence/plain.md", "plain");
    lab.write("elsewhere/target.md", "behind a link");
    lab.write("AI/db/kaizen.db", "a database");
    fs::write(lab.directory.path().join("secret"), "not ours").unwrap();
    mkfifo(&at("pipe.md"));
    drop(std::os::unix::net::UnixListener::bind(at("socket.md")).unwrap());
    symlink("../../../secret", at("out.md")).unwrap();
    symlink("../..", at("up")).unwrap();
    symlink(lab.directory.path(), at("out")).unwrap();
    symlink("nowhere", at("dangling.md")).unwrap();
    symlink("loop.md", at("loop.md")).unwrap();
    symlink("../db/kaizen.db", at("database.md")).unwrap();
    symlink("pipe.md", at("to-pipe.md")).unwrap();
    symlink("../../elsewhere/target.md", at("inside.md")).unwrap();
    symlink("/dev/zero", at("zero.md")).unwrap();
    fs::write(at("").join(OsStr::from_bytes(b"latin-\xe9.md")), "name").unwrap();
    fs::create_dir(at("").join(OsStr::from_bytes(b"dir-\xe9"))).unwrap();
    fs::write(at("large.md"), vec![b'x'; usize::try_from(MAX_BYTES).unwrap() + 1]).unwrap();
    fs::write(at("just.md"), vec![b'x'; usize::try_from(MAX_BYTES).unwrap()]).unwrap();
}

const REFUSED: [(&str, Code); 13] = [
    ("dangling.md", Code::FileNotFound),
    ("database.md", Code::PathOutsideRepo),
    ("dir-\u{fffd}", Code::TextInvalid),
    ("large.md", Code::FileTooLarge),
    ("latin-\u{fffd}.md", Code::TextInvalid),
    ("loop.md", Code::FileUnreadable),
    ("out", Code::PathOutsideRepo),
    ("out.md", Code::PathOutsideRepo),
    ("pipe.md", Code::FileNotFound),
    ("socket.md", Code::FileNotFound),
    ("to-pipe.md", Code::FileNotFound),
    ("up", Code::PathOutsideRepo),
    ("zero.md", Code::PathOutsideRepo),
];

fn refused(status: &WatchStatus) -> Vec<(String, Code)> {
    status.refused.iter().map(|refused| (refused.path.clone(), refused.code)).collect()
}

fn expected() -> Vec<(String, Code)> {
    REFUSED.iter().map(|(path, code)| (format!("AI/evidence/{path}"), *code)).collect()
}

#[tokio::test]
async fn odd_things_that_are_there_at_the_start_are_listed() {
    let lab = Lab::new(&[]);
    make_odd(&lab);
    let watcher = lab.start();
    let status = settled(&watcher).await;
    assert_eq!(refused(&status), expected());
    assert_eq!(status.refused_total, REFUSED.len());
    let known: Vec<String> = lab.store().known.keys().cloned().collect();
    assert_eq!(known, ["AI/evidence/inside.md", "AI/evidence/just.md", "AI/evidence/plain.md"]);
    assert_eq!(lab.store().known["AI/evidence/inside.md"].1, sha256_hex(b"behind a link"));
    watcher.stop().await;
}

#[tokio::test]
async fn odd_things_that_come_later_are_listed_until_they_go() {
    let lab = Lab::new(&[]);
    let watcher = lab.start();
    settled(&watcher).await;
    make_odd(&lab);
    until_status(&watcher, "all refused", |status| refused(status) == expected()).await;
    lab.until("three files", |store| store.known.len() == 3).await;
    // One by one they become something else, or go.
    fs::remove_file(lab.path("AI/evidence/pipe.md")).unwrap();
    lab.write("AI/evidence/pipe.md", "no pipe any more");
    lab.until_known("AI/evidence/pipe.md", "no pipe any more").await;
    lab.write("AI/evidence/large.md", "small now");
    lab.until_known("AI/evidence/large.md", "small now").await;
    for path in ["out.md", "dangling.md", "loop.md", "up", "out", "socket.md", "zero.md", "database.md"] {
        fs::remove_file(lab.path(&format!("AI/evidence/{path}"))).unwrap();
    }
    let left = |status: &WatchStatus| {
        let names: Vec<String> = status.refused.iter().map(|refused| refused.path.clone()).collect();
        names == ["AI/evidence/dir-\u{fffd}", "AI/evidence/latin-\u{fffd}.md", "AI/evidence/to-pipe.md"]
    };
    until_status(&watcher, "only some left", left).await;
    // A known file that becomes too large is not gone.
    lab.write("AI/evidence/plain.md", &"x".repeat(usize::try_from(MAX_BYTES).unwrap() + 1));
    until_status(&watcher, "refused", |status| {
        status.refused.iter().any(|one| one.path.ends_with("plain.md"))
    })
    .await;
    watcher.rescan(super::super::Depth::Changed, None).await.unwrap();
    assert!(lab.store().known.contains_key("AI/evidence/plain.md"));
    watcher.stop().await;
}

#[tokio::test]
async fn a_directory_that_becomes_a_link_is_not_followed() {
    let lab = Lab::new(&["docs/**"]);
    lab.write("docs/sub/a.md", "one");
    let outside = lab.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("a.md"), "not ours").unwrap();
    let watcher = lab.start();
    lab.until_known("docs/sub/a.md", "one").await;
    fs::remove_dir_all(lab.path("docs/sub")).unwrap();
    symlink(&outside, lab.path("docs/sub")).unwrap();
    until_status(&watcher, "refused", |status| status.refused.iter().any(|one| one.path == "docs/sub")).await;
    fs::write(outside.join("a.md"), "not ours either").unwrap();
    watcher.rescan(super::super::Depth::Everything, None).await.unwrap();
    let foreign = [sha256_hex(b"not ours"), sha256_hex(b"not ours either")];
    assert!(lab.store().known.values().all(|(_, hash)| !foreign.contains(hash)));
    watcher.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_listed_and_taken_once_it_can() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root may read everything");
        return;
    }
    let lab = Lab::new(&[]);
    lab.write("AI/evidence/closed.md", "closed");
    lab.write("AI/evidence/closed/a.md", "in a closed directory");
    let mode = |path: &str, mode: u32| {
        fs::set_permissions(lab.path(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("AI/evidence/closed.md", 0);
    mode("AI/evidence/closed", 0);
    let watcher = lab.start();
    let status = settled(&watcher).await;
    assert_eq!(refused(&status), [("AI/evidence/closed".to_owned(), Code::FileUnreadable)]);
    assert_eq!(status.failed.len(), 1);
    assert_eq!(status.failed[0].code, "DENIED_FILE_UNREADABLE");
    mode("AI/evidence/closed.md", 0o600);
    mode("AI/evidence/closed", 0o700);
    lab.until_known("AI/evidence/closed.md", "closed").await;
    lab.until_known("AI/evidence/closed/a.md", "in a closed directory").await;
    let status = settled(&watcher).await;
    assert!(status.refused.is_empty() && status.failed.is_empty(), "{status:?}");
    watcher.stop().await;
}
