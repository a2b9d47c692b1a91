//! Whole databases: emptied, or in each other's place.

use super::Keyspace;
use crate::shard::Millis;

impl Keyspace {
    /// Removes all keys of a database. Their memory is given back a little with each tick.
    pub fn flush(&mut self, db: u16) {
        self.all_watched_change(db, db, 0);
        self.changes.flushed = self.changes.wanted;
        let table = std::mem::take(&mut self.databases[usize::from(db)]);
        self.counters.changes += table.len() as u64;
        if let Some(table) = self.retire(db, table) {
            self.graves.bury_table(table);
        }
        self.due.forget(db);
        self.awaited.all_changed(db);
        self.marks.all_changed(db);
        self.sweep.forget(db);
    }

    /// Removes all keys of all databases.
    pub fn flush_all(&mut self) {
        (0..self.databases()).for_each(|db| self.flush(db));
    }

    /// Lets two databases change places. Who watches a key that is in neither, or due in both, need
    /// not know.
    pub fn swap(&mut self, one: u16, other: u16, now: Millis) {
        if one == other {
            return;
        }
        self.all_watched_change(one, other, now);
        self.all_watched_change(other, one, now);
        self.databases.swap(usize::from(one), usize::from(other));
        self.swap_walks(one, other);
        self.due.swap(one, other);
        self.awaited.all_changed(one);
        self.awaited.all_changed(other);
        self.marks.all_changed(one);
        self.marks.all_changed(other);
        self.counters.changes += 1;
    }
}
