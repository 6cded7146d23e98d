//! A document as Markdown.

use std::collections::BTreeSet;

use super::chart;
use super::escape::{self, Place};
use super::{Block, Document, Entry, Inline, Section, Span, Table, Tags};

/// Lists are not nested deeper than this; viewers indent each level.
const DEPTH: usize = 8;

pub(super) fn render(document: &Document) -> String {
    let known = anchors(document);
    let mut out = format!("# {}\n\n", escape::heading(&document.title));
    for (name, value) in &document.head {
        out.push_str(&format!("{name}: {}\n", escape::text(value, Place::Line)));
    }
    if !document.facts.is_empty() {
        // A header that says nothing is still a header: without one there is no table.
        out.push_str("\n| At a glance | |\n|---|---|\n");
        for (name, value) in &document.facts {
            out.push_str(&format!("| {name} | {} |\n", inline(value, Place::Cell, &known)));
        }
    }
    for section in &document.sections {
        render_section(&mut out, section, &known);
    }
    out
}

/// The ids that references can lead to.
fn anchors(document: &Document) -> BTreeSet<&str> {
    let blocks = document.sections.iter().flat_map(|section| &section.blocks);
    blocks
        .filter_map(|block| if let Block::Records(entries) = block { Some(entries) } else { None })
        .flatten()
        .map(|entry| entry.id.as_str())
        .collect()
}

fn render_section(out: &mut String, section: &Section, known: &BTreeSet<&str>) {
    let title = inline(&section.title, Place::Line, known);
    let title = title.strip_suffix('#').map_or(title.clone(), |rest| format!("{rest}\\#"));
    out.push_str(&format!("\n{} {title}\n", "#".repeat(section.level)));
    for block in &section.blocks {
        match block {
            Block::Note(note) => {
                // Only plain text can look like the start of another block.
                let text = match note.spans() {
                    [Span::Text(text), rest @ ..] => {
                        escape::paragraph(text) + gap(text) + &spans(rest, Place::Line, known)
                    }
                    other => spans(other, Place::Line, known),
                };
                out.push_str(&format!("\n{}\n", text.trim_end()));
            }
            Block::Table(table) => render_table(out, table, known),
            Block::Records(entries) if entries.is_empty() => {}
            Block::Records(entries) => {
                out.push('\n');
                for entry in entries {
                    render_entry(out, entry, known);
                }
            }
            Block::Chart(chart) => {
                if let Some(script) = chart::script(chart) {
                    out.push_str(&format!("\n```mermaid\n{script}\n```\n"));
                }
            }
        }
    }
}

fn render_table(out: &mut String, table: &Table, known: &BTreeSet<&str>) {
    if table.rows.is_empty() {
        return;
    }
    out.push_str(&format!("\n| {} |\n", table.columns.join(" | ")));
    out.push_str(&format!("|{}\n", "---|".repeat(table.columns.len())));
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(|cell| inline(cell, Place::Cell, known)).collect();
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
}

/// The line of a record, whose form scripts read, and below it what else there is to say, with the place that
/// references lead to.
fn render_entry(out: &mut String, entry: &Entry, known: &BTreeSet<&str>) {
    let indent = "  ".repeat(entry.depth.min(DEPTH));
    let text = |raw: &str| escape::text(raw, Place::Line);
    out.push_str(&format!("{indent}- {} {}", escape::code(&entry.id, Place::Line), text(&entry.created_at)));
    let tags = match &entry.tags {
        Tags::Named(tags) => {
            let given = tags.iter().filter(|(_, value)| !value.is_empty());
            given.map(|(name, value)| format!("{name}={}", text(value))).collect::<Vec<_>>().join(" ")
        }
        Tags::Joined(values) => values.iter().map(|value| text(value)).collect::<Vec<_>>().join(":"),
    };
    if !tags.is_empty() {
        out.push_str(&format!(" [{tags}]"));
    }
    let lead = text(&entry.lead);
    if !lead.is_empty() {
        out.push_str(&format!(" {lead}"));
    }
    out.push_str(&format!(" - {}\n", text(&entry.summary)));
    let anchor = format!("<a id=\"{}\"></a>", escape::anchor(&entry.id));
    if entry.detail.is_empty() {
        out.push_str(&format!("{indent}  {anchor}\n"));
    } else {
        out.push_str(&format!("{indent}  - {anchor}{}\n", inline(&entry.detail, Place::Line, known)));
    }
}

fn inline(run: &Inline, place: Place, known: &BTreeSet<&str>) -> String {
    spans(run.spans(), place, known)
}

/// The space at the end of a text, which a text in one line has lost.
fn gap(text: &str) -> &'static str {
    if text.ends_with(char::is_whitespace) { " " } else { "" }
}

fn spans(spans: &[Span], place: Place, known: &BTreeSet<&str>) -> String {
    let mut out = String::new();
    for span in spans {
        match span {
            Span::Text(text) => {
                if text.starts_with(char::is_whitespace) && !out.is_empty() {
                    out.push(' ');
                }
                out.push_str(&escape::text(text, place));
                if !text.trim().is_empty() {
                    out.push_str(gap(text));
                }
            }
            Span::Strong(text) => {
                let text = escape::text(text, place);
                if !text.is_empty() {
                    out.push_str(&format!("**{text}**"));
                }
            }
            Span::Code(text) => out.push_str(&escape::code(text, place)),
            Span::Record { id, title } => {
                let code = escape::code(id, place);
                let link = if known.contains(id.as_str()) {
                    format!("[{code}](#{})", escape::anchor(id))
                } else {
                    code
                };
                match title {
                    Some(title) => out.push_str(&format!("{} ({link})", escape::text(title, place))),
                    None => out.push_str(&link),
                }
            }
        }
    }
    out
}
