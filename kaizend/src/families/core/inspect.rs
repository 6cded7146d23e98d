//! K8: one record of any kind, with its revisions, its links in both directions and the journal entries that changed it.

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::core::{ChangeBrief, InspectedRecord, Link, RecordInspect, RevisionBrief};
use kaizen_proto::families::record::InspectRecord;
use kaizen_proto::operation::Status;
use serde_json::{Map, Value, json};

use crate::families::record::{after_prefix, names_one, required_id};
use crate::plane::references::{REFERENCES, Reference, Strength};
use crate::plane::search_index::{SEARCHED, like_pattern};
use crate::plane::{Cell, ReadTx, Row, value};
use crate::registry::{Context, ReadOperation};

/// Links by one column that are shown.
const LINKS: i64 = 50;
/// Candidates that an ambiguous id is answered with.
const CANDIDATES: i64 = 5;

/// Tables with ids that are not searched, and what people call their records.
const OTHERS: &[(&str, &str)] = &[
    ("gotcha_revision", "revision"),
    ("learning_revision", "revision"),
    ("learned_revision", "revision"),
    ("task_revision", "revision"),
    ("plan_revision", "revision"),
    ("private_policy_revision", "revision"),
    ("evidence_blocks", "block"),
    ("evidence_chunks", "chunk"),
    ("generative_runs", "run"),
    ("agentgateway_events", "gateway-event"),
    ("pii_scan", "pii-scan"),
];

/// All tables whose records have an id, with the name of the kind.
fn tables() -> impl Iterator<Item = (&'static str, &'static str)> {
    SEARCHED.iter().map(|searched| (searched.table, searched.kind)).chain(OTHERS.iter().copied())
}

/// What people call the records of a table.
pub(super) fn kind_of(table: &str) -> &'static str {
    tables().find(|(name, _)| *name == table).map_or("record", |(_, kind)| kind)
}

impl ReadOperation for RecordInspect {
    fn check(params: &InspectRecord) -> Result<(), Denial> {
        required_id(params.id.as_ref()).map(drop)
    }

    async fn run(
        _context: &Context,
        tx: &mut ReadTx,
        params: InspectRecord,
    ) -> Result<InspectedRecord, Denial> {
        let (table, id) = locate(tx, required_id(params.id.as_ref())?).await?;
        let row = tx
            .query_row(&format!("SELECT * FROM {table} WHERE id = $1"), &[Cell::Text(&id)])
            .await?
            .ok_or_else(|| Denial::record_not_found(&id, table))?;
        let revisions = revisions(tx, table, &id).await?;
        let mut links = outgoing(tx, table, &row).await?;
        links.extend(incoming(tx, table, &id).await?);
        let times: Vec<&str> = ["created_at", "updated_at"]
            .iter()
            .filter_map(|column| row.optional_text(column))
            .chain(revisions.iter().map(|revision| revision.created_at.as_str()))
            .collect();
        let journal = changes(tx, &id, &times).await?;
        links.extend(ledger(tx, &id, &times).await?);
        let record: Map<String, Value> =
            row.columns.iter().cloned().zip(row.cells.iter().cloned().map(Value::from)).collect();
        Ok(InspectedRecord {
            status: Status::Ok,
            kind: kind_of(table).into(),
            table: table.into(),
            record,
            revisions,
            links,
            journal,
        })
    }
}

/// The table and the whole id for an id, or an unambiguous start of one, of any table.
async fn locate(tx: &mut ReadTx, given: &str) -> Result<(&'static str, String), Denial> {
    let each: Vec<String> = tables()
        .map(|(table, _)| {
            format!(
                "SELECT * FROM (SELECT '{table}' AS name, id FROM {table} WHERE id >= $1 AND id < $2 ORDER BY id LIMIT {})",
                CANDIDATES + 1
            )
        })
        .collect();
    let found =
        tx.query(&each.join(" UNION ALL "), &[Cell::Text(given), Cell::Text(&after_prefix(given))]).await?;
    let exact = found.iter().find(|row| row.text("id") == given);
    let row = match (exact, found.as_slice()) {
        (Some(row), _) => row,
        (None, [only]) if names_one(given) => only,
        (None, [] | [_]) => return Err(Denial::record_not_found(given, "any table")),
        (None, several) => {
            let candidates: Vec<&str> = several.iter().take(5).map(|row| row.text("id")).collect();
            return Err(Denial::new(Code::IdAmbiguous)
                .with("id", given)
                .with("candidates", json!(candidates)));
        }
    };
    let table = tables().find(|(table, _)| *table == row.text("name"));
    table
        .map(|(table, _)| (table, row.text("id").to_owned()))
        .ok_or_else(|| Denial::record_not_found(given, "any table"))
}

async fn revisions(tx: &mut ReadTx, table: &str, id: &str) -> Result<Vec<RevisionBrief>, Denial> {
    let own = REFERENCES
        .iter()
        .find(|reference| reference.strength == Strength::Revision && reference.parent == table);
    let Some(Reference { child, column, .. }) = own else { return Ok(Vec::new()) };
    let sql = format!(
        "SELECT id, revision_number, created_at, status, summary, source_command, content_hash FROM {child} \
         WHERE {column} = $1 ORDER BY revision_number"
    );
    value::decode_all(tx.query(&sql, &[Cell::Text(id)]).await?)
}

/// What stands for the title of a record in a table, as SQL over `t`.
pub(super) fn title_sql(table: &str) -> &'static str {
    let Some(searched) = SEARCHED.iter().find(|searched| searched.table == table) else {
        return match table {
            "evidence_blocks" | "evidence_chunks" => "substr(t.text, 1, 120)",
            _ => "substr(t.summary, 1, 120)",
        };
    };
    match searched.words[0].first() {
        Some(&"title") => "t.title",
        Some(&"path") => "t.path",
        Some(&"name") => "t.name",
        Some(&"source_id") => "t.source_id",
        Some(&"decision") => "t.decision",
        Some(&"origin_ref") => "t.origin_ref",
        _ => "substr(t.summary, 1, 120)",
    }
}

/// The records that this one names.
async fn outgoing(tx: &mut ReadTx, table: &str, row: &Row) -> Result<Vec<Link>, Denial> {
    let mut links = Vec::new();
    for reference in REFERENCES.iter().filter(|reference| reference.child == table) {
        let Some(named) = row.optional_text(reference.column) else { continue };
        let ids = match reference.strength {
            Strength::SoftList => serde_json::from_str::<Vec<Value>>(named)
                .unwrap_or_default()
                .iter()
                .filter_map(|id| id.as_str().map(str::to_owned))
                .collect(),
            _ => vec![named.to_owned()],
        };
        let sql = format!(
            "SELECT {} AS title FROM {} t WHERE t.id = $1",
            title_sql(reference.parent),
            reference.parent
        );
        for id in ids.into_iter().take(usize::try_from(LINKS).unwrap_or(usize::MAX)) {
            if id == row.text("id") {
                continue;
            }
            let title = tx.query_row(&sql, &[Cell::Text(&id)]).await?;
            links.push(Link {
                direction: "to".into(),
                by: reference.column.into(),
                kind: kind_of(reference.parent).into(),
                id,
                title: title.map(|row| row.text("title").to_owned()),
            });
        }
    }
    Ok(links)
}

/// The records that name this one: one statement for all tables, because each has its price.
async fn incoming(tx: &mut ReadTx, table: &str, id: &str) -> Result<Vec<Link>, Denial> {
    let references: Vec<&Reference> = REFERENCES
        .iter()
        .filter(|reference| reference.parent == table && reference.strength != Strength::Revision)
        .collect();
    if references.is_empty() {
        return Ok(Vec::new());
    }
    // The words of an id, as a phrase, lead to the lists that hold it.
    let phrase = format!("\"{}\"", id.replace('"', "\"\""));
    let listed = like_pattern(&format!("\"{id}\""));
    let each: Vec<String> =
        references.iter().enumerate().map(|(at, reference)| naming(at, reference)).collect();
    let sql = format!("{} ORDER BY at, created_at DESC, id DESC", each.join(" UNION ALL "));
    let mut parameters = vec![Cell::Text(id)];
    if references.iter().any(|reference| reference.strength == Strength::SoftList) {
        parameters.extend([Cell::Text(&phrase), Cell::Text(&listed)]);
    }
    let rows = tx.query(&sql, &parameters).await?;
    let link = |row: &Row| {
        let reference = references.get(usize::try_from(row.integer("at")).ok()?)?;
        Some(from(reference.column, reference.child, row))
    };
    Ok(rows.iter().filter_map(link).collect())
}

/// The newest records that name one by this reference, as SQL, with the number of the reference. `$1` is the id, `$2` the
/// phrase and `$3` the pattern by which it is found in a list.
fn naming(at: usize, reference: &Reference) -> String {
    let Reference { child, key, column, .. } = reference;
    let title = if *child == "generative_run_routes" { "t.route" } else { title_sql(child) };
    let shown = format!("{at} AS at, t.created_at, t.\"{key}\" AS id, {title} AS title");
    if reference.strength == Strength::SoftList {
        return format!(
            "SELECT * FROM (SELECT {shown} FROM search_words f CROSS JOIN search_rows s ON s.number = f.rowid \
             CROSS JOIN {child} t ON t.id = s.record_id WHERE search_words MATCH $2 AND s.record_table = '{child}' \
             AND t.\"{column}\" LIKE $3 ESCAPE '\\' ORDER BY f.rowid DESC LIMIT {LINKS})"
        );
    }
    format!(
        "SELECT * FROM (SELECT {shown} FROM {child} t WHERE t.\"{column}\" = $1 AND t.\"{key}\" <> $1 \
         ORDER BY t.created_at DESC, t.\"{key}\" DESC LIMIT {LINKS})"
    )
}

fn from(column: &str, table: &str, row: &Row) -> Link {
    Link {
        direction: "from".into(),
        by: column.into(),
        kind: kind_of(table).into(),
        id: row.text("id").to_owned(),
        title: row.optional_text("title").map(str::to_owned),
    }
}

/// The ledger events that were written together with the record: their titles end with its id, their times are those of
/// its changes.
async fn ledger(tx: &mut ReadTx, id: &str, times: &[&str]) -> Result<Vec<Link>, Denial> {
    let (places, mut parameters) = list(times);
    let pattern = format!("% {id}");
    parameters.push(Cell::Text(&pattern));
    let sql = format!(
        "SELECT t.id, t.title || ': ' || t.summary AS title FROM ledger_events t WHERE t.created_at IN ({places}) \
         AND t.title LIKE ${} ORDER BY t.created_at DESC, t.id DESC LIMIT {LINKS}",
        parameters.len()
    );
    Ok(tx.query(&sql, &parameters).await?.iter().map(|row| from("title", "ledger_events", row)).collect())
}

/// The journal entries of these times that name the record.
async fn changes(tx: &mut ReadTx, id: &str, times: &[&str]) -> Result<Vec<ChangeBrief>, Denial> {
    let (places, mut parameters) = list(times);
    let named = format!("\"{id}\"");
    parameters.push(Cell::Text(&named));
    let sql = format!(
        "SELECT seq, at, operation, actor, session FROM journal WHERE at IN ({places}) AND instr(rows, ${}) > 0 \
         ORDER BY seq",
        parameters.len()
    );
    value::decode_all(tx.query(&sql, &parameters).await?)
}

/// The newest of these texts as a list of SQL parameters.
fn list<'a>(texts: &[&'a str]) -> (String, Vec<Cell<'a>>) {
    let newest = &texts[texts.len().saturating_sub(500)..];
    let places: Vec<String> = (1..=newest.len()).map(|at| format!("${at}")).collect();
    (places.join(", "), newest.iter().map(|text| Cell::Text(text)).collect())
}
