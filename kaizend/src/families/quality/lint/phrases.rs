//! Phrases that say nothing.

use kaizen_proto::families::quality::FillerHit;

use super::text::is_letter;

/// What may stand between the words of a phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gap {
    /// One space and nothing else.
    OneSpace,
    /// Any white space.
    White,
}

/// A phrase: its parts in order, and for each the words that may stand there. An empty alternative may be left out.
struct Phrase {
    label: &'static str,
    suggestion: &'static str,
    parts: &'static [&'static [&'static str]],
}

const fn wordy(parts: &'static [&'static [&'static str]], suggestion: &'static str) -> Phrase {
    Phrase { label: "wordy", suggestion, parts }
}

const fn hedge(parts: &'static [&'static [&'static str]]) -> Phrase {
    Phrase { label: "hedge_phrase", suggestion: "(cut)", parts }
}

const fn colloquial(parts: &'static [&'static [&'static str]], suggestion: &'static str) -> Phrase {
    Phrase { label: "colloquial", suggestion, parts }
}

const PHRASES: &[Phrase] = &[
    wordy(&[&["in order to"]], "to"),
    wordy(&[&["due to the fact that"]], "because"),
    wordy(&[&["in the event that"]], "if"),
    wordy(&[&["at this point in time"]], "now"),
    wordy(&[&["at the present time"]], "now"),
    wordy(&[&["a"], &["large", "great"], &["number of"]], "many"),
    wordy(&[&["for the purpose of"]], "to"),
    wordy(&[&["with regard to"]], "about"),
    hedge(&[&["it"], &["is", "should be"], &["important", "worth"], &["to note", "noting"], &["that", ""]]),
    hedge(&[&["it should be noted that"]]),
    hedge(&[&["as"], &["we", "you"], &["can see"]]),
    hedge(&[&["needless to say"]]),
    hedge(&[&["it goes without saying"]]),
    hedge(&[&["for all intents and purposes"]]),
    hedge(&[&["at the end of the day"]]),
    hedge(&[&["the fact of the matter is"]]),
    colloquial(&[&["go for broke"]], "state the scope plainly"),
    colloquial(&[&["dogfood", "dogfoods", "dogfooding", "dogfooded"]], "name the concrete action"),
    colloquial(&[&["zero to hero"]], "(cut)"),
    colloquial(&[&["kind", "sort"], &["of"]], "cut or be precise"),
];

/// A run of letters, digits and `_`: phrases start and end at their borders.
struct Token<'t> {
    text: &'t str,
    bytes: [usize; 2],
    span: [usize; 2],
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens: Vec<Token<'_>> = Vec::new();
    for (count, (at, character)) in text.char_indices().enumerate() {
        if !is_letter(character) && character != '_' {
            continue;
        }
        let end = at + character.len_utf8();
        match tokens.last_mut() {
            Some(token) if token.bytes[1] == at => {
                token.bytes[1] = end;
                token.span[1] = count + 1;
                token.text = &text[token.bytes[0]..end];
            }
            _ => tokens.push(Token { text: &text[at..end], bytes: [at, end], span: [count, count + 1] }),
        }
    }
    tokens
}

/// The phrases of a text, in the order of the table and then of the text.
pub(super) fn find(text: &str, gap: Gap) -> Vec<FillerHit> {
    let tokens = tokens(text);
    let follows = |at: usize| match (at.checked_sub(1).and_then(|before| tokens.get(before)), tokens.get(at))
    {
        (Some(before), Some(token)) => {
            let between = &text[before.bytes[1]..token.bytes[0]];
            between == " " || (gap == Gap::White && between.trim().is_empty())
        }
        _ => false,
    };
    let mut hits = Vec::new();
    for phrase in PHRASES {
        let mut at = 0;
        while at < tokens.len() {
            let Some(end) = ends_at(&tokens, &follows, phrase.parts, at, at) else {
                at += 1;
                continue;
            };
            let (first, last) = (&tokens[at], &tokens[end - 1]);
            hits.push(FillerHit {
                label: phrase.label.into(),
                text: text[first.bytes[0]..last.bytes[1]].into(),
                span: [first.span[0], last.span[1]],
                suggestion: phrase.suggestion.into(),
            });
            at = end;
        }
    }
    hits
}

/// Where a phrase that starts at `start` ends, when its parts from `at` on are there.
fn ends_at(
    tokens: &[Token<'_>],
    follows: &impl Fn(usize) -> bool,
    parts: &[&[&str]],
    start: usize,
    at: usize,
) -> Option<usize> {
    let Some((part, rest)) = parts.split_first() else { return Some(at) };
    part.iter().find_map(|alternative| {
        let mut end = at;
        for word in alternative.split_whitespace() {
            let token = tokens.get(end)?;
            if !token.text.eq_ignore_ascii_case(word) || (end > start && !follows(end)) {
                return None;
            }
            end += 1;
        }
        ends_at(tokens, follows, rest, start, end)
    })
}
