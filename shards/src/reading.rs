//! Replies too long for one turn of the loop: written in pieces, while what they are read from
//! stands still.
//!
//! A command that finds more than `READ_AT_ONCE_MAX` elements to show writes the head of its reply
//! and says how to go on (`Scope::read_on`). From then on its key is locked: other reads go on,
//! writes wait, and once one waits so does all that comes after it for that key, in order. Every
//! `Shard::read_on` writes a piece of a few such replies in turn; after the last, what waited runs.

use crate::keyspace::Key;
use crate::late::Late;
use crate::limits::{READ_AT_ONCE_MAX, READ_ELEMENTS_PER_STEP, READINGS_PER_STEP};
use crate::shard::{Millis, Ran, Scope, Sender, Shard};
use crate::transaction::{Mode, UnitId, Wanted};
use crate::value::{Rules, Value};
use pinion_io::resp::{Protocol, Reply};
use std::collections::VecDeque;

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
    /// What holds its key.
    unit: UnitId,
    /// What is written and not yet sent.
    piece: Vec<u8>,
}

/// Long replies under way.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    /// The next whose turn it is at the front.
    under_way: VecDeque<Reading>,
    /// What has the locks of the command that runs, if it had to wait for them.
    lent: Option<UnitId>,
    count: u64,
}

impl Readings {
    /// Has a long reply that now begins stand under the locks of this unit.
    pub(crate) fn lend(&mut self, unit: UnitId) {
        self.lent = Some(unit);
    }

    /// Ends that, where none has begun.
    pub(crate) fn end_loan(&mut self) {
        self.lent = None;
    }

    /// Gives a long reply that has just begun another number.
    pub(crate) fn rename(&mut self, number: u64, to: u64) {
        let reading = self.under_way.iter_mut().find(|reading| reading.number == number);
        reading.expect("it has just begun").number = to;
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
        !self.readings.under_way.is_empty()
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
        let unit = self.readings.lent.take().unwrap_or_else(|| {
            let locks = &mut self.turns.locks;
            let unit = locks.enter(Wanted::Keys(vec![(hash, Mode::Shared)]));
            assert!(locks.next_granted_is(unit), "what has run was in nobody's way");
            unit
        });
        let reading = Reading { plan, sender, protocol, now, hash, number, unit, piece: head };
        self.readings.under_way.push_back(reading);
        Ran::Later(number)
    }

    pub(crate) fn next_number(&mut self) -> u64 {
        self.readings.count += 1;
        self.readings.count
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
                self.turns.locks.leave(reading.unit);
                ended = true;
            }
        }
        if ended {
            self.go_on(now);
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

    fn say_later(&mut self, sender: Sender, number: u64, reply: Vec<u8>, more: bool) {
        let mut late = Late::later(sender, self.index(), number);
        (late.reply, late.more) = (reply, more);
        self.waits.say(late);
    }
}
