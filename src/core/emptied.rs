//! FLUSHALL where there are save points: it is answered once no file would bring the keys back.
//!
//! Redis writes an empty snapshot before it serves anybody again, and ends one that is under way,
//! which still has the keys. Here a snapshot is taken as any other is, and only the client that
//! has asked waits for it.

use super::transact::outcome;
use super::{Core, Work};
use crate::connection::Stall;
use pinion_io::ring::SocketId;
use pinion_shards::transaction::Replied;

/// What became of FLUSHALL and is not in a file yet.
#[derive(Debug, Default)]
pub(super) struct Emptied {
    /// Those that wait for a save to begin.
    waiting: Vec<Option<Ended>>,
    /// Those that wait for the end of the one that this core has begun.
    saving: Vec<Option<Ended>>,
    is_new: bool,
}

/// The end of a client's FLUSHALL, to be told.
#[derive(Debug)]
struct Ended {
    socket: SocketId,
    sequence: u32,
    replied: Replied,
    /// The client stands still for it.
    stalls: bool,
}

impl Emptied {
    /// True if there is something to look after.
    #[inline]
    pub(super) fn is_active(&self) -> bool {
        !self.waiting.is_empty() || !self.saving.is_empty()
    }

    /// True if there is something to do at once.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }
}

impl Work {
    /// True if a command has emptied all databases, and that is to be saved.
    pub(super) fn is_emptied(&self, replied: &Replied) -> bool {
        let settings = &self.settings.snapshots;
        replied.row.is_some_and(|row| row.name == "flushall")
            && replied.reply.starts_with(b"+")
            && !settings.save_points.is_empty()
            && settings.names().is_some()
    }

    /// Has that saved, and then tells the client, if it is to be told then.
    #[cold]
    pub(super) fn save_emptied(&mut self, client: Option<(SocketId, u32, Replied)>) {
        if let Some(save) = self.server.writing.current() {
            self.server.saves.avoid();
            save.snapshot.fail("FLUSHALL has removed the keys that it saves");
        }
        let ended = client.map(|(socket, sequence, replied)| {
            let connection = self.connection(socket);
            let connection = connection.filter(|connection| connection.stall == Stall::None);
            let stalls = connection.is_some();
            if let Some(connection) = connection {
                // What comes next may ask for a save, or look at the last.
                connection.stall = Stall::Exec;
            }
            Ended { socket, sequence, replied, stalls }
        });
        self.emptied.waiting.push(ended);
        self.emptied.is_new = true;
    }
}

impl Core {
    /// Goes on with what is to be saved after FLUSHALL.
    pub(super) fn tend_emptied(&mut self) {
        self.work.emptied.is_new = false;
        if self.home.is_some() {
            return;
        }
        for ended in std::mem::take(&mut self.work.emptied.saving).into_iter().flatten() {
            let Ended { socket, sequence, ref replied, stalls } = ended;
            self.work.fill_ended(socket, sequence, &outcome(replied));
            if stalls {
                self.work.release(socket);
            }
        }
        let emptied = &mut self.work.emptied;
        if !emptied.waiting.is_empty()
            && !self.work.is_quiet
            && self.work.server.saves.begin(self.work.now, false)
        {
            emptied.saving = std::mem::take(&mut emptied.waiting);
            self.begin_save(None);
        }
    }
}
