//! Keeps memory within its limits: evicts keys, and closes the largest clients.
//!
//! Where keys take more than `maxmemory` leaves, each core looks in every turn whether those of its
//! shard should go (`pinion_shards::Bank`). When clients take more than `maxmemory-clients`:
//! Each core counts its own clients ten times a second and tells the others the sum; where all are
//! too much, each closes its largest until its share fits. One that is too large by itself is
//! closed at once.

use super::Work;
use crate::connection::Connection;
use pinion_io::ring::SocketId;

/// Bytes that a connection takes.
fn bytes_of(connection: &Connection) -> u64 {
    let own = size_of::<Connection>() + connection.session.bytes();
    (own + connection.input_bytes() + connection.output_bytes()) as u64
}

impl Work {
    /// Keeps the shard to its share of memory; true if there is more to evict at once.
    #[inline]
    pub(super) fn keep_to_limit(&mut self) -> bool {
        if self.settings.memory_bytes_max == 0 {
            return false;
        }
        self.server.ledger.sample_when_due(self.now);
        let more = self.owner.value().settle_memory(self.now);
        if self.owner.value().has_late() {
            self.bring_late();
        }
        more
    }

    /// Counts what clients take, and closes the largest if that is too much.
    pub(super) fn evict_clients(&mut self) {
        let Some(limit) = self.settings.clients_bytes_max() else { return };
        let connections = self.connections.iter().flatten();
        let mut sizes: Vec<(u64, SocketId)> =
            connections.map(|connection| (bytes_of(connection), connection.socket)).collect();
        let mut own: u64 = sizes.iter().map(|(bytes, _)| bytes).sum();
        let all = self.server.note_client_bytes(self.index, own);
        if all <= limit {
            return;
        }
        let share = (u128::from(limit) * u128::from(own) / u128::from(all)) as u64;
        sizes.sort_unstable_by_key(|(bytes, _)| *bytes);
        while own > share
            && let Some((bytes, socket)) = sizes.pop()
        {
            if self.evict(socket) {
                own -= bytes;
            }
        }
        self.server.note_client_bytes(self.index, own);
    }

    /// Closes a client that takes more by itself than all may.
    #[inline]
    pub(super) fn evict_if_giant(&mut self, socket: SocketId) {
        let Some(limit) = self.settings.clients_bytes_max() else { return };
        if self.connection(socket).is_some_and(|connection| bytes_of(connection) > limit) {
            self.evict(socket);
        }
    }

    /// Closes a client unless it is to stay; false then.
    fn evict(&mut self, socket: SocketId) -> bool {
        let Some(connection) = self.connection(socket) else { return false };
        if connection.session.no_evict || connection.killed {
            return false;
        }
        connection.kill();
        self.stats.clients_evicted += 1;
        self.mark_dirty(socket);
        true
    }
}
