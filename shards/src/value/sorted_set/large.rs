//! The large form of a sorted set: members in order, and an index from name to leaf.
//!
//! A member's bytes and its score lie in a leaf of the order and nowhere else. The index says by
//! the hash of a name in which leaves to look; what moves from leaf to leaf is noted in it.

use super::index::{Index, mark};
use super::leaf::Leaf;
use super::members::Members;
use super::order::{Order, Spot};
use super::{Bounds, Changed};
use crate::table::Hasher;
use crate::value::{Item, Rules};
use std::ops::Range;

/// What finds members by name, by score and by rank.
#[derive(Debug, Default)]
pub(super) struct Large {
    order: Order,
    index: Index,
}

/// Members that come from elsewhere, one after the other, before they are put in order.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    names: Vec<u8>,
    /// Scores, and which of the bytes are the name.
    pairs: Vec<(f64, Range<usize>)>,
}

impl Gathered {
    /// Adds a member.
    pub(super) fn add(&mut self, member: &[u8], score: f64) {
        let start = self.names.len();
        self.names.extend_from_slice(member);
        self.pairs.push((score, start..self.names.len()));
    }

    /// The set of them; none if one came twice. In files they stand in order already, the highest
    /// first.
    pub(super) fn settle(mut self, rules: &Rules) -> Option<Large> {
        let names = &self.names;
        let order = |one: &(f64, Range<usize>), other: &(f64, Range<usize>)| {
            let scores = one.0.partial_cmp(&other.0).expect("scores have an order");
            scores.then_with(|| names[one.1.clone()].cmp(&names[other.1.clone()]))
        };
        self.pairs.reverse();
        if !self.pairs.is_sorted_by(|one, other| order(one, other).is_lt()) {
            self.pairs.sort_unstable_by(order);
        }
        let mut large = Large::default();
        for (score, range) in self.pairs {
            let name = &names[range];
            if large.find(rules.hasher.hash(name), name).is_some() {
                return None;
            }
            large.insert(name, score, rules);
        }
        Some(large)
    }
}

/// Notes in the index that the names of a leaf are in another now.
fn follow<'i>(index: &'i mut Index, hasher: &'i Hasher) -> impl FnMut(&Leaf, u32, u32) + 'i {
    |leaf, old, new| {
        (0..leaf.len()).for_each(|at| index.change(hasher.hash(leaf.name(at)), old, new));
    }
}

impl Large {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.order.bytes() + self.index.bytes()
    }

    /// The leaf of a member, and its place in that.
    fn find(&self, hash: u64, member: &[u8]) -> Option<(u32, usize)> {
        self.index.leaves(hash).find_map(|id| {
            let at = self.order.leaf(id).find(mark(hash), member)?;
            Some((id, at))
        })
    }

    pub(super) fn score(&self, member: &[u8], rules: &Rules) -> Option<f64> {
        let (id, at) = self.find(rules.hasher.hash(member), member)?;
        Some(self.order.leaf(id).score(at))
    }

    pub(super) fn rank(&self, member: &[u8], rules: &Rules) -> Option<(usize, f64)> {
        let score = self.score(member, rules)?;
        Some((self.order.rank(self.order.place(score, member)), score))
    }

    /// Puts in a member that is not there.
    pub(super) fn insert(&mut self, member: &[u8], score: f64, rules: &Rules) {
        let hash = rules.hasher.hash(member);
        let spot = self.order.place(score, member);
        let mut moved = follow(&mut self.index, &rules.hasher);
        let id = self.order.insert(spot, (score, mark(hash), member), &mut moved);
        drop(moved);
        self.index.add(hash, id);
    }

    pub(super) fn change<E>(
        &mut self,
        member: &[u8],
        rules: &Rules,
        decide: impl FnOnce(Option<f64>) -> Result<Option<f64>, E>,
    ) -> Result<Changed, E> {
        let old = self.score(member, rules);
        let new = decide(old)?;
        match (old, new) {
            (Some(old), Some(new)) if old != new => {
                let spot = self.order.member(old, member);
                if !self.order.set_score(spot, new) {
                    self.remove_at(spot, 1, rules);
                    self.insert(member, new, rules);
                }
            }
            (None, Some(new)) => self.insert(member, new, rules),
            _ => {}
        }
        Ok(Changed { old, new: new.or(old) })
    }

    pub(super) fn remove(&mut self, member: &[u8], rules: &Rules) -> Option<f64> {
        let score = self.score(member, rules)?;
        self.remove_at(self.order.member(score, member), 1, rules);
        Some(score)
    }

    /// Takes out up to `most` members of one leaf; how many.
    fn remove_at(&mut self, spot: Spot, most: usize, rules: &Rules) -> usize {
        // Two who change the index, one after the other.
        let index = std::cell::RefCell::new(&mut self.index);
        let mut gone = |leaf: &Leaf, id: u32, range: Range<usize>| {
            for at in range {
                index.borrow_mut().remove(rules.hasher.hash(leaf.name(at)), id);
            }
        };
        let mut moved = |leaf: &Leaf, old: u32, new: u32| {
            follow(&mut index.borrow_mut(), &rules.hasher)(leaf, old, new);
        };
        self.order.remove(spot, most, &mut gone, &mut moved)
    }

    pub(super) fn remove_range(&mut self, ranks: Range<usize>, rules: &Rules) {
        let mut left = ranks.len();
        while left > 0 {
            left -= self.remove_at(self.order.at(ranks.start), left, rules);
        }
    }

    pub(super) fn span(&self, bounds: &Bounds<'_>) -> Range<usize> {
        let order = &self.order;
        let (start, end) = match bounds {
            Bounds::Score(min, max) => (
                order.rank(order.seek(|score, _| min.is_above(score))),
                order.rank(order.seek(|score, _| max.reaches(score))),
            ),
            Bounds::Lex(min, max) => (
                order.rank(order.seek(|_, name| min.is_above(name.bytes()))),
                order.rank(order.seek(|_, name| max.reaches(name.bytes()))),
            ),
        };
        // Where scores differ, members have no order, and the end may come before the start.
        start..end.max(start)
    }

    /// The leaf with the member of this rank, and the member's place in it.
    pub(super) fn leaf(&self, rank: usize) -> (&Leaf, usize) {
        let (_, leaf, at) = self.order.leaf_of(self.order.at(rank));
        (leaf, at)
    }

    pub(super) fn range(&self, ranks: Range<usize>) -> Members<'_> {
        Members::of_large(self, ranks.start.min(self.len())..ranks.end.min(self.len()))
    }

    pub(super) fn scan(
        &self,
        position: u64,
        count: usize,
        rules: &Rules,
        mut visit: impl FnMut(Item<'_>, f64),
    ) -> Option<u64> {
        self.index.scan(position, count, |top, id| {
            let leaf = self.order.leaf(id);
            for at in (0..leaf.len()).filter(|&at| leaf.mark(at) == mark(top)) {
                let name = leaf.name(at);
                if (rules.hasher.hash(name) ^ top) >> 32 == 0 {
                    visit(Item::Str(name), leaf.score(at));
                }
            }
        })
    }

    pub(super) fn duplicate(&self) -> Self {
        Self { order: self.order.duplicate(), index: self.index.duplicate() }
    }

    pub(super) fn free_some(&mut self, budget: usize) -> bool {
        self.order.free_some(budget) || self.index.free_some(budget)
    }

    pub(super) fn recount(&self) {
        self.order.recount();
        self.index.recount();
        let mut entries = Vec::new();
        let end = self.index.scan(0, usize::MAX, |top, id| entries.push((id, mark(top))));
        assert_eq!(end, None, "a scan without bound sees all");
        let mut members: Vec<_> = (0..self.len())
            .map(|rank| {
                let (id, leaf, at) = self.order.leaf_of(self.order.at(rank));
                (id, leaf.mark(at))
            })
            .collect();
        entries.sort_unstable();
        members.sort_unstable();
        assert_eq!(entries, members, "the index has an entry for each member, with its leaf");
    }
}
