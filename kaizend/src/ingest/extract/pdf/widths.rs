//! Widths of glyphs in composite fonts, in the form that the reader understands.

use pdf_extract::{Document, Object};

/// Glyphs that a font can have: codes have two bytes.
const GLYPHS: i64 = 65_536;

/// Rewrites the widths of all CID fonts (ISO 32000-1, 9.7.4.3): what is given as `first last width` becomes
/// `first [width width …]`. The reader takes the former for an empty range, and then finds gaps where there are none.
pub(super) fn mend(document: &mut Document) {
    let mended: Vec<_> = document
        .objects
        .iter()
        .filter_map(|(id, object)| {
            let font = object.as_dict().ok()?;
            let kind = font.get(b"Subtype").and_then(Object::as_name).ok()?;
            if !kind.starts_with(b"CIDFontType") {
                return None;
            }
            let (_, widths) = document.dereference(font.get(b"W").ok()?).ok()?;
            Some((*id, Object::Array(unrolled(widths.as_array().ok()?)?)))
        })
        .collect();
    for (id, widths) in mended {
        if let Ok(font) = document.get_object_mut(id).and_then(Object::as_dict_mut) {
            font.set("W", widths);
        }
    }
}

/// The widths without ranges; none when they are not what the standard says.
fn unrolled(widths: &[Object]) -> Option<Vec<Object>> {
    let mut lists = Vec::new();
    let mut left = GLYPHS;
    let mut rest = widths;
    loop {
        rest = match rest {
            [] => return Some(lists),
            [first, list @ Object::Array(_), rest @ ..] => {
                lists.extend([first.clone(), list.clone()]);
                rest
            }
            [first, last, width, rest @ ..] => {
                let count = last.as_i64().ok()?.checked_sub(first.as_i64().ok()?)?.checked_add(1)?;
                left = left.checked_sub(count).filter(|left| *left >= 0)?;
                let same = vec![width.clone(); usize::try_from(count).ok()?];
                lists.extend([first.clone(), Object::Array(same)]);
                rest
            }
            _ => return None,
        };
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ranges_become_lists() {
        let list = Object::Array(vec![1.into(), 2.into()]);
        let widths = [3.into(), list.clone(), 7.into(), 9.into(), Object::Real(2.5), 20.into(), list.clone()];
        let three = Object::Array(vec![Object::Real(2.5); 3]);
        let expected = vec![3.into(), list.clone(), 7.into(), three, 20.into(), list];
        assert_eq!(unrolled(&widths), Some(expected));
        for broken in [
            vec![1.into(), 2.into()],
            vec![1.into(), 100_000.into(), 3.into()],
            vec![9.into(), 1.into(), 3.into()],
        ] {
            assert_eq!(unrolled(&broken), None);
        }
    }
}
