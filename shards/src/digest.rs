//! Digests of values and databases, as Redis computes them for its tests: DEBUG DIGEST.
//!
//! Everything is mixed into 20 bytes with SHA-1. Where order counts, each piece is mixed into what
//! there is; where it does not, each piece has a digest of its own and these are folded by
//! exclusive or. So the digest says what a value holds, and nothing of how it is kept.

use crate::keyspace::Record;
use crate::shard::Millis;
use crate::value::stream::{Id, Stream};
use crate::value::{HashRef, List, SetRef, SortedSetRef, Value};
use pinion_io::resp::write_shortest;
use sha1::{Digest as _, Sha1};

/// Bytes of a digest.
pub(crate) const DIGEST_BYTES: usize = 20;

/// What has been mixed so far: all zeros at first, and for a key that is not there.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Digest(pub(crate) [u8; DIGEST_BYTES]);

impl Digest {
    /// The digest of a value and of whether its key expires, its name left out.
    pub(crate) fn of_value(record: Record<'_>, now: Millis) -> Self {
        let mut digest = Self::default();
        digest.mix_record(record, now);
        digest
    }

    /// The digest of a key with its value.
    pub(crate) fn of_key(record: Record<'_>, now: Millis) -> Self {
        let mut digest = Self::default();
        digest.mix(record.key());
        digest.mix_record(record, now);
        digest
    }

    /// Mixes bytes into it, so that what comes before and what comes after make a difference.
    pub(crate) fn mix(&mut self, bytes: &[u8]) {
        self.add(bytes);
        self.0 = Sha1::digest(self.0).into();
    }

    /// Mixes the number of a database or of a type into it.
    pub(crate) fn mix_number(&mut self, number: u32) {
        self.mix(&number.to_be_bytes());
    }

    /// Adds bytes to it, in any order with others that are added.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.fold(Self(Sha1::digest(bytes).into()));
    }

    /// Folds another digest into it, in any order with others.
    pub(crate) fn fold(&mut self, other: Self) {
        for (byte, other) in self.0.iter_mut().zip(other.0) {
            *byte ^= other;
        }
    }

    /// The digest of two pieces that belong together.
    fn of_pair(one: &[u8], other: &[u8]) -> Self {
        let mut digest = Self::default();
        digest.mix(one);
        digest.mix(other);
        digest
    }

    fn mix_record(&mut self, record: Record<'_>, now: Millis) {
        let value = record.value();
        self.mix_number(type_number(value));
        match value {
            Value::Int(number) => self.mix(itoa::Buffer::new().format(number).as_bytes()),
            Value::Str(bytes) => self.mix(bytes),
            Value::List(list) => self.mix_list(list),
            Value::Set(set) => self.mix_set(set),
            Value::Hash(hash) => self.mix_hash(hash, now),
            Value::SortedSet(set) => self.mix_sorted_set(set),
            Value::Stream(stream) => self.mix_stream(stream),
        }
        if record.expiry().is_some() {
            self.add(b"!!expire!!");
        }
    }

    fn mix_list(&mut self, list: &List) {
        let mut digits = itoa::Buffer::new();
        for item in list.iter() {
            self.mix(item.text(&mut digits));
        }
    }

    fn mix_set(&mut self, set: SetRef<'_>) {
        let mut digits = itoa::Buffer::new();
        for member in set.iter() {
            self.add(member.text(&mut digits));
        }
    }

    fn mix_sorted_set(&mut self, set: SortedSetRef<'_>) {
        let mut digits = itoa::Buffer::new();
        let mut score_text = Vec::new();
        for (member, score) in set.iter() {
            score_text.clear();
            write_shortest(&mut score_text, score);
            self.add(&Self::of_pair(member.text(&mut digits), &score_text).0);
        }
    }

    fn mix_hash(&mut self, hash: HashRef<'_>, now: Millis) {
        let (mut names, mut values) = (itoa::Buffer::new(), itoa::Buffer::new());
        hash.each(now, |pair| {
            let mut digest =
                Self::of_pair(pair.name.text(&mut names), pair.value.text(&mut values));
            if pair.expiry.is_some() {
                digest.add(b"!!hexpire!!");
            }
            self.add(&digest.0);
        });
    }

    fn mix_stream(&mut self, stream: &Stream) {
        let (mut names, mut values) = (itoa::Buffer::new(), itoa::Buffer::new());
        for entry in stream.log.range(Id::MIN, Id::MAX) {
            self.mix(format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
            entry.each(|name, value| {
                self.mix(name.text(&mut names));
                self.mix(value.text(&mut values));
            });
        }
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The number of a type in Redis, where 5 is what modules bring.
fn type_number(value: Value<'_>) -> u32 {
    match value {
        Value::Int(_) | Value::Str(_) => 0,
        Value::List(_) => 1,
        Value::Set(_) => 2,
        Value::SortedSet(_) => 3,
        Value::Hash(_) => 4,
        Value::Stream(_) => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::Digest;

    #[test]
    fn the_order_of_what_is_mixed_counts_and_of_what_is_added_does_not() {
        assert_eq!(Digest::of_pair(b"a", b"b"), Digest::of_pair(b"a", b"b"));
        assert_ne!(Digest::of_pair(b"a", b"b"), Digest::of_pair(b"b", b"a"));
        assert_ne!(Digest::of_pair(b"ab", b""), Digest::of_pair(b"a", b"b"));
        let added = |texts: [&[u8]; 2]| {
            let mut digest = Digest::default();
            texts.iter().for_each(|text| digest.add(text));
            digest
        };
        assert_eq!(added([b"a", b"b"]), added([b"b", b"a"]));
        assert_eq!(added([b"a", b"a"]), Digest::default());
        assert_eq!(Digest::default().to_string(), "0".repeat(40));
    }
}
