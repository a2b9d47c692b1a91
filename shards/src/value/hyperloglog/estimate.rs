//! From registers to a number: how many different elements have probably been seen.
//!
//! Method: Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017),
//! algorithm 6, which needs neither tables nor a change of formula where few were seen.

use crate::limits::HLL_REGISTERS;

/// How many values six bits have.
pub(super) const RANKS: usize = 64;
/// Bits of a hash that make a rank; the greatest rank is one more.
const BITS: usize = 50;
/// The limit of the bias factor for many registers: 1 / (2 ln 2).
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// The estimate for registers of which `counts[rank]` have each rank. Where nearly all are full,
/// as elements alone never make them, it has no bound; that is written as `i64::MIN`.
pub(super) fn of(counts: &[u32; RANKS]) -> u64 {
    let registers = HLL_REGISTERS as f64;
    let full = f64::from(counts[BITS + 1]);
    let mut weight = registers * tau((registers - full) / registers);
    for count in counts[1..=BITS].iter().rev() {
        weight = (weight + f64::from(*count)) * 0.5;
    }
    weight += registers * sigma(f64::from(counts[0]) / registers);
    let estimate = (ALPHA * registers * registers / weight).round();
    if estimate < i64::MAX as f64 { estimate as u64 } else { i64::MIN as u64 }
}

/// What registers of rank 0 weigh: the sum of x^(2^k) 2^(k-1), with x itself.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut sum, mut factor) = (x, 1.0);
    loop {
        let before = sum;
        x *= x;
        sum += x * factor;
        factor += factor;
        if sum == before {
            return sum;
        }
    }
}

/// What registers of the greatest rank take away.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut sum, mut factor) = (1.0 - x, 1.0);
    loop {
        let before = sum;
        x = x.sqrt();
        factor *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * factor;
        if sum == before {
            return sum / 3.0;
        }
    }
}
