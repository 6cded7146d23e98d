//! A walk over XML, without a tree and without entities of its own making.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::fault::Fault;
use super::limits::Limits;

/// What the walk meets. Names are without their prefix.
#[derive(Clone, Copy)]
pub(super) enum Node<'a> {
    /// An element begins.
    Start(&'a str, &'a BytesStart<'a>),
    /// An element ends, also one that has no content.
    End(&'a str),
    /// A piece of text, with references resolved.
    Text(&'a str),
}

/// Visits all nodes in order. Refuses what is not well-formed or nested too deeply.
pub(super) fn walk(
    text: &str,
    limits: &Limits,
    mut visit: impl FnMut(Node<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut depth: u64 = 0;
    loop {
        match reader.read_event().map_err(Fault::broken)? {
            Event::Start(element) => {
                depth += 1;
                if depth > limits.depth {
                    return Err(Fault::TooMuch { what: "levels of nesting", limit: limits.depth });
                }
                visit(Node::Start(element.local_name().as_ref(), &element))?;
            }
            Event::End(element) => {
                depth = depth.saturating_sub(1);
                visit(Node::End(element.local_name().as_ref()))?;
            }
            Event::Text(text) => visit(Node::Text(&text.xml10_content()))?,
            Event::CData(text) => visit(Node::Text(&text.xml10_content()))?,
            Event::GeneralRef(reference) => {
                if let Some(letter) = reference.resolve_char_ref().map_err(Fault::broken)? {
                    visit(Node::Text(letter.encode_utf8(&mut [0; 4])))?;
                } else if let Some(text) = quick_xml::escape::resolve_predefined_entity(&reference) {
                    visit(Node::Text(text))?;
                }
            }
            Event::Eof if depth > 0 => return Err(Fault::broken("the XML ends in the middle")),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// The value of an attribute, whatever its prefix.
pub(super) fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    // The check for attributes of the same name takes time by the square of their number.
    let mut all = element.attributes();
    let mut all = all.with_checks(false).flatten();
    let found = all.find(|attribute| attribute.key.local_name().as_ref() == name)?;
    found.normalized_value(XmlVersion::Implicit1_0).ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn text(xml: &str) -> Result<String, Fault> {
        let limits = Limits::default();
        let mut all = String::new();
        walk(xml, &limits, |node| {
            match node {
                Node::Start(name, element) => all += &format!("<{name} {:?}>", attribute(element, "a")),
                Node::End(name) => all += &format!("</{name}>"),
                Node::Text(text) => all += text,
            }
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn references_are_resolved_and_entities_are_not() {
        assert_eq!(
            text("<w:x w:a='1&lt;'>&amp;&#65;<y/><![CDATA[<]]></w:x>").unwrap(),
            "<x Some(\"1<\")>&A<y None></y><</x>"
        );
        let bomb = "<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]><x>&b;</x>";
        assert_eq!(text(bomb).unwrap(), "<x None></x>");
    }

    #[test]
    fn damage_and_depth_are_refused() {
        assert!(matches!(text(&"<a>".repeat(100_000)), Err(Fault::TooMuch { .. })));
        assert!(text("<a><b></a></b>").is_err());
        assert!(text("<a>").is_err());
    }
}
