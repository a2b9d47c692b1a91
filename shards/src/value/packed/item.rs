//! One item of a listpack: read, written, compared.

use crate::commands::parse_int;
use pinion_io::resp::Reply;

/// An item as it is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Item<'a> {
    /// A text that is an integer in its one decimal form.
    Int(i64),
    /// Any other text.
    Str(&'a [u8]),
}

impl<'a> Item<'a> {
    /// Writes it as a bulk string.
    #[inline]
    pub fn write(self, reply: &mut Reply<'_>) {
        match self {
            Self::Int(value) => reply.bulk_int(value),
            Self::Str(text) => reply.bulk(text),
        }
    }

    /// True if its text is `other`. To look for one text among many items, `Needle` is faster.
    #[inline]
    pub fn is(self, other: &[u8]) -> bool {
        match self {
            Self::Int(value) => parse_int(other) == Some(value),
            Self::Str(text) => text == other,
        }
    }

    /// Its text; the digits of an integer are written into `digits`.
    #[inline]
    pub fn text<'b>(self, digits: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Self::Int(value) => digits.format(value).as_bytes(),
            Self::Str(text) => text,
        }
    }

    /// The same with its text copied into `room`, which is empty, so that what it was read from may
    /// change.
    pub fn copied(self, room: &mut Vec<u8>) -> Item<'_> {
        match self {
            Self::Int(value) => Item::Int(value),
            Self::Str(text) => {
                room.extend_from_slice(text);
                Item::Str(room)
            }
        }
    }

    /// Its value, if it is an integer.
    #[inline]
    pub fn int(self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(value),
            Self::Str(text) => parse_int(text),
        }
    }

    /// Bytes of its text.
    #[inline]
    pub fn len(self) -> usize {
        match self {
            Self::Int(value) => itoa::Buffer::new().format(value).len(),
            Self::Str(text) => text.len(),
        }
    }

    /// True if its text is empty.
    #[inline]
    pub fn is_empty(self) -> bool {
        self == Self::Str(b"")
    }
}

/// A text that is looked for, read once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needle<'a> {
    text: &'a [u8],
    int: Option<i64>,
}

impl<'a> Needle<'a> {
    #[inline]
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text, int: parse_int(text) }
    }

    #[inline]
    pub(crate) fn is(self, item: Item<'_>) -> bool {
        match item {
            Item::Int(value) => self.int == Some(value),
            Item::Str(text) => text == self.text,
        }
    }
}

/// An item as it is written: its head, which is all of an integer, and its text.
pub(super) struct Encoded<'a> {
    head: [u8; 9],
    head_len: usize,
    text: &'a [u8],
}

/// Marks of the longer forms.
const TEXT_32: u8 = 0xf0;
const INT_16: u8 = 0xf1;
const INT_24: u8 = 0xf2;
const INT_32: u8 = 0xf3;
const INT_64: u8 = 0xf4;

impl<'a> Encoded<'a> {
    #[inline]
    pub(super) fn of(text: &'a [u8]) -> Self {
        if let Some(value) = parse_int(text) {
            return Self::of_int(value);
        }
        let len = text.len() as u32;
        let mut head = [0; 9];
        let head_len = match len {
            0..=63 => {
                head[0] = 0x80 | len as u8;
                1
            }
            64..=4095 => {
                head[..2].copy_from_slice(&(0xe000 | len as u16).to_be_bytes());
                2
            }
            _ => {
                head[0] = TEXT_32;
                head[1..5].copy_from_slice(&len.to_le_bytes());
                5
            }
        };
        Self { head, head_len, text }
    }

    #[inline]
    pub(super) fn of_int(value: i64) -> Self {
        let bytes = value.to_le_bytes();
        let mut head = [0; 9];
        let head_len = match value {
            0..=127 => {
                head[0] = bytes[0];
                1
            }
            -4096..=4095 => {
                let low = value as u16 & 0x1fff;
                head[..2].copy_from_slice(&(0xc000 | low).to_be_bytes());
                2
            }
            _ => {
                let (mark, len) = match value {
                    -0x8000..=0x7fff => (INT_16, 2),
                    -0x80_0000..=0x7f_ffff => (INT_24, 3),
                    -0x8000_0000..=0x7fff_ffff => (INT_32, 4),
                    _ => (INT_64, 8),
                };
                head[0] = mark;
                head[1..=len].copy_from_slice(&bytes[..len]);
                1 + len
            }
        };
        Self { head, head_len, text: b"" }
    }

    /// Bytes before its length is said again.
    #[inline]
    fn body(&self) -> usize {
        self.head_len + self.text.len()
    }

    /// Bytes in all.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.body() + backlen_len(self.body())
    }

    #[inline]
    pub(super) fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head[..self.head_len]);
        out.extend_from_slice(self.text);
        let mut back = [0; 5];
        write_backlen(&mut back, self.body());
        out.extend_from_slice(&back[..backlen_len(self.body())]);
    }

    /// Writes it into exactly its own length.
    pub(super) fn write_to(&self, out: &mut [u8]) {
        let body = self.body();
        out[..self.head_len].copy_from_slice(&self.head[..self.head_len]);
        out[self.head_len..body].copy_from_slice(self.text);
        write_backlen(&mut out[body..], body);
    }
}

/// The item at `at`, and where the next one begins.
#[inline]
pub(super) fn decode(bytes: &[u8], at: usize) -> (Item<'_>, usize) {
    let rest = &bytes[at..];
    let first = rest[0];
    if first < 0x80 {
        return (Item::Int(i64::from(first)), at + 2);
    }
    if first < 0xc0 {
        let end = 1 + usize::from(first & 0x3f);
        return (Item::Str(&rest[1..end]), at + end + 1);
    }
    if first < 0xe0 {
        // 13 bits, moved to the top and back for the sign.
        let value = i16::from_be_bytes([first, rest[1]]) << 3 >> 3;
        return (Item::Int(i64::from(value)), at + 3);
    }
    let (item, body) = decode_long(rest);
    (item, at + body + backlen_len(body))
}

/// An item of one of the longer forms, and its bytes.
fn decode_long(rest: &[u8]) -> (Item<'_>, usize) {
    let int = |len: usize| {
        let mut bytes = [0; 8];
        bytes[8 - len..].copy_from_slice(&rest[1..=len]);
        Item::Int(i64::from_le_bytes(bytes) >> (64 - 8 * len))
    };
    match rest[0] {
        INT_16 => (int(2), 3),
        INT_24 => (int(3), 4),
        INT_32 => (int(4), 5),
        INT_64 => (int(8), 9),
        TEXT_32 => {
            let body = body_len(rest);
            (Item::Str(&rest[5..body]), body)
        }
        _ => {
            let body = body_len(rest);
            (Item::Str(&rest[2..body]), body)
        }
    }
}

/// Bytes of the item at `at`, its length at its end among them.
#[inline]
pub(super) fn item_len(bytes: &[u8], at: usize) -> usize {
    let first = bytes[at];
    if first < 0x80 {
        return 2;
    }
    if first < 0xc0 {
        return 2 + usize::from(first & 0x3f);
    }
    let body = body_len(&bytes[at..]);
    body + backlen_len(body)
}

/// Bytes of an item without its length at its end. What `head_len` says must be there.
#[inline]
pub(super) fn body_len(rest: &[u8]) -> usize {
    match rest[0] {
        0..=0x7f => 1,
        first @ 0x80..=0xbf => 1 + usize::from(first & 0x3f),
        0xc0..=0xdf => 2,
        first @ 0xe0..=0xef => 2 + (usize::from(first & 0xf) << 8 | usize::from(rest[1])),
        TEXT_32 => 5 + u32::from_le_bytes([rest[1], rest[2], rest[3], rest[4]]) as usize,
        INT_16 => 3,
        INT_24 => 4,
        INT_32 => 5,
        _ => 9,
    }
}

/// Bytes of an item that must be there to tell its length, by its first; none if no item begins so.
pub(super) fn head_len(first: u8) -> Option<usize> {
    match first {
        0..=0xdf | INT_16..=INT_64 => Some(1),
        0xe0..=0xef => Some(2),
        TEXT_32 => Some(5),
        _ => None,
    }
}

/// Bytes in which an item of `body` bytes says its length at its end: 7 bits each. The bounds are
/// Redis's own, one less than what would fit.
#[inline]
pub(super) fn backlen_len(body: usize) -> usize {
    match body {
        0..=127 => 1,
        128..=16_382 => 2,
        16_383..=2_097_150 => 3,
        2_097_151..=268_435_454 => 4,
        _ => 5,
    }
}

/// Writes an item's length for its end: the highest bits first, and a mark on every byte but that
/// one, which is the last when read backwards.
#[inline]
pub(super) fn write_backlen(out: &mut [u8], body: usize) {
    let len = backlen_len(body);
    if len == 1 {
        out[0] = body as u8;
        return;
    }
    for (index, byte) in out[..len].iter_mut().enumerate() {
        let bits = (body >> (7 * (len - 1 - index))) as u8 & 0x7f;
        *byte = if index == 0 { bits } else { bits | 0x80 };
    }
}

/// Where the item that ends at `end` begins.
#[inline]
pub(super) fn backwards(bytes: &[u8], end: usize) -> usize {
    let (mut at, mut body, mut shift) = (end - 1, 0, 0);
    while bytes[at] & 0x80 != 0 {
        body |= usize::from(bytes[at] & 0x7f) << shift;
        shift += 7;
        at -= 1;
    }
    body |= usize::from(bytes[at]) << shift;
    at - body
}
