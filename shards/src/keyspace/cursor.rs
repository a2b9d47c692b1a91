//! The number SCAN hands out: which shard is next, and how far into it the scan has come.
//!
//! `cursor = position * shards + shard`; position 0 is the start of a shard. After the last shard
//! the cursor is 0, which means the end, as 0 from a client means the start.

use crate::error::Error;

/// A place in a scan over all shards.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cursor {
    /// The shard to look into.
    pub shard: usize,
    /// How far into it; 0 is the start.
    pub position: u64,
}

impl Cursor {
    /// Reads a client's cursor on a server of `shards` shards.
    ///
    /// # Errors
    /// Text that is not an unsigned 64-bit number.
    pub fn parse(text: &[u8], shards: usize) -> Result<Self, Error> {
        let invalid = Error::Text("ERR invalid cursor");
        let number = std::str::from_utf8(text).map_err(|_| invalid)?;
        if !number.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(invalid);
        }
        let number: u64 = number.parse().map_err(|_| invalid)?;
        let shards = shards as u64;
        Ok(Self { shard: (number % shards) as usize, position: number / shards })
    }

    /// The shard a client's cursor names.
    ///
    /// # Errors
    /// As `parse`.
    pub fn shard(text: &[u8], shards: usize) -> Result<usize, Error> {
        Self::parse(text, shards).map(|cursor| cursor.shard)
    }

    /// The number to hand out after a step on this cursor's shard: `next` is where to go on in
    /// it, or none if it is finished. 0 is the end of all.
    pub fn next(self, next: Option<u64>, shards: usize) -> u64 {
        let (position, shard) = match next {
            Some(position) => (position, self.shard),
            None => (0, (self.shard + 1) % shards),
        };
        position * shards as u64 + shard as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_goes_over_all_shards_and_ends() {
        let start = Cursor::parse(b"0", 3).unwrap();
        assert_eq!(start, Cursor { shard: 0, position: 0 });
        assert_eq!(start.next(Some(7), 3), 21);
        assert_eq!(Cursor::parse(b"21", 3).unwrap(), Cursor { shard: 0, position: 7 });
        assert_eq!(start.next(None, 3), 1);
        assert_eq!(Cursor::shard(b"23", 3), Ok(2));
        assert_eq!(Cursor::parse(b"23", 3).unwrap().next(None, 3), 0);
        for text in ["", "-1", "a", "+1", " 1", "99999999999999999999"] {
            assert!(Cursor::parse(text.as_bytes(), 3).is_err(), "{text}");
        }
    }
}
