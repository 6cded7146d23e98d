//! Artifacts (A): files of the project, referenced by path, hash and size.

use super::record::InspectRecord;
use super::record::Inspected;
use crate::operation::{NO_TWINS, Status, TEXT_TWINS};

crate::params! {
    /// A reference to a file.
    NewArtifact {
        /// Path under the project's root.
        path: Option<String>,
        /// Summary in one or two sentences; names the path by default.
        summary: Option<String>,
        /// Body, at most 1,000 words.
        body: Option<String>,
        /// Kind; file by default.
        kind: Option<String>,
        /// The task that it belongs to.
        task_id: Option<String>,
        /// Mark the artifact as a test record.
        test: bool,
    }

    /// A file to hash.
    FileToHash {
        /// Path, relative to the project's root.
        path: Option<String>,
        /// Allow a file outside the project's root; it is shown as external:NAME.
        allow_external: bool,
    }

    /// Which artifacts to list.
    ArtifactsWanted {
        /// Text to find in path, summary or body, as a substring.
        query: Option<String>,
        /// At most this many records; 20 by default.
        #[cfg_attr(feature = "cli", arg(allow_negative_numbers = true))]
        limit: Option<i64>,
        /// Continue after the record with this id, the last of the page before.
        after: Option<String>,
        /// Only those of this kind.
        kind: Option<String>,
        /// Only those of this task.
        task_id: Option<String>,
        /// Only those made at or after this time: RFC 3339, a day, or a span back from now such as 24h or 7d.
        since: Option<String>,
        /// Only those made before this time; a day counts whole.
        until: Option<String>,
    }
}

crate::outputs! {
    /// An artifact was recorded.
    ArtifactStored {
        /// OK.
        status: Status,
        /// Id.
        id: String,
        /// Path under the project's root.
        path: String,
        /// SHA-256 of the file; null when there is no such file.
        sha256: Option<String>,
        /// Size in bytes; null when there is no such file.
        bytes: Option<i64>,
    }

    /// A file's hash.
    FileHash {
        /// OK.
        status: Status,
        /// Path under the project's root, or external:NAME.
        path: String,
        /// SHA-256 of the file.
        sha256: String,
        /// Size in bytes.
        bytes: i64,
    }

    /// An artifact, whole.
    Artifact {
        /// Id.
        id: String,
        /// When it was recorded.
        created_at: String,
        /// The task that it belongs to.
        task_id: Option<String>,
        /// Kind.
        kind: String,
        /// Path under the project's root.
        path: String,
        /// SHA-256 of the file when it was recorded.
        sha256: Option<String>,
        /// Size in bytes when it was recorded.
        bytes: Option<i64>,
        /// Summary.
        summary: String,
        /// Body.
        body: String,
        /// SHA-256 of the record's content.
        content_hash: String,
    }

    /// An artifact in a list.
    ArtifactBrief {
        /// Id.
        id: String,
        /// Kind.
        kind: String,
        /// Path under the project's root.
        path: String,
        /// SHA-256 of the file when it was recorded.
        sha256: Option<String>,
        /// Size in bytes when it was recorded.
        bytes: Option<i64>,
        /// Summary.
        summary: String,
        /// When it was recorded.
        created_at: String,
    }

    /// Artifacts, newest first.
    Artifacts {
        /// OK.
        status: Status,
        /// The artifacts.
        records: Vec<ArtifactBrief>,
        /// How many this page holds.
        count: usize,
        /// The id to pass as `--after` for the next page; absent on the last page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    }

    /// Whether a file is still the one that was recorded.
    ArtifactVerified {
        /// OK.
        status: Status,
        /// Id.
        id: String,
        /// Path under the project's root.
        path: String,
        /// SHA-256 when it was recorded.
        expected: Option<String>,
        /// SHA-256 now.
        actual: String,
        /// Whether they are equal.
        #[serde(rename = "match")]
        matches: bool,
    }
}

crate::operations! {
    /// Record a file with its hash
    A1 "artifact-add" "artifact.add" Write ArtifactAdd(NewArtifact) -> ArtifactStored,
        twins: TEXT_TWINS, keywords: "file reference store output",
        example: "kaizenctl A1 --path target/test.log --task-id TASK_ID --json";
    /// Hash a file without recording it
    A2 "artifact-hash" "artifact.hash" Plain ArtifactHash(FileToHash) -> FileHash,
        twins: NO_TWINS, keywords: "file sha256 checksum digest",
        example: "kaizenctl A2 --path Cargo.lock --json";
    /// Show one artifact whole
    A3 "artifact-inspect" "artifact.inspect" Read ArtifactInspect(InspectRecord) -> Inspected<Artifact>,
        twins: NO_TWINS, keywords: "file read detail",
        example: "kaizenctl A3 --id ARTIFACT_ID --json";
    /// List artifacts, newest first, or find them by text
    A4 "artifact-list" "artifact.list" Read ArtifactList(ArtifactsWanted) -> Artifacts,
        twins: NO_TWINS, keywords: "file show all search query",
        example: "kaizenctl A4 --query test.log --json";
    /// Check a recorded file against its hash
    A5 "artifact-verify" "artifact.verify" Read ArtifactVerify(InspectRecord) -> ArtifactVerified,
        twins: NO_TWINS, keywords: "file changed tampered compare sha256 checksum",
        example: "kaizenctl A5 --id ARTIFACT_ID --json";
}
