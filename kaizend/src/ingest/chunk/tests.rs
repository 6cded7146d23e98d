#![allow(clippy::unwrap_used)]

mod properties;

use super::super::block::BlockKind;
use super::*;

fn block(kind: BlockKind, section: &[&str], text: &str) -> Block {
    let section = section.iter().map(|heading| (*heading).to_owned()).collect();
    Block { kind, text: text.to_owned(), page: None, section }
}

fn prose(section: &[&str], text: &str) -> Block {
    block(BlockKind::Text, section, text)
}

fn heading(section: &[&str], text: &str) -> Block {
    block(BlockKind::SectionHeader, section, text)
}

fn options(strategy: Strategy, tokens: usize, overlap: usize) -> Options {
    Options { strategy, tokens, overlap }
}

fn recursive(tokens: usize) -> Options {
    options(Strategy::Recursive, tokens, 0)
}

fn texts(blocks: &[Block], options: Options) -> Vec<String> {
    chunk(blocks, &options).into_iter().map(|chunk| chunk.text).collect()
}

/// So many short sentences of seven tokens each.
fn sentences(count: usize) -> String {
    (0..count).map(|at| format!("The word {at} is here now.")).collect::<Vec<_>>().join(" ")
}

#[test]
fn strategies_have_names() {
    for strategy in Strategy::ALL {
        assert_eq!(strategy.name().parse(), Ok(strategy));
    }
    assert_eq!("neural".parse::<Strategy>(), Err(UnknownStrategy));
}

#[test]
fn options_out_of_bounds_are_told_and_bounded() {
    assert!(Options::default().is_valid());
    assert!(options(Strategy::Token, 16, 7).is_valid());
    assert!(!options(Strategy::Token, 16, 8).is_valid());
    assert!(!options(Strategy::Token, 15, 0).is_valid());
    assert!(!options(Strategy::Token, 2049, 0).is_valid());
    let chunks = chunk(&[prose(&[], &sentences(50))], &options(Strategy::Recursive, 0, usize::MAX));
    assert!(chunks.len() > 10 && chunks.iter().all(|chunk| chunk.tokens <= 16));
}

#[test]
fn nothing_is_no_chunk() {
    assert_eq!(chunk(&[], &Options::default()), []);
    assert_eq!(chunk(&[prose(&[], " \n\n ")], &Options::default()), []);
}

#[test]
fn small_blocks_of_a_section_are_one_chunk() {
    let blocks = [prose(&["A"], "One."), prose(&["A"], "Two."), prose(&["A"], "Three.")];
    let chunks = chunk(&blocks, &Options::default());
    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0].text, source_text(&blocks));
    assert_eq!((chunks[0].start, chunks[0].end), (0, source_text(&blocks).chars().count()));
    assert_eq!(chunks[0].context, "A");
}

#[test]
fn blocks_are_kept_whole_where_they_fit() {
    let blocks = [prose(&[], &sentences(2)), prose(&[], &sentences(3))];
    assert_eq!(texts(&blocks, recursive(24)), [sentences(2), sentences(3)]);
}

#[test]
fn paragraphs_come_before_sentences_and_sentences_before_words() {
    let text = format!("{}\n\n{}", sentences(3), sentences(8));
    let found = texts(&[prose(&[], &text)], recursive(40));
    assert_eq!(found[0], sentences(3));
    assert!(found.iter().all(|text| text.ends_with("now.")), "{found:?}");
    let endless = "word ".repeat(100);
    let found = texts(&[prose(&[], endless.trim())], recursive(16));
    assert_eq!(found.len(), 7);
    assert!(found.iter().all(|text| text.split(' ').all(|word| word == "word")));
}

#[test]
fn abbreviations_and_numbers_end_no_sentence() {
    let text = "We met Dr. Smith at 3.5 percent of it. Then we met Prof. Jones in version 1.2. He left with us at once.";
    let found = texts(&[prose(&[], text)], options(Strategy::Sentence, 16, 0));
    assert_eq!(
        found,
        [
            "We met Dr. Smith at 3.5 percent of it.",
            "Then we met Prof. Jones in version 1.2.",
            "He left with us at once."
        ]
    );
}

#[test]
fn sentences_of_wrapped_lines_are_whole() {
    let text = "This sentence goes on\nin another line. The next\none does too, and it\nis the last of them.";
    let found = texts(&[prose(&[], text)], options(Strategy::Sentence, 18, 0));
    assert_eq!(
        found,
        ["This sentence goes on\nin another line.", "The next\none does too, and it\nis the last of them."]
    );
}

#[test]
fn a_heading_stays_with_what_follows() {
    let blocks = [
        prose(&["A"], &sentences(2)),
        heading(&["A"], "B"),
        heading(&["A", "B"], "C"),
        prose(&["A", "B", "C"], &sentences(9)),
    ];
    let found = chunk(&blocks, &options(Strategy::Recursive, 32, 8));
    assert_eq!(found[0].text, sentences(2));
    assert!(found[1].text.starts_with("B\n\nC\n\nThe word 0"), "{}", found[1].text);
    assert_eq!(found[1].section, ["A", "B", "C"]);
    assert_eq!(found[1].context, "A > B > C");
    assert_eq!(found[2].context, "A > B > C");
}

#[test]
fn a_heading_may_hold_its_own_text() {
    let blocks = [heading(&[], &format!("## Setup\n{}", sentences(9)))];
    let found = chunk(&blocks, &recursive(24));
    assert!(found[0].text.starts_with("## Setup\nThe word 0"));
    assert!(found.len() > 2 && found.iter().all(|chunk| chunk.context == "Setup"));
}

#[test]
fn what_follows_a_heading_is_cut_rather_than_left() {
    let blocks = [heading(&[], "A heading of some words"), prose(&["A"], &"x".repeat(500))];
    let found = texts(&blocks, recursive(16));
    assert!(found[0].starts_with("A heading of some words\n\nxx"), "{}", found[0]);
}

#[test]
fn sections_are_apart_unless_tiny() {
    let blocks = |first, second| {
        [
            heading(&[], "A"),
            prose(&["A"], &sentences(first)),
            heading(&[], "B"),
            prose(&["B"], &sentences(second)),
        ]
    };
    assert_eq!(chunk(&blocks(6, 3), &recursive(256)).len(), 2);
    // Less than an eighth, and all of the next fits.
    assert_eq!(chunk(&blocks(3, 3), &recursive(256)).len(), 1);
    // It does not fit.
    let found = texts(&blocks(1, 60), recursive(256));
    assert_eq!(found[0], format!("A\n\n{}", sentences(1)));
    // Below one heading, less than a quarter.
    let below = |count| {
        [prose(&["T", "A"], &sentences(count)), heading(&["T"], "B"), prose(&["T", "B"], &sentences(count))]
    };
    assert_eq!(chunk(&below(8), &recursive(256)).len(), 1);
    assert_eq!(chunk(&below(10), &recursive(256)).len(), 2);
}

#[test]
fn chunks_of_one_section_overlap_and_others_do_not() {
    let blocks = [prose(&["A"], &sentences(20)), heading(&[], "B"), prose(&["B"], &sentences(20))];
    let found = chunk(&blocks, &options(Strategy::Recursive, 64, 16));
    for pair in found.windows(2) {
        if pair[0].section != pair[1].section {
            assert!(pair[0].end < pair[1].start);
            continue;
        }
        assert!(pair[1].start < pair[0].end && pair[1].text.starts_with("The word"), "{pair:?}");
        let shared = source_text(&blocks);
        let shared: String = shared.chars().skip(pair[1].start).take(pair[0].end - pair[1].start).collect();
        assert!((7..=16).contains(&estimate_tokens(&shared)), "{shared}");
    }
    let endless = "word ".repeat(100);
    let found = chunk(&[prose(&[], endless.trim())], &options(Strategy::Recursive, 32, 8));
    assert!(found.windows(2).all(|pair| pair[0].end - pair[1].start == 8 * 5 - 1), "{found:?}");
}

#[test]
fn tables_are_cut_between_rows() {
    let rows: Vec<String> = (0..20).map(|at| format!("name {at} | value {at}")).collect();
    let table = format!("Name | Value\n{}", rows.join("\n"));
    let found = texts(&[prose(&[], "Before."), block(BlockKind::Table, &[], &table)], recursive(24));
    assert!(found.len() > 4);
    let lines: Vec<&str> =
        found.iter().flat_map(|text| text.lines()).filter(|line| !line.is_empty()).collect();
    assert_eq!(lines[2..], rows);
    assert!(!found.iter().any(|text| text.ends_with("Name | Value")), "{found:?}");
}

#[test]
fn code_is_cut_before_items_and_never_within_a_line() {
    let function = |name: &str| format!("#[test]\nfn {name}() {{\n    let a = 1;\n\n    call(a);\n}}");
    let code = [function("one"), function("two"), function("three")].join("\n\n");
    for kind in [BlockKind::Code, BlockKind::Text] {
        let found = texts(&[block(kind, &[], &code)], options(Strategy::Code, 30, 0));
        assert_eq!(found, [function("one"), function("two"), function("three")]);
    }
    let python =
        "def one(a):\n    return a\ndef two(b):\n    if b:\n        return b\n    else:\n        return 1";
    let found = texts(&[block(BlockKind::Code, &[], python)], recursive(20));
    assert_eq!(found.len(), 2);
    assert_eq!(found[0], "def one(a):\n    return a");
    let lines: Vec<String> = (0..40).map(|at| format!("value_{at} = compute({at});")).collect();
    let found = texts(&[block(BlockKind::Code, &[], &lines.join("\n    "))], recursive(32));
    assert!(found.iter().flat_map(|text| text.lines()).map(str::trim).eq(lines));
}

#[test]
fn a_line_of_code_that_does_not_fit_is_cut_between_words() {
    let line = (0..40).map(|at| format!("word{at}")).collect::<Vec<_>>().join(" ");
    let found = texts(&[block(BlockKind::Code, &[], &line)], recursive(16));
    assert_eq!(found.join(" "), line);
}

#[test]
fn items_of_a_list_are_whole_where_they_fit() {
    let items: Vec<String> = (0..12).map(|at| format!("- The item number {at}")).collect();
    let found = texts(&[block(BlockKind::ListItem, &[], &items.join("\n"))], recursive(16));
    assert_eq!(found.iter().flat_map(|text| text.lines()).collect::<Vec<_>>(), items);
}

#[test]
fn a_word_that_does_not_fit_is_cut_and_others_are_not() {
    let data = "QUJD+/09".repeat(40);
    let found = texts(&[prose(&[], &format!("Before {data} after."))], recursive(32));
    assert!(found.len() > 4 && found.concat().replace(' ', "").contains(&data), "{found:?}");
    let address = "https://example.org/one/two/three";
    let text = format!("{} {address} {}", "word ".repeat(12).trim(), "word ".repeat(12).trim());
    let found = texts(&[prose(&[], &text)], recursive(20));
    assert!(found.iter().any(|text| text.contains(address)), "{found:?}");
}

#[test]
fn a_megabyte_without_a_blank_is_cut() {
    for piece in ["a", "QUJD+/09", "\u{5b57}", "\u{301}", "\u{1f468}\u{200d}", ".(", "=", "e."] {
        let text = piece.repeat(1_000_000 / piece.len());
        let found = chunk(&[prose(&[], &text)], &options(Strategy::Recursive, 256, 0));
        assert_eq!(found.iter().map(|chunk| chunk.text.len()).sum::<usize>(), text.len());
        assert!(found.iter().all(|chunk| chunk.tokens <= 256));
    }
}

#[test]
fn cjk_is_cut_at_full_stops_and_then_between_characters() {
    let sentence = "\u{6211}\u{5011}\u{5728}\u{9019}\u{88e1}\u{3002}";
    let found = texts(&[prose(&[], &sentence.repeat(10))], recursive(20));
    assert!(found.iter().all(|text| *text == sentence.repeat(3) || *text == sentence), "{found:?}");
    let found = chunk(&[prose(&[], &"\u{5b57}".repeat(100))], &options(Strategy::Recursive, 20, 5));
    assert!(found.windows(2).all(|pair| pair[0].end - pair[1].start == 5), "{found:?}");
}

#[test]
fn page_and_context_are_those_of_the_beginning() {
    let mut blocks = [heading(&[], "#  A   heading"), prose(&["A heading"], &sentences(20))];
    (blocks[0].page, blocks[1].page) = (Some(3), Some(4));
    let found = chunk(&blocks, &recursive(64));
    assert_eq!(found[0].context, "A heading");
    assert_eq!((found[0].page, found[1].page), (Some(3), Some(4)));
    let long = "word ".repeat(100);
    let found = chunk(&[heading(&[], "Short"), prose(&[&long, &long], "Text.")], &recursive(64));
    assert!(found[0].context.split(' ').count() <= 60);
    assert!(found[0].context.starts_with("Short"));
    let found = chunk(&[prose(&[&"w ".repeat(50), &"v ".repeat(50)], "Text.")], &recursive(64));
    assert_eq!(found[0].context.split(' ').count(), 60);
}

#[test]
fn huge_headings_and_deep_sections_do_no_harm() {
    let huge = "heading ".repeat(20_000);
    let deep: Vec<String> = (0..20_000).map(|at| at.to_string()).collect();
    let mut blocks = vec![heading(&[], huge.trim()), prose(&[huge.trim()], &sentences(2_000))];
    blocks[1].section.extend(deep);
    let found = chunk(&blocks, &Options::default());
    assert!(found.iter().all(|chunk| chunk.section.iter().map(String::len).sum::<usize>() < 10_000));
}
