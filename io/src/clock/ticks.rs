//! Nanoseconds for a few cycles: the processor's own counter where it can be trusted.
//!
//! A counter that neither stops nor changes its pace (`constant_tsc` and `nonstop_tsc`) is read and
//! scaled; its pace is measured once against the steady clock. Elsewhere the steady clock is read.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long the pace is measured: its error is that of two clock readings in this time.
const MEASURED: Duration = Duration::from_millis(4);
/// Binary digits behind the point of the pace.
const FRACTION: u32 = 24;

/// How this machine counts.
#[derive(Debug)]
enum Source {
    /// Nanoseconds for each tick of the counter, scaled by `1 << FRACTION`, and where it began.
    Counter { pace: u64, start: u64 },
    /// The steady clock, since this instant.
    Steady(Instant),
}

static SOURCE: OnceLock<Source> = OnceLock::new();

/// Nanoseconds since the first call. Readings of one thread never go back; those of two threads
/// may differ by some tens of nanoseconds.
#[inline]
pub fn nanos() -> u64 {
    match SOURCE.get() {
        Some(Source::Counter { pace, start }) => scale(counter().wrapping_sub(*start), *pace),
        Some(Source::Steady(start)) => start.elapsed().as_nanos() as u64,
        None => begin(),
    }
}

#[cold]
fn begin() -> u64 {
    SOURCE.get_or_init(|| if is_invariant() { measured() } else { Source::Steady(Instant::now()) });
    0
}

#[inline]
fn scale(ticks: u64, pace: u64) -> u64 {
    ((u128::from(ticks) * u128::from(pace)) >> FRACTION) as u64
}

/// Measures the pace.
fn measured() -> Source {
    let (began, start) = (Instant::now(), counter());
    std::thread::sleep(MEASURED);
    let (nanos, ticks) = (began.elapsed().as_nanos(), counter().wrapping_sub(start));
    match u64::try_from((nanos << FRACTION) / u128::from(ticks.max(1))) {
        Ok(pace) if pace > 0 && ticks > 0 => Source::Counter { pace, start },
        _ => Source::Steady(began),
    }
}

/// True if the kernel says that the counter may be trusted.
fn is_invariant() -> bool {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = text.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let has = |flag| flags.split_whitespace().any(|word| word == flag);
    cfg!(target_arch = "x86_64") && has("constant_tsc") && has("nonstop_tsc")
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn counter() -> u64 {
    // SAFETY: every x86-64 processor has the instruction; it reads a counter and nothing else.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_with_the_steady_clock() {
        nanos();
        let (before, began) = (nanos(), Instant::now());
        std::thread::sleep(Duration::from_millis(20));
        let (told, steady) = (nanos() - before, began.elapsed().as_nanos() as u64);
        assert!(told.abs_diff(steady) < steady / 50 + 100_000, "{told} and {steady}");
    }

    #[test]
    fn it_never_goes_back() {
        let mut last = nanos();
        for _ in 0..100_000 {
            let now = nanos();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn a_year_of_ticks_is_scaled_without_overflow() {
        let pace = (1 << FRACTION) / 3;
        let year = 365 * 86_400 * 1_000_000_000_u64;
        assert!(scale(year * 3, pace).abs_diff(year) < year / 1_000_000);
    }
}
