//! Extendible hashing over small buckets that are about as large as what they hold.
//!
//! A directory, indexed by the top bits of the hash, names segments of `BUCKETS` buckets; the next
//! bits that the directory will never use say which. A segment whose buckets are full on average
//! splits in two by one more bit, which moves half of some hundred entries. So no insertion costs
//! more than that, and memory is nowhere reserved for what is not there: a bucket takes what its
//! entries take. A few entries lie in one bucket alone.
//!
//! What an entry is, the bucket knows: it finds, adds and removes, and says for each entry the top
//! 32 bits of its hash.

use super::growth::size_class;
use super::pool::{Pool, SLOT_BYTES_MIN, Slot};
use super::runs::{RUNS, Runs};
use crate::limits::{FIELDS_FEW_MAX, FIELDS_SPLITS_MAX};

/// Buckets of a segment: a power of two.
const BUCKETS: usize = RUNS;
/// Bytes that a copied bucket has to spare for what is added.
const EDIT_BYTES: usize = 64;
/// Bits of the hash that choose among them.
const BUCKET_BITS: u8 = BUCKETS.trailing_zeros() as u8;

const _: () = assert!(BUCKETS.is_power_of_two(), "bits choose a bucket");
const _: () = assert!(
    FIELDS_SPLITS_MAX + BUCKET_BITS <= 32,
    "of the top 32 bits, some choose the segment and others the bucket"
);

/// A few entries, while they are changed; else they are a run of bytes, and what is apart.
pub(super) trait Bucket: Sized {
    /// Entries of a bucket, above which, on average, those of a segment are split.
    const FULL: usize;
    /// What says the hash of an entry.
    type Hashing<'h>: Copy;
    /// What it owns beside its bytes.
    type Apart: Clone + Default + std::fmt::Debug;
    /// A bucket, to be read.
    type View<'a>: Copy;

    /// A bucket, to be read.
    fn view<'a>(bytes: &'a [u8], apart: &'a Self::Apart) -> Self::View<'a>;
    /// How many entries these bytes are.
    fn len(bytes: &[u8]) -> usize;
    /// Bytes of memory that what is apart takes.
    fn apart_bytes(apart: &Self::Apart) -> usize;
    /// A bucket, to be changed.
    fn own(bytes: Vec<u8>, apart: Self::Apart) -> Self;
    /// What it is kept as.
    fn into_parts(self) -> (Vec<u8>, Self::Apart);
    /// Parts the entries for which `moves` is true, asked with the top 32 bits of the hash of
    /// each, from the others, which come first.
    fn split(self, hashing: Self::Hashing<'_>, moves: impl Fn(u32) -> bool) -> (Self, Self);
    /// Adds copies of all entries of another.
    fn append(&mut self, other: Self::View<'_>);
}

/// The top 32 bits of a hash.
#[inline]
pub(super) fn top(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Buckets that share their first bits.
#[derive(Debug)]
struct Segment<B: Bucket> {
    runs: Runs,
    slot: Slot,
    apart: [B::Apart; BUCKETS],
    len: u32,
    /// Bits of the hash that all entries share.
    depth: u8,
}

impl<B: Bucket> Segment<B> {
    /// A segment with these buckets, of this number.
    fn of(
        pool: &mut Pool,
        number: usize,
        buckets: [(Vec<u8>, B::Apart); BUCKETS],
        depth: u8,
    ) -> Box<Self> {
        let mut all = Vec::new();
        buckets.iter().for_each(|(bytes, _)| all.extend_from_slice(bytes));
        let lens = std::array::from_fn(|index| buckets[index].0.len());
        let len: usize = buckets.iter().map(|(bytes, _)| B::len(bytes)).sum();
        let slot = pool.allocate(all.len(), number as u32);
        let runs = Runs::lay(pool.slot_mut(slot), &all, lens);
        Box::new(Self {
            runs,
            slot,
            apart: buckets.map(|(_, apart)| apart),
            len: len as u32,
            depth,
        })
    }

    #[inline]
    fn run<'s>(&'s self, pool: &'s Pool, index: usize) -> &'s [u8] {
        self.runs.run(pool.slot(self.slot), index)
    }

    #[inline]
    fn view<'s>(&'s self, pool: &'s Pool, index: usize) -> B::View<'s> {
        B::view(self.run(pool, index), &self.apart[index])
    }

    fn views<'s>(&'s self, pool: &'s Pool) -> impl Iterator<Item = B::View<'s>> {
        (0..BUCKETS).map(|index| self.view(pool, index))
    }

    /// Bytes of memory of what is apart.
    fn apart_bytes(&self) -> usize {
        self.apart.iter().map(B::apart_bytes).sum()
    }

    /// A copy of a bucket, without what is apart, which goes with it.
    fn take(&mut self, pool: &Pool, index: usize) -> B {
        let run = self.runs.run(pool.slot(self.slot), index);
        let mut bytes = Vec::with_capacity(run.len() + EDIT_BYTES);
        bytes.extend_from_slice(run);
        B::own(bytes, std::mem::take(&mut self.apart[index]))
    }
}

/// A bucket alone.
#[derive(Debug)]
struct Few<B: Bucket> {
    bytes: Vec<u8>,
    apart: B::Apart,
}

impl<B: Bucket> Default for Few<B> {
    fn default() -> Self {
        Self { bytes: Vec::new(), apart: B::Apart::default() }
    }
}

impl<B: Bucket> Few<B> {
    fn bytes(&self) -> usize {
        self.bytes.capacity() + B::apart_bytes(&self.apart)
    }

    fn view(&self) -> B::View<'_> {
        B::view(&self.bytes, &self.apart)
    }

    fn take(&mut self) -> B {
        B::own(std::mem::take(&mut self.bytes), std::mem::take(&mut self.apart))
    }
}

/// Entries by the hash of their names.
#[derive(Debug)]
pub(super) struct Extendible<B: Bucket> {
    /// Holds everything as long as there are no segments.
    few: Few<B>,
    directory: Vec<u32>,
    depth: u8,
    segments: Vec<Box<Segment<B>>>,
    /// Where the buckets of segments lie.
    pool: Pool,
    len: usize,
    /// Bytes that few owns, or what is apart of the segments.
    owned_bytes: usize,
}

impl<B: Bucket> Default for Extendible<B> {
    fn default() -> Self {
        Self {
            few: Few::default(),
            directory: Vec::new(),
            depth: 0,
            segments: Vec::new(),
            pool: Pool::default(),
            len: 0,
            owned_bytes: 0,
        }
    }
}

/// The bucket of a segment.
#[inline]
fn bucket_of(top: u32) -> usize {
    top as usize % BUCKETS
}

impl<B: Bucket> Extendible<B> {
    /// How many entries.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of memory that it owns.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.owned_bytes
            + self.pool.bytes()
            + self.segments.len() * size_of::<Segment<B>>()
            + self.segments.capacity() * size_of::<Box<Segment<B>>>()
            + self.directory.capacity() * size_of::<u32>()
    }

    #[inline]
    fn segment_of(&self, top: u32) -> usize {
        // In two steps, since no bits at all is a shift by the whole width.
        self.directory[((top >> 1) >> (31 - self.depth)) as usize] as usize
    }

    /// The bucket of an entry whose hash begins with `top`.
    #[inline]
    pub(super) fn bucket(&self, top: u32) -> B::View<'_> {
        if self.segments.is_empty() {
            return self.few.view();
        }
        self.segments[self.segment_of(top)].view(&self.pool, bucket_of(top))
    }

    /// The bytes of that bucket, which may be changed to those of as many entries.
    #[inline]
    pub(super) fn bucket_mut(&mut self, top: u32) -> &mut [u8] {
        if self.segments.is_empty() {
            return &mut self.few.bytes;
        }
        let segment = &self.segments[self.segment_of(top)];
        segment.runs.run_mut(self.pool.slot_mut(segment.slot), bucket_of(top))
    }

    /// Changes the bucket of an entry whose hash begins with `top`, and counts what that changed.
    pub(super) fn edit<T>(
        &mut self,
        top: u32,
        hashing: B::Hashing<'_>,
        change: impl FnOnce(&mut B) -> T,
    ) -> T {
        let (len, now, result);
        if self.segments.is_empty() {
            let mut bucket = self.few.take();
            len = self.len;
            result = change(&mut bucket);
            (self.few.bytes, self.few.apart) = bucket.into_parts();
            now = B::len(&self.few.bytes);
            self.owned_bytes = self.few.bytes();
        } else {
            let (index, at) = (self.segment_of(top), bucket_of(top));
            let segment = &mut *self.segments[index];
            let before = B::apart_bytes(&segment.apart[at]);
            len = B::len(segment.run(&self.pool, at));
            let mut bucket = segment.take(&self.pool, at);
            result = change(&mut bucket);
            let (bytes, apart) = bucket.into_parts();
            now = B::len(&bytes);
            self.owned_bytes = self.owned_bytes - before + B::apart_bytes(&apart);
            segment.apart[at] = apart;
            segment.len = segment.len - len as u32 + now as u32;
            let slot = self.pool.slot_mut(segment.slot);
            let room = slot.len();
            let fits = segment.runs.put(slot, at, &bytes);
            if !fits || segment.runs.len() < room / 2 && room > SLOT_BYTES_MIN {
                self.refit(index, at, &bytes);
            }
        }
        self.len = self.len - len + now;
        if now > len {
            self.make_room(top, hashing);
        } else if now < len {
            self.lessen();
        }
        result
    }

    /// Moves a segment to a slot of the size that its runs need with these bytes in the place of
    /// one of them.
    #[cold]
    fn refit(&mut self, index: usize, at: usize, bytes: &[u8]) {
        let (old, runs) = (self.segments[index].slot, &self.segments[index].runs);
        let new = self.pool.allocate(runs.len_with(at, bytes.len()), index as u32);
        let (from, to) = self.pool.slots(old, new);
        let runs = runs.moved(from, to, at, bytes);
        self.release(index);
        let segment = &mut *self.segments[index];
        (segment.slot, segment.runs) = (new, runs);
    }

    /// Gives the slot of a segment back; another may have its place then.
    fn release(&mut self, index: usize) {
        let slot = self.segments[index].slot;
        if let Some(moved) = self.pool.release(slot) {
            self.segments[moved as usize].slot = slot;
        }
    }

    /// Splits what has grown too large.
    fn make_room(&mut self, top: u32, hashing: B::Hashing<'_>) {
        if self.segments.is_empty() {
            if self.len > FIELDS_FEW_MAX {
                self.begin_segments(hashing);
            }
            return;
        }
        loop {
            let segment = &self.segments[self.segment_of(top)];
            if segment.len as usize <= B::FULL * BUCKETS || segment.depth == FIELDS_SPLITS_MAX {
                return;
            }
            self.split(top, hashing);
        }
    }

    /// Spreads what lay in one bucket.
    fn begin_segments(&mut self, hashing: B::Hashing<'_>) {
        let mut rest = Some(self.few.take());
        let buckets = std::array::from_fn(|index| {
            let few = rest.take().expect("each bucket leaves the rest");
            let (few, bucket) = few.split(hashing, |top| bucket_of(top) == index);
            rest = Some(few);
            bucket.into_parts()
        });
        let segment = Segment::of(&mut self.pool, 0, buckets, 0);
        self.owned_bytes = segment.apart_bytes();
        self.segments.push(segment);
        self.directory.push(0);
        self.depth = 0;
    }

    /// Splits the segment that `top` leads to by one more bit.
    fn split(&mut self, top: u32, hashing: B::Hashing<'_>) {
        let index = self.segment_of(top);
        let depth = self.segments[index].depth;
        if depth == self.depth {
            let doubled = self.directory.iter().flat_map(|&segment| [segment, segment]);
            self.directory = doubled.collect();
            self.depth += 1;
        }
        let segment = &mut *self.segments[index];
        let mut kept = std::array::from_fn(|_| (Vec::new(), B::Apart::default()));
        self.owned_bytes -= segment.apart_bytes();
        let moved = std::array::from_fn(|at| {
            let bucket = segment.take(&self.pool, at);
            let (stays, moves) = bucket.split(hashing, |top| top >> (31 - depth) & 1 == 1);
            kept[at] = stays.into_parts();
            moves.into_parts()
        });
        self.release(index);
        let new = self.segments.len() as u32;
        let segment = Segment::of(&mut self.pool, index, kept, depth + 1);
        let other = Segment::of(&mut self.pool, new as usize, moved, depth + 1);
        self.owned_bytes += segment.apart_bytes() + other.apart_bytes();
        self.segments[index] = segment;
        self.segments.push(other);
        if self.pool.should_share() {
            let segments = &mut self.segments;
            self.pool.share(|owner, slot| segments[owner as usize].slot = slot);
        }
        // The places that named the segment are one aligned run; its upper half has the 1 bit.
        let run = 1 << (self.depth - depth);
        let place = ((top >> 1) >> (31 - self.depth)) as usize;
        let start = place & !(run - 1);
        self.directory[start + run / 2..start + run].fill(new);
    }

    /// Goes back to one bucket once little is left: segments never join.
    fn lessen(&mut self) {
        if self.len > FIELDS_FEW_MAX / 4 || self.segments.is_empty() {
            return;
        }
        let mut bucket = Few::default().take();
        self.views().for_each(|view| B::append(&mut bucket, view));
        let (mut bytes, apart) = bucket.into_parts();
        bytes.shrink_to(size_class(bytes.len()));
        let few = Few { bytes, apart };
        *self = Self { len: self.len, owned_bytes: few.bytes(), few, ..Self::default() };
    }

    /// Every bucket, in no order.
    pub(super) fn views(&self) -> impl Iterator<Item = B::View<'_>> {
        let many = self.segments.iter().flat_map(|segment| segment.views(&self.pool));
        self.segments.is_empty().then(|| self.few.view()).into_iter().chain(many)
    }

    /// Shows whole buckets from `position` on (0 is the start) until they held `count` entries, or
    /// ten times as many buckets were shown. Returns where to go on, or none at the end. Between
    /// calls it may grow: entries keep their bits, so none is missed.
    pub(super) fn scan(
        &self,
        position: u64,
        count: usize,
        mut visit: impl FnMut(B::View<'_>),
    ) -> Option<u64> {
        if self.segments.is_empty() {
            visit(self.few.view());
            return None;
        }
        let (mut prefix, mut at) = (position >> BUCKET_BITS, position as usize % BUCKETS);
        let (mut seen, mut shown) = (0, 0);
        while prefix < 1 << FIELDS_SPLITS_MAX {
            let place = prefix >> (FIELDS_SPLITS_MAX - self.depth);
            let segment = &self.segments[self.directory[place as usize] as usize];
            while at < BUCKETS {
                seen += B::len(segment.run(&self.pool, at));
                visit(segment.view(&self.pool, at));
                at += 1;
                shown += 1;
                if seen >= count || shown >= count.saturating_mul(10) {
                    break;
                }
            }
            if at == BUCKETS {
                let span = 1 << (FIELDS_SPLITS_MAX - segment.depth);
                prefix = (prefix & !(span - 1)) + span;
                at = 0;
            }
            if seen >= count || shown >= count.saturating_mul(10) {
                break;
            }
        }
        (prefix < 1 << FIELDS_SPLITS_MAX).then_some((prefix << BUCKET_BITS) | at as u64)
    }

    /// Any bucket, each as likely as any other; `random` is 64 random bits.
    pub(super) fn any(&self, random: u64) -> B::View<'_> {
        if self.segments.is_empty() {
            return self.few.view();
        }
        let count = (self.segments.len() * BUCKETS) as u64;
        let index = (((random >> 32) * count) >> 32) as usize;
        self.segments[index / BUCKETS].view(&self.pool, index % BUCKETS)
    }

    /// A copy that shares nothing.
    pub(super) fn duplicate(&self) -> Self {
        let copied = |segment: &Segment<B>| Segment {
            runs: segment.runs.clone(),
            apart: segment.apart.clone(),
            ..*segment
        };
        let few = Few { bytes: self.few.bytes.clone(), apart: self.few.apart.clone() };
        let mut copy = Self {
            few,
            directory: self.directory.clone(),
            segments: self.segments.iter().map(|segment| Box::new(copied(segment))).collect(),
            pool: self.pool.duplicate(),
            ..*self
        };
        // What is counted by capacity is counted by that of the copy.
        copy.owned_bytes = copy.count_bytes();
        copy
    }

    fn count_bytes(&self) -> usize {
        self.few.bytes() + self.segments.iter().map(|segment| segment.apart_bytes()).sum::<usize>()
    }

    /// Drops about `budget` entries of many that nobody uses any more; true while some are left.
    pub(super) fn free_some(&mut self, budget: usize) -> bool {
        let mut freed = 0;
        while freed < budget {
            let Some(segment) = self.segments.pop() else {
                *self = Self::default();
                return false;
            };
            freed += segment.len as usize + 1;
            self.len -= segment.len as usize;
            self.owned_bytes -= segment.apart_bytes();
            self.pool.drop_page();
        }
        true
    }

    /// Counts everything anew and compares with what is kept.
    ///
    /// # Panics
    /// If anything differs.
    pub(super) fn recount(&self) {
        assert_eq!(self.count_bytes(), self.owned_bytes, "bytes counted are bytes recounted");
        self.pool.recount(self.segments.iter().map(|segment| segment.slot));
        let mut len = B::len(&self.few.bytes);
        for segment in &self.segments {
            segment.runs.recount(self.pool.slot(segment.slot));
            let found: usize = (0..BUCKETS).map(|at| B::len(segment.run(&self.pool, at))).sum();
            assert_eq!(found, segment.len as usize, "what is counted of a segment is in it");
            len += found;
        }
        assert_eq!(len, self.len, "entries counted are entries recounted");
    }
}
