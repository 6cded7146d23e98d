//! The canonical JSON text: the one spelling of a value that every content hash is taken over.
//!
//! The format is what Python's `json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)`
//! prints, so a hash can be checked with nothing but a Python interpreter:
//!
//! - object keys sorted by code point at every level, no white space between tokens;
//! - strings as raw UTF-8, escaping only `"`, `\` and the control characters below U+0020 (`\b \f \n \r \t`,
//!   otherwise `\u00xx` in lowercase hex);
//! - integers exactly; floats as the shortest decimal that reads back to the same `f64`, laid out like Python's
//!   `float.__repr__`: `.0` on integral values, an exponent of at least two digits with its sign when the decimal
//!   exponent is below -4 or at least 16.
//!
//! The text is a function of the [`Value`], not of the bytes it was read from: an integer outside `i64`/`u64`, and
//! the literal `-0`, are already an `f64` in a `Value` and are printed as one. A float read from text is only as
//! exact as `serde_json` reads it: without its feature `float_roundtrip` it may be off by one unit in the last place.

use std::fmt::{self, Write as _};

use serde_json::{Map, Number, Value};
use sha2::{Digest, Sha256};

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Returns the canonical text of `value`.
#[must_use]
pub fn to_string(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value);
    out
}

/// Appends the canonical text of `value` to `out`.
///
/// Recurses once per level of nesting; values read by `serde_json` are at most 128 levels deep.
pub fn write(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => write_object(out, map),
    }
}

/// Appends `text` to `out` as one JSON string literal, quotes included.
pub fn write_string(out: &mut String, text: &str) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut copied = 0;
    for (index, byte) in text.bytes().enumerate() {
        // Every byte of a multi-byte character is at least 0x80, so cutting before and after a byte that needs an
        // escape always cuts at character boundaries.
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[copied..index]);
        copied = index + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            control => {
                out.push_str("\\u00");
                push_hex(out, control);
            }
        }
    }
    out.push_str(&text[copied..]);
    out.push('"');
}

/// Returns the content hash of `value`: the SHA-256 of its canonical text, as 64 lowercase hex digits.
#[must_use]
pub fn hash(value: &Value) -> String {
    sha256_hex(to_string(value).as_bytes())
}

/// Returns the SHA-256 (FIPS 180-4) of `bytes` as 64 lowercase hex digits.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Returns `digest` as lowercase hex, two digits per byte.
#[must_use]
pub fn hex(digest: &[u8]) -> String {
    let mut out = String::with_capacity(digest.len() * 2);
    for &byte in digest {
        push_hex(&mut out, byte);
    }
    out
}

fn push_hex(out: &mut String, byte: u8) {
    out.push(char::from(HEX_DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(HEX_DIGITS[usize::from(byte & 0x0f)]));
}

fn write_object(out: &mut String, map: &Map<String, Value>) {
    // Comparing UTF-8 bytes, as `str` does, is comparing code points.
    if map.keys().is_sorted() {
        write_members(out, map.iter());
    } else {
        let mut members: Vec<_> = map.iter().collect();
        members.sort_unstable_by_key(|(key, _)| *key);
        write_members(out, members.into_iter());
    }
}

fn write_members<'a>(out: &mut String, members: impl Iterator<Item = (&'a String, &'a Value)>) {
    out.push('{');
    for (index, (key, value)) in members.enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(out, key);
        out.push(':');
        write(out, value);
    }
    out.push('}');
}

fn write_number(out: &mut String, number: &Number) {
    match number.as_f64() {
        Some(float) if number.is_f64() => write_float(out, float),
        _ => append(out, format_args!("{number}")),
    }
}

/// Appends `float`, which a `Number` guarantees to be finite.
fn write_float(out: &mut String, float: f64) {
    let scientific = shortest_scientific(float);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..16).contains(&exponent) {
        return append(out, format_args!("{mantissa}e{exponent:+03}"));
    }
    let digits = mantissa.trim_start_matches('-').replace('.', "");
    out.push_str(if float.is_sign_negative() { "-" } else { "" });
    match usize::try_from(exponent + 1) {
        Ok(whole @ 1..) if whole < digits.len() => {
            append(out, format_args!("{}.{}", &digits[..whole], &digits[whole..]));
        }
        Ok(whole @ 1..) => append(out, format_args!("{digits:0<whole$}.0")),
        _ => {
            out.push_str("0.");
            (exponent..-1).for_each(|_| out.push('0'));
            out.push_str(&digits);
        }
    }
}

/// Returns the fewest digits that read back to `float`, as `<digit>[.<digits>]e<exponent>`. If several decimals of
/// that length do, it is the nearest, and of two equally near ones the even one: what David Gay's `dtoa` mode 0, and
/// so Python, prints.
fn shortest_scientific(float: f64) -> String {
    let shortest = format!("{float:e}");
    // The standard library breaks a tie upwards here (2^-25 becomes ...313e-8), but to even at a given precision.
    let fraction = shortest.bytes().skip_while(|byte| *byte != b'.').skip(1);
    let precision = fraction.take_while(u8::is_ascii_digit).count();
    let nearest = format!("{float:.precision$e}");
    // Below a power of two floats are twice as dense, so the nearest decimal there can be that of another float.
    let reads_back = nearest.parse().is_ok_and(|read: f64| read.to_bits() == float.to_bits());
    if reads_back { nearest } else { shortest }
}

fn append(out: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    fn float(value: f64) -> String {
        to_string(&json!(value))
    }

    #[test]
    fn golden_hashes() {
        let vectors = [
            (
                r#"{"3":{"class_type":"KSampler","inputs":{"seed":777,"steps":8}},"4":{"class_type":"CheckpointLoaderSimple","inputs":{"ckpt_name":"mock.safetensors"}}}"#,
                "5fb870d565af2ec29eefdf834e24e5e1e214b48581b8fde0a2478eff0df980b8",
            ),
            (
                r#"{"9":{"class_type":"K","inputs":{"seed":1}},"10":{"class_type":"K","inputs":{"noise_seed":2e3,"seed":3}}}"#,
                "a92763e234f5e42764fce00250e6eb89372100e0b5fccda47acdacbede03299f",
            ),
            (r#"{"1":5}"#, "fc13f6a55d8f1da66f327d4f7423ed8f21052937063dadf34ec0099fc909b1f8"),
            (r#"{"text":"mock reply"}"#, "f7feef3a6966894415d5f11a3bb9fa7577483873c00a01f511cda39bed3be12a"),
            (r#"{"text":null}"#, "9c454146ef74156dd0c38d08d3d6bf9e8931fe1a04c0360c2238c85384160729"),
        ];
        for (text, expected) in vectors {
            assert_eq!(hash(&parse(text)), expected, "{text}");
        }
    }

    #[test]
    fn sha256_of_the_standard_vector() {
        // FIPS 180-4 example "abc".
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex(b"abc"), expected);
        assert_eq!(hex(&[0x00, 0x09, 0xa0, 0xff]), "0009a0ff");
    }

    #[test]
    fn keys_are_sorted_by_code_point_at_every_level() {
        // UTF-16 order would put U+1F600 before U+FF5E; code point order does not.
        let value = parse(r#" { "b" : [ { "z":1 , "a":2 } ], "😀":3, "～":4, "B":5, "":6, "é":7 } "#);
        assert_eq!(to_string(&value), r#"{"":6,"B":5,"b":[{"a":2,"z":1}],"é":7,"～":4,"😀":3}"#);
    }

    #[test]
    fn strings_escape_only_what_json_requires() {
        let text = "\u{0}\u{8}\u{9}\u{a}\u{b}\u{c}\u{d}\u{1f} \"\\/\u{7f}é\u{2028}😀";
        let expected = "\"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f \\\"\\\\/\u{7f}é\u{2028}😀\"";
        assert_eq!(to_string(&json!(text)), expected);
        assert_eq!(to_string(&json!("")), "\"\"");
    }

    #[test]
    fn integers_are_exact() {
        let value = json!([0, -1, i64::MIN, i64::MAX, u64::MAX]);
        assert_eq!(to_string(&value), "[0,-1,-9223372036854775808,9223372036854775807,18446744073709551615]");
    }

    #[test]
    #[allow(clippy::excessive_precision)]
    fn floats_are_laid_out_like_python() {
        let vectors = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (2e3, "2000.0"),
            (-2.5, "-2.5"),
            (123_456.789, "123456.789"),
            (0.1 + 0.2, "0.30000000000000004"),
            (0.0001, "0.0001"),
            (0.000_099_999_999_999_999_99, "9.999999999999999e-05"),
            (1e-5, "1e-05"),
            (-1.5e-7, "-1.5e-07"),
            (1e15, "1000000000000000.0"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1e16, "1e+16"),
            (1e17, "1e+17"),
            (1.234_567_890_123_456_7e22, "1.2345678901234568e+22"),
            (1e100, "1e+100"),
            // Ties between two shortest decimals go to the even digit.
            (1_125_899_906_842_624.25, "1125899906842624.2"),
            (2f64.powi(-25), "2.9802322387695312e-08"),
            // The nearest decimal of 16 digits, ...801e-14, reads back as another float.
            (2f64.powi(-44), "5.684341886080802e-14"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (5e-324, "5e-324"),
        ];
        for (value, expected) in vectors {
            assert_eq!(float(value), expected);
        }
    }

    /// Values whose floats have few enough digits for `serde_json` to read exactly with or without its
    /// `float_roundtrip` feature; all other floats are covered by `every_float_reads_back`.
    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
            (any::<i32>(), 0..=12).prop_map(|(n, exp)| Value::from(f64::from(n) * 10f64.powi(exp))),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 48, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// The same value with the members of every object in the opposite order.
    fn reversed(value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(reversed).collect(),
            Value::Object(map) => {
                let members: Vec<_> = map.iter().map(|(key, value)| (key.clone(), reversed(value))).collect();
                Value::Object(members.into_iter().rev().collect())
            }
            other => other.clone(),
        }
    }

    proptest! {
        #[test]
        fn canonical_text_reads_back_and_is_idempotent(value in any_value()) {
            let text = to_string(&value);
            let back = parse(&text);
            prop_assert_eq!(&back, &value);
            prop_assert_eq!(to_string(&back), text);
        }

        #[test]
        fn insertion_order_does_not_matter(value in any_value()) {
            prop_assert_eq!(to_string(&reversed(&value)), to_string(&value));
        }

        #[test]
        fn every_float_reads_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(float(value).parse::<f64>().unwrap().to_bits(), bits);
        }
    }
}
