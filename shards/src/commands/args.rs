//! The words of one request: ranges over the bytes they came in.

use crate::error::Error;
use pinion_io::resp::Range;

/// A request's words, the command's name first. Copies nothing.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    bytes: &'a [u8],
    ranges: &'a [Range],
}

impl<'a> Args<'a> {
    /// The words that `ranges` name in `bytes`.
    #[inline]
    pub fn new(bytes: &'a [u8], ranges: &'a [Range]) -> Self {
        Self { bytes, ranges }
    }

    /// How many words, the name among them.
    #[inline]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// True if there is no word at all.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The word at `index`.
    ///
    /// # Panics
    /// If there are not so many: the row's arity says what may be asked for.
    #[inline]
    pub fn at(&self, index: usize) -> &'a [u8] {
        self.ranges[index].of(self.bytes)
    }

    /// The word at `index`, if there is one.
    #[inline]
    pub fn try_at(&self, index: usize) -> Option<&'a [u8]> {
        self.ranges.get(index).map(|range| range.of(self.bytes))
    }

    /// The words from `index` on.
    pub fn from(&self, index: usize) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        let bytes = self.bytes;
        self.ranges[index.min(self.ranges.len())..].iter().map(move |range| range.of(bytes))
    }

    /// The word at `index` as a 64-bit integer.
    ///
    /// # Errors
    /// `Error::NotInteger`.
    pub fn int(&self, index: usize) -> Result<i64, Error> {
        parse_int(self.at(index)).ok_or(Error::NotInteger)
    }

    /// True if the word at `index` is `word`, in any case; `word` is given in upper case.
    pub fn is(&self, index: usize, word: &str) -> bool {
        self.try_at(index).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// The words in bytes of their own.
    pub fn to_owned(&self) -> (Vec<u8>, Vec<Range>) {
        let (mut bytes, mut words) = (Vec::new(), Vec::with_capacity(self.len()));
        for word in self.from(0) {
            words.push(Range { start: bytes.len() as u32, len: word.len() as u32 });
            bytes.extend_from_slice(word);
        }
        (bytes, words)
    }

    /// The ranges and the bytes they are of.
    pub fn parts(&self) -> (&'a [u8], &'a [Range]) {
        (self.bytes, self.ranges)
    }
}

/// A decimal 64-bit integer in the one form Redis accepts and prints: no plus sign, no leading
/// zeros, no spaces, no `-0`.
#[inline]
pub fn parse_int(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 19 || (digits[0] == b'0' && text.len() > 1) {
        return None;
    }
    let mut value: u64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u64::from(digit - b'0');
    }
    if negative {
        (value <= i64::MIN.unsigned_abs()).then(|| (value as i64).wrapping_neg())
    } else {
        i64::try_from(value).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::parse_int;

    #[test]
    fn integers_have_one_form() {
        for (text, value) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("99999999999999999999", None),
            ("", None),
            ("-", None),
            ("-0", None),
            ("01", None),
            ("+1", None),
            (" 1", None),
            ("1a", None),
        ] {
            assert_eq!(parse_int(text.as_bytes()), value, "{text}");
        }
    }
}
