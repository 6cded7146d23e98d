//! Words and sentences.

/// A word with its place.
pub(super) struct Word {
    /// In lowercase.
    pub(super) lower: String,
    /// Its first character and the one after its last.
    pub(super) span: [usize; 2],
}

/// Whether a character can be part of a word: a letter or digit, or a mark on one.
pub(super) fn is_letter(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '\u{300}'..='\u{36f}')
}

/// The words of a text. An apostrophe is part of a word, the typographic one only between letters, as it also closes
/// quotations.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut before = None;
    let mut characters = text.chars().enumerate().peekable();
    while let Some((at, character)) = characters.next() {
        let inside = match character {
            '\'' => true,
            '’' => {
                before.is_some_and(is_letter) && characters.peek().is_some_and(|(_, next)| is_letter(*next))
            }
            other => is_letter(other),
        };
        before = Some(character);
        if !inside {
            continue;
        }
        match words.last_mut() {
            Some(word) if word.span[1] == at => {
                word.lower.extend(character.to_lowercase());
                word.span[1] = at + 1;
            }
            _ => words.push(Word { lower: character.to_lowercase().collect(), span: [at, at + 1] }),
        }
    }
    words
}

/// Abbreviations that seldom end a sentence.
const ABBREVIATIONS: &[&str] = &[
    "e.g", "i.e", "cf", "vs", "approx", "resp", "incl", "excl", "dr", "mr", "mrs", "ms", "prof", "fig", "eq",
    "sec", "st",
];

/// The sentences of a text: pieces that end where `.`, `!` or `?` is followed by white space.
pub(super) fn sentences(text: &str, strict: bool) -> Vec<&str> {
    let text = text.trim();
    let mut sentences = Vec::new();
    let mut start = 0;
    let mut before = ' ';
    for (at, character) in text.char_indices() {
        let ends = matches!(before, '.' | '!' | '?') && character.is_whitespace();
        before = character;
        if ends && !(strict && goes_on(&text[start..at], &text[at..])) {
            sentences.push(text[start..at].trim());
            start = at;
        }
    }
    sentences.push(text[start..].trim());
    sentences.retain(|sentence| !sentence.is_empty());
    sentences
}

/// Whether a full stop is that of an abbreviation, an initial or a number that goes on.
fn goes_on(sentence: &str, rest: &str) -> bool {
    let Some(body) = sentence.strip_suffix('.') else { return false };
    let next = rest.trim_start().chars().next().unwrap_or(' ');
    let last = body.rsplit(|character: char| character.is_whitespace() || character == '(').next();
    let last = last.unwrap_or_default();
    let is_initial = {
        let mut characters = last.chars();
        matches!((characters.next(), characters.next()), (Some(only), None) if only.is_uppercase())
    };
    let is_number = last.ends_with(|character: char| character.is_ascii_digit()) && next.is_ascii_digit();
    next.is_lowercase() || is_initial || is_number || ABBREVIATIONS.contains(&last.to_lowercase().as_str())
}
