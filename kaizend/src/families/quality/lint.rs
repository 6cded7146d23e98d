//! Q10's rules: words, phrases that say nothing, words that hedge, and sentences that repeat each other.
//!
//! Spans count characters. In a text of ASCII, words are runs of letters, digits and `'`; beyond ASCII every letter of
//! Unicode counts as well.

mod phrases;
mod repeats;
mod text;

use kaizen_proto::families::quality::{FillerHit, HedgeHit, Lint, LintOmitted};
use kaizen_proto::operation::Status;

/// Words that take back what is said.
const HEDGES: &[&str] = &[
    "really",
    "very",
    "just",
    "actually",
    "basically",
    "simply",
    "quite",
    "rather",
    "somewhat",
    "essentially",
    "literally",
    "obviously",
    "clearly",
    "arguably",
    "fairly",
    "pretty",
    "totally",
    "definitely",
    "certainly",
    "honestly",
    "truly",
    "extremely",
    "incredibly",
    "highly",
];

/// The share of hedging words above which a text fails.
const HEDGE_THRESHOLD: f64 = 0.05;
/// Hits of one kind that are listed.
const LISTED: usize = 1000;

/// Checks a text.
pub(crate) fn lint(text: &str, strict: bool) -> Lint {
    let words = text::words(text);
    let gap = if strict { phrases::Gap::White } else { phrases::Gap::OneSpace };
    let mut filler_hits = phrases::find(text, gap);
    let mut hedge_hits: Vec<HedgeHit> = words
        .iter()
        .filter(|word| HEDGES.contains(&word.lower.as_str()))
        .map(|word| HedgeHit { word: word.lower.clone(), span: word.span })
        .collect();
    let sentences = text::sentences(text, strict);
    let mut repeats = repeats::find(&sentences);
    let hedge_density = if words.is_empty() { 0.0 } else { round(ratio(hedge_hits.len(), words.len()), 4) };
    let empty_words = filler_hits.len() + hedge_hits.len();
    let signal_per_token =
        if words.is_empty() { 1.0 } else { round(1.0 - ratio(empty_words, words.len()), 4) };
    let mut reasons = Vec::new();
    if !filler_hits.is_empty() {
        reasons.push(format!("{} phrases that say nothing", filler_hits.len()));
    }
    if hedge_density > HEDGE_THRESHOLD {
        reasons.push(format!("hedge density {hedge_density} is above {HEDGE_THRESHOLD}"));
    }
    if !repeats.pairs.is_empty() {
        let at_least = if repeats.uncompared { "at least " } else { "" };
        reasons.push(format!("{at_least}{} pairs of sentences that say the same", repeats.pairs.len()));
    }
    let note = note(text, strict, &filler_hits);
    let left = |count: usize| count.saturating_sub(LISTED);
    let omitted = LintOmitted {
        filler_hits: left(filler_hits.len()),
        hedge_hits: left(hedge_hits.len()),
        duplicate_sentences: left(repeats.pairs.len()),
        uncompared: repeats.uncompared,
    };
    filler_hits.truncate(LISTED);
    hedge_hits.truncate(LISTED);
    repeats.pairs.truncate(LISTED);
    let complete = LintOmitted { filler_hits: 0, hedge_hits: 0, duplicate_sentences: 0, uncompared: false };
    Lint {
        status: Status::Ok,
        op: "contract-lint".into(),
        verdict: if reasons.is_empty() { "pass" } else { "fail" }.into(),
        word_count: words.len(),
        sentence_count: sentences.len(),
        signal_per_token,
        hedge_density,
        filler_hits,
        hedge_hits,
        duplicate_sentences: repeats.pairs,
        reasons,
        note,
        omitted: (omitted != complete).then_some(omitted),
    }
}

fn note(text: &str, strict: bool, hits: &[FillerHit]) -> String {
    let note = "Advice on wording; a verdict of fail blocks nothing.";
    let spread =
        if strict { 0 } else { phrases::find(text, phrases::Gap::White).len().saturating_sub(hits.len()) };
    match spread {
        0 => note.into(),
        more => format!("{note} --strict finds {more} more phrases, broken by lines or several spaces."),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a text has far fewer words than a float has integers")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

/// Rounds to this many digits, the exact middle to the even one.
fn round(value: f64, digits: usize) -> f64 {
    format!("{value:.digits$}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests;
