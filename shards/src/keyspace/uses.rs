//! The clock of accesses: what the 24 bits say that a record keeps of its use.
//!
//! | policy | bits |
//! |---|---|
//! | none, lru, random, ttl | the second of the last access, modulo 2^24 |
//! | lrm | the second of the last change |
//! | lfu | 16 bits: the minute of the last count; 8 bits: how often, on a logarithmic scale |
//! | cache | 16 bits: the turn of the last use; 8 bits: how often |
//!
//! The scale is that of Redis: a key begins at 5, counts up with a chance of one in `(count - 5) *
//! factor + 1`, and down by one for every so many minutes.
//!
//! In cache mode time is what comes in: a turn is over when a 128th of the keys is new. A key
//! counts up with each use, and halves after 1280 turns without one, when all keys may have changed
//! ten times. One that comes again after it was evicted goes on from what it had (`ghosts`). So
//! what is used often stays whatever else comes by once, and does not stay for ever.
//!
//! Where the policy changes, what was kept under the old one is read as if it were of the new, as
//! in Redis; use puts it right.

use super::Keyspace;
use crate::random::Random;
use crate::shard::Millis;
use crate::table::{Place, Table};

/// The count of a key that is new.
const COUNT_NEW: u32 = 5;
/// The highest count.
const COUNT_MAX: u32 = 255;
/// The clock has so many bits.
const CLOCK_MASK: u32 = 0xff_ffff;
/// Minutes are kept modulo 2^16.
const MINUTE_MASK: u32 = 0xffff;

/// What is kept of a key's use.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Kept {
    /// When it was used last.
    #[default]
    Used,
    /// When it was changed last.
    Changed,
    /// How often it is used.
    Frequency,
    /// How often it is used, by the turns of a cache.
    Turns,
}

/// Turns of a cache are kept modulo 2^16.
const TURN_MASK: u32 = 0xffff;
/// Turns in which as many keys come as there are.
const TURNS_A_ROUND: usize = 128;
/// Turns after which a count halves.
const TURNS_HALVING: u32 = 1280;

/// How use is noted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Uses {
    pub(super) kept: Kept,
    pub(super) log_factor: u32,
    pub(super) decay_minutes: u32,
    random: Random,
    /// The turn, modulo 2^16.
    turn: u32,
    /// New keys until the next.
    left: usize,
}

/// The clock of accesses in seconds, of which a record keeps the low 24 bits.
#[inline]
pub(super) fn seconds(now: Millis) -> u32 {
    (now / 1000) as u32
}

/// The clock of counts in minutes.
#[inline]
fn minutes(now: Millis) -> u32 {
    (now / 60_000) as u32 & MINUTE_MASK
}

impl Uses {
    pub(super) fn new(seed: u64) -> Self {
        let random = Random(seed);
        Self { kept: Kept::Used, log_factor: 10, decay_minutes: 1, random, turn: 0, left: 0 }
    }

    /// What is kept of a key that was read, and had `old`.
    #[inline]
    pub(super) fn read(&mut self, old: u32, now: Millis) -> u32 {
        match self.kept {
            Kept::Used => seconds(now),
            Kept::Changed => old,
            Kept::Turns => self.used_again(old),
            Kept::Frequency => self.counted(old, now),
        }
    }

    /// What is kept of a key that was changed, and had `old`.
    #[inline]
    pub(super) fn changed(&mut self, old: u32, now: Millis) -> u32 {
        match self.kept {
            Kept::Used | Kept::Changed => seconds(now),
            Kept::Turns => self.used_again(old),
            Kept::Frequency => self.counted(old, now),
        }
    }

    /// What is kept of a key that is new.
    #[inline]
    pub(super) fn new_key(&self, now: Millis) -> u32 {
        match self.kept {
            Kept::Used | Kept::Changed => seconds(now),
            Kept::Frequency => minutes(now) << 8 | COUNT_NEW,
            Kept::Turns => self.turn << 8 | 1,
        }
    }

    /// What is kept of a key that is new to a cache of so many keys, and of which so much is
    /// remembered.
    fn new_to_cache(&mut self, remembered: u32, keys: impl FnOnce() -> usize) -> u32 {
        if self.left == 0 {
            self.turn = (self.turn + 1) & TURN_MASK;
            self.left = keys() / TURNS_A_ROUND;
        } else {
            self.left -= 1;
        }
        self.turn << 8 | (remembered + 1)
    }

    /// The same for one that is there and is used.
    #[inline]
    fn used_again(&self, old: u32) -> u32 {
        self.turn << 8 | (self.halved(old) + 1).min(COUNT_MAX)
    }

    /// Turns since the last use of a key of which `kept` is kept.
    #[inline]
    pub(super) fn turns(&self, kept: u32) -> u32 {
        self.turn.wrapping_sub(kept >> 8) & TURN_MASK
    }

    /// How often a key counts as used of which `kept` is kept, in cache mode.
    #[inline]
    pub(super) fn halved(&self, kept: u32) -> u32 {
        (kept & COUNT_MAX) >> (self.turns(kept) / TURNS_HALVING).min(31)
    }

    /// What is kept of a key that comes from elsewhere, where it was not used for so many seconds,
    /// or has this count.
    pub(super) fn told(&self, now: Millis, idle_seconds: u64, count: Option<u8>) -> u32 {
        match (self.kept, count) {
            (Kept::Frequency, Some(count)) => minutes(now) << 8 | u32::from(count),
            (Kept::Frequency | Kept::Turns, _) => self.new_key(now),
            // The clock goes round after 194 days.
            _ => seconds(now).wrapping_sub(idle_seconds.min(CLOCK_MASK.into()) as u32),
        }
    }

    /// The count of a key of which `kept` is kept.
    pub(super) fn count(&self, kept: u32, now: Millis) -> u32 {
        if self.kept == Kept::Turns {
            return self.halved(kept);
        }
        let (minute, count) = (kept >> 8 & MINUTE_MASK, kept & COUNT_MAX);
        let passed = minutes(now).wrapping_sub(minute) & MINUTE_MASK;
        count.saturating_sub(passed.checked_div(self.decay_minutes).unwrap_or(0))
    }

    #[cold]
    fn counted(&mut self, old: u32, now: Millis) -> u32 {
        let count = self.count(old, now);
        let chances = u64::from(count.saturating_sub(COUNT_NEW)) * u64::from(self.log_factor) + 1;
        let luck = count < COUNT_MAX && self.random.bits().is_multiple_of(chances);
        minutes(now) << 8 | (count + u32::from(luck))
    }
}

/// Seconds since the last use of a key of which `kept` is kept.
#[inline]
pub(super) fn idle_seconds(kept: u32, now: Millis) -> u32 {
    seconds(now).wrapping_sub(kept) & CLOCK_MASK
}

impl Keyspace {
    /// What is kept of a key that is new.
    #[inline]
    pub(super) fn new_use(&mut self, hash: u64, now: Millis) -> u32 {
        if self.uses.kept != Kept::Turns {
            return self.uses.new_key(now);
        }
        let remembered = self.ghosts.recall(hash);
        let databases = &self.databases;
        self.uses.new_to_cache(remembered, || databases.iter().map(Table::len).sum())
    }

    /// Notes that a key was read.
    #[inline]
    pub(super) fn note_read(&mut self, db: u16, place: Place, now: Millis) {
        if !self.silent {
            let table = &mut self.databases[usize::from(db)];
            let used = self.uses.read(table.entry(place).seconds(), now);
            table.touch(place, used);
        }
    }

    /// What is to be kept of a key that is about to be changed.
    #[inline]
    pub(super) fn used_by_change(&mut self, db: u16, place: Place, now: Millis) -> u32 {
        let old = self.databases[usize::from(db)].entry(place).seconds();
        self.uses.changed(old, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Millis = 60_000;

    #[test]
    fn counts_rise_slowly_and_fall_with_time() {
        let mut uses = Uses { kept: Kept::Frequency, ..Uses::new(7) };
        let mut kept = uses.new_key(0);
        assert_eq!(uses.count(kept, 0), 5);
        for _ in 0..1000 {
            kept = uses.read(kept, 0);
        }
        let count = uses.count(kept, 0);
        assert!((12..30).contains(&count), "{count}");
        assert_eq!(uses.count(kept, 3 * MINUTE), count - 3);
        assert_eq!(uses.count(kept, 1000 * MINUTE), 0);
        uses.decay_minutes = 0;
        assert_eq!(uses.count(kept, 1000 * MINUTE), count);
        uses.log_factor = 0;
        for _ in 0..300 {
            kept = uses.changed(kept, 0);
        }
        assert_eq!(uses.count(kept, 0), 255);
    }

    #[test]
    fn a_cache_counts_and_halves() {
        let mut uses = Uses { kept: Kept::Turns, ..Uses::new(7) };
        let mut kept = uses.new_to_cache(3, || 0);
        assert_eq!(uses.count(kept, 0), 4);
        for _ in 0..4 {
            kept = uses.read(kept, 0);
        }
        assert_eq!((uses.count(kept, 0), uses.turns(kept)), (8, 0));
        for _ in 0..TURNS_HALVING {
            uses.new_to_cache(0, || 0);
        }
        assert_eq!((uses.count(kept, 0), uses.turns(kept)), (4, TURNS_HALVING));
        kept = uses.changed(kept, 0);
        assert_eq!(uses.count(kept, 0), 5);
        let turn = uses.turn;
        for _ in 0..=10 {
            uses.new_to_cache(0, || 1280);
        }
        assert_eq!(uses.turn, turn + 1, "a turn is a 128th of the keys");
    }

    #[test]
    fn each_policy_keeps_its_own() {
        let mut uses = Uses::new(7);
        assert_eq!((uses.read(1, 5000), uses.changed(1, 5000)), (5, 5));
        uses.kept = Kept::Changed;
        assert_eq!((uses.read(1, 5000), uses.changed(1, 5000)), (1, 5));
        assert_eq!(idle_seconds(uses.told(9_000, 4, None), 9_000), 4);
        assert_eq!(idle_seconds(uses.told(9_000, u64::MAX, None), 9_000), CLOCK_MASK);
        uses.kept = Kept::Frequency;
        assert_eq!(uses.count(uses.told(MINUTE, 0, Some(77)), MINUTE), 77);
    }
}
