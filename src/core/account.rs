//! What commands cost: charged to their rows, and remembered where it was much.
//!
//! A reading of the clock costs some percent of a GET. So each command is measured but those that
//! are cheap by nature: of these, what one core runs in a row is measured together, and each is
//! charged the mean. Where the slow log wants less than a millisecond, each is measured.

use super::Work;
use super::inbox::{Request, What};
use crate::commands::Found;
use crate::slow::{Ended, request_bytes};
use pinion_io::clock::nanos;
use pinion_io::ring::SocketId;
use pinion_shards::batch::Outcome;
use pinion_shards::commands::{Args, Row};

/// Bytes of a request or a reply from which a command is not cheap, whatever it does.
const CHEAP_BYTES_MAX: u64 = 4096;
/// The slow log's threshold below which every command is measured.
const EXACT_BELOW_NANOS: u64 = 1_000_000;

impl Work {
    /// True if a request may be measured together with others: with no more words than it needs, a
    /// command that is cheap by nature has nothing to count or to trim.
    #[inline]
    pub(super) fn is_cheap(&self, request: &Request) -> bool {
        let What::Command(Ok(Found::Shard(row))) = request.what else { return false };
        row.is_cheap()
            && request.word_count() == u32::from(row.arity.unsigned_abs())
            && request.bytes() < CHEAP_BYTES_MAX
            && self.slow.thresholds().nanos >= EXACT_BELOW_NANOS
    }

    /// Adds a cheap request that has just run to those that are measured together; false if it
    /// turned out to be large.
    #[inline]
    pub(super) fn joins_run(&mut self, request: &Request, args: &Args<'_>) -> bool {
        let Some(row) = self.stats.put_off() else { return true };
        let from = self.slow.thresholds();
        let reply_bytes = self.connections[request.socket.index as usize]
            .as_ref()
            .map_or(0, |connection| connection.pipeline.written()) as u64;
        let request_bytes = request.bytes();
        if request_bytes >= from.request_bytes || reply_bytes >= from.reply_bytes {
            let ended = Ended { row, args: *args, nanos: 0, request_bytes, reply_bytes };
            self.note(request.socket, &ended);
        }
        reply_bytes < CHEAP_BYTES_MAX
    }

    /// Charges the cheap requests that ran since `before`, if there are any; the instant up to
    /// which all is charged.
    #[inline]
    pub(super) fn charge_run(&mut self, before: u64) -> u64 {
        if !self.stats.has_put_off() {
            return before;
        }
        let after = nanos();
        let nanos = after.saturating_sub(before);
        self.stats.charge_put_off(nanos);
        if nanos >= self.slow.thresholds().nanos {
            // None of them was slow: they were interrupted.
            self.slow.note_event("fast-command", nanos / 1_000_000, self.now);
        }
        after
    }

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
