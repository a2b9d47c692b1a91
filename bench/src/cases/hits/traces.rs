//! What is asked for, one key after another.

/// 64 random bits from a seed: splitmix64 (Steele, Lea and Flood, 2014).
#[derive(Clone, Copy, Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, len: usize) -> usize {
        ((u128::from(self.bits()) * len as u128) >> 64) as usize
    }
}

/// Ranks that come up the more often the lower they are: the n-th as often as n to the power of
/// minus `exponent`.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(keys: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=keys).map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        });
        Self(sums.collect())
    }

    fn draw(&self, random: &mut Random) -> u64 {
        let all = self.0.last().copied().unwrap_or(1.0);
        let at = (random.bits() >> 11) as f64 / (1_u64 << 53) as f64 * all;
        self.0.partition_point(|&sum| sum < at) as u64
    }
}

/// A trace: a name, and its requests for a cache of a tenth of so many keys.
pub(super) type Trace = (&'static str, fn(keys: usize, requests: usize) -> Vec<u64>);

/// All of them.
pub(super) const ALL: &[Trace] = &[
    ("Zipf 0.9", |keys, requests| zipf(keys, 0.9, requests)),
    ("Zipf 1.1", |keys, requests| zipf(keys, 1.1, requests)),
    ("Zipf 1.0 and scans", scans),
    ("loop over 1.2 caches", |keys, requests| {
        (0..requests).map(|at| (at % (keys / 10 * 6 / 5)) as u64).collect()
    }),
    ("Zipf 1.0 that moves", moves),
];

fn zipf(keys: usize, exponent: f64, requests: usize) -> Vec<u64> {
    let (zipf, mut random) = (Zipf::new(keys, exponent), Random(1));
    (0..requests).map(|_| zipf.draw(&mut random)).collect()
}

/// After each five caches' worth of requests, two caches' worth of keys in their order, most of
/// which nobody asks for otherwise.
fn scans(keys: usize, requests: usize) -> Vec<u64> {
    let (zipf, mut random, cache) = (Zipf::new(keys, 1.0), Random(2), keys / 10);
    let (mut trace, mut next) = (Vec::with_capacity(requests + 7 * cache), 0);
    while trace.len() < requests {
        trace.extend((0..5 * cache).map(|_| zipf.draw(&mut random)));
        trace.extend((0..2 * cache).map(|at| (keys + (next + at) % (4 * keys)) as u64));
        next += 2 * cache;
    }
    trace.truncate(requests);
    trace
}

/// Eight times in all, what is asked for most is something else.
fn moves(keys: usize, requests: usize) -> Vec<u64> {
    let (zipf, mut random) = (Zipf::new(keys, 1.0), Random(3));
    let shift = |at: usize| (at * 8 / requests * keys / 8) as u64;
    (0..requests).map(|at| (zipf.draw(&mut random) + shift(at)) % keys as u64).collect()
}
