//! Documents that a person reads, made of records: one model for all of them, rendered as Markdown or as JSON.
//!
//! A document is plain data. Everything in it that comes from a record stays as it was stored; only the renderer knows
//! how a text is written so that it stays a text. The same data give the same bytes but for the line that says when the
//! document was generated.

pub mod chart;
pub mod escape;
pub mod file;
mod markdown;

use kaizen_proto::denial::{Code, Denial};
use serde::{Serialize, Serializer};
use serde_json::json;

pub use chart::Chart;

/// Forms that a document can be written in.
pub use kaizen_proto::values::FORMATS;

/// The form of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Markdown, as GitHub and editors show it.
    Markdown,
    /// JSON, with texts as they are stored.
    Json,
}

impl Format {
    /// The form that a caller asked for; Markdown when nothing was said.
    ///
    /// # Errors
    /// `DENIED_SCHEMA_ENUM`.
    pub fn of(name: Option<&str>) -> Result<Self, Denial> {
        match name {
            None | Some("" | "md") => Ok(Format::Markdown),
            Some("json") => Ok(Format::Json),
            Some(other) => Err(Denial::new(Code::SchemaEnum)
                .with("record_type", "report")
                .with("field", "format")
                .with("value", other)
                .with("allowed", json!(FORMATS))),
        }
    }

    /// What the name of a file of this form ends with.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Markdown => "md",
            Format::Json => "json",
        }
    }
}

/// A document.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Document {
    /// The heading.
    pub title: String,
    /// Lines below the heading: a name and a value.
    #[serde(serialize_with = "as_values")]
    pub head: Vec<(&'static str, String)>,
    /// The table that gives the picture at a glance.
    #[serde(serialize_with = "as_map")]
    pub facts: Vec<(&'static str, Inline)>,
    /// What follows.
    pub sections: Vec<Section>,
}

/// A part of a document under a heading of its own.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Section {
    /// The heading.
    pub title: Inline,
    /// 2 for a section, 3 for a part of the section before.
    pub level: usize,
    /// What stands in it.
    pub blocks: Vec<Block>,
}

/// One block of a section.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// A paragraph.
    Note(Inline),
    /// A table.
    Table(Table),
    /// Records, a line each.
    Records(Vec<Entry>),
    /// A small chart.
    Chart(Chart),
}

/// A table.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// Names of the columns.
    pub columns: Vec<&'static str>,
    /// The rows.
    pub rows: Vec<Vec<Inline>>,
}

/// One record of a list.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Entry {
    /// Its id, to which references in the same document lead.
    pub id: String,
    /// When it was made.
    pub created_at: String,
    /// What stands in brackets.
    pub tags: Tags,
    /// What stands between the brackets and the summary.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub lead: String,
    /// Summary.
    pub summary: String,
    /// What else there is to say, such as the title and references.
    #[serde(skip_serializing_if = "Inline::is_empty")]
    pub detail: Inline,
    /// How deep it is nested; 0 is not.
    #[serde(skip_serializing_if = "is_zero")]
    pub depth: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(depth: &usize) -> bool {
    *depth == 0
}

/// What a record line holds in brackets.
#[derive(Clone, Debug, PartialEq)]
pub enum Tags {
    /// `name=value name=value`; those without a value are left out.
    Named(Vec<(&'static str, String)>),
    /// `value:value:value`.
    Joined(Vec<String>),
}

impl Default for Tags {
    fn default() -> Self {
        Tags::Named(Vec::new())
    }
}

impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Tags::Named(tags) => serializer.collect_map(
                tags.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name, value)),
            ),
            Tags::Joined(values) => values.serialize(serializer),
        }
    }
}

/// A run of text with references in it. As JSON it is its plain text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inline(Vec<Span>);

/// A part of a run of text.
#[derive(Clone, Debug, PartialEq)]
pub enum Span {
    /// Plain text.
    Text(String),
    /// Text that matters.
    Strong(String),
    /// An id or a path, letter by letter.
    Code(String),
    /// A reference to a record, by its id and perhaps its title.
    Record {
        /// Id.
        id: String,
        /// Title, when it has one.
        title: Option<String>,
    },
}

impl Inline {
    /// Nothing yet.
    pub fn new() -> Self {
        Inline::default()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its parts.
    pub fn spans(&self) -> &[Span] {
        &self.0
    }

    /// Adds plain text.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.0.push(Span::Text(text.into()));
        self
    }

    /// Adds text that matters.
    #[must_use]
    pub fn strong(mut self, text: impl Into<String>) -> Self {
        self.0.push(Span::Strong(text.into()));
        self
    }

    /// Adds an id or a path.
    #[must_use]
    pub fn code(mut self, text: impl Into<String>) -> Self {
        self.0.push(Span::Code(text.into()));
        self
    }

    /// Adds a reference to a record.
    #[must_use]
    pub fn record(mut self, id: impl Into<String>, title: Option<String>) -> Self {
        self.0.push(Span::Record { id: id.into(), title: title.filter(|title| !title.trim().is_empty()) });
        self
    }

    /// Begins another remark after those that are there.
    #[must_use]
    pub fn and(self) -> Self {
        if self.is_empty() { self } else { self.text(" · ") }
    }
}

impl From<&str> for Inline {
    fn from(text: &str) -> Self {
        Inline::new().text(text)
    }
}

impl From<String> for Inline {
    fn from(text: String) -> Self {
        Inline::new().text(text)
    }
}

impl Serialize for Inline {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut plain = String::new();
        for span in &self.0 {
            match span {
                Span::Text(text) | Span::Strong(text) | Span::Code(text) => plain.push_str(text),
                Span::Record { id, title: None } => plain.push_str(id),
                Span::Record { id, title: Some(title) } => plain.push_str(&format!("{title} ({id})")),
            }
        }
        serializer.serialize_str(&plain)
    }
}

fn as_map<S: Serializer, V: Serialize>(
    pairs: &[(&'static str, V)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

/// Pairs as an object, numbers as numbers.
fn as_values<S: Serializer>(pairs: &[(&'static str, String)], serializer: S) -> Result<S::Ok, S::Error> {
    let value = |text: &str| {
        serde_json::from_str::<serde_json::Number>(text).map_or_else(|_| json!(text), |number| json!(number))
    };
    serializer.collect_map(pairs.iter().map(|(name, text)| (name, value(text))))
}

impl Section {
    /// A section.
    pub fn new(title: impl Into<Inline>) -> Self {
        Section { title: title.into(), level: 2, blocks: Vec::new() }
    }

    /// A part of the section before.
    pub fn part(title: impl Into<Inline>) -> Self {
        Section { level: 3, ..Section::new(title) }
    }

    /// Adds a block.
    #[must_use]
    pub fn with(mut self, block: Block) -> Self {
        self.blocks.push(block);
        self
    }
}

impl Document {
    /// A document whose lines below the heading begin with the time of its generation.
    pub fn new(title: impl Into<String>) -> Self {
        Document { title: title.into(), ..Document::default() }
    }

    /// The document in this form.
    ///
    /// # Errors
    /// `ERROR_UNEXPECTED` when it cannot be written as JSON, which nothing in it should cause.
    pub fn render(&self, format: Format) -> Result<String, Denial> {
        match format {
            Format::Markdown => Ok(markdown::render(self)),
            Format::Json => serde_json::to_string_pretty(self)
                .map(|text| text + "\n")
                .map_err(|error| crate::plane::fault::unexpected("write a report", &error)),
        }
    }
}
