//! Replies too long for one turn of the loop: written in pieces, while what they are read from
//! stands still.
//!
//! A command that finds more than `READ_AT_ONCE_MAX` elements to show writes the head of its reply
//! and says how to go on (`Scope::read_on`). From then on its key is locked: other reads go on,
//! writes wait, and once one waits so does all that comes after it for that key, in order. Every
//! `Shard::read_on` writes a piece of a few such replies in turn; after the last, what waited runs.

use crate::carried::Carried;
use crate::commands::{Args, Flags, Row};
use crate::keyspace::Key;
use crate::limits::{READ_AT_ONCE_MAX, READ_ELEMENTS_PER_STEP, READINGS_PER_STEP};
use crate::shard::{Call, Late, Millis, Ran, Scope, Sender, Shard, Task};
use crate::value::{Rules, Value};
use crate::waiting::{Retire, Waiter};
use pinion_io::resp::{Protocol, Range, Reply};
use std::collections::{HashSet, VecDeque};

/// How far a long reply has come. What the numbers mean is up to its `Step`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Walk {
    /// Where to go on.
    pub position: u128,
    /// Elements still to be written; 0 is the end.
    pub left: usize,
    /// What else the command was told.
    pub options: u64,
}

/// What a long reply is read from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The value, which does not change from step to step.
    pub value: Value<'a>,
    /// How it is kept.
    pub rules: &'a Rules,
    /// The instant of the command.
    pub now: Millis,
}

/// Writes about `budget` elements and moves the walk on.
pub type Step = fn(&mut Walk, &Source<'_>, budget: usize, &mut Reply<'_>);

/// A long reply that a command asks for.
#[derive(Debug)]
pub(crate) struct Plan {
    db: u16,
    key: Box<[u8]>,
    step: Step,
    walk: Walk,
}

/// A long reply under way.
#[derive(Debug)]
struct Reading {
    plan: Plan,
    sender: Sender,
    protocol: Protocol,
    now: Millis,
    hash: u64,
    number: u64,
    /// What is written and not yet sent.
    piece: Vec<u8>,
}

/// A command that waits for a lock to go.
#[derive(Debug)]
struct Held {
    task: Task,
    row: &'static Row,
    sender: Sender,
    db: u16,
    hash: u64,
    protocol: Protocol,
    bytes: Vec<u8>,
    words: Vec<Range>,
    incoming: Vec<Carried>,
    /// Of its keys, or `ALL_KEYS`.
    hashes: Vec<u64>,
    number: u64,
    /// Why a wait ends that it has not even begun.
    retired: Option<Retire>,
}

/// Stands for the keys of a command that names none.
const ALL_KEYS: u64 = 0;

/// Long replies and what waits for them.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    /// The next whose turn it is at the front.
    under_way: VecDeque<Reading>,
    held: Vec<Held>,
    /// Hashes of the keys of what is held.
    held_keys: HashSet<u64>,
    count: u64,
}

impl Readings {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.under_way.is_empty() && self.held.is_empty()
    }
}

impl Scope<'_> {
    /// True if a reply of so many elements should be written in pieces.
    #[inline]
    pub fn is_long(&self, elements: usize) -> bool {
        elements > READ_AT_ONCE_MAX && self.may_read_on
    }

    /// Has the rest of the reply, whose head is written, written in pieces from the value of a key
    /// that is there.
    pub fn read_on(&mut self, key: Key<'_>, step: Step, walk: Walk) {
        debug_assert!(self.may_read_on, "the command has asked");
        *self.reading = Some(Plan { db: key.db, key: key.bytes.into(), step, walk });
    }
}

impl Shard {
    /// True if long replies are under way, and `read_on` should be called soon.
    #[inline]
    pub fn is_reading(&self) -> bool {
        !self.readings.is_empty()
    }

    /// Begins a long reply, of which `head` is written.
    pub(crate) fn begin_reading(
        &mut self,
        plan: Plan,
        (sender, protocol): (Sender, Protocol),
        now: Millis,
        head: Vec<u8>,
    ) -> Ran {
        let number = self.next_number();
        let hash = self.hash(&plan.key);
        self.keyspace.lock(hash);
        let reading = Reading { plan, sender, protocol, now, hash, number, piece: head };
        self.readings.under_way.push_back(reading);
        Ran::Later(number)
    }

    fn next_number(&mut self) -> u64 {
        self.readings.count += 1;
        self.readings.count
    }

    /// True if a call must wait for a long reply from one of its keys, or for what waits so.
    #[cold]
    pub(crate) fn must_wait(&self, call: &Call<'_>) -> bool {
        call.task.row().is_some_and(|row| self.is_in_the_way(row, &self.hashes(row, &call.args)))
    }

    pub(crate) fn hashes(&self, row: &Row, args: &Args<'_>) -> Vec<u64> {
        let indexes = row.keys.iter().flat_map(|keys| keys.indexes(args));
        indexes.map(|index| self.hash(args.at(index))).collect()
    }

    /// True if a command on these keys may not run yet. A command without keys is one on all.
    pub(crate) fn is_in_the_way(&self, row: &Row, hashes: &[u64]) -> bool {
        let (readings, write) = (&self.readings, row.flags.has(Flags::WRITE));
        if hashes.is_empty() {
            return !readings.held_keys.is_empty() || write && !readings.under_way.is_empty();
        }
        let waits = |hash: &u64| {
            readings.held_keys.contains(hash) || write && self.keyspace.is_locked(*hash)
        };
        readings.held_keys.contains(&ALL_KEYS) || hashes.iter().any(waits)
    }

    /// Keeps a call until no long reply is in its way.
    pub(crate) fn hold(
        &mut self,
        call: &Call<'_>,
        incoming: &mut Vec<Carried>,
        protocol: Protocol,
    ) -> Ran {
        let number = self.next_number();
        let (bytes, words) = call.args.to_owned();
        let row = call.task.row().expect("only commands are held");
        let mut hashes = self.hashes(row, &call.args);
        if hashes.is_empty() {
            hashes.push(ALL_KEYS);
        }
        self.readings.held_keys.extend(&hashes);
        self.readings.held.push(Held {
            row,
            task: call.task,
            sender: call.sender,
            db: call.db,
            hash: call.hash,
            protocol,
            bytes,
            words,
            incoming: std::mem::take(incoming),
            hashes,
            number,
            retired: None,
        });
        Ran::Later(number)
    }

    /// Writes a piece of the long replies whose turn it is, and runs what waited for those that are
    /// done. The pieces are among `take_late`.
    pub fn read_on(&mut self, now: Millis) {
        // Few at a time: many tiny pieces would cost more on their way home than to write.
        let count = self.readings.under_way.len().min(READINGS_PER_STEP);
        let budget = READ_ELEMENTS_PER_STEP / count.max(1);
        let mut ended = false;
        for mut reading in self.readings.under_way.drain(..count).collect::<Vec<_>>() {
            let more = self.write_piece(&mut reading, budget);
            let reply = std::mem::take(&mut reading.piece);
            self.say_later(reading.sender, reading.number, reply, more);
            if more {
                self.readings.under_way.push_back(reading);
            } else {
                self.keyspace.unlock(reading.hash);
                ended = true;
            }
        }
        if ended {
            self.run_held(now);
            self.serve_put_off(now);
        }
    }

    /// Ends the wait of a command that is held, and so has not begun to wait.
    pub(crate) fn retire_held(&mut self, waiter: Waiter, why: Retire) {
        let is_it = |held: &&mut Held| matches!(held.task, Task::Try(.., its) if its == waiter);
        if let Some(held) = self.readings.held.iter_mut().find(is_it) {
            held.retired = Some(why);
        }
    }

    /// Writes a piece of one; true while there is more.
    fn write_piece(&mut self, reading: &mut Reading, budget: usize) -> bool {
        let key = Key { db: reading.plan.db, hash: reading.hash, bytes: &reading.plan.key };
        let value = self.keyspace.view(key).expect("a locked key stays");
        let source = Source { value, rules: &self.rules, now: reading.now };
        let walk = &mut reading.plan.walk;
        let left = walk.left;
        let mut reply = Reply::new(&mut reading.piece, reading.protocol);
        (reading.plan.step)(walk, &source, budget, &mut reply);
        debug_assert!(walk.left < left, "a step writes something");
        walk.left > 0 && walk.left < left
    }

    /// Runs the commands that nothing is in the way of any more, in order.
    fn run_held(&mut self, now: Millis) {
        let mut kept = Vec::new();
        self.readings.held_keys.clear();
        for held in std::mem::take(&mut self.readings.held) {
            let keys: &[u64] = if held.hashes == [ALL_KEYS] { &[] } else { &held.hashes };
            if self.is_in_the_way(held.row, keys) {
                self.readings.held_keys.extend(&held.hashes);
                kept.push(held);
            } else {
                self.run_one_held(held, now);
            }
        }
        self.readings.held = kept;
    }

    fn run_one_held(&mut self, mut held: Held, now: Millis) {
        let args = Args::new(&held.bytes, &held.words);
        let call =
            Call { task: held.task, sender: held.sender, db: held.db, hash: held.hash, args };
        let mut reply = Vec::new();
        let mut out = Reply::new(&mut reply, held.protocol);
        // For a client that is gone nothing is done, and nothing waits.
        let ran = match held.retired {
            Some(Retire::Gone) => Ran::Done,
            _ => self.run_now(now, &call, &mut held.incoming, &mut out),
        };
        let carried = self.take_outgoing();
        let mut late = Late::later(held.sender, self.index(), held.number);
        (late.reply, late.carried, late.ran) = (reply, carried, ran);
        if let Ran::Later(number) = ran {
            // Home hears of its pieces under the number that it knows.
            let readings = &mut self.readings.under_way;
            if let Some(reading) = readings.iter_mut().find(|one| one.number == number) {
                reading.number = held.number;
            }
        } else {
            self.waits.say(late);
        }
        if let (Task::Try(.., waiter), Some(why)) = (held.task, held.retired) {
            self.retire(waiter, why);
        }
    }

    fn say_later(&mut self, sender: Sender, number: u64, reply: Vec<u8>, more: bool) {
        let mut late = Late::later(sender, self.index(), number);
        (late.reply, late.more) = (reply, more);
        self.waits.say(late);
    }
}
