//! A ziplist: how Redis before 7 kept small lists, hashes and sorted sets.
//!
//! ```text
//! 4 bytes    length of the whole
//! 4 bytes    where the last entry begins
//! 2 bytes    how many entries there are; 65535 means: count them
//! then       the entries, each begun with the length of the one before: 1 byte below 254, or
//!            254 and 4 bytes
//! last byte  0xff
//!
//! then an entry has             and is
//! 00xxxxxx                      a text of up to 63 bytes
//! 01xxxxxx yyyyyyyy             a text of up to 16383 bytes
//! 10000000 and 4 bytes          a text of so many bytes
//! 11000000, 11010000, 11100000  an integer of 2, 4 or 8 bytes
//! 11110000, 11111110            an integer of 3 bytes or of 1
//! 1111xxxx, x from 1 to 13      an integer from 0 to 12
//! ```
//!
//! Lengths of texts are big-endian, all else is little-endian.

use super::Element;
use crate::fault::Fault;

const HEAD: usize = 10;
const END: u8 = 0xff;
const LONG: u8 = 254;
const COUNT_UNKNOWN: usize = 0xffff;

/// The entries of a ziplist, from the first on.
#[derive(Clone, Copy, Debug)]
pub struct Ziplist<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bytes of the entry before.
    before: usize,
    seen: usize,
    count: usize,
    /// Where the last entry begins, as the head says.
    last: usize,
}

impl<'a> Ziplist<'a> {
    /// The entries in these bytes.
    ///
    /// # Errors
    /// `Ziplist` if the head does not fit.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Fault> {
        let [a, b, c, d, e, f, g, h, i, j, .., END] = *bytes else { return Err(Fault::Ziplist) };
        if u32::from_le_bytes([a, b, c, d]) as usize != bytes.len() {
            return Err(Fault::Ziplist);
        }
        let last = u32::from_le_bytes([e, f, g, h]) as usize;
        let count = usize::from(u16::from_le_bytes([i, j]));
        Ok(Self { bytes: &bytes[..bytes.len() - 1], at: HEAD, before: 0, seen: 0, count, last })
    }

    /// The next entry; none at the end.
    ///
    /// # Errors
    /// `Ziplist` if the bytes do not agree with each other.
    #[allow(clippy::should_implement_trait, reason = "it may fail")]
    pub fn next(&mut self) -> Result<Option<Element<'a>>, Fault> {
        let rest = &self.bytes[self.at..];
        if rest.is_empty() {
            let counted = self.count == COUNT_UNKNOWN || self.count == self.seen;
            let ends = self.last == self.at - self.before;
            return if counted && ends { Ok(None) } else { Err(Fault::Ziplist) };
        }
        let (told, head) = match *rest {
            [LONG, a, b, c, d, ..] => (u32::from_le_bytes([a, b, c, d]) as usize, 5),
            [before, ..] if before < LONG => (usize::from(before), 1),
            _ => return Err(Fault::Ziplist),
        };
        if told != self.before {
            return Err(Fault::Ziplist);
        }
        let (element, body) = entry(&rest[head..]).ok_or(Fault::Ziplist)?;
        self.before = head + body;
        self.at += self.before;
        self.seen += 1;
        Ok(Some(element))
    }
}

/// What follows the length of the entry before, and how long it is.
fn entry(bytes: &[u8]) -> Option<(Element<'_>, usize)> {
    let (head, len) = match *bytes {
        [first @ 0..0x40, ..] => (1, usize::from(first)),
        [first @ 0x40..0x80, second, ..] => {
            (2, usize::from(first & 0x3f) << 8 | usize::from(second))
        }
        [0x80, a, b, c, d, ..] => (5, u32::from_be_bytes([a, b, c, d]) as usize),
        [first, ref rest @ ..] => {
            let (value, len) = int(first, rest)?;
            return Some((Element::Int(value), 1 + len));
        }
        [] => return None,
    };
    let text = bytes[head..].get(..len)?;
    Some((Element::Text(text), head + len))
}

fn int(first: u8, rest: &[u8]) -> Option<(i64, usize)> {
    Some(match (first, rest) {
        (0xc0, &[a, b, ..]) => (i64::from(i16::from_le_bytes([a, b])), 2),
        (0xd0, &[a, b, c, d, ..]) => (i64::from(i32::from_le_bytes([a, b, c, d])), 4),
        (0xe0, &[a, b, c, d, e, f, g, h, ..]) => (i64::from_le_bytes([a, b, c, d, e, f, g, h]), 8),
        (0xf0, &[a, b, c, ..]) => (i64::from(i32::from_le_bytes([0, a, b, c]) >> 8), 3),
        (0xfe, &[a, ..]) => (i64::from(a as i8), 1),
        (0xf1..=0xfd, _) => (i64::from(first & 0x0f) - 1, 0),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<Element<'_>>, Fault> {
        let mut list = Ziplist::new(bytes)?;
        let mut all = Vec::new();
        while let Some(element) = list.next()? {
            all.push(element);
        }
        Ok(all)
    }

    /// A ziplist of these entries, which begin behind the length of the one before.
    fn ziplist(entries: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![0; HEAD];
        let (mut before, mut last) = (0, HEAD);
        for entry in entries {
            last = bytes.len();
            if before < usize::from(LONG) {
                bytes.push(before as u8);
            } else {
                bytes.push(LONG);
                bytes.extend_from_slice(&(before as u32).to_le_bytes());
            }
            bytes.extend_from_slice(entry);
            before = bytes.len() - last;
        }
        bytes.push(END);
        let len = bytes.len() as u32;
        bytes[..4].copy_from_slice(&len.to_le_bytes());
        bytes[4..8].copy_from_slice(&(last as u32).to_le_bytes());
        bytes[8..10].copy_from_slice(&(entries.len() as u16).to_le_bytes());
        bytes
    }

    #[test]
    fn entries_are_read_and_checked() {
        let long = [&[0x41, 0x2c][..], &[b'x'; 300]].concat();
        let list = ziplist(&[
            b"\x02ab",
            &long,
            &[0xf1],
            &[0xfd],
            &[0xfe, 0x80],
            &[0xc0, 0xff, 0x7f],
            &[0xf0, 0, 0, 0x80],
            &[0xd0, 0, 0, 0, 0x80],
            &[0xe0, 0, 0, 0, 0, 0, 0, 0, 0x80],
            &[0x80, 0, 0, 0, 1, b'y'],
        ]);
        let ints = [0, 12, -128, 32767, -8_388_608, i64::from(i32::MIN), i64::MIN];
        let found = all(&list).expect("a list");
        assert_eq!(found[0], Element::Text(b"ab"));
        assert_eq!(found[1], Element::Text(&[b'x'; 300]));
        assert_eq!(found[2..9], ints.map(Element::Int));
        assert_eq!(found[9], Element::Text(b"y"));
        for cut in 0..list.len() {
            assert_eq!(all(&list[..cut]), Err(Fault::Ziplist));
        }
        for at in (0..HEAD).chain([list.len() - 1]) {
            let mut changed = list.clone();
            changed[at] ^= 1;
            assert_eq!(all(&changed), Err(Fault::Ziplist), "{at}");
        }
        assert_eq!(all(&ziplist(&[])), Ok(Vec::new()));
        assert_eq!(all(&ziplist(&[&[0xff]])), Err(Fault::Ziplist));
        assert_eq!(all(&ziplist(&[&[0x81, 0, 0, 0, 0]])), Err(Fault::Ziplist));
    }
}
