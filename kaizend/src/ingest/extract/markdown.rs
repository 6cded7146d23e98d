//! Markdown, in the reading of CommonMark with GitHub's tables, footnotes, strike-through and task lists.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::collect::Collector;
use super::fault::Fault;
use super::html;
use super::table::Table;
use crate::ingest::block::BlockKind;

/// Levels of nesting in lists that are shown by indentation; what is deeper stands at the last of them.
const DEEPEST_INDENT: usize = 12;

/// Takes Markdown apart. Texts are rendered: escapes and entities decoded, emphasis dropped, code in backticks, links as
/// `text (target)`.
pub(super) fn markdown(text: &str, blocks: &mut Collector<'_>) -> Result<(), Fault> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS
        | Options::ENABLE_GFM;
    let mut reader = Reader::default();
    for event in Parser::new_ext(text, options) {
        reader.event(event, blocks)?;
    }
    reader.flush(BlockKind::Text, blocks)
}

#[derive(Default)]
struct Reader {
    /// The text of the paragraph, heading, cell, code or list item at hand.
    text: String,
    /// The numbers of the next items of the lists around, outermost first; none for lists without numbers.
    lists: Vec<Option<u64>>,
    /// Where the links around begin in `text`, and where they lead.
    links: Vec<(usize, String)>,
    quotes: usize,
    heading: Option<u8>,
    footnote: Option<String>,
    /// Whether what comes is raw: code or HTML, kept as it is.
    code: Option<String>,
    html: Option<String>,
    metadata: bool,
    table: Table,
    row: Vec<String>,
    in_cell: bool,
}

impl Reader {
    fn event(&mut self, event: Event<'_>, blocks: &mut Collector<'_>) -> Result<(), Fault> {
        match event {
            Event::Start(tag) => self.start(tag, blocks)?,
            Event::End(tag) => self.end(tag, blocks)?,
            Event::Text(text) => match &mut self.code {
                Some(code) => code.push_str(&text),
                None => self.text.push_str(&text),
            },
            Event::Code(code) => {
                self.text.push('`');
                self.text.push_str(&code);
                self.text.push('`');
            }
            Event::InlineMath(text) | Event::DisplayMath(text) => self.text.push_str(&text),
            Event::Html(text) => match &mut self.html {
                Some(html) => html.push_str(&text),
                None => self.text.push_str(&text),
            },
            Event::InlineHtml(tag) => self.inline_html(&tag),
            Event::FootnoteReference(label) => {
                self.text.push_str("[^");
                self.text.push_str(&label);
                self.text.push(']');
            }
            Event::SoftBreak => self.text.push(' '),
            Event::HardBreak => self.new_line(),
            Event::Rule => self.flush(BlockKind::Text, blocks)?,
            Event::TaskListMarker(done) => self.text.push_str(if done { "[x] " } else { "[ ] " }),
        }
        Ok(())
    }

    fn start(&mut self, tag: Tag<'_>, blocks: &mut Collector<'_>) -> Result<(), Fault> {
        match tag {
            Tag::Paragraph | Tag::Table(_) => self.separate(),
            Tag::Heading { level, .. } => {
                self.separate();
                // A heading inside a quote or an item is no heading of the document.
                if self.lists.is_empty() && self.quotes == 0 && self.footnote.is_none() {
                    self.heading = Some(number(level));
                }
            }
            Tag::BlockQuote(_) => self.quotes += 1,
            Tag::CodeBlock(_) => {
                self.separate();
                self.code = Some(String::new());
            }
            Tag::MetadataBlock(_) => {
                self.metadata = true;
                self.code = Some(String::new());
            }
            Tag::HtmlBlock => {
                self.separate();
                self.html = Some(String::new());
            }
            Tag::List(first) => {
                if self.lists.is_empty() && self.footnote.is_none() {
                    self.flush(BlockKind::Text, blocks)?;
                }
                self.lists.push(first);
            }
            Tag::Item => self.item(),
            Tag::FootnoteDefinition(label) => {
                self.flush(BlockKind::Text, blocks)?;
                self.footnote = Some(label.to_string());
                self.text = format!("[^{label}] ");
            }
            Tag::TableHead | Tag::TableRow => self.row.clear(),
            Tag::TableCell if self.is_inside() => {
                if !self.text.is_empty() && !self.text.ends_with('\n') && self.in_cell {
                    self.text.push_str(" | ");
                }
                self.in_cell = true;
            }
            Tag::TableCell => self.text.clear(),
            Tag::Link { dest_url, .. } => self.links.push((self.text.len(), dest_url.to_string())),
            // Emphasis is dropped, and the text of an image is what stands for it.
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, tag: TagEnd, blocks: &mut Collector<'_>) -> Result<(), Fault> {
        match tag {
            TagEnd::Paragraph if !self.is_inside() => self.flush(BlockKind::Text, blocks)?,
            TagEnd::Heading(_) => match self.heading.take() {
                Some(level) => {
                    let text = std::mem::take(&mut self.text);
                    blocks.heading(level, &text)?;
                }
                None if !self.is_inside() => self.flush(BlockKind::Text, blocks)?,
                None => {}
            },
            TagEnd::BlockQuote(_) => self.quotes = self.quotes.saturating_sub(1),
            TagEnd::CodeBlock | TagEnd::MetadataBlock(_) => {
                let code = self.code.take().unwrap_or_default();
                if self.is_inside() && !self.metadata {
                    self.append_lines(&code);
                } else {
                    blocks.push(BlockKind::Code, &code)?;
                }
                self.metadata = false;
            }
            TagEnd::HtmlBlock => {
                let html = self.html.take().unwrap_or_default();
                if self.is_inside() {
                    let text = html::text(&html, blocks.limits())?;
                    self.append_lines(&text);
                } else {
                    html::fragment(&html, blocks)?;
                }
            }
            TagEnd::List(_) => {
                self.lists.pop();
            }
            TagEnd::Item if self.lists.len() == 1 && self.footnote.is_none() => {
                self.flush(BlockKind::ListItem, blocks)?;
            }
            TagEnd::FootnoteDefinition => {
                self.footnote = None;
                self.flush(BlockKind::Footnote, blocks)?;
            }
            TagEnd::TableCell if !self.is_inside() => self.row.push(std::mem::take(&mut self.text)),
            TagEnd::TableHead | TagEnd::TableRow if self.is_inside() => {
                self.in_cell = false;
                self.new_line();
            }
            TagEnd::TableHead | TagEnd::TableRow => {
                let row = std::mem::take(&mut self.row);
                self.table.row(row.into_iter().enumerate(), blocks)?;
            }
            TagEnd::Table => self.table.end(blocks)?,
            TagEnd::Link => self.end_link(),
            _ => {}
        }
        Ok(())
    }

    /// Whether what is read belongs to an item or a footnote, which becomes one block.
    fn is_inside(&self) -> bool {
        !self.lists.is_empty() || self.footnote.is_some()
    }

    fn flush(&mut self, kind: BlockKind, blocks: &mut Collector<'_>) -> Result<(), Fault> {
        let text = std::mem::take(&mut self.text);
        self.links.clear();
        blocks.push(kind, &text)
    }

    /// Begins a new part of the item or footnote at hand.
    fn separate(&mut self) {
        if self.is_inside() && !self.text.is_empty() && !self.text.ends_with(' ') {
            self.new_line();
        }
    }

    fn new_line(&mut self) {
        self.text.push('\n');
        let depth = self.lists.len().min(DEEPEST_INDENT);
        self.text.push_str(&"  ".repeat(depth));
    }

    fn append_lines(&mut self, text: &str) {
        for (number, line) in text.trim_end().lines().enumerate() {
            if number > 0 {
                self.new_line();
            }
            self.text.push_str(line);
        }
    }

    /// Begins an item with its marker.
    fn item(&mut self) {
        let depth = self.lists.len().saturating_sub(1).min(DEEPEST_INDENT);
        if !self.text.is_empty() {
            self.text.push('\n');
            self.text.push_str(&"  ".repeat(depth));
        }
        match self.lists.last_mut() {
            Some(Some(number)) => {
                self.text.push_str(&format!("{number}. "));
                *number = number.saturating_add(1);
            }
            _ => self.text.push_str("- "),
        }
    }

    /// Adds where a link leads, unless its text says that, or it leads to a place in the same document.
    fn end_link(&mut self) {
        let Some((start, target)) = self.links.pop() else { return };
        let text = self.text.get(start..).unwrap_or_default().trim();
        let told = text == target || target.strip_prefix("mailto:") == Some(text);
        if text.is_empty() || target.is_empty() || target.starts_with('#') || told {
            return;
        }
        self.text.push_str(" (");
        self.text.push_str(&target);
        self.text.push(')');
    }

    /// Drops tags of HTML, and keeps what merely looks like one: in `Vec<T>` the `<T>` is meant as it stands.
    fn inline_html(&mut self, tag: &str) {
        let name = tag.trim_start_matches('<').trim_start_matches('/');
        let end = name.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(name.len());
        let name = name[..end].to_ascii_lowercase();
        if name == "br" {
            self.new_line();
        } else if !tag.starts_with("<!") && !tag.starts_with("<?") && !html::is_element(&name) {
            self.text.push_str(tag);
        }
    }
}

fn number(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ingest::extract::limits::Limits;

    fn blocks(text: &str) -> Vec<(&'static str, String, String)> {
        let limits = Limits::default();
        let mut blocks = Collector::new(&limits);
        markdown(text, &mut blocks).unwrap();
        let (blocks, _) = blocks.finish();
        blocks.into_iter().map(|block| (block.kind.name(), block.text, block.section.join("/"))).collect()
    }

    fn shown(text: &str) -> Vec<String> {
        blocks(text).into_iter().map(|(kind, text, section)| format!("{kind} {section}: {text}")).collect()
    }

    #[test]
    fn headings_paragraphs_and_what_is_no_heading() {
        let text = "# One *two*\n\npara\nof two lines\n\npara\n\n## Three {#id}\n#hashtag\n\n#!/bin/sh\n\nFour\n====\nend";
        let expected = [
            "SectionHeader : One two",
            "Text One two: para of two lines",
            "Text One two: para",
            "SectionHeader One two: Three",
            "Text One two/Three: #hashtag",
            "Text One two/Three: #!/bin/sh",
            "SectionHeader : Four",
            "Text Four: end",
        ];
        assert_eq!(shown(text), expected);
        assert_eq!(shown("# H\n\na\n\nb").len(), 3);
    }

    #[test]
    fn inline_markup_is_rendered() {
        let text = r"A [link](https://x.org/a) to `co*de`, <https://y.org>, [here](#there), **bold**, \*, &auml;, Vec<T>,
a<br>b <kbd>c</kbd> ![picture](p.png)[^1].

[^1]: The *note*.

> Quoted
> text
";
        let expected = [
            "Text : A link (https://x.org/a) to `co*de`, https://y.org, here, bold, *, ä, Vec<T>, a\nb c picture[^1].",
            "Footnote : [^1] The note.",
            "Text : Quoted text",
        ];
        assert_eq!(shown(text), expected);
    }

    #[test]
    fn items_hold_what_is_nested_in_them() {
        let text = "intro\n- one\n  more\n  - [x] deep\n    1. deeper\n\n       second\n  ```sh\n  a\n   b\n  ```\n- two\n\n3. three\n4. four\n";
        let expected = [
            "Text : intro",
            "ListItem : - one more\n  - [x] deep\n    1. deeper\n      second\n  a\n   b",
            "ListItem : - two",
            "ListItem : 3. three",
            "ListItem : 4. four",
        ];
        assert_eq!(shown(text), expected);
    }

    #[test]
    fn tables_code_and_front_matter() {
        let text = "---\ntitle: x\n---\n\n| a | b |\n|---|---|\n| 1 | `x` |\n| 2 | |\n\n```rust\n# no heading\n\nfn a() {}\n```\n\n    indented\n";
        let expected = [
            "Code : title: x",
            "Table : a | b\n1 | `x`\n2",
            "Code : # no heading\n\nfn a() {}",
            "Code : indented",
        ];
        assert_eq!(shown(text), expected);
        assert_eq!(shown("+++\na = 1\n+++\nText")[0], "Code : a = 1");
        assert_eq!(
            shown("- a\n\n  | x | y |\n  |---|---|\n  | 1 | 2 |"),
            ["ListItem : - a\n  x | y\n  1 | 2"]
        );
    }

    #[test]
    fn raw_html_is_read_as_html() {
        let text = "<h1 align=center>Name</h1>\n\n<!-- hidden -->\n\n<p>one</p>\n\n<script>\nlet a = 1;\n</script>\n\ntwo\n";
        assert_eq!(shown(text), ["SectionHeader : Name", "Text Name: one", "Text Name: two"]);
    }

    #[test]
    fn deep_nesting_takes_neither_stack_nor_time() {
        for text in
            [">".repeat(100_000), "- ".repeat(50_000) + "x", "[".repeat(100_000), "*a ".repeat(50_000)]
        {
            assert!(blocks(&text).len() <= 10, "{}", &text[..4]);
        }
    }
}
