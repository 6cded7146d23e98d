//! The words that a parameter is known to take. The daemon refuses others, or warns about them; command lines are
//! completed with them.

use crate::families::{evidence, quality, report};
use crate::operation::Card;
use crate::record_schema::vocabulary::{AuthorityTier, EVAL_CATEGORIES, TraceKind};

/// Statuses that every kind of record knows.
pub const STATUSES: &[&str] = &["active", "recorded", "resolved", "superseded", "draft", "noted", "promoted"];
/// Statuses of tasks beside these.
pub const TASK_STATUSES: &[&str] = &["in_progress", "blocked", "done", "cancelled"];
/// Statuses of policies beside these.
pub const POLICY_STATUSES: &[&str] = &["retired"];
/// Scopes.
pub const SCOPES: &[&str] = &["project", "global", "skill", "session"];
/// Priorities of policies, the most important first; `medium` means `normal`.
pub const PRIORITIES: &[&str] = &["critical", "high", "normal", "medium", "low"];

/// Forms of a report's file.
pub const FORMATS: &[&str] = &["md", "json"];

/// The words of one parameter.
struct Words {
    /// Codes of the operations; none for all that have such a parameter.
    operations: &'static [&'static str],
    /// The parameter, with underscores.
    field: &'static str,
    /// The words, in lists that are used elsewhere too.
    lists: &'static [&'static [&'static str]],
}

/// What is known. For an operation that has several rows for a parameter, the first counts.
const TABLE: &[Words] = &[
    words(&["W1", "W2", "W10"], "status", &[STATUSES, TASK_STATUSES]),
    words(&["X1", "X6"], "status", &[STATUSES, POLICY_STATUSES]),
    words(&[], "status", &[STATUSES]),
    words(&[], "scope", &[SCOPES]),
    words(&[], "priority", &[PRIORITIES]),
    words(&[], "conclusion", &[quality::CONCLUSIONS]),
    words(&["R0"], "only", &[report::LISTS]),
    words(&["T1"], "kind", &[TraceKind::WORDS]),
    words(&["E2"], "action", &[evidence::WATCH_ACTIONS]),
    words(&["E5"], "kind", &[evidence::KINDS]),
    words(&["E5"], "list", &[evidence::LISTS]),
    words(&[], "chunker", &[evidence::CHUNKERS]),
    words(&[], "authority_tier", &[AuthorityTier::WORDS]),
    words(&[], "category", &[EVAL_CATEGORIES]),
    words(&[], "format", &[FORMATS]),
];

const fn words(
    operations: &'static [&'static str],
    field: &'static str,
    lists: &'static [&'static [&'static str]],
) -> Words {
    Words { operations, field, lists }
}

/// The words that a parameter of an operation is known to take, by its name with underscores; none when any text will
/// do.
pub fn of(card: &Card, field: &str) -> Vec<&'static str> {
    let row = TABLE
        .iter()
        .find(|row| row.field == field && (row.operations.is_empty() || row.operations.contains(&card.code)));
    row.map(|row| row.lists.concat()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families;

    #[test]
    fn every_row_is_about_a_parameter_that_exists() {
        for row in TABLE {
            for code in row.operations {
                let card = families::find(code).unwrap();
                assert!(card.takes(row.field), "{code} {}", row.field);
            }
            assert!(families::cards().any(|card| card.takes(row.field)), "{}", row.field);
            assert!(!row.lists.concat().is_empty(), "{}", row.field);
        }
        let card = families::find("W1").unwrap();
        assert!(of(card, "status").contains(&"in_progress") && of(card, "title").is_empty());
        let status = |code: &str| of(families::find(code).unwrap(), "status");
        assert!(status("W10").contains(&"done") && status("X6").contains(&"retired"));
    }
}
