//! Commands that wait for a key, on the shard that owns it.
//!
//! A command that finds nothing and may wait is parked here, with a copy of its words, under the
//! keys it named. A change to one of these makes it ready; once the command that made the change
//! is done, those that wait for the key are tried again, first come first served, until nothing is
//! left for the next. What they reply goes home as a `Late`. Home keeps the time: it retires what
//! waited too long, and what waits for a client that is gone.

use crate::commands::{Args, Group, Row, Try, Words};
use crate::error::Error;
use crate::keyspace::Key;
use crate::late::{Cost, Late};
use crate::shard::{Call, Millis, Sender, Shard, Task};
use crate::tracking::Speaker;
use crate::value::Value;
use pinion_io::resp::{Protocol, Reply};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

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
    /// What it replies where it may not wait.
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
    /// Its user may not do that any more, and it replies so.
    Denied,
    /// Its client is gone: it replies nothing.
    Gone,
}

impl Retire {
    /// What the command replies, if anything.
    pub(crate) fn reply(self, protocol: Protocol) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        let mut reply = Reply::new(&mut text, protocol);
        match self {
            Self::TimedOut => reply.null_array(),
            Self::Unblocked => reply.error(b"UNBLOCKED client unblocked via CLIENT UNBLOCK"),
            Self::Denied => reply.error(b"NOPERM No permissions to access a key"),
            Self::Gone => return None,
        }
        Some(text)
    }
}

/// A command that waits.
#[derive(Debug)]
struct Parked {
    waiter: Waiter,
    row: &'static Row,
    try_run: Try,
    db: u16,
    protocol: Protocol,
    until_gone: bool,
    /// Its keys live on several shards: its home is told what happens to them.
    spread: bool,
    speaker: Option<Speaker>,
    offer: Offer,
    words: Words,
}

/// What the home of a command that waits on several shards was told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Offer {
    /// Nothing, or it has answered.
    None,
    /// That there may be something for it.
    Made,
    /// The same, and a key has changed since.
    Outdated,
}

impl Parked {
    fn args(&self) -> Args<'_> {
        self.words.args()
    }

    /// Shows each key that it names.
    fn each_key(&self, mut see: impl FnMut(&[u8])) {
        let args = self.args();
        let indexes = self.row.key_indexes(&args);
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
    /// Changed keys whose waits cannot be tried before a transaction or a long reply lets go.
    put_off: BTreeSet<(u16, Box<[u8]>)>,
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
    pub(crate) spread: bool,
    pub(crate) speaker: Option<Speaker>,
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
            until_gone: wait.until_gone,
            spread: parking.spread,
            speaker: parking.speaker,
            offer: Offer::None,
            words: Words::default(),
        };
        match &wait.words {
            Some(words) => parked.words.extend(words.iter().map(Vec::as_slice)),
            None => parked.words = Words::of(&parking.args),
        }
        debug_assert!(!self.waits.numbers.contains_key(&parked.waiter), "it is parked once");
        let number = self.waits.count;
        self.waits.count += 1;
        parked.each_key(|key| self.keyspace.await_key(parked.db, key, number));
        self.waits.numbers.insert(parked.waiter, number);
        self.waits.until_gone += usize::from(parked.until_gone);
        self.waits.parked.insert(number, parked);
    }

    /// Ends a wait, unless it has ended.
    pub(crate) fn retire(&mut self, waiter: Waiter, why: Retire) {
        let Some(&number) = self.waits.numbers.get(&waiter) else {
            return self.retire_held(waiter, why);
        };
        let parked = self.forget(number);
        if parked.offer != Offer::None {
            // Others may have waited for what was offered to it.
            parked.each_key(|key| self.keyspace.ready_again(parked.db, key.into(), None));
        }
        if parked.spread {
            return;
        }
        if let Some(text) = why.reply(parked.protocol) {
            let cost = Cost { row: Some(parked.row), words: parked.words, took: 0 };
            self.waits.say(Late::waited(waiter, text, cost));
        }
    }

    /// Has a wait go on for which nothing came of an offer.
    pub(crate) fn stay(&mut self, waiter: Waiter) {
        let Some(number) = self.waits.numbers.get(&waiter) else { return };
        let parked = self.waits.parked.get_mut(number).expect("what waits is known");
        // Those who came later may be served; it itself only by what has changed since.
        let last = match std::mem::replace(&mut parked.offer, Offer::None) {
            Offer::None => return,
            Offer::Made => Some(*number),
            Offer::Outdated => None,
        };
        parked.each_key(|key| self.keyspace.ready_again(parked.db, key.into(), last));
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
        while let Some((db, key, mut last)) = self.keyspace.next_ready() {
            while let Some(number) = self.keyspace.next_awaiting(db, &key, last) {
                last = Some(number);
                let ready = Key { db, hash: self.keyspace.hash(&key), bytes: &key };
                let there = self.keyspace.contains(ready, now);
                if !there && self.waits.until_gone == 0 {
                    break;
                }
                if self.is_behind(number) {
                    self.waits.put_off.insert((db, key));
                    break;
                }
                let Some(parked) = self.waits.parked.get_mut(&number) else { continue };
                if parked.spread {
                    // Who came later waits until its home has said what became of it.
                    if self.offer(number, ready, now) {
                        break;
                    }
                } else if there || parked.until_gone {
                    self.try_again(number, ready, now);
                }
            }
        }
    }

    /// Tells the home of a wait on several shards that a key has changed, if that may concern it.
    fn offer(&mut self, number: u64, ready: Key<'_>, now: Millis) -> bool {
        let parked = self.waits.parked.get_mut(&number).expect("it waits");
        if parked.offer != Offer::None {
            parked.offer = Offer::Outdated;
            return true;
        }
        let (until_gone, group, waiter) = (parked.until_gone, parked.row.group, parked.waiter);
        if !until_gone && !self.is_of(ready, group, now) {
            return false;
        }
        self.waits.parked.get_mut(&number).expect("it waits").offer = Offer::Made;
        self.waits.say(Late::offered(waiter, self.index()));
        true
    }

    /// True if a transaction or a long reply holds what a parked command would work on.
    fn is_behind(&self, number: u64) -> bool {
        let parked = self.waits.parked.get(&number);
        parked.is_some_and(|it| !self.turns.is_empty() && self.are_held(it.row, &it.args()))
    }

    /// Tries what was put off while others held the keys, and what has changed since.
    pub(crate) fn serve_put_off(&mut self, now: Millis) {
        if !self.waits.put_off.is_empty() {
            for (db, key) in std::mem::take(&mut self.waits.put_off) {
                self.keyspace.ready_again(db, key, None);
            }
        }
        if self.keyspace.has_ready() {
            self.serve_waits(now);
        }
    }

    /// Tries a command again whose key `ready` has changed.
    fn try_again(&mut self, number: u64, ready: Key<'_>, now: Millis) {
        let Some(parked) = self.waits.parked.get_mut(&number) else { return };
        let (db, protocol, try_run) = (parked.db, parked.protocol, parked.try_run);
        let (group, until_gone) = (parked.row.group, parked.until_gone);
        let words = std::mem::take(&mut parked.words);
        let args = words.args();
        let hash = parked.row.first_key(&args).map_or(0, |index| self.hash(args.at(index)));
        if self.is_paused() {
            self.set_still_for(None);
        }
        let began = self.instant();
        let mut text = Vec::new();
        let mut reply = Reply::new(&mut text, protocol);
        let mut incoming = Vec::new();
        let mut scope = self.scope(now, db, hash, &mut incoming);
        scope.may_read_on = false;
        let tried = try_run(&mut scope, &args, &mut reply);
        let stays = match tried {
            // Nothing for it, or a value that is not of its type: it goes on waiting.
            Ok(Some(_)) => true,
            Err(Error::WrongType) if !until_gone && !self.is_of(ready, group, now) => true,
            Ok(None) => false,
            Err(error) => {
                reply.truncate(0);
                reply.error(error.text().as_bytes());
                false
            }
        };
        self.waits.parked.get_mut(&number).expect("it is tried, not gone").words = words;
        if !stays {
            let took = self.instant().saturating_sub(began);
            let Parked { waiter, row, words, speaker, .. } = self.forget(number);
            let sender = Sender(waiter.home);
            let task = Task::Once(row, try_run);
            let call = Call { task, sender, db, hash, speaker, args: words.args() };
            if speaker.is_some() {
                self.remember(&call, Some(row));
            }
            let cost = Cost { row: Some(row), words, took };
            self.waits.say(Late::waited(waiter, text, cost));
        }
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
            || self.keyspace.has_events()
            || self.channels.has_said()
            || self.tracking.has_broadcast()
            || self.keyspace.has_changed()
    }

    /// What this shard says late, to be brought to the cores it is for: replies of commands that
    /// had to wait, and news.
    #[inline]
    pub fn take_late(&mut self) -> Vec<Late> {
        if self.keyspace.has_changed() {
            self.tell_changes(None);
        }
        if self.tracking.has_broadcast() {
            self.tracking.send_broadcast(&mut self.channels);
        }
        if self.keyspace.has_events() {
            self.publish_events();
        }
        if self.channels.has_said() {
            let shard = self.index();
            let said = self.channels.take_said();
            let late = said.map(|(core, number, news)| Late::news(core, shard, number, news));
            self.waits.late.extend(late);
        }
        std::mem::take(&mut self.waits.late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::{Plan, find};
    use crate::late::LateCall;
    use crate::limits::READ_AT_ONCE_MAX;
    use crate::shard::{Call, Ran, Sender, Task};

    const NOW: Millis = 1_000_000;
    /// Elements of a list that is read in pieces.
    const LONG: usize = 3 * READ_AT_ONCE_MAX;

    /// A shard with the list `long`, and the replies of its clients.
    struct Stage {
        shard: Shard,
        waiters: u64,
    }

    fn waiter(id: u64) -> Waiter {
        Waiter { home: 0, id }
    }

    impl Stage {
        fn new() -> Self {
            let mut stage = Self { shard: Shard::new(0, 1, 2, 7), waiters: 0 };
            for element in 0..LONG {
                stage.run(&format!("RPUSH long {element}"));
            }
            stage
        }

        fn call(&mut self, task: Task, request: &str) -> (Ran, String) {
            let mut words = Words::default();
            words.extend(request.split_whitespace().map(str::as_bytes));
            let args = words.args();
            let hash = args.try_at(1).map_or(0, |key| self.shard.hash(key));
            let mut text = Vec::new();
            let mut reply = Reply::new(&mut text, Protocol::Resp2);
            let call = Call { task, sender: Sender(0), db: 0, hash, speaker: None, args };
            let ran = self.shard.run(NOW, &call, &mut reply);
            (ran, String::from_utf8(text).unwrap())
        }

        fn run(&mut self, request: &str) -> (Ran, String) {
            let row = find(request.split(' ').next().unwrap().as_bytes()).unwrap();
            let task = match row.plan {
                Plan::One(run) | Plan::Each { run, .. } | Plan::Every { run, .. } => {
                    Task::Run(row, run)
                }
                Plan::Wait(try_run, _) => {
                    self.waiters += 1;
                    Task::Try(row, try_run, waiter(self.waiters))
                }
                _ => panic!("{request} is not for this stage"),
            };
            self.call(task, request)
        }

        fn retire(&mut self, id: u64, why: Retire) {
            self.call(Task::Retire(waiter(id), why), "");
        }

        /// Brings every long reply to its end; what was said meanwhile, a long reply as one.
        fn finish(&mut self) -> Vec<(LateCall, String)> {
            let mut said: Vec<(LateCall, String)> = Vec::new();
            while self.shard.is_reading() {
                self.shard.read_on(NOW);
                self.hear(&mut said);
            }
            self.hear(&mut said);
            self.shard.keyspace.recount();
            said
        }

        fn hear(&mut self, said: &mut Vec<(LateCall, String)>) {
            for late in self.shard.take_late() {
                let text = String::from_utf8(late.reply).unwrap();
                match said.iter_mut().find(|(call, _)| *call == late.call) {
                    Some((_, before)) => before.push_str(&text),
                    None => said.push((late.call, text)),
                }
            }
        }
    }

    #[test]
    fn what_a_wait_would_change_stays_while_it_is_read() {
        let mut stage = Stage::new();
        assert_eq!(stage.run("BLMOVE source long LEFT LEFT 0").0, Ran::Parked(None));
        assert_eq!(stage.run("BLPOP source 0").0, Ran::Parked(None));
        let (Ran::Later(reading), _) = stage.run("LRANGE long 0 -1") else { panic!("not long") };
        stage.shard.read_on(NOW);
        assert_eq!(stage.run("RPUSH source x").1, ":1\r\n");
        assert_eq!(stage.run("LLEN long").1, format!(":{LONG}\r\n"));
        let said = stage.finish();
        let [(one, text), (other, moved)] = &said[..] else { panic!("{} replies", said.len()) };
        assert_eq!((*one, *other), (LateCall::Later(0, reading), LateCall::Waited(1)));
        let wanted = (0..LONG).map(|i| format!("${}\r\n{i}\r\n", i.to_string().len()));
        assert!(*text == format!("*{LONG}\r\n{}", wanted.collect::<String>()), "not as it was");
        assert_eq!(moved, "$1\r\nx\r\n");
        assert_eq!(stage.run("LINDEX long 0").1, "$1\r\nx\r\n");
        // The other, which came later, waits on.
        stage.run("RPUSH source y");
        let taken = "*2\r\n$6\r\nsource\r\n$1\r\ny\r\n".to_owned();
        assert_eq!(stage.finish(), [(LateCall::Waited(2), taken)]);
        assert_eq!((stage.shard.stats().waiting, stage.shard.stats().awaited_keys), (0, 0));
    }

    #[test]
    fn a_wait_may_end_before_it_begins() {
        for why in [Retire::Gone, Retire::Unblocked, Retire::Denied, Retire::TimedOut] {
            let mut stage = Stage::new();
            stage.run("LRANGE long 0 -1");
            assert!(matches!(stage.run("DEL long").0, Ran::Later(_)));
            let (Ran::Later(held), _) = stage.run("BLPOP long 0") else { panic!("not held") };
            stage.retire(1, why);
            let said = stage.finish();
            let replies = |call| said.iter().find(|(its, _)| *its == call).map(|(_, text)| &**text);
            assert_eq!(replies(LateCall::Later(0, held)), Some(""));
            let end = match why {
                Retire::Gone => None,
                Retire::Unblocked => Some("-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"),
                Retire::Denied => Some("-NOPERM No permissions to access a key\r\n"),
                Retire::TimedOut => Some("*-1\r\n"),
            };
            assert_eq!(replies(LateCall::Waited(1)), end);
            stage.run("RPUSH long x");
            assert_eq!(stage.run("LLEN long").1, ":1\r\n", "nobody took it");
            assert_eq!((stage.shard.stats().waiting, stage.shard.stats().awaited_keys), (0, 0));
        }
    }

    #[test]
    fn who_came_first_is_served_first() {
        let mut stage = Stage::new();
        for _ in 0..4 {
            assert_eq!(stage.run("BLPOP a b 0").0, Ran::Parked(None));
        }
        stage.retire(2, Retire::Gone);
        stage.run("RPUSH b 1 2 3 4");
        let served: Vec<_> = stage.finish().into_iter().map(|(call, _)| call).collect();
        assert_eq!(served, [LateCall::Waited(1), LateCall::Waited(3), LateCall::Waited(4)]);
        assert_eq!(stage.run("LLEN b").1, ":1\r\n");
    }
}
