//! Goes over the members of a sorted set in either direction.

use super::large::Large;
use super::leaf::Leaf;
use super::pairs;
use crate::value::{Item, Listpack, PackedIter};
use std::ops::Range;

/// Members of a range of ranks, with their scores.
#[derive(Debug)]
pub struct Members<'a>(Form<'a>);

#[derive(Debug)]
enum Form<'a> {
    /// Items from the first member on, items up to the last, and how many members those are.
    Packed {
        front: PackedIter<'a>,
        back: PackedIter<'a>,
        left: usize,
    },
    Large(Leaves<'a>),
}

impl<'a> Members<'a> {
    pub(super) fn of_packed(packed: &'a Listpack, ranks: Range<usize>) -> Self {
        let left = ranks.end.min(packed.count() / 2).saturating_sub(ranks.start);
        let place = |rank: usize| packed.seek(2 * rank as isize);
        let front = place(ranks.start).map_or_else(|| packed.iter(), |pos| packed.iter_from(pos));
        let end = place(ranks.start + left);
        let back = end.map_or_else(|| packed.iter(), |pos| packed.iter_before(pos));
        Self(Form::Packed { front, back, left })
    }

    pub(super) fn of_large(large: &'a Large, ranks: Range<usize>) -> Self {
        Self(Form::Large(Leaves { large, ranks, front: None, back: None }))
    }
}

/// Members of a large set.
///
/// It holds no way through the leaves: where one ends, the next is found by its rank, which costs
/// little a member and lets both ends move.
#[derive(Debug)]
struct Leaves<'a> {
    large: &'a Large,
    /// The ranks that are still to come.
    ranks: Range<usize>,
    /// The leaf of the next member, and its place there, as long as the leaf has one.
    front: Option<(&'a Leaf, usize)>,
    /// The leaf of the last member, and the place behind it there, as long as the leaf has one.
    back: Option<(&'a Leaf, usize)>,
}

impl<'a> Leaves<'a> {
    #[inline]
    fn next(&mut self) -> Option<(Item<'a>, f64)> {
        if self.ranks.is_empty() {
            return None;
        }
        let (leaf, at) = match self.front {
            Some((leaf, at)) if at < leaf.len() => (leaf, at),
            _ => self.large.leaf(self.ranks.start),
        };
        self.front = Some((leaf, at + 1));
        self.ranks.start += 1;
        Some((Item::Str(leaf.name(at)), leaf.score(at)))
    }

    #[inline]
    fn next_back(&mut self) -> Option<(Item<'a>, f64)> {
        if self.ranks.is_empty() {
            return None;
        }
        let (leaf, end) = match self.back {
            Some((leaf, end)) if end > 0 => (leaf, end),
            _ => {
                let (leaf, at) = self.large.leaf(self.ranks.end - 1);
                (leaf, at + 1)
            }
        };
        self.back = Some((leaf, end - 1));
        self.ranks.end -= 1;
        Some((Item::Str(leaf.name(end - 1)), leaf.score(end - 1)))
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (Item<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Form::Packed { front, left, .. } => {
                *left = left.checked_sub(1)?;
                let member = front.next()?;
                Some((member, pairs::score_of(front.next()?)))
            }
            Form::Large(leaves) => leaves.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Form::Packed { left, .. } => (*left, Some(*left)),
            Form::Large(leaves) => leaves.ranks.size_hint(),
        }
    }
}

impl DoubleEndedIterator for Members<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Form::Packed { back, left, .. } => {
                *left = left.checked_sub(1)?;
                let score = pairs::score_of(back.next_back()?);
                Some((back.next_back()?, score))
            }
            Form::Large(leaves) => leaves.next_back(),
        }
    }
}

impl ExactSizeIterator for Members<'_> {}
