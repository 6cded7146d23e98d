//! Reports (R): the digest that a session starts from.

use std::collections::BTreeMap;

use crate::operation::{NO_TWINS, Status};

/// The lists of the digest.
pub const LISTS: &[&str] =
    &["policies", "active_gotchas", "blocking_verifications", "recent_learned", "active_tasks"];

crate::params! {
    /// How much of the digest is wanted.
    DigestWanted {
        /// At most this many records in each list; 5 by default. Policies are up to 20.
        #[cfg_attr(feature = "cli", arg(allow_negative_numbers = true))]
        limit: Option<i64>,
        /// Only what changed after this journal number.
        since: Option<i64>,
        /// Only this list: policies, active_gotchas, blocking_verifications, recent_learned or active_tasks.
        only: Option<String>,
        /// Count and list test records too.
        include_test: bool,
    }
}

crate::outputs! {
    /// A policy in the digest.
    DigestPolicy {
        /// Id.
        id: String,
        /// critical, high, normal or low.
        priority: String,
        /// When it applies.
        trigger: String,
        /// Title.
        title: String,
        /// Summary.
        summary: String,
        /// Body; shortened when the digest would grow too large.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
    }

    /// A gotcha or a lesson in the digest.
    DigestRecord {
        /// Id.
        id: String,
        /// Title.
        title: String,
        /// Summary.
        summary: String,
        /// When it was made.
        created_at: String,
    }

    /// A verification that blocks.
    DigestVerification {
        /// Id.
        id: String,
        /// The task that was verified.
        task_id: Option<String>,
        /// The conclusion.
        conclusion: String,
        /// How grave the findings are.
        severity: Option<String>,
        /// What can be done about the findings.
        actionability: Option<String>,
        /// Summary.
        summary: String,
        /// When it was made.
        created_at: String,
    }

    /// An active task in the digest.
    DigestTask {
        /// Id.
        id: String,
        /// Title.
        title: String,
        /// Status.
        status: String,
        /// Summary.
        summary: String,
        /// When it last changed.
        updated_at: String,
    }

    /// How much there is, whatever the lists show.
    DigestCounts {
        /// Active policies.
        policies_active: i64,
        /// Active gotchas.
        gotchas_active: i64,
        /// Verifications that block.
        blocking_verifications: i64,
        /// Learned lessons.
        learned_total: i64,
        /// Active tasks.
        tasks_active: i64,
        /// Active tasks that no ledger event belongs to.
        active_tasks_without_ledger: i64,
        /// Ledger events of the last seven days.
        ledger_events_last_7d: i64,
        /// Proofs and verifications of the last seven days.
        verifications_last_7d: i64,
    }

    /// What the digest left out of one of its lists to stay small.
    Omission {
        /// How many records of the list were left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        left_out: Option<usize>,
        /// How many records were shortened.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shortened: Option<usize>,
        /// The command that shows them.
        get: String,
    }

    /// The state of the project, for the start of a session. At most 7,500 bytes.
    Digest {
        /// OK.
        status: Status,
        /// What this is.
        message: String,
        /// Active policies, the most important first.
        policies: Vec<DigestPolicy>,
        /// Active gotchas, newest first.
        active_gotchas: Vec<DigestRecord>,
        /// Verifications that block, newest first.
        blocking_verifications: Vec<DigestVerification>,
        /// Learned lessons, newest first.
        recent_learned: Vec<DigestRecord>,
        /// Active tasks, the last changed first.
        active_tasks: Vec<DigestTask>,
        /// How much there is in all.
        counts: DigestCounts,
        /// By list, what was left out to stay within the size.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        omitted: BTreeMap<String, Omission>,
        /// The number of the last journal entry that the digest knows.
        seq: i64,
        /// What to do next.
        required_action: String,
    }
}

crate::operations! {
    /// Show the state of the project in one small reply
    R0 "session-digest" "session.digest" Read SessionDigest(DigestWanted) -> Digest,
        twins: NO_TWINS, keywords: "start resume context overview summary status compaction",
        example: "kaizenctl R0 --json";
}
