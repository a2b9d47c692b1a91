//! Replies that a shard puts off: of commands that stand behind a lock, and long replies, which
//! come in pieces.

use super::Work;
use crate::connection::Stall;
use crate::hop::{Parcel, Ticket};
use pinion_io::ring::SocketId;
use pinion_shards::batch::Outcome;
use pinion_shards::{Cost, Late, LateCall, Ran};
use std::collections::HashMap;

/// Replies that shards put off, by shard and the number they have there.
#[derive(Debug, Default)]
pub(super) struct Laters {
    /// Whose they are.
    tickets: HashMap<(u16, u64), Ticket>,
    /// Those that were brought by who had borrowed the shard, and overtook the word that there
    /// would be one.
    early: HashMap<(u16, u64), Vec<Late>>,
}

impl Work {
    /// Waits for a reply that shard `shard` put off under `number`.
    pub(super) fn wait_for(&mut self, shard: usize, number: u64, ticket: Ticket) {
        let call = (shard as u16, number);
        self.laters.tickets.insert(call, ticket);
        if let Ticket::Client { socket, .. } = ticket
            && let Some(connection) = self.connection(socket)
        {
            // What it asks next waits, so that a client has one long reply at a time. One that
            // stands still for another reason (it waits for a key) does so already.
            if matches!(connection.stall, Stall::None | Stall::Replies) {
                connection.stall = Stall::Later;
            }
        }
        for late in self.laters.early.remove(&call).into_iter().flatten() {
            self.take_late(late);
        }
    }

    /// Brings what this core's shard has to say late.
    #[inline]
    pub(super) fn bring_late(&mut self) {
        let shard = self.owner.value();
        if shard.has_late() {
            let late = shard.take_late();
            self.deliver_late(late);
        }
    }

    /// Brings what a shard says late to the cores it is for.
    pub(super) fn deliver_late(&mut self, late: Vec<Late>) {
        for late in late {
            let to = usize::from(late.to.0);
            if to == self.index {
                self.take_late(late);
            } else if let LateCall::News(shard, number) = late.call {
                let news = late.news.expect("news are told");
                self.hops.tell(to, (shard, number, news));
            } else {
                self.hops.send(to, Parcel::Late(late), &mut self.stats);
            }
        }
    }

    /// Takes what a shard says late.
    pub(super) fn take_late(&mut self, late: Late) {
        let (shard, number) = match late.call {
            LateCall::Waited(id) => {
                let Late { ref reply, ran, ref cost, .. } = late;
                let (row, args, took) = (cost.row, cost.words.args(), cost.took);
                return self.unblock(id, &Outcome { reply, ran, row, args, took });
            }
            LateCall::Offered(shard, id) => {
                return self.coordinator.offered(shard, id, &mut &self.server.tickets);
            }
            LateCall::Part => {
                let part = late.part.expect("what is said late of a part is the part");
                return self.coordinator.answer(part, &mut &self.server.tickets);
            }
            LateCall::News(shard, number) => {
                let news = late.news.expect("news are told");
                return self.take_news(usize::from(shard), number, news);
            }
            LateCall::Later(shard, number) => (shard, number),
        };
        let known = if late.more {
            self.laters.tickets.get(&(shard, number)).copied()
        } else {
            self.laters.tickets.remove(&(shard, number))
        };
        let Some(ticket) = known else {
            return self.laters.early.entry((shard, number)).or_default().push(late);
        };
        debug_assert!(!matches!(late.ran, Ran::Later(_)), "what was put off is not put off again");
        if late.ran == Ran::Strayed {
            let Late { ran, cost: Cost { row, words, took }, .. } = late;
            let args = words.args();
            self.deliver(ticket, Outcome { reply: &[], ran, row, args, took }, shard.into());
            // It replies by the place that it has; what its client asks next need not wait longer.
            if let Ticket::Client { socket, .. } = ticket {
                self.end_later(socket);
            }
        } else if let Ticket::Client { socket, sequence } = ticket {
            let Late { ref reply, ran, ref cost, .. } = late;
            let (row, args, took) = (cost.row, cost.words.args(), cost.took);
            self.charge(row, socket, &Outcome { reply, ran, row, args, took });
            self.fill_piece(socket, sequence, late.reply, late.more);
            if !late.more {
                self.end_later(socket);
            }
        } else {
            let Late { reply, ran, cost, .. } = late;
            let (row, args, took) = (cost.row, cost.words.args(), cost.took);
            self.deliver(ticket, Outcome { reply: &reply, ran, row, args, took }, shard.into());
        }
    }

    /// Lets a client go on that stood still for a late reply.
    fn end_later(&mut self, socket: SocketId) {
        if let Some(connection) = self.connection(socket)
            && connection.stall == Stall::Later
        {
            connection.stall = Stall::None;
            self.go_on(socket);
        }
    }
}
