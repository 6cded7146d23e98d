//! O2: proposing an improvement of a contract.

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::lab::{LabPropose, NewProposal};
use kaizen_proto::families::record::Stored;
use kaizen_proto::operation::Status;
use kaizen_proto::record_schema::types::ImprovementProposal;
use kaizen_proto::{canonical_json, id, record_schema};
use serde_json::json;

use super::super::record;
use crate::plane::{Cell, WriteTx};
use crate::registry::{Context, WriteOperation};

/// Statuses of proposals beside the common ones.
const STATUSES: &[&str] = &["proposed", "accepted", "rejected"];

/// A proposal that is ready to be written.
pub struct Draft {
    proposal: ImprovementProposal,
    status: String,
    payload_json: String,
    test: bool,
}

/// What the content hash of a proposal covers: what is proposed, and not how it fares.
pub(crate) struct Proposed<'a> {
    pub(crate) id: &'a str,
    pub(crate) contract: &'a str,
    pub(crate) title: &'a str,
    pub(crate) summary: &'a str,
    pub(crate) body: &'a str,
    pub(crate) payload_json: Option<&'a str>,
}

/// The content hash of a proposal.
pub(crate) fn proposal_hash(proposed: &Proposed<'_>) -> String {
    canonical_json::hash(&json!({
        "id": proposed.id, "contract": proposed.contract, "title": proposed.title, "summary": proposed.summary,
        "body": proposed.body, "payload_json": proposed.payload_json,
    }))
}

impl WriteOperation for LabPropose {
    type Prepared = Draft;

    async fn prepare(_context: &Context, params: NewProposal) -> Result<Draft, Denial> {
        let given = record::given;
        let contract = given(params.contract).ok_or_else(|| Denial::new(Code::ContractRequired))?;
        let title = record::title(params.title)?;
        let payload_json = record::given_or(params.payload_json, "{}");
        if !record::parse_json("payload_json", &payload_json)?.is_object() {
            return Err(Denial::new(Code::PayloadType).message("the payload is JSON, but not an object"));
        }
        let proposal: ImprovementProposal = record_schema::read(json!({
            "contract": contract,
            "title": title,
            "summary": given(params.summary),
            "body": given(params.body),
            "metric": given(params.metric),
            "baseline_score": params.baseline_score,
            "candidate_score": params.candidate_score,
        }))?;
        let status = record::given_or(params.status, "proposed");
        record::check_short(&[("status", &status)])?;
        Ok(Draft { proposal, status, payload_json, test: params.test })
    }

    fn apply(tx: &mut WriteTx<'_>, draft: &Draft) -> Result<Stored, Denial> {
        record::warn_status(tx, &draft.status, STATUSES);
        let (id, now, proposal) = (id::new("ip"), tx.now(), &draft.proposal);
        let body = proposal.body.as_deref().unwrap_or_default();
        let content_hash = proposal_hash(&Proposed {
            id: &id,
            contract: &proposal.contract,
            title: &proposal.title,
            summary: &proposal.summary,
            body,
            payload_json: Some(&draft.payload_json),
        });
        tx.insert(
            "improvement_proposals",
            &[
                ("id", Cell::Text(&id)),
                ("created_at", Cell::Text(&now)),
                ("contract", Cell::Text(&proposal.contract)),
                ("status", Cell::Text(&draft.status)),
                ("title", Cell::Text(&proposal.title)),
                ("summary", Cell::Text(&proposal.summary)),
                ("body", Cell::Text(body)),
                ("baseline_score", proposal.baseline_score.into()),
                ("candidate_score", proposal.candidate_score.into()),
                ("metric", (&proposal.metric).into()),
                ("payload_json", Cell::Text(&draft.payload_json)),
                ("content_hash", Cell::Text(&content_hash)),
                ("is_test", Cell::from(draft.test)),
            ],
        )?;
        Ok(Stored { status: Status::Ok, id, content_hash })
    }
}
