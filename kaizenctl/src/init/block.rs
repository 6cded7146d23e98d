//! The block of rules in a file that otherwise belongs to somebody else. What stands outside the markers is never
//! changed, and taking the block away gives back what was there before, to the byte.

/// The line that begins the block.
pub(crate) const BEGIN: &str = "<!-- kaizen:begin -->";
/// The line that ends it.
pub(crate) const END: &str = "<!-- kaizen:end -->";

/// What a text has in the way of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    /// No marker.
    None,
    /// One block: from the first byte of its first line to the last of its last, without that line's end.
    One(std::ops::Range<usize>),
}

/// The markers do not make one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) String);

/// The block of a template: from its first marker to its last, with line feeds only.
pub(crate) fn of_template(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    match find(&text) {
        Ok(Found::One(range)) => text[range].to_owned(),
        _ => String::new(),
    }
}

/// The text with the block in it, when it is not there as it should be.
///
/// # Errors
/// When the markers do not make one block.
pub(crate) fn put(text: &str, block: &str) -> Result<Option<String>, Malformed> {
    let end = line_end(text);
    let block = block.replace('\n', end);
    Ok(match find(text)? {
        Found::One(range) if text[range.clone()] == block => None,
        Found::One(range) => Some(format!("{}{block}{}", &text[..range.start], &text[range.end..])),
        Found::None if text.is_empty() => Some(format!("{block}{end}")),
        // One empty line before the block; and a last line without an end stays one.
        Found::None if text.ends_with('\n') => Some(format!("{text}{end}{block}{end}")),
        Found::None => Some(format!("{text}{end}{end}{block}")),
    })
}

/// Whether the text has a block, whatever is in it.
///
/// # Errors
/// When the markers do not make one block.
pub(crate) fn is_in(text: &str) -> Result<bool, Malformed> {
    Ok(find(text)? != Found::None)
}

/// The text without its block, as it was before [`put`]; none when it has no block.
///
/// # Errors
/// When the markers do not make one block.
pub(crate) fn take(text: &str) -> Result<Option<String>, Malformed> {
    let Found::One(range) = find(text)? else { return Ok(None) };
    let (before, after) = (&text[..range.start], &text[range.end..]);
    let after_line = after.strip_prefix("\r\n").or_else(|| after.strip_prefix('\n'));
    Ok(Some(match after_line {
        Some(after) => format!("{}{after}", without_end(before)),
        // Only after a last line without an end is a block put without one.
        None => format!("{}{after}", without_end(without_end(before))),
    }))
}

/// The text without the end of its last line.
fn without_end(text: &str) -> &str {
    text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(text)
}

/// How the lines of a text end, by the majority.
fn line_end(text: &str) -> &'static str {
    let all = text.matches('\n').count();
    let windows = text.matches("\r\n").count();
    if windows * 2 > all { "\r\n" } else { "\n" }
}

fn find(text: &str) -> Result<Found, Malformed> {
    let mut begins = Vec::new();
    let mut ends = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        // A byte order mark is no part of the first line.
        let marker = content.trim_start_matches('\u{feff}');
        let start = at + content.len() - marker.len();
        match marker.trim() {
            BEGIN => begins.push(start),
            END => ends.push(at + content.len()),
            _ => {}
        }
        at += line.len();
    }
    match (begins[..].first(), ends[..].first(), begins.len() + ends.len()) {
        (None, None, _) => Ok(Found::None),
        (Some(begin), Some(end), 2) if begin < end => Ok(Found::One(*begin..*end)),
        (Some(_), Some(_), 2) => Err(Malformed(format!("`{END}` stands before `{BEGIN}`"))),
        _ => Err(Malformed(format!(
            "there are {} lines `{BEGIN}` and {} lines `{END}` in place of one each",
            begins.len(),
            ends.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &str = "<!-- kaizen:begin -->\none\n\ntwo\n<!-- kaizen:end -->";
    const OLDER: &str = "<!-- kaizen:begin -->\nolder\n<!-- kaizen:end -->";

    /// Texts as files have them, with and without an end of the last line.
    fn texts() -> Vec<String> {
        let mut texts: Vec<String> =
            ["", "a", "a\n", "a\n\n", "\n", "\n\n\n", "# A\n\nb", "\u{feff}a\n"].map(str::to_owned).to_vec();
        let windows: Vec<String> = texts.iter().map(|text| text.replace('\n', "\r\n")).collect();
        texts.extend(windows);
        texts
    }

    #[test]
    fn taking_the_block_away_gives_back_what_was_there() {
        for text in texts() {
            let with = put(&text, BLOCK).unwrap().unwrap();
            assert!(with.starts_with(&text), "{text:?}");
            assert_eq!(text.ends_with('\n') || text.is_empty(), with.ends_with('\n'), "{text:?}");
            assert_eq!(put(&with, BLOCK).unwrap(), None, "{with:?}");
            assert_eq!(take(&with).unwrap().unwrap(), text, "{with:?}");
            // One that is out of date is replaced where it stands.
            let older = put(&text, OLDER).unwrap().unwrap();
            assert_eq!(put(&older, BLOCK).unwrap().unwrap(), with, "{text:?}");
        }
        assert_eq!(take("a\n").unwrap(), None);
    }

    #[test]
    fn what_stands_after_the_block_stays() {
        let text = format!("a\n\n{OLDER}\n\nb\n");
        assert_eq!(put(&text, BLOCK).unwrap().unwrap(), format!("a\n\n{BLOCK}\n\nb\n"));
        assert_eq!(take(&text).unwrap().unwrap(), "a\n\nb\n");
        assert_eq!(take(&format!("{BLOCK}\nb")).unwrap().unwrap(), "b");
    }

    #[test]
    fn lines_keep_their_ends() {
        let with = put("a\r\nb\r\n", BLOCK).unwrap().unwrap();
        assert_eq!(with.matches('\n').count(), with.matches("\r\n").count());
        let with = put("a\nb\n", BLOCK).unwrap().unwrap();
        assert!(!with.contains('\r'));
    }

    #[test]
    fn markers_that_make_no_block_are_refused() {
        for text in [
            BEGIN.to_owned(),
            END.to_owned(),
            format!("{END}\n{BEGIN}\n"),
            format!("{BLOCK}\n{BLOCK}\n"),
            format!("{BEGIN}\n{BLOCK}\n"),
        ] {
            assert!(put(&text, BLOCK).is_err() && take(&text).is_err() && is_in(&text).is_err(), "{text}");
        }
        // Within a line they are text about markers.
        assert!(!is_in(&format!("between `{BEGIN}` and `{END}`\n")).unwrap());
    }

    #[test]
    fn the_template_has_a_block() {
        let block = of_template("# A\r\n\r\n<!-- kaizen:begin -->\r\nx\r\n<!-- kaizen:end -->\r\ny\r\n");
        assert_eq!(block, "<!-- kaizen:begin -->\nx\n<!-- kaizen:end -->");
    }
}
