//! DEBUG RELOAD: saves, removes all keys, and loads what was saved. Nobody else is served
//! meanwhile.

use super::snapshot::Asker;
use super::{Core, Work};
use pinion_io::resp::Range;
use pinion_shards::commands::{Args, find};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;

/// A reload under way on this core.
#[derive(Debug)]
pub(super) struct Reload {
    asker: Asker,
    flush: bool,
    stage: Stage,
    /// Others that this core was asked for meanwhile.
    behind: VecDeque<(Asker, (bool, bool))>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// Some core has the others be quiet already.
    Asking(bool),
    /// Cores come to rest; then it is saved, if it is to be.
    Quieting(bool),
    Saving,
    Flushing,
    Loading,
}

const FLUSH: &[u8] = b"flushall";

impl Core {
    /// Begins a reload, with a save first and an empty server in between, or without.
    pub(super) fn begin_reload(&mut self, asker: Asker, (save, flush): (bool, bool)) {
        let has_name = self.work.settings.snapshots.names().is_some();
        if !has_name {
            let line = b"-ERR Error trying to load the RDB dump, check server logs.\r\n";
            return self.finish(asker.socket, asker.place, line, Some(&asker.command));
        }
        if let Some(first) = &mut self.reload {
            return first.behind.push_back((asker, (save, flush)));
        }
        let (stage, behind) = (Stage::Asking(save), VecDeque::new());
        self.reload = Some(Reload { asker, flush, stage, behind });
        self.tend_reload();
    }

    /// Goes on with it.
    pub(super) fn tend_reload(&mut self) {
        let Some(mut reload) = self.reload.take() else { return };
        let server = &self.work.server;
        match reload.stage {
            Stage::Asking(save) => {
                if self.ask_for_quiet() {
                    reload.stage = Stage::Quieting(save);
                }
            }
            Stage::Quieting(_) if !server.quiet.is_reached() => {}
            Stage::Quieting(true) => {
                if server.saves.begin(self.work.now, false) {
                    reload.stage = Stage::Saving;
                    self.begin_save(None);
                }
            }
            Stage::Quieting(false) => reload.stage = self.flush_for(&reload),
            Stage::Saving if self.home.is_some() => {}
            Stage::Saving if server.saves.has_failed() => return self.end_reload(reload, false),
            Stage::Saving => reload.stage = self.flush_for(&reload),
            Stage::Flushing if self.work.coordinator.under_way() > 0 => {}
            Stage::Flushing => {
                reload.stage = Stage::Loading;
                server.loading.announce();
                self.work.is_loading = true;
                self.find_load();
            }
            Stage::Loading if server.loading.is_loading() => {}
            Stage::Loading => {
                let loaded = !server.loading_failed.swap(false, Ordering::Relaxed);
                return self.end_reload(reload, loaded);
            }
        }
        self.reload = Some(reload);
    }

    fn flush_for(&mut self, reload: &Reload) -> Stage {
        if reload.flush {
            self.work.flush_all();
        }
        Stage::Flushing
    }

    fn end_reload(&mut self, mut reload: Reload, is_well: bool) {
        if let Some((asker, (save, flush))) = reload.behind.pop_front() {
            let (stage, behind) = (Stage::Asking(save), std::mem::take(&mut reload.behind));
            self.reload = Some(Reload { asker, flush, stage, behind });
        }
        self.end_quiet();
        let line = match is_well {
            true => &b"+OK\r\n"[..],
            false => b"-ERR Error trying to load the RDB dump, check server logs.\r\n",
        };
        let Asker { socket, place, command, .. } = reload.asker;
        self.finish(socket, place, line, Some(&command));
    }
}

impl Work {
    fn flush_all(&mut self) {
        let row = find(FLUSH).expect("there is such a command");
        let words = [Range { start: 0, len: FLUSH.len() as u32 }];
        self.run_for_nobody(row, &Args::new(FLUSH, &words));
    }
}
