//! Tables: lists of records for people.

use serde_json::{Map, Value};
use unicode_width::UnicodeWidthStr as _;

use super::{Style, clean, fields, pad, scalar};

/// Columns of a cell at least, when a table must be cut.
const NARROWEST: usize = 12;

/// Columns that a table leaves out when it has the column before them, because they only say more of the same: people
/// read the rest, programs read JSON.
const LEFT_OUT: &[(&str, &[&str])] = &[
    ("action", &["target_path", "old_sibling_path", "sha256"]),
    ("target_stub", &["root", "target_sha256", "old_sibling_path", "old_sibling_sha256"]),
    ("snippet", &["task_id", "score"]),
    ("example", &["score"]),
    ("narrative", &["summary"]),
    ("revision_number", &["content_hash"]),
];

/// Rows as they are shown.
pub(super) struct Table {
    pub(super) text: String,
    /// Each row is a record of several lines.
    pub(super) stacked: bool,
}

/// A table of rows, without the columns that are empty in all of them. On a terminal that is too narrow, the widest
/// columns are cut first; ids and times never are. When that is not enough, each row is shown as a record.
pub(super) fn table(rows: &[&Map<String, Value>], style: &Style) -> Table {
    let columns = columns_of(rows);
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect()).collect();
    let mut widths: Vec<usize> = columns.iter().map(|column| column.width()).collect();
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    if let Some(available) = style.width {
        while widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1) > available {
            let cut = (0..widths.len()).filter(|at| widths[*at] > NARROWEST && !is_whole(columns[*at]));
            match cut.max_by_key(|at| (is_hash(columns[*at]), widths[*at])) {
                Some(at) => widths[at] -= 1,
                None => return records(&columns, &cells, style),
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
    Table { text, stacked: false }
}

/// Whether a column is of no use when it is cut.
fn is_whole(column: &str) -> bool {
    ["id", "backup_dir"].contains(&column) || is_time(column)
}

fn is_time(column: &str) -> bool {
    column == "at" || column.ends_with("_at")
}

/// Whether a column is for comparing only, so that it is cut before others.
fn is_hash(column: &str) -> bool {
    column == "sha256" || column.ends_with("_hash")
}

/// The columns that are shown, in the order in which the rows bring them.
fn columns_of<'a>(rows: &[&'a Map<String, Value>]) -> Vec<&'a str> {
    let mut all: Vec<&str> = Vec::new();
    for name in rows.iter().flat_map(|row| row.keys()) {
        if !all.contains(&name.as_str()) {
            all.push(name);
        }
    }
    for (column, left_out) in LEFT_OUT {
        if all.contains(column) && left_out.iter().all(|column| all.contains(column)) {
            all.retain(|column| !left_out.contains(column));
        }
    }
    let says = |row: &Map<String, Value>, name: &str| match row.get(name) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(_) => true,
    };
    let told: Vec<&str> = all.iter().copied().filter(|name| rows.iter().any(|row| says(row, name))).collect();
    if told.is_empty() { all } else { told }
}

/// A value on one line.
fn cell(row: &Map<String, Value>, column: &str) -> String {
    let text = match row.get(column) {
        None => String::new(),
        Some(Value::Object(inner)) => references(inner),
        Some(value) => scalar(value),
    };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    // To the second is enough for people.
    if is_time(column) { text.get(..19).unwrap_or(&text).replace('T', " ") } else { text }
}

/// Records that a row refers to: what each is, and its id.
fn references(inner: &Map<String, Value>) -> String {
    let given = inner.iter().filter(|(_, value)| !value.is_null());
    let named = given.map(|(name, value)| match value {
        Value::Object(record) => record.get("id").map(|id| format!("{name} {}", scalar(id))),
        _ => None,
    });
    named
        .collect::<Option<Vec<_>>>()
        .map_or_else(|| clean(&Value::Object(inner.clone()).to_string()), |named| named.join(", "))
}

/// The rows as records, one below the other.
fn records(columns: &[&str], cells: &[Vec<String>], style: &Style) -> Table {
    let record = |row: &Vec<String>| {
        let told = columns.iter().zip(row).filter(|(_, cell)| !cell.is_empty() && *cell != "-");
        let object = told.map(|(column, cell)| ((*column).to_owned(), Value::from(cell.as_str()))).collect();
        fields(&object, style, 0)
    };
    // Tables are told from what follows by their shape; records need a line for it.
    let shown: Vec<String> = cells.iter().map(record).collect();
    Table { text: shown.join("\n"), stacked: true }
}
