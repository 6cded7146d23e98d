//! The contract between kaizend and its clients.
//!
//! An operation is defined once, as a row in its family's file under [`families`]: code, aliases, method, access,
//! parameters, reply, purpose, keywords and example. The command line, the RPC methods, the JSON Schemas and the
//! documents are made from these rows. This crate does no I/O but that of the small [`client`].

pub mod canonical_json;
pub mod client;
pub mod denial;
pub mod endpoint;
pub mod families;
pub mod feed;
pub mod find;
pub mod frame;
pub mod hello;
pub mod id;
pub mod limits;
pub mod operation;
pub mod record_schema;
pub mod spaced_json;
pub mod time;
pub mod values;

/// The release of this crate and of the programs built with it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
