//! Replies and denials for people: tables for lists, fields for records, colours where a terminal shows them.

mod findings;
mod journal;
mod passages;
mod table;
mod task;

use std::io::{self, IsTerminal as _};

pub(crate) use journal::line as journal_line;
use serde_json::{Map, Value};
use unicode_width::UnicodeWidthStr as _;

/// How a stream shows text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Columns of the terminal; none for a pipe, where nothing is cut.
    width: Option<usize>,
    colour: bool,
}

/// Columns of a terminal that does not say how many it has, when `COLUMNS` does not either.
const USUAL_WIDTH: usize = 100;

/// A narrower terminal is treated as one of so many columns.
const NARROWEST_TERMINAL: usize = 40;

/// A list of words that is longer than this has a line for each.
const LONGEST_LIST: usize = 76;

/// From so many counts on, those that are zero are left out.
const MANY_COUNTS: usize = 12;

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

fn terminal_width() -> usize {
    let told = || std::env::var("COLUMNS").ok()?.parse().ok().filter(|columns| *columns > 0);
    columns().filter(|columns| *columns > 0).or_else(told).unwrap_or(USUAL_WIDTH).max(NARROWEST_TERMINAL)
}

#[cfg(unix)]
fn columns() -> Option<usize> {
    rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col))
}

#[cfg(not(unix))]
fn columns() -> Option<usize> {
    None
}

/// A denial: its code and what is wrong, what to do, and the example.
pub(crate) fn denial(denial: &Value, style: &Style) -> String {
    let text = |name: &str| denial[name].as_str().map(str::to_owned);
    let detail = ["message", "reason", "field", "id", "path"].iter().find_map(|name| match &denial[*name] {
        Value::Null => None,
        value => Some((*name, scalar(value))),
    });
    let code = style.paint("1;31", &text("code").unwrap_or_default());
    let (told, first) = match detail {
        Some((name, detail)) => (name, format!("{code}: {detail}")),
        None => ("", code),
    };
    let mut lines = vec![first];
    for (name, value) in denial.as_object().into_iter().flatten() {
        let shown = ["status", "code", "message", "required_action", "example", "exit_code", "retryable"];
        if name != told && !shown.contains(&name.as_str()) {
            lines.push(format!("  {name}: {}", scalar(value)));
        }
    }
    lines.extend(text("required_action").map(|action| format!("required_action: {}", clean(&action))));
    lines.extend(text("example").map(|example| format!("example: {}", clean(&example))));
    lines.join("\n") + "\n"
}

/// A reply.
pub(crate) fn reply(value: &Value, style: &Style) -> String {
    let Some(object) = value.as_object() else { return format!("{}\n", scalar(value)) };
    let mut text = String::new();
    if let Some(Value::Object(record)) = object.get("record") {
        // What belongs to the record, such as its revisions, comes below it.
        let beside = |name: &str| !["status", "kind", "table", "record"].contains(&name);
        let rest: Map<String, Value> = object
            .iter()
            .filter(|(name, _)| beside(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        text.push_str(&fields(record, style, 0));
        if rest.values().any(|value| !is_empty_list(value) && !is_section(value)) {
            text.push('\n');
        }
        text.push_str(&fields(&rest, style, 0));
        return text;
    }
    if let Some(Value::Array(entries)) = object.get("entries") {
        return journal::page(entries, object, style);
    }
    if let Some(schema) = object.get("json_schema").filter(|schema| schema.is_object()) {
        // A schema is read by tools or by people who know JSON: it stays what it is.
        return serde_json::to_string_pretty(schema).map(|text| clean(&text) + "\n").unwrap_or_default();
    }
    if let Some(page) = task::page(object) {
        return fields(&page, style, 0);
    }
    if let (Some(found), Some(message)) =
        (findings::of(object), object.get("message").and_then(Value::as_str))
    {
        return findings::page(message, found, style);
    }
    if let Some(hits) = passages::of(object) {
        return passages::page(object, hits, style);
    }
    let id = object.get("id").and_then(Value::as_str);
    let status = object.get("status").and_then(Value::as_str).unwrap_or("OK");
    let colour = if status == "OK" { "1;32" } else { "1;31" };
    match (object.get("message").and_then(Value::as_str), id) {
        (Some(message), _) => text.push_str(&format!("{}\n", clean(message))),
        (None, Some(id)) => text.push_str(&format!("{}: {}\n", style.paint(colour, status), clean(id))),
        (None, None) if object.contains_key("records") => {}
        (None, None) => text.push_str(&format!("{}\n", style.paint(colour, status))),
    }
    let count =
        object.get("count").and_then(Value::as_u64).and_then(|count| Some((count, counted(object, count)?)));
    let rest: Map<String, Value> = object
        .iter()
        .filter(|(name, _)| !["status", "message", "id", "query"].contains(&name.as_str()))
        .filter(|(name, _)| *name != "count" || count.is_none())
        // The count says that there are none.
        .filter(|(name, value)| !is_empty_list(value) || count.is_none_or(|(_, counted)| *name != counted))
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

/// The fields of an object in their order: one a line, tables and objects as sections. When several lists are empty,
/// one line at the end names them all.
fn fields(object: &Map<String, Value>, style: &Style, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let empty: Vec<String> = object
        .iter()
        .filter(|(_, value)| is_empty_list(value))
        .map(|(name, _)| name.replace('_', " "))
        .collect();
    let gathered = empty.len() > 1;
    let lines = object.iter().filter(|(_, value)| !(is_section(value) || gathered && is_empty_list(value)));
    let widest = lines.clone().map(|(name, _)| name.len()).chain(gathered.then_some(4)).max().unwrap_or(0);
    let mut text = String::new();
    let mut after_section = false;
    for (name, value) in object {
        if gathered && is_empty_list(value) {
            continue;
        }
        if is_section(value) {
            if text.ends_with("\n\n") {
                text.pop();
            }
            text.push_str(&section(name, value, style, depth));
            after_section = name != "records";
            continue;
        }
        if std::mem::take(&mut after_section) {
            text.push('\n');
        }
        let mut shown: Vec<String> = match value {
            value if is_empty_list(value) => vec!["none".into()],
            Value::Array(items) => list(items),
            value => scalar(value).lines().map(str::to_owned).collect(),
        };
        if shown.is_empty() {
            shown.push(String::new());
        }
        for (at, line) in shown.iter().enumerate() {
            let label = if at == 0 { name.as_str() } else { "" };
            text.push_str(format!("{indent}{label:<widest$}  {line}").trim_end());
            text.push('\n');
        }
    }
    if gathered {
        if after_section {
            text.push('\n');
        }
        text.push_str(&format!("{indent}{:<widest$}  {}\n", "none", empty.join(", ")));
    }
    text
}

/// What stands below a heading of its own: a table, objects that hold tables, or an object.
fn section(name: &str, value: &Value, style: &Style, depth: usize) -> String {
    let heading = format!("\n{}{}\n", "  ".repeat(depth), style.paint("1", &name.replace('_', " ")));
    match value {
        Value::Object(inner) => heading + &fields(&told(inner), style, depth + 1),
        Value::Array(items) => {
            let rows: Vec<&Map<String, Value>> = items.iter().filter_map(Value::as_object).collect();
            if is_table(value) {
                let shown = table::table(&rows, style);
                return match name {
                    "records" if shown.stacked => shown.text + "\n",
                    "records" => shown.text,
                    _ => heading + &shown.text,
                };
            }
            // Objects that hold tables themselves do not fit into the cells of one.
            let records = rows.into_iter().map(|inner| fields(inner, style, depth));
            records.fold(String::new(), |text, record| text + "\n" + &record)
        }
        _ => String::new(),
    }
}

/// An object without its zeros, when it is a long list of counts.
fn told(object: &Map<String, Value>) -> Map<String, Value> {
    if object.len() < MANY_COUNTS || !object.values().all(Value::is_u64) {
        return object.clone();
    }
    let counts = object.iter().filter(|(_, count)| count.as_u64() != Some(0));
    counts.map(|(name, count)| (name.clone(), count.clone())).collect()
}

/// The lines of a list: words that fit are on one.
fn list(items: &[Value]) -> Vec<String> {
    let is_word = |item: &Value| {
        let word =
            |text: &str| text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter));
        item.as_str().map_or_else(|| item.is_number(), word)
    };
    let shown: Vec<String> = items.iter().map(scalar).collect();
    let joined = shown.join(", ");
    if items.iter().all(is_word) && joined.len() <= LONGEST_LIST { vec![joined] } else { shown }
}

/// Whether there is nothing in a list, or in an object of counts.
fn is_empty_list(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(inner) => told(inner).is_empty(),
        _ => false,
    }
}

fn is_section(value: &Value) -> bool {
    match value {
        Value::Object(_) => !is_empty_list(value),
        Value::Array(items) => !items.is_empty() && items.iter().all(Value::is_object),
        _ => false,
    }
}

fn is_table(value: &Value) -> bool {
    let is_row = |item: &Value| item.as_object().is_some_and(|row| !row.values().any(is_list_of_objects));
    value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(is_row))
}

fn is_list_of_objects(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().any(Value::is_object))
}

/// The text cut to a number of columns, or filled up to it.
fn pad(text: &str, width: usize) -> String {
    let length = text.width();
    if length <= width {
        return format!("{text}{}", " ".repeat(width - length));
    }
    let mut kept = String::new();
    for character in text.chars() {
        kept.push(character);
        if kept.width() >= width {
            kept.pop();
            break;
        }
    }
    let missing = width.saturating_sub(kept.width() + 1);
    format!("{kept}…{}", " ".repeat(missing))
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => clean(text),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Array(items) if !items.iter().any(|item| item.is_object() || item.is_array()) => {
            items.iter().map(scalar).collect::<Vec<_>>().join(", ")
        }
        other => clean(&other.to_string()),
    }
}

/// The text without the characters that could do things to a terminal, or turn the direction of what follows.
fn clean(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\n' | '\t' => character,
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
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

    #[test]
    fn what_belongs_to_a_record_comes_below_it() {
        let value = json!({
            "status": "OK", "kind": "gotcha", "table": "gotcha",
            "record": {"id": "g_1", "title": "T"},
            "revisions": [{"id": "gr_1", "revision_number": 1, "content_hash": "0"}],
            "links": [{"direction": "to", "by": "source_task_id", "kind": "task", "id": "t_1"}],
        });
        assert_eq!(
            reply(&value, &Style::plain()),
            "id     g_1\ntitle  T\n\nrevisions\nID    REVISION NUMBER\ngr_1  1\n\n\
             links\nDIRECTION  BY              KIND  ID\nto         source_task_id  task  t_1\n"
        );
    }

    #[test]
    fn a_task_is_one_page_that_begins_with_what_blocks() {
        let event =
            json!({"id": "led_1", "created_at": "2026-11-23T07:10:05.776285+00:00", "title": "W1 t_1"});
        let blocking = json!({"id": "qv_1", "task_id": "t_1", "severity": null, "summary": "It fails."});
        let value = json!({
            "status": "OK", "task": {"id": "t_1", "title": "T"}, "plans": [], "timeline": [event],
            "verifications": [], "blocking": [blocking], "truncated": ["timeline"],
        });
        assert_eq!(
            reply(&value, &Style::plain()),
            "\ntask\n  id     t_1\n  title  T\n\nblocking\nID    SUMMARY\nqv_1  It fails.\n\n\
             timeline\nCREATED AT           TITLE\n2026-11-23 07:10:05  W1 t_1\n\n\
             truncated  timeline\nnone       plans, verifications\n"
        );
    }

    #[test]
    fn empty_lists_waste_no_lines() {
        let shown = |value: Value| reply(&value, &Style::plain());
        assert_eq!(shown(json!({"status": "OK", "records": [], "count": 0})), "0 records\n");
        let value = json!({"message": "M.", "plans": [], "open_tasks": [], "counts": {"all": 0}, "seq": 1});
        assert_eq!(shown(value), "M.\n\ncounts\n  all  0\n\nseq   1\nnone  plans, open tasks\n");
    }

    #[test]
    fn long_lists_of_counts_leave_their_zeros_out() {
        let counts = |one: u64| -> Value {
            (0..12)
                .map(|at| (format!("t{at}"), json!(if at == 3 { one } else { 0 })))
                .collect::<Map<_, _>>()
                .into()
        };
        let shown =
            |one| reply(&json!({"message": "M.", "purged": counts(one), "total": one}), &Style::plain());
        assert_eq!(shown(2), "M.\n\npurged\n  t3  2\n\ntotal  2\n");
        assert_eq!(shown(0), "M.\npurged  none\ntotal   0\n");
        let few = json!({"message": "M.", "counts": {"a": 0, "b": 0}});
        assert_eq!(reply(&few, &Style::plain()), "M.\n\ncounts\n  a  0\n  b  0\n");
    }

    #[test]
    fn a_schema_stays_json() {
        let value = json!({"status": "OK", "record_type": "t", "json_schema": {"type": "object"}});
        assert_eq!(reply(&value, &Style::plain()), "{\n  \"type\": \"object\"\n}\n");
    }

    #[test]
    fn lessons_show_where_they_came_from() {
        let chain = json!({"learning": {"id": "l_1", "title": "T"}, "gotcha": null});
        let row = json!({"id": "ld_1", "summary": "S.", "chain": chain, "narrative": "LEARNING: S."});
        assert_eq!(
            reply(&json!({"records": [row], "count": 1}), &Style::plain()),
            "ID    CHAIN         NARRATIVE\nld_1  learning l_1  LEARNING: S.\n1 record\n"
        );
    }

    #[test]
    fn wide_letters_take_two_columns() {
        let value = json!({"records": [{"id": "1", "title": "日本", "to": "x"}, {"id": "2", "title": "a", "to": "y"}]});
        assert_eq!(reply(&value, &Style::plain()), "ID  TITLE  TO\n1   日本   x\n2   a      y\n");
        assert_eq!([pad("日本語", 4), pad("日本語", 5), pad("日本", 4)], ["日… ", "日本…", "日本"]);
    }

    #[test]
    fn hashes_are_cut_before_what_is_read_and_times_never() {
        let row = json!({
            "summary": "s".repeat(20), "sha256": "0".repeat(64), "created_at": "2026-11-23T07:10:05.776285+00:00",
        });
        let style = Style { width: Some(60), colour: false };
        let shown = reply(&json!({"records": [row], "count": 1}), &style);
        assert!(shown.contains(&"s".repeat(20)) && shown.contains("0…  2026-11-23 07:10:05\n"), "{shown}");
    }

    #[test]
    fn a_table_that_cannot_be_cut_enough_becomes_records() {
        let row = json!({
            "id": "g_0123456789012345678901234567890", "one": "a".repeat(20), "two": "b".repeat(20), "none": "",
            "three": "c".repeat(20),
        });
        let style = Style { width: Some(60), colour: false };
        let shown = reply(&json!({"records": [row], "count": 1}), &style);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "id     g_0123456789012345678901234567890");
        assert_eq!(lines[3], format!("three  {}", "c".repeat(20)));
    }

    #[test]
    fn an_entry_of_the_journal_is_one_line_in_colours_too() {
        let entry = json!({
            "seq": 7, "at": "2026-11-23T07:10:05.776285+00:00", "operation": "W1", "alias": "task-start",
            "task_id": "t_1", "actor": "someone", "rows": [{"table": "tasks", "id": "t_1"}], "more_rows": 2,
        });
        assert_eq!(
            journal_line(&entry, &Style::plain()),
            "     7  2026-11-23 07:10:05  W1   task-start                tasks t_1 +2  by someone\n"
        );
        let shown = journal_line(&entry, &Style { width: Some(60), colour: true });
        let bare = shown.replace("\x1b[2m", "").replace("\x1b[1m", "").replace("\x1b[0m", "");
        assert_eq!(bare.trim_end().chars().count(), 60, "{bare:?}");
    }

    #[test]
    fn a_denial_says_nothing_twice() {
        let value = json!({
            "code": "DENIED_SCHEMA_ENUM", "field": "status", "value": "x", "allowed": ["a", "b"],
            "required_action": "Use one.", "exit_code": 2,
        });
        assert_eq!(
            denial(&value, &Style::plain()),
            "DENIED_SCHEMA_ENUM: status\n  value: x\n  allowed: a, b\nrequired_action: Use one.\n"
        );
    }
}
