//! What happens by the clock: expiry, samples, idle clients, and where the thread runs.

use super::jobs::Jobs;
use super::{Core, Work};
use crate::config::{Pin, Settings};
use pinion_io::clock::nanos;
use pinion_io::limits::HEARTBEAT;
use pinion_io::ring::{Ring, Wait};
use pinion_io::runtime::{Crowding, pin_to, unpin};
use std::sync::Arc;
use std::time::Duration;

/// From one tick of the clock to the next; a heartbeat that comes a little early counts.
const PERIOD: Duration = HEARTBEAT.saturating_sub(PERIOD_BUSY);
/// The same while many keys are due.
const PERIOD_BUSY: Duration = Duration::from_millis(1);
/// From one look at idle clients to the next, and what waiting is a share of.
const SECOND: Duration = Duration::from_secs(1);
/// Share of a second spent waiting for a processor from which a pinned thread is let go.
const CROWDED_SHARE: f64 = 0.02;
/// A wait between two looks that is enough by itself: somebody else is on the processor for good.
const CROWDED_AT_ONCE: Duration = Duration::from_millis(10);
/// The share below which a second counts as calm.
const CALM_SHARE: f64 = 0.005;
/// Calm seconds before a thread is pinned again; doubled each time that proves too soon.
const CALM_SECONDS: u32 = 10;
const CALM_SECONDS_MAX: u32 = 600;
/// Sleep of a core that has something for a full lane: nobody tells when there is room.
const LANE_WAIT: Duration = Duration::from_micros(50);
/// How long a stopping core goes on for the replies that are still on their way.
const STOP_MAX: Duration = Duration::from_millis(500);
const STOP_MIN: Duration = Duration::from_millis(20);

/// The clock of a core.
#[derive(Debug)]
pub(super) struct Cron {
    next: Duration,
    next_second: Duration,
    pin: PinWatch,
    stopping_since: Option<Duration>,
}

/// Where the thread runs, and why.
#[derive(Debug)]
struct PinWatch {
    processor: usize,
    processors: Arc<[usize]>,
    crowding: Crowding,
    /// Time waited since the instant `since`.
    waited: Duration,
    since: Duration,
    pinned: bool,
    calm: u32,
    calm_needed: u32,
}

impl Cron {
    pub(super) fn new(processor: usize, processors: Arc<[usize]>, settings: &Settings) -> Self {
        let mut pin = PinWatch {
            processor,
            processors,
            crowding: Crowding::default(),
            waited: Duration::ZERO,
            since: Duration::ZERO,
            pinned: false,
            calm: 0,
            calm_needed: CALM_SECONDS,
        };
        pin.place(settings.pin != Pin::Never);
        Self { next: Duration::ZERO, next_second: SECOND, pin, stopping_since: None }
    }

    /// How long the core may sleep: to the next heartbeat, unless something is due before.
    pub(super) fn wait(&self, work: &Work, jobs: &Jobs) -> Wait {
        if self.stopping_since.is_some() {
            return Wait::AtMost(STOP_MIN);
        }
        if work.hops.is_waiting() {
            return Wait::AtMost(LANE_WAIT);
        }
        if work.is_loading {
            return Wait::AtMost(PERIOD_BUSY);
        }
        let pause = work.pause_left().map(|left| work.steady + Duration::from_millis(left));
        let ends = [jobs.next_end(), work.blocked.next_end(), pause];
        if let Some(end) = ends.into_iter().flatten().min() {
            return Wait::AtMost(end.min(self.next).saturating_sub(work.steady));
        }
        let until = self.next.saturating_sub(work.steady);
        if until >= PERIOD_BUSY * 2 { Wait::Event } else { Wait::AtMost(until) }
    }

    /// Called while the server stops; true once this core may end.
    pub(super) fn stop(&mut self, ring: &mut Ring, work: &Work) -> bool {
        let now = work.clock.steady();
        let since = *self.stopping_since.get_or_insert_with(|| {
            ring.stop_listening();
            now
        });
        let time = now.saturating_sub(since);
        let settled = || {
            let mut connections = work.connections.iter().flatten();
            work.hops.is_settled() && connections.all(|connection| connection.output_bytes() == 0)
        };
        time >= STOP_MAX || time >= STOP_MIN && settled()
    }
}

impl PinWatch {
    fn place(&mut self, pinned: bool) {
        self.pinned = pinned;
        let placed = if pinned { pin_to(self.processor) } else { unpin(&self.processors) };
        if let Err(error) = placed {
            tracing::warn!("cannot place a thread on processor {}: {error}", self.processor);
        }
    }

    /// Looks at how long the thread waited for its processor since the last look and within the
    /// last second, and moves it if that says so.
    fn watch(&mut self, now: Duration) {
        let waited = self.crowding.sample();
        self.waited += waited;
        let elapsed = now.saturating_sub(self.since);
        if elapsed < SECOND && !(self.pinned && waited > CROWDED_AT_ONCE) {
            return;
        }
        let share = self.waited.as_secs_f64() / elapsed.max(SECOND).as_secs_f64();
        (self.waited, self.since) = (Duration::ZERO, now);
        if self.pinned {
            self.calm = self.calm.saturating_add(1);
            if share > CROWDED_SHARE || waited > CROWDED_AT_ONCE {
                if self.calm < self.calm_needed {
                    self.calm_needed = (self.calm_needed * 2).min(CALM_SECONDS_MAX);
                }
                self.calm = 0;
                self.place(false);
            }
            return;
        }
        self.calm = if share < CALM_SHARE { self.calm + 1 } else { 0 };
        if self.calm >= self.calm_needed {
            self.calm = 0;
            self.place(true);
        }
    }
}

impl Core {
    /// Does what is due; false if nothing is.
    #[inline]
    pub(super) fn run_cron(&mut self) -> bool {
        let now = self.work.steady;
        if now < self.cron.next {
            return false;
        }
        let began = nanos();
        self.work.clock.adjust();
        let mut more = self.work.owner.value().tick(self.work.now);
        let expiry = nanos().saturating_sub(began);
        self.work.stats.expiry_ns += expiry;
        self.work.slow.note_event("expire-cycle", expiry / 1_000_000, self.work.now);
        if self.work.owner.value().has_late() {
            // A key that went by its time was waited for: the next tick sends what this says.
            self.work.bring_late();
            more = true;
        }
        self.cron.next = now + if more { PERIOD_BUSY } else { PERIOD };
        self.work.stats.sample(self.work.now);
        self.work.evict_clients();
        if self.work.settings.memory_bytes_max == 0 {
            // What is used is known when a limit is set.
            self.work.owner.value().settle_memory(self.work.now);
        }
        self.work.server.saves.note_changes(self.work.index, self.work.owner.value().changes());
        if self.work.index == 0 {
            self.work.flush_when_due();
            self.heed_signal();
            self.save_when_due();
        }
        self.ring.retry_listeners();
        if self.work.settings.pin == Pin::Auto {
            self.cron.pin.watch(now);
        }
        if now >= self.cron.next_second {
            self.cron.next_second = now + SECOND;
            self.work.close_idle();
            if self.work.index == 0 {
                self.work.server.sample_memory();
            }
        }
        self.work.stats.cron_ns += nanos().saturating_sub(began);
        more
    }
}

impl Work {
    /// Closes clients that said nothing for `timeout` seconds, unless they listen or wait, and
    /// marks readers that are slow.
    fn close_idle(&mut self) {
        let (now, timeout) = (self.now, self.settings.timeout * 1000);
        for connection in self.connections.iter_mut().flatten() {
            let idle = now.saturating_sub(connection.session.last_active);
            let waits = connection.session.is_bound() || !connection.pipeline.is_settled();
            if timeout > 0 && idle > timeout && !waits {
                connection.kill();
            }
            if connection.tls.as_ref().is_some_and(|tls| tls.is_late(now)) {
                connection.kill();
            }
            // Who has not read its last words by now does not hear them.
            connection.farewell = false;
            if connection.killed || connection.over_soft_since > 0 {
                connection.mark(&mut self.dirty);
            }
        }
    }
}
