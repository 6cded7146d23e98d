//! JSON-RPC 2.0 over a local socket.

pub mod connection;
mod hangup;
pub mod hello;
pub mod listener;
pub mod request;
pub mod subscription;
