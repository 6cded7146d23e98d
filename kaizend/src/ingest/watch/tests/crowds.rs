//! Many files at once, and everything that may happen to them in any order.

use std::collections::HashSet;

use super::*;

/// Runs work beside the watcher, which lives on this thread.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    crate::care::blocking(move || Ok(work())).await.unwrap()
}

fn assert_each_once(lab: &Lab) {
    let store = lab.store();
    let distinct: HashSet<_> =
        store.taken.iter().map(|(path, stamp)| (path, stamp.size, stamp.mtime_ns)).collect();
    println!(
        "{} files, {} deliveries, {} of them distinct",
        store.known.len(),
        store.taken.len(),
        distinct.len()
    );
    for (path, (stamp, _)) in &store.known {
        assert!(distinct.contains(&(path, stamp.size, stamp.mtime_ns)), "{path}");
    }
    // The sink tells states apart by hash; the watcher must not make it do so often.
    let repeated = store.taken.len() - distinct.len();
    assert!(repeated * 20 <= store.known.len(), "{repeated} deliveries of a state that was delivered before");
    assert_eq!(store.works.0, 0);
}

/// 2,000 files in 100 directories, written in pieces, every tenth renamed, every seventeenth deleted again.
fn burst(root: &Path) {
    for directory in 0..100 {
        let path = root.join(format!("AI/evidence/burst/{}/{directory}", directory % 10));
        fs::create_dir_all(&path).unwrap();
        for file in 0..20 {
            let number = directory * 20 + file;
            let path = path.join(format!("{file}.md"));
            fs::write(&path, format!("draft {number}")).unwrap();
            fs::write(&path, format!("the final text of {number}")).unwrap();
            if number % 10 == 0 {
                fs::rename(&path, path.with_extension("txt")).unwrap();
            }
            if number % 17 == 0 && number % 10 != 0 {
                fs::remove_file(&path).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_burst_into_fresh_directories_is_taken_whole() {
    let lab = Lab::new(&[]);
    let watcher = lab.start();
    settled(&watcher).await;
    let root = lab.root();
    beside(move || burst(&root)).await;
    lab.until_equal().await;
    let status = settled(&watcher).await;
    assert!(lab.store().known.len() > 1800 && !status.polling && status.failed.is_empty());
    assert_each_once(&lab);
    watcher.stop().await;
}

#[tokio::test]
async fn queues_that_overflow_lose_nothing() {
    let mut lab = Lab::new(&[]);
    lab.settings.events = 8;
    lab.settings.patience.most = 100;
    let watcher = lab.start();
    settled(&watcher).await;
    let root = lab.root();
    beside(move || burst(&root)).await;
    lab.until_equal().await;
    settled(&watcher).await;
    println!("{} files were taken", lab.store().taken.len());
    watcher.stop().await;
}

#[tokio::test]
async fn a_slow_sink_gets_everything_and_never_more_than_it_can_take() {
    let mut lab = Lab::new(&[]);
    lab.settings.in_flight = 3;
    lab.store().pause = Duration::from_millis(5);
    let watcher = lab.start();
    let root = lab.root();
    let writing = beside(move || {
        for round in 0..10 {
            for file in 0..40 {
                let directory = root.join(format!("AI/evidence/{}", file % 4));
                fs::create_dir_all(&directory).unwrap();
                fs::write(directory.join(format!("{file}.md")), format!("round {round} of {file}")).unwrap();
            }
        }
    });
    writing.await;
    lab.until_equal().await;
    assert_eq!(lab.store().works.1, 3);
    watcher.stop().await;
}

/// A plain generator: the same seed, the same story.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    /// One of few paths, so that things meet.
    fn path(&mut self, root: &Path) -> PathBuf {
        let mut path = root.join("AI/evidence");
        for _ in 0..=self.below(3) {
            path.push(["a", "a-b", "b", "c"][usize::try_from(self.below(4)).unwrap()]);
        }
        path
    }
}

/// Things that happen to files and directories. Many of them fail, as they do in life.
fn story(root: &Path, seed: u64, steps: u64) {
    let mut dice = Dice(seed);
    for step in 0..steps {
        let path = dice.path(root);
        match dice.below(12) {
            0..4 => {
                let _ = fs::create_dir_all(path.parent().unwrap())
                    .and_then(|()| fs::write(&path, format!("{step}")));
            }
            4 | 5 => drop(fs::create_dir_all(&path)),
            6 => drop(fs::remove_file(&path)),
            7 => drop(fs::remove_dir_all(&path)),
            8 | 9 => drop(fs::rename(&path, dice.path(root))),
            10 => {
                // Out of the project and back to another place.
                let away = root.parent().unwrap().join(format!("away-{}", dice.below(3)));
                let _ = fs::rename(&path, &away);
                let _ = fs::rename(&away, dice.path(root));
            }
            _ => {
                let text = format!("{step}, in place");
                let _ = fs::File::options().append(true).open(&path).and_then(|mut file| {
                    use std::io::Write as _;
                    file.write_all(text.as_bytes())
                });
            }
        }
        if dice.below(40) == 0 {
            // A breath, so that some of it is seen in between.
            std::thread::park_timeout(Duration::from_millis(dice.below(40)));
        }
    }
    fs::create_dir_all(root.join("AI/evidence")).unwrap();
}

#[tokio::test]
async fn whatever_happens_in_the_end_the_sink_knows_what_is_there() {
    for seed in 0..8 {
        let mut lab = Lab::new(&[]);
        if seed % 3 == 2 {
            lab.settings.events = 8;
            lab.settings.patience.most = 12;
        }
        if seed % 4 == 3 {
            lab.store().pause = Duration::from_millis(2);
        }
        let watcher = lab.start();
        let root = lab.root();
        beside(move || story(&root, seed, 800)).await;
        let start = Instant::now();
        lab.until_equal_after(&format!("seed {seed}")).await;
        let status = settled(&watcher).await;
        {
            let store = lab.store();
            println!(
                "seed {seed}: {} files, {} taken, {} gone, settled after {:?}, {} watches",
                store.known.len(),
                store.taken.len(),
                store.gone.len(),
                start.elapsed(),
                status.watches,
            );
        }
        assert!(!status.polling && status.failed.is_empty() && status.refused.is_empty(), "{status:?}");
        // It is still awake.
        lab.write("AI/evidence/last/one.md", "last");
        lab.until_known("AI/evidence/last/one.md", "last").await;
        watcher.stop().await;
    }
}
