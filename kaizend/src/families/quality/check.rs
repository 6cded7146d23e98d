//! Looking at records and checking payloads and texts: Q7, Q8 and Q10.

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::families::quality::{
    ContractLint, Lint, OutputToValidate, OutputValidate, QualityInspect, QualityRecord, TextToLint,
    Validated,
};
use kaizen_proto::families::record::Inspected;
use kaizen_proto::operation::Status;
use kaizen_proto::{limits, record_schema};
use serde_json::{Map, Value};

use super::super::{artifact, record};
use super::lint;
use crate::plane::{ReadTx, fault};
use crate::registry::{Context, PlainOperation, ReadOperation};

/// Bytes of a text at most.
const TEXT_BYTES: usize = limits::PAYLOAD_BYTES;

impl ReadOperation for QualityInspect {
    fn check(params: &QualityRecord) -> Result<(), Denial> {
        record::required_id(params.id.as_ref()).map(drop)
    }

    async fn run(
        _context: &Context,
        tx: &mut ReadTx,
        params: QualityRecord,
    ) -> Result<Inspected<Map<String, Value>>, Denial> {
        let table = match params.kind.as_deref() {
            Some("verifier") => "verification_events",
            Some("eval-run") => "eval_runs",
            Some("eval-case") => "eval_cases",
            Some("anti-pattern") => "anti_patterns",
            _ => "artifacts",
        };
        record::inspect(tx, table, params.id.as_ref()).await.map_err(|denial| match denial.code {
            Code::RecordNotFound if table == "artifacts" => denial
                .action("Say which kind: --kind verifier, eval-run, eval-case or anti-pattern; else artifacts are searched."),
            _ => denial,
        })
    }
}

impl PlainOperation for OutputValidate {
    async fn run(_context: &Context, params: OutputToValidate) -> Result<Validated, Denial> {
        let mut reply = Validated {
            status: Status::Ok,
            schemas: None,
            record_type: None,
            valid: None,
            json_schema: None,
            jsonschema_accelerator: false,
        };
        let Some(kind) = record::given(params.kind) else {
            reply.schemas = Some(record_schema::names().into_iter().map(str::to_owned).collect());
            return Ok(reply);
        };
        if params.schema {
            reply.json_schema = Some(record_schema::find(&kind)?.json_schema());
        } else {
            let Some(text) = record::given(params.payload_json) else {
                return Err(Denial::usage("there is no payload to check").action(
                    "Pass --payload-json or --payload-json-file; --schema shows the fields instead.",
                ));
            };
            record_schema::validate(&kind, &record::parse_json("payload_json", &text)?)?;
            reply.valid = Some(true);
        }
        reply.record_type = Some(kind);
        Ok(reply)
    }
}

impl PlainOperation for ContractLint {
    async fn run(context: &Context, params: TextToLint) -> Result<Lint, Denial> {
        let text = match record::given(params.body) {
            Some(text) => text,
            None if params.path.as_deref().is_none_or(str::is_empty) => {
                return Err(Denial::new(Code::ContractTextRequired));
            }
            None => {
                artifact::read_text(context, params.path.as_ref(), params.allow_external, TEXT_BYTES).await?
            }
        };
        if text.is_empty() {
            return Err(Denial::new(Code::ContractTextRequired).message("the text is empty"));
        }
        // A NUL is no matter here: the text is not stored.
        if text.len() > TEXT_BYTES {
            return Err(Denial::new(Code::TextTooLong)
                .with("field", "body")
                .with("bytes", text.len())
                .with("limit", TEXT_BYTES));
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "awaited right here, so a drain waits for it with the call"
        )]
        let linting = tokio::task::spawn_blocking(move || lint::lint(&text, params.strict));
        linting.await.map_err(|error| fault::unexpected("check a text", &error))
    }
}
