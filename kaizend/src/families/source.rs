//! Source locks (S): what the project relies on from outside, with version, authority and licence.

use kaizen_proto::canonical_json::sha256_hex;
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::record::{InspectRecord, Inspected};
use kaizen_proto::families::source::{
    NewSource, SourceAdd, SourceExport, SourceInspect, SourceLock, SourceQuery, SourceStored, Sources,
    SourcesExported, SourcesLock, SourcesToExport, SourcesWanted,
};
use kaizen_proto::operation::Status;
use kaizen_proto::time::Timestamp;
use kaizen_proto::{id, limits, record_schema};
use serde_json::json;

use super::record::{self, Listing, Window};
use crate::care::blocking;
use crate::plane::{Cell, ReadTx, WriteTx, fault, value};
use crate::registry::{Context, ReadOperation, Registry, WriteOperation};
use crate::{files, report};

/// Bytes of an address: some carry a query of their own.
const ADDRESS_BYTES: usize = limits::SUMMARY_BYTES;

/// Registers the handlers.
pub fn register(registry: &mut Registry) {
    registry.write::<SourceAdd>().read::<SourceQuery>().read::<SourceInspect>().read::<SourceExport>();
}

/// A source lock that is ready to be written.
pub struct Draft {
    source_id: String,
    authority_tier: String,
    url_or_repository: String,
    summary: String,
    body: String,
    version_or_commit: Option<String>,
    retrieved_at: Option<String>,
    content_hash: Option<String>,
    license: Option<String>,
    supersedes: Option<String>,
    test: bool,
}

fn required(field: &str, text: Option<String>) -> Result<String, Denial> {
    let missing = || Denial::new(Code::RequiredFields).with("fields", json!([field]));
    record::given(text).ok_or_else(missing)
}

/// The rules of a source lock as a record type.
fn check_schema(draft: &Draft) -> Result<(), Denial> {
    record_schema::validate(
        "source_lock",
        &json!({
            "source_id": draft.source_id, "authority_tier": draft.authority_tier,
            "url_or_repository": draft.url_or_repository, "version_or_commit": draft.version_or_commit,
            "retrieved_at": draft.retrieved_at, "content_hash": draft.content_hash, "license": draft.license,
            "supersedes": draft.supersedes, "summary": draft.summary, "body": draft.body,
        }),
    )
}

impl WriteOperation for SourceAdd {
    type Prepared = Draft;

    async fn prepare(_context: &Context, params: NewSource) -> Result<Draft, Denial> {
        let draft = Draft {
            source_id: required("source_id", params.source_id)?,
            authority_tier: required("authority_tier", params.authority_tier)?,
            url_or_repository: required("url_or_repository", params.url_or_repository)?,
            summary: required("summary", params.summary)?,
            body: params.body.unwrap_or_default(),
            version_or_commit: record::given(params.version_or_commit),
            retrieved_at: record::given(params.retrieved_at),
            content_hash: record::given(params.content_hash),
            license: record::given(params.license),
            supersedes: record::given(params.supersedes),
            test: params.test,
        };
        limits::check_summary(&draft.summary)?;
        limits::check_body("body", &draft.body)?;
        check_schema(&draft)?;
        limits::check_bytes("url_or_repository", &draft.url_or_repository, ADDRESS_BYTES)?;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        record::check_short(&[
            ("source_id", &draft.source_id),
            ("version_or_commit", &text(&draft.version_or_commit)),
            ("retrieved_at", &text(&draft.retrieved_at)),
            ("content_hash", &text(&draft.content_hash)),
            ("license", &text(&draft.license)),
            ("supersedes", &text(&draft.supersedes)),
        ])?;
        Ok(draft)
    }

    fn apply(tx: &mut WriteTx<'_>, draft: &Draft) -> Result<SourceStored, Denial> {
        let supersedes =
            record::soft_reference(tx, "supersedes", "source_locks", draft.supersedes.as_deref())?;
        let (id, now) = (id::new("s"), tx.now());
        tx.insert(
            "source_locks",
            &[
                ("id", Cell::Text(&id)),
                ("created_at", Cell::Text(&now)),
                ("source_id", Cell::Text(&draft.source_id)),
                ("authority_tier", Cell::Text(&draft.authority_tier)),
                ("url_or_repository", Cell::Text(&draft.url_or_repository)),
                ("version_or_commit", (&draft.version_or_commit).into()),
                ("retrieved_at", (&draft.retrieved_at).into()),
                ("content_hash", (&draft.content_hash).into()),
                ("license", (&draft.license).into()),
                ("supersedes", (&supersedes).into()),
                ("summary", Cell::Text(&draft.summary)),
                ("body", Cell::Text(&draft.body)),
                ("is_test", Cell::from(draft.test)),
            ],
        )?;
        Ok(SourceStored { status: Status::Ok, id, source_id: draft.source_id.clone() })
    }
}

impl ReadOperation for SourceQuery {
    async fn run(_context: &Context, tx: &mut ReadTx, params: SourcesWanted) -> Result<Sources, Denial> {
        let (query, after) = (record::given(params.query), record::given(params.after));
        let tier = record::given(params.authority_tier);
        let listing = Listing {
            table: "source_locks",
            columns: "t.id, t.source_id, t.authority_tier, t.url_or_repository, t.version_or_commit, t.summary",
            searched: &["source_id", "url_or_repository", "summary"],
            query: query.as_deref(),
            filters: record::filters(&[("authority_tier", &tier)]),
            limit: record::page_limit(params.limit, record::DEFAULT_LIMIT),
            after: after.as_deref(),
            window: Window::read(params.since, params.until)?,
        };
        let page = record::page(tx, &listing).await?;
        Ok(Sources { status: Status::Ok, count: page.records.len(), records: page.records, next: page.next })
    }
}

impl ReadOperation for SourceInspect {
    fn check(params: &InspectRecord) -> Result<(), Denial> {
        record::required_id(params.id.as_ref()).map(drop)
    }

    async fn run(
        _context: &Context,
        tx: &mut ReadTx,
        params: InspectRecord,
    ) -> Result<Inspected<SourceLock>, Denial> {
        record::inspect(tx, "source_locks", params.id.as_ref()).await
    }
}

impl ReadOperation for SourceExport {
    async fn run(
        context: &Context,
        tx: &mut ReadTx,
        params: SourcesToExport,
    ) -> Result<SourcesExported, Denial> {
        let sql = "SELECT source_id, authority_tier, url_or_repository, version_or_commit, retrieved_at, \
                   content_hash, license, supersedes FROM source_locks WHERE is_test <= $1 \
                   ORDER BY source_id, created_at, id";
        let sources = value::decode_all(tx.query(sql, &[Cell::from(params.include_test)]).await?)?;
        let lock = SourcesLock { generated_at: Timestamp::now().to_string(), sources };
        let plane = context.plane().await?;
        let target = plane.db_path().with_file_name("exports").join("sources.lock.json");
        let path = report::file::shown(context, &target)?;
        let count = lock.sources.len();
        let sha256 = blocking(move || {
            let text = serde_json::to_string_pretty(&lock)
                .map_err(|error| fault::unexpected("write the source locks", &error))?
                + "\n";
            files::write(&target, text.as_bytes())?;
            Ok(sha256_hex(text.as_bytes()))
        })
        .await?;
        Ok(SourcesExported { status: Status::Ok, path, count, sha256 })
    }
}
