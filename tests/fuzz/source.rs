//! Where random input comes from, and for how long.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Seconds of a target where nothing else is said.
const SECONDS: u64 = 3;

/// A random source (xorshift64*, Vigna 2016) that says when to end.
#[derive(Debug)]
pub(crate) struct Source {
    state: u64,
    until: Instant,
}

impl Source {
    /// From the seed in the environment, or a fresh one, which it prints.
    pub(crate) fn new(target: &str) -> Self {
        let number = |name: &str| std::env::var(name).ok()?.parse().ok();
        let seed = number("PINION_FUZZ_SEED").unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.map_or(1, |now| now.as_nanos() as u64) | 1
        });
        let seconds = number("PINION_FUZZ_SECONDS").unwrap_or(SECONDS);
        eprintln!("{target}: PINION_FUZZ_SEED={seed}, {seconds} s");
        Self { state: seed.max(1), until: Instant::now() + Duration::from_secs(seconds) }
    }

    /// True until the time is over.
    pub(crate) fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of `all`.
    pub(crate) fn one_of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    /// Up to `len_max` bytes of any value.
    pub(crate) fn bytes(&mut self, len_max: usize) -> Vec<u8> {
        let len = self.below(len_max + 1);
        (0..len).map(|_| self.below(256) as u8).collect()
    }

    /// Changes, removes, doubles or cuts off some of `bytes`.
    pub(crate) fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            if bytes.is_empty() {
                return;
            }
            let at = self.below(bytes.len());
            match self.below(6) {
                0 => bytes[at] = self.below(256) as u8,
                1 => bytes[at] = *self.one_of(&[&b'\r', &b'\n', &b'$', &b'*', &b'-', &b'0', &b'"']),
                2 => drop(bytes.remove(at)),
                3 => bytes.truncate(at),
                4 => {
                    let piece = bytes[at..].iter().copied().take(20).collect::<Vec<_>>();
                    bytes.splice(at..at, piece);
                }
                _ => bytes.insert(at, self.below(256) as u8),
            }
        }
    }
}
