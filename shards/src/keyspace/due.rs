//! Which keys hold parts with a time of their own (fields of hashes), by the first of these.

use super::{Change, Class, Key, Keyspace};
use crate::limits::SWEEP_PARTS_MAX;
use crate::shard::Millis;
use crate::value::{Object, Rules};
use std::collections::BTreeSet;

/// By database, the keys with such parts; each stands here once, with its first time.
#[derive(Debug)]
pub(super) struct Due(Vec<BTreeSet<(Millis, Box<[u8]>)>>);

impl Due {
    pub(super) fn new(databases: u16) -> Self {
        Self((0..databases).map(|_| BTreeSet::new()).collect())
    }

    /// Notes that the first time in a key's value was `old` and is `new`.
    #[inline]
    pub(super) fn moved(&mut self, key: Key<'_>, old: Option<Millis>, new: Option<Millis>) {
        if old != new {
            self.replace(key, old, new);
        }
    }

    #[cold]
    fn replace(&mut self, key: Key<'_>, old: Option<Millis>, new: Option<Millis>) {
        let keys = &mut self.0[usize::from(key.db)];
        if let Some(old) = old {
            let was = keys.remove(&(old, Box::from(key.bytes)));
            debug_assert!(was, "a key with a time stands here");
        }
        if let Some(new) = new {
            keys.insert((new, Box::from(key.bytes)));
        }
    }

    pub(super) fn forget(&mut self, db: u16) {
        self.0[usize::from(db)].clear();
    }

    pub(super) fn swap(&mut self, one: u16, other: u16) {
        self.0.swap(usize::from(one), usize::from(other));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(BTreeSet::is_empty)
    }

    /// A key with a part that is due before `now`.
    fn first(&self, now: Millis) -> Option<(u16, Box<[u8]>)> {
        self.0.iter().enumerate().find_map(|(db, keys)| {
            let (at, key) = keys.first()?;
            (*at < now).then(|| (db as u16, key.clone()))
        })
    }
}

impl Keyspace {
    /// Removes parts of values that are due at `now`, `SWEEP_PARTS_MAX` at most; true while there
    /// are more.
    pub(crate) fn sweep_parts(&mut self, rules: &Rules, now: Millis) -> bool {
        if !self.sweep.is_enabled() {
            return false;
        }
        let mut budget = SWEEP_PARTS_MAX;
        while budget > 0
            && let Some((db, bytes)) = self.due.first(now)
        {
            let key = Key { db, hash: self.hash(&bytes), bytes: &bytes };
            if self.is_locked(key.hash) {
                // It is due still when the lock goes; those behind it wait as long.
                return true;
            }
            budget = budget.saturating_sub(self.sweep_value(rules, key, now, budget).max(1));
        }
        budget == 0
    }

    /// Keys of a database that hold parts with a time of their own.
    pub fn keys_with_due(&self, db: u16) -> usize {
        self.due.0[usize::from(db)].len()
    }

    /// Removes due parts of one value, and the key once nothing is left; returns how many.
    fn sweep_value(&mut self, rules: &Rules, key: Key<'_>, now: Millis, budget: usize) -> usize {
        let Some(place) = self.live(key, now) else { return 0 };
        self.before_change(key.db, place);
        let table = &mut self.databases[usize::from(key.db)];
        let before = table.entry(place).bytes();
        let object = table.entry_mut(place).object_mut().expect("a value with parts is an object");
        let old = object.next_due();
        let removed = object.sweep(rules, now, budget);
        let (new, empty) = (object.next_due(), object.len() == 0);
        table.resized(place, before);
        self.due.moved(key, old, new);
        debug_assert!(removed > 0, "a part that is due can be removed");
        self.counters.expired_parts += removed as u64;
        self.notify(Class::HASH, "hexpired", key);
        if empty {
            self.bury(key, place);
            self.touched(key.db, key.bytes, Change::Removed);
            self.notify(Class::GENERIC, "del", key);
        } else {
            self.touched(key.db, key.bytes, Change::Value);
        }
        removed
    }

    /// Asserts that the keys with parts that have a time are known by it.
    pub(super) fn recount_due(&self) {
        for (db, keys) in self.due.0.iter().enumerate() {
            let mut found = BTreeSet::new();
            self.databases[db].each(|entry| {
                if let Some(object) = entry.object() {
                    object.recount();
                    let due = object.next_due().map(|due| (due, Box::from(entry.key())));
                    found.extend(due);
                }
            });
            assert_eq!(&found, keys, "every key with a part that has a time is known");
        }
    }
}

impl Object {
    /// Removes parts that are due at `now`, about `budget` at most; returns how many.
    fn sweep(&mut self, rules: &Rules, now: Millis, budget: usize) -> usize {
        use crate::value::Kind as _;
        match self {
            Self::Hash(hash) => hash.sweep(rules, now, budget),
            _ => 0,
        }
    }
}
