//! The memory that all shards share: the limit, who has drawn how much, who could do without.
//!
//! What the shards do not count (buffers, what the allocator rounds up) is the rest: all that is
//! allocated, less what they have drawn, asked for some times a second. What is free is the limit
//! less that and less all that is drawn: one number that every core reads, and changes only by
//! grains.

use crate::config::Settings;
use crate::process::used_memory;
use pinion_shards::{Bank, Millis, Offer};
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// From one look at the allocator to the next.
const SAMPLE_MS: Millis = 100;
/// The same where little is free.
const SAMPLE_TIGHT_MS: Millis = 10;
/// The share of the limit below which little is free.
const TIGHT_SHARE: i64 = 16;
/// The share of the limit, and the bytes, that may be out too much before a shard evicts keys of
/// its own though another has colder ones.
const PATIENCE_SHARE: i64 = 256;
const PATIENCE_BYTES_MAX: i64 = 2 << 20;
/// What stands for no limit: so much is never drawn.
const NO_LIMIT: i64 = i64::MAX / 4;

/// Who has how much.
#[derive(Debug)]
pub struct Ledger {
    free: Line<AtomicI64>,
    offers: Box<[Line<Account>]>,
    /// What may be evicted: nothing, keys with an expiry, any.
    evicts: AtomicU8,
    terms: Mutex<Terms>,
    /// When the allocator is asked next.
    next_sample: AtomicU64,
    /// Since when too much is out, or 0.
    exceeded_since: AtomicU64,
    /// Milliseconds for which too much was out, before that.
    exceeded_ms: AtomicU64,
}

/// What changes with the settings, and with each look at the allocator.
#[derive(Debug)]
struct Terms {
    limit: i64,
    rest: i64,
}

/// Alone on a cache line, as far as neighbours go.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line<T>(T);

#[derive(Debug, Default)]
struct Account {
    bytes: AtomicU64,
    volatile_bytes: AtomicU64,
    coldest: AtomicU64,
}

impl Ledger {
    /// For so many shards, without a limit.
    pub fn new(shards: usize) -> Self {
        Self {
            free: Line(AtomicI64::new(NO_LIMIT)),
            offers: (0..shards).map(|_| Line::default()).collect(),
            evicts: AtomicU8::new(0),
            terms: Mutex::new(Terms { limit: NO_LIMIT, rest: 0 }),
            next_sample: AtomicU64::new(0),
            exceeded_since: AtomicU64::new(0),
            exceeded_ms: AtomicU64::new(0),
        }
    }

    fn terms(&self) -> MutexGuard<'_, Terms> {
        self.terms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows settings that may have changed.
    pub fn follow(&self, settings: &Settings, now: Millis) {
        let policy = settings.eviction();
        let evicts = match (policy.evicts(), policy.volatile) {
            (false, _) => 0,
            (true, true) => 1,
            (true, false) => 2,
        };
        self.evicts.store(evicts, Ordering::Relaxed);
        let limit = match settings.memory_bytes_max {
            0 => NO_LIMIT,
            bytes => i64::try_from(bytes).unwrap_or(NO_LIMIT).min(NO_LIMIT),
        };
        let mut terms = self.terms();
        if terms.limit != limit {
            self.free.0.fetch_add(limit - terms.limit, Ordering::Relaxed);
            terms.limit = limit;
            self.sample(&mut terms, now);
        }
    }

    /// Looks at the allocator, if that is due.
    #[inline]
    pub fn sample_when_due(&self, now: Millis) {
        if now >= self.next_sample.load(Ordering::Relaxed) {
            self.sample_now(now);
        }
    }

    #[cold]
    fn sample_now(&self, now: Millis) {
        // Who comes while another looks need not.
        if let Ok(mut terms) = self.terms.try_lock() {
            self.sample(&mut terms, now);
        }
    }

    fn sample(&self, terms: &mut Terms, now: Millis) {
        let drawn = terms.limit - terms.rest - self.free.0.load(Ordering::Relaxed);
        let rest = i64::try_from(used_memory()).unwrap_or(0) - drawn;
        let free = self.free.0.fetch_add(terms.rest - rest, Ordering::Relaxed) + terms.rest - rest;
        terms.rest = rest;
        let tight = free < terms.limit / TIGHT_SHARE;
        let wait = if tight { SAMPLE_TIGHT_MS } else { SAMPLE_MS };
        self.next_sample.store(now + wait, Ordering::Relaxed);
        let since = self.exceeded_since.load(Ordering::Relaxed);
        if free < 0 && since == 0 {
            self.exceeded_since.store(now, Ordering::Relaxed);
        } else if free >= 0 && since > 0 {
            self.exceeded_since.store(0, Ordering::Relaxed);
            self.exceeded_ms.fetch_add(now.saturating_sub(since), Ordering::Relaxed);
        }
    }

    /// True if what needs memory is to be refused: too much is out, and would be if every key were
    /// gone that may go.
    #[inline]
    pub fn refuses(&self) -> bool {
        self.free() < 0 && self.is_hopeless()
    }

    /// True if too much is out, and keys are evicted for it.
    #[inline]
    pub fn evicts(&self) -> bool {
        self.free() < 0 && self.evicts.load(Ordering::Relaxed) > 0
    }

    #[cold]
    fn is_hopeless(&self) -> bool {
        let evicts = self.evicts.load(Ordering::Relaxed);
        let own = |Line(account): &Line<Account>| match evicts {
            0 => 0,
            1 => account.volatile_bytes.load(Ordering::Relaxed),
            _ => account.bytes.load(Ordering::Relaxed),
        };
        let evictable: u64 = self.offers.iter().map(own).sum();
        self.free().saturating_add_unsigned(evictable) < 0
    }

    /// Milliseconds for which too much was out in all, and now.
    pub fn exceeded_ms(&self, now: Millis) -> (u64, u64) {
        let current = match self.exceeded_since.load(Ordering::Relaxed) {
            0 => 0,
            since => now.saturating_sub(since),
        };
        (self.exceeded_ms.load(Ordering::Relaxed) + current, current)
    }
}

impl Bank for Ledger {
    #[inline]
    fn free(&self) -> i64 {
        self.free.0.load(Ordering::Relaxed)
    }

    fn draw(&self, bytes: u64, must: bool) -> bool {
        let bytes = bytes as i64;
        if must {
            self.free.0.fetch_sub(bytes, Ordering::Relaxed);
            return true;
        }
        let take = |free: i64| (free >= bytes).then(|| free - bytes);
        self.free.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    fn give(&self, bytes: u64) {
        self.free.0.fetch_add(bytes as i64, Ordering::Relaxed);
    }

    fn adopt(&self, more: i64) {
        let mut terms = self.terms();
        terms.rest -= more;
    }

    fn offer(&self, shard: usize, offer: Offer) {
        let account = &self.offers[shard].0;
        account.bytes.store(offer.bytes, Ordering::Relaxed);
        account.volatile_bytes.store(offer.volatile_bytes, Ordering::Relaxed);
        account.coldest.store(offer.coldest, Ordering::Relaxed);
    }

    fn has_colder(&self, shard: usize, score: u64) -> bool {
        if self.offers.len() == 1 {
            return false;
        }
        let patience = (self.terms().limit / PATIENCE_SHARE).min(PATIENCE_BYTES_MAX);
        let mut others = self.offers.iter().enumerate().filter(|(index, _)| *index != shard);
        self.free() > -patience
            && others.any(|(_, Line(account))| {
                account.bytes.load(Ordering::Relaxed) > 0
                    && account.coldest.load(Ordering::Relaxed) > score
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(bytes: u64, policy: &str) -> Ledger {
        let ledger = Ledger::new(2);
        let mut settings = Settings::initial();
        settings.memory_bytes_max = bytes;
        policy.clone_into(&mut settings.memory_policy);
        ledger.follow(&settings, 1);
        ledger
    }

    #[test]
    fn what_is_drawn_is_not_free() {
        let ledger = limited(1 << 40, "noeviction");
        let free = ledger.free();
        assert!(free > 0 && free < 1 << 40, "the process itself takes some: {free}");
        assert!(ledger.draw(1000, false));
        assert_eq!(ledger.free(), free - 1000);
        assert!(!ledger.draw(1 << 41, false));
        assert!(!ledger.refuses());
        assert!(ledger.draw(1 << 41, true));
        assert!(ledger.refuses());
        ledger.give(1 << 41);
        assert!(!ledger.refuses());
    }

    #[test]
    fn nothing_is_refused_as_long_as_keys_can_go() {
        for (policy, refuses) in
            [("noeviction", true), ("volatile-lru", true), ("allkeys-random", false)]
        {
            let ledger = limited(1 << 40, policy);
            ledger.draw((1 << 40) + (8 << 20), true);
            ledger.offer(1, Offer { bytes: 1 << 41, volatile_bytes: 100, coldest: 5 });
            assert_eq!(ledger.refuses(), refuses, "{policy}");
            assert!(!ledger.has_colder(1, 0) && !ledger.has_colder(0, 4), "too much is out");
            ledger.give((1 << 40) + (8 << 20));
            assert!(
                ledger.has_colder(0, 4) && !ledger.has_colder(0, 5) && !ledger.has_colder(1, 4)
            );
            assert!(!ledger.refuses());
        }
    }
}
