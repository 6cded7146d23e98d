//! Which files of a project are evidence: globs below its root, and what is never looked at.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use kaizen_proto::denial::{Code, Denial};

/// What is watched unless `kaizen.toml` says otherwise.
pub const DEFAULT_PATTERN: &str = "AI/evidence/**";
/// The directory of records and evidence, which git is always told to ignore: what git ignores says nothing there.
pub const OWN_DIRECTORY: &str = "AI";
/// The most patterns of a project.
const MAX_PATTERNS: usize = 200;
/// The longest pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 1024;
/// What the daemon writes by itself. Were it seen, each look at a file could bring about the next one.
const EXCLUDED: [&str; 3] = ["AI/db", "AI/work/kaizen-runtime", "AI/generation"];
/// What makes a part of a pattern more than a name.
const META: [char; 5] = ['*', '?', '[', '{', '\\'];

/// What is watched, and what its documents are to be marked with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Globs relative to the root, with `/`. `*` stays within a directory, `**` does not. A pattern without any of `*`,
    /// `?`, `[` and `{` means the file of that name, or everything below the directory of that name.
    pub paths: Vec<String>,
    /// The authority of the documents, when the rule names one.
    pub authority_tier: Option<String>,
    /// The source that the documents belong to, when the rule names one.
    pub source_id: Option<String>,
}

impl Rule {
    /// The rule of a project that has none.
    pub fn standard() -> Self {
        Rule { paths: vec![DEFAULT_PATTERN.to_owned()], ..Rule::default() }
    }
}

/// Where one pattern can have matches.
#[derive(Clone, Debug)]
struct Reach {
    /// The directory, or the file, below which everything is; empty for the root.
    base: String,
    /// How many parts a matching path has at most; none when there is no limit.
    most_parts: Option<usize>,
}

/// The rules of a project, made ready for matching. Paths are relative to the root, with `/`.
#[derive(Clone, Debug)]
pub struct Rules {
    root: PathBuf,
    max_bytes: u64,
    all: Vec<Arc<Rule>>,
    globs: GlobSet,
    /// The rule of each glob.
    owners: Vec<usize>,
    reaches: Vec<Reach>,
    excluded: Vec<String>,
}

impl Rules {
    /// Rules for the project at `root`; files of more than `max_bytes` are refused. Without any rule, [`Rule::standard`].
    ///
    /// # Errors
    /// `DENIED_CONFIG` for a pattern that is malformed, absolute or leads out of the root.
    pub fn new(root: &Path, rules: Vec<Rule>, max_bytes: u64) -> Result<Self, Denial> {
        let rules = if rules.is_empty() { vec![Rule::standard()] } else { rules };
        let mut ready = Rules {
            root: root.to_path_buf(),
            max_bytes,
            all: Vec::new(),
            globs: GlobSet::empty(),
            owners: Vec::new(),
            reaches: Vec::new(),
            excluded: EXCLUDED.map(str::to_owned).to_vec(),
        };
        let mut builder = GlobSetBuilder::new();
        if rules.iter().map(|rule| rule.paths.len()).sum::<usize>() > MAX_PATTERNS {
            return Err(denied("", &format!("there are more than {MAX_PATTERNS} patterns")));
        }
        for (owner, rule) in rules.iter().enumerate() {
            for written in &rule.paths {
                let pattern = checked(written)?;
                for glob in expanded(&pattern) {
                    let glob = GlobBuilder::new(&glob).literal_separator(true).build();
                    builder.add(glob.map_err(|error| denied(written, &error.kind().to_string()))?);
                    ready.owners.push(owner);
                }
                ready.reaches.push(reach(&pattern));
            }
        }
        ready.globs = builder.build().map_err(|error| denied("", &error.to_string()))?;
        ready.all = rules.into_iter().map(Arc::new).collect();
        Ok(ready)
    }

    /// Also leaves out this path and what is below it, such as a database that stands elsewhere.
    #[must_use]
    pub fn without(mut self, path: &str) -> Self {
        self.excluded.push(path.trim_matches('/').to_owned());
        self
    }

    /// The project's root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The same rules for another spelling of the root, such as the one without symbolic links.
    #[must_use]
    pub fn at(mut self, root: PathBuf) -> Self {
        self.root = root;
        self
    }

    /// The size in bytes above which a file is refused.
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// All rules, in their order.
    pub fn all(&self) -> &[Arc<Rule>] {
        &self.all
    }

    /// The first rule that a file belongs to.
    pub fn matching(&self, path: &str) -> Option<&Arc<Rule>> {
        if self.is_excluded(path) {
            return None;
        }
        let globs = self.globs.matches(path);
        globs.into_iter().map(|glob| self.owners[glob]).min().map(|owner| &self.all[owner])
    }

    /// Whether files that a rule covers can be in this directory or below it.
    pub fn may_contain(&self, directory: &str) -> bool {
        !self.is_excluded(directory)
            && self.reaches.iter().any(|reach| {
                is_below(&reach.base, directory)
                    || (is_within(directory, &reach.base)
                        && reach.most_parts.is_none_or(|most| parts(directory) < most))
            })
    }

    /// Whether a path can mean anything to the rules, be it a file or a directory.
    pub fn concerns(&self, path: &str) -> bool {
        self.may_contain(path) || self.matching(path).is_some()
    }

    /// Whether a path is one that is never looked at.
    pub fn is_excluded(&self, path: &str) -> bool {
        self.excluded.iter().any(|excluded| is_within(path, excluded))
            || path.split('/').any(|part| part == ".git")
    }

    /// The part of each pattern before its first wildcard, without those that are below others; the root is empty.
    pub fn bases(&self) -> BTreeSet<&str> {
        let all = || self.reaches.iter().map(|reach| reach.base.as_str());
        all().filter(|base| !all().any(|other| is_below(base, other))).collect()
    }
}

/// Whether `path` is `directory` or below it.
pub(super) fn is_within(path: &str, directory: &str) -> bool {
    path == directory || is_below(path, directory)
}

/// Whether `path` is below `directory`.
pub(super) fn is_below(path: &str, directory: &str) -> bool {
    if directory.is_empty() {
        return !path.is_empty();
    }
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

fn parts(path: &str) -> usize {
    if path.is_empty() { 0 } else { path.split('/').count() }
}

fn denied(pattern: &str, reason: &str) -> Denial {
    Denial::new(Code::Config)
        .with("key", "evidence.watch.paths")
        .with("pattern", pattern)
        .with("reason", reason)
        .example("[[evidence.watch]]\npaths = [\"AI/evidence/**\", \"docs/**/*.md\"]")
}

/// The pattern in its plain form.
fn checked(written: &str) -> Result<String, Denial> {
    let deny = |reason: &str| Err(denied(written, reason));
    let mut pattern = written;
    while let Some(rest) = pattern.strip_prefix("./") {
        pattern = rest;
    }
    if pattern.len() > MAX_PATTERN_BYTES {
        return deny("it is too long");
    }
    if pattern.is_empty() || pattern == "." {
        return deny("it names nothing; `**` means every file");
    }
    if pattern.starts_with('/') || Path::new(pattern).is_absolute() {
        return deny("it is absolute; patterns are relative to the project's root");
    }
    if pattern.starts_with('!') {
        return deny("what is not to be watched goes into .gitignore");
    }
    if pattern.split('/').any(|part| part == "..") {
        return deny("it leads out of the project");
    }
    if pattern.trim_end_matches('/').split('/').any(|part| part.is_empty() || part == ".") {
        return deny("it has an empty part");
    }
    // A trailing slash says: this directory.
    let is_directory = pattern.ends_with('/');
    Ok(if is_directory { format!("{}/**", pattern.trim_end_matches('/')) } else { pattern.to_owned() })
}

/// The globs of a pattern: a plain name is a file, or a directory with all that is in it.
fn expanded(pattern: &str) -> Vec<String> {
    if pattern.contains(META) {
        return vec![pattern.to_owned()];
    }
    vec![pattern.to_owned(), format!("{pattern}/**")]
}

fn reach(pattern: &str) -> Reach {
    let is_literal = !pattern.contains(META);
    let base: Vec<&str> = pattern.split('/').take_while(|part| !part.contains(META)).collect();
    // Alternatives may have slashes of their own.
    let is_unbounded = is_literal || pattern.contains("**") || pattern.contains('{');
    Reach { base: base.join("/"), most_parts: (!is_unbounded).then(|| parts(pattern)) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rules(patterns: &[&str]) -> Rules {
        let rules = patterns.iter().map(|pattern| Rule { paths: vec![(*pattern).into()], ..Rule::default() });
        Rules::new(Path::new("/project"), rules.collect(), 1000).unwrap()
    }

    #[test]
    fn without_rules_the_evidence_directory_is_watched() {
        let rules = rules(&[]);
        for path in ["AI/evidence/a.md", "AI/evidence/deep/er/.hidden"] {
            assert!(rules.matching(path).is_some(), "{path}");
        }
        for path in ["AI/evidence", "AI/evidences/a", "docs/a.md", "a"] {
            assert!(rules.matching(path).is_none(), "{path}");
        }
        assert_eq!(rules.bases().into_iter().collect::<Vec<_>>(), ["AI/evidence"]);
    }

    #[test]
    fn the_first_rule_that_matches_counts() {
        let rule = |pattern: &str, tier: &str| Rule {
            paths: vec![pattern.into()],
            authority_tier: Some(tier.into()),
            source_id: None,
        };
        let rules = Rules::new(
            Path::new("/project"),
            vec![rule("docs/spec/**", "primary"), rule("docs/**/*.md", "secondary")],
            1000,
        )
        .unwrap();
        let tier = |path: &str| rules.matching(path).and_then(|rule| rule.authority_tier.clone());
        assert_eq!(tier("docs/spec/a.md").as_deref(), Some("primary"));
        assert_eq!(tier("docs/a.md").as_deref(), Some("secondary"));
        assert_eq!(tier("docs/deep/er/a.md").as_deref(), Some("secondary"));
        assert_eq!(tier("docs/a.txt"), None);
    }

    #[test]
    fn a_plain_name_is_a_file_or_a_directory() {
        let rules = rules(&["notes", "docs/"]);
        for path in ["notes", "notes/a", "notes/b/c", "docs/a"] {
            assert!(rules.matching(path).is_some(), "{path}");
        }
        assert!(rules.matching("notes2").is_none());
        assert!(rules.matching("docs").is_none());
    }

    #[test]
    fn only_directories_that_can_hold_matches_are_entered() {
        let rules = rules(&["docs/*/*.md", "AI/evidence/**", "a/b/c.txt", "{x/y,z}/*.md"]);
        for directory in
            ["", "docs", "docs/one", "AI", "AI/evidence", "AI/evidence/x/y", "a", "a/b", "x/y", "z"]
        {
            assert!(rules.may_contain(directory), "{directory}");
        }
        // An alternative has no base, so that one is cut out here.
        let rules = self::rules(&["docs/*/*.md", "AI/evidence/**", "a/b/c.txt"]);
        for directory in ["docs/one/two", "AI/work", "src", "a/c", "doc", "docs2"] {
            assert!(!rules.may_contain(directory), "{directory}");
        }
    }

    #[test]
    fn what_the_daemon_writes_is_never_seen() {
        let rules = rules(&["**", "AI/**"]).without("data/kaizen.db");
        for path in [
            "AI/db/kaizen.db",
            "AI/db",
            "AI/work/kaizen-runtime/x",
            "AI/generation",
            ".git/HEAD",
            "sub/.git/config",
            "data/kaizen.db",
        ] {
            assert!(rules.matching(path).is_none() && !rules.concerns(path), "{path}");
        }
        for path in ["AI/dbx", "AI/work/x", ".gitignore", "data/kaizen.dbx"] {
            assert!(rules.matching(path).is_some(), "{path}");
        }
    }

    #[test]
    fn patterns_that_cannot_mean_anything_are_refused() {
        for pattern in ["", ".", "/etc/**", "../x", "a/../b", "!a", "a//b", "a/[", "a/./b", "./"] {
            let rule = Rule { paths: vec![pattern.into()], ..Rule::default() };
            let denial = Rules::new(Path::new("/project"), vec![rule], 1).unwrap_err();
            assert_eq!(denial.code, Code::Config, "{pattern}");
        }
    }
}
