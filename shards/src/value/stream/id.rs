//! Ids of entries: a time in milliseconds and a number within it, written `ms-seq`.

/// The id of an entry. Ids grow with every entry, so that their order is that of the stream.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Id {
    /// Milliseconds since the Unix epoch, as the client or the server says.
    pub ms: u64,
    /// Tells entries of one millisecond apart.
    pub seq: u64,
}

/// The sequence number of an id as a client wrote it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Seq {
    /// This one.
    Given(u64),
    /// None was written: `ms` alone.
    Missing,
    /// The next that is free: `ms-*`.
    Next,
}

/// Room for the text of an id: two numbers of up to 20 digits and the dash between them.
#[derive(Clone, Copy, Debug)]
pub struct IdText([u8; 41]);

impl Default for IdText {
    fn default() -> Self {
        Self([0; 41])
    }
}

/// Longest text that may be an id.
const TEXT_BYTES_MAX: usize = 127;

impl Id {
    /// The smallest id, which no entry has.
    pub const MIN: Self = Self { ms: 0, seq: 0 };
    /// The largest id.
    pub const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    /// The id `ms-seq`.
    pub const fn new(ms: u64, seq: u64) -> Self {
        Self { ms, seq }
    }

    /// The id right after this one.
    pub fn next(self) -> Option<Self> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => Some(Self { ms: self.ms.checked_add(1)?, seq: 0 }),
        }
    }

    /// The id right before this one.
    pub fn prev(self) -> Option<Self> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => Some(Self { ms: self.ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }

    /// The id as one number, in the same order.
    pub fn number(self) -> u128 {
        u128::from(self.ms) << 64 | u128::from(self.seq)
    }

    /// The id with this number.
    pub fn of_number(number: u128) -> Self {
        Self { ms: (number >> 64) as u64, seq: number as u64 }
    }

    /// Reads `ms`, `ms-seq` or `ms-*`. The numbers may be written in every way that C's `strtoull`
    /// reads, since clients of Redis may do so.
    pub fn parse(text: &[u8]) -> Option<(u64, Seq)> {
        if text.is_empty() || text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let text = text.split(|&byte| byte == 0).next().expect("a split has a first part");
        let Some(dash) = text.iter().position(|&byte| byte == b'-') else {
            return Some((parse_number(text)?, Seq::Missing));
        };
        let seq = match &text[dash + 1..] {
            b"*" => Seq::Next,
            digits => Seq::Given(parse_number(digits)?),
        };
        Some((parse_number(&text[..dash])?, seq))
    }

    /// Its text, written into `room`.
    pub fn text(self, room: &mut IdText) -> &[u8] {
        let (mut ms, mut seq) = (itoa::Buffer::new(), itoa::Buffer::new());
        let (ms, seq) = (ms.format(self.ms).as_bytes(), seq.format(self.seq).as_bytes());
        let text = &mut room.0[..ms.len() + 1 + seq.len()];
        text[..ms.len()].copy_from_slice(ms);
        text[ms.len()] = b'-';
        text[ms.len() + 1..].copy_from_slice(seq);
        text
    }
}

/// An unsigned number as C's `strtoull` reads it, if that is all of the text: spaces and a sign may
/// stand before it, and one with a minus counts down from 2^64. The canonical form of a negative
/// number is refused.
fn parse_number(text: &[u8]) -> Option<u64> {
    let digits = text.trim_ascii_start();
    let (sign, digits) = match digits {
        [sign @ (b'+' | b'-'), digits @ ..] => (Some(*sign), digits),
        digits => (None, digits),
    };
    let leads_plainly = digits.first().is_some_and(|&digit| digit != b'0');
    if sign == Some(b'-') && leads_plainly && text.len() == digits.len() + 1 {
        let fits = parse_digits(digits).is_some_and(|value| value <= i64::MIN.unsigned_abs());
        if fits {
            return None;
        }
    }
    let value = parse_digits(digits)?;
    Some(if sign == Some(b'-') { value.wrapping_neg() } else { value })
}

fn parse_digits(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_redis_reads_them() {
        for (text, parsed) in [
            ("5", Some((5, Seq::Missing))),
            ("5-7", Some((5, Seq::Given(7)))),
            ("5-*", Some((5, Seq::Next))),
            ("0005-+7", Some((5, Seq::Given(7)))),
            (" 5-\t7", Some((5, Seq::Given(7)))),
            ("1--01", Some((1, Seq::Given(u64::MAX)))),
            ("1--1", None),
            ("1--10000000000000000000", Some((1, Seq::Given(8446744073709551616)))),
            ("18446744073709551615-0", Some((u64::MAX, Seq::Given(0)))),
            ("18446744073709551616", None),
            ("", None),
            ("-", None),
            ("-5", None),
            ("5-", None),
            ("5 ", None),
            ("5-6-7", None),
            ("*", None),
            ("5-**", None),
            ("5\0-x", Some((5, Seq::Missing))),
        ] {
            assert_eq!(Id::parse(text.as_bytes()), parsed, "{text:?}");
        }
        assert_eq!(Id::parse(&[b'0'; 127]), Some((0, Seq::Missing)));
        assert_eq!(Id::parse(&[b'0'; 128]), None);
    }

    #[test]
    fn neighbours_and_texts() {
        assert_eq!(Id::new(1, u64::MAX).next(), Some(Id::new(2, 0)));
        assert_eq!(Id::new(2, 0).prev(), Some(Id::new(1, u64::MAX)));
        assert_eq!((Id::MAX.next(), Id::MIN.prev()), (None, None));
        assert!(Id::new(1, 9) < Id::new(2, 0) && Id::new(2, 0) < Id::new(2, 1));
        for id in [Id::MIN, Id::MAX, Id::new(10, 3)] {
            assert_eq!(Id::of_number(id.number()), id);
            assert_eq!(id.text(&mut IdText::default()), id.to_string().as_bytes());
        }
    }
}
