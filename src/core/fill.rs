//! Replies that come from elsewhere, put in their places.

use super::Work;
use pinion_io::ring::SocketId;
use pinion_shards::batch::Outcome;
use pinion_shards::commands::Row;

impl Work {
    /// Puts a piece of a reply in its place, the last one unless `more` follow.
    pub(super) fn fill_piece(
        &mut self,
        socket: SocketId,
        sequence: u32,
        piece: Vec<u8>,
        more: bool,
    ) {
        if let Some(connection) = self.connection(socket) {
            connection.pipeline.fill_piece(sequence, piece, more);
            self.mark_dirty(socket);
        }
    }

    /// Puts the reply of a command that ended elsewhere, or later, in its place, and charges what
    /// it took.
    pub(super) fn fill_ended(&mut self, socket: SocketId, sequence: u32, ended: &Outcome<'_>) {
        self.fill_for(ended.row, socket, sequence, ended.reply);
        self.charge(ended.row, socket, ended);
    }

    /// Puts a reply in its place, if its client is still there.
    pub(super) fn fill(&mut self, socket: SocketId, sequence: u32, reply: &[u8]) {
        self.fill_for(None, socket, sequence, reply);
    }

    /// The same for a command that is known, so that an error counts as its own.
    pub(super) fn fill_for(
        &mut self,
        row: Option<&'static Row>,
        socket: SocketId,
        sequence: u32,
        reply: &[u8],
    ) {
        if reply.first() == Some(&b'-') {
            self.stats.error(row, reply, false);
        }
        let Some(connection) =
            self.connections.get_mut(socket.index as usize).and_then(Option::as_mut)
        else {
            return;
        };
        if connection.socket != socket {
            return;
        }
        connection.pipeline.lend(|| self.spare.pop().unwrap_or_default());
        connection.learn(reply.len());
        connection.pipeline.fill(sequence, reply);
        connection.mark(&mut self.dirty);
    }
}
