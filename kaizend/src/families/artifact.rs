//! Artifacts (A): files of the project, referenced by path, hash and size.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use kaizen_proto::canonical_json;
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::artifact::{
    Artifact, ArtifactAdd, ArtifactBrief, ArtifactHash, ArtifactInspect, ArtifactList, ArtifactStored,
    ArtifactVerified, ArtifactVerify, Artifacts, ArtifactsWanted, FileHash, FileToHash, NewArtifact,
};
use kaizen_proto::families::record::{InspectRecord, Inspected};
use kaizen_proto::operation::Status;
use kaizen_proto::{id, limits};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::record::{self, Listing, Window};
use crate::plane::{Cell, ReadTx, WriteTx, fault};
use crate::registry::{Context, PlainOperation, ReadOperation, Registry, WriteOperation};

/// Bytes of a path at most.
const PATH_BYTES: usize = 4096;

/// Registers the handlers.
pub fn register(registry: &mut Registry) {
    registry
        .write::<ArtifactAdd>()
        .plain::<ArtifactHash>()
        .read::<ArtifactInspect>()
        .read::<ArtifactList>()
        .read::<ArtifactVerify>();
}

/// A path that a caller gave, with `..` and symbolic links resolved.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// The file, or what would be the file if it existed.
    pub(crate) file: PathBuf,
    /// The path under the root with `/`, or `external:NAME`.
    pub(crate) shown: String,
}

/// Resolves a path against the project's root and keeps it inside.
pub(crate) fn resolve(root: &Path, path: Option<&String>, allow_external: bool) -> Result<Resolved, Denial> {
    let path = path.filter(|path| !path.is_empty()).ok_or_else(|| Denial::new(Code::PathRequired))?;
    limits::check_bytes("path", path, PATH_BYTES)?;
    let joined = root.join(path);
    let file = real_path(&joined).map_err(|error| unreadable(&joined, &error))?;
    if let Ok(inside) = file.strip_prefix(root) {
        let parts: Vec<_> = inside.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        let shown = if parts.is_empty() { ".".to_owned() } else { parts.join("/") };
        return Ok(Resolved { file, shown });
    }
    if allow_external {
        let name = file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        return Ok(Resolved { file, shown: format!("external:{name}") });
    }
    Err(Denial::new(Code::PathOutsideRepo).with("path", joined.display().to_string()))
}

/// The path with all links resolved as far as it exists, and `..` taken away in the rest.
pub(super) fn real_path(path: &Path) -> io::Result<PathBuf> {
    let mut real = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                real.pop();
            }
            Component::CurDir => {}
            part => {
                real.push(part);
                match std::fs::canonicalize(&real) {
                    Ok(canonical) => real = canonical,
                    // A part that does not exist cannot lead elsewhere. A dangling link could once its target is made.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        if let Ok(target) = std::fs::read_link(&real) {
                            real.pop();
                            real = real_path(&real.join(target))?;
                        }
                    }
                    Err(error) if is_absent(&error) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
    Ok(real)
}

/// Whether the error says that there is no such file, and with this name cannot be one.
fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | InvalidFilename)
}

fn unreadable(path: &Path, error: &io::Error) -> Denial {
    Denial::new(Code::FileUnreadable)
        .with("path", path.display().to_string())
        .with("reason", error.to_string())
}

/// SHA-256 and size of a regular file; none when there is no regular file.
fn hash_file(path: &Path) -> io::Result<Option<(String, i64)>> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Ok(None),
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut chunk = vec![0; 256 * 1024];
    let mut bytes = 0_i64;
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(Some((canonical_json::hex(&digest.finalize()), bytes)));
        }
        digest.update(&chunk[..read]);
        bytes += i64::try_from(read).unwrap_or(0);
    }
}

/// [`hash_file`] off the threads that serve calls.
async fn hash(context: &Context, path: PathBuf) -> Result<Option<(String, i64)>, Denial> {
    if context.daemon.projects.holds(&path) {
        return Err(Denial::new(Code::FileUnreadable)
            .with("path", path.display().to_string())
            .with("reason", "it belongs to an open data plane and changes all the time")
            .action("Back the data plane up with `kaizenctl K3`, and record the copy."));
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "awaited right here, so a drain waits for it with the call"
    )]
    let hashing =
        tokio::task::spawn_blocking(move || hash_file(&path).map_err(|error| unreadable(&path, &error)));
    hashing.await.unwrap_or_else(|error| Err(fault::unexpected("hash a file", &error)))
}

/// An artifact that is ready to be written.
pub struct Draft {
    path: String,
    absolute: String,
    hash: Option<(String, i64)>,
    summary: String,
    body: String,
    kind: String,
    task_id: Option<String>,
    test: bool,
}

impl WriteOperation for ArtifactAdd {
    type Prepared = Draft;

    async fn prepare(context: &Context, params: NewArtifact) -> Result<Draft, Denial> {
        if params.path.as_deref().unwrap_or_default().is_empty() {
            return Err(Denial::new(Code::PathRequired));
        }
        let path = resolve(context.binding.root()?, params.path.as_ref(), false)?;
        let summary = params.summary.unwrap_or_else(|| format!("Reference to {}", plain_name(&path.shown)));
        let body = params.body.unwrap_or_default();
        limits::check_summary(&summary)?;
        limits::check_body("body", &body)?;
        let draft = Draft {
            hash: hash(context, path.file.clone()).await?,
            absolute: path.file.display().to_string(),
            path: path.shown,
            summary,
            body,
            kind: record::given_or(params.kind, "file"),
            task_id: record::given(params.task_id),
            test: params.test,
        };
        record::check_short(&[
            ("kind", &draft.kind),
            ("task_id", draft.task_id.as_deref().unwrap_or_default()),
        ])?;
        Ok(draft)
    }

    fn apply(tx: &mut WriteTx<'_>, draft: &Draft) -> Result<ArtifactStored, Denial> {
        let task_id = record::soft_task(tx, draft.task_id.as_deref())?;
        tx.about_task(task_id.as_deref());
        if draft.hash.is_none() {
            tx.warn(format!("{}: there is no regular file, so no hash is recorded", draft.path));
        }
        let (id, now) = (id::new("a"), tx.now());
        let (sha256, bytes) = match &draft.hash {
            Some((sha256, bytes)) => (Some(sha256.clone()), Some(*bytes)),
            None => (None, None),
        };
        let content_hash = canonical_json::hash(&json!({
            "id": id, "path": draft.absolute, "sha256": sha256, "body": draft.body,
        }));
        tx.insert(
            "artifacts",
            &[
                ("id", Cell::Text(&id)),
                ("created_at", Cell::Text(&now)),
                ("task_id", task_id.as_deref().into()),
                ("kind", Cell::Text(&draft.kind)),
                ("path", Cell::Text(&draft.path)),
                ("sha256", (&sha256).into()),
                ("bytes", bytes.into()),
                ("summary", Cell::Text(&draft.summary)),
                ("body", Cell::Text(&draft.body)),
                ("content_hash", Cell::Text(&content_hash)),
                ("is_test", Cell::from(draft.test)),
            ],
        )?;
        Ok(ArtifactStored { status: Status::Ok, id, path: draft.path.clone(), sha256, bytes })
    }
}

/// A path as one word of a sentence: no white space after a full stop, and short enough for a summary.
pub(super) fn plain_name(path: &str) -> String {
    let mut name = path.split_whitespace().collect::<Vec<_>>().join("_");
    name.truncate(name.floor_char_boundary(1024));
    name
}

/// The file that a caller named, which may be outside the project when the caller allows it.
fn named(context: &Context, path: Option<&String>, allow_external: bool) -> Result<Resolved, Denial> {
    if path.is_none_or(String::is_empty) {
        return Err(Denial::new(Code::PathRequired));
    }
    resolve_allowed(context.binding.root()?, path, allow_external)
}

/// Like `resolve`, for operations whose caller may allow what is outside: the refusal says so.
pub(crate) fn resolve_allowed(
    root: &Path,
    path: Option<&String>,
    allow_external: bool,
) -> Result<Resolved, Denial> {
    resolve(root, path, allow_external).map_err(|denial| {
        if denial.code == Code::PathOutsideRepo {
            denial.action("Name a file under the project's root, or pass --allow-external.")
        } else {
            denial
        }
    })
}

impl PlainOperation for ArtifactHash {
    async fn run(context: &Context, params: FileToHash) -> Result<FileHash, Denial> {
        let path = named(context, params.path.as_ref(), params.allow_external)?;
        let missing = || Denial::new(Code::FileNotFound).with("path", path.file.display().to_string());
        let (sha256, bytes) = hash(context, path.file.clone()).await?.ok_or_else(missing)?;
        Ok(FileHash { status: Status::Ok, path: path.shown, sha256, bytes })
    }
}

/// The text of a file that a caller named: UTF-8 without its byte order mark, with line feeds only.
///
/// # Errors
/// What is wrong with the path or the file; `DENIED_FILE_TOO_LARGE` above `limit` bytes.
pub(crate) async fn read_text(
    context: &Context,
    path: Option<&String>,
    allow_external: bool,
    limit: usize,
) -> Result<String, Denial> {
    let path = named(context, path, allow_external)?;
    if context.daemon.projects.holds(&path.file) {
        return Err(unreadable(&path.file, &io::Error::other("it belongs to an open data plane")));
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "awaited right here, so a drain waits for it with the call"
    )]
    let reading = tokio::task::spawn_blocking(move || read_text_file(&path, limit));
    reading.await.unwrap_or_else(|error| Err(fault::unexpected("read a file", &error)))
}

fn read_text_file(path: &Resolved, limit: usize) -> Result<String, Denial> {
    let unreadable = |error: io::Error| unreadable(&path.file, &error);
    // Opening a FIFO would wait for a writer.
    let is_file = match std::fs::metadata(&path.file) {
        Ok(metadata) => metadata.is_file(),
        Err(error) if is_absent(&error) => false,
        Err(error) => return Err(unreadable(error)),
    };
    if !is_file {
        return Err(Denial::new(Code::FileNotFound).with("path", path.file.display().to_string()));
    }
    let mut bytes = Vec::new();
    // One byte more than fits shows that there is too much.
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    File::open(&path.file).and_then(|file| file.take(most).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() > limit {
        return Err(Denial::new(Code::FileTooLarge).with("path", path.shown.as_str()).with("limit", limit));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| Denial::new(Code::FileNotUtf8).with("path", path.shown.as_str()))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n").replace('\r', "\n"))
}

impl ReadOperation for ArtifactInspect {
    fn check(params: &InspectRecord) -> Result<(), Denial> {
        record::required_id(params.id.as_ref()).map(drop)
    }

    async fn run(
        _context: &Context,
        tx: &mut ReadTx,
        params: InspectRecord,
    ) -> Result<Inspected<Artifact>, Denial> {
        record::inspect(tx, "artifacts", params.id.as_ref()).await
    }
}

impl ReadOperation for ArtifactList {
    async fn run(_context: &Context, tx: &mut ReadTx, params: ArtifactsWanted) -> Result<Artifacts, Denial> {
        let (query, after) = (record::given(params.query), record::given(params.after));
        let kind = record::given(params.kind);
        let task_id = record::soft_read(tx, "tasks", record::given(params.task_id)).await?;
        let listing = Listing {
            table: "artifacts",
            columns: "t.id, t.kind, t.path, t.sha256, t.bytes, t.summary, t.created_at",
            searched: &["path", "summary", "body"],
            query: query.as_deref(),
            filters: record::filters(&[("kind", &kind), ("task_id", &task_id)]),
            limit: record::page_limit(params.limit, record::DEFAULT_LIMIT),
            after: after.as_deref(),
            window: Window::read(params.since, params.until)?,
        };
        let page = record::page::<ArtifactBrief>(tx, &listing).await?;
        Ok(Artifacts {
            status: Status::Ok,
            count: page.records.len(),
            records: page.records,
            next: page.next,
        })
    }
}

impl ReadOperation for ArtifactVerify {
    fn check(params: &InspectRecord) -> Result<(), Denial> {
        record::required_id(params.id.as_ref()).map(drop)
    }

    async fn run(
        context: &Context,
        tx: &mut ReadTx,
        params: InspectRecord,
    ) -> Result<ArtifactVerified, Denial> {
        let artifact = record::inspect::<Artifact>(tx, "artifacts", params.id.as_ref()).await?.record;
        let root = context.binding.root()?;
        // The file may have become a link that leads outside since it was recorded.
        let path = resolve(root, Some(&artifact.path), false)?;
        let missing = || Denial::new(Code::FileNotFound).with("path", path.file.display().to_string());
        let (actual, _) = hash(context, path.file.clone()).await?.ok_or_else(missing)?;
        Ok(ArtifactVerified {
            status: Status::Ok,
            matches: artifact.sha256.as_deref() == Some(actual.as_str()),
            id: artifact.id,
            path: artifact.path,
            expected: artifact.sha256,
            actual,
        })
    }
}
