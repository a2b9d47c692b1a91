//! Bits of strings: bit 0 is the highest of the first byte.

pub(super) mod combine;
pub(super) mod count;
pub(super) mod field;
pub(super) mod integer;
pub(super) mod position;
pub(super) mod single;

use crate::commands::{Args, parse_int};
use crate::error::Error;
use crate::limits::BITS_MAX;
use crate::shard::Scope;
use crate::value::Value;
use std::borrow::Cow;
use std::ops::Range;

/// The bytes of a string, those of an integer in memory of their own; none where there is no key.
fn text(value: Option<Value<'_>>) -> Result<Cow<'_, [u8]>, Error> {
    match value {
        None => Ok(Cow::Borrowed(&[])),
        Some(Value::Str(bytes)) => Ok(Cow::Borrowed(bytes)),
        Some(Value::Int(value)) => Ok(Cow::Owned(value.to_string().into_bytes())),
        Some(_) => Err(Error::WrongType),
    }
}

/// The place of a bit that a string may have.
fn bit_offset(word: &[u8]) -> Result<u64, Error> {
    const ERROR: Error = Error::Text("ERR bit offset is not an integer or out of range");
    let offset = parse_int(word).and_then(|offset| u64::try_from(offset).ok());
    offset.filter(|&offset| offset < BITS_MAX).ok_or(ERROR)
}

/// A part of a string as BITCOUNT and BITPOS name it: first and last place, negative ones from
/// the end, in bytes or in bits.
#[derive(Clone, Copy, Debug)]
struct Part {
    start: i64,
    end: i64,
    in_bits: bool,
}

impl Part {
    const WHOLE: Self = Self { start: 0, end: -1, in_bits: false };

    /// The bits it means in a string of `bytes` bytes.
    fn of(self, bytes: usize) -> Range<usize> {
        let unit = if self.in_bits { 1 } else { 8 };
        let units = (bytes * 8 / unit) as i64;
        let from_front = |place: i64| {
            if place < 0 { place.saturating_add(units).max(0) } else { place }
        };
        let (start, end) = (from_front(self.start), from_front(self.end).min(units - 1));
        if start > end { 0..0 } else { start as usize * unit..(end as usize + 1) * unit }
    }
}

/// True if the word at `index`, which must be `BIT` or `BYTE`, says bits.
fn is_in_bits(args: &Args<'_>, index: usize) -> Result<bool, Error> {
    match (args.is(index, "BIT"), args.is(index, "BYTE")) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(Error::Syntax),
    }
}

/// The bytes of the command's first key, to be read.
fn read<'s>(scope: &'s mut Scope<'_>, args: &Args<'_>) -> Result<Option<Cow<'s, [u8]>>, Error> {
    let key = scope.first(args);
    match scope.keyspace.get(key, scope.now) {
        None => Ok(None),
        value => text(value).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::Part;

    #[test]
    fn parts_at_their_edges() {
        for (start, end, in_bits, wanted) in [
            (0, -1, false, 0..24),
            (0, -1, true, 0..24),
            (1, 1, false, 8..16),
            (5, 8, true, 5..9),
            (-2, -1, false, 8..24),
            (-2, -1, true, 22..24),
            (2, 1, true, 0..0),
            (3, 9, false, 0..0),
            (-9, 0, false, 0..8),
            (-9, -8, false, 0..8),
            (-1, -2, false, 0..0),
            (i64::MIN, i64::MAX, true, 0..24),
            (i64::MAX, i64::MAX, false, 0..0),
        ] {
            let part = Part { start, end, in_bits };
            assert_eq!(part.of(3), wanted, "{start} {end} {in_bits}");
            assert_eq!(part.of(0), 0..0);
        }
    }
}
