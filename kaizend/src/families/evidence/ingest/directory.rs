//! E1 `--recursive`: every file below a directory, each in a write of its own, so that one that cannot be read does not
//! keep the others out.

use std::path::{Path, PathBuf};

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::evidence::{FileRefused, Ingested};

use super::{Manner, Site, Target, draft};
use crate::care::blocking;
use crate::families::artifact;
use crate::registry::Context;

/// Files that the reply names when they could not be read.
const NAMED: usize = 100;

/// Reads all files below a directory. Hidden files and what git ignores are left out.
pub(super) async fn ingest(
    context: &Context,
    directory: artifact::Resolved,
    manner: Manner,
) -> Result<Ingested, Denial> {
    if !directory.file.is_dir() {
        return Err(Denial::new(Code::FileNotFound)
            .with("path", directory.file.display().to_string())
            .message("--recursive wants a directory"));
    }
    let (root, below) = (context.binding.root()?.clone(), directory.file.clone());
    let files = blocking(move || Ok(files_below(&below))).await?;
    let plane = context.plane().await?;
    let site = Site { plane: &plane, root: &root, program: &context.daemon.program };
    let external = directory.shown.starts_with("external:");
    let (mut ingested, mut unchanged, mut refused) = (0, 0, Vec::new());
    let mut refused_count = 0;
    for file in files {
        let resolved = artifact::resolve(&root, file.to_str().map(str::to_owned).as_ref(), external);
        let outcome = match resolved {
            Ok(resolved) => one(context, site, Target::new(resolved), manner.clone()).await,
            Err(denial) => Err(denial),
        };
        match outcome {
            Ok(true) => unchanged += 1,
            Ok(false) => ingested += 1,
            Err(denial) => {
                refused_count += 1;
                if refused.len() < NAMED {
                    let path = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
                    let code = denial.code.text().to_owned();
                    refused.push(FileRefused { path, code, message: denial.to_string() });
                }
            }
        }
    }
    Ok(Ingested {
        origin_ref: directory.shown,
        ingested: Some(ingested),
        unchanged_files: Some(unchanged),
        refused: Some(refused),
        refused_count: Some(refused_count),
        ..Ingested::default()
    })
}

/// Reads and stores one file. Says whether it was known already.
async fn one(context: &Context, site: Site<'_>, target: Target, manner: Manner) -> Result<bool, Denial> {
    if context.daemon.projects.holds(&target.file) {
        return Err(super::in_use(&target));
    }
    let draft = draft(site, target, manner).await?;
    let stored = super::write(site.plane, "E1", context.binding.caller.clone(), draft).await?;
    Ok(stored.unchanged)
}

/// The regular files below a directory, in order.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = ignore::WalkBuilder::new(directory)
        .follow_links(false)
        .require_git(false)
        .build()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
        .map(ignore::DirEntry::into_path)
        .collect();
    files.sort();
    files
}
