//! What a document consists of: typed blocks of text in reading order.

use serde::{Deserialize, Serialize};

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BlockKind {
    /// The title of the whole document.
    Title,
    /// A heading; the blocks below it carry it in their section path.
    SectionHeader,
    /// A paragraph.
    Text,
    /// One item of a list, with its marker and what is nested in it.
    ListItem,
    /// A table: a row a line, cells separated by ` | `.
    Table,
    /// Code, whole and with its line breaks.
    Code,
    /// The caption of a table or figure.
    Caption,
    /// A footnote.
    Footnote,
}

impl BlockKind {
    /// The name as it is stored in `block_type`.
    pub const fn name(self) -> &'static str {
        match self {
            BlockKind::Title => "Title",
            BlockKind::SectionHeader => "SectionHeader",
            BlockKind::Text => "Text",
            BlockKind::ListItem => "ListItem",
            BlockKind::Table => "Table",
            BlockKind::Code => "Code",
            BlockKind::Caption => "Caption",
            BlockKind::Footnote => "Footnote",
        }
    }

    /// The kind with this name.
    pub fn find(name: &str) -> Option<Self> {
        use BlockKind::{Caption, Code, Footnote, ListItem, SectionHeader, Table, Text, Title};
        let kinds = [Title, SectionHeader, Text, ListItem, Table, Code, Caption, Footnote];
        kinds.into_iter().find(|kind| kind.name() == name)
    }
}

/// One piece of a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// What it is.
    pub kind: BlockKind,
    /// Its text, trimmed and never empty. Lines are separated by `\n`.
    pub text: String,
    /// The page it is on, counted from 1, for formats that have pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// The headings above it, outermost first, without itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub section: Vec<String>,
}
