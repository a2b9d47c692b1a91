//! Removes keys whose time has come though nobody asks for them.
//!
//! A sweep goes on where the last one stopped, round all databases and their segments. The table
//! counts the keys with an expiry in each segment and marks their words, so that a sweep reads no
//! record of a key without one, and no segment without such a key.

use super::Keyspace;
use crate::limits::{SWEEP_KEYS_MAX, SWEEP_KEYS_MIN, SWEEP_SEGMENTS_MAX};
use crate::shard::Millis;

/// Where the sweep stands.
#[derive(Debug)]
pub(super) struct Sweep {
    enabled: bool,
    /// Keys with an expiry that the next sweep looks at: the more, the more were due lately.
    keys: usize,
    db: u16,
    segment: usize,
    /// By database, the mean of the remaining milliseconds that a sweep saw; 0 where none did.
    ttl_ms_means: Vec<u64>,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Swept {
    /// Keys removed.
    pub removed: u32,
    /// True if so much was due that the next sweep should not wait long.
    pub more: bool,
}

impl Default for Sweep {
    fn default() -> Self {
        let keys = SWEEP_KEYS_MIN;
        Self { enabled: true, keys, db: 0, segment: 0, ttl_ms_means: Vec::new() }
    }
}

impl Sweep {
    pub(super) fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Begins a database anew.
    pub(super) fn forget(&mut self, db: u16) {
        if self.db == db {
            self.segment = 0;
        }
        self.saw(db, 0, 0);
    }

    fn saw(&mut self, db: u16, keys: usize, left: u64) {
        let db = usize::from(db);
        if self.ttl_ms_means.len() <= db {
            self.ttl_ms_means.resize(db + 1, 0);
        }
        self.ttl_ms_means[db] = left.checked_div(keys as u64).unwrap_or(0);
    }
}

impl Keyspace {
    /// Switches the active removal of due keys on or off; reads still remove what they meet.
    pub fn set_active_expiry(&mut self, enabled: bool) {
        self.sweep.enabled = enabled;
    }

    /// Removes keys due at `now`: looks at `SWEEP_KEYS_MAX` at most with an expiry, and the rest of
    /// their segment. Bounded, so that a million keys due at once cost many short ticks, not one
    /// long stall.
    pub fn sweep(&mut self, now: Millis) -> Swept {
        if !self.sweep.enabled || (0..self.databases()).all(|db| self.expires(db) == 0) {
            return Swept::default();
        }
        let (mut seen, mut removed, mut passed) = (0, 0, 0);
        // Every round passes segments or a database; all databases are passed once at most.
        let mut turns = self.databases();
        while seen < self.sweep.keys && passed < SWEEP_SEGMENTS_MAX && turns > 0 {
            let table = &self.databases[usize::from(self.sweep.db)];
            let skipped = if table.expires() == 0 {
                table.segments()
            } else {
                let most = SWEEP_SEGMENTS_MAX - passed;
                let skipped = table.without_expiry(self.sweep.segment, most);
                passed += skipped;
                skipped
            };
            self.sweep.segment += skipped;
            if self.sweep.segment >= table.segments() {
                self.sweep.db = (self.sweep.db + 1) % self.databases();
                self.sweep.segment = 0;
                turns -= 1;
            } else if passed < SWEEP_SEGMENTS_MAX {
                let (looked, gone) = self.sweep_segment(now);
                seen += looked;
                removed += gone;
                passed += 1;
            }
        }
        // As long as more than one in fifty seen was due, there is much to do. Redis goes on above
        // one in ten, and by more than that keys outstay their time.
        let more = removed * 50 > seen;
        if removed * 25 > seen {
            self.sweep.keys = (self.sweep.keys * 2).min(SWEEP_KEYS_MAX);
        } else if !more {
            self.sweep.keys = SWEEP_KEYS_MIN;
        }
        Swept { removed: removed as u32, more }
    }

    /// Sweeps the segment where the sweep stands and goes on to the next: how many keys with an
    /// expiry were looked at, and how many removed.
    fn sweep_segment(&mut self, now: Millis) -> (usize, usize) {
        let db = self.sweep.db;
        let table = &self.databases[usize::from(db)];
        let mut due = Vec::new();
        let (seen, left) = table.due(self.sweep.segment, now, &mut due);
        self.sweep.segment += 1;
        if seen > due.len() {
            self.sweep.saw(db, seen - due.len(), left);
        }
        let removed = due.len();
        due.into_iter().for_each(|place| self.expire(db, place));
        (seen, removed)
    }

    /// Frees a part of what was flushed or removed; true while there is more.
    pub fn free_some(&mut self) -> bool {
        self.graves.free_some()
    }

    /// True if something that was flushed or removed is not yet freed.
    pub(crate) fn has_graves(&self) -> bool {
        !self.graves.is_empty()
    }

    /// Keys and values that were flushed or removed and are not yet freed, and those freed since
    /// the last reset of the counters.
    pub(crate) fn freeing(&self) -> (usize, u64) {
        (self.graves.pending(), self.graves.freed())
    }

    /// True if nothing here waits: no key has an expiry that a sweep would look at, and nothing
    /// flushed is left to free.
    pub fn is_still(&self) -> bool {
        let expires = (0..self.databases()).any(|db| self.expires(db) > 0) || !self.due.is_empty();
        !(self.sweep.enabled && expires) && self.graves.is_empty() && !self.wants_compaction()
    }

    /// Estimated mean of the milliseconds that the keys of a database with an expiry still have.
    pub fn ttl_ms_mean(&self, db: u16) -> u64 {
        if self.expires(db) == 0 {
            return 0;
        }
        self.sweep.ttl_ms_means.get(usize::from(db)).copied().unwrap_or(0)
    }
}
