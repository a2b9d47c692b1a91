//! The checksum of files and of DUMP: CRC-64/REDIS, over pieces and combined.
//!
//! Polynomial 0xad93d23594c935a9, bits reversed in and out, begun with 0 and ended without change,
//! so that a checksum by itself is all there is to go on from.

use crc_fast::{CrcAlgorithm, Digest, checksum, checksum_combine};

/// The checksum of bytes that come piece by piece.
#[derive(Clone, Copy, Debug)]
pub struct Crc(Digest);

impl Default for Crc {
    fn default() -> Self {
        Self::new()
    }
}

impl Crc {
    /// The checksum of nothing.
    pub fn new() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc64Redis))
    }

    /// Goes on over these bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum so far.
    pub fn sum(&self) -> u64 {
        self.0.finalize()
    }
}

/// The checksum of bytes.
pub fn crc(bytes: &[u8]) -> u64 {
    checksum(CrcAlgorithm::Crc64Redis, bytes)
}

/// The checksum of two runs of bytes one behind the other, of which the second has `second_bytes`.
pub fn combine(first: u64, second: u64, second_bytes: u64) -> u64 {
    checksum_combine(CrcAlgorithm::Crc64Redis, first, second, second_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_that_of_redis() {
        assert_eq!(crc(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        assert_eq!(crc(b""), 0);
    }

    #[test]
    fn pieces_make_the_whole() {
        let bytes: Vec<u8> = (0..100_000u32).map(|at| (at * 7 % 251) as u8).collect();
        let whole = crc(&bytes);
        for cut in [0, 1, 15, 16, 255, 256, 4096, 65_537, bytes.len()] {
            let (first, second) = bytes.split_at(cut);
            assert_eq!(combine(crc(first), crc(second), second.len() as u64), whole);
            let mut crc = Crc::new();
            crc.update(first);
            crc.update(second);
            assert_eq!(crc.sum(), whole);
        }
    }
}
