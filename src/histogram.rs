//! A histogram of times: of 128 steps an octave, so that no time is told wrong by one percent.
//!
//! Its steps are those of Redis's latency histograms, so the same times give the same figures.

/// Steps of an octave; the first two octaves' worth are single nanoseconds.
const STEPS: u64 = 128;
/// Longest time told apart: about a second. Longer ones count as this.
const NANOS_MAX: u64 = (1 << 30) - 1;
/// Octaves of `STEPS` above the single nanoseconds.
const OCTAVES: usize = 22;
const LEN: usize = 2 * STEPS as usize + OCTAVES * STEPS as usize;

const _: () = assert!(index(NANOS_MAX) == LEN - 1, "the last step holds the longest time");

/// Counts of times, by time.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Box<[u32; LEN]>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: Box::new([0; LEN]), total: 0 }
    }
}

/// The step of a time.
#[inline]
const fn index(nanos: u64) -> usize {
    if nanos < 2 * STEPS {
        return nanos as usize;
    }
    let octave = nanos.ilog2() - STEPS.ilog2();
    (octave as u64 * STEPS + (nanos >> octave)) as usize
}

/// The longest time of a step.
const fn longest(index: usize) -> u64 {
    let index = index as u64;
    if index < 2 * STEPS {
        return index;
    }
    let octave = index / STEPS - 1;
    ((index - octave * STEPS + 1) << octave) - 1
}

impl Histogram {
    /// Counts a time, in nanoseconds.
    #[inline]
    pub fn add(&mut self, nanos: u64) {
        let count = &mut self.counts[index(nanos.min(NANOS_MAX))];
        *count = count.saturating_add(1);
        self.total += 1;
    }

    /// How many times were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Counts all that another one has counted.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts.iter()) {
            *count = count.saturating_add(*more);
        }
        self.total += other.total;
    }

    /// The time, in nanoseconds, that `percent` of all did not exceed; 0 of none.
    pub fn percentile(&self, percent: f64) -> u64 {
        if self.total == 0 {
            return 0;
        }
        let wanted = (percent / 100.0 * self.total as f64 + 0.5) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted.max(1) {
                return longest(index);
            }
        }
        NANOS_MAX
    }

    /// Times in octaves, those that hold any: the longest in microseconds, and how many times were
    /// not longer.
    pub fn octaves(&self) -> Vec<(u64, u64)> {
        let (mut octaves, mut seen, mut told, mut at) = (Vec::new(), 0, 0, 0);
        let mut end = 1024;
        while told < self.total && at < LEN {
            let last = index(end).min(LEN - 1);
            seen += self.counts[at..=last].iter().map(|count| u64::from(*count)).sum::<u64>();
            at = last + 1;
            if seen > told {
                told = seen;
                octaves.push((longest(last) / 1000, seen));
            }
            end *= 2;
        }
        octaves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_each_other() {
        let mut last = 0;
        for nanos in 0..100_000 {
            let step = index(nanos);
            assert!(step == last || step == last + 1, "{nanos}");
            assert!(longest(step) >= nanos && (step == 0 || longest(step - 1) < nanos), "{nanos}");
            last = step;
        }
        assert_eq!(longest(LEN - 1), NANOS_MAX);
    }

    #[test]
    fn octaves_and_percentiles() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.percentile(50.0), histogram.octaves()), (0, vec![]));
        for nanos in [500, 1500, 1600, 40_000, 5_000_000_000] {
            histogram.add(nanos);
        }
        assert_eq!(histogram.octaves(), [(1, 1), (2, 3), (66, 4), (1_073_741, 5)]);
        assert_eq!(histogram.percentile(0.0), 501);
        assert_eq!(histogram.percentile(50.0), 1607);
        assert_eq!(histogram.percentile(100.0), NANOS_MAX);
        let mut both = histogram.clone();
        both.merge(&histogram);
        assert_eq!((both.total(), both.octaves()[0]), (10, (1, 2)));
    }
}
