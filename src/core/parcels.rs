//! What comes from other cores: commands to run, replies to put in place, questions, connections.

use super::Core;
use crate::hop::{Parcel, Ticket};
use pinion_io::clock::nanos;
use pinion_shards::batch::{Batch, Outcome};
use pinion_shards::{Ran, Sender};
use std::mem;

impl Core {
    /// Takes everything the lanes hold; false if that was nothing.
    ///
    /// While some core takes too slowly what it is told, commands of others wait here, as this
    /// core's own do: they might make more. A core has few batches out, which bounds what waits,
    /// and takes all else meanwhile; so the slow one goes on.
    pub(super) fn drain(&mut self) -> bool {
        let mut busy = false;
        while !self.postponed.is_empty() && !self.work.hops.is_congested() {
            let (core, parcel) = self.postponed.pop_front().expect("there is one");
            busy = true;
            self.take_parcel(core, parcel);
        }
        for core in 0..self.work.hops.cores() {
            while let Some(parcel) = self.work.hops.receive(core) {
                busy = true;
                let waits = !self.postponed.is_empty() || self.work.hops.is_congested();
                if waits && matches!(*parcel, Parcel::Request(_)) {
                    self.postponed.push_back((core, parcel));
                } else {
                    self.take_parcel(core, parcel);
                }
            }
        }
        busy
    }

    fn take_parcel(&mut self, from: usize, mut parcel: Box<Parcel>) {
        match *parcel {
            Parcel::Request(ref mut batch) => {
                let started = nanos();
                let sender = Sender(from as u16);
                batch.run(self.work.owner.value(), self.work.now, sender);
                self.work.stats.ran_group(nanos().saturating_sub(started) / 1000);
                self.work.bring_late();
                let batch = mem::take(batch);
                *parcel = Parcel::Reply(batch);
                self.work.hops.send_home(from, parcel);
            }
            Parcel::Reply(ref mut batch) => {
                self.work.splice(batch, from);
                self.work.hops.recycle(parcel);
            }
            Parcel::Errand { id, ref errand } => {
                let answer = self.work.visit(errand);
                self.work.hops.send(from, Parcel::Answer { id, answer }, &mut self.work.stats);
            }
            Parcel::Answer { .. } => {
                if let Parcel::Answer { id, answer } = *parcel {
                    self.take_answer(id, answer);
                }
            }
            Parcel::Late(_) => {
                if let Parcel::Late(late) = *parcel {
                    self.work.take_late(late);
                }
            }
            Parcel::News(ref mut news) => {
                for (shard, number, news) in news.drain(..) {
                    self.work.take_news(usize::from(shard), number, news);
                }
            }
            Parcel::Shown(ref lines) => self.work.take_lines(lines),
            Parcel::Look => self.look(),
            Parcel::Flushed => self.work.hear_flushed(),
            Parcel::Invalidation(to, ref keys) => self.work.hand_invalidation(to, keys, true),
            Parcel::Socket(..) => {
                if let Parcel::Socket(socket, door) = *parcel {
                    self.adopt(socket, door);
                }
            }
        }
    }
}

impl super::Work {
    /// Puts every reply of a batch that came home from `shard` in its place.
    pub(super) fn splice(&mut self, batch: &mut Batch<Ticket>, shard: usize) {
        for part in batch.take_answers() {
            self.coordinator.answer(part, &mut &self.server.tickets);
        }
        batch.finish(|ticket, outcome| self.deliver(ticket, outcome, shard));
    }

    /// Puts what became of a command in its place.
    pub(super) fn deliver(&mut self, ticket: Ticket, outcome: Outcome<'_>, shard: usize) {
        if let Ran::Later(number) = outcome.ran {
            if let Ticket::Client { socket, .. } = ticket {
                self.charge(outcome.row, socket, &outcome);
            }
            return self.wait_for(shard, number, ticket);
        }
        match ticket {
            Ticket::Client { socket, sequence } if outcome.ran == Ran::Strayed => {
                let row = outcome.row.expect("a script has a row");
                self.restart_script(socket, sequence, row, &outcome.args);
            }
            Ticket::Client { socket, sequence } => self.fill_ended(socket, sequence, &outcome),
            Ticket::Wait { id } => self.deliver_tried(id, &outcome, shard),
            Ticket::Subscription { id } => self.join_answered(id),
            Ticket::Load => self.hear_loaded(&outcome),
            Ticket::Nobody => {}
        }
    }
}
