//! Gives memory back that removed keys have left in between: a little with every tick.
//!
//! A pass goes over all segments of all databases. Where little is left of two that were one, they
//! join; records in slabs that are sparser than others of their size move to fuller ones, so that
//! the sparse ones empty and go back to the allocator. A pass begins where there is enough to gain,
//! and after one that gained little, not before many keys have changed.

use super::Keyspace;
use crate::limits::{COMPACT_CHANGES_MIN, COMPACT_IDLE_BYTES_MIN, COMPACT_SEGMENTS_PER_TICK};
use crate::table::Table;

/// How far a pass has come.
#[derive(Debug, Default)]
pub(super) struct Compact {
    under_way: bool,
    db: u16,
    segment: usize,
    /// Segments that have joined and records that have moved in this pass.
    gained: usize,
    /// No pass begins before there were so many changes.
    rests_until: u64,
}

impl Keyspace {
    /// Goes on with a pass, or begins one; true while there is more to do soon. Nothing is moved
    /// while a snapshot is taken, which goes over segments in their order.
    pub(crate) fn compact(&mut self) -> bool {
        if self.is_saving() || !self.wants_compaction() {
            return false;
        }
        if !self.compact.under_way {
            self.compact = Compact { under_way: true, ..Compact::default() };
        }
        for _ in 0..COMPACT_SEGMENTS_PER_TICK {
            let Compact { db, segment, .. } = self.compact;
            let table = &mut self.databases[usize::from(db)];
            if segment < table.segments() {
                if let Some(joined) = table.join(segment, &self.hasher) {
                    // The pass may be past these; and what has the number now is looked at again.
                    self.compact.gained += 1 + table.move_records(joined, &self.heap);
                    continue;
                }
                self.compact.gained += table.move_records(segment, &self.heap);
                self.compact.segment += 1;
            } else if db + 1 < self.databases() {
                (self.compact.db, self.compact.segment) = (db + 1, 0);
            } else {
                self.end_pass();
                break;
            }
        }
        self.wants_compaction()
    }

    fn end_pass(&mut self) {
        self.compact.under_way = false;
        let keys: usize = self.databases.iter().map(Table::len).sum();
        if self.compact.gained <= keys / 16 {
            let changes = (keys as u64 / 16).max(COMPACT_CHANGES_MIN);
            self.compact.rests_until = self.counters.changes + changes;
        }
    }

    /// True if a pass is under way or should begin: enough memory lies idle.
    pub(super) fn wants_compaction(&self) -> bool {
        if self.compact.under_way {
            return true;
        }
        let (idle, used) = (self.heap.idle_bytes(), self.heap.used_bytes());
        let wastes = idle > COMPACT_IDLE_BYTES_MIN.max(used / 8)
            || self.databases.iter().any(Table::is_sparse);
        wastes && self.counters.changes >= self.compact.rests_until
    }

    /// Bytes of the slabs of records that no record uses.
    pub(crate) fn idle_bytes(&self) -> usize {
        self.heap.idle_bytes()
    }
}
