//! Dealing with one path: a look at what stands there now, and the sink.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use kaizen_proto::denial::{Code, Denial};

use super::scan::Ground;
use super::walk::{self, Look, Refused, Stamp};
use super::{Change, Outcome, Sink};
use crate::care::blocking;
use crate::plane::fault;

/// What a path turned out to be, and what was made of it.
#[derive(Debug)]
pub(super) enum Found {
    /// A file that the sink was told of, or that it cannot be told of.
    File(Stamp, Outcome),
    /// Nothing, and the sink was told so.
    Nothing(Outcome),
    /// A directory. The sink was told that there is no file, for one may have been there before.
    Directory(Outcome),
    /// Something that is not covered.
    Uncovered,
    /// Something that cannot be taken.
    Refused(Refused),
    /// The look itself failed.
    Failed(Denial),
}

/// A path that has been dealt with.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) path: Arc<str>,
    pub(super) found: Found,
}

/// Looks at a path and tells the sink. A panic of the sink is one more failure.
pub(super) async fn deal(ground: Ground, sink: Sink, path: Arc<str>) -> Settled {
    let work = AssertUnwindSafe(find(&ground, &sink, &path)).catch_unwind();
    let found = work.await.unwrap_or_else(|_| {
        Found::Failed(fault::unexpected("take a file", &format!("a panic while {path} was taken")))
    });
    Settled { path, found }
}

async fn find(ground: &Ground, sink: &Sink, path: &Arc<str>) -> Found {
    let (closely, shown) = (ground.clone(), path.clone());
    let look = match blocking(move || look(&closely, &shown)).await {
        Ok(look) => look,
        Err(denial) => return Found::Failed(denial),
    };
    match look {
        Look::Absent => Found::Nothing(sink(Change::Gone { path: path.to_string() }).await),
        Look::Directory => Found::Directory(sink(Change::Gone { path: path.to_string() }).await),
        Look::Uncovered => Found::Uncovered,
        Look::Refused(refused) => Found::Refused(refused),
        Look::File(stamp) => {
            let Some(rule) = ground.rules.matching(path).cloned() else { return Found::Uncovered };
            if !walk::is_readable(ground.rules.root(), path) {
                let denial = Denial::new(Code::FileUnreadable).with("path", &**path);
                return Found::File(stamp, Outcome::Refused(denial));
            }
            Found::File(stamp, sink(Change::Written { path: path.to_string(), stamp, rule }).await)
        }
    }
}

fn look(ground: &Ground, path: &str) -> Result<Look, Denial> {
    let look = walk::look(&ground.rules, &ground.ignores, path);
    if look == Look::Absent && !ground.rules.root().is_dir() {
        // A project that was unmounted or moved away has not lost its files.
        return Err(Denial::new(Code::StorageError)
            .with("path", ground.rules.root().display().to_string())
            .message("the project's root is not there"));
    }
    Ok(look)
}
