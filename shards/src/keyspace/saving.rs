//! A snapshot of the keyspace as it was at one instant, the cut, taken while it changes.
//!
//! Every entry has a mark, its epoch. The cut turns the keyspace's epoch over: what has another
//! epoch than the keyspace was there at the cut and is not saved yet. A walk over all segments
//! saves it piece by piece; whatever is about to change is saved before. What is new has the
//! keyspace's epoch and is left alone. So the snapshot is the state at the cut, and costs no more
//! memory than what is on its way to the disk.
//!
//! A database that is emptied goes to the snapshot as it is, and is freed once it is saved. One
//! that changes its place keeps the number it had.

use super::{Key, Keyspace};
use crate::limits::{SAVE_ELEMENTS_PER_STEP, SAVE_SEGMENTS_PER_STEP};
use crate::snapshot::{Cut, Long, Piece, Saved};
use crate::table::{Place, Table};
use std::collections::VecDeque;

/// A snapshot under way.
#[derive(Debug)]
pub(super) struct Saving {
    cut: Cut,
    /// By database.
    walks: Vec<Walk>,
    /// Databases that were emptied since.
    retired: VecDeque<(Walk, Table)>,
    /// The long record of a retired database that is under way.
    long: Option<(Box<[u8]>, Long)>,
}

/// How far the walk over a table has come.
#[derive(Clone, Copy, Debug)]
struct Walk {
    /// Its number at the cut.
    db: u16,
    segment: usize,
}

/// How far a step came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// There is more.
    More,
    /// A record stands in the way that takes steps of its own: that of this key.
    Long(u16, Box<[u8]>),
    /// All is saved.
    Done,
}

impl Keyspace {
    /// Cuts: what is there now is to be saved.
    ///
    /// # Panics
    /// If a snapshot is under way.
    pub(crate) fn cut(&mut self, compress: bool) {
        assert!(self.saving.is_none(), "one snapshot at a time");
        self.epoch = !self.epoch;
        let walks = (0..self.databases()).map(|db| Walk { db, segment: 0 }).collect();
        let (cut, retired) = (Cut::new(compress, self.counters.changes), VecDeque::new());
        self.saving = Some(Box::new(Saving { cut, walks, retired, long: None }));
    }

    /// True while a snapshot is under way.
    #[inline]
    pub(crate) fn is_saving(&self) -> bool {
        self.saving.is_some()
    }

    /// Keys that the snapshot under way has by now.
    pub(crate) fn keys_saved(&self) -> u64 {
        self.saving.as_ref().map_or(0, |saving| saving.cut.saved().keys)
    }

    /// Saves what is about to change, if it is not saved yet.
    #[inline]
    pub(super) fn before_change(&mut self, db: u16, place: Place) {
        if self.databases[usize::from(db)].entry(place).epoch() != self.epoch {
            self.save_before(db, place);
        }
    }

    #[cold]
    fn save_before(&mut self, db: u16, place: Place) {
        let saving = self.saving.as_mut().expect("all is saved, or will be");
        let entry = self.databases[usize::from(db)].entry_mut(place);
        entry.set_epoch(self.epoch);
        let db = saving.walks[usize::from(db)].db;
        if !saving.cut.save(db, entry) {
            // What may be long is saved under a lock before a command gets there; here are those
            // that come to it by another way.
            saving.cut.save_whole(db, entry);
        }
    }

    /// Saves a key before a command changes it; false if that takes steps.
    pub(crate) fn save_first(&mut self, key: Key<'_>) -> bool {
        let table = &mut self.databases[usize::from(key.db)];
        let Some(place) = table.find(key.hash, key.bytes) else { return true };
        let Some(saving) = self.saving.as_mut() else { return true };
        let entry = table.entry_mut(place);
        if entry.epoch() == self.epoch {
            return true;
        }
        let saved = saving.cut.save(saving.walks[usize::from(key.db)].db, entry);
        if saved {
            entry.set_epoch(self.epoch);
        }
        saved
    }

    /// Keys of that hash, each with its database, that are not saved yet.
    pub(crate) fn unsaved(&self, hash: u64) -> Option<(u16, Box<[u8]>)> {
        (0..self.databases()).find_map(|db| {
            let table = &self.databases[usize::from(db)];
            let is = |entry: &crate::table::Entry| {
                entry.epoch() != self.epoch && self.hash(entry.key()) == hash
            };
            let place = table.find_where(hash, &is)?;
            Some((db, table.entry(place).key().into()))
        })
    }

    /// Saves some of what is not saved yet, about `bytes` at most.
    pub(crate) fn save_some(&mut self, bytes: u64) -> Step {
        let Some(saving) = self.saving.as_deref_mut() else { return Step::Done };
        let Saving { cut, walks, retired, long } = saving;
        let (epoch, until) = (self.epoch, cut.bytes() + bytes);
        let mut left = SAVE_SEGMENTS_PER_STEP;
        for (index, walk) in walks.iter_mut().enumerate() {
            match walk.go_on(&mut self.databases[index], cut, epoch, until, &mut left) {
                Step::Done => {}
                Step::Long(_, key) => return Step::Long(index as u16, key),
                Step::More => return Step::More,
            }
        }
        let Some((walk, table)) = retired.front_mut() else { return Step::Done };
        if let Some((key, its)) = long {
            let place = table.find(self.hasher.hash(key), key);
            let entry = table.entry_mut(place.expect("a retired table stays as it is"));
            if cut.go_on(its, entry, SAVE_ELEMENTS_PER_STEP) {
                entry.set_epoch(epoch);
                *long = None;
            }
            return Step::More;
        }
        match walk.go_on(table, cut, epoch, until, &mut left) {
            Step::Done => {
                let (_, table) = retired.pop_front().expect("it is the first");
                self.graves.bury_table(table);
            }
            Step::Long(db, key) => *long = Some((key, Long::new(db))),
            Step::More => {}
        }
        Step::More
    }

    /// Begins a long record of a key; the key must stay as it is until it is whole.
    pub(crate) fn begin_long(&self, db: u16) -> Long {
        let saving = self.saving.as_ref().expect("a snapshot is under way");
        Long::new(saving.walks[usize::from(db)].db)
    }

    /// Writes about `budget` elements more of it; true when it is whole.
    pub(crate) fn save_long(&mut self, key: Key<'_>, long: &mut Long, budget: usize) -> bool {
        let saving = self.saving.as_mut().expect("a snapshot is under way");
        let table = &mut self.databases[usize::from(key.db)];
        let place = table.find(key.hash, key.bytes).expect("a locked key stays");
        let entry = table.entry_mut(place);
        let whole = saving.cut.go_on(long, entry, budget);
        if whole {
            entry.set_epoch(self.epoch);
        }
        whole
    }

    /// A database is emptied: true if the snapshot keeps what was in it.
    pub(super) fn retire(&mut self, db: u16, table: Table) -> Option<Table> {
        let Some(saving) = self.saving.as_mut().filter(|saving| !saving.cut.is_given_up()) else {
            return Some(table);
        };
        let walk = &mut saving.walks[usize::from(db)];
        if walk.segment >= table.segments() {
            return Some(table);
        }
        let own = *walk;
        walk.segment = 0;
        saving.retired.push_back((own, table));
        None
    }

    /// Two databases change places.
    pub(super) fn swap_walks(&mut self, one: u16, other: u16) {
        if let Some(saving) = &mut self.saving {
            saving.walks.swap(usize::from(one), usize::from(other));
        }
    }

    /// The next piece for the file.
    pub(crate) fn take_piece(&mut self) -> Option<Piece> {
        self.saving.as_mut()?.cut.take_piece()
    }

    /// Bytes that wait to be taken.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.saving.as_ref().map_or(0, |saving| saving.cut.waiting_bytes())
    }

    /// Ends the last chunk, when all is saved.
    pub(crate) fn finish_chunks(&mut self) {
        if let Some(saving) = &mut self.saving {
            saving.cut.finish();
        }
    }

    /// Ends a snapshot of which all is saved, and taken.
    pub(crate) fn end_saving(&mut self) -> Saved {
        let saving = self.saving.take().expect("a snapshot is under way");
        assert_eq!(saving.cut.waiting_bytes(), 0, "all pieces are taken");
        saving.cut.saved()
    }

    /// Has nothing more be written; entries are only marked from now on.
    pub(crate) fn give_up_saving(&mut self) {
        if let Some(saving) = &mut self.saving {
            saving.cut.give_up();
            saving.long = None;
            for (_, table) in saving.retired.drain(..) {
                self.graves.bury_table(table);
            }
        }
    }

    pub(crate) fn has_given_up_saving(&self) -> bool {
        self.saving.as_ref().is_some_and(|saving| saving.cut.is_given_up())
    }

    /// Bytes of databases that were emptied and are not saved yet.
    pub(super) fn retired_bytes(&self) -> usize {
        let retired = self.saving.iter().flat_map(|saving| &saving.retired);
        retired.map(|(_, table)| table.sums().bytes).sum()
    }

    /// Asserts that nothing is left to be saved where no snapshot is under way.
    pub(super) fn recount_epochs(&self) {
        if self.saving.is_none() {
            let mut entries = self.databases.iter().flat_map(Table::iter);
            assert!(entries.all(|entry| entry.epoch() == self.epoch), "all is saved");
        }
    }
}

impl Walk {
    fn go_on(
        &mut self,
        table: &mut Table,
        cut: &mut Cut,
        epoch: bool,
        until: u64,
        left: &mut usize,
    ) -> Step {
        let mut long = None;
        while self.segment < table.segments() {
            if *left == 0 || cut.bytes() >= until {
                return Step::More;
            }
            *left -= 1;
            let saw = table.each_of_segment(self.segment, &mut |entry| {
                if entry.epoch() == epoch {
                    return true;
                }
                if cut.save(self.db, entry) {
                    entry.set_epoch(epoch);
                } else {
                    long = Some(entry.key().into());
                }
                long.is_none() && cut.bytes() < until
            });
            match (saw, long.take()) {
                (None, _) => unreachable!("there is such a segment"),
                (_, Some(key)) => return Step::Long(self.db, key),
                (Some(true), None) => self.segment += 1,
                // The segment is looked through again from its beginning: a split may have moved
                // what was to come.
                (Some(false), None) => {}
            }
        }
        Step::Done
    }
}
