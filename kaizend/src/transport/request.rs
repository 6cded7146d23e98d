//! One message of the wire: a request, a notification or a batch of them.

use std::borrow::Cow;

use jsonrpsee_types::{ErrorObjectOwned, Id};
use kaizen_proto::denial::Denial;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use crate::registry::error_object;

/// Calls in one batch at most.
pub const MAX_BATCH: usize = 64;

/// A request, or a notification when it has no id.
#[derive(Debug, Deserialize)]
pub struct Request<'a> {
    /// Always `2.0`.
    #[serde(borrow)]
    pub jsonrpc: Cow<'a, str>,
    /// What the reply is matched by. An explicit null is an id like any other.
    #[serde(borrow, default, deserialize_with = "present")]
    pub id: Option<Id<'a>>,
    /// The method.
    #[serde(borrow)]
    pub method: Cow<'a, str>,
    /// The parameters, not yet read.
    #[serde(borrow, default)]
    pub params: Option<&'a RawValue>,
}

/// An id that is there, even when it is null.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Id<'a>>, D::Error> {
    Id::deserialize(deserializer).map(Some)
}

/// What can be told of a message that is not a request.
#[derive(Deserialize)]
struct OnlyId<'a> {
    #[serde(borrow, default)]
    id: Option<Id<'a>>,
}

/// What a frame holds.
#[derive(Debug)]
pub enum Message<'a> {
    /// One request.
    One(&'a RawValue),
    /// Several requests, answered together.
    Batch(Vec<&'a RawValue>),
}

impl<'a> Message<'a> {
    /// Reads a frame as far as telling one request from several.
    ///
    /// # Errors
    /// The JSON-RPC error for broken JSON (-32700) or an unusable batch (-32600).
    pub fn read(frame: &'a [u8]) -> Result<Self, ErrorObjectOwned> {
        let text: &RawValue = serde_json::from_slice(frame).map_err(|error| broken(&error))?;
        if !text.get().starts_with('[') {
            return Ok(Message::One(text));
        }
        let batch: Vec<&RawValue> = serde_json::from_str(text.get()).map_err(|error| broken(&error))?;
        match batch.len() {
            0 => Err(invalid("a batch holds at least one request")),
            1..=MAX_BATCH => Ok(Message::Batch(batch)),
            more => Err(invalid(&format!("a batch holds at most {MAX_BATCH} requests, this one {more}"))),
        }
    }
}

impl<'a> Request<'a> {
    /// Reads one request.
    ///
    /// # Errors
    /// The JSON-RPC error -32600, with the id as far as it can be told.
    pub fn read(text: &'a RawValue) -> Result<Self, (Id<'static>, ErrorObjectOwned)> {
        match serde_json::from_str::<Request<'_>>(text.get()) {
            Ok(request) if request.jsonrpc == "2.0" => Ok(request),
            Ok(request) => Err((owned_id(request.id), invalid("jsonrpc must be \"2.0\""))),
            Err(error) => {
                let id =
                    serde_json::from_str::<OnlyId<'_>>(text.get()).map_or(Id::Null, |only| owned_id(only.id));
                Err((id, invalid(&format!("not a request: {error}"))))
            }
        }
    }
}

/// The id of a request, or null.
pub fn owned_id(id: Option<Id<'_>>) -> Id<'static> {
    id.map_or(Id::Null, Id::into_owned)
}

fn broken(error: &serde_json::Error) -> ErrorObjectOwned {
    with_rpc_code(-32700, &Denial::usage(format!("the message is not JSON: {error}")))
}

fn invalid(reason: &str) -> ErrorObjectOwned {
    with_rpc_code(-32600, &Denial::usage(reason))
}

/// A denial under one of JSON-RPC's own codes.
pub fn with_rpc_code(code: i32, denial: &Denial) -> ErrorObjectOwned {
    let object = error_object(denial);
    ErrorObjectOwned::owned(code, object.message().to_owned(), object.data().map(ToOwned::to_owned))
}

/// The text of an error reply.
pub fn error_reply(id: &Id<'_>, error: &ErrorObjectOwned) -> String {
    json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string()
}

/// The text of a notification.
///
/// # Errors
/// None that plain data can cause.
pub fn notification<T: Serialize>(method: &str, params: &T) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Notification<'a, T> {
        jsonrpc: &'static str,
        method: &'a str,
        params: &'a T,
    }
    serde_json::to_string(&Notification { jsonrpc: "2.0", method, params })
}

/// The text of a reply.
///
/// # Errors
/// None that plain data can cause.
pub fn result_reply<T: Serialize>(id: &Id<'_>, result: &T) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Reply<'a, T> {
        jsonrpc: &'static str,
        id: &'a Id<'a>,
        result: &'a T,
    }
    serde_json::to_string(&Reply { jsonrpc: "2.0", id, result })
}
