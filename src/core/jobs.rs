//! Jobs: what a command starts and its connection waits for.

use super::snapshot::Asker;
use super::{Core, Work};
use crate::commands::{Context, Job};
use crate::connection::{Connection, Stall};
use crate::errand::{Answer, ClientView, Clients, CoreView, Errand};
use crate::hop::Parcel;
use pinion_io::clock::nanos;
use pinion_io::resp::Reply;
use pinion_io::ring::SocketId;
use pinion_shards::batch::Outcome;
use pinion_shards::commands::{Row, Words};
use pinion_shards::{Ran, Retire};
use slab::Slab;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Where the reply of a job goes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Place {
    /// Among the client's replies.
    Reply(u32),
    /// To an EXEC, by its place in `Execs`.
    Exec(usize),
}

/// A job that a command asked for, with the place of its reply.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) socket: SocketId,
    pub(super) place: Place,
    pub(super) job: Job,
    /// The command that asked, and its words.
    pub(super) row: &'static Row,
    pub(super) words: Words,
}

/// A command whose job goes on.
#[derive(Debug)]
pub(super) struct Command {
    row: &'static Row,
    pub(super) words: Words,
    /// How long it ran, in nanoseconds.
    pub(super) took: u64,
}

/// Jobs under way.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    errands: Slab<Under>,
    /// Sleeps, the first to end on top, by the steady clock; each client has at most one.
    sleeps: BinaryHeap<Reverse<Sleep>>,
    /// The commands of these sleeps.
    sleepers: HashMap<(SocketId, Place), Command>,
}

/// A client that sleeps until `end`, and the place of its reply.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Sleep {
    end: Duration,
    place: Place,
    socket: SocketId,
}

impl Jobs {
    /// When the next sleep ends.
    pub(super) fn next_end(&self) -> Option<Duration> {
        self.sleeps.peek().map(|Reverse(sleep)| sleep.end)
    }
}

/// An errand under way.
#[derive(Debug)]
struct Under {
    socket: SocketId,
    place: Place,
    errand: Arc<Errand>,
    answers: Vec<Answer>,
    command: Command,
}

impl Core {
    /// Starts what this tick's commands asked for.
    pub(super) fn start_jobs(&mut self) {
        for asked in std::mem::take(&mut self.work.asked) {
            let Asked { socket, place, job, row, words } = asked;
            let mut command = Command { row, words, took: 0 };
            match job {
                Job::Sleep(time) => {
                    let end = self.work.steady.saturating_add(time);
                    command.took = time.as_nanos() as u64;
                    self.jobs.sleepers.insert((socket, place), command);
                    self.jobs.sleeps.push(Reverse(Sleep { end, place, socket }));
                }
                Job::Errand(errand) => self.start_errand((socket, place), errand, command),
                Job::Save { in_background } => {
                    self.begin_save(Some(Asker { socket, place, command, waits: !in_background }));
                }
                Job::Reload { save, flush } => {
                    let asker = Asker { socket, place, command, waits: true };
                    self.begin_reload(asker, (save, flush));
                }
                Job::Populate(population) => {
                    let asker = Asker { socket, place, command, waits: true };
                    self.begin_population(asker, population);
                }
                Job::Migrate(order) => {
                    let asker = Asker { socket, place, command, waits: true };
                    self.begin_migration(asker, order);
                }
                Job::Stop(stop) => {
                    tracing::info!("a client asked the server to stop");
                    self.begin_stop(stop, Some(Asker { socket, place, command, waits: true }));
                }
            }
        }
    }

    fn start_errand(
        &mut self,
        (socket, place): (SocketId, Place),
        errand: Errand,
        mut command: Command,
    ) {
        let errand = Arc::new(errand);
        let began = nanos();
        let answers = vec![self.work.visit(&errand)];
        command.took = nanos().saturating_sub(began);
        let under = Under { socket, place, errand: Arc::clone(&errand), answers, command };
        let id = self.jobs.errands.insert(under);
        for core in (0..self.work.hops.cores()).filter(|&core| core != self.work.index) {
            let parcel = Parcel::Errand { id: id as u32, errand: Arc::clone(&errand) };
            self.work.hops.send(core, parcel, &mut self.work.stats);
        }
        self.finish_errand(id);
    }

    pub(super) fn take_answer(&mut self, id: u32, answer: Answer) {
        self.jobs.errands[id as usize].answers.push(answer);
        self.finish_errand(id as usize);
    }

    /// Answers the client once every core has answered.
    fn finish_errand(&mut self, id: usize) {
        if self.jobs.errands[id].answers.len() < self.work.hops.cores() {
            return;
        }
        let mut under = self.jobs.errands.remove(id);
        let began = nanos();
        let (server, settings) = (Arc::clone(&self.work.server), Arc::clone(&self.work.settings));
        let (now, core) = (self.work.now, self.work.index);
        let Some(connection) = self.work.connection(under.socket) else {
            return self.finish(under.socket, under.place, b"", None);
        };
        let session = &mut connection.session;
        let mut text = Vec::new();
        let mut reply = Reply::new(&mut text, session.protocol);
        let context = Context { session, server: &server, settings: &settings, now, core };
        under.errand.finish(under.answers, &context, &mut reply);
        under.command.took += nanos().saturating_sub(began);
        self.finish(under.socket, under.place, &text, Some(&under.command));
    }

    /// Answers the clients whose jobs have ended; false if there is none.
    pub(super) fn finish_jobs(&mut self) -> bool {
        let mut any = false;
        while let Some(&Reverse(Sleep { end, place, socket })) = self.jobs.sleeps.peek()
            && end <= self.work.steady
        {
            self.jobs.sleeps.pop();
            let command = self.jobs.sleepers.remove(&(socket, place));
            self.finish(socket, place, b"+OK\r\n", command.as_ref());
            any = true;
        }
        any
    }

    /// Gives a job's client its reply, and lets it go on.
    pub(super) fn finish(
        &mut self,
        socket: SocketId,
        place: Place,
        reply: &[u8],
        command: Option<&Command>,
    ) {
        if let Some(Command { row, words, took }) = command {
            self.work.stats.command_late(row);
            let (row, args) = (Some(*row), words.args());
            let outcome = Outcome { reply, ran: Ran::Done, row, args, took: *took };
            self.work.charge(row, socket, &outcome);
        }
        let sequence = match place {
            Place::Reply(sequence) => sequence,
            Place::Exec(exec) => return self.work.hear_job(exec, reply),
        };
        self.work.fill(socket, sequence, reply);
        let Some(connection) = self.work.connection(socket) else { return };
        if connection.end_job() {
            self.work.go_on(socket);
        }
    }
}

impl Work {
    /// Asks for a job whose reply is all that a client of another protocol hears of it.
    pub(super) fn ask_job(&mut self, socket: SocketId, job: Job, row: &'static Row) {
        let Some(connection) = self.connection(socket) else { return };
        connection.begin_job();
        let place = Place::Reply(connection.pipeline.reserve(false));
        let mut words = Words::default();
        words.extend([row.name.as_bytes()]);
        self.asked.push(Asked { socket, place, job, row, words });
    }

    /// Answers an errand for this core.
    pub(super) fn visit(&mut self, errand: &Errand) -> Answer {
        self.refresh_logins(None);
        let mut table = Table {
            connections: &mut self.connections,
            dirty: &mut self.dirty,
            unblocked: Vec::new(),
        };
        let mut pause = self.paused.pause;
        let answer = errand.visit(&mut CoreView {
            core: self.index,
            now: self.now,
            clients: &mut table,
            shard: self.owner.value(),
            stats: &mut self.stats,
            slow: &mut self.slow,
            pause: &mut pause,
        });
        for (wait, why) in table.unblocked {
            self.retire(wait, why);
        }
        if pause != self.paused.pause {
            self.set_pause(pause);
        }
        answer
    }
}

/// The clients of a core, as an errand sees them.
struct Table<'a> {
    connections: &'a mut Vec<Option<Box<Connection>>>,
    dirty: &'a mut Vec<SocketId>,
    /// Waits to be ended.
    unblocked: Vec<(u64, Retire)>,
}

impl Clients for Table<'_> {
    fn each(&mut self, see: &mut dyn FnMut(&mut ClientView<'_>)) {
        let others = self.connections.iter_mut().flatten();
        for connection in others.filter(|connection| !connection.killed) {
            let mut kill = false;
            let (input_bytes, output_bytes) = (connection.input_bytes(), connection.output_bytes());
            let wait = match connection.stall {
                Stall::Blocked(wait) => Some(wait),
                _ => None,
            };
            let mut unblock = None;
            see(&mut ClientView {
                input_bytes,
                output_bytes,
                session: &mut connection.session,
                kill: &mut kill,
                is_blocked: wait.is_some(),
                is_postponed: connection.stall == Stall::Paused,
                unblock: &mut unblock,
            });
            self.unblocked.extend(wait.zip(unblock));
            if kill {
                connection.dismiss();
            }
            if kill || connection.session.closing {
                connection.mark(self.dirty);
            }
        }
    }
}
