//! The places where a text may be cut, found in one pass and only as far as they are needed.

use std::collections::VecDeque;
use std::iter::Peekable;
use std::str::CharIndices;

use super::code::{self, Line};
use super::tokens::Meter;
use super::unit::{Level, Shape, Unit};
use super::{Strategy, cjk, sentence};

/// A place where a text may be cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Break {
    /// How strongly the text is divided here.
    pub(super) level: Level,
    /// Among breaks of one level, a smaller depth is better.
    pub(super) depth: u8,
    /// Where the part before ends.
    pub(super) end: Place,
    /// Where the part after begins: behind the blanks between.
    pub(super) start: Place,
    /// The unit that the part after belongs to.
    pub(super) unit: usize,
}

/// A place in a text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// Bytes before it.
    pub(super) at: usize,
    /// Characters before it.
    pub(super) characters: usize,
    /// Tokens before it.
    pub(super) tokens: usize,
}

/// Goes through a text and finds the breaks in it.
///
/// What fits into a chunk and should stay whole, such as a word or a row, has no breaks within. So those are held back
/// until it has ended, or is known not to fit.
pub(super) struct Scanner<'a> {
    text: &'a str,
    units: &'a [Unit],
    strategy: Strategy,
    limit: usize,
    rest: Peekable<CharIndices<'a>>,
    meter: Meter,
    /// Characters read.
    characters: usize,
    unit: usize,
    /// Where the first word of the unit is.
    unit_start: usize,
    /// The end of the last word, and its last character; none before the first word.
    end: Place,
    last: Option<char>,
    gap: Gap,
    /// What is known of the word and the line that are being read.
    word: Whole,
    line: Whole,
    /// Where the line or sentence began, for what is only so at its beginning.
    line_start: usize,
    code: Line,
}

/// Blanks since the last word.
#[derive(Default)]
struct Gap {
    blanks: usize,
    line_feeds: usize,
    /// Columns since the last line feed.
    indent: usize,
}

/// Something that should stay whole.
#[derive(Default)]
struct Whole {
    /// Tokens before it.
    from: usize,
    /// Tokens before what has to be in one chunk with it.
    with: usize,
    /// Whether it may be divided after all.
    is_open: bool,
    /// The breaks within it, while it may not.
    within: Vec<Break>,
}

impl Whole {
    fn begin(&mut self, from: usize, with: usize, is_open: bool) {
        self.within.clear();
        (self.from, self.with, self.is_open) = (from, with, is_open);
    }
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str, units: &'a [Unit], strategy: Strategy, limit: usize) -> Self {
        Scanner {
            text,
            units,
            strategy,
            limit,
            rest: text.char_indices().peekable(),
            meter: Meter::default(),
            characters: 0,
            unit: 0,
            unit_start: 0,
            end: Place::default(),
            last: None,
            gap: Gap::default(),
            word: Whole::default(),
            line: Whole::default(),
            line_start: 0,
            code: Line::default(),
        }
    }

    /// The first word of the text.
    pub(super) fn begin(&mut self) -> Option<Break> {
        while self.rest.next_if(|(_, character)| character.is_whitespace()).is_some() {
            self.characters += 1;
        }
        let at = self.rest.peek()?.0;
        self.advance_unit(at);
        let start = Place { at, characters: self.characters, tokens: 0 };
        self.line.begin(0, 0, !self.is_line_whole());
        (self.unit_start, self.line_start) = (at, at);
        Some(Break { level: Level::End, depth: 0, end: start, start, unit: self.unit })
    }

    /// Reads on until there are further breaks; false when there are no more.
    pub(super) fn more(&mut self, found: &mut VecDeque<Break>) -> bool {
        let known = found.len();
        while found.len() == known {
            let Some((at, character)) = self.rest.next() else {
                return self.finish(found);
            };
            if character.is_whitespace() {
                self.blank(character);
            } else {
                self.visible(at, character, found);
            }
        }
        true
    }

    fn finish(&mut self, found: &mut VecDeque<Break>) -> bool {
        if self.last.take().is_none() {
            return false;
        }
        found.push_back(Break {
            level: Level::End,
            depth: 0,
            end: self.end,
            start: self.end,
            unit: self.unit,
        });
        true
    }

    fn blank(&mut self, character: char) {
        self.meter.push(character);
        self.characters += 1;
        self.gap.blanks += 1;
        match character {
            '\n' => {
                self.gap.line_feeds += 1;
                self.gap.indent = 0;
            }
            '\t' => self.gap.indent += 4,
            _ => self.gap.indent += 1,
        }
    }

    fn visible(&mut self, at: usize, character: char, found: &mut VecDeque<Break>) {
        let before = self.unit;
        if self.gap.line_feeds > 0 {
            self.advance_unit(at);
        }
        let start = Place { at, characters: self.characters, tokens: self.meter.tokens };
        if let Some(last) = self.last {
            self.between_words(last, character, start, self.unit != before, found);
        }
        self.gap = Gap::default();
        let may_cut = self.meter.push(character);
        if may_cut && self.end.at == at && self.last.is_some() {
            self.within_word(start, found);
        }
        self.characters += 1;
        self.last = Some(character);
        self.end =
            Place { at: at + character.len_utf8(), characters: self.characters, tokens: self.meter.tokens };
        self.open(found);
    }

    fn advance_unit(&mut self, at: usize) {
        while self.units.get(self.unit + 1).is_some_and(|next| next.start <= at) {
            self.unit += 1;
        }
    }

    /// Notes the break between the last word and the one that begins, if one does.
    fn between_words(
        &mut self,
        last: char,
        character: char,
        start: Place,
        is_new: bool,
        found: &mut VecDeque<Break>,
    ) {
        let is_apart = self.gap.blanks > 0;
        let unit = &self.units[self.unit];
        let is_new_line = self.gap.line_feeds > 0;
        let is_lines = matches!(unit.shape, Shape::Table | Shape::Code);
        let (mut depth, mut is_header) = (0, false);
        let level = if is_new {
            unit.level
        } else if unit.shape == Shape::Heading {
            if !is_apart {
                return;
            }
            Level::Glued
        } else if is_new_line && unit.shape == Shape::Code {
            let is_after_blank = self.gap.line_feeds > 1;
            let line = sentence::head(&self.text[start.at..], code::SEEN);
            let (level, at) = self.code.next(is_after_blank, self.gap.indent, line);
            depth = at;
            level
        } else if is_new_line && unit.shape == Shape::Table {
            // A header is nothing without a row.
            is_header = self.line_start == self.unit_start;
            if is_header { Level::Glued } else { Level::Line }
        } else if self.gap.line_feeds > 1 {
            Level::Paragraph
        } else if is_new_line && unit.shape == Shape::List {
            Level::Line
        } else if !is_lines && self.ends_sentence(last, is_apart, character, start.at) {
            Level::Sentence
        } else if is_new_line {
            Level::Wrapped
        } else if is_apart || cjk::is_between_words(last, character) {
            Level::Word
        } else {
            return;
        };
        let ends_line = is_new || is_header || level >= if is_lines { Level::Line } else { Level::Sentence };
        if is_new_line || ends_line {
            self.line_start = start.at;
        }
        if is_new {
            self.unit_start = start.at;
        }
        if unit.shape == Shape::Code && is_new_line {
            let line = sentence::head(&self.text[start.at..], code::SEEN);
            self.code = Line::read(if is_new { 0 } else { self.gap.indent }, line);
        }
        self.meter.restart();
        self.word.begin(start.tokens, start.tokens, false);
        if ends_line {
            // After a heading, a row or sentence is cut rather than the heading left alone; a line of code is not.
            let is_bound = level == Level::Glued && unit.shape != Shape::Code;
            let with = if is_bound { self.line.with } else { start.tokens };
            self.line.begin(start.tokens, with, !self.is_line_whole());
        }
        self.note(Break { level, depth, end: self.end, start, unit: self.unit }, found);
    }

    /// Whether a line or sentence of this unit should stay whole.
    fn is_line_whole(&self) -> bool {
        match self.units[self.unit].shape {
            Shape::Heading => false,
            Shape::Table | Shape::Code => self.strategy != Strategy::Token,
            Shape::Prose | Shape::List => self.strategy == Strategy::Sentence,
        }
    }

    fn ends_sentence(&self, last: char, is_apart: bool, next: char, at: usize) -> bool {
        if self.strategy == Strategy::Token || !sentence::may_end(last, is_apart, next) {
            return false;
        }
        let from = self.units[self.unit].start;
        let until = self.units.get(self.unit + 1).map_or(self.text.len(), |next| next.start);
        let line = self.line_start.saturating_sub(from);
        sentence::ends(&self.text[from..self.end.at], is_apart, &self.text[at..until], line)
    }

    /// Notes a break within a word, which is used only when the word is too long.
    fn within_word(&mut self, start: Place, found: &mut VecDeque<Break>) {
        let within = Break { level: Level::Inner, depth: 0, end: self.end, start, unit: self.unit };
        if self.word.is_open {
            self.note(within, found);
        } else {
            self.word.within.push(within);
        }
    }

    fn note(&mut self, found_break: Break, found: &mut VecDeque<Break>) {
        if self.line.is_open || found_break.start.tokens == self.line.from {
            found.push_back(found_break);
        } else {
            self.line.within.push(found_break);
        }
    }

    /// Gives the breaks within the line and the word out when they turn out not to fit.
    fn open(&mut self, found: &mut VecDeque<Break>) {
        let tokens = self.meter.tokens;
        if !self.line.is_open && tokens - self.line.with > self.limit {
            self.line.is_open = true;
            found.extend(self.line.within.drain(..));
        }
        if !self.word.is_open && tokens - self.word.from > self.limit {
            self.word.is_open = true;
            for within in std::mem::take(&mut self.word.within) {
                self.note(within, found);
            }
        }
    }
}
