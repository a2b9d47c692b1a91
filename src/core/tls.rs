//! Connections that speak through TLS: what arrives is opened before anything looks at it.

use super::http::wire_of;
use super::inbox::Held;
use super::{Core, Work};
use crate::connection::{Door, Wire};
use crate::tls::Sealed;
use pinion_io::ring::{Chunk, SocketId};
use pinion_io::tls::Fault;
use std::sync::atomic::Ordering;

impl Core {
    /// Opens what arrived, and has it parsed like any other bytes.
    pub(super) fn take_sealed(&mut self, socket: SocketId, mut chunk: Chunk) {
        let mut plain = Vec::with_capacity(chunk.len());
        let Some(connection) = self.work.connection(socket) else {
            return self.ring.give_back(chunk);
        };
        let Some(tls) = &mut connection.tls else { unreachable!("it speaks through TLS") };
        let opened = tls.open(self.ring.bytes_mut(&mut chunk), &mut plain);
        let is_ended = tls.is_ended();
        // Of the bytes that arrived, which are counted already, these are the client's.
        let stats = &mut self.work.stats;
        stats.input_bytes = stats.input_bytes + plain.len() as u64 - chunk.len() as u64;
        self.ring.give_back(chunk);
        if !plain.is_empty() {
            self.take_opened(socket, plain);
        }
        if let Err(fault) = opened {
            self.work.fail_sealed(socket, &fault);
        }
        if is_ended {
            self.work.take_end(socket, false);
        }
        // A handshake has something to say.
        if self.work.connection(socket).is_some_and(|connection| connection.has_output()) {
            self.work.mark_dirty(socket);
        }
    }

    fn take_opened(&mut self, socket: SocketId, plain: Vec<u8>) {
        let (now, http) = (self.work.now, self.work.settings.http);
        let Some(connection) = self.work.connection(socket) else { return };
        connection.session.input_bytes_total += plain.len() as u64;
        connection.session.last_active = now;
        if connection.wire == Wire::Fresh && connection.input.is_empty() {
            connection.wire = wire_of(&plain, http);
        }
        if connection.runs() && connection.input.is_empty() && connection.wire == Wire::Redis {
            return self.take_held(socket, Held::Bytes(plain));
        }
        if connection.input.is_empty() {
            connection.input = plain;
        } else {
            connection.input.extend_from_slice(&plain);
        }
        self.take_input(socket);
    }

    /// Tells the peer of a connection that is done that nothing more comes; false if that is told,
    /// or not to be.
    #[inline]
    pub(super) fn takes_leave(&mut self, socket: SocketId) -> bool {
        let Some(connection) = self.work.connection(socket) else { return false };
        let takes = !connection.killed && connection.tls.as_mut().is_some_and(|tls| tls.end());
        if takes {
            self.work.mark_dirty(socket);
            self.work.leaving = true;
        }
        takes
    }
}

impl Work {
    /// The TLS of a connection that came in by this door, if it speaks through one.
    ///
    /// # Errors
    /// It cannot be set up.
    pub(super) fn tls_behind(&self, door: Door) -> Result<Option<Box<Sealed>>, Fault> {
        match &self.settings.tls.acceptor {
            _ if !door.tls => Ok(None),
            Some(acceptor) => Ok(Some(Box::new(Sealed::new(acceptor, self.now)?))),
            None => unreachable!("whoever listens for TLS has an acceptor"),
        }
    }

    /// Ends a connection whose TLS broke, once the peer was told why.
    #[cold]
    fn fail_sealed(&mut self, socket: SocketId, fault: &Fault) {
        let second = self.now / 1000;
        let told = self.server.tls_fault_second.swap(second, Ordering::Relaxed);
        let Some(connection) = self.connection(socket) else { return };
        connection.ended = true;
        connection.session.closing = true;
        if told != second {
            tracing::warn!("closing a TLS connection from {}: {fault}", connection.session.peer);
        }
        self.mark_dirty(socket);
    }
}
