//! What comes from other cores: commands to run, replies to put in place, questions, connections.

use super::Core;
use crate::hop::{Parcel, Ticket};
use pinion_shards::batch::{Batch, Outcome};
use std::mem;

impl Core {
    /// Takes everything the lanes hold; false if that was nothing.
    pub(super) fn drain(&mut self) -> bool {
        let mut busy = false;
        for core in 0..self.work.hops.cores() {
            while let Some(parcel) = self.work.hops.receive(core) {
                busy = true;
                self.take_parcel(core, parcel);
            }
        }
        busy
    }

    fn take_parcel(&mut self, from: usize, mut parcel: Box<Parcel>) {
        match *parcel {
            Parcel::Request(ref mut batch) => {
                let started = self.work.steady_us();
                batch.run(self.work.owner.value(), self.work.now);
                self.work.stats.ran(self.work.steady_us().saturating_sub(started));
                self.work.bring_late();
                let batch = mem::take(batch);
                *parcel = Parcel::Reply(batch);
                self.work.hops.send_home(from, parcel);
            }
            Parcel::Reply(ref mut batch) => {
                self.work.splice(batch);
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
            Parcel::Late { id, ref reply } => self.work.unblock(id, reply),
            Parcel::Socket(_) => {
                if let Parcel::Socket(socket) = *parcel {
                    self.adopt(socket);
                }
            }
        }
    }
}

impl super::Work {
    /// Puts every reply of a batch that came home in its place.
    pub(super) fn splice(&mut self, batch: &mut Batch<Ticket>) {
        batch.finish(|ticket, outcome| self.deliver(ticket, outcome));
    }

    /// Puts what became of a command in its place.
    fn deliver(&mut self, ticket: Ticket, outcome: Outcome<'_>) {
        match ticket {
            Ticket::Client { socket, sequence } => self.fill(socket, sequence, outcome.reply),
            Ticket::Gather { id, part } => {
                self.deliver_gathered(id as usize, usize::from(part), outcome.reply);
            }
            Ticket::Move { id, part } => {
                self.deliver_part(id as usize, usize::from(part), outcome);
            }
            Ticket::Wait { id } => self.deliver_tried(id, &outcome),
            Ticket::Nobody => {}
        }
    }
}
