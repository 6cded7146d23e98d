#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::ingest::block::BlockKind;

fn code(outcome: Result<Extracted, Denial>) -> Code {
    outcome.unwrap_err().code
}

#[test]
fn formats_are_told_by_the_extension() {
    let limits = Limits::default();
    let read = |extension: &str| extract(extension, b"a\n\nb", &limits);
    let markdown = read(".md").unwrap();
    assert_eq!((markdown.media_type.as_str(), markdown.method.as_str()), ("text/markdown", "native"));
    assert_eq!((markdown.backend.as_str(), markdown.backend_version.as_ref()), ("native", None));
    assert!((markdown.confidence - 1.0).abs() < f64::EPSILON && markdown.blocks.len() == 2);
    let page = read(".htm").unwrap();
    assert!((page.confidence - 0.9).abs() < f64::EPSILON && page.media_type == "text/html");
    for extension in ["", ".exe", ".MD", "md", ".md .markdown", " "] {
        let denial = read(extension).unwrap_err();
        assert_eq!(denial.code, Code::UnsupportedMedia);
        assert_eq!(denial.field("ext").unwrap(), extension);
        assert_eq!(denial.exit_code(), 2);
    }
    let picture = read(".png").unwrap_err();
    assert_eq!(picture.code, Code::UnsupportedMedia);
    assert!(picture.field("required_action").unwrap().as_str().unwrap().contains("--ocr"));
    assert_eq!(extension_of(Path::new("a/b.c.PDF")), ".pdf");
    assert_eq!(extension_of(Path::new("a/.md")), "");
}

#[test]
fn no_extension_is_named_twice() {
    let mut all: Vec<_> = formats::extensions().map(|(extension, _)| extension).collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
    assert!(all.iter().all(|extension| extension.starts_with('.') && *extension == extension.to_lowercase()));
}

#[test]
fn an_empty_file_has_no_blocks() {
    for (extension, reader) in formats::extensions().filter(|(_, reader)| !reader.needs_child()) {
        for bytes in [b"".as_slice(), b" \n\t\r\n ", b"\xef\xbb\xbf"] {
            let found = extract(extension, bytes, &Limits::default()).unwrap();
            assert_eq!(found.blocks, [], "{extension} {reader:?}");
        }
    }
}

#[test]
fn every_format_has_a_limit() {
    let limits = Limits { bytes: 3, pdf_bytes: 2, ..Limits::default() };
    for (extension, reader) in formats::extensions().filter(|(_, reader)| *reader != Reader::Picture) {
        let denial = extract(extension, b"four", &limits).unwrap_err();
        assert_eq!(denial.code, Code::FileTooLarge, "{extension}");
        assert_eq!(denial.field("max_bytes").unwrap(), if reader == Reader::Pdf { 2 } else { 3 });
        assert_eq!(denial.field("bytes").unwrap(), 4);
    }
    let limits = Limits { characters: 5, ..Limits::default() };
    let denial = extract(".txt", b"too many", &limits).unwrap_err();
    assert_eq!(denial.code, Code::ExtractionFailed);
    assert_eq!(denial.field("reason").unwrap(), "it has more than 5 characters");
    assert!(denial.field("required_action").unwrap().as_str().unwrap().contains("Split"));
    let limits = Limits { blocks: 1, ..Limits::default() };
    assert_eq!(code(extract(".md", b"a\n\nb", &limits)), Code::ExtractionFailed);
}

#[test]
fn damaged_containers_are_told_apart_from_large_ones() {
    let limits = Limits::default();
    for extension in [".docx", ".xlsx"] {
        for bytes in [b"".as_slice(), b"text", b"PK\x03\x04 cut", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"] {
            let denial = extract(extension, bytes, &limits).unwrap_err();
            assert_eq!(denial.code, Code::ExtractionFailed, "{extension}");
            assert_eq!(denial.field("ext").unwrap(), extension);
        }
    }
    // A part that unfolds to a thousand times its size.
    let bomb = zipped::making::container(&[("word/document.xml", &" ".repeat(3_000_000))]);
    let limits = Limits { expanded_bytes: 1_000_000, ..limits };
    for extension in [".docx", ".xlsx"] {
        let denial = extract(extension, &bomb, &limits).unwrap_err();
        assert!(denial.field("reason").unwrap().as_str().unwrap().contains("unfolded"), "{denial}");
    }
}

#[test]
fn deep_nesting_ends_in_time() {
    let limits = Limits::default();
    let deep = |open: &str| open.repeat(100_000).into_bytes();
    assert_eq!(code(extract(".json", &deep("["), &limits)), Code::ExtractionFailed);
    assert_eq!(code(extract(".json", &deep("{\"a\":"), &limits)), Code::ExtractionFailed);
    for extension in [".xml", ".html", ".md", ".rst", ".adoc", ".rs", ".yaml", ".csv"] {
        for open in ["<a>", "<div>", "- ", ">", "[", "(", "\"", "* ", "=", "  \n", "|", "`", "\n\t"] {
            // What it is good for is of no interest, only that it ends.
            let _ = extract(extension, &deep(open), &limits);
        }
    }
}

#[test]
fn the_versions_are_those_that_are_built_in() {
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock")).unwrap();
    for (name, version) in [("pdf-extract", PDF_EXTRACT), ("quick-xml", QUICK_XML), ("calamine", CALAMINE)] {
        assert!(lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"\n")), "{name} {version}");
    }
}

/// Texts that look like the markup of some format, and bytes that look like nothing.
fn documents() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just("<p>"),
        Just("</p>"),
        Just("<li>"),
        Just("<table>"),
        Just("<td>"),
        Just("<pre>"),
        Just("<h1>"),
        Just("# "),
        Just("- "),
        Just("  "),
        Just("\n"),
        Just("\n\n"),
        Just("```\n"),
        Just("| a |\n|---|\n"),
        Just("===="),
        Just("----\n"),
        Just(".. code::\n\n"),
        Just("::\n\n"),
        Just("|===\n"),
        Just("+--+\n"),
        Just("{"),
        Just("}"),
        Just("["),
        Just("\""),
        Just(","),
        Just("\t"),
        Just("ä"),
        Just("\u{2028}"),
        Just("\u{a0}"),
        Just("fn a() {"),
        Just("    b"),
        Just("\0"),
        Just("\r"),
        Just("1. "),
        Just("<!--"),
        Just("&amp;"),
        Just("---\n"),
    ];
    prop_oneof![
        proptest::collection::vec(word, 0..60).prop_map(|words| words.concat().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..400),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn blocks_are_trimmed_and_never_empty(bytes in documents()) {
        let limits = Limits::default();
        for (extension, reader) in formats::extensions() {
            if matches!(reader, Reader::Pdf | Reader::Picture) {
                continue;
            }
            let Ok(found) = extract(extension, &bytes, &limits) else {
                prop_assert!(reader.needs_child() || reader == Reader::Json, "{extension}");
                continue;
            };
            for block in &found.blocks {
                prop_assert_eq!(block.text.trim(), &block.text, "{}", extension);
                prop_assert!(!block.text.is_empty() && !block.text.contains(['\0', '\r']), "{}", extension);
                prop_assert!(block.section.iter().all(|heading| !heading.is_empty()), "{}", extension);
            }
        }
    }

    #[test]
    fn plain_text_and_code_keep_every_word(bytes in documents()) {
        let limits = Limits::default();
        let words = |text: &str| text.replace('\0', "\u{fffd}").split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for extension in [".txt", ".rs", ".yaml", ".log", ".jsonl"] {
            let found = extract(extension, &bytes, &limits).unwrap();
            let texts: Vec<_> = found.blocks.iter().map(|block| block.text.as_str()).collect();
            prop_assert_eq!(words(&texts.join("\n")), words(&text::decode(&bytes)), "{}", extension);
        }
    }
}

#[test]
fn a_document_survives_as_json() {
    let found = extract(".md", b"# A\n\nb\n\n- c", &Limits::default()).unwrap();
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Extracted>(&text).unwrap(), found);
    assert_eq!(found.blocks[2].kind, BlockKind::ListItem);
}
