//! What every type behind a key can do, beside its own operations.

use super::{Listpack, Object, Packed, Rules, Value};
use crate::shard::Millis;

/// A type of value other than a string. Commands name it when they open or read a key
/// (`Keyspace::read`, `Keyspace::open`).
pub trait Kind: Default + Sized {
    /// True if a key keeps an empty value, as streams do.
    const STAYS_EMPTY: bool = false;

    /// One that is read: a reference, or where small ones lie in records, what reads both.
    type Ref<'a>: Copy;

    /// The value as this type, if it is one.
    fn of(value: Value<'_>) -> Option<Self::Ref<'_>>;

    /// The object as this type, if it is one.
    fn held(object: &Object) -> Option<&Self>;

    /// The object as this type, to be changed, if it is one.
    fn of_mut(object: &mut Object) -> Option<&mut Self>;

    /// The object that holds it.
    fn into_object(self) -> Object;

    /// The listpack that is all there is of it, if its key's record may hold that instead.
    fn listpack(&self) -> Option<&Listpack> {
        None
    }

    /// What a listpack is all there is of, for types that a record may hold so.
    fn of_listpack(_: Packed) -> Option<Self> {
        None
    }

    /// That listpack.
    fn into_packed(self) -> Option<Packed> {
        None
    }

    /// Elements, fields, members or entries.
    fn len(&self) -> usize;

    /// True if there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that it owns, beside its own place. At once: it is kept, not counted.
    fn bytes(&self) -> usize;

    /// The name OBJECT ENCODING gives to how it is kept.
    fn encoding(&self) -> &'static str;

    /// A copy that shares nothing.
    #[must_use]
    fn duplicate(&self) -> Self;

    /// Drops about `budget` elements of a value that nobody uses any more; true while some are
    /// left. So a huge value is freed in many short steps.
    fn free_some(&mut self, budget: usize) -> bool;

    /// When the first of its parts is due, in milliseconds since the Unix epoch.
    fn next_due(&self) -> Option<Millis> {
        None
    }

    /// Removes parts that are due at `now`, about `budget` at most; returns how many.
    fn sweep(&mut self, _rules: &Rules, _now: Millis, _budget: usize) -> usize {
        0
    }

    /// Counts memory and elements anew and compares with what is kept.
    ///
    /// # Panics
    /// If anything differs.
    fn recount(&self);
}
