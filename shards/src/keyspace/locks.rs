//! Keys that stay as they are for a while: a transaction has them, or a reply that takes steps.

use super::Keyspace;

impl Keyspace {
    /// Keeps a key as it is until `unlock`: nothing but commands changes it, and these ask.
    pub(crate) fn lock(&mut self, hash: u64) {
        self.locks.push(hash);
    }

    /// Takes back one `lock`.
    pub(crate) fn unlock(&mut self, hash: u64) {
        let at = self.locks.iter().position(|lock| *lock == hash);
        self.locks.swap_remove(at.expect("what is locked is unlocked once"));
    }

    #[inline]
    pub(crate) fn is_locked(&self, hash: u64) -> bool {
        !self.locks.is_empty() && self.locks.contains(&hash)
    }
}
