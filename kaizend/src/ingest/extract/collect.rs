//! Blocks as they are found: cleaned, placed under their headings, and counted.

use std::borrow::Cow;

use super::fault::Fault;
use super::limits::Limits;
use crate::ingest::block::{Block, BlockKind};

/// Bytes of a paragraph, above which it becomes several blocks: a text without a blank line has no paragraphs.
const LONGEST_TEXT: usize = 16 * 1024;
/// Characters of a heading in a section path.
const LONGEST_HEADING: usize = 200;

/// Gathers the blocks of one document.
pub(super) struct Collector<'a> {
    limits: &'a Limits,
    blocks: Vec<Block>,
    characters: u64,
    /// The headings above what comes next, outermost first, with their levels.
    above: Vec<(u8, String)>,
    page: Option<u32>,
    notes: Vec<String>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(limits: &'a Limits) -> Self {
        Collector {
            limits,
            blocks: Vec::new(),
            characters: 0,
            above: Vec::new(),
            page: None,
            notes: Vec::new(),
        }
    }

    /// The limits that hold for the document.
    pub(super) fn limits(&self) -> &'a Limits {
        self.limits
    }

    /// Says on which page the next blocks are.
    pub(super) fn set_page(&mut self, page: u32) {
        self.page = Some(page);
    }

    /// Tells the reader of the result something about the whole document.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Whether nothing was found so far.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Adds a heading, which ends the sections of its level and deeper. Level 1 is the outermost.
    pub(super) fn heading(&mut self, level: u8, text: &str) -> Result<(), Fault> {
        let text = one_line(text);
        if text.is_empty() {
            return Ok(());
        }
        self.above.retain(|(above, _)| *above < level);
        self.push(BlockKind::SectionHeader, &text)?;
        let end = text.char_indices().nth(LONGEST_HEADING).map_or(text.len(), |(end, _)| end);
        self.above.push((level, text[..end].trim_end().to_owned()));
        Ok(())
    }

    /// Adds a block under the headings so far, unless its text is blank.
    pub(super) fn push(&mut self, kind: BlockKind, text: &str) -> Result<(), Fault> {
        self.push_within(kind, text, None)
    }

    /// [`Collector::push`] with one more step in the section path: what the block is a part of.
    pub(super) fn push_within(
        &mut self,
        kind: BlockKind,
        text: &str,
        whole: Option<&str>,
    ) -> Result<(), Fault> {
        let text = clean(text);
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (piece, after) = if kind == BlockKind::Text && rest.len() > LONGEST_TEXT {
                rest.split_at(break_before(rest, LONGEST_TEXT))
            } else {
                (rest, "")
            };
            self.add(kind, piece.trim(), whole)?;
            rest = after.trim();
        }
        Ok(())
    }

    /// Puts the title of the document before everything else.
    pub(super) fn title(&mut self, text: &str) -> Result<(), Fault> {
        let above = std::mem::take(&mut self.above);
        let count = self.blocks.len();
        self.push(BlockKind::Title, &one_line(text))?;
        self.above = above;
        let added = self.blocks.len() - count;
        self.blocks.rotate_right(added);
        Ok(())
    }

    /// The blocks and what is to be said about them.
    pub(super) fn finish(self) -> (Vec<Block>, Vec<String>) {
        (self.blocks, self.notes)
    }

    fn add(&mut self, kind: BlockKind, text: &str, whole: Option<&str>) -> Result<(), Fault> {
        if text.is_empty() {
            return Ok(());
        }
        let section: Vec<String> =
            self.above.iter().map(|(_, heading)| heading.as_str()).chain(whole).map(str::to_owned).collect();
        let length: usize =
            section.iter().map(|heading| heading.chars().count()).sum::<usize>() + text.chars().count();
        self.characters = self.characters.saturating_add(length as u64);
        if self.characters > self.limits.characters {
            return Err(Fault::TooMuch { what: "characters", limit: self.limits.characters });
        }
        if self.blocks.len() as u64 >= self.limits.blocks {
            return Err(Fault::TooMuch { what: "blocks", limit: self.limits.blocks });
        }
        self.blocks.push(Block { kind, text: text.to_owned(), page: self.page, section });
        Ok(())
    }
}

/// The text with its white space made single spaces.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where to break a text that is longer than `limit` bytes, at most there: at a line's end, else after a word, else
/// between two characters.
pub(super) fn break_before(text: &str, limit: usize) -> usize {
    let end = text.floor_char_boundary(limit).max(text.chars().next().map_or(0, char::len_utf8));
    let head = &text[..end];
    let middle = head.len() / 2;
    let later = |position: &usize| *position > middle;
    let line = head.rfind('\n').map(|position| position + 1).filter(later);
    line.or_else(|| head.rfind(' ').map(|position| position + 1).filter(later)).unwrap_or(end)
}

/// Without what cannot be stored, and with one kind of line break.
fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', '\r']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace('\0', "\u{fffd}").replace("\r\n", "\n").replace('\r', "\n"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn headings_end_the_sections_of_their_level() {
        let limits = Limits::default();
        let mut blocks = Collector::new(&limits);
        blocks.heading(1, "One").unwrap();
        blocks.heading(3, "Deep \n one").unwrap();
        blocks.push(BlockKind::Text, "a").unwrap();
        blocks.heading(2, "Two").unwrap();
        blocks.push(BlockKind::Text, " b\r\n\0 ").unwrap();
        blocks.title("All").unwrap();
        let (blocks, _) = blocks.finish();
        let shown: Vec<_> =
            blocks.iter().map(|block| (block.text.as_str(), block.section.join("/"))).collect();
        let expected = [
            ("All", ""),
            ("One", ""),
            ("Deep one", "One"),
            ("a", "One/Deep one"),
            ("Two", "One"),
            ("b\n\u{fffd}", "One/Two"),
        ];
        assert_eq!(shown, expected.map(|(text, section)| (text, section.to_owned())));
    }

    #[test]
    fn a_text_without_paragraphs_is_broken_at_its_lines() {
        let limits = Limits::default();
        let mut blocks = Collector::new(&limits);
        let text = "word word word word\n".repeat(5000);
        blocks.push(BlockKind::Text, &text).unwrap();
        blocks.push(BlockKind::Text, &"ü".repeat(20_000)).unwrap();
        let (blocks, _) = blocks.finish();
        assert!(blocks.len() > 6 && blocks.iter().all(|block| block.text.len() <= LONGEST_TEXT));
        assert!(blocks[0].text.ends_with("word word word word"));
        let characters: usize = blocks.iter().map(|block| block.text.matches('ü').count()).sum();
        assert_eq!(characters, 20_000);
    }

    #[test]
    fn too_much_is_refused() {
        let limits = Limits { blocks: 2, characters: 10, ..Limits::default() };
        let mut blocks = Collector::new(&limits);
        assert!(blocks.push(BlockKind::Text, "01234567890").is_err());
        let mut blocks = Collector::new(&limits);
        blocks.push(BlockKind::Text, "a").unwrap();
        blocks.push(BlockKind::Text, "b").unwrap();
        assert!(matches!(
            blocks.push(BlockKind::Text, "c"),
            Err(Fault::TooMuch { what: "blocks", limit: 2 })
        ));
    }
}
