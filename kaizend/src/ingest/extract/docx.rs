//! DOCX documents: paragraphs with their styles, lists, tables and notes, read from WordprocessingML (ECMA-376, part 1,
//! 17).

use std::collections::HashMap;

use super::collect::{Collector, one_line};
use super::fault::Fault;
use super::limits::Limits;
use super::table::Table;
use super::xml::{self, Node};
use super::zipped;
use crate::ingest::block::BlockKind;

mod styles;

use styles::{Numbering, Role, Styles};

/// Levels of nesting in lists that are shown by indentation.
const DEEPEST_INDENT: usize = 8;

/// Takes a document apart. Headers, footers, comments, deleted text and tables of contents are left out.
pub(super) fn docx(bytes: &[u8], blocks: &mut Collector<'_>) -> Result<(), Fault> {
    let limits = blocks.limits();
    let mut left = limits.expanded_bytes;
    let mut container = zipped::open(bytes, limits)?;
    let mut part = |name: &str| zipped::read(&mut container, name, &mut left);
    let main = match part("_rels/.rels")? {
        Some(relations) => main_part(&relations, limits)?,
        None => None,
    };
    let main = main.unwrap_or_else(|| "word/document.xml".to_owned());
    let folder = main.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    let document = part(&main)?.ok_or_else(|| Fault::broken("it holds no document"))?;
    let mut beside = |name: &str| part(&format!("{folder}/{name}")).map(Option::unwrap_or_default);
    let styles = styles::styles(&beside("styles.xml")?, limits)?;
    let numbering = styles::numbering(&beside("numbering.xml")?, limits)?;
    let footnotes = notes(&beside("footnotes.xml")?, limits)?;
    let endnotes = notes(&beside("endnotes.xml")?, limits)?;
    let mut body = Body::new(&styles, &numbering);
    xml::walk(&document, limits, |node| body.node(node, blocks))?;
    body.flush(blocks)?;
    for (number, (is_end, id)) in body.noted.iter().enumerate() {
        let from = if *is_end { &endnotes } else { &footnotes };
        if let Some(text) = from.get(id) {
            blocks.push(BlockKind::Footnote, &format!("[{}] {text}", number + 1))?;
        }
    }
    Ok(())
}

/// Where the package says that the document is.
fn main_part(relations: &str, limits: &Limits) -> Result<Option<String>, Fault> {
    let mut found = None;
    xml::walk(relations, limits, |node| {
        if let Node::Start("Relationship", element) = node
            && xml::attribute(element, "Type").is_some_and(|kind| kind.ends_with("/officeDocument"))
        {
            let target = xml::attribute(element, "Target");
            found = target.map(|target| target.trim_start_matches('/').to_owned());
        }
        Ok(())
    })?;
    Ok(found)
}

/// The texts of footnotes or endnotes by their ids.
fn notes(part: &str, limits: &Limits) -> Result<HashMap<String, String>, Fault> {
    let mut notes = HashMap::new();
    let mut id = None;
    let mut text = String::new();
    let mut in_text = false;
    xml::walk(part, limits, |node| {
        match node {
            // Those with a type are the lines that separate notes from the text.
            Node::Start("footnote" | "endnote", element) if xml::attribute(element, "type").is_none() => {
                id = xml::attribute(element, "id");
                text.clear();
            }
            Node::Start("t", _) => in_text = true,
            Node::End("t") => in_text = false,
            Node::Start("p" | "br" | "tab", _) => text.push(' '),
            Node::Text(piece) if in_text => text.push_str(piece),
            Node::End("footnote" | "endnote") => {
                if let Some(id) = id.take() {
                    notes.insert(id, one_line(&text));
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(notes)
}

/// A paragraph whose end has not come yet.
#[derive(Default)]
struct Paragraph {
    text: String,
    style: Option<String>,
    outline: Option<u8>,
    list: Option<String>,
    level: Option<u8>,
}

/// A table whose end has not come yet.
#[derive(Default)]
struct Open {
    table: Table,
    row: Vec<String>,
    cell: String,
}

/// The document while it is read.
struct Body<'s> {
    styles: &'s Styles,
    numbering: &'s Numbering,
    /// How far each level of each list has been counted.
    counts: HashMap<(String, u8), u64>,
    /// The notes in the order in which the text refers to them; true for endnotes.
    noted: Vec<(bool, String)>,
    /// The paragraphs around, for a text box is a paragraph within one.
    paragraphs: Vec<Paragraph>,
    tables: Vec<Open>,
    /// An item or code that the next paragraph may go on with.
    pending: Option<(BlockKind, String)>,
    /// How many elements are open whose content counts for nothing.
    skipping: usize,
    in_text: bool,
    in_tab_stops: bool,
}

impl<'s> Body<'s> {
    fn new(styles: &'s Styles, numbering: &'s Numbering) -> Self {
        Body {
            styles,
            numbering,
            counts: HashMap::new(),
            noted: Vec::new(),
            paragraphs: Vec::new(),
            tables: Vec::new(),
            pending: None,
            skipping: 0,
            in_text: false,
            in_tab_stops: false,
        }
    }

    fn node(&mut self, node: Node<'_>, blocks: &mut Collector<'_>) -> Result<(), Fault> {
        match node {
            // The same once more for older programs, and what was moved elsewhere.
            Node::Start("Fallback" | "moveFrom", _) => self.skipping += 1,
            Node::End("Fallback" | "moveFrom") => self.skipping = self.skipping.saturating_sub(1),
            _ if self.skipping > 0 => {}
            Node::Start("p", _) => self.paragraphs.push(Paragraph::default()),
            Node::End("p") => {
                if let Some(paragraph) = self.paragraphs.pop() {
                    self.place(paragraph, blocks)?;
                }
            }
            Node::Start("tbl", _) => {
                if self.tables.is_empty() {
                    self.flush(blocks)?;
                }
                self.tables.push(Open::default());
            }
            Node::End("tbl") => {
                if let Some(mut open) = self.tables.pop() {
                    open.table.end(blocks)?;
                }
            }
            Node::End("tc") => {
                if let Some(open) = self.tables.last_mut() {
                    open.row.push(std::mem::take(&mut open.cell));
                }
            }
            Node::End("tr") => self.end_row(blocks)?,
            Node::Start("t", _) => self.in_text = true,
            Node::End("t") => self.in_text = false,
            Node::Start("tabs", _) => self.in_tab_stops = true,
            Node::End("tabs") => self.in_tab_stops = false,
            Node::Text(text) if self.in_text => self.append(text),
            Node::Start(name, element) => self.property(name, |name| xml::attribute(element, name)),
            Node::Text(_) | Node::End(_) => {}
        }
        Ok(())
    }

    fn append(&mut self, text: &str) {
        if let Some(paragraph) = self.paragraphs.last_mut() {
            paragraph.text.push_str(text);
        }
    }

    /// What an element says about its paragraph, or stands for in its text.
    fn property(&mut self, name: &str, attribute: impl Fn(&str) -> Option<String>) {
        match name {
            "tab" if !self.in_tab_stops => self.append("\t"),
            "br" | "cr" => self.append("\n"),
            "noBreakHyphen" => self.append("-"),
            "footnoteReference" | "endnoteReference" => {
                if let Some(id) = attribute("id") {
                    self.noted.push((name.starts_with('e'), id));
                    let label = format!("[{}]", self.noted.len());
                    self.append(&label);
                }
            }
            "pStyle" | "outlineLvl" | "numId" | "ilvl" => {
                let Some(paragraph) = self.paragraphs.last_mut() else { return };
                let value = attribute("val");
                let level = value.as_ref().and_then(|value| value.parse().ok());
                match name {
                    "pStyle" => paragraph.style = value,
                    "outlineLvl" => paragraph.outline = level,
                    "ilvl" => paragraph.level = level,
                    _ => paragraph.list = value,
                }
            }
            _ => {}
        }
    }

    /// Makes a paragraph a block, or a part of one.
    fn place(&mut self, paragraph: Paragraph, blocks: &mut Collector<'_>) -> Result<(), Fault> {
        if let Some(open) = self.tables.last_mut() {
            open.cell.push(' ');
            open.cell.push_str(&paragraph.text);
            return Ok(());
        }
        if paragraph.text.trim().is_empty() {
            // An empty line of code is one.
            if let Some((BlockKind::Code, code)) = &mut self.pending {
                code.push('\n');
            }
            return Ok(());
        }
        let style = self.styles.find(paragraph.style.as_deref());
        let role = match paragraph.outline {
            Some(level) if level < 9 => Role::Heading(level + 1),
            _ => style.role,
        };
        let list = paragraph.list.or(style.list).filter(|list| list != "0");
        let text = paragraph.text.as_str();
        match role {
            Role::Code => {
                match &mut self.pending {
                    Some((BlockKind::Code, code)) => {
                        code.push('\n');
                        code.push_str(text);
                    }
                    _ => self.replace_pending(BlockKind::Code, text.to_owned(), blocks)?,
                }
                return Ok(());
            }
            Role::Text if list.is_some() => {
                let level = paragraph.level.unwrap_or(style.level);
                return self.item(&list.unwrap_or_default(), level, text, blocks);
            }
            _ => self.flush(blocks)?,
        }
        match role {
            Role::Contents => Ok(()),
            Role::Title => blocks.push(BlockKind::Title, &one_line(text)),
            Role::Heading(level) => blocks.heading(level, text),
            Role::Caption => blocks.push(BlockKind::Caption, text),
            Role::Text | Role::Code => blocks.push(BlockKind::Text, text),
        }
    }

    fn item(&mut self, list: &str, level: u8, text: &str, blocks: &mut Collector<'_>) -> Result<(), Fault> {
        self.counts.retain(|(counted, deep), _| counted != list || *deep <= level);
        let count = self.counts.entry((list.to_owned(), level)).or_insert(0);
        *count += 1;
        let marker =
            if self.numbering.is_numbered(list, level) { format!("{count}.") } else { "-".to_owned() };
        let indent = "  ".repeat(usize::from(level).min(DEEPEST_INDENT));
        let line = format!("{indent}{marker} {}", text.trim());
        match &mut self.pending {
            Some((BlockKind::ListItem, item)) if level > 0 => {
                item.push('\n');
                item.push_str(&line);
                Ok(())
            }
            _ => self.replace_pending(BlockKind::ListItem, line, blocks),
        }
    }

    fn replace_pending(
        &mut self,
        kind: BlockKind,
        text: String,
        blocks: &mut Collector<'_>,
    ) -> Result<(), Fault> {
        self.flush(blocks)?;
        self.pending = Some((kind, text));
        Ok(())
    }

    fn flush(&mut self, blocks: &mut Collector<'_>) -> Result<(), Fault> {
        match self.pending.take() {
            Some((kind, text)) => blocks.push(kind, &text),
            None => Ok(()),
        }
    }

    fn end_row(&mut self, blocks: &mut Collector<'_>) -> Result<(), Fault> {
        let Some(open) = self.tables.last_mut() else { return Ok(()) };
        let row = std::mem::take(&mut open.row);
        if self.tables.len() == 1 {
            return match self.tables.first_mut() {
                Some(open) => open.table.row(row.into_iter().enumerate(), blocks),
                None => Ok(()),
            };
        }
        // A table within a cell is a part of that cell.
        let around = self.tables.len() - 2;
        for cell in row {
            self.tables[around].cell.push(' ');
            self.tables[around].cell.push_str(&cell);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
