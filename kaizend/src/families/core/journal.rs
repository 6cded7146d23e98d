//! K10: the journal as a feed. A reader goes on from the cursor of its last page, and learns when the data plane is no
//! longer the one that it has read.

use kaizen_proto::denial::Denial;
use kaizen_proto::families;
use kaizen_proto::families::core::{JournalEntry, JournalPage, JournalRead, JournalRow, JournalWanted};
use kaizen_proto::feed::{Cursor, Since};
use kaizen_proto::limits::{self, SHORT_BYTES};
use kaizen_proto::operation::Status;

use crate::families::record::page_limit;
use crate::plane::journal::{self, Wanted};
use crate::plane::{ReadTx, Row};
use crate::registry::{Context, ReadOperation};

/// Entries of a page when the caller does not say how many.
const DEFAULT_LIMIT: i64 = 100;
/// Entries of a page at most.
const MAX_LIMIT: i64 = 1000;
/// Rows of an entry that are shown: enough to see what it was about.
const SHOWN_ROWS: i64 = 10;
/// Bytes of a page, above which it ends early: actors and sessions may be long.
const PAGE_BYTES: usize = 1024 * 1024;
/// Bytes of an actor or a session, as `hello` accepts them.
const CALLER_BYTES: usize = 4096;
/// What stands in the journal instead of an operation's code when a migration wrote.
const MIGRATION: &str = "migration";

impl ReadOperation for JournalRead {
    fn check(params: &JournalWanted) -> Result<(), Denial> {
        since(params)?;
        operation(params)?;
        for (field, text, limit) in [
            ("task_id", &params.task_id, SHORT_BYTES),
            ("by_actor", &params.by_actor, CALLER_BYTES),
            ("by_session", &params.by_session, CALLER_BYTES),
        ] {
            limits::check_bytes(field, text.as_deref().unwrap_or_default(), limit)?;
        }
        Ok(())
    }

    async fn run(_context: &Context, tx: &mut ReadTx, params: JournalWanted) -> Result<JournalPage, Denial> {
        let head = journal::head(tx).await?;
        let since = since(&params)?;
        if let Some(since) = &since {
            since.check(&head)?;
        }
        let limit = page_limit(params.limit, DEFAULT_LIMIT);
        let limit = if limit < 0 { MAX_LIMIT } else { limit.min(MAX_LIMIT) };
        let filters = [
            ("task_id", params.task_id.as_deref()),
            ("operation", operation(&params)?),
            ("actor", params.by_actor.as_deref()),
            ("session", params.by_session.as_deref()),
        ];
        let wanted = Wanted {
            since: since.as_ref().map(|since| since.seq),
            // One more than wanted tells whether there is more. The last entries are never followed by more.
            limit: if since.is_some() { limit + 1 } else { limit },
            filters: filters
                .into_iter()
                .filter_map(|(column, value)| Some((column, value.filter(|value| !value.is_empty())?)))
                .collect(),
            rows: SHOWN_ROWS,
        };
        let found = journal::entries(tx, &wanted).await?;
        let all = found.len();
        let mut entries: Vec<JournalEntry> = found.iter().map(entry).collect();
        if since.is_some() {
            let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
            entries.truncate(fitting(entries.iter()).min(wanted));
        } else {
            let kept = fitting(entries.iter().rev());
            entries.drain(..all - kept);
        }
        let more = since.is_some() && entries.len() < all;
        let last = if more { entries.last().map_or(head.seq, |entry| entry.seq) } else { head.seq };
        let cursor = Cursor { plane_id: head.plane_id.clone(), seq: last }.to_string();
        Ok(JournalPage {
            status: Status::Ok,
            plane_id: head.plane_id,
            seq: head.seq,
            count: entries.len(),
            entries,
            cursor,
            more,
        })
    }
}

/// Where the caller stands; an empty text is none.
fn since(params: &JournalWanted) -> Result<Option<Since>, Denial> {
    let given = params.since.as_deref().filter(|text| !text.is_empty());
    given.map(|text| Since::parse("since", text)).transpose()
}

/// The code of the operation that is wanted.
fn operation(params: &JournalWanted) -> Result<Option<&'static str>, Denial> {
    let Some(name) = params.operation.as_deref().filter(|name| !name.is_empty()) else { return Ok(None) };
    if name.eq_ignore_ascii_case(MIGRATION) {
        return Ok(Some(MIGRATION));
    }
    match families::find(name) {
        Some(card) => Ok(Some(card.code)),
        None => Err(Denial::usage(format!("there is no operation {name:.80}"))
            .with("field", "operation")
            .action("Give the code or an alias of an operation; K0 finds one by purpose.")),
    }
}

/// How many of these entries fit into a page: one at least.
fn fitting<'a>(entries: impl Iterator<Item = &'a JournalEntry>) -> usize {
    let mut bytes = 0;
    let fitting = entries.take_while(|entry| {
        let texts = [&entry.task_id, &entry.actor, &entry.session].into_iter().flatten().map(String::len);
        let rows = entry.rows.iter().map(|row| row.table.len() + row.id.len() + 40);
        let first = bytes == 0;
        bytes += 300 + texts.sum::<usize>() + rows.sum::<usize>();
        first || bytes <= PAGE_BYTES
    });
    fitting.count()
}

fn entry(row: &Row) -> JournalEntry {
    let text = |column: &str| row.optional_text(column).map(str::to_owned);
    // What was tampered with does not keep the rest from being read.
    let rows: Vec<(String, String, Option<String>)> =
        serde_json::from_str(row.text("rows")).unwrap_or_default();
    let rows: Vec<JournalRow> =
        rows.into_iter().map(|(table, id, hash)| JournalRow { table, id, deleted: hash.is_none() }).collect();
    let operation = row.text("operation");
    JournalEntry {
        seq: row.integer("seq"),
        at: row.text("at").to_owned(),
        operation: operation.to_owned(),
        alias: families::find(operation).map(|card| card.alias.to_owned()),
        task_id: text("task_id"),
        actor: text("actor"),
        session: text("session"),
        more_rows: row.integer("row_count") - i64::try_from(rows.len()).unwrap_or(0),
        rows,
        chain_hash: row.text("chain_hash").to_owned(),
    }
}
