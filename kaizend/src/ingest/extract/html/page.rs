//! What the elements of a page mean for its blocks.

use super::{BlockKind, Collector, Fault, Table};
use crate::ingest::extract::collect::one_line;

/// Elements whose content nobody reads on the page.
const UNSEEN: &[&[u8]] = &[
    b"script",
    b"style",
    b"template",
    b"noscript",
    b"iframe",
    b"object",
    b"canvas",
    b"audio",
    b"video",
    b"svg",
    b"select",
];
/// Levels of nesting in lists that are shown by indentation.
const DEEPEST_INDENT: usize = 12;
/// Bytes of a heading, above which its end tag was forgotten.
const LONGEST_HEADING: usize = 1000;

/// Whether an element begins a new line of thought, as opposed to being part of a text.
pub(super) fn is_block(name: &str) -> bool {
    const BLOCKS: &[&str] = &[
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "caption",
        "center",
        "dd",
        "details",
        "dialog",
        "dir",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hgroup",
        "hr",
        "html",
        "legend",
        "li",
        "listing",
        "main",
        "menu",
        "nav",
        "ol",
        "optgroup",
        "option",
        "p",
        "pre",
        "search",
        "section",
        "summary",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "ul",
        "xmp",
    ];
    BLOCKS.binary_search(&name).is_ok()
}

/// A table whose end tag has not come yet.
#[derive(Default)]
struct Open {
    table: Table,
    row: Vec<(usize, String)>,
    column: usize,
    in_cell: bool,
    /// It only arranges the page: headings or other tables are in it, so its cells are no cells.
    is_layout: bool,
}

/// A page while it is read.
#[derive(Default)]
pub(super) struct Page {
    /// The text of the block at hand, its white space collapsed.
    text: String,
    /// Whether white space came since.
    space: bool,
    /// The element whose content is left out, and how many of its name are open.
    skipping: Option<(Vec<u8>, usize)>,
    title: Option<String>,
    in_title: bool,
    title_is_heading: bool,
    heading: Option<u8>,
    in_pre: bool,
    pre_begins: bool,
    /// The numbers of the next items of the lists around; none for lists without numbers.
    lists: Vec<Option<u64>>,
    in_item: bool,
    in_caption: bool,
    tables: Vec<Open>,
}

impl Page {
    pub(super) fn start(
        &mut self,
        name: &[u8],
        self_closing: bool,
        blocks: &mut Collector<'_>,
    ) -> Result<(), Fault> {
        if let Some((skipped, depth)) = &mut self.skipping {
            *depth += usize::from(!self_closing && skipped == name);
            return Ok(());
        }
        if UNSEEN.contains(&name) {
            if !self_closing {
                self.skipping = Some((name.to_vec(), 1));
            }
            return Ok(());
        }
        match name {
            b"title" if self.title.is_none() => {
                self.in_title = true;
                self.title = Some(String::new());
            }
            b"br" => self.line_break(),
            [b'h', digit @ b'1'..=b'6'] => {
                self.arrange(blocks)?;
                self.flush(blocks)?;
                self.heading = Some(digit - b'0');
            }
            b"pre" | b"listing" | b"xmp" => {
                self.boundary(blocks)?;
                (self.in_pre, self.pre_begins) = (true, true);
            }
            b"ul" | b"ol" | b"menu" | b"dir" if !self.in_cell() => {
                if self.lists.is_empty() {
                    self.flush(blocks)?;
                }
                self.lists.push((name == b"ol").then_some(1));
            }
            b"li" if !self.in_cell() => self.item(blocks)?,
            b"table" => {
                self.arrange(blocks)?;
                self.flush(blocks)?;
                self.tables.push(Open::default());
            }
            b"tr" if !self.tables.is_empty() => self.end_row(blocks)?,
            b"td" | b"th" if !self.tables.is_empty() => {
                self.end_cell(blocks)?;
                self.flush(blocks)?;
                if let Some(open) = self.tables.last_mut() {
                    open.in_cell = true;
                }
            }
            b"caption" | b"figcaption" if !self.in_cell() => {
                self.flush(blocks)?;
                self.in_caption = true;
            }
            b"button" => self.space = true,
            _ if is_block_name(name) => self.boundary(blocks)?,
            _ => {}
        }
        Ok(())
    }

    pub(super) fn end(&mut self, name: &[u8], blocks: &mut Collector<'_>) -> Result<(), Fault> {
        if let Some((skipped, depth)) = &mut self.skipping {
            *depth -= usize::from(skipped == name);
            if *depth == 0 {
                self.skipping = None;
            }
            return Ok(());
        }
        match name {
            b"title" => self.in_title = false,
            b"br" => self.line_break(),
            [b'h', b'1'..=b'6'] => self.flush(blocks)?,
            b"pre" | b"listing" | b"xmp" => {
                let alone = self.in_pre && !self.in_item && !self.in_cell();
                if alone {
                    let code = std::mem::take(&mut self.text);
                    blocks.push(BlockKind::Code, &code)?;
                } else {
                    self.boundary(blocks)?;
                }
                self.in_pre = false;
            }
            b"ul" | b"ol" | b"menu" | b"dir" if !self.in_cell() => {
                self.lists.pop();
                if self.lists.is_empty() {
                    self.flush(blocks)?;
                }
            }
            b"li" if !self.in_cell() && self.lists.len() <= 1 => self.flush(blocks)?,
            b"table" => {
                self.end_row(blocks)?;
                if let Some(mut open) = self.tables.pop() {
                    open.table.end(blocks)?;
                }
            }
            b"tr" => self.end_row(blocks)?,
            b"td" | b"th" => self.end_cell(blocks)?,
            b"caption" | b"figcaption" if !self.in_cell() => self.flush(blocks)?,
            b"button" => self.space = true,
            _ if is_block_name(name) => self.boundary(blocks)?,
            _ => {}
        }
        Ok(())
    }

    pub(super) fn text(&mut self, text: &str, blocks: &mut Collector<'_>) -> Result<(), Fault> {
        if self.skipping.is_some() {
            return Ok(());
        }
        if self.in_title {
            self.title.get_or_insert_default().push_str(text);
            return Ok(());
        }
        if self.in_pre && !self.in_cell() {
            self.verbatim(text);
            return Ok(());
        }
        self.collapsed(text);
        if self.heading.is_some() && self.text.len() > LONGEST_HEADING {
            self.heading = None;
            self.flush(blocks)?;
        }
        Ok(())
    }

    /// Writes what is left; gives back the title, when there is one that no heading says.
    pub(super) fn finish(mut self, blocks: &mut Collector<'_>) -> Result<Option<String>, Fault> {
        if let Some((name, _)) = &self.skipping {
            blocks.note(format!(
                "the element {} has no end; what follows it was left out",
                String::from_utf8_lossy(name)
            ));
        }
        if self.in_pre && !self.in_item && !self.in_cell() {
            let code = std::mem::take(&mut self.text);
            blocks.push(BlockKind::Code, &code)?;
        }
        while !self.tables.is_empty() {
            self.end_row(blocks)?;
            if let Some(mut open) = self.tables.pop() {
                open.table.end(blocks)?;
            }
        }
        self.flush(blocks)?;
        Ok(self.title.filter(|title| !title.trim().is_empty() && !self.title_is_heading))
    }

    /// Ends the block at hand.
    fn flush(&mut self, blocks: &mut Collector<'_>) -> Result<(), Fault> {
        let text = std::mem::take(&mut self.text);
        self.space = false;
        let in_item = std::mem::take(&mut self.in_item);
        let in_caption = std::mem::take(&mut self.in_caption);
        if let Some(level) = self.heading.take() {
            let is_title = |title: &String| one_line(title) == one_line(&text);
            self.title_is_heading |= level == 1 && self.title.as_ref().is_some_and(is_title);
            return blocks.heading(level, &text);
        }
        let bare = in_item && matches!(text.trim_end(), "-" | "");
        let kind = match (in_caption, in_item) {
            _ if bare => return Ok(()),
            (true, _) => BlockKind::Caption,
            (false, true) => BlockKind::ListItem,
            (false, false) => BlockKind::Text,
        };
        blocks.push(kind, &text)
    }

    /// A block begins or ends inside whatever is at hand.
    fn boundary(&mut self, blocks: &mut Collector<'_>) -> Result<(), Fault> {
        if self.in_cell() || self.heading.is_some() || self.in_caption {
            self.space = true;
            return Ok(());
        }
        if self.in_pre || self.in_item {
            self.new_line();
            return Ok(());
        }
        self.flush(blocks)
    }

    fn line_break(&mut self) {
        if self.in_cell() || self.heading.is_some() {
            self.space = true;
        } else {
            self.new_line();
        }
    }

    /// Begins a line of the item, code or paragraph at hand, unless it has just begun.
    fn new_line(&mut self) {
        self.space = false;
        let written = self.text.trim_end_matches(' ');
        if written.is_empty() || written.ends_with('\n') || self.text.ends_with("- ") && !self.in_pre {
            return;
        }
        self.text.truncate(written.len());
        self.text.push('\n');
        if self.in_item {
            self.indent(self.lists.len().max(1));
        }
    }

    fn indent(&mut self, depth: usize) {
        self.text.push_str(&"  ".repeat(depth.min(DEEPEST_INDENT)));
    }

    /// Begins an item with its marker.
    fn item(&mut self, blocks: &mut Collector<'_>) -> Result<(), Fault> {
        if self.lists.len() <= 1 || !self.in_item {
            self.flush(blocks)?;
        } else {
            self.text.truncate(self.text.trim_end().len());
            self.text.push('\n');
            self.indent(self.lists.len() - 1);
        }
        self.in_item = true;
        match self.lists.last_mut() {
            Some(Some(number)) => {
                self.text.push_str(&format!("{number}. "));
                *number = number.saturating_add(1);
            }
            _ => self.text.push_str("- "),
        }
        Ok(())
    }

    fn in_cell(&self) -> bool {
        self.tables.last().is_some_and(|open| open.in_cell && !open.is_layout)
    }

    /// Makes the innermost table one that only arranges the page, when what comes is too much for a cell.
    fn arrange(&mut self, blocks: &mut Collector<'_>) -> Result<(), Fault> {
        if !self.in_cell() {
            return Ok(());
        }
        let Some(open) = self.tables.last_mut() else { return Ok(()) };
        open.is_layout = true;
        open.table.end(blocks)?;
        for (_, cell) in std::mem::take(&mut open.row) {
            blocks.push(BlockKind::Text, &cell)?;
        }
        Ok(())
    }

    fn end_cell(&mut self, blocks: &mut Collector<'_>) -> Result<(), Fault> {
        if !self.in_cell() {
            return if self.tables.is_empty() { Ok(()) } else { self.flush(blocks) };
        }
        if let Some(open) = self.tables.last_mut() {
            open.row.push((open.column, std::mem::take(&mut self.text)));
            open.column += 1;
            open.in_cell = false;
            self.space = false;
        }
        Ok(())
    }

    fn end_row(&mut self, blocks: &mut Collector<'_>) -> Result<(), Fault> {
        self.end_cell(blocks)?;
        let Some(open) = self.tables.last_mut() else { return Ok(()) };
        open.column = 0;
        open.table.row(std::mem::take(&mut open.row), blocks)
    }

    fn verbatim(&mut self, text: &str) {
        let begins = std::mem::take(&mut self.pre_begins);
        let text = if begins { text.strip_prefix('\n').unwrap_or(text) } else { text };
        if !self.in_item {
            self.text.push_str(text);
            return;
        }
        for (number, line) in text.split('\n').enumerate() {
            if number > 0 {
                self.text.push('\n');
                self.indent(self.lists.len().max(1));
            }
            self.text.push_str(line);
        }
    }

    fn collapsed(&mut self, text: &str) {
        self.space |= text.starts_with(char::is_whitespace);
        for word in text.split_whitespace() {
            if self.space && !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
                self.text.push(' ');
            }
            // Where a word may be broken is nothing that it consists of.
            self.text.extend(word.split(['\u{ad}', '\u{200b}']));
            self.space = true;
        }
        self.space = if text.trim().is_empty() { self.space } else { text.ends_with(char::is_whitespace) };
    }
}

fn is_block_name(name: &[u8]) -> bool {
    std::str::from_utf8(name).is_ok_and(is_block)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ingest::extract::limits::Limits;

    fn shown(text: &str) -> Vec<String> {
        let limits = Limits::default();
        let mut blocks = Collector::new(&limits);
        super::super::html(text, &mut blocks).unwrap();
        let (blocks, _) = blocks.finish();
        let show = |block: crate::ingest::block::Block| {
            format!("{} {}: {}", block.kind.name(), block.section.join("/"), block.text)
        };
        blocks.into_iter().map(show).collect()
    }

    #[test]
    fn noise_is_dropped_and_entities_are_decoded() {
        let text = "<!DOCTYPE html><html><head><title>A &amp; B</title><style>p { x: y }</style>
            <script>if (a < b) document.write('<p>no</p>');</script></head><body>
            <template><p>no</p></template><svg><text>no</text></svg><!-- <p>no</p> -->
            <p>Caf&eacute; &lt;b&gt; &#128512;&nbsp;x<b>y</b>  z<p>next<br>line</body>";
        assert_eq!(shown(text), ["Title : A & B", "Text : Café <b> 😀 xy z", "Text : next\nline"]);
    }

    #[test]
    fn headings_lists_tables_and_code_keep_their_shape() {
        let text = "<title>One</title><h1>One</h1><p>a<h2>Two <small>b</small></h2>
            <ul><li>x<ul><li>y</li><li><p>z</p><p>zz</p></ul></li><li>w</ul><ol><li>1st<li>2nd</ol>
            <table><caption>Cap</caption><tr><th>h1<th>h2</tr><tr><td><p>1</p><td><ul><li>2<li>3</ul></table>
            <pre>\n  <code>fn a() {\n\n}</code>\n</pre><figure><img><figcaption>Fig</figcaption></figure>end";
        let expected = [
            "SectionHeader : One",
            "Text One: a",
            "SectionHeader One: Two b",
            "ListItem One/Two b: - x\n  - y\n  - z\n    zz",
            "ListItem One/Two b: - w",
            "ListItem One/Two b: 1. 1st",
            "ListItem One/Two b: 2. 2nd",
            "Caption One/Two b: Cap",
            "Table One/Two b: h1 | h2\n1 | 2 3",
            "Code One/Two b: fn a() {\n\n}",
            "Caption One/Two b: Fig",
            "Text One/Two b: end",
        ];
        assert_eq!(shown(text), expected);
    }

    #[test]
    fn a_table_that_arranges_the_page_is_no_table() {
        let text =
            "<table><tr><td>menu<td><h1>Head</h1><p>one<p>two<table><tr><td>a<td>b</table>three</table>four";
        let expected = [
            "Text : menu",
            "SectionHeader : Head",
            "Text Head: one",
            "Text Head: two",
            "Table Head: a | b",
            "Text Head: three",
            "Text Head: four",
        ];
        assert_eq!(shown(text), expected);
    }

    #[test]
    fn another_encoding_is_honoured_when_it_is_needed() {
        let page = b"<meta charset=\"iso-8859-1\"><p>Gr\xfc\xdfe \x80</p>";
        assert_eq!(shown(&super::super::decode(page)), ["Text : Grüße €"]);
        assert_eq!(super::super::decode("<meta charset=latin1>ü".as_bytes()), "<meta charset=latin1>ü");
        assert_eq!(super::super::decode(b"a\xff"), "a\u{fffd}");
    }

    #[test]
    fn depth_and_missing_ends_cost_nothing() {
        for tag in
            ["<div>", "<b>", "<ul><li>", "<table><tr><td>", "<svg>", "<h1>", "<pre>", "</p>", "<template>"]
        {
            let count = shown(&(tag.repeat(100_000) + "x")).len();
            assert!(count <= 2, "{tag}: {count}");
        }
    }

    #[test]
    fn the_names_are_sorted() {
        for name in ["address", "xmp", "h6", "option", "search"] {
            assert!(is_block(name), "{name}");
        }
        assert!(!is_block("t") && !is_block("span"));
    }
}
