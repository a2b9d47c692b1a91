//! What comes from other cores: commands to run, replies to put in place, questions, connections.

use super::Core;
use crate::hop::Parcel;
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
                let batch = mem::take(batch);
                *parcel = Parcel::Reply(batch);
                self.work.hops.send_home(from, parcel);
            }
            Parcel::Reply(ref batch) => {
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
    pub(super) fn splice(&mut self, batch: &pinion_shards::batch::Batch<crate::hop::Ticket>) {
        for (ticket, reply) in batch.replies() {
            self.deliver(&ticket, reply);
        }
    }
}
