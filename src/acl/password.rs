//! Passwords: kept and compared as hashes only.

use sha2::{Digest as _, Sha256};

/// The SHA-256 of a password.
#[derive(Clone, Copy, Debug)]
pub struct Hash([u8; 32]);

/// Digits of a hash's text.
const DIGITS: &[u8; 16] = b"0123456789abcdef";

impl Hash {
    /// The hash of a password.
    pub fn of(password: &[u8]) -> Self {
        Self(Sha256::digest(password).into())
    }

    /// Reads 64 hexadecimal digits in lower case, the only form there is.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != 64 {
            return None;
        }
        let digit = |byte: u8| DIGITS.iter().position(|&digit| digit == byte);
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(text.chunks_exact(2)) {
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Some(Self(hash))
    }

    /// True if they are the same. Takes as long where only the last bit differs as where the first
    /// does, so that the time of an answer tells nothing of a guess.
    pub fn is(&self, other: &Self) -> bool {
        let mut difference = 0;
        for (one, other) in self.0.iter().zip(other.0) {
            // Opaque, or the compiler may end the loop at the first difference.
            difference |= std::hint::black_box(one ^ other);
        }
        difference == 0
    }

    /// Its 64 hexadecimal digits.
    pub fn text(&self) -> String {
        hex(&self.0)
    }
}

/// The hexadecimal digits of some bytes.
pub fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_the_standard_and_reads_back() {
        let hash = Hash::of(b"abc");
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash.text(), text);
        assert!(Hash::parse(text.as_bytes()).unwrap().is(&hash));
        assert!(!Hash::of(b"abd").is(&hash) && !Hash::of(b"").is(&hash));
        for bad in [&text[1..], &text.to_uppercase(), &text.replace('0', "g"), ""] {
            assert!(Hash::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
