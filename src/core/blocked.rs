//! Clients whose command waits for a key, on whichever shard that lives.
//!
//! The shard keeps the command and replies late; this core keeps the time, and takes the wait back
//! when the time has come, another client ends it, or the client goes.

use super::Work;
use super::inbox::Request;
use super::transact::Place;
use crate::acl::Denied;
use crate::connection::Stall;
use crate::hop::Ticket;
use pinion_io::resp::Reply;
use pinion_io::ring::SocketId;
use pinion_shards::batch::{Order, Outcome};
use pinion_shards::commands::{Args, Row, Try, Words};
use pinion_shards::{Call, Millis, Ran, Retire, Task, Waiter};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// The clients of this core that wait.
#[derive(Debug, Default)]
pub(super) struct Blocked {
    clients: HashMap<u64, Client>,
    /// By the steady clock, the first on top.
    deadlines: BTreeSet<(Duration, u64)>,
    count: u64,
}

/// A client that waits.
#[derive(Debug)]
struct Client {
    row: &'static Row,
    /// The whole command, to be looked at again when its user's rules change.
    words: Words,
    /// What its user lost the permission for meanwhile.
    denied: Option<Denied>,
    socket: SocketId,
    sequence: u32,
    /// The shard where it waits, unless there are several.
    owner: Option<usize>,
    deadline: Option<Duration>,
}

impl Blocked {
    /// When the first wait's time comes.
    pub(super) fn next_end(&self) -> Option<Duration> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// The command of a wait.
    pub(super) fn command(&self, id: u64) -> Option<(&'static Row, Args<'_>)> {
        self.clients.get(&id).map(|client| (client.row, client.words.args()))
    }

    fn remove(&mut self, id: u64) -> Option<Client> {
        let client = self.clients.remove(&id)?;
        if let Some(deadline) = client.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        Some(client)
    }
}

impl Work {
    /// Runs a command that may wait on the one shard of its keys; false if its lane is full.
    pub(super) fn run_wait(
        &mut self,
        request: &Request,
        args: &Args<'_>,
        row: &'static Row,
        try_run: Try,
    ) -> bool {
        let owner = usize::from(request.owner);
        if !self.has_room(owner) {
            self.stall(request, Stall::Lane(owner as u16));
            return false;
        }
        let Some(Place { sequence, db, protocol, speaker, .. }) = self.begin_wait(request, row)
        else {
            return true;
        };
        let (socket, hash) = (request.socket, request.hash);
        let id = self.blocked.count + 1;
        let task = Task::Try(row, try_run, Waiter { home: self.index as u16, id });
        if owner == self.index {
            let mut text = Vec::new();
            let mut reply = Reply::new(&mut text, protocol);
            let call = Call { task, sender: self.sender(), db, hash, speaker, args: *args };
            let ran = self.owner.value().run(self.now, &call, &mut reply);
            if ran == Ran::Done {
                self.blocked.count = id;
                self.count_waited(socket);
                self.stats.command(row);
                self.fill_for(Some(row), socket, sequence, &text);
            } else {
                self.block(socket, (row, args), sequence, Some(owner));
                let outcome = Outcome { reply: &text, ran, row: Some(row), args: *args, took: 0 };
                self.deliver_tried(id, &outcome, owner);
            }
            return true;
        }
        self.block(socket, (row, args), sequence, Some(owner));
        let tag = Ticket::Wait { id };
        let order = Order { task, hash, db, protocol, speaker, tag };
        let (bytes, ranges) = args.parts();
        self.hops.push(owner, &order, bytes, ranges.iter().copied());
        true
    }

    /// Counts a command of a client that is done after it may have waited.
    fn count_waited(&mut self, socket: SocketId) {
        if let Some(connection) = self.connection(socket) {
            connection.session.commands_total += 1;
        }
    }

    /// Has a client wait, at `owner` or at several; the number of its wait.
    pub(super) fn block(
        &mut self,
        socket: SocketId,
        (row, args): (&'static Row, &Args<'_>),
        sequence: u32,
        owner: Option<usize>,
    ) -> u64 {
        self.blocked.count += 1;
        let id = self.blocked.count;
        let (words, denied, deadline) = (Words::of(args), None, None);
        let client = Client { row, words, denied, socket, sequence, owner, deadline };
        self.blocked.clients.insert(id, client);
        if let Some(connection) = self.connection(socket) {
            connection.stall = Stall::Blocked(id);
        }
        id
    }

    pub(super) fn set_deadline(&mut self, id: u64, until: Option<Millis>) {
        let Some(until) = until else { return };
        // To the end of its millisecond: nobody waits less than was asked for.
        let left = Duration::from_millis(until.saturating_sub(self.now));
        let deadline = self.steady.saturating_add(left);
        if let Some(client) = self.blocked.clients.get_mut(&id) {
            client.deadline = Some(deadline);
            self.blocked.deadlines.insert((deadline, id));
        }
    }

    /// Takes what came home of a command that may wait.
    pub(super) fn deliver_tried(&mut self, id: u64, outcome: &Outcome<'_>, shard: usize) {
        match outcome.ran {
            Ran::Parked(until) => self.set_deadline(id, until),
            Ran::Later(number) => self.wait_for(shard, number, Ticket::Wait { id }),
            Ran::Done | Ran::Strayed => self.unblock(id, outcome),
        }
    }

    /// Gives a client that waited its reply, and lets it go on.
    pub(super) fn unblock(&mut self, id: u64, outcome: &Outcome<'_>) {
        let Some(client) = self.blocked.remove(id) else { return };
        let (row, socket) = (client.row, client.socket);
        match client.denied {
            // Nothing else that may wait replies this; what was served before is served.
            Some(denied) if outcome.reply.starts_with(b"-NOPERM") => {
                self.fill_denied(socket, client.sequence, (row, &client.words.args()), denied);
            }
            _ => {
                self.fill_for(Some(row), socket, client.sequence, outcome.reply);
                self.stats.command_late(row);
                self.count_waited(socket);
                self.charge(Some(row), socket, outcome);
            }
        }
        if let Some(connection) = self.connection(client.socket) {
            connection.stall = Stall::None;
            self.go_on(client.socket);
        }
    }

    /// Ends the waits whose time has come; false if there is none.
    pub(super) fn end_waits(&mut self) -> bool {
        let mut any = false;
        while let Some(&(deadline, id)) = self.blocked.deadlines.first()
            && deadline <= self.steady
        {
            any = true;
            self.blocked.deadlines.pop_first();
            self.retire(id, Retire::TimedOut);
        }
        any
    }

    /// Ends a wait whose user lost the permission for it.
    pub(super) fn deny_wait(&mut self, id: u64, denied: Denied) {
        if let Some(client) = self.blocked.clients.get_mut(&id) {
            client.denied = Some(denied);
            self.retire(id, Retire::Denied);
        }
    }

    /// Takes a wait back at its shard, which then replies, unless the client is gone.
    pub(super) fn retire(&mut self, id: u64, why: Retire) {
        let Some(client) = self.blocked.clients.get(&id) else { return };
        let owner = client.owner;
        if why == Retire::Gone {
            self.blocked.remove(id);
        }
        match owner {
            Some(owner) => {
                let waiter = Waiter { home: self.index as u16, id };
                self.send_task(owner, Task::Retire(waiter, why));
            }
            None => self.coordinator.end_wait(id, why),
        }
    }
}
