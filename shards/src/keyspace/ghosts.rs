//! What is remembered of keys that were evicted: how often each was used, in a byte.
//!
//! A byte is five bits of the key's hash and three for the count, on a rough scale. Two keys of one
//! place and one mark are taken for the same, once in 32 times; that misleads nothing but a guess.
//! A count is kept against a lesser one, which wears it down.

use crate::limits::GHOSTS_MIN;

/// Bits of a byte that tell the count; the others mark the key.
const COUNT_BITS: u32 = 3;
const COUNT_MASK: u8 = (1 << COUNT_BITS) - 1;
/// What the codes of counts stand for.
const COUNTS: [u32; 1 << COUNT_BITS] = [0, 1, 2, 3, 5, 7, 11, 15];

/// A byte for each key that is there, and none where nothing was evicted.
#[derive(Debug, Default)]
pub(super) struct Ghosts {
    places: Box<[u8]>,
    worn: u8,
}

fn code(count: u32) -> u8 {
    let above = COUNTS.iter().position(|its| *its > count).unwrap_or(COUNTS.len());
    above.saturating_sub(1) as u8
}

impl Ghosts {
    /// The place and the mark of a key.
    #[inline]
    fn place(&self, hash: u64) -> (usize, u8) {
        let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = ((u128::from(mixed) * self.places.len() as u128) >> 64) as usize;
        (place, (hash as u8) >> COUNT_BITS)
    }

    /// Remembers a key that was used `count` times, where there are so many keys.
    pub(super) fn remember(&mut self, hash: u64, count: u32, keys: usize) {
        // A power of two, not above the count of keys, so that it seldom changes.
        let len = if keys < GHOSTS_MIN { GHOSTS_MIN } else { 1 << keys.ilog2() };
        if self.places.len() < len || self.places.len() > 4 * len {
            self.places = vec![0; len].into();
        }
        let (place, mark) = self.place(hash);
        let (old, code) = (self.places[place], code(count));
        let old_code = old & COUNT_MASK;
        if old >> COUNT_BITS == mark || old_code <= code {
            self.places[place] = mark << COUNT_BITS | code;
        } else {
            self.worn = self.worn.wrapping_add(1);
            self.places[place] -= self.worn & 1;
        }
    }

    /// How often a key was used when it was evicted, as far as that is known.
    #[inline]
    pub(super) fn recall(&self, hash: u64) -> u32 {
        if self.places.is_empty() {
            return 0;
        }
        let (place, mark) = self.place(hash);
        let known = self.places[place];
        if known >> COUNT_BITS == mark { COUNTS[usize::from(known & COUNT_MASK)] } else { 0 }
    }

    /// Forgets all.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn counts_are_remembered_about() {
        let (mut ghosts, mut random) = (Ghosts::default(), Random(7));
        assert_eq!(ghosts.recall(5), 0);
        let keys: Vec<u64> = (0..500).map(|_| random.bits()).collect();
        for (index, key) in keys.iter().enumerate() {
            ghosts.remember(*key, index as u32 % 20, 4096);
        }
        let right = |(index, key): &(usize, &u64)| {
            let (told, count) = (ghosts.recall(**key), *index as u32 % 20);
            told <= count && told + told / 2 + 5 >= count
        };
        let known = keys.iter().enumerate().filter(right).count();
        assert!(known > 440, "{known}");
        let strangers = (0..10_000).filter(|_| ghosts.recall(random.bits()) > 0).count();
        assert!(strangers < 100, "{strangers}");
        assert_eq!(ghosts.bytes(), 4096);
    }

    #[test]
    fn it_grows_with_the_keys() {
        let mut ghosts = Ghosts::default();
        ghosts.remember(1, 1, 0);
        assert_eq!(ghosts.bytes(), GHOSTS_MIN);
        ghosts.remember(1, 1, 1_000_000);
        assert_eq!(ghosts.bytes(), 1 << 19);
        ghosts.remember(1, 1, 200_000);
        assert_eq!(ghosts.bytes(), 1 << 19);
        ghosts.remember(1, 1, 100_000);
        assert_eq!(ghosts.bytes(), 1 << 16);
    }
}
