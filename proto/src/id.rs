//! Identifiers: `<prefix>_<UUIDv7 as 32 lowercase hex digits>`, for example
//! `run_019aae3c5f2b7c1d8e4f0a1b2c3d4e5f`.
//!
//! The prefix names the kind of thing. The UUID (version 7, RFC 9562 section 5.7) begins with the creation time in
//! milliseconds, so ids of one prefix sort by age as plain text.

use uuid::{Uuid, Variant, Version};

/// The longest id, in bytes, that is accepted from a caller. Our own ids are far shorter; the room is for ids that
/// other systems made.
pub const MAX_LEN: usize = 128;

const HEX_LEN: usize = 32;

/// Returns a new id with `prefix`, which must be lowercase ASCII letters, digits and `_`, starting with a letter.
///
/// Ids of one prefix made by one process are strictly increasing as text, in the order of the calls across all
/// threads; ids of different processes are ordered by their clocks.
#[must_use]
pub fn new(prefix: &str) -> String {
    debug_assert!(is_prefix(prefix), "not an id prefix: {prefix:?}");
    let mut id = String::with_capacity(prefix.len() + 1 + HEX_LEN);
    id.push_str(prefix);
    id.push('_');
    push_uuid(&mut id);
    id
}

/// Returns a new idempotency key: a `UUIDv7` as 32 lowercase hex digits, ordered like [`new`].
#[must_use]
pub fn idempotency_key() -> String {
    let mut key = String::with_capacity(HEX_LEN);
    push_uuid(&mut key);
    key
}

/// Tells whether `text` is a whole id in the shape that [`new`] makes, rather than the beginning of one or an id
/// from elsewhere. Says nothing about whether the id exists.
#[must_use]
pub fn is_complete(text: &str) -> bool {
    let Some((prefix, digits)) = text.rsplit_once('_') else { return false };
    text.len() <= MAX_LEN
        && is_prefix(prefix)
        && digits.len() == HEX_LEN
        && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && Uuid::try_parse(digits).is_ok_and(|uuid| {
            uuid.get_version() == Some(Version::SortRand) && uuid.get_variant() == Variant::RFC4122
        })
}

fn push_uuid(out: &mut String) {
    // `now_v7` counts within a millisecond in a context shared by the whole process, which is what makes the order
    // strict; `new_v7` with a bare timestamp would not.
    out.push_str(Uuid::now_v7().simple().encode_lower(&mut [0; HEX_LEN]));
}

fn is_prefix(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    fn unix_millis() -> u128 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()
    }

    #[test]
    fn ids_are_strictly_increasing() {
        let ids: Vec<_> = (0..100_000).map(|_| new("run")).collect();
        // Strictly: this covers both order and uniqueness.
        assert!(ids.is_sorted_by(|earlier, later| earlier < later));
    }

    #[test]
    fn ids_of_all_threads_are_unique_and_sorted_per_thread() {
        let threads: Vec<_> =
            (0..4).map(|_| std::thread::spawn(|| (0..5_000).map(|_| new("a")).collect::<Vec<_>>())).collect();
        let mut all = Vec::new();
        for thread in threads {
            let ids = thread.join().unwrap();
            assert!(ids.is_sorted_by(|earlier, later| earlier < later));
            all.extend(ids);
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 20_000);
    }

    #[test]
    fn an_id_begins_with_its_creation_time() {
        let before = unix_millis();
        let key = idempotency_key();
        let after = unix_millis();
        let made = u128::from_str_radix(&key[..12], 16).unwrap();
        // A busy counter may borrow a millisecond from the future.
        assert!((before..=after + 1).contains(&made), "{before} {made} {after}");
        assert_eq!(key.len(), 32);
        assert!(is_complete(&format!("key_{key}")));
    }

    #[test]
    fn only_the_full_shape_is_complete() {
        let id = "run_step_019aae3c5f2b7c1d8e4f0a1b2c3d4e5f";
        assert!(is_complete(id));
        assert!(is_complete("r2_019aae3c5f2b7c1dbe4f0a1b2c3d4e5f"));
        let wrong = [
            "",
            "_",
            "run",
            "run_",
            "019aae3c5f2b7c1d8e4f0a1b2c3d4e5f",
            "_019aae3c5f2b7c1d8e4f0a1b2c3d4e5f",
            "run-019aae3c5f2b7c1d8e4f0a1b2c3d4e5f",
            "Run_019aae3c5f2b7c1d8e4f0a1b2c3d4e5f",
            "2r_019aae3c5f2b7c1d8e4f0a1b2c3d4e5f",
            "run_019AAE3C5F2B7C1D8E4F0A1B2C3D4E5F",
            "run_019aae3c5f2b7c1d8e4f0a1b2c3d4e5f0",
            "run_019aae3c5f2b7c1d8e4f0a1b2c3d4e5g",
            "run_019aae3c5f2b4c1d8e4f0a1b2c3d4e5f",
            "run_019aae3c5f2b7c1dce4f0a1b2c3d4e5f",
            "run_019aae3c-5f2b-7c1d-8e4f-0a1b2c3d4e5f",
            " run_019aae3c5f2b7c1d8e4f0a1b2c3d4e5f",
            "rün_019aae3c5f2b7c1d8e4f0a1b2c3d4e5f",
            "run_019aae3c5f2b7c1d8e4f0a1b2c3d4eé",
        ];
        for text in wrong {
            assert!(!is_complete(text), "{text:?}");
        }
        for cut in 0..id.len() {
            assert!(!is_complete(&id[..cut]), "{}", &id[..cut]);
        }
        let longest = format!("{}_019aae3c5f2b7c1d8e4f0a1b2c3d4e5f", "p".repeat(MAX_LEN - 33));
        assert!(is_complete(&longest));
        assert!(!is_complete(&format!("p{longest}")));
    }

    proptest! {
        #[test]
        fn new_ids_keep_their_prefix_and_are_complete(prefix in "[a-z][a-z0-9_]{0,20}") {
            let id = new(&prefix);
            prop_assert!(is_complete(&id), "{}", id);
            prop_assert_eq!(&id[..id.len() - 33], prefix);
        }
    }
}
