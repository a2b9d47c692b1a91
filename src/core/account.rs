//! What commands cost: charged to their rows, and remembered where it was much.

use super::Work;
use super::inbox::Request;
use crate::slow::{Ended, request_bytes};
use pinion_io::ring::SocketId;
use pinion_shards::batch::Outcome;
use pinion_shards::commands::{Args, Row};

impl Work {
    /// Charges a request with the time it took here, unless it goes on elsewhere.
    #[inline]
    pub(super) fn ran(&mut self, request: &Request, args: &Args<'_>, nanos: u64) {
        let Some(row) = self.stats.ran(nanos) else { return };
        let from = self.slow.thresholds();
        let reply_bytes = self.connections[request.socket.index as usize]
            .as_ref()
            .map_or(0, |connection| connection.pipeline.written()) as u64;
        let request_bytes = request.bytes();
        if nanos >= from.nanos
            || request_bytes >= from.request_bytes
            || reply_bytes >= from.reply_bytes
        {
            let ended = Ended { row, args: *args, nanos, request_bytes, reply_bytes };
            self.note(request.socket, &ended);
        }
    }

    /// Charges a command that ended elsewhere, or later than it began.
    #[inline]
    pub(super) fn charge(
        &mut self,
        row: Option<&'static Row>,
        socket: SocketId,
        outcome: &Outcome<'_>,
    ) {
        let Some(row) = row else { return };
        let nanos = outcome.took;
        self.stats.charge(row, nanos);
        let from = self.slow.thresholds();
        let reply_bytes = outcome.reply.len() as u64;
        let args = outcome.args;
        // Some words of a request are short; its bytes are counted only where they may be many.
        let large = from.request_bytes < u64::MAX && request_bytes(&args) >= from.request_bytes;
        if nanos >= from.nanos || large || reply_bytes >= from.reply_bytes {
            let request_bytes = request_bytes(&args);
            self.note(socket, &Ended { row, args, nanos, request_bytes, reply_bytes });
        }
    }

    /// Remembers a command that cost much.
    #[cold]
    fn note(&mut self, socket: SocketId, ended: &Ended<'_>) {
        let Some(Some(connection)) = self.connections.get(socket.index as usize) else { return };
        if connection.socket == socket {
            self.slow.note(&self.server.log_numbers, ended, &connection.session, self.now);
        }
    }
}
