//! Private policy (X): the user's rules for agents, loaded at the start of a session.

use kaizen_proto::denial::Denial;
use kaizen_proto::families::policy::{
    ActivePolicy, NewPolicy, PoliciesWanted, Policy, PolicyAdd, PolicyBrief, PolicyInspect, PolicyList,
    PolicyListing, PolicyMatches, PolicyQuery, PolicySessionContext, PolicyUpdate, RevisePolicy,
    SessionPolicies,
};
use kaizen_proto::families::record::{InspectRecord, Inspected, ListRecords, QueryRecords, Recorded};
use kaizen_proto::operation::Status;
use kaizen_proto::values::{POLICY_STATUSES, PRIORITIES};
use kaizen_proto::{canonical_json, id, limits};
use serde_json::json;

use super::record::{self, Window};
use crate::plane::search_index::{candidates, like_pattern};
use crate::plane::{Cell, ReadTx, WriteTx, value};
use crate::registry::{Context, ReadOperation, Registry, WriteOperation};

const TABLE: &str = "private_policy";
/// Words in a trigger.
const TRIGGER_WORDS: usize = 120;
/// Words in a priority.
const PRIORITY_WORDS: usize = 20;
/// Policies of a session when the caller does not say how many.
const DEFAULT_SESSION: i64 = 50;

/// The rank of a priority: critical 0, high 1, low 3, anything else 2. `idx_private_policy_status` holds the same
/// expression, which is how the index is found.
pub const RANK: &str =
    "(CASE lower(trim(priority)) WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'low' THEN 3 ELSE 2 END)";

/// Registers the handlers.
pub fn register(registry: &mut Registry) {
    registry
        .write::<PolicyAdd>()
        .write::<PolicyUpdate>()
        .read::<PolicyListing>()
        .read::<PolicyQuery>()
        .read::<PolicyInspect>()
        .read::<PolicySessionContext>();
}

/// A policy that is ready to be written.
pub struct Draft {
    title: String,
    summary: String,
    body: String,
    scope: String,
    trigger: String,
    priority: String,
    status: String,
    writer_role: String,
    test: bool,
}

/// What the content hash of a policy covers.
pub(crate) struct Content<'a> {
    pub(crate) id: &'a str,
    pub(crate) scope: &'a str,
    pub(crate) trigger: &'a str,
    pub(crate) priority: &'a str,
    pub(crate) status: &'a str,
    pub(crate) title: &'a str,
    pub(crate) summary: &'a str,
    pub(crate) body: &'a str,
    pub(crate) source_command: &'a str,
    pub(crate) writer_role: &'a str,
}

/// The content hash of a policy, new or revised: it covers the same fields, with the operation that wrote them.
pub(crate) fn content_hash(policy: &Content<'_>) -> String {
    canonical_json::hash(&json!({
        "id": policy.id, "scope": policy.scope, "trigger": policy.trigger, "priority": policy.priority,
        "status": policy.status, "title": policy.title, "summary": policy.summary, "body": policy.body,
        "source_command": policy.source_command, "writer_role": policy.writer_role,
    }))
}

impl WriteOperation for PolicyAdd {
    type Prepared = Draft;

    async fn prepare(_context: &Context, params: NewPolicy) -> Result<Draft, Denial> {
        let draft = Draft {
            title: record::title(params.title)?,
            summary: params.summary.unwrap_or_default(),
            body: params.body.unwrap_or_default(),
            scope: record::given_or(params.scope, "project"),
            trigger: record::given_or(params.trigger, "session-start"),
            priority: record::given_or(params.priority, "normal"),
            status: record::given_or(params.status, "active"),
            writer_role: record::given_or(params.writer_role, "agent"),
            test: params.test,
        };
        limits::check_summary(&draft.summary)?;
        limits::check_body("body", &draft.body)?;
        check_when(&draft.trigger, &draft.priority)?;
        record::check_short(&[
            ("title", &draft.title),
            ("priority", &draft.priority),
            ("scope", &draft.scope),
            ("status", &draft.status),
            ("writer_role", &draft.writer_role),
        ])?;
        Ok(draft)
    }

    fn apply(tx: &mut WriteTx<'_>, draft: &Draft) -> Result<Recorded, Denial> {
        record::warn_status(tx, &draft.status, POLICY_STATUSES);
        record::warn_scope(tx, &draft.scope);
        warn_priority(tx, &draft.priority);
        let (id, revision_id, now) = (id::new("pol"), id::new("polr"), tx.now());
        let content_hash = content_hash(&Content {
            id: &id,
            scope: &draft.scope,
            trigger: &draft.trigger,
            priority: &draft.priority,
            status: &draft.status,
            title: &draft.title,
            summary: &draft.summary,
            body: &draft.body,
            source_command: "X1",
            writer_role: &draft.writer_role,
        });
        tx.insert(
            TABLE,
            &[
                ("id", Cell::Text(&id)),
                ("created_at", Cell::Text(&now)),
                ("updated_at", Cell::Text(&now)),
                ("scope", Cell::Text(&draft.scope)),
                ("trigger", Cell::Text(&draft.trigger)),
                ("priority", Cell::Text(&draft.priority)),
                ("status", Cell::Text(&draft.status)),
                ("title", Cell::Text(&draft.title)),
                ("summary", Cell::Text(&draft.summary)),
                ("body", Cell::Text(&draft.body)),
                ("source_command", Cell::Text("X1")),
                ("writer_role", Cell::Text(&draft.writer_role)),
                ("content_hash", Cell::Text(&content_hash)),
                ("current_revision_id", Cell::Text(&revision_id)),
                ("is_test", Cell::from(draft.test)),
            ],
        )?;
        tx.insert(
            "private_policy_revision",
            &[
                ("id", Cell::Text(&revision_id)),
                ("policy_id", Cell::Text(&id)),
                ("created_at", Cell::Text(&now)),
                ("revision_number", Cell::Integer(1)),
                ("trigger", Cell::Text(&draft.trigger)),
                ("priority", Cell::Text(&draft.priority)),
                ("summary", Cell::Text(&draft.summary)),
                ("body", Cell::Text(&draft.body)),
                ("status", Cell::Text(&draft.status)),
                ("content_hash", Cell::Text(&content_hash)),
                ("previous_hash", Cell::Null),
                ("source_command", Cell::Text("X1")),
            ],
        )?;
        Ok(Recorded { status: Status::Ok, id, revision_id, content_hash })
    }
}

/// Checks when a policy applies and how much it matters.
fn check_when(trigger: &str, priority: &str) -> Result<(), Denial> {
    limits::check_words("trigger", trigger, TRIGGER_WORDS)?;
    limits::check_words("priority", priority, PRIORITY_WORDS)?;
    limits::check_bytes("trigger", trigger, limits::SUMMARY_BYTES)
}

fn warn_priority(tx: &mut WriteTx<'_>, priority: &str) {
    record::warn_unknown(tx, "priority", priority.trim().to_lowercase().as_str(), PRIORITIES);
}

impl WriteOperation for PolicyUpdate {
    type Prepared = RevisePolicy;

    async fn prepare(_context: &Context, params: RevisePolicy) -> Result<RevisePolicy, Denial> {
        record::required_id(params.id.as_ref())?;
        Ok(params)
    }

    fn apply(tx: &mut WriteTx<'_>, params: &RevisePolicy) -> Result<Recorded, Denial> {
        let id = record::resolve(tx, TABLE, record::required_id(params.id.as_ref())?)?;
        let sql = "SELECT p.*, (SELECT max(revision_number) FROM private_policy_revision v WHERE v.policy_id = p.id) \
                   AS revisions FROM private_policy p WHERE p.id = $1";
        let stored =
            tx.query_row(sql, &[Cell::Text(&id)])?.ok_or_else(|| Denial::record_not_found(&id, TABLE))?;
        // Texts may be cleared; what a policy cannot be without stays when it is empty.
        let text =
            |given: &Option<String>, column| given.clone().unwrap_or_else(|| stored.text(column).to_owned());
        let word = |given: &Option<String>, column| {
            record::given(given.clone()).unwrap_or_else(|| stored.text(column).to_owned())
        };
        let (summary, body) = (text(&params.summary, "summary"), text(&params.body, "body"));
        let status = word(&params.status, "status");
        let (trigger, priority) = (word(&params.trigger, "trigger"), word(&params.priority, "priority"));
        limits::check_summary(&summary)?;
        limits::check_body("body", &body)?;
        check_when(&trigger, &priority)?;
        record::check_short(&[("priority", &priority), ("status", &status)])?;
        record::warn_status(tx, &status, &["retired"]);
        warn_priority(tx, &priority);
        let (revision_id, now) = (id::new("polr"), tx.now());
        let content_hash = content_hash(&Content {
            id: &id,
            scope: stored.text("scope"),
            trigger: &trigger,
            priority: &priority,
            status: &status,
            title: stored.text("title"),
            summary: &summary,
            body: &body,
            source_command: "X6",
            writer_role: stored.text("writer_role"),
        });
        tx.update(
            TABLE,
            &id,
            &[
                ("updated_at", Cell::Text(&now)),
                ("trigger", Cell::Text(&trigger)),
                ("priority", Cell::Text(&priority)),
                ("status", Cell::Text(&status)),
                ("summary", Cell::Text(&summary)),
                ("body", Cell::Text(&body)),
                ("content_hash", Cell::Text(&content_hash)),
                ("current_revision_id", Cell::Text(&revision_id)),
            ],
        )?;
        tx.insert(
            "private_policy_revision",
            &[
                ("id", Cell::Text(&revision_id)),
                ("policy_id", Cell::Text(&id)),
                ("created_at", Cell::Text(&now)),
                ("revision_number", Cell::Integer(stored.integer("revisions") + 1)),
                ("trigger", Cell::Text(&trigger)),
                ("priority", Cell::Text(&priority)),
                ("summary", Cell::Text(&summary)),
                ("body", Cell::Text(&body)),
                ("status", Cell::Text(&status)),
                ("content_hash", Cell::Text(&content_hash)),
                ("previous_hash", stored.get("content_hash")),
                ("source_command", Cell::Text("X6")),
            ],
        )?;
        Ok(Recorded { status: Status::Ok, id, revision_id, content_hash })
    }
}

const BRIEF: &str = "t.id, t.status, t.scope, t.\"trigger\", t.priority, t.title, t.summary, t.created_at";

/// A page of policies. The window is chosen by rank and then the newest, so that an old critical rule survives a
/// small limit; within the window the older come first.
async fn window(
    tx: &mut ReadTx,
    query: Option<String>,
    params: ListRecords,
) -> Result<(Vec<PolicyBrief>, Option<String>), Denial> {
    let limit = record::page_limit(params.limit, record::DEFAULT_LIMIT);
    let span = Window::read(params.since, params.until)?;
    let (after, status) = (record::given(params.after), record::given(params.status));
    let mut parameters: Vec<Cell<'_>> = Vec::new();
    let mut conditions: Vec<String> = Vec::new();
    span.conditions(&mut conditions, &mut parameters);
    if let Some(status) = &status {
        parameters.push(Cell::Text(status));
        conditions.push(format!("t.status = ${}", parameters.len()));
    }
    let after = match after {
        Some(after) => {
            let after = record::resolve_read(tx, TABLE, &after).await?;
            let sql = format!("SELECT {RANK} AS rank, created_at, id FROM private_policy WHERE id = $1");
            tx.query_row(&sql, &[Cell::Text(&after)]).await?
        }
        None => None,
    };
    if let Some(after) = &after {
        parameters.extend([after.get("rank"), after.get("created_at"), after.get("id")]);
        let (rank, created, id) = (parameters.len() - 2, parameters.len() - 1, parameters.len());
        conditions.push(format!(
            "({RANK} > ${rank} OR ({RANK} = ${rank} AND (t.created_at, t.id) < (${created}, ${id})))"
        ));
    }
    let pattern = query.as_deref().map(like_pattern);
    let candidates = if tx.is_small() { None } else { query.as_deref().and_then(candidates) };
    let mut source = "private_policy t";
    if let Some(pattern) = &pattern {
        parameters.push(Cell::Text(pattern));
        let columns = ["title", "summary", "body", "trigger", "scope"];
        let like = columns.map(|column| format!("t.\"{column}\" LIKE ${} ESCAPE '\\'", parameters.len()));
        conditions.push(format!("({})", like.join(" OR ")));
    }
    if let Some(candidates) = &candidates {
        parameters.push(Cell::Text(candidates));
        conditions.push(format!("search_text MATCH ${} AND s.record_table = '{TABLE}'", parameters.len()));
        source = "search_text f CROSS JOIN search_rows s ON s.number = f.rowid CROSS JOIN private_policy t ON t.id = s.record_id";
    }
    parameters.push(Cell::Integer(if limit < 0 { -1 } else { limit.saturating_add(1) }));
    let sql = format!(
        "SELECT {BRIEF}, {RANK} AS rank FROM {source} {} {} ORDER BY {RANK}, t.created_at DESC, t.id DESC LIMIT ${}",
        if conditions.is_empty() { "" } else { "WHERE" },
        conditions.join(" AND "),
        parameters.len()
    );
    let mut rows = tx.query(&sql, &parameters).await?;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > wanted;
    rows.truncate(wanted);
    let next = if more { rows.last().map(|row| row.text("id").to_owned()) } else { None };
    rows.sort_by(|left, right| {
        let key = |row: &value::Row| {
            (row.integer("rank"), row.text("created_at").to_owned(), row.text("id").to_owned())
        };
        key(left).cmp(&key(right))
    });
    Ok((value::decode_all(rows)?, next))
}

impl ReadOperation for PolicyListing {
    async fn run(_context: &Context, tx: &mut ReadTx, params: ListRecords) -> Result<PolicyList, Denial> {
        let (records, next) = window(tx, None, params).await?;
        Ok(PolicyList { status: Status::Ok, count: records.len(), records, next })
    }
}

impl ReadOperation for PolicyQuery {
    fn check(params: &QueryRecords) -> Result<(), Denial> {
        record::required_query(params.query.as_ref()).map(drop)
    }

    async fn run(_context: &Context, tx: &mut ReadTx, params: QueryRecords) -> Result<PolicyMatches, Denial> {
        let query = record::required_query(params.query.as_ref())?.to_owned();
        let QueryRecords { limit, after, status, since, until, .. } = params;
        let listed = ListRecords { limit, after, status, since, until };
        let (records, next) = window(tx, Some(query.clone()), listed).await?;
        Ok(PolicyMatches { status: Status::Ok, count: records.len(), records, query, next })
    }
}

impl ReadOperation for PolicyInspect {
    fn check(params: &InspectRecord) -> Result<(), Denial> {
        record::required_id(params.id.as_ref()).map(drop)
    }

    async fn run(
        _context: &Context,
        tx: &mut ReadTx,
        params: InspectRecord,
    ) -> Result<Inspected<Policy>, Denial> {
        record::inspect(tx, TABLE, params.id.as_ref()).await
    }
}

impl ReadOperation for PolicySessionContext {
    async fn run(
        _context: &Context,
        tx: &mut ReadTx,
        params: PoliciesWanted,
    ) -> Result<SessionPolicies, Denial> {
        let limit = record::page_limit(params.limit, DEFAULT_SESSION);
        let trigger = record::given(params.trigger);
        let sql = format!(
            "SELECT * FROM (SELECT id, scope, \"trigger\", priority, title, summary, body, created_at, {RANK} AS rank \
               FROM private_policy WHERE status = 'active' AND is_test <= $3 \
               AND ($1 IS NULL OR \"trigger\" = $1 OR \"trigger\" = 'session-start') \
               ORDER BY {RANK}, created_at DESC, id DESC LIMIT $2) \
             ORDER BY rank, created_at, id"
        );
        let parameters = [trigger.as_deref().into(), Cell::Integer(limit), Cell::from(params.include_test)];
        let rows = tx.query(&sql, &parameters).await?;
        let records: Vec<ActivePolicy> = value::decode_all(rows)?;
        Ok(SessionPolicies {
            status: Status::Ok,
            message: "Active policies for this session.".into(),
            count: records.len(),
            records,
            required_action: "Follow these policies; reload them before a major task and after compaction."
                .into(),
        })
    }
}
