//! Finding chunks by their words, ranked by bm25, or by a text as it is written.
//!
//! Ranking a word that every chunk has would cost as much as reading the whole index, so of the chunks that fit only the
//! newest [`RANKED`] are ranked. Where any word will do, the rarest choose the chunks, so that those are all that fit. A text that is looked for as it is written is narrowed down by the words that must stand
//! in it whole; where there are none, the chunks themselves are read, the newest first, for [`SCANNING`] at the most.

use std::time::{Duration, Instant};

use kaizen_proto::denial::Denial;

use crate::plane::search_index::like_pattern;
use crate::plane::{Cell, ReadTx, Row};

/// Chunks that are ranked at most.
pub const RANKED: i64 = 10_000;
/// How long chunks are read one by one for a text that no index narrows down.
pub const SCANNING: Duration = Duration::from_secs(3);
/// Chunks that are read in one statement.
const WINDOW: i64 = 10_000;
/// What a hit in the text, the headings and the file's name weighs.
const RANK: &str = "bm25(evidence_words, 1.0, 2.0, 3.0)";
/// A shorter beginning of a word narrows nothing down.
const PREFIX: usize = 3;

/// What is shown of a chunk that was found.
const SHOWN: &str = "c.id, c.document_id, c.source_lock_id, d.origin_ref, coalesce(d.state, 'current') AS state, c.context, \
    c.section_path, c.page_no, c.chunk_index, c.neighbor_prev_id, c.neighbor_next_id, c.text";

/// Which chunks count.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Columns of documents, called `d`, and of source locks, called `s`, that must have exactly these values.
    pub equal: Vec<(&'static str, String)>,
    /// A pattern for the path.
    pub path: Option<String>,
    /// When the document was read: from this time on.
    pub since: Option<String>,
    /// When the document was read: before this time.
    pub until: Option<String>,
    /// Superseded versions too.
    pub all_versions: bool,
    /// Test records too.
    pub include_test: bool,
}

impl Filter {
    /// The conditions beside the words, for numbers called `t` and documents and locks as in [`Filter::equal`].
    fn conditions<'a>(&'a self, parameters: &mut Vec<Cell<'a>>) -> String {
        let mut conditions = String::new();
        if !self.all_versions {
            conditions.push_str(" AND t.is_current = 1");
        }
        if !self.include_test {
            conditions.push_str(" AND t.is_test = 0");
        }
        let mut add = |condition: &str, value: &'a str| {
            parameters.push(Cell::Text(value));
            conditions.push_str(&format!(" AND {condition} ${}", parameters.len()));
        };
        for (column, value) in &self.equal {
            add(&format!("{column} ="), value);
        }
        for (condition, value) in [
            ("d.origin_ref GLOB", &self.path),
            ("d.created_at >=", &self.since),
            ("d.created_at <", &self.until),
        ] {
            if let Some(value) = value {
                add(condition, value);
            }
        }
        conditions
    }

    /// The tables that the conditions name.
    fn tables(&self) -> &'static str {
        let of_lock = self.equal.iter().any(|(column, _)| column.starts_with("s."));
        let of_document =
            !self.equal.is_empty() || self.path.is_some() || self.since.is_some() || self.until.is_some();
        match (of_document, of_lock) {
            (_, true) => {
                " CROSS JOIN evidence_documents d ON d.id = t.document_id CROSS JOIN source_locks s ON s.id = d.source_lock_id"
            }
            (true, false) => " CROSS JOIN evidence_documents d ON d.id = t.document_id",
            (false, false) => "",
        }
    }
}

/// A page of what was found.
#[derive(Debug, Default)]
pub struct Page {
    /// The chunks, best first, one more than wanted when there are more.
    pub rows: Vec<Row>,
    /// Whether more fits than was looked at.
    pub is_cut: bool,
}

/// The chunks in which a full-text expression is found, best first: at most `limit` and one more, after the chunk that is
/// named. `score` is higher the better a chunk fits.
///
/// # Errors
/// `DENIED_RECORD_NOT_FOUND` for an unknown `after`, or what SQLite denies.
pub async fn ranked(
    tx: &mut ReadTx,
    filter: &Filter,
    expression: &str,
    (limit, after): (i64, Option<&str>),
) -> Result<Page, Denial> {
    let last = match after {
        Some(after) => Some(place(tx, expression, after).await?),
        None => None,
    };
    let mut parameters = vec![Cell::Text(expression)];
    let conditions = filter.conditions(&mut parameters);
    let inner = format!(
        "SELECT f.rowid AS number, t.chunk_id, {RANK} AS rank FROM evidence_words f \
         CROSS JOIN evidence_numbers t ON t.number = f.rowid{} WHERE evidence_words MATCH $1{conditions} \
         ORDER BY f.rowid DESC LIMIT {RANKED}",
        filter.tables()
    );
    let mut following = String::new();
    if let Some(last) = &last {
        parameters.extend([last.get("rank"), last.get("number")]);
        let at = parameters.len();
        following = format!(" WHERE (r.rank, -r.number) > (${}, -${at})", at - 1);
    }
    parameters.push(Cell::Integer(limit.saturating_add(1)));
    let sql = format!(
        "SELECT {SHOWN}, -b.rank AS score, b.looked FROM (SELECT r.*, count(*) OVER () AS looked FROM ({inner}) r{following} \
         ORDER BY r.rank, r.number DESC LIMIT ${}) b CROSS JOIN evidence_chunks c ON c.id = b.chunk_id \
         CROSS JOIN evidence_documents d ON d.id = c.document_id ORDER BY b.rank, b.number DESC",
        parameters.len()
    );
    let rows = tx.query(&sql, &parameters).await?;
    let is_cut = rows.first().is_some_and(|row| row.integer("looked") >= RANKED);
    Ok(Page { rows, is_cut })
}

/// Of expressions of which any will do, those that choose the chunks best: the rarest, as long as all chunks that have one
/// can be ranked. A question in natural words has some that nearly every chunk has; with them all chunks would fit, and only
/// the newest be ranked. At least one is kept, and none that is found nowhere.
///
/// # Errors
/// What SQLite denies.
pub async fn rarest(tx: &mut ReadTx, expressions: Vec<String>) -> Result<Vec<String>, Denial> {
    let sql = "SELECT count(*) AS chunks FROM (SELECT 1 FROM evidence_words WHERE evidence_words MATCH $1 LIMIT $2)";
    let mut counted = Vec::new();
    for expression in expressions {
        let row = tx.query_row(sql, &[Cell::Text(&expression), Cell::Integer(RANKED + 1)]).await?;
        counted.push((row.map_or(0, |row| row.integer("chunks")), expression));
    }
    Ok(affordable(counted))
}

/// The rarest of these, which together occur in no more chunks than can be ranked.
fn affordable(mut counted: Vec<(i64, String)>) -> Vec<String> {
    counted.retain(|(chunks, _)| *chunks > 0);
    counted.sort_by_key(|(chunks, _)| *chunks);
    let mut together = 0;
    let mut fits = |chunks: i64| {
        let is_first = together == 0;
        together += chunks;
        is_first || together <= RANKED
    };
    counted.into_iter().take_while(|(chunks, _)| fits(*chunks)).map(|(_, expression)| expression).collect()
}

/// Where a chunk stands in the order of a search.
async fn place(tx: &mut ReadTx, expression: &str, id: &str) -> Result<Row, Denial> {
    // The full-text engine takes a rowid that is NULL for none at all, so the number is looked up first.
    let number = Cell::Integer(number_of(tx, id).await?);
    let sql = format!(
        "SELECT f.rowid AS number, {RANK} AS rank FROM evidence_words f WHERE evidence_words MATCH $1 AND f.rowid = $2"
    );
    let place = tx.query_row(&sql, &[Cell::Text(expression), number]).await?;
    place.ok_or_else(|| Denial::record_not_found(id, "evidence_chunks"))
}

/// The number of a chunk in the index.
async fn number_of(tx: &mut ReadTx, id: &str) -> Result<i64, Denial> {
    let sql = "SELECT number FROM evidence_numbers WHERE chunk_id = $1";
    let row = tx.query_row(sql, &[Cell::Text(id)]).await?;
    Ok(row.ok_or_else(|| Denial::record_not_found(id, "evidence_chunks"))?.integer("number"))
}

/// The chunks that hold a text as it is written, the newest first: at most `limit` and one more, after the chunk that is
/// named. Letters from A to Z are found in both cases.
///
/// # Errors
/// `DENIED_RECORD_NOT_FOUND` for an unknown `after`, or what SQLite denies.
pub async fn literal(
    tx: &mut ReadTx,
    filter: &Filter,
    text: &str,
    (limit, after): (i64, Option<&str>),
) -> Result<Page, Denial> {
    let pattern = like_pattern(text);
    let below = match after {
        Some(after) => number_of(tx, after).await?,
        None => i64::MAX,
    };
    let wanted = limit.saturating_add(1);
    if let Some(expression) = whole_words(text) {
        let mut parameters = vec![Cell::Text(&expression), Cell::Text(&pattern), Cell::Integer(below)];
        let conditions = filter.conditions(&mut parameters);
        parameters.push(Cell::Integer(wanted));
        let sql = format!(
            "SELECT {SHOWN} FROM (SELECT f.rowid AS number, c.rowid AS at FROM evidence_words f \
             CROSS JOIN evidence_numbers t ON t.number = f.rowid CROSS JOIN evidence_chunks c ON c.id = t.chunk_id{} \
             WHERE evidence_words MATCH $1 AND c.text LIKE $2 ESCAPE '\\' AND f.rowid < $3{conditions} \
             ORDER BY f.rowid DESC LIMIT ${}) b CROSS JOIN evidence_chunks c ON c.rowid = b.at \
             CROSS JOIN evidence_documents d ON d.id = c.document_id ORDER BY b.number DESC",
            filter.tables(),
            parameters.len()
        );
        return Ok(Page { rows: tx.query(&sql, &parameters).await?, is_cut: false });
    }
    let last = tx.query_row("SELECT max(number) AS number FROM evidence_numbers", &[]).await?;
    let mut below = below.min(last.map_or(0, |last| last.integer("number")).saturating_add(1));
    let began = Instant::now();
    let mut page = Page::default();
    while below > 1 {
        if began.elapsed() > SCANNING {
            page.is_cut = true;
            break;
        }
        let left = wanted - i64::try_from(page.rows.len()).unwrap_or(i64::MAX);
        if left <= 0 {
            break;
        }
        let from = below.saturating_sub(WINDOW).max(1);
        let mut parameters = vec![Cell::Integer(from), Cell::Integer(below), Cell::Text(&pattern)];
        let conditions = filter.conditions(&mut parameters);
        parameters.push(Cell::Integer(left));
        let sql = format!(
            "SELECT {SHOWN} FROM (SELECT t.number, c.rowid AS at FROM evidence_numbers t \
             CROSS JOIN evidence_chunks c ON c.id = t.chunk_id{} WHERE t.number >= $1 AND t.number < $2 \
             AND c.text LIKE $3 ESCAPE '\\'{conditions} ORDER BY t.number DESC LIMIT ${}) b \
             CROSS JOIN evidence_chunks c ON c.rowid = b.at CROSS JOIN evidence_documents d ON d.id = c.document_id \
             ORDER BY b.number DESC",
            filter.tables(),
            parameters.len()
        );
        page.rows.extend(tx.query(&sql, &parameters).await?);
        below = from;
    }
    Ok(page)
}

/// The full-text expression for the words that stand whole in every text that holds this one: those between its first and
/// last word, and the beginning of its last word when something that belongs to no word precedes it. None when nothing is
/// certain. Only letters of ASCII are judged; how the index cuts other texts into words is its own business.
fn whole_words(text: &str) -> Option<String> {
    if !text.is_ascii() {
        return None;
    }
    let mut words: Vec<(usize, usize)> = Vec::new();
    for (at, character) in text.char_indices().filter(|(_, character)| character.is_ascii_alphanumeric()) {
        match words.last_mut() {
            Some((_, end)) if *end == at => *end = at + character.len_utf8(),
            _ => words.push((at, at + character.len_utf8())),
        }
    }
    let certain: Vec<String> = words
        .iter()
        .filter(|(start, _)| *start > 0)
        .filter_map(|(start, end)| {
            let word = &text[*start..*end];
            if *end < text.len() {
                return Some(format!("\"{word}\""));
            }
            (word.len() >= PREFIX).then(|| format!("\"{word}\" *"))
        })
        .collect();
    (!certain.is_empty()).then(|| certain.join(" AND "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_words_do_not_choose_the_chunks() {
        let counted =
            |all: &[(i64, &str)]| all.iter().map(|(chunks, word)| (*chunks, (*word).to_owned())).collect();
        let words = [(RANKED + 1, "the"), (0, "xyzzy"), (RANKED - 10, "file"), (7, "fsync")];
        assert_eq!(affordable(counted(&words)), ["fsync", "file"]);
        assert_eq!(affordable(counted(&[(8, "fsync"), (RANKED - 7, "file")])), ["fsync"]);
        assert_eq!(affordable(counted(&[(RANKED + 1, "the"), (RANKED + 1, "of")])), ["the"]);
        assert!(affordable(counted(&[(0, "xyzzy")])).is_empty());
    }

    #[test]
    fn only_words_that_must_stand_whole_narrow_a_text_down() {
        assert_eq!(whole_words("needle"), None);
        assert_eq!(whole_words("a_b"), None);
        assert_eq!(whole_words("retry_loop").as_deref(), Some("\"loop\" *"));
        assert_eq!(whole_words("in the retry loop.").as_deref(), Some("\"the\" AND \"retry\" AND \"loop\""));
        assert_eq!(whole_words(" x ").as_deref(), Some("\"x\""));
        assert_eq!(whole_words("Zurück zum Anfang"), None);
        assert_eq!(whole_words("%_%"), None);
    }
}
