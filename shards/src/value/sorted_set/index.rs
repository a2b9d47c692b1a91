//! Which leaf a member is in, by the hash of its name: several may be possible.

use crate::value::extendible::{Bucket, Extendible, top};

/// Leaves by the hashes of the members in them.
#[derive(Debug, Default)]
pub(super) struct Index {
    table: Extendible<Leaves>,
}

/// Some entries: the top half of the hash, and below it the number of the leaf.
#[derive(Debug, Default)]
struct Leaves(Vec<u64>);

/// Places by which a bucket grows and shrinks.
const STEP: usize = 4;

#[inline]
fn entry(hash: u64, leaf: u32) -> u64 {
    hash & !u64::from(u32::MAX) | u64::from(leaf)
}

/// The byte of a name's hash that stands beside it in a leaf: known from the index too.
#[inline]
pub(super) fn mark(hash: u64) -> u8 {
    (top(hash) >> 4) as u8
}

impl Index {
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.table.bytes()
    }

    /// Leaves where a member whose name has this hash may be.
    #[inline]
    pub(super) fn leaves(&self, hash: u64) -> impl Iterator<Item = u32> {
        let bucket = self.table.bucket(top(hash));
        let found = bucket.0.iter().filter(move |&&entry| top(entry) == top(hash));
        found.map(|&entry| entry as u32)
    }

    /// Notes in which leaf a new member is.
    pub(super) fn add(&mut self, hash: u64, leaf: u32) {
        self.table.edit(top(hash), (), |bucket| {
            if bucket.0.len() == bucket.0.capacity() {
                bucket.0.reserve_exact(STEP);
            }
            bucket.0.push(entry(hash, leaf));
        });
    }

    /// Forgets a member.
    ///
    /// # Panics
    /// If it is not known.
    pub(super) fn remove(&mut self, hash: u64, leaf: u32) {
        self.table.edit(top(hash), (), |Leaves(bucket)| {
            let at = bucket.iter().position(|&other| other == entry(hash, leaf));
            bucket.swap_remove(at.expect("a member has its entry"));
            let places = bucket.len().next_multiple_of(STEP);
            if bucket.capacity() >= places + 2 * STEP || places == 0 {
                bucket.shrink_to(places);
            }
        });
    }

    /// Notes that a member is in another leaf now.
    ///
    /// # Panics
    /// If it is not known.
    pub(super) fn change(&mut self, hash: u64, old: u32, new: u32) {
        self.table.edit(top(hash), (), |Leaves(bucket)| {
            let at = bucket.iter_mut().find(|other| **other == entry(hash, old));
            *at.expect("a member has its entry") = entry(hash, new);
        });
    }

    /// Shows the top half of the hash and the leaf of members from `position` on, as
    /// `Extendible::scan` does.
    pub(super) fn scan(
        &self,
        position: u64,
        count: usize,
        mut visit: impl FnMut(u64, u32),
    ) -> Option<u64> {
        self.table.scan(position, count, |bucket| {
            bucket.0.iter().for_each(|&entry| visit(entry, entry as u32));
        })
    }

    pub(super) fn duplicate(&self) -> Self {
        Self { table: self.table.duplicate() }
    }

    pub(super) fn free_some(&mut self, budget: usize) -> bool {
        self.table.free_some(budget)
    }

    pub(super) fn recount(&self) {
        self.table.recount();
    }
}

impl Bucket for Leaves {
    const FULL: usize = 32;
    type Hashing<'h> = ();

    #[inline]
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<u64>()
    }

    fn split(&mut self, (): (), moves: impl Fn(u32) -> bool) -> Self {
        let count = self.0.iter().filter(|&&entry| moves(top(entry))).count();
        let mut moved = Vec::with_capacity(count.next_multiple_of(STEP));
        moved.extend(self.0.extract_if(.., |entry| moves(top(*entry))));
        self.0.shrink_to(self.0.len().next_multiple_of(STEP));
        Self(moved)
    }

    fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    fn duplicate(&self) -> Self {
        let mut entries = Vec::with_capacity(self.0.capacity());
        entries.extend_from_slice(&self.0);
        Self(entries)
    }
}
