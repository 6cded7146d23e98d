//! What would leak if the project were published: records that git tracks or would take, secrets and personal paths in
//! tracked files and exports, and files that artifacts name.
//!
//! A finding says where and of which kind, never what: the report itself may be published.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Findings, artifact_paths};
use crate::files;
use crate::plane::Plane;
use crate::redaction;

/// The largest file that is looked into, how many of them, and how much of all git says.
const MAX_FILE: u64 = 1024 * 1024;
const MAX_FILES: usize = 20_000;
const MAX_LIST: u64 = 32 * 1024 * 1024;
/// Places that one finding names.
const NAMED: usize = 10;
/// Artifacts whose paths are looked at.
const ARTIFACTS: i64 = 100_000;

/// Adds what it finds. A file for which `is_held` is left alone: it belongs to an open data plane, whose locks on it would
/// go with the first descriptor that is closed.
pub(super) fn examine(
    root: &Path,
    plane: Option<&Plane>,
    is_held: &dyn Fn(&Path) -> bool,
    findings: &mut Findings,
) {
    let tracked = match git(root, &["ls-files", "-z"]) {
        Ok(list) => Some(list),
        Err(reason) => {
            findings.warn(
                "publish.git",
                format!("which files are tracked cannot be told: {reason}"),
                "Run this in a git repository, or look through everything that you publish.",
            );
            None
        }
    };
    if let Some(tracked) = &tracked {
        records(tracked, findings);
        ignored(root, findings);
    }
    let mut candidates: BTreeSet<String> = tracked.iter().flatten().cloned().collect();
    exports(root, &root.join("AI/db/exports"), &mut candidates);
    contents(root, &candidates, is_held, findings);
    if let Some(plane) = plane {
        artifacts(plane, tracked.as_deref(), findings);
    }
}

/// Records of ours that git tracks.
fn records(tracked: &[String], findings: &mut Findings) {
    let is_private = |path: &&String| {
        path.starts_with("AI/")
            && !path.ends_with("/.gitignore")
            && *path != "AI/.gitignore"
            && *path != "AI/work/README.md"
            && !path.starts_with("AI/tests/")
    };
    let private: Vec<&String> = tracked.iter().filter(is_private).collect();
    if private.is_empty() {
        findings.ok("publish.tracked", "git tracks no records under AI/");
    } else {
        findings.fail(
            "publish.tracked",
            format!("files under AI/ that git tracks ({}): {}", private.len(), some(private.iter().copied())),
            "git rm --cached PATH for each; what was committed before stays in the history until that is rewritten",
        );
    }
}

/// Whether git leaves the data plane alone, and what `git add --force` would take all the same.
fn ignored(root: &Path, findings: &mut Findings) {
    let addable = git(root, &["ls-files", "-z", "--others", "--exclude-standard", "--", "AI"]);
    let addable: Vec<String> = addable
        .unwrap_or_default()
        .into_iter()
        .filter(|path| {
            !path.ends_with(".gitignore") && path != "AI/work/README.md" && !path.starts_with("AI/tests/")
        })
        .collect();
    if addable.is_empty() {
        findings.ok("publish.ignored", "git ignores everything under AI/ that it does not track");
    } else {
        findings.fail(
            "publish.ignored",
            format!(
                "files under AI/ that `git add .` would take ({}): {}",
                addable.len(),
                some(addable.iter())
            ),
            "Add the lines `/AI/*` and `!/AI/tests/` to .gitignore.",
        );
    }
    let forced = git(root, &["ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--", "AI"]);
    let forced = forced.unwrap_or_default();
    if !forced.is_empty() {
        findings.warn(
            "publish.force_addable",
            format!(
                "ignored files under AI/ that `git add --force` could take ({}): {}",
                forced.len(),
                some(forced.iter())
            ),
            "Never use `git add --force` on AI/.",
        );
    }
}

/// The files under a directory, links not followed.
fn exports(root: &Path, directory: &Path, found: &mut BTreeSet<String>) {
    let mut waiting = vec![directory.to_path_buf()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                waiting.push(entry.path());
            } else if kind.is_file()
                && found.len() < MAX_FILES
                && let Ok(path) = entry.path().strip_prefix(root)
            {
                found.insert(path.to_string_lossy().into_owned());
            }
        }
    }
}

/// Secrets and personal data in files.
fn contents(root: &Path, paths: &BTreeSet<String>, is_held: &dyn Fn(&Path) -> bool, findings: &mut Findings) {
    let mut hits: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let mut unread = 0;
    for path in paths.iter().take(MAX_FILES) {
        let file = root.join(path);
        let Some(text) = (!is_held(&file)).then(|| text(&file)).flatten() else {
            unread += 1;
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            for class in classes(line) {
                hits.entry(class).or_default().push(format!("{path}:{}", number + 1));
            }
        }
    }
    let looked = paths.len().min(MAX_FILES) - unread;
    if hits.is_empty() {
        findings.ok("publish.contents", format!("nothing private was found; files looked into: {looked}"));
    }
    for (class, places) in hits {
        findings.fail(
            &format!("publish.{class}"),
            format!("places ({}): {}", places.len(), some(places.iter())),
            "Take it out of the file; a secret that was ever committed must be replaced.",
        );
    }
    if unread + paths.len().saturating_sub(MAX_FILES) > 0 {
        findings.warn(
            "publish.unread",
            format!(
                "files that were not looked into, because they are no text, too large, or too many: {}",
                unread + paths.len().saturating_sub(MAX_FILES)
            ),
            "Look through pictures and archives yourself before you publish.",
        );
    }
}

/// The text of a regular file that is not too large; none for anything else.
fn text(path: &Path) -> Option<String> {
    let file = files::open(path).ok()?;
    if file.metadata().ok()?.len() > MAX_FILE {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

/// Files of artifacts that would be published, and paths that tell where this machine keeps things.
fn artifacts(plane: &Plane, tracked: Option<&[String]>, findings: &mut Findings) {
    let paths = match artifact_paths(plane, ARTIFACTS) {
        Ok(paths) => paths,
        Err(denial) => return findings.denied("publish.artifacts", &denial),
    };
    let tracked: BTreeSet<&String> = tracked.into_iter().flatten().collect();
    let published: Vec<&String> = paths.iter().filter(|path| tracked.contains(path)).collect();
    let absolute: Vec<&String> = paths.iter().filter(|path| Path::new(path).is_absolute()).collect();
    if !published.is_empty() {
        findings.warn(
            "publish.artifacts",
            format!(
                "tracked files among the artifacts ({}): {}",
                published.len(),
                some(published.iter().copied())
            ),
            "See whether evidence and screenshots among them may be seen by everybody.",
        );
    }
    if !absolute.is_empty() {
        findings.warn(
            "publish.artifact_paths",
            format!("artifacts that name a place outside the project: {}", absolute.len()),
            "Leave them out of exports that you publish.",
        );
    }
    if published.is_empty() && absolute.is_empty() {
        findings.ok("publish.artifacts", format!("no artifact would be published, of {}", paths.len()));
    }
}

/// Which kinds of private text a line holds.
fn classes(line: &str) -> Vec<&'static str> {
    let mut classes: Vec<&'static str> = redaction::scan(line)
        .into_iter()
        .filter(|hit| !(hit.class.ends_with("home_path") && is_placeholder(&line[hit.range.clone()])))
        .map(|hit| hit.class)
        .collect();
    classes.dedup();
    classes
}

/// Whether a home path names nobody: `/home/USER`, `/home/<name>`.
fn is_placeholder(path: &str) -> bool {
    let name = path.trim_end_matches(['.', ',', ')', '`']).rsplit(['/', '\\']).next().unwrap_or_default();
    let plain = ["user", "you", "me", "name", "username", "runner", "alice", "bob"];
    !name.chars().any(char::is_lowercase) || name.starts_with(['<', '$', '{', '%']) || plain.contains(&name)
}

/// The paths that git prints, separated by NUL.
fn git(root: &Path, words: &[&str]) -> Result<Vec<String>, String> {
    let mut child = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(words)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("git does not run: {error}"))?;
    let mut list = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(MAX_LIST).read_to_end(&mut list).map_err(|error| error.to_string())?;
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if !status.success() {
        return Err("the project is no git repository, or git does not trust it".to_owned());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(list.split(|byte| *byte == 0).filter(|path| !path.is_empty()).map(text).collect())
}

/// The first few of many.
fn some<'a>(all: impl ExactSizeIterator<Item = &'a String>) -> String {
    let more = all.len().saturating_sub(NAMED);
    let mut text = all.take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_texts_are_told_by_their_kind() {
        let secret = format!("token = \"ghp_{}\"", "a1B2".repeat(9));
        assert_eq!(classes(&secret), ["github_token"]);
        assert_eq!(classes(&format!("-----BEGIN RSA {}-----", "PRIVATE KEY")), ["private_key_block"]);
        assert_eq!(classes("cd /home/mallory/project"), ["posix_home_path"]);
        assert_eq!(classes("C:\\Users\\mallory\\x"), ["user_home_path"]);
        for harmless in [
            "ghp_ is a prefix",
            "/home/user/x",
            "It is /home/user.",
            "/home/USER",
            "/home/<name>",
            "mask-ant-hills",
            "",
        ] {
            assert!(classes(harmless).is_empty(), "{harmless}");
        }
    }
}
