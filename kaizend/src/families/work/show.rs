//! W9: one task with everything that belongs to it.

use std::collections::BTreeMap;

use kaizen_proto::denial::Denial;
use kaizen_proto::families::quality::VerificationBrief;
use kaizen_proto::families::work::{Task, TaskEvent, TaskRecord, TaskShow, TaskShown, TaskWanted};
use kaizen_proto::operation::Status;
use serde::de::DeserializeOwned;

use crate::families::quality::BRIEF as VERIFICATION;
use crate::families::record::{page_limit, required_id, resolve_read};
use crate::plane::{Cell, ReadTx, value};
use crate::registry::{Context, ReadOperation};

/// Records of each kind when the caller does not say how many.
const DEFAULT_LIMIT: i64 = 20;
/// Records of each kind at most.
const MAX_LIMIT: i64 = 200;

impl ReadOperation for TaskShow {
    fn check(params: &TaskWanted) -> Result<(), Denial> {
        required_id(params.id.as_ref()).map(drop)
    }

    async fn run(_context: &Context, tx: &mut ReadTx, params: TaskWanted) -> Result<TaskShown, Denial> {
        let id = resolve_read(tx, "tasks", required_id(params.id.as_ref())?).await?;
        let limit = page_limit(params.limit, DEFAULT_LIMIT);
        let limit = if limit < 0 { MAX_LIMIT } else { limit.min(MAX_LIMIT) };
        let sql = "SELECT t.id, t.title, t.status, t.summary, t.body, t.scope, t.writer_role, t.created_at, \
                   t.updated_at, (SELECT count(*) FROM task_revision v WHERE v.task_id = t.id) AS revisions, t.is_test \
                   FROM tasks t WHERE t.id = $1";
        let task: Task = tx
            .query_row(sql, &[Cell::Text(&id)])
            .await?
            .ok_or_else(|| Denial::record_not_found(&id, "tasks"))?
            .decode()?;
        let mut page = Page { tx, id, limit, omitted: BTreeMap::new() };
        let plans = page
            .list(
                "plans",
                "t.id, t.status, t.title, t.summary, t.updated_at, \
                 (SELECT count(*) FROM plan_revision v WHERE v.plan_id = t.id) AS revisions",
                "plans t WHERE t.task_id = $1",
                "t.updated_at DESC, t.id DESC",
            )
            .await?;
        let mut timeline: Vec<TaskEvent> = page
            .list(
                "timeline",
                "t.id, t.created_at, t.status, t.title, t.summary",
                // The event of its creation names the task in the title only.
                "ledger_events t WHERE t.task_id = $1 OR t.id = (SELECT e.id FROM ledger_events e \
                 JOIN tasks own ON own.id = $1 WHERE e.created_at = own.created_at AND e.title = own.source_command || ' ' || own.id)",
                "t.created_at DESC, t.id DESC",
            )
            .await?;
        timeline.reverse();
        let verifications = page
            .list("verifications", VERIFICATION, "verification_events t WHERE t.task_id = $1", NEWEST)
            .await?;
        let blocking: Vec<VerificationBrief> = page
            .list(
                "blocking",
                VERIFICATION,
                "verification_events t WHERE t.id IN (SELECT verification_id FROM open_blockers WHERE task_id = $1)",
                NEWEST,
            )
            .await?;
        Ok(TaskShown {
            status: Status::Ok,
            plans,
            timeline,
            verifications,
            blocking,
            // The plus keeps the index of all active ones out: a task has few gotchas, a plane many that are active.
            open_gotchas: page
                .records("open_gotchas", "gotcha", "gotcha t WHERE t.source_task_id = $1 AND +t.status = 'active'")
                .await?,
            lessons: page.lessons().await?,
            artifacts: page
                .list(
                    "artifacts",
                    "t.id, 'artifact' AS kind, t.kind AS status, t.path AS title, t.summary, t.created_at",
                    "artifacts t WHERE t.task_id = $1",
                    NEWEST,
                )
                .await?,
            packets: page.packets().await?,
            traces: page
                .list(
                    "traces",
                    "t.id, 'trace' AS kind, t.status, coalesce(t.name, t.kind) AS title, t.summary, t.created_at",
                    "trace_events t WHERE t.task_id = $1",
                    NEWEST,
                )
                .await?,
            task,
            omitted: page.omitted,
        })
    }
}

const NEWEST: &str = "t.created_at DESC, t.id DESC";

/// The lists of one task.
struct Page<'t> {
    tx: &'t mut ReadTx,
    id: String,
    limit: i64,
    omitted: BTreeMap<String, i64>,
}

impl Page<'_> {
    /// The first rows of a list; how many more there are is noted. `$1` is the task's id.
    async fn list<T: DeserializeOwned>(
        &mut self,
        name: &str,
        columns: &str,
        source: &str,
        order: &str,
    ) -> Result<Vec<T>, Denial> {
        let sql = format!("SELECT {columns} FROM {source} ORDER BY {order} LIMIT $2");
        let mut rows = self.tx.query(&sql, &[Cell::Text(&self.id), Cell::Integer(self.limit + 1)]).await?;
        let wanted = usize::try_from(self.limit).unwrap_or(usize::MAX);
        if rows.len() > wanted {
            rows.truncate(wanted);
            let sql = format!("SELECT count(*) AS all_of_them FROM {source}");
            let all = self.tx.query_row(&sql, &[Cell::Text(&self.id)]).await?;
            let left = all.map_or(0, |row| row.integer("all_of_them")) - self.limit;
            self.omitted.insert(name.to_owned(), left);
        }
        value::decode_all(rows)
    }

    async fn records(&mut self, name: &str, kind: &str, source: &str) -> Result<Vec<TaskRecord>, Denial> {
        let columns = format!("t.id, '{kind}' AS kind, t.status, t.title, t.summary, t.created_at");
        self.list(name, &columns, source, NEWEST).await
    }

    async fn lessons(&mut self) -> Result<Vec<TaskRecord>, Denial> {
        let learned = self.records("learned", "learned", "learned t WHERE t.source_task_id = $1").await?;
        let learning = self.records("learning", "learning", "learning t WHERE t.source_task_id = $1").await?;
        Ok(newest([learned, learning]))
    }

    async fn packets(&mut self) -> Result<Vec<TaskRecord>, Denial> {
        let mut both = [Vec::new(), Vec::new()];
        let tables = [("subagent_packets", "packet"), ("diagnostic_packets", "diagnostic")];
        for (packets, (table, kind)) in both.iter_mut().zip(tables) {
            let columns = format!(
                "t.id, '{kind} ' || t.packet_type AS kind, t.status, t.title, t.summary, t.created_at"
            );
            *packets = self.list(table, &columns, &format!("{table} t WHERE t.task_id = $1"), NEWEST).await?;
        }
        Ok(newest(both))
    }
}

/// Two lists as one, newest first.
fn newest(lists: [Vec<TaskRecord>; 2]) -> Vec<TaskRecord> {
    let mut all: Vec<TaskRecord> = lists.into_iter().flatten().collect();
    all.sort_by(|left, right| (&right.created_at, &right.id).cmp(&(&left.created_at, &left.id)));
    all
}
