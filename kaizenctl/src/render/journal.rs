//! The journal for people: an entry a line.

use serde_json::{Map, Value};

use super::{Style, pad, scalar};

/// Columns of the longest alias, so that what follows stands in a line.
const ALIAS: usize = 24;

/// A part of the journal: an entry a line, then where to go on.
pub(super) fn page(entries: &[Value], page: &Map<String, Value>, style: &Style) -> String {
    let mut text: String = entries.iter().map(|entry| line(entry, style)).collect();
    let cursor = page.get("cursor").map(scalar).unwrap_or_default();
    let more = if page.get("more") == Some(&Value::Bool(true)) { ", and there is more" } else { "" };
    let count = entries.len();
    let noun = if count == 1 { "entry" } else { "entries" };
    text.push_str(&style.paint("2", &format!("{count} {noun}{more}; go on with --since {cursor}")));
    text + "\n"
}

/// One entry of the journal on one line: number, time, operation, the first row, and for whom and by whom.
pub(crate) fn line(entry: &Value, style: &Style) -> String {
    let word = |name: &str| match &entry[name] {
        Value::Null => None,
        value => Some(scalar(value).split_whitespace().collect::<Vec<_>>().join(" ")),
    };
    let seq = format!("{:>6}", word("seq").unwrap_or_default());
    let at = word("at").unwrap_or_default();
    let at = at.get(..19).unwrap_or(&at).replace('T', " ");
    let operation = format!("{:<3}", word("operation").unwrap_or_default());
    let mut parts = vec![format!("{:<ALIAS$}", word("alias").unwrap_or_default())];
    let rows = entry["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let more = entry["more_rows"].as_u64().unwrap_or(0) + rows.len().saturating_sub(1) as u64;
    let mut first = String::new();
    if let Some(row) = rows.first() {
        let deleted = if row["deleted"] == true { "deleted " } else { "" };
        let others = if more > 0 { format!(" +{more}") } else { String::new() };
        first = scalar(&row["id"]);
        parts.push(format!("{deleted}{} {first}{others}", scalar(&row["table"])));
    }
    parts.extend(word("task_id").filter(|task| *task != first).map(|task| format!("for {task}")));
    let who: Vec<String> = ["actor", "session"].into_iter().filter_map(word).collect();
    if !who.is_empty() {
        parts.push(format!("by {}", who.join("/")));
    }
    // The text is cut before it is painted, for colours have no columns.
    let told = seq.len() + at.len() + operation.len() + 6;
    let rest = parts.join("  ");
    let rest = match style.width {
        Some(width) => pad(&rest, width.saturating_sub(told)),
        None => rest,
    };
    let line = format!("{seq}  {}  {}  {rest}", style.paint("2", &at), style.paint("1", &operation));
    line.trim_end().to_owned() + "\n"
}
