//! The hash of a key, and which of its bits mean what.
//!
//! | bits | what |
//! |---|---|
//! | 63-... | the segment: the directory takes one more from the top each time it doubles |
//! | 63-48 | kept in the table's word (`record::tag`) |
//! | 39-8 | the home bucket |
//! | 7-0 | the fingerprint beside the word |

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use std::hash::Hasher as _;

/// A keyed hash: the same for every shard of a server, unknown to its clients.
#[derive(Clone)]
pub(crate) struct Hasher {
    seed: u64,
    shared: SharedSeed,
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The seed is nobody's business.
        f.debug_struct("Hasher").finish_non_exhaustive()
    }
}

impl Hasher {
    pub(crate) fn new(seed: u64) -> Self {
        // The hash of a short key takes its length in by turning the seed, which does nothing to
        // one of few bits: an odd factor and a fold spread these (Knuth's multiplicative hashing).
        let spread = (seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xd134_2543_de82_ef95);
        Self { seed: spread ^ spread >> 32, shared: SharedSeed::from_u64(seed) }
    }

    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        hasher.write(key);
        hasher.finish()
    }
}

/// The byte kept beside the word.
#[inline]
pub(crate) fn fingerprint(hash: u64) -> u8 {
    hash as u8
}

/// The home bucket among `buckets`.
#[inline]
pub(crate) fn home(hash: u64, buckets: u64) -> usize {
    ((u64::from((hash >> 8) as u32) * buckets) >> 32) as usize
}

/// The top `depth` bits.
#[inline]
pub(crate) fn prefix(hash: u64, depth: u8) -> usize {
    // In two steps, since no bits at all is a shift by the whole width.
    ((hash >> 1) >> (63 - depth)) as usize
}
