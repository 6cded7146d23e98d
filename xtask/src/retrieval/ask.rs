//! Every question through E4, and through two plain searches for a part of the text: at which rank is the passage?

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{FOLDER, Question, open};
use crate::place::Project;
use crate::wire::{Line, request};

/// Hits that are looked at.
const DEPTH: usize = 50;
/// Times that each question is asked for the latency.
const TIMES: usize = 5;
/// What part of a passage a chunk must hold in one piece, in hundredths of its letters and digits.
const PART: usize = 60;

/// A chunk: the path of its document, and its text.
type Chunk = (String, String);

/// What a way of searching found of the questions that have an answer.
#[derive(Default)]
struct Score {
    ranks: Vec<Option<usize>>,
}

/// Asks all questions and prints the ranks.
#[expect(clippy::print_stdout, reason = "figures for the terminal")]
pub(super) fn ask(socket: &Path, project: &Project, questions: &[Question]) -> anyhow::Result<()> {
    let database = open(project)?;
    let mut line = Line::bound(socket, project)?;
    let (mut found, mut whole, mut word) = (Score::default(), Score::default(), Score::default());
    let mut times = Vec::new();
    println!(
        "rank of the passage: E4 (its mode), the right file by E4, question as written, longest word as written"
    );
    for question in questions {
        let params = json!({"query": question.text, "limit": DEPTH});
        let reply = line.json("evidence.query", &params)?;
        for _ in 0..TIMES {
            times.push(line.timed(&request("evidence.query", &params))?);
        }
        let mode = reply["mode"].as_str().unwrap_or_default();
        let hits = reply["records"].as_array().map_or(&[][..], Vec::as_slice);
        let (Some(path), Some(excerpt)) = (&question.path, &question.excerpt) else {
            let first = hits.first().map_or("nothing".to_owned(), |hit| {
                format!(
                    "{:.2} {}",
                    hit["score"].as_f64().unwrap_or(0.0),
                    hit["origin_ref"].as_str().unwrap_or_default()
                )
            });
            println!("  {}: no answer; {mode}, {} hits, first {first}", question.id, hits.len());
            continue;
        };
        let path = format!("{FOLDER}/{path}");
        let chunks = texts(&database, hits)?;
        let rank = rank(&chunks, &path, excerpt);
        let file = chunks.iter().position(|(of, _)| *of == path).map(|at| at + 1);
        let as_written = rank_of_literal(&database, &question.text, &path, excerpt)?;
        let longest = longest_word(&question.text);
        let by_word = rank_of_literal(&database, longest, &path, excerpt)?;
        println!(
            "  {}: {:>3} ({mode}, {:.2}) {:>3} {:>3} {:>3} ({longest})",
            question.id,
            shown(rank),
            hits.first().and_then(|hit| hit["score"].as_f64()).unwrap_or(0.0),
            shown(file),
            shown(as_written),
            shown(by_word)
        );
        found.ranks.push(rank);
        whole.ranks.push(as_written);
        word.ranks.push(by_word);
    }
    times.sort_unstable();
    println!("{}", found.summary("E4"));
    println!("{}", whole.summary("question as written"));
    println!("{}", word.summary("longest word as written"));
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or(Duration::ZERO);
    println!(
        "retrieval: E4 with {DEPTH} hits takes {:.1} ms (p50), {:.1} ms (p95)",
        at(50).as_secs_f64() * 1e3,
        at(95).as_secs_f64() * 1e3
    );
    Ok(())
}

impl Score {
    #[expect(clippy::cast_precision_loss, reason = "figures for the terminal")]
    fn summary(&self, name: &str) -> String {
        let count = self.ranks.len().max(1) as f64;
        let within =
            |most: usize| self.ranks.iter().flatten().filter(|rank| **rank <= most).count() as f64 / count;
        let reciprocal = self.ranks.iter().flatten().fold(0.0, |sum, rank| sum + 1.0 / *rank as f64);
        format!(
            "retrieval: {name}: recall@1 {:.2}, @3 {:.2}, @10 {:.2}, @{DEPTH} {:.2}, MRR {:.3} of {} questions",
            within(1),
            within(3),
            within(10),
            within(DEPTH),
            reciprocal / count,
            self.ranks.len()
        )
    }
}

fn shown(rank: Option<usize>) -> String {
    rank.map_or("-".to_owned(), |rank| rank.to_string())
}

/// The chunks of these hits, whole.
fn texts(database: &Connection, hits: &[Value]) -> anyhow::Result<Vec<Chunk>> {
    let mut statement = database.prepare("SELECT text FROM evidence_chunks WHERE id = ?1")?;
    hits.iter()
        .map(|hit| {
            let id = hit["id"].as_str().context("a hit has an id")?;
            let text = statement.query_row([id], |row| row.get(0))?;
            Ok((hit["origin_ref"].as_str().unwrap_or_default().to_owned(), text))
        })
        .collect()
}

/// The rank of the passage among the chunks that hold a text as it is written, the newest first.
fn rank_of_literal(
    database: &Connection,
    text: &str,
    path: &str,
    excerpt: &str,
) -> anyhow::Result<Option<usize>> {
    let pattern: String = text.chars().fold("%".to_owned(), |mut pattern, one| {
        if matches!(one, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(one);
        pattern
    }) + "%";
    let sql = "SELECT d.origin_ref, c.text FROM evidence_chunks c JOIN evidence_documents d ON d.id = c.document_id \
               WHERE c.text LIKE ?1 ESCAPE '\\' ORDER BY c.rowid DESC LIMIT ?2";
    let mut statement = database.prepare_cached(sql)?;
    let depth = i64::try_from(DEPTH)?;
    let chunks = statement
        .query_map(rusqlite::params![pattern, depth], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<Vec<Chunk>, _>>()?;
    Ok(rank(&chunks, path, excerpt))
}

/// The rank, from 1, of the first chunk of this document that holds the passage.
fn rank(chunks: &[Chunk], path: &str, excerpt: &str) -> Option<usize> {
    chunks.iter().position(|(of, text)| of == path && holds(text, excerpt)).map(|at| at + 1)
}

/// Whether most of a passage stands in a text. Letters and digits are compared only, since spaces, marks and the hyphens
/// at the ends of lines depend on who takes a file apart.
fn holds(text: &str, excerpt: &str) -> bool {
    let (text, excerpt) = (letters(text), letters(excerpt));
    longest_common(&text, &excerpt) * 100 >= excerpt.len() * PART
}

fn letters(text: &str) -> Vec<char> {
    text.chars().filter(|one| one.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The length of the longest piece that two texts share.
fn longest_common(one: &[char], other: &[char]) -> usize {
    let mut lengths = vec![0; other.len() + 1];
    let mut longest = 0;
    for left in one {
        // From the end, so that the length before is still that of the row before.
        for (at, right) in other.iter().enumerate().rev() {
            lengths[at + 1] = if left == right { lengths[at] + 1 } else { 0 };
            longest = longest.max(lengths[at + 1]);
        }
    }
    longest
}

/// The longest word of a question, the first of several.
fn longest_word(question: &str) -> &str {
    let mut lengths: HashMap<usize, &str> = HashMap::new();
    for word in question.split(|one: char| !one.is_alphanumeric()) {
        lengths.entry(word.chars().count()).or_insert(word);
    }
    lengths.into_iter().max_by_key(|(length, _)| *length).map_or(question, |(_, word)| word)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_that_holds_most_of_a_passage_counts() {
        let passage = "An explicit fsync on the directory is also needed.";
        assert!(holds("For that an ex‐\nplicit fsync on the di‐\nrectory is also needed. RETURN", passage));
        assert!(holds("fsync on the directory is also needed.", passage));
        assert!(!holds("the directory is also needed.", passage));
        assert!(!holds("needed also is directory the on fsync explicit an", passage));
    }

    #[test]
    fn the_rank_counts_from_one_and_wants_the_right_file() {
        let chunk = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        let chunks = [chunk("b", "the words"), chunk("a", "other"), chunk("a", "the words, really")];
        assert_eq!(rank(&chunks, "a", "The words"), Some(3));
        assert_eq!(rank(&chunks, "c", "The words"), None);
    }

    #[test]
    fn the_longest_word_is_the_first_of_several() {
        assert_eq!(longest_word("Which of four, five?"), "Which");
        assert_eq!(longest_word("ab_cd xy"), "ab");
        assert_eq!(longest_word("?"), "");
    }
}
