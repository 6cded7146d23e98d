//! Record types: what the payload of a record must look like.
//!
//! A record type is declared once, as a struct with its rules in [`types`]. From the declaration come the struct that
//! handlers read a payload into, the table of fields that [`validate`] walks, and the JSON Schema for documents.

pub mod types;
pub mod vocabulary;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::denial::{Code, Denial};
use crate::limits;

/// Bytes of a value that a denial repeats.
const SHOWN_BYTES: usize = 200;

/// What sort of value a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A text.
    Str,
    /// A whole number; `1.0` is none.
    Int,
    /// A number.
    Float,
    /// A list.
    List,
    /// An object.
    Dict,
    /// Anything.
    Any,
}

impl Shape {
    /// The name that denials give it.
    pub fn name(self) -> &'static str {
        match self {
            Shape::Str => "str",
            Shape::Int => "int",
            Shape::Float => "float",
            Shape::List => "list",
            Shape::Dict => "dict",
            Shape::Any => "any",
        }
    }

    fn fits(self, value: &Value) -> bool {
        match self {
            Shape::Str => value.is_string(),
            // A whole number beyond 64 bits is read as a float.
            Shape::Int => value.is_i64() || value.is_u64(),
            Shape::Float => value.is_number(),
            Shape::List => value.is_array(),
            Shape::Dict => value.is_object(),
            Shape::Any => true,
        }
    }

    fn json_type(self) -> Option<&'static str> {
        match self {
            Shape::Str => Some("string"),
            Shape::Int => Some("integer"),
            Shape::Float => Some("number"),
            Shape::List => Some("array"),
            Shape::Dict => Some("object"),
            Shape::Any => None,
        }
    }
}

/// A type that a field of a record may have. An `Option` is a field that may be left out.
pub trait FieldType {
    /// The sort of value.
    const SHAPE: Shape;
    /// Whether a value must be given.
    const REQUIRED: bool = true;
    /// The only values that are allowed; empty for any.
    const ALLOWED: &'static [&'static str] = &[];
}

impl FieldType for String {
    const SHAPE: Shape = Shape::Str;
}
impl FieldType for i64 {
    const SHAPE: Shape = Shape::Int;
}
impl FieldType for f64 {
    const SHAPE: Shape = Shape::Float;
}
impl FieldType for Vec<Value> {
    const SHAPE: Shape = Shape::List;
}
impl FieldType for Map<String, Value> {
    const SHAPE: Shape = Shape::Dict;
}
impl FieldType for Value {
    const SHAPE: Shape = Shape::Any;
}
impl<T: FieldType> FieldType for Option<T> {
    const SHAPE: Shape = T::SHAPE;
    const REQUIRED: bool = false;
    const ALLOWED: &'static [&'static str] = T::ALLOWED;
}

/// One field of a record type with its rules.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Name.
    pub name: &'static str,
    /// What it is for, one line each.
    pub doc: &'static [&'static str],
    /// What sort of value it takes.
    pub shape: Shape,
    /// Whether it must be given.
    pub required: bool,
    /// The only values that are allowed; empty for any.
    pub allowed: &'static [&'static str],
    /// Whether the rules of summaries apply.
    pub is_summary: bool,
    /// Words at most.
    pub max_words: Option<usize>,
    /// The smallest number.
    pub min: Option<i64>,
    /// The largest number.
    pub max: Option<i64>,
    /// Bytes at most.
    pub max_bytes: usize,
}

impl Field {
    /// A field of this type, without further rules.
    pub const fn of<T: FieldType>(name: &'static str, doc: &'static [&'static str]) -> Self {
        Field {
            name,
            doc,
            shape: T::SHAPE,
            required: T::REQUIRED,
            allowed: T::ALLOWED,
            is_summary: false,
            max_words: None,
            min: None,
            max: None,
            max_bytes: limits::SHORT_BYTES,
        }
    }

    /// The rules of summaries apply.
    #[must_use]
    pub const fn summary(self) -> Self {
        Field { is_summary: true, max_bytes: limits::SUMMARY_BYTES, ..self }
    }

    /// At most this many words.
    #[must_use]
    pub const fn words(self, words: usize) -> Self {
        let max_bytes = match words {
            0..=40 => limits::SHORT_BYTES,
            41..=200 => limits::SUMMARY_BYTES,
            _ => limits::BODY_BYTES,
        };
        Field { max_words: Some(words), max_bytes, ..self }
    }

    /// A path, an address or another reference, which may be longer than an id.
    #[must_use]
    pub const fn reference(self) -> Self {
        Field { max_bytes: limits::REFERENCE_BYTES, ..self }
    }

    /// At least this much.
    #[must_use]
    pub const fn min(self, min: i64) -> Self {
        Field { min: Some(min), ..self }
    }

    /// At most this much.
    #[must_use]
    pub const fn max(self, max: i64) -> Self {
        Field { max: Some(max), ..self }
    }

    /// The flag that such a field has on the command line.
    fn flag(&self) -> String {
        format!("--{}", self.name.replace('_', "-"))
    }

    fn check(&self, record_type: &str, value: &Value) -> Result<(), Denial> {
        let denial = |code: Code| Denial::new(code).with("record_type", record_type).with("field", self.name);
        if !self.shape.fits(value) {
            return Err(denial(Code::SchemaFieldType).with("expected", self.shape.name()));
        }
        match value {
            Value::String(text) if self.shape == Shape::Str => {
                if !self.allowed.is_empty() && !self.allowed.contains(&text.as_str()) {
                    let shown = &text[..text.floor_char_boundary(SHOWN_BYTES)];
                    return Err(denial(Code::SchemaEnum)
                        .with("value", shown)
                        .with("allowed", json!(self.allowed)));
                }
                if self.is_summary {
                    return limits::check_summary(text);
                }
                if let Some(limit) = self.max_words {
                    limits::check_words(self.name, text, limit)?;
                }
                limits::check_bytes(self.name, text, self.max_bytes)
            }
            Value::Number(number) if matches!(self.shape, Shape::Int | Shape::Float) => {
                let range = |bound: &str, limit: i64| {
                    denial(Code::SchemaRange).with("value", number.clone()).with(bound, limit)
                };
                // Whole numbers are compared as such, so that none is rounded into its range.
                let below = |min: i64| match number.as_i64() {
                    Some(whole) => whole < min,
                    None => !number.is_u64() && number.as_f64().is_some_and(|float| float < to_float(min)),
                };
                let above = |max: i64| match number.as_i64() {
                    Some(whole) => whole > max,
                    None => number.is_u64() || number.as_f64().is_some_and(|float| float > to_float(max)),
                };
                // What the database stores as a whole number has 64 bits with a sign.
                let max = self.max.or((self.shape == Shape::Int).then_some(i64::MAX));
                match (self.min, max) {
                    (Some(min), _) if below(min) => Err(range("min", min)),
                    (_, Some(max)) if above(max) => Err(range("max", max)),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn json_schema(&self) -> Value {
        let mut schema = Map::new();
        schema.insert("description".into(), Value::from(self.description()));
        if let Some(name) = self.shape.json_type() {
            schema.insert("type".into(), if self.required { json!(name) } else { json!([name, "null"]) });
        }
        if !self.allowed.is_empty() {
            let words = self.allowed.iter().map(|word| json!(word));
            let null = (!self.required).then_some(Value::Null);
            schema.insert("enum".into(), words.chain(null).collect());
        }
        if self.shape == Shape::Str && self.required {
            schema.insert("minLength".into(), json!(1));
        }
        for (name, limit) in [("minimum", self.min), ("maximum", self.max)] {
            if let Some(limit) = limit {
                schema.insert(name.into(), json!(limit));
            }
        }
        Value::Object(schema)
    }

    /// What it is for, in one line, with the rule that JSON Schema cannot say.
    fn description(&self) -> String {
        let doc = sentence(self.doc);
        match self.max_words {
            Some(words) => format!("{doc} At most {words} words."),
            None => doc,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "the limits of floats are small whole numbers")]
fn to_float(limit: i64) -> f64 {
    limit as f64
}

/// The lines of a doc comment as one text.
fn sentence(doc: &[&str]) -> String {
    doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// One record type.
#[derive(Debug)]
pub struct RecordType {
    /// Name.
    pub name: &'static str,
    /// What it is, one line each.
    pub doc: &'static [&'static str],
    /// Its fields, in the order in which they are checked.
    pub fields: &'static [Field],
    /// The required fields, where they are asked for in another order than that of the fields.
    pub asked: &'static [&'static str],
}

/// A struct that a payload of its record type can be read into.
pub trait Record: DeserializeOwned {
    /// The record type.
    const TYPE: &'static RecordType;
}

impl RecordType {
    /// The required fields, in the order in which they are asked for.
    pub fn required(&self) -> impl Iterator<Item = &'static Field> {
        let fields: &'static [Field] = self.fields;
        let place = |field: &&Field| self.asked.iter().position(|name| *name == field.name);
        let mut required: Vec<&'static Field> = fields.iter().filter(|field| field.required).collect();
        required.sort_by_key(place);
        required.into_iter()
    }

    /// Checks a payload.
    ///
    /// # Errors
    /// The `DENIED_SCHEMA_*` codes, and what is wrong with its texts. Missing fields come first, all at once, then
    /// unknown ones, then the first field that breaks a rule.
    pub fn validate(&self, payload: &Value) -> Result<(), Denial> {
        match payload {
            Value::Object(payload) => self.validate_object(payload),
            other => Err(Denial::new(Code::SchemaType)
                .with("record_type", self.name)
                .with("reason", format!("the payload is {}, not an object", describe(other)))),
        }
    }

    fn validate_object(&self, payload: &Map<String, Value>) -> Result<(), Denial> {
        let missing: Vec<&Field> =
            self.required().filter(|field| is_missing(payload.get(field.name))).collect();
        if !missing.is_empty() {
            let names: Vec<&str> = missing.iter().map(|field| field.name).collect();
            let flags: Vec<String> = missing.iter().map(|field| field.flag()).collect();
            return Err(Denial::new(Code::SchemaRequired)
                .with("record_type", self.name)
                .with("fields", json!(names))
                .action(format!("Give values to {}: {}.", names.join(", "), flags.join(", "))));
        }
        let is_known = |name: &str| self.fields.iter().any(|field| field.name == name);
        let unknown: Vec<&str> =
            payload.keys().map(String::as_str).filter(|name| !is_known(name)).take(MAX_NAMED).collect();
        if !unknown.is_empty() {
            let shown: Vec<&str> =
                unknown.iter().map(|name| &name[..name.floor_char_boundary(SHOWN_BYTES)]).collect();
            let known: Vec<&str> = self.fields.iter().map(|field| field.name).collect();
            return Err(Denial::new(Code::SchemaUnknownFields)
                .with("record_type", self.name)
                .with("fields", json!(shown))
                .action(format!("Remove them; a {} has {}.", self.name, known.join(", "))));
        }
        for field in self.fields {
            match payload.get(field.name) {
                None | Some(Value::Null) => {}
                Some(value) => field.check(self.name, value)?,
            }
        }
        Ok(())
    }

    /// The record type as a JSON Schema (draft 2020-12).
    pub fn json_schema(&self) -> Map<String, Value> {
        let fields: Map<String, Value> =
            self.fields.iter().map(|field| (field.name.to_owned(), field.json_schema())).collect();
        let required: Vec<&str> = self.required().map(|field| field.name).collect();
        [
            ("$schema", json!("https://json-schema.org/draft/2020-12/schema")),
            ("title", json!(self.name)),
            ("description", json!(sentence(self.doc))),
            ("type", json!("object")),
            ("properties", json!(fields)),
            ("required", json!(required)),
            ("additionalProperties", json!(false)),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
    }
}

/// Fields that a denial names at most.
const MAX_NAMED: usize = 50;

/// Whether a required field counts as not given. `0`, `false` and `[]` are values.
fn is_missing(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    }
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The record type with this name.
///
/// # Errors
/// `DENIED_SCHEMA_UNKNOWN_TYPE`.
pub fn find(name: &str) -> Result<&'static RecordType, Denial> {
    types::ALL.iter().copied().find(|record_type| record_type.name == name).ok_or_else(|| {
        Denial::new(Code::SchemaUnknownType)
            .with("record_type", &name[..name.floor_char_boundary(SHOWN_BYTES)])
            .with("known_types", json!(names()))
    })
}

/// The names of all record types, sorted.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = types::ALL.iter().map(|record_type| record_type.name).collect();
    names.sort_unstable();
    names
}

/// Checks a payload against the record type with this name.
///
/// # Errors
/// `DENIED_SCHEMA_UNKNOWN_TYPE`, or what [`RecordType::validate`] denies.
pub fn validate(record_type: &str, payload: &Value) -> Result<(), Denial> {
    find(record_type)?.validate(payload)
}

/// Checks a payload and reads it into the struct of its record type.
///
/// # Errors
/// What [`RecordType::validate`] denies.
pub fn read<T: Record>(payload: Value) -> Result<T, Denial> {
    T::TYPE.validate(&payload)?;
    serde_json::from_value(payload).map_err(|error| {
        // The struct and the rules come from one declaration, so this is not reached.
        Denial::new(Code::SchemaType).with("record_type", T::TYPE.name).with("reason", error.to_string())
    })
}

/// Declares record types: for each a struct, its table of fields, and [`Record`].
///
/// A field that is no `Option` is required. After `=>` come the rules of a field, which are methods of [`Field`].
/// `asks` names the required fields when they are asked for in an order of their own.
#[macro_export]
macro_rules! record_types {
    ($( $(#[doc = $doc:literal])+ $name:literal $record:ident $(asks [$($asked:literal),+])? {
        $( $(#[doc = $field_doc:literal])+ $field:ident : $type:ty $(=> $($rule:ident($($argument:expr)?))+)? ),+ $(,)?
    } )+) => { $(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $record { $( $(#[doc = $field_doc])+ pub $field: $type, )+ }

        impl $crate::record_schema::Record for $record {
            const TYPE: &'static $crate::record_schema::RecordType = &$crate::record_schema::RecordType {
                name: $name,
                doc: &[$($doc),+],
                fields: &[ $(
                    $crate::record_schema::Field::of::<$type>(stringify!($field), &[$($field_doc),+])
                        $( $( .$rule($($argument)?) )+ )?
                ),+ ],
                asked: &[ $( $($asked),+ )? ],
            };
        }
    )+ };
}

/// Declares the words that a field may have: an enum, its texts, and what makes it a type for fields.
#[macro_export]
macro_rules! vocabulary {
    ($( $(#[$meta:meta])* $name:ident { $( $variant:ident $word:literal ),+ $(,)? } )+) => { $(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $name { $( #[doc = concat!("`", $word, "`")] #[serde(rename = $word)] $variant ),+ }

        impl $name {
            /// All words, in their order.
            pub const WORDS: &'static [&'static str] = &[ $( $word ),+ ];

            /// The word.
            pub const fn text(self) -> &'static str { match self { $( Self::$variant => $word ),+ } }
        }

        impl $crate::record_schema::FieldType for $name {
            const SHAPE: $crate::record_schema::Shape = $crate::record_schema::Shape::Str;
            const ALLOWED: &'static [&'static str] = Self::WORDS;
        }
    )+ };
}

#[cfg(test)]
#[path = "record_schema/tests.rs"]
mod tests;
