//! The references between records, each with its broken ones.

use kaizen_proto::families::core::{Orphan, OrphanedRelationship};
use rusqlite::Connection;

use crate::plane::references::{self, Reference};
use crate::plane::write_tx::each;

/// Broken references of one kind that are shown.
const SAMPLE: usize = 5;

/// How many references are checked.
pub(super) fn checked() -> usize {
    references::checked().count()
}

/// Whether a column is one of the references.
pub(super) fn covers(table: &str, column: &str) -> bool {
    references::checked().any(|reference| (reference.child, reference.column) == (table, column))
}

/// The references that some rows break.
pub(super) fn orphans(
    connection: &Connection,
    found: &mut Vec<OrphanedRelationship>,
) -> rusqlite::Result<()> {
    for Reference { child, key, column, parent, .. } in references::checked() {
        let mut broken = OrphanedRelationship {
            child: format!("{child}.{column}"),
            parent: format!("{parent}.id"),
            orphans: 0,
            sample: Vec::new(),
            sample_truncated: false,
        };
        let sql = format!(
            "SELECT c.\"{key}\" AS child_id, c.\"{column}\" AS missing_ref FROM {child} c \
             WHERE c.\"{column}\" IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE p.id = c.\"{column}\") ORDER BY c.\"{key}\""
        );
        each(connection, &sql, |row| {
            broken.orphans += 1;
            if broken.sample.len() < SAMPLE {
                let text = |column: &str| row.text(column).to_owned();
                broken.sample.push(Orphan { child_id: text("child_id"), missing_ref: text("missing_ref") });
            }
            Ok(())
        })?;
        broken.sample_truncated = broken.orphans > broken.sample.len();
        if broken.orphans > 0 {
            found.push(broken);
        }
    }
    Ok(())
}
