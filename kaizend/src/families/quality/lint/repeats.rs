//! Sentences that say the same: those that share at least three fifths of their runs of three words.
//!
//! Comparing every pair would take the square of their number. Two sentences can only be alike enough when they share
//! one of the rarest runs of each, so only those are compared.

use std::collections::HashMap;

use kaizen_proto::families::quality::DuplicateSentences;

use super::text;

/// Sentences that are looked at together at most; above it the rest is left uncompared.
const MAX_STEPS: usize = 500_000;

/// What was found.
pub(super) struct Repeats {
    /// The pairs, in the order of the first and then of the second sentence.
    pub(super) pairs: Vec<DuplicateSentences>,
    /// Whether sentences were left uncompared.
    pub(super) uncompared: bool,
}

/// Finds the pairs of sentences that say the same.
pub(super) fn find(sentences: &[&str]) -> Repeats {
    let sets = ranked(sentences);
    let mut holders: HashMap<u32, Vec<usize>> = HashMap::new();
    let mut seen = vec![usize::MAX; sets.len()];
    let mut found = Repeats { pairs: Vec::new(), uncompared: false };
    let mut steps = 0;
    'all: for (at, set) in sets.iter().enumerate() {
        // At least three fifths of the set are shared, so one of these is.
        let telling = set.len() - (3 * set.len()).div_ceil(5) + usize::from(!set.is_empty());
        for run in &set[..telling] {
            let others = holders.entry(*run).or_default();
            for other in others.iter().copied() {
                steps += 1;
                if steps > MAX_STEPS {
                    found.uncompared = true;
                    break 'all;
                }
                if seen[other] == at {
                    continue;
                }
                seen[other] = at;
                let shared = shared(&sets[other], set);
                let all = sets[other].len() + set.len() - shared;
                if 5 * shared >= 3 * all {
                    let jaccard = super::round(super::ratio(shared, all), 3);
                    found.pairs.push(DuplicateSentences { a_index: other, b_index: at, jaccard });
                }
            }
            others.push(at);
        }
    }
    found.pairs.sort_unstable_by_key(|pair| (pair.a_index, pair.b_index));
    found
}

/// The runs of three words of each sentence, as numbers, the rarest first.
fn ranked(sentences: &[&str]) -> Vec<Vec<u32>> {
    let mut words: HashMap<String, u32> = HashMap::new();
    let mut runs: HashMap<[u32; 3], u32> = HashMap::new();
    let mut counts: Vec<u32> = Vec::new();
    let mut sets: Vec<Vec<u32>> = Vec::with_capacity(sentences.len());
    for sentence in sentences {
        let numbers: Vec<u32> = text::words(sentence)
            .into_iter()
            .map(|word| {
                let next = number(words.len());
                *words.entry(word.lower).or_insert(next)
            })
            .collect();
        // No word has this number, so a short sentence is no run of a longer one.
        let none = u32::MAX;
        let mut set: Vec<u32> = match numbers.as_slice() {
            [] => Vec::new(),
            [one] => vec![[*one, none, none]],
            [one, two] => vec![[*one, *two, none]],
            more => more.windows(3).map(|run| [run[0], run[1], run[2]]).collect(),
        }
        .into_iter()
        .map(|run| {
            let next = number(runs.len());
            *runs.entry(run).or_insert(next)
        })
        .collect();
        set.sort_unstable();
        set.dedup();
        counts.resize(runs.len(), 0);
        for run in &set {
            counts[*run as usize] += 1;
        }
        sets.push(set);
    }
    for set in &mut sets {
        set.sort_unstable_by_key(|run| (counts[*run as usize], *run));
    }
    let mut order: Vec<u32> = (0..number(counts.len())).collect();
    order.sort_unstable_by_key(|run| (counts[*run as usize], *run));
    let mut rank = vec![0; order.len()];
    for (place, run) in order.into_iter().enumerate() {
        rank[run as usize] = number(place);
    }
    sets.into_iter().map(|set| set.into_iter().map(|run| rank[run as usize]).collect()).collect()
}

/// A count as a number; a text of this size never has more.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// How many numbers two sorted lists share.
fn shared(left: &[u32], right: &[u32]) -> usize {
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    let mut shared = 0;
    while let (Some(one), Some(other)) = (left.peek(), right.peek()) {
        match one.cmp(other) {
            std::cmp::Ordering::Less => drop(left.next()),
            std::cmp::Ordering::Greater => drop(right.next()),
            std::cmp::Ordering::Equal => {
                shared += 1;
                left.next();
                right.next();
            }
        }
    }
    shared
}
