//! Durable writes against raw SQLite.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};

use super::figure::{Figure, Target, Unit};
use super::raw::{self, Raw, Work};
use super::{Bench, samples};
use crate::place::Project;
use crate::random::Random;
use crate::wire::{Clients, Line, request, write_request};

/// W1 in one transaction of the reference.
const BATCH: usize = 32;
const CLIENTS: usize = 64;

/// The requests of some W1: a title, two sentences and a short paragraph.
pub(super) fn tasks(random: &mut Random, count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|_| write_request("task.start", task(random))).collect()
}

fn task(random: &mut Random) -> Value {
    json!({"title": random.words(6), "summary": random.words(18), "body": random.words(40)})
}

/// Measures them.
pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Figure>> {
    let count = if bench.quick { 1_000 } else { 8_000 };
    let singles = samples(bench.quick, 60);
    // What the daemon writes for these W1, for the reference to write again.
    let template = bench.fresh_project()?;
    let works = {
        let empty = bench.fresh_project()?;
        raw::empty_copy(&empty.database(), &bench.place.path("empty.db"))?;
        bench.close(&empty)?;
        let requests = tasks(&mut bench.random, count);
        Clients::open(&bench.daemon.socket, &template, CLIENTS)?.drive(&requests, |_| Ok(()))?;
        raw::record(&template.database())?
    };
    bench.close(&template)?;
    ensure!(works.len() == count, "the plane holds {} W1, not {count}", works.len());

    let name = format!("durable W1, {CLIENTS} clients (SQLite, {BATCH} a transaction)");
    let mut many = Figure::new(name, Unit::PerSecond, Target::AtLeast(0.8));
    let mut one = Figure::new("durable W1, one client, p50 (SQLite)", Unit::Time, Target::AtMost(1.6));
    for _ in 0..bench.rounds {
        round(bench, &works, singles, &mut many, &mut one)?;
    }
    Ok(vec![many, one])
}

fn round(
    bench: &mut Bench,
    works: &[Work],
    singles: usize,
    many: &mut Figure,
    one: &mut Figure,
) -> anyhow::Result<()> {
    // Both sides begin with an empty plane.
    let project = bench.fresh_project()?;
    let copy = bench.place.path("raw.db");
    let requests = tasks(&mut bench.random, works.len());
    let mut clients = Clients::open(&bench.daemon.socket, &project, CLIENTS)?;
    let per_second = |took: Duration| {
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let count = works.len() as f64;
        count / took.as_secs_f64()
    };
    let ours = clients.drive(&requests, |_| Ok(()))?;
    drop(clients);
    bench.close(&project)?;
    {
        let raw = fresh_raw(bench, &copy)?;
        many.round(per_second(ours), per_second(raw.write(works, BATCH)?));
    }

    let project = bench.fresh_project()?;
    let requests = tasks(&mut bench.random, singles);
    let mut line = Line::bound(&bench.daemon.socket, &project)?;
    let raw = fresh_raw(bench, &copy)?;
    let (mut ours, mut reference) = (Vec::new(), Vec::new());
    for (request, work) in requests.iter().zip(works) {
        ours.push(line.timed(request)?);
        let started = Instant::now();
        raw.transaction(std::slice::from_ref(work))?;
        reference.push(started.elapsed());
    }
    one.times(&mut ours, &mut reference);
    drop(line);
    bench.close(&project)
}

fn fresh_raw(bench: &Bench, copy: &std::path::Path) -> anyhow::Result<Raw> {
    for end in ["", "-wal", "-shm"] {
        let mut path = copy.as_os_str().to_owned();
        path.push(end);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    std::fs::copy(bench.place.path("empty.db"), copy)?;
    Raw::open(copy)
}

impl Bench {
    /// A project with a data plane that holds nothing.
    pub(super) fn fresh_project(&mut self) -> anyhow::Result<Project> {
        self.projects += 1;
        let project = self.place.project(&format!("project-{}", self.projects))?;
        Line::bound(&self.daemon.socket, &project)?.call(&request("plane.check", &json!({})))?;
        Ok(project)
    }

    /// Closes a project and deletes it.
    pub(super) fn close(&self, project: &Project) -> anyhow::Result<()> {
        Line::bound(&self.daemon.socket, project)?.call(&request("stop", &json!({"all": false})))?;
        Ok(std::fs::remove_dir_all(&project.root)?)
    }
}
