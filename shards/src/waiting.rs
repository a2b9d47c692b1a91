//! Commands that wait for a key, on the shard that owns it.
//!
//! A command that finds nothing and may wait is parked here, with a copy of its words, under the
//! keys it named. A change to one of these makes it ready; once the command that made the change
//! is done, those that wait for the key are tried again, first come first served, until nothing is
//! left for the next. What they reply goes home as a `Late`. Home keeps the time: it retires what
//! waited too long, and what waits for a client that is gone.

use crate::commands::{Args, Group, Row, Try};
use crate::error::Error;
use crate::keyspace::Key;
use crate::shard::{Late, Millis, Shard};
use crate::value::Value;
use pinion_io::resp::{Protocol, Range, Reply};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Who waits: unique on a server.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Waiter {
    /// The core of its connection.
    pub home: u16,
    /// Its number there, never used again.
    pub id: u64,
}

/// What a command that found nothing waits for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Wait {
    /// Until when, in milliseconds since the Unix epoch; for ever if none.
    pub until: Option<Millis>,
    /// What it replies if that time comes.
    pub null: Null,
    /// The words to try again with, where these are not those of the request.
    pub words: Option<Vec<Vec<u8>>>,
    /// It is tried again as well when a key is gone or holds another type: it waits for something
    /// that must be there, as the group of XREADGROUP.
    pub until_gone: bool,
}

/// A reply that says there was nothing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Null {
    /// A missing array.
    #[default]
    Array,
    /// A missing string.
    Bulk,
}

impl Null {
    /// Writes it.
    pub fn write(self, reply: &mut Reply<'_>) {
        match self {
            Self::Array => reply.null_array(),
            Self::Bulk => reply.null(),
        }
    }
}

/// Why a wait ends without what it was for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retire {
    /// Its time came: it replies that there was nothing.
    TimedOut,
    /// Another client ended it, and it replies with an error.
    Unblocked,
    /// Its client is gone: it replies nothing.
    Gone,
}

/// A command that waits.
#[derive(Debug)]
struct Parked {
    waiter: Waiter,
    row: &'static Row,
    try_run: Try,
    db: u16,
    protocol: Protocol,
    null: Null,
    until_gone: bool,
    bytes: Vec<u8>,
    words: Vec<Range>,
}

impl Parked {
    fn args(&self) -> Args<'_> {
        Args::new(&self.bytes, &self.words)
    }

    /// Shows each key that it names.
    fn each_key(&self, mut see: impl FnMut(&[u8])) {
        let args = self.args();
        let indexes = self.row.keys.iter().flat_map(|keys| keys.indexes(&args));
        indexes.for_each(|index| see(args.at(index)));
    }
}

/// The commands that wait on a shard, by the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    parked: BTreeMap<u64, Parked>,
    numbers: HashMap<Waiter, u64>,
    /// How many are tried again when a key is gone.
    until_gone: usize,
    count: u64,
    late: Vec<Late>,
}

impl Waits {
    /// Keys that must stay for some command to go on waiting.
    pub(crate) fn needed_keys(&self) -> usize {
        let mut keys = HashSet::new();
        for parked in self.parked.values().filter(|parked| parked.until_gone) {
            parked.each_key(|key| {
                keys.insert((parked.db, key.to_vec()));
            });
        }
        keys.len()
    }

    /// Sends a reply that comes late.
    pub(crate) fn say(&mut self, late: Late) {
        self.late.push(late);
    }

    /// Commands that wait.
    pub(crate) fn len(&self) -> usize {
        self.parked.len()
    }
}

/// A command that is about to wait.
pub(crate) struct Parking<'a> {
    pub(crate) waiter: Waiter,
    pub(crate) row: &'static Row,
    pub(crate) try_run: Try,
    pub(crate) db: u16,
    pub(crate) protocol: Protocol,
    pub(crate) args: Args<'a>,
}

impl Shard {
    /// Parks a command.
    pub(crate) fn park(&mut self, parking: &Parking<'_>, wait: &Wait) {
        let mut parked = Parked {
            waiter: parking.waiter,
            row: parking.row,
            try_run: parking.try_run,
            db: parking.db,
            protocol: parking.protocol,
            null: wait.null,
            until_gone: wait.until_gone,
            bytes: Vec::new(),
            words: Vec::new(),
        };
        let mut add = |word: &[u8]| {
            let start = parked.bytes.len() as u32;
            parked.words.push(Range { start, len: word.len() as u32 });
            parked.bytes.extend_from_slice(word);
        };
        match &wait.words {
            Some(words) => words.iter().for_each(|word| add(word)),
            None => parking.args.from(0).for_each(&mut add),
        }
        let number = self.waits.count;
        self.waits.count += 1;
        parked.each_key(|key| self.keyspace.await_key(parked.db, key, number));
        self.waits.numbers.insert(parked.waiter, number);
        self.waits.until_gone += usize::from(parked.until_gone);
        self.waits.parked.insert(number, parked);
    }

    /// Ends a wait, unless it has ended.
    pub(crate) fn retire(&mut self, waiter: Waiter, why: Retire) {
        let Some(&number) = self.waits.numbers.get(&waiter) else { return };
        let parked = self.forget(number);
        let mut text = Vec::new();
        let mut reply = Reply::new(&mut text, parked.protocol);
        match why {
            Retire::TimedOut => parked.null.write(&mut reply),
            Retire::Unblocked => {
                reply.error(b"UNBLOCKED client unblocked via CLIENT UNBLOCK");
            }
            Retire::Gone => return,
        }
        self.waits.say(Late::waited(waiter, text));
    }

    fn forget(&mut self, number: u64) -> Parked {
        let parked = self.waits.parked.remove(&number).expect("what waits is known");
        self.waits.numbers.remove(&parked.waiter);
        self.waits.until_gone -= usize::from(parked.until_gone);
        parked.each_key(|key| self.keyspace.await_no_more(parked.db, key, number));
        parked
    }

    /// Tries again what waits for keys that changed, as long as that changes more.
    #[cold]
    pub(crate) fn serve_waits(&mut self, now: Millis) {
        while let Some((db, key)) = self.keyspace.next_ready() {
            for number in self.keyspace.awaiting(db, &key) {
                let ready = Key { db, hash: self.keyspace.hash(&key), bytes: &key };
                let there = self.keyspace.contains(ready, now);
                if !there && self.waits.until_gone == 0 {
                    break;
                }
                if there || self.waits.parked.get(&number).is_some_and(|it| it.until_gone) {
                    self.try_again(number, ready, now);
                }
            }
        }
    }

    /// Tries a command again whose key `ready` has changed.
    fn try_again(&mut self, number: u64, ready: Key<'_>, now: Millis) {
        let Some(parked) = self.waits.parked.get(&number) else { return };
        let (db, protocol, try_run) = (parked.db, parked.protocol, parked.try_run);
        let (group, until_gone) = (parked.row.group, parked.until_gone);
        let (bytes, words) = (parked.bytes.clone(), parked.words.clone());
        let args = Args::new(&bytes, &words);
        let hash = parked.row.first_key(&args).map_or(0, |index| self.hash(args.at(index)));
        let mut text = Vec::new();
        let mut reply = Reply::new(&mut text, protocol);
        let mut incoming = Vec::new();
        let mut scope = self.scope(now, db, hash, &mut incoming);
        scope.may_read_on = false;
        let tried = try_run(&mut scope, &args, &mut reply);
        match tried {
            // Nothing for it, or a value that is not of its type: it goes on waiting.
            Ok(Some(_)) => return,
            Err(Error::WrongType) if !until_gone && !self.is_of(ready, group, now) => return,
            Ok(None) => {}
            Err(error) => {
                reply.truncate(0);
                reply.error(error.text().as_bytes());
            }
        }
        let waiter = self.forget(number).waiter;
        self.waits.say(Late::waited(waiter, text));
    }

    /// True if a key holds a value of the type that the commands of `group` work on.
    fn is_of(&mut self, key: Key<'_>, group: Group, now: Millis) -> bool {
        let value = self.keyspace.peek(key, now).map(|record| record.value());
        value.is_some_and(|value| match value {
            Value::List(_) => group == Group::List,
            Value::SortedSet(_) => group == Group::SortedSet,
            Value::Stream(_) => group == Group::Stream,
            _ => false,
        })
    }

    /// True if a command that had to wait has replied.
    #[inline]
    pub fn has_late(&self) -> bool {
        !self.waits.late.is_empty()
    }

    /// The replies of commands that had to wait, to be brought to their homes.
    #[inline]
    pub fn take_late(&mut self) -> Vec<Late> {
        std::mem::take(&mut self.waits.late)
    }
}
