//! The owner's side: takes its locks in the order of tickets, runs what it is sent, keeps them.

use super::locks::{Locks, Mode, UnitId, Wanted};
use super::part::{Part, TransactionId, Watcher};
use crate::commands::{Args, Flags, Row, Words};
use crate::keyspace::Key;
use crate::late::{Cost, Late};
use crate::shard::{Call, Millis, Ran, Sender, Shard, Task};
use crate::tracking::Speaker;
use crate::waiting::{Retire, Waiter};
use pinion_io::resp::{Protocol, Reply};
use std::collections::HashMap;

/// What has arrived at a shard and holds locks, waits for them, or waits for its turn to ask.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    pub(crate) locks: Locks,
    /// What runs once its locks are granted.
    waiting: HashMap<UnitId, Work>,
    /// Transactions that hold their locks here.
    holders: HashMap<TransactionId, UnitId>,
    /// The next ticket to be let in.
    expected: u64,
    /// What came before its turn, by arrival: tickets ahead of others that are still on their way,
    /// and what must not overtake these.
    early: Vec<Early>,
}

#[derive(Debug)]
struct Early {
    /// The core it came from.
    home: u16,
    sequence: Option<u64>,
    wanted: Wanted,
    work: Work,
}

/// What runs when it has its locks.
#[derive(Debug)]
enum Work {
    Call(Box<Held>),
    Part(Box<Part>),
}

/// A command that waits for a lock.
#[derive(Debug)]
struct Held {
    task: Task,
    sender: Sender,
    db: u16,
    hash: u64,
    protocol: Protocol,
    speaker: Option<Speaker>,
    words: Words,
    /// Its number for those at home.
    number: u64,
    /// Why a wait ends that it has not even begun.
    retired: Option<Retire>,
}

impl Turns {
    /// True if nothing holds or waits for anything.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.locks.is_empty() && self.early.is_empty()
    }

    /// Lets in the tickets whose turn has come, and what waited behind them.
    fn settle(&mut self) {
        let mut at = 0;
        while at < self.early.len() {
            let (before, rest) = self.early.split_at(at);
            let may = match rest[0].sequence {
                Some(sequence) => sequence == self.expected,
                None => !is_early(before, rest[0].home, &rest[0].wanted),
            };
            if !may {
                at += 1;
                continue;
            }
            let Early { sequence, wanted, work, .. } = self.early.remove(at);
            self.expected += u64::from(sequence.is_some());
            let id = self.locks.enter(wanted);
            self.waiting.insert(id, work);
            at = 0;
        }
    }
}

/// True if something from the same core for the same keys waits for tickets that are still on their
/// way: a client may have sent both, and sees them in its order. Not even a read may overtake a
/// read there, since a write can come between the two. What another core sent must not wait so: a
/// ticket that is yet to come may be from its own core, and was sent after it.
fn is_early(early: &[Early], home: u16, wanted: &Wanted) -> bool {
    early.iter().any(|early| early.home == home && early.wanted.touches(wanted))
}

impl Shard {
    /// What a command locks: its keys, or all where it names none.
    fn wanted(&self, row: &Row, args: &Args<'_>) -> Wanted {
        let mode = Mode::of(row.may_write());
        let indexes = row.key_indexes(args);
        let keys: Vec<_> = indexes.map(|index| (self.hash(args.at(index)), mode)).collect();
        if keys.is_empty() { Wanted::All(mode) } else { Wanted::Keys(keys) }
    }

    /// True if something that has begun holds a key of a command.
    pub(crate) fn are_held(&self, row: &Row, args: &Args<'_>) -> bool {
        let mode = Mode::of(row.flags.has(Flags::WRITE));
        let mut indexes = row.key_indexes(args);
        indexes.any(|index| self.turns.locks.holds(self.hash(args.at(index)), mode))
    }

    /// The same for a unit that has seized all keys: whether another holds them.
    pub(crate) fn are_held_by_others(&self, own: UnitId, row: &Row, args: &Args<'_>) -> bool {
        let (mode, locks) = (Mode::of(row.may_write()), &self.turns.locks);
        let mut indexes = row.key_indexes(args);
        indexes.any(|index| locks.others_hold(own, self.hash(args.at(index)), mode))
    }

    /// Has a client watch keys: they are the words after the command's name.
    pub(crate) fn watch(&mut self, watcher: Watcher, db: u16, args: &Args<'_>, now: Millis) {
        for bytes in args.from(1) {
            let key = Key { db, hash: self.hash(bytes), bytes };
            self.keyspace.watch(watcher, key, now);
        }
    }

    /// Keeps a call, under the number returned, if it must wait for what holds its keys or came
    /// before it for them.
    #[cold]
    pub(crate) fn hold_back(&mut self, call: &Call<'_>, protocol: Protocol) -> Option<u64> {
        let wanted = self.wanted(call.task.row()?, &call.args);
        let home = call.sender.0;
        let early = is_early(&self.turns.early, home, &wanted);
        if !early && !self.turns.locks.bar(&wanted) {
            return None;
        }
        let number = self.next_number();
        let held = Box::new(Held {
            task: call.task,
            sender: call.sender,
            db: call.db,
            hash: call.hash,
            protocol,
            speaker: call.speaker,
            words: Words::of(&call.args),
            number,
            retired: None,
        });
        let work = Work::Call(held);
        if early {
            self.turns.early.push(Early { home, sequence: None, wanted, work });
        } else {
            let id = self.turns.locks.enter(wanted);
            self.turns.waiting.insert(id, work);
        }
        Some(number)
    }

    /// Runs a message of a transaction and gives it back with its answer; one that must wait for
    /// its locks is among `take_late` when it has them.
    pub fn take_part(&mut self, now: Millis, mut part: Box<Part>) -> Option<Box<Part>> {
        let Some(begin) = part.begin.take() else {
            assert!(self.turns.holders.contains_key(&part.id), "it has its locks");
            self.run_part(&mut part, now);
            if part.release {
                self.release(part.id, now);
            }
            return Some(part);
        };
        let mut wanted = begin.wanted;
        for piece in &part.pieces {
            self.make_room_for(piece.task.row(), now);
        }
        if self.keyspace.is_saving() {
            self.save_before_part(&wanted);
        }
        if let Some(watcher) = begin.watcher {
            let watched = self.keyspace.watched(watcher);
            wanted
                .and(Wanted::Keys(watched.into_iter().map(|hash| (hash, Mode::Shared)).collect()));
            part.watcher = Some(watcher);
        }
        let in_turn = begin.sequence.is_none_or(|sequence| sequence == self.turns.expected);
        if self.turns.is_empty() && in_turn && part.release {
            self.turns.expected += u64::from(begin.sequence.is_some());
            self.run_part(&mut part, now);
            self.go_on(now);
            return Some(part);
        }
        let (home, sequence) = (part.id.home, begin.sequence);
        if !in_turn || sequence.is_none() && is_early(&self.turns.early, home, &wanted) {
            let work = Work::Part(part);
            self.turns.early.push(Early { home, sequence, wanted, work });
            return None;
        }
        self.turns.expected += u64::from(begin.sequence.is_some());
        let id = self.turns.locks.enter(wanted);
        if self.turns.locks.next_granted_is(id) {
            self.turns.settle();
            let ended = self.begin_part(&mut part, id, now);
            if ended || self.turns.locks.has_granted() {
                self.go_on(now);
            }
            return Some(part);
        }
        self.turns.waiting.insert(id, Work::Part(part));
        self.turns.settle();
        self.go_on(now);
        None
    }

    /// Runs a part that has just got its locks; true if it gave them back.
    fn begin_part(&mut self, part: &mut Part, id: UnitId, now: Millis) -> bool {
        self.run_part(part, now);
        if part.release {
            self.turns.locks.leave(id);
        } else {
            self.turns.holders.insert(part.id, id);
        }
        part.release
    }

    /// Gives back the locks of a transaction.
    pub(crate) fn release(&mut self, id: TransactionId, now: Millis) {
        let unit = self.turns.holders.remove(&id);
        self.turns.locks.leave(unit.expect("who releases holds"));
        self.go_on(now);
    }

    /// Runs all pieces of a part, unless a key has changed that its client watches.
    fn run_part(&mut self, part: &mut Part, now: Millis) {
        if let Some(watcher) = part.watcher.take() {
            part.refused = self.keyspace.unwatch(watcher, now);
            if part.refused {
                part.pieces.clear();
                return;
            }
        }
        self.in_part = true;
        let mut replies = std::mem::take(&mut part.replies);
        for index in 0..part.pieces.len() {
            let mut incoming = std::mem::take(&mut part.pieces[index].carried);
            let piece = &part.pieces[index];
            let call = Call {
                task: piece.task,
                sender: Sender(part.id.home),
                db: piece.db,
                hash: piece.hash,
                speaker: part.speaker,
                args: part.args(index),
            };
            if self.keyspace.is_saving()
                && let Some(row) = piece.task.row().filter(|row| row.flags.has(Flags::WRITE))
            {
                // What a script calls under the locks of all may be anything.
                let saved = self.save_before_script(piece.db, row, &call.args);
                debug_assert!(saved, "what is being saved is locked");
            }
            let mut reply = Reply::new(&mut replies, piece.protocol);
            let began = self.instant();
            let ran = self.run_one(now, &call, &mut incoming, &mut reply);
            let took = self.instant().saturating_sub(began);
            debug_assert!(!matches!(ran, Ran::Later(_)), "a part replies at once");
            let piece = &mut part.pieces[index];
            (piece.ran, piece.took) = (ran, took);
            piece.carried = self.take_outgoing();
            piece.reply_end = replies.len();
        }
        part.replies = replies;
        self.in_part = false;
    }

    /// Serves who waits for what has changed, and then runs what has its locks now, as long as that
    /// is so.
    pub(crate) fn go_on(&mut self, now: Millis) {
        loop {
            self.serve_put_off(now);
            let Some(id) = self.turns.locks.next_granted() else { return };
            match self.turns.waiting.remove(&id).expect("what is granted waits") {
                Work::Part(mut part) => {
                    self.begin_part(&mut part, id, now);
                    self.waits.say(Late::part(part));
                }
                Work::Call(held) => {
                    if !self.run_held(&held, id, now) {
                        self.turns.locks.leave(id);
                    }
                }
            }
        }
    }

    /// Runs a command that was held; true if its reply goes on under its locks.
    fn run_held(&mut self, held: &Held, unit: UnitId, now: Millis) -> bool {
        let args = held.words.args();
        let call = Call {
            task: held.task,
            sender: held.sender,
            db: held.db,
            hash: held.hash,
            speaker: held.speaker,
            args,
        };
        let mut reply = Vec::new();
        let mut out = Reply::new(&mut reply, held.protocol);
        let began = self.instant();
        // For a client that is gone nothing is done, and nothing waits.
        self.readings.lend(unit);
        let ran = match held.retired {
            Some(Retire::Gone) => Ran::Done,
            _ => self.run_one(now, &call, &mut Vec::new(), &mut out),
        };
        self.readings.end_loan();
        let mut reads_on = false;
        if let Ran::Later(number) = ran {
            // Home hears of it under the number that it knows.
            if !self.rename_script(number, held.number) {
                self.readings.rename(number, held.number);
                reads_on = true;
            }
        } else {
            let mut late = Late::later(held.sender, self.index(), held.number);
            let took = self.instant().saturating_sub(began);
            let cost = Cost { row: held.task.row(), words: held.words.clone(), took };
            (late.reply, late.ran, late.cost) = (reply, ran, cost);
            self.waits.say(late);
        }
        if let (Task::Try(.., waiter), Some(why)) = (held.task, held.retired) {
            self.retire(waiter, why);
        }
        reads_on
    }

    /// Ends the wait of a command that is held, and so has not begun to wait.
    pub(crate) fn retire_held(&mut self, waiter: Waiter, why: Retire) {
        let early = self.turns.early.iter_mut().map(|early| &mut early.work);
        let held = early.chain(self.turns.waiting.values_mut()).find_map(|work| match work {
            Work::Call(held) if matches!(held.task, Task::Try(.., its) if its == waiter) => {
                Some(held)
            }
            _ => None,
        });
        if let Some(held) = held {
            held.retired = Some(why);
        }
    }

    /// True if nobody holds a lock here or waits for one, as it must be when all is done.
    pub fn is_free(&self) -> bool {
        self.turns.is_empty() && self.turns.waiting.is_empty() && self.turns.holders.is_empty()
    }
}
