//! Telling a peer that has gone from one that only has nothing more to say.

use interprocess::local_socket::tokio::Stream;

/// Waits until the peer has closed its socket altogether, which a peer that has only closed its sending half has not.
/// Where the system does not tell, it waits for ever, and the calls of such a peer run on.
#[cfg(unix)]
pub(super) async fn of(stream: &Stream) {
    use std::io::ErrorKind;
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream as Blocking;

    use interprocess::local_socket::tokio::Stream::UdSocket;
    use tokio::io::Interest;
    use tokio::net::UnixStream;

    let UdSocket(socket) = stream;
    // A descriptor of its own, so that what is learnt here does not mix with the readiness that reading waits for.
    let own = socket.as_fd().try_clone_to_owned().and_then(|own| UnixStream::from_std(Blocking::from(own)));
    if let Ok(own) = own {
        while let Ok(ready) = own.ready(Interest::WRITABLE).await {
            if ready.is_write_closed() {
                return;
            }
            // Room to write is of no interest; this makes the next wait one for news.
            let _ = own.try_io(Interest::WRITABLE, || Err::<(), _>(ErrorKind::WouldBlock.into()));
        }
    }
    std::future::pending::<()>().await;
}

#[cfg(not(unix))]
pub(super) async fn of(_stream: &Stream) {
    std::future::pending().await
}
