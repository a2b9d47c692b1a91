//! A hash as it is read, wherever it lies: in its key's record while it is small.

use super::large::Large;
use super::timed::Timed;
use super::{Hash, Pair, pairs};
use crate::shard::Millis;
use crate::value::{Listpack, Packed, Rules, Stored};

/// A hash, to be read.
#[derive(Clone, Copy, Debug)]
pub struct HashRef<'a>(Form<'a>);

#[derive(Clone, Copy, Debug)]
enum Form<'a> {
    Pairs(&'a Listpack),
    Timed(&'a Timed),
    Large(&'a Large),
}

impl<'a> HashRef<'a> {
    /// One whose names and values lie in turn in a listpack.
    #[inline]
    pub(crate) fn of_pairs(pairs: &'a Listpack) -> Self {
        Self(Form::Pairs(pairs))
    }

    #[inline]
    pub(super) fn of_timed(timed: &'a Timed) -> Self {
        Self(Form::Timed(timed))
    }

    #[inline]
    pub(super) fn of_large(large: &'a Large) -> Self {
        Self(Form::Large(large))
    }

    /// How many fields, those that are due among them.
    #[inline]
    pub fn len(self) -> usize {
        match self.0 {
            Form::Pairs(packed) => packed.count() / 2,
            Form::Timed(timed) => timed.len(),
            Form::Large(large) => large.len(),
        }
    }

    /// True if there are none.
    #[inline]
    pub fn is_empty(self) -> bool {
        match self.0 {
            Form::Pairs(packed) => packed.is_empty(),
            Form::Timed(timed) => timed.packed().is_empty(),
            Form::Large(large) => large.len() == 0,
        }
    }

    /// The name OBJECT ENCODING gives to how it is kept.
    pub fn encoding(self) -> &'static str {
        match self.0 {
            Form::Pairs(_) => "listpack",
            Form::Timed(_) => "listpackex",
            Form::Large(_) => "hashtable",
        }
    }

    /// When the first of its fields is due, in milliseconds since the Unix epoch.
    #[inline]
    pub fn next_due(self) -> Option<Millis> {
        match self.0 {
            Form::Pairs(_) => None,
            Form::Timed(timed) => timed.next_due(),
            Form::Large(large) => large.next_due(),
        }
    }

    /// A copy that shares nothing.
    pub fn duplicate(self) -> Hash {
        Hash(match self.0 {
            Form::Pairs(packed) => super::Form::Pairs(Packed::from(packed)),
            Form::Timed(timed) => super::Form::Timed(Box::new(timed.clone())),
            Form::Large(large) => super::Form::Large(Box::new(large.duplicate())),
        })
    }

    /// A field that is there and not due.
    #[inline]
    pub fn find(self, rules: &Rules, now: Millis, name: &[u8]) -> Option<Pair<'a>> {
        let pair = match self.0 {
            Form::Pairs(packed) => {
                let at = pairs::find(packed, name)?;
                let (name, value) = (packed.at(at.name), packed.at(at.value));
                return Some(Pair { name, value, expiry: None });
            }
            Form::Timed(timed) => timed.find(name),
            Form::Large(large) => large.find(rules, name),
        };
        pair.filter(|pair| !pair.is_due(now))
    }

    /// How many fields are not due. At once, but for those that are due and not yet removed.
    #[inline]
    pub fn live(self, now: Millis) -> usize {
        self.len() - if self.has_due(now) { self.due(now, usize::MAX) } else { 0 }
    }

    /// True if a field is due.
    #[inline]
    pub fn has_due(self, now: Millis) -> bool {
        self.next_due().is_some_and(|at| at < now)
    }

    /// How many fields are due; counts `most` at most.
    #[cold]
    pub fn due(self, now: Millis, most: usize) -> usize {
        match self.0 {
            Form::Pairs(_) => 0,
            Form::Timed(timed) => timed.due(now, most),
            Form::Large(large) => large.due(now, most),
        }
    }

    /// Shows every field that is not due.
    #[inline]
    pub fn each(self, now: Millis, mut visit: impl FnMut(Pair<'a>)) {
        if self.has_due(now) {
            self.each_kept(|pair| {
                if !pair.is_due(now) {
                    visit(pair);
                }
            });
        } else {
            self.each_kept(visit);
        }
    }

    /// Shows every field, those that are due among them.
    #[inline]
    pub(super) fn each_kept(self, visit: impl FnMut(Pair<'a>)) {
        match self.0 {
            Form::Pairs(packed) => pairs::each(packed, visit),
            Form::Timed(timed) => timed.iter().for_each(visit),
            Form::Large(large) => large.iter().for_each(visit),
        }
    }

    /// The fields that are not due.
    pub fn all(self, now: Millis) -> Vec<Pair<'a>> {
        let mut all = Vec::with_capacity(self.live(now));
        self.each_kept(|pair| all.extend((!pair.is_due(now)).then_some(pair)));
        all
    }

    /// Shows about `count` fields that are not due, from `position` on (0 is the start), and
    /// returns where to go on. Every field that is there from the first call to the last is shown,
    /// once if meanwhile none came or went. A packed hash is shown whole.
    pub fn scan(
        self,
        now: Millis,
        (position, count): (u64, usize),
        mut visit: impl FnMut(Pair<'_>),
    ) -> Option<u64> {
        let visit = |pair: Pair<'_>| {
            if !pair.is_due(now) {
                visit(pair);
            }
        };
        match self.0 {
            Form::Large(large) => large.scan(position, count, visit),
            _ => {
                self.each_kept(visit);
                None
            }
        }
    }

    /// Any field that is not due, each about as likely as any other; `random` gives 64 random
    /// bits at a time.
    pub fn random(self, now: Millis, mut random: impl FnMut() -> u64) -> Option<Pair<'a>> {
        if let Form::Large(large) = self.0
            && let Some(pair) = large.random(now, &mut random)
        {
            return Some(pair);
        }
        let live = self.live(now) as u128;
        let index = (u128::from(random()) * live) >> 64;
        let (mut at, mut found) = (0, None);
        self.each_kept(|pair| {
            if !pair.is_due(now) {
                if at == index {
                    found = Some(pair);
                }
                at += 1;
            }
        });
        found
    }

    /// How it lies, for whoever writes it to a file.
    pub(crate) fn stored(self) -> Stored<'a> {
        match self.0 {
            Form::Pairs(packed) => Stored::Packed(packed),
            Form::Timed(timed) => Stored::Timed(timed.packed()),
            Form::Large(_) => Stored::Large,
        }
    }

    /// True if fields are found without walking over others.
    pub fn is_large(self) -> bool {
        matches!(self.0, Form::Large(_))
    }
}
