//! Evidence (E): files that are read, taken apart, and found again by what they say.

use serde_json::{Map, Value};

use crate::operation::{NO_TWINS, Status, Twin, TwinRule};

const SUMMARY_TWIN: &[Twin] = &[Twin { field: "summary", rule: TwinRule::Inline }];

/// How a document can be cut into chunks.
pub const CHUNKERS: &[&str] = &["recursive", "sentence", "token", "code", "semantic"];
/// What E2 does.
pub const WATCH_ACTIONS: &[&str] = &["status", "list", "add", "remove", "rescan", "pause", "resume"];
/// What E5 shows.
pub const KINDS: &[&str] = &["document", "block", "chunk"];
/// What E5 lists of a document.
pub const LISTS: &[&str] = &["versions", "blocks", "chunks"];

crate::params! {
    /// A file to read.
    FileToIngest {
        /// Path, relative to the project's root.
        path: Option<String>,
        /// Allow a file outside the project's root; it is shown as external:NAME.
        allow_external: bool,
        /// Read every file below the directory that the path names.
        recursive: bool,
        /// Summary in one or two sentences; names the file by default.
        summary: Option<String>,
        /// What the source is called; the file's name by default.
        source_id: Option<String>,
        /// normative, official_docs, implementation or design_guidance; implementation by default.
        authority_tier: Option<String>,
        /// Version, tag or commit of the source.
        version_or_commit: Option<String>,
        /// Licence of the source, at most 10 words.
        license: Option<String>,
        /// Id of the source lock that this one takes the place of.
        supersedes: Option<String>,
        /// The task that it is read for.
        task_id: Option<String>,
        /// Do not cut it into chunks; E3 does that later.
        no_chunk: bool,
        /// How it is cut: recursive (default), sentence, token or code.
        chunker: Option<String>,
        /// Tokens of a chunk at most, 16 to 1024; 256 by default.
        chunk_tokens: Option<i64>,
        /// Tokens that neighbouring chunks share, less than half of a chunk; 32 by default.
        overlap: Option<i64>,
        /// Read pictures with tesseract.
        ocr: bool,
        /// Mark the document as a test record.
        test: bool,
    }

    /// What to do about the files that are watched.
    WatchWanted {
        /// status (default), list, add, remove, rescan, pause or resume.
        action: Option<String>,
        /// The pattern to add or remove, relative to the root: docs/**/*.md, or a directory with all below it.
        path: Option<String>,
        /// With add: how much its documents say: normative, official_docs, implementation or design_guidance.
        authority_tier: Option<String>,
        /// With add: what the source of its documents is called.
        source_id: Option<String>,
        /// With rescan: compare the contents of all files, not only size and time.
        thorough: bool,
    }

    /// A document to cut into chunks.
    DocumentToChunk {
        /// Id of the document.
        id: Option<String>,
        /// How it is cut: recursive (default), sentence, token or code.
        chunker: Option<String>,
        /// Tokens of a chunk at most, 16 to 1024; 256 by default.
        chunk_tokens: Option<i64>,
        /// Tokens that neighbouring chunks share, less than half of a chunk; 32 by default.
        overlap: Option<i64>,
        /// The task that it is done for.
        task_id: Option<String>,
        /// Mark what a model did for it as a test record.
        test: bool,
    }

    /// What to find in the documents.
    EvidenceSought {
        /// Words and "phrases in quotes"; word* stands for every word that begins so.
        query: Option<String>,
        /// Find the query as it is written, as a part of the text.
        exact: bool,
        /// At most this many hits; 10 by default, 200 at most.
        #[cfg_attr(feature = "cli", arg(allow_negative_numbers = true))]
        limit: Option<i64>,
        /// Continue after the hit with this id, the last of the page before.
        after: Option<String>,
        /// Chunks before and after each hit whose text is shown too, 5 at most.
        context: Option<i64>,
        /// Only chunks of this document.
        document_id: Option<String>,
        /// Only documents whose path fits this pattern, in which * stands for anything.
        path: Option<String>,
        /// Only documents whose source is of this tier.
        authority_tier: Option<String>,
        /// Only documents of the source with this name.
        source_id: Option<String>,
        /// Only documents of this media type, such as text/markdown.
        media_type: Option<String>,
        /// Only documents of this task.
        task_id: Option<String>,
        /// Only documents read at or after this time: RFC 3339, a day, or a span back from now such as 24h or 7d.
        since: Option<String>,
        /// Only documents read before this time; a day counts whole.
        until: Option<String>,
        /// Find superseded versions too.
        all_versions: bool,
        /// Find test records too.
        include_test: bool,
        /// Search by meaning, which needs an embedding model.
        semantic: bool,
        /// Search by words and by meaning, as far as there is a model.
        hybrid: bool,
        /// Order the hits by a model that compares them with the query.
        rerank: bool,
        /// Mark what a model did for it as a test record.
        test: bool,
    }

    /// What of the documents to show.
    EvidenceWanted {
        /// Id of the document, block or chunk.
        id: Option<String>,
        /// document (default), block or chunk.
        kind: Option<String>,
        /// List the document's versions, blocks or chunks too.
        list: Option<String>,
        /// Only blocks and chunks of this page.
        page: Option<i64>,
        /// At most this many blocks or chunks; 50 by default, 500 at most.
        #[cfg_attr(feature = "cli", arg(allow_negative_numbers = true))]
        limit: Option<i64>,
        /// Continue after the block or chunk with this id, the last of the page before.
        after: Option<String>,
    }

    /// A document to retire.
    DocumentToRemove {
        /// Id of the document.
        id: Option<String>,
        /// Why, in one or two sentences.
        summary: Option<String>,
    }
}

crate::outputs! {
    /// A file that could not be read.
    FileRefused {
        /// Its path.
        path: String,
        /// The denial.
        code: String,
        /// What is wrong with it.
        message: String,
    }

    /// A file was read. Of a directory `ingested`, `unchanged_files` and `refused` tell of all files below it.
    #[derive(Default)]
    Ingested {
        /// OK.
        status: Status,
        /// Id of the document.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// Id of its source lock.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source_lock_id: Option<String>,
        /// Path under the project's root, or external:NAME.
        origin_ref: String,
        /// SHA-256 of the file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
        /// What read it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        backend: Option<String>,
        /// How sure the text is, from 0 to 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        extraction_confidence: Option<f64>,
        /// Blocks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        block_count: Option<i64>,
        /// Chunks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chunk_count: Option<i64>,
        /// True when this version of the file had been read before: nothing was stored.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unchanged: bool,
        /// Id of the document of the version before, which this one takes the place of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        supersedes: Option<String>,
        /// Where the same file had been before it was moved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        moved_from: Option<String>,
        /// Secrets and personal details that were masked in its text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        redactions: Option<i64>,
        /// What was noticed while it was read.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
        /// Files below the directory that were read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ingested: Option<i64>,
        /// Files below the directory that had been read before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unchanged_files: Option<i64>,
        /// Files below the directory that could not be read, the first 100.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<Vec<FileRefused>>,
        /// How many of them there are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused_count: Option<i64>,
    }

    /// A rule that says which files are watched.
    WatchRule {
        /// Patterns, relative to the root.
        paths: Vec<String>,
        /// How much its documents say, when the rule says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authority_tier: Option<String>,
        /// What their source is called, when the rule says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source_id: Option<String>,
        /// Where it stands: kaizen.toml, added (with E2) or default.
        origin: String,
    }

    /// A watched file that could not be taken.
    WatchFailure {
        /// Path under the root.
        path: String,
        /// The denial.
        code: String,
        /// What is wrong with it.
        message: String,
        /// How often it was tried; 0 for what is no file to read.
        attempts: i64,
        /// When it was tried last.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<String>,
    }

    /// How the watching of files goes.
    WatchReport {
        /// OK.
        status: Status,
        /// What was done.
        action: String,
        /// What is watched.
        rules: Vec<WatchRule>,
        /// Whether files are left alone at present.
        paused: bool,
        /// Whether changes are found by walks, because the system has no watches left.
        polling: bool,
        /// When the system reported a change last.
        last_event: Option<String>,
        /// When everything was compared with the disk last.
        last_reconcile: Option<String>,
        /// Files that wait or are being read.
        pending: i64,
        /// Files that could not be read, the first 100.
        failed: Vec<WatchFailure>,
        /// How many of them there are.
        failed_count: i64,
        /// Directories that are watched.
        watches: i64,
        /// Watches that the user may have in all.
        watch_limit: Option<i64>,
        /// What a rescan found new, changed or gone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found: Option<i64>,
        /// What is to be known.
        notes: Vec<String>,
    }

    /// A document was cut.
    Chunked {
        /// OK.
        status: Status,
        /// Id of the document.
        document_id: String,
        /// Chunks that it has now.
        chunk_count: i64,
        /// How it was cut.
        chunker: String,
        /// Whether the chunks have vectors.
        embedded: bool,
        /// The model that made them.
        embedding_model: Option<String>,
    }

    /// The text of a neighbour of a hit.
    Neighbour {
        /// Id of the chunk.
        id: String,
        /// Its place relative to the hit: -1 is the chunk before.
        offset: i64,
        /// Its text.
        text: String,
    }

    /// A chunk that was found.
    EvidenceHit {
        /// Id of the chunk.
        id: String,
        /// Id of its document.
        document_id: String,
        /// Id of the document's source lock.
        source_lock_id: Option<String>,
        /// Path of the file.
        origin_ref: String,
        /// State of the document: current, missing or superseded.
        state: String,
        /// The headings above it.
        context: Option<String>,
        /// The headings above it, as a path.
        section_path: Option<String>,
        /// The page that it begins on.
        page_no: Option<i64>,
        /// Its place in the document, from 0.
        chunk_index: i64,
        /// The chunk before.
        neighbor_prev_id: Option<String>,
        /// The chunk after.
        neighbor_next_id: Option<String>,
        /// The part of its text that fits, with the hits between **.
        snippet: String,
        /// How well it fits; higher is better. 0 when the text was looked for as it is written.
        score: f64,
        /// The chunks around it, with `--context`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        neighbours: Option<Vec<Neighbour>>,
    }

    /// What was found, best first.
    EvidenceFound {
        /// OK.
        status: Status,
        /// What was run: fts (all words), fts(any), like (as it is written), hybrid(lexical-only).
        mode: String,
        /// What was looked for.
        query: String,
        /// The hits.
        records: Vec<EvidenceHit>,
        /// How many this page holds.
        count: usize,
        /// The id to pass as `--after` for the next page; absent on the last page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
        /// What to know about the result.
        note: String,
    }

    /// A vector of a chunk, or those of a document's chunks.
    EmbeddingState {
        /// The model.
        model: String,
        /// Numbers of a vector.
        dim: i64,
        /// Whether searches by meaning use it.
        active: bool,
        /// Chunks of the document that have one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chunks_indexed: Option<i64>,
    }

    /// A version of a document.
    VersionBrief {
        /// Id of the document.
        id: String,
        /// When it was read.
        created_at: String,
        /// current, missing, superseded or removed.
        state: Option<String>,
        /// Path of the file.
        origin_ref: String,
        /// SHA-256 of the file.
        file_sha256: Option<String>,
        /// Chunks.
        chunk_count: Option<i64>,
    }

    /// A block in a list.
    BlockBrief {
        /// Id.
        id: String,
        /// Its place in the document, from 0.
        block_index: i64,
        /// Title, SectionHeader, Text, ListItem, Table, Code, Caption or Footnote.
        block_type: String,
        /// The page that it is on.
        page_no: Option<i64>,
        /// The headings above it.
        section_path: Option<String>,
        /// Its text.
        text: String,
    }

    /// A chunk in a list.
    ChunkBrief {
        /// Id.
        id: String,
        /// Its place in the document, from 0.
        chunk_index: i64,
        /// The page that it begins on.
        page_no: Option<i64>,
        /// The headings above it.
        context: Option<String>,
        /// Tokens.
        token_count: Option<i64>,
        /// Its text.
        text: String,
    }

    /// A document, block or chunk, whole.
    EvidenceShown {
        /// OK.
        status: Status,
        /// All its columns.
        record: Map<String, Value>,
        /// Its vectors; absent for a block.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        embeddings: Option<Vec<EmbeddingState>>,
        /// The versions of the file, newest first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        versions: Option<Vec<VersionBrief>>,
        /// Blocks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        blocks: Option<Vec<BlockBrief>>,
        /// Chunks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chunks: Option<Vec<ChunkBrief>>,
        /// The id to pass as `--after` for the next page; absent on the last page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    }

    /// A document was retired.
    DocumentRemoved {
        /// OK.
        status: Status,
        /// Id of the document.
        id: String,
        /// Path of the file.
        origin_ref: String,
        /// Blocks that were deleted.
        blocks: i64,
        /// Chunks that were deleted.
        chunks: i64,
    }
}

crate::operations! {
    /// Read a file, take it apart and make it findable
    E1 "evidence-ingest-file" "evidence.ingest_file" Write EvidenceIngestFile(FileToIngest) -> Ingested,
        twins: SUMMARY_TWIN, keywords: "import document pdf docx xlsx html markdown read extract chunk index directory folder",
        example: "kaizenctl E1 --path README.md --json";

    /// Show, add, remove, pause or rescan the files that are read by themselves
    E2 "evidence-watch" "evidence.watch" Plain EvidenceWatch(WatchWanted) -> WatchReport,
        twins: NO_TWINS, keywords: "watcher directory folder automatic ingest notify reconcile pending failed rules glob",
        example: "kaizenctl E2 --action add --path \"docs/**/*.md\" --json";

    /// Cut a document into chunks anew
    E3 "evidence-chunk" "evidence.chunk" Write EvidenceChunk(DocumentToChunk) -> Chunked,
        twins: NO_TWINS, keywords: "split rechunk tokens overlap passages",
        example: "kaizenctl E3 --id DOCUMENT_ID --chunk-tokens 128 --json";

    /// Find the passages of documents that answer a question
    E4 "evidence-query" "evidence.query" Read EvidenceQuery(EvidenceSought) -> EvidenceFound,
        twins: NO_TWINS, keywords: "search full text documents passages manual specification snippet question answer",
        example: "kaizenctl E4 --query \"checkpoint of the log\" --json";

    /// Show a document, block or chunk whole
    E5 "evidence-inspect" "evidence.inspect" Read EvidenceInspect(EvidenceWanted) -> EvidenceShown,
        twins: NO_TWINS, keywords: "read open detail versions blocks chunks pages",
        example: "kaizenctl E5 --id DOCUMENT_ID --list chunks --json";

    /// Retire a document: its text goes, that it was there stays
    E6 "evidence-remove" "evidence.remove" Write EvidenceRemove(DocumentToRemove) -> DocumentRemoved,
        twins: SUMMARY_TWIN, keywords: "delete forget drop document evidence",
        example: "kaizenctl E6 --id DOCUMENT_ID --json";
}
