//! A short array that takes and gives back memory a few places at a time, and counts it.
//!
//! A node of the tree is seldom full. Doubling its array would leave a quarter of it unused; eight
//! places a step leave four, and with 16-byte pairs every step is a size the allocator has.

use std::ops::{Deref, DerefMut, Range};

/// Places by which an array grows and shrinks.
const STEP: usize = 8;

/// An array whose memory is counted in the `bytes` that every change is handed.
#[derive(Debug)]
pub(super) struct Steps<T>(Vec<T>);

impl<T> Steps<T> {
    /// An empty array, which takes no memory.
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Bytes it has taken.
    pub(super) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<T>()
    }

    /// Puts `value` before the one at `index`.
    pub(super) fn insert(&mut self, index: usize, value: T, bytes: &mut usize) {
        if self.0.len() == self.0.capacity() {
            self.counted(bytes, |array| array.reserve_exact(STEP));
        }
        self.0.insert(index, value);
    }

    /// Takes out the value at `index`.
    pub(super) fn remove(&mut self, index: usize, bytes: &mut usize) -> T {
        let value = self.0.remove(index);
        self.fit(bytes);
        value
    }

    /// Drops the values at `range`.
    pub(super) fn remove_range(&mut self, range: Range<usize>, bytes: &mut usize) {
        self.0.drain(range);
        self.fit(bytes);
    }

    /// Moves all values of `other` behind its own.
    pub(super) fn append(&mut self, mut other: Self, bytes: &mut usize) {
        *bytes -= other.bytes();
        self.counted(bytes, |array| {
            let len = array.len() + other.0.len();
            array.reserve_exact(len.next_multiple_of(STEP) - array.len());
            array.append(&mut other.0);
        });
    }

    /// Takes out the values from `index` on.
    pub(super) fn split_off(&mut self, index: usize, bytes: &mut usize) -> Self {
        let right = Self(self.0.split_off(index));
        *bytes += right.bytes();
        self.fit(bytes);
        right
    }

    /// Gives back places, if two steps or more are unused.
    fn fit(&mut self, bytes: &mut usize) {
        if self.0.capacity() - self.0.len() >= 2 * STEP || self.0.is_empty() {
            self.counted(bytes, |array| array.shrink_to(array.len().next_multiple_of(STEP)));
        }
    }

    fn counted(&mut self, bytes: &mut usize, change: impl FnOnce(&mut Vec<T>)) {
        *bytes -= self.bytes();
        change(&mut self.0);
        *bytes += self.bytes();
    }
}

impl<T> Deref for Steps<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for Steps<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_and_given_back() {
        let mut bytes = 0;
        let mut array = Steps::new();
        (0..50u64).for_each(|value| array.insert(0, value, &mut bytes));
        assert_eq!((bytes, array.bytes()), (56 * 8, 56 * 8));
        let right = array.split_off(10, &mut bytes);
        assert_eq!((array.bytes(), right.bytes()), (16 * 8, 40 * 8));
        assert_eq!(bytes, 56 * 8);
        array.append(right, &mut bytes);
        assert_eq!((array.len(), bytes), (50, 56 * 8));
        array.remove_range(5..45, &mut bytes);
        assert_eq!((array.len(), bytes), (10, 16 * 8));
        (0..10).for_each(|_| array.remove_range(0..1, &mut bytes));
        assert_eq!((array.len(), bytes), (0, 0));
    }
}
