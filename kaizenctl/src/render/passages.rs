//! The passages that E4 found, for people: where each stands, and then what it says.

use serde_json::{Map, Value};

use super::{Style, clean, scalar};
use crate::help::wrap;

/// Columns before what a passage says.
const INDENT: usize = 4;

/// The hits of a reply, when it is one of E4.
pub(super) fn of(reply: &Map<String, Value>) -> Option<&[Value]> {
    let hits = reply.get("records")?.as_array()?;
    let is_hit = |row: &Value| ["origin_ref", "snippet"].iter().all(|name| row[*name].is_string());
    (!hits.is_empty() && hits.iter().all(is_hit)).then_some(hits)
}

/// The page: file, headings and page of each hit, its text with the hits painted, its id, and what to know.
pub(super) fn page(reply: &Map<String, Value>, hits: &[Value], style: &Style) -> String {
    let width = style.width.map_or(usize::MAX, |width| width.saturating_sub(INDENT));
    let mut text = String::new();
    for (number, hit) in hits.iter().enumerate() {
        let word = |name: &str| hit[name].as_str().filter(|word| !word.is_empty()).map(clean);
        let mut place = style.paint("1", &scalar(&hit["origin_ref"]));
        place.extend(word("section_path").map(|section| format!("  {section}")));
        place.extend(hit["page_no"].as_i64().map(|page| format!("  page {page}")));
        place.extend(word("state").filter(|state| state != "current").map(|state| format!("  ({state})")));
        text.push_str(&format!("{:>2}. {place}\n", number + 1));
        for line in wrap(&scalar(&hit["snippet"]), width) {
            text.push_str(&format!("{}{}\n", " ".repeat(INDENT), marked(&line, style)));
        }
        text.push_str(&format!("{}{}\n\n", " ".repeat(INDENT), style.paint("2", &scalar(&hit["id"]))));
    }
    text.extend(reply.get("note").and_then(Value::as_str).map(|note| clean(note) + "\n"));
    text.extend(reply.get("next").map(|next| format!("more: --after {}\n", scalar(next))));
    text
}

/// A line with its hits in colour where there are colours, else between the marks that it has. A hit that goes on in the
/// next line keeps its marks.
fn marked(line: &str, style: &Style) -> String {
    let parts: Vec<&str> = line.split("**").collect();
    if !style.colour || parts.len().is_multiple_of(2) {
        return line.to_owned();
    }
    let paint = |(at, part): (usize, &&str)| {
        if at % 2 == 1 { style.paint("1;33", part) } else { (*part).to_owned() }
    };
    parts.iter().enumerate().map(paint).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_hit_says_where_it_stands_before_what_it_says() {
        let reply = json!({"records": [{"id": "ec_1", "origin_ref": "docs/log.md", "section_path": "Log > Writer",
            "page_no": 3, "state": "missing", "snippet": "The **log** is written."}], "note": "Best first.", "next": "ec_1"});
        let reply = reply.as_object().unwrap();
        let hits = of(reply).unwrap();
        let plain = page(reply, hits, &Style { width: None, colour: false });
        let due = " 1. docs/log.md  Log > Writer  page 3  (missing)\n    The **log** is written.\n    ec_1\n\n\
                   Best first.\nmore: --after ec_1\n";
        assert_eq!(plain, due);
        let coloured = page(reply, hits, &Style { width: Some(80), colour: true });
        assert!(coloured.contains("The \u{1b}[1;33mlog\u{1b}[0m is"), "{coloured:?}");
        assert_eq!(of(json!({"records": []}).as_object().unwrap()), None);
    }
}
