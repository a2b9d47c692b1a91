//! The clocks, read here so that the shards never do.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall and steady time of one core.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock {
    /// Milliseconds since the Unix epoch; 0 before it.
    #[inline]
    pub fn wall_ms(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
    }

    /// Time since this clock was made; never goes back.
    #[inline]
    pub fn steady(&self) -> Duration {
        self.start.elapsed()
    }
}
