//! Which leaf a member is in, by the hash of its name: several may be possible.

use crate::value::extendible::{Bucket, Extendible, top};

/// Leaves by the hashes of the members in them.
#[derive(Debug, Default)]
pub(super) struct Index {
    table: Extendible<Leaves>,
}

/// Some entries of 8 bytes: the top half of the hash, and below it the number of the leaf.
#[derive(Debug, Default)]
struct Leaves(Vec<u8>);

#[inline]
fn entry(hash: u64, leaf: u32) -> u64 {
    hash & !u64::from(u32::MAX) | u64::from(leaf)
}

/// Bytes of an entry.
const ENTRY: usize = size_of::<u64>();

/// What the bytes say.
#[inline]
fn entries(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.as_chunks::<ENTRY>().0.iter().map(|&entry| u64::from_le_bytes(entry))
}

/// Where an entry stands.
#[inline]
fn place(bytes: &[u8], entry: u64) -> Option<usize> {
    bytes.as_chunks::<ENTRY>().0.iter().position(|&other| other == entry.to_le_bytes())
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
        let found = entries(bucket).filter(move |&entry| top(entry) == top(hash));
        found.map(|entry| entry as u32)
    }

    /// Notes in which leaf a new member is.
    pub(super) fn add(&mut self, hash: u64, leaf: u32) {
        let entry = entry(hash, leaf).to_le_bytes();
        self.table.edit(top(hash), (), |Leaves(bucket)| {
            if bucket.len() == bucket.capacity() {
                bucket.reserve_exact(STEP * ENTRY);
            }
            bucket.extend_from_slice(&entry);
        });
    }

    /// Forgets a member.
    ///
    /// # Panics
    /// If it is not known.
    pub(super) fn remove(&mut self, hash: u64, leaf: u32) {
        self.table.edit(top(hash), (), |Leaves(bucket)| {
            let at = place(bucket, entry(hash, leaf)).expect("a member has its entry");
            let last = bucket.len() - ENTRY;
            bucket.copy_within(last.., at * ENTRY);
            bucket.truncate(last);
            if bucket.capacity() >= bucket.len() + 2 * STEP * ENTRY {
                bucket.shrink_to_fit();
            }
        });
    }

    /// Notes that a member is in another leaf now.
    ///
    /// # Panics
    /// If it is not known.
    pub(super) fn change(&mut self, hash: u64, old: u32, new: u32) {
        let bucket = self.table.bucket_mut(top(hash));
        let at = place(bucket, entry(hash, old)).expect("a member has its entry");
        bucket[at * ENTRY..][..ENTRY].copy_from_slice(&entry(hash, new).to_le_bytes());
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
            entries(bucket).for_each(|entry| visit(entry, entry as u32));
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

/// Entries by which a bucket that lies alone grows and shrinks.
const STEP: usize = 4;

impl Bucket for Leaves {
    const FULL: usize = 32;
    type Hashing<'h> = ();
    type Apart = ();
    type View<'a> = &'a [u8];

    #[inline]
    fn view<'a>(bytes: &'a [u8], (): &'a ()) -> &'a [u8] {
        bytes
    }

    #[inline]
    fn len(bytes: &[u8]) -> usize {
        bytes.len() / ENTRY
    }

    #[inline]
    fn apart_bytes((): &()) -> usize {
        0
    }

    #[inline]
    fn own(bytes: Vec<u8>, (): ()) -> Self {
        Self(bytes)
    }

    #[inline]
    fn into_parts(self) -> (Vec<u8>, ()) {
        (self.0, ())
    }

    fn split(self, (): (), moves: impl Fn(u32) -> bool) -> (Self, Self) {
        let (mut kept, mut moved) = (Vec::new(), Vec::new());
        for entry in entries(&self.0) {
            let to = if moves(top(entry)) { &mut moved } else { &mut kept };
            to.extend_from_slice(&entry.to_le_bytes());
        }
        (Self(kept), Self(moved))
    }

    fn append(&mut self, other: &[u8]) {
        self.0.extend_from_slice(other);
    }
}
