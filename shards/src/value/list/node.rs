//! A node of a long list: a few kilobytes of packed items, or one large text.

use super::{Side, StoredNode};
use crate::value::Rules;
use crate::value::packed::{Item, Iter, Packed};

/// Bytes of a node whose size is given in elements, at most.
const COUNTED_BYTES_MAX: usize = 8192;
/// What an element is taken to need beside its text when a node is asked for room.
const ELEMENT_OVERHEAD: usize = 8;

/// How many times the size of a node it may grow to before it is parted.
const OVERFULL: usize = 4;

/// How large a node may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    bytes: usize,
    count: usize,
    /// From how many bytes on a text stands alone, though a node might hold it.
    alone: usize,
}

impl Limits {
    /// From `list-max-listpack-size`: elements where positive, -1 to -5 for 4 to 64 KiB.
    #[inline]
    pub(super) fn of(rules: &Rules) -> Self {
        let (setting, alone) = (rules.list_max_listpack_size, rules.list_plain_bytes_min);
        match setting {
            0.. => Self { bytes: COUNTED_BYTES_MAX, count: setting.max(1) as usize, alone },
            _ => {
                let doublings = (setting.saturating_add(1)).unsigned_abs().min(4);
                Self { bytes: 4096 << doublings, count: usize::MAX, alone }
            }
        }
    }

    /// True if a node must not be so large.
    #[inline]
    pub(super) fn are_exceeded(self, bytes: usize, count: usize) -> bool {
        bytes > self.bytes || count > self.count
    }

    /// True if a node is so small that a list may go back to being only that.
    #[inline]
    pub(super) fn are_half_free(self, bytes: usize, count: usize) -> bool {
        // Bytes are not halved where elements are what is counted.
        let bytes_max = if self.count == usize::MAX { self.bytes / 2 } else { usize::MAX };
        bytes <= bytes_max && count <= self.count / 2
    }

    /// True if a text stands alone.
    #[inline]
    pub(super) fn is_large(self, len: usize) -> bool {
        len > self.bytes || len >= self.alone
    }
}

/// A node.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Elements, kept here so that a search by index need not follow a pointer.
    count: u32,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    Packed(Packed),
    Plain(Box<[u8]>),
}

const _: () = assert!(size_of::<Node>() == 32, "two nodes fill a cache line");

/// Elements of a node that are still to be seen, from either end.
#[derive(Clone, Debug)]
pub(super) enum Run<'a> {
    Packed(Iter<'a>),
    Plain(Option<&'a [u8]>),
}

impl<'a> Run<'a> {
    #[inline]
    pub(super) fn next(&mut self, from: Side) -> Option<Item<'a>> {
        match (self, from) {
            (Self::Packed(items), Side::Left) => items.next(),
            (Self::Packed(items), Side::Right) => items.next_back(),
            (Self::Plain(text), _) => text.take().map(Item::Str),
        }
    }
}

impl Node {
    /// A node of one element.
    pub(super) fn of(text: &[u8], limits: Limits) -> Self {
        if limits.is_large(text.len()) {
            return Self { count: 1, body: Body::Plain(text.into()) };
        }
        let mut packed = Packed::new();
        packed.push_back(text);
        Self { count: 1, body: Body::Packed(packed) }
    }

    /// A node of these elements.
    pub(super) fn of_packed(packed: Packed) -> Self {
        Self { count: packed.count() as u32, body: Body::Packed(packed) }
    }

    /// How it lies, for whoever writes it to a file.
    pub(super) fn stored(&self) -> StoredNode<'_> {
        match &self.body {
            Body::Packed(packed) => StoredNode::Packed(packed),
            Body::Plain(text) => StoredNode::Plain(text),
        }
    }

    /// Its elements, if they are packed.
    pub(super) fn packed(&self) -> Option<&Packed> {
        match &self.body {
            Body::Packed(packed) => Some(packed),
            Body::Plain(_) => None,
        }
    }

    /// The same, taken.
    pub(super) fn into_packed(self) -> Option<Packed> {
        match self.body {
            Body::Packed(packed) => Some(packed),
            Body::Plain(_) => None,
        }
    }

    #[inline]
    pub(super) fn count(&self) -> usize {
        self.count as usize
    }

    /// Bytes of memory it owns, beside its own place.
    #[inline]
    pub(super) fn heap_bytes(&self) -> usize {
        match &self.body {
            Body::Packed(packed) => packed.heap_bytes(),
            Body::Plain(text) => text.len(),
        }
    }

    /// Bytes of its elements as they lie there.
    pub(super) fn bytes(&self) -> usize {
        match &self.body {
            Body::Packed(packed) => packed.bytes(),
            Body::Plain(text) => text.len(),
        }
    }

    /// True if a text of `len` bytes may be added.
    #[inline]
    pub(super) fn accepts(&self, len: usize, limits: Limits) -> bool {
        let Body::Packed(packed) = &self.body else { return false };
        let bytes = packed.bytes() + len + ELEMENT_OVERHEAD;
        !limits.is_large(len) && !limits.are_exceeded(bytes, self.count() + 1)
    }

    /// The offset of the first element that is `text`.
    pub(super) fn find(&self, text: &[u8]) -> Option<usize> {
        match &self.body {
            Body::Packed(packed) => {
                let pos = packed.find(packed.first()?, text, 1)?;
                Some(packed.iter_before(pos).count())
            }
            Body::Plain(plain) => (**plain == *text).then_some(0),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, side: Side, text: &[u8]) {
        let packed = self.packed_mut();
        match side {
            Side::Left => packed.push_front(text),
            Side::Right => packed.push_back(text),
        }
        self.count += 1;
    }

    /// Adds a text before the element `offset`, or at the end.
    pub(super) fn insert(&mut self, offset: usize, text: &[u8]) {
        let packed = self.packed_mut();
        match packed.seek(offset as isize) {
            Some(pos) => packed.insert_before(pos, text),
            None => packed.push_back(text),
        }
        self.count += 1;
    }

    /// Puts a text in the place of the element `offset`; none of it if one of the two is large
    /// and there are other elements.
    pub(super) fn replace(&mut self, offset: usize, text: &[u8], limits: Limits) -> bool {
        match &mut self.body {
            Body::Packed(packed) if !limits.is_large(text.len()) => {
                let pos = packed.seek(offset as isize).expect("the element is in this node");
                packed.replace(pos, text);
            }
            _ if self.count == 1 => *self = Self::of(text, limits),
            _ => return false,
        }
        true
    }

    /// True if it became far too large, by texts that took the place of others, and can be parted.
    pub(super) fn is_overfull(&self, limits: Limits) -> bool {
        self.count > 1 && self.heap_bytes() > OVERFULL * limits.bytes
    }

    /// True if all elements of both may lie in one node.
    pub(super) fn fits_with(&self, other: &Self, limits: Limits) -> bool {
        let (Some(one), Some(other)) = (self.packed(), other.packed()) else { return false };
        let bytes = one.bytes() + other.bytes() - Packed::EMPTY_BYTES;
        !limits.are_exceeded(bytes, one.count() + other.count())
    }

    /// Takes all elements out; an emptied node must be removed.
    pub(super) fn take_all(&mut self) -> Packed {
        self.count = 0;
        std::mem::take(self.packed_mut())
    }

    /// Adds elements at the end.
    pub(super) fn append(&mut self, items: &Packed) {
        self.packed_mut().append(items);
        self.count += items.count() as u32;
    }

    /// Removes `count` elements from `offset` on, but not all.
    pub(super) fn remove(&mut self, offset: usize, count: usize) {
        self.packed_mut().remove_range(offset as isize, count);
        self.count -= count as u32;
    }

    /// Removes elements that are `text`, `limit` at most, beginning at one side; returns how many.
    /// An emptied node must be removed.
    pub(super) fn remove_equal(&mut self, text: &[u8], from: Side, limit: usize) -> usize {
        let removed = match &mut self.body {
            Body::Packed(packed) => remove_equal(packed, text, from, limit),
            Body::Plain(plain) => usize::from(limit > 0 && **plain == *text),
        };
        self.count -= removed as u32;
        removed
    }

    /// Takes the elements from `offset` on into a node of their own: some, but not all.
    pub(super) fn split_off(&mut self, offset: usize) -> Self {
        let packed = self.packed_mut();
        let pos = packed.seek(offset as isize).expect("the element is in this node");
        let taken = packed.split_off(pos);
        let moved = self.count - offset as u32;
        self.count -= moved;
        Self { count: moved, body: Body::Packed(taken) }
    }

    /// The elements from `offset` on, or, from the right, those up to it.
    pub(super) fn run(&self, offset: usize, from: Side) -> Run<'_> {
        let packed = match &self.body {
            Body::Packed(packed) => packed,
            Body::Plain(text) => return Run::Plain(Some(text)),
        };
        let index = if from == Side::Left { offset } else { offset + 1 };
        Run::Packed(match (packed.seek(index as isize), from) {
            (Some(pos), Side::Left) => packed.iter_from(pos),
            (Some(pos), Side::Right) => packed.iter_before(pos),
            (None, _) => packed.iter(),
        })
    }

    #[inline]
    fn packed_mut(&mut self) -> &mut Packed {
        match &mut self.body {
            Body::Packed(packed) => packed,
            Body::Plain(_) => unreachable!("a large text stands alone"),
        }
    }

    /// Compares what is kept with what is there.
    pub(super) fn recount(&self) {
        assert!(self.count > 0, "an empty node is removed");
        match &self.body {
            Body::Packed(packed) => assert_eq!(packed.iter().count(), self.count()),
            Body::Plain(_) => assert_eq!(self.count, 1),
        }
    }
}

/// Removes items that are `text`, `limit` at most, beginning at one side; returns how many.
pub(super) fn remove_equal(packed: &mut Packed, text: &[u8], from: Side, limit: usize) -> usize {
    let mut removed = 0;
    match from {
        Side::Left => {
            let mut next = packed.first();
            while removed < limit
                && let Some(found) = next.and_then(|pos| packed.find(pos, text, 1))
            {
                next = packed.remove(found);
                removed += 1;
            }
        }
        Side::Right => {
            let mut next = packed.last();
            while removed < limit
                && let Some(pos) = next
            {
                next = packed.prev(pos);
                if packed.at(pos).is(text) {
                    packed.remove(pos);
                    removed += 1;
                }
            }
        }
    }
    removed
}
