//! The watcher on real directories: a sink that keeps what it is told, and conditions with deadlines.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use kaizen_proto::canonical_json::sha256_hex;
use kaizen_proto::denial::{Code, Denial};
use tokio_util::task::TaskTracker;

use super::{Change, Known, Outcome, Patience, Rule, Rules, Settings, Stamp, WatchStatus, Watcher, open};

mod changes;
mod crowds;
mod odd;
mod trouble;

/// Long enough for a busy machine.
const DEADLINE: Duration = Duration::from_mins(1);
const MAX_BYTES: u64 = 100_000;

/// What the sink has been told.
#[derive(Debug, Default)]
struct Store {
    /// What it knows, with the hash of what it read.
    known: BTreeMap<String, (Stamp, String)>,
    /// Each file that it took, in order.
    taken: Vec<(String, Stamp)>,
    /// Each path that it was told to be gone, in order.
    gone: Vec<String>,
    /// What it refuses.
    refuses: HashMap<String, Code>,
    /// How long it takes for each file.
    pause: Duration,
    /// How many changes it works on, and worked on at most.
    works: (usize, usize),
}

/// A project in a temporary directory.
struct Lab {
    directory: tempfile::TempDir,
    patterns: Vec<String>,
    settings: Settings,
    store: Arc<Mutex<Store>>,
    tasks: TaskTracker,
}

impl Lab {
    fn new(patterns: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("project/AI/evidence")).unwrap();
        let patience = Patience { quiet: Duration::from_millis(30), ..Settings::default().patience };
        Lab {
            directory,
            patterns: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
            settings: Settings { patience, ..Settings::default() },
            store: Arc::default(),
            tasks: TaskTracker::new(),
        }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join("project")
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    fn rules(&self) -> Rules {
        let rule = Rule { paths: self.patterns.clone(), ..Rule::default() };
        let rules = if self.patterns.is_empty() { Vec::new() } else { vec![rule] };
        Rules::new(&self.root(), rules, MAX_BYTES).unwrap()
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn start(&self) -> Watcher {
        let (rules, taking, telling) = (self.rules(), self.store.clone(), self.store.clone());
        let sink_rules = Arc::new(rules.clone());
        let sink = move |change| take(sink_rules.clone(), taking.clone(), change);
        let known = move || {
            let store = telling.lock().unwrap();
            let known = |stamp: &Stamp| Known { size: stamp.size, mtime_ns: stamp.mtime_ns };
            let all = store.known.iter().map(|(path, (stamp, _))| (path.clone(), known(stamp)));
            let all: HashMap<String, Known> = all.collect();
            async move { Ok(all) }
        };
        Watcher::start(rules, self.settings, &self.tasks, sink, known).unwrap()
    }

    /// Waits for the store to become so.
    async fn until(&self, what: &str, mut is_so: impl FnMut(&Store) -> bool) {
        let start = Instant::now();
        while !is_so(&self.store()) {
            assert!(start.elapsed() < DEADLINE, "never: {what}; {:#?}", self.store());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until the sink knows this text of a file.
    async fn until_known(&self, path: &str, text: &str) {
        let hash = sha256_hex(text.as_bytes());
        self.until(path, |store| store.known.get(path).is_some_and(|(_, known)| *known == hash)).await;
    }

    /// Waits until the sink knows nothing at a path.
    async fn until_gone(&self, path: &str) {
        self.until(path, |store| !store.known.contains_key(path)).await;
    }

    /// Waits until the sink knows exactly what the directories hold.
    async fn until_equal(&self) {
        self.until_equal_after("at the end").await;
    }

    /// The same, with a name for what happened.
    async fn until_equal_after(&self, what: &str) {
        let start = Instant::now();
        loop {
            let (files, store) = (self.files(), self.hashes());
            if files == store {
                return;
            }
            assert!(start.elapsed() < DEADLINE, "{what}: {:#?}", differences(&files, &store));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn hashes(&self) -> BTreeMap<String, String> {
        self.store().known.iter().map(|(path, (_, hash))| (path.clone(), hash.clone())).collect()
    }

    /// All covered files with their hashes, found without the code that is tested.
    fn files(&self) -> BTreeMap<String, String> {
        let (root, rules) = (self.root(), self.rules());
        let mut found = BTreeMap::new();
        let mut waiting = vec![root.clone()];
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    waiting.push(path);
                    continue;
                }
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                if rules.matching(&name).is_some() {
                    found.insert(name, sha256_hex(&fs::read(&path).unwrap()));
                }
            }
        }
        found
    }
}

fn differences(files: &BTreeMap<String, String>, store: &BTreeMap<String, String>) -> Vec<String> {
    let names = files.keys().chain(store.keys());
    let differing = names.filter(|name| files.get(*name) != store.get(*name)).take(20);
    differing
        .map(|name| format!("{name}: {:?} is there, {:?} is known", files.get(name), store.get(name)))
        .collect()
}

async fn take(rules: Arc<Rules>, store: Arc<Mutex<Store>>, change: Change) -> Outcome {
    let pause = {
        let mut store = store.lock().unwrap();
        store.works.0 += 1;
        store.works.1 = store.works.1.max(store.works.0);
        store.pause
    };
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
    let outcome = keep(&rules, &store, change);
    store.lock().unwrap().works.0 -= 1;
    outcome
}

fn keep(rules: &Rules, store: &Mutex<Store>, change: Change) -> Outcome {
    let (path, stamp) = match change {
        Change::Gone { path } => {
            let mut store = store.lock().unwrap();
            store.known.remove(&path);
            store.gone.push(path);
            return Outcome::Done;
        }
        Change::Written { path, stamp, .. } => (path, stamp),
    };
    if let Some(code) = store.lock().unwrap().refuses.get(&path) {
        return Outcome::Refused(Denial::new(*code).with("path", path));
    }
    let mut bytes = Vec::new();
    match open(rules, &path).and_then(|mut file| file.read_to_end(&mut bytes)) {
        Ok(_) => {}
        // It went meanwhile; the next look will tell.
        Err(_) => return Outcome::Done,
    }
    let mut store = store.lock().unwrap();
    store.known.insert(path.clone(), (stamp, sha256_hex(&bytes)));
    store.taken.push((path, stamp));
    Outcome::Done
}

/// Waits for the status to become so.
async fn until_status(watcher: &Watcher, what: &str, is_so: impl Fn(&WatchStatus) -> bool) -> WatchStatus {
    let start = Instant::now();
    loop {
        let status = watcher.status().await.unwrap();
        if is_so(&status) {
            return status;
        }
        assert!(start.elapsed() < DEADLINE, "never: {what}; {status:#?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until the first walk is over and all that it found is dealt with.
async fn settled(watcher: &Watcher) -> WatchStatus {
    let is_idle =
        |status: &WatchStatus| status.last_reconcile.is_some() && !status.walking && status.pending == 0;
    until_status(watcher, "settled", is_idle).await
}

fn mkfifo(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}
