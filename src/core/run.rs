//! Runs requests: on this core's shard, in the session, or into the batch of their owner.

use super::inbox::{Request, What};
use super::{Core, Work, jobs};
use crate::commands::{Context, Found, Outcome, SessionRow, check_debug};
use crate::connection::Stall;
use crate::dispatch;
use crate::hop::Ticket;
use pinion_io::clock::nanos;
use pinion_io::resp::ProtocolError;
use pinion_io::ring::SocketId;
use pinion_shards::batch::Order;
use pinion_shards::commands::{Args, Flags, Group, Plan, Row, Run, Words};
use pinion_shards::error::Error;
use pinion_shards::keyspace::Cursor;
use pinion_shards::limits::PREFETCH_DEPTH;
use pinion_shards::{Call, Ran, Sender, Task};
use std::sync::Arc;

/// Bytes of replies that a slow reader may leave before it stands still. Large, since some clients
/// write a whole pipeline before they read: below this nothing of theirs waits.
pub(super) const WAITING_REPLY_BYTES_MAX: usize = 256 * 1024 * 1024;

impl Core {
    /// Runs the parsed requests, a few looked up at a time, and frees what they lay in.
    pub(super) fn run_requests(&mut self) {
        if self.inbox.requests.is_empty() {
            return self.inbox.clear(&mut self.ring);
        }
        let requests = std::mem::take(&mut self.inbox.requests);
        let mut before = nanos();
        for group in requests.chunks(PREFETCH_DEPTH) {
            let began = before;
            self.work.prefetch(group);
            for request in group {
                let cheap = group.len() > 1 && self.work.is_cheap(request);
                if !cheap {
                    before = self.work.charge_run(before);
                }
                let args = self.inbox.args(&self.ring, request);
                if !self.work.run(request, &args) {
                    let raw = self.inbox.raw(&self.ring, request);
                    self.work.defer(request, raw);
                }
                if cheap {
                    if !self.work.joins_run(request, &args) {
                        before = self.work.charge_run(before);
                    }
                    continue;
                }
                // The end of one is the start of the next.
                let after = nanos();
                self.work.ran(request, &args, after.saturating_sub(before));
                before = after;
            }
            before = self.work.charge_run(before);
            self.work.bring_late();
            self.work.stats.ran_group(before.saturating_sub(began) / 1000);
        }
        self.inbox.requests = requests;
        self.inbox.clear(&mut self.ring);
    }
}

impl Work {
    fn prefetch(&mut self, group: &[Request]) {
        for request in group.iter().filter(|request| request.prefetched) {
            if let Some(connection) = &self.connections[request.socket.index as usize] {
                let db = connection.session.db;
                self.owner.value().prefetch_record(db, request.hash);
            }
        }
    }

    /// Runs one request; false if its connection stands still and it must wait.
    #[inline]
    fn run(&mut self, request: &Request, args: &Args<'_>) -> bool {
        let index = request.socket.index as usize;
        let Some(connection) = self.connections[index].as_mut() else { return true };
        if connection.socket != request.socket || connection.session.closing {
            return true;
        }
        // What stood still and may go on again has requests that go before this one.
        if connection.stall != Stall::None || !connection.deferred.is_empty() {
            return false;
        }
        connection.mark(&mut self.dirty);
        connection.pipeline.lend(|| self.spare.pop().unwrap_or_default());
        let found = match request.what {
            What::Command(found) => found,
            What::Violation(error) => {
                self.violation(request, error);
                return true;
            }
        };
        let server = (&*self.server, &self.settings.snapshots);
        match dispatch::guard(found, args, &connection.session, server) {
            Err(refusal) => {
                connection.session.spoil_queue();
                self.refuse(request, args, refusal);
                true
            }
            Ok(found) if self.is_loading && !found.row().flags.has(Flags::LOADING) => {
                self.refuse_loading(request, found.row())
            }
            Ok(found) if self.keeps_waiting(request, found).is_some() => {
                let text = self.keeps_waiting(request, found).unwrap_or_default();
                if let Some(connection) = self.connection(request.socket) {
                    connection.session.spoil_queue();
                }
                self.fail(request, found.row(), Error::Text(text));
                true
            }
            Ok(found) if self.paused.pause.until().is_some() && self.postpones(request, found) => {
                false
            }
            Ok(Found::Shard(row))
                if row.group == Group::Server && self.denies_debug(request, row) =>
            {
                true
            }
            Ok(found) if self.is_queuing(request.socket) && dispatch::is_queued(found) => {
                self.queue(request, args, found);
                true
            }
            Ok(Found::Shard(row)) => {
                let ran = self.run_on_shards(request, args, row);
                if ran && self.monitors.watched {
                    self.show(request.socket, args, row);
                }
                ran
            }
            Ok(Found::Session(row)) => {
                self.begin(request, &row.row);
                let ran = self.run_in_session(request, args, row);
                if ran && self.monitors.watched {
                    self.show(request.socket, args, &row.row);
                }
                ran
            }
        }
    }

    /// Refuses what needs keys that are not there yet.
    #[cold]
    fn refuse_loading(&mut self, request: &Request, row: &'static Row) -> bool {
        let Some(connection) = self.connection(request.socket) else { return true };
        connection.session.spoil_queue();
        let text = "LOADING Redis is loading the dataset in memory";
        self.fail(request, row, Error::Text(text));
        true
    }

    /// Refuses what DEBUG does on the shards to those who may not use it.
    #[cold]
    fn denies_debug(&mut self, request: &Request, row: &'static Row) -> bool {
        let settings = Arc::clone(&self.settings);
        let Some(connection) = self.connection(request.socket) else { return true };
        if !row.name.starts_with("debug|") {
            return false;
        }
        let Err(error) = check_debug(&connection.session, &settings) else { return false };
        connection.session.spoil_queue();
        self.fail(request, row, error);
        true
    }

    #[inline]
    fn is_queuing(&self, socket: SocketId) -> bool {
        let connection = self.connections[socket.index as usize].as_ref();
        connection.is_some_and(|connection| connection.session.is_queuing())
    }

    /// Queues a command for EXEC, or says why not.
    #[cold]
    fn queue(&mut self, request: &Request, args: &Args<'_>, found: Found) {
        let Some(connection) = self.connection(request.socket) else { return };
        let (session, row) = (&mut connection.session, found.row());
        session.last_command = Some(row);
        if matches!(row.plan, Plan::Watch) {
            return self.fail(request, row, Error::Text("ERR WATCH inside MULTI is not allowed"));
        }
        let refusal = if row.flags.has(Flags::NO_MULTI) {
            "ERR Command not allowed inside a transaction"
        } else if !session.queue(found, args) {
            "ERR too much is queued"
        } else {
            return self.answer(request, |reply| reply.simple("QUEUED"));
        };
        session.spoil_queue();
        self.fail(request, row, Error::Text(refusal));
    }

    /// Counts a command that will run.
    #[inline]
    pub(super) fn count(&mut self, request: &Request, row: &'static Row) {
        self.stats.command(row);
        self.begin(request, row);
    }

    /// Notes which command a client is about to run.
    #[inline]
    fn begin(&mut self, request: &Request, row: &'static Row) {
        if let Some(connection) = self.connections[request.socket.index as usize].as_mut() {
            connection.session.last_command = Some(row);
            connection.session.commands_total += 1;
        }
    }

    #[inline]
    fn run_on_shards(&mut self, request: &Request, args: &Args<'_>, row: &'static Row) -> bool {
        let alone = self.is_alone(row, args);
        let run = match row.plan {
            Plan::Wait(..) if !alone => return self.run_spread_wait(request, args, row),
            Plan::Watch => return self.run_watch(request, args, row),
            Plan::Every { .. } => return self.run_spread(request, args, row),
            Plan::Script => return self.run_script(request, args, row),
            _ if !alone => return self.run_spread(request, args, row),
            Plan::Move(_) if self.route.shards() > 1 && row.asks_all(args) => {
                return self.run_spread(request, args, row);
            }
            Plan::One(run) | Plan::First(run) => run,
            Plan::Each { run, .. } => run,
            Plan::Move(plan) => plan.put,
            Plan::Wait(try_run, _) => return self.run_wait(request, args, row, try_run),
            Plan::Channel(run) => {
                let owner = self.route.owner(args.at(1));
                return self.run_at(request, args, row, Task::Run(row, run), owner);
            }
            Plan::Scan(run) => return self.run_scan(request, args, row, run),
            Plan::Container(_) | Plan::Session => unreachable!("a found row has a run of its own"),
        };
        self.run_at(request, args, row, Task::Run(row, run), usize::from(request.owner))
    }

    /// Runs a command on the shard that its cursor names; false if its lane is full.
    pub(super) fn run_scan(
        &mut self,
        request: &Request,
        args: &Args<'_>,
        row: &'static Row,
        run: Run,
    ) -> bool {
        match Cursor::shard(args.at(1), self.route.shards()) {
            Ok(owner) => self.run_at(request, args, row, Task::Run(row, run), owner),
            Err(error) => {
                self.count(request, row);
                self.fail(request, row, error);
                true
            }
        }
    }

    /// True if all keys of a request live on one shard.
    #[inline]
    pub(super) fn is_alone(&self, row: &Row, args: &Args<'_>) -> bool {
        match row.keys {
            _ if self.route.shards() == 1 => true,
            [keys] if keys.is_one() => true,
            all => {
                let mut owners = all.iter().flat_map(|keys| self.owners(keys, args));
                let first = owners.next();
                owners.all(|owner| Some(owner) == first)
            }
        }
    }

    fn owners(
        &self,
        keys: &pinion_shards::commands::KeySpec,
        args: &Args<'_>,
    ) -> impl Iterator<Item = usize> {
        keys.indexes(args).map(|index| self.route.owner(args.at(index)))
    }

    /// Runs a whole command on one shard; false if its lane is full.
    #[inline]
    pub(super) fn run_at(
        &mut self,
        request: &Request,
        args: &Args<'_>,
        row: &'static Row,
        task: Task,
        owner: usize,
    ) -> bool {
        if !self.has_room(owner) {
            self.stall(request, Stall::Lane(owner as u16));
            return false;
        }
        if owner == self.index {
            self.count(request, row);
            let index = request.socket.index as usize;
            let connection = self.connections[index].as_mut().expect("the request's connection");
            let session = &mut connection.session;
            let answers = session.takes_reply();
            let sender = Sender(self.index as u16);
            let (db, speaker) = (session.db, session.speaker());
            let call = Call { task, sender, db, hash: request.hash, speaker, args: *args };
            let shard = self.owner.value();
            let (now, mut ran) = (self.now, Ran::Done);
            let failed = connection.pipeline.write(session.protocol, answers, |reply| {
                ran = shard.run(now, &call, reply);
            });
            if let Ran::Later(number) = ran {
                let (socket, sequence) = (request.socket, connection.pipeline.reserve(!answers));
                self.wait_for(owner, number, Ticket::Client { socket, sequence });
                return true;
            }
            if let Some(line) = failed {
                self.stats.error(Some(row), &line, false);
            }
            if connection.output_bytes() > WAITING_REPLY_BYTES_MAX {
                connection.stall = Stall::Replies;
            }
            return true;
        }
        let place = self.reserve(request, row).expect("the request's connection");
        // Its owner says how long it took.
        self.stats.goes_on();
        let order = Order {
            task,
            hash: request.hash,
            db: place.db,
            protocol: place.protocol,
            speaker: place.speaker,
            tag: Ticket::Client { socket: request.socket, sequence: place.sequence },
        };
        let (bytes, ranges) = args.parts();
        self.hops.push(owner, &order, bytes, ranges.iter().copied());
        true
    }

    /// Runs a command in its session; what follows, and the reply.
    pub(super) fn ask_session(
        &mut self,
        socket: SocketId,
        args: &Args<'_>,
        row: &'static SessionRow,
    ) -> Option<(Outcome, Vec<u8>)> {
        let connection = self.connections.get_mut(socket.index as usize)?.as_mut()?;
        if connection.socket != socket {
            return None;
        }
        let protocol = connection.session.protocol;
        let mut context = Context {
            session: &mut connection.session,
            server: &self.server,
            settings: &self.settings,
            now: self.now,
            core: self.index,
        };
        let mut text = self.spare.pop().unwrap_or_default();
        let mut reply = pinion_io::resp::Reply::new(&mut text, protocol);
        let outcome = match (row.run)(&mut context, args, &mut reply) {
            Ok(outcome) => outcome,
            Err(error) => {
                reply.truncate(0);
                reply.error(error.text().as_bytes());
                Outcome::Done
            }
        };
        if text.first() == Some(&b'-') {
            self.stats.error(Some(&row.row), &text, false);
        }
        if matches!(outcome, Outcome::Unwatch | Outcome::Reset) {
            self.unwatch(socket);
        }
        self.refresh_settings();
        self.refresh_logins(Some(socket));
        if let Some(connection) = self.connection(socket) {
            connection.session.end_caching(&row.row);
        }
        Some((outcome, text))
    }

    /// Runs a command of the session; false if a lane is full.
    fn run_in_session(
        &mut self,
        request: &Request,
        args: &Args<'_>,
        row: &'static SessionRow,
    ) -> bool {
        let asked = self.ask_session(request.socket, args, row);
        let (outcome, mut text) = asked.expect("the request's connection");
        if !matches!(outcome, Outcome::Start(_) | Outcome::Exec) {
            self.stats.command(&row.row);
        }
        match outcome {
            Outcome::Done | Outcome::Unwatch => {
                self.answer(request, |reply| reply.raw(&text));
            }
            Outcome::Start(job) => {
                let socket = request.socket;
                let index = socket.index as usize;
                let connection =
                    self.connections[index].as_mut().expect("the request's connection");
                connection.begin_job();
                let answers = connection.session.takes_reply();
                let sequence = connection.pipeline.reserve(!answers);
                let words = Words::of(args);
                self.asked.push(jobs::Asked {
                    socket,
                    place: jobs::Place::Reply(sequence),
                    job,
                    row: &row.row,
                    words,
                });
            }
            Outcome::Exec => {
                let begun = self.run_exec(request);
                if begun {
                    self.stats.command(&row.row);
                }
                return begun;
            }
            Outcome::Track => {
                self.note_caching(request.socket);
                self.answer(request, |reply| reply.raw(&text));
            }
            Outcome::Subscribe(change) => {
                let connection = self.connection(request.socket).expect("the request's connection");
                // It is told whatever it has asked to be spared.
                connection.session.takes_reply();
                let sequence = connection.pipeline.reserve(false);
                self.subscribe(request.socket, sequence, &change);
            }
            Outcome::Monitor => {
                self.begin_monitor(request.socket);
                self.answer(request, |reply| reply.raw(&text));
            }
            Outcome::Reset => {
                self.end_monitor(request.socket);
                self.leave_channels(request.socket);
                self.note_caching(request.socket);
                self.answer(request, |reply| reply.raw(&text));
            }
        }
        text.clear();
        self.keep_buffer(text);
        true
    }

    /// Answers a request with an error.
    pub(super) fn fail(&mut self, request: &Request, row: &'static Row, error: Error) {
        let text = error.text();
        self.stats.error(Some(row), text.as_bytes(), false);
        self.answer(request, |reply| reply.error(text.as_bytes()));
    }

    fn refuse(&mut self, request: &Request, args: &Args<'_>, refusal: dispatch::Refusal) {
        if refusal.is_attack(args) {
            return self.turn_away(request);
        }
        let mut line = Vec::new();
        let Some(connection) = self.connection(request.socket) else { return };
        let user = Arc::clone(connection.session.login.user());
        let mut reply = pinion_io::resp::Reply::new(&mut line, Default::default());
        refusal.write(args, user.name(), &mut reply);
        self.note_refusal(request.socket, args, refusal);
        if refusal.row().is_some_and(|row| row.name == "exec") {
            // What was queued cannot wait for another EXEC.
            if let Some(connection) = self.connection(request.socket) {
                connection.session.take_queue();
            }
            self.unwatch(request.socket);
            let text = line.strip_prefix(b"-ERR ").unwrap_or(&line[1..]);
            line = [b"-EXECABORT Transaction discarded because of: ", text].concat();
        }
        self.stats.error(refusal.row(), &line, true);
        self.answer(request, |reply| reply.raw(&line));
    }

    /// Closes a connection that sends what a web page can have a browser send.
    fn turn_away(&mut self, request: &Request) {
        if let Some(connection) = self.connection(request.socket) {
            tracing::warn!("closed {}, which sent POST or Host:", connection.session.peer);
            // What came behind it does not run.
            connection.session.closing = true;
            connection.kill();
        }
    }

    /// Answers a violation of the protocol; the connection closes behind it.
    fn violation(&mut self, request: &Request, error: ProtocolError) {
        let text = error.text();
        self.stats.protocol_errors += 1;
        self.stats.error(None, &text, true);
        self.answer(request, |reply| reply.error(&text));
        if let Some(connection) = self.connection(request.socket) {
            connection.session.closing = true;
        }
    }

    /// Answers a request, within what a stranger may leave unread.
    pub(super) fn answer(
        &mut self,
        request: &Request,
        write: impl FnOnce(&mut pinion_io::resp::Reply<'_>),
    ) {
        let Some(connection) = self.connection(request.socket) else { return };
        let session = &mut connection.session;
        let (answers, is_stranger) = (session.takes_reply(), session.login.is_locked_out());
        connection.pipeline.write(session.protocol, answers, write);
        if is_stranger {
            self.bound_stranger(request.socket);
        }
    }

    /// Brings a connection to a stand.
    pub(super) fn stall(&mut self, request: &Request, stall: Stall) {
        self.stats.lane_waits += 1;
        let socket = request.socket;
        if let Some(connection) = self.connection(socket) {
            connection.stall = stall;
            self.stalled.push(socket);
        }
    }

    /// Keeps a request of a connection that stands still.
    fn defer(&mut self, request: &Request, raw: &[u8]) {
        if let Some(connection) = self.connection(request.socket) {
            connection.deferred.extend_from_slice(raw);
        }
    }

    /// Keeps an empty buffer for output, unless there are enough or it is a giant.
    pub(super) fn keep_buffer(&mut self, buffer: Vec<u8>) {
        debug_assert!(buffer.is_empty(), "only empty buffers are kept");
        if buffer.capacity() > 0
            && buffer.capacity() <= super::flush::SPARE_BYTES_MAX
            && self.spare.len() < super::flush::SPARE_COUNT_MAX
        {
            self.spare.push(buffer);
        }
    }
}
