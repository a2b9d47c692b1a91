//! Goes over the members of a sorted set in either direction.

use super::large::Large;
use super::pairs;
use super::ranked::Pairs;
use crate::table::Handle;
use crate::value::{Item, Packed, PackedIter};
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
    Large {
        large: &'a Large,
        pairs: Pairs<'a, Handle>,
    },
}

impl<'a> Members<'a> {
    pub(super) fn of_packed(packed: &'a Packed, ranks: Range<usize>) -> Self {
        let left = ranks.end.min(packed.count() / 2).saturating_sub(ranks.start);
        let place = |rank: usize| packed.seek(2 * rank as isize);
        let front = place(ranks.start).map_or_else(|| packed.iter(), |pos| packed.iter_from(pos));
        let end = place(ranks.start + left);
        let back = end.map_or_else(|| packed.iter(), |pos| packed.iter_before(pos));
        Self(Form::Packed { front, back, left })
    }

    pub(super) fn of_large(large: &'a Large, pairs: Pairs<'a, Handle>) -> Self {
        Self(Form::Large { large, pairs })
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
            Form::Large { large, pairs } => {
                let pair = pairs.next()?;
                Some((Item::Str(large.member(pair.handle)), pair.score))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Form::Packed { left, .. } => (*left, Some(*left)),
            Form::Large { pairs, .. } => pairs.size_hint(),
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
            Form::Large { large, pairs } => {
                let pair = pairs.next_back()?;
                Some((Item::Str(large.member(pair.handle)), pair.score))
            }
        }
    }
}

impl ExactSizeIterator for Members<'_> {}
