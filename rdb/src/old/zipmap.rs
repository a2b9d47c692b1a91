//! A zipmap: how Redis 2.4 kept small hashes.
//!
//! ```text
//! 1 byte     how many fields there are; 254 means: count them
//! then       the fields: length, name, length, free (1 byte), value, as many bytes of no meaning
//! last byte  0xff
//!
//! a length is 1 byte below 254, or 254 and 4 bytes (little-endian)
//! ```

use crate::fault::Fault;

const END: u8 = 0xff;
const LONG: u8 = 254;

/// A name and its value.
type Pair<'a> = (&'a [u8], &'a [u8]);

/// The fields of a zipmap, from the first on.
#[derive(Clone, Copy, Debug)]
pub struct Zipmap<'a> {
    count: u8,
    seen: usize,
    rest: &'a [u8],
}

impl<'a> Zipmap<'a> {
    /// The fields in these bytes.
    ///
    /// # Errors
    /// `Zipmap` if there is not even a count.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Fault> {
        let (&count, rest) = bytes.split_first().ok_or(Fault::Zipmap)?;
        Ok(Self { count, seen: 0, rest })
    }

    /// The next field with its value; none at the end.
    ///
    /// # Errors
    /// `Zipmap` if the bytes do not agree with each other.
    #[allow(clippy::should_implement_trait, reason = "it may fail")]
    pub fn next(&mut self) -> Result<Option<Pair<'a>>, Fault> {
        if self.rest.first() == Some(&END) {
            let whole = self.count >= LONG || usize::from(self.count) == self.seen;
            return if whole && self.rest.len() == 1 { Ok(None) } else { Err(Fault::Zipmap) };
        }
        let len = self.length()?;
        let name = self.take(len)?;
        let len = self.length()?;
        let free = usize::from(self.take(1)?[0]);
        let value = self.take(len)?;
        self.take(free)?;
        self.seen += 1;
        Ok(Some((name, value)))
    }

    fn length(&mut self) -> Result<usize, Fault> {
        match self.take(1)?[0] {
            END => Err(Fault::Zipmap),
            LONG => {
                let bytes = self.take(4)?.try_into().map_err(|_| Fault::Zipmap)?;
                Ok(u32::from_le_bytes(bytes) as usize)
            }
            len => Ok(usize::from(len)),
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(Fault::Zipmap)?;
        self.rest = rest;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[u8]) -> Result<usize, Fault> {
        let mut map = Zipmap::new(bytes)?;
        let mut count = 0;
        while map.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    #[test]
    fn fields_are_read_and_checked() {
        let map = b"\x02\x03foo\x03\x00bar\xfe\x01\x00\x00\x00a\x01\x02bxx\xff";
        let mut fields_of = Zipmap::new(map).expect("a map");
        assert_eq!(fields_of.next(), Ok(Some((&b"foo"[..], &b"bar"[..]))));
        assert_eq!(fields_of.next(), Ok(Some((&b"a"[..], &b"b"[..]))));
        assert_eq!(fields_of.next(), Ok(None));
        for cut in 0..map.len() {
            assert_eq!(fields(&map[..cut]), Err(Fault::Zipmap), "{cut}");
        }
        assert_eq!(fields(b"\x00\xff"), Ok(0));
        assert_eq!(fields(b"\xfe\x01a\x01\x00b\xff"), Ok(1));
        assert_eq!(fields(b"\x01\xff"), Err(Fault::Zipmap));
        assert_eq!(fields(b"\x00\xff\xff"), Err(Fault::Zipmap));
    }
}
