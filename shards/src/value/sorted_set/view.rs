//! A sorted set as it is read, wherever it lies: in its key's record while it is small.

use super::large::Large;
use super::{Bounds, Members, SortedSet, pairs};
use crate::value::{Item, Listpack, Packed, Rules, Stored};
use std::ops::Range;

/// A sorted set, to be read.
#[derive(Clone, Copy, Debug)]
pub struct SortedSetRef<'a>(Form<'a>);

#[derive(Clone, Copy, Debug)]
enum Form<'a> {
    Packed(&'a Listpack),
    Large(&'a Large),
}

impl<'a> SortedSetRef<'a> {
    /// One whose members and scores lie in turn in a listpack.
    #[inline]
    pub(crate) fn of_packed(packed: &'a Listpack) -> Self {
        Self(Form::Packed(packed))
    }

    #[inline]
    pub(super) fn of_large(large: &'a Large) -> Self {
        Self(Form::Large(large))
    }

    /// How many members.
    #[inline]
    pub fn len(self) -> usize {
        match self.0 {
            Form::Packed(packed) => packed.count() / 2,
            Form::Large(large) => large.len(),
        }
    }

    /// True if there are none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The name OBJECT ENCODING gives to how it is kept.
    pub fn encoding(self) -> &'static str {
        match self.0 {
            Form::Packed(_) => "listpack",
            Form::Large(_) => "skiplist",
        }
    }

    /// A copy that shares nothing.
    pub fn duplicate(self) -> SortedSet {
        SortedSet(match self.0 {
            Form::Packed(packed) => super::Form::Packed(Packed::from(packed)),
            Form::Large(large) => super::Form::Large(Box::new(large.duplicate())),
        })
    }

    /// How it lies, for whoever writes it to a file.
    pub(crate) fn stored(self) -> Stored<'a> {
        match self.0 {
            Form::Packed(packed) => Stored::Packed(packed),
            Form::Large(_) => Stored::Large,
        }
    }

    /// True in the small form.
    pub fn is_packed(self) -> bool {
        matches!(self.0, Form::Packed(_))
    }

    /// The score of a member.
    pub fn score(self, member: &[u8], rules: &Rules) -> Option<f64> {
        match self.0 {
            Form::Packed(packed) => {
                pairs::place(packed, member).map(|pos| pairs::pair(packed, pos).1)
            }
            Form::Large(large) => large.score(member, rules),
        }
    }

    /// The rank of a member, and its score.
    pub fn rank(self, member: &[u8], rules: &Rules) -> Option<(usize, f64)> {
        match self.0 {
            Form::Packed(packed) => pairs::rank(packed, member),
            Form::Large(large) => large.rank(member, rules),
        }
    }

    /// The ranks of the members inside.
    pub fn span(self, bounds: &Bounds<'_>) -> Range<usize> {
        if bounds.is_void() {
            return 0..0;
        }
        let packed = match self.0 {
            Form::Packed(packed) => packed,
            Form::Large(large) => return large.span(bounds),
        };
        let mut digits = itoa::Buffer::new();
        let mut count_while = |inside: &dyn Fn(&[u8], f64) -> bool, from: usize| {
            let outside = pairs::each(packed)
                .skip(from)
                .find(|&(_, _, member, score)| !inside(member.text(&mut digits), score));
            outside.map_or(packed.count() / 2, |(rank, ..)| rank)
        };
        match bounds {
            Bounds::Score(min, max) => {
                let start = count_while(&|_, score| min.is_above(score), 0);
                start..count_while(&|_, score| max.reaches(score), start)
            }
            Bounds::Lex(min, max) => {
                let start = count_while(&|member, _| min.is_above(member), 0);
                start..count_while(&|member, _| max.reaches(member), start)
            }
        }
    }

    /// The members of these ranks with their scores, in either direction. Ranks that are not
    /// there are left out.
    pub fn range(self, ranks: Range<usize>) -> Members<'a> {
        match self.0 {
            Form::Packed(packed) => Members::of_packed(packed, ranks),
            Form::Large(large) => large.range(ranks),
        }
    }

    /// All members with their scores.
    pub fn iter(self) -> Members<'a> {
        self.range(0..self.len())
    }

    /// Shows members from `position` on, about `count` or all of a packed set; where to go on.
    pub fn scan(
        self,
        position: u64,
        count: usize,
        rules: &Rules,
        mut visit: impl FnMut(Item<'_>, f64),
    ) -> Option<u64> {
        match self.0 {
            Form::Packed(packed) => {
                pairs::each(packed).for_each(|(_, _, member, score)| visit(member, score));
                None
            }
            Form::Large(large) => large.scan(position, count, rules, visit),
        }
    }
}
