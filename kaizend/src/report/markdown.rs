//! A document as Markdown.

use std::collections::BTreeSet;

use super::chart;
use super::escape::{self, Place};
use super::{Block, Document, Entry, Inline, Section, Span, Table, Tags};

/// Lists are not nested deeper than this; viewers indent each level.
const DEPTH: usize = 8;

pub(super) fn render(document: &Document) -> String {
    let (listed, known) = anchors(document);
    let mut markdown = Markdown { out: String::new(), listed, known, placed: BTreeSet::new() };
    markdown.document(document);
    markdown.out
}

/// The ids of the records that have a line of their own, and of all that references can lead to.
fn anchors(document: &Document) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let (mut listed, mut known) = (BTreeSet::new(), BTreeSet::new());
    for block in document.sections.iter().flat_map(|section| &section.blocks) {
        match block {
            Block::Records(entries) => listed.extend(entries.iter().map(|entry| entry.id.as_str())),
            Block::Table(table) => known.extend(table.rows.iter().filter_map(|row| row_of(row))),
            Block::Note(_) | Block::Chart(_) => {}
        }
    }
    known.extend(&listed);
    (listed, known)
}

/// The id of the record that a row of a table is about: its first cell names it.
fn row_of(row: &[Inline]) -> Option<&str> {
    match row.first()?.spans() {
        [Span::Record { id, .. }] => Some(id),
        _ => None,
    }
}

/// A text that grows, and what references in it can lead to.
struct Markdown<'d> {
    out: String,
    /// Ids with a line of their own, where references lead.
    listed: BTreeSet<&'d str>,
    /// These, and those that only tables show.
    known: BTreeSet<&'d str>,
    /// Ids of tables whose place has been marked.
    placed: BTreeSet<&'d str>,
}

impl<'d> Markdown<'d> {
    fn document(&mut self, document: &'d Document) {
        self.out.push_str(&format!("# {}\n\n", escape::heading(&document.title)));
        for (name, value) in &document.head {
            self.out.push_str(&format!("{name}: {}\n", escape::text(value, Place::Line)));
        }
        if !document.facts.is_empty() {
            self.out.push_str("\n| At a glance | |\n|---|---|\n");
            for (name, value) in &document.facts {
                let value = self.spans(value.spans(), Place::Cell);
                self.out.push_str(&format!("| {name} | {value} |\n"));
            }
        }
        for section in &document.sections {
            self.section(section);
        }
    }

    fn section(&mut self, section: &'d Section) {
        let title = self.spans(section.title.spans(), Place::Line);
        let title = title.strip_suffix('#').map_or(title.clone(), |rest| format!("{rest}\\#"));
        self.out.push_str(&format!("\n{} {title}\n", "#".repeat(section.level)));
        for block in &section.blocks {
            match block {
                Block::Note(note) => {
                    // Only plain text can look like the start of another block.
                    let text = match note.spans() {
                        [Span::Text(text), rest @ ..] => {
                            escape::paragraph(text) + gap(text) + &self.spans(rest, Place::Line)
                        }
                        other => self.spans(other, Place::Line),
                    };
                    self.out.push_str(&format!("\n{}\n", text.trim_end()));
                }
                Block::Table(table) => self.table(table),
                Block::Records(entries) if entries.is_empty() => {}
                Block::Records(entries) => {
                    self.out.push('\n');
                    entries.iter().for_each(|entry| self.entry(entry));
                }
                Block::Chart(chart) => {
                    if let Some(script) = chart::script(chart) {
                        self.out.push_str(&format!("\n```mermaid\n{script}\n```\n"));
                    }
                }
            }
        }
    }

    fn table(&mut self, table: &'d Table) {
        if table.rows.is_empty() {
            return;
        }
        self.out.push_str(&format!("\n| {} |\n", table.columns.join(" | ")));
        self.out.push_str(&format!("|{}\n", "---|".repeat(table.columns.len())));
        for row in &table.rows {
            let mut cells: Vec<String> =
                row.iter().map(|cell| self.spans(cell.spans(), Place::Cell)).collect();
            if let (Some(id), Some(first)) = (row_of(row), cells.first_mut())
                && !self.listed.contains(id)
                && self.placed.insert(id)
            {
                // This is the place where the references to it lead.
                let code = escape::code(id, Place::Cell);
                *first = first.replace(&format!("[{code}](#{})", escape::anchor(id)), &code);
                *first = format!("<a id=\"{}\"></a>{first}", escape::anchor(id));
            }
            self.out.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
    }

    /// The line of a record, whose form scripts read, and below it what else there is to say, with the place that
    /// references lead to.
    fn entry(&mut self, entry: &Entry) {
        let indent = "  ".repeat(entry.depth.min(DEPTH));
        let text = |raw: &str| escape::text(raw, Place::Line);
        let mut line =
            format!("{indent}- {} {}", escape::code(&entry.id, Place::Line), text(&entry.created_at));
        let tags = match &entry.tags {
            Tags::Named(tags) => {
                let given = tags.iter().filter(|(_, value)| !value.is_empty());
                given.map(|(name, value)| format!("{name}={}", text(value))).collect::<Vec<_>>().join(" ")
            }
            Tags::Joined(values) => values.iter().map(|value| text(value)).collect::<Vec<_>>().join(":"),
        };
        if !tags.is_empty() {
            line.push_str(&format!(" [{tags}]"));
        }
        let lead = text(&entry.lead);
        if !lead.is_empty() {
            line.push_str(&format!(" {lead}"));
        }
        line.push_str(&format!(" - {}\n", text(&entry.summary)));
        let anchor = format!("<a id=\"{}\"></a>", escape::anchor(&entry.id));
        if entry.detail.is_empty() {
            line.push_str(&format!("{indent}  {anchor}\n"));
        } else {
            let detail = self.spans(entry.detail.spans(), Place::Line);
            line.push_str(&format!("{indent}  - {anchor}{detail}\n"));
        }
        self.out.push_str(&line);
    }

    fn spans(&self, spans: &[Span], place: Place) -> String {
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
                    let link = if self.known.contains(id.as_str()) {
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
}

/// The space at the end of a text, which a text in one line has lost.
fn gap(text: &str) -> &'static str {
    if text.ends_with(char::is_whitespace) { " " } else { "" }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::Chart;

    /// Texts that try to be something else.
    fn hostile() -> impl Strategy<Value = String> {
        let parts = prop::sample::select(vec![
            "|",
            "`",
            "```",
            "\n",
            "\r\n",
            "# ",
            "- ",
            "---",
            "<script>",
            "</a>",
            "<!--",
            "&lt;",
            "[x](javascript:1)",
            "![",
            "](",
            "*",
            "_",
            "~~",
            "\\",
            "\"",
            "'",
            "%%{init}%%",
            ";",
            "a",
            " ",
            "\u{202e}",
            "\u{2028}",
            "1.",
            "=",
            "|---|",
            "é",
            "\0",
        ]);
        prop::collection::vec(parts, 0..12).prop_map(|parts| parts.concat())
    }

    fn document(text: &str) -> Document {
        let entry = Entry {
            id: text.to_owned(),
            created_at: text.to_owned(),
            tags: Tags::Named(vec![("status", text.to_owned())]),
            lead: text.to_owned(),
            summary: text.to_owned(),
            detail: Inline::new().strong(text).and().text(text).code(text).record("other", Some(text.into())),
            depth: 0,
        };
        let plain =
            Entry { id: "other".into(), tags: Tags::Joined(vec![text.to_owned()]), ..Entry::default() };
        let row =
            vec![Inline::new().record(text, Some(text.to_owned())), text.into(), Inline::new().code(text)];
        Document {
            title: text.to_owned(),
            head: vec![("Rows", text.to_owned())],
            facts: vec![("About", text.into())],
            sections: vec![
                Section::new(text)
                    .with(Block::Note(text.into()))
                    .with(Block::Table(Table { columns: vec!["A", "B", "C"], rows: vec![row] }))
                    .with(Block::Records(vec![entry, plain]))
                    .with(Block::Chart(Chart::Bars {
                        title: text.into(),
                        unit: "u",
                        points: vec![(text.to_owned(), 1.0)],
                    })),
                Section::part(text).with(Block::Note(text.into())),
            ],
        }
    }

    /// The shape of a document: what each line is, whatever stands in it.
    fn shape(markdown: &str) -> Vec<&str> {
        let start = |line: &'static str, of: &str| of.starts_with(line).then_some(line);
        let kinds = [
            "# ",
            "## ",
            "### ",
            "```",
            "| At",
            "| About",
            "| A ",
            "|---",
            "| ",
            "- ",
            "  - <a id=",
            "  <a id=",
        ];
        markdown
            .lines()
            .map(|line| {
                kinds.iter().find_map(|kind| start(kind, line)).unwrap_or(if line.is_empty() {
                    ""
                } else {
                    "text"
                })
            })
            .collect()
    }

    /// Bars that end a cell.
    fn bars(line: &str) -> usize {
        line.replace("\\\\", "").replace("\\|", "").matches('|').count()
    }

    proptest! {
        #[test]
        fn no_text_of_a_record_changes_the_shape_of_a_document(text in hostile()) {
            let markdown = render(&document(&text));
            let usual = render(&document("usual"));
            // An empty text leaves an empty line, which is not a line of another kind.
            let shape = |markdown: &str| -> Vec<String> {
                shape(markdown).iter().filter(|kind| !matches!(**kind, "" | "text")).map(ToString::to_string).collect()
            };
            prop_assert_eq!(shape(&markdown), shape(&usual), "{}", markdown);
            for line in markdown.lines().filter(|line| line.starts_with('|')) {
                let cells = if line.starts_with("| At") || line.starts_with("| About") || line == "|---|---|" { 3 } else { 4 };
                prop_assert_eq!(bars(line), cells, "{}", line);
            }
            // The only tags are the places that references lead to.
            let tags = markdown.matches('<').count();
            let ours = markdown.matches("<a id=\"").count();
            prop_assert_eq!(tags, 2 * ours, "{}", markdown);
            prop_assert_eq!(markdown.matches("></a>").count(), ours);
        }
    }

    #[test]
    fn references_lead_to_records_that_are_there() {
        let entry = |id: &str, detail: Inline| Entry { id: id.into(), detail, ..Entry::default() };
        let document = Document {
            title: "T".into(),
            sections: vec![
                Section::new("S").with(Block::Records(vec![
                    entry("a", Inline::new().record("b", Some("B".into()))),
                    entry("b", Inline::new().record("absent", None)),
                ])),
                Section::new("T").with(Block::Table(Table {
                    columns: vec!["Record"],
                    rows: vec![vec![Inline::new().record("a", None)], vec![Inline::new().record("c", None)]],
                })),
            ],
            ..Document::default()
        };
        let markdown = render(&document);
        assert!(markdown.contains("<a id=\"a\"></a>B ([`b`](#b))\n"), "{markdown}");
        assert!(markdown.contains("<a id=\"b\"></a>`absent`\n"), "{markdown}");
        assert!(markdown.contains("| [`a`](#a) |\n| <a id=\"c\"></a>`c` |\n"), "{markdown}");
    }
}
