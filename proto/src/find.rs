//! K0: finding an operation by what it is for. It needs nothing but the contract, so clients answer it themselves.

use std::cmp::Reverse;

use crate::families;
use crate::families::core::{FoundOperation, FoundOperations, OperationWanted};
use crate::operation::{Card, Status};

/// Operations in a reply when the caller does not say how many.
const DEFAULT_FOUND: i64 = 5;

/// Words that say nothing about what is wanted.
const STOP_WORDS: &[&str] = &[
    "a", "an", "the", "this", "that", "of", "to", "for", "in", "on", "and", "or", "with", "is", "are", "was",
    "it", "as", "i", "my", "me", "we", "do", "did", "does", "how", "can", "be",
];

fn words(text: &str) -> Vec<String> {
    text.to_lowercase()
        .split(|character: char| !character.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A word without the plural's `s`.
fn singular(word: &str) -> &str {
    if word.len() > 3 { word.strip_suffix('s').unwrap_or(word) } else { word }
}

/// What the forms of a word have in common, such as `block` of `blocked`, `blocks` and `blocking`, or `verif` of
/// `verify` and `verification`. A short word has one form.
fn stem(word: &str) -> &str {
    const ENDINGS: &[&str] =
        &["ications", "ication", "ings", "ing", "ers", "ies", "ied", "er", "ed", "es", "e", "y", "s"];
    const SHORTEST: usize = 4;
    ENDINGS
        .iter()
        .find_map(|ending| word.strip_suffix(ending).filter(|stem| stem.len() >= SHORTEST))
        .unwrap_or(word)
}

/// How well an operation fits the words of a query: 2 for each word that it has in any form, 1 for each that is part
/// of one. The second figure decides between equals: a word of the name tells more than one of the purpose, and that
/// more than a keyword.
fn score(card: &Card, query: &[String]) -> (u64, u64) {
    let names = card.names().collect::<Vec<_>>().join(" ");
    let parts: Vec<(u64, Vec<String>)> = [(3, names.as_str()), (2, card.purpose), (1, card.keywords)]
        .map(|(weight, text)| (weight, words(text)))
        .into();
    let haystack = format!("{names} {} {}", card.purpose, card.keywords).to_lowercase();
    let has = |known: &[String], word: &str| known.iter().any(|other| stem(other) == stem(word));
    let mut total = (0, 0);
    for word in query {
        let weight: u64 = parts.iter().filter(|(_, known)| has(known, word)).map(|(weight, _)| weight).sum();
        let points = if weight > 0 { 2 } else { u64::from(haystack.contains(word.as_str())) };
        total = (total.0 + points, total.1 + weight);
    }
    total
}

fn found(card: &Card, score: Option<u64>) -> FoundOperation {
    FoundOperation {
        code: card.code.into(),
        alias: card.alias.into(),
        purpose: card.purpose.into(),
        example: card.example.into(),
        score,
    }
}

/// Every operation without a query, else those that fit, the best first.
pub fn operations(wanted: &OperationWanted) -> FoundOperations {
    let mut cards: Vec<&Card> = families::cards().collect();
    cards.sort_by_key(|card| card.order());
    let Some(query) = wanted.query.clone().filter(|query| !query.is_empty()) else {
        let records: Vec<_> = cards.into_iter().map(|card| found(card, None)).collect();
        return FoundOperations {
            status: Status::Ok,
            query: None,
            count: records.len(),
            records,
            required_action: None,
        };
    };
    let all: Vec<String> = words(&query).iter().map(|word| singular(word).to_owned()).collect();
    let telling: Vec<String> =
        all.iter().filter(|word| !STOP_WORDS.contains(&word.as_str())).cloned().collect();
    let words = if telling.is_empty() { all } else { telling };
    let mut scored: Vec<_> = cards.into_iter().map(|card| (score(card, &words), card)).collect();
    scored.retain(|((score, _), _)| *score > 0);
    scored.sort_by_key(|(score, card)| (Reverse(*score), card.order()));
    let limit = wanted.limit.filter(|limit| *limit != 0).unwrap_or(DEFAULT_FOUND);
    let kept = match usize::try_from(limit) {
        Ok(limit) => limit,
        // A negative limit leaves that many off the end.
        Err(_) => scored.len().saturating_sub(usize::try_from(limit.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    scored.truncate(kept);
    let records: Vec<_> = scored.into_iter().map(|((score, _), card)| found(card, Some(score))).collect();
    let required_action = records
        .is_empty()
        .then(|| "Nothing fits; try other words, or K0 without --query for every operation.".to_owned());
    FoundOperations { status: Status::Ok, query: Some(query), count: records.len(), records, required_action }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(query: &str) -> Vec<String> {
        let wanted = OperationWanted { query: Some(query.into()), limit: Some(3) };
        operations(&wanted).records.into_iter().map(|record| record.code).collect()
    }

    #[test]
    fn a_purpose_finds_its_operation() {
        assert!(codes("record a pitfall").contains(&"G1".to_owned()));
        assert!(codes("create task").contains(&"W1".to_owned()));
        assert!(codes("verify chain").contains(&"K1".to_owned()));
    }

    #[test]
    fn what_people_ask_for_is_among_the_first_three() {
        for (query, code) in [
            ("back up", "K3"),
            ("restore", "K11"),
            ("search", "K9"),
            ("delete test data", "K7"),
            ("weekly report", "R8"),
            ("what did I do last week", "R8"),
            ("why is it blocked", "W9"),
            ("why is it blocked", "Q9"),
            ("blocked", "Q9"),
            ("what is blocking", "R4"),
            ("who changed this", "K10"),
            ("what changed", "K10"),
            ("show the history of a record", "K8"),
            ("mark as done", "W2"),
            ("prove that it works", "Q1"),
            ("test results", "Q1"),
            ("verify", "Q2"),
            ("improve a prompt", "O2"),
            ("cite a source", "S1"),
            ("remove a secret", "K12"),
            ("health", "K15"),
            ("move to another machine", "K13"),
            ("where do things stand", "R0"),
            ("take back a rule", "X6"),
            ("list tasks", "W10"),
        ] {
            let found = codes(query);
            assert!(found.contains(&code.to_owned()), "{query}: {found:?} without {code}");
        }
    }

    #[test]
    fn forms_of_a_word_have_one_stem() {
        for forms in
            [&["block", "blocks", "blocked", "blocking"][..], &["verify", "verification", "verifies"]]
        {
            assert!(forms.iter().all(|form| stem(form) == stem(forms[0])), "{forms:?}");
        }
        assert_ne!(stem("task"), stem("text"));
        assert_eq!(stem("use"), "use");
    }

    #[test]
    fn no_hit_says_what_to_do() {
        let wanted = OperationWanted { query: Some("zzqqxxunmatchable".into()), limit: None };
        let found = operations(&wanted);
        assert_eq!(found.count, 0);
        assert!(found.required_action.is_some_and(|action| action.contains("K0")));
    }

    #[test]
    fn without_a_query_every_operation_is_listed_in_order() {
        let found = operations(&OperationWanted::default());
        assert_eq!(found.count, families::cards().count());
        let first: Vec<_> = found.records.iter().take(2).map(|record| record.code.as_str()).collect();
        assert_eq!(first, ["A1", "A2"]);
    }
}
