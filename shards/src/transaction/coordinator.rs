//! The home's side: sends each stage to its owners, takes their answers, and says how it ended.
//!
//! No waiting and no lanes here: what is to be sent lies in `next_message`, what has ended in
//! `next_finished`, and whoever pumps brings answers back with `answer`.

use super::command::Shape;
use super::locks::Wanted;
use super::part::{Begin, Part, TransactionId, Watcher};
use super::program::{Ground, Program};
use super::waits::Spread;
use crate::commands::{Row, Words};
use crate::limits::TRANSACTIONS_KEPT_MAX;
use crate::random::Random;
use crate::route::Route;
use crate::shard::{Millis, Task};
use crate::table::Hasher;
use crate::tracking::Speaker;
use pinion_io::resp::Protocol;
use slab::Slab;
use std::collections::VecDeque;

/// Draws the places of a transaction at its owners, all at once: nobody else draws in between.
pub trait Tickets {
    /// Appends the next number of each of these owners to `sequences`.
    fn draw(&mut self, owners: &mut dyn Iterator<Item = u16>, sequences: &mut Vec<u64>);
}

/// One core's transactions, for clients that it knows by `C`.
#[derive(Debug)]
pub struct Coordinator<C> {
    pub(super) ground: Ground,
    table: Slab<Transaction<C>>,
    count: u64,
    random: Random,
    pub(super) waits: Spread<C>,
    pub(super) outbox: VecDeque<(u16, Message)>,
    pub(super) finished: VecDeque<(C, Finished)>,
    sequences: Vec<u64>,
    /// Emptied messages, for use again.
    #[expect(clippy::vec_box, reason = "what comes in a box goes out in it")]
    spare: Vec<Box<Part>>,
}

/// What goes to an owner.
#[derive(Debug)]
pub enum Message {
    /// Commands of a transaction.
    Part(Box<Part>),
    /// Something without an answer.
    Task(Task),
}

/// How a request ended, or came to wait.
#[derive(Debug)]
pub enum Finished {
    /// Each command has replied.
    Replied(Vec<Replied>),
    /// A watched key had changed: nothing was done.
    Refused,
    /// It waits, until this time if there is one, and ends when that is told (`end_wait`).
    Parked(Option<Millis>),
    /// It stands still, with its locks, until home has run what is its own up to and with the
    /// command of this index, and says so (`go_on_after`).
    Halted(TransactionId, usize),
    /// What was called for it while it stood still (`call`) has replied; it still stands.
    Called(TransactionId, Replied),
}

/// A command of a transaction.
#[derive(Debug)]
pub enum Asked {
    /// For a shard, with its database.
    Shard(&'static Row, u16, Words),
    /// Not for a shard: it has an empty reply in the end.
    Home {
        /// It runs in its turn: not before what comes ahead of it has, nor after what comes
        /// behind.
        halts: bool,
    },
    /// A script, which home runs in its turn: it halts, and calls what it needs.
    Script {
        /// The keys that it has to itself until the end; none: all there are.
        keys: Option<Words>,
        /// It writes nothing.
        reads: bool,
    },
}

/// What became of one command.
#[derive(Debug)]
pub struct Replied {
    /// Which it was; none where it was not for a shard.
    pub row: Option<&'static Row>,
    /// What it replied.
    pub reply: Vec<u8>,
    /// Its words.
    pub words: Words,
    /// How long it ran, in nanoseconds.
    pub took: u64,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Request<C> {
    /// The client.
    pub client: C,
    /// Its protocol.
    pub protocol: Protocol,
    /// The number under which it watches keys.
    pub watcher: Watcher,
    /// Its name on its commands, if it caches what it reads.
    pub speaker: Option<Speaker>,
}

/// A transaction under way.
#[derive(Debug)]
struct Transaction<C> {
    client: C,
    id: TransactionId,
    program: Program,
    stage: u32,
    /// While something is called for it: its own program, and where that stands.
    caller: Option<(Box<Program>, u32)>,
    /// Answers that this stage waits for.
    left: usize,
    refused: bool,
    /// The number of the wait that is tried.
    wait: Option<u64>,
}

impl<C: Copy> Coordinator<C> {
    /// That of core `home`, for shards that hash as `hasher` does.
    pub(crate) fn new(home: usize, route: Route, hasher: Hasher) -> Self {
        let seed = hasher.hash(&home.to_le_bytes());
        Self {
            ground: Ground { route, hasher, home: home as u16 },
            table: Slab::new(),
            count: 0,
            random: Random(seed),
            waits: Spread::default(),
            outbox: VecDeque::new(),
            finished: VecDeque::new(),
            sequences: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Begins a transaction of these commands. It is refused if one of the keys has changed that
    /// the client watches; those live at the owners `watched`.
    pub fn begin(
        &mut self,
        request: &Request<C>,
        watched: &[u16],
        commands: impl Iterator<Item = Asked>,
        tickets: &mut dyn Tickets,
    ) {
        let mut program = Program::of(request.protocol);
        (program.watcher, program.speaker) = (request.watcher, request.speaker);
        watched.iter().for_each(|&owner| program.watch(owner));
        for asked in commands {
            match asked {
                Asked::Shard(row, db, words) => program.add(row, db, words, &self.ground, None),
                Asked::Home { halts } => program.add_home(halts),
                Asked::Script { keys, reads } => {
                    program.add_script(keys.as_ref(), reads, &self.ground);
                }
            }
        }
        self.start(request.client, program, None, tickets);
    }

    /// Starts a transaction whose program is complete.
    pub(super) fn start(
        &mut self,
        client: C,
        mut program: Program,
        wait: Option<u64>,
        tickets: &mut dyn Tickets,
    ) {
        program.arrange();
        self.sequences.clear();
        if program.owners.len() > 1 {
            let mut owners = program.owners.iter().map(|owner| owner.index);
            tickets.draw(&mut owners, &mut self.sequences);
        }
        self.count += 1;
        let entry = self.table.vacant_entry();
        // A number is used again only after 2^32 transactions.
        let number = self.count << 32 | entry.key() as u64;
        let id = TransactionId { home: self.ground.home, number };
        let key = entry.key();
        let (stage, caller, left, refused) = (0, None, 0, false);
        entry.insert(Transaction { client, id, program, stage, caller, left, refused, wait });
        self.send_first(key);
        self.go_on(key);
    }

    /// Asks every owner for its locks, and for what it can do at once.
    fn send_first(&mut self, key: usize) {
        let transaction = &mut self.table[key];
        let owners = &transaction.program.owners;
        let alone = owners.len() == 1 && owners[0].last == 0;
        let stage = transaction.program.stage(0);
        for (slot, owner) in transaction.program.owners.iter_mut().enumerate() {
            let mut part = self.spare.pop().unwrap_or_default();
            part.id = transaction.id;
            part.speaker = transaction.program.speaker.map(Speaker::without_memory);
            part.begin = Some(Begin {
                sequence: self.sequences.get(slot).copied(),
                wanted: std::mem::replace(&mut owner.wanted, Wanted::Keys(Vec::new())),
                watcher: owner.watched.then_some(transaction.program.watcher),
            });
            part.release = alone;
            owner.released = alone;
            self.outbox.push_back((owner.index, Message::Part(part)));
        }
        let count = transaction.program.owners.len();
        transaction.left = count;
        let first = self.outbox.len() - count;
        for step in stage {
            let owner = transaction.program.owner_of(step);
            if let (_, Message::Part(part)) = &mut self.outbox[first + owner] {
                transaction.program.write(step, &self.ground.hasher, part);
            }
        }
    }

    /// Sends stage after stage as long as no answer is awaited.
    fn go_on(&mut self, key: usize) {
        while self.table[key].left == 0 {
            let transaction = &mut self.table[key];
            if transaction.refused || transaction.program.is_last(transaction.stage) {
                return match transaction.caller {
                    Some(_) => self.end_call(key),
                    None => self.finish(key),
                };
            }
            transaction.stage += 1;
            if self.halts(key) {
                return;
            }
            self.send_stage(key);
        }
    }

    /// Leaves it to home to run what is its own before this stage; false if there is nothing.
    fn halts(&mut self, key: usize) -> bool {
        let transaction = &mut self.table[key];
        let Some(index) = transaction.program.take_halt(transaction.stage) else { return false };
        let halted = Finished::Halted(transaction.id, index);
        self.finished.push_back((transaction.client, halted));
        true
    }

    /// Goes on with a transaction that has halted, whose client speaks this protocol now.
    pub fn go_on_after(
        &mut self,
        (id, index): (TransactionId, usize),
        protocol: Protocol,
        tickets: &mut dyn Tickets,
    ) {
        let key = id.key();
        let transaction = &mut self.table[key];
        assert_eq!(transaction.id, id, "what has halted is under way");
        transaction.program.speak(protocol, index + 1);
        self.send_stage(key);
        self.go_on(key);
        self.retry(tickets);
    }

    /// Runs a command for a transaction that has halted, on keys that it holds, which are of one of
    /// its owners each. Its reply comes as `Finished::Called`.
    pub fn call(
        &mut self,
        id: TransactionId,
        (row, db, words): (&'static Row, u16, Words),
        protocol: Protocol,
    ) {
        let key = id.key();
        let transaction = &mut self.table[key];
        assert!(transaction.id == id && transaction.caller.is_none(), "it has halted");
        let mut called = transaction.program.for_call(protocol);
        called.add(row, db, words, &self.ground, None);
        called.arrange();
        let program = std::mem::replace(&mut transaction.program, called);
        transaction.caller = Some((Box::new(program), transaction.stage));
        transaction.stage = 0;
        self.send_stage(key);
        self.go_on(key);
    }

    /// Goes back to what has called, and says what came of it.
    fn end_call(&mut self, key: usize) {
        let transaction = &mut self.table[key];
        let (program, stage) = transaction.caller.take().expect("something was called");
        let mut called = std::mem::replace(&mut transaction.program, *program);
        transaction.stage = stage;
        let (client, id) = (transaction.client, transaction.id);
        let mut command = called.commands.pop().expect("one command was called");
        command.finish(self.random.bits());
        self.finished.push_back((client, Finished::Called(id, command.into_replied())));
    }

    /// Takes what a command of a transaction that has halted has replied.
    pub fn take_reply(&mut self, id: TransactionId, index: usize) -> Vec<u8> {
        std::mem::take(&mut self.halted(id).commands[index].reply)
    }

    /// Has a command of a transaction that has halted not run: it comes later, and replies nothing.
    pub fn skip(&mut self, id: TransactionId, index: usize) {
        self.halted(id).commands[index].shape = Shape::Nothing;
    }

    fn halted(&mut self, id: TransactionId) -> &mut Program {
        let transaction = &mut self.table[id.key()];
        assert_eq!(transaction.id, id, "what has halted is under way");
        &mut transaction.program
    }

    fn send_stage(&mut self, key: usize) {
        let transaction = &mut self.table[key];
        let (stage, id) = (transaction.stage, transaction.id);
        let program = &mut transaction.program;
        let mut parts: Vec<Option<Box<Part>>> = Vec::new();
        parts.resize_with(program.owners.len(), || None);
        for step in program.stage(stage) {
            let part = parts[program.owner_of(step)]
                .get_or_insert_with(|| self.spare.pop().unwrap_or_default());
            program.write(step, &self.ground.hasher, part);
        }
        for (owner, part) in program.owners.iter_mut().zip(parts) {
            let release = !owner.released && owner.last <= stage;
            owner.released |= release;
            match part {
                Some(mut part) if !part.pieces.is_empty() => {
                    (part.id, part.release) = (id, release);
                    part.speaker = program.speaker.map(Speaker::without_memory);
                    transaction.left += 1;
                    self.outbox.push_back((owner.index, Message::Part(part)));
                }
                unused => {
                    self.spare.extend(unused);
                    if release {
                        self.outbox.push_back((owner.index, Message::Task(Task::Release(id))));
                    }
                }
            }
        }
    }

    /// Takes the answer to a message.
    pub fn answer(&mut self, mut part: Box<Part>, tickets: &mut dyn Tickets) {
        let key = part.id.key();
        let transaction = &mut self.table[key];
        debug_assert_eq!(transaction.id, part.id, "an answer is to a transaction under way");
        transaction.refused |= part.refused;
        let mut start = 0;
        for piece in &mut part.pieces {
            let reply = &part.replies[start..piece.reply_end];
            start = piece.reply_end;
            transaction.program.take(piece, reply);
        }
        transaction.left -= 1;
        part.clear();
        if self.spare.len() < TRANSACTIONS_KEPT_MAX {
            self.spare.push(part);
        }
        self.go_on(key);
        self.retry(tickets);
    }

    /// Has the locks go that are still held, and says how it ended.
    fn finish(&mut self, key: usize) {
        let mut transaction = self.table.remove(key);
        for owner in transaction.program.owners.iter().filter(|owner| !owner.released) {
            self.outbox.push_back((owner.index, Message::Task(Task::Release(transaction.id))));
        }
        if transaction.refused {
            return self.finished.push_back((transaction.client, Finished::Refused));
        }
        if let Some(id) = transaction.wait {
            let command = transaction.program.commands.pop().expect("a wait has its command");
            return self.tried(id, command);
        }
        let random = &mut self.random;
        let replies = transaction.program.commands.into_iter().map(|mut command| {
            command.finish(random.bits());
            command.into_replied()
        });
        let finished = Finished::Replied(replies.collect());
        self.finished.push_back((transaction.client, finished));
    }

    /// The next message to be sent, and to which owner.
    #[inline]
    pub fn next_message(&mut self) -> Option<(u16, Message)> {
        self.outbox.pop_front()
    }

    /// The next request that has ended or waits now.
    #[inline]
    pub fn next_finished(&mut self) -> Option<(C, Finished)> {
        self.finished.pop_front()
    }

    /// True if there is something to be sent or said.
    #[inline]
    pub fn has_output(&self) -> bool {
        !self.outbox.is_empty() || !self.finished.is_empty()
    }

    /// Transactions under way.
    pub fn under_way(&self) -> usize {
        self.table.len()
    }

    pub(super) fn random(&mut self) -> u64 {
        self.random.bits()
    }
}
