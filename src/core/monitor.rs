//! MONITOR: what every core's clients ask, line by line, for those who watch.

use super::Work;
use crate::hop::Parcel;
use crate::slow::is_secret;
use pinion_io::ring::SocketId;
use pinion_shards::commands::{Args, Flags, Row};
use std::io::Write as _;
use std::sync::Arc;

/// Who watches, and what they have not been shown.
#[derive(Debug, Default)]
pub(super) struct Monitors {
    /// Somebody watches, on whichever core.
    pub(super) watched: bool,
    /// Those of this core.
    own: Vec<SocketId>,
    /// The lines of this tick.
    lines: Vec<u8>,
}

impl Work {
    /// Learns whether anybody watches.
    #[inline]
    pub(super) fn see_monitors(&mut self) {
        self.monitors.watched = self.server.monitors() > 0;
    }

    /// Has a client watch from now on.
    pub(super) fn begin_monitor(&mut self, socket: SocketId) {
        if !self.monitors.own.contains(&socket) {
            self.monitors.own.push(socket);
            self.server.count_monitor(true);
            self.monitors.watched = true;
        }
    }

    /// Has a client watch no more, if it did.
    pub(super) fn end_monitor(&mut self, socket: SocketId) {
        if let Some(at) = self.monitors.own.iter().position(|its| *its == socket) {
            self.monitors.own.swap_remove(at);
            self.server.count_monitor(false);
        }
    }

    /// Shows a command that a client runs to those who watch.
    #[cold]
    pub(super) fn show(&mut self, socket: SocketId, args: &Args<'_>, row: &'static Row) {
        if row.flags.has(Flags::ADMIN) || row.flags.has(Flags::SKIP_MONITOR) {
            return;
        }
        let elapsed = self.clock.steady().saturating_sub(self.steady).as_micros() as u64;
        let Some(Some(connection)) = self.connections.get(socket.index as usize) else { return };
        let (session, lines) = (&connection.session, &mut self.monitors.lines);
        let micros = self.now * 1000 + elapsed;
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        write!(lines, "+{seconds}.{micros:06} [{} {}]", session.db, session.peer)
            .expect("writing to memory does not fail");
        for (index, word) in args.from(0).enumerate() {
            lines.push(b' ');
            quote(if is_secret(row, args, index) { b"(redacted)" } else { word }, lines);
        }
        lines.extend_from_slice(b"\r\n");
        if lines.len() >= LINES_BYTES_MAX {
            self.show_lines();
        }
    }

    /// Sends what was shown in this tick to those who watch, here and elsewhere.
    #[inline]
    pub(super) fn show_lines(&mut self) {
        if !self.monitors.lines.is_empty() {
            self.send_lines();
        }
    }

    #[cold]
    fn send_lines(&mut self) {
        let lines: Arc<[u8]> = std::mem::take(&mut self.monitors.lines).into();
        if self.server.monitors() > self.monitors.own.len() as u64 {
            for core in (0..self.hops.cores()).filter(|&core| core != self.index) {
                self.hops.send(core, Parcel::Shown(Arc::clone(&lines)), &mut self.stats);
            }
        }
        self.take_lines(&lines);
    }

    /// Gives lines to those who watch on this core.
    pub(super) fn take_lines(&mut self, lines: &[u8]) {
        for socket in self.monitors.own.clone() {
            if let Some(connection) = self.connection(socket) {
                connection.push(lines);
                self.mark_dirty(socket);
            }
        }
    }
}

/// Lines of one tick that are kept before they are sent.
const LINES_BYTES_MAX: usize = 64 * 1024;

/// Writes a word in quotes, with what cannot be printed escaped as Redis does.
fn quote(word: &[u8], to: &mut Vec<u8>) {
    to.push(b'"');
    for byte in word {
        match byte {
            b'\\' | b'"' => to.extend_from_slice(&[b'\\', *byte]),
            b'\n' => to.extend_from_slice(b"\\n"),
            b'\r' => to.extend_from_slice(b"\\r"),
            b'\t' => to.extend_from_slice(b"\\t"),
            0x07 => to.extend_from_slice(b"\\a"),
            0x08 => to.extend_from_slice(b"\\b"),
            b' '..=b'~' => to.push(*byte),
            _ => write!(to, "\\x{byte:02x}").expect("writing to memory does not fail"),
        }
    }
    to.push(b'"');
}

#[cfg(test)]
mod tests {
    #[test]
    fn words_are_quoted_as_redis_does() {
        let mut text = Vec::new();
        super::quote(b"a\x00\"b\\\n\r\t\x07\x08\xff ~", &mut text);
        assert_eq!(text, br#""a\x00\"b\\\n\r\t\a\b\xff ~""#);
    }
}
