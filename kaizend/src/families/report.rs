//! Reports (R): the digest that a session starts from, and documents for people.

mod budget;
mod period;
mod sections;
pub(super) mod selection;
mod written;

use std::collections::BTreeMap;

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::report::{
    Digest, DigestCounts, DigestEvidence, DigestWanted, LISTS, SessionDigest,
};
use kaizen_proto::operation::Status;
use kaizen_proto::time::Timestamp;
use serde_json::json;

use super::policy::RANK;
use super::record::page_limit;
use crate::plane::counters::{self, DEFINITIONS, OPEN_BLOCKERS, hour};
use crate::plane::{Cell, ReadTx, value};
use crate::registry::{Context, ReadOperation, Registry};

/// Records in each list when the caller does not say how many.
const DEFAULT_LIMIT: i64 = 5;
/// Records in each list at most: the reply is small whatever is asked for.
const MAX_LIMIT: i64 = 200;
/// Policies that are read for the digest.
const POLICIES: i64 = 20;
/// Documents that are counted for the digest.
const COUNTED: i64 = 1_000;
/// Paths of documents in the digest.
const PATHS: i64 = 5;
/// Days of the recent counts.
const RECENT_DAYS: i64 = 7;

/// Registers the handlers.
pub fn register(registry: &mut Registry) {
    registry.read::<SessionDigest>();
    written::register(registry);
}

impl ReadOperation for SessionDigest {
    fn check(params: &DigestWanted) -> Result<(), Denial> {
        match params.only.as_deref() {
            Some(only) if !only.is_empty() && !LISTS.contains(&only) => Err(Denial::new(Code::SchemaEnum)
                .with("record_type", "digest")
                .with("field", "only")
                .with("value", only)
                .with("allowed", json!(LISTS))),
            _ => Ok(()),
        }
    }

    async fn run(_context: &Context, tx: &mut ReadTx, params: DigestWanted) -> Result<Digest, Denial> {
        let limit = page_limit(params.limit, DEFAULT_LIMIT);
        let limit = if limit < 0 { MAX_LIMIT } else { limit.min(MAX_LIMIT) };
        let since = since(tx, params.since).await?;
        let mut digest = Digest {
            status: Status::Ok,
            message: "Session digest: the state of this project as recorded.".into(),
            policies: Vec::new(),
            active_gotchas: Vec::new(),
            blocking_verifications: Vec::new(),
            recent_learned: Vec::new(),
            active_tasks: Vec::new(),
            evidence: evidence(tx, &since, params.include_test).await?,
            counts: counts(tx, params.include_test).await?,
            omitted: BTreeMap::new(),
            seq: 0,
            required_action:
                "Work within the policies; load R0 after compaction, and K0 --query finds an operation."
                    .into(),
        };
        // A list that is not wanted is read with the limit 0.
        let window = |list: &str, limit: i64| {
            let wanted = params.only.as_deref().is_none_or(|only| only.is_empty() || only == list);
            let limit = if wanted { limit } else { 0 };
            [Cell::Integer(limit), Cell::Text(&since), Cell::from(params.include_test)]
        };
        let policies = format!(
            "SELECT id, priority, \"trigger\", title, summary, body FROM private_policy \
             WHERE status = 'active' AND updated_at > $2 AND is_test <= $3 ORDER BY {RANK}, created_at DESC, id DESC LIMIT $1"
        );
        digest.policies = value::decode_all(tx.query(&policies, &window("policies", POLICIES)).await?)?;
        digest.active_gotchas = value::decode_all(
            tx.query(
                "SELECT id, title, summary, created_at FROM gotcha WHERE status = 'active' AND updated_at > $2 \
                 AND is_test <= $3 ORDER BY created_at DESC, id DESC LIMIT $1",
                &window("active_gotchas", limit),
            )
            .await?,
        )?;
        digest.blocking_verifications = value::decode_all(
            tx.query(
                &format!(
                    "SELECT v.id, v.task_id, v.conclusion, v.severity, v.actionability, v.summary, v.created_at \
                     FROM {} b JOIN verification_events v ON v.id = b.verification_id \
                     WHERE b.created_at > $2 AND v.is_test <= $3 \
                     ORDER BY b.created_at DESC, b.verification_id DESC LIMIT $1",
                    blockers(params.include_test, tx.is_small())
                ),
                &window("blocking_verifications", limit),
            )
            .await?,
        )?;
        digest.recent_learned = value::decode_all(
            tx.query(
                "SELECT id, title, summary, created_at FROM learned WHERE updated_at > $2 AND is_test <= $3 \
                 ORDER BY created_at DESC, id DESC LIMIT $1",
                &window("recent_learned", limit),
            )
            .await?,
        )?;
        digest.active_tasks = value::decode_all(
            tx.query(
                "SELECT id, title, status, summary, updated_at FROM tasks WHERE status = 'active' AND updated_at > $2 \
                 AND is_test <= $3 ORDER BY updated_at DESC, id DESC LIMIT $1",
                &window("active_tasks", limit),
            )
            .await?,
        )?;
        digest.seq = tx.seq();
        budget::fit(&mut digest, params.only.as_deref());
        Ok(digest)
    }
}

/// Documents that changed after a time, or in the last days when none is named.
async fn evidence(
    tx: &mut ReadTx,
    since: &str,
    include_test: bool,
) -> Result<Option<DigestEvidence>, Denial> {
    let recent = Timestamp::now().minus_days(RECENT_DAYS).to_string();
    let since = if since.is_empty() { &recent } else { since };
    let sql = "SELECT origin_ref, state, count(*) OVER () AS changed, \
               sum(state = 'missing') OVER () AS missing FROM \
               (SELECT origin_ref, state, updated_at, id FROM evidence_documents WHERE updated_at > $1 AND is_test <= $2 \
                AND state IN ('current', 'missing') ORDER BY updated_at DESC, id DESC LIMIT $3) \
               ORDER BY updated_at DESC, id DESC LIMIT $4";
    let parameters =
        [Cell::Text(since), Cell::from(include_test), Cell::Integer(COUNTED), Cell::Integer(PATHS)];
    let rows = tx.query(sql, &parameters).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    Ok(Some(DigestEvidence {
        changed: first.integer("changed"),
        missing: first.integer("missing"),
        paths: rows.iter().map(|row| row.text("origin_ref").to_owned()).collect(),
        get: "kaizenctl E4 --query WORDS --json".into(),
    }))
}

/// The time of a journal entry, after which changes are wanted; before all times when none is named.
async fn since(tx: &mut ReadTx, seq: Option<i64>) -> Result<String, Denial> {
    let Some(seq) = seq else { return Ok(String::new()) };
    let sql = "SELECT at FROM journal WHERE seq <= $1 ORDER BY seq DESC LIMIT 1";
    Ok(tx
        .query_row(sql, &[Cell::Integer(seq)])
        .await?
        .map_or_else(String::new, |row| row.text("at").to_owned()))
}

/// Where the verifications that block come from: the list that is kept, or all of them judged anew when those of test
/// records, which never enter that list, are wanted too.
fn blockers(include_test: bool, is_small: bool) -> String {
    if include_test {
        format!("({})", OPEN_BLOCKERS.replace("b.is_test = 0", "true").replace("AND a.is_test = 0", ""))
    } else if is_small {
        format!("({OPEN_BLOCKERS})")
    } else {
        "open_blockers".into()
    }
}

async fn counts(tx: &mut ReadTx, include_test: bool) -> Result<DigestCounts, Denial> {
    let cutoff = Timestamp::now().minus_days(RECENT_DAYS);
    let mut counts = DigestCounts {
        policies_active: 0,
        gotchas_active: 0,
        blocking_verifications: 0,
        learned_total: 0,
        tasks_active: 0,
        active_tasks_without_ledger: 0,
        ledger_events_last_7d: 0,
        verifications_last_7d: 0,
    };
    // Whole hours come from the counters; the hour that the cut-off lies in is counted row by row.
    let rows = if include_test || tx.is_small() {
        let each: Vec<String> = DEFINITIONS
            .iter()
            .map(|(name, sql)| {
                let sql = if include_test {
                    sql.replace("AND is_test = 0", "").replace("WHERE is_test = 0", "")
                } else {
                    (*sql).to_owned()
                };
                format!("SELECT '{name}' AS name, bucket, value FROM ({sql})")
            })
            .collect();
        let sql = format!(
            "SELECT name, sum(value) AS value FROM ({}) WHERE bucket = 0 OR bucket > $1 GROUP BY name",
            each.join(" UNION ALL ")
        );
        tx.query(&sql, &[Cell::Integer(hour(cutoff))]).await?
    } else {
        // Each count by its own key: counts over time have a row for every hour there ever was.
        let each: Vec<String> = DEFINITIONS
            .iter()
            .map(|(name, _)| {
                format!(
                    "SELECT '{name}' AS name, \
                     coalesce((SELECT value FROM counters WHERE name = '{name}' AND bucket = 0), 0) \
                     + coalesce((SELECT sum(value) FROM counters WHERE name = '{name}' AND bucket > $1), 0) AS value"
                )
            })
            .collect();
        let sql = each.join(" UNION ALL ");
        tx.query(&sql, &[Cell::Integer(hour(cutoff))]).await?
    };
    for row in &rows {
        let place = match row.text("name") {
            counters::POLICIES_ACTIVE => &mut counts.policies_active,
            counters::GOTCHAS_ACTIVE => &mut counts.gotchas_active,
            counters::LEARNED_TOTAL => &mut counts.learned_total,
            counters::TASKS_ACTIVE => &mut counts.tasks_active,
            counters::TASKS_WITHOUT_LEDGER => &mut counts.active_tasks_without_ledger,
            counters::LEDGER_EVENTS => &mut counts.ledger_events_last_7d,
            counters::VERIFICATIONS => &mut counts.verifications_last_7d,
            _ => continue,
        };
        *place = row.integer("value");
    }
    let end = Timestamp::from_micros((hour(cutoff) + 1) * 3_600_000_000).to_string();
    let cutoff = cutoff.to_string();
    let edge = [Cell::Text(&cutoff), Cell::Text(&end), Cell::from(include_test)];
    let sql = "SELECT (SELECT count(*) FROM ledger_events WHERE created_at >= $1 AND created_at < $2 AND is_test <= $3) AS ledger, \
               (SELECT count(*) FROM verification_events WHERE created_at >= $1 AND created_at < $2 AND is_test <= $3) AS verifications, \
               (SELECT count(*) FROM {blockers}) AS blocking";
    let sql = sql.replace("{blockers}", &blockers(include_test, tx.is_small()));
    if let Some(row) = tx.query_row(&sql, &edge).await? {
        counts.ledger_events_last_7d += row.integer("ledger");
        counts.verifications_last_7d += row.integer("verifications");
        counts.blocking_verifications = row.integer("blocking");
    }
    Ok(counts)
}
