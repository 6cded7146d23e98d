//! Where a sentence ends.
//!
//! The rules are those of Unicode Standard Annex #29, and after them a list of abbreviations. They are asked only where
//! words end, and see only a few characters: the look ahead that they need has no limit in the crate.

use unicode_segmentation::UnicodeSegmentation as _;

use super::cjk;

/// Bytes of the text before a boundary that decide.
const BEFORE: usize = 32;
/// Bytes of the text after it.
const AFTER: usize = 24;

/// Abbreviations after which a sentence goes on, whatever follows. Single letters with full stops need no entry.
const ABBREVIATIONS: &[&str] = &[
    "al", "approx", "bzw", "ca", "capt", "cf", "col", "dept", "dr", "est", "gen", "hon", "incl", "lt",
    "messrs", "mr", "mrs", "ms", "mt", "ph.d", "prof", "resp", "rev", "sgt", "st", "univ", "viz", "vs",
];
/// Abbreviations after which it goes on with a number.
const BEFORE_NUMBERS: &[&str] = &[
    "app", "art", "ch", "chap", "ed", "eq", "fig", "figs", "line", "no", "nos", "nr", "p", "para", "pos",
    "pp", "ref", "sec", "sect", "tab", "v", "ver", "vol",
];

/// Whether it is worth asking [`ends`], told from the last character of one word and the first of the next.
pub(super) fn may_end(last: char, is_apart: bool, next: char) -> bool {
    if last.is_alphanumeric() || matches!(last, ',' | ';' | ':' | '-') {
        return false;
    }
    // Only CJK is written without a blank after a full stop; elsewhere it stands in names and addresses.
    is_apart || (cjk::is_closing(last) && (next.is_alphanumeric() || cjk::is_opening(next)))
}

/// Whether a sentence ends between two parts of a text: `before` ends with the last character of a word, `after` begins
/// with the first of the next. `is_apart` says that there are blanks between, and `line` is where the line or sentence
/// of `before` began in it.
pub(super) fn ends(before: &str, is_apart: bool, after: &str, line: usize) -> bool {
    let (tail, head) = (tail(before, BEFORE), head(after, AFTER));
    // A bracket that opens the next sentence would be taken for one that closes this.
    let head = if is_apart { head } else { head.trim_start_matches(cjk::is_opening) };
    let last = tail.rfind(char::is_alphanumeric);
    let next = head.char_indices().find(|(_, character)| character.is_alphanumeric());
    // Signs alone are no sentence.
    let (Some(last), Some((at, next))) = (last, next) else { return false };
    let (tail, head) = (&tail[last..], &head[..at + next.len_utf8()]);
    let joint = tail.len() + usize::from(is_apart);
    let both = [tail, if is_apart { " " } else { "" }, head].concat();
    let mut bounds = both.split_sentence_bound_indices().map(|(at, _)| at).skip_while(|at| *at < joint);
    if bounds.next() != Some(joint) {
        return false;
    }
    !next.is_lowercase() && !goes_on(before, line, next)
}

/// Whether the last word only looks like the end of a sentence.
fn goes_on(before: &str, line: usize, next: char) -> bool {
    let tail = tail(before, BEFORE);
    let word = tail.rsplit(char::is_whitespace).next().unwrap_or_default();
    let is_first = before.len() - word.len() <= line;
    let Some(stem) = word.trim_start_matches(|c: char| !c.is_alphanumeric()).strip_suffix('.') else {
        return false;
    };
    if stem.is_empty() {
        return false;
    }
    // The number of an item: "1. First".
    if is_first && stem.chars().all(|character| character.is_ascii_digit()) {
        return true;
    }
    // Initials, and "e.g.", "U.S.", "z.B.".
    if stem.split('.').all(|part| part.chars().count() == 1 && part.chars().all(char::is_alphabetic)) {
        return true;
    }
    let stem = stem.to_lowercase();
    ABBREVIATIONS.contains(&stem.as_str()) || (BEFORE_NUMBERS.contains(&stem.as_str()) && next.is_numeric())
}

/// The end of a text, at most so many bytes.
pub(super) fn tail(text: &str, bytes: usize) -> &str {
    let from = text.len().saturating_sub(bytes);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    &text[from..]
}

/// The beginning of a text, at most so many bytes.
pub(super) fn head(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The sentences of a text whose words are apart by one blank or nothing.
    fn sentences(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        let mut start = 0;
        for (at, _) in text.char_indices().skip(1) {
            let before = text[..at].trim_end();
            let is_apart = before.len() < at;
            if text[at..].starts_with(' ') {
                continue;
            }
            let (last, next) = (before.chars().next_back().unwrap(), text[at..].chars().next().unwrap());
            if may_end(last, is_apart, next) && ends(before, is_apart, &text[at..], start) {
                found.push(text[start..at].trim_end());
                start = at;
            }
        }
        found.push(&text[start..]);
        found
    }

    #[test]
    fn sentences_end_where_readers_end_them() {
        for whole in [
            "Dr. Smith met Mr. J. R. Jones in the U.S. Senate.",
            "Use a cache, e.g. Redis, i.e. A store.",
            "It grew by 3.5 percent in version 1.2.3 of it.",
            "See https://example.org/a?B=C.D for it.",
            "See Fig. 3 and No. 7 of it.",
            "Yahoo! is a name.",
            "1. First of all",
            "Miller et al. Wrote it.",
            "The file main.rs. is there",
        ] {
            assert_eq!(sentences(whole), [whole]);
        }
        assert_eq!(sentences("One. Two! Three? Four"), ["One.", "Two!", "Three?", "Four"]);
        assert_eq!(
            sentences("He said \"no.\" Then (at last.) It ended."),
            ["He said \"no.\"", "Then (at last.)", "It ended."]
        );
        assert_eq!(sentences("It was 2019. Then it was 2020."), ["It was 2019.", "Then it was 2020."]);
        assert_eq!(
            sentences("\u{7532}\u{3002}\u{4e59}\u{ff01}\u{300c}\u{4e19}\u{3002}\u{300d}\u{4e01}"),
            ["\u{7532}\u{3002}", "\u{4e59}\u{ff01}", "\u{300c}\u{4e19}\u{3002}\u{300d}", "\u{4e01}"]
        );
        assert_eq!(sentences("\u{628}\u{61f} \u{628}"), ["\u{628}\u{61f}", "\u{628}"]);
    }
}
