//! E: documents, their chunks, and what is found in them.

use serde_json::json;

use crate::case::{Case, denied, ok};

pub(crate) fn cases() -> Vec<Case> {
    const READ: &str =
        "status id source_lock_id origin_ref sha256 backend extraction_confidence block_count chunk_count";
    const FOUND: &str = "status mode query records count note";
    const WATCHED: &str = "status action rules paused polling last_event last_reconcile pending failed failed_count \
                           watches watch_limit notes";
    vec![
        ok(
            "E1",
            json!({"path": "guide.md", "summary": "S.", "authority_tier": "normative", "chunk_tokens": 64, "overlap": 8}),
            READ,
        )
        .id("document")
        .after(|served| served.write("guide.md", "# Locks\n\nA kernel lock is held for life.")),
        ok("E1", json!({"path": "guide.md"}), "status id source_lock_id origin_ref sha256 backend extraction_confidence block_count chunk_count unchanged"),
        ok("E1", json!({"path": "guide.md"}), "status id source_lock_id origin_ref sha256 backend extraction_confidence block_count chunk_count supersedes")
            .id("version")
            .after(|served| served.write("guide.md", "# Locks\n\nA kernel lock is held until the end.")),
        ok("E1", json!({"path": "empty.md"}), READ).id("empty").after(|served| served.write("empty.md", "")),
        ok("E1", json!({"path": "notes", "recursive": true}), "status origin_ref ingested unchanged_files refused refused_count")
            .after(|served| served.write("notes/one.txt", "One note.")),
        denied("E1", json!({"path": "x.bin"}), "DENIED_UNSUPPORTED_MEDIA", 2, json!({"ext": ".bin"}))
            .after(|served| served.write("x.bin", "x")),
        denied("E1", json!({"path": "bad.pdf"}), "DENIED_PDF_UNREADABLE", 2, json!({}))
            .after(|served| served.write("bad.pdf", "%PDF-1.4 but no more")),
        denied("E1", json!({"path": "bad.docx"}), "DENIED_EXTRACTION_FAILED", 2, json!({"ext": ".docx"}))
            .after(|served| served.write("bad.docx", "no archive")),
        denied("E1", json!({"path": "large.pdf"}), "DENIED_FILE_TOO_LARGE", 2, json!({"max_bytes": 26_214_400}))
            .after(|served| {
                let file = std::fs::File::create(served.root("project").join("large.pdf")).unwrap();
                file.set_len(26_214_401).unwrap();
            }),
        denied("E1", json!({"path": "guide.md", "chunker": "magic"}), "DENIED_CHUNKER_UNSUPPORTED", 2, json!({})),
        denied("E1", json!({"path": "guide.md", "chunker": "semantic"}), "DENIED_BACKEND_UNCONFIGURED", 2, json!({})),
        ok("E2", json!({}), WATCHED),
        ok("E2", json!({"action": "add", "path": "specs/**", "authority_tier": "normative"}), WATCHED),
        ok("E2", json!({"action": "remove", "path": "specs/**"}), WATCHED),
        denied("E2", json!({"action": "remove", "path": "specs/**"}), "DENIED_RECORD_NOT_FOUND", 1, json!({})),
        denied("E2", json!({"action": "dance"}), "DENIED_SCHEMA_ENUM", 2, json!({"field": "action"})),
        denied("E2", json!({"action": "add"}), "DENIED_PATH_REQUIRED", 2, json!({})),
        denied("E1", json!({"path": "guide.md", "chunk_tokens": 5}), "DENIED_SCHEMA_RANGE", 2, json!({"minimum": 16})),
        denied("E3", json!({"id": "$version", "overlap": 500}), "DENIED_SCHEMA_RANGE", 2, json!({"field": "overlap"})),
        ok("E3", json!({"id": "$version", "chunk_tokens": 64, "overlap": 8}), "status document_id chunk_count chunker embedded embedding_model"),
        denied("E3", json!({"id": "$version", "chunker": "magic"}), "DENIED_CHUNKER_UNSUPPORTED", 2, json!({})),
        denied("E3", json!({"id": "$version", "chunker": "semantic"}), "DENIED_BACKEND_UNCONFIGURED", 2, json!({})),
        denied("E3", json!({"id": "$empty"}), "DENIED_NO_BLOCKS", 1, json!({})),
        ok("E4", json!({"query": "kernel"}), FOUND).keep("chunk", "/records/0/id"),
        ok("E4", json!({"query": "kernel", "after": "$chunk", "since": "1d", "until": "2100-01-01"}), FOUND),
        ok("E4", json!({"query": "kernel", "hybrid": true}), FOUND),
        denied("E4", json!({"query": "kernel", "semantic": true}), "DENIED_BACKEND_UNCONFIGURED", 2, json!({})),
        denied("E4", json!({"query": "kernel", "rerank": true}), "DENIED_BACKEND_UNCONFIGURED", 2, json!({})),
        ok("E5", json!({"id": "$version", "list": "blocks"}), "status record embeddings blocks"),
        ok("E5", json!({"id": "$version"}), "status record embeddings"),
        ok("E5", json!({"id": "$version", "list": "versions"}), "status record embeddings versions"),
        ok("E5", json!({"id": "$chunk", "kind": "chunk"}), "status record embeddings"),
        denied("E5", json!({"id": "$version", "kind": "page"}), "DENIED_KIND_INVALID", 2, json!({"kind": "page"})),
        ok("E1", json!({"path": "retired.md"}), READ)
            .id("retired")
            .after(|served| served.write("retired.md", "Nobody needs this.")),
        ok("E6", json!({"id": "$retired", "summary": "S."}), "status id origin_ref blocks chunks"),
    ]
}
