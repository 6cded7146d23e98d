//! K12: taking a secret out of everything that the data plane keeps, without a way back.
//!
//! First one journalled write: the field and the same field of the record's revisions are masked, every other text of
//! every table that holds the same secret likewise, the content hashes and revision chains of what changed are computed
//! anew, and kept replies that quote it are forgotten. Then the residue: the search index is built anew, the database
//! vacuumed, and the log written back and emptied. Then each backup, through a copy that takes its place when it is
//! clean. A crash in between leaves work undone that the same call does when it is repeated: the copies in a backup are
//! found through the backup's own row of the record.

mod backups;
mod records;
mod residue;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use kaizen_proto::denial::Denial;
use kaizen_proto::families::core::{RecordErased, WhatToErase};
use kaizen_proto::limits;
use kaizen_proto::operation::Status;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::backups::backups;
use self::records::write;
use self::residue::{clean, holders};
use super::blocking;
use crate::families::record;
use crate::plane::{Caller, Plane};
use crate::redaction::{Kind, gate};

const OPERATION: &str = "K12";
/// What stands for a whole field.
const ERASED: &str = "[ERASED]";
/// The class under which a whole field is reported.
const WHOLE: &str = "ERASED";
/// Held by the call that erases.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
const ALL: &[Kind] = &[Kind::Secret, Kind::Personal];

/// What is to be erased.
#[derive(Clone, Debug)]
pub struct Request {
    id: String,
    field: String,
    whole: bool,
    reason: Option<String>,
}

/// A text that must not be anywhere any more, and its class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Unwanted {
    text: String,
    class: &'static str,
}

impl Unwanted {
    fn mask(&self) -> String {
        if self.class == WHOLE { ERASED.to_owned() } else { format!("[REDACTED:{}]", self.class) }
    }

    /// The text as it is, and as a JSON text spells it.
    fn spellings(&self) -> Vec<String> {
        let quoted = Value::from(self.text.as_str()).to_string();
        let escaped = quoted[1..quoted.len() - 1].to_owned();
        if escaped == self.text { vec![escaped] } else { vec![self.text.clone(), escaped] }
    }
}

/// What the write did.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Changed {
    id: String,
    table: String,
    classes: Vec<String>,
    rows: BTreeMap<String, i64>,
    /// The writer adds these two.
    #[serde(skip_serializing)]
    seq: i64,
    #[serde(skip_serializing)]
    chain_hash: String,
}

/// Checks the parameters.
///
/// # Errors
/// `DENIED_ID_REQUIRED`, `DENIED_USAGE` without a field, what is wrong with the reason, `DENIED_SECRET` when it holds one.
pub fn request(params: WhatToErase) -> Result<Request, Denial> {
    let id = record::required_id(params.id.as_ref())?.to_owned();
    let field = record::given(params.field)
        .ok_or_else(|| Denial::usage("--field is missing").action("Name the field that holds the secret."))?;
    let reason = record::given(params.reason);
    record::check_short(&[("id", &id), ("field", &field)])?;
    if let Some(reason) = &reason {
        limits::check_summary(reason)?;
        gate::check_text("reason", reason)?;
    }
    Ok(Request { id, field, whole: params.whole, reason })
}

/// Erases.
///
/// # Errors
/// `DENIED_RECORD_NOT_FOUND`, `DENIED_ID_AMBIGUOUS`, `DENIED_NOTHING_TO_ERASE`, or what SQLite or the disk denies; the
/// same call finishes then what is left.
pub async fn run(
    plane: &Plane,
    root: &Path,
    caller: Arc<Caller>,
    request: Request,
) -> Result<RecordErased, Denial> {
    // Another call would take this one's workshops for left-overs.
    let _alone = ALONE.lock().await;
    let unwanted = Arc::new(Mutex::new(BTreeSet::new()));
    let changed = write(plane, caller.clone(), &request, &unwanted, true).await?;
    plane.chore(clean).await?;
    let whole_id = Request { id: changed.id.clone(), ..request.clone() };
    let backups = backups(plane, root, &caller, &whole_id, &unwanted).await?;
    let directory = plane.db_path().with_file_name("");
    let all = held(&unwanted);
    let shown_root = root.to_path_buf();
    let open = plane.db_path().to_path_buf();
    let files = blocking(move || Ok(holders(&directory, &shown_root, &open, &all))).await?;
    let required_action = if files.is_empty() {
        "Change the secret where it is used: whoever read it before may still know it."
    } else {
        "Delete the files that are named, or make them anew; and change the secret where it is used."
    };
    Ok(RecordErased {
        status: Status::Ok,
        id: changed.id,
        table: changed.table,
        field: request.field,
        classes: changed.classes,
        rows: changed.rows,
        backups_rewritten: backups.rewritten,
        backups_removed: backups.removed,
        backups_unread: backups.unread,
        files,
        seq: changed.seq,
        chain_hash: changed.chain_hash,
        required_action: required_action.to_owned(),
    })
}

type Shared = Arc<Mutex<BTreeSet<Unwanted>>>;

fn held(unwanted: &Shared) -> Vec<Unwanted> {
    let mut all: Vec<Unwanted> =
        unwanted.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
    // A text that holds another one must be replaced before it.
    all.sort_by_key(|unwanted| std::cmp::Reverse(unwanted.text.len()));
    all
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
