//! The nodes of the tree: leaves of pairs, and above them nodes that count what is below.

use super::Pair;
use super::steps::Steps;
use std::ops::Range;

/// Pairs of a leaf, or children of an inner node, at most.
pub(super) const WIDTH_MAX: usize = 64;
/// A node with fewer is joined with a neighbour.
const WIDTH_MIN: usize = 16;
/// Two nodes that have no more than this together become one; more are shared out evenly.
const JOINED_MAX: usize = 48;

const _: () = assert!(WIDTH_MIN <= JOINED_MAX / 2, "half of what is shared out is enough");
const _: () = assert!(JOINED_MAX < WIDTH_MAX, "a joined node has room for more");

/// A node. All leaves are equally deep.
#[derive(Debug)]
pub(super) enum Node<H> {
    /// Pairs in order.
    Leaf(Steps<Pair<H>>),
    /// Children in order.
    Inner(Box<Inner<H>>),
}

/// A node above others. The three arrays are equally long, and never empty between changes.
#[derive(Debug)]
pub(super) struct Inner<H> {
    /// The first pair below each child.
    firsts: Steps<Pair<H>>,
    /// How many pairs are below each child.
    counts: Steps<u64>,
    children: Steps<Node<H>>,
}

impl<H: Copy> Inner<H> {
    /// The child below which the last pair is for which `before` is true; the first if none is.
    #[inline]
    pub(super) fn child_of(&self, before: &impl Fn(&Pair<H>) -> bool) -> usize {
        self.firsts.partition_point(before).saturating_sub(1)
    }

    fn is_even(&self) -> bool {
        self.firsts.len() == self.children.len() && self.counts.len() == self.children.len()
    }

    /// A node above two.
    pub(super) fn above(left: Node<H>, right: Node<H>, bytes: &mut usize) -> Self {
        let mut inner = Self { firsts: Steps::new(), counts: Steps::new(), children: Steps::new() };
        inner.put(0, left, bytes);
        inner.put(1, right, bytes);
        inner
    }

    fn put(&mut self, at: usize, child: Node<H>, bytes: &mut usize) {
        self.firsts.insert(at, child.first(), bytes);
        self.counts.insert(at, child.len(), bytes);
        self.children.insert(at, child, bytes);
    }

    pub(super) fn take(&mut self, at: usize, bytes: &mut usize) -> Node<H> {
        self.firsts.remove(at, bytes);
        self.counts.remove(at, bytes);
        self.children.remove(at, bytes)
    }

    /// Notes what has become of a child's pairs, and lets it join a neighbour if few are left.
    fn settle(&mut self, mut at: usize, bytes: &mut usize) {
        loop {
            let child = &self.children[at];
            if child.width() == 0 {
                drop(self.take(at, bytes));
                return;
            }
            self.firsts[at] = child.first();
            if child.width() >= WIDTH_MIN || self.children.len() == 1 {
                return;
            }
            let left = if at + 1 < self.children.len() { at } else { at - 1 };
            let right = self.take(left + 1, bytes);
            let joined = &mut self.children[left];
            joined.join(right, bytes);
            let width = joined.width();
            if width > JOINED_MAX {
                let right = joined.split(width / 2, bytes);
                self.put(left + 1, right, bytes);
            }
            self.counts[left] = self.children[left].len();
            at = left;
        }
    }

    fn insert(
        &mut self,
        pair: Pair<H>,
        before: &impl Fn(&Pair<H>) -> bool,
        bytes: &mut usize,
    ) -> Option<Node<H>> {
        let at = self.child_of(before);
        let split = self.children[at].insert(pair, before, bytes);
        self.counts[at] += 1;
        self.firsts[at] = self.children[at].first();
        let right = split?;
        self.counts[at] -= right.len();
        self.put(at + 1, right, bytes);
        if self.children.len() <= WIDTH_MAX {
            return None;
        }
        Some(self.split(WIDTH_MAX / 2, bytes))
    }

    fn split(&mut self, at: usize, bytes: &mut usize) -> Node<H> {
        *bytes += size_of::<Self>();
        Node::Inner(Box::new(Self {
            firsts: self.firsts.split_off(at, bytes),
            counts: self.counts.split_off(at, bytes),
            children: self.children.split_off(at, bytes),
        }))
    }

    fn join(&mut self, right: Self, bytes: &mut usize) {
        *bytes -= size_of::<Self>();
        let seam = self.children.len();
        self.firsts.append(right.firsts, bytes);
        self.counts.append(right.counts, bytes);
        self.children.append(right.children, bytes);
        // An only child could join nobody; now it can.
        self.settle(seam, bytes);
        self.settle(seam - 1, bytes);
    }

    fn remove(&mut self, until: &impl Fn(&Pair<H>) -> bool, bytes: &mut usize) -> Option<Pair<H>> {
        let at = self.child_of(until);
        let pair = self.children[at].remove(until, bytes)?;
        self.counts[at] -= 1;
        self.settle(at, bytes);
        Some(pair)
    }

    fn remove_range(
        &mut self,
        ranks: Range<u64>,
        gone: &mut impl FnMut(Pair<H>),
        bytes: &mut usize,
    ) {
        let (first, mut offset) = self.child_at(ranks.start);
        let mut left = ranks.end - ranks.start;
        let (mut at, mut empty) = (first, first..first);
        while left > 0 {
            let count = self.counts[at];
            let part = (count - offset).min(left);
            let child = &mut self.children[at];
            if part == count {
                child.each(gone);
                *bytes -= child.bytes();
                empty = if empty.is_empty() { at..at + 1 } else { empty.start..at + 1 };
            } else {
                child.remove_range(offset..offset + part, gone, bytes);
                self.counts[at] -= part;
            }
            left -= part;
            offset = 0;
            at += 1;
        }
        self.firsts.remove_range(empty.clone(), bytes);
        self.counts.remove_range(empty.clone(), bytes);
        self.children.remove_range(empty, bytes);
        for at in [first + 1, first] {
            if at < self.children.len() {
                self.settle(at, bytes);
            }
        }
    }
}

impl<H> Inner<H> {
    /// How many children it has.
    pub(super) fn width(&self) -> usize {
        self.children.len()
    }

    /// The child below which the pair of this rank is, and how many are before it there.
    #[inline]
    pub(super) fn child_at(&self, rank: u64) -> (usize, u64) {
        let mut offset = rank;
        for (at, &count) in self.counts.iter().enumerate() {
            if offset < count {
                return (at, offset);
            }
            offset -= count;
        }
        let last = self.counts.len() - 1;
        (last, offset + self.counts[last])
    }

    /// How many pairs are below the children before `at`.
    #[inline]
    pub(super) fn count_before(&self, at: usize) -> u64 {
        self.counts[..at].iter().sum()
    }

    /// The child `at`.
    #[inline]
    pub(super) fn child(&self, at: usize) -> &Node<H> {
        &self.children[at]
    }
}

impl<H: Copy> Node<H> {
    /// A leaf without pairs.
    pub(super) const fn empty() -> Self {
        Self::Leaf(Steps::new())
    }

    /// Pairs of a leaf, or children.
    pub(super) fn width(&self) -> usize {
        match self {
            Self::Leaf(pairs) => pairs.len(),
            Self::Inner(inner) => inner.width(),
        }
    }

    /// Pairs below.
    fn len(&self) -> u64 {
        match self {
            Self::Leaf(pairs) => pairs.len() as u64,
            Self::Inner(inner) => inner.counts.iter().sum(),
        }
    }

    /// The first pair below.
    fn first(&self) -> Pair<H> {
        match self {
            Self::Leaf(pairs) => pairs[0],
            Self::Inner(inner) => inner.firsts[0],
        }
    }

    /// Puts in a pair behind those for which `before` is true. What no longer fits comes back, to
    /// stand behind this node.
    pub(super) fn insert(
        &mut self,
        pair: Pair<H>,
        before: &impl Fn(&Pair<H>) -> bool,
        bytes: &mut usize,
    ) -> Option<Self> {
        let pairs = match self {
            Self::Leaf(pairs) => pairs,
            Self::Inner(inner) => return inner.insert(pair, before, bytes),
        };
        let at = pairs.partition_point(before);
        if pairs.len() < WIDTH_MAX {
            pairs.insert(at, pair, bytes);
            return None;
        }
        let middle = WIDTH_MAX / 2;
        let mut right = pairs.split_off(middle, bytes);
        if at <= middle {
            pairs.insert(at, pair, bytes);
        } else {
            right.insert(at - middle, pair, bytes);
        }
        Some(Self::Leaf(right))
    }

    /// Takes out the last pair for which `until` is true.
    pub(super) fn remove(
        &mut self,
        until: &impl Fn(&Pair<H>) -> bool,
        bytes: &mut usize,
    ) -> Option<Pair<H>> {
        match self {
            Self::Leaf(pairs) => {
                let at = pairs.partition_point(until).checked_sub(1)?;
                Some(pairs.remove(at, bytes))
            }
            Self::Inner(inner) => inner.remove(until, bytes),
        }
    }

    /// Takes out the pairs of these ranks, telling each.
    pub(super) fn remove_range(
        &mut self,
        ranks: Range<u64>,
        gone: &mut impl FnMut(Pair<H>),
        bytes: &mut usize,
    ) {
        match self {
            Self::Leaf(pairs) => {
                let range = ranks.start as usize..ranks.end as usize;
                pairs[range.clone()].iter().for_each(|&pair| gone(pair));
                pairs.remove_range(range, bytes);
            }
            Self::Inner(inner) => inner.remove_range(ranks, gone, bytes),
        }
    }

    fn split(&mut self, at: usize, bytes: &mut usize) -> Self {
        match self {
            Self::Leaf(pairs) => Self::Leaf(pairs.split_off(at, bytes)),
            Self::Inner(inner) => inner.split(at, bytes),
        }
    }

    fn join(&mut self, right: Self, bytes: &mut usize) {
        match (self, right) {
            (Self::Leaf(pairs), Self::Leaf(right)) => pairs.append(right, bytes),
            (Self::Inner(inner), Self::Inner(right)) => inner.join(*right, bytes),
            _ => unreachable!("all leaves are equally deep"),
        }
    }

    /// Tells every pair below.
    fn each(&self, told: &mut impl FnMut(Pair<H>)) {
        match self {
            Self::Leaf(pairs) => pairs.iter().for_each(|&pair| told(pair)),
            Self::Inner(inner) => inner.children.iter().for_each(|child| child.each(told)),
        }
    }

    /// Bytes of memory below, without the node's own place, recounted.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Leaf(pairs) => pairs.bytes(),
            Self::Inner(inner) => {
                let arrays = inner.firsts.bytes() + inner.counts.bytes() + inner.children.bytes();
                let below: usize = inner.children.iter().map(Self::bytes).sum();
                size_of::<Inner<H>>() + arrays + below
            }
        }
    }

    /// How deep the leaves are; checks all that must hold but the order of the pairs.
    ///
    /// # Panics
    /// If something does not hold.
    pub(super) fn check(&self, same: &impl Fn(H, H) -> bool) -> usize {
        assert!(self.width() <= WIDTH_MAX, "a node is not too wide");
        let Self::Inner(inner) = self else { return 0 };
        assert!(inner.is_even(), "a first pair and a count for each child");
        let mut depths = inner.children.iter().enumerate().map(|(at, child)| {
            assert!(child.width() > 0, "no node is empty");
            assert!(child.width() >= WIDTH_MIN || inner.children.len() == 1, "a node is used");
            assert_eq!(inner.counts[at], child.len(), "what is below is counted");
            let (first, noted) = (child.first(), inner.firsts[at]);
            assert!(first.score.to_bits() == noted.score.to_bits(), "the first pair is noted");
            assert!(same(first.handle, noted.handle), "the first pair is noted");
            child.check(same)
        });
        let depth = depths.next().expect("an inner node has children");
        assert!(depths.all(|other| other == depth), "all leaves are equally deep");
        depth + 1
    }
}
