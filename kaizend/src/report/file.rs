//! Files of documents: they are written whole before the row that names them commits, and taken away again when that
//! comes to nothing.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use kaizen_proto::canonical_json::sha256_hex;
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::id;
use kaizen_proto::time::Timestamp;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::care::blocking;
use crate::files;
use crate::plane::{Cell, Plane, ReadTx, WriteTx, fault};
use crate::registry::Context;

/// A file of this size that is about to be replaced is not kept for the case that the row is refused.
const KEPT_BYTES: u64 = 16 * 1024 * 1024;

/// Where the reports of a plane are.
pub fn directory(plane: &Plane) -> PathBuf {
    plane.db_path().with_file_name("exports").join("reports")
}

/// A path as people and records name it: under the project's root, with `/`.
pub fn shown(context: &Context, path: &Path) -> Result<String, Denial> {
    let inside = path.strip_prefix(context.binding.root()?).unwrap_or(path);
    Ok(inside.display().to_string().replace('\\', "/"))
}

/// A document with a fixed name is written by one call at a time, from the snapshot that it is made of to the commit of
/// its row, so that row and file agree.
pub type Alone = OwnedMutexGuard<()>;

/// Waits until no other document with a fixed name is being written.
pub async fn alone() -> Alone {
    static FIXED: LazyLock<Arc<Mutex<()>>> = LazyLock::new(Arc::default);
    FIXED.clone().lock_owned().await
}

/// What a file is called.
pub enum Name {
    /// `<type>-report-<stamp>-<part of the id>.<extension>`, of which there is one only.
    Stamped {
        /// Type of the report.
        report_type: &'static str,
        /// When it was generated.
        at: Timestamp,
    },
    /// A name that each new version takes over.
    Fixed(String, Alone),
}

/// The name of a document about something: `<stem>-<slug>.<extension>`. Something else that has the same slug gets a part
/// of a hash as well; `is_own` says that only one thing has this slug by rule, else the one that has come first keeps the
/// plain name.
///
/// # Errors
/// What the plane denies.
pub async fn fixed_name(
    context: &Context,
    plane: &Plane,
    tx: &mut ReadTx,
    stem: &str,
    (slug, is_own): (String, bool),
    owner: &str,
    extension: &str,
) -> Result<String, Denial> {
    let hashed = || format!("{stem}-{slug}-{}.{extension}", &sha256_hex(owner.as_bytes())[..8]);
    if !is_own {
        return Ok(hashed());
    }
    let plain = format!("{stem}-{slug}.{extension}");
    let sql = "SELECT scope FROM reports WHERE path = $1 AND scope <> $2 LIMIT 1";
    let path = shown(context, &directory(plane).join(&plain))?;
    let taken = tx.query_row(sql, &[Cell::Text(&path), Cell::Text(owner)]).await?;
    Ok(if taken.is_some() { hashed() } else { plain })
}

/// A file that is written and whose row is about to be.
pub struct Written {
    /// Id of the report.
    pub id: String,
    /// Path under the project's root.
    pub path: String,
    /// SHA-256 of the file.
    pub sha256: String,
    absolute: PathBuf,
    fixed: bool,
    /// What was in its place before.
    before: Option<Vec<u8>>,
    /// The row is written, as far as is known.
    recorded: AtomicBool,
    settled: AtomicBool,
    /// Nobody else writes this file until its row is written.
    _alone: Option<Alone>,
}

/// Writes a document's file.
///
/// # Errors
/// What the disk denies.
pub async fn write(
    context: &Context,
    plane: &Plane,
    name: Name,
    extension: &str,
    contents: String,
) -> Result<Arc<Written>, Denial> {
    let report_id = id::new("r");
    let (name, alone) = match name {
        Name::Stamped { report_type, at } => {
            let unique = &report_id[report_id.len() - 8..];
            (format!("{report_type}-report-{}-{unique}.{extension}", at.file_stamp()), None)
        }
        Name::Fixed(name, alone) => (name, Some(alone)),
    };
    let absolute = directory(plane).join(name);
    let mut written = Written {
        id: report_id,
        path: shown(context, &absolute)?,
        sha256: sha256_hex(contents.as_bytes()),
        absolute,
        fixed: alone.is_some(),
        before: None,
        recorded: AtomicBool::new(false),
        settled: AtomicBool::new(false),
        _alone: alone,
    };
    blocking(move || {
        if written.fixed {
            written.before = contents_before(&written.absolute);
        }
        if let Err(denial) = files::write(&written.absolute, contents.as_bytes()) {
            // It was never there, and what was there before still is.
            written.settled.store(true, Ordering::Release);
            return Err(denial);
        }
        Ok(Arc::new(written))
    })
    .await
}

/// What a file holds, when it is there and not too large to be kept.
fn contents_before(path: &Path) -> Option<Vec<u8>> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    (metadata.is_file() && metadata.len() <= KEPT_BYTES).then(|| std::fs::read(path).ok())?
}

impl Written {
    /// Writes the row of the file. A file with a fixed name has one row, which shows its last version.
    ///
    /// # Errors
    /// What the plane denies.
    pub fn record(
        &self,
        tx: &mut WriteTx<'_>,
        report_type: &str,
        scope: &str,
        summary: &str,
        test: bool,
    ) -> Result<String, Denial> {
        let now = tx.now();
        let known = if self.fixed {
            let sql = "SELECT id FROM reports WHERE path = $1 AND report_type = $2 ORDER BY id DESC LIMIT 1";
            tx.query_row(sql, &[Cell::Text(&self.path), Cell::Text(report_type)])?
        } else {
            None
        };
        let columns = [
            ("created_at", Cell::Text(&now)),
            ("report_type", Cell::Text(report_type)),
            ("scope", Cell::Text(scope)),
            ("path", Cell::Text(&self.path)),
            ("summary", Cell::Text(summary)),
            ("content_hash", Cell::Text(&self.sha256)),
            ("is_test", Cell::from(test)),
        ];
        let report_id = if let Some(row) = known {
            let report_id = row.text("id").to_owned();
            tx.update("reports", &report_id, &columns)?;
            report_id
        } else {
            let mut row = vec![("id", Cell::Text(&self.id))];
            row.extend(columns);
            tx.insert("reports", &row)?;
            self.id.clone()
        };
        self.recorded.store(true, Ordering::Release);
        Ok(report_id)
    }

    /// Keeps the file when its row is stored, and takes it away when it is not. Where nobody knows, it stays: a file
    /// without a row does less harm than a row without its file.
    pub fn settle<T>(&self, outcome: &Result<T, Denial>) {
        if let Err(denial) = outcome
            && denial.code != Code::StorageError
        {
            self.recorded.store(false, Ordering::Release);
        }
        self.finish();
    }

    fn finish(&self) {
        if self.settled.swap(true, Ordering::AcqRel) || self.recorded.load(Ordering::Acquire) {
            return;
        }
        let undone = match &self.before {
            Some(before) => files::write(&self.absolute, before),
            None => std::fs::remove_file(&self.absolute)
                .map_err(|error| fault::from_io("remove a file", &self.absolute, &error)),
        };
        if let Err(denial) = undone {
            tracing::warn!(%denial, "a report whose row was refused stays behind");
        }
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.finish();
    }
}
