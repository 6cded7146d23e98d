//! Where words may be taken apart that are written without blanks between.
//!
//! Without a dictionary it can only be told from the script: Chinese characters stand for themselves, a Japanese word
//! goes on in hiragana, and katakana stay together.

#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Han,
    Hiragana,
    Katakana,
    Opening,
    Closing,
    Other,
}

/// Whether one word ends with `last` and another begins with `next`, with nothing between.
pub(super) fn is_between_words(last: char, next: char) -> bool {
    if last.is_ascii() && next.is_ascii() {
        return false;
    }
    match (script(last), script(next)) {
        (Script::Opening, _) | (_, Script::Closing) => false,
        (Script::Closing, _) => true,
        (before, Script::Han) => before != Script::Other || last.is_alphanumeric(),
        (before, Script::Katakana) => {
            before != Script::Katakana && (before != Script::Other || last.is_alphanumeric())
        }
        (Script::Other, _) | (_, Script::Hiragana) => false,
        (_, Script::Opening) => true,
        (_, Script::Other) => next.is_alphanumeric(),
    }
}

/// Whether a bracket or quotation mark opens.
pub(super) fn is_opening(character: char) -> bool {
    script(character) == Script::Opening
}

/// Whether a full stop, bracket or the like closes.
pub(super) fn is_closing(character: char) -> bool {
    script(character) == Script::Closing
}

fn script(character: char) -> Script {
    match character {
        '\u{3041}'..='\u{309f}' => Script::Hiragana,
        '\u{30a1}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' => Script::Katakana,
        '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}' => Script::Han,
        '\u{3008}' | '\u{300a}' | '\u{300c}' | '\u{300e}' | '\u{3010}' | '\u{3014}' | '\u{ff08}' => {
            Script::Opening
        }
        // The sign that repeats a character goes with it like a full stop.
        '\u{3005}'
        | '\u{3001}'..='\u{3002}'
        | '\u{3009}'
        | '\u{300b}'
        | '\u{300d}'
        | '\u{300f}'
        | '\u{3011}'
        | '\u{3015}'
        | '\u{ff01}'
        | '\u{ff09}'
        | '\u{ff0c}'
        | '\u{ff0e}'
        | '\u{ff1a}'..='\u{ff1b}'
        | '\u{ff1f}' => Script::Closing,
        _ => Script::Other,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parted(text: &str) -> String {
        let mut parted = String::new();
        for character in text.chars() {
            if parted.chars().next_back().is_some_and(|last| is_between_words(last, character)) {
                parted.push('|');
            }
            parted.push(character);
        }
        parted
    }

    #[test]
    fn scripts_without_blanks_are_taken_apart_where_words_may_end() {
        assert_eq!(parted("\u{6f22}\u{5b57}\u{3002}\u{6587}"), "\u{6f22}|\u{5b57}\u{3002}|\u{6587}");
        assert_eq!(parted("\u{98df}\u{3079}\u{308b}\u{6642}"), "\u{98df}\u{3079}\u{308b}|\u{6642}");
        assert_eq!(parted("\u{30c6}\u{30b9}\u{30c8}\u{7528}"), "\u{30c6}\u{30b9}\u{30c8}|\u{7528}");
        assert_eq!(parted("\u{300c}\u{5b57}\u{300d}Rust\u{8a9e}"), "\u{300c}\u{5b57}\u{300d}|Rust|\u{8a9e}");
        assert_eq!(parted("plain_words-stay.whole"), "plain_words-stay.whole");
    }
}
