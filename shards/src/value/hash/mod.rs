//! A hash: fields with their values, each of which may have an expiry of its own.
//!
//! Few short fields lie in a listpack, pair after pair in the order of their coming. Once one of
//! them was given an expiry they lie in threes, in the order of their expiries, those without one
//! last. Many or long fields lie in a table, beside an index of the expiries there are. What is
//! due is gone for whoever says what time it is, and is removed in steps by `sweep`.

mod large;
mod pairs;
mod timed;
mod view;

use super::{Item, Kind, Listpack, Object, Packed, Rules, Value};
use crate::shard::Millis;
use large::Large;
use timed::Timed;
pub use view::HashRef;

/// A hash.
#[derive(Debug)]
pub struct Hash(Form);

#[derive(Debug)]
enum Form {
    Pairs(Packed),
    Timed(Box<Timed>),
    Large(Box<Large>),
}

/// A field of a hash.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pair<'a> {
    /// Its name.
    pub name: Item<'a>,
    /// Its value.
    pub value: Item<'a>,
    /// When it expires, in milliseconds since the Unix epoch.
    pub expiry: Option<Millis>,
}

impl Pair<'_> {
    /// True if it is gone at `now`.
    #[inline]
    fn is_due(&self, now: Millis) -> bool {
        is_due(self.expiry, now)
    }
}

/// True if what expires at `expiry` is gone at `now`: a field still shows in its last millisecond.
#[inline]
fn is_due(expiry: Option<Millis>, now: Millis) -> bool {
    expiry.is_some_and(|at| at < now)
}

impl Default for Hash {
    fn default() -> Self {
        Self(Form::Pairs(Packed::new()))
    }
}

impl Hash {
    /// The hash, to be read.
    #[inline]
    pub fn view(&self) -> HashRef<'_> {
        match &self.0 {
            Form::Pairs(packed) => HashRef::of_pairs(packed),
            Form::Timed(timed) => HashRef::of_timed(timed),
            Form::Large(large) => HashRef::of_large(large),
        }
    }

    /// Makes ready for `count` fields that will be set, of which no name or value is longer than
    /// `longest`.
    #[inline]
    pub fn prepare(&mut self, rules: &Rules, count: usize, longest: usize) {
        let bounds = &rules.encodings;
        if count > bounds.hash_max_listpack_entries || longest > bounds.hash_max_listpack_value {
            self.enlarge(rules);
        }
    }

    /// Gives a field a value; true if it is new. A field that was there keeps its expiry if `keep`
    /// says so, and else has none from then on.
    pub fn set(
        &mut self,
        rules: &Rules,
        now: Millis,
        (name, value): (&[u8], &[u8]),
        keep: bool,
    ) -> bool {
        if !self.has_room(rules, name.len().max(value.len())) {
            self.enlarge(rules);
        }
        let new = match &mut self.0 {
            Form::Pairs(packed) => pairs::set(packed, name, value),
            Form::Timed(timed) => timed.set(now, name, value, keep),
            Form::Large(large) => return large.set(rules, now, name, value, keep),
        };
        if self.len() > rules.hash_max_listpack_entries {
            self.enlarge(rules);
        }
        new
    }

    /// True if a packed hash may take a name and a value of so many bytes.
    #[inline]
    fn has_room(&self, rules: &Rules, longest: usize) -> bool {
        let packed = match &self.0 {
            Form::Pairs(packed) => packed,
            Form::Timed(timed) => timed.packed(),
            Form::Large(_) => return true,
        };
        longest <= rules.hash_max_listpack_value && packed.has_room(2 * longest + PAIR_EXTRA_BYTES)
    }

    /// Goes over to the table, if it is not there yet.
    #[cold]
    fn enlarge(&mut self, rules: &Rules) {
        if matches!(self.0, Form::Large(_)) {
            return;
        }
        let mut large = Box::new(Large::default());
        self.view().each_kept(|pair| large.insert_new(rules, pair));
        self.0 = Form::Large(large);
    }

    /// Makes ready for expiries. Redis shows the form it then has whether or not one is set.
    pub fn prepare_expiry(&mut self) {
        if let Form::Pairs(packed) = &self.0 {
            self.0 = Form::Timed(Box::new(Timed::of_pairs(packed)));
        }
    }

    /// Changes when a field expires; true if it is there and not due.
    pub fn set_expiry(
        &mut self,
        rules: &Rules,
        now: Millis,
        name: &[u8],
        expiry: Option<Millis>,
    ) -> bool {
        if expiry.is_some() {
            self.prepare_expiry();
        }
        match &mut self.0 {
            Form::Pairs(packed) => pairs::find(packed, name).is_some(),
            Form::Timed(timed) => timed.set_expiry(now, name, expiry),
            Form::Large(large) => large.set_expiry(rules, now, name, expiry),
        }
    }

    /// Removes a field; true if it was there and not due.
    pub fn remove(&mut self, rules: &Rules, now: Millis, name: &[u8]) -> bool {
        match &mut self.0 {
            Form::Pairs(packed) => pairs::remove(packed, name),
            Form::Timed(timed) => timed.remove(now, name),
            Form::Large(large) => large.remove(rules, now, name),
        }
    }

    /// A hash of these names and values in turn, each name of which is there once.
    pub(crate) fn of_pairs(pairs: Packed, rules: &Rules) -> Self {
        let mut hash = Self(Form::Pairs(pairs));
        hash.prepare(rules, hash.len(), 0);
        hash
    }

    /// A hash of these names, values and times in turn, in the order of the times, those that are 0
    /// at the end; each name is there once.
    pub(crate) fn of_timed(fields: Packed, rules: &Rules) -> Self {
        let mut hash = Self(Form::Timed(Box::new(Timed::of_packed(fields))));
        hash.prepare(rules, hash.len(), 0);
        hash
    }
}

/// Bytes of a field in a listpack beside its name and value: the heads and tails of these, and its
/// expiry.
const PAIR_EXTRA_BYTES: usize = 32;

impl Kind for Hash {
    type Ref<'a> = HashRef<'a>;

    #[inline]
    fn of(value: Value<'_>) -> Option<HashRef<'_>> {
        if let Value::Hash(it) = value { Some(it) } else { None }
    }

    #[inline]
    fn held(object: &Object) -> Option<&Self> {
        if let Object::Hash(it) = object { Some(it) } else { None }
    }

    #[inline]
    fn of_mut(object: &mut Object) -> Option<&mut Self> {
        if let Object::Hash(it) = object { Some(it) } else { None }
    }

    fn into_object(self) -> Object {
        Object::Hash(self)
    }

    #[inline]
    fn listpack(&self) -> Option<&Listpack> {
        if let Form::Pairs(packed) = &self.0 { Some(packed) } else { None }
    }

    #[inline]
    fn of_listpack(packed: Packed) -> Option<Self> {
        Some(Self(Form::Pairs(packed)))
    }

    #[inline]
    fn into_packed(self) -> Option<Packed> {
        if let Form::Pairs(packed) = self.0 { Some(packed) } else { None }
    }

    #[inline]
    fn len(&self) -> usize {
        self.view().len()
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.view().is_empty()
    }

    #[inline]
    fn bytes(&self) -> usize {
        match &self.0 {
            Form::Pairs(packed) => packed.heap_bytes(),
            Form::Timed(timed) => size_of::<Timed>() + timed.packed().heap_bytes(),
            Form::Large(large) => size_of::<Large>() + large.bytes(),
        }
    }

    fn encoding(&self) -> &'static str {
        self.view().encoding()
    }

    fn duplicate(&self) -> Self {
        self.view().duplicate()
    }

    fn free_some(&mut self, budget: usize) -> bool {
        match &mut self.0 {
            Form::Pairs(_) | Form::Timed(_) => {
                *self = Self::default();
                false
            }
            Form::Large(large) => large.free_some(budget),
        }
    }

    #[inline]
    fn next_due(&self) -> Option<Millis> {
        self.view().next_due()
    }

    fn sweep(&mut self, rules: &Rules, now: Millis, budget: usize) -> usize {
        match &mut self.0 {
            Form::Pairs(_) => 0,
            Form::Timed(timed) => timed.sweep(now, budget),
            Form::Large(large) => large.sweep(rules, now, budget),
        }
    }

    fn recount(&self) {
        match &self.0 {
            Form::Pairs(packed) => pairs::recount(packed),
            Form::Timed(timed) => timed.recount(),
            Form::Large(large) => large.recount(),
        }
    }
}

#[cfg(test)]
mod tests;
