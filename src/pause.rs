//! Until when clients wait, and which.

use pinion_shards::Millis;

/// A pause, or none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Pause {
    until: Option<Millis>,
    all: bool,
}

impl Pause {
    /// This pause and another one together: as strict as the stricter, as long as the longer.
    #[must_use]
    pub fn and(self, until: Millis, all: bool) -> Self {
        Self { until: Some(self.until.unwrap_or(0).max(until)), all: self.all || all }
    }

    /// When it ends.
    #[inline]
    pub fn until(self) -> Option<Millis> {
        self.until
    }

    /// True if every command waits, not only those that write.
    pub fn is_for_all(self) -> bool {
        self.all
    }

    /// What waits, as INFO names it.
    pub fn actions(self) -> &'static str {
        match (self.until, self.all) {
            (None, _) => "none",
            (Some(_), true) => "all",
            (Some(_), false) => "write",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stricter_and_the_longer_hold() {
        let pause = Pause::default().and(100, true).and(50, false);
        assert_eq!((pause.until(), pause.actions()), (Some(100), "all"));
        assert_eq!(Pause::default().actions(), "none");
        assert_eq!(Pause::default().and(5, false).actions(), "write");
    }
}
