//! A leaf: some members in order, each with its score.
//!
//! Names lie one behind the other. Beside each score stands where the name begins, and a byte of
//! the name's hash, so that a member is found by name without comparing many.

use crate::limits::{LEAF_MEMBERS_MAX, LEAF_NAME_BYTES_MAX};
use crate::value::growth::size_class;

/// Places by which the arrays grow and shrink.
const STEP: usize = 8;
const MARK_BITS: u32 = 8;

const _: () = assert!(LEAF_NAME_BYTES_MAX < 1 << (32 - MARK_BITS), "a slot has 24 bits for it");

/// Members in order.
#[derive(Debug, Default)]
pub(super) struct Leaf {
    scores: Vec<f64>,
    /// Where the name begins, and in the low bits its mark.
    slots: Vec<u32>,
    names: Vec<u8>,
}

impl Leaf {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.scores.len()
    }

    /// Bytes of memory that it owns.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.scores.capacity() * size_of::<f64>()
            + self.slots.capacity() * size_of::<u32>()
            + self.names.capacity()
    }

    #[inline]
    pub(super) fn score(&self, at: usize) -> f64 {
        self.scores[at]
    }

    /// Where a name begins; of the one behind the last, where all end.
    #[inline]
    fn start(&self, at: usize) -> usize {
        self.slots.get(at).map_or(self.names.len(), |slot| (slot >> MARK_BITS) as usize)
    }

    #[inline]
    pub(super) fn name(&self, at: usize) -> &[u8] {
        &self.names[self.start(at)..self.start(at + 1)]
    }

    #[inline]
    pub(super) fn mark(&self, at: usize) -> u8 {
        self.slots[at] as u8
    }

    /// True if one more member with such a name has room.
    pub(super) fn has_room(&self, name: &[u8]) -> bool {
        let fits = self.names.len() + name.len() <= LEAF_NAME_BYTES_MAX;
        self.len() == 0 || self.len() < LEAF_MEMBERS_MAX && fits
    }

    /// True if it is worth joining with a neighbour.
    pub(super) fn is_sparse(&self) -> bool {
        self.len() < LEAF_MEMBERS_MAX / 4 && self.names.len() < LEAF_NAME_BYTES_MAX / 4
    }

    /// True if all members of both have room in one, and some more.
    pub(super) fn can_join(&self, other: &Self) -> bool {
        self.len() + other.len() <= LEAF_MEMBERS_MAX / 4 * 3
            && self.names.len() + other.names.len() <= LEAF_NAME_BYTES_MAX / 4 * 3
    }

    /// Where a member with this name stands.
    #[inline]
    pub(super) fn find(&self, mark: u8, name: &[u8]) -> Option<usize> {
        (0..self.len()).find(|&at| self.mark(at) == mark && self.name(at) == name)
    }

    /// How many members stand before the first for which `before` is false.
    #[inline]
    pub(super) fn count_before(&self, before: impl Fn(f64, usize) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if before(self.scores[middle], middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    pub(super) fn set_score(&mut self, at: usize, score: f64) {
        self.scores[at] = score;
    }

    /// Puts a member in.
    pub(super) fn insert(&mut self, at: usize, score: f64, mark: u8, name: &[u8]) {
        let (start, end, len) = (self.start(at), self.names.len(), name.len());
        if end + len > self.names.capacity() {
            self.names.reserve_exact(size_class(end + len) - end);
        }
        self.names.resize(end + len, 0);
        self.names.copy_within(start..end, start + len);
        self.names[start..start + len].copy_from_slice(name);
        if self.scores.len() == self.scores.capacity() {
            self.scores.reserve_exact(STEP);
            self.slots.reserve_exact(STEP);
        }
        self.scores.insert(at, score);
        self.slots.insert(at, (start as u32) << MARK_BITS | u32::from(mark));
        for slot in &mut self.slots[at + 1..] {
            *slot += (len as u32) << MARK_BITS;
        }
    }

    /// Takes out some members in a row.
    pub(super) fn remove(&mut self, at: std::ops::Range<usize>) {
        let (start, end) = (self.start(at.start), self.start(at.end));
        self.names.drain(start..end);
        self.scores.drain(at.clone());
        self.slots.drain(at.clone());
        for slot in &mut self.slots[at.start..] {
            *slot -= ((end - start) as u32) << MARK_BITS;
        }
        self.fit();
    }

    /// Gives back what is unused, where that is much.
    fn fit(&mut self) {
        let places = self.len().next_multiple_of(STEP);
        if self.scores.capacity() >= places + STEP {
            self.scores.shrink_to(places);
            self.slots.shrink_to(places);
        }
        if self.names.len() < self.names.capacity() / 2 {
            self.names.shrink_to(size_class(self.names.len()));
        }
    }

    /// Takes out the members from `at` on.
    pub(super) fn split_off(&mut self, at: usize) -> Self {
        let start = self.start(at);
        let mut right = Self::with_room(self.len() - at, self.names.len() - start);
        right.take_from(self, at);
        self.names.truncate(start);
        self.scores.truncate(at);
        self.slots.truncate(at);
        let names = size_class(self.names.len());
        self.names.shrink_to(names);
        self.fit();
        right
    }

    fn with_room(members: usize, name_bytes: usize) -> Self {
        let places = members.next_multiple_of(STEP);
        Self {
            scores: Vec::with_capacity(places),
            slots: Vec::with_capacity(places),
            names: Vec::with_capacity(size_class(name_bytes)),
        }
    }

    /// Adds copies of the members of another from `from` on.
    fn take_from(&mut self, other: &Self, from: usize) {
        let (start, own) = (other.start(from), self.names.len());
        self.scores.extend_from_slice(&other.scores[from..]);
        let moved = |slot: &u32| {
            let begin = (slot >> MARK_BITS) as usize - start + own;
            (begin as u32) << MARK_BITS | u32::from(*slot as u8)
        };
        self.slots.extend(other.slots[from..].iter().map(moved));
        self.names.extend_from_slice(&other.names[start..]);
    }

    /// Adds all members of another, which stand behind its own.
    pub(super) fn append(&mut self, other: &Self) {
        let mut all =
            Self::with_room(self.len() + other.len(), self.names.len() + other.names.len());
        all.take_from(self, 0);
        all.take_from(other, 0);
        *self = all;
    }

    /// Where to split so that neither half has most of the names.
    pub(super) fn middle(&self) -> usize {
        let half = self.names.len() / 2;
        let at = self.slots.partition_point(|slot| (slot >> MARK_BITS) as usize <= half);
        at.clamp(self.len() / 4, self.len() / 4 * 3).clamp(1, self.len() - 1)
    }

    /// A copy with as much memory, so that what counts one counts the other.
    pub(super) fn duplicate(&self) -> Self {
        let mut copy = Self {
            scores: Vec::with_capacity(self.scores.capacity()),
            slots: Vec::with_capacity(self.slots.capacity()),
            names: Vec::with_capacity(self.names.capacity()),
        };
        copy.take_from(self, 0);
        copy
    }
}
