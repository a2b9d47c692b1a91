//! Fields with expiries in a listpack: each a name, a value, and the time or 0 for none.
//!
//! They stand in the order of their times, the ones without at the end; of several with one time
//! the last that came stands first. That is Redis's order, which clients see.

use super::{Pair, is_due, pairs};
use crate::shard::Millis;
use crate::value::{Item, Packed, Pos};

/// Items of a field.
const STRIDE: usize = 3;

/// The fields.
#[derive(Clone, Debug)]
pub(super) struct Timed(Packed);

/// Where a field lies.
#[derive(Clone, Copy)]
struct At {
    name: Pos,
    value: Pos,
    time: Pos,
}

impl Timed {
    /// The same fields, none of which has an expiry.
    pub(super) fn of_pairs(packed: &Packed) -> Self {
        let mut timed = Packed::with_room(packed.bytes() + packed.count());
        pairs::each(packed, |pair| {
            push(&mut timed, pair.name);
            push(&mut timed, pair.value);
            timed.push_back_int(0);
        });
        Self(timed)
    }

    /// Names, values and times in turn, in the order of the times.
    pub(super) fn of_packed(fields: Packed) -> Self {
        Self(fields)
    }

    #[inline]
    pub(super) fn packed(&self) -> &Packed {
        &self.0
    }

    pub(super) fn len(&self) -> usize {
        self.0.count() / STRIDE
    }

    fn locate(&self, name: &[u8]) -> Option<At> {
        let name = self.0.find(self.0.first()?, name, STRIDE)?;
        Some(self.at(name))
    }

    fn at(&self, name: Pos) -> At {
        let value = self.0.next(name).expect("a name has a value");
        At { name, value, time: self.0.next(value).expect("a value has a time") }
    }

    fn expiry(&self, at: At) -> Option<Millis> {
        expiry_of(self.0.at(at.time))
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<Pair<'_>> {
        let at = self.locate(name)?;
        let (name, value) = (self.0.at(at.name), self.0.at(at.value));
        Some(Pair { name, value, expiry: self.expiry(at) })
    }

    pub(super) fn set(&mut self, now: Millis, name: &[u8], value: &[u8], keep: bool) -> bool {
        let found = self.locate(name);
        if let Some(at) = found {
            let expiry = self.expiry(at);
            if expiry.is_none() || keep && !is_due(expiry, now) {
                self.0.replace(at.value, value);
                return false;
            }
            self.0.remove_from(at.name, STRIDE);
            self.insert(name, value, None);
            return is_due(expiry, now);
        }
        self.insert(name, value, None);
        true
    }

    /// Adds a field at the place of its time.
    fn insert(&mut self, name: &[u8], value: &[u8], expiry: Option<Millis>) {
        let mut place = self.0.first().filter(|_| expiry.is_some());
        while let Some(name) = place {
            let at = self.at(name);
            if self.expiry(at).is_none_or(|other| Some(other) >= expiry) {
                break;
            }
            place = self.0.next(at.time);
        }
        let Some(place) = place else {
            self.0.push_back(name);
            self.0.push_back(value);
            self.0.push_back_int(expiry.unwrap_or(0) as i64);
            return;
        };
        let mut digits = itoa::Buffer::new();
        let time = digits.format(expiry.unwrap_or(0)).as_bytes();
        for text in [time, value, name] {
            self.0.insert_before(place, text);
        }
    }

    pub(super) fn set_expiry(&mut self, now: Millis, name: &[u8], expiry: Option<Millis>) -> bool {
        let Some(at) = self.locate(name) else { return false };
        let old = self.expiry(at);
        if is_due(old, now) {
            return false;
        }
        if old.is_some() || expiry.is_some() {
            let value = pairs::name_of(self.0.at(at.value));
            self.0.remove_from(at.name, STRIDE);
            self.insert(name, &value, expiry);
        }
        true
    }

    pub(super) fn remove(&mut self, now: Millis, name: &[u8]) -> bool {
        let Some(at) = self.locate(name) else { return false };
        let due = is_due(self.expiry(at), now);
        self.0.remove_from(at.name, STRIDE);
        !due
    }

    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = Pair<'_>> {
        let mut items = self.0.iter();
        std::iter::from_fn(move || {
            let (name, value) = (items.next()?, items.next()?);
            Some(Pair { name, value, expiry: expiry_of(items.next()?) })
        })
    }

    #[inline]
    pub(super) fn next_due(&self) -> Option<Millis> {
        self.0.first().and_then(|first| self.expiry(self.at(first)))
    }

    pub(super) fn due(&self, now: Millis, most: usize) -> usize {
        self.iter().take(most).take_while(|pair| pair.is_due(now)).count()
    }

    pub(super) fn sweep(&mut self, now: Millis, budget: usize) -> usize {
        let count = self.due(now, budget);
        if let Some(first) = self.0.first().filter(|_| count > 0) {
            self.0.remove_from(first, count * STRIDE);
        }
        count
    }

    pub(super) fn recount(&self) {
        assert!(self.0.count().is_multiple_of(STRIDE), "every name has a value and a time");
        let mut plain = Packed::new();
        let mut times = Vec::new();
        for pair in self.iter() {
            plain.push_back(&pairs::name_of(pair.name));
            plain.push_back(b"");
            times.push(pair.expiry.unwrap_or(Millis::MAX));
        }
        pairs::recount(&plain);
        assert!(times.is_sorted(), "fields stand in the order of their times");
    }
}

fn expiry_of(time: Item<'_>) -> Option<Millis> {
    match time {
        Item::Int(time) if time > 0 => Some(time as Millis),
        _ => None,
    }
}

fn push(packed: &mut Packed, item: Item<'_>) {
    match item {
        Item::Int(value) => packed.push_back_int(value),
        Item::Str(text) => packed.push_back(text),
    }
}
