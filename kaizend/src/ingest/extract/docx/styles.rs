//! What the styles and lists of a document mean.

use std::collections::HashMap;

use super::{Fault, Limits, Node, xml};

/// Styles that a style may be based on, one after the other.
const LONGEST_CHAIN: usize = 20;

/// What a paragraph is by its style.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    #[default]
    Text,
    Title,
    /// Of this level, from 1.
    Heading(u8),
    Caption,
    Code,
    /// A line of a table of contents.
    Contents,
}

/// A style with what it inherits.
#[derive(Clone, Debug, Default)]
pub(super) struct Style {
    pub(super) role: Role,
    /// The list that its paragraphs belong to, and their level in it.
    pub(super) list: Option<String>,
    pub(super) level: u8,
}

#[derive(Default)]
struct Declared {
    base: Option<String>,
    role: Role,
    outline: Option<u8>,
    list: Option<String>,
    level: Option<u8>,
}

/// The paragraph styles by their ids.
#[derive(Default)]
pub(super) struct Styles(HashMap<String, Declared>);

impl Styles {
    /// The style with an id; a plain one without.
    pub(super) fn find(&self, id: Option<&str>) -> Style {
        let mut style = Style::default();
        let mut level = None;
        let mut next = id.map(str::to_owned);
        for _ in 0..LONGEST_CHAIN {
            let Some(declared) = next.as_ref().and_then(|id| self.0.get(id)) else { break };
            if style.role == Role::Text {
                style.role = match declared.outline {
                    Some(outline) if outline < 9 && declared.role == Role::Text => Role::Heading(outline + 1),
                    _ => declared.role,
                };
            }
            style.list = style.list.or_else(|| declared.list.clone());
            level = level.or(declared.level);
            next.clone_from(&declared.base);
        }
        style.level = level.unwrap_or(0);
        style
    }
}

/// Reads `styles.xml`.
pub(super) fn styles(part: &str, limits: &Limits) -> Result<Styles, Fault> {
    let mut styles = Styles::default();
    let mut at: Option<(String, Declared)> = None;
    xml::walk(part, limits, |node| {
        match node {
            Node::Start("style", element) => {
                at = xml::attribute(element, "styleId").map(|id| (id, Declared::default()));
            }
            Node::End("style") => styles.0.extend(at.take()),
            Node::Start(name, element) => {
                if let Some((_, style)) = &mut at
                    && let Some(value) = xml::attribute(element, "val")
                {
                    match name {
                        "name" => style.role = role(&value.to_lowercase()),
                        "basedOn" => style.base = Some(value),
                        "outlineLvl" => style.outline = value.parse().ok(),
                        "numId" => style.list = Some(value),
                        "ilvl" => style.level = value.parse().ok(),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(styles)
}

/// What the name of a style says. The names of built-in styles are in English whatever the language of the program.
fn role(name: &str) -> Role {
    if let Some(level) = name.strip_prefix("heading ").and_then(|level| level.parse().ok()) {
        return Role::Heading(level);
    }
    match name {
        "title" => Role::Title,
        "caption" => Role::Caption,
        "table of figures" | "toc heading" => Role::Contents,
        _ if name.starts_with("toc ") => Role::Contents,
        _ if name.contains("code") || name.contains("preformatted") => Role::Code,
        _ => Role::Text,
    }
}

/// Which levels of which lists are numbered.
#[derive(Default)]
pub(super) struct Numbering {
    lists: HashMap<String, String>,
    bullets: HashMap<String, Vec<(u8, bool)>>,
}

impl Numbering {
    /// Whether the items of a list's level have numbers rather than bullets.
    pub(super) fn is_numbered(&self, list: &str, level: u8) -> bool {
        let levels = self.lists.get(list).and_then(|kind| self.bullets.get(kind));
        levels.is_some_and(|levels| levels.iter().any(|(at, is_bullet)| *at == level && !is_bullet))
    }
}

/// Reads `numbering.xml`.
pub(super) fn numbering(part: &str, limits: &Limits) -> Result<Numbering, Fault> {
    let mut numbering = Numbering::default();
    let mut kind = String::new();
    let mut list = String::new();
    let mut level = 0;
    xml::walk(part, limits, |node| {
        let Node::Start(name, element) = node else { return Ok(()) };
        let value = |name| xml::attribute(element, name).unwrap_or_default();
        match name {
            "abstractNum" => kind = value("abstractNumId"),
            "num" => list = value("numId"),
            "lvl" => level = value("ilvl").parse().unwrap_or(0),
            "numFmt" => {
                let is_bullet = matches!(value("val").as_str(), "bullet" | "none");
                numbering.bullets.entry(kind.clone()).or_default().push((level, is_bullet));
            }
            "abstractNumId" => {
                numbering.lists.insert(list.clone(), value("val"));
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(numbering)
}
