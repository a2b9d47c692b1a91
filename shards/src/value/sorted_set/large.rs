//! The large form of a sorted set: a table from member to score, and a tree in order.
//!
//! Both hold every member, and the same score for it. The tree holds no member's bytes but the
//! handle of its record in the table, which stays where it is as long as the member is in: scores
//! are of one size and written in place. So a handle leaves the tree before its record is freed.

use super::members::Members;
use super::ranked::Ranked;
use super::{Bounds, Changed};
use crate::table::Handle;
use crate::value::fields::{Field, Fields};
use crate::value::{Content, Item, Rules, Value};
use std::ops::Range;

/// What finds members by name, by score and by rank.
#[derive(Debug, Default)]
pub(super) struct Large {
    members: Fields,
    order: Ranked<Handle>,
}

/// Members that come from elsewhere, one after the other, before they are put in order.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    large: Large,
    pairs: Vec<(f64, Handle)>,
}

impl Gathered {
    /// Adds a member; false if it is there already.
    pub(super) fn add(&mut self, member: &[u8], score: f64, rules: &Rules) -> bool {
        if self.large.members.find(rules, member).is_some() {
            return false;
        }
        let handle = self.large.members.insert_new(rules, member, content(score));
        self.pairs.push((score, handle));
        true
    }

    /// The set of them. In files they stand in order already, the highest first.
    pub(super) fn settle(mut self) -> Large {
        let order = |one: &(f64, Handle), other: &(f64, Handle)| {
            let scores = one.0.partial_cmp(&other.0).expect("scores have an order");
            scores.then_with(|| bytes(one.1).cmp(bytes(other.1)))
        };
        self.pairs.reverse();
        if !self.pairs.is_sorted_by(|one, other| order(one, other).is_lt()) {
            self.pairs.sort_unstable_by(order);
        }
        for (score, handle) in self.pairs {
            self.large.order.push(score, handle);
        }
        self.large
    }
}

/// The bytes of a member in the tree.
#[inline]
fn bytes<'m>(handle: Handle) -> &'m [u8] {
    // SAFETY: called on handles in the tree of a `Large` that is borrowed, and for searches in it,
    // and on those that are gathered for one; the records of these live, and none is freed before
    // its handle is out.
    unsafe { handle.key() }
}

/// A score as it stands with its member.
#[inline]
fn content(score: f64) -> Content<'static> {
    Content::Int(score.to_bits().cast_signed())
}

/// The score that stands with a member.
#[inline]
fn score_of(field: Field<'_>) -> f64 {
    match field.value() {
        Value::Int(bits) => f64::from_bits(bits.cast_unsigned()),
        _ => unreachable!("a member has a score"),
    }
}

impl Large {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.members.bytes() + self.order.bytes()
    }

    /// The member of a handle that came from this set's tree.
    #[inline]
    pub(super) fn member(&self, handle: Handle) -> &[u8] {
        bytes(handle)
    }

    pub(super) fn score(&self, member: &[u8], rules: &Rules) -> Option<f64> {
        self.members.find(rules, member).map(score_of)
    }

    pub(super) fn rank(&self, member: &[u8], rules: &Rules) -> Option<(usize, f64)> {
        let score = self.score(member, rules)?;
        Some((self.order.rank(score, member, bytes), score))
    }

    /// Puts in a member that is not there.
    pub(super) fn insert(&mut self, member: &[u8], score: f64, rules: &Rules) {
        let handle = self.members.insert_new(rules, member, content(score));
        self.order.insert(score, handle, bytes);
    }

    pub(super) fn change<E>(
        &mut self,
        member: &[u8],
        rules: &Rules,
        decide: impl FnOnce(Option<f64>) -> Result<Option<f64>, E>,
    ) -> Result<Changed, E> {
        let found = self.members.find(rules, member).map(|field| (field.handle(), score_of(field)));
        let old = found.map(|(_, score)| score);
        let new = decide(old)?;
        match (found, new) {
            (Some((handle, old)), Some(new)) if old != new => {
                self.members.insert(rules, member, content(new), None);
                self.order.update(old, new, handle, bytes);
            }
            (None, Some(new)) => self.insert(member, new, rules),
            _ => {}
        }
        Ok(Changed { old, new: new.or(old) })
    }

    pub(super) fn remove(&mut self, member: &[u8], rules: &Rules) -> Option<f64> {
        let field = self.members.find(rules, member)?;
        let (handle, score) = (field.handle(), score_of(field));
        self.order.remove(score, handle, bytes);
        self.members.remove(rules, member);
        Some(score)
    }

    pub(super) fn remove_range(&mut self, ranks: Range<usize>, rules: &Rules) {
        let members = &mut self.members;
        let mut name = Vec::new();
        self.order.remove_range(ranks, |pair| {
            // A copy, since the record goes with its name.
            name.clear();
            name.extend_from_slice(bytes(pair.handle));
            members.remove(rules, &name);
        });
    }

    pub(super) fn span(&self, bounds: &Bounds<'_>) -> Range<usize> {
        let (start, end) = match bounds {
            Bounds::Score(min, max) => (
                self.order.count_before(|pair| min.is_above(pair.score)),
                self.order.count_before(|pair| max.reaches(pair.score)),
            ),
            Bounds::Lex(min, max) => (
                self.order.count_before(|pair| min.is_above(bytes(pair.handle))),
                self.order.count_before(|pair| max.reaches(bytes(pair.handle))),
            ),
        };
        // Where scores differ, members have no order, and the end may come before the start.
        start..end.max(start)
    }

    pub(super) fn range(&self, ranks: Range<usize>) -> Members<'_> {
        Members::of_large(self, self.order.range(ranks))
    }

    pub(super) fn scan(
        &self,
        position: u64,
        count: usize,
        rules: &Rules,
        mut visit: impl FnMut(Item<'_>, f64),
    ) -> Option<u64> {
        let visit = |field: Field<'_>| visit(Item::Str(field.name()), score_of(field));
        self.members.scan(rules, position, count, visit)
    }

    pub(super) fn duplicate(&self) -> Self {
        let members = self.members.duplicate();
        // A copy has its records in the same places, so that each can be told its twin, and the
        // order need not be found again.
        let copies = members.iter().map(Field::handle);
        let mut twins: Vec<_> = self.members.iter().map(Field::handle).zip(copies).collect();
        twins.sort_unstable();
        let mut order = Ranked::new();
        for pair in self.order.range(0..self.len()) {
            let twin = twins.binary_search_by_key(&pair.handle, |twin| twin.0);
            let twin = twin.expect("a member in the tree is in the table");
            order.push(pair.score, twins[twin].1);
        }
        Self { members, order }
    }

    /// The tree first: what is left then holds no handles.
    pub(super) fn free_some(&mut self, budget: usize) -> bool {
        self.order.free_some(budget) || self.members.free_some(budget)
    }

    pub(super) fn recount(&self) {
        self.members.recount();
        assert_eq!(self.order.recount(bytes), self.order.bytes(), "the tree's memory is counted");
        assert_eq!(self.members.len(), self.order.len(), "as many members as pairs");
        let mut pairs: Vec<_> = self.order.range(0..self.len()).collect();
        pairs.sort_unstable_by_key(|pair| bytes(pair.handle));
        for field in self.members.iter() {
            let pair = pairs.binary_search_by_key(&field.name(), |pair| bytes(pair.handle));
            let pair = pairs[pair.expect("a member has its pair")];
            assert_eq!(pair.handle, field.handle(), "the tree knows the member's record");
            assert_eq!(pair.score.to_bits(), score_of(field).to_bits(), "and its score");
        }
    }
}
