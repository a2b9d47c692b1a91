//! Which key goes when memory is short.
//!
//! Nothing is kept in order. An eviction looks at a few entries of a random bucket, compares them
//! with the best candidates of earlier looks, and takes the best of all: Redis's way, with a bucket
//! of neighbours, which is one cache line, in place of as many random keys. Where the next look
//! goes is known one eviction ahead and its records two, so that they come from memory meanwhile.

use super::uses::{Kept, Uses, idle_seconds};
use super::{Change, Class, Key, Keyspace};
use crate::limits::{EVICT_CANDIDATES, EVICT_LOOKS_MAX};
use crate::shard::Millis;
use crate::table::{Entry, Place};

/// By what a key is chosen.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Choice {
    /// None is.
    #[default]
    Never,
    /// Longest unused first.
    Lru,
    /// Longest unchanged first.
    Lrm,
    /// Least used first.
    Lfu,
    /// Any.
    Random,
    /// What expires soonest.
    Ttl,
    /// Least used first, of what has not just come, by what is also remembered of evicted keys: a
    /// cache that scans do not sweep out.
    Cache,
}

/// What happens where memory is short.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Policy {
    /// By what a key is chosen.
    pub choice: Choice,
    /// Only keys with an expiry go.
    pub volatile: bool,
    /// Keys to look at for each that goes.
    pub samples: u32,
    /// How slowly counts of use rise.
    pub lfu_log_factor: u32,
    /// Minutes after which a count of use falls by one, 0 for never.
    pub lfu_decay_minutes: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            choice: Choice::Never,
            volatile: false,
            samples: 5,
            lfu_log_factor: 10,
            lfu_decay_minutes: 1,
        }
    }
}

impl Policy {
    /// The choice of this name, and whether only keys with an expiry go, as `maxmemory-policy` has
    /// it.
    pub fn parse(name: &str) -> Option<(Choice, bool)> {
        let (scope, choice) = name.split_once('-').unwrap_or((name, ""));
        let volatile = match scope {
            "noeviction" => return Some((Choice::Never, false)),
            "volatile" => true,
            "allkeys" => false,
            _ => return None,
        };
        let choice = match choice {
            "lru" => Choice::Lru,
            "lrm" => Choice::Lrm,
            "lfu" => Choice::Lfu,
            "random" => Choice::Random,
            "ttl" if volatile => Choice::Ttl,
            _ => return None,
        };
        Some((choice, volatile))
    }

    /// Keys to look at for each that goes: a few more in cache mode, which a loop over somewhat
    /// more keys than there is room for needs.
    fn looks_at(&self) -> usize {
        let more = if self.choice == Choice::Cache { 3 } else { 0 };
        self.samples as usize + more
    }

    /// True if a key may go at all.
    #[inline]
    pub fn evicts(&self) -> bool {
        self.choice != Choice::Never
    }
}

/// What was seen of keys that might go.
#[derive(Debug, Default)]
pub(super) struct Evictor {
    policy: Policy,
    /// The best of those seen, the best last.
    candidates: Vec<Candidate>,
    /// Where the next looks go, the first of them first.
    ahead: [Option<(u16, Place)>; 2],
    /// When it was last looked around only to know how cold keys are.
    looked_at: Millis,
    /// The key that goes, kept for its memory.
    key: Vec<u8>,
}

/// A key that might go: found again by its hash and record, if it is still there.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// The higher, the sooner it goes.
    score: u64,
    db: u16,
    hash: u64,
    /// Where its record lies.
    address: usize,
    /// What was kept of its use.
    kept: u32,
}

impl Evictor {
    fn offer(&mut self, candidate: Candidate) {
        let known = |own: &Candidate| own.address == candidate.address;
        if self.candidates.iter().any(known) {
            return;
        }
        if self.candidates.len() == EVICT_CANDIDATES {
            if self.candidates[0].score >= candidate.score {
                return;
            }
            self.candidates.remove(0);
        }
        let at = self.candidates.partition_point(|own| own.score < candidate.score);
        self.candidates.insert(at, candidate);
    }
}

/// How soon an entry goes of which so much is kept, with this expiry: the higher, the sooner.
#[inline]
fn score(uses: &Uses, choice: Choice, (kept, expiry): (u32, Option<Millis>), now: Millis) -> u64 {
    match choice {
        Choice::Lru | Choice::Lrm => u64::from(idle_seconds(kept, now)),
        Choice::Lfu => u64::from(255 - uses.count(kept, now)),
        Choice::Ttl => u64::MAX - expiry.unwrap_or(u64::MAX),
        Choice::Cache => match uses.turns(kept) {
            // What has just come is given time to be asked for.
            0 => 0,
            turns => u64::from(255 - uses.halved(kept)) << 16 | u64::from(turns),
        },
        Choice::Random | Choice::Never => 0,
    }
}

impl Keyspace {
    /// Follows a policy from now on.
    pub(crate) fn set_policy(&mut self, policy: &Policy) {
        if self.evictor.policy == *policy {
            return;
        }
        self.evictor.policy = *policy;
        self.evictor.candidates.clear();
        self.ghosts.forget();
        self.uses.kept = match policy.choice {
            Choice::Lfu => Kept::Frequency,
            Choice::Cache => Kept::Turns,
            Choice::Lrm => Kept::Changed,
            Choice::Never | Choice::Lru | Choice::Random | Choice::Ttl => Kept::Used,
        };
        self.uses.log_factor = policy.lfu_log_factor;
        self.uses.decay_minutes = policy.lfu_decay_minutes;
    }

    /// The policy in force.
    pub(crate) fn policy(&self) -> &Policy {
        &self.evictor.policy
    }

    /// True if it is counted how often keys are used, and not kept when.
    pub(crate) fn counts_uses(&self) -> bool {
        matches!(self.uses.kept, Kept::Frequency | Kept::Turns)
    }

    /// How often a key is used, on a logarithmic scale, where that is counted.
    pub(crate) fn frequency(&mut self, key: Key<'_>, now: Millis) -> Option<u32> {
        let place = self.live(key, now)?;
        let kept = self.databases[usize::from(key.db)].entry(place).seconds();
        Some(self.uses.count(kept, now))
    }

    /// The database of the next look: each as likely as it has keys.
    fn drawn_database(&mut self, expiring: bool) -> Option<u16> {
        let random = self.random_bits();
        let asked = |db| if expiring { self.expires(db) } else { self.len(db) };
        let count: usize = (0..self.databases()).map(asked).sum();
        let mut left = ((u128::from(random) * count as u128) >> 64) as usize;
        (0..self.databases()).find(|&db| {
            let own = asked(db);
            let is_it = left < own;
            left = left.wrapping_sub(own);
            is_it
        })
    }

    /// Chooses where a later look goes, and returns where the next one does. At first, and where
    /// nothing was found, several are chosen.
    fn next_look(&mut self, expiring: bool) -> Option<(u16, Place)> {
        let policy = &self.evictor.policy;
        // Of any that may go, one is as good as another: what is kept of them is not read.
        let reads = policy.choice != Choice::Random;
        let samples = if reads { policy.looks_at() } else { 0 };
        (0..=self.evictor.ahead.len()).find_map(|_| {
            let look = self.drawn_database(expiring).and_then(|db| {
                let random = self.random_bits();
                Some((db, self.databases[usize::from(db)].sample_place(random, expiring)?))
            });
            let [first, second] = self.evictor.ahead;
            self.evictor.ahead = [second, look];
            if let Some((db, place)) = second {
                self.databases[usize::from(db)].prefetch_sample(place, samples);
            }
            first
        })
    }

    /// Looks at some entries, of which the best become candidates.
    fn look_around(&mut self, now: Millis) {
        let policy = self.evictor.policy;
        let Some((db, place)) = self.next_look(policy.volatile) else { return };
        let mut evictor = std::mem::take(&mut self.evictor);
        let samples = policy.looks_at();
        let table = &self.databases[usize::from(db)];
        table.sample(place, samples, policy.volatile, &mut |entry| {
            self.offer(&mut evictor, (db, entry), &policy, now);
        });
        self.evictor = evictor;
    }

    fn offer(
        &self,
        evictor: &mut Evictor,
        (db, entry): (u16, &Entry),
        policy: &Policy,
        now: Millis,
    ) {
        let (kept, expiry) = match policy.choice {
            Choice::Random => (0, None),
            _ => (entry.seconds(), entry.expiry()),
        };
        let score = score(&self.uses, policy.choice, (kept, expiry), now);
        let full = evictor.candidates.len() == EVICT_CANDIDATES;
        if !full || evictor.candidates[0].score < score {
            let hash = self.hash(entry.key());
            evictor.offer(Candidate { score, db, hash, address: entry.address(), kept });
        }
    }

    /// Removes the key that the policy chooses, but none that `may_go` says must stay, by its hash;
    /// false if there was none to be found. Bounded: `EVICT_LOOKS_MAX` looks.
    pub(crate) fn evict(&mut self, now: Millis, may_go: &dyn Fn(u64) -> bool) -> bool {
        if !self.evictor.policy.evicts() || self.still {
            return false;
        }
        for _ in 0..EVICT_LOOKS_MAX {
            self.look_around(now);
            while let Some(candidate) = self.evictor.candidates.pop() {
                let Some(place) = self.place_of(&candidate, now) else { continue };
                if self.is_locked(candidate.hash) || !may_go(candidate.hash) {
                    continue;
                }
                if self.let_go(&candidate, place) {
                    return true;
                }
            }
        }
        false
    }

    /// Where a candidate lies, if it is still there and has not been used since.
    fn place_of(&self, candidate: &Candidate, now: Millis) -> Option<Place> {
        let table = &self.databases[usize::from(candidate.db)];
        let is = |entry: &Entry| entry.address() == candidate.address;
        let place = table.find_where(candidate.hash, &is)?;
        let entry = table.entry(place);
        let volatile = self.evictor.policy.volatile;
        let seen = (entry.seconds(), entry.expiry());
        let score = score(&self.uses, self.evictor.policy.choice, seen, now);
        let fits = (!volatile || entry.expires()) && score >= candidate.score;
        fits.then_some(place)
    }

    /// Removes an entry; false if a snapshot would have to write it in steps first.
    fn let_go(&mut self, candidate: &Candidate, place: Place) -> bool {
        let mut bytes = std::mem::take(&mut self.evictor.key);
        bytes.clear();
        bytes.extend_from_slice(self.databases[usize::from(candidate.db)].entry(place).key());
        let key = Key { db: candidate.db, hash: candidate.hash, bytes: &bytes };
        let goes = self.save_first(key);
        if goes {
            if self.evictor.policy.choice == Choice::Cache {
                let kept = self.databases[usize::from(key.db)].entry(place).seconds();
                let keys = (0..self.databases()).map(|db| self.len(db)).sum();
                self.ghosts.remember(key.hash, self.uses.halved(kept), keys);
            }
            self.bury(key, place);
            self.counters.evicted_keys += 1;
            self.touched(key.db, key.bytes, Change::Removed);
            self.notify(Class::EVICTED, "evicted", key);
        }
        self.evictor.key = bytes;
        goes
    }

    /// Bytes that would be free without all keys, and without those that have an expiry, about.
    pub(crate) fn evictable_bytes(&self) -> (usize, usize) {
        let each = self.databases.iter().map(|table| {
            let (sums, records) = (table.sums(), table.record_bytes());
            let volatile =
                (records as u128 * sums.expires as u128).div_ceil(sums.keys.max(1) as u128);
            (records, volatile as usize)
        });
        each.fold((0, 0), |all, own| (all.0 + own.0, all.1 + own.1))
    }

    /// How soon the next key of this shard would go, to be compared with that of others. Looks
    /// around now and then, since what was seen is used again, or gone.
    pub(crate) fn coldest(&mut self, now: Millis) -> u64 {
        let Evictor { policy, looked_at, .. } = self.evictor;
        if policy.evicts() && now >= looked_at + LOOK_EVERY_MS {
            self.evictor.looked_at = now;
            self.look_around(now);
        }
        let best = self.evictor.candidates.last();
        best.map_or(0, |best| match policy.choice {
            Choice::Ttl => best.score,
            choice => score(&self.uses, choice, (best.kept, None), now),
        })
    }
}

/// From one look around to the next, where nothing is evicted.
const LOOK_EVERY_MS: Millis = 100;

#[cfg(test)]
mod tests;
