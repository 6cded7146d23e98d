//! Evidence (E): files become documents, versions of them, chunks, and are found by what they say.

mod burst;
mod watch;

use std::fs;

use kaizen_proto::canonical_json::sha256_hex;
use serde_json::{Value, json};

use crate::context::Place;
use crate::rows::{assert_id, text};

/// What no real key is, spelt so that it is not taken for one here.
const SECRET: &str = concat!("AKIA", "IOSFODNN7EXAMPLE");

fn write(place: &Place, path: &str, contents: &str) {
    let file = place.root.join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, contents).unwrap();
}

fn ingest(place: &Place, path: &str) -> Value {
    place.ok(&["E1", "--path", path])
}

fn snippets(found: &Value) -> Vec<String> {
    let records = found["records"].as_array().unwrap();
    records.iter().map(|hit| text(hit, "snippet").to_owned()).collect()
}

fn integrity(place: &Place) {
    let checked = place.ok(&["K1", "--integrity"]);
    assert_eq!(checked["integrity"]["ok"], true, "{checked}");
}

#[test]
fn a_file_becomes_a_document_with_lock_blocks_and_chunks() {
    let place = Place::new();
    let contents = "# Heading\n\npara one\n\npara two";
    write(&place, "docs/note.md", contents);
    let reply = ingest(&place, "docs/note.md");
    let id = text(&reply, "id");
    assert_id(id, "ed");
    assert_eq!(
        (&reply["block_count"], &reply["origin_ref"], &reply["backend"], &reply["extraction_confidence"]),
        (&json!(3), &json!("docs/note.md"), &json!("native"), &json!(1.0))
    );
    assert_eq!(text(&reply, "sha256"), sha256_hex(contents.as_bytes()));
    let shown = place.ok(&["E5", "--id", id, "--list", "blocks"]);
    assert_eq!(shown["record"]["source_lock_id"], reply["source_lock_id"]);
    assert_eq!(
        (&shown["record"]["origin_kind"], &shown["record"]["state"]),
        (&json!("file"), &json!("current"))
    );
    assert_eq!(shown["embeddings"], json!([]));
    let kinds: Vec<&Value> =
        shown["blocks"].as_array().unwrap().iter().map(|block| &block["block_type"]).collect();
    assert_eq!(kinds, ["SectionHeader", "Text", "Text"]);
    let lock = place.ok(&["S3", "--id", text(&reply, "source_lock_id")]);
    assert_eq!(lock["record"]["content_hash"], reply["sha256"]);
    assert_eq!(lock["record"]["authority_tier"], "implementation");
    assert_eq!(lock["record"]["source_id"], "note.md");
    integrity(&place);
}

#[test]
fn the_same_contents_are_read_once_and_new_contents_are_a_new_version() {
    let place = Place::new();
    write(&place, "a.txt", "the first version");
    let first = ingest(&place, "a.txt");
    let again = ingest(&place, "a.txt");
    assert_eq!((&again["unchanged"], &again["id"]), (&json!(true), &first["id"]));
    assert_eq!(place.count("SELECT count(*) FROM evidence_documents"), 1);
    write(&place, "a.txt", "the second version");
    let second = ingest(&place, "a.txt");
    assert_eq!(second["supersedes"], first["id"]);
    let old = place.ok(&["E5", "--id", text(&first, "id"), "--list", "versions"]);
    assert_eq!(old["record"]["superseded_by"], second["id"]);
    assert_eq!(old["versions"].as_array().unwrap().len(), 2);
    assert_eq!(place.ok(&["E4", "--query", "first"])["mode"], "like");
    assert_eq!(place.ok(&["E4", "--query", "version"])["count"], 1);
    assert_eq!(place.ok(&["E4", "--query", "version", "--all-versions"])["count"], 2);
    integrity(&place);
}

#[test]
fn a_file_that_was_moved_stays_the_document_that_it_was() {
    let place = Place::new();
    write(&place, "old.txt", "a passage about herons");
    let first = ingest(&place, "old.txt");
    fs::rename(place.root.join("old.txt"), place.root.join("new.txt")).unwrap();
    let moved = ingest(&place, "new.txt");
    assert_eq!((&moved["id"], &moved["moved_from"]), (&first["id"], &json!("old.txt")));
    assert_eq!(place.ok(&["E4", "--query", "herons"])["records"][0]["origin_ref"], "new.txt");
    // A copy is a document of its own.
    fs::copy(place.root.join("new.txt"), place.root.join("copy.txt")).unwrap();
    assert_ne!(ingest(&place, "copy.txt")["id"], first["id"]);
    integrity(&place);
}

#[test]
fn passages_are_found_by_their_words_their_headings_and_their_file() {
    let place = Place::new();
    write(
        &place,
        "guide.md",
        "# Checkpoints\n\nThe log is written back when the queue is empty.\n\n# Locks\n\nA kernel lock is held for life.",
    );
    write(&place, "zebra.txt", "Nothing about animals here.");
    ingest(&place, "guide.md");
    ingest(&place, "zebra.txt");
    let found = place.ok(&["E4", "--query", "empty queue"]);
    assert_eq!((&found["mode"], &found["count"]), (&json!("fts"), &json!(1)));
    assert!(snippets(&found)[0].contains("**queue** is **empty**"), "{found}");
    assert_eq!(found["records"][0]["section_path"], "Checkpoints");
    assert!(found["records"][0]["score"].as_f64().unwrap() > 0.0);
    assert_eq!(place.ok(&["E4", "--query", "locks"])["count"], 1, "a heading");
    assert_eq!(
        place.ok(&["E4", "--query", "zebra"])["records"][0]["origin_ref"],
        "zebra.txt",
        "a file's name"
    );
    assert_eq!(place.ok(&["E4", "--query", "\"held for life\""])["count"], 1);
    assert_eq!(place.ok(&["E4", "--query", "kern*"])["count"], 1);
    let any = place.ok(&["E4", "--query", "kernel giraffes"]);
    assert_eq!((&any["mode"], &any["count"]), (&json!("fts(any)"), &json!(1)));
    assert_eq!(place.ok(&["E4", "--query", "giraffes"])["count"], 0);
    let part = place.ok(&["E4", "--query", "ritten ba"]);
    assert_eq!((&part["mode"], &part["count"]), (&json!("like"), &json!(1)));
    let hybrid = place.ok(&["E4", "--query", "kernel", "--hybrid"]);
    assert_eq!(hybrid["mode"], "hybrid(lexical-only)");
    place.denied(&["E4", "--query", "kernel", "--semantic"], "DENIED_BACKEND_UNCONFIGURED", 2);
    place.denied(&["E4", "--query", "kernel", "--rerank"], "DENIED_BACKEND_UNCONFIGURED", 2);
    place.denied(&["E4"], "DENIED_QUERY_REQUIRED", 2);
}

#[test]
fn a_query_with_signs_in_it_is_taken_literally() {
    let place = Place::new();
    write(&place, "one.txt", "call a_b now, at 50% of c:\\x");
    write(&place, "two.txt", "call axb now, at 50 of c:/x");
    ingest(&place, "one.txt");
    ingest(&place, "two.txt");
    for query in ["a_b", "50%", "c:\\x", "A_B"] {
        let found = place.ok(&["E4", "--query", query]);
        assert_eq!((&found["mode"], &found["count"]), (&json!("like"), &json!(1)), "{query}: {found}");
        assert_eq!(found["records"][0]["origin_ref"], "one.txt");
    }
    assert!(snippets(&place.ok(&["E4", "--query", "a_b"]))[0].contains("**a_b**"));
    assert_eq!(place.ok(&["E4", "--query", "ll a", "--exact"])["count"], 2);
    assert_eq!(place.ok(&["E4", "--query", "call", "--exact"])["mode"], "like");
}

#[test]
fn hits_can_be_filtered_paged_and_shown_with_what_stands_around_them() {
    let place = Place::new();
    let task = place.id(&["W1", "--title", "T", "--summary", "S."]);
    for name in ["a/one.md", "a/two.md", "b/three.txt"] {
        write(&place, name, &format!("# {name}\n\nheron heron\n\n{}", "filler text. ".repeat(400)));
    }
    place.ok(&["E1", "--path", "a/one.md", "--task-id", &task, "--authority-tier", "normative"]);
    place.ok(&["E1", "--path", "a/two.md", "--source-id", "second"]);
    let third = place.ok(&["E1", "--path", "b/three.txt", "--test"]);
    let count = |more: &[&str]| place.ok(&[&["E4", "--query", "heron"], more].concat())["count"].clone();
    assert_eq!(count(&[]), 2);
    assert_eq!(count(&["--include-test"]), 3);
    assert_eq!(count(&["--path", "a/*"]), 2);
    assert_eq!(count(&["--path", "b/*"]), 0);
    assert_eq!(count(&["--task-id", &task]), 1);
    assert_eq!(count(&["--authority-tier", "normative"]), 1);
    assert_eq!(count(&["--source-id", "second"]), 1);
    assert_eq!(count(&["--media-type", "text/markdown"]), 2);
    assert_eq!(count(&["--since", "2100-01-01"]), 0);
    assert_eq!(count(&["--document-id", text(&third, "id"), "--include-test"]), 1);
    let first = place.ok(&["E4", "--query", "heron", "--limit", "1"]);
    let rest = place.ok(&["E4", "--query", "heron", "--limit", "1", "--after", text(&first, "next")]);
    assert_ne!(first["records"][0]["id"], rest["records"][0]["id"]);
    assert!(rest.get("next").is_none());
    let around = place.ok(&["E4", "--query", "heron", "--context", "1", "--limit", "1"]);
    assert_eq!(around["records"][0]["neighbours"][0]["offset"], 1);
    place.denied(&["E4", "--query", "heron", "--after", "ec_absent"], "DENIED_RECORD_NOT_FOUND", 1);
}

#[test]
fn cutting_again_replaces_what_was_cut() {
    let place = Place::new();
    write(&place, "long.txt", &"A sentence of some words. ".repeat(300));
    let document = place.ok(&["E1", "--path", "long.txt", "--no-chunk"]);
    let id = text(&document, "id");
    assert_eq!(document["chunk_count"], 0);
    let first = place.ok(&["E3", "--id", id]);
    assert_eq!((&first["chunker"], &first["embedded"]), (&json!("recursive"), &json!(false)));
    let second = place.ok(&["E3", "--id", id, "--chunk-tokens", "64", "--overlap", "0"]);
    assert!(second["chunk_count"].as_i64() > first["chunk_count"].as_i64());
    assert_eq!(Some(place.count("SELECT count(*) FROM evidence_chunks")), second["chunk_count"].as_i64());
    for chunker in ["sentence", "token", "code"] {
        place.ok(&["E3", "--id", id, "--chunker", chunker]);
    }
    let chunks = place.ok(&["E5", "--id", id, "--list", "chunks", "--limit", "2"])["chunks"].clone();
    let chunk = place.ok(&["E5", "--kind", "chunk", "--id", text(&chunks[1], "id")])["record"].clone();
    assert_eq!(chunk["neighbor_prev_id"], chunks[0]["id"]);
    integrity(&place);

    place.denied(&["E3"], "DENIED_ID_REQUIRED", 2);
    place.denied(&["E3", "--id", "ed_absent"], "DENIED_RECORD_NOT_FOUND", 1);
    let denial = place.denied(&["E3", "--id", id, "--chunker", "magic"], "DENIED_CHUNKER_UNSUPPORTED", 2);
    assert_eq!(denial["chunker"], "magic");
    place.denied(&["E3", "--id", id, "--chunker", "semantic"], "DENIED_BACKEND_UNCONFIGURED", 2);
    place.denied(&["E3", "--id", id, "--chunk-tokens", "5"], "DENIED_SCHEMA_RANGE", 2);
    place.denied(&["E3", "--id", id, "--overlap", "200"], "DENIED_SCHEMA_RANGE", 2);
    write(&place, "empty.txt", "");
    let empty = ingest(&place, "empty.txt");
    assert_eq!(empty["block_count"], 0);
    place.denied(&["E3", "--id", text(&empty, "id")], "DENIED_NO_BLOCKS", 1);
    place.denied(&["E5"], "DENIED_ID_REQUIRED", 2);
    place.denied(&["E5", "--id", id, "--kind", "Chunk"], "DENIED_KIND_INVALID", 2);
    place.denied(&["E5", "--id", "ed_absent"], "DENIED_RECORD_NOT_FOUND", 1);
}

#[test]
fn secrets_in_a_file_are_masked_counted_and_not_stored() {
    let place = Place::new();
    write(&place, "log.txt", &format!("the key is {SECRET} today\n\nand mail bob.miller@gmail.com"));
    let reply = ingest(&place, "log.txt");
    assert_eq!(reply["redactions"], 2);
    assert_eq!(text(&reply, "sha256"), sha256_hex(&fs::read(place.root.join("log.txt")).unwrap()));
    let record = place.ok(&["E5", "--id", text(&reply, "id")])["record"].clone();
    assert_eq!((&record["redaction_status"], &record["redaction_count"]), (&json!("masked"), &json!(2)));
    assert_eq!(place.ok(&["E4", "--query", SECRET])["count"], 0);
    assert_eq!(place.ok(&["E4", "--query", "REDACTED"])["count"], 1);
    assert_eq!(place.count(&format!("SELECT count(*) FROM evidence_blocks WHERE text LIKE '%{SECRET}%'")), 0);
    fs::write(place.root.join("kaizen.toml"), "[evidence]\nredaction = \"deny\"").unwrap();
    write(&place, "other.txt", &format!("a key: {SECRET}"));
    let denial = place.denied(&["E1", "--path", "other.txt"], "DENIED_SECRET", 2);
    assert_eq!(denial["classes"], json!(["aws_access_key"]));
}

#[test]
fn what_cannot_be_read_is_refused_with_its_reason() {
    let place = Place::new();
    write(&place, "x.bin", "x");
    let denial = place.denied(&["E1", "--path", "x.bin"], "DENIED_UNSUPPORTED_MEDIA", 2);
    assert_eq!(denial["ext"], ".bin");
    place.denied(&["E1"], "DENIED_PATH_REQUIRED", 2);
    place.denied(&["E1", "--path", "absent.md"], "DENIED_FILE_NOT_FOUND", 1);
    place.denied(&["E1", "--path", "."], "DENIED_UNSUPPORTED_MEDIA", 2);
    place.denied(&["E1", "--path", "../out.md"], "DENIED_PATH_OUTSIDE_REPO", 2);
    place.denied(&["E1", "--path", "AI/db/kaizen.db"], "DENIED_FILE_UNREADABLE", 1);
    write(&place, "ok.md", "text");
    place.denied(&["E1", "--path", "ok.md", "--summary", ""], "DENIED_SUMMARY_REQUIRED", 2);
    place.denied(&["E1", "--path", "ok.md", "--authority-tier", "gospel"], "DENIED_SCHEMA_ENUM", 2);
    // The name of a file is no sentence.
    write(&place, "v1. foo. bar.txt", "text");
    ingest(&place, "v1. foo. bar.txt");
    let elsewhere = tempfile::tempdir().unwrap();
    let outside = elsewhere.path().join("manual.txt");
    fs::write(&outside, "external words").unwrap();
    let external = place.ok(&["E1", "--path", outside.to_str().unwrap(), "--allow-external"]);
    assert_eq!(external["origin_ref"], "external:manual.txt");
    assert_eq!(place.count("SELECT count(*) FROM evidence_documents WHERE origin_key LIKE '%manual%'"), 0);
}

#[test]
fn a_directory_is_read_file_by_file() {
    let place = Place::new();
    write(&place, "docs/a.md", "heron one");
    write(&place, "docs/deep/b.txt", "heron two");
    write(&place, "docs/c.bin", "\u{0}");
    let reply = place.ok(&["E1", "--path", "docs", "--recursive"]);
    assert_eq!(
        (&reply["ingested"], &reply["unchanged_files"], &reply["refused_count"]),
        (&json!(2), &json!(0), &json!(1))
    );
    assert_eq!(reply["refused"][0]["path"], "docs/c.bin");
    let again = place.ok(&["E1", "--path", "docs", "--recursive"]);
    assert_eq!((&again["ingested"], &again["unchanged_files"]), (&json!(0), &json!(2)));
    assert_eq!(place.ok(&["E4", "--query", "heron"])["count"], 2);
}

#[test]
fn a_removed_document_leaves_its_row_and_nothing_to_find() {
    let place = Place::new();
    write(&place, "a.txt", "a passage about herons");
    let reply = ingest(&place, "a.txt");
    let id = text(&reply, "id");
    let removed = place.ok(&["E6", "--id", id, "--summary", "Out of date."]);
    assert_eq!((&removed["blocks"], &removed["chunks"]), (&json!(1), &json!(1)));
    assert_eq!(place.ok(&["E4", "--query", "herons", "--all-versions"])["count"], 0);
    assert_eq!(place.ok(&["E5", "--id", id])["record"]["state"], "removed");
    // Whoever reads it again wants it back.
    assert_ne!(ingest(&place, "a.txt")["id"], reply["id"]);
    assert_eq!(place.ok(&["E4", "--query", "herons"])["count"], 1);
    place.denied(&["E6", "--id", "ed_absent"], "DENIED_RECORD_NOT_FOUND", 1);
    integrity(&place);
}

#[test]
fn tests_are_purged_with_what_belongs_to_them_and_an_export_comes_back() {
    let place = Place::new();
    write(&place, "a.txt", "a passage about herons");
    write(&place, "b.txt", "a passage about storks");
    place.ok(&["E1", "--path", "a.txt", "--test"]);
    ingest(&place, "b.txt");
    place.ok(&["K7"]);
    assert_eq!(place.count("SELECT count(*) FROM evidence_documents"), 1);
    assert_eq!(place.count("SELECT count(*) FROM evidence_chunks"), 1);
    integrity(&place);
    for flags in [&["--include-policy", "--include-test"][..], &[]] {
        let export = place.ok(&[&["K13"], flags].concat());
        let file = place.root.join(text(&export, "path"));
        let other = Place::new();
        fs::copy(file, other.root.join("export.jsonl")).unwrap();
        other.ok(&["K14", "--path", "export.jsonl"]);
        assert_eq!(other.ok(&["E4", "--query", "storks"])["count"], 1);
        integrity(&other);
    }
}
