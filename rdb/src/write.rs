//! Writes lengths, strings, and what stands between the records of a file.

use crate::kind;
use crate::lzf::Compressor;

/// Strings of fewer bytes are not worth compressing.
const COMPRESS_BYTES_MIN: usize = 21;
/// Longest text of an integer of 32 bits.
const INT_BYTES_MAX: usize = 11;
/// Bytes that `fill` needs at least.
pub const FILL_BYTES_MIN: usize = 3;
/// Bytes of the end of a file: the opcode and the checksum.
pub const END_BYTES: usize = 9;

/// Writes a length, or any number as one.
#[inline]
pub fn length(out: &mut Vec<u8>, len: u64) {
    match len {
        0..0x40 => out.push(len as u8),
        0x40..0x4000 => out.extend_from_slice(&(len as u16 | 0x4000).to_be_bytes()),
        0x4000..=0xffff_ffff => {
            out.push(0x80);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
        _ => {
            out.push(0x81);
            out.extend_from_slice(&len.to_be_bytes());
        }
    }
}

/// Writes strings, compressed where that is wanted.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    compress: bool,
    /// Made when it is first needed.
    compressor: Option<Compressor>,
    room: Vec<u8>,
}

impl Texts {
    /// Writes strings as they are.
    pub fn plain() -> Self {
        Self::default()
    }

    /// Compresses strings of more than 20 bytes, where that makes them shorter.
    pub fn compressed() -> Self {
        Self { compress: true, ..Self::default() }
    }

    /// Writes a string: as an integer if it is one of 32 bits in its one decimal form.
    #[inline]
    pub fn text(&mut self, out: &mut Vec<u8>, text: &[u8]) {
        if text.len() <= INT_BYTES_MAX {
            match parse_int(text) {
                Some(value) => int(out, value),
                None => plain(out, text),
            }
        } else {
            self.long(out, text);
        }
    }

    /// Writes a string that is no integer.
    #[inline]
    pub fn long(&mut self, out: &mut Vec<u8>, text: &[u8]) {
        if text.len() < COMPRESS_BYTES_MIN || !self.compress(out, text) {
            plain(out, text);
        }
    }

    /// Writes an integer as the string it is.
    #[inline]
    pub fn int(&mut self, out: &mut Vec<u8>, value: i64) {
        match i32::try_from(value) {
            Ok(value) => int(out, value),
            Err(_) => plain(out, itoa::Buffer::new().format(value).as_bytes()),
        }
    }

    fn compress(&mut self, out: &mut Vec<u8>, text: &[u8]) -> bool {
        if !self.compress {
            return false;
        }
        let compressor = self.compressor.get_or_insert_default();
        self.room.clear();
        // As Redis: it must save four bytes.
        if !compressor.compress(text, &mut self.room, text.len() - 4) {
            return false;
        }
        out.push(0xc3);
        length(out, self.room.len() as u64);
        length(out, text.len() as u64);
        out.extend_from_slice(&self.room);
        if self.room.capacity() > ROOM_BYTES_MAX {
            self.room = Vec::new();
        }
        true
    }
}

/// Bytes that are kept for the next string to be compressed, at most.
const ROOM_BYTES_MAX: usize = 1 << 20;

/// Writes a string as it is.
#[inline]
pub fn plain(out: &mut Vec<u8>, text: &[u8]) {
    length(out, text.len() as u64);
    out.extend_from_slice(text);
}

fn int(out: &mut Vec<u8>, value: i32) {
    if let Ok(value) = i8::try_from(value) {
        out.extend_from_slice(&[0xc0, value as u8]);
    } else if let Ok(value) = i16::try_from(value) {
        let [low, high] = value.to_le_bytes();
        out.extend_from_slice(&[0xc1, low, high]);
    } else {
        let [a, b, c, d] = value.to_le_bytes();
        out.extend_from_slice(&[0xc2, a, b, c, d]);
    }
}

/// An integer of 32 bits in its one decimal form.
#[inline]
fn parse_int(text: &[u8]) -> Option<i32> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] => {}
        _ => return None,
    }
    let mut value = 0i64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(digit - b'0');
    }
    i32::try_from(if negative { -value } else { value }).ok()
}

/// Writes what a file of Redis begins with.
pub fn magic(out: &mut Vec<u8>, version: u32) {
    out.extend_from_slice(format!("REDIS{version:04}").as_bytes());
}

/// Writes a name and a value that say something about the file.
pub fn aux(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.push(kind::AUX);
    plain(out, name);
    Texts::plain().text(out, value);
}

/// Writes the database of the keys that follow.
pub fn database(out: &mut Vec<u8>, number: u64) {
    out.push(kind::DATABASE);
    length(out, number);
}

/// Writes how many keys follow, and how many of them expire.
pub fn sizes(out: &mut Vec<u8>, keys: u64, expiring: u64) {
    out.push(kind::SIZES);
    length(out, keys);
    length(out, expiring);
}

/// Writes a library of functions.
pub fn function(out: &mut Vec<u8>, texts: &mut Texts, code: &[u8]) {
    out.push(kind::FUNCTION);
    texts.text(out, code);
}

/// Writes when the next key expires, in milliseconds since the Unix epoch.
#[inline]
pub fn expiry(out: &mut Vec<u8>, at: u64) {
    out.push(kind::EXPIRY_MS);
    out.extend_from_slice(&at.to_le_bytes());
}

/// Writes for how many seconds the next key was not used.
pub fn idle(out: &mut Vec<u8>, seconds: u64) {
    out.push(kind::IDLE);
    length(out, seconds);
}

/// Writes `bytes` bytes, `FILL_BYTES_MIN` at least, that loaders pass over: what fills the end of
/// a chunk.
///
/// # Panics
/// If it is fewer.
pub fn fill(out: &mut Vec<u8>, bytes: usize) {
    // The opcode, a name and a value; the length of the value may be written longer than it need
    // be, so that every number of bytes can be had.
    let body = bytes.checked_sub(FILL_BYTES_MIN).expect("the caller has looked");
    let end = out.len() + bytes;
    out.push(kind::AUX);
    out.push(0);
    match body {
        0..0x40 => out.push(body as u8),
        0x40..=0x4000 => {
            out.extend_from_slice(&((body - 1) as u16 | 0x4000).to_be_bytes());
        }
        _ => {
            out.push(0x80);
            out.extend_from_slice(&((body - 4) as u32).to_be_bytes());
        }
    }
    out.resize(end, 0);
}

/// Writes the end of a file, whose bytes before this have this checksum; 0 says that there is
/// none. The checksum of a whole file goes over the end's first byte.
pub fn end(out: &mut Vec<u8>, before: u64) {
    out.push(kind::END);
    let sum = crate::crc::combine(before, crate::crc::crc(&[kind::END]), 1);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// The same without a checksum.
pub fn end_unchecked(out: &mut Vec<u8>) {
    out.push(kind::END);
    out.extend_from_slice(&[0; 8]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;
    use crate::read::Reader;

    #[test]
    fn lengths_come_back() {
        let edges = [0, 1, 63, 64, 16_383, 16_384, u64::from(u32::MAX), 1 << 32, u64::MAX];
        for (len, bytes) in edges.into_iter().zip([1, 1, 1, 2, 2, 5, 5, 9, 9]) {
            let mut out = Vec::new();
            length(&mut out, len);
            assert_eq!(out.len(), bytes);
            assert_eq!(Reader::new(&out).length(), Ok(len));
            for cut in 0..bytes {
                assert_eq!(Reader::new(&out[..cut]).length(), Err(Fault::Cut));
            }
        }
        assert_eq!(Reader::new(&[0x82]).length(), Err(Fault::Length));
        assert_eq!(Reader::new(&[0xc0, 1]).length(), Err(Fault::Length));
    }

    #[test]
    fn strings_come_back_in_the_shortest_form() {
        let long = b"abcabcabc ".repeat(10);
        for (text, bytes) in [
            (&b""[..], 1),
            (b"a", 2),
            (b"0", 2),
            (b"-0", 3),
            (b"00", 3),
            (b"-128", 2),
            (b"128", 3),
            (b"-32768", 3),
            (b"32768", 5),
            (b"-2147483648", 5),
            (b"2147483647", 5),
            (b"2147483648", 11),
            (b"-2147483649", 12),
            (b"99999999999", 12),
            (b"12345678901x", 13),
            (b"-", 2),
            (b"12a", 4),
            (&long, 20),
        ] {
            let mut out = Vec::new();
            Texts::compressed().text(&mut out, text);
            assert!(out.len() <= bytes, "{text:?} {}", out.len());
            let (mut room, mut reader) = (Vec::new(), Reader::new(&out));
            assert_eq!(reader.text(&mut room), Ok(text));
            assert_eq!(reader.end(), Ok(()));
            assert_eq!(Reader::new(&out).own_text(), Ok(text.to_vec()));
            for cut in 0..out.len() {
                assert_eq!(Reader::new(&out[..cut]).own_text(), Err(Fault::Cut));
            }
            let mut out = Vec::new();
            Texts::plain().text(&mut out, text);
            assert_eq!(Reader::new(&out).own_text(), Ok(text.to_vec()));
        }
        for value in [0, -1, i64::from(i32::MIN), i64::from(i32::MAX) + 1, i64::MIN, i64::MAX] {
            let (mut as_int, mut as_text) = (Vec::new(), Vec::new());
            Texts::plain().int(&mut as_int, value);
            Texts::plain().text(&mut as_text, value.to_string().as_bytes());
            assert_eq!(as_int, as_text);
        }
        assert_eq!(Reader::new(&[0xc4]).own_text(), Err(Fault::Text));
        assert_eq!(Reader::new(&[0xbf; 9]).own_text(), Err(Fault::Length));
    }

    #[test]
    fn what_fills_is_as_long_as_wanted() {
        for bytes in (FILL_BYTES_MIN..300).chain(16_000..17_000).chain([1 << 20]) {
            let mut out = Vec::new();
            fill(&mut out, bytes);
            assert_eq!(out.len(), bytes);
            let mut reader = Reader::new(&out);
            assert_eq!(reader.byte(), Ok(kind::AUX));
            assert_eq!(reader.own_text(), Ok(Vec::new()));
            reader.own_text().expect("a value");
            assert_eq!(reader.end(), Ok(()));
        }
    }
}
