//! Pairs of a score and a handle, in order, with their ranks: a B+ tree that counts.
//!
//! The order is by score, and by the bytes behind the handle where scores are equal. The tree does
//! not know these bytes: every search is handed a way to them, and asks only on equal scores.
//!
//! Leaves hold up to 64 pairs in an array; a node above holds, for each of its up to 64 children,
//! the first pair and the number of pairs below it. So a pair is found by score, by member or by
//! rank in one way down, and its rank is the sum of what was passed. Arrays grow by eight places,
//! so that a pair takes 19 bytes where its score and handle take 16, and no change copies more
//! than a few nodes. A node with few pairs joins its neighbour.

mod node;
mod pairs;
mod steps;
#[cfg(test)]
mod tests;

pub(crate) use pairs::Pairs;

use node::{Inner, Node};
use std::ops::Range;

/// A score and the handle of the member that has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pair<H> {
    /// Never NaN.
    pub(crate) score: f64,
    /// What the caller finds the member's bytes by.
    pub(crate) handle: H,
}

/// Pairs in the order of their scores and members. No two have the same member.
#[derive(Debug)]
pub(crate) struct Ranked<H> {
    root: Node<H>,
    len: usize,
    bytes: usize,
}

impl<H: Copy + PartialEq> Ranked<H> {
    /// No pairs.
    pub(crate) const fn new() -> Self {
        Self { root: Node::empty(), len: 0, bytes: 0 }
    }

    /// How many pairs there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of memory it has taken.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Puts in a pair whose member is not in.
    pub(crate) fn insert<'m>(&mut self, score: f64, handle: H, member: impl Fn(H) -> &'m [u8]) {
        debug_assert!(!score.is_nan(), "scores have an order");
        let own = member(handle);
        self.put(Pair { score, handle }, |pair| is_before(pair, score, own, &member));
    }

    /// Puts in a pair that stands behind all others.
    pub(crate) fn push(&mut self, score: f64, handle: H) {
        self.put(Pair { score, handle }, |_| true);
    }

    fn put(&mut self, pair: Pair<H>, before: impl Fn(&Pair<H>) -> bool) {
        if let Some(right) = self.root.insert(pair, &before, &mut self.bytes) {
            let left = std::mem::replace(&mut self.root, Node::empty());
            self.bytes += size_of::<Inner<H>>();
            self.root = Node::Inner(Box::new(Inner::above(left, right, &mut self.bytes)));
        }
        self.len += 1;
    }

    /// Takes out a pair, which must be in: its handle with the score it has here.
    ///
    /// # Panics
    /// If it is not there: what holds the members and this do not agree.
    pub(crate) fn remove<'m>(&mut self, score: f64, handle: H, member: impl Fn(H) -> &'m [u8]) {
        let own = member(handle);
        // True for the pair itself as well, the last for which it is.
        let until = |pair: &Pair<H>| {
            pair.score < score
                || (pair.score == score && (pair.handle == handle || member(pair.handle) <= own))
        };
        let gone = self.root.remove(&until, &mut self.bytes);
        assert!(gone.is_some_and(|pair| pair.handle == handle), "a member has its pair");
        self.len -= 1;
        self.lower();
    }

    /// Gives the member of a pair another score.
    ///
    /// # Panics
    /// As `remove`.
    pub(crate) fn update<'m>(
        &mut self,
        old: f64,
        new: f64,
        handle: H,
        member: impl Fn(H) -> &'m [u8],
    ) {
        self.remove(old, handle, &member);
        self.insert(new, handle, &member);
    }

    /// How many pairs stand before the first for which `before` is false. It must be true for all
    /// pairs up to some place, and false for all after.
    pub(crate) fn count_before(&self, before: impl Fn(&Pair<H>) -> bool) -> usize {
        let mut rank = 0;
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(pairs) => return rank as usize + pairs.partition_point(&before),
                Node::Inner(inner) => {
                    let at = inner.child_of(&before);
                    rank += inner.count_before(at);
                    node = inner.child(at);
                }
            }
        }
    }

    /// How many pairs stand before a member with this score.
    pub(crate) fn rank<'m>(&self, score: f64, own: &[u8], member: impl Fn(H) -> &'m [u8]) -> usize {
        self.count_before(|pair| is_before(pair, score, own, &member))
    }

    /// The pairs of these ranks, in either direction. Ranks that are not there are left out.
    pub(crate) fn range(&self, ranks: Range<usize>) -> Pairs<'_, H> {
        Pairs::new(self, ranks.start.min(self.len)..ranks.end.min(self.len))
    }

    /// Takes out the pairs of these ranks, telling each to `gone`: the time goes with the number
    /// of pairs removed, and the logarithm of those that stay. Ranks that are not there are left
    /// out.
    pub(crate) fn remove_range(&mut self, ranks: Range<usize>, mut gone: impl FnMut(Pair<H>)) {
        let ranks = ranks.start.min(self.len)..ranks.end.min(self.len);
        if ranks.is_empty() {
            return;
        }
        self.len -= ranks.len();
        let ranks = ranks.start as u64..ranks.end as u64;
        self.root.remove_range(ranks, &mut gone, &mut self.bytes);
        self.lower();
    }

    /// Drops about `budget` pairs from the end; true while some are left.
    pub(crate) fn free_some(&mut self, budget: usize) -> bool {
        self.remove_range(self.len.saturating_sub(budget)..self.len, drop);
        self.len > 0
    }

    /// Bytes of memory it has taken, recounted.
    ///
    /// # Panics
    /// If anything in it is not as it must be: counts, firsts, widths, or the order.
    pub(crate) fn recount<'m>(&self, member: impl Fn(H) -> &'m [u8]) -> usize {
        self.root.check(&|one, other| one == other);
        let mut last: Option<Pair<H>> = None;
        let mut len = 0;
        for pair in self.range(0..self.len) {
            if let Some(last) = last {
                assert!(is_before(&last, pair.score, member(pair.handle), &member), "in order");
            }
            last = Some(pair);
            len += 1;
        }
        assert_eq!(len, self.len, "pairs are counted");
        self.root.bytes()
    }

    /// The leaf with the pair of this rank, and the pair's place in it.
    fn leaf(&self, rank: usize) -> (&[Pair<H>], usize) {
        let mut offset = rank as u64;
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(pairs) => return (pairs, offset as usize),
                Node::Inner(inner) => {
                    let (at, rest) = inner.child_at(offset);
                    offset = rest;
                    node = inner.child(at);
                }
            }
        }
    }

    /// Takes away nodes at the top that hold no more than one other.
    fn lower(&mut self) {
        while let Node::Inner(inner) = &mut self.root {
            let only = match inner.width() {
                0 => Node::empty(),
                1 => inner.take(0, &mut self.bytes),
                _ => return,
            };
            self.bytes -= size_of::<Inner<H>>();
            self.root = only;
        }
    }
}

impl<H: Copy + PartialEq> Default for Ranked<H> {
    fn default() -> Self {
        Self::new()
    }
}

/// True if `pair` stands before a member `own` with this score.
#[inline]
fn is_before<'m, H: Copy>(
    pair: &Pair<H>,
    score: f64,
    own: &[u8],
    member: &impl Fn(H) -> &'m [u8],
) -> bool {
    pair.score < score || (pair.score == score && member(pair.handle) < own)
}
