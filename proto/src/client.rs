//! A small blocking client: connect, say hello, call. No retries and no policy; those are the caller's.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use interprocess::local_socket::{GenericFilePath, Stream, ToFsName, traits::Stream as _};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::denial::{Code, Denial};
use crate::frame::MAX_FRAME;
use crate::hello::{Hello, Welcome, method};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens: the socket is missing or refuses.
    #[error("no daemon is listening")]
    NoDaemon,
    /// Somebody else listens, or this process may not connect.
    #[error("{0}")]
    Denied(Denial),
}

/// Why a call has no reply.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The connection broke. A write may or may not have been carried out; its idempotency key makes a second try safe.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// The daemon denied the call. The value is the denial as it is printed.
    #[error("denied: {0}")]
    Denied(Box<RawValue>),
    /// The peer does not speak our protocol.
    #[error("the reply is not JSON-RPC: {0}")]
    Garbled(String),
}

/// A connection to the daemon.
pub struct Connection {
    stream: BufReader<Stream>,
    next_id: u64,
}

#[derive(Deserialize)]
struct Response<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<RpcError<'a>>,
}

#[derive(Deserialize)]
struct RpcError<'a> {
    code: i32,
    message: String,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl Connection {
    /// Connects to the socket and checks that it belongs to this user.
    ///
    /// # Errors
    /// [`ConnectError::NoDaemon`] for ENOENT and ECONNREFUSED only; anything else is a denial.
    pub fn open(socket: &Path) -> Result<Self, ConnectError> {
        let unreachable = |error: &io::Error| {
            Denial::new(Code::DaemonUnreachable)
                .with("endpoint", socket.display().to_string())
                .with("reason", error.to_string())
        };
        let name = socket
            .to_fs_name::<GenericFilePath>()
            .map_err(|error| ConnectError::Denied(unreachable(&error)))?;
        let stream = Stream::connect(name).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ConnectError::NoDaemon,
            _ => ConnectError::Denied(unreachable(&error)),
        })?;
        check_peer(&stream).map_err(ConnectError::Denied)?;
        Ok(Connection { stream: BufReader::with_capacity(16 * 1024, stream), next_id: 0 })
    }

    /// Says hello and makes one call in the same round trip. Returns the daemon's welcome beside the call's outcome.
    ///
    /// # Errors
    /// See [`CallError`]; an error of its own means that hello failed.
    pub fn hello_and_call(
        &mut self,
        hello: &Hello,
        method: &str,
        params: &str,
    ) -> Result<(Welcome, Result<Box<RawValue>, CallError>), CallError> {
        let hello = serde_json::to_string(hello).map_err(io::Error::from)?;
        let mut message = String::with_capacity(hello.len() + params.len() + 160);
        let hello_id = self.push_request(&mut message, method::HELLO, &hello);
        let call_id = self.push_request(&mut message, method, params);
        self.stream.get_mut().write_all(message.as_bytes())?;
        let welcome = self.reply(hello_id)?;
        let welcome =
            serde_json::from_str(welcome.get()).map_err(|error| CallError::Garbled(error.to_string()))?;
        Ok((welcome, self.reply(call_id)))
    }

    /// Makes one call. `params` is a JSON object.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn call(&mut self, method: &str, params: &str) -> Result<Box<RawValue>, CallError> {
        let mut message = String::with_capacity(params.len() + 80);
        let id = self.push_request(&mut message, method, params);
        self.stream.get_mut().write_all(message.as_bytes())?;
        self.reply(id)
    }

    fn push_request(&mut self, message: &mut String, method: &str, params: &str) -> u64 {
        use std::fmt::Write as _;
        self.next_id += 1;
        // Writing to a string cannot fail.
        let _ = writeln!(
            message,
            r#"{{"jsonrpc":"2.0","id":{},"method":"{method}","params":{params}}}"#,
            self.next_id
        );
        self.next_id
    }

    fn reply(&mut self, id: u64) -> Result<Box<RawValue>, CallError> {
        loop {
            let mut line = Vec::new();
            let limit = u64::try_from(MAX_FRAME).unwrap_or(u64::MAX);
            let read = Read::take(&mut self.stream, limit).read_until(b'\n', &mut line)?;
            // A peer that dies in the middle of a reply has not answered.
            if read < MAX_FRAME && !line.ends_with(b"\n") {
                return Err(CallError::Broken(io::ErrorKind::UnexpectedEof.into()));
            }
            let response: Response<'_> =
                serde_json::from_slice(&line).map_err(|error| CallError::Garbled(error.to_string()))?;
            if response.id.is_some_and(|other| other != id) {
                continue;
            }
            if let Some(error) = response.error {
                return Err(match error.data {
                    Some(data) => CallError::Denied(data.to_owned()),
                    None => CallError::Garbled(format!("error {}: {}", error.code, error.message)),
                });
            }
            return Ok(response.result.unwrap_or(RawValue::NULL).to_owned());
        }
    }
}

#[cfg(unix)]
fn check_peer(stream: &Stream) -> Result<(), Denial> {
    use interprocess::local_socket::traits::StreamCommon as _;
    let denied = |reason: String| Denial::new(Code::Peer).with("reason", reason);
    let peer = stream.peer_creds().map_err(|error| denied(error.to_string()))?;
    let own = rustix::process::geteuid().as_raw();
    match peer.euid() {
        Some(uid) if uid == own => Ok(()),
        Some(uid) => Err(denied(format!("the socket belongs to a process of uid {uid}, this one is {own}"))),
        None => Err(denied("the system does not tell whose socket it is".into())),
    }
}

#[cfg(not(unix))]
fn check_peer(_stream: &Stream) -> Result<(), Denial> {
    // A named pipe is protected by its security descriptor instead.
    Ok(())
}
