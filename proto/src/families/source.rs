//! Source locks (S): what the project relies on from outside, with version, authority and licence.

use super::record::{InspectRecord, Inspected};
use crate::operation::{NO_TWINS, Status, TEXT_TWINS};

crate::params! {
    /// A source to lock.
    NewSource {
        /// What the source is called here, such as sqlite-docs. Locks of its versions share it.
        source_id: Option<String>,
        /// normative, official_docs, implementation or design_guidance.
        authority_tier: Option<String>,
        /// Where it is.
        url_or_repository: Option<String>,
        /// Summary in one or two sentences, at most 80 words.
        summary: Option<String>,
        /// Body, at most 1,000 words.
        body: Option<String>,
        /// Version, tag or commit.
        version_or_commit: Option<String>,
        /// When it was retrieved.
        retrieved_at: Option<String>,
        /// Hash of what was retrieved.
        content_hash: Option<String>,
        /// Licence, at most 10 words.
        license: Option<String>,
        /// Id of the lock that this one takes the place of.
        supersedes: Option<String>,
        /// Mark the lock as a test record.
        test: bool,
    }

    /// Which source locks to find.
    SourcesWanted {
        /// Text to find in source id, place or summary, as a substring; all locks when absent.
        query: Option<String>,
        /// Only those of this tier.
        authority_tier: Option<String>,
        /// At most this many records; 20 by default.
        #[cfg_attr(feature = "cli", arg(allow_negative_numbers = true))]
        limit: Option<i64>,
        /// Continue after the record with this id, the last of the page before.
        after: Option<String>,
        /// Only those made at or after this time: RFC 3339, a day, or a span back from now such as 24h or 7d.
        since: Option<String>,
        /// Only those made before this time; a day counts whole.
        until: Option<String>,
    }

    /// Which source locks to export.
    SourcesToExport {
        /// Export test records too.
        include_test: bool,
    }
}

crate::outputs! {
    /// A source was locked.
    SourceStored {
        /// OK.
        status: Status,
        /// Id of the lock.
        id: String,
        /// What the source is called.
        source_id: String,
    }

    /// A source lock in a list.
    SourceBrief {
        /// Id.
        id: String,
        /// What the source is called.
        source_id: String,
        /// How much it says.
        authority_tier: String,
        /// Where it is.
        url_or_repository: String,
        /// Version, tag or commit.
        version_or_commit: Option<String>,
        /// Summary.
        summary: String,
    }

    /// Source locks, newest first.
    Sources {
        /// OK.
        status: Status,
        /// The locks.
        records: Vec<SourceBrief>,
        /// How many this page holds.
        count: usize,
        /// The id to pass as `--after` for the next page; absent on the last page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    }

    /// A source lock, every column.
    SourceLock {
        /// Id.
        id: String,
        /// When it was made.
        created_at: String,
        /// What the source is called.
        source_id: String,
        /// How much it says.
        authority_tier: String,
        /// Where it is.
        url_or_repository: String,
        /// Version, tag or commit.
        version_or_commit: Option<String>,
        /// When it was retrieved.
        retrieved_at: Option<String>,
        /// Hash of what was retrieved, as given.
        content_hash: Option<String>,
        /// Licence.
        license: Option<String>,
        /// The lock that this one takes the place of.
        supersedes: Option<String>,
        /// Summary.
        summary: String,
        /// Body.
        body: String,
        /// Whether it is a test record.
        is_test: i64,
    }

    /// One source in `sources.lock.json`.
    ExportedSource {
        /// What the source is called.
        source_id: String,
        /// How much it says.
        authority_tier: String,
        /// Where it is.
        url_or_repository: String,
        /// Version, tag or commit.
        version_or_commit: Option<String>,
        /// When it was retrieved.
        retrieved_at: Option<String>,
        /// Hash of what was retrieved.
        content_hash: Option<String>,
        /// Licence.
        license: Option<String>,
        /// The lock that this one takes the place of.
        supersedes: Option<String>,
    }

    /// What `sources.lock.json` holds.
    SourcesLock {
        /// When it was written.
        generated_at: String,
        /// The sources, by their names.
        sources: Vec<ExportedSource>,
    }

    /// The source locks were exported.
    SourcesExported {
        /// OK.
        status: Status,
        /// The file, under the project's root.
        path: String,
        /// How many sources it holds.
        count: usize,
        /// SHA-256 of the file.
        sha256: String,
    }
}

crate::operations! {
    /// Lock a source: what it is, where, which version
    S1 "source-add" "source.add" Write SourceAdd(NewSource) -> SourceStored,
        twins: TEXT_TWINS, keywords: "reference documentation url repository version licence authority dependency cite citation",
        example: "kaizenctl S1 --source-id sqlite-docs --authority-tier official_docs --url-or-repository https://sqlite.org/docs.html --summary \"How SQLite works.\" --json";
    /// List source locks, newest first, or find them by text
    S2 "source-query" "source.query" Read SourceQuery(SourcesWanted) -> Sources,
        twins: NO_TWINS, keywords: "reference documentation search find list",
        example: "kaizenctl S2 --query sqlite --json";
    /// Show one source lock whole
    S3 "source-inspect" "source.inspect" Read SourceInspect(InspectRecord) -> Inspected<SourceLock>,
        twins: NO_TWINS, keywords: "reference read detail",
        example: "kaizenctl S3 --id SOURCE_ID --json";
    /// Write all source locks to sources.lock.json
    S4 "source-export" "source.export" Read SourceExport(SourcesToExport) -> SourcesExported,
        twins: NO_TWINS, keywords: "lock file write licences bill of materials",
        example: "kaizenctl S4 --json";
}
