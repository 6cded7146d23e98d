//! Failures, pauses, missing watches, and the end at any moment.

use super::*;
use crate::ingest::watch::Depth;

#[tokio::test]
async fn a_failure_is_listed_and_tried_again_when_the_file_changes() {
    let lab = Lab::new(&[]);
    lab.write("AI/evidence/bad.md", "bad");
    lab.store().refuses.insert("AI/evidence/bad.md".into(), Code::FileNotUtf8);
    let watcher = lab.start();
    let status = settled(&watcher).await;
    assert_eq!(status.failed.len(), 1);
    let failed = &status.failed[0];
    assert_eq!(
        (&*failed.path, failed.code, failed.attempts),
        ("AI/evidence/bad.md", "DENIED_FILE_NOT_UTF8", 1)
    );
    lab.write("AI/evidence/bad.md", "still bad");
    until_status(&watcher, "tried again", |status| status.failed[0].attempts == 2).await;
    // Walks leave it alone, unless somebody asks.
    let rescan = watcher.rescan(Depth::Changed, None).await.unwrap();
    assert_eq!((rescan.total, rescan.done, rescan.failed), (1, 1, 1));
    assert_eq!(watcher.status().await.unwrap().failed[0].attempts, 3);
    lab.store().refuses.clear();
    lab.write("AI/evidence/bad.md", "good");
    lab.until_known("AI/evidence/bad.md", "good").await;
    assert!(settled(&watcher).await.failed.is_empty());
    watcher.stop().await;
}

#[tokio::test]
async fn a_failure_that_may_pass_is_tried_again_by_itself() {
    let lab = Lab::new(&[]);
    lab.write("AI/evidence/a.md", "text");
    lab.store().refuses.insert("AI/evidence/a.md".into(), Code::Busy);
    let watcher = lab.start();
    until_status(&watcher, "failed", |status| status.failed.first().is_some_and(|one| one.attempts >= 2))
        .await;
    lab.store().refuses.clear();
    lab.until_known("AI/evidence/a.md", "text").await;
    assert!(settled(&watcher).await.failed.is_empty());
    watcher.stop().await;
}

#[tokio::test]
async fn a_pause_holds_back_and_forgets_nothing() {
    let lab = Lab::new(&[]);
    let watcher = lab.start();
    settled(&watcher).await;
    watcher.pause().await;
    lab.write("AI/evidence/a.md", "one");
    lab.write("AI/evidence/sub/b.md", "two");
    let status = until_status(&watcher, "noted", |status| status.pending >= 2).await;
    assert!(status.paused);
    let denial = watcher.rescan(Depth::Changed, None).await.unwrap_err();
    assert_eq!(denial.code, Code::Busy);
    assert!(lab.store().taken.is_empty());
    watcher.resume().await;
    lab.until_equal().await;
    assert_eq!(lab.store().known.len(), 2);
    watcher.stop().await;
}

#[tokio::test]
async fn without_watches_it_looks_again_and_again_and_says_why() {
    for most in [0, 2] {
        let mut lab = Lab::new(&[]);
        lab.settings.max_watches = Some(most);
        lab.settings.poll_every = Duration::from_millis(20);
        lab.write("AI/evidence/sub/a.md", "one");
        let watcher = lab.start();
        let status = settled(&watcher).await;
        assert!(status.polling && status.watches == most);
        assert!(status.warnings[0].contains("fs.inotify.max_user_watches"), "{status:?}");
        lab.write("AI/evidence/sub/a.md", "two, longer");
        lab.until_known("AI/evidence/sub/a.md", "two, longer").await;
        lab.write("AI/evidence/other/b.md", "new");
        lab.until_known("AI/evidence/other/b.md", "new").await;
        fs::remove_dir_all(lab.path("AI/evidence/sub")).unwrap();
        lab.until_gone("AI/evidence/sub/a.md").await;
        lab.until_equal().await;
        // A known file is not taken at each look.
        let taken = lab.store().taken.len();
        let looked = watcher.status().await.unwrap().last_reconcile;
        until_status(&watcher, "another look", |status| status.last_reconcile > looked).await;
        assert_eq!(lab.store().taken.len(), taken);
        watcher.stop().await;
    }
}

#[tokio::test]
async fn a_root_that_is_away_has_lost_no_files() {
    let lab = Lab::new(&[]);
    lab.write("AI/evidence/a.md", "one");
    let watcher = lab.start();
    lab.until_known("AI/evidence/a.md", "one").await;
    settled(&watcher).await;
    let away = lab.directory.path().join("away");
    fs::rename(lab.root(), &away).unwrap();
    until_status(&watcher, "a warning", |status| status.warnings.iter().any(|one| one.contains("failed")))
        .await;
    assert!(lab.store().gone.is_empty());
    fs::rename(&away, lab.root()).unwrap();
    lab.write("AI/evidence/b.md", "two");
    lab.until_known("AI/evidence/b.md", "two").await;
    lab.write("AI/evidence/b.md", "three");
    lab.until_known("AI/evidence/b.md", "three").await;
    assert!(lab.store().gone.is_empty() && lab.store().known.len() == 2);
    watcher.stop().await;
}

#[tokio::test]
async fn a_sink_that_panics_is_one_more_failure() {
    let lab = Lab::new(&[]);
    lab.write("AI/evidence/a.md", "one");
    let known = || async { Ok(HashMap::new()) };
    let sink = |change: Change| async move {
        match change {
            Change::Written { path, .. } if path.ends_with("a.md") => panic!("on purpose"),
            _ => Outcome::Done,
        }
    };
    let watcher = Watcher::start(lab.rules(), lab.settings, &lab.tasks, sink, known).unwrap();
    let status = settled(&watcher).await;
    assert_eq!((status.failed.len(), status.failed[0].code), (1, "ERROR_UNEXPECTED"));
    lab.write("AI/evidence/b.md", "two");
    settled(&watcher).await;
    watcher.stop().await;
}

#[tokio::test]
async fn a_walk_that_cannot_ask_what_is_known_is_repeated() {
    let lab = Lab::new(&[]);
    lab.write("AI/evidence/a.md", "one");
    let times = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let asked = times.clone();
    let known = move || {
        let time = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async move { if time == 0 { Err(Denial::new(Code::Busy)) } else { Ok(HashMap::new()) } }
    };
    let store = lab.store.clone();
    let rules = Arc::new(lab.rules());
    let sink = move |change| take(rules.clone(), store.clone(), change);
    let watcher = Watcher::start(lab.rules(), lab.settings, &lab.tasks, sink, known).unwrap();
    until_status(&watcher, "a warning", |status| !status.warnings.is_empty()).await;
    lab.until_known("AI/evidence/a.md", "one").await;
    assert!(settled(&watcher).await.warnings.is_empty());
    watcher.stop().await;
}

#[tokio::test]
async fn it_ends_at_any_moment() {
    let lab = Lab::new(&[]);
    for number in 0..300 {
        lab.write(&format!("AI/evidence/{}/{number}.md", number % 20), "text");
    }
    lab.store().pause = Duration::from_millis(1);
    let mut wanted = 0;
    for round in 0..10 {
        let watcher = lab.start();
        wanted += 20;
        lab.until("some of it", |store| store.taken.len() >= wanted.min(300)).await;
        let rescan = watcher.rescan(Depth::Everything, None);
        let stop = async {
            if round % 2 == 0 {
                watcher.stop().await;
            }
        };
        if round % 2 == 0 {
            let (rescan, ()) = tokio::join!(rescan, stop);
            assert_eq!(rescan.unwrap_err().code, Code::Draining);
            assert_eq!(watcher.status().await.unwrap_err().code, Code::Draining);
        } else {
            drop((rescan, stop));
            drop(watcher);
            // Whoever only lets go of it is waited for by the tracker.
            lab.until("at rest", |store| store.works.0 == 0).await;
        }
        assert_eq!(lab.store().works.0, 0, "nothing is left half done");
    }
    let watcher = lab.start();
    lab.until_equal().await;
    assert_eq!(settled(&watcher).await.failed.len(), 0);
    watcher.stop().await;
    lab.tasks.close();
    tokio::time::timeout(DEADLINE, lab.tasks.wait()).await.unwrap();
}

#[tokio::test]
async fn a_sink_that_hangs_does_not_hold_up_the_end_for_ever() {
    let mut lab = Lab::new(&[]);
    lab.settings.grace = Duration::from_millis(50);
    lab.write("AI/evidence/a.md", "one");
    let (begun, mut has_begun) = tokio::sync::mpsc::channel(1);
    let sink = move |_| {
        let begun = begun.clone();
        async move {
            begun.send(()).await.unwrap();
            std::future::pending().await
        }
    };
    let known = || async { Ok(HashMap::new()) };
    let watcher = Watcher::start(lab.rules(), lab.settings, &lab.tasks, sink, known).unwrap();
    has_begun.recv().await.unwrap();
    tokio::time::timeout(DEADLINE, watcher.stop()).await.unwrap();
}
