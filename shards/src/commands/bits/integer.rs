//! Integers of any width among the bits of a string, for BITFIELD.

/// A type of integer: `i1` to `i64`, `u1` to `u63`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Integer {
    signed: bool,
    bits: u32,
}

/// What becomes of a value that its type does not hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Overflow {
    /// Only its low bits are kept.
    Wrap,
    /// It becomes the nearest one that the type holds.
    Saturate,
    /// Nothing is written.
    Fail,
}

impl Integer {
    /// The type that `word` names, in lower case.
    pub(super) fn parse(word: &[u8]) -> Option<Self> {
        let (signed, bits_max) = match word.first()? {
            b'i' => (true, 64),
            b'u' => (false, 63),
            _ => return None,
        };
        let bits = crate::commands::parse_int(&word[1..])?;
        (1..=bits_max).contains(&bits).then_some(Self { signed, bits: bits as u32 })
    }

    /// Its width.
    pub(super) fn bits(self) -> u64 {
        u64::from(self.bits)
    }

    /// The value at bit `offset` of `text`, which goes on with zeros behind its end.
    pub(super) fn read(self, text: &[u8], offset: u64) -> i64 {
        let bits = (window(text, offset) << (offset % 8)) >> (128 - self.bits);
        self.extend(bits as u64)
    }

    /// Puts a value that the type holds at bit `offset` of `text`, which must be long enough.
    pub(super) fn write(self, text: &mut [u8], offset: u64, value: i64) {
        let shift = 128 - self.bits - (offset % 8) as u32;
        let mask = (u128::MAX >> (128 - self.bits)) << shift;
        let bits = (value as u128) << shift & mask;
        let bytes = (window(text, offset) & !mask | bits).to_be_bytes();
        let first = (offset / 8) as usize;
        let last = ((offset + self.bits() - 1) / 8) as usize;
        text[first..=last].copy_from_slice(&bytes[..=last - first]);
    }

    /// What is written where `value` is to be; none where `overflow` says so.
    pub(super) fn fit(self, value: i64, overflow: Overflow) -> Option<i64> {
        // As Redis does: what does not hold negative values takes one for a huge positive one.
        self.fit_wide(if self.signed { value.into() } else { (value as u64).into() }, overflow)
    }

    /// What is written where `step` is added to `old`, which the type holds.
    pub(super) fn add(self, old: i64, step: i64, overflow: Overflow) -> Option<i64> {
        self.fit_wide(i128::from(old) + i128::from(step), overflow)
    }

    fn fit_wide(self, value: i128, overflow: Overflow) -> Option<i64> {
        let (min, max) = match self.signed {
            true => (-1i128 << (self.bits - 1), (1i128 << (self.bits - 1)) - 1),
            false => (0, (1i128 << self.bits) - 1),
        };
        if (min..=max).contains(&value) {
            return Some(value as i64);
        }
        match overflow {
            Overflow::Wrap => Some(self.extend(value as u64 & (u64::MAX >> (64 - self.bits)))),
            Overflow::Saturate => Some(value.clamp(min, max) as i64),
            Overflow::Fail => None,
        }
    }

    /// The value of these low bits; what is above them is 0.
    fn extend(self, bits: u64) -> i64 {
        let above = 64 - self.bits;
        if self.signed { (bits << above) as i64 >> above } else { bits as i64 }
    }
}

/// The 16 bytes from the one with bit `offset` on, zeros behind the end.
fn window(text: &[u8], offset: u64) -> u128 {
    let mut bytes = [0; 16];
    let from = usize::try_from(offset / 8).ok().and_then(|first| text.get(first..));
    let from = from.unwrap_or_default();
    let len = from.len().min(16);
    bytes[..len].copy_from_slice(&from[..len]);
    u128::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_names() {
        for word in ["i1", "i64", "u1", "u63"] {
            assert!(Integer::parse(word.as_bytes()).is_some(), "{word}");
        }
        for word in ["", "i", "i0", "i65", "u64", "u0", "U8", "x8", "i08", "u-1", "i8 "] {
            assert!(Integer::parse(word.as_bytes()).is_none(), "{word}");
        }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else_changes() {
        for signed in [false, true] {
            for bits in 1..=(if signed { 64 } else { 63 }) {
                let integer = Integer { signed, bits };
                for offset in 0..20 {
                    for value in [0, 1, -1, i64::MAX, i64::MIN, 0x0123_4567_89ab_cdef] {
                        let value = integer.fit(value, Overflow::Wrap).unwrap();
                        for fill in [0u8, 0xff] {
                            let mut text = [fill; 11];
                            integer.write(&mut text, offset, value);
                            assert_eq!(integer.read(&text, offset), value);
                            for bit in (0..offset).chain(offset + integer.bits()..88) {
                                let byte = text[bit as usize / 8];
                                assert_eq!(byte >> (7 - bit % 8) & 1, fill & 1, "{bit}");
                            }
                        }
                    }
                }
            }
        }
        let byte = Integer { signed: false, bits: 8 };
        assert_eq!(byte.read(&[1, 2], 12), 0x20);
        assert_eq!(byte.read(&[1, 2], u64::MAX), 0);
    }

    #[test]
    fn what_does_not_fit() {
        use Overflow::{Fail, Saturate, Wrap};
        let (i8, u8) = (Integer { signed: true, bits: 8 }, Integer { signed: false, bits: 8 });
        let (i64, u63) = (Integer { signed: true, bits: 64 }, Integer { signed: false, bits: 63 });
        for (integer, old, step, wrapped, saturated) in [
            (i8, 127, 1, -128, 127),
            (i8, -128, -1, 127, -128),
            (u8, 255, 1, 0, 255),
            (u8, 0, -1, 255, 0),
            (u8, 1, i64::MIN, 1, 0),
            (i64, i64::MAX, i64::MAX, -2, i64::MAX),
            (i64, i64::MIN, -1, i64::MAX, i64::MIN),
            (u63, i64::MAX, i64::MAX, i64::MAX - 1, i64::MAX),
        ] {
            assert_eq!(integer.add(old, step, Wrap), Some(wrapped));
            assert_eq!(integer.add(old, step, Saturate), Some(saturated));
            assert_eq!(integer.add(old, step, Fail), None);
        }
        assert_eq!(u8.fit(-1, Saturate), Some(255));
        assert_eq!(i8.fit(-129, Saturate), Some(-128));
        assert_eq!(i8.fit(-129, Wrap), Some(127));
        assert_eq!(i8.fit(5, Fail), Some(5));
    }
}
