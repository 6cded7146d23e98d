//! Where operations meet their handlers: what every call has in common happens here, once.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use jsonrpsee_core::server::{Extensions, ResponsePayload, RpcModule};
use jsonrpsee_types::{ErrorObjectOwned, Params};
use kaizen_proto::canonical_json;
use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::frame::MAX_FRAME;
use kaizen_proto::hello::Meta;
use kaizen_proto::operation::{Access, Card, Operation};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::sync::Notify;

use crate::daemon::{Binding, Daemon};
use crate::plane::{Plane, ReadTx, RequestKey, WriteTx, fault, writer};
use crate::redaction::gate;
use crate::report::file::Written;

/// How long a read may take before the caller is told to come back.
const READ_DEADLINE: Duration = Duration::from_mins(1);

/// Bytes of a reply at most; the envelope must fit into the frame too.
const MAX_REPLY: usize = MAX_FRAME - 4096;

/// Takes a call back: its caller cancelled it, or has gone. Only a read heeds it; what writes or looks after the plane
/// as a whole runs to its end.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<Notify>);

/// Remembers a call as long as it is under way.
#[derive(Clone, Debug)]
pub struct Cancellable(Weak<Notify>);

impl Cancel {
    /// What takes this call back.
    pub fn remember(&self) -> Cancellable {
        Cancellable(Arc::downgrade(&self.0))
    }
}

impl Cancellable {
    /// Takes the call back when it is still under way.
    pub fn cancel(&self) {
        if let Some(call) = self.0.upgrade() {
            call.notify_one();
        }
    }

    /// Whether the call is still under way.
    pub fn is_under_way(&self) -> bool {
        self.0.strong_count() > 0
    }
}

/// What a handler knows about the call.
pub struct Context {
    /// The daemon.
    pub daemon: Arc<Daemon>,
    /// Who calls, for which project.
    pub binding: Arc<Binding>,
    /// Takes the call back.
    pub cancel: Cancel,
}

impl Context {
    /// The data plane of the call's project, opened when it is not open.
    ///
    /// # Errors
    /// A denial that says what stands in the way.
    pub async fn plane(&self) -> Result<Arc<Plane>, Denial> {
        self.daemon.projects.plane(&self.binding).await
    }
}

/// An operation that needs no records, or looks after the plane as a whole.
pub trait PlainOperation: Operation {
    /// Carries out the call.
    fn run(
        context: &Context,
        params: Self::Params,
    ) -> impl Future<Output = Result<Self::Output, Denial>> + Send;
}

/// An operation that reads one snapshot.
pub trait ReadOperation: Operation {
    /// Refuses what can be refused without the data plane.
    ///
    /// # Errors
    /// A denial that says what is wrong with the parameters.
    fn check(_params: &Self::Params) -> Result<(), Denial> {
        Ok(())
    }

    /// Carries out the call.
    fn run(
        context: &Context,
        tx: &mut ReadTx,
        params: Self::Params,
    ) -> impl Future<Output = Result<Self::Output, Denial>> + Send;
}

/// An operation that writes.
pub trait WriteOperation: Operation {
    /// What `prepare` hands to `apply`.
    type Prepared: Send + Sync + 'static;

    /// Checks the parameters and does all that may take time: files, hashes, the network.
    fn prepare(
        context: &Context,
        params: Self::Params,
    ) -> impl Future<Output = Result<Self::Prepared, Denial>> + Send;

    /// The file that `prepare` wrote, when it wrote one that must not stay without its row.
    fn file(_prepared: &Self::Prepared) -> Option<Arc<Written>> {
        None
    }

    /// Writes. It cannot wait, and it may be run again, so it checks again what `prepare` assumed.
    ///
    /// # Errors
    /// A denial; all that was written so far is rolled back.
    fn apply(tx: &mut WriteTx<'_>, prepared: &Self::Prepared) -> Result<Self::Output, Denial>;

    /// What can only be done once the write is durable, such as deleting files that no row names any more. It gets the
    /// reply and returns the one that is sent. A crash before it, or a call that is sent again, leaves it undone.
    fn finish(
        _context: &Context,
        _prepared: &Self::Prepared,
        reply: String,
    ) -> impl Future<Output = Result<String, Denial>> + Send {
        std::future::ready(Ok(reply))
    }
}

/// The operations that have a handler, and the RPC methods that they became.
pub struct Registry {
    module: RpcModule<Arc<Daemon>>,
    codes: Vec<&'static str>,
}

impl Registry {
    /// A registry without operations.
    pub fn new(daemon: Arc<Daemon>) -> Self {
        Registry { module: RpcModule::new(daemon), codes: Vec::new() }
    }

    /// Registers an operation that needs no records.
    pub fn plain<O: PlainOperation>(&mut self) -> &mut Self {
        const { assert!(matches!(O::ACCESS, Access::Plain)) };
        self.method::<O, _, _>(async |context, params, _carried| {
            let output = O::run(&context, params).await?;
            to_text(&output)
        })
    }

    /// Registers an operation that reads.
    pub fn read<O: ReadOperation>(&mut self) -> &mut Self {
        const { assert!(matches!(O::ACCESS, Access::Read)) };
        self.method::<O, _, _>(async |context, params, _carried| {
            O::check(&params)?;
            let plane = context.plane().await?;
            let read = async {
                let mut tx = plane.read().await?;
                let output = O::run(&context, &mut tx, params).await?;
                to_text(&output)
            };
            tokio::select! {
                biased;
                () = context.cancel.0.notified() => {
                    Err(Denial::new(Code::Cancelled).message("the call was taken back before it was answered"))
                }
                read = tokio::time::timeout(READ_DEADLINE, read) => {
                    read.unwrap_or_else(|_| Err(Denial::new(Code::Busy).message("the read took too long")))
                }
            }
        })
    }

    /// Registers an operation that writes.
    pub fn write<O: WriteOperation>(&mut self) -> &mut Self {
        const { assert!(matches!(O::ACCESS, Access::Write)) };
        self.method::<O, _, _>(async |context, params, carried| {
            let Carried { key, redact, mut warnings } = carried;
            let caller = context.binding.caller(redact, &mut warnings)?;
            let prepared = Arc::new(O::prepare(&context, params).await?);
            let plane = context.plane().await?;
            let file = O::file(&prepared);
            let given = prepared.clone();
            let apply = Box::new(move |tx: &mut WriteTx<'_>| {
                for warning in &warnings {
                    tx.warn(warning.as_str());
                }
                to_text(&O::apply(tx, &given)?)
            });
            let outcome = plane.write(O::CODE, caller, key, apply).await;
            if let Some(file) = file {
                file.settle(&outcome);
            }
            O::finish(&context, &prepared, outcome?).await
        })
    }

    /// The codes of all operations that have a handler.
    pub fn codes(&self) -> &[&'static str] {
        &self.codes
    }

    /// The methods, for the transport.
    pub fn into_methods(self) -> jsonrpsee_core::server::Methods {
        self.module.into()
    }

    fn method<O, Handler, Reply>(&mut self, handler: Handler) -> &mut Self
    where
        O: Operation,
        Handler: Fn(Context, O::Params, Carried) -> Reply + Clone + Send + Sync + 'static,
        Reply: Future<Output = Result<String, Denial>> + Send,
    {
        let registered = self.module.register_async_method(O::METHOD, move |params, daemon, extensions| {
            let handler = handler.clone();
            async move {
                let started = Instant::now();
                let outcome = call::<O, _, _>(&handler, &params, (*daemon).clone(), &extensions).await;
                let outcome = outcome.map_err(|denial| denial.for_operation(&Card::of::<O>()));
                log(O::CODE, started, outcome.as_ref().err());
                respond(outcome)
            }
        });
        if let Err(error) = registered {
            // Unique methods are a rule of the contract that its own tests hold.
            tracing::error!(%error, code = O::CODE, "method not registered");
        }
        self.codes.push(O::CODE);
        self
    }
}

async fn call<O, Handler, Reply>(
    handler: &Handler,
    params: &Params<'_>,
    daemon: Arc<Daemon>,
    extensions: &Extensions,
) -> Result<String, Denial>
where
    O: Operation,
    Handler: Fn(Context, O::Params, Carried) -> Reply,
    Reply: Future<Output = Result<String, Denial>>,
{
    let _call = daemon.begin_call()?;
    let binding = extensions.get::<Arc<Binding>>().cloned().unwrap_or_default();
    let text = params.as_str().unwrap_or("{}");
    let (params, carried) = decode::<O::Params>(O::CODE, O::ACCESS, text)?;
    let cancel = extensions.get::<Cancel>().cloned().unwrap_or_default();
    handler(Context { daemon, binding, cancel }, params, carried).await
}

/// What a call carries beside its parameters, and what was noticed while they were read.
#[derive(Debug, Default, PartialEq)]
struct Carried {
    key: Option<RequestKey>,
    redact: bool,
    warnings: Vec<String>,
}

/// Reads the parameters of a call and what it carries under `_meta`. Those of a write pass the gate of
/// [`redaction`](crate::redaction) here, so that no handler sees what must not be stored.
fn decode<P: DeserializeOwned>(operation: &str, access: Access, text: &str) -> Result<(P, Carried), Denial> {
    // Serde would read a list as the fields in their order, which nobody should rely on.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Denial::usage("the parameters must be a JSON object"));
    }
    let gated = access == Access::Write && gate::must_look(text);
    if !gated && !text.contains("\"_meta\"") {
        return Ok((serde_json::from_str(text).map_err(|error| bad_params(&error))?, Carried::default()));
    }
    let mut object: Map<String, Value> = serde_json::from_str(text).map_err(|error| bad_params(&error))?;
    let meta = match object.shift_remove("_meta") {
        Some(meta) => serde_json::from_value::<Meta>(meta).map_err(|error| bad_params(&error))?,
        None => Meta::default(),
    };
    let mut params = Value::Object(object);
    let key = match meta.key {
        Some(key) if key.is_empty() || key.len() > kaizen_proto::id::MAX_LEN => {
            return Err(Denial::usage(format!(
                "an idempotency key has 1 to {} bytes",
                kaizen_proto::id::MAX_LEN
            )));
        }
        Some(key) => Some(RequestKey {
            key,
            params_hash: writer::params_hash(operation, &canonical_json::to_string(&params)),
        }),
        None => None,
    };
    let mut warnings = Vec::new();
    if gated && let Value::Object(params) = &mut params {
        if let Some(key) = &key {
            // Masked keys would meet each other.
            gate::check_text("key", &key.key)
                .map_err(|denial| denial.action("Use another idempotency key."))?;
        }
        // The key stands for what the caller sent; what is stored may differ from it.
        warnings = gate::check(operation, meta.redact, params)?;
    }
    let carried = Carried { key, redact: meta.redact, warnings };
    Ok((serde_json::from_value(params).map_err(|error| bad_params(&error))?, carried))
}

fn bad_params(error: &serde_json::Error) -> Denial {
    Denial::usage(format!("the parameters do not fit: {error}"))
}

fn to_text<T: Serialize>(output: &T) -> Result<String, Denial> {
    serde_json::to_string(output).map_err(|error| fault::unexpected("write the reply", &error))
}

/// The outcome of a call as JSON-RPC wants it.
pub fn respond(outcome: Result<String, Denial>) -> ResponsePayload<'static, Box<RawValue>> {
    match outcome.and_then(|text| {
        if text.len() > MAX_REPLY {
            return Err(Denial::new(Code::FrameTooLarge)
                .with("bytes", text.len())
                .with("limit", MAX_REPLY)
                .message("the reply would be too large")
                .action("Ask for fewer records: --limit N, then --after ID."));
        }
        RawValue::from_string(text).map_err(|error| fault::unexpected("write the reply", &error))
    }) {
        Ok(reply) => ResponsePayload::success(reply),
        Err(denial) => ResponsePayload::error(error_object(&denial)),
    }
}

/// A denial as a JSON-RPC error.
pub fn error_object(denial: &Denial) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(denial.code.kind().rpc_code(), denial.to_string(), Some(denial.to_json()))
}

fn log(code: &str, started: Instant, denial: Option<&Denial>) {
    let us = started.elapsed().as_micros();
    match denial {
        None => tracing::debug!(operation = code, us, "done"),
        // The text of a denial can quote what the caller sent, so only its code is logged.
        Some(denial) => tracing::info!(operation = code, us, code = denial.code.text(), "denied"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use kaizen_proto::families::record::{InspectRecord, ListRecords};

    use super::*;

    #[test]
    fn parameters_are_read_by_name_only() {
        assert_eq!(decode::<ListRecords>("G2", Access::Read, "[1]").unwrap_err().code, Code::Usage);
        assert_eq!(
            decode::<ListRecords>("G2", Access::Read, r#"{"limit":1,"other":2}"#).unwrap_err().code,
            Code::Usage
        );
        assert_eq!(decode::<ListRecords>("G2", Access::Read, r#"{"limit":1}"#).unwrap().0.limit, Some(1));
    }

    #[test]
    fn the_key_is_no_part_of_the_parameters() {
        let read = |text: &str| decode::<InspectRecord>("G4", Access::Read, text).unwrap();
        let (params, first) = read(r#"{"id":"g_1","_meta":{"key":"k"}}"#);
        assert_eq!(params.id.as_deref(), Some("g_1"));
        let (_, reordered) = read(r#"{"_meta":{"key":"k"},"id":"g_1"}"#);
        assert_eq!(first, reordered);
        let (_, other) = read(r#"{"_meta":{"key":"k"},"id":"g_2"}"#);
        assert_ne!(first, other);
        assert_eq!(
            decode::<InspectRecord>("G4", Access::Read, r#"{"_meta":{"key":""}}"#).unwrap_err().code,
            Code::Usage
        );
    }
}
