//! EXEC: what a client has queued, run as one transaction, and answered in one piece.
//!
//! Commands of the session run here, in their turn: those that see or change more than their own
//! words have the transaction halt (`halts`), the others wait for the next halt or the end.

use super::Work;
use super::inbox::Request;
use super::jobs::{self, Place};
use super::logins::denied_text;
use super::scripts::Whose;
use super::transact::{Client, is_flush, outcome};
use crate::acl::Denied;
use crate::commands::{Found, Outcome, SessionRow};
use crate::connection::Stall;
use crate::session::{Queued, ReplyMode};
use pinion_io::clock::nanos;
use pinion_io::resp::{Protocol, Reply};
use pinion_io::ring::SocketId;
use pinion_shards::Ran;
use pinion_shards::batch::Outcome as Ended;
use pinion_shards::channels::Change;
use pinion_shards::commands::{Flags, Plan, Row, parse_int};
use pinion_shards::transaction::{self, Asked, Finished, Replied, TransactionId};
use slab::Slab;

/// The EXECs under way.
pub(super) type Execs = Slab<Exec>;

/// An EXEC.
#[derive(Debug)]
pub(super) struct Exec {
    socket: SocketId,
    sequence: u32,
    answers: bool,
    protocol: Protocol,
    queue: Vec<Queued>,
    /// For so many of the first it is decided whether the user may run them: up to the next that
    /// may change what it may.
    checked: usize,
    /// What came of the commands of the session that have run.
    said: Vec<Said>,
    /// Where the transaction stands still, if it does.
    halted: Option<(TransactionId, usize)>,
    /// The script that runs meanwhile, by its place in `Scripts`.
    pub(super) script: Option<usize>,
    /// What that has replied.
    pub(super) script_reply: Option<Vec<u8>>,
    /// It is about to begin, and may end at once.
    pub(super) is_starting: bool,
}

impl Exec {
    fn new(
        (socket, sequence): (SocketId, u32),
        (answers, protocol): (bool, Protocol),
        queue: Vec<Queued>,
        checked: usize,
    ) -> Self {
        Self {
            socket,
            sequence,
            answers,
            protocol,
            queue,
            checked,
            said: Vec::new(),
            halted: None,
            script: None,
            script_reply: None,
            is_starting: false,
        }
    }
}

/// What came of a command.
#[derive(Debug)]
enum Said {
    /// Its reply; empty for a command of a shard.
    Reply(Vec<u8>),
    /// The same of CLIENT REPLY, and whether what comes from now on is heard.
    Heard(Vec<u8>, bool),
    /// It subscribes, which is done, and said, in the end.
    Subscribe(Change),
}

/// True if a command of the session runs in its turn among those of shards: not one whose words
/// are all that it looks at, nor one that subscribes, which is done in the end.
fn halts(row: &SessionRow) -> bool {
    let name = row.row.name;
    !matches!(name, "ping" | "echo" | "select" | "time") && !name.ends_with("subscribe")
}

/// True if a command may change as whom its client speaks, or what that one may do.
fn changes_user(queued: &Queued) -> bool {
    let name = queued.found.row().name;
    matches!(name, "auth" | "hello" | "config|set") || name.starts_with("acl|")
}

/// Where those commands end that are looked at together: with the first, from `from` on, that may
/// change what comes behind it.
fn checked_end(queue: &[Queued], from: usize) -> usize {
    let mut rest = queue.iter().skip(from);
    rest.position(changes_user).map_or(queue.len(), |at| from + at + 1)
}

impl Work {
    /// Runs what a client has queued; false if a lane is full.
    pub(super) fn run_exec(&mut self, request: &Request) -> bool {
        if self.stalls(request) {
            return false;
        }
        let Some(place) = self.place(request.socket) else { return true };
        let databases = self.settings.databases;
        let Some(connection) = self.connections[request.socket.index as usize].as_mut() else {
            return true;
        };
        let watched = connection.session.take_watched();
        let mut queue = connection.session.take_queue();
        if queue.iter().any(|queued| matches!(queued.found, Found::Session(_))) {
            // What these do to the session comes before the next request.
            connection.stall = Stall::Exec;
            connection.session.note_running(Some(queue.len()));
        }
        let checked = checked_end(&queue, 0);
        self.recheck(request.socket, &mut queue[..checked]);
        if self.monitors.watched {
            for queued in queue.iter().filter(|queued| queued.denied.is_none()) {
                self.show(request.socket, &queued.words.args(), queued.found.row());
            }
        }
        let stats = &mut self.stats;
        let mut db = place.db;
        let commands: Vec<_> = queue
            .iter_mut()
            .enumerate()
            .map(|(index, queued)| match queued.found {
                _ if queued.denied.is_some() => Asked::Home { halts: false },
                Found::Shard(row) if matches!(row.plan, Plan::Script) => {
                    // What it touches is not known before it has run.
                    Asked::Script { keys: None, reads: row.flags.has(Flags::READONLY) }
                }
                Found::Shard(row) if index >= checked => {
                    Asked::Shard(row, db, queued.words.clone())
                }
                Found::Shard(row) => {
                    stats.command_late(row);
                    Asked::Shard(row, db, std::mem::take(&mut queued.words))
                }
                Found::Session(session) => {
                    let selected = queued.words.args().try_at(1).and_then(parse_int);
                    if session.row.name == "select"
                        && let Some(selected) = selected.and_then(|db| u64::try_from(db).ok())
                        && selected < databases
                    {
                        db = selected as u16;
                    }
                    Asked::Home { halts: halts(session) }
                }
            })
            .collect();
        let (socket, sequence) = (request.socket, place.sequence);
        let (answers, protocol) = (place.answers, place.protocol);
        let exec = Exec::new((socket, sequence), (answers, protocol), queue, checked);
        let exec = self.execs.insert(exec);
        let watcher = self.watcher(socket);
        let (client, speaker) = (Client::Exec(exec), place.speaker);
        let asked = transaction::Request { client, protocol, watcher, speaker };
        let mut tickets = &self.server.tickets;
        self.coordinator.begin(&asked, &watched, commands.into_iter(), &mut tickets);
        self.pump();
        true
    }

    /// Runs what is the session's own up to and with the command at which the transaction has
    /// halted, and has that go on; where it takes a job, once this has ended.
    pub(super) fn run_halted(&mut self, key: usize, halted: (TransactionId, usize)) {
        self.execs[key].halted = Some(halted);
        self.end_halt(key);
    }

    /// Takes the reply of a job for which an EXEC stands still.
    pub(super) fn hear_job(&mut self, key: usize, reply: &[u8]) {
        self.execs[key].said.push(Said::Reply(reply.to_vec()));
        self.end_halt(key);
        self.pump();
    }

    fn end_halt(&mut self, key: usize) {
        let (id, until) = self.execs[key].halted.expect("the transaction has halted");
        if !self.run_own(key, until + 1) {
            return;
        }
        self.check_rest(key, (id, until));
        let (socket, begun) = (self.execs[key].socket, self.execs[key].protocol);
        let protocol = self.connection(socket).map_or(begun, |client| client.session.protocol);
        self.coordinator.go_on_after((id, until), protocol, &mut &self.server.tickets);
    }

    /// Looks at the commands behind one that may have changed what the user may do, once that has
    /// run, and leaves out what is not allowed.
    fn check_rest(&mut self, key: usize, (id, until): (TransactionId, usize)) {
        let Exec { ref queue, checked, socket, .. } = self.execs[key];
        let from = until + 1;
        if checked > from || checked == queue.len() {
            return;
        }
        let end = checked_end(queue, from);
        let mut queue = std::mem::take(&mut self.execs[key].queue);
        self.recheck(socket, &mut queue[from..end]);
        for (index, queued) in queue.iter().enumerate().take(end).skip(from) {
            match queued.found {
                Found::Shard(_) if queued.denied.is_some() => self.coordinator.skip(id, index),
                // A script counts itself.
                Found::Shard(row) if !matches!(row.plan, Plan::Script) => {
                    self.stats.command_late(row);
                }
                Found::Shard(_) | Found::Session(_) => {}
            }
        }
        (self.execs[key].queue, self.execs[key].checked) = (queue, end);
    }

    /// Runs what is the session's own among the first `end` commands; false if a job is awaited.
    fn run_own(&mut self, key: usize, end: usize) -> bool {
        let queue = std::mem::take(&mut self.execs[key].queue);
        let socket = self.execs[key].socket;
        let mut goes_on = true;
        while goes_on && self.execs[key].said.len() < end {
            let said = self.run_queued(key, socket, &queue[self.execs[key].said.len()]);
            goes_on = said.is_some();
            self.execs[key].said.extend(said);
        }
        self.execs[key].queue = queue;
        goes_on
    }

    /// Runs a command, if it is of the session; nothing if its job is awaited.
    fn run_queued(&mut self, key: usize, socket: SocketId, queued: &Queued) -> Option<Said> {
        let nothing = Some(Said::Reply(Vec::new()));
        let row = match queued.found {
            Found::Session(row) => row,
            Found::Shard(row) if matches!(row.plan, Plan::Script) => {
                return self.run_queued_script(key, socket, (row, queued));
            }
            Found::Shard(_) => return nothing,
        };
        if let Some(denied) = self.denied_now(socket, queued) {
            return Some(Said::Reply(self.refuse_queued(queued, denied)));
        }
        let (began, args) = (nanos(), queued.words.args());
        let Some((outcome, said)) = self.ask_session(socket, &args, row) else { return nothing };
        if let Outcome::Start(job) = outcome {
            let (place, words) = (Place::Exec(key), queued.words.clone());
            self.asked.push(jobs::Asked { socket, place, job, row: &row.row, words });
            return None;
        }
        self.stats.command_late(&row.row);
        let took = nanos().saturating_sub(began);
        let ended = Ended { reply: &said, ran: Ran::Done, row: Some(&row.row), args, took };
        self.charge(Some(&row.row), socket, &ended);
        match outcome {
            Outcome::Subscribe(change) => return Some(Said::Subscribe(change)),
            Outcome::Track => self.note_caching(socket),
            Outcome::Monitor => self.begin_monitor(socket),
            _ => {}
        }
        if row.row.name == "client|reply" {
            let mode = self.connection(socket).map(|client| client.session.reply_mode);
            return Some(Said::Heard(said, mode != Some(ReplyMode::Off)));
        }
        Some(Said::Reply(said))
    }

    /// Runs a script; nothing if it goes on, and says later what came of it (`hear_script`).
    fn run_queued_script(
        &mut self,
        key: usize,
        socket: SocketId,
        (row, queued): (&'static Row, &Queued),
    ) -> Option<Said> {
        if let Some(denied) = queued.denied {
            return Some(Said::Reply(self.refuse_queued(queued, denied)));
        }
        self.stats.command_late(row);
        let args = queued.words.args();
        let script = match self.script_of(row, &args) {
            Ok(script) => script,
            Err(text) => {
                let line = [b"-", &*text, b"\r\n"].concat();
                self.stats.error(Some(row), &line, false);
                return Some(Said::Reply(line));
            }
        };
        let halted = self.execs[key].halted.expect("the transaction has halted");
        let db = self.connection(socket).map_or(0, |connection| connection.session.db);
        let whose = Whose::Exec { exec: key, socket };
        let words = queued.words.clone();
        let running = self.add_script(whose, (row, script), (words, db), true);
        self.execs[key].script = Some(running);
        self.execs[key].is_starting = true;
        self.start_script(running, halted);
        self.execs[key].is_starting = false;
        self.execs[key].script_reply.take().map(Said::Reply)
    }

    /// Takes the reply of a script for which an EXEC stands still.
    pub(super) fn hear_script(&mut self, key: usize, reply: Vec<u8>) {
        self.execs[key].script = None;
        if self.execs[key].is_starting {
            self.execs[key].script_reply = Some(reply);
            return;
        }
        if reply.first() == Some(&b'-') {
            self.stats.error(None, &reply, false);
        }
        self.execs[key].said.push(Said::Reply(reply));
        self.end_halt(key);
    }

    /// The error of a command that EXEC does not run, counted.
    fn refuse_queued(&mut self, queued: &Queued, denied: Denied) -> Vec<u8> {
        let line = format!("-{}\r\n", denied_text(denied)).into_bytes();
        self.stats.error(Some(queued.found.row()), &line, true);
        line
    }

    /// Answers an EXEC: the shards' replies, and between them what the session says.
    pub(super) fn finish_exec(&mut self, key: usize, finished: Finished) {
        let mut text = self.spare.pop().unwrap_or_default();
        let mut place = Some(self.execs[key].sequence);
        let (mut flushed, mut emptied) = (false, false);
        let exec = if let Finished::Replied(replies) = finished {
            let done = self.run_own(key, replies.len());
            assert!(done, "what starts a job halts");
            let mut exec = self.execs.remove(key);
            Reply::new(&mut text, exec.protocol).array(replies.len());
            let (said, mut heard) = (std::mem::take(&mut exec.said), true);
            for ((replied, queued), said) in replies.into_iter().zip(&exec.queue).zip(said) {
                flushed |= is_flush(&replied);
                emptied |= self.is_emptied(&replied);
                match said {
                    Said::Subscribe(change) => {
                        self.fill_next(&exec, place.take(), &text);
                        text.clear();
                        self.subscribe_next(exec.socket, &change);
                    }
                    Said::Reply(said) => {
                        let mark = text.len();
                        self.put_reply(exec.socket, &replied, queued, &mut text);
                        text.extend_from_slice(&said);
                        text.truncate(if heard { text.len() } else { mark });
                    }
                    Said::Heard(said, hears) => {
                        heard = hears;
                        text.extend_from_slice(if heard { &said } else { b"" });
                    }
                }
            }
            self.end_skip(exec.socket);
            self.note_running(exec.socket, None);
            exec
        } else {
            let exec = self.execs.remove(key);
            Reply::new(&mut text, exec.protocol).null_array();
            exec
        };
        self.fill_next(&exec, place, &text);
        text.clear();
        self.keep_buffer(text);
        if flushed {
            self.tell_flushed();
        }
        if emptied {
            self.save_emptied(None);
        }
        self.release(exec.socket);
    }

    /// Has the next request go unanswered, and no more, if one of these commands has asked for it.
    fn end_skip(&mut self, socket: SocketId) {
        let Some(connection) = self.connection(socket) else { return };
        let mode = &mut connection.session.reply_mode;
        if *mode == ReplyMode::SkipNext {
            *mode = mode.next();
        }
    }

    /// Adds the reply of a command of a shard, which is empty for one of the session.
    fn put_reply(
        &mut self,
        socket: SocketId,
        replied: &Replied,
        queued: &Queued,
        text: &mut Vec<u8>,
    ) {
        let Found::Shard(_) = queued.found else { return };
        if let Some(denied) = queued.denied {
            return text.extend(self.refuse_queued(queued, denied));
        }
        if replied.reply.first() == Some(&b'-') {
            self.stats.error(replied.row, &replied.reply, false);
        }
        text.extend_from_slice(&replied.reply);
        self.charge(replied.row, socket, &outcome(replied));
    }

    fn note_running(&mut self, socket: SocketId, commands: Option<usize>) {
        if let Some(connection) = self.connection(socket) {
            connection.session.note_running(commands);
        }
    }

    /// Subscribes a client; what it is told has a place of its own.
    fn subscribe_next(&mut self, socket: SocketId, change: &Change) {
        let Some(connection) = self.connection(socket) else { return };
        let sequence = connection.pipeline.reserve(false);
        self.subscribe(socket, sequence, change);
    }

    /// Puts a piece of an EXEC's reply in its place, or behind all that is there.
    fn fill_next(&mut self, exec: &Exec, place: Option<u32>, text: &[u8]) {
        match place {
            Some(sequence) => self.fill(exec.socket, sequence, text),
            None => {
                if let Some(connection) = self.connection(exec.socket) {
                    connection.pipeline.write(exec.protocol, exec.answers, |out| out.raw(text));
                    self.mark_dirty(exec.socket);
                }
            }
        }
    }
}
