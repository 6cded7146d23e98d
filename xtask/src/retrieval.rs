//! Evidence on documents that other people wrote: what becomes of every file of a collection, how fast, and at which rank
//! the passage is found that answers a question.
//!
//! `evals/retrieval/` has a collection and questions that were written before the first search.

mod ask;
mod ingest;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use rusqlite::Connection;
use serde::Deserialize;

use crate::place::{self, Place, Project};

/// The folder of the project that the collection is copied into.
const FOLDER: &str = "corpus";

/// What is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The directory of the documents, as evals/retrieval/collect.sh makes it
    #[arg(long)]
    corpus: PathBuf,
    /// The questions: lines of JSON with id, question, path (relative to the corpus) and excerpt
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../evals/retrieval/questions.jsonl"))]
    questions: PathBuf,
    /// Connections that ingest file by file at the same time; 0 has one call of E1 --recursive do it
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Name every refused file
    #[arg(long)]
    refused: bool,
    /// Keep a copy of the database here
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Ask a database that was kept; nothing is ingested
    #[arg(long)]
    database: Option<PathBuf>,
    /// Another daemon than this release's
    #[arg(long)]
    daemon: Option<PathBuf>,
}

/// A question with the passage that answers it; both are absent when nothing does.
#[derive(Debug, Deserialize)]
struct Question {
    id: String,
    #[serde(rename = "question")]
    text: String,
    path: Option<String>,
    excerpt: Option<String>,
}

/// Ingests, asks and prints.
///
/// # Errors
/// What keeps it from trying. A refused file and a passage that is not found are printed and are no errors.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    if cfg!(debug_assertions) {
        return place::run_optimised();
    }
    let questions = questions(&options.questions)?;
    let place = Place::new(place::daemon_program(options.daemon.as_deref())?)?;
    let project = place.project("project")?;
    if let Some(database) = &options.database {
        let here = project.database();
        std::fs::create_dir_all(here.parent().context("a database lies in a folder")?)?;
        std::fs::copy(database, here).with_context(|| database.display().to_string())?;
    }
    let mut daemon = place.start()?;
    if options.database.is_none() {
        let files = copied(&options.corpus, &project)?;
        ensure!(!files.is_empty(), "{} holds no file", options.corpus.display());
        let told = ingest::ingest(&daemon.socket, &project, &files, options.connections)?;
        told.print(&files, &project, options.refused)?;
    }
    ask::ask(&daemon.socket, &project, &questions)?;
    daemon.kill()?;
    if let Some(keep) = &options.keep {
        // Whatever the log still holds is in the copy too.
        let sql = "VACUUM INTO ?1";
        open(&project)?.execute(sql, [keep.display().to_string()]).context("keep a copy")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn questions(file: &Path) -> anyhow::Result<Vec<Question>> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

/// A file of the collection.
#[derive(Debug)]
struct File {
    /// Its path below the project's root.
    path: String,
    bytes: u64,
}

/// Copies the collection into the project. Links would be quicker, but a project owns its files.
fn copied(corpus: &Path, project: &Project) -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from(FOLDER)];
    while let Some(folder) = folders.pop() {
        let from = corpus.join(folder.strip_prefix(FOLDER)?);
        std::fs::create_dir_all(project.root.join(&folder))?;
        for entry in std::fs::read_dir(&from).with_context(|| from.display().to_string())? {
            let entry = entry?;
            let (path, kind) = (folder.join(entry.file_name()), entry.file_type()?);
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                let bytes = std::fs::copy(entry.path(), project.root.join(&path))?;
                files.push(File { path: path.display().to_string(), bytes });
            }
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// The project's database, for looking.
fn open(project: &Project) -> anyhow::Result<Connection> {
    Connection::open(project.database()).context("open the database")
}
