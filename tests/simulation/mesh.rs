//! A mesh of cores on one thread: shards and coordinators as they are, with lanes, clocks and
//! clients whose every move is drawn from a seed.
//!
//! Lanes keep their order and nothing else: any core may stand still for long, take a part of what
//! has come for it, or run what it has for a neighbour on the spot, as when it borrows.

use super::source::Source;
use pinion_io::resp::{Protocol, Reply};
use pinion_shards::batch::{Batch, Order};
use pinion_shards::commands::{Args, Plan, Row, Words, find};
use pinion_shards::keyspace::Policy;
use pinion_shards::route::Route;
use pinion_shards::transaction::{
    Asked, Begin, Coordinator, Finished, Message, Part, Request, Tickets, TransactionId, Wanted,
};
use pinion_shards::{Bank, Call, Late, LateCall, Ran, Retire, Sender, Shard, Task, Waiter};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// A request, by a number that is never used again.
pub(crate) type Ticket = u64;

/// What a client asks for.
#[derive(Debug)]
pub(crate) enum Ask {
    /// One command.
    One(Words),
    /// EXEC of these; what has no words is done at home, in its turn.
    Exec(Vec<Words>),
    /// The client is gone: what it watches is forgotten.
    Leave,
}

/// What it hears.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Heard {
    /// A reply.
    Said(Vec<u8>),
    /// Those of an EXEC, without what is done at home.
    Each(Vec<Vec<u8>>),
    /// An EXEC that was refused.
    Refused,
}

impl Heard {
    /// The replies, of a client that watches nothing.
    pub(crate) fn replies(self) -> Vec<Vec<u8>> {
        match self {
            Self::Said(reply) => vec![reply],
            Self::Each(replies) => replies,
            Self::Refused => panic!("nothing is watched"),
        }
    }
}

fn row_of(words: &Words) -> &'static Row {
    let row = find(words.args().at(0)).expect("a known command");
    words.args().try_at(1).and_then(|word| row.subcommand(word)).unwrap_or(row)
}

/// A fault that the mesh makes on purpose, so that the checks can be seen to find it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Planted {
    /// Locks go as soon as the first stage has run.
    EarlyRelease,
    /// A shard's word that it may have something for a waiter is lost, now and then.
    LostWake,
    /// No owner looks at the numbers of tickets.
    NoTickets,
}

/// Cores, and what lies between them.
#[derive(Debug)]
pub(crate) struct Mesh {
    cores: Vec<Core>,
    route: Route,
    numbers: Numbers,
    /// From, to.
    lanes: Vec<Vec<VecDeque<Parcel>>>,
    planted: Option<Planted>,
    /// Transactions whose locks a planted fault let go.
    freed: HashSet<(usize, TransactionId)>,
    /// Parts of transactions that were sent.
    pub(crate) parts: u64,
    now: u64,
}

#[derive(Debug)]
struct Core {
    shard: Shard,
    coordinator: Coordinator<Ticket>,
    /// By owner.
    batches: Vec<Batch<Option<Ticket>>>,
    asked: VecDeque<(Ticket, u64, Ask)>,
    heard: Vec<(Ticket, Heard)>,
    /// Replies that a shard put off.
    laters: HashMap<(u16, u64), Option<Ticket>>,
    early: HashMap<(u16, u64), Vec<Late>>,
    pieces: HashMap<Ticket, Vec<u8>>,
    waits: HashMap<Ticket, Wait>,
    watched: HashMap<u64, Vec<u16>>,
    /// Where transactions stand still for what is done at home.
    halted: Vec<(TransactionId, usize)>,
    ending: Vec<(Ticket, Retire)>,
    /// Turns it misses.
    paused: usize,
    /// How far its clock is ahead.
    ahead: u64,
}

#[derive(Debug)]
struct Wait {
    /// Where it waits; nowhere in particular if its keys live on several shards.
    owner: Option<usize>,
    until: Option<u64>,
}

#[derive(Debug)]
enum Parcel {
    Request(Batch<Option<Ticket>>),
    Reply(Batch<Option<Ticket>>),
    Late(Late),
}

/// The next ticket of each owner.
#[derive(Debug)]
struct Numbers(Vec<u64>);

impl Tickets for Numbers {
    fn draw(&mut self, owners: &mut dyn Iterator<Item = u16>, sequences: &mut Vec<u64>) {
        for owner in owners {
            let next = &mut self.0[usize::from(owner)];
            sequences.push(*next);
            *next += 1;
        }
    }
}

impl Mesh {
    pub(crate) fn new(shards: usize, seed: u64, planted: Option<Planted>) -> Self {
        let route = Route::new(shards);
        let cores = (0..shards).map(|index| {
            let shard = Shard::new(index, shards, 2, seed);
            Core {
                coordinator: shard.coordinator(route.clone()),
                shard,
                batches: (0..shards).map(|_| Batch::default()).collect(),
                asked: VecDeque::new(),
                heard: Vec::new(),
                laters: HashMap::new(),
                early: HashMap::new(),
                pieces: HashMap::new(),
                waits: HashMap::new(),
                watched: HashMap::new(),
                halted: Vec::new(),
                ending: Vec::new(),
                paused: 0,
                ahead: 0,
            }
        });
        let lanes = || (0..shards).map(|_| VecDeque::new()).collect();
        Self {
            cores: cores.collect(),
            route,
            numbers: Numbers(vec![0; shards]),
            lanes: (0..shards).map(|_| lanes()).collect(),
            planted,
            freed: HashSet::new(),
            parts: 0,
            now: 1_000_000,
        }
    }

    pub(crate) fn shards(&self) -> usize {
        self.cores.len()
    }

    /// Has all shards share what memory there is.
    pub(crate) fn limit(&mut self, bank: &(impl Bank + Clone + 'static), policy: Policy) {
        for core in &mut self.cores {
            core.shard.set_bank(Arc::new(bank.clone()));
            core.shard.set_memory_policy(&policy, true, 10);
        }
    }

    /// Bytes that all shards hold, and that they use; keys that they have evicted.
    pub(crate) fn memory(&mut self) -> (usize, usize, u64) {
        let now = self.now;
        let each = self.cores.iter_mut().map(|core| {
            while core.shard.tick(now) {}
            core.shard.settle_memory(now);
            let stats = core.shard.stats();
            (core.shard.held_bytes(), stats.memory_bytes as usize, stats.evicted_keys)
        });
        each.fold((0, 0, 0), |all, own| (all.0 + own.0, all.1 + own.1, all.2 + own.2))
    }

    /// Sends a request from a client of a core, which watches keys under the number `watcher`.
    pub(crate) fn ask(&mut self, core: usize, ticket: Ticket, watcher: u64, ask: Ask) {
        self.cores[core].asked.push_back((ticket, watcher, ask));
    }

    /// Ends the wait of a request, if it still waits.
    pub(crate) fn end(&mut self, core: usize, ticket: Ticket, why: Retire) {
        let core = &mut self.cores[core];
        let asked = core.asked.len();
        core.asked.retain(|(its, ..)| *its != ticket);
        if core.asked.len() == asked {
            core.ending.push((ticket, why));
        }
    }

    /// What clients of a core have heard since.
    pub(crate) fn heard(&mut self, core: usize) -> Vec<(Ticket, Heard)> {
        std::mem::take(&mut self.cores[core].heard)
    }

    /// Lets time pass and some core have a turn.
    pub(crate) fn step(&mut self, source: &mut Source) {
        self.now += source.below(3) as u64;
        let at = source.below(self.cores.len());
        let core = &mut self.cores[at];
        if core.paused > 0 {
            core.paused -= 1;
            return;
        }
        if source.below(100) == 0 {
            core.paused = source.below(60);
        }
        if source.below(200) == 0 {
            core.ahead += source.below(2_000) as u64;
        }
        self.turn(at, source);
    }

    fn clock(&self, core: usize) -> u64 {
        self.now + self.cores[core].ahead
    }

    fn turn(&mut self, at: usize, source: &mut Source) {
        let now = self.clock(at);
        for from in 0..self.cores.len() {
            for _ in 0..source.below(4) {
                let Some(parcel) = self.lanes[from][at].pop_front() else { break };
                self.take(from, at, parcel);
            }
        }
        for halted in std::mem::take(&mut self.cores[at].halted) {
            if source.below(3) == 0 {
                self.cores[at].halted.push(halted);
                continue;
            }
            let core = &mut self.cores[at];
            core.coordinator.go_on_after(halted, Protocol::Resp2, &mut self.numbers);
        }
        for (ticket, why) in std::mem::take(&mut self.cores[at].ending) {
            self.retire(at, ticket, why);
        }
        let waits = &self.cores[at].waits;
        let due = waits.iter().filter(|(_, wait)| wait.until.is_some_and(|until| until <= now));
        let mut due: Vec<_> = due.map(|(ticket, _)| *ticket).collect();
        due.sort_unstable();
        for ticket in due {
            if let Some(wait) = self.cores[at].waits.get_mut(&ticket) {
                wait.until = None;
            }
            self.retire(at, ticket, Retire::TimedOut);
        }
        for _ in 0..source.below(4) {
            let Some((ticket, watcher, ask)) = self.cores[at].asked.pop_front() else { break };
            self.start(at, ticket, watcher, ask);
        }
        self.pump(at);
        let shard = &mut self.cores[at].shard;
        shard.tick(now);
        shard.settle_memory(now);
        shard.read_on(now);
        self.bring_late(at, at);
        for to in 0..self.cores.len() {
            self.pump(at);
            if to == at || self.cores[at].batches[to].is_empty() || source.below(4) == 0 {
                continue;
            }
            let mut batch = std::mem::take(&mut self.cores[at].batches[to]);
            if self.lanes[at][to].is_empty() && source.below(2) == 0 {
                let clock = self.clock(at);
                batch.run(&mut self.cores[to].shard, clock, Sender(at as u16));
                self.splice(to, at, batch);
                self.bring_late(to, at);
            } else {
                self.lanes[at][to].push_back(Parcel::Request(batch));
            }
        }
        self.pump(at);
    }

    fn take(&mut self, from: usize, at: usize, parcel: Parcel) {
        match parcel {
            Parcel::Request(mut batch) => {
                let now = self.clock(at);
                batch.run(&mut self.cores[at].shard, now, Sender(from as u16));
                self.lanes[at][from].push_back(Parcel::Reply(batch));
                self.bring_late(at, at);
            }
            Parcel::Reply(batch) => self.splice(from, at, batch),
            Parcel::Late(late) => self.take_late(at, late),
        }
    }

    /// Takes a batch home that shard `from` has run.
    fn splice(&mut self, from: usize, at: usize, mut batch: Batch<Option<Ticket>>) {
        for part in batch.take_answers() {
            self.cores[at].coordinator.answer(part, &mut self.numbers);
        }
        let mut ends = Vec::new();
        batch.finish(|ticket, outcome| ends.push((ticket, outcome.reply.to_vec(), outcome.ran)));
        for (ticket, reply, ran) in ends {
            self.deliver(from, at, ticket, reply, ran);
        }
    }

    fn deliver(&mut self, from: usize, at: usize, to: Option<Ticket>, reply: Vec<u8>, ran: Ran) {
        let core = &mut self.cores[at];
        match (ran, to) {
            (Ran::Later(number), _) => {
                core.laters.insert((from as u16, number), to);
                let early = core.early.remove(&(from as u16, number));
                early.into_iter().flatten().for_each(|late| self.take_late(at, late));
            }
            (Ran::Parked(until), Some(ticket)) => {
                if let Some(wait) = core.waits.get_mut(&ticket) {
                    wait.until = until;
                }
            }
            (Ran::Strayed, _) => unreachable!("no script is sent to a shard"),
            (Ran::Done, Some(ticket)) => self.hear(at, ticket, Heard::Said(reply)),
            (_, None) => {}
        }
    }

    fn hear(&mut self, at: usize, ticket: Ticket, heard: Heard) {
        self.cores[at].waits.remove(&ticket);
        self.cores[at].heard.push((ticket, heard));
    }

    /// Brings what shard `of`, which core `at` has just run, says late.
    fn bring_late(&mut self, of: usize, at: usize) {
        for late in self.cores[of].shard.take_late() {
            let to = usize::from(late.to.0);
            if to == at {
                self.take_late(at, late);
            } else {
                self.lanes[at][to].push_back(Parcel::Late(late));
            }
        }
    }

    fn take_late(&mut self, at: usize, late: Late) {
        let core = &mut self.cores[at];
        match late.call {
            LateCall::Waited(ticket) => self.hear(at, ticket, Heard::Said(late.reply)),
            LateCall::Offered(shard, ticket) => {
                if self.planted != Some(Planted::LostWake) || ticket % 3 != 0 {
                    core.coordinator.offered(shard, ticket, &mut self.numbers);
                }
            }
            LateCall::News(..) => unreachable!("nobody subscribes here"),
            LateCall::Part => {
                core.coordinator
                    .answer(late.part.expect("it is said of a part"), &mut self.numbers);
            }
            LateCall::Later(shard, number) => {
                let Some(&to) = core.laters.get(&(shard, number)) else {
                    // Who had borrowed the shard was faster than the shard's own reply.
                    return core.early.entry((shard, number)).or_default().push(late);
                };
                if let Some(ticket) = to {
                    core.pieces.entry(ticket).or_default().extend(late.reply);
                }
                if !late.more {
                    core.laters.remove(&(shard, number));
                    let pieces = to.and_then(|ticket| core.pieces.remove(&ticket));
                    let reply = pieces.unwrap_or_default();
                    self.deliver(usize::from(shard), at, to, reply, late.ran);
                }
            }
        }
    }

    fn retire(&mut self, at: usize, ticket: Ticket, why: Retire) {
        let Some(wait) = self.cores[at].waits.get(&ticket) else { return };
        match wait.owner {
            Some(owner) => {
                let task = Task::Retire(Waiter { home: at as u16, id: ticket }, why);
                self.send(at, owner, task, &Args::new(&[], &[]), None);
            }
            None => self.cores[at].coordinator.end_wait(ticket, why),
        }
        if why == Retire::Gone {
            self.cores[at].waits.remove(&ticket);
        }
    }

    fn start(&mut self, at: usize, ticket: Ticket, watcher: u64, ask: Ask) {
        let (protocol, speaker) = (Protocol::Resp2, None);
        let request = Request { client: ticket, protocol, watcher, speaker };
        match ask {
            Ask::Leave => {
                for owner in self.cores[at].watched.remove(&watcher).unwrap_or_default() {
                    let task = Task::Unwatch(watcher);
                    self.send(at, usize::from(owner), task, &Args::new(&[], &[]), None);
                }
            }
            Ask::Exec(commands) => {
                let watched = self.cores[at].watched.remove(&watcher).unwrap_or_default();
                let commands = commands.into_iter().map(|words| {
                    if words.args().try_at(0).is_none() {
                        return Asked::Home { halts: true };
                    }
                    Asked::Shard(row_of(&words), 0, words)
                });
                let coordinator = &mut self.cores[at].coordinator;
                coordinator.begin(&request, &watched, commands, &mut self.numbers);
            }
            Ask::One(words) => self.start_one(at, &request, words),
        }
        self.pump(at);
    }

    fn start_one(&mut self, at: usize, request: &Request<Ticket>, words: Words) {
        let (ticket, row) = (request.client, row_of(&words));
        let mut owners = self.owners(row, &words);
        owners.sort_unstable();
        owners.dedup();
        if matches!(row.plan, Plan::Watch) {
            let watched = self.cores[at].watched.entry(request.watcher).or_default();
            watched.extend(owners.iter().map(|owner| *owner as u16));
            watched.sort_unstable();
            watched.dedup();
        }
        if let (Plan::Wait(try_run, _), [owner]) = (row.plan, &owners[..]) {
            let wait = Wait { owner: Some(*owner), until: None };
            self.cores[at].waits.insert(ticket, wait);
            let waiter = Waiter { home: at as u16, id: ticket };
            let task = Task::Try(row, try_run, waiter);
            return self.send(at, *owner, task, &words.args(), Some(ticket));
        }
        let task = match (row.plan, &owners[..]) {
            (Plan::Watch, [_]) => Task::Watch(row, request.watcher),
            (Plan::One(run) | Plan::First(run) | Plan::Each { run, .. }, [_]) => {
                Task::Run(row, run)
            }
            (Plan::Move(plan), [_]) => Task::Run(row, plan.put),
            (Plan::Wait(..), _) => {
                self.cores[at].waits.insert(ticket, Wait { owner: None, until: None });
                let coordinator = &mut self.cores[at].coordinator;
                let client = (ticket, Protocol::Resp2, None);
                return coordinator.begin_wait(client, ticket, (row, 0, words), &mut self.numbers);
            }
            _ => {
                let command = std::iter::once(Asked::Shard(row, 0, words));
                let coordinator = &mut self.cores[at].coordinator;
                return coordinator.begin(request, &[], command, &mut self.numbers);
            }
        };
        self.send(at, owners[0], task, &words.args(), Some(ticket));
    }

    fn owners(&self, row: &Row, words: &Words) -> Vec<usize> {
        let args = words.args();
        let indexes = row.key_indexes(&args);
        indexes.map(|index| self.route.owner(args.at(index))).collect()
    }

    /// Runs a task here, or puts it into the batch of its owner.
    fn send(&mut self, at: usize, owner: usize, task: Task, args: &Args<'_>, tag: Option<Ticket>) {
        let (now, core) = (self.clock(at), &mut self.cores[at]);
        let key = task.row().and_then(|row| row.first_key(args));
        let hash = key.map_or(0, |key| core.shard.hash(args.at(key)));
        if owner != at {
            let (protocol, speaker) = (Protocol::Resp2, None);
            let order = Order { task, hash, db: 0, protocol, speaker, tag };
            let (bytes, ranges) = args.parts();
            return core.batches[owner].push(&order, bytes, ranges.iter().copied());
        }
        let mut reply = Vec::new();
        let (sender, speaker) = (Sender(at as u16), None);
        let call = Call { task, sender, db: 0, hash, speaker, args: *args };
        let ran = core.shard.run(now, &call, &mut Reply::new(&mut reply, Protocol::Resp2));
        self.deliver(at, at, tag, reply, ran);
        self.bring_late(at, at);
    }

    /// Sends what transactions have to send, and hears what has ended.
    fn pump(&mut self, at: usize) {
        loop {
            if let Some((owner, message)) = self.cores[at].coordinator.next_message() {
                let owner = usize::from(owner);
                match message {
                    Message::Part(part) => self.send_part(at, owner, part),
                    Message::Task(Task::Release(id)) if self.freed.remove(&(owner, id)) => {}
                    Message::Task(task) => self.send(at, owner, task, &Args::new(&[], &[]), None),
                }
                continue;
            }
            let Some((ticket, finished)) = self.cores[at].coordinator.next_finished() else {
                return;
            };
            match finished {
                Finished::Parked(until) => {
                    if let Some(wait) = self.cores[at].waits.get_mut(&ticket) {
                        wait.until = until;
                    }
                }
                Finished::Called(..) => unreachable!("nothing is called"),
                Finished::Halted(id, index) => self.cores[at].halted.push((id, index)),
                Finished::Refused => self.hear(at, ticket, Heard::Refused),
                Finished::Replied(mut replies) if replies.len() == 1 => {
                    self.hear(at, ticket, Heard::Said(replies.remove(0).reply));
                }
                Finished::Replied(replies) => {
                    let each = replies.into_iter().map(|replied| replied.reply);
                    let each = each.filter(|reply| !reply.is_empty()).collect();
                    self.hear(at, ticket, Heard::Each(each));
                }
            }
        }
    }

    fn send_part(&mut self, at: usize, owner: usize, mut part: Box<Part>) {
        self.parts += 1;
        match self.planted {
            Some(Planted::EarlyRelease) => self.free_early(owner, &mut part),
            Some(Planted::NoTickets) => {
                if let Some(begin) = &mut part.begin {
                    begin.sequence = None;
                }
            }
            _ => {}
        }
        if owner != at {
            return self.cores[at].batches[owner].push_part(part);
        }
        let now = self.clock(at);
        if let Some(part) = self.cores[at].shard.take_part(now, part) {
            self.cores[at].coordinator.answer(part, &mut self.numbers);
        }
        self.bring_late(at, at);
    }

    /// Plants a fault: the first message has its locks go at once, and later ones take none.
    fn free_early(&mut self, owner: usize, part: &mut Part) {
        if part.begin.is_none() {
            let wanted = Wanted::Keys(Vec::new());
            part.begin = Some(Begin { sequence: None, wanted, watcher: None });
        }
        if !part.release {
            self.freed.insert((owner, part.id));
        } else {
            self.freed.remove(&(owner, part.id));
        }
        part.release = true;
    }

    /// True if nothing is under way anywhere.
    pub(crate) fn is_quiet(&self) -> bool {
        let lanes = self.lanes.iter().flatten().all(VecDeque::is_empty);
        lanes
            && self.cores.iter().all(|core| {
                core.asked.is_empty()
                    && core.ending.is_empty()
                    && core.batches.iter().all(Batch::is_empty)
                    && core.coordinator.under_way() == 0
                    && !core.coordinator.has_output()
                    && core.laters.is_empty()
                    && core.early.is_empty()
            })
    }

    /// What is left behind once nothing is under way and nobody waits.
    ///
    /// # Errors
    /// A sentence that says what, and where.
    pub(crate) fn is_clean(&mut self) -> Result<(), String> {
        for (at, core) in self.cores.iter_mut().enumerate() {
            if !core.shard.is_free() {
                return Err(format!("locks are left on shard {at}"));
            }
            let stats = core.shard.stats();
            if (stats.waiting, core.coordinator.waiting(), core.waits.len()) != (0, 0, 0) {
                return Err(format!("waits are left on shard {at}"));
            }
            if core.shard.keyspace().watching() > 0 {
                return Err(format!("watches are left on shard {at}"));
            }
            core.shard.keyspace().recount();
        }
        Ok(())
    }
}
