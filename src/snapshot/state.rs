//! What the server knows of its snapshots: whether one is under way, how the last one went, and
//! when the next is due. Shared by all cores, and asked off the hot path, but for one flag.

use super::schedule::{SavePoint, Schedule};
use crate::config::SnapshotSettings;
use pinion_shards::Millis;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// From a snapshot that failed to the next that is taken unasked, in milliseconds (Redis: 5 s).
const RETRY_MS: Millis = 5000;

/// The server's snapshots.
#[derive(Debug)]
pub struct Saves {
    /// The last one failed: looked at by every command.
    has_failed: AtomicBool,
    status: Mutex<Status>,
    /// Changes of keys on each core since the start.
    changes: Box<[AtomicU64]>,
    /// Changes that are none of keys.
    others: AtomicU64,
    /// Keys that the snapshot under way has written.
    keys_saved: AtomicU64,
}

/// What is told of them.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The one under way.
    pub current: Option<Current>,
    /// One is to be taken as soon as may be.
    pub is_scheduled: bool,
    /// When the last one that succeeded was taken; the start counts as one.
    pub last: Millis,
    /// Changes up to then.
    pub changes: u64,
    /// Why the last one failed, if it did.
    pub failure: Option<String>,
    /// When the last one began, whether it succeeded or not.
    pub last_try: Millis,
    /// How long the last one in the background took, in milliseconds.
    pub took: Option<Millis>,
    /// How many were begun.
    pub begun: u64,
    /// Keys that loading put in, and those it left out as expired, when the server started.
    pub loaded: u64,
    /// The latter.
    pub expired: u64,
}

/// A snapshot under way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Current {
    /// When it began.
    pub began: Millis,
    /// Clients are served meanwhile.
    pub in_background: bool,
    /// Keys there are to write.
    pub keys: u64,
    /// It is not to be finished, which is no failure.
    pub is_void: bool,
}

/// Why a snapshot is due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Due {
    /// So many changes in so many seconds.
    Changes(SavePoint),
    /// The schedule says so.
    Schedule,
    /// A client has asked for one as soon as may be.
    Asked,
}

impl std::fmt::Display for Due {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Changes(SavePoint { seconds, changes }) => {
                write!(out, "{changes} changes in {seconds} seconds")
            }
            Self::Schedule => out.write_str("it is time by the schedule"),
            Self::Asked => out.write_str("a client asked for it before"),
        }
    }
}

impl Saves {
    /// A server that starts at `now` on so many cores.
    pub fn new(now: Millis, cores: usize) -> Self {
        Self {
            has_failed: AtomicBool::new(false),
            status: Mutex::new(Status { last: now, last_try: now, ..Status::default() }),
            changes: (0..cores).map(|_| AtomicU64::new(0)).collect(),
            others: AtomicU64::new(0),
            keys_saved: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is told of them.
    pub fn status(&self) -> Status {
        self.lock().clone()
    }

    /// True if the last one failed.
    #[inline]
    pub fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// Notes how many changes a core's keys have seen, for who asks whether one is due.
    pub fn note_changes(&self, core: usize, changes: u64) {
        self.changes[core].store(changes, Ordering::Relaxed);
    }

    /// Changes of all cores, as they were last noted.
    pub fn changes(&self) -> u64 {
        let keys: u64 = self.changes.iter().map(|changes| changes.load(Ordering::Relaxed)).sum();
        keys + self.others.load(Ordering::Relaxed)
    }

    /// Counts a change that is none of keys.
    pub fn note_change(&self) {
        self.others.fetch_add(1, Ordering::Relaxed);
    }

    /// Begins one, unless one is under way; false if so. Who begins it, ends it with `succeed` or
    /// `fail`, whatever happens.
    #[must_use]
    pub fn begin(&self, now: Millis, in_background: bool) -> bool {
        let mut status = self.lock();
        if status.current.is_some() {
            return false;
        }
        status.current = Some(Current { began: now, in_background, keys: 0, is_void: false });
        status.is_scheduled = false;
        status.last_try = now;
        status.begun += 1;
        self.keys_saved.store(0, Ordering::Relaxed);
        true
    }

    /// True while one is under way.
    pub fn is_under_way(&self) -> bool {
        self.lock().current.is_some()
    }

    /// Adds the keys of a core to those there are to write.
    pub fn add_keys(&self, keys: u64) {
        if let Some(current) = &mut self.lock().current {
            current.keys += keys;
        }
    }

    /// Counts keys that are written.
    pub fn count_saved(&self, keys: u64) {
        self.keys_saved.fetch_add(keys, Ordering::Relaxed);
    }

    /// Keys that the one under way has written.
    pub fn keys_saved(&self) -> u64 {
        self.keys_saved.load(Ordering::Relaxed)
    }

    /// Has one taken as soon as may be.
    pub fn schedule(&self) {
        self.lock().is_scheduled = true;
    }

    /// The one under way has succeeded; it holds what so many changes had made.
    pub fn succeed(&self, now: Millis, changes: u64) {
        let mut status = self.lock();
        let Some(current) = status.current.take() else { return };
        if current.in_background {
            status.took = Some(now.saturating_sub(current.began));
        }
        (status.last, status.changes, status.failure) = (now, changes, None);
        self.has_failed.store(false, Ordering::Relaxed);
    }

    /// Has the one under way come to nothing if it fails from now on: that is as it should be.
    pub fn avoid(&self) {
        if let Some(current) = &mut self.lock().current {
            current.is_void = true;
        }
    }

    /// The one under way has failed.
    pub fn fail(&self, now: Millis, why: impl Into<String>) {
        let mut status = self.lock();
        let Some(current) = status.current.take() else { return };
        if current.in_background {
            status.took = Some(now.saturating_sub(current.began));
        }
        if current.is_void {
            return;
        }
        status.failure = Some(why.into());
        self.has_failed.store(true, Ordering::Relaxed);
    }

    /// Why one is due, if one is. `last` is when this was last asked.
    pub fn due(&self, settings: &SnapshotSettings, last: Millis, now: Millis) -> Option<Due> {
        let changes = self.changes();
        let mut status = self.lock();
        let schedule = settings.schedule.as_ref();
        if status.current.is_some() && schedule.is_some_and(|it| it.is_due(last, now)) {
            // It comes behind the one under way.
            status.is_scheduled = true;
        }
        due(&status, (&settings.save_points, schedule), changes, (last, now))
    }

    /// Notes what loading came to: the keys that are there, and those left out as expired.
    pub fn note_loaded(&self, keys: u64, expired: u64) {
        let mut status = self.lock();
        (status.loaded, status.expired) = (keys, expired);
    }
}

/// Why a snapshot is due between `last` and `now`, with so many changes since the start.
fn due(
    status: &Status,
    (points, schedule): (&[SavePoint], Option<&Schedule>),
    changes: u64,
    (last, now): (Millis, Millis),
) -> Option<Due> {
    if status.current.is_some() {
        return None;
    }
    if schedule.is_some_and(|schedule| schedule.is_due(last, now)) {
        return Some(Due::Schedule);
    }
    let waits = status.failure.is_some() && now.saturating_sub(status.last_try) <= RETRY_MS;
    if waits {
        return None;
    }
    if status.is_scheduled {
        return Some(Due::Asked);
    }
    let changes = changes.saturating_sub(status.changes);
    let since = now.saturating_sub(status.last) / 1000;
    let fits = |point: &&SavePoint| changes >= point.changes && since > point.seconds;
    points.iter().find(fits).copied().map(Due::Changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::parse_save_points;

    fn settings(points: &str, schedule: &str) -> SnapshotSettings {
        SnapshotSettings {
            save_points: parse_save_points(points).unwrap(),
            schedule: Schedule::parse(schedule),
            ..SnapshotSettings::default()
        }
    }

    #[test]
    fn changes_and_seconds_make_one_due() {
        let saves = Saves::new(1_000_000, 2);
        let settings = settings("60 10 300 1", "");
        let due = |now| saves.due(&settings, now, now);
        saves.note_changes(0, 4);
        assert_eq!(due(1_061_000), None);
        assert_eq!(due(1_301_000), Some(Due::Changes(SavePoint { seconds: 300, changes: 1 })));
        saves.note_changes(1, 6);
        assert_eq!(due(1_060_000), None, "not before the seconds are over");
        assert_eq!(due(1_061_000), Some(Due::Changes(SavePoint { seconds: 60, changes: 10 })));
        assert!(saves.begin(1_061_000, true) && !saves.begin(1_061_000, true));
        assert_eq!(due(1_400_000), None, "one is under way");
        saves.succeed(1_062_000, 9);
        let status = saves.status();
        assert_eq!((status.took, status.last, status.begun), (Some(1000), 1_062_000, 1));
        assert_eq!(due(1_362_000), None);
        assert_eq!(due(1_363_000), Some(Due::Changes(SavePoint { seconds: 300, changes: 1 })));
    }

    #[test]
    fn after_a_failure_the_next_waits() {
        let saves = Saves::new(0, 1);
        let none = settings("", "");
        saves.schedule();
        assert_eq!(saves.due(&none, 0, 0), Some(Due::Asked));
        assert!(saves.begin(0, false));
        saves.fail(100, "no room");
        assert!(saves.has_failed());
        assert_eq!(saves.status().failure.as_deref(), Some("no room"));
        assert_eq!(saves.due(&none, 5000, 6000), None);
        saves.schedule();
        assert_eq!(saves.due(&none, 4000, 5000), None);
        assert_eq!(saves.due(&none, 5000, 5001), Some(Due::Asked));
        assert!(saves.begin(5001, true));
        saves.succeed(5002, 0);
        assert!(!saves.has_failed() && saves.status().failure.is_none());
    }

    #[test]
    fn the_schedule_is_followed_once_a_minute() {
        let saves = Saves::new(0, 1);
        let settings = settings("", "* * * * *");
        assert_eq!(saves.due(&settings, 59_900, 60_000), Some(Due::Schedule));
        assert_eq!(saves.due(&settings, 60_000, 60_100), None);
        assert!(saves.begin(60_100, true));
        assert_eq!(saves.due(&settings, 119_900, 120_000), None);
        saves.succeed(120_050, 0);
        assert_eq!(saves.due(&settings, 120_000, 120_100), Some(Due::Asked));
        saves.note_loaded(5, 2);
        assert_eq!((saves.status().loaded, saves.status().expired), (5, 2));
    }
}
