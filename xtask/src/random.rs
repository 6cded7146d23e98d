//! Random numbers that a seed repeats, and texts made of them.

/// SplitMix64: small, fast, and good enough to spread test data.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

/// Words of the texts. Enough of them for trigrams that differ, few enough for words that repeat.
const WORDS: &[&str] = &[
    "retry", "socket", "journal", "ledger", "commit", "writer", "reader", "batch", "queue", "page", "index",
    "hash", "chain", "frame", "digest", "policy", "lesson", "gotcha", "plan", "proof", "the", "a", "of",
    "when", "after", "before", "server", "restarts", "hangs", "fails", "holds", "under", "load", "path",
    "too", "long", "bind", "name", "short", "keeps", "every", "call", "reply", "waits", "disk", "full",
    "error", "remedy", "review", "agent", "task", "schema", "column", "trigger", "timeout", "deadline",
    "snapshot", "backup", "restore", "export", "build", "cache", "parser", "token",
];

impl Random {
    /// The sequence of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A sequence of its own that follows from this one.
    pub(crate) fn fork(&mut self) -> Self {
        Random(self.next())
    }

    /// A text of this many words.
    pub(crate) fn words(&mut self, count: u64) -> String {
        let words: Vec<&str> =
            (0..count).map(|_| WORDS[usize::try_from(self.below(WORDS.len() as u64)).unwrap_or(0)]).collect();
        words.join(" ")
    }
}
