//! The mesh: bounded lanes between cores, and the word that says who executes a shard.
//!
//! Every ordered pair of cores has one [`lane`]. What a core wants done elsewhere goes out as one
//! parcel per neighbour and tick, and comes home over the lane back. A core that parks lends its
//! [`berth`]: a neighbour with work for it may take the shard with one compare-and-swap, run the
//! work on its own core and put the shard back, which saves waking anyone.
//!
//! The protocol, and why no wake is lost:
//!
//! ```text
//! sender                         owner, before it sleeps
//! 1. push to the lane            1. word = PARKED
//! 2. full fence                  2. full fence
//! 3. word != RUNNING? ring       3. lanes empty? sleep : take the word back
//! ```
//!
//! Of two full fences one comes first: either the owner sees the parcel, or the sender sees that
//! the owner parks and rings its doorbell, which ends the sleep. A word that is LENT also rings:
//! the owner wakes, waits the microseconds until the loan is back, and finds the parcel. A loan
//! is taken only from PARKED and only by one; it is bounded by the commands of one parcel. Both
//! are model-checked with loom (`model` below).

mod berth;
mod doorbell;
mod lane;
#[cfg(all(test, feature = "loom"))]
mod model;
mod sync;

pub use berth::{Loan, Neighbour, Owner, Rest};
pub use doorbell::Doorbell;
pub use lane::{Receiver, Sender, lane};

use std::io;
use std::sync::Arc;

/// One core's place in the mesh of cores that each own an `S` and send each other `M`s.
#[derive(Debug)]
pub struct Post<S, M> {
    /// This core's own.
    pub owner: Owner<S>,
    /// Wakes this core.
    pub doorbell: Arc<Doorbell>,
    /// The others, by index; none at this core's own.
    pub neighbours: Vec<Option<Link<S, M>>>,
}

/// What a core holds of a neighbour.
#[derive(Debug)]
pub struct Link<S, M> {
    /// Parcels to it.
    pub out: Sender<M>,
    /// Parcels from it.
    pub back: Receiver<M>,
    /// Its shard, while it is parked.
    pub berth: Neighbour<S>,
    doorbell: Arc<Doorbell>,
}

impl<S, M> Link<S, M> {
    /// To be called after pushing: wakes the neighbour unless it is running.
    /// Returns whether it had to, which costs a system call.
    #[inline]
    pub fn wake(&self) -> bool {
        let must = self.berth.is_resting();
        if must {
            self.doorbell.ring();
        }
        must
    }
}

/// Connects `owned.len()` cores, each to every other by lanes of `lane_len` parcels.
///
/// # Errors
/// No descriptor left for a doorbell.
pub fn connect<S, M>(owned: Vec<S>, lane_len: usize) -> io::Result<Vec<Post<S, M>>> {
    let count = owned.len();
    let doorbells =
        (0..count).map(|_| Doorbell::new().map(Arc::new)).collect::<io::Result<Vec<_>>>()?;
    let owners: Vec<Owner<S>> = owned.into_iter().map(Owner::new).collect();
    let berths: Vec<Neighbour<S>> = owners.iter().map(Owner::neighbour).collect();
    let mut outs = grid(count);
    let mut backs = grid(count);
    for from in 0..count {
        for to in (0..count).filter(|&to| to != from) {
            let (sender, receiver) = lane(lane_len);
            outs[from][to] = Some(sender);
            backs[to][from] = Some(receiver);
        }
    }
    let mut posts = Vec::with_capacity(count);
    for ((index, owner), (outs, backs)) in
        owners.into_iter().enumerate().zip(outs.into_iter().zip(backs))
    {
        let neighbours = outs
            .into_iter()
            .zip(backs)
            .enumerate()
            .map(|(other, pair)| match pair {
                (Some(out), Some(back)) => Some(Link {
                    out,
                    back,
                    berth: berths[other].clone(),
                    doorbell: Arc::clone(&doorbells[other]),
                }),
                _ => None,
            })
            .collect();
        posts.push(Post { owner, doorbell: Arc::clone(&doorbells[index]), neighbours });
    }
    Ok(posts)
}

fn grid<T>(count: usize) -> Vec<Vec<Option<T>>> {
    (0..count).map(|_| (0..count).map(|_| None).collect()).collect()
}
