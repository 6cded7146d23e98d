//! K0: finding an operation by what it is for. It needs nothing but the contract, so clients answer it themselves.

use std::cmp::Reverse;

use crate::families;
use crate::families::core::{FoundOperation, FoundOperations, OperationWanted};
use crate::operation::{Card, Status};

/// Operations in a reply when the caller does not say how many.
const DEFAULT_FOUND: i64 = 5;

/// Words that say nothing about what is wanted.
const STOP_WORDS: &[&str] =
    &["a", "an", "the", "of", "to", "for", "in", "on", "and", "or", "with", "is", "it", "my"];

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

/// How well an operation fits the words of a query: 2 for each word that it has, 1 for each that is part of one.
fn score(card: &Card, query: &[String]) -> u64 {
    let names: Vec<&str> = card.names().collect();
    let haystack = format!("{} {} {}", names.join(" "), card.purpose, card.keywords).to_lowercase();
    let known = words(&haystack);
    query
        .iter()
        .map(|word| {
            if known.iter().any(|other| other == word || singular(other) == word) {
                2
            } else {
                u64::from(haystack.contains(word.as_str()))
            }
        })
        .sum()
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
    let mut scored: Vec<(u64, &Card)> =
        cards.into_iter().map(|card| (score(card, &words), card)).filter(|(score, _)| *score > 0).collect();
    scored.sort_by_key(|(score, card)| (Reverse(*score), card.order()));
    let limit = wanted.limit.filter(|limit| *limit != 0).unwrap_or(DEFAULT_FOUND);
    let kept = match usize::try_from(limit) {
        Ok(limit) => limit,
        // A negative limit leaves that many off the end.
        Err(_) => scored.len().saturating_sub(usize::try_from(limit.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    scored.truncate(kept);
    let records: Vec<_> = scored.into_iter().map(|(score, card)| found(card, Some(score))).collect();
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
