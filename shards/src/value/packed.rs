//! A listpack: short texts and integers one after the other in a single run of bytes.
//!
//! The items are those of Redis's listpack (its public specification), so that a file or DUMP may
//! take them as they are. What stands around them there is made up for it: who owns the bytes knows
//! how many they are, and small hashes are too many to keep that twice.
//!
//! ```text
//! in files    in memory
//! bytes 0-3               length of the whole, little-endian
//! bytes 4-5   bytes 0-1   how many items, little-endian; 65535 means: count them
//! then        then        the items, each followed by its own length in 1 to 5 bytes, to be read
//!                         backwards
//! last byte               0xff
//!
//! an item begins with            and is
//! 0xxxxxxx                       an integer from 0 to 127
//! 10xxxxxx                       a text of up to 63 bytes, which follow
//! 110xxxxx yyyyyyyy              an integer of 13 bits
//! 1110xxxx yyyyyyyy              a text of up to 4095 bytes
//! 11110000 and 4 bytes           a text of so many bytes (little-endian)
//! 11110001 to 11110100           an integer of 16, 24, 32 or 64 bits (little-endian)
//! ```
//!
//! A text that is an integer in its one decimal form is always kept as an integer.

mod item;
mod iter;
#[allow(unsafe_code)] // Room: a listpack is its bytes. Model test in `tests.rs`.
mod listpack;

pub use item::Item;
pub(crate) use item::Needle;
pub use iter::Iter;
pub use listpack::Listpack;

use super::growth::{reserve, shrink, size_class};
use crate::commands::parse_int;
use crate::limits::PACKED_BYTES_MAX;
use item::{Encoded, backlen_len, item_len};
use std::ops::Deref;

/// Bytes before the first item.
const HEAD: usize = 2;
/// Bytes before the first item in a file.
const FILE_HEAD: usize = 6;
/// The byte after the last item in a file.
const END: u8 = 0xff;
/// Bytes that a listpack has in a file beside those in memory.
const FILE_EXTRA: usize = FILE_HEAD + 1 - HEAD;
/// What stands for a count too large for 16 bits.
const COUNT_UNKNOWN: usize = 0xffff;

/// A listpack that is its own, and may be changed.
#[derive(Eq, PartialEq)]
pub struct Packed {
    bytes: Vec<u8>,
}

impl Deref for Packed {
    type Target = Listpack;

    #[inline]
    fn deref(&self) -> &Listpack {
        Listpack::of_sound(&self.bytes)
    }
}

impl From<&Listpack> for Packed {
    /// A copy.
    fn from(listpack: &Listpack) -> Self {
        let kept = listpack.kept();
        let mut bytes = Vec::with_capacity(size_class(kept.len()));
        bytes.extend_from_slice(kept);
        Self { bytes }
    }
}

/// Where an item begins. It holds until the listpack is changed before it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Pos(u32);

impl Pos {
    #[inline]
    fn new(at: usize) -> Self {
        Self(at as u32)
    }

    #[inline]
    fn at(self) -> usize {
        self.0 as usize
    }
}

impl Clone for Packed {
    /// A copy with as much memory, so that what counts one counts the other.
    fn clone(&self) -> Self {
        let mut bytes = Vec::with_capacity(self.bytes.capacity());
        bytes.extend_from_slice(&self.bytes);
        Self { bytes }
    }
}

impl Default for Packed {
    fn default() -> Self {
        Self::new()
    }
}

impl Packed {
    /// A copy of a listpack in a buffer that is used again.
    #[inline]
    pub(crate) fn in_buffer(listpack: &Listpack, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.extend_from_slice(listpack.kept());
        Self { bytes: buffer }
    }

    /// The buffer, for use again.
    #[inline]
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }

    /// The same without the memory that a buffer used again has to spare.
    pub(crate) fn fitting(mut self) -> Self {
        self.bytes.shrink_to(size_class(self.bytes.len()));
        self
    }

    /// Bytes in a file of a listpack without items.
    pub const EMPTY_BYTES: usize = FILE_HEAD + 1;

    /// An empty listpack.
    pub fn new() -> Self {
        Self::with_room(Self::EMPTY_BYTES)
    }

    /// An empty listpack with memory for what is `bytes` in a file.
    pub fn with_room(bytes: usize) -> Self {
        let mut buffer = Vec::with_capacity(size_class(bytes.saturating_sub(FILE_EXTRA).max(HEAD)));
        buffer.extend_from_slice(&[0; HEAD]);
        Self { bytes: buffer }
    }

    /// Takes bytes from a file, if all of them are a listpack.
    pub fn from_bytes(mut bytes: Vec<u8>) -> Option<Self> {
        let len = bytes.len();
        if len <= FILE_HEAD || len > PACKED_BYTES_MAX || bytes[len - 1] != END {
            return None;
        }
        if bytes[..4] != (len as u32).to_le_bytes() {
            return None;
        }
        bytes.truncate(len - 1);
        bytes.drain(..FILE_HEAD - HEAD);
        let packed = Self { bytes };
        let (mut at, mut count) = (HEAD, 0);
        while at < packed.bytes.len() {
            at = checked_next(&packed.bytes, at)?;
            count += 1;
        }
        let told = packed.head_count();
        (told == count || told == COUNT_UNKNOWN).then_some(packed)
    }

    /// The same with every text that is an integer in its one decimal form as an integer, which
    /// others may not have made sure.
    pub(crate) fn settled(self) -> Self {
        let stray = |item: Item<'_>| matches!(item, Item::Str(text) if parse_int(text).is_some());
        if !self.iter().any(stray) {
            return self;
        }
        let mut settled = Self::with_room(self.bytes());
        for item in self.iter() {
            match item {
                Item::Int(value) => settled.push_back_int(value),
                Item::Str(text) => settled.push_back(text),
            }
        }
        settled
    }

    /// Bytes of memory it has taken.
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Adds an item at the end.
    #[inline]
    pub fn push_back(&mut self, text: &[u8]) {
        self.splice(self.end(), 0, &Encoded::of(text));
        self.count_by(1);
    }

    /// Adds an integer at the end.
    #[inline]
    pub fn push_back_int(&mut self, value: i64) {
        self.splice(self.end(), 0, &Encoded::of_int(value));
        self.count_by(1);
    }

    /// Adds an item at the front.
    #[inline]
    pub fn push_front(&mut self, text: &[u8]) {
        self.splice(HEAD, 0, &Encoded::of(text));
        self.count_by(1);
    }

    /// Adds an item before this one.
    pub fn insert_before(&mut self, pos: Pos, text: &[u8]) {
        self.splice(pos.at(), 0, &Encoded::of(text));
        self.count_by(1);
    }

    /// Adds an item after this one.
    pub fn insert_after(&mut self, pos: Pos, text: &[u8]) {
        let at = pos.at() + item_len(&self.bytes, pos.at());
        self.splice(at, 0, &Encoded::of(text));
        self.count_by(1);
    }

    /// Puts an item in the place of this one, which then begins at the same place.
    pub fn replace(&mut self, pos: Pos, text: &[u8]) {
        let old = item_len(&self.bytes, pos.at());
        self.splice(pos.at(), old, &Encoded::of(text));
    }

    /// Puts an integer in the place of this item.
    pub fn replace_int(&mut self, pos: Pos, value: i64) {
        let old = item_len(&self.bytes, pos.at());
        self.splice(pos.at(), old, &Encoded::of_int(value));
    }

    /// Removes an item; the next one then begins at the same place, if there is one.
    pub fn remove(&mut self, pos: Pos) -> Option<Pos> {
        let end = pos.at() + item_len(&self.bytes, pos.at());
        self.cut(pos.at(), end, 1);
        (pos.at() < self.end()).then_some(pos)
    }

    /// Removes up to `count` items from this index on; negative ones count from the end.
    pub fn remove_range(&mut self, index: isize, count: usize) {
        if let Some(pos) = self.seek(index) {
            self.remove_from(pos, count);
        }
    }

    /// Removes up to `count` items from this one on; the next one then begins at the same place.
    pub fn remove_from(&mut self, pos: Pos, count: usize) -> Option<Pos> {
        let (mut end, mut removed) = (pos.at(), 0);
        while removed < count && end < self.end() {
            end += item_len(&self.bytes, end);
            removed += 1;
        }
        self.cut(pos.at(), end, removed);
        (pos.at() < self.end()).then_some(pos)
    }

    /// Takes the items from this one on into a listpack of their own.
    #[must_use]
    pub fn split_off(&mut self, pos: Pos) -> Self {
        let (at, end) = (pos.at(), self.end());
        let mut taken = Self::with_room(Self::EMPTY_BYTES + end - at);
        let count = self.iter_from(pos).count();
        taken.append_run(&self.bytes[at..end], count);
        self.cut(at, end, count);
        taken
    }

    /// Adds copies of all items of `other` at the end.
    pub fn append(&mut self, other: &Self) {
        self.append_run(&other.bytes[HEAD..other.end()], other.count());
    }

    fn append_run(&mut self, run: &[u8], count: usize) {
        reserve(&mut self.bytes, run.len());
        self.bytes.extend_from_slice(run);
        self.count_by(count as isize);
    }

    /// Puts an item in the place of `old` bytes at `at`.
    #[inline]
    fn splice(&mut self, at: usize, old: usize, item: &Encoded<'_>) {
        let (new, len) = (item.len(), self.bytes.len());
        debug_assert!(len + new <= PACKED_BYTES_MAX + old, "`has_room` was asked");
        if at == len {
            reserve(&mut self.bytes, new);
            item.append_to(&mut self.bytes);
        } else {
            if new > old {
                reserve(&mut self.bytes, new - old);
                self.bytes.resize(len + new - old, 0);
            }
            self.bytes.copy_within(at + old..len, at + new);
            if new < old {
                self.bytes.truncate(len + new - old);
                shrink(&mut self.bytes);
            }
            item.write_to(&mut self.bytes[at..at + new]);
        }
    }

    /// Removes the bytes of `count` items.
    fn cut(&mut self, start: usize, end: usize, count: usize) {
        self.bytes.drain(start..end);
        shrink(&mut self.bytes);
        self.count_by(-(count as isize));
    }

    /// Counts items that came or went; what is too large to be kept is counted when asked for.
    #[inline]
    fn count_by(&mut self, step: isize) {
        let old = self.head_count();
        let new = match old {
            COUNT_UNKNOWN if self.is_empty() => 0,
            COUNT_UNKNOWN => return,
            _ => old.saturating_add_signed(step).min(COUNT_UNKNOWN),
        };
        self.bytes[..HEAD].copy_from_slice(&(new as u16).to_le_bytes());
    }
}

/// Bytes of an item beside its text, at most: its mark and length, and its length once more.
const ITEM_OVERHEAD_MAX: usize = 10;

const _: () = assert!(PACKED_BYTES_MAX <= u32::MAX as usize, "a listpack's length has 32 bits");

/// Where the item after the one at `at` begins, if that is whole and its length stands behind it.
fn checked_next(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let head = item::head_len(*rest.first()?)?;
    if rest.len() < head {
        return None;
    }
    let body = item::body_len(rest);
    let back = backlen_len(body);
    let end = body.checked_add(back).filter(|&end| end <= rest.len())?;
    let mut wanted = [0; 5];
    item::write_backlen(&mut wanted, body);
    (rest[body..end] == wanted[..back]).then_some(at + end)
}

impl<'a> IntoIterator for &'a Listpack {
    type Item = Item<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Listpack::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
