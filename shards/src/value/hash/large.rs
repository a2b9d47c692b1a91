//! Many or long fields: a table, and an index of the expiries there are.
//!
//! The index names a field by its time and the hash of its name. Two names with one hash and one
//! time share a place in it, which stays as long as one of them does.

use super::{Pair, is_due};
use crate::limits::RANDOM_PICKS_MAX;
use crate::shard::Millis;
use crate::value::{Content, Field, Fields, Item, Rules, Value};
use std::collections::BTreeSet;

/// The fields.
#[derive(Debug, Default)]
pub(super) struct Large {
    fields: Fields,
    due: BTreeSet<(Millis, u64)>,
}

/// Bytes that a place in the index takes, on average: two words, in nodes that are half to wholly
/// filled.
const DUE_BYTES: usize = 28;
/// Longest text that is kept as such though it is an integer: what is longer, 8 bytes can hold.
const SHORT_INT_BYTES: usize = 8;

impl Large {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.fields.bytes() + self.due.len() * DUE_BYTES
    }

    #[inline]
    pub(super) fn find(&self, rules: &Rules, name: &[u8]) -> Option<Pair<'_>> {
        self.fields.find(rules, name).map(pair)
    }

    pub(super) fn set(
        &mut self,
        rules: &Rules,
        now: Millis,
        name: &[u8],
        value: &[u8],
        keep: bool,
    ) -> bool {
        if self.due.is_empty() {
            return self.fields.insert(rules, name, content(value), None);
        }
        let old = self.fields.find(rules, name).map(Field::expiry);
        let was_due = old.is_some_and(|expiry| is_due(expiry, now));
        let expiry = old.flatten().filter(|_| keep && !was_due);
        self.fields.insert(rules, name, content(value), expiry);
        if expiry.is_none() {
            self.forget(rules, name, old.flatten());
        }
        old.is_none() || was_due
    }

    /// Adds a field that is not there.
    pub(super) fn insert_new(&mut self, rules: &Rules, pair: Pair<'_>) {
        let (mut name_digits, mut value_digits) = (itoa::Buffer::new(), itoa::Buffer::new());
        let name = pair.name.text(&mut name_digits);
        let value = pair.value.text(&mut value_digits);
        self.fields.insert(rules, name, content(value), pair.expiry);
        if let Some(at) = pair.expiry {
            self.due.insert((at, rules.hasher.hash(name)));
        }
    }

    /// Takes a field, which by now has another expiry or is gone, out of the index.
    fn forget(&mut self, rules: &Rules, name: &[u8], old: Option<Millis>) {
        let Some(at) = old else { return };
        let hash = rules.hasher.hash(name);
        if !self.fields.has_timed(rules, hash, at) {
            self.due.remove(&(at, hash));
        }
    }

    pub(super) fn set_expiry(
        &mut self,
        rules: &Rules,
        now: Millis,
        name: &[u8],
        expiry: Option<Millis>,
    ) -> bool {
        let Some(old) = self.fields.find(rules, name).map(Field::expiry) else { return false };
        if is_due(old, now) {
            return false;
        }
        if old != expiry {
            self.fields.set_expiry(rules, name, expiry);
            self.forget(rules, name, old);
            if let Some(at) = expiry {
                self.due.insert((at, rules.hasher.hash(name)));
            }
        }
        true
    }

    pub(super) fn remove(&mut self, rules: &Rules, now: Millis, name: &[u8]) -> bool {
        if self.due.is_empty() {
            return self.fields.remove(rules, name);
        }
        let Some(expiry) = self.fields.find(rules, name).map(Field::expiry) else { return false };
        self.fields.remove(rules, name);
        self.forget(rules, name, expiry);
        !is_due(expiry, now)
    }

    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = Pair<'_>> {
        self.fields.iter().map(pair)
    }

    pub(super) fn scan(
        &self,
        position: u64,
        count: usize,
        mut visit: impl FnMut(Pair<'_>),
    ) -> Option<u64> {
        self.fields.scan(position, count, |field| visit(pair(field)))
    }

    /// Any field that is not due, if one is soon found.
    pub(super) fn random(&self, now: Millis, random: &mut impl FnMut() -> u64) -> Option<Pair<'_>> {
        (0..RANDOM_PICKS_MAX)
            .find_map(|_| self.fields.random(&mut *random).map(pair).filter(|it| !it.is_due(now)))
    }

    #[inline]
    pub(super) fn next_due(&self) -> Option<Millis> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(super) fn due(&self, now: Millis, most: usize) -> usize {
        self.due.range(..(now, 0)).take(most).count()
    }

    pub(super) fn sweep(&mut self, rules: &Rules, now: Millis, budget: usize) -> usize {
        let mut removed = 0;
        while removed < budget
            && let Some(&(at, hash)) = self.due.first()
            && at < now
        {
            self.due.pop_first();
            while self.fields.remove_timed(rules, hash, at) {
                removed += 1;
            }
        }
        removed
    }

    pub(super) fn duplicate(&self) -> Self {
        Self { fields: self.fields.duplicate(), due: self.due.clone() }
    }

    pub(super) fn free_some(&mut self, budget: usize) -> bool {
        for _ in 0..budget {
            if self.due.pop_first().is_none() {
                return self.fields.free_some(budget);
            }
        }
        true
    }

    pub(super) fn recount(&self) {
        self.fields.recount();
        let mut times: Vec<_> = self.fields.iter().filter_map(Field::expiry).collect();
        assert_eq!(self.fields.expires(), times.len(), "expiries counted are those recounted");
        times.sort_unstable();
        let index: Vec<_> = self.due.iter().map(|(at, _)| *at).collect();
        assert_eq!(index, times, "the index has every time");
    }
}

#[inline]
fn pair(field: Field<'_>) -> Pair<'_> {
    let value = match field.value() {
        Value::Int(value) => Item::Int(value),
        Value::Str(text) => Item::Str(text),
        _ => unreachable!("a field's value is a text"),
    };
    Pair { name: Item::Str(field.name()), value, expiry: field.expiry() }
}

/// A value as it is kept: an integer as such where that is shorter than its digits.
#[inline]
fn content(value: &[u8]) -> Content<'_> {
    if value.len() > SHORT_INT_BYTES { Content::of(value) } else { Content::Str(value) }
}
