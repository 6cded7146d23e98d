//! Private policy (X): the user's rules for agents, loaded at the start of a session.

use kaizen_proto::denial::Denial;
use kaizen_proto::families::policy::{
    ActivePolicy, NewPolicy, PoliciesWanted, Policy, PolicyAdd, PolicyBrief, PolicyInspect, PolicyList,
    PolicyListing, PolicyMatches, PolicyQuery, PolicySessionContext, SessionPolicies,
};
use kaizen_proto::families::record::{InspectRecord, Inspected, ListRecords, QueryRecords, Recorded};
use kaizen_proto::operation::Status;
use kaizen_proto::values::{POLICY_STATUSES, PRIORITIES};
use kaizen_proto::{canonical_json, id, limits};
use serde_json::json;

use super::record;
use crate::plane::search_index::like_pattern;
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

/// What the content hash of a new policy covers.
pub(crate) struct Created<'a> {
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

/// The content hash of a new policy.
pub(crate) fn created_hash(policy: &Created<'_>) -> String {
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
        limits::check_words("trigger", &draft.trigger, TRIGGER_WORDS)?;
        limits::check_words("priority", &draft.priority, PRIORITY_WORDS)?;
        limits::check_bytes("trigger", &draft.trigger, limits::SUMMARY_BYTES)?;
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
        record::warn_unknown(tx, "priority", draft.priority.trim().to_lowercase().as_str(), PRIORITIES);
        let (id, revision_id, now) = (id::new("pol"), id::new("polr"), tx.now());
        let content_hash = created_hash(&Created {
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

const BRIEF: &str = "id, status, scope, \"trigger\", priority, title, summary, created_at";

/// A page of policies. The window is chosen by rank and then the newest, so that an old critical rule survives a
/// small limit; within the window the older come first.
async fn window(
    tx: &mut ReadTx,
    query: Option<&str>,
    limit: Option<i64>,
    after: Option<&String>,
) -> Result<(Vec<PolicyBrief>, Option<String>), Denial> {
    let limit = record::page_limit(limit, record::DEFAULT_LIMIT);
    let mut rows = match after.filter(|after| !after.is_empty()) {
        Some(after) => vec![record::resolve_read(tx, TABLE, after).await?],
        None => Vec::new(),
    };
    let after = rows.pop();
    let pattern = like_pattern(query.unwrap_or_default());
    let sql = format!(
        "WITH p AS (SELECT {BRIEF}, {RANK} AS rank FROM private_policy \
           WHERE title LIKE $1 ESCAPE '\\' OR summary LIKE $1 ESCAPE '\\' OR body LIKE $1 ESCAPE '\\' \
           OR \"trigger\" LIKE $1 ESCAPE '\\' OR scope LIKE $1 ESCAPE '\\'), \
         a AS (SELECT {RANK} AS rank, created_at, id FROM private_policy WHERE id = $2) \
         SELECT p.* FROM p WHERE $2 IS NULL OR p.rank > (SELECT rank FROM a) \
           OR (p.rank = (SELECT rank FROM a) AND (p.created_at, p.id) < (SELECT created_at, id FROM a)) \
         ORDER BY p.rank, p.created_at DESC, p.id DESC LIMIT $3"
    );
    let more_than_wanted = if limit < 0 { -1 } else { limit.saturating_add(1) };
    let mut rows = tx
        .query(&sql, &[Cell::Text(&pattern), after.as_deref().into(), Cell::Integer(more_than_wanted)])
        .await?;
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
        let (records, next) = window(tx, None, params.limit, params.after.as_ref()).await?;
        Ok(PolicyList { status: Status::Ok, count: records.len(), records, next })
    }
}

impl ReadOperation for PolicyQuery {
    fn check(params: &QueryRecords) -> Result<(), Denial> {
        record::required_query(params.query.as_ref()).map(drop)
    }

    async fn run(_context: &Context, tx: &mut ReadTx, params: QueryRecords) -> Result<PolicyMatches, Denial> {
        let query = record::required_query(params.query.as_ref())?.to_owned();
        let (records, next) = window(tx, Some(&query), params.limit, params.after.as_ref()).await?;
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
