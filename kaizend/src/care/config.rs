//! `kaizen.toml` in a project's root: the few things that are set for a project rather than for a call.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kaizen_proto::denial::{Code, Denial};
use serde::{Deserialize, Deserializer, Serialize};

use crate::files;
use crate::ingest::watch::rules::DEFAULT_PATTERN;
use crate::plane::fault;

/// The largest file that is read.
const MAX_BYTES: u64 = 64 * 1024;
/// How often a backup is made, unless the file says otherwise.
const BACKUP_EVERY: Span = Span(Duration::from_hours(24));
/// How many scheduled backups are kept, unless the file says otherwise.
const BACKUP_KEEP: Count = Count(7);
/// The longest time that a setting can name.
const LONGEST: u64 = 10 * 365 * 24 * 3600;
/// The largest number that a setting can name.
const MOST: i64 = 10_000;

/// A project's settings. Everything has a default, unknown keys are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[db]`
    pub db: DbConfig,
    /// `[backup]`; without it no backups are made by themselves.
    pub backup: Option<BackupConfig>,
    /// `[daemon]`
    pub daemon: DaemonConfig,
    /// `[evidence]`
    pub evidence: EvidenceConfig,
}

/// `[db]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DbConfig {
    /// The database file, relative to the root or absolute; `AI/db/kaizen.db` by default. A project on a network file
    /// system can keep it on a local disk.
    pub path: Option<PathBuf>,
}

/// `[backup]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackupConfig {
    /// How often a backup is made while the project is in use.
    pub every: Option<Span>,
    /// How many scheduled backups are kept.
    pub keep: Option<Count>,
}

/// `[daemon]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DaemonConfig {
    /// How long the daemon goes on without calls.
    pub idle_exit: Option<Span>,
}

/// `[evidence]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvidenceConfig {
    /// What becomes of secrets and personal details in the text of documents.
    pub redaction: Redaction,
    /// `[[evidence.watch]]`: the files that are read by themselves; those below `AI/evidence` by default.
    pub watch: Vec<WatchConfig>,
}

/// `[[evidence.watch]]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WatchConfig {
    /// Patterns, relative to the root.
    pub paths: Vec<String>,
    /// How much the documents say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority_tier: Option<String>,
    /// What their source is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
}

/// What becomes of secrets and personal details in the text of a document. The file itself and its hash stay as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Redaction {
    /// They are masked, and counted on the document.
    #[default]
    Mask,
    /// The file is refused.
    Deny,
    /// They are stored as they are.
    Off,
}

impl Redaction {
    /// The word for it in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Redaction::Mask => "mask",
            Redaction::Deny => "deny",
            Redaction::Off => "off",
        }
    }
}

/// A time such as `90s`, `30m`, `24h`, `7d` or `2w`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl Span {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
        let unit = match &text[digits.len()..] {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 24 * 3600,
            "w" => 7 * 24 * 3600,
            _ => return None,
        };
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let seconds = digits.parse::<u64>().ok()?.checked_mul(unit)?;
        (1..=LONGEST).contains(&seconds).then_some(Span(Duration::from_secs(seconds)))
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0.as_secs();
        // Days and weeks are seldom what somebody wrote who means hours.
        let (unit, name) = [(3600, "h"), (60, "m")]
            .into_iter()
            .find(|(unit, _)| seconds.is_multiple_of(*unit))
            .unwrap_or((1, "s"));
        write!(f, "{}{name}", seconds / unit)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Span::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(
                "a time is a number with s, m, h, d or w, such as \"24h\", up to ten years",
            )
        })
    }
}

/// A number of things to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(pub usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        let count = usize::try_from(number).ok().filter(|_| (1..=MOST).contains(&number));
        count.map(Count).ok_or_else(|| serde::de::Error::custom(format!("it must be 1 to {MOST}")))
    }
}

/// One setting as it takes effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Section and key.
    pub name: &'static str,
    /// The value.
    pub value: String,
    /// Whether the file sets it.
    pub is_set: bool,
}

impl Config {
    /// Reads the settings of the project at `root`; the defaults when there is no file.
    ///
    /// # Errors
    /// `DENIED_CONFIG` when the file cannot be understood.
    pub fn read(root: &Path) -> Result<Self, Denial> {
        let path = root.join("kaizen.toml");
        let denied = |reason: &str| {
            Denial::new(Code::Config)
                .with("path", path.display().to_string())
                .with("reason", reason)
                .example("[db]\npath = \"AI/db/kaizen.db\"\n\n[backup]\nevery = \"24h\"\nkeep = 7")
        };
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return match path.symlink_metadata() {
                    Ok(_) => Err(denied("it is a link to nothing")),
                    Err(_) => Ok(Config::default()),
                };
            }
            Err(error) => return Err(fault::from_io("read the settings", &path, &error)),
        };
        // A link may keep the file elsewhere in the project. Beyond it, a cloned project could make anything of the
        // user's be read, and quoted.
        if !root.canonicalize().is_ok_and(|root| real.starts_with(root)) {
            return Err(denied("it is a link that leads out of the project"));
        }
        let file = match files::open(&real) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
                return Err(denied(&error.to_string()));
            }
            Err(error) => return Err(fault::from_io("read the settings", &path, &error)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| fault::from_io("read the settings", &path, &error))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(denied(&format!("the file is larger than {MAX_BYTES} bytes")));
        }
        let text = String::from_utf8(bytes).map_err(|_| denied("it is not UTF-8"))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        toml::from_str(text).map_err(|error| explain(text, &error, &denied))
    }

    /// The database file of the project at `root`.
    pub fn db_path(&self, root: &Path) -> PathBuf {
        root.join(self.db.path.as_deref().unwrap_or(Path::new("AI/db/kaizen.db")))
    }

    /// How often backups are made by themselves, and how many of them are kept; none unless the file asks for them.
    pub fn schedule(&self) -> Option<(Duration, usize)> {
        let backup = self.backup.as_ref()?;
        Some((backup.every.unwrap_or(BACKUP_EVERY).0, backup.keep.unwrap_or(BACKUP_KEEP).0))
    }

    /// All settings as they take effect; `idle_exit` is the daemon's own when the file has none.
    pub fn settings(&self, root: &Path, idle_exit: Span) -> Vec<Setting> {
        let backup = self.backup.clone().unwrap_or_default();
        let off = || "off".to_owned();
        let scheduled = |value: String| if self.backup.is_some() { value } else { off() };
        let setting = |name, value, is_set| Setting { name, value, is_set };
        vec![
            setting("db.path", self.db_path(root).display().to_string(), self.db.path.is_some()),
            setting(
                "backup.every",
                scheduled(backup.every.unwrap_or(BACKUP_EVERY).to_string()),
                backup.every.is_some(),
            ),
            setting(
                "backup.keep",
                scheduled(backup.keep.unwrap_or(BACKUP_KEEP).0.to_string()),
                backup.keep.is_some(),
            ),
            setting(
                "daemon.idle_exit",
                self.daemon.idle_exit.unwrap_or(idle_exit).to_string(),
                self.daemon.idle_exit.is_some(),
            ),
            setting(
                "evidence.redaction",
                self.evidence.redaction.name().to_owned(),
                self.evidence.redaction != Redaction::default(),
            ),
            setting(
                "evidence.watch",
                if self.evidence.watch.is_empty() {
                    DEFAULT_PATTERN.to_owned()
                } else {
                    let paths = self.evidence.watch.iter().flat_map(|rule| &rule.paths);
                    paths.map(String::as_str).collect::<Vec<_>>().join(", ")
                },
                !self.evidence.watch.is_empty(),
            ),
        ]
    }
}

/// The denial for a file that cannot be understood: where, which key, and the key that was probably meant.
fn explain(text: &str, error: &toml::de::Error, denied: &dyn Fn(&str) -> Denial) -> Denial {
    let message = error.message().trim_end().to_owned();
    let mut denial = denied(&message);
    let Some(at) = error.span().map(|span| span.start.min(text.len())) else { return denial };
    let line = text.get(..at).unwrap_or_default().matches('\n').count();
    denial = denial.with("line", line + 1);
    let mut quoted = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown field") {
        let key = text.lines().nth(line).and_then(|line| line.split_once('=')).map(|(key, _)| key.trim());
        return match key {
            Some(key) => denial.with("key", format!("{key:.200}")),
            None => denial,
        };
    }
    let key = quoted.next().unwrap_or_default().to_owned();
    denial = denial.with("key", format!("{key:.200}"));
    let near = quoted
        .map(|known| (strsim::normalized_damerau_levenshtein(&key, known), known))
        .max_by(|left, right| left.0.total_cmp(&right.0));
    match near {
        Some((_, near)) => denial
            .with("nearest", near)
            .message(format!("line {}: there is no setting {key:.200} here; did you mean {near}?", line + 1)),
        None => denial,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, Denial> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("kaizen.toml"), text).unwrap();
        Config::read(directory.path())
    }

    #[test]
    fn times_are_numbers_with_a_unit() {
        for (text, seconds) in [("1s", 1), ("30m", 1800), ("24h", 86_400), ("7d", 604_800), ("2w", 1_209_600)]
        {
            let span = Span::parse(text).unwrap();
            assert_eq!(span.0.as_secs(), seconds, "{text}");
            assert_eq!(Span::parse(&span.to_string()), Some(span));
        }
        for text in [
            "",
            "h",
            "24",
            "24 h",
            "-1h",
            "+1h",
            "1.5h",
            "0s",
            "24H",
            "1y",
            "99999999999999999999h",
            "1h1m",
            "é",
        ] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
    }

    #[test]
    fn backups_are_made_when_the_section_is_there() {
        assert_eq!(read("").unwrap().schedule(), None);
        assert_eq!(read("[backup]").unwrap().schedule(), Some((Duration::from_hours(24), 7)));
        let asked = read("[backup]\nevery = \"30m\"\nkeep = 3").unwrap();
        assert_eq!(asked.schedule(), Some((Duration::from_mins(30), 3)));
    }

    #[test]
    fn a_denial_names_the_line_the_key_and_the_nearest_known_one() {
        let denial = read("[db]\npath = \"x\"\n[backup]\nevry = \"1h\"").unwrap_err();
        assert_eq!(denial.code, Code::Config);
        assert_eq!(denial.field("line"), Some(&4.into()));
        assert_eq!(denial.field("key"), Some(&"evry".into()));
        assert_eq!(denial.field("nearest"), Some(&"every".into()));
        for (text, key, line) in [
            ("\nbackups = 1", "backups", 2),
            ("[backup]\nkeep = 0", "keep", 2),
            ("[backup]\nkeep = \"7\"", "keep", 2),
            ("[backup]\n\nevery = \"1 day\"", "every", 3),
            ("[daemon]\nidle_exit = 30", "idle_exit", 2),
        ] {
            let denial = read(text).unwrap_err();
            assert_eq!(denial.field("key"), Some(&key.into()), "{text}: {denial:?}");
            assert_eq!(denial.field("line"), Some(&line.into()), "{text}: {denial:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_a_regular_file_of_the_project_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let (root, path) = (directory.path().join("project"), directory.path().join("project/kaizen.toml"));
        std::fs::create_dir_all(root.join("settings")).unwrap();
        let denied =
            || Config::read(&root).unwrap_err().field("reason").unwrap().as_str().unwrap().to_owned();
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        assert_eq!(denied(), "it is a link to nothing");
        std::fs::write(directory.path().join("secret"), "token = 1").unwrap();
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("../secret", &path).unwrap();
        assert_eq!(denied(), "it is a link that leads out of the project");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(root.join("settings/kaizen.toml"), "[backup]").unwrap();
        std::os::unix::fs::symlink("settings/kaizen.toml", &path).unwrap();
        assert!(Config::read(&root).unwrap().backup.is_some());
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(denied(), "it is not a regular file");
        std::fs::remove_dir(&path).unwrap();
        std::fs::write(&path, vec![b'#'; 70_000]).unwrap();
        assert!(denied().starts_with("the file is larger"));
        std::fs::write(&path, [0xff]).unwrap();
        assert_eq!(denied(), "it is not UTF-8");
        std::fs::remove_file(&path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert_eq!(denied(), "it is not a regular file");
    }
}
