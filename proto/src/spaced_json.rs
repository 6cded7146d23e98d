//! JSON text with `, ` and `: ` between its parts and everything beyond ASCII escaped: the form in which the
//! predecessor stored JSON in text columns, which its users match on.

use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut plain = 0;
        for (at, character) in fragment.char_indices().filter(|(_, character)| !character.is_ascii()) {
            writer.write_all(&fragment.as_bytes()[plain..at])?;
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            plain = at + character.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[plain..])
    }
}

/// The text of a value.
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> String {
    let mut text = Vec::new();
    // Writing plain data into memory cannot fail, and what is written is ASCII.
    let _ = value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, Spaced));
    String::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn looks_as_the_predecessor_wrote_it() {
        assert_eq!(super::to_string(&json!(["AI/tests"])), r#"["AI/tests"]"#);
        assert_eq!(
            super::to_string(&json!({"status": "OK", "list": [1, "é😀", null]})),
            r#"{"status": "OK", "list": [1, "\u00e9\ud83d\ude00", null]}"#
        );
    }
}
