//! A listpack as it is read, wherever its bytes lie.

use super::item::{Item, Needle, backwards, decode, item_len};
use super::{COUNT_UNKNOWN, END, FILE_EXTRA, HEAD, ITEM_OVERHEAD_MAX, Iter, Pos};
use crate::limits::PACKED_BYTES_MAX;

/// The bytes of a listpack.
#[derive(Eq, PartialEq)]
#[repr(transparent)]
pub struct Listpack([u8]);

impl Listpack {
    /// Bytes that are known to be a whole listpack as it is kept in memory: what is read from them
    /// is nonsense otherwise, or a panic.
    #[inline]
    pub(crate) fn of_sound(bytes: &[u8]) -> &Self {
        debug_assert!(bytes.len() >= HEAD, "a listpack has a head");
        // SAFETY: the type is its bytes.
        unsafe { &*(std::ptr::from_ref(bytes) as *const Self) }
    }

    /// The listpack as it is kept in memory.
    #[inline]
    pub(crate) fn kept(&self) -> &[u8] {
        &self.0
    }

    /// Adds the listpack as it stands in files.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.reserve(self.bytes());
        out.extend_from_slice(&(self.bytes() as u32).to_le_bytes());
        out.extend_from_slice(&self.0);
        out.push(END);
    }

    /// Bytes of the listpack as it stands in files, which is what its bounds are given in.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.0.len() + FILE_EXTRA
    }

    /// How many items there are. At once, unless they are more than 65534.
    #[inline]
    pub fn count(&self) -> usize {
        match self.head_count() {
            COUNT_UNKNOWN => self.iter().count(),
            count => count,
        }
    }

    /// True if there are no items.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.len() == HEAD
    }

    /// True if an item of `bytes` may still be added; no listpack is larger than
    /// `PACKED_BYTES_MAX`.
    #[inline]
    pub fn has_room(&self, bytes: usize) -> bool {
        self.bytes() + bytes + ITEM_OVERHEAD_MAX <= PACKED_BYTES_MAX
    }

    /// Where the first item is.
    #[inline]
    pub fn first(&self) -> Option<Pos> {
        (!self.is_empty()).then_some(Pos::new(HEAD))
    }

    /// Where the last item is.
    #[inline]
    pub fn last(&self) -> Option<Pos> {
        (!self.is_empty()).then(|| Pos::new(backwards(&self.0, self.end())))
    }

    /// Where the item after this one is.
    #[inline]
    pub fn next(&self, pos: Pos) -> Option<Pos> {
        let at = pos.at() + item_len(&self.0, pos.at());
        (at < self.end()).then_some(Pos::new(at))
    }

    /// Where the item before this one is.
    #[inline]
    pub fn prev(&self, pos: Pos) -> Option<Pos> {
        (pos.at() > HEAD).then(|| Pos::new(backwards(&self.0, pos.at())))
    }

    /// Where the item with this index is; negative ones count from the end, -1 is the last.
    /// Walks from the nearer end.
    pub fn seek(&self, index: isize) -> Option<Pos> {
        let count = self.count() as isize;
        let index = if index < 0 { index.checked_add(count)? } else { index };
        if index < 0 || index >= count {
            return None;
        }
        if index <= count / 2 {
            let mut at = HEAD;
            for _ in 0..index {
                at += item_len(&self.0, at);
            }
            return Some(Pos::new(at));
        }
        let mut at = self.end();
        for _ in index..count {
            at = backwards(&self.0, at);
        }
        Some(Pos::new(at))
    }

    /// The item at this place.
    #[inline]
    pub fn at(&self, pos: Pos) -> Item<'_> {
        decode(&self.0, pos.at()).0
    }

    /// Where `needle` is, looked for at `from` and every `stride`-th item after it.
    pub fn find(&self, from: Pos, needle: &[u8], stride: usize) -> Option<Pos> {
        let needle = Needle::new(needle);
        let (mut at, end) = (from.at(), self.end());
        while at < end {
            let (item, mut next) = decode(&self.0, at);
            if needle.is(item) {
                return Some(Pos::new(at));
            }
            for _ in 1..stride {
                if next < end {
                    next += item_len(&self.0, next);
                }
            }
            at = next;
        }
        None
    }

    /// All items, from either end.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        Iter::new(&self.0, HEAD, self.end())
    }

    /// The items from this one on, from either end.
    #[inline]
    pub fn iter_from(&self, pos: Pos) -> Iter<'_> {
        Iter::new(&self.0, pos.at(), self.end())
    }

    /// The items before this one, from either end.
    #[inline]
    pub fn iter_before(&self, pos: Pos) -> Iter<'_> {
        Iter::new(&self.0, HEAD, pos.at())
    }

    /// Where the items end.
    #[inline]
    pub(super) fn end(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub(super) fn head_count(&self) -> usize {
        usize::from(u16::from_le_bytes([self.0[0], self.0[1]]))
    }
}

impl std::fmt::Debug for Listpack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
