//! Keeping the digest small: what is shortened and left out, in which order, and how the reader gets it.

use kaizen_proto::families::report::{Digest, DigestPolicy, Omission};
use serde::Serialize;

/// Bytes of the digest as compact JSON at most: 7,500 with the line feed that ends it.
pub(super) const MAX_BYTES: usize = 7499;
/// Bytes of a policy's body that are kept when it is shortened.
const SHORT_BODY: usize = 160;
/// Bytes of any one text that are kept when nothing else helps, in steps.
const SHORT_TEXTS: [usize; 3] = [120, 60, 30];
/// Shows more of the active tasks.
const TASKS: &str = "kaizenctl W10 --status active --limit 50 --json";

/// Shortens and drops until the digest fits, the least important first: bodies of normal and low policies, then the
/// other policies' bodies, then records from the end of each list in turn, then normal and low policies themselves.
/// Critical and high policies keep at least the beginning of title and summary.
pub(super) fn fit(digest: &mut Digest, only: Option<&str>) {
    let mut total = size(digest);
    if total <= MAX_BYTES {
        return;
    }
    // A search finds what the paths would say.
    if let Some(evidence) = &mut digest.evidence
        && !evidence.paths.is_empty()
    {
        evidence.paths.clear();
        total = size(digest);
        if total <= MAX_BYTES {
            return;
        }
    }
    if only == Some("active_tasks") {
        // Asked for alone: more of them beat whole texts.
        let mut shortened = 0;
        for task in &mut digest.active_tasks {
            let title = shorten(&mut task.title, SHORT_TEXTS[0]);
            shortened += usize::from(shorten(&mut task.summary, SHORT_TEXTS[0]) || title);
        }
        let get = TASKS.to_owned();
        digest
            .omitted
            .insert("active_tasks".into(), Omission { left_out: None, shortened: Some(shortened), get });
        total = size(digest);
        if total <= MAX_BYTES {
            return;
        }
    }
    let whole = digest.policies.clone();
    for important in [false, true] {
        for at in (0..digest.policies.len()).rev() {
            let policy = &mut digest.policies[at];
            let before = bytes(policy);
            if is_important(policy) != important || !shorten_body(policy, SHORT_BODY) {
                continue;
            }
            total -= before - bytes(policy);
            // Writing the whole digest to measure it is what costs, so that is left until it can fit.
            if total <= MAX_BYTES && fits(digest, &whole) {
                return;
            }
        }
    }
    // The note on the policies must be there before records are dropped.
    if fits(digest, &whole) || drop_while_large(digest, 2) {
        return;
    }
    total = size(digest);
    while let Some(at) = digest.policies.iter().rposition(|policy| !is_important(policy)) {
        total -= bytes(&digest.policies.remove(at));
        if total <= MAX_BYTES && fits(digest, &whole) {
            return;
        }
    }
    if fits(digest, &whole) || drop_while_large(digest, 0) {
        return;
    }
    for policy in &mut digest.policies {
        policy.body = None;
    }
    for bytes in SHORT_TEXTS {
        for policy in &mut digest.policies {
            shorten_texts(policy, bytes);
        }
        if fits(digest, &whole) {
            return;
        }
    }
    // Only ids of an unheard-of length can lead here.
    while !fits(digest, &whole) && digest.policies.pop().is_some() {}
}

fn size(digest: &Digest) -> usize {
    serde_json::to_string(digest).map_or(usize::MAX, |text| text.len())
}

/// Whether the digest fits, with the note on its policies brought up to date.
fn fits(digest: &mut Digest, whole: &[DigestPolicy]) -> bool {
    let count = |number: usize| (number > 0).then_some(number);
    let shortened = digest.policies.iter().filter(|policy| !whole.contains(policy)).count();
    let omission = Omission {
        left_out: count(whole.len() - digest.policies.len()),
        shortened: count(shortened),
        get: "kaizenctl X5 --json".into(),
    };
    digest.omitted.insert("policies".into(), omission);
    size(digest) <= MAX_BYTES
}

fn is_important(policy: &DigestPolicy) -> bool {
    matches!(policy.priority.trim().to_lowercase().as_str(), "critical" | "high")
}

fn shorten_body(policy: &mut DigestPolicy, bytes: usize) -> bool {
    policy.body.as_mut().is_some_and(|body| shorten(body, bytes))
}

fn shorten_texts(policy: &mut DigestPolicy, bytes: usize) {
    // White space around a priority means nothing, and can be long.
    policy.priority = policy.priority.trim().to_owned();
    shorten(&mut policy.title, bytes);
    shorten(&mut policy.summary, bytes * 2);
    shorten(&mut policy.trigger, bytes);
}

/// Cuts a text to so many bytes as JSON writes them.
fn shorten(text: &mut String, bytes: usize) -> bool {
    let mut used = 0;
    let end = text.char_indices().find_map(|(at, character)| {
        used += json_bytes(character);
        (used > bytes).then_some(at)
    });
    let Some(end) = end else { return false };
    text.truncate(end);
    text.push('…');
    true
}

/// Bytes that a character takes in a JSON text.
fn json_bytes(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..' ' => 6,
        other => other.len_utf8(),
    }
}

/// Drops the last record of whichever list is largest until the digest fits, keeping `keep` records of each.
fn drop_while_large(digest: &mut Digest, keep: usize) -> bool {
    // At most this is left; the notes add to it.
    let mut total = size(digest);
    let mut lists = [
        bytes(&digest.recent_learned),
        bytes(&digest.active_tasks),
        bytes(&digest.active_gotchas),
        bytes(&digest.blocking_verifications),
    ];
    while total > MAX_BYTES {
        let lengths = [
            digest.recent_learned.len(),
            digest.active_tasks.len(),
            digest.active_gotchas.len(),
            digest.blocking_verifications.len(),
        ];
        // The order breaks ties: tasks are easiest to ask for again, what blocks goes last.
        let largest =
            (0..lists.len()).rev().filter(|list| lengths[*list] > keep).max_by_key(|list| lists[*list]);
        let Some(list) = largest else { return false };
        let (dropped, name, get) = match list {
            0 => (
                digest.recent_learned.pop().map(|record| bytes(&record)),
                "recent_learned",
                "kaizenctl L7 --json",
            ),
            1 => (digest.active_tasks.pop().map(|record| bytes(&record)), "active_tasks", TASKS),
            2 => (
                digest.active_gotchas.pop().map(|record| bytes(&record)),
                "active_gotchas",
                "kaizenctl G2 --json",
            ),
            _ => (
                digest.blocking_verifications.pop().map(|record| bytes(&record)),
                "blocking_verifications",
                "kaizenctl Q9 --json",
            ),
        };
        note(digest, name, get);
        let dropped = dropped.unwrap_or(0);
        lists[list] -= dropped;
        total -= dropped;
        if total <= MAX_BYTES {
            total = size(digest);
        }
    }
    true
}

fn bytes<T: Serialize + ?Sized>(value: &T) -> usize {
    serde_json::to_string(value).map_or(0, |text| text.len())
}

fn note(digest: &mut Digest, list: &str, get: &str) {
    let entry = digest.omitted.entry(list.to_owned()).or_insert_with(|| Omission {
        left_out: None,
        shortened: None,
        get: get.to_owned(),
    });
    entry.left_out = Some(entry.left_out.unwrap_or(0) + 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortened_text_is_as_short_as_json_writes_it() {
        for piece in ["x", "ü", "☃", "🦀", "\"", "\\", "\n", "\u{1}", "\u{1f}", "\u{7f}", "a\"ü\u{1}"] {
            let text = piece.repeat(20);
            let json = |text: &str| serde_json::to_string(text).map_or(usize::MAX, |json| json.len() - 2);
            for bytes in 0..=json(&text) {
                let mut short = text.clone();
                let cut = shorten(&mut short, bytes);
                assert_eq!(cut, bytes < json(&text), "{piece:?} {bytes}");
                let kept = if cut { short.trim_end_matches('…') } else { &short };
                assert!(text.starts_with(kept) && json(kept) <= bytes, "{piece:?} {bytes}");
                let next = text[kept.len()..].chars().next().map_or(0, json_bytes);
                assert!(!cut || json(kept) + next > bytes, "{piece:?} {bytes}: more would fit");
            }
        }
    }
}
