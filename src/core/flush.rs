//! The end of a tick: batches to their owners, replies to their clients, and the closing of those
//! that are done.

use super::run::WAITING_REPLY_BYTES_MAX;
use super::{Core, Work};
use crate::config::Settings;
use crate::connection::Stall;
use crate::hop::Parcel;
use pinion_io::ring::SocketId;
use pinion_shards::Retire;
use std::sync::Arc;

/// Redis's buffers of a client: what the first holds is not counted by limits, and the others are
/// counted whole.
const BUFFER_BYTES: usize = 16 * 1024;

/// Output buffers kept for use again, and the largest that is.
pub(super) const SPARE_COUNT_MAX: usize = 1024;
pub(super) const SPARE_BYTES_MAX: usize = 32 * 1024;

impl Core {
    /// Sends everything this tick produced.
    pub(super) fn flush(&mut self) {
        self.work.show_lines();
        self.work.flush_hops();
        self.release_stalled();
        let mut dirty = std::mem::take(&mut self.work.dirty);
        for socket in dirty.drain(..) {
            self.flush_connection(socket);
        }
        // Who has gone waits and watches no more, which the owners hear at once.
        if self.work.coordinator.has_output() || self.work.hops.has_more() {
            self.work.flush_hops();
            self.work.leaving = true;
        }
        // Closing one connection may have marked another.
        std::mem::swap(&mut self.work.dirty, &mut dirty);
        self.work.dirty.append(&mut dirty);
    }

    /// Lets connections go on whose lane has room again.
    fn release_stalled(&mut self) {
        for socket in std::mem::take(&mut self.work.stalled) {
            let Some(connection) = self.work.connection(socket) else { continue };
            let Stall::Lane(owner) = connection.stall else { continue };
            if self.work.hops.has_room(usize::from(owner), &mut self.work.stats) {
                if let Some(connection) = self.work.connection(socket) {
                    connection.stall = Stall::None;
                    self.work.go_on(socket);
                    self.work.mark_dirty(socket);
                }
            } else {
                self.work.stalled.push(socket);
            }
        }
    }

    #[inline]
    fn flush_connection(&mut self, socket: SocketId) {
        let index = socket.index as usize;
        let Some(Some(connection)) = self.work.connections.get_mut(index) else { return };
        if connection.socket != socket {
            return;
        }
        connection.dirty = false;
        connection.restore_deferred();
        let mut emptied = Vec::new();
        if connection.sends() {
            let Some(output) = connection.take_output(&mut self.work.spare) else {
                return self.close(socket);
            };
            emptied = output.emptied;
            connection.sending = output.buffer.len();
            connection.session.output_bytes_total += output.carries as u64;
            self.work.stats.output_bytes += output.carries as u64;
            self.work.stats.writes += 1;
            // Of a small send nothing is heard but at the next call; its end closes this one, or
            // lets it send the rest.
            let ends = connection.ended || connection.session.closing;
            self.work.leaving |= ends || connection.has_output();
            self.ring.send(socket, output.buffer);
        }
        let stash = connection.pipeline.take_stash();
        let strained = connection.stall != Stall::None
            || connection.output_bytes() > self.work.strained_bytes
            || connection.over_soft_since > 0;
        if let Some(stash) = stash {
            self.work.keep_buffer(stash);
        }
        self.work.keep_buffer(emptied);
        if strained {
            self.see_to_output(socket);
        }
        let Some(connection) = self.work.connection(socket) else { return };
        if connection.is_done() && !self.takes_leave(socket) {
            self.close(socket);
        }
    }

    /// Bounds what a slow reader may leave behind, and lets those go on that caught up.
    fn see_to_output(&mut self, socket: SocketId) {
        let (settings, now) = (Arc::clone(&self.work.settings), self.work.now);
        let Some(connection) = self.work.connection(socket) else { return };
        let listens = connection.session.is_subscriber() || connection.session.is_monitor;
        let limit = match listens {
            true => settings.output_pubsub,
            false => settings.output_normal,
        };
        let bytes = connection.output_bytes();
        let counted = counted(bytes);
        let over_soft = limit.soft_bytes > 0 && counted > limit.soft_bytes;
        if !over_soft {
            connection.over_soft_since = 0;
        } else if connection.over_soft_since == 0 {
            connection.over_soft_since = now;
        }
        let too_long =
            over_soft && now.saturating_sub(connection.over_soft_since) > limit.soft_seconds * 1000;
        if too_long || limit.hard_bytes > 0 && counted > limit.hard_bytes {
            connection.kill();
            self.work.stats.output_limit_closed += 1;
            return;
        }
        self.work.evict_if_giant(socket);
        let Some(connection) = self.work.connection(socket) else { return };
        let awaited = connection.pipeline.awaited();
        if connection.stall == Stall::None && bytes > WAITING_REPLY_BYTES_MAX {
            connection.stall = Stall::Replies;
        } else if connection.stall == Stall::Replies
            && awaited <= connection.awaited_max / 2
            && bytes < WAITING_REPLY_BYTES_MAX / 2
        {
            connection.stall = Stall::None;
            self.work.go_on(socket);
        }
    }

    /// Closes a connection; replies still on their way to it are dropped when they come.
    fn close(&mut self, socket: SocketId) {
        self.work.unwatch(socket);
        self.work.leave_channels(socket);
        self.work.leave_caching(socket);
        self.work.end_monitor(socket);
        if let Some(connection) = self.work.connections[socket.index as usize].take() {
            debug_assert_eq!(connection.socket, socket);
            if let Stall::Blocked(id) = connection.stall {
                self.work.retire(id, Retire::Gone);
            }
            self.ring.close(socket);
            self.work.server.census.leave(self.work.index);
        }
    }

    /// Lets connections that stood still go on; false if there is none.
    pub(super) fn resume(&mut self) -> bool {
        let resumable = std::mem::take(&mut self.work.resumable);
        for &socket in &resumable {
            if let Some(connection) = self.work.connection(socket) {
                connection.resumes = false;
                connection.restore_deferred();
                self.take_input(socket);
                self.work.mark_dirty(socket);
            }
        }
        !resumable.is_empty()
    }
}

/// Output from which on a connection is looked at more closely: so much, or the least limit.
pub(super) fn strained_bytes(settings: &Settings) -> usize {
    let limits = [settings.output_normal, settings.output_pubsub];
    let limits = limits.iter().flat_map(|limit| [limit.hard_bytes, limit.soft_bytes]);
    let least = limits.filter(|bytes| *bytes > 0).min().unwrap_or(u64::MAX);
    if counted(BUFFER_BYTES + 1) > least { BUFFER_BYTES } else { SPARE_BYTES_MAX }
}

/// How much of a connection's output limits count.
fn counted(bytes: usize) -> u64 {
    bytes.saturating_sub(BUFFER_BYTES).next_multiple_of(BUFFER_BYTES) as u64
}

const _: () = assert!(SPARE_BYTES_MAX <= 2 * BUFFER_BYTES, "no limit is passed unseen");

impl Work {
    /// Borrows or sends every batch. What comes home at once may make new ones, for cores that had
    /// their turn: as often as that is so, all have another.
    fn flush_hops(&mut self) {
        loop {
            self.pump();
            for core in 0..self.hops.cores() {
                let home = (self.sender(), &*self.settings);
                if self.settings.borrow
                    && let Some((mut parcel, late)) =
                        self.hops.borrow(core, self.now, home, &mut self.stats)
                {
                    if let Parcel::Request(batch) = parcel.as_mut() {
                        self.splice(batch, core);
                    }
                    self.hops.recycle(parcel);
                    self.deliver_late(late);
                }
                self.hops.flush(core, &mut self.stats);
            }
            if !self.coordinator.has_output() && !self.hops.has_more() {
                return;
            }
        }
    }
}
