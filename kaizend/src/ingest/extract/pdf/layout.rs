//! Lines to blocks: paragraphs, tables, items, headings. Every rule here is about what is evident on the page; what is
//! in doubt is a paragraph.

use std::collections::{HashMap, HashSet};

use super::lines::Line;
use super::{Collector, Fault};
use crate::ingest::block::BlockKind;
use crate::ingest::extract::collect::one_line;
use crate::ingest::extract::table::Table;

/// How much larger than the text a heading must be.
const HEADING: f64 = 1.15;
/// Characters and lines of the longest heading.
const LONGEST_HEADING: (usize, usize) = (200, 3);
/// Distance of lines in a paragraph, as a part of their size, when a document does not say it.
const LEADING: f64 = 1.2;
/// Pages from which on repeated lines at the edges are told from the text.
const RUNNING_PAGES: usize = 4;
/// Marks that begin an item wherever they stand.
const BULLETS: [char; 10] = ['•', '◦', '▪', '‣', '●', '○', '■', '\u{f0b7}', '\u{f0a7}', '·'];

/// Makes blocks of all lines.
pub(super) fn layout(lines: Vec<Line>, blocks: &mut Collector<'_>) -> Result<(), Fault> {
    let (lines, left_out) = without_running_heads(lines);
    if left_out > 0 {
        blocks.note(format!("{left_out} repeated headers, footers and page numbers were left out"));
    }
    let leading = usual_leading(&lines);
    let paragraphs = paragraphs(&lines, leading);
    let sizes = heading_sizes(&lines, &paragraphs);
    for paragraph in paragraphs {
        blocks.set_page(paragraph.lines[0].page);
        match paragraph.kind {
            Kind::Table => table(paragraph.lines, blocks)?,
            Kind::Item | Kind::Text => {
                let size = may_be_heading(&paragraph).then(|| tenths(paragraph.lines[0].size));
                let level = size.and_then(|size| sizes.iter().position(|known| *known == size));
                let text = joined(paragraph.lines);
                match level {
                    Some(level) => blocks.heading(u8::try_from(level + 1).unwrap_or(6).min(6), &text)?,
                    None if paragraph.kind == Kind::Item => blocks.push(BlockKind::ListItem, &text)?,
                    None => blocks.push(BlockKind::Text, &text)?,
                }
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Item,
    Table,
}

struct Paragraph<'a> {
    kind: Kind,
    lines: &'a [Line],
}

/// Sizes are compared in tenths of a point.
fn tenths(size: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "sizes of letters, clamped")]
    let tenths = (size * 10.0).round().clamp(0.0, 1e6) as i64;
    tenths
}

/// Leaves out the lines that stand at the edge of many pages, apart from the first of each; numbers of pages all.
fn without_running_heads(lines: Vec<Line>) -> (Vec<Line>, usize) {
    let pages: HashSet<u32> = lines.iter().map(|line| line.page).collect();
    if pages.len() < RUNNING_PAGES {
        return (lines, 0);
    }
    let mut edges: Vec<(usize, String)> = Vec::new();
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut offset = 0;
    for page in lines.chunk_by(|one, other| one.page == other.page) {
        let start = edges.len();
        let upright = |line: &&Line| line.direction.0 > 0.99 && !line.is_plain;
        let top = page.iter().filter(upright).map(|line| line.height).fold(f64::MIN, f64::max);
        let bottom = page.iter().filter(upright).map(|line| line.height).fold(f64::MAX, f64::min);
        for (at, line) in page.iter().enumerate().filter(|(_, line)| upright(line)) {
            if line.height > top - line.size || line.height < bottom + line.size {
                edges.push((offset + at, pattern(&line.text)));
            }
        }
        offset += page.len();
        let on_page: HashSet<&String> = edges[start..].iter().map(|(_, pattern)| pattern).collect();
        for pattern in on_page {
            *counts.entry(pattern.clone()).or_insert(0) += 1;
        }
    }
    let often = (pages.len() * 2 / 5).max(3);
    let mut seen = HashSet::new();
    let mut gone = HashSet::new();
    for (at, pattern) in &edges {
        let is_number = !pattern.contains(char::is_alphabetic);
        if counts.get(pattern).is_some_and(|count| *count >= often) && (!seen.insert(pattern) || is_number) {
            gone.insert(*at);
        }
    }
    let count = gone.len();
    let kept = lines.into_iter().enumerate().filter(|(at, _)| !gone.contains(at)).map(|(_, line)| line);
    (kept.collect(), count)
}

/// A text with its numbers made one sign.
fn pattern(text: &str) -> String {
    let mut pattern = String::new();
    for letter in text.chars() {
        if !letter.is_ascii_digit() {
            pattern.push(letter);
        } else if !pattern.ends_with('#') {
            pattern.push('#');
        }
    }
    pattern
}

/// The distance that most lines have from the one before, as a part of their size.
fn usual_leading(lines: &[Line]) -> f64 {
    let pairs = lines.iter().zip(lines.iter().skip(1));
    let mut counts: HashMap<i64, usize> = HashMap::new();
    pairs
        .filter(|(one, other)| one.page == other.page && is_alike(one, other) && overlap(one, other))
        .map(|(one, other)| (one.height - other.height) / one.size)
        .filter(|distance| (0.5..2.5).contains(distance))
        .for_each(|distance| *counts.entry(tenths(distance)).or_insert(0) += 1);
    let usual = counts.into_iter().max_by_key(|(distance, count)| (*count, -*distance));
    #[expect(clippy::cast_precision_loss, reason = "at most 25")]
    let usual = usual.map_or(LEADING, |(distance, _)| distance as f64 / 10.0);
    usual.max(1.0)
}

/// Whether two lines have the same direction and about the same size.
fn is_alike(one: &Line, other: &Line) -> bool {
    let same_way = one.direction.0 * other.direction.0 + one.direction.1 * other.direction.1 > 0.99;
    one.is_plain == other.is_plain
        && (one.is_plain || same_way && (one.size / other.size).max(other.size / one.size) < 1.1)
}

/// Whether two lines stand one below the other at least in part.
fn overlap(one: &Line, other: &Line) -> bool {
    one.start < other.end && other.start < one.end
}

/// Cuts the lines into paragraphs and tables.
fn paragraphs(lines: &[Line], leading: f64) -> Vec<Paragraph<'_>> {
    let mut paragraphs = Vec::new();
    let mut start = 0;
    while start < lines.len() {
        let rows = table_rows(&lines[start..], leading);
        if rows > 1 {
            paragraphs.push(Paragraph { kind: Kind::Table, lines: &lines[start..start + rows] });
            start += rows;
            continue;
        }
        let mark = marker(&lines[start].text);
        let mut end = start + 1;
        while end < lines.len() && goes_on(&lines[start..end], &lines[end], mark, leading) {
            // Where a table begins, the paragraph ends.
            if !lines[end].cells.is_empty() && table_rows(&lines[end..], leading) > 1 {
                break;
            }
            end += 1;
        }
        let kind = if mark.is_some() { Kind::Item } else { Kind::Text };
        if lines[start..end].iter().any(|line| !line.text.trim().is_empty()) {
            paragraphs.push(Paragraph { kind, lines: &lines[start..end] });
        }
        start = end;
    }
    paragraphs
}

/// How many lines from here on are rows of one table: each has cells, and they are not far from each other.
fn table_rows(lines: &[Line], leading: f64) -> usize {
    let Some(first) = lines.first().filter(|line| !line.cells.is_empty()) else { return 0 };
    let follows = |(one, other): &(&Line, &Line)| {
        let distance = one.height - other.height;
        !other.cells.is_empty()
            && one.page == other.page
            && overlap(one, other)
            && distance > 0.0
            && distance < 2.5 * leading * first.size
    };
    1 + lines.iter().zip(&lines[1..]).take_while(follows).count()
}

/// Whether a line belongs to the paragraph before it.
fn goes_on(paragraph: &[Line], line: &Line, mark: Option<Mark>, leading: f64) -> bool {
    let (Some(first), Some(last)) = (paragraph.first(), paragraph.last()) else { return false };
    if last.page != line.page || !is_alike(last, line) {
        return false;
    }
    let next_mark = marker(&line.text);
    if next_mark == Some(Mark::Bullet) || (next_mark.is_some() && next_mark == mark) {
        return false;
    }
    if last.is_plain {
        return !line.text.trim().is_empty();
    }
    let distance = last.height - line.height;
    if distance <= 0.0 || distance > 1.25 * leading * last.size || !overlap(last, line) {
        return false;
    }
    // A first line that is indented begins a paragraph where the lines before it were not.
    let indented =
        |line: &Line| line.start > last.start + 0.8 * line.size && line.start < last.start + 6.0 * line.size;
    let flush = paragraph.len() > 1 && (first.start >= last.start - 0.3 * last.size);
    !(mark.is_none() && flush && indented(line))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Bullet,
    Dash,
    Number,
}

/// With what mark of an item a line begins.
fn marker(text: &str) -> Option<Mark> {
    let text = text.trim_start();
    let first = text.chars().next()?;
    if BULLETS.contains(&first) {
        return Some(Mark::Bullet);
    }
    let (word, rest) = text.split_once(' ')?;
    if rest.trim().is_empty() {
        return None;
    }
    if matches!(word, "-" | "–" | "—" | "*") {
        return Some(Mark::Dash);
    }
    let number = word.trim_start_matches('(').strip_suffix(['.', ')'])?;
    let counts = (1..=2).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    counts.then_some(Mark::Number)
}

/// Whether a paragraph is short enough for a heading, and no mark says that it is an item.
fn may_be_heading(paragraph: &Paragraph<'_>) -> bool {
    let lines = paragraph.lines;
    if paragraph.kind == Kind::Table || !matches!(marker(&lines[0].text), None | Some(Mark::Number)) {
        return false;
    }
    let characters: usize = lines.iter().map(|line| line.text.chars().count()).sum();
    lines.len() <= LONGEST_HEADING.1
        && characters <= LONGEST_HEADING.0
        && lines.iter().any(|line| line.text.contains(char::is_alphabetic))
        && lines.iter().all(|line| !line.is_plain)
}

/// The sizes of headings, in tenths, largest first: those clearly above the size that most of the text has.
fn heading_sizes(lines: &[Line], paragraphs: &[Paragraph<'_>]) -> Vec<i64> {
    let mut counts: HashMap<i64, usize> = HashMap::new();
    for line in lines.iter().filter(|line| !line.is_plain) {
        *counts.entry(tenths(line.size)).or_insert(0) += line.text.len();
    }
    let usual = counts.into_iter().max_by_key(|(size, count)| (*count, -*size)).map_or(0, |(size, _)| size);
    #[expect(clippy::cast_precision_loss, reason = "sizes of letters")]
    let is_large = |size: &i64| *size as f64 >= usual as f64 * HEADING;
    let texts = paragraphs.iter().filter(|paragraph| may_be_heading(paragraph));
    let mut sizes: Vec<i64> =
        texts.map(|paragraph| tenths(paragraph.lines[0].size)).filter(is_large).collect();
    sizes.sort_unstable_by(|one, other| other.cmp(one));
    sizes.dedup();
    sizes
}

/// The lines of a paragraph as one text. A word that was divided at a line's end is put together again.
fn joined(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        let next = line.text.trim();
        let divided = text.strip_suffix('-').is_some_and(|before| before.ends_with(char::is_lowercase))
            && next.starts_with(char::is_lowercase);
        if divided || text.ends_with('\u{ad}') {
            text.pop();
        } else if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(next);
    }
    let text = one_line(&text.replace('\u{ad}', ""));
    match text.strip_prefix(['\u{f0b7}', '\u{f0a7}']) {
        Some(rest) => format!("•{rest}"),
        None => text,
    }
}

fn table(lines: &[Line], blocks: &mut Collector<'_>) -> Result<(), Fault> {
    let mut table = Table::default();
    for line in lines {
        let starts = std::iter::once(0).chain(line.cells.iter().copied());
        let ends = line.cells.iter().copied().chain([line.text.len()]);
        let cells = starts.zip(ends).map(|(start, end)| line.text[start..end].to_owned());
        table.row(cells.enumerate(), blocks)?;
    }
    table.end(blocks)
}
