//! CLIENT PAUSE: clients whose requests wait until time goes on.

use super::Work;
use super::inbox::Request;
use crate::commands::Found;
use crate::connection::Stall;
use crate::pause::Pause;
use pinion_io::ring::SocketId;
use pinion_shards::Millis;
use pinion_shards::commands::Flags;

/// Commands that do not write here, and yet change what a replica would see.
const MAY_REPLICATE: &[&str] = &["pfcount", "publish", "spublish", "eval", "evalsha", "fcall"];

/// The pause of a core, and who waits for its end.
#[derive(Debug, Default)]
pub(super) struct Paused {
    pub(super) pause: Pause,
    postponed: Vec<SocketId>,
}

impl Work {
    /// Has a request wait if this is a pause for it; true if so.
    #[cold]
    pub(super) fn postpones(&mut self, request: &Request, found: Found) -> bool {
        let pause = self.paused.pause;
        let (now, socket) = (self.now, request.socket);
        if pause.until().is_none_or(|until| now >= until) {
            return false;
        }
        let Some(connection) = self.connection(socket) else { return false };
        let row = found.row();
        let writes = row.flags.has(Flags::WRITE)
            || MAY_REPLICATE.contains(&row.name)
            || row.name == "exec" && connection.session.queues_write();
        if !pause.is_for_all() && !writes {
            return false;
        }
        connection.stall = Stall::Paused;
        self.postpone(socket);
        true
    }

    /// Notes a client that waits. Those that are gone are forgotten before the list has more than
    /// twice as many entries as there were clients at once.
    fn postpone(&mut self, socket: SocketId) {
        if self.paused.postponed.len() > 2 * self.connections.len() {
            let mut postponed = std::mem::take(&mut self.paused.postponed);
            postponed.retain(|&socket| {
                self.connection(socket).is_some_and(|connection| connection.stall == Stall::Paused)
            });
            self.paused.postponed = postponed;
        }
        self.paused.postponed.push(socket);
    }

    /// Pauses from now on, or ends the pause, as a question to every core asks.
    pub(super) fn set_pause(&mut self, pause: Pause) {
        self.paused.pause = pause;
        self.owner.value().set_paused(pause.until().is_some());
        if pause.until().is_none() {
            for socket in std::mem::take(&mut self.paused.postponed) {
                let Some(connection) = self.connection(socket) else { continue };
                if connection.stall == Stall::Paused {
                    connection.stall = Stall::None;
                    self.go_on(socket);
                    self.mark_dirty(socket);
                }
            }
        }
    }

    /// Ends a pause whose time has come; false if there is none.
    #[inline]
    pub(super) fn end_pause(&mut self) -> bool {
        let ends = self.paused.pause.until().is_some_and(|until| self.now >= until);
        if ends {
            self.set_pause(Pause::default());
        }
        ends
    }

    /// Milliseconds until the pause ends, if there is one.
    pub(super) fn pause_left(&self) -> Option<Millis> {
        Some(self.paused.pause.until()?.saturating_sub(self.now))
    }
}
