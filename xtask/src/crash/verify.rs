//! Comparing what is stored with what was acknowledged. The journal's chain and the hashes of the rows are computed
//! here anew, from the documented format and not by the daemon's code.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use anyhow::Context as _;
use kaizen_proto::canonical_json;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use serde_json::{Map, Value, json};

use super::clients::Acknowledged;

const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Faults that are told in words.
const TOLD: usize = 10;

/// The tables that each operation writes to, in the order of its journal entry, each with whether the row is new.
/// The last part is where its mark stands: table and column.
type Shape = (&'static [(&'static str, bool)], (&'static str, &'static str));

fn shape(operation: &str) -> Option<Shape> {
    Some(match operation {
        "W1" => (&[("tasks", true), ("task_revision", true), ("ledger_events", true)], ("tasks", "title")),
        "W2" => (
            &[("tasks", false), ("task_revision", true), ("ledger_events", true)],
            ("task_revision", "summary"),
        ),
        "W3" => (&[("plans", true), ("plan_revision", true)], ("plans", "title")),
        "W4" => (&[("plans", false), ("plan_revision", true)], ("plan_revision", "summary")),
        "W5" => (&[("subagent_packets", true)], ("subagent_packets", "title")),
        "W8" => (&[("diagnostic_packets", true)], ("diagnostic_packets", "title")),
        "G1" => {
            (&[("gotcha", true), ("gotcha_revision", true), ("ledger_events", true)], ("gotcha", "title"))
        }
        "L1" => (
            &[("learning", true), ("learning_revision", true), ("ledger_events", true)],
            ("learning", "title"),
        ),
        "L2" => (
            &[
                ("learning", true),
                ("learning_revision", true),
                ("gotcha", false),
                ("gotcha_revision", true),
                ("ledger_events", true),
            ],
            ("learning", "status"),
        ),
        "L3" => (
            &[
                ("learned", true),
                ("learned_revision", true),
                ("learning", false),
                ("learning_revision", true),
                ("ledger_events", true),
            ],
            ("learned", "status"),
        ),
        "Q2" => (&[("verification_events", true)], ("verification_events", "summary")),
        "Q3" => (&[("eval_cases", true)], ("eval_cases", "title")),
        "Q4" => (&[("eval_runs", true)], ("eval_runs", "summary")),
        "Q5" => (&[("anti_patterns", true)], ("anti_patterns", "title")),
        "S1" => (&[("source_locks", true)], ("source_locks", "summary")),
        "I1" | "I2" | "I3" | "I4" => (&[("irl_reviews", true)], ("irl_reviews", "summary")),
        "A1" => (&[("artifacts", true)], ("artifacts", "summary")),
        "T1" => (&[("trace_events", true)], ("trace_events", "summary")),
        "T2" => (&[("eval_scores", true)], ("eval_scores", "comment")),
        "O2" => (&[("improvement_proposals", true)], ("improvement_proposals", "title")),
        "X1" => (&[("private_policy", true), ("private_policy_revision", true)], ("private_policy", "title")),
        "X6" => (
            &[("private_policy", false), ("private_policy_revision", true)],
            ("private_policy_revision", "summary"),
        ),
        "R1" => (&[("reports", true)], ("reports", "scope")),
        _ => return None,
    })
}

/// Tables whose rows must be as many as the journal says, each with whether it is searched by words and by substring.
const TABLES: &[(&str, bool, bool)] = &[
    ("tasks", true, true),
    ("task_revision", false, false),
    ("plans", true, true),
    ("plan_revision", false, false),
    ("gotcha", true, true),
    ("gotcha_revision", false, false),
    ("learning", true, true),
    ("learning_revision", false, false),
    ("learned", true, true),
    ("learned_revision", false, false),
    ("ledger_events", true, true),
    ("verification_events", true, true),
    ("subagent_packets", true, true),
    ("diagnostic_packets", true, true),
    ("eval_cases", true, true),
    ("eval_runs", true, false),
    ("anti_patterns", true, true),
    ("source_locks", true, true),
    ("irl_reviews", true, false),
    ("artifacts", true, true),
    ("trace_events", true, false),
    ("eval_scores", true, true),
    ("improvement_proposals", true, true),
    ("private_policy", true, true),
    ("private_policy_revision", false, false),
    ("reports", true, false),
];

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Acknowledged, but not stored as it was acknowledged.
    Lost,
    /// Some of its rows, but not all of them.
    Partial,
    /// Carried out more than once.
    Doubled,
    /// Anything else.
    Other,
}

/// What was found, counted, and the first of it in words.
#[derive(Default)]
pub(super) struct Findings {
    counts: [u64; 4],
    told: usize,
    news: Vec<String>,
}

impl Findings {
    /// Adds a fault.
    pub(super) fn add(&mut self, fault: Fault, what: impl fmt::Display) {
        self.counts[fault as usize] += 1;
        if self.told < TOLD {
            self.told += 1;
            self.news.push(format!("{fault:?}: {what:.2000}"));
        }
    }

    /// How many faults of a kind there are.
    pub(super) fn count(&self, fault: Fault) -> u64 {
        self.counts[fault as usize]
    }

    /// How many faults there are.
    pub(super) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// What was not told yet.
    pub(super) fn news(&mut self) -> Vec<String> {
        std::mem::take(&mut self.news)
    }
}

/// What one journal entry says.
struct Entry {
    seq: i64,
    at: String,
    operation: String,
    chain_hash: String,
    rows: Vec<(String, String, Option<String>)>,
}

/// Follows a data plane from round to round.
pub(super) struct Verifier {
    seq: i64,
    chain_hash: String,
    rows: HashMap<&'static str, i64>,
    /// The mark of every call that is stored.
    marks: HashMap<String, i64>,
}

impl Default for Verifier {
    fn default() -> Self {
        Verifier { seq: 0, chain_hash: GENESIS.to_owned(), rows: HashMap::new(), marks: HashMap::new() }
    }
}

impl Verifier {
    /// Compares what was added since the last round with what was acknowledged in this one. Returns how many calls
    /// that were sent again had been stored before the kill.
    pub(super) fn round(
        &mut self,
        database: &Path,
        acknowledged: &[Acknowledged],
        killed: &str,
        findings: &mut Findings,
    ) -> anyhow::Result<u64> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(database, flags).context("open the database")?;
        // One snapshot, although nobody writes now.
        connection.execute_batch("BEGIN")?;
        check_file(&connection, findings)?;
        let entries = self.journal(&connection, findings)?;
        let mut stored: HashMap<String, &Entry> = HashMap::with_capacity(entries.len());
        for entry in &entries {
            if let Some(mark) = self.entry(&connection, entry, findings)? {
                if let Some(first) = self.marks.insert(mark.clone(), entry.seq) {
                    findings.add(
                        Fault::Doubled,
                        format!("{mark} is stored by entries {first} and {}", entry.seq),
                    );
                }
                stored.insert(mark, entry);
            }
        }
        check_hashes(&connection, &entries, findings)?;
        check_reports(&connection, database, findings)?;
        self.check_counts(&connection, findings)?;
        let mut done = 0;
        for call in acknowledged {
            let entry = stored.remove(&call.call.mark);
            done += u64::from(call.again && entry.is_some_and(|entry| entry.at.as_str() < killed));
            check_call(&connection, call, entry, findings)?;
        }
        for (mark, entry) in stored {
            findings.add(Fault::Other, format!("entry {}, {mark}, was never acknowledged", entry.seq));
        }
        Ok(done)
    }

    /// The entries since the last round, each checked for its place in the chain.
    fn journal(&mut self, connection: &Connection, findings: &mut Findings) -> anyhow::Result<Vec<Entry>> {
        let known = "SELECT chain_hash FROM journal WHERE seq = $1";
        let known: Option<String> = connection.query_row(known, [self.seq], |row| row.get(0)).optional()?;
        if self.seq > 0 && known.as_ref() != Some(&self.chain_hash) {
            findings.add(Fault::Lost, format!("entry {} of an earlier round is not as it was", self.seq));
        }
        let mut entries = Vec::new();
        let mut statement = connection.prepare(
            "SELECT seq, at, operation, task_id, actor, session, rows, prev_hash, chain_hash FROM journal \
             WHERE seq > $1 ORDER BY seq",
        )?;
        let mut found = statement.query([self.seq])?;
        while let Some(row) = found.next()? {
            let seq: i64 = row.get("seq")?;
            let (at, operation): (String, String) = (row.get("at")?, row.get("operation")?);
            let (rows, chain_hash): (String, String) = (row.get("rows")?, row.get("chain_hash")?);
            let parsed: Value = serde_json::from_str(&rows).with_context(|| format!("entry {seq}"))?;
            let text = canonical_json::to_string(&json!({
                "seq": seq, "at": at, "operation": operation, "rows": parsed,
                "task_id": row.get::<_, Option<String>>("task_id")?,
                "actor": row.get::<_, Option<String>>("actor")?,
                "session": row.get::<_, Option<String>>("session")?,
            }));
            let expected = canonical_json::sha256_hex(format!("{}{text}", self.chain_hash).as_bytes());
            if seq != self.seq + 1 || row.get::<_, String>("prev_hash")? != self.chain_hash {
                findings.add(Fault::Other, format!("entry {seq} does not follow entry {}", self.seq));
            } else if chain_hash != expected {
                findings.add(Fault::Other, format!("entry {seq} does not have the hash of what it holds"));
            }
            self.seq = seq;
            self.chain_hash.clone_from(&chain_hash);
            let rows = serde_json::from_value(parsed).with_context(|| format!("entry {seq}: {rows}"))?;
            entries.push(Entry { seq, at, operation, chain_hash, rows });
        }
        let head = "SELECT seq, chain_hash FROM plane_head";
        let head: (i64, String) = connection.query_row(head, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if head != (self.seq, self.chain_hash.clone()) {
            findings.add(Fault::Partial, format!("the head says {head:?}, the journal ends at {}", self.seq));
        }
        Ok(entries)
    }

    /// Checks that an entry names the rows of its operation, and returns its mark.
    fn entry(
        &mut self,
        connection: &Connection,
        entry: &Entry,
        findings: &mut Findings,
    ) -> anyhow::Result<Option<String>> {
        let Some((expected, (table, column))) = shape(&entry.operation) else {
            findings.add(
                Fault::Other,
                format!("entry {} is a {} that nobody called", entry.seq, entry.operation),
            );
            return Ok(None);
        };
        let mut names: Vec<&str> = entry.rows.iter().map(|(table, ..)| table.as_str()).collect();
        let mut wanted: Vec<&str> = expected.iter().map(|(table, _)| *table).collect();
        names.sort_unstable();
        wanted.sort_unstable();
        if names != wanted {
            findings
                .add(Fault::Partial, format!("entry {} ({}) wrote {names:?}", entry.seq, entry.operation));
        }
        for (table, _) in expected.iter().filter(|(_, new)| *new) {
            *self.rows.entry(table).or_insert(0) += 1;
        }
        let Some((_, id, _)) = entry.rows.iter().find(|(name, ..)| name == table) else { return Ok(None) };
        let sql = format!("SELECT {column} FROM {table} WHERE id = $1");
        Ok(connection.prepare_cached(&sql)?.query_row([id], |row| row.get(0)).optional()?)
    }

    /// As many rows as the journal says, and none that it does not know.
    fn check_counts(&self, connection: &Connection, findings: &mut Findings) -> anyhow::Result<()> {
        let mut check = |what: &str, sql: &str, expected: i64| -> anyhow::Result<()> {
            let count: i64 = connection.query_row(sql, [], |row| row.get(0))?;
            if count != expected {
                findings.add(Fault::Partial, format!("{count} {what}, {expected} by the journal"));
            }
            Ok(())
        };
        let count = |table: &str| self.rows.get(table).copied().unwrap_or(0);
        for (table, ..) in TABLES {
            check(table, &format!("SELECT count(*) FROM {table}"), count(table))?;
        }
        check("requests", "SELECT count(*) FROM requests", self.seq)?;
        let by_words = TABLES.iter().filter(|(_, words, _)| *words).map(|(table, ..)| count(table)).sum();
        let by_text = TABLES.iter().filter(|(.., text)| *text).map(|(table, ..)| count(table)).sum();
        check("search_rows", "SELECT count(*) FROM search_rows", by_words)?;
        check("search_words", "SELECT count(*) FROM search_words", by_words)?;
        check("search_text", "SELECT count(*) FROM search_text", by_text)
    }
}

/// SQLite's own checks.
fn check_file(connection: &Connection, findings: &mut Findings) -> anyhow::Result<()> {
    for (sql, good) in [("PRAGMA integrity_check", Some("ok")), ("PRAGMA foreign_key_check", None)] {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let text: String = row.get(0)?;
            if Some(text.as_str()) != good {
                findings.add(Fault::Other, format!("{sql}: {text}"));
            }
        }
    }
    Ok(())
}

/// Every report that has a row has its file. A file without a row may stay behind: nobody was told of it.
fn check_reports(connection: &Connection, database: &Path, findings: &mut Findings) -> anyhow::Result<()> {
    // AI/db/kaizen.db
    let root = database.ancestors().nth(3).context("the project's root")?;
    let mut statement = connection.prepare("SELECT id, path, content_hash FROM reports")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, path, hash): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        match std::fs::read(root.join(&path)) {
            Ok(bytes) if canonical_json::sha256_hex(&bytes) == hash => {}
            Ok(_) => findings.add(Fault::Partial, format!("{path} is not what report {id} says")),
            Err(error) => findings.add(Fault::Partial, format!("{path} of report {id}: {error}")),
        }
    }
    Ok(())
}

/// The rows that the entries name, as the last of them left each one.
fn check_hashes(connection: &Connection, entries: &[Entry], findings: &mut Findings) -> anyhow::Result<()> {
    let named = entries.iter().flat_map(|entry| entry.rows.iter().map(move |row| (row, entry.seq)));
    let last: HashMap<(&str, &str), (&Option<String>, i64)> =
        named.map(|((table, id, hash), seq)| ((table.as_str(), id.as_str()), (hash, seq))).collect();
    for ((table, id), (expected, seq)) in last {
        let stored = row_hash(connection, table, id)?;
        if stored != *expected {
            let state = if stored.is_none() { "is missing" } else { "is not as it was written" };
            findings.add(Fault::Partial, format!("{table} {id} of entry {seq} {state}"));
        }
    }
    Ok(())
}

/// SHA-256 over the canonical JSON of a row's columns that are not NULL.
fn row_hash(connection: &Connection, table: &str, id: &str) -> anyhow::Result<Option<String>> {
    let mut statement = connection.prepare_cached(&format!("SELECT * FROM {table} WHERE id = $1"))?;
    let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut rows = statement.query([id])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let mut object = Map::new();
    for (at, column) in columns.into_iter().enumerate() {
        let value = match row.get_ref(at)? {
            ValueRef::Null => continue,
            ValueRef::Integer(number) => number.into(),
            ValueRef::Real(number) => number.into(),
            ValueRef::Text(text) => std::str::from_utf8(text)?.into(),
            ValueRef::Blob(bytes) => canonical_json::hex(bytes).into(),
        };
        object.insert(column, value);
    }
    Ok(Some(canonical_json::hash(&Value::Object(object))))
}

/// Whether a call is stored as its reply said.
fn check_call(
    connection: &Connection,
    acknowledged: &Acknowledged,
    entry: Option<&Entry>,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let Acknowledged { call, reply, .. } = acknowledged;
    let name = format!("{} {}", call.operation, call.mark);
    let Some(entry) = entry else {
        findings.add(Fault::Lost, format!("{name} was acknowledged with {reply} and is not stored"));
        return Ok(());
    };
    let said: Value = serde_json::from_str(reply)?;
    if (said["seq"].as_i64(), said["chain_hash"].as_str()) != (Some(entry.seq), Some(&entry.chain_hash)) {
        findings.add(Fault::Lost, format!("{name} was acknowledged with {reply} and is entry {}", entry.seq));
        return Ok(());
    }
    for field in ["id", "revision_id"] {
        if let Some(id) = said[field].as_str()
            && !entry.rows.iter().any(|(_, stored, _)| stored == id)
        {
            findings.add(Fault::Partial, format!("{name}: entry {} does not name {id}", entry.seq));
        }
    }
    let kept = "SELECT seq, reply FROM requests WHERE key = $1";
    let kept: Option<(i64, String)> = connection
        .prepare_cached(kept)?
        .query_row([&call.key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if kept != Some((entry.seq, reply.clone())) {
        findings.add(Fault::Partial, format!("{name}: its key keeps {kept:?}"));
    }
    Ok(())
}
