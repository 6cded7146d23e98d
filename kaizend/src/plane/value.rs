//! Values and rows without a driver: what families put into and get out of a data plane.

use std::sync::Arc;

use kaizen_proto::denial::Denial;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A value for a column or a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// NULL.
    Null,
    /// INTEGER.
    Integer(i64),
    /// REAL.
    Real(f64),
    /// TEXT.
    Text(&'a str),
    /// BLOB.
    Blob(&'a [u8]),
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Cell::Text(text)
    }
}

impl<'a> From<&'a String> for Cell<'a> {
    fn from(text: &'a String) -> Self {
        Cell::Text(text)
    }
}

impl<'a> From<Option<&'a str>> for Cell<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Cell::Null, Cell::Text)
    }
}

impl<'a> From<&'a Option<String>> for Cell<'a> {
    fn from(text: &'a Option<String>) -> Self {
        text.as_deref().into()
    }
}

impl From<i64> for Cell<'_> {
    fn from(number: i64) -> Self {
        Cell::Integer(number)
    }
}

impl From<Option<i64>> for Cell<'_> {
    fn from(number: Option<i64>) -> Self {
        number.map_or(Cell::Null, Cell::Integer)
    }
}

impl From<Option<f64>> for Cell<'_> {
    fn from(number: Option<f64>) -> Self {
        // SQLite keeps a whole number in a REAL column as an integer, which has no negative zero.
        number.map_or(Cell::Null, |number| Cell::Real(number + 0.0))
    }
}

impl From<bool> for Cell<'_> {
    fn from(truth: bool) -> Self {
        Cell::Integer(i64::from(truth))
    }
}

/// A value that a query returned.
#[derive(Clone, Debug, PartialEq)]
pub enum OwnedCell {
    /// NULL.
    Null,
    /// INTEGER.
    Integer(i64),
    /// REAL.
    Real(f64),
    /// TEXT.
    Text(String),
    /// BLOB.
    Blob(Vec<u8>),
}

impl OwnedCell {
    /// The same value, borrowed.
    pub fn as_cell(&self) -> Cell<'_> {
        match self {
            OwnedCell::Null => Cell::Null,
            OwnedCell::Integer(number) => Cell::Integer(*number),
            OwnedCell::Real(number) => Cell::Real(*number),
            OwnedCell::Text(text) => Cell::Text(text),
            OwnedCell::Blob(bytes) => Cell::Blob(bytes),
        }
    }
}

impl From<Cell<'_>> for OwnedCell {
    fn from(cell: Cell<'_>) -> Self {
        match cell {
            Cell::Null => OwnedCell::Null,
            Cell::Integer(number) => OwnedCell::Integer(number),
            Cell::Real(number) => OwnedCell::Real(number),
            Cell::Text(text) => OwnedCell::Text(text.to_owned()),
            Cell::Blob(bytes) => OwnedCell::Blob(bytes.to_vec()),
        }
    }
}

impl From<OwnedCell> for Value {
    fn from(cell: OwnedCell) -> Self {
        match cell {
            OwnedCell::Null => Value::Null,
            OwnedCell::Integer(number) => Value::from(number),
            OwnedCell::Real(number) => Value::from(number),
            OwnedCell::Text(text) => Value::from(text),
            OwnedCell::Blob(bytes) => Value::from(kaizen_proto::canonical_json::hex(&bytes)),
        }
    }
}

/// A row that a query returned.
#[derive(Clone, Debug)]
pub struct Row {
    /// Names of the columns, in the order of the query.
    pub columns: Arc<[String]>,
    /// Values of the columns.
    pub cells: Vec<OwnedCell>,
}

impl Row {
    /// The value of a column; NULL when the query has no such column.
    pub fn get(&self, column: &str) -> Cell<'_> {
        self.columns
            .iter()
            .position(|name| name == column)
            .and_then(|at| self.cells.get(at))
            .map_or(Cell::Null, OwnedCell::as_cell)
    }

    /// The text of a column; empty when it is NULL or not a text.
    pub fn text(&self, column: &str) -> &str {
        self.optional_text(column).unwrap_or_default()
    }

    /// The text of a column; none when it is NULL or not a text.
    pub fn optional_text(&self, column: &str) -> Option<&str> {
        match self.get(column) {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The integer of a column; 0 when it is NULL or not an integer.
    pub fn integer(&self, column: &str) -> i64 {
        match self.get(column) {
            Cell::Integer(number) => number,
            _ => 0,
        }
    }

    /// The number of a column; none when it is NULL or a text.
    pub fn real(&self, column: &str) -> Option<f64> {
        match self.get(column) {
            Cell::Real(number) => Some(number),
            #[expect(clippy::cast_precision_loss, reason = "whoever asks for a real wants no sixteen digits")]
            Cell::Integer(number) => Some(number as f64),
            _ => None,
        }
    }

    /// The row as a struct whose fields are named like the columns.
    ///
    /// # Errors
    /// `ERROR_UNEXPECTED` when a column does not fit its field, which a stored row should never do.
    pub fn decode<T: DeserializeOwned>(self) -> Result<T, Denial> {
        let object: Map<String, Value> =
            self.columns.iter().cloned().zip(self.cells.into_iter().map(Value::from)).collect();
        serde_json::from_value(Value::Object(object))
            .map_err(|error| super::fault::unexpected("decode a row", &error))
    }
}

/// All rows as structs, see [`Row::decode`].
///
/// # Errors
/// As [`Row::decode`].
pub fn decode_all<T: DeserializeOwned>(rows: Vec<Row>) -> Result<Vec<T>, Denial> {
    rows.into_iter().map(Row::decode).collect()
}
