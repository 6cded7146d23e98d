//! What a check has found so far: every fault is counted, the first of each kind are kept.

use kaizen_proto::denial::Denial;
use kaizen_proto::families::core::Fault;

use crate::plane::fault;

/// Faults that are listed at most.
const LISTED: usize = 50;

/// The kinds of faults, in the order in which they are reported: the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    Journal,
    Row,
    ContentHash,
    Revision,
    ForeignKey,
    Sqlite,
    Schema,
    Derived,
}

impl Check {
    const ALL: [Check; 8] = [
        Check::Journal,
        Check::Row,
        Check::ContentHash,
        Check::Revision,
        Check::ForeignKey,
        Check::Sqlite,
        Check::Schema,
        Check::Derived,
    ];

    fn name(self) -> &'static str {
        match self {
            Check::Journal => "journal",
            Check::Row => "row",
            Check::ContentHash => "content_hash",
            Check::Revision => "revision",
            Check::ForeignKey => "foreign_key",
            Check::Sqlite => "sqlite",
            Check::Schema => "schema",
            Check::Derived => "derived",
        }
    }
}

/// Where a fault is.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    table: Option<String>,
    id: Option<String>,
    seq: Option<i64>,
}

impl Place {
    /// A table as a whole.
    pub(super) fn table(table: &str) -> Self {
        Place { table: Some(table.to_owned()), ..Place::default() }
    }

    /// A row.
    pub(super) fn row(table: &str, id: &str) -> Self {
        Place { table: Some(table.to_owned()), id: Some(id.to_owned()), seq: None }
    }

    /// A journal entry.
    pub(super) fn entry(seq: i64) -> Self {
        Place { seq: Some(seq), ..Place::default() }
    }

    /// The journal entry that has to do with it.
    pub(super) fn with_entry(self, seq: i64) -> Self {
        Place { seq: Some(seq), ..self }
    }
}

/// The faults of one check of a plane.
#[derive(Debug, Default)]
pub(super) struct Findings {
    faults: [Vec<Fault>; Check::ALL.len()],
    counts: [usize; Check::ALL.len()],
}

impl Findings {
    /// Adds a fault.
    pub(super) fn add(&mut self, check: Check, place: Place, problem: impl Into<String>) {
        let at = check as usize;
        self.counts[at] += 1;
        if self.faults[at].len() < LISTED {
            let Place { table, id, seq } = place;
            let problem = problem.into();
            self.faults[at].push(Fault { check: check.name().to_owned(), table, id, seq, problem });
        }
    }

    /// Turns an error that the file itself is to blame for into a fault, so that the other checks still run; says
    /// whether the work came to its end.
    ///
    /// # Errors
    /// Every other error.
    pub(super) fn finished(&mut self, work: &str, outcome: rusqlite::Result<()>) -> Result<bool, Denial> {
        let Err(error) = outcome else { return Ok(true) };
        if !blames_the_file(&error) {
            return Err(fault::from_rusqlite("check the data plane", &error));
        }
        self.add(Check::Sqlite, Place::default(), format!("could not check {work}: {error}"));
        Ok(false)
    }

    /// How many faults there are.
    pub(super) fn total(&self) -> usize {
        self.counts.iter().sum()
    }

    /// How many faults of one kind there are.
    pub(super) fn count(&self, check: Check) -> usize {
        self.counts[check as usize]
    }

    /// Says the same about every fault of a kind.
    pub(super) fn remark(&mut self, check: Check, remark: &str) {
        for fault in &mut self.faults[check as usize] {
            fault.problem.push_str(remark);
        }
    }

    /// How many faults of which kinds there are, in words; empty when there are none.
    pub(super) fn summary(&self) -> String {
        let found = Check::ALL.iter().filter(|check| self.count(**check) > 0);
        found.map(|check| format!("{} {}", check.name(), self.count(*check))).collect::<Vec<_>>().join(", ")
    }

    /// The faults that are listed.
    pub(super) fn into_faults(self) -> Vec<Fault> {
        self.faults.into_iter().flatten().take(LISTED).collect()
    }
}

/// Whether an error comes from what stands in the file (a damaged page, a table or column that is gone) rather than
/// from the disk or the machine.
fn blames_the_file(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, TypeMismatch, Unknown};
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => {
            matches!(failure.code, DatabaseCorrupt | NotADatabase | TypeMismatch | Unknown)
        }
        rusqlite::Error::SqlInputError { .. } => true,
        _ => false,
    }
}
