//! The findings of K15 for people: each with what to do below it. Nothing is cut, for half a remedy is none.

use serde_json::{Map, Value};
use unicode_width::UnicodeWidthStr as _;

use super::{Style, clean, pad, scalar};
use crate::help::wrap;

/// Columns of the longest level.
const LEVEL: usize = 4;

/// The findings of a reply, when it is one of K15.
pub(super) fn of(reply: &Map<String, Value>) -> Option<&[Value]> {
    let findings = reply.get("findings")?.as_array()?;
    let is_finding = |row: &Value| ["check", "level", "detail"].iter().all(|name| row[*name].is_string());
    (!findings.is_empty() && findings.iter().all(is_finding)).then_some(findings)
}

/// The page: what it comes to, then level, check and detail of each finding, and its remedy where there is one.
pub(super) fn page(message: &str, findings: &[Value], style: &Style) -> String {
    let checks = findings.iter().map(|finding| scalar(&finding["check"]).width());
    let widest = checks.max().unwrap_or(0);
    let indent = LEVEL + widest + 4;
    let available = style.width.map_or(usize::MAX, |width| width.saturating_sub(indent));
    let mut text = format!("{}\n\n", clean(message));
    for finding in findings {
        let level = scalar(&finding["level"]);
        let colour = match level.as_str() {
            "ok" => "32",
            "warn" => "33",
            _ => "1;31",
        };
        let (level, check) = (pad(&level, LEVEL), pad(&scalar(&finding["check"]), widest));
        let fix = finding["fix"].as_str().map(|fix| format!("To do: {}", clean(fix)));
        let told = std::iter::once(scalar(&finding["detail"])).chain(fix);
        // A pipe gets a line for each; a word that is too long stays whole, for it is a path that somebody will copy.
        let lines: Vec<String> = told.flat_map(|told| wrap(&told, available)).collect();
        let first = lines.first().map_or("", String::as_str);
        text.push_str(&format!("{}  {check}  {first}\n", style.paint(colour, &level)));
        for line in lines.iter().skip(1) {
            text.push_str(&format!("{}{line}\n", " ".repeat(indent)));
        }
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(width: Option<usize>) -> String {
        let reply = json!({"message": "Of 2 checks, 1 failed.", "findings": [
            {"check": "daemon", "level": "ok", "detail": "it runs", "fix": null},
            {"check": "publish.git", "level": "fail", "detail": "which files are tracked cannot be told",
             "fix": "Run this in a git repository."},
        ]});
        let style = Style { width, colour: false };
        page("Of 2 checks, 1 failed.", of(reply.as_object().unwrap()).unwrap(), &style)
    }

    #[test]
    fn a_remedy_stands_below_its_finding() {
        assert_eq!(
            shown(None),
            "Of 2 checks, 1 failed.\n\
             \n\
             ok    daemon       it runs\n\
             fail  publish.git  which files are tracked cannot be told\n\
             \x20                  To do: Run this in a git repository.\n"
        );
    }

    #[test]
    fn nothing_is_cut_on_a_narrow_terminal() {
        let shown = shown(Some(40));
        assert!(shown.lines().all(|line| line.width() <= 40), "{shown}");
        let words: Vec<&str> = shown.split_whitespace().collect();
        let all = "which files are tracked cannot be told To do: Run this in a git repository.";
        assert!(words.join(" ").ends_with(all), "{shown}");
    }

    #[test]
    fn other_findings_are_no_page() {
        for reply in [json!({}), json!({"findings": []}), json!({"findings": ["a text"]})] {
            assert!(of(reply.as_object().unwrap()).is_none(), "{reply}");
        }
    }
}
