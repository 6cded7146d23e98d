//! Reading back whatever kind a record is of: one record with its links, and search over all of them.

use serde_json::{Map, Value};

use crate::operation::Status;

crate::params! {
    /// What to search for in all records.
    RecordsSought {
        /// Words to find; those in "double quotes" as a phrase, a word with a star at its end as a beginning.
        query: Option<String>,
        /// Only these kinds, separated by commas: gotcha, learning, learned, task, plan, verification, artifact, policy,
        /// eval-case, eval-run, anti-pattern, source, review, packet, diagnostic, trace, score, proposal, report, ledger.
        /// All but ledger by default.
        kind: Option<String>,
        /// Only those with this status; for a verification its conclusion.
        status: Option<String>,
        /// Only those of this task.
        task_id: Option<String>,
        /// Only those made at or after this time: RFC 3339, a day, or a span back from now such as 24h or 7d.
        since: Option<String>,
        /// Only those made before this time; a day counts whole.
        until: Option<String>,
        /// At most this many records; 20 by default, 200 at most.
        #[cfg_attr(feature = "cli", arg(allow_negative_numbers = true))]
        limit: Option<i64>,
        /// Continue after the record with this id, the last of the page before.
        after: Option<String>,
        /// Find test records too.
        include_test: bool,
    }
}

crate::outputs! {
    /// A record that was found.
    Found {
        /// Id.
        id: String,
        /// What kind of record it is.
        kind: String,
        /// Its status, for a verification its conclusion.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<String>,
        /// Its title, or what stands for one.
        title: String,
        /// The part of the text around the hits, which stand between ** and **.
        snippet: String,
        /// The task that it belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task_id: Option<String>,
        /// When it was made.
        created_at: String,
        /// How well it fits; higher is better. Comparable within one reply only.
        score: f64,
    }

    /// The records that fit best, best first.
    FoundRecords {
        /// OK.
        status: Status,
        /// `all`: every word was found in each record. `any`: no record holds all words, so these hold some of them.
        mode: String,
        /// The records.
        records: Vec<Found>,
        /// How many this page holds.
        count: usize,
        /// The text that was searched for.
        query: String,
        /// The id to pass as `--after` for the next page; absent on the last page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    }

    /// One revision of a record.
    RevisionBrief {
        /// Id.
        id: String,
        /// Its number, from 1.
        revision_number: i64,
        /// When it was made.
        created_at: String,
        /// Status from then on.
        status: String,
        /// Summary from then on.
        summary: String,
        /// The operation that made it.
        source_command: Option<String>,
        /// SHA-256 of the content.
        content_hash: String,
    }

    /// A link between the record and another one.
    Link {
        /// `to`: the record names the other one. `from`: the other one names the record.
        direction: String,
        /// The column that holds the link.
        by: String,
        /// What kind of record is at the other end.
        kind: String,
        /// Its id.
        id: String,
        /// Its title, or the start of its summary; absent when there is no such record.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
    }

    /// A journal entry that changed the record.
    ChangeBrief {
        /// Number of the entry.
        seq: i64,
        /// When.
        at: String,
        /// By which operation.
        operation: String,
        /// Who acted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        actor: Option<String>,
        /// In which session.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<String>,
    }

    /// One record of any kind, with all that hangs together with it.
    InspectedRecord {
        /// OK.
        status: Status,
        /// What kind of record it is.
        kind: String,
        /// The table that holds it.
        table: String,
        /// Every column of the record.
        record: Map<String, Value>,
        /// Its revisions, the first one first.
        revisions: Vec<RevisionBrief>,
        /// Its links in both directions; the newest 50 of each column.
        links: Vec<Link>,
        /// The journal entries that changed it, the first one first.
        journal: Vec<ChangeBrief>,
    }
}
