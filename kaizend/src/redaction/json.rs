//! Texts that are JSON: looked at string by string, so that an escape cannot hide anything, and changed string by
//! string, so that they stay JSON and keep the rest of their spelling.

use std::borrow::Cow;
use std::ops::Range;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::rules::Kind;
use super::{Hit, assigned, places, scan};

/// How deep JSON texts inside strings of JSON texts are followed.
const DEPTH: usize = 4;
/// The class of a value that its key makes a secret.
const BY_NAME: &str = "assigned_secret";

/// A string or a number of a JSON text.
struct Token {
    /// Where it is, quotes included.
    range: Range<usize>,
    /// Its value.
    value: String,
    is_key: bool,
    /// The key that it belongs to.
    key: Option<String>,
    /// The JSON pointer to it.
    at: String,
}

struct Level {
    key: Option<String>,
    index: usize,
    is_object: bool,
    awaits_key: bool,
}

/// The strings and numbers of a text that is JSON and no mere word or number.
fn tokens(text: &str) -> Option<Vec<Token>> {
    if !text.trim_ascii_start().starts_with(['{', '[', '"']) {
        return None;
    }
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    let bytes = text.as_bytes();
    let mut levels: Vec<Level> = Vec::new();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        at += 1;
        match bytes[start] {
            opening @ (b'{' | b'[') => {
                let is_object = opening == b'{';
                levels.push(Level { key: None, index: 0, is_object, awaits_key: is_object });
            }
            b'}' | b']' => drop(levels.pop()),
            b',' => {
                if let Some(level) = levels.last_mut() {
                    level.index += 1;
                    level.awaits_key = level.is_object;
                }
            }
            b'"' => {
                while bytes.get(at).is_some_and(|byte| *byte != b'"') {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
                let value: String = serde_json::from_str(text.get(start..at)?).ok()?;
                let is_key = levels.last().is_some_and(|level| level.awaits_key);
                if let Some(level) = levels.last_mut().filter(|_| is_key) {
                    level.key = Some(value.clone());
                    level.awaits_key = false;
                }
                tokens.push(token(start..at, value, is_key, &levels));
            }
            b'-' | b'0'..=b'9' => {
                while bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
                {
                    at += 1;
                }
                tokens.push(token(start..at, text[start..at].to_owned(), false, &levels));
            }
            _ => {}
        }
    }
    Some(tokens)
}

fn token(range: Range<usize>, value: String, is_key: bool, levels: &[Level]) -> Token {
    let mut at = String::new();
    for level in levels {
        at.push('/');
        match &level.key {
            Some(key) if level.is_object => at.push_str(&key.replace('~', "~0").replace('/', "~1")),
            _ => at.push_str(&level.index.to_string()),
        }
    }
    let key = levels.iter().rev().find_map(|level| level.key.clone()).filter(|_| !is_key);
    Token { range, value, is_key, key, at }
}

impl Token {
    fn is_secret_by_name(&self, kinds: &[Kind]) -> bool {
        kinds.contains(&Kind::Secret)
            && self.key.as_ref().is_some_and(|key| assigned::is_secret_pair(key, &self.value))
    }

    fn holds(&self, hit: &Hit) -> bool {
        self.range.start <= hit.range.start && hit.range.end <= self.range.end
    }
}

/// What was found in a text: its class and its place as a denial lists it.
pub(super) type Found = (&'static str, Value);

/// Looks a text over: as it is and, when it is JSON, string by string.
pub(super) fn examine(text: &str, kinds: &[Kind]) -> Vec<Found> {
    let mut found = Vec::new();
    look(text, kinds, None, DEPTH, &mut found);
    found
}

fn look(text: &str, kinds: &[Kind], at: Option<&str>, depth: usize, found: &mut Vec<Found>) {
    let hits = scan::scan_for(text, kinds);
    found.extend(hits.iter().map(|hit| hit.class).zip(places(text, &hits, at)));
    if depth == 0 {
        return;
    }
    for token in tokens(text).unwrap_or_default() {
        // A pointer is made of keys, which may hold what must not be shown.
        let pointer = scan::mask(&token.at, &[Kind::Secret, Kind::Personal]);
        let pointer = format!("{}{pointer}", at.unwrap_or_default());
        let known = |class: &str| hits.iter().any(|hit| hit.class == class && token.holds(hit));
        if text[token.range.clone()].contains('\\') {
            let mut inner = Vec::new();
            look(&token.value, kinds, Some(&pointer), depth - 1, &mut inner);
            found.extend(inner.into_iter().filter(|(class, _)| !known(class)));
        }
        if token.is_secret_by_name(kinds) && !known(BY_NAME) {
            let range = 0..token.value.len();
            let hit = Hit { class: BY_NAME, kind: Kind::Secret, range };
            found.extend([BY_NAME].into_iter().zip(places(&token.value, &[hit], Some(&pointer))));
        }
    }
}

/// The texts that are found, with their classes, in the spelling that they have once escapes are read.
pub(crate) fn found_texts(text: &str, kinds: &[Kind]) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    collect(text, kinds, DEPTH, &mut found);
    found
}

fn collect(text: &str, kinds: &[Kind], depth: usize, found: &mut Vec<(&'static str, String)>) {
    let hits = scan::scan_for(text, kinds);
    found.extend(hits.into_iter().map(|hit| (hit.class, text[hit.range].to_owned())));
    if depth == 0 {
        return;
    }
    for token in tokens(text).unwrap_or_default() {
        if text[token.range.clone()].contains('\\') {
            collect(&token.value, kinds, depth - 1, found);
        }
        if token.is_secret_by_name(kinds) {
            found.push((BY_NAME, token.value));
        }
    }
}

/// The text with masks in place of what [`examine`] finds. A JSON text stays one.
pub(crate) fn mask<'t>(text: &'t str, kinds: &[Kind]) -> Cow<'t, str> {
    mask_within(text, kinds, DEPTH)
}

fn mask_within<'t>(text: &'t str, kinds: &[Kind], depth: usize) -> Cow<'t, str> {
    let tokens = if depth > 0 { tokens(text) } else { None };
    let Some(tokens) = tokens else { return scan::mask(text, kinds) };
    let hits = scan::scan_for(text, kinds);
    let mut result = String::with_capacity(text.len() + 32);
    let mut copied = 0;
    for token in &tokens {
        // A hit that reaches over several strings, such as a key given line by line, takes all of them.
        let spanning = hits.iter().find(|hit| {
            !token.is_key
                && !token.holds(hit)
                && hit.range.start < token.range.end
                && token.range.start < hit.range.end
        });
        let masked = match spanning.map(|hit| hit.class).or(token.is_secret_by_name(kinds).then_some(BY_NAME))
        {
            Some(class) => Cow::Owned(format!("[REDACTED:{class}]")),
            None => mask_within(&token.value, kinds, depth - 1),
        };
        if masked != token.value {
            result.push_str(&text[copied..token.range.start]);
            result.push_str(&Value::from(masked).to_string());
            copied = token.range.end;
        }
    }
    if copied == 0 && hits.is_empty() {
        return Cow::Borrowed(text);
    }
    result.push_str(&text[copied..]);
    let left = scan::scan_for(&result, kinds);
    let Some(first) = left.first() else { return Cow::Owned(result) };
    // Something stands across the marks of the JSON itself.
    let whole = scan::mask(&result, kinds).into_owned();
    if serde_json::from_str::<IgnoredAny>(&whole).is_ok() {
        return Cow::Owned(whole);
    }
    Cow::Owned(Value::from(format!("[REDACTED:{}]", first.class)).to_string())
}
