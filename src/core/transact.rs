//! Requests of several owners, and MULTI: begun here, coordinated by `pinion_shards`, answered
//! here.

use super::Work;
use super::inbox::Request;
use crate::connection::Stall;
use crate::hop::Ticket;
use pinion_io::resp::{Protocol, Reply};
use pinion_io::ring::SocketId;
use pinion_shards::batch::{Order, Outcome as Ended};
use pinion_shards::commands::{Args, Row, Words};
use pinion_shards::transaction::{self, Asked, Finished, Message, Replied};
use pinion_shards::{Call, Ran, Speaker, Task};

/// Whose a transaction is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Client {
    /// A client's one command, and the place of its reply.
    Command { socket: SocketId, sequence: u32 },
    /// Nobody's: the server's own.
    Nobody,
    /// The cut of a snapshot.
    Cut,
    /// Some keys of DEBUG POPULATE, by its place in `Populating`.
    Population(usize),
    /// A slice of a MIGRATE, by its place in `Migrations`.
    Migration(usize),
    /// An EXEC, by its place in `Execs`.
    Exec(usize),
    /// A script that runs here, by its place in `Scripts`.
    Script(usize),
    /// A command that may wait, by the number of its wait.
    Wait(u64),
    /// WATCH: a client's command, the place of its reply, and its number as a watcher.
    Watch { socket: SocketId, sequence: u32, watcher: u64 },
}

/// A place for a reply, and what is to be known to make it.
pub(super) struct Place {
    pub(super) sequence: u32,
    pub(super) answers: bool,
    pub(super) db: u16,
    pub(super) protocol: Protocol,
    pub(super) speaker: Option<Speaker>,
}

impl Work {
    /// True if a command may be added for `owner`.
    #[inline]
    pub(super) fn has_room(&mut self, owner: usize) -> bool {
        owner == self.index || self.hops.has_room(owner, &mut self.stats)
    }

    /// Counts a command whose reply comes later, and keeps a place for that.
    pub(super) fn reserve(&mut self, request: &Request, row: &'static Row) -> Option<Place> {
        self.count(request, row);
        self.place(request.socket)
    }

    /// Keeps a place for the reply of a command that may wait, and counts when it is done.
    pub(super) fn begin_wait(&mut self, request: &Request, row: &'static Row) -> Option<Place> {
        self.connection(request.socket)?.session.last_command = Some(row);
        self.place(request.socket)
    }

    /// Keeps a place for a reply.
    pub(super) fn place(&mut self, socket: SocketId) -> Option<Place> {
        let connection = self.connection(socket)?;
        let answers = connection.session.takes_reply();
        let sequence = connection.pipeline.reserve(!answers);
        if connection.pipeline.awaited() >= connection.awaited_max {
            connection.stall = Stall::Replies;
        }
        let (db, protocol) = (connection.session.db, connection.session.protocol);
        let speaker = connection.session.speaker();
        Some(Place { sequence, answers, db, protocol, speaker })
    }

    /// Brings a connection to a stand if some lane is full; true if so.
    pub(super) fn stalls(&mut self, request: &Request) -> bool {
        let full = self.full_lane();
        if let Some(owner) = full {
            self.stall(request, Stall::Lane(owner as u16));
        }
        full.is_some()
    }

    /// The owner of a lane that is full, if there is one.
    pub(super) fn full_lane(&mut self) -> Option<usize> {
        (0..self.hops.cores()).find(|&owner| !self.has_room(owner))
    }

    /// Runs a command of several owners; false if a lane is full.
    pub(super) fn run_spread(
        &mut self,
        request: &Request,
        args: &Args<'_>,
        row: &'static Row,
    ) -> bool {
        if self.stalls(request) {
            return false;
        }
        let Some(place) = self.reserve(request, row) else { return true };
        self.stats.goes_on();
        let client = Client::Command { socket: request.socket, sequence: place.sequence };
        self.begin_one(request, args, (row, client), &place);
        true
    }

    /// Begins a transaction of one command.
    fn begin_one(
        &mut self,
        request: &Request,
        args: &Args<'_>,
        (row, client): (&'static Row, Client),
        place: &Place,
    ) {
        let watcher = self.watcher(request.socket);
        let (protocol, speaker) = (place.protocol, place.speaker);
        let asked = transaction::Request { client, protocol, watcher, speaker };
        let command = Asked::Shard(row, place.db, Words::of(args));
        let mut tickets = &self.server.tickets;
        self.coordinator.begin(&asked, &[], std::iter::once(command), &mut tickets);
        self.pump();
    }

    /// Runs a command of several owners, in database 0, that answers nobody.
    pub(super) fn run_for_nobody(&mut self, row: &'static Row, args: &Args<'_>) {
        let (client, protocol) = (Client::Nobody, Protocol::default());
        let asked = transaction::Request { client, protocol, watcher: 0, speaker: None };
        let command = Asked::Shard(row, 0, Words::of(args));
        let mut tickets = &self.server.tickets;
        self.coordinator.begin(&asked, &[], std::iter::once(command), &mut tickets);
        self.pump();
    }

    /// The number under which a client watches keys.
    pub(super) fn watcher(&mut self, socket: SocketId) -> u64 {
        self.connection(socket).map_or(0, |connection| connection.session.id)
    }

    /// Runs a command that may wait for keys of several owners; false if a lane is full.
    pub(super) fn run_spread_wait(
        &mut self,
        request: &Request,
        args: &Args<'_>,
        row: &'static Row,
    ) -> bool {
        if self.stalls(request) {
            return false;
        }
        let Some(place) = self.begin_wait(request, row) else { return true };
        let id = self.block(request.socket, (row, args), place.sequence, None);
        let client = (Client::Wait(id), place.protocol, place.speaker);
        let command = (row, place.db, Words::of(args));
        self.coordinator.begin_wait(client, id, command, &mut &self.server.tickets);
        self.pump();
        true
    }

    /// Has a client watch keys; false if a lane is full. It stands still until it does: what comes
    /// behind must find the watch, to look at it or to end it.
    pub(super) fn run_watch(
        &mut self,
        request: &Request,
        args: &Args<'_>,
        row: &'static Row,
    ) -> bool {
        if self.stalls(request) {
            return false;
        }
        let indexes = row.key_indexes(args);
        let keys = indexes.map(|index| {
            let key = args.at(index);
            (self.route.owner(key) as u16, self.owner.value().hash(key))
        });
        let keys: Vec<_> = keys.collect();
        if let Some(connection) = self.connection(request.socket) {
            connection.session.watch(keys);
        }
        let Some(place) = self.reserve(request, row) else { return true };
        self.stats.goes_on();
        let (socket, sequence, watcher) =
            (request.socket, place.sequence, self.watcher(request.socket));
        if let Some(connection) = self.connection(socket) {
            connection.stall = Stall::Exec;
        }
        let client = Client::Watch { socket, sequence, watcher };
        self.begin_one(request, args, (row, client), &place);
        true
    }

    /// Has a client watch nothing any more.
    pub(super) fn unwatch(&mut self, socket: SocketId) {
        let watcher = self.watcher(socket);
        let Some(connection) = self.connection(socket) else { return };
        for owner in connection.session.take_watched() {
            self.send_task(usize::from(owner), Task::Unwatch(watcher));
        }
    }

    /// Sends what transactions have to send and takes what is answered at once, until nothing is
    /// left; answers the clients of those that have ended.
    pub(super) fn pump(&mut self) {
        loop {
            if let Some((owner, message)) = self.coordinator.next_message() {
                let owner = usize::from(owner);
                match message {
                    Message::Part(part) if owner == self.index => {
                        let answered = self.owner.value().take_part(self.now, part);
                        if let Some(part) = answered {
                            self.coordinator.answer(part, &mut &self.server.tickets);
                        }
                        self.bring_late();
                    }
                    Message::Part(part) => self.hops.batch(owner).push_part(part),
                    Message::Task(task) => self.send_task(owner, task),
                }
            } else if let Some((client, finished)) = self.coordinator.next_finished() {
                self.take_finished(client, finished);
            } else {
                return;
            }
        }
    }

    /// Sends an owner something without an answer.
    pub(super) fn send_task(&mut self, owner: usize, task: Task) {
        self.send_words(owner, task, &Args::new(&[], &[]), Ticket::Nobody);
    }

    /// Sends an owner a task with these words, which answers nothing; `tag` hears that it ran,
    /// unless that is here and now.
    pub(super) fn send_words(&mut self, owner: usize, task: Task, args: &Args<'_>, tag: Ticket) {
        let (protocol, speaker) = (Protocol::default(), None);
        if owner == self.index {
            let sender = self.sender();
            let call = Call { task, sender, db: 0, hash: 0, speaker, args: *args };
            let mut nothing = Vec::new();
            let mut reply = Reply::new(&mut nothing, protocol);
            self.owner.value().run(self.now, &call, &mut reply);
            self.bring_late();
        } else {
            let order = Order { task, hash: 0, db: 0, protocol, speaker, tag };
            let (bytes, ranges) = args.parts();
            self.hops.push(owner, &order, bytes, ranges.iter().copied());
        }
    }

    fn take_finished(&mut self, client: Client, finished: Finished) {
        match (client, finished) {
            (Client::Command { socket, sequence }, Finished::Replied(mut replies)) => {
                let replied = replies.pop().expect("it was one command");
                if self.is_emptied(&replied) {
                    self.tell_flushed();
                    return self.save_emptied(Some((socket, sequence, replied)));
                }
                self.fill_ended(socket, sequence, &outcome(&replied));
                if is_flush(&replied) {
                    self.tell_flushed();
                }
            }
            (Client::Nobody, Finished::Replied(replies)) => {
                if replies.iter().any(is_flush) {
                    self.tell_flushed();
                }
            }
            (Client::Cut, Finished::Replied(replies)) => {
                self.is_cut = Some(replies.iter().all(|replied| replied.reply == b"+OK\r\n"));
            }
            (Client::Wait(id), Finished::Parked(until)) => self.set_deadline(id, until),
            (Client::Wait(id), Finished::Replied(mut replies)) => {
                let replied = replies.pop().expect("it was one command");
                self.unblock(id, &outcome(&replied));
            }
            (Client::Population(key), _) => self.populating.hear(key),
            (Client::Migration(key), finished) => self.migrations.hear(key, &finished),
            (Client::Exec(exec), Finished::Halted(id, index)) => {
                self.run_halted(exec, (id, index));
            }
            (Client::Exec(exec), Finished::Called(_, replied)) => {
                let key = self.execs[exec].script.expect("a script of it has called");
                self.take_called(key, replied);
            }
            (Client::Exec(exec), finished) => self.finish_exec(exec, finished),
            (Client::Script(key), Finished::Halted(id, index)) => {
                self.start_script(key, (id, index));
            }
            (Client::Script(key), Finished::Called(_, replied)) => self.take_called(key, replied),
            (Client::Script(key), _) => self.finish_script(key),
            (Client::Watch { socket, sequence, watcher }, Finished::Replied(mut replies)) => {
                let replied = replies.pop().expect("it was one command");
                self.fill_ended(socket, sequence, &outcome(&replied));
                self.go_on_from(socket, watcher);
            }
            (
                Client::Command { .. }
                | Client::Cut
                | Client::Nobody
                | Client::Watch { .. }
                | Client::Wait(_),
                _,
            ) => {
                unreachable!("only EXEC is refused or halts, and only a wait waits")
            }
        }
    }

    /// Lets a client go on that stood still for its transaction.
    pub(super) fn release(&mut self, socket: SocketId) {
        if let Some(connection) = self.connection(socket)
            && connection.stall == Stall::Exec
        {
            connection.stall = Stall::None;
            self.go_on(socket);
        }
    }

    /// Lets a client go on that watches keys now, or takes the watch back if it is gone.
    fn go_on_from(&mut self, socket: SocketId, watcher: u64) {
        if self.connection(socket).is_some() {
            return self.release(socket);
        }
        for owner in 0..self.hops.cores() {
            self.send_task(owner, Task::Unwatch(watcher));
        }
    }
}

/// What became of a command, as the rest of the core sees it.
pub(super) fn outcome(replied: &Replied) -> Ended<'_> {
    let Replied { row, reply, words, took } = replied;
    Ended { reply, ran: Ran::Done, row: *row, args: words.args(), took: *took }
}

/// True if a database was emptied.
pub(super) fn is_flush(replied: &Replied) -> bool {
    replied.row.is_some_and(|row| matches!(row.name, "flushall" | "flushdb"))
}
