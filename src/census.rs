//! How many clients each core serves: what a fresh connection is placed by.

use std::sync::atomic::{AtomicUsize, Ordering};

/// One count a core, shared by all.
#[derive(Debug)]
pub struct Census {
    clients: Box<[AtomicUsize]>,
}

impl Census {
    /// No clients on `cores` cores.
    pub fn new(cores: usize) -> Self {
        Self { clients: (0..cores).map(|_| AtomicUsize::new(0)).collect() }
    }

    /// Clients of all cores.
    pub fn total(&self) -> usize {
        self.clients.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Counts one more client on the core with the fewest; returns which.
    pub fn place(&self) -> usize {
        let counts = self.clients.iter().map(|count| count.load(Ordering::Relaxed));
        let fewest = counts.enumerate().min_by_key(|&(_, count)| count);
        let core = fewest.map_or(0, |(core, _)| core);
        self.clients[core].fetch_add(1, Ordering::Relaxed);
        core
    }

    /// Counts one client of `core` less.
    pub fn leave(&self, core: usize) {
        self.clients[core].fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_spread_evenly() {
        let census = Census::new(3);
        let placed: Vec<_> = (0..6).map(|_| census.place()).collect();
        assert_eq!(placed, [0, 1, 2, 0, 1, 2]);
        census.leave(1);
        assert_eq!(census.place(), 1);
        assert_eq!(census.total(), 6);
    }
}
