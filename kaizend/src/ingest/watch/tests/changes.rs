//! What happens to single files and directories.

use super::*;
use crate::ingest::watch::Depth;

#[tokio::test]
async fn a_file_is_taken_when_it_is_new_changed_renamed_and_deleted() {
    let lab = Lab::new(&[]);
    lab.write("AI/evidence/before.md", "was there");
    let watcher = lab.start();
    lab.until_known("AI/evidence/before.md", "was there").await;
    lab.write("AI/evidence/new.md", "one");
    lab.until_known("AI/evidence/new.md", "one").await;
    lab.write("AI/evidence/new.md", "two");
    lab.until_known("AI/evidence/new.md", "two").await;
    fs::rename(lab.path("AI/evidence/new.md"), lab.path("AI/evidence/moved.md")).unwrap();
    lab.until_known("AI/evidence/moved.md", "two").await;
    lab.until_gone("AI/evidence/new.md").await;
    fs::rename(lab.path("AI/evidence/moved.md"), lab.path("AI/evidence/MOVED.md")).unwrap();
    lab.until_known("AI/evidence/MOVED.md", "two").await;
    lab.until_gone("AI/evidence/moved.md").await;
    fs::remove_file(lab.path("AI/evidence/MOVED.md")).unwrap();
    lab.until_gone("AI/evidence/MOVED.md").await;
    lab.until_equal().await;
    let status = settled(&watcher).await;
    assert!(!status.polling && !status.paused && status.failed.is_empty() && status.refused.is_empty());
    // The root, AI and AI/evidence.
    assert_eq!(status.watches, 3);
    assert!(status.watch_limit.is_none_or(|limit| limit > 3));
    assert!(status.last_event.is_some());
    watcher.stop().await;
}

#[tokio::test]
async fn a_change_that_keeps_size_and_time_is_seen_by_its_event() {
    let lab = Lab::new(&[]);
    let path = lab.path("AI/evidence/a.md");
    lab.write("AI/evidence/a.md", "one");
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let watcher = lab.start();
    lab.until_known("AI/evidence/a.md", "one").await;
    settled(&watcher).await;
    fs::write(&path, "two").unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    lab.until_known("AI/evidence/a.md", "two").await;
    watcher.stop().await;
}

#[tokio::test]
async fn a_thorough_rescan_offers_every_file_and_an_ordinary_one_what_differs() {
    let lab = Lab::new(&[]);
    for number in 0..20 {
        lab.write(&format!("AI/evidence/{number}.md"), "text");
    }
    let watcher = lab.start();
    settled(&watcher).await;
    assert_eq!(lab.store().taken.len(), 20);
    let (sender, mut receiver) = tokio::sync::watch::channel(super::super::Progress::default());
    let nothing = watcher.rescan(Depth::Changed, Some(sender.clone())).await.unwrap();
    assert_eq!((nothing.total, nothing.done, nothing.is_walking), (0, 0, false));
    // The sink forgets one, and believes in one that is not there.
    let stamp = {
        let mut store = lab.store();
        let (_, known) = store.known.remove_entry("AI/evidence/7.md").unwrap();
        store.known.insert("AI/evidence/ghost.md".into(), known.clone());
        known.0
    };
    let two = watcher.rescan(Depth::Changed, Some(sender.clone())).await.unwrap();
    assert_eq!((two.total, two.done, two.failed), (2, 2, 0));
    assert_eq!(lab.store().known["AI/evidence/7.md"].0, stamp);
    assert!(!lab.store().known.contains_key("AI/evidence/ghost.md"));
    let all = watcher.rescan(Depth::Everything, Some(sender)).await.unwrap();
    assert_eq!((all.total, all.done, all.failed), (20, 20, 0));
    assert_eq!(*receiver.borrow_and_update(), all);
    assert_eq!(lab.store().taken.len(), 41);
    watcher.stop().await;
}

#[tokio::test]
async fn a_tree_that_is_moved_in_is_found_and_one_that_is_moved_out_is_gone() {
    let lab = Lab::new(&["docs/**/*.md", "AI/evidence/**"]);
    let outside = lab.directory.path().join("outside");
    let mut deep = outside.join("tree");
    for level in 0..30 {
        deep.push(format!("level{level}"));
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("a.md"), format!("{level}")).unwrap();
        fs::write(deep.join("a.txt"), "not covered").unwrap();
    }
    let watcher = lab.start();
    settled(&watcher).await;
    // The base of a rule appears with it.
    fs::rename(&outside, lab.path("docs")).unwrap();
    lab.until("all 30", |store| store.known.len() == 30).await;
    lab.until_equal().await;
    // A change at the bottom is heard of: the new directories are watched.
    let bottom = deep.strip_prefix(&outside).unwrap().to_str().unwrap();
    lab.write(&format!("docs/{bottom}/late.md"), "late");
    lab.until_known(&format!("docs/{bottom}/late.md"), "late").await;
    fs::rename(lab.path("docs/tree/level0"), lab.path("docs/other")).unwrap();
    lab.until("renamed", |store| store.known.keys().all(|path| path.starts_with("docs/other/"))).await;
    lab.until_equal().await;
    fs::rename(lab.path("docs/other"), lab.directory.path().join("away")).unwrap();
    lab.until("moved out", |store| store.known.is_empty()).await;
    let status = settled(&watcher).await;
    assert!(!status.polling && status.watches <= 6, "{status:?}");
    watcher.stop().await;
}

#[tokio::test]
async fn a_directory_that_comes_back_is_watched_again() {
    let lab = Lab::new(&[]);
    lab.write("AI/evidence/sub/a.md", "one");
    let watcher = lab.start();
    lab.until_known("AI/evidence/sub/a.md", "one").await;
    for (round, removed) in
        ["AI/evidence/sub", "AI/evidence", "AI", "AI/evidence/sub"].into_iter().enumerate()
    {
        fs::remove_dir_all(lab.path(removed)).unwrap();
        if round % 2 == 0 {
            lab.until_gone("AI/evidence/sub/a.md").await;
        }
        let text = format!("round {round}");
        lab.write("AI/evidence/sub/a.md", &text);
        lab.until_known("AI/evidence/sub/a.md", &text).await;
        let text = format!("again {round}");
        lab.write("AI/evidence/sub/a.md", &text);
        lab.until_known("AI/evidence/sub/a.md", &text).await;
    }
    // Another directory takes the place of one, with other contents.
    let spare = lab.directory.path().join("spare");
    fs::create_dir(&spare).unwrap();
    fs::write(spare.join("b.md"), "other").unwrap();
    fs::rename(lab.path("AI/evidence/sub"), lab.directory.path().join("old")).unwrap();
    fs::rename(&spare, lab.path("AI/evidence/sub")).unwrap();
    lab.until_known("AI/evidence/sub/b.md", "other").await;
    lab.until_gone("AI/evidence/sub/a.md").await;
    lab.until_equal().await;
    watcher.stop().await;
}

#[tokio::test]
async fn what_changed_while_nobody_watched_is_found_at_the_start_and_nothing_else() {
    let lab = Lab::new(&[]);
    for number in 0..50 {
        lab.write(&format!("AI/evidence/{}/{number}.md", number % 7), "text");
    }
    let watcher = lab.start();
    settled(&watcher).await;
    watcher.stop().await;
    lab.store().taken.clear();
    lab.write("AI/evidence/new/1.md", "new");
    lab.write("AI/evidence/0/7.md", "longer than before");
    fs::remove_file(lab.path("AI/evidence/1/1.md")).unwrap();
    fs::remove_dir_all(lab.path("AI/evidence/2")).unwrap();
    let watcher = lab.start();
    settled(&watcher).await;
    let mut taken: Vec<String> = lab.store().taken.iter().map(|(path, _)| path.clone()).collect();
    taken.sort_unstable();
    assert_eq!(taken, ["AI/evidence/0/7.md", "AI/evidence/new/1.md"]);
    lab.until_equal().await;
    watcher.stop().await;
}

#[tokio::test]
async fn git_decides_outside_of_ai_and_nothing_inside() {
    let lab = Lab::new(&["docs/**/*.md", "AI/evidence/**", "build/**"]);
    lab.write(".gitignore", "AI/\n*.draft.md\n/docs/private/\n/build\n");
    lab.write("docs/.gitignore", "!kept.draft.md\n");
    lab.write("AI/.gitignore", "*\n");
    for path in [
        "docs/a.md",
        "docs/b.draft.md",
        "docs/kept.draft.md",
        "docs/private/c.md",
        "AI/evidence/d.draft.md",
        "build/e",
    ] {
        lab.write(path, path);
    }
    let watcher = lab.start();
    let status = settled(&watcher).await;
    let known = |lab: &Lab| lab.store().known.keys().cloned().collect::<Vec<_>>();
    assert_eq!(known(&lab), ["AI/evidence/d.draft.md", "docs/a.md", "docs/kept.draft.md"]);
    assert!(status.warnings.iter().any(|warning| warning.contains("build")), "{status:?}");
    // What is ignored costs no watch: the root, AI, AI/evidence, docs.
    assert_eq!(status.watches, 4);
    // The files are judged anew when the rules change; what is ignored now has not gone.
    lab.write(".gitignore", "AI/\n/docs/a.md\n");
    lab.until_known("docs/private/c.md", "docs/private/c.md").await;
    lab.until_known("docs/b.draft.md", "docs/b.draft.md").await;
    lab.until_known("build/e", "build/e").await;
    assert!(lab.store().known.contains_key("docs/a.md") && lab.store().gone.is_empty());
    lab.write("docs/a.md", "changed, but ignored");
    lab.write("docs/z.md", "last");
    lab.until_known("docs/z.md", "last").await;
    settled(&watcher).await;
    assert_eq!(lab.store().known["docs/a.md"].1, sha256_hex(b"docs/a.md"));
    watcher.stop().await;
}

#[tokio::test]
async fn what_the_daemon_writes_and_what_anybody_reads_is_not_reported() {
    let lab = Lab::new(&["**"]);
    for path in ["AI/db/kaizen.db", "AI/work/kaizen-runtime/x", "AI/generation", ".git/HEAD", "src/a.md"] {
        lab.write(path, "before");
    }
    let watcher = lab.start();
    let before = settled(&watcher).await;
    // The root, AI, AI/evidence, AI/work, src.
    assert_eq!(before.watches, 5);
    for _ in 0..50 {
        lab.write("AI/db/kaizen.db", "after");
        lab.write("AI/work/kaizen-runtime/x", "after");
        lab.write(".git/HEAD", "after");
        assert_eq!(fs::read(lab.path("src/a.md")).unwrap(), b"before");
        assert_eq!(fs::read_dir(lab.path("src")).unwrap().count(), 1);
    }
    assert_eq!(watcher.status().await.unwrap().last_event, before.last_event);
    lab.write("src/z.md", "last");
    lab.until_known("src/z.md", "last").await;
    let known: Vec<String> = lab.store().known.keys().cloned().collect();
    assert_eq!(known, ["src/a.md", "src/z.md"]);
    assert_eq!(lab.store().taken.len(), 2);
    watcher.stop().await;
}
