//! What a document is divided into before it is measured: headings, and what stands between them.

use super::Strategy;
use super::sentence::head;
use crate::ingest::block::{Block, BlockKind};

/// Words of a heading path that are kept.
const CONTEXT_WORDS: usize = 60;
/// Characters of one heading that are kept: a chunk carries its headings, and a heading may be a whole document.
const HEADING_CHARS: usize = 300;
/// Headings above each other that are kept.
const HEADINGS: usize = 32;

/// How strongly a text is divided somewhere, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Within a heading, or after one: only when nothing else is possible.
    Glued,
    /// Within a word that is longer than a chunk.
    Inner,
    Word,
    /// A line of prose, which may be wrapped.
    Wrapped,
    Sentence,
    /// A row, an item of a list, a line of code.
    Line,
    /// A blank line.
    Paragraph,
    /// An item of code that stands at the margin.
    Item,
    Block,
    Section,
    /// A section of the outermost level.
    Top,
    End,
}

/// How a unit may be divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Heading,
    Prose,
    List,
    Table,
    Code,
}

/// A part of a block, or all of it.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// Where it begins in the text, in bytes.
    pub(super) start: usize,
    pub(super) shape: Shape,
    /// How strongly it is divided from the unit before.
    pub(super) level: Level,
    /// The block it belongs to.
    pub(super) block: usize,
}

/// The units of blocks whose texts stand one after the other with a blank line between. A heading's block is a heading
/// in its first line only.
pub(super) fn units(blocks: &[Block], strategy: Strategy) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    let mut start = 0;
    for (index, block) in blocks.iter().enumerate() {
        let level = match units.last() {
            None => Level::End,
            Some(last) if last.shape == Shape::Heading => Level::Glued,
            Some(last) => between(&blocks[last.block], block),
        };
        if is_heading(block) {
            units.push(Unit { start, shape: Shape::Heading, level, block: index });
            let lead = block.text.len() - block.text.trim_start().len();
            if let Some(line) = block.text[lead..].find('\n')
                && !block.text[lead + line..].trim().is_empty()
            {
                let shape = if strategy == Strategy::Code { Shape::Code } else { Shape::Prose };
                units.push(Unit { start: start + lead + line + 1, shape, level: Level::Glued, block: index });
            }
        } else if !block.text.trim().is_empty() {
            units.push(Unit { start, shape: shape(block.kind, strategy), level, block: index });
        }
        start += block.text.len() + super::BETWEEN.len();
    }
    units
}

fn is_heading(block: &Block) -> bool {
    matches!(block.kind, BlockKind::Title | BlockKind::SectionHeader) && !block.text.trim().is_empty()
}

fn shape(kind: BlockKind, strategy: Strategy) -> Shape {
    match kind {
        _ if strategy == Strategy::Code => Shape::Code,
        BlockKind::Code => Shape::Code,
        BlockKind::Table => Shape::Table,
        BlockKind::ListItem => Shape::List,
        _ => Shape::Prose,
    }
}

/// How strongly two blocks are divided of which the first does not end with a heading.
fn between(before: &Block, block: &Block) -> Level {
    let above = || before.section.iter().map(String::as_str).chain(own_heading(before));
    let is_heading = is_heading(block);
    let is_same = above().eq(block.section.iter().map(String::as_str));
    if is_same && !is_heading {
        return Level::Block;
    }
    match block.section.first() {
        Some(top) if above().next() == Some(top) => Level::Section,
        _ => Level::Top,
    }
}

/// The heading that a block itself is, without number signs before it.
fn own_heading(block: &Block) -> Option<&str> {
    is_heading(block).then(|| bare(&block.text))
}

/// The first line of a heading's text without number signs.
fn bare(text: &str) -> &str {
    let line = text.trim_start().lines().next().unwrap_or_default();
    let bare = line.trim_start_matches('#');
    if bare.starts_with(char::is_whitespace) { bare.trim() } else { line.trim() }
}

/// The headings above the text from unit `at` on, those included that it begins with.
pub(super) fn section(blocks: &[Block], units: &[Unit], at: usize, end: usize) -> Vec<String> {
    let mut last = at;
    while units[last].shape == Shape::Heading
        && units.get(last + 1).is_some_and(|next| next.shape == Shape::Heading && next.start < end)
    {
        last += 1;
    }
    let block = &blocks[units[last].block];
    // Each chunk of a long heading asks, so only as much of it is read as is kept.
    let own = is_heading(block).then(|| bare(head(&block.text, HEADING_CHARS * 4)));
    block.section.iter().map(String::as_str).chain(own).take(HEADINGS).map(shortened).collect()
}

fn shortened(heading: &str) -> String {
    let kept: String = heading.chars().take(HEADING_CHARS).collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A section as one line of a limited number of words.
pub(super) fn context(section: &[String]) -> String {
    let whole = section.join(" > ");
    whole.split_whitespace().take(CONTEXT_WORDS).collect::<Vec<_>>().join(" ")
}
