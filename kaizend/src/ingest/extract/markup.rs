//! reStructuredText and AsciiDoc: their headings, lists, code and tables, line by line. Inline markup stays as it is
//! written.

use super::collect::{Collector, one_line};
use super::fault::Fault;
use super::table::Table;
use crate::ingest::block::BlockKind;

/// Directives of reStructuredText whose content is code.
const CODE: [&str; 5] = ["code", "code-block", "sourcecode", "parsed-literal", "highlight"];
/// Characters that lines under and over headings consist of.
const ADORNMENTS: &str = "=-`:.'\"~^_*+#<>";

/// Takes reStructuredText apart. The level of a heading follows from the order in which its kind of line first appears,
/// as docutils has it.
pub(super) fn rst(text: &str, blocks: &mut Collector<'_>) -> Result<(), Fault> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let mut styles: Vec<(char, bool)> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        if lines[at].is_empty() {
            at += 1;
            continue;
        }
        if let Some((title, style, next)) = rst_heading(&lines, at) {
            let known = styles.iter().position(|known| *known == style);
            let level = known.unwrap_or_else(|| {
                styles.push(style);
                styles.len() - 1
            });
            blocks.heading(u8::try_from(level + 1).unwrap_or(u8::MAX), title)?;
            at = next;
        } else if let Some(rest) = lines[at].strip_prefix(".. ") {
            at = rst_explicit(&lines, at, rest, blocks)?;
        } else if is_border(lines[at]) {
            at = rst_table(&lines, at, blocks)?;
        } else {
            at = rst_paragraph(&lines, at, blocks)?;
        }
    }
    Ok(())
}

/// The character that a line consists of, when it is one that adorns headings.
fn adornment(line: &str) -> Option<char> {
    let first = line.chars().next().filter(|first| ADORNMENTS.contains(*first))?;
    (line.len() > 2 && line.chars().all(|letter| letter == first)).then_some(first)
}

/// A heading at this line: its title, its kind, and the line after it.
fn rst_heading<'a>(lines: &[&'a str], at: usize) -> Option<(&'a str, (char, bool), usize)> {
    let line = |at: usize| lines.get(at).copied().unwrap_or_default();
    let fits = |title: &str, under: &str| {
        !title.trim().is_empty() && under.chars().count() >= title.trim().chars().count()
    };
    if let Some(over) = adornment(line(at))
        && line(at) == line(at + 2)
        && fits(line(at + 1), line(at))
    {
        return Some((line(at + 1).trim(), (over, true), at + 3));
    }
    let under = adornment(line(at + 1))?;
    let title = line(at);
    (!title.starts_with(' ') && adornment(title).is_none() && fits(title, line(at + 1)))
        .then(|| (title, (under, false), at + 2))
}

/// What begins with two points: a directive, a footnote, a target or a comment.
fn rst_explicit(lines: &[&str], at: usize, rest: &str, blocks: &mut Collector<'_>) -> Result<usize, Fault> {
    let (body, next) = indented(lines, at + 1);
    if let Some((label, text)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        blocks.push(BlockKind::Footnote, &format!("[{label}] {} {}", text.trim(), one_line(&body)))?;
    } else if let Some((name, argument)) = rest.split_once("::") {
        if CODE.contains(&name) {
            blocks.push(BlockKind::Code, &body)?;
        } else if !rest.starts_with('_') {
            blocks.push(BlockKind::Text, &format!("{}\n{}", argument.trim(), body))?;
        }
    }
    Ok(next)
}

/// The indented lines from here on without the indentation that they share, without options of a directive, and the line
/// after them.
fn indented(lines: &[&str], at: usize) -> (String, usize) {
    let end = lines[at.min(lines.len())..]
        .iter()
        .position(|line| !line.is_empty() && !line.starts_with([' ', '\t']));
    let end = end.map_or(lines.len(), |count| at + count);
    let body = lines.get(at..end).unwrap_or_default();
    let is_option = |line: &&&str| line.trim_start().starts_with(':') && line.trim_start()[1..].contains(':');
    let options = body.iter().take_while(is_option).count();
    let body = &body[options..];
    let lead = |line: &&&str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let shared = body.iter().filter(|line| !line.is_empty()).map(|line| lead(&line)).min().unwrap_or(0);
    let text: Vec<&str> = body.iter().map(|line| line.get(shared..).unwrap_or_default()).collect();
    (text.join("\n"), end)
}

/// Whether a line is the border of a table: `+---+---+` or `====  ====`.
fn is_border(line: &str) -> bool {
    let grid = line.len() > 2 && line.starts_with('+') && line.ends_with('+') && line.contains(['-', '=']);
    let simple = line.contains("= =") || line.contains("=  =");
    (grid && line.chars().all(|letter| "+-=".contains(letter)))
        || (simple && line.chars().all(|letter| letter == '=' || letter == ' '))
}

fn rst_table(lines: &[&str], at: usize, blocks: &mut Collector<'_>) -> Result<usize, Fault> {
    let end = lines[at..].iter().position(|line| line.is_empty()).map_or(lines.len(), |count| at + count);
    let mut table = Table::default();
    let is_grid = lines[at].starts_with('+');
    let mut row: Vec<String> = Vec::new();
    for line in &lines[at..end] {
        if is_grid && line.starts_with('+') {
            table.row(std::mem::take(&mut row).into_iter().enumerate(), blocks)?;
        } else if is_grid {
            // A cell may have several lines.
            for (column, cell) in line.trim_matches('|').split('|').enumerate() {
                if row.len() <= column {
                    row.push(String::new());
                }
                row[column].push(' ');
                row[column].push_str(cell.trim());
            }
        } else if !is_border(line) && adornment(line).is_none() {
            let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
            table.row(cells.map(str::to_owned).enumerate(), blocks)?;
        }
    }
    table.row(row.into_iter().enumerate(), blocks)?;
    table.end(blocks)?;
    Ok(end.max(at + 1))
}

/// A paragraph, or items; the code that follows a paragraph which ends with two colons.
fn rst_paragraph(lines: &[&str], at: usize, blocks: &mut Collector<'_>) -> Result<usize, Fault> {
    if item_marker(lines[at]).is_some() {
        return items(lines, at, blocks);
    }
    let end = lines[at..].iter().position(|line| line.is_empty()).map_or(lines.len(), |count| at + count);
    let text = lines[at..end].join("\n");
    let Some(before) = text.strip_suffix("::") else {
        blocks.push(BlockKind::Text, &text)?;
        return Ok(end);
    };
    let text = if before.is_empty() || before.ends_with(char::is_whitespace) {
        before.to_owned()
    } else {
        format!("{before}:")
    };
    blocks.push(BlockKind::Text, &text)?;
    let (code, next) = indented(lines, end);
    blocks.push(BlockKind::Code, &code)?;
    Ok(next.max(at + 1))
}

/// The marker of a list's item, with the space after it.
fn item_marker(line: &str) -> Option<&str> {
    let (marker, rest) = line.split_once(' ')?;
    let number = marker.trim_start_matches('(').trim_end_matches(['.', ')']);
    let numbered = number != marker
        && marker.len() <= 5
        && (number == "#" || !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
    let bullet = matches!(marker, "-" | "*" | "+" | "•")
        // AsciiDoc repeats the mark for each level.
        || (marker.len() <= 5 && !marker.is_empty()
            && (marker.bytes().all(|byte| byte == b'*') || marker.bytes().all(|byte| byte == b'.')));
    ((numbered || bullet) && !rest.trim().is_empty()).then(|| &line[..=marker.len()])
}

/// The items from here on: a block for each of the first level, with what is indented or nested below it.
fn items(lines: &[&str], start: usize, blocks: &mut Collector<'_>) -> Result<usize, Fault> {
    let top = item_marker(lines[start]).map_or(1, |marker| marker.trim_end().len());
    let mut item = lines[start].to_owned();
    let mut at = start + 1;
    while at < lines.len() {
        let line = lines[at];
        let goes_on = line.is_empty() && lines.get(at + 1).is_some_and(|next| next.starts_with([' ', '\t']));
        let marker = item_marker(line);
        let is_nested =
            marker.is_some_and(|marker| marker.trim_end().len() > top && marker.starts_with(['*', '.']));
        if goes_on || line.starts_with([' ', '\t']) || is_nested {
            item.push('\n');
            item.push_str(line);
        } else if marker.is_some() || line.is_empty() {
            break;
        } else {
            // A line without indentation goes on with the sentence.
            item.push('\n');
            item.push_str(line);
        }
        at += 1;
    }
    blocks.push(BlockKind::ListItem, &item)?;
    Ok(at)
}

/// Takes AsciiDoc apart.
pub(super) fn asciidoc(text: &str, blocks: &mut Collector<'_>) -> Result<(), Fault> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        at += 1;
        if let Some((level, title)) = asciidoc_heading(line) {
            blocks.heading(level, title)?;
        } else if is_fence(line) {
            let end =
                lines[at..].iter().position(|other| *other == line).map_or(lines.len(), |count| at + count);
            if !line.starts_with("//") {
                blocks.push(BlockKind::Code, &lines[at..end].join("\n"))?;
            }
            at = end + 1;
        } else if line == "|===" {
            at = asciidoc_table(&lines, at, blocks)?;
        } else if let Some(caption) =
            line.strip_prefix('.').filter(|rest| !rest.starts_with(['.', ' ']) && !rest.is_empty())
        {
            blocks.push(BlockKind::Caption, caption)?;
        } else if line.is_empty() || is_asciidoc_mark(line) {
            // Attributes, comments and the borders of examples and quotes are no text.
        } else if item_marker(line).is_some() {
            at = items(&lines, at - 1, blocks)?;
        } else {
            let goes_on =
                |line: &&&str| !line.is_empty() && !is_fence(line) && asciidoc_heading(line).is_none();
            let count = lines[at..].iter().take_while(goes_on).count();
            blocks.push(BlockKind::Text, &lines[at - 1..at + count].join("\n"))?;
            at += count;
        }
    }
    Ok(())
}

fn asciidoc_heading(line: &str) -> Option<(u8, &str)> {
    let title = line.trim_start_matches('=');
    let level = line.len() - title.len();
    let title = title.strip_prefix(' ')?.trim();
    ((1..=6).contains(&level) && !title.is_empty()).then(|| (u8::try_from(level).unwrap_or(6), title))
}

/// Whether a line begins a listing, a literal text or a comment that ends with the same line.
fn is_fence(line: &str) -> bool {
    line.starts_with("```")
        || (line.len() >= 4
            && ["-", ".", "/", "+"].iter().any(|mark| {
                line.trim_matches(|letter| mark.contains(letter)).is_empty() && line.starts_with(mark)
            }))
}

fn is_asciidoc_mark(line: &str) -> bool {
    let border = (line.len() >= 4 && ["=", "*", "_"].iter().any(|mark| line.replace(mark, "").is_empty()))
        || line == "--"
        || line == "+";
    let attribute = line.starts_with(':')
        && line[1..].split_once(':').is_some_and(|(name, _)| !name.is_empty() && !name.contains(' '));
    border || attribute || line.starts_with("//") || (line.starts_with('[') && line.ends_with(']'))
}

fn asciidoc_table(lines: &[&str], at: usize, blocks: &mut Collector<'_>) -> Result<usize, Fault> {
    let end = lines[at..].iter().position(|line| *line == "|===").map_or(lines.len(), |count| at + count);
    let mut table = Table::default();
    let mut width = 0;
    let mut row: Vec<String> = Vec::new();
    for line in &lines[at..end] {
        let cells: Vec<&str> = line.split('|').collect();
        if line.is_empty() {
            width = width.max(row.len());
            table.row(std::mem::take(&mut row).into_iter().enumerate(), blocks)?;
            continue;
        }
        if let (Some(last), Some(before)) = (row.last_mut(), cells.first())
            && !before.is_empty()
        {
            // A cell goes on in the next line.
            last.push(' ');
            last.push_str(before);
        }
        if cells.len() > 2 {
            table.row(std::mem::take(&mut row).into_iter().enumerate(), blocks)?;
            width = width.max(cells.len() - 1);
        }
        row.extend(cells.iter().skip(1).map(|cell| cell.trim().to_owned()));
        if width > 0 && row.len() >= width && cells.len() == 2 {
            table.row(std::mem::take(&mut row).into_iter().enumerate(), blocks)?;
        }
    }
    table.row(row.into_iter().enumerate(), blocks)?;
    table.end(blocks)?;
    Ok(end + 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ingest::extract::limits::Limits;

    fn shown(text: &str, read: fn(&str, &mut Collector<'_>) -> Result<(), Fault>) -> Vec<String> {
        let limits = Limits::default();
        let mut blocks = Collector::new(&limits);
        read(text, &mut blocks).unwrap();
        let (blocks, _) = blocks.finish();
        let show = |block: crate::ingest::block::Block| {
            format!("{} {}: {}", block.kind.name(), block.section.join("/"), block.text)
        };
        blocks.into_iter().map(show).collect()
    }

    #[test]
    fn restructured_text() {
        let text = "=====\nTitle\n=====\n\nIntro\nmore::\n\n    code\n      here\n\nPart\n----\n\n- one\n  more\n- two\n\n1. first\n\n.. code-block:: rust\n   :linenos:\n\n   fn a() {}\n\n.. note:: Mind this.\n\n.. a comment\n   of two lines\n\n.. [1] A note.\n\n+---+---+\n| a | b |\n+===+===+\n| 1 | 2 |\n|   | 3 |\n+---+---+\n\n==  ==\nx   y\n==  ==\n1   2\n==  ==\n\nOther\n-----\nend\n";
        let expected = [
            "SectionHeader : Title",
            "Text Title: Intro\nmore:",
            "Code Title: code\n  here",
            "SectionHeader Title: Part",
            "ListItem Title/Part: - one\n  more",
            "ListItem Title/Part: - two",
            "ListItem Title/Part: 1. first",
            "Code Title/Part: fn a() {}",
            "Text Title/Part: Mind this.",
            "Footnote Title/Part: [1] A note.",
            "Table Title/Part: a | b\n1 | 2 3",
            "Table Title/Part: x | y\n1 | 2",
            "SectionHeader Title: Other",
            "Text Title/Other: end",
        ];
        assert_eq!(shown(text, rst), expected);
    }

    #[test]
    fn ascii_doc() {
        let text = "= Title\n:toc:\n\nIntro\nmore\n\n== Part\n// comment\n[source,rust]\n.A caption\n----\nfn a() {}\n\n== no heading\n----\n\n* one\n** nested\n* two\n\n. first\n\n|===\n|a |b\n\n|1\n|2\n|3 |4\n|===\n\n=== Deep\nend\n";
        let expected = [
            "SectionHeader : Title",
            "Text Title: Intro\nmore",
            "SectionHeader Title: Part",
            "Caption Title/Part: A caption",
            "Code Title/Part: fn a() {}\n\n== no heading",
            "ListItem Title/Part: * one\n** nested",
            "ListItem Title/Part: * two",
            "ListItem Title/Part: . first",
            "Table Title/Part: a | b\n1 | 2\n3 | 4",
            "SectionHeader Title/Part: Deep",
            "Text Title/Part/Deep: end",
        ];
        assert_eq!(shown(text, asciidoc), expected);
    }

    #[test]
    fn unfinished_texts_end_too() {
        for text in [
            "..",
            ".. code::",
            ".. x::\n",
            "a::",
            "+---+",
            "= =",
            "====\n",
            "- ",
            "|===",
            "----",
            "=",
            "|===\n|",
            "[",
            ".. [",
        ] {
            shown(text, rst);
            shown(text, asciidoc);
        }
    }
}
