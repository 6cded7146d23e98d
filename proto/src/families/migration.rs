//! Migration (M): turning Markdown files of lessons into command surfaces, and back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::operation::{NO_TWINS, Status};

/// What a plan does about one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The target is a stub already.
    KeepStub,
    /// The target holds something else: it is backed up, then replaced by the stub.
    BackupAndReplaceStub,
    /// There is a target, so the file of the same name beside `evals/` is backed up and removed.
    BackupAndRemoveOldSibling,
    /// There is only the file beside `evals/`: it is backed up and removed, and the stub stands in `evals/`.
    RelocateSiblingToEvals,
    /// There is neither: the stub is created.
    CreateStub,
}

impl Action {
    /// The action's name, as in replies and reports.
    pub fn name(self) -> &'static str {
        match self {
            Action::KeepStub => "keep-stub",
            Action::BackupAndReplaceStub => "backup-and-replace-stub",
            Action::BackupAndRemoveOldSibling => "backup-and-remove-old-sibling",
            Action::RelocateSiblingToEvals => "relocate-sibling-to-evals",
            Action::CreateStub => "create-stub",
        }
    }
}

/// Whether everything is migrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Verdict {
    /// Nothing is left to do.
    #[serde(rename = "OK")]
    Ok,
    /// Something is left to do.
    #[serde(rename = "FAILED")]
    Failed,
}

crate::params! {
    /// Where to look.
    RootsWanted {
        /// A directory to look through, relative to where you are. May be given several times; the project's root by
        /// default. It must lie in the project or in KAIZEN_SKILLS_ROOT.
        root: Vec<String>,
    }

    /// Where to migrate, or what to undo.
    ApplyMigration {
        /// A directory to look through, relative to where you are. May be given several times; the project's root by
        /// default. It must lie in the project or in KAIZEN_SKILLS_ROOT.
        root: Vec<String>,
        /// Undo the migration with this manifest instead, named by its path in the project. Only when every file is
        /// still as the migration left it, or as it was before.
        undo: Option<String>,
    }
}

crate::outputs! {
    /// One surface of a directory: its file in `evals/`, and the file of the same name beside `evals/`.
    SurfaceFound {
        /// The directory.
        root: String,
        /// The file in `evals/`.
        target_path: String,
        /// Whether something stands there.
        target_exists: bool,
        /// Whether it is a command stub.
        target_stub: bool,
        /// SHA-256 of it; null when there is no file that can be read.
        target_sha256: Option<String>,
        /// The file of the same name beside `evals/`.
        old_sibling_path: String,
        /// Whether something stands there.
        old_sibling_exists: bool,
        /// Whether it is a command stub.
        old_sibling_stub: bool,
        /// SHA-256 of it; null when there is no file that can be read.
        old_sibling_sha256: Option<String>,
    }

    /// What a root holds.
    RootScanned {
        /// The root, with all symbolic links resolved.
        root: String,
        /// Whether there is such a directory.
        exists: bool,
        /// The surfaces of its directories, three each.
        files: Vec<SurfaceFound>,
        /// How many these are; absent when the root does not exist.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<usize>,
    }

    /// What was found.
    Scanned {
        /// OK.
        status: Status,
        /// The roots, in the order in which they were given.
        roots: Vec<RootScanned>,
        /// What could not be looked at, or looks odd.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
    }

    /// One step of a plan.
    ActionPlanned {
        /// The file that the action is about.
        path: String,
        /// The file in `evals/`.
        target_path: String,
        /// The file of the same name beside `evals/`.
        old_sibling_path: String,
        /// What is done.
        action: Action,
        /// SHA-256 of the file that is kept, replaced or removed; null when there is none.
        sha256: Option<String>,
    }

    /// What a migration would do.
    MigrationPlanned {
        /// OK.
        status: Status,
        /// Always true: nothing was changed.
        dry_run: bool,
        /// The steps, in their order.
        actions: Vec<ActionPlanned>,
        /// How many these are.
        count: usize,
        /// What could not be looked at, or looks odd.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
    }

    /// What a migration did, or undid.
    MigrationApplied {
        /// OK.
        status: Status,
        /// The files that were changed.
        changed: Vec<String>,
        /// How many these are.
        count: usize,
        /// The manifest with the backups, as a path in the project: what `--undo` takes.
        manifest: String,
        /// What could not be looked at, or looks odd.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
    }

    /// Whether everything is migrated.
    MigrationVerified {
        /// OK, or FAILED when something is left to do; the exit status is 0 either way.
        status: Verdict,
        /// The files that are missing, are no stub, or should have gone, and the roots that do not exist.
        unmigrated: Vec<String>,
        /// How many these are.
        count: usize,
        /// What could not be looked at, or looks odd.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
    }

    /// A plan that was written down.
    MigrationReported {
        /// OK.
        status: Status,
        /// The report, as a path in the project.
        path: String,
        /// How many steps it lists.
        count: usize,
        /// What could not be looked at, or looks odd.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
    }
}

crate::operations! {
    /// Find Markdown files of lessons
    M1 "migration-scan" "migration.scan" Plain MigrationScan(RootsWanted) -> Scanned,
        twins: NO_TWINS, keywords: "gotcha learning learned markdown surface stub evals skill",
        example: "kaizenctl M1 --json";
    /// Show what a migration would do
    M2 "migration-dry-run" "migration.dry_run" Plain MigrationDryRun(RootsWanted) -> MigrationPlanned,
        twins: NO_TWINS, keywords: "plan preview markdown surface stub evals skill",
        example: "kaizenctl M2 --root skills --json";
    /// Put command stubs in place of Markdown lessons, or undo that
    M3 "migration-apply" "migration.apply" Plain MigrationApply(ApplyMigration) -> MigrationApplied,
        twins: NO_TWINS, keywords: "migrate replace relocate backup undo restore markdown surface stub evals skill",
        example: "kaizenctl M3 --root skills --json";
    /// Check that everything is migrated
    M4 "migration-verify" "migration.verify" Plain MigrationVerify(RootsWanted) -> MigrationVerified,
        twins: NO_TWINS, keywords: "unmigrated check markdown surface stub evals skill",
        example: "kaizenctl M4 --json";
    /// Write a report of what a migration would do
    M5 "migration-report" "migration.report" Plain MigrationReport(RootsWanted) -> MigrationReported,
        twins: NO_TWINS, keywords: "plan markdown surface stub evals skill",
        example: "kaizenctl M5 --json";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_has_one_name() {
        for action in [
            Action::KeepStub,
            Action::BackupAndReplaceStub,
            Action::BackupAndRemoveOldSibling,
            Action::RelocateSiblingToEvals,
            Action::CreateStub,
        ] {
            assert_eq!(serde_json::json!(action), action.name());
        }
    }
}
