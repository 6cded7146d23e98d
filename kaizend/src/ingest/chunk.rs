//! Documents cut into chunks: pieces that are small enough to be embedded and found, and that make sense alone.
//!
//! `unit` divides the blocks into headings and what stands between, `breaks` finds the places where the text may be
//! cut, in one pass, and `pack` takes the best of them. `tokens` measures; `sentence`, `code` and `cjk` know
//! their kinds of text. The time is linear in the text, and beside the text and the chunks only the breaks of one chunk
//! are held.

mod breaks;
mod cjk;
mod code;
mod pack;
mod sentence;
mod tokens;
mod unit;

use std::str::FromStr;

pub use tokens::estimate_tokens;

use super::block::Block;

/// What stands between two blocks in the text that offsets refer to.
const BETWEEN: &str = "\n\n";

/// Where within a section a text is cut.
///
/// All of them keep sections apart and headings with what follows. A section of which less than a quarter of a chunk
/// is filled is joined with the next if that fits as a whole; one of the outermost level, less than an eighth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Along the structure: blocks, then paragraphs, rows and lines, sentences, words. The strongest place before which a
    /// quarter of the chunk is filled.
    Recursive,
    /// Whole sentences, as many as fit.
    Sentence,
    /// Whole words, as many as fit.
    Token,
    /// Whole lines: before items at the margin, after blank lines, where the indentation is least.
    Code,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Strategy; 4] = [Strategy::Recursive, Strategy::Sentence, Strategy::Token, Strategy::Code];

    /// The name as it is stored and given.
    pub const fn name(self) -> &'static str {
        match self {
            Strategy::Recursive => "recursive",
            Strategy::Sentence => "sentence",
            Strategy::Token => "token",
            Strategy::Code => "code",
        }
    }
}

/// The name is none of a [`Strategy`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such way to chunk")]
pub struct UnknownStrategy;

impl FromStr for Strategy {
    type Err = UnknownStrategy;

    fn from_str(name: &str) -> Result<Self, UnknownStrategy> {
        Strategy::ALL.into_iter().find(|strategy| strategy.name() == name).ok_or(UnknownStrategy)
    }
}

/// How to cut. Values out of bounds are taken for the nearest within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where to cut.
    pub strategy: Strategy,
    /// Tokens of a chunk at most, as [`estimate_tokens`] counts: 16 to 1024. A chunk must not pass the 1,000
    /// words that every text of a record may have.
    pub tokens: usize,
    /// Tokens that a chunk repeats from the one before at most, within a section: less than half of `tokens`.
    pub overlap: usize,
}

impl Options {
    /// The least that `tokens` may be.
    pub const MIN_TOKENS: usize = 16;
    /// The most that `tokens` may be.
    pub const MAX_TOKENS: usize = 1024;

    /// Whether all values are within their bounds.
    pub fn is_valid(self) -> bool {
        self == self.bounded()
    }

    fn bounded(self) -> Self {
        let tokens = self.tokens.clamp(Self::MIN_TOKENS, Self::MAX_TOKENS);
        Options { tokens, overlap: self.overlap.min((tokens - 1) / 2), ..self }
    }
}

impl Default for Options {
    fn default() -> Self {
        Options { strategy: Strategy::Recursive, tokens: 256, overlap: 32 }
    }
}

/// A piece of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The text from `start` to `end`. It neither begins nor ends with blanks.
    pub text: String,
    /// Where it begins in [`source_text`], in code points.
    pub start: usize,
    /// Where it ends there.
    pub end: usize,
    /// How many tokens it is, as [`estimate_tokens`] counts.
    pub tokens: usize,
    /// The headings of `section` on one line, joined by ` > `, at most 60 words.
    pub context: String,
    /// The page of its first block, for formats that have pages.
    pub page: Option<u32>,
    /// The headings above it, outermost first, and those that it begins with. Long ones are cut.
    pub section: Vec<String>,
}

/// The texts of the blocks, with one blank line between each two.
pub fn source_text(blocks: &[Block]) -> String {
    blocks.iter().map(|block| block.text.as_str()).collect::<Vec<_>>().join(BETWEEN)
}

/// Cuts a document into chunks, in order. Together they hold all of its text.
///
/// No chunk is longer than `tokens`. A word that fits into a chunk is never cut, nor a line of code, a row of a table, or
/// with [`Strategy::Sentence`] a sentence; a row or sentence after a heading has to fit together with it. A chunk ends with
/// a heading only where the document does, or where the heading and the word or line of code after it do not fit.
pub fn chunk(blocks: &[Block], options: &Options) -> Vec<Chunk> {
    let options = options.bounded();
    let text = source_text(blocks);
    let units = unit::units(blocks, options.strategy);
    let scanner = breaks::Scanner::new(&text, &units, options.strategy, options.tokens);
    let spans = pack::spans(scanner, options);
    let chunks = spans.into_iter().map(|span| {
        let text = &text[span.start.at..span.end.at];
        let section = unit::section(blocks, &units, span.unit, span.end.at);
        Chunk {
            text: text.to_owned(),
            start: span.start.characters,
            end: span.end.characters,
            tokens: estimate_tokens(text),
            context: unit::context(&section),
            page: blocks[units[span.unit].block].page,
            section,
        }
    });
    chunks.collect()
}

#[cfg(test)]
mod tests;
