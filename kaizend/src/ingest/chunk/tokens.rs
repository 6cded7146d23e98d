//! How many tokens a text is, about, while no model's own tokenizer is configured.

use unicode_normalization::char::is_combining_mark;

/// Letters of a word that one token covers.
const WORD: usize = 7;
/// Letters that each further token of a word covers.
const WORD_MORE: usize = 3;
/// Digits to a token.
const DIGITS: usize = 3;
/// Letters of other alphabets to a token.
const LETTERS: usize = 2;
/// Times that a sign is repeated in one token.
const SIGNS: usize = 4;
/// Blanks that cost nothing, and that each token holds beyond.
const BLANKS: usize = 16;
/// Letters and digits in a row from which on a string is taken for data, which has two characters to a token.
const DATA: usize = 16;
/// The longest run. A longer one is taken for several, so that any text can be cut somewhere.
const RUN: usize = 32;

/// About how many tokens a text is, in one pass.
///
/// It is an estimate of what the byte-pair tokenizers of current models make of it: a word of up to seven letters is one
/// token, a longer one has one more for each three letters, `camelCase` is two words, three digits are one token, a
/// CJK character or emoji is one, two letters of another alphabet are one, a sign is one (repeated, up to four times), and
/// blanks are none unless there are many. Beyond 16 letters and digits in a row it is data such as base64, two characters
/// to a token.
///
/// Measured against cl100k and o200k it is 0.9 to 1.2 of the truth for English prose, Rust, Python, JSON, Chinese, Japanese
/// and data, 0.8 to 1.2 for German, French and Korean, and 1.0 to 1.4 for Russian. A fixed four characters to a token is 0.3
/// to 0.5 of it for CJK and data.
pub fn estimate_tokens(text: &str) -> usize {
    let mut meter = Meter::default();
    for character in text.chars() {
        meter.push(character);
    }
    meter.tokens
}

/// The characters that go together into tokens.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Blank,
    Lower,
    Upper,
    Letter,
    Digit,
    Wide,
    Sign,
}

/// Counts tokens character by character.
///
/// What it counts from a point where [`Meter::push`] said that a token may begin is never less than it would count if
/// the text began there: parts may be added up, and the sum is no less than what [`estimate_tokens`] says of the whole.
#[derive(Clone, Default)]
pub(super) struct Meter {
    /// Tokens so far, the one that is begun included.
    pub(super) tokens: usize,
    kind: Kind,
    last: char,
    /// Characters of the run.
    run: usize,
    /// Letters and digits in a row.
    unbroken: usize,
    /// Characters since a token was begun.
    since: usize,
}

impl Meter {
    /// Forgets what came before, as at the beginning of a text, but not the count.
    pub(super) fn restart(&mut self) {
        *self = Meter { tokens: self.tokens, ..Meter::default() };
    }

    /// Takes in the next character, and says whether the text may be cut before it when nothing else is possible.
    pub(super) fn push(&mut self, character: char) -> bool {
        let joined = self.kind != Kind::Blank
            && (is_joined(character) || (self.last == '\u{200d}' && !character.is_whitespace()));
        let kind = if joined { self.kind } else { kind(character) };
        if kind == Kind::Blank {
            self.blank(character);
            return false;
        }
        let goes_on = self.run < RUN && (joined || self.continues(kind, character));
        self.run = if goes_on { self.run + 1 } else { 1 };
        self.unbroken = match kind {
            // Base64 has this sign among its letters.
            Kind::Sign if character == '+' => self.unbroken,
            Kind::Wide | Kind::Sign => 0,
            _ => self.unbroken + 1,
        };
        let is_data = self.unbroken > DATA && !joined;
        let begins = match kind {
            _ if self.run == 1 => true,
            _ if is_data => self.since >= 1,
            Kind::Lower | Kind::Upper => self.run > WORD && (self.run - WORD) % WORD_MORE == 1,
            Kind::Digit => self.run % DIGITS == 1,
            Kind::Sign => self.run % SIGNS == 1,
            Kind::Letter | Kind::Wide | Kind::Blank => self.run % LETTERS == 1,
        };
        self.tokens += usize::from(begins);
        self.since = if begins { 0 } else { self.since + 1 };
        (self.kind, self.last) = (kind, character);
        begins && (self.run == 1 || is_data)
    }

    fn blank(&mut self, character: char) {
        let run = if self.kind == Kind::Blank { self.run + 1 } else { 1 };
        let is_many = run > BLANKS;
        let run = if is_many { 1 } else { run };
        *self =
            Meter { tokens: self.tokens + usize::from(is_many), last: character, run, ..Meter::default() };
    }

    fn continues(&self, kind: Kind, character: char) -> bool {
        match (self.kind, kind) {
            (Kind::Wide, _) => false,
            (Kind::Sign, Kind::Sign) => character == self.last,
            // A capital begins a word; several are a word of their own.
            (Kind::Upper, Kind::Lower) => self.run == 1,
            (Kind::Lower | Kind::Upper, Kind::Letter) | (Kind::Letter, Kind::Lower) => true,
            (before, now) => before == now,
        }
    }
}

/// Whether a character is part of the one before it.
fn is_joined(character: char) -> bool {
    !character.is_ascii()
        && (matches!(character, '\u{200c}' | '\u{200d}' | '\u{1f3fb}'..='\u{1f3ff}')
            || is_combining_mark(character))
}

fn kind(character: char) -> Kind {
    match character {
        'a'..='z' => Kind::Lower,
        'A'..='Z' => Kind::Upper,
        '0'..='9' => Kind::Digit,
        _ if character.is_whitespace() => Kind::Blank,
        _ if character.is_ascii() => Kind::Sign,
        _ if is_wide(character) => Kind::Wide,
        _ if character.is_alphanumeric() => Kind::Letter,
        _ => Kind::Sign,
    }
}

/// CJK with its punctuation and full-width forms, Hangul, and emoji.
fn is_wide(character: char) -> bool {
    matches!(
        character,
        '\u{2e80}'..='\u{9fff}'
            | '\u{ac00}'..='\u{d7af}'
            | '\u{f900}'..='\u{faff}'
            | '\u{fe30}'..='\u{fe4f}'
            | '\u{ff00}'..='\u{ffef}'
            | '\u{1f000}'..='\u{1faff}'
            | '\u{20000}'..='\u{3ffff}'
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prose_code_cjk_and_data_are_told_apart() {
        assert_eq!(estimate_tokens(""), 0);
        assert_eq!(estimate_tokens("The cache is cold."), 5);
        assert_eq!(estimate_tokens("configuration"), 3);
        assert_eq!(estimate_tokens("let maxTokens = 256;"), 6);
        assert_eq!(estimate_tokens("\u{6f22}\u{5b57}\u{3002}"), 3);
        assert_eq!(estimate_tokens("\u{1f468}\u{200d}\u{1f469}"), 2);
        assert_eq!(estimate_tokens(&" ".repeat(16)), 0);
        assert_eq!(estimate_tokens(&" ".repeat(16 * 100)), 99);
        let data = estimate_tokens(&"q".repeat(10_000));
        assert!((4_900..5_100).contains(&data), "{data}");
    }

    proptest! {
        #[test]
        fn parts_are_never_less_than_what_they_are_taken_alone(text in "[a-cA-C0-9 +./\u{301}\u{4e00}\u{200d}\u{e4}]{0,120}") {
            let mut meter = Meter::default();
            let mut starts = Vec::new();
            for (at, character) in text.char_indices() {
                let before = meter.tokens;
                if meter.push(character) {
                    starts.push((at, before));
                }
            }
            prop_assert_eq!(meter.tokens, estimate_tokens(&text));
            for (at, before) in starts {
                prop_assert!(estimate_tokens(&text[at..]) <= meter.tokens - before, "{:?}", &text[at..]);
            }
        }
    }
}
