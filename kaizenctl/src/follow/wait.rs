//! Waiting for the daemon, for a signal to end, and for the reader of standard output to go away, all at once.

use std::io;
use std::time::Duration;

use kaizen_proto::client::Connection;

/// What ended the waiting.
pub(super) enum Event {
    /// The daemon sent something, or the time is up.
    Ready,
    /// Somebody has seen enough.
    Enough,
}

#[cfg(unix)]
pub(super) struct Waiter {
    /// Readable once a signal has come.
    signals: std::os::unix::net::UnixStream,
}

#[cfg(unix)]
impl Waiter {
    /// From here on the signals that end a program only end the waiting.
    pub(super) fn new() -> io::Result<Self> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let (signals, raised) = std::os::unix::net::UnixStream::pair()?;
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            signal_hook::low_level::pipe::register(signal, raised.try_clone()?)?;
        }
        Ok(Waiter { signals })
    }

    /// Waits until the connection can be read, or for so long.
    pub(super) fn wait(&self, connection: Option<&Connection>, limit: Option<Duration>) -> Event {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let output = io::stdout();
        // Of a pipe that nobody reads, an error is reported without being asked for.
        let mut watched =
            vec![PollFd::new(&self.signals, PollFlags::IN), PollFd::new(&output, PollFlags::empty())];
        watched.extend(connection.map(|connection| PollFd::new(connection, PollFlags::IN)));
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        loop {
            match poll(&mut watched, limit.as_ref()) {
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return Event::Enough,
                Ok(_) if !watched[0].revents().is_empty() => return Event::Enough,
                Ok(_) if watched[1].revents().intersects(PollFlags::ERR | PollFlags::NVAL) => {
                    return Event::Enough;
                }
                Ok(_) => return Event::Ready,
            }
        }
    }
}

#[cfg(not(unix))]
pub(super) struct Waiter;

#[cfg(not(unix))]
impl Waiter {
    #[expect(clippy::unnecessary_wraps, reason = "the same face on every system")]
    pub(super) fn new() -> io::Result<Self> {
        Ok(Waiter)
    }

    /// Reading itself waits, and Ctrl-C ends the program.
    #[expect(clippy::disallowed_methods, reason = "there is no event for another process's socket")]
    pub(super) fn wait(&self, _connection: Option<&Connection>, limit: Option<Duration>) -> Event {
        limit.into_iter().for_each(std::thread::sleep);
        Event::Ready
    }
}
