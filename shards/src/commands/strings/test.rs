//! Tests of what a string is: its bytes, or a digest of them.

use crate::commands::Args;
use crate::error::Error;
use std::io::Write as _;
use twox_hash::XxHash3_64;

/// Characters of a digest.
const DIGEST_LEN: usize = 16;

/// What a string must be for a command to be carried out, and which word it is compared with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Test {
    /// The digest is compared, not the bytes.
    digest: bool,
    /// They must differ.
    differs: bool,
    /// Index of the word.
    word: usize,
}

impl Test {
    /// The test that stands at `index`, if its word follows.
    pub(super) fn at(args: &Args<'_>, index: usize) -> Option<Self> {
        let tests = [
            ("IFEQ", false, false),
            ("IFNE", false, true),
            ("IFDEQ", true, false),
            ("IFDNE", true, true),
        ];
        let (_, digest, differs) = tests.into_iter().find(|(name, ..)| args.is(index, name))?;
        (index + 1 < args.len()).then_some(Self { digest, differs, word: index + 1 })
    }

    /// True if a string passes.
    ///
    /// # Errors
    /// If the word should be a digest and is none.
    pub(super) fn accepts(self, text: &[u8], args: &Args<'_>) -> Result<bool, Error> {
        let word = args.at(self.word);
        let same = if self.digest {
            if word.len() != DIGEST_LEN || !word.iter().all(u8::is_ascii_hexdigit) {
                return Err(Error::Text("ERR must be exactly 16 hexadecimal characters"));
            }
            digest(text).eq_ignore_ascii_case(word)
        } else {
            text == word
        };
        Ok(same != self.differs)
    }

    /// True if a key that is not there passes, where the command may make it.
    pub(super) fn accepts_none(self) -> bool {
        self.differs
    }
}

/// The digest of a string: its XXH3 of 64 bits, in hexadecimal digits.
pub(super) fn digest(text: &[u8]) -> [u8; DIGEST_LEN] {
    let mut digits = [0; DIGEST_LEN];
    let hash = XxHash3_64::oneshot(text);
    write!(&mut digits[..], "{hash:016x}").expect("64 bits are 16 digits");
    digits
}

#[cfg(test)]
mod tests {
    use super::digest;

    #[test]
    fn digests_have_16_digits() {
        // The example of redis/redis issue 14496, whose digest begins with zeros.
        let text = b"v8lf0c11xh8ymlqztfd3eeq16kfn4sspw7fqmnuuq3k3t75em5wdizgc\
            dw7uc26nnf961u2jkfzkjytls2kwlj7626sd";
        assert_eq!(&digest(text), b"00006c38adf31777");
        // Of nothing, as the XXH3 specification has it.
        assert_eq!(&digest(b""), b"2d06800538d394c2");
    }
}
