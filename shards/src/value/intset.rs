//! A set of integers, in order, each in as many bytes as the widest of them needs.
//!
//! The bytes are those of Redis's intset, so that a file may take them as they are. All numbers
//! are little-endian:
//!
//! ```text
//! bytes 0-3   bytes of each integer: 2, 4 or 8
//! bytes 4-7   how many integers
//! then        the integers, the smallest first, each once
//! ```

use super::growth::{reserve, shrink};
use std::ops::Range;

/// Bytes before the first integer.
const HEAD: usize = 8;

/// A set of integers. Adding and removing move what lies behind.
#[derive(Clone, Eq, PartialEq)]
pub struct IntSet {
    bytes: Vec<u8>,
}

/// How wide every integer of a set is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Width {
    Two = 2,
    Four = 4,
    Eight = 8,
}

impl Width {
    #[inline]
    fn of(value: i64) -> Self {
        if i64::from(value as i16) == value {
            Self::Two
        } else if i64::from(value as i32) == value {
            Self::Four
        } else {
            Self::Eight
        }
    }
}

impl Default for IntSet {
    fn default() -> Self {
        Self::new()
    }
}

impl IntSet {
    /// An empty set.
    pub fn new() -> Self {
        Self { bytes: vec![Width::Two as u8, 0, 0, 0, 0, 0, 0, 0] }
    }

    /// Takes bytes from elsewhere, if all of them are such a set.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        let (head, body) = bytes.split_first_chunk::<HEAD>()?;
        let width = match head[..4] {
            [2, 0, 0, 0] => 2,
            [4, 0, 0, 0] => 4,
            [8, 0, 0, 0] => 8,
            _ => return None,
        };
        let count = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        if body.len() != count.checked_mul(width)? {
            return None;
        }
        let set = Self { bytes };
        let ordered = (1..count).all(|index| set.at(index - 1) < set.at(index));
        ordered.then_some(set)
    }

    /// The set as it stands in files.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of memory it has taken.
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// How many integers there are.
    #[inline]
    pub fn len(&self) -> usize {
        (self.bytes.len() - HEAD) / self.width() as usize
    }

    /// True if there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == HEAD
    }

    /// The integer with this index, the smallest first.
    ///
    /// # Panics
    /// If there are not so many.
    #[inline]
    pub fn at(&self, index: usize) -> i64 {
        let body = &self.bytes[HEAD..];
        match self.width() {
            Width::Two => i64::from(i16::from_le_bytes(body.as_chunks().0[index])),
            Width::Four => i64::from(i32::from_le_bytes(body.as_chunks().0[index])),
            Width::Eight => i64::from_le_bytes(body.as_chunks().0[index]),
        }
    }

    /// The smallest.
    pub fn min(&self) -> Option<i64> {
        (!self.is_empty()).then(|| self.at(0))
    }

    /// The largest.
    pub fn max(&self) -> Option<i64> {
        self.len().checked_sub(1).map(|last| self.at(last))
    }

    /// All integers, the smallest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = i64> + ExactSizeIterator + '_ {
        (0..self.len()).map(|index| self.at(index))
    }

    /// True if it holds `value`.
    #[inline]
    pub fn contains(&self, value: i64) -> bool {
        self.find(value).is_ok()
    }

    /// Adds `value`; true if it was not there.
    pub fn insert(&mut self, value: i64) -> bool {
        let Err(index) = self.find(value) else { return false };
        let (len, needed) = (self.len(), Width::of(value));
        if needed > self.width() {
            self.widen(needed);
        }
        let width = self.width() as usize;
        let at = HEAD + index * width;
        reserve(&mut self.bytes, width);
        let end = self.bytes.len();
        self.bytes.resize(end + width, 0);
        self.bytes.copy_within(at..end, at + width);
        self.bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        self.note_len(len + 1);
        true
    }

    /// Removes `value`; true if it was there.
    pub fn remove(&mut self, value: i64) -> bool {
        let Ok(index) = self.find(value) else { return false };
        self.remove_range(index..index + 1);
        true
    }

    /// Removes the integers with these indexes.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn remove_range(&mut self, indexes: Range<usize>) {
        let (len, width) = (self.len(), self.width() as usize);
        self.bytes.drain(HEAD + indexes.start * width..HEAD + indexes.end * width);
        shrink(&mut self.bytes);
        self.note_len(len - indexes.len());
    }

    /// Where `value` is, or where it would be.
    #[inline]
    fn find(&self, value: i64) -> Result<usize, usize> {
        let body = &self.bytes[HEAD..];
        match self.width() {
            Width::Two => {
                let key = |bytes: &[u8; 2]| i64::from(i16::from_le_bytes(*bytes));
                body.as_chunks().0.binary_search_by_key(&value, key)
            }
            Width::Four => {
                let key = |bytes: &[u8; 4]| i64::from(i32::from_le_bytes(*bytes));
                body.as_chunks().0.binary_search_by_key(&value, key)
            }
            Width::Eight => {
                let key = |bytes: &[u8; 8]| i64::from_le_bytes(*bytes);
                body.as_chunks().0.binary_search_by_key(&value, key)
            }
        }
    }

    /// Gives every integer more bytes.
    fn widen(&mut self, width: Width) {
        let mut wide = Vec::new();
        let len = width as usize;
        reserve(&mut wide, HEAD + (self.len() + 1) * len);
        wide.extend_from_slice(&self.bytes[..HEAD]);
        wide[0] = width as u8;
        for value in self.iter() {
            wide.extend_from_slice(&value.to_le_bytes()[..len]);
        }
        self.bytes = wide;
    }

    #[inline]
    fn width(&self) -> Width {
        match self.bytes[0] {
            2 => Width::Two,
            4 => Width::Four,
            _ => Width::Eight,
        }
    }

    fn note_len(&mut self, len: usize) {
        self.bytes[4..HEAD].copy_from_slice(&(len as u32).to_le_bytes());
    }
}

impl std::fmt::Debug for IntSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn check(set: &IntSet, model: &BTreeSet<i64>) {
        assert!(set.iter().eq(model.iter().copied()));
        assert!(set.iter().rev().eq(model.iter().rev().copied()));
        assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
        assert_eq!((set.min(), set.max()), (model.first().copied(), model.last().copied()));
        assert_eq!(IntSet::from_bytes(set.as_bytes().to_vec()).as_ref(), Some(set));
        assert!(set.heap_bytes() <= 2 * set.as_bytes().len() + 32, "memory is given back");
    }

    #[test]
    fn changes_agree_with_a_plain_set() {
        for seed in 1..=60u64 {
            let mut random = seed * 0x9e37_79b9;
            let mut bits = move || {
                random ^= random >> 12;
                random ^= random << 25;
                random ^= random >> 27;
                random.wrapping_mul(0x2545_f491_4f6c_dd1d)
            };
            let (mut set, mut model) = (IntSet::new(), BTreeSet::new());
            for step in 0..400 {
                // Wider ones come later, so that each width is seen.
                let shift = 58 - (step / 10).min(20) - bits() % 38;
                let value = (bits() as i64) >> shift;
                if bits() % 3 > 0 {
                    assert_eq!(set.insert(value), model.insert(value));
                    assert!(set.contains(value));
                } else {
                    assert_eq!(set.contains(value), model.contains(&value));
                    assert_eq!(set.remove(value), model.remove(&value));
                }
                if step % 16 == 0 {
                    check(&set, &model);
                }
            }
            while let Some(first) = model.pop_first() {
                assert!(set.remove(first) && !set.contains(first));
                check(&set, &model);
            }
        }
    }

    #[test]
    fn bytes_are_those_of_redis() {
        let mut set = IntSet::new();
        for value in [5, -3, 32_767, -32_768] {
            assert!(set.insert(value) && !set.insert(value));
        }
        let two = [2, 0, 0, 0, 4, 0, 0, 0, 0, 0x80, 0xfd, 0xff, 5, 0, 0xff, 0x7f];
        assert_eq!(set.as_bytes(), two);
        set.remove_range(1..4);
        set.insert(32_768);
        assert_eq!(set.as_bytes(), [4, 0, 0, 0, 2, 0, 0, 0, 0, 0x80, 0xff, 0xff, 0, 0x80, 0, 0]);
        set.insert(i64::MIN);
        assert_eq!(set.iter().collect::<Vec<_>>(), [i64::MIN, -32_768, 32_768]);
    }

    #[test]
    fn damaged_bytes_are_refused() {
        for bytes in [
            &b""[..],
            &[2, 0, 0, 0, 0, 0, 0],
            &[3, 0, 0, 0, 0, 0, 0, 0],
            &[2, 1, 0, 0, 0, 0, 0, 0],
            &[2, 0, 0, 0, 1, 0, 0, 0],
            &[2, 0, 0, 0, 1, 0, 0, 0, 1],
            &[2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 1, 0],
            &[2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 1, 0],
            &[8, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0],
        ] {
            assert_eq!(IntSet::from_bytes(bytes.to_vec()), None, "{bytes:?}");
        }
        assert_eq!(IntSet::from_bytes(vec![2, 0, 0, 0, 0, 0, 0, 0]), Some(IntSet::new()));
    }
}
