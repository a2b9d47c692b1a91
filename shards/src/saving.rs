//! A shard's part in a snapshot: the cut, the steps, and the locks of what takes many steps.
//!
//! The cut is a transaction that locks all keys of all shards against writes, so that it is one
//! instant for all (`keyspace::saving` says what comes of it). A value that takes many steps to be
//! written is locked against writes meanwhile, as for a long reply; a command that writes it comes
//! first in line: the value is locked before the command asks, which waits behind.

use crate::commands::{Args, Flags, Group, Plan, Row};
use crate::error::Error;
use crate::fold::Fold;
use crate::keyspace::{Key, Step};
use crate::limits::{SAVE_BYTES_PER_STEP, SAVE_ELEMENTS_PER_STEP};
use crate::shard::{Call, Millis, Scope, Shard};
use crate::snapshot::{Long, Piece, Saved};
use crate::transaction::{Mode, UnitId, Wanted};
use pinion_io::resp::Reply;
use std::collections::VecDeque;

/// The cut, as one command of a transaction; its word says whether strings are compressed. No
/// client can name it.
pub static CUT: Row = Row::new("|cut", 2, Group::Server, Plan::Every { run: cut, fold: Fold::Ok })
    .flags(&[Flags::READONLY]);

fn cut(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    if scope.keyspace.is_saving() {
        return Err(Error::Text("ERR the last snapshot has not yet come to its end"));
    }
    scope.keyspace.cut(args.at(1) == b"yes");
    reply.ok();
    Ok(())
}

/// What a shard is saving in steps.
#[derive(Debug, Default)]
pub(crate) struct Saves {
    /// Long values, locked; the first is being written.
    longs: VecDeque<Locked>,
    /// All is saved.
    done: bool,
}

#[derive(Debug)]
struct Locked {
    db: u16,
    hash: u64,
    key: Box<[u8]>,
    unit: UnitId,
    long: Long,
}

impl Shard {
    /// True from the cut until `end_saving`.
    #[inline]
    pub fn is_saving(&self) -> bool {
        self.keyspace.is_saving()
    }

    /// Saves some of what is not saved yet, about `SAVE_BYTES_PER_STEP`; true while there is more.
    pub fn save_on(&mut self, now: Millis) -> bool {
        if !self.is_saving() || self.saves.done {
            return false;
        }
        if let Some(mut locked) = self.saves.longs.pop_front() {
            let key = Key { db: locked.db, hash: locked.hash, bytes: &locked.key };
            if self.keyspace.save_long(key, &mut locked.long, SAVE_ELEMENTS_PER_STEP) {
                self.keyspace.unlock(locked.hash);
                self.turns.locks.leave(locked.unit);
                self.go_on(now);
            } else {
                self.saves.longs.push_front(locked);
            }
            return true;
        }
        match self.keyspace.save_some(SAVE_BYTES_PER_STEP) {
            Step::More => true,
            Step::Long(db, key) => {
                // Where somebody is in the way, it is tried again with the next step.
                let hash = self.hash(&key);
                self.lock_long(db, key, hash);
                true
            }
            Step::Done => {
                self.keyspace.finish_chunks();
                self.saves.done = true;
                false
            }
        }
    }

    /// The next piece of the file.
    pub fn take_piece(&mut self) -> Option<Piece> {
        self.keyspace.take_piece()
    }

    /// Bytes of pieces that wait to be taken.
    pub fn unsent_bytes(&self) -> usize {
        self.keyspace.unsent_bytes()
    }

    /// True once all is saved and all pieces are taken.
    pub fn is_saved(&self) -> bool {
        self.saves.done && self.keyspace.unsent_bytes() == 0
    }

    /// Keys that the snapshot under way has by now.
    pub fn keys_saved(&self) -> u64 {
        self.keyspace.keys_saved()
    }

    /// Ends a snapshot that `is_saved`: what was in it.
    pub fn end_saving(&mut self) -> Saved {
        assert!(self.saves.done, "all is saved");
        self.saves.done = false;
        self.keyspace.end_saving()
    }

    /// Gives a snapshot up: nothing more comes of it, but it is still to be gone through to its
    /// end, which is fast, before the next can begin.
    pub fn give_up_saving(&mut self) {
        self.keyspace.give_up_saving();
    }

    /// True if the snapshot under way was given up.
    pub fn has_given_up_saving(&self) -> bool {
        self.keyspace.has_given_up_saving()
    }

    /// Saves the keys that a command may change, while a snapshot is under way. What takes long is
    /// locked, and the command will find that.
    #[cold]
    pub(crate) fn save_before_call(&mut self, call: &Call<'_>) {
        let Some(row) = call.task.row().filter(|row| row.may_write()) else { return };
        for index in row.key_indexes(&call.args) {
            let bytes = call.args.at(index);
            let hash = self.hash(bytes);
            if !self.keyspace.save_first(Key { db: call.db, hash, bytes }) {
                self.lock_long(call.db, bytes.into(), hash);
            }
        }
    }

    /// The same for what a transaction wants to lock.
    #[cold]
    pub(crate) fn save_before_part(&mut self, wanted: &Wanted) {
        let Wanted::Keys(keys) = wanted else { return };
        for &(hash, _) in keys.iter().filter(|(_, mode)| *mode == Mode::Exclusive) {
            while let Some((db, bytes)) = self.keyspace.unsaved(hash) {
                if !self.keyspace.save_first(Key { db, hash, bytes: &bytes }) {
                    self.lock_long(db, bytes, hash);
                    break;
                }
            }
        }
    }

    /// The same for what a script writes that may be no key of its own. A long value is saved at
    /// once here, since a script cannot wait; false where another is being saved.
    #[cold]
    pub(crate) fn save_before_script(&mut self, db: u16, row: &Row, args: &Args<'_>) -> bool {
        for index in row.key_indexes(args) {
            let bytes = args.at(index);
            let key = Key { db, hash: self.hash(bytes), bytes };
            if self.keyspace.save_first(key) {
                continue;
            }
            if !self.saves.longs.is_empty() {
                return false;
            }
            let mut long = self.keyspace.begin_long(db);
            while !self.keyspace.save_long(key, &mut long, SAVE_ELEMENTS_PER_STEP) {}
        }
        true
    }

    /// Locks a long value to be saved in steps, unless it is or somebody is in the way.
    fn lock_long(&mut self, db: u16, key: Box<[u8]>, hash: u64) {
        let wanted = Wanted::Keys(vec![(hash, Mode::Shared)]);
        let known = |locked: &Locked| locked.db == db && locked.hash == hash && locked.key == key;
        if self.saves.longs.iter().any(known) || self.turns.locks.bar(&wanted) {
            return;
        }
        let unit = self.turns.locks.enter(wanted);
        assert!(self.turns.locks.next_granted_is(unit), "nobody was in the way");
        self.keyspace.lock(hash);
        let long = self.keyspace.begin_long(db);
        self.saves.longs.push_back(Locked { db, hash, key, unit, long });
    }
}

#[cfg(test)]
mod tests;
