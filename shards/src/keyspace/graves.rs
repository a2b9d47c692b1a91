//! What was removed and is too large to be freed at once: freed a little with every tick.

use crate::limits::{FREE_AT_ONCE_MAX, FREE_ELEMENTS_PER_TICK, FREE_SEGMENTS_PER_TICK};
use crate::table::{Entry, Table};
use crate::value::Object;

/// Flushed tables and removed values.
#[derive(Debug, Default)]
pub(super) struct Graves {
    tables: Vec<Table>,
    #[expect(clippy::vec_box, reason = "objects come from their records in boxes")]
    objects: Vec<Box<Object>>,
    /// Of the objects; the tables count themselves.
    object_bytes: usize,
    /// Keys and values freed since this was last counted anew.
    freed: u64,
}

impl Graves {
    /// Frees what an entry held: at once if it is little, else with the ticks to come.
    pub(super) fn bury(&mut self, entry: Entry) {
        if entry.object().is_some_and(|object| object.len() > FREE_AT_ONCE_MAX)
            && let Some(object) = entry.into_object()
        {
            self.object_bytes += object.bytes();
            self.objects.push(object);
        }
    }

    /// Frees a table with the ticks to come.
    pub(super) fn bury_table(&mut self, table: Table) {
        if table.segments() > 0 {
            self.tables.push(table);
        }
    }

    /// Frees a part; true while there is more.
    pub(super) fn free_some(&mut self) -> bool {
        let mut budget = FREE_ELEMENTS_PER_TICK;
        while budget > 0
            && let Some(object) = self.objects.last_mut()
        {
            let (bytes, len) = (object.bytes(), object.len());
            let more = object.free_some(budget);
            self.object_bytes -= bytes;
            if more {
                self.object_bytes += object.bytes();
                return true;
            }
            self.objects.pop();
            self.freed += 1;
            budget = budget.saturating_sub(len.max(1));
        }
        if budget == 0 {
            return true;
        }
        if let Some(mut table) = self.tables.pop() {
            let pending = self.pending() + table.len();
            let more = table.free_some(FREE_SEGMENTS_PER_TICK, &mut |entry| self.bury(entry));
            // A large value of the table still waits, in place of its key.
            self.freed += (pending - self.pending() - table.len()) as u64;
            if more {
                self.tables.push(table);
            }
        }
        !self.is_empty()
    }

    /// Keys of flushed tables, and values, that wait to be freed.
    pub(super) fn pending(&self) -> usize {
        self.objects.len() + self.tables.iter().map(Table::len).sum::<usize>()
    }

    /// Keys and values freed since the last call of `reset_freed`.
    pub(super) fn freed(&self) -> u64 {
        self.freed
    }

    /// Counts what is freed anew.
    pub(super) fn reset_freed(&mut self) {
        self.freed = 0;
    }

    /// True if nothing waits to be freed.
    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.objects.is_empty()
    }

    /// Bytes that wait to be freed.
    pub(super) fn bytes(&self) -> usize {
        self.object_bytes + self.tables.iter().map(|table| table.sums().bytes).sum::<usize>()
    }

    /// The same, counted anew.
    pub(super) fn recount(&self) -> usize {
        let objects: usize = self.objects.iter().map(|object| object.bytes()).sum();
        objects + self.tables.iter().map(|table| table.recount().bytes).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use crate::keyspace::{Expiry, Key, Keyspace};
    use crate::value::Content;

    #[test]
    fn what_waits_and_what_was_freed_are_counted() {
        let mut keyspace = Keyspace::new(1, 7);
        for index in 0..3000 {
            let name = format!("k{index}");
            let key = Key { db: 0, hash: keyspace.hash(name.as_bytes()), bytes: name.as_bytes() };
            keyspace.set(key, 1, Content::Int(index), Expiry::Keep);
        }
        keyspace.flush(0);
        assert_eq!((keyspace.graves.pending(), keyspace.graves.freed()), (3000, 0));
        let mut ticks = 0;
        while keyspace.free_some() {
            ticks += 1;
            assert_eq!(keyspace.graves.pending() as u64 + keyspace.graves.freed(), 3000);
        }
        assert!(ticks > 0, "not all at once");
        assert_eq!((keyspace.graves.pending(), keyspace.graves.freed()), (0, 3000));
        keyspace.reset_counters();
        assert_eq!(keyspace.graves.freed(), 0);
    }
}
