#![allow(clippy::unwrap_used, clippy::float_cmp)]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn plain(text: &str) -> Lint {
    lint(text, false)
}

#[test]
fn an_empty_text_passes() {
    let found = plain("");
    assert_eq!((found.verdict.as_str(), found.word_count, found.sentence_count), ("pass", 0, 0));
    assert!(found.signal_per_token == 1.0 && found.hedge_density == 0.0 && found.reasons.is_empty());
    assert_eq!(plain(" \n\t ").sentence_count, 0);
}

#[test]
fn filler_comes_in_the_order_of_the_table() {
    let text = "We dogfood it. It is worth noting that we do it In Order To win, kind of.";
    let found = plain(text);
    let hits: Vec<_> = found
        .filler_hits
        .iter()
        .map(|hit| (hit.label.as_str(), hit.text.as_str(), hit.suggestion.as_str()))
        .collect();
    assert_eq!(
        hits,
        [
            ("wordy", "In Order To", "to"),
            ("hedge_phrase", "It is worth noting that", "(cut)"),
            ("colloquial", "dogfood", "name the concrete action"),
            ("colloquial", "kind of", "cut or be precise"),
        ]
    );
    for hit in &found.filler_hits {
        let written: String = text.chars().skip(hit.span[0]).take(hit.span[1] - hit.span[0]).collect();
        assert_eq!(written, hit.text);
    }
    assert_eq!(found.reasons, ["4 phrases that say nothing"]);
}

#[test]
fn every_form_of_a_phrase_is_known_and_borders_count() {
    let texts = |text: &str| plain(text).filler_hits.into_iter().map(|hit| hit.text).collect::<Vec<_>>();
    assert_eq!(texts("it should be important to note it"), ["it should be important to note"]);
    assert_eq!(texts("a great number of a large number of"), ["a great number of", "a large number of"]);
    assert_eq!(texts("As you can see, as we can see."), ["As you can see", "as we can see"]);
    assert_eq!(texts("sort of sort of"), ["sort of", "sort of"]);
    for clean in [
        "mankind of",
        "kind  of",
        "kind\nof",
        "dogfooder",
        "a_kind of",
        "kind of_it",
        "in-order to",
        "unkind offers",
    ] {
        assert!(texts(clean).is_empty(), "{clean}");
    }
    for clean in ["ökind of", "kind ofé"] {
        assert!(texts(clean).is_empty(), "{clean}");
    }
}

#[test]
fn spans_count_characters() {
    let found = plain("Größe 😀 is very kind of über.");
    assert_eq!(found.hedge_hits[0].span, [11, 15]);
    assert_eq!(found.filler_hits[0].span, [16, 23]);
    assert_eq!(found.word_count, 6);
}

#[test]
fn words_are_runs_of_letters_digits_and_apostrophes() {
    for (text, count) in
        [("don't stop", 2), ("a-b_c 1.5", 5), ("'", 1), ("it’s ‘so’", 2), ("naïve cafe\u{301}", 2)]
    {
        assert_eq!(plain(text).word_count, count, "{text}");
    }
    assert_eq!(plain("It's 'very' odd").hedge_hits.len(), 0);
    assert_eq!(plain("‘very’ odd").hedge_hits.len(), 1);
}

#[test]
fn density_is_rounded_and_compared() {
    let text = format!("very {}", "word ".repeat(18));
    let found = plain(&text);
    assert!((found.hedge_density - 0.0526).abs() < 1e-12 && (found.signal_per_token - 0.9474).abs() < 1e-12);
    assert_eq!(found.verdict, "fail");
    assert!(plain(&format!("very {}", "word ".repeat(19))).reasons.is_empty());
    assert!(round(0.0625, 3) == 0.062 && round(0.1875, 3) == 0.188);
}

#[test]
fn repeated_sentences_are_found() {
    let pair = |text: &str| {
        let found = plain(text).duplicate_sentences;
        found.iter().map(|pair| (pair.a_index, pair.b_index, pair.jaccard)).collect::<Vec<_>>()
    };
    assert_eq!(pair("One. One."), [(0, 1, 1.0)]);
    assert_eq!(pair("One two. One. Two one."), []);
    assert_eq!(pair("A b c d e f g h. A b c d e f g x. Else."), [(0, 1, 0.714)]);
    assert_eq!(pair("Same it is. Other. Same it is! SAME IT IS?"), [(0, 2, 1.0), (0, 3, 1.0), (2, 3, 1.0)]);
    assert_eq!(pair("... !!! ..."), []);
}

#[test]
fn strict_finds_more() {
    let broken = "We met in\norder   to talk.";
    assert_eq!(plain(broken).verdict, "pass");
    assert!(plain(broken).note.contains("--strict finds 1 more"));
    let found = lint(broken, true);
    assert_eq!(found.filler_hits[0].text, "in\norder   to");
    let text = "Ask Dr. Smith, e.g. today. See J. Doe. It costs 3. 5 is more. Wait, etc. and so on.";
    assert_eq!(plain(text).sentence_count, 9);
    assert_eq!(lint(text, true).sentence_count, 4);
}

#[test]
fn a_flood_is_cut_and_says_so() {
    let found = plain(&"Very kind of same. ".repeat(3000));
    let omitted = found.omitted.unwrap();
    assert_eq!((found.filler_hits.len(), omitted.filler_hits), (LISTED, 2000));
    assert_eq!((found.hedge_hits.len(), omitted.hedge_hits), (LISTED, 2000));
    assert!(omitted.uncompared && found.duplicate_sentences.len() == LISTED);
    assert_eq!((found.word_count, found.sentence_count), (12000, 3000));
}

/// Every pair compared with every other, as the rule says it.
fn by_the_rule(sentences: &[&str]) -> Vec<(usize, usize)> {
    let sets: Vec<BTreeSet<Vec<String>>> = sentences
        .iter()
        .map(|sentence| {
            let words: Vec<String> = text::words(sentence).into_iter().map(|word| word.lower).collect();
            match words.len() {
                0 => BTreeSet::new(),
                1 | 2 => BTreeSet::from([words]),
                _ => words.windows(3).map(<[String]>::to_vec).collect(),
            }
        })
        .collect();
    let mut pairs = Vec::new();
    for (a, left) in sets.iter().enumerate() {
        for (b, right) in sets.iter().enumerate().skip(a + 1) {
            let shared = left.intersection(right).count();
            let all = left.union(right).count();
            if !left.is_empty() && !right.is_empty() && ratio(shared, all) >= 0.6 {
                pairs.push((a, b));
            }
        }
    }
    pairs
}

proptest! {
    #[test]
    fn no_text_breaks_it_and_spans_are_inside(text in "\\PC{0,200}|(very|kind of|in order to|[.!?\\s'’é😀\u{301}]| ){0,60}", strict: bool) {
        let found = lint(&text, strict);
        let length = text.chars().count();
        let spans = found.filler_hits.iter().map(|hit| hit.span).chain(found.hedge_hits.iter().map(|hit| hit.span));
        for [start, end] in spans {
            prop_assert!(start < end && end <= length);
        }
        for pair in &found.duplicate_sentences {
            prop_assert!(pair.a_index < pair.b_index && pair.b_index < found.sentence_count);
        }
        prop_assert_eq!(lint(&text, strict), found);
    }

    #[test]
    fn the_short_way_finds_what_the_rule_says(text in "([abc]( [abc]){0,9}[.!] ){0,12}") {
        let sentences = text::sentences(&text, false);
        let found: Vec<_> = repeats::find(&sentences).pairs.iter().map(|pair| (pair.a_index, pair.b_index)).collect();
        prop_assert_eq!(found, by_the_rule(&sentences));
    }
}
