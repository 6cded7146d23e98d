//! Keeping the digest small: what is shortened and left out, in which order, and how the reader gets it.

use kaizen_proto::families::report::{Digest, DigestPolicy, Omission};
use serde::Serialize;

/// Bytes of the digest as compact JSON at most.
pub(super) const MAX_BYTES: usize = 7500;
/// Bytes of a policy's body that are kept when it is shortened.
const SHORT_BODY: usize = 160;
/// Bytes of any one text that are kept when nothing else helps.
const SHORT_TEXT: usize = 120;

/// Shortens and drops until the digest fits, the least important first: bodies of normal and low policies, then the
/// other policies' bodies, then records from the end of each list in turn, and last of all policies themselves.
/// Critical and high policies keep at least title and summary as long as there is any other way.
pub(super) fn fit(digest: &mut Digest) {
    if size(digest) <= MAX_BYTES {
        return;
    }
    for important in [false, true] {
        for at in (0..digest.policies.len()).rev() {
            if is_important(&digest.policies[at]) == important
                && shorten_body(&mut digest.policies[at], SHORT_BODY)
            {
                note(digest, "policies", 0, 1, "kaizenctl X5 --json");
                if size(digest) <= MAX_BYTES {
                    return;
                }
            }
        }
    }
    if drop_while_large(digest, 2) {
        return;
    }
    while let Some(at) = digest.policies.iter().rposition(|policy| !is_important(policy)) {
        digest.policies.remove(at);
        note(digest, "policies", 1, 0, "kaizenctl X5 --json");
        if size(digest) <= MAX_BYTES {
            return;
        }
    }
    if drop_while_large(digest, 0) {
        return;
    }
    for policy in &mut digest.policies {
        policy.body = None;
    }
    shorten_texts(digest);
    while size(digest) > MAX_BYTES && digest.policies.pop().is_some() {
        note(digest, "policies", 1, 0, "kaizenctl X5 --json");
    }
}

fn size(digest: &Digest) -> usize {
    serde_json::to_string(digest).map_or(usize::MAX, |text| text.len())
}

fn is_important(policy: &DigestPolicy) -> bool {
    matches!(policy.priority.trim().to_lowercase().as_str(), "critical" | "high")
}

fn shorten_body(policy: &mut DigestPolicy, bytes: usize) -> bool {
    policy.body.as_mut().is_some_and(|body| shorten(body, bytes))
}

fn shorten(text: &mut String, bytes: usize) -> bool {
    if text.len() <= bytes {
        return false;
    }
    text.truncate(text.floor_char_boundary(bytes));
    text.push('…');
    true
}

fn shorten_texts(digest: &mut Digest) {
    let mut shortened = 0;
    for policy in &mut digest.policies {
        let title = shorten(&mut policy.title, SHORT_TEXT);
        let summary = shorten(&mut policy.summary, SHORT_TEXT * 2);
        let trigger = shorten(&mut policy.trigger, SHORT_TEXT);
        shortened += usize::from(title || summary || trigger);
    }
    if shortened > 0 {
        note(digest, "policies", 0, shortened, "kaizenctl X5 --json");
    }
}

/// Drops the last record of whichever list is largest until the digest fits, keeping `keep` records of each.
fn drop_while_large(digest: &mut Digest, keep: usize) -> bool {
    while size(digest) > MAX_BYTES {
        // The order breaks ties: tasks are easiest to ask for again, what blocks goes last.
        let sizes = [
            (bytes(&digest.recent_learned), digest.recent_learned.len(), 0),
            (bytes(&digest.active_tasks), digest.active_tasks.len(), 1),
            (bytes(&digest.active_gotchas), digest.active_gotchas.len(), 2),
            (bytes(&digest.blocking_verifications), digest.blocking_verifications.len(), 3),
        ];
        let largest = sizes
            .iter()
            .filter(|(_, length, _)| *length > keep)
            .max_by_key(|(bytes, _, list)| (*bytes, -list));
        let Some((_, _, list)) = largest.copied() else { return false };
        match list {
            0 => {
                digest.recent_learned.pop();
                note(digest, "recent_learned", 1, 0, "kaizenctl L7 --json");
            }
            1 => {
                digest.active_tasks.pop();
                note(digest, "active_tasks", 1, 0, "kaizenctl R0 --since SEQ --json");
            }
            2 => {
                digest.active_gotchas.pop();
                note(digest, "active_gotchas", 1, 0, "kaizenctl G2 --json");
            }
            _ => {
                digest.blocking_verifications.pop();
                note(
                    digest,
                    "blocking_verifications",
                    1,
                    0,
                    "kaizenctl Q9 --conclusion VERIFICATION_FAILED --json",
                );
            }
        }
    }
    true
}

fn bytes<T: Serialize>(list: &[T]) -> usize {
    serde_json::to_string(list).map_or(0, |text| text.len())
}

fn note(digest: &mut Digest, list: &str, left_out: usize, shortened: usize, get: &str) {
    let entry = digest.omitted.entry(list.to_owned()).or_insert_with(|| Omission {
        left_out: None,
        shortened: None,
        get: get.to_owned(),
    });
    if left_out > 0 {
        entry.left_out = Some(entry.left_out.unwrap_or(0) + left_out);
    }
    if shortened > 0 {
        entry.shortened = Some(entry.shortened.unwrap_or(0) + shortened);
    }
}
