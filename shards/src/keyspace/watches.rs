//! Keys that clients watch, and whether they have changed since (WATCH).

use super::{Key, Keyspace};
use crate::shard::Millis;
use crate::transaction::Watcher;
use std::collections::HashMap;

/// A key in a database.
type Name = (u16, Box<[u8]>);

/// Who watches what.
#[derive(Debug, Default)]
pub(super) struct Watches {
    keys: HashMap<Name, Vec<Watcher>>,
    watchers: HashMap<Watcher, Watch>,
}

/// What a client watches.
#[derive(Debug, Default)]
struct Watch {
    /// Each with whether it was there.
    keys: Vec<(Name, bool)>,
    /// One of them has changed.
    changed: bool,
}

impl Watches {
    /// True if nobody watches any key.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Notes that a key has changed, if it is watched.
    #[cold]
    pub(super) fn changed(&mut self, db: u16, key: &[u8]) {
        let Some(watchers) = self.keys.get(&(db, key.into())) else { return };
        for watcher in watchers {
            self.watchers.get_mut(watcher).expect("who watches is known").changed = true;
        }
    }

    /// Keys that are watched in a database.
    pub(super) fn keys(&self, db: u16) -> Vec<Box<[u8]>> {
        let own = self.keys.keys().filter(|(its, _)| *its == db);
        own.map(|(_, key)| key.clone()).collect()
    }
}

impl Keyspace {
    /// Has a client watch a key. One that is due goes first: it was not there.
    pub(crate) fn watch(&mut self, watcher: Watcher, key: Key<'_>, now: Millis) {
        let there = self.contains(key, now);
        let name: Name = (key.db, key.bytes.into());
        let watch = self.watches.watchers.entry(watcher).or_default();
        if !watch.keys.iter().any(|(known, _)| *known == name) {
            watch.keys.push((name.clone(), there));
            self.watches.keys.entry(name).or_default().push(watcher);
        }
    }

    /// Hashes of the keys that a client watches.
    pub(crate) fn watched(&self, watcher: Watcher) -> Vec<u64> {
        let watch = self.watches.watchers.get(&watcher);
        let keys = watch.into_iter().flat_map(|watch| &watch.keys);
        keys.map(|((_, key), _)| self.hash(key)).collect()
    }

    /// Has a client watch nothing any more; true if what it watched has changed, or is due.
    pub(crate) fn unwatch(&mut self, watcher: Watcher, now: Millis) -> bool {
        let keys = self.watches.watchers.get(&watcher).map(|watch| watch.keys.clone());
        let mut due = false;
        for ((db, bytes), _) in keys.iter().flatten().filter(|(_, there)| *there) {
            // What is due is removed, and so has changed; or it will be, when its lock goes. One
            // that was not there and is due now came so, by SWAPDB, and is not there still.
            let key = Key { db: *db, hash: self.hash(bytes), bytes };
            due |= !self.contains(key, now) && self.view(key).is_some();
        }
        let Some(watch) = self.watches.watchers.remove(&watcher) else { return false };
        for (name, _) in watch.keys {
            let watchers = self.watches.keys.get_mut(&name).expect("what is watched is known");
            watchers.retain(|its| *its != watcher);
            if watchers.is_empty() {
                self.watches.keys.remove(&name);
            }
        }
        watch.changed || due
    }

    /// Takes the watched keys of a database for changed that are there, or are in `other`, and not
    /// due at `now`.
    pub(super) fn all_watched_change(&mut self, db: u16, other: u16, now: Millis) {
        if self.watches.is_empty() {
            return;
        }
        for bytes in self.watches.keys(db) {
            let hash = self.hash(&bytes);
            let is_in = |db| {
                let table = &self.databases[usize::from(db)];
                table.find(hash, &bytes).is_some_and(|place| !table.entry(place).is_due(now))
            };
            if is_in(db) || is_in(other) {
                self.watches.changed(db, &bytes);
            }
        }
    }

    /// Keys that clients watch.
    pub(crate) fn watched_keys(&self) -> usize {
        self.watches.keys.len()
    }

    /// Clients that watch keys here.
    pub fn watching(&self) -> usize {
        self.watches.watchers.len()
    }
}
