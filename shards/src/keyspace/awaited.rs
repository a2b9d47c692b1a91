//! Keys that commands wait for, and those of them that have changed.

use super::Keyspace;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Bound;

/// Who waits for which key, by number in the order of arrival.
#[derive(Debug)]
pub(super) struct Awaited {
    /// By database.
    keys: Vec<HashMap<Box<[u8]>, BTreeSet<u64>>>,
    /// Keys awaited in all.
    count: usize,
    /// What has changed, and the number after which it is looked who waits, if not from the first.
    ready: VecDeque<(u16, Box<[u8]>, Option<u64>)>,
}

impl Awaited {
    pub(super) fn new(databases: u16) -> Self {
        let keys = (0..databases).map(|_| HashMap::new()).collect();
        Self { keys, count: 0, ready: VecDeque::new() }
    }

    /// True if nobody waits for any key.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Notes that a key has changed, if it is awaited.
    #[cold]
    pub(super) fn changed(&mut self, db: u16, key: &[u8]) {
        if let Some((key, _)) = self.keys[usize::from(db)].get_key_value(key) {
            self.ready.push_back((db, key.clone(), None));
        }
    }

    /// Takes everything that is awaited in a database for changed.
    pub(super) fn all_changed(&mut self, db: u16) {
        let keys = self.keys[usize::from(db)].keys();
        self.ready.extend(keys.map(|key| (db, key.clone(), None)));
    }
}

impl Keyspace {
    /// Has number `number` wait for a key.
    pub(crate) fn await_key(&mut self, db: u16, key: &[u8], number: u64) {
        let keys = &mut self.awaited.keys[usize::from(db)];
        if let Some(numbers) = keys.get_mut(key) {
            numbers.insert(number);
        } else {
            keys.insert(key.into(), BTreeSet::from([number]));
            self.awaited.count += 1;
        }
    }

    /// Has number `number` no longer wait for a key.
    pub(crate) fn await_no_more(&mut self, db: u16, key: &[u8], number: u64) {
        let keys = &mut self.awaited.keys[usize::from(db)];
        let Some(numbers) = keys.get_mut(key) else { return };
        numbers.remove(&number);
        if numbers.is_empty() {
            keys.remove(key);
            self.awaited.count -= 1;
        }
    }

    /// The first number after `last` that waits for a key: first come first.
    pub(crate) fn next_awaiting(&self, db: u16, key: &[u8], last: Option<u64>) -> Option<u64> {
        let numbers = self.awaited.keys[usize::from(db)].get(key)?;
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        numbers.range((from, Bound::Unbounded)).next().copied()
    }

    /// Takes a key for changed that was so before, and could not be seen to, for those who came
    /// after number `last`.
    pub(crate) fn ready_again(&mut self, db: u16, key: Box<[u8]>, last: Option<u64>) {
        self.awaited.ready.push_back((db, key, last));
    }

    /// Keys that somebody waits for.
    pub(crate) fn awaited_keys(&self) -> usize {
        self.awaited.count
    }

    /// True if an awaited key has changed.
    #[inline]
    pub(crate) fn has_ready(&self) -> bool {
        !self.awaited.ready.is_empty()
    }

    /// The next awaited key that has changed.
    pub(crate) fn next_ready(&mut self) -> Option<(u16, Box<[u8]>, Option<u64>)> {
        self.awaited.ready.pop_front()
    }
}
