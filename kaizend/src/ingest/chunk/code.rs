//! Where code is best cut, told from blank lines, indentation and how a line begins.

use super::unit::Level;

/// Bytes of a line that are looked at.
pub(super) const SEEN: usize = 16;
/// What a line begins with that belongs to the lines before it.
const CLOSING: &[&str] = &["}", ")", "]", "</"];
/// Words with which a line continues the one before it.
const CONTINUING: &[&str] =
    &["else", "elif", "elsif", "except", "catch", "finally", "end", "fi", "done", "esac", "then"];

/// A line of code.
#[derive(Default)]
pub(super) struct Line {
    indent: usize,
    is_closing: bool,
}

impl Line {
    pub(super) fn read(indent: usize, line: &str) -> Line {
        Line { indent, is_closing: is_closing(line) }
    }

    /// How strongly, and how deep in the structure, this line is divided from the next.
    pub(super) fn next(&self, is_after_blank: bool, indent: usize, line: &str) -> (Level, u8) {
        if is_closing(line) {
            return (Level::Line, u8::MAX);
        }
        let depth = u8::try_from(indent).unwrap_or(u8::MAX - 1).min(u8::MAX - 1);
        let is_item = indent == 0 && (is_after_blank || self.indent > 0 || self.is_closing);
        let level = if is_item {
            Level::Item
        } else if is_after_blank {
            Level::Paragraph
        } else {
            Level::Line
        };
        (level, depth)
    }
}

fn is_closing(line: &str) -> bool {
    let word = line.split(|character: char| !character.is_alphanumeric()).next().unwrap_or_default();
    CLOSING.iter().any(|closing| line.starts_with(closing)) || CONTINUING.contains(&word)
}
