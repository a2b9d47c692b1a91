//! Goes over pairs of the tree in either direction, a leaf at a time.

use super::{Pair, Ranked};
use std::ops::Range;

/// The pairs of a range of ranks.
///
/// It holds no way down the tree: where a leaf ends, the next is found by its rank, which costs
/// little a pair and lets both ends move.
#[derive(Debug)]
pub(crate) struct Pairs<'a, H> {
    tree: &'a Ranked<H>,
    /// The ranks that are still to come.
    ranks: Range<usize>,
    /// The next pairs, as far as they stand in one leaf.
    front: &'a [Pair<H>],
    /// The last pairs, as far as they stand in one leaf.
    back: &'a [Pair<H>],
}

impl<'a, H: Copy + PartialEq> Pairs<'a, H> {
    pub(super) fn new(tree: &'a Ranked<H>, ranks: Range<usize>) -> Self {
        Self { tree, ranks, front: &[], back: &[] }
    }
}

impl<H: Copy + PartialEq> Iterator for Pairs<'_, H> {
    type Item = Pair<H>;

    #[inline]
    fn next(&mut self) -> Option<Pair<H>> {
        if self.ranks.is_empty() {
            return None;
        }
        if self.front.is_empty() {
            let (pairs, offset) = self.tree.leaf(self.ranks.start);
            self.front = &pairs[offset..];
        }
        let (first, rest) = self.front.split_first()?;
        self.front = rest;
        self.ranks.start += 1;
        Some(*first)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ranks.size_hint()
    }
}

impl<H: Copy + PartialEq> DoubleEndedIterator for Pairs<'_, H> {
    #[inline]
    fn next_back(&mut self) -> Option<Pair<H>> {
        if self.ranks.is_empty() {
            return None;
        }
        if self.back.is_empty() {
            let (pairs, offset) = self.tree.leaf(self.ranks.end - 1);
            self.back = &pairs[..=offset];
        }
        let (last, rest) = self.back.split_last()?;
        self.back = rest;
        self.ranks.end -= 1;
        Some(*last)
    }
}

impl<H: Copy + PartialEq> ExactSizeIterator for Pairs<'_, H> {}
