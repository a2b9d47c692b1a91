//! What clients of this core cache: told them when it changes.

use super::Work;
use crate::hop::Parcel;
use crate::session::Tracking;
use pinion_io::resp::{Protocol, Reply};
use pinion_io::ring::SocketId;
use pinion_shards::Changed;
use pinion_shards::channels::Kind;
use std::collections::HashMap;
use std::sync::Arc;

/// The clients of this core that cache what they read, by number.
pub(super) type Cachers = HashMap<u64, SocketId>;

/// The keys that a client hears of: these, or all there are.
pub type Keys = Option<Arc<[Box<[u8]>]>>;

/// Where clients hear of it that speak RESP2.
const CHANNEL: &[u8] = b"__redis__:invalidate";

impl Work {
    /// Notes whether a client caches what it reads.
    pub(super) fn note_caching(&mut self, socket: SocketId) {
        let Some(connection) = self.connection(socket) else { return };
        let (id, caches) = (connection.session.id, connection.session.tracking.is_some());
        self.set_caching(id, caches.then_some(socket));
    }

    fn set_caching(&mut self, client: u64, socket: Option<SocketId>) {
        let known = match socket {
            Some(socket) => self.cachers.insert(client, socket).is_some(),
            None => self.cachers.remove(&client).is_some(),
        };
        if known != socket.is_some() {
            self.server.count_caching(socket.is_some());
        }
    }

    /// Forgets a client that goes.
    pub(super) fn leave_caching(&mut self, socket: SocketId) {
        let Some(connection) = self.connection(socket) else { return };
        let id = connection.session.id;
        self.set_caching(id, None);
        self.server.note_home(id, None);
    }

    /// Tells clients that a key is not what they have read.
    pub(super) fn tell_stale(&mut self, key: &[u8], clients: &[u64], writer: u64) {
        let keys: Keys = Some(Arc::new([key.into()]));
        for client in clients {
            let Some(&socket) = self.cachers.get(client) else { continue };
            // What it read before it wanted to hear of prefixes does not count any more.
            let hears = |tracking: &Tracking| {
                !tracking.broadcast && !(*client == writer && tracking.no_loop)
            };
            let connection = self.connection(socket);
            let tracking = connection.and_then(|connection| connection.session.tracking.as_deref());
            if tracking.is_some_and(hears) {
                self.invalidate(socket, &keys);
            }
        }
    }

    /// Tells clients of changed keys with a prefix.
    pub(super) fn tell_broadcast(&mut self, prefix: &[u8], changed: &[Changed]) {
        let mut sockets = Vec::new();
        self.channels.each_of(Kind::Prefix, prefix, |socket| sockets.push(socket));
        let mut all: Vec<Box<[u8]>> = changed.iter().map(|(key, _)| key.clone()).collect();
        all.dedup();
        let all: Keys = Some(all.into());
        for socket in sockets {
            let Some(connection) = self.connection(socket) else { continue };
            let id = connection.session.id;
            if !self.spares_own(socket) || changed.iter().all(|(_, writer)| *writer != id) {
                self.invalidate(socket, &all);
                continue;
            }
            let others = changed.iter().filter(|(_, writer)| *writer != id);
            let mut others: Vec<_> = others.map(|(key, _)| key.clone()).collect();
            others.dedup();
            if !others.is_empty() {
                self.invalidate(socket, &Some(others.into()));
            }
        }
    }

    /// Tells all clients, on every core, that nothing they have read is there any more.
    pub(super) fn tell_flushed(&mut self) {
        if self.server.caching() == 0 {
            return;
        }
        for core in (0..self.hops.cores()).filter(|&core| core != self.index) {
            self.hops.send(core, Parcel::Flushed, &mut self.stats);
        }
        self.hear_flushed();
    }

    /// The same on this core.
    pub(super) fn hear_flushed(&mut self) {
        let sockets: Vec<_> = self.cachers.values().copied().collect();
        for socket in sockets {
            self.invalidate(socket, &None);
        }
    }

    /// True if a client does not want to hear of its own changes.
    fn spares_own(&mut self, socket: SocketId) -> bool {
        let tracking = self.connection(socket).and_then(|it| it.session.tracking.as_ref());
        tracking.is_some_and(|tracking| tracking.no_loop)
    }

    /// Tells one client that keys have changed, or the client that it named for that.
    fn invalidate(&mut self, socket: SocketId, keys: &Keys) {
        let Some(connection) = self.connection(socket) else { return };
        let Some(tracking) = &connection.session.tracking else { return };
        let Some(redirect) = tracking.redirect else {
            return self.hand_invalidation(socket, keys, false);
        };
        match self.server.home_of(redirect) {
            Some((core, to)) if usize::from(core) == self.index => {
                self.hand_invalidation(to, keys, true);
            }
            Some((core, to)) => {
                let parcel = Parcel::Invalidation(to, keys.clone());
                self.hops.send(usize::from(core), parcel, &mut self.stats);
            }
            None => self.tell_broken(socket, redirect),
        }
    }

    /// Tells a client that the one is gone which should hear of changed keys.
    fn tell_broken(&mut self, socket: SocketId, redirect: u64) {
        let Some(connection) = self.connection(socket) else { return };
        if let Some(tracking) = &mut connection.session.tracking {
            tracking.is_broken = true;
        }
        if connection.session.protocol == Protocol::Resp3 {
            let mut text = Vec::new();
            let mut reply = Reply::new(&mut text, Protocol::Resp3);
            reply.push(2);
            reply.bulk(b"tracking-redir-broken");
            reply.int(redirect as i64);
            self.push(socket, &text);
        }
    }

    /// Tells a client of changed keys: its own, or those of one that named it for that.
    pub(super) fn hand_invalidation(&mut self, socket: SocketId, keys: &Keys, is_named: bool) {
        let Some(connection) = self.connection(socket) else { return };
        let session = &connection.session;
        let mut text = Vec::new();
        let mut reply = Reply::new(&mut text, session.protocol);
        if session.protocol == Protocol::Resp3 {
            reply.push(2);
            reply.bulk(b"invalidate");
        } else if is_named && session.is_subscriber() {
            reply.array(3);
            reply.bulk(b"message");
            reply.bulk(CHANNEL);
        } else {
            return;
        }
        match keys {
            Some(keys) => {
                reply.array(keys.len());
                keys.iter().for_each(|key| reply.bulk(key));
            }
            None => reply.null(),
        }
        self.push(socket, &text);
    }

    fn push(&mut self, socket: SocketId, text: &[u8]) {
        if let Some(connection) = self.connection(socket) {
            connection.push(text);
            self.mark_dirty(socket);
        }
    }
}
