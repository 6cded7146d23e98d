//! Bytes to text, and plain text to paragraphs.

use std::borrow::Cow;

use super::collect::Collector;
use super::fault::Fault;
use crate::ingest::block::BlockKind;

/// Decodes a text: UTF-16 with a byte order mark, else UTF-8, in which what is invalid becomes U+FFFD. A byte order mark
/// is dropped, and every line ends with `\n`.
pub(super) fn decode(bytes: &[u8]) -> String {
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => Cow::Owned(utf16(rest, u16::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] => Cow::Owned(utf16(rest, u16::from_be_bytes)),
        _ => String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)),
    };
    if !text.contains('\r') {
        return text.into_owned();
    }
    let mut unix = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(position) = rest.find('\r') {
        unix.push_str(&rest[..position]);
        unix.push('\n');
        rest = &rest[position + 1..];
        rest = rest.strip_prefix('\n').unwrap_or(rest);
    }
    unix.push_str(rest);
    unix
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text: String = char::decode_utf16(pairs.iter().map(|pair| unit(*pair)))
        .map(|read| read.unwrap_or('\u{fffd}'))
        .collect();
    if !rest.is_empty() {
        text.push('\u{fffd}');
    }
    text
}

/// Plain text: what stands between blank lines is a paragraph, and keeps its lines.
pub(super) fn plain(text: &str, blocks: &mut Collector<'_>) -> Result<(), Fault> {
    let mut start = 0;
    let mut position = 0;
    for line in text.split_inclusive('\n') {
        if line.trim().is_empty() {
            blocks.push(BlockKind::Text, &text[start..position])?;
            start = position + line.len();
        }
        position += line.len();
    }
    blocks.push(BlockKind::Text, &text[start..])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ingest::extract::limits::Limits;

    #[test]
    fn texts_are_decoded() {
        assert_eq!(decode(b"\xef\xbb\xbfa\r\nb\rc\n\r\r\n"), "a\nb\nc\n\n\n");
        assert_eq!(decode(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(decode(b"\xff\xfeh\0i\0\x3d\xd8\x00\xde"), "hi😀");
        assert_eq!(decode(b"\xfe\xff\0h\0i\0"), "hi\u{fffd}");
    }

    #[test]
    fn paragraphs_stand_between_blank_lines() {
        let limits = Limits::default();
        let mut blocks = Collector::new(&limits);
        plain("  one\n  two\n \t\n\n\nthree\n", &mut blocks).unwrap();
        let (blocks, _) = blocks.finish();
        let texts: Vec<_> = blocks.iter().map(|block| block.text.as_str()).collect();
        assert_eq!(texts, ["one\n  two", "three"]);
    }
}
