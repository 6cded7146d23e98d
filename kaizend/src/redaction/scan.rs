//! Finding and masking: one pass for the keywords of all rules, then the patterns of those whose keywords occur.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::Regex;

use super::rules::{self, Kind, RULES, Rule};

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The class.
    pub class: &'static str,
    /// What the class is about.
    pub kind: Kind,
    /// Where it is, in bytes; both ends are on character boundaries.
    pub range: Range<usize>,
}

/// Rounds of masking after which what is left is masked as one: a mask can make a boundary that shows another hit.
const ROUNDS: usize = 8;
/// Bytes of matches that a check may refuse and that are searched again from within, per byte of text.
const SEARCHED_AGAIN: usize = 8;

struct Keywords {
    automaton: AhoCorasick,
    /// The rules of each keyword, as a set of bits.
    rules: Vec<u64>,
}

static KEYWORDS: LazyLock<Keywords> = LazyLock::new(|| {
    let mut words: Vec<&str> = RULES.iter().flat_map(|rule| rule.keywords.iter().copied()).collect();
    words.sort_unstable();
    words.dedup();
    let rules_of = |word: &&str| {
        let with = RULES.iter().enumerate().filter(|(_, rule)| rule.keywords.contains(word));
        with.fold(0, |set, (at, _)| set | 1 << at)
    };
    let rules = words.iter().map(rules_of).collect();
    let automaton = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        .build(&words)
        .unwrap_or_else(|error| unreachable!("the keywords are constants: {error}"));
    Keywords { automaton, rules }
});

static PATTERNS: [OnceLock<Regex>; RULES.len()] = [const { OnceLock::new() }; RULES.len()];

/// The pattern of a rule, compiled when a keyword of it is first met.
fn pattern(at: usize) -> &'static Regex {
    PATTERNS[at].get_or_init(|| {
        let source = RULES[at].pattern.replace(r"\b", r"(?-u:\b)");
        Regex::new(&source).unwrap_or_else(|error| unreachable!("the patterns are constants: {error}"))
    })
}

pub(super) fn assigned_pattern() -> &'static Regex {
    let at = RULES.iter().position(|rule| rule.class == "assigned_secret");
    pattern(at.unwrap_or_default())
}

/// The rules of these kinds whose keywords occur in a text, as a set of bits.
fn candidates(text: &str, kinds: &[Kind]) -> u64 {
    let wanted = RULES
        .iter()
        .enumerate()
        .filter(|(_, rule)| kinds.contains(&rule.kind))
        .fold(0_u64, |set, (at, _)| set | 1 << at);
    let mut found = 0;
    for word in KEYWORDS.automaton.find_overlapping_iter(text) {
        found |= KEYWORDS.rules[word.pattern().as_usize()] & wanted;
        if found == wanted {
            break;
        }
    }
    found
}

/// Whether a text may hold something of these kinds. False is certain; it is the cheap question to ask first.
pub fn may_hit(text: &str, kinds: &[Kind]) -> bool {
    candidates(text, kinds) != 0
}

/// All that is found of these kinds, by the order of the rules and then by place. Hits of different classes may overlap.
pub fn scan_for(text: &str, kinds: &[Kind]) -> Vec<Hit> {
    let candidates = candidates(text, kinds);
    let mut hits = Vec::new();
    for (at, rule) in RULES.iter().enumerate() {
        if candidates & 1 << at != 0 {
            search(text, rule, pattern(at), &mut hits);
        }
    }
    hits
}

/// All that is found, secrets and personal details.
pub fn scan(text: &str) -> Vec<Hit> {
    scan_for(text, &[Kind::Secret, Kind::Personal])
}

fn search(text: &str, rule: &Rule, pattern: &Regex, hits: &mut Vec<Hit>) {
    let mut from = 0;
    let mut again = text.len().saturating_mul(SEARCHED_AGAIN);
    while from <= text.len() {
        let Some(captures) = pattern.captures_at(text, from) else { return };
        let Some(whole) = captures.get(0).map(|found| found.range()) else { return };
        let judged = match rule.check {
            Some(check) => check(text, &captures),
            None => rules::hit(&captures),
        };
        match judged {
            Some(range) => {
                from = range.end.max(whole.end);
                hits.push(Hit { class: rule.class, kind: rule.kind, range });
            }
            // Another one may begin within a match that was refused.
            None if whole.len() <= again => {
                again -= whole.len();
                from = text.ceil_char_boundary(whole.start + 1);
            }
            None => from = whole.end,
        }
    }
}

/// The names of the classes that are found, each once, in the order of the rules.
pub fn classes(text: &str) -> Vec<&'static str> {
    let mut classes: Vec<&'static str> = scan(text).into_iter().map(|hit| hit.class).collect();
    classes.dedup();
    classes
}

/// The text with `[REDACTED:class]` in place of everything of these kinds. Hits that overlap become one mask, named by
/// the first rule among them. What is returned scans clean.
pub fn mask<'t>(text: &'t str, kinds: &[Kind]) -> Cow<'t, str> {
    let mut masked = Cow::Borrowed(text);
    let mut round = 0;
    loop {
        let mut hits = scan_for(&masked, kinds);
        if hits.is_empty() {
            return masked;
        }
        round += 1;
        if round > ROUNDS {
            let start = hits.iter().map(|hit| hit.range.start).min().unwrap_or_default();
            let end = hits.iter().map(|hit| hit.range.end).max().unwrap_or_default();
            hits.truncate(1);
            hits[0].range = start..end;
        }
        if round > 2 * ROUNDS {
            return Cow::Owned(format!("[REDACTED:{}]", hits[0].class));
        }
        masked = Cow::Owned(replace(&masked, hits));
    }
}

fn replace(text: &str, hits: Vec<Hit>) -> String {
    let mut result = String::with_capacity(text.len() + 32);
    let mut copied = 0;
    for hit in merged(hits) {
        result.push_str(&text[copied..hit.range.start]);
        result.push_str("[REDACTED:");
        result.push_str(hit.class);
        result.push(']');
        copied = hit.range.end;
    }
    result.push_str(&text[copied..]);
    result
}

/// Hits in the order of their places, those that overlap as one.
pub(super) fn merged(hits: Vec<Hit>) -> Vec<Hit> {
    // The sort is stable, so of hits that start together the first rule's comes first.
    let mut ordered: Vec<(usize, Hit)> = hits.into_iter().enumerate().collect();
    ordered.sort_by_key(|(_, hit)| hit.range.start);
    let mut merged: Vec<(usize, Hit)> = Vec::with_capacity(ordered.len());
    for (rank, hit) in ordered {
        match merged.last_mut() {
            Some((best, last)) if hit.range.start < last.range.end => {
                last.range.end = last.range.end.max(hit.range.end);
                if rank < *best {
                    (*best, last.class, last.kind) = (rank, hit.class, hit.kind);
                }
            }
            _ => merged.push((rank, hit)),
        }
    }
    merged.into_iter().map(|(_, hit)| hit).collect()
}
