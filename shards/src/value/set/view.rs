//! A set as it is read, wherever it lies: in its key's record while it is small.

use super::Set;
use crate::commands::parse_int;
use crate::value::{Fields, IntSet, Item, Listpack, Packed, Rules, Stored};

/// A set, to be read.
#[derive(Clone, Copy, Debug)]
pub struct SetRef<'a>(Form<'a>);

#[derive(Clone, Copy, Debug)]
enum Form<'a> {
    Ints(&'a IntSet),
    Packed(&'a Listpack),
    Table(&'a Fields),
}

impl<'a> SetRef<'a> {
    #[inline]
    pub(super) fn of_ints(ints: &'a IntSet) -> Self {
        Self(Form::Ints(ints))
    }

    /// One whose members lie in a listpack.
    #[inline]
    pub(crate) fn of_packed(packed: &'a Listpack) -> Self {
        Self(Form::Packed(packed))
    }

    #[inline]
    pub(super) fn of_table(table: &'a Fields) -> Self {
        Self(Form::Table(table))
    }

    /// How many members.
    #[inline]
    pub fn len(self) -> usize {
        match self.0 {
            Form::Ints(ints) => ints.len(),
            Form::Packed(packed) => packed.count(),
            Form::Table(table) => table.len(),
        }
    }

    /// True if there are none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// True if both are the very same set, in the same place.
    pub fn is_same(self, other: Self) -> bool {
        match (self.0, other.0) {
            (Form::Ints(one), Form::Ints(other)) => std::ptr::eq(one, other),
            (Form::Packed(one), Form::Packed(other)) => std::ptr::eq(one, other),
            (Form::Table(one), Form::Table(other)) => std::ptr::eq(one, other),
            _ => false,
        }
    }

    /// The name OBJECT ENCODING gives to how it is kept.
    pub fn encoding(self) -> &'static str {
        match self.0 {
            Form::Ints(_) => "intset",
            Form::Packed(_) => "listpack",
            Form::Table(_) => "hashtable",
        }
    }

    /// A copy that shares nothing.
    pub fn duplicate(self) -> Set {
        Set(match self.0 {
            Form::Ints(ints) => super::Form::Ints(ints.clone()),
            Form::Packed(packed) => super::Form::Packed(Packed::from(packed)),
            Form::Table(table) => super::Form::Table(Box::new(table.duplicate())),
        })
    }

    /// True if it holds `member`.
    #[inline]
    pub fn contains(self, rules: &Rules, member: &[u8]) -> bool {
        match self.0 {
            Form::Ints(ints) => parse_int(member).is_some_and(|value| ints.contains(value)),
            Form::Table(table) => table.find(rules, member).is_some(),
            Form::Packed(packed) => {
                packed.first().is_some_and(|first| packed.find(first, member, 1).is_some())
            }
        }
    }

    /// True if it holds a member of another set.
    #[inline]
    pub fn contains_item(self, rules: &Rules, member: Item<'_>) -> bool {
        match (self.0, member) {
            (Form::Ints(ints), Item::Int(value)) => ints.contains(value),
            _ => self.contains(rules, member.text(&mut itoa::Buffer::new())),
        }
    }

    /// Every member: integers in order, others in none.
    pub fn iter(self) -> impl Iterator<Item = Item<'a>> + use<'a> {
        let (mut ints, mut packed, mut table) = (None, None, None);
        match self.0 {
            Form::Ints(own) => ints = Some(own.iter().map(Item::Int)),
            Form::Packed(own) => packed = Some(own.iter()),
            Form::Table(own) => table = Some(own.iter().map(|field| Item::Str(field.name()))),
        }
        let ints = ints.into_iter().flatten();
        ints.chain(packed.into_iter().flatten()).chain(table.into_iter().flatten())
    }

    /// Shows members from `position` on (0 is the start), about `count` or all of a compact set;
    /// where to go on, or none at the end.
    pub fn scan(self, position: u64, count: usize, mut visit: impl FnMut(Item<'_>)) -> Option<u64> {
        if let Form::Table(table) = self.0 {
            return table.scan(position, count, |field| visit(Item::Str(field.name())));
        }
        self.iter().for_each(visit);
        None
    }

    /// Any member, each as likely as any other; `random` gives 64 random bits at a time.
    pub fn random(self, mut random: impl FnMut() -> u64) -> Option<Item<'a>> {
        let mut below = |count: usize| (((random() >> 32) * count as u64) >> 32) as usize;
        match self.0 {
            Form::Ints(ints) if ints.is_empty() => None,
            Form::Ints(ints) => Some(Item::Int(ints.at(below(ints.len())))),
            Form::Packed(packed) => {
                let at = packed.seek(below(packed.count()) as isize)?;
                Some(packed.at(at))
            }
            Form::Table(table) => Some(Item::Str(table.random(random)?.name())),
        }
    }

    /// How it lies, for whoever writes it to a file.
    pub(crate) fn stored(self) -> Stored<'a> {
        match self.0 {
            Form::Ints(ints) => Stored::Ints(ints),
            Form::Packed(packed) => Stored::Packed(packed),
            Form::Table(_) => Stored::Large,
        }
    }
}
