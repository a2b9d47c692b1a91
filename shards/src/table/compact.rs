//! A table of which little is left gives memory back: segments join, records move together.

use super::hash::Hasher;
use super::record::Entry;
use super::segment::PLACES;
use super::slab::Heap;
use super::{Counts, Table};

/// Entries of a segment that two join to, at most: far from where it would be split again.
const JOINED_MAX: u16 = (PLACES * 9 / 20) as u16;
/// Below so many hundredths of its places in use, a table has segments to join.
const SPARSE_PERCENT: usize = 30;

impl Table {
    /// True if segments are mostly empty.
    pub(crate) fn is_sparse(&self) -> bool {
        self.segments.len() > 1 && self.keys * 100 < self.segments.len() * PLACES * SPARSE_PERCENT
    }

    /// Lets a segment join the one that it was split from, if that leaves room; the number of both
    /// together then. Another segment may have the number that is left over.
    pub(crate) fn join(&mut self, segment: usize, hasher: &Hasher) -> Option<usize> {
        let &Counts { keys, depth, prefix, .. } = self.counts.get(segment)?;
        if depth == 0 {
            return None;
        }
        let other = self.directory[self.run(prefix ^ 1, depth).start] as usize;
        let theirs = self.counts[other];
        let fits = theirs.depth == depth && keys + theirs.keys <= JOINED_MAX;
        let (kept, gone) = (segment.min(other), segment.max(other));
        if !fits || !self.segments[kept].can_take(&self.segments[gone]) {
            return None;
        }
        let absorbed = self.segments.swap_remove(gone);
        let counts = self.counts.swap_remove(gone);
        if let Some(&Counts { depth, prefix, .. }) = self.counts.get(gone) {
            // The last has the number of the one that went.
            let run = self.run(prefix, depth);
            self.directory[run].fill(gone as u32);
        }
        self.segments[kept].absorb(absorbed, hasher);
        let own = &mut self.counts[kept];
        own.keys += counts.keys;
        own.expires += counts.expires;
        (own.depth, own.prefix) = (depth - 1, prefix >> 1);
        let run = self.run(prefix >> 1, depth - 1);
        self.directory[run].fill(kept as u32);
        Some(kept)
    }

    /// The places of the directory that name the segment with this prefix.
    fn run(&self, prefix: u32, depth: u8) -> std::ops::Range<usize> {
        let bits = self.depth - depth;
        let start = (prefix as usize) << bits;
        start..start + (1 << bits)
    }

    /// Moves the records of a segment that lie in sparse slabs; how many.
    pub(crate) fn move_records(&mut self, segment: usize, heap: &Heap) -> usize {
        let mut moved = 0;
        let Some(segment) = self.segments.get_mut(segment) else { return 0 };
        segment.each_mut(&mut |entry: &mut Entry| {
            moved += usize::from(entry.move_if_sparse(heap));
            true
        });
        moved
    }
}
