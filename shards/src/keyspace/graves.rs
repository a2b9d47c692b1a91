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
            budget = budget.saturating_sub(len.max(1));
        }
        if budget == 0 {
            return true;
        }
        if let Some(mut table) = self.tables.pop()
            && table.free_some(FREE_SEGMENTS_PER_TICK, &mut |entry| self.bury(entry))
        {
            self.tables.push(table);
        }
        !self.is_empty()
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
