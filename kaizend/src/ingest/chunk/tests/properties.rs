//! What holds for the chunks of any document.

use proptest::prelude::{Just, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Generator;

use super::super::super::block::{Block, BlockKind};
use super::super::*;

/// Texts of which documents are made up: prose, CJK, code, data, and what nobody expects.
fn texts() -> impl Generator<Value = String> {
    let piece = prop_oneof![
        4 => "([A-Za-z]{1,9} ){1,20}[a-z]{1,9}[.!?]",
        2 => "([a-z]{1,5}[.,]?[ \n]){1,30}",
        1 => "[\u{4e00}-\u{4e40}\u{3042}-\u{3050}\u{3002}\u{ff0c}]{1,60}",
        1 => "(( {0,8}[a-z]{1,6}\\([a-z]{0,5}\\);|\\}|)\n){1,8}",
        1 => "[A-Za-z0-9+/]{1,200}",
        1 => "\\PC{1,40}",
        1 => "[ \t\n\u{a0}\u{301}\u{200d}\u{1f468}e.]{1,40}",
    ];
    prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.join(" "))
}

fn kinds() -> impl Generator<Value = BlockKind> {
    prop_oneof![
        3 => Just(BlockKind::Text),
        2 => Just(BlockKind::SectionHeader),
        1 => Just(BlockKind::Title),
        1 => Just(BlockKind::ListItem),
        1 => Just(BlockKind::Table),
        1 => Just(BlockKind::Code),
    ]
}

/// Documents whose headings are short now and then, with sections as a reader of files would give them.
fn documents() -> impl Generator<Value = Vec<Block>> {
    let block = (kinds(), 0..3usize, "[A-Z][a-z]{1,6}( [a-z]{1,6}){0,3}", texts(), any::<bool>());
    prop::collection::vec(block, 0..8).prop_map(|blocks| {
        let mut section: Vec<String> = Vec::new();
        let mut document = Vec::new();
        for (kind, depth, heading, text, is_plain) in blocks {
            let is_heading = matches!(kind, BlockKind::Title | BlockKind::SectionHeader);
            let text = if is_heading && is_plain { heading } else { text };
            if is_heading {
                section.truncate(depth);
            }
            document.push(Block { kind, text: text.clone(), page: None, section: section.clone() });
            if is_heading {
                section.push(text.lines().next().unwrap_or_default().to_owned());
            }
        }
        document
    })
}

fn settings() -> impl Generator<Value = Options> {
    let strategy = prop::sample::select(Strategy::ALL.to_vec());
    (strategy, 16..80usize, 0..40usize)
        .prop_map(|(strategy, tokens, overlap)| Options { strategy, tokens, overlap }.bounded())
}

/// Where the headings of the document end in its text, those excepted with which it ends and those of several lines.
fn ends_of_headings(blocks: &[Block]) -> Vec<usize> {
    let mut at = 0;
    let mut ends = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        at += block.text.chars().count();
        let is_last = blocks[index + 1..].iter().all(|next| next.text.trim().is_empty());
        let is_heading = matches!(block.kind, BlockKind::Title | BlockKind::SectionHeader);
        let is_line = block.text.trim() == block.text && block.text.lines().count() == 1;
        if is_heading && is_line && !is_last {
            ends.push(at);
        }
        at += BETWEEN.len();
    }
    ends
}

/// The word around a place in a text: everything between two blanks.
fn word_around(text: &[char], at: usize) -> String {
    let start = text[..at].iter().rposition(|character| character.is_whitespace()).map_or(0, |at| at + 1);
    let end =
        text[at..].iter().position(|character| character.is_whitespace()).map_or(text.len(), |end| at + end);
    text[start..end].iter().collect()
}

fn is_cjk(word: &str) -> bool {
    word.chars().any(|character| ('\u{2e80}'..='\u{ffef}').contains(&character) || character > '\u{1ffff}')
}

proptest! {
    #[test]
    fn chunks_are_the_text_in_order_within_the_limits(blocks in documents(), options in settings()) {
        let text: Vec<char> = source_text(&blocks).chars().collect();
        let chunks = chunk(&blocks, &options);
        prop_assert_eq!(&chunk(&blocks, &options), &chunks);
        let mut covered = 0;
        let mut before: Option<&Chunk> = None;
        for chunk in &chunks {
            let slice: String = text[chunk.start..chunk.end].iter().collect();
            prop_assert_eq!(&slice, &chunk.text);
            prop_assert_eq!(chunk.text.trim(), chunk.text.as_str());
            prop_assert!(!chunk.text.is_empty());
            prop_assert_eq!(estimate_tokens(&slice), chunk.tokens);
            prop_assert!(chunk.tokens <= options.tokens, "{:?}", chunk);
            prop_assert!(chunk.context.split_whitespace().count() <= 60);
            prop_assert!(chunk.end > covered);
            if let Some(before) = before {
                prop_assert!(chunk.start > before.start);
            }
            if chunk.start < covered {
                let shared: String = text[chunk.start..covered].iter().collect();
                prop_assert!(estimate_tokens(&shared) <= options.overlap, "{:?}", shared);
            } else {
                prop_assert!(text[covered..chunk.start].iter().all(|character| character.is_whitespace()));
            }
            covered = chunk.end;
            before = Some(chunk);
        }
        prop_assert!(text[covered..].iter().all(|character| character.is_whitespace()));
    }

    #[test]
    fn no_word_that_fits_is_cut(blocks in documents(), options in settings()) {
        let text: Vec<char> = source_text(&blocks).chars().collect();
        for chunk in chunk(&blocks, &options) {
            for at in [chunk.start, chunk.end] {
                let is_within = at > 0 && at < text.len();
                if !is_within || text[at - 1].is_whitespace() || text[at].is_whitespace() {
                    continue;
                }
                let word = word_around(&text, at);
                prop_assert!(is_cjk(&word) || estimate_tokens(&word) > options.tokens, "{:?}", word);
            }
        }
    }

    #[test]
    fn no_line_of_code_that_fits_is_cut(
        text in "(( {0,8}[a-z]{1,6}\\([a-z ,]{0,30}\\);|\\}|)\n){1,40}[a-z]",
        tokens in 24..60usize,
        strategy in prop::sample::select(vec![Strategy::Code, Strategy::Recursive]),
    ) {
        let block = Block { kind: BlockKind::Code, text, page: None, section: Vec::new() };
        let found = chunk(std::slice::from_ref(&block), &Options { strategy, tokens, overlap: 10 });
        let lines: Vec<&str> = block.text.lines().map(str::trim).collect();
        for line in found.iter().flat_map(|chunk| chunk.text.lines()) {
            prop_assert!(lines.contains(&line.trim()), "{:?}", line);
        }
    }

    #[test]
    fn no_heading_ends_a_chunk(
        blocks in documents(),
        strategy in prop::sample::select(vec![Strategy::Recursive, Strategy::Token]),
        overlap in 0..100usize,
    ) {
        // So many tokens that the headings with the longest line that must stay whole after them fit.
        let chunks = chunk(&blocks, &Options { strategy, tokens: 1_024, overlap });
        let ends = ends_of_headings(&blocks);
        for chunk in chunks {
            prop_assert!(!ends.contains(&chunk.end), "{:?}", chunk);
        }
    }

    #[test]
    fn short_headings_stay_even_in_short_chunks(
        texts in prop::collection::vec("([A-Z][a-z]{1,6} ([a-z]{1,7} ){1,12}[a-z]{1,5}\\. ?){1,12}", 1..6),
        // A line of code stays whole in any case.
        strategy in prop::sample::select(vec![Strategy::Recursive, Strategy::Sentence, Strategy::Token]),
        overlap in 0..8usize,
    ) {
        let mut blocks = Vec::new();
        for text in texts {
            let section = vec!["A heading".to_owned()];
            blocks.push(Block { kind: BlockKind::SectionHeader, text: section[0].clone(), page: None, section: vec![] });
            blocks.push(Block { kind: BlockKind::Text, text: text.trim().to_owned(), page: None, section });
        }
        for chunk in chunk(&blocks, &Options { strategy, tokens: 32, overlap }) {
            prop_assert!(!chunk.text.ends_with("A heading"), "{:?}", chunk);
            prop_assert_eq!(chunk.context.as_str(), "A heading");
        }
    }

    #[test]
    fn any_blocks_are_cut_without_a_fault(
        texts in prop::collection::vec((kinds(), ".{0,300}", prop::collection::vec(".{0,9}", 0..4)), 0..5),
        options in settings(),
    ) {
        let blocks: Vec<Block> = texts
            .into_iter()
            .map(|(kind, text, section)| Block { kind, text, page: None, section })
            .collect();
        let visible = |text: &str| text.chars().filter(|character| !character.is_whitespace()).count();
        let chunks = chunk(&blocks, &Options { overlap: 0, ..options });
        let held: usize = chunks.iter().map(|chunk| visible(&chunk.text)).sum();
        prop_assert_eq!(held, visible(&source_text(&blocks)));
    }
}
