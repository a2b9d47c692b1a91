//! Hashes, with and without times of fields.

use super::{Fault, Object, Source};
use crate::limits::FIELD_EXPIRY_MAX;
use crate::shard::Millis;
use crate::value::{Hash, Item, Kind, Packed};
use pinion_rdb::kind;
use pinion_rdb::old::Zipmap;

/// Where the times of fields stand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Times {
    /// There are none.
    None,
    /// Before each field, counted from the first of all, which stands before the hash; 0 is none.
    SinceFirst,
    /// Before each field; 0 is none.
    Absolute,
    /// Behind each field; -1 is none.
    Behind,
}

/// What stands for no time behind a field.
const NEVER: i64 = -1;

impl Source<'_, '_> {
    /// A hash field by field.
    pub(super) fn fields(&mut self, times: Times) -> Result<Option<Object>, Fault> {
        let first = match times {
            Times::SinceFirst => Some(self.reader.time()?),
            _ => None,
        };
        let count = self.reader.count(if times == Times::None { 2 } else { 3 })?;
        if count == 0 {
            return Err(Fault::Empty);
        }
        let mut hash = Hash::default();
        hash.prepare(self.rules, count, 0);
        if matches!(times, Times::SinceFirst | Times::Absolute) {
            // As Redis: it has a form for times by then, whether or not there are any.
            hash.prepare_expiry();
        }
        let (mut name, mut value) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let mut expiry = match times {
                Times::SinceFirst | Times::Absolute => expiry(self.reader.length()?, first)?,
                Times::None | Times::Behind => None,
            };
            for text in [&mut name, &mut value] {
                text.clear();
                self.with_text(|bytes| {
                    text.extend_from_slice(bytes);
                    Ok(())
                })?;
            }
            if times == Times::Behind {
                expiry = match self.reader.int()? {
                    NEVER => None,
                    at => Some(within(u64::try_from(at).map_err(|_| Fault::Time)?)?),
                };
            }
            self.put(&mut hash, (&name, &value), expiry)?;
        }
        self.settle(hash)
    }

    /// Adds a field that is not there.
    fn put(
        &self,
        hash: &mut Hash,
        field: (&[u8], &[u8]),
        expiry: Option<Millis>,
    ) -> Result<(), Fault> {
        // Nothing is due at the beginning of time, so that a field that comes twice is seen.
        if !hash.set(self.rules, 0, field, false) {
            return Err(Fault::Twice);
        }
        if expiry.is_some() {
            hash.set_expiry(self.rules, 0, field.0, expiry);
        }
        Ok(())
    }

    /// A hash in a listpack, or in one of the older forms.
    pub(super) fn pairs(&mut self, number: u8) -> Result<Option<Object>, Fault> {
        let packed = match number {
            kind::HASH_LISTPACK => self.packed(2)?,
            kind::HASH_ZIPLIST => self.ziplist(2)?,
            _ => return self.zipmap(),
        };
        if packed.is_empty() {
            return Err(Fault::Empty);
        }
        if self.decoder.has_twins(self.rules, packed.iter().step_by(2)) {
            return Err(Fault::Twice);
        }
        self.settle(Hash::of_pairs(packed, self.rules))
    }

    fn zipmap(&mut self) -> Result<Option<Object>, Fault> {
        let mut fields = Zipmap::new(self.reader.text(&mut self.decoder.room)?)?;
        let mut hash = Hash::default();
        while let Some(field) = fields.next()? {
            if !hash.set(self.rules, 0, field, false) {
                return Err(Fault::Twice);
            }
        }
        self.settle(hash)
    }

    /// A hash with times in a listpack.
    pub(super) fn timed(&mut self, number: u8) -> Result<Option<Object>, Fault> {
        if number == kind::HASH_LISTPACK_EX {
            self.reader.time()?;
        }
        let packed = self.packed(3)?;
        if self.decoder.has_twins(self.rules, packed.iter().step_by(3)) {
            return Err(Fault::Twice);
        }
        let (mut last, mut sorted) = (0, true);
        for time in packed.iter().skip(2).step_by(3) {
            let Item::Int(time) = time else { return Err(Fault::Time) };
            let time = expiry(u64::try_from(time).map_err(|_| Fault::Time)?, None)?;
            let time = time.unwrap_or(Millis::MAX);
            sorted &= last <= time;
            last = time;
        }
        let hash = if sorted { Hash::of_timed(packed, self.rules) } else { self.sorted(&packed)? };
        self.settle(hash)
    }

    /// A hash of names, values and times that are not in order.
    fn sorted(&self, packed: &Packed) -> Result<Hash, Fault> {
        let mut hash = Hash::default();
        hash.prepare(self.rules, packed.count() / 3, 0);
        hash.prepare_expiry();
        let (mut names, mut values) = (itoa::Buffer::new(), itoa::Buffer::new());
        let mut items = packed.iter();
        while let (Some(name), Some(value), Some(time)) = (items.next(), items.next(), items.next())
        {
            let field = (name.text(&mut names), value.text(&mut values));
            let time = time.int().map_or(0, |time| time as u64);
            self.put(&mut hash, field, expiry(time, None)?)?;
        }
        Ok(hash)
    }

    /// The hash without what is due; none if nothing is left.
    fn settle(&self, mut hash: Hash) -> Result<Option<Object>, Fault> {
        if hash.is_empty() {
            return Err(Fault::Empty);
        }
        hash.sweep(self.rules, self.now, usize::MAX);
        Ok((!hash.is_empty()).then(|| hash.into_object()))
    }
}

/// The time of a field that is written as its distance from the first of all, plus 1, or as it is;
/// 0 is none.
fn expiry(time: u64, first: Option<Millis>) -> Result<Option<Millis>, Fault> {
    match (time, first) {
        (0, _) => Ok(None),
        (at, None) => within(at).map(Some),
        (distance, Some(first)) => {
            within(first.checked_add(distance - 1).ok_or(Fault::Time)?).map(Some)
        }
    }
}

fn within(at: Millis) -> Result<Millis, Fault> {
    if at <= FIELD_EXPIRY_MAX { Ok(at) } else { Err(Fault::Time) }
}
