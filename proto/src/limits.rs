//! Limits on texts: words and sentences for what people read, bytes for what is stored.

use crate::denial::{Code, Denial};

/// Sentences in a summary.
pub const SUMMARY_SENTENCES: usize = 2;
/// Words in a summary.
pub const SUMMARY_WORDS: usize = 80;
/// Words in a body and in other long fields.
pub const BODY_WORDS: usize = 1000;
/// Words above which a text must be split rather than shortened, whatever its own limit.
pub const SPLIT_WORDS: usize = 1300;
/// Bytes in a short field: a status, a scope, an id.
pub const SHORT_BYTES: usize = 512;
/// Bytes in a title, which has no limit in words but that of gotchas.
pub const TITLE_BYTES: usize = 4 * 1024;
/// Bytes in a path, an address or another reference.
pub const REFERENCE_BYTES: usize = 4 * 1024;
/// Bytes in a summary.
pub const SUMMARY_BYTES: usize = 2 * 1024;
/// Bytes in a body.
pub const BODY_BYTES: usize = 64 * 1024;
/// Bytes in a JSON payload.
pub const PAYLOAD_BYTES: usize = 1024 * 1024;

/// Runs of characters that are not white space.
pub fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// Pieces of the text when it is split where `.`, `!` or `?` is followed by white space: 0 for an empty text,
/// else at least 1. (`e.g. x` counts 2, `v1.2` counts 1.)
pub fn sentences(text: &str) -> usize {
    let text = text.trim();
    if text.is_empty() {
        return 0;
    }
    let ends = text.chars().zip(text.chars().skip(1));
    1 + ends.filter(|(mark, next)| matches!(mark, '.' | '!' | '?') && next.is_whitespace()).count()
}

/// Checks a summary.
///
/// # Errors
/// `DENIED_SUMMARY_REQUIRED`, `DENIED_SUMMARY_TOO_LONG`, or what [`check_words`] and [`check_bytes`] deny.
pub fn check_summary(summary: &str) -> Result<(), Denial> {
    if summary.is_empty() {
        return Err(Denial::new(Code::SummaryRequired).with("field", "summary"));
    }
    let sentences = sentences(summary);
    if sentences > SUMMARY_SENTENCES {
        return Err(Denial::new(Code::SummaryTooLong)
            .with("field", "summary")
            .with("sentences", sentences)
            .with("limit", SUMMARY_SENTENCES));
    }
    check_words("summary", summary, SUMMARY_WORDS)?;
    check_bytes("summary", summary, SUMMARY_BYTES)
}

/// Checks a body or another long field.
///
/// # Errors
/// What [`check_words`] and [`check_bytes`] deny.
pub fn check_body(field: &str, text: &str) -> Result<(), Denial> {
    check_words(field, text, BODY_WORDS)?;
    check_bytes(field, text, BODY_BYTES)
}

/// Checks the number of words of a field.
///
/// # Errors
/// `DENIED_FIELD_WORD_LIMIT`, or `DENIED_FIELD_SPLIT_REQUIRED` above [`SPLIT_WORDS`].
pub fn check_words(field: &str, text: &str, limit: usize) -> Result<(), Denial> {
    let words = words(text);
    if words <= limit {
        return Ok(());
    }
    if words <= SPLIT_WORDS {
        return Err(Denial::new(Code::FieldWordLimit)
            .with("field", field)
            .with("words", words)
            .with("limit", limit));
    }
    Err(Denial::new(Code::FieldSplitRequired)
        .with("field", field)
        .with("words", words)
        .with("limit", limit)
        .action(format!("Split the {field} into {} child entries.", words.div_ceil(limit))))
}

/// Checks the size of a field in bytes, and that it holds no NUL, which SQLite's text functions would cut at.
///
/// # Errors
/// `DENIED_TEXT_TOO_LONG`, `DENIED_TEXT_INVALID`.
pub fn check_bytes(field: &str, text: &str, limit: usize) -> Result<(), Denial> {
    if text.len() > limit {
        return Err(Denial::new(Code::TextTooLong)
            .with("field", field)
            .with("bytes", text.len())
            .with("limit", limit));
    }
    if text.as_bytes().contains(&0) {
        return Err(Denial::new(Code::TextInvalid)
            .with("field", field)
            .with("reason", "the text holds a NUL character"));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sentences_follow_the_rule() {
        for (text, expected) in [
            ("", 0),
            ("   ", 0),
            ("One", 1),
            ("One.", 1),
            ("One. Two.", 2),
            ("One.\n Two! Three?", 3),
            ("v1.2 is out", 1),
            ("e.g. x", 2),
            ("Wait... what", 2),
        ] {
            assert_eq!(sentences(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_long_text_is_split_and_a_longish_one_shortened() {
        let text = |words: usize| "w ".repeat(words);
        assert!(check_words("body", &text(1000), BODY_WORDS).is_ok());
        assert_eq!(check_words("body", &text(1001), BODY_WORDS).unwrap_err().code, Code::FieldWordLimit);
        assert_eq!(check_words("summary", &text(1300), 80).unwrap_err().code, Code::FieldWordLimit);
        let denial = check_words("summary", &text(1301), 80).unwrap_err();
        assert_eq!(denial.code, Code::FieldSplitRequired);
        assert!(denial.field("required_action").unwrap().as_str().unwrap().contains("17"));
    }

    proptest! {
        #[test]
        fn a_nul_never_passes(before in ".{0,40}", after in ".{0,40}") {
            let text = format!("{before}\0{after}");
            prop_assert_eq!(check_bytes("body", &text, BODY_BYTES).unwrap_err().code, Code::TextInvalid);
        }

        #[test]
        fn words_add_up(left in "[a-z .]{0,60}", right in "[a-z .]{0,60}") {
            prop_assert_eq!(words(&format!("{left} {right}")), words(&left) + words(&right));
        }
    }
}
