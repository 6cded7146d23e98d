//! What the modules may know of each other, held by reading the sources: a rule that only people remember is forgotten.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// The Rust files below a directory, with what stands before their own tests.
fn sources(directory: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_path_buf()];
    while let Some(next) = directories.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                if name != "tests" {
                    directories.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") && name != "tests.rs" {
                let text = fs::read_to_string(&path).unwrap();
                let end = text
                    .rfind(
                        "
mod tests {",
                    )
                    .unwrap_or(text.len());
                let shown = path.strip_prefix(directory).unwrap().display().to_string().replace('\\', "/");
                found.push((shown, text[..end].to_owned()));
            }
        }
    }
    assert!(found.len() > 10, "no sources in {}", directory.display());
    found
}

/// The places of `words` in the sources that `is_bound` picks, apart from those files that are excepted.
fn breaches(root: &Path, is_bound: impl Fn(&str) -> bool, words: &[&str], excepted: &[&str]) -> Vec<String> {
    let mut breaches = Vec::new();
    for (path, text) in sources(root).iter().filter(|(path, _)| is_bound(path)) {
        if excepted.contains(&path.as_str()) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if let Some(word) = words.iter().find(|word| code.contains(**word)) {
                breaches.push(format!("{path}:{}: {word}", number + 1));
            }
        }
    }
    breaches
}

fn kaizend() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn proto() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/src")
}

const NONE: [String; 0] = [];

#[test]
fn families_know_neither_sockets_nor_frames_nor_drivers() {
    let words = ["rusqlite", "sqlx", "jsonrpsee", "interprocess", "UnixStream", "crate::transport"];
    assert_eq!(breaches(&kaizend(), |path| path.starts_with("families"), &words, &[]), NONE);
}

#[test]
fn the_plane_names_nothing_above_it() {
    let words = ["crate::families", "crate::transport", "crate::registry", "crate::care", "crate::report"];
    // A backup precedes a migration.
    assert_eq!(breaches(&kaizend(), |path| path.starts_with("plane"), &words, &["plane/migrate.rs"]), NONE);
}

#[test]
fn files_are_written_in_one_way() {
    let words = ["fs::write(", "File::create(", "fs::rename("];
    let excepted = [
        "files.rs",
        // The database itself, by a note that a crash cannot lose.
        "plane/swap.rs",
    ];
    assert_eq!(breaches(&kaizend(), |_| true, &words, &excepted), NONE);
}

#[test]
fn the_contract_does_no_io_but_that_of_its_client() {
    let words = ["std::fs", "std::net", "std::os::unix::net", "std::process", "std::io::stdin"];
    assert_eq!(breaches(&proto(), |path| path != "client.rs", &words, &[]), NONE);
}

#[test]
fn only_the_writer_opens_a_data_plane_for_writing() {
    let words = ["writer_connection("];
    // K11 and K14 make a database ready beside the open one.
    let excepted = ["plane/open.rs", "plane/writer.rs", "care/restore.rs", "care/import.rs"];
    assert_eq!(breaches(&kaizend(), |_| true, &words, &excepted), NONE);
}
