//! Glyphs to lines: what is drawn one beside the other, in the order of drawing.

use unicode_normalization::UnicodeNormalization as _;

/// Part of the size that a gap must have to be a space, when none is drawn.
const SPACE: f64 = 0.15;
/// Part of the size that a gap must have to separate the cells of a row.
const CELL: f64 = 1.0;
/// Part of the size by which glyphs of one line may stand higher or lower: exponents and indices.
const RISE: f64 = 0.5;

/// A glyph as it is drawn.
pub(super) struct Glyph<'a> {
    pub(super) x: f64,
    pub(super) y: f64,
    /// The size of its font on the page.
    pub(super) size: f64,
    /// The direction of the text, of length 1.
    pub(super) direction: (f64, f64),
    /// How far the next glyph is.
    pub(super) advance: f64,
    pub(super) text: &'a str,
}

/// A line of text.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) page: u32,
    /// Where it begins and ends along its direction, and how high it stands across it.
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) height: f64,
    pub(super) size: f64,
    pub(super) direction: (f64, f64),
    /// The text in the normal form of compatibility.
    pub(super) text: String,
    /// Where in the text the cells begin, apart from the first: there was a wide gap before.
    pub(super) cells: Vec<usize>,
    /// It has no place: what is known is its text.
    pub(super) is_plain: bool,
}

/// The lines so far.
#[derive(Default)]
pub(super) struct Lines {
    done: Vec<Line>,
    open: Line,
    page: u32,
    space: bool,
}

impl Lines {
    pub(super) fn begin_page(&mut self, page: u32) {
        self.end_line();
        self.page = page;
    }

    /// Adds a glyph to the line at hand, or begins another one with it.
    pub(super) fn glyph(&mut self, glyph: &Glyph<'_>) {
        let (ux, uy) = glyph.direction;
        let along = glyph.x * ux + glyph.y * uy;
        let across = glyph.y * ux - glyph.x * uy;
        let blank = glyph.text.chars().all(|letter| letter.is_whitespace() || letter.is_control());
        if blank {
            self.space = true;
            return;
        }
        let line = &self.open;
        let size = line.size.max(glyph.size);
        let straight = line.direction.0 * ux + line.direction.1 * uy > 0.99;
        let level = (across - line.height).abs() < RISE * size;
        // Letters may be moved together, and exponents stand over what follows, but not further back than a letter.
        let onward = along > line.end - size && along >= line.start;
        let same_line = straight && level && onward;
        if !line.text.is_empty() && !same_line {
            self.end_line();
        }
        let gap = along - self.open.end;
        let line = &mut self.open;
        if line.text.is_empty() {
            *line = Line {
                page: self.page,
                start: along,
                height: across,
                size: glyph.size,
                direction: glyph.direction,
                ..Line::default()
            };
        } else if self.space || gap > SPACE * size {
            line.text.push(' ');
            if gap > CELL * size {
                line.cells.push(line.text.len());
            }
        }
        self.space = false;
        let differs = (glyph.size / line.size).max(line.size / glyph.size) > 1.05;
        if differs && line.text.chars().count() < 3 {
            // A bullet, an initial or an exponent says less about a line than what follows.
            line.size = glyph.size;
            line.height = across;
        }
        line.text.extend(glyph.text.chars().filter(|letter| !letter.is_control()));
        line.end = along + glyph.advance;
    }

    /// Whether nothing was drawn on a page.
    pub(super) fn is_blank(&self, page: u32) -> bool {
        self.open.text.is_empty() && self.done.last().is_none_or(|line| line.page != page)
    }

    /// Takes the text of a page as it comes.
    pub(super) fn plain_page(&mut self, page: u32, text: &str) {
        for line in text.lines() {
            let text = line.nfkc().collect();
            self.done.push(Line { page, text, is_plain: true, ..Line::default() });
        }
    }

    pub(super) fn finish(mut self) -> Vec<Line> {
        self.end_line();
        self.done
    }

    fn end_line(&mut self) {
        let mut line = std::mem::take(&mut self.open);
        self.space = false;
        if line.text.trim().is_empty() {
            return;
        }
        // Bold is drawn twice by some programs.
        let same = |last: &Line| {
            let close = |one: f64, other: f64| (one - other).abs() < 0.3 * line.size;
            last.page == line.page
                && last.text == line.text
                && close(last.start, line.start)
                && close(last.height, line.height)
        };
        if self.done.last().is_some_and(same) {
            return;
        }
        let first = line.cells.first().map_or("", |cell| line.text[..*cell].trim());
        if is_mark(first) {
            // The gap after an item's mark makes no row.
            line.cells.remove(0);
        }
        normalise(&mut line);
        self.done.push(line);
    }
}

/// Whether a text is but a bullet, a dash or a number with a point.
fn is_mark(text: &str) -> bool {
    let number = text.trim_start_matches('(').strip_suffix(['.', ')']);
    let is_number =
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
    is_number || (text.chars().count() == 1 && !text.contains(char::is_alphanumeric))
}

/// Brings the text into the normal form of compatibility: ligatures become letters. The cells move with it.
fn normalise(line: &mut Line) {
    if line.text.is_ascii() {
        return;
    }
    let mut text = String::with_capacity(line.text.len());
    let mut from = 0;
    for cell in &mut line.cells {
        text.extend(line.text[from..*cell].nfkc());
        from = *cell;
        *cell = text.len();
    }
    text.extend(line.text[from..].nfkc());
    line.text = text;
}
