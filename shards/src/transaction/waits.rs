//! Commands that wait for keys of several shards, at their home.
//!
//! The shards only tell that they may have something; whether a command is served, when, and that
//! this happens once, is decided here, by trying it as a transaction.

use super::command::{Command, Wait};
use super::coordinator::{Coordinator, Finished, Message, Replied, Tickets};
use super::program::Program;
use crate::commands::{Row, Words};
use crate::shard::Task;
use crate::tracking::Speaker;
use crate::waiting::{Retire, Waiter};
use pinion_io::resp::Protocol;
use std::collections::HashMap;

/// Commands that wait on several shards, by number.
#[derive(Debug)]
pub(super) struct Spread<C> {
    waiting: HashMap<u64, Waiting<C>>,
    /// Those to be tried again.
    retry: Vec<u64>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Waiting<C> {
    client: C,
    protocol: Protocol,
    row: &'static Row,
    db: u16,
    /// Its words, but while it is tried.
    words: Words,
    /// The client, if it caches what it reads.
    speaker: Option<Speaker>,
    /// How long it ran whenever it was tried, in nanoseconds.
    took: u64,
    /// Shards where it is parked.
    owners: Vec<u16>,
    /// Shards that have said there may be something, since it was last tried.
    offers: Vec<u16>,
    /// It is tried now.
    tried: bool,
    /// It is parked.
    parked: bool,
    /// It has ended, as soon as it is not tried any more.
    ended: Option<Retire>,
}

impl<C> Default for Spread<C> {
    fn default() -> Self {
        Self { waiting: HashMap::new(), retry: Vec::new() }
    }
}

impl<C: Copy> Coordinator<C> {
    /// Tries a command whose keys live on several shards, and has it wait under number `id`, never
    /// used before, if there is nothing for it.
    pub fn begin_wait(
        &mut self,
        (client, protocol, speaker): (C, Protocol, Option<Speaker>),
        id: u64,
        (row, db, words): (&'static Row, u16, Words),
        tickets: &mut dyn Tickets,
    ) {
        let args = words.args();
        let indexes = row.key_indexes(&args);
        let owners = indexes.map(|index| self.ground.route.owner(args.at(index)) as u16);
        let mut owners: Vec<_> = owners.collect();
        owners.sort_unstable();
        owners.dedup();
        let waiting = Waiting {
            client,
            protocol,
            row,
            db,
            words,
            speaker,
            took: 0,
            owners,
            offers: Vec::new(),
            tried: false,
            parked: false,
            ended: None,
        };
        self.waits.waiting.insert(id, waiting);
        self.try_wait(id, tickets);
    }

    fn try_wait(&mut self, id: u64, tickets: &mut dyn Tickets) {
        let Some(waiting) = self.waits.waiting.get_mut(&id) else { return };
        waiting.tried = true;
        let waiter = Waiter { home: self.ground.home, id };
        let offers = waiting.parked.then(|| std::mem::take(&mut waiting.offers));
        let (client, protocol, words) =
            (waiting.client, waiting.protocol, std::mem::take(&mut waiting.words));
        let wait = Wait { waiter, offers, parked: None };
        let mut program = Program::of(protocol);
        program.speaker = waiting.speaker;
        program.add(waiting.row, waiting.db, words, &self.ground, Some(wait));
        self.start(client, program, Some(id), tickets);
    }

    /// Takes what came of a try.
    pub(super) fn tried(&mut self, id: u64, mut command: Command) {
        let protocol = command.protocol;
        let random = self.random();
        let waiting = self.waits.waiting.get_mut(&id).expect("who is tried is known");
        waiting.tried = false;
        if let Some(until) = command.parked() {
            waiting.parked = true;
            self.finished.push_back((waiting.client, Finished::Parked(until)));
        } else if !waiting.parked || !command.found_nothing() {
            command.finish(random);
            waiting.took += command.took;
            let reply = std::mem::take(&mut command.reply);
            waiting.words = command.into_words();
            return self.end(id, Some(reply));
        }
        waiting.took += command.took;
        waiting.words = command.into_words();
        match waiting.ended {
            Some(why) => self.end(id, why.reply(protocol)),
            None if !waiting.offers.is_empty() => self.waits.retry.push(id),
            None => {}
        }
    }

    /// Tries again what has had offers while it was tried.
    pub(super) fn retry(&mut self, tickets: &mut dyn Tickets) {
        while let Some(id) = self.waits.retry.pop() {
            self.try_wait(id, tickets);
        }
    }

    /// Takes a shard's word that it may have something.
    pub fn offered(&mut self, shard: u16, id: u64, tickets: &mut dyn Tickets) {
        let Some(waiting) = self.waits.waiting.get_mut(&id) else { return };
        waiting.offers.push(shard);
        if !waiting.tried && waiting.parked {
            self.try_wait(id, tickets);
        }
    }

    /// Ends a wait, at once or, if it is just tried and finds nothing, after that.
    pub fn end_wait(&mut self, id: u64, why: Retire) {
        let Some(waiting) = self.waits.waiting.get_mut(&id) else { return };
        if waiting.tried {
            waiting.ended = Some(why);
        } else {
            let protocol = waiting.protocol;
            self.end(id, why.reply(protocol));
        }
    }

    /// Has all shards forget a wait, and gives its client the reply.
    fn end(&mut self, id: u64, reply: Option<Vec<u8>>) {
        let waiting = self.waits.waiting.remove(&id).expect("what ends is known");
        let waiter = Waiter { home: self.ground.home, id };
        if waiting.parked {
            for owner in waiting.owners {
                let task = Task::Retire(waiter, Retire::Gone);
                self.outbox.push_back((owner, Message::Task(task)));
            }
        }
        let reply = reply.unwrap_or_default();
        let Waiting { row, words, took, .. } = waiting;
        let finished = Finished::Replied(vec![Replied { row: Some(row), reply, words, took }]);
        self.finished.push_back((waiting.client, finished));
    }

    /// Commands that wait for keys of several shards.
    pub fn waiting(&self) -> usize {
        self.waits.waiting.len()
    }
}
