//! Code, configuration and logs: split where their authors left blank lines, with whole items as far as possible.

use std::borrow::Cow;

use super::collect::{Collector, break_before, one_line};
use super::fault::Fault;
use super::limits::Limits;
use crate::ingest::block::BlockKind;

/// Bytes of an item that is kept whole.
const LONGEST_ITEM: usize = 4_000;
/// Bytes of a line, above which JSON and XML are broken into lines before they are split.
const LONGEST_LINE: usize = 2_000;
/// Characters of the line that says which item a part belongs to.
const LONGEST_HEAD: usize = 120;
/// Columns of a tab.
const TAB: usize = 4;

struct Line<'a> {
    text: &'a str,
    /// Columns of white space before the text; none for a blank line.
    indent: Option<usize>,
}

/// Source code. Parts of an item that is too long carry the item's first line in their section path.
pub(super) fn source(text: &str, blocks: &mut Collector<'_>) -> Result<(), Fault> {
    split(text, true, blocks)
}

/// Data in lines, such as logs and lists of JSON values: no item names what is in it.
pub(super) fn data(text: &str, blocks: &mut Collector<'_>) -> Result<(), Fault> {
    split(text, false, blocks)
}

/// JSON. What is written in one line is broken into lines at its commas and brackets, text by text as it was.
pub(super) fn json(text: &str, blocks: &mut Collector<'_>) -> Result<(), Fault> {
    data(&unfold_json(text, blocks.limits())?, blocks)
}

/// XML as it stands, broken into lines between tags when it has none.
pub(super) fn xml(text: &str, blocks: &mut Collector<'_>) -> Result<(), Fault> {
    if has_long_line(text) {
        return data(&text.replace("><", ">\n<"), blocks);
    }
    data(text, blocks)
}

fn split(text: &str, named: bool, blocks: &mut Collector<'_>) -> Result<(), Fault> {
    let lines: Vec<Line<'_>> = text.split('\n').map(line).collect();
    let mut start = 0;
    for next in 1..=lines.len() {
        if next < lines.len() && !begins_item(&lines, next) {
            continue;
        }
        item(&lines[start..next], named, blocks)?;
        start = next;
    }
    Ok(())
}

fn line(text: &str) -> Line<'_> {
    let text = text.trim_end();
    let body = text.trim_start();
    let columns = text[..text.len() - body.len()].chars().map(|letter| if letter == '\t' { TAB } else { 1 });
    Line { text, indent: (!body.is_empty()).then(|| columns.sum()) }
}

/// Whether a line begins a top-level item: it is not indented, stands after a blank line, and does not close or
/// continue what is above it.
fn begins_item(lines: &[Line<'_>], at: usize) -> bool {
    let Line { text, indent } = &lines[at];
    let continues =
        text.starts_with(['}', ')', ']', '{']) || matches!(*text, "end" | "else" | "else:" | "fi" | "done");
    *indent == Some(0) && lines[at - 1].indent.is_none() && !continues
}

/// One item: whole, or in parts that end where the indentation is smallest.
fn item(lines: &[Line<'_>], named: bool, blocks: &mut Collector<'_>) -> Result<(), Fault> {
    let head = named.then(|| head(lines)).flatten();
    let mut rest = lines;
    let mut is_first = true;
    while !rest.is_empty() {
        let end = part_end(rest);
        let (part, after) = rest.split_at(end);
        let whole = if is_first { None } else { head.as_deref() };
        let mut text = dedented(part);
        // A single line may still be too long.
        while text.len() > LONGEST_ITEM {
            let after = text.split_off(break_before(&text, LONGEST_ITEM));
            blocks.push_within(BlockKind::Code, &text, whole)?;
            text = after;
        }
        blocks.push_within(BlockKind::Code, &text, whole)?;
        rest = after;
        is_first = false;
    }
    Ok(())
}

/// How many of the lines fit into one part. Of the places where it may end the best is one after a blank line, then one
/// before a line that is little indented, then the last one.
fn part_end(lines: &[Line<'_>]) -> usize {
    let mut bytes = 0;
    let mut best: Option<((bool, usize), usize)> = None;
    for (number, line) in lines.iter().enumerate() {
        bytes += line.text.len() + 1;
        if number > 0 && bytes > LONGEST_ITEM {
            return best.map_or(number, |(_, end)| end);
        }
        let next = number + 1;
        if next < lines.len()
            && let Some(indent) = lines[next].indent
            && bytes > LONGEST_ITEM / 4
        {
            let cost = (line.indent.is_some(), indent);
            if best.is_none_or(|(lowest, _)| cost <= lowest) {
                best = Some((cost, next));
            }
        }
    }
    lines.len()
}

/// The first line of an item that is neither comment nor attribute, for its later parts.
fn head(lines: &[Line<'_>]) -> Option<String> {
    let is_code = |line: &&Line<'_>| {
        let text = line.text.trim_start();
        let comment = ["//", "#", "/*", "*", "--", ";", "\"\"\"", "@", "<!--"];
        text.contains(char::is_alphanumeric) && !comment.iter().any(|mark| text.starts_with(mark))
    };
    let text = one_line(lines.iter().find(is_code)?.text);
    let end = text.char_indices().nth(LONGEST_HEAD).map_or(text.len(), |(end, _)| end);
    Some(text[..end].trim_end_matches([' ', '{']).to_owned())
}

/// The lines without the indentation that they share, so that the first may be trimmed.
fn dedented(lines: &[Line<'_>]) -> String {
    let shared = lines.iter().filter_map(|line| line.indent.map(|_| lead(line.text))).min().unwrap_or(0);
    let mut text = String::new();
    for line in lines {
        text.push_str(line.text.get(shared..).unwrap_or_default());
        text.push('\n');
    }
    text
}

/// Bytes of spaces and tabs before the text.
fn lead(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t']).len()
}

fn has_long_line(text: &str) -> bool {
    text.lines().any(|line| line.len() > LONGEST_LINE)
}

/// Checks how deep JSON is nested, and breaks it into indented lines when one of its lines is long.
///
/// Strings and numbers stay as they are written, and what is not quite JSON still comes out as text, which a parser
/// would not allow.
fn unfold_json<'a>(text: &'a str, limits: &Limits) -> Result<Cow<'a, str>, Fault> {
    let unfolds = has_long_line(text);
    let mut lines = String::new();
    let mut depth: u64 = 0;
    let mut in_string = false;
    let mut escaped = false;
    for letter in text.chars() {
        let opens = !in_string && matches!(letter, '{' | '[');
        let closes = !in_string && matches!(letter, '}' | ']');
        depth = if opens { depth + 1 } else { depth.saturating_sub(u64::from(closes)) };
        if depth > limits.depth {
            return Err(Fault::TooMuch { what: "levels of nesting", limit: limits.depth });
        }
        let quotes = letter == '"' && !escaped;
        escaped = in_string && letter == '\\' && !escaped;
        if unfolds && (in_string || quotes || !letter.is_whitespace()) {
            if closes {
                new_line(&mut lines, depth);
            }
            lines.push(letter);
            if opens || !in_string && letter == ',' {
                new_line(&mut lines, depth);
            } else if letter == ':' && !in_string {
                lines.push(' ');
            }
        }
        in_string ^= quotes;
    }
    Ok(if unfolds { Cow::Owned(lines) } else { Cow::Borrowed(text) })
}

fn new_line(lines: &mut String, depth: u64) {
    /// Levels that are shown: enough to split by, and no more, for each of them is repeated in every line.
    const SHOWN: u64 = 16;
    lines.push('\n');
    (0..depth.min(SHOWN)).for_each(|_| lines.push_str("  "));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parts(text: &str, read: fn(&str, &mut Collector<'_>) -> Result<(), Fault>) -> Vec<(String, String)> {
        let limits = Limits::default();
        let mut blocks = Collector::new(&limits);
        read(text, &mut blocks).unwrap();
        let (blocks, _) = blocks.finish();
        blocks.into_iter().map(|block| (block.text, block.section.join("/"))).collect()
    }

    #[test]
    fn an_item_stays_together() {
        let text = "use a;\nuse b;\n\n/// Doc\nfn a() {\n    one\n\n    two\n\n}\n\nstruct B\n\n{\n}\n";
        let texts: Vec<_> = parts(text, source).into_iter().map(|(text, _)| text).collect();
        assert_eq!(
            texts,
            ["use a;\nuse b;", "/// Doc\nfn a() {\n    one\n\n    two\n\n}", "struct B\n\n{\n}"]
        );
    }

    #[test]
    fn a_long_item_is_split_at_its_members() {
        let member =
            |number| format!("    def m{number}(self):\n        x = 1\n\n        return x * {number}\n\n");
        let text = format!("@decorated\nclass Long(Base):\n{}", (0..300).map(member).collect::<String>());
        let parts = parts(&text, source);
        assert!(parts.len() > 3);
        assert_eq!(parts[0].1, "");
        for (text, section) in &parts[1..] {
            assert!(text.starts_with("def m") && text.contains("\n    x = 1\n\n    return"), "{text}");
            assert_eq!(section, "class Long(Base):");
            assert!(text.len() <= LONGEST_ITEM);
        }
    }

    #[test]
    fn a_log_is_split_before_an_entry() {
        let text = "12:00 ERROR failed\n    at a\n    at b\n".repeat(500);
        let parts = parts(&text, data);
        assert!(parts.len() > 4 && parts.iter().all(|(text, _)| text.starts_with("12:00")));
        let lines: usize = parts.iter().map(|(text, _)| text.lines().count()).sum();
        assert_eq!(lines, 1500);
    }

    #[test]
    fn one_line_of_json_becomes_many_without_a_change_to_its_values() {
        let text = format!(
            "{{\"a\":[{}{{}}],\"b\":\"x, \\\"y\\\" {{\\\\\"}}",
            "12345678901234567890123,".repeat(500)
        );
        let parts = parts(&text, json);
        assert!(parts.len() > 2);
        let joined: String = parts.iter().map(|(text, _)| text.as_str()).collect();
        assert!(joined.ends_with("\"b\": \"x, \\\"y\\\" {\\\\\"\n}"), "{joined}");
        assert_eq!(joined.matches("12345678901234567890123").count(), 500);
        let limits = Limits::default();
        let deep = "[".repeat(100_000);
        assert!(matches!(json(&deep, &mut Collector::new(&limits)), Err(Fault::TooMuch { .. })));
        let strings = "\"[\",".repeat(100_000);
        assert!(json(&strings, &mut Collector::new(&limits)).is_ok());
    }

    #[test]
    fn a_single_line_without_end_is_cut() {
        assert_eq!(parts(&"ä".repeat(10_000), source).len(), 5);
        assert!(parts(&"<a>".repeat(100_000), xml).len() > 50);
        assert_eq!(parts("", source), []);
    }
}
