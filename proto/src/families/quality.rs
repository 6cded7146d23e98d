//! Quality (Q): proofs and verifications with their evidence.

use super::record::Stored;
use crate::operation::{NO_TWINS, Status, Twin, TwinRule};

/// The conclusions that a verification may have.
pub const CONCLUSIONS: &[&str] = &[
    "VERIFIED_ACCEPTABLE",
    "ACCEPTABLE_WITH_CONCERNS",
    "NEEDS_HUMAN_DECISION",
    "STRUCTURAL_REWORK_RECOMMENDED",
    "VERIFICATION_FAILED",
    "PROOF_RECORDED",
];
/// The conclusions that block until a later acceptable one covers the same task or proof.
pub const BLOCKING: &[&str] =
    &["VERIFICATION_FAILED", "NEEDS_HUMAN_DECISION", "STRUCTURAL_REWORK_RECOMMENDED"];
/// The conclusions that clear blocking ones.
pub const ACCEPTABLE: &[&str] = &["VERIFIED_ACCEPTABLE", "ACCEPTABLE_WITH_CONCERNS"];

crate::params! {
    /// A proof or a verification.
    NewVerification {
        /// Summary in one or two sentences, at most 80 words.
        summary: Option<String>,
        /// Body, at most 1,000 words.
        body: Option<String>,
        /// One of VERIFIED_ACCEPTABLE, ACCEPTABLE_WITH_CONCERNS, NEEDS_HUMAN_DECISION, STRUCTURAL_REWORK_RECOMMENDED,
        /// VERIFICATION_FAILED, PROOF_RECORDED.
        conclusion: Option<String>,
        /// The task that was verified.
        task_id: Option<String>,
        /// The proof that was verified.
        proof_id: Option<String>,
        /// JSON list of where the evidence is.
        evidence: Option<String>,
        /// JSON list of findings.
        findings: Option<String>,
        /// JSON list of remedies.
        remedies: Option<String>,
        /// JSON list of artifact ids.
        artifact_ids: Option<String>,
        /// How grave the findings are.
        severity: Option<String>,
        /// What the verification covers.
        scope_label: Option<String>,
        /// What can be done about the findings.
        actionability: Option<String>,
        /// Mark the verification as a test record.
        test: bool,
    }

    /// Which verifications to find. Filters are exact and all must match.
    VerificationsWanted {
        /// Only those of this task.
        task_id: Option<String>,
        /// Only those with this conclusion.
        conclusion: Option<String>,
        /// Only those of this severity.
        severity: Option<String>,
        /// Text to find in summary or body, as a substring.
        query: Option<String>,
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
}

crate::outputs! {
    /// A verification in a list.
    VerificationBrief {
        /// Id.
        id: String,
        /// When it was made.
        created_at: String,
        /// The task that was verified.
        task_id: Option<String>,
        /// The proof that was verified.
        proof_id: Option<String>,
        /// The conclusion.
        conclusion: String,
        /// How grave the findings are.
        severity: Option<String>,
        /// What it covers.
        scope_label: Option<String>,
        /// What can be done about the findings.
        actionability: Option<String>,
        /// Summary.
        summary: String,
    }

    /// Verifications, newest first.
    Verifications {
        /// OK.
        status: Status,
        /// The verifications.
        records: Vec<VerificationBrief>,
        /// How many this page holds.
        count: usize,
        /// The id to pass as `--after` for the next page; absent on the last page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    }
}

const VERIFICATION_TWINS: &[Twin] = &[
    Twin { field: "summary", rule: TwinRule::Inline },
    Twin { field: "body", rule: TwinRule::Inline },
    Twin { field: "evidence", rule: TwinRule::NonEmptyInline },
    Twin { field: "findings", rule: TwinRule::NonEmptyInline },
    Twin { field: "remedies", rule: TwinRule::NonEmptyInline },
    Twin { field: "artifact_ids", rule: TwinRule::NonEmptyInline },
];

crate::operations! {
    /// Record a proof
    Q1 "proof-add" "proof.add" Write ProofAdd(NewVerification) -> Stored,
        twins: VERIFICATION_TWINS, keywords: "evidence test output log",
        example: "kaizenctl Q1 --task-id TASK_ID --summary \"All 40 tests pass.\" --evidence '[\"target/test.log\"]' --json";
    /// Record a verification and its conclusion
    Q2 "verification-add" "verification.add" Write VerificationAdd(NewVerification) -> Stored,
        twins: VERIFICATION_TWINS, keywords: "verify review check accept reject conclusion go no-go",
        example: "kaizenctl Q2 --task-id TASK_ID --conclusion VERIFIED_ACCEPTABLE --summary \"The fix holds under load.\" --evidence '[\"target/test.log\"]' --json";
    /// Find proofs and verifications
    Q9 "verify-query" "verification.query" Read VerificationQuery(VerificationsWanted) -> Verifications,
        twins: NO_TWINS, keywords: "proof evidence search filter blocking conclusion",
        example: "kaizenctl Q9 --task-id TASK_ID --json";
}
