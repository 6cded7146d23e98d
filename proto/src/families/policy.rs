//! Private policy (X): the user's rules for agents, loaded at the start of a session.

use super::record::{InspectRecord, Inspected, ListRecords, QueryRecords, Recorded};
use crate::operation::{NO_TWINS, Status, TEXT_TWINS};

crate::params! {
    /// A new policy.
    NewPolicy {
        /// Title in one line.
        title: Option<String>,
        /// Summary in one or two sentences, at most 80 words.
        summary: Option<String>,
        /// Body, at most 1,000 words.
        body: Option<String>,
        /// project (default), global, skill or session.
        scope: Option<String>,
        /// When it applies; session-start by default.
        trigger: Option<String>,
        /// critical, high, normal (default) or low.
        priority: Option<String>,
        /// Status; active by default.
        status: Option<String>,
        /// Who writes: agent (default), user, verifier …
        writer_role: Option<String>,
        /// Mark the policy as a test record.
        test: bool,
    }

    /// A revision of a policy. What is not given stays as it is.
    RevisePolicy {
        /// Id of the policy, or an unambiguous start of it.
        id: Option<String>,
        /// New summary in one or two sentences.
        summary: Option<String>,
        /// New body.
        body: Option<String>,
        /// When it applies from now on.
        trigger: Option<String>,
        /// critical, high, normal or low.
        priority: Option<String>,
        /// New status; a policy that is retired is not loaded any more.
        status: Option<String>,
    }

    /// Which policies to load.
    PoliciesWanted {
        /// Load the policies of this trigger beside those of session-start.
        trigger: Option<String>,
        /// At most this many policies; 50 by default.
        #[cfg_attr(feature = "cli", arg(allow_negative_numbers = true))]
        limit: Option<i64>,
        /// Load test records too.
        include_test: bool,
    }
}

crate::outputs! {
    /// A policy in a list.
    PolicyBrief {
        /// Id.
        id: String,
        /// Status.
        status: String,
        /// Scope.
        scope: String,
        /// When it applies.
        trigger: String,
        /// critical, high, normal or low.
        priority: String,
        /// Title.
        title: String,
        /// Summary.
        summary: String,
        /// When it was made.
        created_at: String,
    }

    /// Policies, the most important first.
    PolicyList {
        /// OK.
        status: Status,
        /// The policies.
        records: Vec<PolicyBrief>,
        /// How many policies this page holds.
        count: usize,
        /// The id to pass as `--after` for the next page; absent on the last page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    }

    /// The policies that hold a text, the most important first.
    PolicyMatches {
        /// OK.
        status: Status,
        /// The policies.
        records: Vec<PolicyBrief>,
        /// How many policies this page holds.
        count: usize,
        /// The text that was searched for.
        query: String,
        /// The id to pass as `--after` for the next page; absent on the last page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    }

    /// A policy with every column.
    Policy {
        /// Id.
        id: String,
        /// When it was made.
        created_at: String,
        /// When it last changed.
        updated_at: String,
        /// Scope.
        scope: String,
        /// When it applies.
        trigger: String,
        /// critical, high, normal or low.
        priority: String,
        /// Status.
        status: String,
        /// Title.
        title: String,
        /// Summary.
        summary: String,
        /// Body.
        body: String,
        /// The operation that made it.
        source_command: Option<String>,
        /// Who wrote it.
        writer_role: Option<String>,
        /// SHA-256 of its content.
        content_hash: String,
        /// Its current revision.
        current_revision_id: Option<String>,
        /// 1 for a test record.
        is_test: i64,
    }

    /// A policy as a session loads it.
    ActivePolicy {
        /// Id.
        id: String,
        /// Scope.
        scope: String,
        /// When it applies.
        trigger: String,
        /// critical, high, normal or low.
        priority: String,
        /// Title.
        title: String,
        /// Summary.
        summary: String,
        /// Body.
        body: String,
        /// When it was made.
        created_at: String,
    }

    /// The policies that apply to a session, the most important first.
    SessionPolicies {
        /// OK.
        status: Status,
        /// What this is.
        message: String,
        /// The policies.
        records: Vec<ActivePolicy>,
        /// How many policies these are.
        count: usize,
        /// When to load them again.
        required_action: String,
    }
}

crate::operations! {
    /// Record a private policy
    X1 "policy-add" "policy.add" Write PolicyAdd(NewPolicy) -> Recorded,
        twins: TEXT_TWINS, keywords: "rule preference instruction",
        example: "kaizenctl X1 --title \"Ask before deleting\" --summary \"Ask the user before a file is deleted.\" --priority critical --json";
    /// List policies, the most important first
    X2 "policy-list" "policy.list" Read PolicyListing(ListRecords) -> PolicyList,
        twins: NO_TWINS, keywords: "rule preference show all",
        example: "kaizenctl X2 --json";
    /// Find policies by text
    X3 "policy-query" "policy.query" Read PolicyQuery(QueryRecords) -> PolicyMatches,
        twins: NO_TWINS, keywords: "rule preference search grep",
        example: "kaizenctl X3 --query \"delete\" --json";
    /// Show one policy whole
    X4 "policy-inspect" "policy.inspect" Read PolicyInspect(InspectRecord) -> Inspected<Policy>,
        twins: NO_TWINS, keywords: "rule preference read detail body",
        example: "kaizenctl X4 --id POLICY_ID --json";
    /// Load the policies that apply to a session
    X5 "policy-session-context" "policy.session_context" Read PolicySessionContext(PoliciesWanted) -> SessionPolicies,
        twins: NO_TWINS, keywords: "rule preference start load context compaction",
        example: "kaizenctl X5 --json";
    /// Revise or retire a policy
    X6 "policy-update" "policy.update" Write PolicyUpdate(RevisePolicy) -> Recorded,
        twins: TEXT_TWINS, keywords: "rule preference change edit withdraw remove retire take back retract",
        example: "kaizenctl X6 --id POLICY_ID --status retired --json";
}
