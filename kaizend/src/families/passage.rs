//! What all searches share: the words of a query, and the part of a text that shows why it was found.

/// Words of a query that are looked for.
const MAX_WORDS: usize = 32;
/// What stands before and after a hit.
const MARK: &str = "**";

/// A word or a phrase to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The text, without quotes and star.
    pub text: String,
    /// Whether it is only the beginning of a word.
    pub prefix: bool,
}

/// The words and phrases of a query. What holds neither letter nor digit cannot be found and is left out.
pub fn terms(query: &str) -> Vec<Term> {
    let mut terms = Vec::new();
    for (at, part) in query.split('"').enumerate() {
        // Every other part stands between quotes.
        let pieces: Vec<&str> = if at % 2 == 1 { vec![part] } else { part.split_whitespace().collect() };
        for piece in pieces {
            let prefix = at % 2 == 0 && piece.ends_with('*');
            let text = piece.trim_end_matches('*').trim();
            if text.chars().any(char::is_alphanumeric) && terms.len() < MAX_WORDS {
                terms.push(Term { text: text.to_owned(), prefix });
            }
        }
    }
    terms
}

/// The full-text expression for these terms.
pub fn expression(terms: &[Term], between: &str) -> String {
    let quoted = |term: &Term| {
        let star = if term.prefix { " *" } else { "" };
        format!("\"{}\"{star}", term.text.replace('"', "\"\""))
    };
    terms.iter().map(quoted).collect::<Vec<_>>().join(between)
}

/// A word of a text: where it stands, in bytes, and how it is compared.
struct Word {
    start: usize,
    end: usize,
    folded: String,
}

/// About so many characters of a text on one line, marks not counted: a quarter of them before its first hit, the rest
/// from there, all hits in it marked, words whole; the beginning of the text when there is no hit. With it, the
/// characters of the text before the first hit.
pub fn snippet(text: &str, terms: &[Term], characters: usize) -> (String, Option<usize>) {
    let words = words(text);
    let hits = hits(&words, terms);
    let hit = hits.first().map(|(start, _)| text[..*start].chars().count());
    (excerpt(text, &words, hits, characters), hit)
}

fn excerpt(text: &str, words: &[Word], hits: Vec<(usize, usize)>, characters: usize) -> String {
    let first = hits.first().map_or(0, |(start, _)| *start);
    let mut start = text[..first].char_indices().rev().nth(characters / 4).map_or(0, |(at, _)| at);
    if start > 0 {
        // Begin with a whole word.
        start = words.iter().map(|word| word.start).find(|at| *at >= start).unwrap_or(start).min(first);
    }
    let mut end = text[start..].char_indices().nth(characters).map_or(text.len(), |(at, _)| start + at);
    if end < text.len() {
        // End with a whole word, unless it is longer than all the rest.
        let cut = words.iter().find(|word| word.start < end && end < word.end);
        end = cut.map_or(end, |word| word.start).max(start + 1);
        end = (end..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    }
    let mut shown = String::from(if start > 0 { "…" } else { "" });
    let mut at = start;
    for (from, to) in hits.into_iter().filter(|(from, to)| *from >= start && *to <= end) {
        shown.push_str(&text[at..from]);
        shown.push_str(MARK);
        shown.push_str(&text[from..to]);
        shown.push_str(MARK);
        at = to;
    }
    shown.push_str(&text[at..end]);
    let line = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    if end < text.len() { line + "…" } else { line }
}

/// [`snippet`] around the first place where a text stands as it is written, letters of ASCII in either case.
pub fn written(text: &str, wanted: &str, characters: usize) -> String {
    let (folded, lower) = (text.to_ascii_lowercase(), wanted.to_ascii_lowercase());
    let hits = folded.match_indices(&lower).map(|(at, hit)| (at, at + hit.len())).collect();
    excerpt(text, &words(text), hits, characters)
}

/// The words of a text as the index sees them: runs of letters and digits, compared without case and accents.
fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for (at, character) in text.char_indices() {
        let end = at + character.len_utf8();
        // A combining mark belongs to the letter before it.
        let combining = ('\u{300}'..='\u{36f}').contains(&character);
        if !character.is_alphanumeric() && !combining {
            continue;
        }
        match words.last_mut() {
            Some(word) if word.end == at => word.end = end,
            _ if combining => {}
            _ => words.push(Word { start: at, end, folded: String::new() }),
        }
    }
    for word in &mut words {
        word.folded = fold(&text[word.start..word.end]);
    }
    words
}

/// Lower case, without accents.
fn fold(word: &str) -> String {
    use unicode_normalization::UnicodeNormalization as _;
    word.nfd()
        .filter(|character| !unicode_normalization::char::is_combining_mark(*character))
        .flat_map(char::to_lowercase)
        .collect()
}

/// The hits of all terms, in order, none within another.
fn hits(text: &[Word], terms: &[Term]) -> Vec<(usize, usize)> {
    let mut hits = Vec::new();
    for term in terms {
        let wanted: Vec<String> = words(&term.text).into_iter().map(|word| word.folded).collect();
        if wanted.is_empty() {
            continue;
        }
        for run in text.windows(wanted.len()) {
            let fits = run.iter().zip(&wanted).enumerate().all(|(at, (word, wanted))| {
                let last = at + 1 == run.len();
                word.folded == *wanted || (last && term.prefix && word.folded.starts_with(wanted.as_str()))
            });
            if let (true, [first, ..], [.., last]) = (fits, run, run) {
                hits.push((first.start, last.end));
            }
        }
    }
    hits.sort_unstable();
    let mut apart: Vec<(usize, usize)> = Vec::new();
    for hit in hits {
        if apart.last().is_none_or(|(_, end)| hit.0 >= *end) {
            apart.push(hit);
        }
    }
    apart
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn around(text: &str, terms: &[Term]) -> String {
        snippet(text, terms, 160).0
    }

    #[test]
    fn hits_are_marked_and_the_first_one_is_in_sight() {
        assert_eq!(around("The retry loop hangs.", &terms("LOOP retry")), "The **retry** **loop** hangs.");
        assert_eq!(around("The retry loop hangs.", &terms("\"retry loop\"")), "The **retry loop** hangs.");
        assert_eq!(around("Zurück zum Café.", &terms("cafe zuruck")), "**Zurück** zum **Café**.");
        assert_eq!(around("backing off", &terms("back*")), "**backing** off");
        let long = format!("{}needle {}", "hay ".repeat(100), "hay ".repeat(100));
        let shown = around(&long, &terms("needle"));
        assert!(
            shown.starts_with("…hay") && shown.contains("**needle**") && shown.ends_with("hay…"),
            "{shown}"
        );
        assert_eq!(around("No hit\nat all", &terms("x")), "No hit at all");
    }

    #[test]
    fn a_snippet_is_as_wide_as_wanted_and_says_where_the_hit_is() {
        let text = format!("{}Nadel {}", "für ".repeat(100), "für ".repeat(100));
        for width in [40, 240] {
            let (shown, at) = snippet(&text, &terms("nadel"), width);
            assert_eq!(at, Some(400));
            assert!(shown.contains("**Nadel**"), "{shown}");
            assert!((width - 8..=width + 6).contains(&shown.chars().count()), "{shown}");
        }
        assert_eq!(snippet(&text, &terms("heu"), 7), ("für für…".into(), None));
    }

    proptest! {
        #[test]
        fn any_text_has_a_short_snippet(text in "\\PC{0,600}", query in "\\PC{0,40}") {
            let shown = around(&text, &terms(&query));
            prop_assert!(shown.chars().count() <= 800, "{}", shown);
        }
    }
}
