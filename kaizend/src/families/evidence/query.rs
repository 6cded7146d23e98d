//! E4: the passages that answer a question, each with the place that it comes from.

use std::collections::HashMap;

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::evidence::{
    EvidenceFound, EvidenceHit, EvidenceQuery, EvidenceSought, Neighbour,
};
use kaizen_proto::operation::Status;

use crate::families::passage::{self, Term};
use crate::families::record::{self, Window, page_limit, required_query};
use crate::plane::{Cell, ReadTx, Row};
use crate::registry::{Context, ReadOperation};
use crate::search::text::{self, Filter, Page};

/// Hits in a reply when the caller does not say how many.
const DEFAULT_LIMIT: i64 = 10;
/// Hits in a reply at most.
const MAX_LIMIT: i64 = 200;
/// Characters of a snippet, marks not counted.
const SNIPPET: usize = 300;
/// Chunks around a hit that are shown at most, on each side.
const MAX_CONTEXT: i64 = 5;

/// The denial for what needs an embedding model.
pub(super) fn no_embeddings() -> Denial {
    Denial::new(Code::BackendUnconfigured).message("no embedding model is configured")
}

impl ReadOperation for EvidenceQuery {
    fn check(params: &EvidenceSought) -> Result<(), Denial> {
        required_query(params.query.as_ref())?;
        if params.semantic && !params.hybrid {
            return Err(no_embeddings());
        }
        if params.rerank {
            return Err(Denial::new(Code::BackendUnconfigured).message("no model that ranks is configured"));
        }
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        record::check_short(&[
            ("path", &text(&params.path)),
            ("source_id", &text(&params.source_id)),
            ("media_type", &text(&params.media_type)),
        ])?;
        Window::read(params.since.clone(), params.until.clone()).map(drop)
    }

    async fn run(
        _context: &Context,
        tx: &mut ReadTx,
        params: EvidenceSought,
    ) -> Result<EvidenceFound, Denial> {
        let query = required_query(params.query.as_ref())?.to_owned();
        let limit = page_limit(params.limit, DEFAULT_LIMIT);
        let limit = if limit < 0 { MAX_LIMIT } else { limit.min(MAX_LIMIT) };
        let after = record::given(params.after.clone());
        let filter = filter(tx, &params).await?;
        let found = find_in(tx, &filter, &query, params.exact, (limit, after.as_deref())).await?;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let Found { mut mode, page: Page { mut rows, is_cut } } = found;
        let is_last = rows.len() <= wanted;
        rows.truncate(wanted);
        let note = note(&mode, is_cut, params.hybrid, rows.is_empty());
        if params.hybrid {
            "hybrid(lexical-only)".clone_into(&mut mode);
        }
        let next = if is_last { None } else { rows.last().map(|row| row.text("id").to_owned()) };
        let context = params.context.unwrap_or(0).clamp(0, MAX_CONTEXT);
        let mut neighbours = if context > 0 { around(tx, &rows, context).await? } else { HashMap::new() };
        let terms = passage::terms(&query);
        let literal = mode == "like";
        let records: Vec<EvidenceHit> = rows
            .iter()
            .map(|row| {
                let neighbours = (context > 0).then(|| neighbours.remove(row.text("id")).unwrap_or_default());
                hit(row, if literal { Marked::Text(&query) } else { Marked::Terms(&terms) }, neighbours)
            })
            .collect();
        Ok(EvidenceFound { status: Status::Ok, mode, query, count: records.len(), records, next, note })
    }
}

async fn filter(tx: &mut ReadTx, params: &EvidenceSought) -> Result<Filter, Denial> {
    let given = |text: &Option<String>| record::given(text.clone());
    let window = Window::read(params.since.clone(), params.until.clone())?;
    let mut equal = Vec::new();
    if let Some(id) = given(&params.document_id) {
        equal.push(("d.id", record::resolve_read(tx, "evidence_documents", &id).await?));
    }
    if let Some(task) = record::soft_read(tx, "tasks", given(&params.task_id)).await? {
        equal.push(("d.task_id", task));
    }
    for (column, value) in [
        ("d.media_type", &params.media_type),
        ("s.authority_tier", &params.authority_tier),
        ("s.source_id", &params.source_id),
    ] {
        equal.extend(given(value).map(|value| (column, value)));
    }
    Ok(Filter {
        equal,
        path: given(&params.path),
        since: window.since,
        until: window.until,
        all_versions: params.all_versions,
        include_test: params.include_test,
    })
}

struct Found {
    mode: String,
    page: Page,
}

/// Looks for all words, then for any of them, then for the query as it is written; for a single word with something in it
/// that parts words, such as an underscore, first as it is written.
async fn find_in(
    tx: &mut ReadTx,
    filter: &Filter,
    query: &str,
    exact: bool,
    place: (i64, Option<&str>),
) -> Result<Found, Denial> {
    let found = |mode: &str, page| Ok(Found { mode: mode.to_owned(), page });
    let first = (place.0, None);
    // The page before says which way it was by what it found, so the way is found without `after`.
    let is_written = exact || is_one_piece(query);
    if is_written {
        let page = text::literal(tx, filter, query, place).await?;
        let fits = exact || !page.rows.is_empty();
        if fits || (place.1.is_some() && !text::literal(tx, filter, query, first).await?.rows.is_empty()) {
            return found("like", page);
        }
    }
    let terms = passage::terms(query);
    for way in [Way::All, Way::Rarest, Way::Any] {
        let Some(expression) = way.expression(tx, &terms).await? else { continue };
        let page = text::ranked(tx, filter, &expression, first).await?;
        if !page.rows.is_empty() {
            let page =
                if place.1.is_some() { text::ranked(tx, filter, &expression, place).await? } else { page };
            return found(way.mode(), page);
        }
    }
    let page = if is_written { Page::default() } else { text::literal(tx, filter, query, place).await? };
    found("like", page)
}

/// How the words of a query are looked for.
#[derive(Clone, Copy)]
enum Way {
    All,
    /// The rarest words choose the chunks, the others rank them too.
    Rarest,
    /// With a filter, the rarest words may stand in none of the chunks that count.
    Any,
}

impl Way {
    fn mode(self) -> &'static str {
        match self {
            Way::All => "fts",
            Way::Rarest | Way::Any => "fts(any)",
        }
    }

    /// The full-text expression; none when there is nothing to look for this way.
    async fn expression(self, tx: &mut ReadTx, terms: &[Term]) -> Result<Option<String>, Denial> {
        let any = || passage::expression(terms, " OR ");
        Ok(match self {
            Way::All => (!terms.is_empty()).then(|| passage::expression(terms, " AND ")),
            _ if terms.len() < 2 => None,
            Way::Rarest => {
                let each = terms.iter().map(|term| passage::expression(std::slice::from_ref(term), " OR "));
                let rarest = text::rarest(tx, each.collect()).await?;
                (!rarest.is_empty()).then(|| format!("({}) AND ({})", rarest.join(" OR "), any()))
            }
            Way::Any => Some(any()),
        })
    }
}

/// Whether a query is one piece in which something stands that parts words: `a_b`, `std::mem`, `50%`.
fn is_one_piece(query: &str) -> bool {
    let query = query.trim();
    let inner = query.trim_end_matches('*');
    !query.contains(char::is_whitespace)
        && !query.contains('"')
        && (query.contains(['_', '%'])
            || inner
                .trim_matches(|end: char| !end.is_alphanumeric())
                .chars()
                .any(|one| !one.is_alphanumeric()))
}

fn note(mode: &str, is_cut: bool, hybrid: bool, is_empty: bool) -> String {
    let mut notes = Vec::new();
    if hybrid {
        notes.push("No embedding model is configured, so only words were looked for.".to_owned());
    }
    match (mode, is_cut) {
        ("like", true) => notes.push(format!(
            "The search ended after {} s with the newest chunks; a further word, or a filter, makes it shorter.",
            text::SCANNING.as_secs()
        )),
        (_, true) => notes.push(format!("More fits: the newest {} chunks that fit were ranked.", text::RANKED)),
        ("fts(any)", _) => notes.push("No chunk has all the words; these have some of them.".to_owned()),
        ("like", false) if !is_empty => notes.push("The query was looked for as it is written, the newest first.".to_owned()),
        _ => {}
    }
    if is_empty {
        notes.push("Nothing was found.".to_owned());
    }
    if notes.is_empty() {
        notes.push("Best first; E5 --id shows a hit whole.".to_owned());
    }
    notes.join(" ")
}

/// What is marked in a snippet.
#[derive(Clone, Copy)]
enum Marked<'m> {
    Terms(&'m [Term]),
    Text(&'m str),
}

fn hit(row: &Row, marked: Marked<'_>, neighbours: Option<Vec<Neighbour>>) -> EvidenceHit {
    let text = |column: &str| row.optional_text(column).map(str::to_owned);
    let score = row.real("score").unwrap_or(0.0);
    EvidenceHit {
        id: row.text("id").to_owned(),
        document_id: row.text("document_id").to_owned(),
        source_lock_id: text("source_lock_id"),
        origin_ref: row.text("origin_ref").to_owned(),
        state: row.text("state").to_owned(),
        context: text("context"),
        section_path: text("section_path"),
        page_no: Some(row.integer("page_no")).filter(|page| *page > 0),
        chunk_index: row.integer("chunk_index"),
        neighbor_prev_id: text("neighbor_prev_id"),
        neighbor_next_id: text("neighbor_next_id"),
        snippet: match marked {
            Marked::Terms(terms) => passage::snippet(row.text("text"), terms, SNIPPET).0,
            Marked::Text(written) => passage::written(row.text("text"), written, SNIPPET),
        },
        score: (score * 1e6).round() / 1e6,
        neighbours,
    }
}

/// The chunks around each of these, by the hit's id.
async fn around(
    tx: &mut ReadTx,
    rows: &[Row],
    reach: i64,
) -> Result<HashMap<String, Vec<Neighbour>>, Denial> {
    let sql = "SELECT id, chunk_index, text FROM evidence_chunks WHERE document_id = $1 AND chunk_index >= $2 \
               AND chunk_index <= $3 ORDER BY chunk_index";
    let mut around = HashMap::new();
    for row in rows {
        let at = row.integer("chunk_index");
        let parameters =
            [Cell::Text(row.text("document_id")), Cell::Integer(at - reach), Cell::Integer(at + reach)];
        let neighbours: Vec<Neighbour> = tx
            .query(sql, &parameters)
            .await?
            .iter()
            .filter(|neighbour| neighbour.text("id") != row.text("id"))
            .map(|neighbour| Neighbour {
                id: neighbour.text("id").to_owned(),
                offset: neighbour.integer("chunk_index") - at,
                text: neighbour.text("text").to_owned(),
            })
            .collect();
        around.insert(row.text("id").to_owned(), neighbours);
    }
    Ok(around)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_with_something_that_parts_words_is_looked_for_as_it_is_written() {
        for query in ["a_b", "std::mem", "50%", "x86-64", "_", "kaizen.toml"] {
            assert!(is_one_piece(query), "{query}");
        }
        for query in ["word", "word*", "two words", "\"a phrase\"", "done.", "what is a_b"] {
            assert!(!is_one_piece(query), "{query}");
        }
    }
}
