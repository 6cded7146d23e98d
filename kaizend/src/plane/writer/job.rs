//! One job of a batch: its savepoint, its journal entry, and the reply that its key keeps.

use std::panic::{AssertUnwindSafe, catch_unwind};

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::time::Timestamp;

use super::{Job, Outcome, RequestKey, Writer};
use crate::plane::value::Cell;
use crate::plane::write_tx::{WriteTx, execute, query};
use crate::plane::{fault, journal};

impl Writer {
    pub(super) fn job(&mut self, job: &mut Job) -> Outcome {
        if let Some(key) = &job.key
            && let Some(known) = self.known_reply(key)?
        {
            return known;
        }
        let storage = |error: rusqlite::Error| fault::from_rusqlite("open a savepoint", &error);
        execute(&self.connection, "SAVEPOINT job", &[]).map_err(storage)?;
        // The clock may step back; the times of a plane never do.
        let at = Timestamp::now().later_of(Timestamp::from_micros(self.last_at.micros() + 1));
        let mut tx = WriteTx::new(&self.connection, &self.tables, at.to_string());
        let applied = catch_unwind(AssertUnwindSafe(|| (job.apply)(&mut tx))).unwrap_or_else(|panic| {
            let cause = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let cause = cause.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Err(fault::unexpected("carry out the operation", &format!("{} panicked: {cause}", job.operation)))
        });
        let applied = applied.and_then(|reply| tx.seal_groups().map(|()| reply));
        let sealed = match applied {
            Ok(reply) => {
                let part = Part {
                    rows: std::mem::take(&mut tx.rows),
                    task_id: tx.task_id.take(),
                    warnings: std::mem::take(&mut tx.warnings),
                };
                let (deltas, indexed) = (std::mem::take(&mut tx.deltas), std::mem::take(&mut tx.indexed));
                drop(tx);
                self.seal(job, part, &at.to_string(), reply).map(|sealed| (sealed, deltas, indexed))
            }
            Err(denial) => Err(denial),
        };
        match sealed {
            Ok((sealed, deltas, indexed)) => {
                execute(&self.connection, "RELEASE job", &[]).map_err(storage)?;
                self.seq = sealed.seq;
                self.chain_hash = sealed.chain_hash;
                self.last_at = at;
                for (count, delta) in deltas {
                    *self.deltas.entry(count).or_insert(0) += delta;
                }
                self.indexed.records.extend(indexed.records);
                self.indexed.chunks.extend(indexed.chunks);
                Ok(sealed.reply)
            }
            Err(denial) => {
                if !self.connection.is_autocommit() {
                    execute(&self.connection, "ROLLBACK TO job", &[]).map_err(storage)?;
                    execute(&self.connection, "RELEASE job", &[]).map_err(storage)?;
                }
                Err(denial)
            }
        }
    }

    fn known_reply(&self, key: &RequestKey) -> Result<Option<Outcome>, Denial> {
        let sql = "SELECT params_hash, reply FROM requests WHERE key = $1";
        let known = query(&self.connection, sql, &[Cell::Text(&key.key)])
            .map_err(|error| fault::from_rusqlite("look up the idempotency key", &error))?;
        Ok(known.first().map(|row| {
            if row.text("params_hash") == key.params_hash {
                Ok(row.text("reply").to_owned())
            } else {
                Err(Denial::new(Code::KeyReused)
                    .with("key", key.key.as_str())
                    .message("this idempotency key was used for another call"))
            }
        }))
    }

    /// Writes the journal entry and remembers the reply, inside the job's savepoint.
    fn seal(&self, job: &Job, part: Part, at: &str, mut reply: String) -> Result<Sealed, Denial> {
        let fail = |error: rusqlite::Error| fault::from_rusqlite("write the journal", &error);
        let seq = self.seq + 1;
        let mut rows = part.rows;
        rows.push(']');
        let entry = journal::Entry {
            at,
            operation: job.operation,
            task_id: part.task_id.as_deref(),
            actor: job.caller.actor.as_deref(),
            session: job.caller.session.as_deref(),
            rows: &rows,
        };
        let chain_hash = journal::chain_hash(&self.chain_hash, seq, &entry);
        journal::append(&self.connection, seq, &self.chain_hash, &chain_hash, &entry).map_err(fail)?;
        finish_reply(&mut reply, seq, &chain_hash, &part.warnings);
        if let Some(key) = &job.key {
            execute(
                &self.connection,
                "INSERT INTO requests (key, params_hash, seq, reply, at) VALUES ($1, $2, $3, $4, $5)",
                &[
                    Cell::Text(&key.key),
                    Cell::Text(&key.params_hash),
                    Cell::Integer(seq),
                    Cell::Text(&reply),
                    Cell::Text(at),
                ],
            )
            .map_err(fail)?;
        }
        Ok(Sealed { reply, seq, chain_hash })
    }
}

struct Part {
    rows: String,
    task_id: Option<String>,
    warnings: Vec<String>,
}

struct Sealed {
    reply: String,
    seq: i64,
    chain_hash: String,
}

/// Adds the journal's number and hash, and warnings, to the text of a reply object.
fn finish_reply(reply: &mut String, seq: i64, chain_hash: &str, warnings: &[String]) {
    use std::fmt::Write as _;
    debug_assert!(reply.ends_with('}'), "a reply is a JSON object");
    reply.pop();
    // Writing to a string cannot fail.
    let _ = write!(reply, r#","seq":{seq},"chain_hash":"{chain_hash}""#);
    if !warnings.is_empty() {
        let _ = write!(reply, r#","warnings":{}"#, serde_json::json!(warnings));
    }
    reply.push('}');
}
