//! How a text of a record is written in Markdown so that it stays a text: it can neither start a row, a heading, a fence,
//! a link or an HTML tag, nor turn the line around, nor reach the script of a chart.

use kaizen_proto::canonical_json::sha256_hex;

/// Where a text is put. In a table a bar would end the cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a line, a paragraph or a heading.
    Line,
    /// In a cell of a table.
    Cell,
}

/// Characters of a label of a chart at most.
const LABEL_CHARS: usize = 40;

/// Whether a character does something to its surroundings instead of showing: controls, and marks that change the
/// direction of a line or have no width. The joiners stay, because scripts and emoji need them.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
                | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// A text in one line: runs of white space become one space, and what is not seen becomes a mark that is.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().map(|character| if is_unseen(character) { '\u{fffd}' } else { character }));
    }
    line
}

/// A text as Markdown that shows just this text, in one line.
pub fn text(text: &str, place: Place) -> String {
    let line = one_line(text);
    let mut out = String::with_capacity(line.len() + 16);
    let mut before = None;
    for (at, character) in line.char_indices() {
        let rest = &line[at + character.len_utf8()..];
        let next = rest.chars().next();
        match character {
            '\\' | '`' | '*' | '[' | ']' => {
                out.push('\\');
                out.push(character);
            }
            '|' if place == Place::Cell => out.push_str("\\|"),
            // Inside a word an underscore is one.
            '_' if !(is_word(before) && is_word(next)) => out.push_str("\\_"),
            '~' if before == Some('~') || next == Some('~') => out.push_str("\\~"),
            '<' => out.push_str("&lt;"),
            '&' if is_entity(rest) => out.push_str("&amp;"),
            _ => out.push(character),
        }
        before = Some(character);
    }
    out
}

fn is_word(character: Option<char>) -> bool {
    character.is_some_and(char::is_alphanumeric)
}

/// Whether an ampersand before this would be read as the start of an entity.
fn is_entity(rest: &str) -> bool {
    let name = rest.strip_prefix('#').unwrap_or(rest);
    let end = name.find(|character: char| !character.is_ascii_alphanumeric()).unwrap_or(name.len());
    end > 0 && name[end..].starts_with(';')
}

/// [`text`] at the start of a block, where some characters would begin a list, a quotation, a heading or a fence.
pub fn paragraph(raw: &str) -> String {
    let escaped = text(raw, Place::Line);
    let digits = escaped.bytes().take_while(u8::is_ascii_digit).count();
    match escaped[digits..].chars().next() {
        Some('.' | ')') if digits > 0 => format!("{}\\{}", &escaped[..digits], &escaped[digits..]),
        Some('#' | '>' | '+' | '-' | '=' | '~' | ':' | '|') if digits == 0 => format!("\\{escaped}"),
        _ => escaped,
    }
}

/// [`text`] in a heading, where closing number signs would be taken for its end.
pub fn heading(raw: &str) -> String {
    let escaped = text(raw, Place::Line);
    match escaped.strip_suffix('#') {
        Some(rest) => format!("{rest}\\#"),
        None => escaped,
    }
}

/// A text as a code span: an id, a path, a command. What could end the span or its cell early, or what careless viewers
/// would take for a tag in it, is written as a text instead; no id of ours holds such a character.
pub fn code(raw: &str, place: Place) -> String {
    let line = one_line(raw);
    if line.is_empty() || line.contains(['`', '<', '|', '\\']) {
        return text(raw, place);
    }
    format!("`{line}`")
}

/// The name of the place in a document that an id has. Ids of a usual shape are their own.
pub fn anchor(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !id.is_empty() && id.len() <= 128 && id.bytes().all(plain) {
        return id.to_owned();
    }
    format!("id-{}", &sha256_hex(id.as_bytes())[..16])
}

/// A text as a label of a chart. The script of a chart has no way to write every character, so only letters, digits and
/// a few marks are left.
pub fn label(raw: &str) -> String {
    let kept: String = raw
        .chars()
        .map(|character| {
            if character.is_alphanumeric() || matches!(character, '-' | '_' | '.' | '/' | '+' | ':') {
                character
            } else {
                ' '
            }
        })
        .collect();
    let mut label: String = one_line(&kept).chars().take(LABEL_CHARS).collect();
    label.truncate(label.trim_end().len());
    if label.is_empty() { "none".into() } else { label }
}

/// A part of a file name for a text: whatever is not a letter, a digit, `-` or `_` becomes `-`. The second value says
/// whether the text is its own slug, so that no other text has it.
pub fn slug(text: &str, empty: &str) -> (String, bool) {
    /// Bytes of a slug at most; names have 255, and more than the slug is in them.
    const SLUG_BYTES: usize = 120;
    let mut slug: String = text
        .chars()
        .map(
            |character| {
                if character.is_alphanumeric() || matches!(character, '-' | '_') { character } else { '-' }
            },
        )
        .collect();
    slug.truncate(slug.floor_char_boundary(SLUG_BYTES));
    if slug.is_empty() {
        slug.push_str(empty);
    }
    let own = slug == text;
    (slug, own)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn usual_texts_stay_as_they_are() {
        for usual in [
            "The gate passes.",
            "done in_progress VERIFICATION_FAILED",
            "a -> b, R&D, 5 > 3",
            "C++ & Rust; 100% (really!)",
            "https://example.org/a?b=c&d=e",
            "Größe 日本 👩\u{200d}💻",
        ] {
            assert_eq!(text(usual, Place::Line), usual);
        }
        assert_eq!(text("a | b", Place::Line), "a | b");
        assert_eq!(text("a | b", Place::Cell), "a \\| b");
    }

    #[test]
    fn what_would_be_markup_is_shown() {
        for (raw, shown) in [
            ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
            ("[x](javascript:alert(1))", "\\[x\\](javascript:alert(1))"),
            ("![x](http://x)", "!\\[x\\](http://x)"),
            ("`code` *b* _i_ a_b", "\\`code\\` \\*b\\* \\_i\\_ a_b"),
            ("&lt; &#60; & &;", "&amp;lt; &amp;#60; & &;"),
            ("a\n\n# b\r\n\u{2028}c", "a # b c"),
            ("a\u{202e}b\u{200b}\u{1b}[31m", "a\u{fffd}b\u{fffd}\u{fffd}\\[31m"),
            ("~~gone~~ ~5", "\\~\\~gone\\~\\~ ~5"),
            ("c:\\x", "c:\\\\x"),
        ] {
            assert_eq!(text(raw, Place::Line), shown);
        }
    }

    #[test]
    fn a_block_starts_with_text() {
        for (raw, shown) in [
            ("# a", "\\# a"),
            ("- a", "\\- a"),
            ("1. a", "1\\. a"),
            ("12) a", "12\\) a"),
            ("~~~", "\\~\\~\\~"),
            ("---", "\\---"),
            ("> a", "\\> a"),
            ("1.5 is a number", "1\\.5 is a number"),
            ("plain", "plain"),
        ] {
            assert_eq!(paragraph(raw), shown);
        }
        assert_eq!(heading("a #"), "a \\#");
    }

    #[test]
    fn a_code_span_holds_what_cannot_end_it() {
        assert_eq!(code("t_1", Place::Line), "`t_1`");
        assert_eq!(code("a`b", Place::Line), "a\\`b");
        assert_eq!(code("a<b", Place::Line), "a&lt;b");
        assert_eq!(code("a|b", Place::Cell), "a\\|b");
        assert_eq!(code(" \n", Place::Line), "");
    }

    #[test]
    fn slugs_and_anchors() {
        assert_eq!(slug("irl_1-a", "review"), ("irl_1-a".into(), true));
        assert_eq!(slug("a/b", "review"), ("a-b".into(), false));
        assert_eq!(slug("", "review"), ("review".into(), false));
        assert!(!slug(&"x".repeat(500), "review").1);
        assert_eq!(anchor("t_1"), "t_1");
        assert!(anchor("a\"b").starts_with("id-"));
        assert_ne!(anchor("a\"b"), anchor("a'b"));
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_line_or_becomes_a_tag(raw in "(\\PC|[\\n\\r\\t|<>&`*_~\\[\\]#\\\\]){0,80}") {
            for shown in [text(&raw, Place::Line), text(&raw, Place::Cell), paragraph(&raw), heading(&raw)] {
                prop_assert!(!shown.contains(['\n', '\r', '<']));
                prop_assert!(!shown.chars().any(is_unseen));
            }
        }

        #[test]
        fn every_mark_of_a_cell_is_escaped(raw in "[a|`*\\[\\]\\\\ ]{0,60}") {
            let shown = text(&raw, Place::Cell);
            let mut characters = shown.chars();
            while let Some(character) = characters.next() {
                match character {
                    '\\' => prop_assert!(characters.next().is_some_and(|next| next.is_ascii_punctuation())),
                    '|' | '`' | '*' | '[' | ']' => prop_assert!(false, "{shown}"),
                    _ => {}
                }
            }
        }

        #[test]
        fn a_label_is_harmless_in_quotes(raw in "\\PC{0,80}") {
            let label = label(&raw);
            prop_assert!(!label.is_empty() && label.chars().count() <= LABEL_CHARS);
            let marks = ['"', '\n', '%', '{', '}', ';', '#', '<', '>', '`', '[', ']', '|', '\\'];
            prop_assert!(!label.contains(marks));
        }

        #[test]
        fn a_slug_is_one_part_of_a_path(raw in "\\PC{0,200}") {
            let (slug, _) = slug(&raw, "x");
            prop_assert!(!slug.is_empty() && slug.len() <= 120 && !slug.contains(['/', '\\', '.', '\0']));
        }
    }
}
