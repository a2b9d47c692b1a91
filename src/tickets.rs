//! The order of transactions: what all cores draw their tickets from.

use pinion_shards::transaction;
use std::sync::Mutex;

/// The next number of each owner. Who draws takes all it needs in one critical section of some
/// nanoseconds, so any two transactions have one order at all owners that they share.
#[derive(Debug)]
pub struct Tickets(Mutex<Box<[u64]>>);

impl Tickets {
    /// For `owners` shards, each beginning at 0.
    pub fn new(owners: usize) -> Self {
        Self(Mutex::new(vec![0; owners].into()))
    }
}

impl transaction::Tickets for &Tickets {
    fn draw(&mut self, owners: &mut dyn Iterator<Item = u16>, sequences: &mut Vec<u64>) {
        let mut next = self.0.lock().expect("nothing panics while it draws");
        for owner in owners {
            let next = &mut next[usize::from(owner)];
            sequences.push(*next);
            *next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinion_shards::transaction::Tickets as _;

    #[test]
    fn each_owner_counts_for_itself() {
        let tickets = Tickets::new(3);
        let mut drawn = Vec::new();
        (&tickets).draw(&mut [0, 2].into_iter(), &mut drawn);
        (&tickets).draw(&mut [2, 1].into_iter(), &mut drawn);
        assert_eq!(drawn, [0, 0, 1, 0]);
    }
}
