//! A table of records: a directory of segments that grows one segment at a time. A database is
//! one, and so is every large hash, set and sorted set.
//!
//! The directory is indexed by the top bits of the hash and names a segment; several of its
//! places may name the same. A segment that overflows is split in two by one more bit; only where
//! it was named once does the directory double, which copies 4 bytes a place. So no insertion
//! costs more than a page or so of work. `compact` joins segments again of which little is left.
//!
//! `segment` holds entries, `record` owns their memory, `hash` says which bits of a hash mean what.

mod compact;
mod hash;
#[allow(unsafe_code)] // Room: a hint to the processor.
pub(crate) mod prefetch;
#[allow(unsafe_code)] // Room: tagged pointers to records. Model test in `record/tests.rs`.
mod record;
mod sample;
mod segment;
#[allow(unsafe_code)] // Room: memory for records. Model test at its foot.
mod slab;

pub(crate) use hash::Hasher;
pub(crate) use record::Entry;
pub(crate) use slab::Heap;

use crate::limits::DIRECTORY_DEPTH_MAX;
use crate::shard::Millis;
use hash::prefix;
use segment::{HOMES, PLACES, Segment, Spot};

/// The entries of one table, and what they add up to.
#[derive(Default)]
pub(crate) struct Table {
    /// Indexes of segments, by the top `depth` bits of the hash; empty until the first insertion.
    directory: Vec<u32>,
    depth: u8,
    segments: Vec<Box<Segment>>,
    /// Beside each segment, so that sweeps and scans pass over it without touching its page.
    counts: Vec<Counts>,
    keys: usize,
    expires: usize,
    /// Bytes of records and objects.
    record_bytes: usize,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// What is known of a segment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Counts {
    keys: u16,
    expires: u16,
    /// Hash bits that its keys share.
    depth: u8,
    /// These bits.
    prefix: u32,
}

/// Where an entry lies, until the table is changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    segment: u32,
    spot: Spot,
}

/// What a table adds up to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Sums {
    pub(crate) keys: usize,
    pub(crate) expires: usize,
    pub(crate) bytes: usize,
}

impl Table {
    /// Keys, keys with an expiry, and bytes of records, objects and the table itself.
    pub(crate) fn sums(&self) -> Sums {
        let bytes = self.record_bytes + self.table_bytes();
        Sums { keys: self.keys, expires: self.expires, bytes }
    }

    fn table_bytes(&self) -> usize {
        self.segments.len() * size_of::<Segment>()
            + self.segments.capacity() * size_of::<Box<Segment>>()
            + self.directory.capacity() * size_of::<u32>()
            + self.counts.capacity() * size_of::<Counts>()
    }

    /// The sums found by looking at every entry, and whether all that is counted agrees.
    pub(crate) fn recount(&self) -> Sums {
        let mut sums = Sums { bytes: self.table_bytes(), ..Sums::default() };
        for (segment, counts) in self.segments.iter().zip(&self.counts) {
            let mut found = Counts { keys: 0, expires: 0, ..*counts };
            segment.each(|entry| {
                found.keys += 1;
                found.expires += u16::from(entry.expires());
                sums.bytes += entry.bytes();
            });
            assert_eq!(found, *counts, "what is counted of a segment is what is in it");
            sums.keys += usize::from(found.keys);
            sums.expires += usize::from(found.expires);
        }
        sums
    }

    /// Bytes of records and objects.
    pub(crate) fn record_bytes(&self) -> usize {
        self.record_bytes
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.keys
    }

    #[inline]
    pub(crate) fn expires(&self) -> usize {
        self.expires
    }

    #[inline]
    fn segment_of(&self, hash: u64) -> Option<u32> {
        self.directory.get(prefix(hash, self.depth)).copied()
    }

    /// Where `key` lies; `hash` is its own.
    #[inline]
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<Place> {
        self.find_where(hash, &|entry| entry.key() == key)
    }

    /// Where an entry with this hash lies of which `is` is true; it is asked of some others too.
    #[inline]
    pub(crate) fn find_where(&self, hash: u64, is: &impl Fn(&Entry) -> bool) -> Option<Place> {
        let segment = self.segment_of(hash)?;
        let spot = self.segments[segment as usize].find(hash, is)?;
        Some(Place { segment, spot })
    }

    /// The address of the bucket where a search for `hash` begins.
    #[inline]
    pub(crate) fn bucket_address(&self, hash: u64) -> Option<usize> {
        let segment = self.segment_of(hash)?;
        Some(self.segments[segment as usize].address(hash))
    }

    /// The address of the record that `hash` most likely leads to.
    #[inline]
    pub(crate) fn record_address(&self, hash: u64) -> Option<usize> {
        let segment = self.segment_of(hash)?;
        self.segments[segment as usize].record_address(hash)
    }

    #[inline]
    pub(crate) fn entry(&self, place: Place) -> &Entry {
        self.segments[place.segment as usize].entry(place.spot)
    }

    /// Notes an access.
    #[inline]
    pub(crate) fn touch(&mut self, place: Place, seconds: u32) {
        self.segments[place.segment as usize].entry_mut(place.spot).touch(seconds);
    }

    /// An entry, to be changed; the caller says with `resized` what that did to its size.
    #[inline]
    pub(crate) fn entry_mut(&mut self, place: Place) -> &mut Entry {
        self.segments[place.segment as usize].entry_mut(place.spot)
    }

    /// Counts what a change did to an entry that had `before` bytes.
    #[inline]
    pub(crate) fn resized(&mut self, place: Place, before: usize) {
        self.record_bytes = self.record_bytes - before + self.entry(place).bytes();
    }

    /// Changes an entry, and counts what that changed.
    #[inline]
    pub(crate) fn edit<T>(&mut self, place: Place, change: impl FnOnce(&mut Entry) -> T) -> T {
        let index = place.segment as usize;
        let entry = self.segments[index].entry_mut(place.spot);
        let (bytes, expires) = (entry.bytes(), entry.expires());
        let result = change(entry);
        self.record_bytes = self.record_bytes - bytes + entry.bytes();
        match (expires, entry.expires()) {
            (false, true) => {
                self.expires += 1;
                self.counts[index].expires += 1;
            }
            (true, false) => {
                self.expires -= 1;
                self.counts[index].expires -= 1;
            }
            _ => {}
        }
        result
    }

    /// Adds an entry whose key has the hash `hash` and is not in the table.
    pub(crate) fn insert(&mut self, hash: u64, mut entry: Entry, hasher: &Hasher) {
        if self.directory.is_empty() {
            self.directory.push(0);
            self.segments.push(Segment::new());
            self.counts.push(Counts::default());
        }
        let (bytes, expires) = (entry.bytes(), entry.expires());
        loop {
            let index = self.directory[prefix(hash, self.depth)] as usize;
            match self.segments[index].insert(hash, entry) {
                Ok(()) => {
                    self.counts[index].keys += 1;
                    self.counts[index].expires += u16::from(expires);
                    break;
                }
                Err(refused) => entry = refused,
            }
            self.split(hash, hasher);
        }
        self.keys += 1;
        self.expires += usize::from(expires);
        self.record_bytes += bytes;
    }

    /// Takes an entry out; `hash` is that of its key.
    pub(crate) fn take(&mut self, place: Place, hash: u64) -> Entry {
        let index = place.segment as usize;
        let entry = self.segments[index].take(place.spot, hash);
        self.keys -= 1;
        self.record_bytes -= entry.bytes();
        self.counts[index].keys -= 1;
        if entry.expires() {
            self.expires -= 1;
            self.counts[index].expires -= 1;
        }
        entry
    }

    /// Splits the segment that `hash` leads to by one more bit.
    fn split(&mut self, hash: u64, hasher: &Hasher) {
        let index = self.directory[prefix(hash, self.depth)] as usize;
        let depth = self.counts[index].depth;
        if depth == self.depth {
            self.double();
        }
        let segment = self.segments[index].split(depth, hasher);
        let shared = self.counts[index].prefix << 1;
        let mut moved = Counts { depth: depth + 1, prefix: shared | 1, ..Counts::default() };
        segment.each(|entry| {
            moved.keys += 1;
            moved.expires += u16::from(entry.expires());
        });
        let counts = &mut self.counts[index];
        counts.depth = depth + 1;
        counts.prefix = shared;
        counts.keys -= moved.keys;
        counts.expires -= moved.expires;
        let new = self.segments.len() as u32;
        self.segments.push(segment);
        self.counts.push(moved);
        // The places that named the segment are one aligned run; its upper half has the 1 bit.
        let run = 1 << (self.depth - depth);
        let start = prefix(hash, self.depth) & !(run - 1);
        self.directory[start + run / 2..start + run].fill(new);
    }

    fn double(&mut self) {
        // More than seven in ten keys would have to share this many bits of a keyed hash.
        assert!(self.depth < DIRECTORY_DEPTH_MAX, "keys spread over segments");
        let mut directory = Vec::with_capacity(self.directory.len() * 2);
        directory.extend(self.directory.iter().flat_map(|&segment| [segment, segment]));
        self.directory = directory;
        self.depth += 1;
    }

    /// Every entry.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.segments.iter().flat_map(|segment| segment.iter())
    }

    /// Shows every entry.
    pub(crate) fn each(&self, mut visit: impl FnMut(&Entry)) {
        self.segments.iter().for_each(|segment| segment.each(&mut visit));
    }

    /// Shows the entries from `position` on, home by home, until at least `count` have been seen
    /// or ten times as many homes visited. Returns the position to go on from, or none at the
    /// end. Between calls the table may grow: keys keep their prefix and home, so none is missed.
    /// Where segments have joined meanwhile, what one of them had shown is shown again.
    pub(crate) fn scan(
        &self,
        position: Position,
        count: usize,
        hasher: &Hasher,
        visit: &mut dyn FnMut(&Entry),
    ) -> Option<Position> {
        let Position { mut prefix, mut home, depth } = position;
        let (mut seen, mut homes) = (0usize, 0usize);
        while prefix < 1 << DIRECTORY_DEPTH_MAX {
            let place = prefix >> (DIRECTORY_DEPTH_MAX - self.depth);
            let index = *self.directory.get(place as usize)? as usize;
            let counts = self.counts[index];
            if home > 0 && counts.depth < depth {
                // Of what has joined since, only the one of these that was begun had homes shown.
                prefix &= !((1 << (DIRECTORY_DEPTH_MAX - counts.depth)) - 1);
                home = 0;
            }
            // A segment with nothing in it costs as much as one home.
            while home < HOMES && counts.keys > 0 {
                self.segments[index].each_of_home(home, hasher, &mut |entry| {
                    seen += 1;
                    visit(entry);
                });
                home += 1;
                homes += 1;
                if seen >= count || homes >= count.saturating_mul(10) {
                    return Position { prefix, home, depth: counts.depth }.checked();
                }
            }
            let span = 1 << (DIRECTORY_DEPTH_MAX - counts.depth);
            prefix = (prefix & !(span - 1)) + span;
            home = 0;
            homes += 1;
            if homes >= count.saturating_mul(10) {
                return Position { prefix, home, depth: counts.depth }.checked();
            }
        }
        None
    }

    /// Shows the entries of a segment, to be marked, as long as `visit` says so; true if it saw
    /// all, and none once there is no such segment. What a split moves goes to segments behind all
    /// others, so who goes on until there is none has seen all, if not each in one go.
    pub(crate) fn each_of_segment(
        &mut self,
        segment: usize,
        visit: &mut dyn FnMut(&mut Entry) -> bool,
    ) -> Option<bool> {
        Some(self.segments.get_mut(segment)?.each_mut(visit))
    }

    /// Any place, each as likely as any other; `random` is 64 random bits.
    pub(crate) fn any_place(&self, random: u64) -> Option<Place> {
        let count = self.segments.len() as u64;
        let segment = ((random >> 32) * count) >> 32;
        let index = ((random & 0xffff_ffff) * PLACES as u64) >> 32;
        (count > 0).then(|| Place { segment: segment as u32, spot: Segment::spot(index as usize) })
    }

    /// The first entry at or after a place, going round.
    pub(crate) fn occupied_from(&self, place: Place) -> Option<Place> {
        let count = self.segments.len();
        let start = place.segment as usize;
        let segment = (start..start + count)
            .map(|index| index % count)
            .find(|&index| self.counts[index].keys > 0)?;
        let spots = (0..PLACES).map(Segment::spot);
        let spot = { spots }.find(|&spot| !self.segments[segment].entry(spot).is_empty())?;
        Some(Place { segment: segment as u32, spot })
    }

    /// Counts segments from `segment` on that hold nothing with an expiry, up to `most`.
    pub(crate) fn without_expiry(&self, segment: usize, most: usize) -> usize {
        let rest = self.counts.get(segment..).unwrap_or_default();
        rest.iter().take(most).take_while(|counts| counts.expires == 0).count()
    }

    /// How many segments there are.
    pub(crate) fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Places in a segment of keys due at `now`, and how many with an expiry were looked at, with
    /// the sum of the milliseconds that those not due still have.
    pub(crate) fn due(&self, segment: usize, now: Millis, due: &mut Vec<Place>) -> (usize, u64) {
        let (mut seen, mut left) = (0, 0);
        for index in 0..PLACES {
            let spot = Segment::spot(index);
            if index + SPOTS_AHEAD < PLACES {
                let ahead = self.segments[segment].entry(Segment::spot(index + SPOTS_AHEAD));
                if ahead.expires() {
                    prefetch::line(ahead.address());
                }
            }
            let entry = self.segments[segment].entry(spot);
            let Some(expiry) = entry.expiry() else { continue };
            seen += 1;
            if entry.is_due(now) {
                due.push(Place { segment: segment as u32, spot });
            } else {
                left += expiry - now;
            }
        }
        (seen, left)
    }

    /// Takes apart up to `count` segments and gives what they held to `bury`; true while some are
    /// left. For a table that nobody looks into any more.
    pub(crate) fn free_some(&mut self, count: usize, bury: &mut dyn FnMut(Entry)) -> bool {
        self.directory = Vec::new();
        for _ in 0..count {
            let Some(segment) = self.segments.pop() else { break };
            let counts = self.counts.pop().unwrap_or_default();
            self.keys -= usize::from(counts.keys);
            self.expires -= usize::from(counts.expires);
            segment.into_each(|entry| {
                self.record_bytes -= entry.bytes();
                bury(entry);
            });
        }
        !self.segments.is_empty()
    }
}

/// Places of a segment of which the records are loaded ahead, where many are read.
const SPOTS_AHEAD: usize = 14;

/// How far a scan has come: a prefix of `DIRECTORY_DEPTH_MAX` bits, and a home in its segment, with
/// the bits that segment's keys shared then.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Position {
    prefix: u64,
    home: usize,
    depth: u8,
}

const HOME_BITS: u32 = 6;
const DEPTH_BITS: u32 = 5;
const _: () = assert!(DIRECTORY_DEPTH_MAX < 1 << DEPTH_BITS, "a position has so many bits for it");
const _: () = assert!(HOMES < 1 << HOME_BITS, "a position has so many bits for the home");

impl Position {
    /// From the number a client was given, or made up.
    pub(crate) fn decode(number: u64) -> Self {
        let depth = (number & ((1 << DEPTH_BITS) - 1)) as u8;
        let home = (number >> DEPTH_BITS & ((1 << HOME_BITS) - 1)) as usize;
        Self { prefix: number >> (HOME_BITS + DEPTH_BITS), home, depth }
    }

    /// The number that stands for it: 0 is the start, and only that.
    pub(crate) fn encode(self) -> u64 {
        // The start of a segment is the same however many bits it has: 0 is the start of all.
        let depth = if self.home == 0 { 0 } else { u64::from(self.depth) };
        (self.prefix << HOME_BITS | self.home as u64) << DEPTH_BITS | depth
    }

    fn checked(self) -> Option<Self> {
        (self.prefix < 1 << DIRECTORY_DEPTH_MAX).then_some(self)
    }
}
