//! Replies and denials for people: tables for lists, fields for records, colours where a terminal shows them.

use std::io::{self, IsTerminal as _};

use serde_json::{Map, Value};

/// How a stream shows text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Columns of the terminal; none for a pipe, where nothing is cut.
    width: Option<usize>,
    colour: bool,
}

/// Columns of a cell at least, when a table must be cut.
const NARROWEST: usize = 12;

impl Style {
    /// The style of standard output.
    pub(crate) fn of_stdout() -> Self {
        Style::of(io::stdout().is_terminal())
    }

    /// The style of standard error.
    pub(crate) fn of_stderr() -> Self {
        Style::of(io::stderr().is_terminal())
    }

    fn of(terminal: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Style { width: terminal.then(terminal_width), colour: terminal && !plain }
    }

    /// No terminal: no colours, nothing cut.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Style { width: None, colour: false }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(unix)]
fn terminal_width() -> usize {
    rustix::termios::tcgetwinsize(io::stdout()).map_or(100, |size| usize::from(size.ws_col)).max(40)
}

#[cfg(not(unix))]
fn terminal_width() -> usize {
    100
}

/// A denial: its code and what is wrong, what to do, and the example.
pub(crate) fn denial(denial: &Value, style: &Style) -> String {
    let text = |name: &str| denial[name].as_str().map(str::to_owned);
    let detail = ["message", "reason", "field", "id", "path"].iter().find_map(|name| match &denial[*name] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    });
    let code = style.paint("1;31", &text("code").unwrap_or_default());
    let mut lines = vec![match detail {
        Some(detail) => format!("{code}: {}", clean(&detail)),
        None => code,
    }];
    for (name, value) in denial.as_object().into_iter().flatten() {
        let shown = ["status", "code", "message", "required_action", "example", "exit_code", "retryable"];
        if !shown.contains(&name.as_str()) {
            lines.push(format!("  {name}: {}", scalar(value)));
        }
    }
    lines.extend(text("required_action").map(|action| format!("required_action: {action}")));
    lines.extend(text("example").map(|example| format!("example: {example}")));
    lines.join("\n") + "\n"
}

/// A reply.
pub(crate) fn reply(value: &Value, style: &Style) -> String {
    let Some(object) = value.as_object() else { return format!("{}\n", scalar(value)) };
    let mut text = String::new();
    if let Some(Value::Object(record)) = object.get("record") {
        text.push_str(&fields(record, style, 0));
        return text;
    }
    let id = object.get("id").and_then(Value::as_str);
    let status = object.get("status").and_then(Value::as_str).unwrap_or("OK");
    let colour = if status == "OK" { "1;32" } else { "1;31" };
    match (object.get("message").and_then(Value::as_str), id) {
        (Some(message), _) => text.push_str(&format!("{message}\n")),
        (None, Some(id)) => text.push_str(&format!("{}: {id}\n", style.paint(colour, status))),
        (None, None) if object.contains_key("records") => {}
        (None, None) => text.push_str(&format!("{}\n", style.paint(colour, status))),
    }
    let count =
        object.get("count").and_then(Value::as_u64).and_then(|count| Some((count, counted(object, count)?)));
    let rest: Map<String, Value> = object
        .iter()
        .filter(|(name, _)| !["status", "message", "id", "query"].contains(&name.as_str()))
        .filter(|(name, _)| *name != "count" || count.is_none())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    text.push_str(&fields(&rest, style, 0));
    if let Some((count, name)) = count {
        text.push_str(&format!("{count} {name}\n"));
    }
    text
}

/// What a reply counts: its records, or the only list that it has.
fn counted(object: &Map<String, Value>, count: u64) -> Option<&str> {
    let lists = object.iter().filter(|(name, value)| value.is_array() && *name != "warnings");
    let names: Vec<&str> = lists.map(|(name, _)| name.as_str()).collect();
    let name = match names[..] {
        [only] => only,
        _ if names.contains(&"records") => "records",
        _ => return None,
    };
    Some(if count == 1 { name.strip_suffix('s').unwrap_or(name) } else { name })
}

fn fields(object: &Map<String, Value>, style: &Style, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let scalars = object.iter().filter(|(_, value)| !is_table(value) && !value.is_object());
    let widest = scalars.clone().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in object {
        match value {
            value if is_table(value) => {
                let rows: Vec<&Map<String, Value>> =
                    value.as_array().into_iter().flatten().filter_map(Value::as_object).collect();
                if name != "records" {
                    text.push_str(&format!("\n{indent}{}\n", style.paint("1", &name.replace('_', " "))));
                }
                text.push_str(&table(&rows, style));
            }
            // Objects that hold tables themselves do not fit into the cells of one.
            Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_object) => {
                for inner in items.iter().filter_map(Value::as_object) {
                    text.push('\n');
                    text.push_str(&fields(inner, style, depth));
                }
            }
            Value::Object(inner) => {
                text.push_str(&format!("\n{indent}{}\n", style.paint("1", &name.replace('_', " "))));
                text.push_str(&fields(inner, style, depth + 1));
            }
            Value::Array(items) if items.is_empty() => {
                text.push_str(&format!("{indent}{name:<widest$}  none\n"));
            }
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    let label = if at == 0 { name.as_str() } else { "" };
                    text.push_str(&format!("{indent}{label:<widest$}  {}\n", scalar(item)));
                }
            }
            value => {
                let shown = scalar(value);
                let mut lines = shown.lines();
                let first = lines.next().unwrap_or_default();
                text.push_str(format!("{indent}{name:<widest$}  {first}").trim_end());
                text.push('\n');
                for line in lines {
                    text.push_str(format!("{indent}{:<widest$}  {line}", "").trim_end());
                    text.push('\n');
                }
            }
        }
    }
    text
}

fn is_table(value: &Value) -> bool {
    let is_row = |item: &Value| item.as_object().is_some_and(|row| !row.values().any(is_list_of_objects));
    value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(is_row))
}

fn is_list_of_objects(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().any(Value::is_object))
}

/// Columns that a table leaves out when it has the column before them, because they only say more of the same: people
/// read the rest, programs read JSON.
const LEFT_OUT: &[(&str, &[&str])] = &[
    ("action", &["target_path", "old_sibling_path", "sha256"]),
    ("target_stub", &["root", "target_sha256", "old_sibling_path", "old_sibling_sha256"]),
];

/// A table of rows. On a terminal that is too narrow, the widest columns are cut first; ids never are.
fn table(rows: &[&Map<String, Value>], style: &Style) -> String {
    let mut columns: Vec<&str> = Vec::new();
    for name in rows.iter().flat_map(|row| row.keys()) {
        if !columns.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    for (column, left_out) in LEFT_OUT {
        if columns.contains(column) && left_out.iter().all(|column| columns.contains(column)) {
            columns.retain(|column| !left_out.contains(column));
        }
    }
    let cell = |row: &Map<String, Value>, column: &str| {
        let text =
            row.get(column).map(scalar).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        // To the second is enough for people.
        if column.ends_with("_at") { text.get(..19).unwrap_or(&text).replace('T', " ") } else { text }
    };
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect()).collect();
    let mut widths: Vec<usize> = columns.iter().map(|column| column.chars().count()).collect();
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    if let Some(available) = style.width {
        while widths.iter().sum::<usize>() + 2 * widths.len() > available {
            let widest = (0..widths.len()).filter(|at| columns[*at] != "id").max_by_key(|at| widths[*at]);
            match widest {
                Some(at) if widths[at] > NARROWEST => widths[at] -= 1,
                _ => break,
            }
        }
    }
    let line = |cells: Vec<String>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| pad(cell, *width)).collect::<Vec<_>>();
        padded.join("  ").trim_end().to_owned()
    };
    let header = line(columns.iter().map(|column| column.replace('_', " ").to_uppercase()).collect());
    let mut text = format!("{}\n", style.paint("2", &header));
    for row in cells {
        text.push_str(&line(row));
        text.push('\n');
    }
    text
}

fn pad(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return format!("{text}{}", " ".repeat(width - length));
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => clean(text),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        other => other.to_string(),
    }
}

/// The text without control characters, which could do things to a terminal.
fn clean(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\n' | '\t' => character,
            character if character.is_control() => '\u{fffd}',
            character => character,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_become_tables() {
        let value = json!({"status": "OK", "records": [
            {"id": "g_1", "title": "One", "created_at": "2026-11-23T07:10:05.776285+00:00"},
            {"id": "g_22", "title": "Two\nlines", "created_at": "2026-11-23T07:10:06.776285+00:00"},
        ], "count": 2});
        assert_eq!(
            reply(&value, &Style::plain()),
            "ID    TITLE      CREATED AT\n\
             g_1   One        2026-11-23 07:10:05\n\
             g_22  Two lines  2026-11-23 07:10:06\n\
             2 records\n"
        );
    }

    #[test]
    fn what_is_counted_is_named_by_its_list() {
        let shown = |value: Value| reply(&value, &Style::plain());
        let value =
            json!({"status": "FAILED", "unmigrated": ["/p/a", "/p/b"], "count": 2, "warnings": ["w"]});
        assert_eq!(shown(value), "FAILED\nunmigrated  /p/a\n            /p/b\nwarnings    w\n2 unmigrated\n");
        assert!(shown(json!({"status": "OK", "changed": [], "count": 0})).ends_with("\n0 changed\n"));
        assert_eq!(shown(json!({"status": "OK", "path": "p", "count": 3})), "OK\npath   p\ncount  3\n");
    }

    #[test]
    fn a_plan_is_a_table_of_what_is_done_to_what() {
        let action = json!({
            "path": "/p/evals/GOTCHA.md", "target_path": "/p/evals/GOTCHA.md", "old_sibling_path": "/p/GOTCHA.md",
            "action": "create-stub", "sha256": null,
        });
        assert_eq!(
            reply(
                &json!({"status": "OK", "dry_run": true, "actions": [action], "count": 1}),
                &Style::plain()
            ),
            "OK\ndry_run  yes\n\nactions\nPATH                ACTION\n/p/evals/GOTCHA.md  create-stub\n1 action\n"
        );
    }

    #[test]
    fn tables_within_a_list_are_shown_one_by_one() {
        let root = |name: &str, files: Value| json!({"root": name, "exists": true, "files": files});
        let file = json!({
            "root": "/p", "target_path": "/p/evals/GOTCHA.md", "target_exists": true, "target_stub": true,
            "target_sha256": "0", "old_sibling_path": "/p/GOTCHA.md", "old_sibling_exists": false,
            "old_sibling_stub": false, "old_sibling_sha256": null,
        });
        let value = json!({"status": "OK", "roots": [root("/p", json!([file])), root("/q", json!([]))]});
        assert_eq!(
            reply(&value, &Style::plain()),
            "OK\n\nroot    /p\nexists  yes\n\nfiles\n\
             TARGET PATH         TARGET EXISTS  TARGET STUB  OLD SIBLING EXISTS  OLD SIBLING STUB\n\
             /p/evals/GOTCHA.md  yes            yes          no                  no\n\
             \nroot    /q\nexists  yes\nfiles   none\n"
        );
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        let value = json!({"status": "OK", "record": {"title": "\u{1b}[2Jgone"}});
        assert!(!reply(&value, &Style::plain()).contains('\u{1b}'));
    }

    #[test]
    fn a_narrow_terminal_cuts_the_widest_column() {
        let value =
            json!({"records": [{"id": "g_0123456789", "summary": "x".repeat(100), "status": "active"}]});
        let style = Style { width: Some(60), colour: false };
        let text = reply(&value, &style);
        assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
        assert!(text.contains("g_0123456789"));
    }
}
