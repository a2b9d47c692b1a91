//! Listening sockets, and what is set on the accepted ones.

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

/// One end of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Address {
    /// An IP address and port.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix,
}

/// Listens on `address`; port 0 takes a free one.
///
/// # Errors
/// The address is in use or not ours.
pub fn listen_tcp(address: SocketAddr, backlog: i32) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// Listens on a unix socket at `path`, in place of one left behind there; `mode` is its permission
/// bits, if they are to be set.
///
/// # Errors
/// Something else is at `path`, or it cannot be made.
pub fn listen_unix(path: &Path, mode: Option<u32>, backlog: i32) -> io::Result<OwnedFd> {
    if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        std::fs::remove_file(path)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    if let Some(mode) = mode {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// The port a listener got.
///
/// # Errors
/// It is not a TCP socket.
pub fn port(listener: impl AsFd) -> io::Result<u16> {
    let address = SockRef::from(&listener.as_fd()).local_addr()?;
    address
        .as_socket()
        .map(|address| address.port())
        .ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// The two ends of a connection: the peer's, and ours.
///
/// # Errors
/// The peer is gone already.
pub fn ends(socket: impl AsFd) -> io::Result<(Address, Address)> {
    let descriptor = socket.as_fd();
    let socket = SockRef::from(&descriptor);
    let address = |end: SockAddr| end.as_socket().map_or(Address::Unix, Address::Tcp);
    Ok((address(socket.peer_addr()?), address(socket.local_addr()?)))
}

/// Prepares an accepted TCP socket: no delay, and probes after `keepalive` without a word.
///
/// # Errors
/// The peer is gone already.
pub fn prepare(socket: impl AsFd, keepalive: Option<Duration>) -> io::Result<()> {
    let descriptor = socket.as_fd();
    let socket = SockRef::from(&descriptor);
    socket.set_tcp_nodelay(true)?;
    if let Some(time) = keepalive {
        let interval = (time / 3).max(Duration::from_secs(1));
        let probes = TcpKeepalive::new().with_time(time).with_interval(interval).with_retries(3);
        socket.set_tcp_keepalive(&probes)?;
    }
    Ok(())
}
