//! E1: a file becomes a document, a new version of one, or nothing when it has been read before.
//!
//! All that may take time comes first: reading, hashing, extracting, masking and cutting. What is written then is one
//! transaction, which looks again at what was assumed.

mod directory;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use kaizen_proto::canonical_json::sha256_hex;
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::evidence::{EvidenceIngestFile, FileToIngest, Ingested};
use kaizen_proto::{id, limits, record_schema};
use serde_json::json;

use super::{chunking, store};
use crate::care::blocking;
use crate::care::config::{Config, Redaction};
use crate::families::{artifact, record};
use crate::files;
use crate::ingest::chunk::{self, Chunk, Options};
use crate::ingest::extract::{self, Extracted, Limits, Source};
use crate::ingest::watch::Rule;
use crate::plane::{Caller, Cell, Plane, Row, WriteTx, fault};
use crate::redaction::{Kind, scan};
use crate::registry::{Context, WriteOperation};

/// How much a source says when nobody says so.
const TIER: &str = "implementation";
/// What is to be masked in the text of a document.
const MASKED: &[Kind] = &[Kind::Secret, Kind::Personal];

/// What is said of a source, and how its files are read.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    pub(super) summary: Option<String>,
    pub(super) source_id: Option<String>,
    pub(super) authority_tier: String,
    pub(super) version_or_commit: Option<String>,
    pub(super) license: Option<String>,
    pub(super) supersedes: Option<String>,
    pub(super) task_id: Option<String>,
    /// None: the document is not cut.
    pub(super) chunking: Option<Options>,
    pub(super) redaction: Redaction,
    pub(super) limits: Limits,
    pub(super) ocr: bool,
    /// Whether a document that was removed stays removed as long as its file does not change.
    pub(super) keep_removed: bool,
    pub(super) test: bool,
}

impl Manner {
    /// How a file is read that a rule names and nobody asked for.
    ///
    /// # Errors
    /// As [`Limits::from_environment`].
    pub(super) fn by_itself(config: &Config, rule: &Rule) -> Result<Self, Denial> {
        Ok(Manner {
            summary: None,
            source_id: rule.source_id.clone(),
            authority_tier: rule.authority_tier.clone().unwrap_or_else(|| TIER.to_owned()),
            version_or_commit: None,
            license: None,
            supersedes: None,
            task_id: None,
            chunking: Some(Options::default()),
            redaction: config.evidence.redaction,
            limits: Limits::from_environment(&BTreeMap::new())?,
            ocr: false,
            keep_removed: true,
            test: false,
        })
    }
}

/// Where files are read for: the plane, the project's root, and the program that reads complicated formats.
#[derive(Clone, Copy)]
pub(super) struct Site<'p> {
    pub(super) plane: &'p Plane,
    pub(super) root: &'p Path,
    pub(super) program: &'p Path,
}

/// A file to read: where it is, what it is called in records, and what tells it from all others.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) file: PathBuf,
    pub(super) shown: String,
    pub(super) key: String,
}

impl Target {
    /// A file of the project, or one elsewhere, whose path is kept as a hash only.
    pub(super) fn new(resolved: artifact::Resolved) -> Self {
        let key = match resolved.shown.strip_prefix("external:") {
            Some(_) => format!("external:{}", sha256_hex(resolved.file.as_os_str().as_encoded_bytes())),
            None => resolved.shown.clone(),
        };
        Target { file: resolved.file, shown: resolved.shown, key }
    }

    fn name(&self) -> String {
        self.file.file_name().map_or_else(|| self.shown.clone(), |name| name.to_string_lossy().into_owned())
    }
}

/// A file's bytes and what tells this version of it from others.
struct Contents {
    bytes: Vec<u8>,
    sha256: String,
    mtime: i64,
}

/// A document that is ready to be stored.
pub struct Draft {
    target: Target,
    manner: Manner,
    sha256: String,
    bytes: i64,
    mtime: i64,
    /// What was read of it; none when this version of the file has been read before.
    read: Option<Read>,
    /// The document of a file with the same bytes that is not where it was.
    moved: Option<String>,
}

/// What a file says.
struct Read {
    extracted: Extracted,
    chunks: Option<Vec<Chunk>>,
    source_id: String,
    summary: String,
    redactions: i64,
}

/// What E1 is to write: one document, or nothing more after a directory.
pub enum Prepared {
    /// A file.
    Document(Box<Draft>),
    /// A directory whose files are stored.
    Directory(Box<Ingested>),
}

impl WriteOperation for EvidenceIngestFile {
    type Prepared = Prepared;

    async fn prepare(context: &Context, params: FileToIngest) -> Result<Prepared, Denial> {
        let root = context.binding.root()?;
        let resolved = artifact::resolve(root, params.path.as_ref(), params.allow_external)?;
        let manner = manner(context, &params)?;
        if params.recursive {
            return directory::ingest(context, resolved, manner)
                .await
                .map(|told| Prepared::Directory(Box::new(told)));
        }
        let plane = context.plane().await?;
        let target = Target::new(resolved);
        if context.daemon.projects.holds(&target.file) {
            return Err(in_use(&target));
        }
        let site = Site { plane: &plane, root, program: &context.daemon.program };
        draft(site, target, manner).await.map(|draft| Prepared::Document(Box::new(draft)))
    }

    fn apply(tx: &mut WriteTx<'_>, prepared: &Prepared) -> Result<Ingested, Denial> {
        match prepared {
            Prepared::Document(draft) => store(tx, draft),
            Prepared::Directory(ingested) => Ok((**ingested).clone()),
        }
    }
}

/// The denial for a file of an open data plane: whoever closes it takes SQLite's locks away.
fn in_use(target: &Target) -> Denial {
    Denial::new(Code::FileUnreadable)
        .with("path", target.file.display().to_string())
        .with("reason", "it belongs to an open data plane and changes all the time")
}

/// Stores a document in a write of its own.
///
/// # Errors
/// What the plane denies.
pub(super) async fn write(
    plane: &Plane,
    operation: &'static str,
    caller: Arc<Caller>,
    draft: Draft,
) -> Result<Ingested, Denial> {
    let apply = Box::new(move |tx: &mut WriteTx<'_>| {
        serde_json::to_string(&store(tx, &draft)?)
            .map_err(|error| fault::unexpected("write the reply", &error))
    });
    let reply = plane.write(operation, caller, None, apply).await?;
    serde_json::from_str(&reply).map_err(|error| fault::unexpected("read the reply", &error))
}

/// What the parameters of E1 and the project's settings say of the manner.
fn manner(context: &Context, params: &FileToIngest) -> Result<Manner, Denial> {
    let text = |text: &Option<String>| record::given(text.clone());
    let options = chunking::options(params.chunker.clone(), params.chunk_tokens, params.overlap)?;
    let manner = Manner {
        summary: params.summary.clone(),
        source_id: text(&params.source_id),
        authority_tier: record::given_or(params.authority_tier.clone(), TIER),
        version_or_commit: text(&params.version_or_commit),
        license: text(&params.license),
        supersedes: text(&params.supersedes),
        task_id: text(&params.task_id),
        chunking: (!params.no_chunk).then_some(options),
        redaction: context.binding.config.evidence.redaction,
        limits: Limits::from_environment(&context.binding.env)?,
        ocr: params.ocr,
        keep_removed: false,
        test: params.test,
    };
    let short = |text: &Option<String>| text.clone().unwrap_or_default();
    record::check_short(&[
        ("version_or_commit", &short(&manner.version_or_commit)),
        ("license", &short(&manner.license)),
        ("supersedes", &short(&manner.supersedes)),
        ("task_id", &short(&manner.task_id)),
    ])?;
    Ok(manner)
}

/// Reads a file and makes it ready to be stored.
///
/// # Errors
/// What keeps it from being read, or what is wrong with what is said of it.
pub(super) async fn draft(site: Site<'_>, target: Target, manner: Manner) -> Result<Draft, Denial> {
    let extension = extract::extension_of(&target.file);
    extract::check(&extension, manner.ocr)?;
    let contents = {
        let (target, most) = (target.clone(), manner.limits.bytes_for(&extension));
        blocking(move || read(&target, most)).await?
    };
    let bytes = i64::try_from(contents.bytes.len()).unwrap_or(i64::MAX);
    let mut draft = Draft {
        sha256: contents.sha256,
        bytes,
        mtime: contents.mtime,
        read: None,
        moved: None,
        target,
        manner,
    };
    if is_known(site, &mut draft).await? {
        return Ok(draft);
    }
    let path = draft.target.file.display().to_string();
    let job = extract::Job { path, extension, source: Source::Bytes(contents.bytes), ocr: draft.manner.ocr };
    let extracted = extract::extract_file(job, &draft.manner.limits, site.program).await?;
    let (redaction, chunking) = (draft.manner.redaction, draft.manner.chunking);
    let (extracted, chunks, redactions) = blocking(move || {
        let mut extracted = extracted;
        let redactions = redact(&mut extracted, redaction)?;
        let chunks = chunking.map(|options| chunk::chunk(&extracted.blocks, &options));
        Ok((extracted, chunks, redactions))
    })
    .await?;
    let blocks = extracted.blocks.len();
    let name = artifact::plain_name(&draft.target.shown);
    let summary = draft.manner.summary.clone().unwrap_or_else(|| {
        format!("Ingested {name} ({blocks} {}).", if blocks == 1 { "block" } else { "blocks" })
    });
    limits::check_summary(&summary)?;
    let source_id = draft.manner.source_id.clone().unwrap_or_else(|| draft.target.name());
    record_schema::validate(
        "source_lock",
        &json!({
            "source_id": source_id, "authority_tier": draft.manner.authority_tier,
            "url_or_repository": draft.target.shown, "content_hash": draft.sha256, "summary": summary,
        }),
    )?;
    draft.read = Some(Read { extracted, chunks, source_id, summary, redactions });
    Ok(draft)
}

/// Reads a regular file of a limited size whole.
fn read(target: &Target, most: u64) -> Result<Contents, Denial> {
    use std::io::Read as _;
    let path = target.file.display().to_string();
    let unreadable = |error: &std::io::Error| {
        let absent = matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory);
        let code = if absent || error.kind() == std::io::ErrorKind::InvalidInput {
            Code::FileNotFound
        } else {
            Code::FileUnreadable
        };
        Denial::new(code).with("path", path.as_str()).with("reason", error.to_string())
    };
    let file = files::open(&target.file).map_err(|error| unreadable(&error))?;
    let metadata = file.metadata().map_err(|error| unreadable(&error))?;
    let too_large = |bytes: u64| {
        Denial::new(Code::FileTooLarge)
            .with("path", path.as_str())
            .with("bytes", bytes)
            .with("max_bytes", most)
    };
    if metadata.len() > most {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > most {
        return Err(too_large(bytes.len() as u64));
    }
    let modified = metadata.modified().ok().and_then(|modified| modified.duration_since(UNIX_EPOCH).ok());
    let mtime = modified.and_then(|since| i64::try_from(since.as_nanos()).ok()).unwrap_or(0);
    Ok(Contents { sha256: sha256_hex(&bytes), bytes, mtime })
}

/// Whether nothing of the file needs to be read: this version has been, or the same bytes were at another place that has
/// none now.
async fn is_known(site: Site<'_>, draft: &mut Draft) -> Result<bool, Denial> {
    let mut tx = site.plane.read().await?;
    let test = Cell::from(draft.manner.test);
    let latest = tx.query_row(store::LATEST, &[Cell::Text(&draft.target.key), test]).await?;
    if let Some(latest) = latest {
        return Ok(is_same(&latest, draft));
    }
    if draft.bytes == 0 || draft.target.key.starts_with("external:") {
        return Ok(false);
    }
    let sql = "SELECT id, origin_key FROM evidence_documents WHERE file_sha256 = $1 AND is_test = $2 \
               AND state IN ('current', 'missing') ORDER BY created_at DESC LIMIT 20";
    let twins = tx.query(sql, &[Cell::Text(&draft.sha256), Cell::from(draft.manner.test)]).await?;
    draft.moved = twins
        .iter()
        .find(|twin| {
            let key = twin.text("origin_key");
            !key.starts_with("external:") && std::fs::symlink_metadata(site.root.join(key)).is_err()
        })
        .map(|twin| twin.text("id").to_owned());
    Ok(draft.moved.is_some())
}

/// Whether a document is this version of the file, and nothing needs to be stored.
fn is_same(latest: &Row, draft: &Draft) -> bool {
    let is_there = latest.text("state") != "removed" || draft.manner.keep_removed;
    is_there && latest.text("file_sha256") == draft.sha256
}

/// Masks secrets and personal details in what was read. Returns how many there were.
fn redact(extracted: &mut Extracted, redaction: Redaction) -> Result<i64, Denial> {
    if redaction == Redaction::Off {
        return Ok(0);
    }
    let mut found = 0;
    let mut classes: Vec<&'static str> = Vec::new();
    for block in &mut extracted.blocks {
        for text in std::iter::once(&mut block.text).chain(&mut block.section) {
            if !scan::may_hit(text, MASKED) {
                continue;
            }
            let hits = scan::scan_for(text, MASKED);
            found += i64::try_from(hits.len()).unwrap_or(i64::MAX);
            for hit in &hits {
                if !classes.contains(&hit.class) {
                    classes.push(hit.class);
                }
            }
            if !hits.is_empty() {
                *text = scan::mask(text, MASKED).into_owned();
            }
        }
    }
    if found > 0 && redaction == Redaction::Deny {
        return Err(Denial::new(Code::Secret)
            .with("count", found)
            .with("classes", json!(classes))
            .message(format!("{found} secrets or personal details were found in the file"))
            .action(
                "Take them out of the file, or set `redaction = \"mask\"` under [evidence] in kaizen.toml.",
            ));
    }
    Ok(found)
}

/// Stores a document, unless this version of the file is stored already.
pub(super) fn store(tx: &mut WriteTx<'_>, draft: &Draft) -> Result<Ingested, Denial> {
    let Draft { target, manner, .. } = draft;
    let task_id = record::soft_task(tx, manner.task_id.as_deref())?;
    let test = Cell::from(manner.test);
    let latest = tx.query_row(store::LATEST, &[Cell::Text(&target.key), test])?;
    if let Some(latest) = latest.as_ref().filter(|latest| is_same(latest, draft)) {
        tx.about_task(latest.optional_text("task_id"));
        let id = latest.text("id");
        if latest.text("state") == "missing" {
            store::set_state(tx, id, "current")?;
        }
        if latest.integer("file_mtime") != draft.mtime {
            tx.update("evidence_documents", id, &[("file_mtime", Cell::Integer(draft.mtime))])?;
        }
        return Ok(Ingested { unchanged: true, ..told(latest) });
    }
    if latest.is_none()
        && let Some(moved) = &draft.moved
        && let Ok(document) = store::document(tx, moved)
        && matches!(document.text("state"), "current" | "missing")
    {
        tx.about_task(document.optional_text("task_id"));
        let moved_from = document.text("origin_ref").to_owned();
        store::relocate(tx, &document, (&target.key, &target.shown, draft.mtime))?;
        let document = store::document(tx, moved)?;
        return Ok(Ingested { unchanged: true, moved_from: Some(moved_from), ..told(&document) });
    }
    let Some(read) = &draft.read else {
        return Err(Denial::new(Code::Busy).message("the document was changed meanwhile"));
    };
    tx.about_task(task_id.as_deref());
    let before = latest.filter(|latest| latest.text("state") != "removed");
    insert(tx, draft, read, task_id.as_deref(), before.as_ref())
}

/// What the reply says of a document that is stored.
fn told(document: &Row) -> Ingested {
    let text = |column: &str| document.optional_text(column).map(str::to_owned);
    Ingested {
        id: text("id"),
        source_lock_id: text("source_lock_id"),
        origin_ref: document.text("origin_ref").to_owned(),
        sha256: text("file_sha256"),
        backend: text("backend"),
        extraction_confidence: document.real("extraction_confidence"),
        block_count: Some(document.integer("block_count")),
        chunk_count: Some(document.integer("chunk_count")),
        ..Ingested::default()
    }
}

fn insert(
    tx: &mut WriteTx<'_>,
    draft: &Draft,
    read: &Read,
    task_id: Option<&str>,
    before: Option<&Row>,
) -> Result<Ingested, Denial> {
    let Draft { target, manner, sha256, .. } = draft;
    let Extracted { blocks, method, confidence, .. } = &read.extracted;
    let (id, lock, now) = (id::new("ed"), id::new("s"), tx.now());
    let given = manner.supersedes.as_deref();
    let superseded_lock = match given {
        Some(given) => record::soft_reference(tx, "supersedes", "source_locks", Some(given))?,
        None => before.and_then(|before| before.optional_text("source_lock_id")).map(str::to_owned),
    };
    tx.insert(
        "source_locks",
        &[
            ("id", Cell::Text(&lock)),
            ("created_at", Cell::Text(&now)),
            ("source_id", Cell::Text(&read.source_id)),
            ("authority_tier", Cell::Text(&manner.authority_tier)),
            ("url_or_repository", Cell::Text(&target.shown)),
            ("version_or_commit", (&manner.version_or_commit).into()),
            ("retrieved_at", Cell::Text(&now)),
            ("content_hash", Cell::Text(sha256)),
            ("license", (&manner.license).into()),
            ("supersedes", (&superseded_lock).into()),
            ("summary", Cell::Text(&read.summary)),
            ("body", Cell::Text("")),
            ("is_test", Cell::from(manner.test)),
        ],
    )?;
    let block_count = i64::try_from(blocks.len()).unwrap_or(i64::MAX);
    let chunk_count =
        read.chunks.as_ref().map_or(0, |chunks| i64::try_from(chunks.len()).unwrap_or(i64::MAX));
    let chunker = manner.chunking.as_ref().map(|options| options.strategy.name());
    let previous = before.map(|before| before.text("id"));
    let status = match (manner.redaction, read.redactions) {
        (Redaction::Off, _) => "unscanned",
        (_, 0) => "clean",
        _ => "masked",
    };
    tx.insert(
        "evidence_documents",
        &[
            ("id", Cell::Text(&id)),
            ("created_at", Cell::Text(&now)),
            ("source_lock_id", Cell::Text(&lock)),
            ("task_id", task_id.into()),
            ("origin_kind", Cell::Text("file")),
            ("origin_ref", Cell::Text(&target.shown)),
            ("media_type", Cell::Text(&read.extracted.media_type)),
            ("backend", Cell::Text(&read.extracted.backend)),
            ("backend_version", (&read.extracted.backend_version).into()),
            ("extraction_method", Cell::Text(method)),
            ("extraction_confidence", Cell::Real(*confidence)),
            ("block_count", Cell::Integer(block_count)),
            ("chunk_count", Cell::Integer(chunk_count)),
            ("summary", Cell::Text(&read.summary)),
            ("body", Cell::Text("")),
            ("content_hash", Cell::Text(&store::document_hash(&id, &target.shown, sha256, block_count))),
            ("is_test", Cell::from(manner.test)),
            ("origin_key", Cell::Text(&target.key)),
            ("file_sha256", Cell::Text(sha256)),
            ("file_bytes", Cell::Integer(draft.bytes)),
            ("file_mtime", Cell::Integer(draft.mtime)),
            ("state", Cell::Text("current")),
            ("updated_at", Cell::Text(&now)),
            ("supersedes", previous.into()),
            ("page_count", read.extracted.pages.map(i64::from).into()),
            ("chunker", chunker.into()),
            ("redaction_status", Cell::Text(status)),
            ("redaction_count", Cell::Integer(read.redactions)),
        ],
    )?;
    store::insert_blocks(tx, &id, blocks, (method, *confidence))?;
    if let (Some(chunks), Some(chunker)) = (&read.chunks, chunker) {
        store::replace_chunks(tx, (&id, Some(&lock)), chunker, chunks)?;
    }
    if let Some(previous) = previous {
        tx.update(
            "evidence_documents",
            previous,
            &[
                ("state", Cell::Text("superseded")),
                ("updated_at", Cell::Text(&now)),
                ("superseded_by", Cell::Text(&id)),
            ],
        )?;
    }
    let document = store::document(tx, &id)?;
    Ok(Ingested {
        supersedes: previous.map(str::to_owned),
        redactions: (read.redactions > 0).then_some(read.redactions),
        notes: read.extracted.notes.clone(),
        ..told(&document)
    })
}
