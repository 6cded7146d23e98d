//! A small blocking client: connect, say hello, call. No retries and no policy; those are the caller's.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::time::Duration;

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
    Broken(io::Error),
    /// The daemon denied the call. The value is the denial as it is printed.
    #[error("denied: {0}")]
    Denied(Box<RawValue>),
    /// The peer does not speak our protocol.
    #[error("the reply is not JSON-RPC: {0}")]
    Garbled(String),
    /// Nothing came for as long as the caller was ready to wait. Like a broken connection, this says nothing about
    /// whether a write was carried out.
    #[error("nothing came in time")]
    TimedOut,
}

impl From<io::Error> for CallError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => CallError::TimedOut,
            _ => CallError::Broken(error),
        }
    }
}

/// What came from the daemon.
#[derive(Debug)]
pub enum Incoming {
    /// The reply to a call.
    Reply {
        /// The call; none when the daemon could not tell.
        id: Option<u64>,
        /// Its outcome.
        outcome: Result<Box<RawValue>, CallError>,
    },
    /// A notification.
    Notification {
        /// What it is about.
        method: String,
        /// What it says.
        params: Box<RawValue>,
    },
}

/// A connection to the daemon.
pub struct Connection {
    stream: BufReader<Stream>,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// Asked whenever nothing came for as long as the caller is patient: whether to wait on.
    still: Option<Still>,
    next_id: u64,
}

/// Whether it is worth waiting on.
pub type Still = Box<dyn FnMut() -> bool + Send>;

#[derive(Deserialize)]
struct Response<'a> {
    id: Option<u64>,
    method: Option<String>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
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
        Ok(Connection {
            stream: BufReader::with_capacity(16 * 1024, stream),
            line: Vec::new(),
            still: None,
            next_id: 0,
        })
    }

    /// Sets how long to wait for the daemon to send or to take anything, without a limit at first, and what to ask
    /// when nothing has come of a call for that long: whether to wait as long again.
    ///
    /// # Errors
    /// What the system denies.
    pub fn patience(&mut self, patience: Duration, still: Still) -> io::Result<()> {
        // Named pipes have no such limits.
        if cfg!(unix) {
            let stream = self.stream.get_ref();
            stream.set_recv_timeout(Some(patience))?;
            stream.set_send_timeout(Some(patience))?;
        }
        self.still = Some(still);
        Ok(())
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
        let hello = serde_json::to_string(hello).map_err(|error| CallError::Garbled(error.to_string()))?;
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

    /// Sends one call without waiting for its reply, whose id is returned.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn send(&mut self, method: &str, params: &str) -> Result<u64, CallError> {
        let mut message = String::with_capacity(params.len() + 80);
        let id = self.push_request(&mut message, method, params);
        self.stream.get_mut().write_all(message.as_bytes())?;
        Ok(id)
    }

    /// Whether something has been received that [`Connection::receive`] has not returned yet.
    pub fn has_received(&self) -> bool {
        !self.stream.buffer().is_empty()
    }

    /// Takes what comes next: reads once at most, and returns nothing while a message is not complete.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn receive(&mut self) -> Result<Option<Incoming>, CallError> {
        let received = match self.stream.fill_buf() {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if received.is_empty() {
            // A peer that dies in the middle of a reply has not answered.
            return Err(CallError::Broken(io::ErrorKind::UnexpectedEof.into()));
        }
        let end = received.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(received.len(), |end| end + 1);
        if self.line.len() + taken > MAX_FRAME + 2 {
            return Err(CallError::Garbled("a message is longer than a frame".into()));
        }
        self.line.extend_from_slice(&received[..taken]);
        self.stream.consume(taken);
        if end.is_none() {
            return Ok(None);
        }
        read(&std::mem::take(&mut self.line)).map(Some)
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
            match self.receive() {
                // What cannot be told apart by its id can only be about this call: there is no other.
                Ok(Some(Incoming::Reply { id: of, outcome })) if of.is_none_or(|of| of == id) => {
                    return outcome;
                }
                Ok(_) => {}
                Err(CallError::TimedOut) if self.still.as_mut().is_some_and(|still| still()) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for Connection {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        let Stream::UdSocket(stream) = self.stream.get_ref();
        stream.as_fd()
    }
}

fn read(line: &[u8]) -> Result<Incoming, CallError> {
    let response: Response<'_> =
        serde_json::from_slice(line).map_err(|error| CallError::Garbled(error.to_string()))?;
    if let Some(method) = response.method {
        let params = response.params.unwrap_or(RawValue::NULL).to_owned();
        return Ok(Incoming::Notification { method, params });
    }
    let outcome = match response.error {
        Some(RpcError { data: Some(data), .. }) => Err(CallError::Denied(data.to_owned())),
        Some(error) => Err(CallError::Garbled(format!("error {}: {}", error.code, error.message))),
        None => Ok(response.result.unwrap_or(RawValue::NULL).to_owned()),
    };
    Ok(Incoming::Reply { id: response.id, outcome })
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
