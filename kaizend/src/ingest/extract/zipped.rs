//! ZIP containers, as DOCX and XLSX are, opened only after it is known what they unfold to.

use std::io::{self, Cursor, Read as _};

use zip::ZipArchive;

use super::fault::Fault;
use super::limits::Limits;

/// Begins each entry of the directory at a container's end.
const ENTRY: &[u8] = b"PK\x01\x02";
/// Begins files of the older binary formats, and the encrypted ones of today.
const COMPOUND: &[u8] = b"\xd0\xcf\x11\xe0";

/// A container in memory.
pub(super) type Container<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// Opens a container whose directory is not too long.
pub(super) fn open<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Container<'a>, Fault> {
    if bytes.starts_with(COMPOUND) {
        return Err(Fault::broken("it is protected by a password, or in the older binary format"));
    }
    // The directory is read whole by the opening; it has no more entries than there are marks of one.
    let entries = bytes.windows(ENTRY.len()).filter(|window| *window == ENTRY).count() as u64;
    if entries > limits.entries {
        return Err(Fault::TooMuch { what: "entries", limit: limits.entries });
    }
    let archive = ZipArchive::new(Cursor::new(bytes)).map_err(Fault::broken)?;
    if archive.len() as u64 > limits.entries {
        return Err(Fault::TooMuch { what: "entries", limit: limits.entries });
    }
    Ok(archive)
}

/// Unfolds everything once without keeping it, for a reader that takes its entries by itself: what an entry says about
/// its size need not be so.
pub(super) fn measure(container: &mut Container<'_>, limits: &Limits) -> Result<(), Fault> {
    let mut left = limits.expanded_bytes;
    for index in 0..container.len() {
        let mut entry = container.by_index(index).map_err(Fault::broken)?;
        let too_much = Fault::TooMuch { what: "bytes when it is unfolded", limit: limits.expanded_bytes };
        if entry.size() > left {
            return Err(too_much);
        }
        let read = io::copy(&mut (&mut entry).take(left + 1), &mut io::sink()).map_err(Fault::broken)?;
        if read > left {
            return Err(too_much);
        }
        left -= read;
    }
    Ok(())
}

/// The text of an entry; none when the container has no such entry. `left` is how many bytes may still be unfolded.
pub(super) fn read(
    container: &mut Container<'_>,
    name: &str,
    left: &mut u64,
) -> Result<Option<String>, Fault> {
    let mut entry = match container.by_name(name) {
        Ok(entry) => entry,
        Err(zip::result::ZipError::FileNotFound) => return Ok(None),
        Err(error) => return Err(Fault::broken(error)),
    };
    let too_much = Fault::TooMuch { what: "bytes in one part when it is unfolded", limit: *left };
    if entry.size() > *left {
        return Err(too_much);
    }
    let mut bytes = Vec::new();
    (&mut entry).take(*left + 1).read_to_end(&mut bytes).map_err(Fault::broken)?;
    *left = left.checked_sub(bytes.len() as u64).ok_or(too_much)?;
    Ok(Some(super::text::decode(&bytes)))
}

/// Makes containers for tests.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod making {
    use std::io::{Cursor, Write as _};

    /// A container with these entries.
    pub(in crate::ingest::extract) fn container(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in entries {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_container_that_unfolds_to_too_much_is_refused() {
        let limits = Limits { expanded_bytes: 100_000, ..Limits::default() };
        let bytes = making::container(&[("a.xml", &"a".repeat(60_000)), ("b.xml", &"b".repeat(60_000))]);
        assert!(bytes.len() < 1000);
        let mut container = open(&bytes, &limits).unwrap();
        assert!(matches!(measure(&mut container, &limits), Err(Fault::TooMuch { .. })));
        let mut left = limits.expanded_bytes;
        assert_eq!(read(&mut container, "a.xml", &mut left).unwrap().unwrap().len(), 60_000);
        assert!(matches!(read(&mut container, "b.xml", &mut left), Err(Fault::TooMuch { .. })));
        assert!(read(&mut container, "none", &mut left).unwrap().is_none());
    }

    #[test]
    fn a_size_that_is_a_lie_is_found_out() {
        let limits = Limits { expanded_bytes: 1_000, ..Limits::default() };
        let mut bytes = making::container(&[("a.xml", &"a".repeat(60_000))]);
        // The size stands in the local header and in the directory.
        let size = 60_000_u32.to_le_bytes();
        let places: Vec<usize> = (0..bytes.len() - 4).filter(|at| bytes[*at..at + 4] == size).collect();
        for at in places {
            bytes[at..at + 4].copy_from_slice(&500_u32.to_le_bytes());
        }
        let mut container = open(&bytes, &limits).unwrap();
        assert!(measure(&mut container, &limits).is_err());
        assert!(read(&mut container, "a.xml", &mut 1_000).is_err());
    }

    #[test]
    fn a_long_directory_is_not_read() {
        let limits = Limits { entries: 1_000, ..Limits::default() };
        let names: Vec<String> = (0..1_001).map(|number| number.to_string()).collect();
        let entries: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        assert!(open(&making::container(&entries[1..]), &limits).is_ok());
        let whole = making::container(&entries);
        let refused = open(&whole, &limits);
        assert!(matches!(refused, Err(Fault::TooMuch { what: "entries", limit: 1_000 })));
        // A directory of a hundred thousand entries, and nothing else: it is not even looked at.
        let mark = [ENTRY, &[0; 42]].concat();
        let limits = Limits::default();
        let directory = mark.repeat(100_000);
        let refused = open(&directory, &limits);
        assert!(matches!(refused, Err(Fault::TooMuch { what: "entries", .. })));
        assert!(open(b"\xd0\xcf\x11\xe0rest", &limits).is_err());
        assert!(open(b"PK\x03\x04", &limits).is_err());
    }
}
