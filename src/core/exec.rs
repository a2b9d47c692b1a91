//! EXEC: what a client has queued, run as one transaction, and answered in one piece.

use super::inbox::Request;
use super::logins::denied_text;
use super::transact::{Client, is_flush, outcome};
use super::{Work, jobs};
use crate::commands::{Found, Outcome};
use crate::connection::Stall;
use crate::session::Queued;
use pinion_io::clock::nanos;
use pinion_io::resp::{Protocol, Reply};
use pinion_io::ring::SocketId;
use pinion_shards::Ran;
use pinion_shards::batch::Outcome as Ended;
use pinion_shards::commands::{Words, parse_int};
use pinion_shards::transaction::{self, Finished};
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
        }
        self.recheck(request.socket, &mut queue);
        if self.monitors.watched {
            for queued in queue.iter().filter(|queued| queued.denied.is_none()) {
                self.show(request.socket, &queued.words.args(), queued.found.row());
            }
        }
        let stats = &mut self.stats;
        let mut db = place.db;
        let commands: Vec<_> = queue
            .iter_mut()
            .map(|queued| match queued.found {
                _ if queued.denied.is_some() => (None, db, Words::default()),
                Found::Shard(row) => {
                    stats.command_late(row);
                    (Some(row), db, std::mem::take(&mut queued.words))
                }
                Found::Session(session) => {
                    let selected = queued.words.args().try_at(1).and_then(parse_int);
                    if session.row.name == "select"
                        && let Some(selected) = selected.and_then(|db| u64::try_from(db).ok())
                        && selected < databases
                    {
                        db = selected as u16;
                    }
                    (None, db, Words::default())
                }
            })
            .collect();
        let (socket, sequence) = (request.socket, place.sequence);
        let (answers, protocol) = (place.answers, place.protocol);
        let exec = self.execs.insert(Exec { socket, sequence, answers, protocol, queue });
        let watcher = self.watcher(socket);
        let (client, speaker) = (Client::Exec(exec), place.speaker);
        let asked = transaction::Request { client, protocol, watcher, speaker };
        let mut tickets = &self.server.tickets;
        self.coordinator.begin(&asked, &watched, commands.into_iter(), &mut tickets);
        self.pump();
        true
    }

    /// Answers an EXEC: the shards' replies, and between them what the session says.
    pub(super) fn finish_exec(&mut self, exec: usize, finished: Finished) {
        let exec = self.execs.remove(exec);
        let mut text = self.spare.pop().unwrap_or_default();
        let mut reply = Reply::new(&mut text, exec.protocol);
        let mut place = Some(exec.sequence);
        let mut flushed = false;
        if let Finished::Replied(replies) = finished {
            reply.array(replies.len());
            self.note_running(exec.socket, Some(replies.len()));
            for (replied, queued) in replies.into_iter().zip(&exec.queue) {
                if let Some(denied) = self.denied_now(exec.socket, queued) {
                    let line = format!("-{}\r\n", denied_text(denied));
                    self.stats.error(Some(queued.found.row()), line.as_bytes(), true);
                    text.extend_from_slice(line.as_bytes());
                    continue;
                }
                match queued.found {
                    Found::Shard(_) => {
                        if replied.reply.first() == Some(&b'-') {
                            self.stats.error(replied.row, &replied.reply, false);
                        }
                        text.extend_from_slice(&replied.reply);
                        flushed |= is_flush(&replied);
                        self.charge(replied.row, exec.socket, &outcome(&replied));
                    }
                    Found::Session(_) => self.run_queued(&exec, queued, &mut text, &mut place),
                }
            }
            self.note_running(exec.socket, None);
        } else {
            reply.null_array();
        }
        self.fill_next(&exec, place, &text);
        text.clear();
        self.keep_buffer(text);
        if flushed {
            self.tell_flushed();
        }
        self.release(exec.socket);
    }

    fn note_running(&mut self, socket: SocketId, commands: Option<usize>) {
        if let Some(connection) = self.connection(socket) {
            connection.session.note_running(commands);
        }
    }

    /// Runs a command of the session in its turn. A job's reply has a place of its own.
    fn run_queued(
        &mut self,
        exec: &Exec,
        queued: &Queued,
        text: &mut Vec<u8>,
        place: &mut Option<u32>,
    ) {
        let Found::Session(row) = queued.found else { return };
        let (socket, began) = (exec.socket, nanos());
        let Some((outcome, said)) = self.ask_session(socket, &queued.words.args(), row) else {
            return;
        };
        text.extend_from_slice(&said);
        if !matches!(outcome, Outcome::Start(_)) {
            self.stats.command_late(&row.row);
            let (took, args) = (nanos().saturating_sub(began), queued.words.args());
            let ended = Ended { reply: &said, ran: Ran::Done, row: Some(&row.row), args, took };
            self.charge(Some(&row.row), socket, &ended);
        }
        match outcome {
            Outcome::Start(job) => {
                self.fill_next(exec, place.take(), text);
                text.clear();
                let Some(connection) = self.connection(socket) else { return };
                connection.begin_job();
                let sequence = connection.pipeline.reserve(!exec.answers);
                let words = queued.words.clone();
                self.asked.push(jobs::Asked { socket, sequence, job, row: &row.row, words });
            }
            Outcome::Subscribe(change) => {
                self.fill_next(exec, place.take(), text);
                text.clear();
                let Some(connection) = self.connection(socket) else { return };
                let sequence = connection.pipeline.reserve(false);
                self.subscribe(socket, sequence, &change);
            }
            Outcome::Track => self.note_caching(socket),
            Outcome::Monitor => self.begin_monitor(socket),
            Outcome::Done | Outcome::Exec | Outcome::Unwatch | Outcome::Reset => {}
        }
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
