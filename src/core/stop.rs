//! The end of the server: at once, or after a snapshot of all that was ever answered.
//!
//! For that, all cores first become quiet: they run no more requests, and say so once nothing that
//! they asked of others is under way. The cut comes after, so no answered write is missing. If the
//! snapshot fails the server goes on, as Redis does. One core at a time has the others be quiet,
//! for a stop or a reload; who else wants that waits for it.

use super::snapshot::Asker;
use super::{Core, Work};
use crate::hop::Parcel;
use crate::snapshot::Stop;
use pinion_io::runtime;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// What all cores know of a stop that begins with a snapshot.
#[derive(Debug, Default)]
pub struct Quiet {
    /// Some core has the right to it.
    taken: AtomicBool,
    /// Odd while cores should run no more requests; it rises with every change.
    turn: AtomicU64,
    /// Cores that have not yet come to rest.
    left: AtomicUsize,
}

impl Quiet {
    /// True once all cores have come to rest.
    pub fn is_reached(&self) -> bool {
        self.left.load(Ordering::Acquire) == 0
    }
}

/// A stop that this core was asked for and that waits for its snapshot.
#[derive(Debug)]
pub(super) struct Stopping {
    stop: Stop,
    asker: Option<Asker>,
    stage: Stage,
    /// Others that this core was asked for meanwhile.
    behind: VecDeque<(Stop, Option<Asker>)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// Others may have the cores be quiet, or saved what is not to be replaced yet.
    Asking,
    /// Cores come to rest.
    Quieting,
    /// Another snapshot is under way.
    Waiting,
    Saving,
}

impl Core {
    /// Stops the server, after a snapshot if that is wanted; tells the client, if it was one, only
    /// that this failed.
    pub(super) fn begin_stop(&mut self, stop: Stop, asker: Option<Asker>) {
        let settings = &self.work.settings.snapshots;
        let saves = stop.wants_save(!settings.save_points.is_empty()) && settings.names().is_some();
        if !saves || self.work.is_loading {
            return self.stop_now();
        }
        if let Some(first) = &mut self.stopping {
            // Of signals one is as good as many.
            let is_new = asker.is_some() || first.behind.iter().all(|(_, asker)| asker.is_some());
            first.behind.extend(is_new.then_some((stop, asker)));
            return;
        }
        tracing::info!("taking a snapshot before the end");
        let (stage, behind) = (Stage::Asking, VecDeque::new());
        self.stopping = Some(Stopping { stop, asker, stage, behind });
        self.tend_stop();
    }

    /// Has all cores run no more requests, and is true, or false if some core has that already;
    /// `Quiet::is_reached` once nothing is under way. Who was refused is woken at the end of that.
    pub(super) fn ask_for_quiet(&mut self) -> bool {
        let quiet = &self.work.server.quiet;
        if quiet.taken.swap(true, Ordering::AcqRel) {
            return false;
        }
        quiet.left.store(self.work.hops.cores(), Ordering::Release);
        quiet.turn.fetch_add(1, Ordering::AcqRel);
        self.tell_all();
        true
    }

    /// Has all cores go on.
    pub(super) fn end_quiet(&mut self) {
        let quiet = &self.work.server.quiet;
        quiet.turn.fetch_add(1, Ordering::AcqRel);
        quiet.taken.store(false, Ordering::Release);
        self.tell_all();
    }

    fn stop_now(&self) {
        self.work.server.stopping.store(true, Ordering::Release);
        runtime::ask_to_stop();
    }

    /// Goes on with a stop.
    pub(super) fn tend_stop(&mut self) {
        let Some(mut stopping) = self.stopping.take() else { return };
        let server = Arc::clone(&self.work.server);
        match stopping.stage {
            Stage::Asking if self.ask_for_quiet() => stopping.stage = Stage::Quieting,
            Stage::Quieting if server.quiet.is_reached() => {
                stopping.stage = Stage::Waiting;
            }
            Stage::Waiting if server.saves.begin(self.work.now, false) => {
                stopping.stage = Stage::Saving;
                self.begin_save(None);
            }
            Stage::Saving if self.home.is_none() => return self.end_stop(stopping),
            _ => {}
        }
        self.stopping = Some(stopping);
    }

    fn end_stop(&mut self, stopping: Stopping) {
        if !self.work.server.saves.has_failed() || stopping.stop.force {
            return self.stop_now();
        }
        tracing::error!("the snapshot has failed: the server goes on");
        self.end_quiet();
        let Stopping { asker, mut behind, .. } = stopping;
        if let Some(Asker { socket, place, command, .. }) = asker {
            let line = b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n";
            self.finish(socket, place, line, Some(&command));
        }
        if let Some((stop, asker)) = behind.pop_front() {
            self.stopping = Some(Stopping { stop, asker, stage: Stage::Asking, behind });
        }
    }

    /// Stops if a signal has asked for it; on the core that looks after that.
    pub(super) fn heed_signal(&mut self) {
        let asked = &self.work.server.stop_asked;
        if !asked.load(Ordering::Relaxed) {
            return;
        }
        asked.store(false, Ordering::Relaxed);
        let settings = &self.work.settings.snapshots;
        let interrupt = self.work.server.is_interrupt.load(Ordering::Relaxed);
        let stop = if interrupt { settings.on_interrupt } else { settings.on_terminate };
        self.begin_stop(stop, None);
    }
}

impl Work {
    /// Notes whether this core is to be quiet.
    pub(super) fn look_quiet(&mut self) {
        let turn = self.server.quiet.turn.load(Ordering::Acquire);
        if turn != self.quiet_turn {
            (self.quiet_turn, self.is_quiet, self.has_settled) = (turn, turn % 2 == 1, false);
        }
    }

    /// While quiet: says, once, that nothing of this core's is under way any more.
    #[cold]
    pub(super) fn settle(&mut self, core: usize) {
        if self.has_settled || !self.hops.is_settled() || self.coordinator.under_way() > 0 {
            return;
        }
        self.has_settled = true;
        self.server.quiet.left.fetch_sub(1, Ordering::AcqRel);
        for other in (0..self.hops.cores()).filter(|&other| other != core) {
            self.hops.send(other, Parcel::Look, &mut self.stats);
        }
    }
}
