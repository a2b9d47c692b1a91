//! A segment of the table: 4 KiB of buckets, each one cache line.
//!
//! A bucket is seven words, seven fingerprints and one byte of counts:
//!
//! | byte | what |
//! |---|---|
//! | 0-55 | seven words (`Entry`) |
//! | 56-62 | a fingerprint beside each |
//! | 63 | bits 0-2: entries of this home in the next bucket; bits 3-7: in the stash |
//!
//! An entry lies in its home bucket, else in the one after it, marked displaced, else in one of
//! the stash buckets. The counts say where a search must go on, so most stop after one line. The
//! home does not depend on the size of the table: a split leaves entries at their places.

use super::hash::{Hasher, fingerprint, home};
use super::prefetch;
use super::record::{Entry, TAG_BITS, tag};
use std::mem::replace;

const SLOTS: usize = 7;
/// Buckets of a segment that are the home of keys.
pub(crate) const HOMES: usize = 60;
const STASHES: usize = 4;
const BUCKETS: usize = HOMES + STASHES;
/// Places of a segment.
pub(crate) const PLACES: usize = BUCKETS * SLOTS;

const NEIGHBOUR: u64 = 1 << 56;
const STASHED: u64 = 1 << 59;
const STASHED_MASK: u64 = 0x1f << 59;
const LOW: u64 = 0x0001_0101_0101_0101;
const HIGH: u64 = 0x0080_8080_8080_8080;

const _: () = assert!(size_of::<Bucket>() == 64, "a bucket is one cache line");
const _: () = assert!(size_of::<Segment>() == 4096, "a segment is one page");
const _: () = assert!(STASHES * SLOTS < 32, "five bits count the stash");

#[repr(C, align(64))]
struct Bucket {
    entries: [Entry; SLOTS],
    /// Fingerprints in the low seven bytes, counts in the highest.
    tail: u64,
}

/// A page of buckets.
pub(crate) struct Segment {
    buckets: [Bucket; BUCKETS],
}

/// Where an entry lies in its segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Spot {
    bucket: u8,
    slot: u8,
}

impl Bucket {
    const EMPTY: Self = Self { entries: [const { Entry::EMPTY }; SLOTS], tail: 0 };

    /// Slots whose fingerprint may be `fingerprint`, as bits at 7, 15, ...: all that are, and
    /// rarely one that is not.
    #[inline]
    fn candidates(&self, fingerprint: u8) -> u64 {
        let differing = self.tail ^ (u64::from(fingerprint) * LOW);
        differing.wrapping_sub(LOW) & !differing & HIGH
    }

    #[inline]
    fn find(&self, hash: u64, is: &impl Fn(&Entry) -> bool) -> Option<u8> {
        let mut candidates = self.candidates(fingerprint(hash));
        while candidates != 0 {
            let slot = (candidates.trailing_zeros() / 8) as usize;
            let entry = &self.entries[slot];
            if entry.matches(tag(hash)) && is(entry) {
                return Some(slot as u8);
            }
            candidates &= candidates - 1;
        }
        None
    }

    fn free(&self) -> Option<u8> {
        self.entries.iter().position(Entry::is_empty).map(|slot| slot as u8)
    }

    fn put(&mut self, slot: u8, fingerprint: u8, entry: Entry) {
        let slot = usize::from(slot);
        debug_assert!(self.entries[slot].is_empty(), "a place holds one entry");
        self.entries[slot] = entry;
        self.tail &= !(0xff << (slot * 8));
        self.tail |= u64::from(fingerprint) << (slot * 8);
    }

    fn take(&mut self, slot: u8) -> Entry {
        replace(&mut self.entries[usize::from(slot)], Entry::EMPTY)
    }

    fn fingerprint(&self, slot: u8) -> u8 {
        (self.tail >> (slot * 8)) as u8
    }

    #[inline]
    fn neighbours(&self) -> u64 {
        (self.tail / NEIGHBOUR) & 7
    }

    #[inline]
    fn stashed(&self) -> u64 {
        self.tail / STASHED
    }
}

#[inline]
fn home_of(hash: u64) -> usize {
    home(hash, HOMES as u64)
}

#[inline]
fn after(bucket: usize) -> usize {
    if bucket + 1 == HOMES { 0 } else { bucket + 1 }
}

#[inline]
fn before(bucket: usize) -> usize {
    if bucket == 0 { HOMES - 1 } else { bucket - 1 }
}

impl Segment {
    pub(crate) fn new() -> Box<Self> {
        Box::new(Self { buckets: [const { Bucket::EMPTY }; BUCKETS] })
    }

    /// Where an entry with this hash lies of which `is` is true; it is asked of some others too.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is: &impl Fn(&Entry) -> bool) -> Option<Spot> {
        let home = home_of(hash);
        let bucket = &self.buckets[home];
        if let Some(slot) = bucket.find(hash, is) {
            return Some(Spot { bucket: home as u8, slot });
        }
        if bucket.tail / NEIGHBOUR == 0 { None } else { self.find_away(home, hash, is) }
    }

    fn find_away(&self, home: usize, hash: u64, is: &impl Fn(&Entry) -> bool) -> Option<Spot> {
        if self.buckets[home].neighbours() > 0 {
            let next = after(home);
            if let Some(slot) = self.buckets[next].find(hash, is) {
                return Some(Spot { bucket: next as u8, slot });
            }
        }
        if self.buckets[home].stashed() == 0 {
            return None;
        }
        (HOMES..BUCKETS).find_map(|bucket| {
            let slot = self.buckets[bucket].find(hash, is)?;
            Some(Spot { bucket: bucket as u8, slot })
        })
    }

    /// Where the home bucket of `hash` lies, to be prefetched.
    #[inline]
    pub(crate) fn address(&self, hash: u64) -> usize {
        std::ptr::from_ref(&self.buckets[home_of(hash)]).addr()
    }

    /// Where the record of `hash` seems to lie, to be prefetched.
    #[inline]
    pub(crate) fn record_address(&self, hash: u64) -> Option<usize> {
        let bucket = &self.buckets[home_of(hash)];
        let mut candidates = bucket.candidates(fingerprint(hash));
        while candidates != 0 {
            let entry = &bucket.entries[(candidates.trailing_zeros() / 8) as usize];
            if entry.matches(tag(hash)) {
                return Some(entry.address());
            }
            candidates &= candidates - 1;
        }
        None
    }

    #[inline]
    pub(crate) fn entry(&self, spot: Spot) -> &Entry {
        &self.buckets[usize::from(spot.bucket)].entries[usize::from(spot.slot)]
    }

    #[inline]
    pub(crate) fn entry_mut(&mut self, spot: Spot) -> &mut Entry {
        &mut self.buckets[usize::from(spot.bucket)].entries[usize::from(spot.slot)]
    }

    /// Puts an entry at the first free place of its home's; gives it back if there is none.
    pub(crate) fn insert(&mut self, hash: u64, entry: Entry) -> Result<(), Entry> {
        self.put_near(home_of(hash), fingerprint(hash), entry)
    }

    fn put_near(&mut self, home: usize, fingerprint: u8, mut entry: Entry) -> Result<(), Entry> {
        let next = after(home);
        if let Some(slot) = self.buckets[home].free() {
            self.buckets[home].put(slot, fingerprint, entry);
        } else if let Some(slot) = self.buckets[next].free() {
            entry.set_displaced(true);
            self.buckets[next].put(slot, fingerprint, entry);
            self.buckets[home].tail += NEIGHBOUR;
        } else {
            let stash = (0..STASHES).find_map(|n| {
                let bucket = HOMES + (home + n) % STASHES;
                Some((bucket, self.buckets[bucket].free()?))
            });
            let Some((bucket, slot)) = stash else { return Err(entry) };
            self.buckets[bucket].put(slot, fingerprint, entry);
            self.buckets[home].tail += STASHED;
        }
        Ok(())
    }

    /// Takes out the entry at `spot`, whose key has the hash `hash`.
    pub(crate) fn take(&mut self, spot: Spot, hash: u64) -> Entry {
        let bucket = usize::from(spot.bucket);
        let mut entry = self.buckets[bucket].take(spot.slot);
        if bucket >= HOMES {
            self.buckets[home_of(hash)].tail -= STASHED;
        } else if entry.displaced() {
            self.buckets[before(bucket)].tail -= NEIGHBOUR;
            entry.set_displaced(false);
        }
        entry
    }

    /// Moves the entries whose hash has a 1 at `bit`, counted from the top, to a new segment.
    /// Records are read only for the stash, and where the word does not keep so many bits.
    pub(crate) fn split(&mut self, bit: u8, hasher: &Hasher) -> Box<Self> {
        let mut other = Self::new();
        let mut stash = Vec::with_capacity(STASHES * SLOTS);
        for bucket in &mut self.buckets[HOMES..] {
            stash.extend(bucket.entries.iter_mut().map(|entry| replace(entry, Entry::EMPTY)));
        }
        for bucket in 0..HOMES {
            self.buckets[bucket].tail &= !STASHED_MASK;
            for slot in 0..SLOTS as u8 {
                let entry = &self.buckets[bucket].entries[usize::from(slot)];
                if entry.is_empty() || !goes(entry, bit, hasher) {
                    continue;
                }
                let fingerprint = self.buckets[bucket].fingerprint(slot);
                let entry = self.buckets[bucket].take(slot);
                if entry.displaced() {
                    self.buckets[before(bucket)].tail -= NEIGHBOUR;
                    other.buckets[before(bucket)].tail += NEIGHBOUR;
                }
                other.buckets[bucket].put(slot, fingerprint, entry);
            }
        }
        self.bring_home();
        other.bring_home();
        for entry in stash {
            if entry.is_empty() {
                continue;
            }
            let hash = hasher.hash(entry.key());
            let segment = if goes(&entry, bit, hasher) { &mut other } else { &mut *self };
            segment.insert(hash, entry).expect("an empty stash takes what one stash held");
        }
        other
    }

    /// True if all entries of another have room here beside its own, wherever they come from: what
    /// a bucket cannot take goes on to the next, and from there, at worst, to the stash.
    pub(crate) fn can_take(&self, other: &Self) -> bool {
        let held = |segment: &Self, bucket: usize| {
            segment.buckets[bucket].entries.iter().filter(|entry| !entry.is_empty()).count()
        };
        let stash = |segment: &Self| (HOMES..BUCKETS).map(|at| held(segment, at)).sum::<usize>();
        let both = |bucket| held(self, bucket) + held(other, bucket);
        let too_many: usize = (0..HOMES).map(|bucket| both(bucket).saturating_sub(SLOTS)).sum();
        stash(self) + stash(other) + 2 * too_many <= STASHES * SLOTS / 2
    }

    /// Takes all entries of another, for which it has room.
    pub(crate) fn absorb(&mut self, mut other: Box<Self>, hasher: &Hasher) {
        for bucket in 0..BUCKETS {
            for slot in 0..SLOTS as u8 {
                if other.buckets[bucket].entries[usize::from(slot)].is_empty() {
                    continue;
                }
                let fingerprint = other.buckets[bucket].fingerprint(slot);
                let mut entry = other.buckets[bucket].take(slot);
                let home = match bucket {
                    HOMES.. => home_of(hasher.hash(entry.key())),
                    bucket if entry.displaced() => before(bucket),
                    bucket => bucket,
                };
                entry.set_displaced(false);
                self.put_near(home, fingerprint, entry).expect("there is room for all");
            }
        }
    }

    /// Moves displaced entries to their homes where there is room again.
    fn bring_home(&mut self) {
        for bucket in 0..HOMES {
            let home = before(bucket);
            for slot in 0..SLOTS as u8 {
                let entry = &self.buckets[bucket].entries[usize::from(slot)];
                if !entry.displaced() {
                    continue;
                }
                let Some(free) = self.buckets[home].free() else { break };
                let fingerprint = self.buckets[bucket].fingerprint(slot);
                let mut entry = self.buckets[bucket].take(slot);
                entry.set_displaced(false);
                self.buckets[home].put(free, fingerprint, entry);
                self.buckets[home].tail -= NEIGHBOUR;
            }
        }
    }

    /// Shows every entry.
    pub(crate) fn each(&self, mut visit: impl FnMut(&Entry)) {
        self.iter().for_each(&mut visit);
    }

    /// Every entry.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        let entries = self.buckets.iter().flat_map(|bucket| &bucket.entries);
        entries.filter(|entry| !entry.is_empty())
    }

    /// Shows every entry, to be marked, as long as `visit` says so; true if it saw all. What comes
    /// next is on its way from memory meanwhile.
    pub(crate) fn each_mut(&mut self, visit: &mut dyn FnMut(&mut Entry) -> bool) -> bool {
        for bucket in 0..BUCKETS {
            if let Some(next) = self.buckets.get(bucket + 1) {
                let records = next.entries.iter().filter(|entry| !entry.is_empty());
                records.for_each(|entry| prefetch::line(entry.address()));
            }
            let mut entries = self.buckets[bucket].entries.iter_mut();
            if !{ entries.by_ref() }.filter(|entry| !entry.is_empty()).all(&mut *visit) {
                return false;
            }
        }
        true
    }

    /// Gives away every entry.
    pub(crate) fn into_each(mut self: Box<Self>, mut take: impl FnMut(Entry)) {
        let entries = self.buckets.iter_mut().flat_map(|bucket| &mut bucket.entries);
        entries
            .filter(|entry| !entry.is_empty())
            .for_each(|entry| take(replace(entry, Entry::EMPTY)));
    }

    /// Shows every entry whose home is bucket `home`, wherever it lies.
    pub(crate) fn each_of_home(&self, home: usize, hasher: &Hasher, visit: &mut dyn FnMut(&Entry)) {
        let bucket = &self.buckets[home];
        let at_home = bucket.entries.iter().filter(|entry| !entry.is_empty());
        at_home.filter(|entry| !entry.displaced()).for_each(&mut *visit);
        if bucket.neighbours() > 0 {
            let next = &self.buckets[after(home)].entries;
            next.iter().filter(|entry| entry.displaced()).for_each(&mut *visit);
        }
        if bucket.stashed() > 0 {
            let stash = self.buckets[HOMES..].iter().flat_map(|bucket| &bucket.entries);
            stash
                .filter(|entry| !entry.is_empty() && home_of(hasher.hash(entry.key())) == home)
                .for_each(visit);
        }
    }

    /// The first place of the bucket in which place number `index` is.
    pub(crate) fn line_spot(index: usize) -> Spot {
        Spot { bucket: (index / SLOTS) as u8, slot: 0 }
    }

    /// All places, from one on and round.
    pub(crate) fn spots_from(&self, first: Spot) -> impl Iterator<Item = Spot> + use<> {
        let start = usize::from(first.bucket) * SLOTS + usize::from(first.slot);
        (start..start + PLACES).map(|index| Self::spot(index % PLACES))
    }

    /// The place number `index` of `PLACES`.
    pub(crate) fn spot(index: usize) -> Spot {
        Spot { bucket: (index / SLOTS) as u8, slot: (index % SLOTS) as u8 }
    }
}

fn goes(entry: &Entry, bit: u8, hasher: &Hasher) -> bool {
    if bit < TAG_BITS {
        return entry.hash_bit(bit);
    }
    hasher.hash(entry.key()) >> (63 - bit) & 1 == 1
}
