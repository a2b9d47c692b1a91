//! MIGRATE: keys are read under their locks, sent to another server, and removed once it has them.
//!
//! ```text
//! slice     up to `SLICE_KEYS_MAX` keys are one transaction: all are locked           begin_slice
//! key       the owner writes the RESTORE that makes it, and the transaction halts     step
//! beside    a thread sends that, while the next is read, and hears what comes of it   io: outgoing
//! end       when all is answered, what was taken is removed, and the locks go         end_slice
//! ```
//!
//! Nobody finds a key that is neither here nor there, and what is written meanwhile waits: it is
//! not lost. What the other server has not said that it took stays. Little is in memory of many
//! keys, and the loop goes on while the other server is slow; those of many slices move slice by
//! slice.

use super::snapshot::Asker;
use super::transact::Client;
use super::{Core, Work};
use crate::commands::Migration as Order;
use pinion_io::mesh::Doorbell;
use pinion_io::outgoing::{Answers, Failure, Outgoing, Target};
use pinion_io::resp::Protocol;
use pinion_shards::Speaker;
use pinion_shards::commands::{SENT, Words, find};
use pinion_shards::transaction::{self, Asked, Finished, TransactionId};
use slab::Slab;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Migrations of a core at once, each with a thread; others wait for one of them to end.
const UNDER_WAY_MAX: usize = 8;
/// Keys that are locked at once for one migration.
const SLICE_KEYS_MAX: usize = 1024;
/// Keys that a turn of the loop sends for one migration.
const KEYS_PER_TURN: usize = 16;

/// How long cores that are to be quiet wait for other servers: a client may be more patient than
/// who stops this one.
const QUIET_PATIENCE: Duration = Duration::from_secs(1);

/// What MIGRATE has begun on this core.
#[derive(Debug)]
pub(super) struct Migrations {
    waiting: VecDeque<(Asker, Box<Order>)>,
    under_way: Slab<Migration>,
    /// One of them may go on.
    stirred: bool,
    /// Since when no more requests are run.
    quiet_since: Option<Duration>,
    doorbell: Arc<Doorbell>,
    /// Where threads may run.
    processors: Arc<[usize]>,
}

/// One under way.
#[derive(Debug)]
struct Migration {
    asker: Asker,
    order: Box<Order>,
    began: Duration,
    db: u16,
    speaker: Option<Speaker>,
    /// Of the keys, which are locked now, by the indexes of their words.
    slice: Range<usize>,
    stage: Stage,
    /// How many keys of the slice were read, and which of these were sent.
    read: usize,
    sent: Vec<usize>,
    /// For each that was sent and is answered, whether the other server has it.
    taken: Vec<bool>,
    /// All answers are wanted.
    waits: bool,
    /// What this slice comes to is settled: what is left of it only passes.
    settled: bool,
    outgoing: Option<Outgoing>,
    failure: Option<Failure>,
    /// The first error of the other server.
    error: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Nothing is locked.
    Free,
    /// Owners read or remove keys.
    Shards,
    /// The transaction stands still.
    Halted(TransactionId, usize),
}

/// How a step went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    More,
    Waits,
    Ended,
}

impl Migrations {
    pub(super) fn new(doorbell: Arc<Doorbell>, processors: Arc<[usize]>) -> Self {
        let (waiting, under_way) = (VecDeque::new(), Slab::new());
        Self { waiting, under_way, stirred: false, quiet_since: None, doorbell, processors }
    }

    /// True if there is something to look after.
    #[inline]
    pub(super) fn is_active(&self) -> bool {
        !self.under_way.is_empty() || !self.waiting.is_empty()
    }

    /// True if there is something to do at once.
    pub(super) fn is_stirred(&self) -> bool {
        self.stirred
    }

    /// Takes what became of a transaction.
    pub(super) fn hear(&mut self, key: usize, finished: &Finished) {
        self.stirred = true;
        self.under_way[key].stage = match finished {
            Finished::Halted(id, index) => Stage::Halted(*id, *index),
            _ => Stage::Free,
        };
    }
}

impl Core {
    /// Begins a migration, now or when others have ended.
    pub(super) fn begin_migration(&mut self, asker: Asker, order: Box<Order>) {
        self.work.migrations.waiting.push_back((asker, order));
        self.work.migrations.stirred = true;
    }

    /// Goes on with migrations.
    pub(super) fn tend_migrations(&mut self) {
        self.work.migrations.stirred = false;
        self.work.give_up_migrations();
        while self.work.migrations.under_way.len() < UNDER_WAY_MAX
            && let Some((asker, order)) = self.work.migrations.waiting.pop_front()
        {
            let Some(connection) = self.work.connection(asker.socket) else {
                self.finish(asker.socket, asker.place, b"", None);
                continue;
            };
            let session = &mut connection.session;
            let (db, speaker) = (session.db, session.speaker());
            let migration = Migration::new(asker, order, self.work.steady, (db, speaker));
            self.work.migrations.under_way.insert(migration);
        }
        let table = &self.work.migrations.under_way;
        let keys: Vec<usize> = table.iter().map(|(key, _)| key).collect();
        for key in keys {
            let mut steps = KEYS_PER_TURN;
            let mut step = Step::More;
            while step == Step::More && steps > 0 {
                step = self.work.step_migration(key);
                steps -= 1;
            }
            match step {
                Step::More => self.work.migrations.stirred = true,
                Step::Waits => {}
                Step::Ended => self.end_migration(key),
            }
        }
    }

    fn end_migration(&mut self, key: usize) {
        let migration = self.work.migrations.under_way.remove(key);
        self.work.migrations.stirred |= !self.work.migrations.waiting.is_empty();
        let reply = migration.reply();
        let Migration { asker: Asker { socket, place, mut command, .. }, began, .. } = migration;
        command.took = self.work.steady.saturating_sub(began).as_nanos() as u64;
        self.finish(socket, place, &reply, Some(&command));
    }
}

impl Work {
    /// Has those end that would keep this core from being quiet.
    fn give_up_migrations(&mut self) {
        let since = &mut self.migrations.quiet_since;
        *since = self.is_quiet.then(|| since.unwrap_or(self.steady));
        if since.is_some_and(|since| self.steady.saturating_sub(since) > QUIET_PATIENCE) {
            for (_, migration) in &mut self.migrations.under_way {
                migration.hear();
                migration.failure.get_or_insert(Failure::Read);
            }
        }
    }

    /// Does the next thing that there is to do for a migration.
    fn step_migration(&mut self, key: usize) -> Step {
        let migration = &mut self.migrations.under_way[key];
        migration.hear();
        let (id, index) = match migration.stage {
            Stage::Shards => return Step::Waits,
            Stage::Free if migration.is_over() => return Step::Ended,
            // What is quiet begins nothing, and is woken when it may.
            Stage::Free if self.is_quiet => return Step::Waits,
            Stage::Free => return self.begin_slice(key),
            Stage::Halted(id, index) => (id, index),
        };
        // Behind what reads a key comes where the transaction halts.
        let place = index / 2;
        if migration.failure.is_none() && migration.read == place {
            if migration.outgoing.as_ref().is_some_and(|outgoing| !outgoing.has_room()) {
                return Step::Waits;
            }
            let request = self.coordinator.take_reply(id, 2 * place);
            migration.read += 1;
            if !request.is_empty() {
                let (doorbell, processors) =
                    (&self.migrations.doorbell, &self.migrations.processors);
                let to = (Arc::clone(processors), Arc::clone(doorbell));
                self.migrations.under_way[key].send(place, request, to);
            }
        }
        let migration = &mut self.migrations.under_way[key];
        let is_last = place + 1 == migration.slice.len();
        if (is_last || migration.failure.is_some()) && !migration.settled {
            if migration.failure.is_none() && migration.taken.len() < migration.sent.len() {
                return migration.wait_for_answers();
            }
            self.settle_slice(key, id, place);
        }
        self.migrations.under_way[key].stage = Stage::Shards;
        let tickets = &mut &self.server.tickets;
        self.coordinator.go_on_after((id, index), Protocol::default(), tickets);
        self.pump();
        Step::More
    }

    /// Begins the transaction over the next keys.
    fn begin_slice(&mut self, key: usize) -> Step {
        if self.full_lane().is_some() {
            return Step::More;
        }
        let socket = self.migrations.under_way[key].asker.socket;
        let watcher = self.watcher(socket);
        let migration = &mut self.migrations.under_way[key];
        let order = &migration.order;
        let end = (migration.slice.end + SLICE_KEYS_MAX).min(order.keys.end);
        migration.slice = migration.slice.end..end;
        (migration.read, migration.waits, migration.settled) = (0, false, false);
        migration.sent.clear();
        migration.taken.clear();
        migration.stage = Stage::Shards;
        let (db, args) = (migration.db, migration.asker.command.words.args());
        let keys = migration.slice.clone().map(|index| args.at(index));
        let read = keys.clone().flat_map(|key| {
            let mut words = Words::default();
            words.extend([SENT.name.as_bytes(), key]);
            words.extend(order.replaces.then_some(&b"REPLACE"[..]));
            [Asked::Shard(&SENT, db, words), Asked::Home { halts: true }]
        });
        let unlink = find(UNLINK).expect("there is such a command");
        let removed = keys.filter(|_| !order.copies).map(|key| {
            let mut words = Words::default();
            words.extend([UNLINK, key]);
            Asked::Shard(unlink, db, words)
        });
        let (client, protocol) = (Client::Migration(key), Protocol::default());
        let speaker = migration.speaker.map(Speaker::without_memory);
        let asked = transaction::Request { client, protocol, watcher, speaker };
        let tickets = &mut &self.server.tickets;
        self.coordinator.begin(&asked, &[], read.chain(removed), tickets);
        self.pump();
        Step::More
    }

    /// Leaves out of the transaction, which has halted behind the key at `place`, what is not to
    /// be removed, and what is not to be read any more.
    fn settle_slice(&mut self, key: usize, id: TransactionId, place: usize) {
        let migration = &mut self.migrations.under_way[key];
        migration.settled = true;
        let len = migration.slice.len();
        for unread in place + 1..len {
            self.coordinator.skip(id, 2 * unread);
        }
        if migration.order.copies {
            return;
        }
        let mut taken = migration.sent.iter().zip(&migration.taken).filter(|(_, taken)| **taken);
        let mut next = taken.next();
        for place in 0..len {
            if next.is_some_and(|(taken, _)| *taken == place) {
                next = taken.next();
            } else {
                self.coordinator.skip(id, 2 * len + place);
            }
        }
    }
}

const UNLINK: &[u8] = b"unlink";

impl Migration {
    fn new(
        asker: Asker,
        order: Box<Order>,
        began: Duration,
        (db, speaker): (u16, Option<Speaker>),
    ) -> Self {
        let slice = order.keys.start..order.keys.start;
        let (sent, taken, stage) = (Vec::new(), Vec::new(), Stage::Free);
        let (outgoing, failure, error) = (None, None, None);
        let (read, waits, settled) = (0, false, false);
        Self {
            asker,
            order,
            began,
            db,
            speaker,
            slice,
            stage,
            read,
            sent,
            taken,
            waits,
            settled,
            outgoing,
            failure,
            error,
        }
    }

    /// True if no further slice is to be moved.
    fn is_over(&self) -> bool {
        self.failure.is_some() || self.slice.end == self.order.keys.end
    }

    /// Hands over the RESTORE of the key at `place`; the first opens the connection.
    fn send(&mut self, place: usize, request: Vec<u8>, to: (Arc<[usize]>, Arc<Doorbell>)) {
        if self.outgoing.is_none() {
            let Order { host, port, timeout, greeting, .. } = &mut *self.order;
            let (host, greeting) = (std::mem::take(host), std::mem::take(greeting));
            let target = Target { host, port: *port, timeout: *timeout, greeting };
            match Outgoing::open(target, to.0, to.1) {
                Ok(outgoing) => self.outgoing = Some(outgoing),
                Err(error) => {
                    tracing::warn!("no thread for MIGRATE: {error}");
                    self.failure = Some(Failure::Connect);
                }
            }
        }
        if let Some(outgoing) = &self.outgoing {
            outgoing.send(request);
            self.sent.push(place);
        }
    }

    fn wait_for_answers(&mut self) -> Step {
        let waits = std::mem::replace(&mut self.waits, true);
        if let Some(outgoing) = self.outgoing.as_ref().filter(|_| !waits) {
            outgoing.settle();
        }
        Step::Waits
    }

    /// Takes what the other server has answered.
    fn hear(&mut self) {
        let Some(outgoing) = &self.outgoing else { return };
        let Answers { lines, failure } = outgoing.take_answers();
        for line in lines {
            let error = line.strip_prefix(b"-");
            self.taken.push(error.is_none());
            if let (Some(error), None) = (error, &self.error) {
                self.error = Some(error.to_vec());
            }
        }
        self.failure = self.failure.take().or(failure);
    }

    /// What the client hears in the end.
    fn reply(&self) -> Vec<u8> {
        let text = match (&self.error, &self.failure) {
            (Some(error), _) => return refused(error),
            (None, Some(Failure::Refused(line))) => return refused(&line[1..]),
            (None, Some(Failure::Connect)) => "connecting to the client",
            (None, Some(Failure::Write)) => "writing to target instance",
            (None, Some(Failure::Read)) => "reading to target instance",
            (None, None) if self.outgoing.is_none() => return b"+NOKEY\r\n".to_vec(),
            (None, None) => return b"+OK\r\n".to_vec(),
        };
        format!("-IOERR error or timeout {text}\r\n").into_bytes()
    }
}

fn refused(error: &[u8]) -> Vec<u8> {
    [b"-ERR Target instance replied with error: ", error, b"\r\n"].concat()
}
