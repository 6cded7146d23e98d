//! Reading the database file as a hand from outside would, to see what is really stored.

use rusqlite::types::ValueRef;
use serde_json::{Map, Value};

use crate::context::Place;

/// The rows of a query, columns by name.
pub(crate) fn rows(place: &Place, sql: &str, parameters: &[&str]) -> Vec<Map<String, Value>> {
    let connection = place.tamper();
    let mut statement = connection.prepare(sql).unwrap();
    let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut rows = statement.query(rusqlite::params_from_iter(parameters)).unwrap();
    let mut found = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let cell = |at: usize| match row.get_ref(at).unwrap() {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => number.into(),
            ValueRef::Real(number) => number.into(),
            ValueRef::Text(text) => std::str::from_utf8(text).unwrap().into(),
            ValueRef::Blob(bytes) => bytes.len().into(),
        };
        found.push(columns.iter().enumerate().map(|(at, name)| (name.clone(), cell(at))).collect());
    }
    found
}

/// The only row of a query.
pub(crate) fn row(place: &Place, sql: &str, parameters: &[&str]) -> Map<String, Value> {
    let mut found = rows(place, sql, parameters);
    assert_eq!(found.len(), 1, "{sql} {parameters:?}");
    found.remove(0)
}

/// A text of this many words.
pub(crate) fn words(count: usize) -> String {
    vec!["w"; count].join(" ")
}

/// The value of `--after`, `--id` and the like from a reply.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no text {name} in {value}"))
}

/// The ids of the records of a list, in order.
pub(crate) fn ids(list: &Value) -> Vec<String> {
    list["records"].as_array().unwrap().iter().map(|record| text(record, "id").to_owned()).collect()
}

/// A moment as the contract fixes its form: RFC 3339, UTC, always six digits of a second.
pub(crate) fn assert_time(value: &Value) {
    let shape: String = value
        .as_str()
        .unwrap_or_default()
        .chars()
        .map(|character| if character.is_ascii_digit() { '9' } else { character })
        .collect();
    assert_eq!(shape, "9999-99-99T99:99:99.999999+99:99", "{value}");
    assert!(value.as_str().unwrap().ends_with("+00:00"), "{value}");
}

/// An id as the contract fixes its form: the prefix and 32 hexadecimal digits.
pub(crate) fn assert_id(id: &str, prefix: &str) {
    let digits = id.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).unwrap_or_else(|| {
        panic!("{id} does not start with {prefix}_");
    });
    assert_eq!(digits.len(), 32, "{id}");
    assert!(digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{id}");
}

/// The keys of an object, in order.
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}
