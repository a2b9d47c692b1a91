//! The clocks, read here so that the shards never do.

#[allow(unsafe_code)] // Room: one instruction without operands. Tests at its foot.
mod ticks;

pub use ticks::nanos;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall and steady time of one core. The wall clock is read only now and then (`adjust`): between
/// two readings it is reckoned from the steady one, which every tick reads anyway.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    /// Wall time at `start`, as of the last reading.
    epoch: Duration,
}

impl Default for Clock {
    fn default() -> Self {
        let mut clock = Self { start: Instant::now(), epoch: Duration::ZERO };
        clock.adjust();
        clock
    }
}

impl Clock {
    /// Time since this clock was made; never goes back.
    #[inline]
    pub fn steady(&self) -> Duration {
        self.start.elapsed()
    }

    /// Milliseconds since the Unix epoch at the instant `steady`.
    #[inline]
    pub fn wall_ms(&self, steady: Duration) -> u64 {
        (self.epoch + steady).as_millis() as u64
    }

    /// Reads the wall clock, which may have been set.
    pub fn adjust(&mut self) {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.epoch = wall.saturating_sub(self.start.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_follows_the_steady_clock() {
        let clock = Clock::default();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        assert!(clock.wall_ms(clock.steady()).abs_diff(wall) < 1000);
        assert!(clock.wall_ms(Duration::from_secs(5)) >= clock.wall_ms(Duration::ZERO) + 5000);
    }
}
