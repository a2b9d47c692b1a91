//! Extendible hashing over small buckets that are as large as what they hold.
//!
//! A directory, indexed by the top bits of the hash, names segments of `BUCKETS` buckets; the next
//! bits that the directory will never use say which. A segment whose buckets are full on average
//! splits in two by one more bit, which moves half of some hundred entries. So no insertion costs
//! more than that, and memory is nowhere reserved for what is not there: a bucket takes what its
//! entries take. A few entries lie in one bucket alone.
//!
//! What an entry is, the bucket knows: it finds, adds and removes, and says for each entry the top
//! 32 bits of its hash.

use crate::limits::{FIELDS_FEW_MAX, FIELDS_SPLITS_MAX};

/// Buckets of a segment: a power of two.
const BUCKETS: usize = 16;
/// Bits of the hash that choose among them.
const BUCKET_BITS: u8 = BUCKETS.trailing_zeros() as u8;

const _: () = assert!(BUCKETS.is_power_of_two(), "bits choose a bucket");
const _: () = assert!(
    FIELDS_SPLITS_MAX + BUCKET_BITS <= 32,
    "of the top 32 bits, some choose the segment and others the bucket"
);

/// A few entries.
pub(super) trait Bucket: Default {
    /// Entries of a bucket, above which, on average, those of a segment are split.
    const FULL: usize;
    /// What says the hash of an entry.
    type Hashing<'h>: Copy;

    /// How many entries.
    fn len(&self) -> usize;
    /// Bytes of memory that it owns.
    fn bytes(&self) -> usize;
    /// Moves the entries out for which `moves` is true; it is asked with the top 32 bits of the
    /// hash of each.
    fn split(&mut self, hashing: Self::Hashing<'_>, moves: impl Fn(u32) -> bool) -> Self;
    /// Adds all entries of another.
    fn append(&mut self, other: Self);
    /// A copy that shares nothing.
    fn duplicate(&self) -> Self;
}

/// The top 32 bits of a hash.
#[inline]
pub(super) fn top(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Buckets that share their first bits.
#[derive(Debug)]
struct Segment<B> {
    buckets: [B; BUCKETS],
    len: u32,
    /// Bits of the hash that all entries share.
    depth: u8,
}

/// Entries by the hash of their names.
#[derive(Debug)]
pub(super) struct Extendible<B> {
    /// Holds everything as long as there are no segments.
    few: B,
    directory: Vec<u32>,
    depth: u8,
    segments: Vec<Box<Segment<B>>>,
    len: usize,
    /// Bytes that the buckets own.
    bucket_bytes: usize,
}

impl<B: Bucket> Default for Extendible<B> {
    fn default() -> Self {
        Self {
            few: B::default(),
            directory: Vec::new(),
            depth: 0,
            segments: Vec::new(),
            len: 0,
            bucket_bytes: 0,
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
        self.bucket_bytes
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
    pub(super) fn bucket(&self, top: u32) -> &B {
        if self.segments.is_empty() {
            return &self.few;
        }
        &self.segments[self.segment_of(top)].buckets[bucket_of(top)]
    }

    /// Changes the bucket of an entry whose hash begins with `top`, and counts what that changed.
    pub(super) fn edit<T>(
        &mut self,
        top: u32,
        hashing: B::Hashing<'_>,
        change: impl FnOnce(&mut B) -> T,
    ) -> T {
        let many = !self.segments.is_empty();
        let index = if many { self.segment_of(top) } else { 0 };
        let bucket = match many {
            true => &mut self.segments[index].buckets[bucket_of(top)],
            false => &mut self.few,
        };
        let (len, bytes) = (bucket.len(), bucket.bytes());
        let result = change(bucket);
        let now = bucket.len();
        self.bucket_bytes = self.bucket_bytes - bytes + bucket.bytes();
        self.len = self.len - len + now;
        if many {
            let segment = &mut self.segments[index];
            segment.len = segment.len - len as u32 + now as u32;
        }
        if now > len {
            self.make_room(top, hashing);
        } else if now < len {
            self.lessen(hashing);
        }
        result
    }

    /// Splits what has grown too large.
    fn make_room(&mut self, top: u32, hashing: B::Hashing<'_>) {
        if self.segments.is_empty() {
            if self.few.len() > FIELDS_FEW_MAX {
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
        let mut few = std::mem::take(&mut self.few);
        self.bucket_bytes = 0;
        let len = few.len() as u32;
        let buckets: [B; BUCKETS] = std::array::from_fn(|index| {
            let bucket = few.split(hashing, |top| bucket_of(top) == index);
            self.bucket_bytes += bucket.bytes();
            bucket
        });
        self.segments.push(Box::new(Segment { buckets, len, depth: 0 }));
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
        let segment = &mut self.segments[index];
        let (mut bytes, mut len) = (0, 0);
        let buckets: [B; BUCKETS] = std::array::from_fn(|index| {
            let bucket = &mut segment.buckets[index];
            self.bucket_bytes -= bucket.bytes();
            let moved = bucket.split(hashing, |top| top >> (31 - depth) & 1 == 1);
            bytes += bucket.bytes() + moved.bytes();
            len += moved.len() as u32;
            moved
        });
        self.bucket_bytes += bytes;
        segment.depth += 1;
        segment.len -= len;
        let new = self.segments.len() as u32;
        self.segments.push(Box::new(Segment { buckets, len, depth: depth + 1 }));
        // The places that named the segment are one aligned run; its upper half has the 1 bit.
        let run = 1 << (self.depth - depth);
        let place = ((top >> 1) >> (31 - self.depth)) as usize;
        let start = place & !(run - 1);
        self.directory[start + run / 2..start + run].fill(new);
    }

    /// Goes back to one bucket once little is left: segments never join.
    fn lessen(&mut self, hashing: B::Hashing<'_>) {
        if self.len > FIELDS_FEW_MAX / 4 || self.segments.is_empty() {
            return;
        }
        let mut few = B::default();
        for segment in std::mem::take(&mut self.segments) {
            segment.buckets.into_iter().for_each(|bucket| few.append(bucket));
        }
        // What was gathered has room to spare: a split that moves everything has none.
        let few = few.split(hashing, |_| true);
        *self = Self { len: few.len(), bucket_bytes: few.bytes(), few, ..Self::default() };
    }

    /// Every bucket, in no order.
    pub(super) fn buckets(&self) -> impl Iterator<Item = &B> {
        let many = self.segments.iter().flat_map(|segment| segment.buckets.iter());
        self.segments.is_empty().then_some(&self.few).into_iter().chain(many)
    }

    /// Shows whole buckets from `position` on (0 is the start) until they held `count` entries, or
    /// ten times as many buckets were shown. Returns where to go on, or none at the end. Between
    /// calls it may grow: entries keep their bits, so none is missed.
    pub(super) fn scan(
        &self,
        position: u64,
        count: usize,
        mut visit: impl FnMut(&B),
    ) -> Option<u64> {
        if self.segments.is_empty() {
            visit(&self.few);
            return None;
        }
        let (mut prefix, mut at) = (position >> BUCKET_BITS, position as usize % BUCKETS);
        let (mut seen, mut shown) = (0, 0);
        while prefix < 1 << FIELDS_SPLITS_MAX {
            let place = prefix >> (FIELDS_SPLITS_MAX - self.depth);
            let segment = &self.segments[self.directory[place as usize] as usize];
            while at < BUCKETS {
                let bucket = &segment.buckets[at];
                seen += bucket.len();
                visit(bucket);
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
    pub(super) fn any(&self, random: u64) -> &B {
        if self.segments.is_empty() {
            return &self.few;
        }
        let count = (self.segments.len() * BUCKETS) as u64;
        let index = (((random >> 32) * count) >> 32) as usize;
        &self.segments[index / BUCKETS].buckets[index % BUCKETS]
    }

    /// A copy that shares nothing.
    pub(super) fn duplicate(&self) -> Self {
        let copied = |segment: &Segment<B>| Segment {
            buckets: std::array::from_fn(|index| segment.buckets[index].duplicate()),
            ..*segment
        };
        let mut copy = Self {
            few: self.few.duplicate(),
            directory: self.directory.clone(),
            segments: self.segments.iter().map(|segment| Box::new(copied(segment))).collect(),
            ..*self
        };
        // What is counted by capacity is counted by that of the copy.
        copy.bucket_bytes = copy.buckets().map(B::bytes).sum();
        copy
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
            self.bucket_bytes -= segment.buckets.iter().map(B::bytes).sum::<usize>();
        }
        true
    }

    /// Counts everything anew and compares with what is kept.
    ///
    /// # Panics
    /// If anything differs.
    pub(super) fn recount(&self) {
        let len: usize = self.buckets().map(B::len).sum();
        assert_eq!(len, self.len, "entries counted are entries recounted");
        let bytes: usize = self.buckets().map(B::bytes).sum();
        assert_eq!(bytes, self.bucket_bytes, "bytes counted are bytes recounted");
        for segment in &self.segments {
            let len: usize = segment.buckets.iter().map(B::len).sum();
            assert_eq!(len, segment.len as usize, "what is counted of a segment is in it");
        }
    }
}
