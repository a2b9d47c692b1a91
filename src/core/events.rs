//! What the ring reports: connections come, bytes come, sends end, peers go.

use super::Core;
use crate::connection::{Connection, Door, Intake};
use crate::session::{Peer, Session};
use pinion_io::net::{self, Address};
use pinion_io::ring::{Event, SocketId};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// What a client hears that comes from elsewhere while there is no password.
const PROTECTED: &[u8] = b"-DENIED Pinion is in protected mode: no password is set, and this \
    client is not on the loopback interface. Set --requirepass, or --protected_mode=false where \
    the network is trusted.\r\n";
const FULL: &[u8] = b"-ERR max number of clients reached\r\n";

impl Core {
    /// Takes the ring's events; false if there is none.
    pub(super) fn reap(&mut self) -> bool {
        let mut busy = false;
        while let Some(event) = self.ring.next_event() {
            busy = true;
            match event {
                Event::Received { socket, chunk } => self.inbox.push(socket, chunk),
                Event::Sent { socket, buffer } => self.sent(socket, buffer),
                Event::Rung | Event::Heartbeat => {}
                Event::Accepted { listener, socket } => {
                    let door = self.doors.get(listener).copied();
                    self.accepted(socket, door.unwrap_or_default());
                }
                Event::Direct { socket, buffer } => self.received_direct(socket, buffer),
                Event::Paused { socket } => self.paused(socket),
                Event::Ended { socket, error } => {
                    self.inbox.push_end(socket, error.is_some());
                }
                Event::SendFailed { socket } => {
                    if let Some(connection) = self.work.connection(socket) {
                        connection.kill();
                        self.work.mark_dirty(socket);
                    }
                }
                Event::AcceptFailed { error } => {
                    tracing::warn!("cannot accept a connection: {error}");
                }
            }
        }
        busy
    }

    #[inline]
    fn sent(&mut self, socket: SocketId, mut buffer: Vec<u8>) {
        buffer.clear();
        self.work.keep_buffer(buffer);
        let Some(connection) = self.work.connection(socket) else { return };
        connection.sending = 0;
        if connection.has_output()
            || connection.ended
            || connection.session.closing
            || connection.stall != crate::connection::Stall::None
        {
            self.work.mark_dirty(socket);
        }
    }

    fn received_direct(&mut self, socket: SocketId, buffer: Vec<u8>) {
        let now = self.work.now;
        let Some(connection) = self.work.connection(socket) else { return };
        let Intake::Direct(before) = connection.intake else {
            unreachable!("a direct receive was asked for")
        };
        let received = (buffer.len() - before) as u64;
        connection.intake = Intake::Stopped;
        connection.take_back(buffer);
        connection.session.last_active = now;
        connection.session.input_bytes_total += received;
        self.work.stats.input_bytes += received;
        self.take_input(socket);
    }

    fn paused(&mut self, socket: SocketId) {
        // What came before the pause is parsed first: the inbox holds it.
        self.run_inbox(usize::MAX);
        let Some(connection) = self.work.connection(socket) else { return };
        connection.intake = Intake::Stopped;
        if connection.runs() {
            let need = self.missing(socket);
            self.go_on_receiving(socket, need);
        }
    }

    /// Places a fresh connection on the core with the fewest, or turns it away.
    fn accepted(&mut self, socket: OwnedFd, door: Door) {
        self.work.stats.connections_received += 1;
        if let Some(refusal) = self.refusal(&socket) {
            self.work.stats.connections_rejected += 1;
            // A fresh socket takes a line at once; if not, the peer only misses the reason.
            let refusal = door.wire.refusal(refusal);
            if !door.tls {
                let _ = File::from(socket).write_all(&refusal);
            }
            return;
        }
        let target = self.work.server.census.place();
        if target == self.work.index {
            self.adopt(socket, door);
        } else {
            let parcel = crate::hop::Parcel::Socket(socket, door);
            self.work.hops.send(target, parcel, &mut self.work.stats);
        }
    }

    fn refusal(&self, socket: &OwnedFd) -> Option<&'static [u8]> {
        let settings = &self.work.settings;
        if self.work.server.census.total() as u64 >= settings.clients_max {
            return Some(FULL);
        }
        let open = || self.work.server.acl.users().default_user().lets_all_in();
        if settings.protected_mode && open() {
            let (peer, _) = net::ends(socket).ok()?;
            let local = match peer {
                Address::Tcp(address) => address.ip().to_canonical().is_loopback(),
                Address::Unix => true,
            };
            return (!local).then_some(PROTECTED);
        }
        None
    }

    /// Takes a connection in.
    pub(super) fn adopt(&mut self, socket: OwnedFd, door: Door) {
        let keepalive = self.work.settings.tcp_keepalive;
        let keepalive = (keepalive > 0).then(|| Duration::from_secs(keepalive));
        let ends = net::ends(&socket).and_then(|(peer, local)| {
            if matches!(peer, Address::Tcp(_)) {
                net::prepare(&socket, keepalive)?;
            }
            Ok((peer, local))
        });
        let tls = self.work.tls_behind(door);
        let (Ok((peer, local)), Ok(tls)) = (ends, tls) else {
            // The peer is gone already.
            self.work.server.census.leave(self.work.index);
            return;
        };
        let end = |address| match address {
            Address::Tcp(address) => Peer::Tcp(address),
            Address::Unix => self.work.unix_path.clone(),
        };
        let id = self.work.server.client_id();
        let (fd, core) = (socket.as_raw_fd(), self.work.index as u16);
        let acl = &self.work.server.acl;
        let session = Session::new(id, (end(peer), end(local)), fd, core, self.work.now, acl);
        let socket = self.ring.attach(socket);
        self.work.server.note_home(id, Some((core, socket)));
        let index = socket.index as usize;
        if self.work.connections.len() <= index {
            self.work.connections.resize_with(index + 1, || None);
        }
        let connection = Connection { wire: door.wire, tls, ..Connection::new(socket, session) };
        self.work.connections[index] = Some(Box::new(connection));
    }
}
