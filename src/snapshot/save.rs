//! A save under way, as all cores see it: the file, and what each shard said in the end.

use super::Snapshot;
use pinion_io::disk::Direct;
use pinion_shards::snapshot::Saved;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One save, from its cut to the last chunk.
#[derive(Debug)]
pub struct Save {
    /// The file.
    pub snapshot: Arc<Snapshot<Direct>>,
    /// Cores that have not come to an end.
    left: AtomicUsize,
    saved: Mutex<Saved>,
    home: usize,
}

impl Save {
    /// That which core `home` of so many has begun.
    pub fn new(snapshot: Arc<Snapshot<Direct>>, (home, cores): (usize, usize)) -> Self {
        Self { snapshot, left: AtomicUsize::new(cores), saved: Mutex::default(), home }
    }

    /// The core that has begun it.
    pub fn home(&self) -> usize {
        self.home
    }

    /// Says what a shard has saved, once all of it is written, or given up.
    pub fn end_share(&self, saved: Saved) {
        let mut all = lock(&self.saved);
        all.keys += saved.keys;
        all.changes += saved.changes;
        all.version = all.version.max(saved.version);
        drop(all);
        self.left.fetch_sub(1, Ordering::AcqRel);
    }

    /// What all shards have saved, once they have.
    pub fn saved(&self) -> Option<Saved> {
        (self.left.load(Ordering::Acquire) == 0).then(|| *lock(&self.saved))
    }
}

/// The save that all cores are writing, if there is one.
#[derive(Debug, Default)]
pub struct Writing {
    is_on: AtomicBool,
    save: Mutex<Option<Arc<Save>>>,
}

impl Writing {
    /// Has all cores write.
    pub fn begin(&self, save: Arc<Save>) {
        *lock(&self.save) = Some(save);
        self.is_on.store(true, Ordering::Release);
    }

    /// What all cores write, if they do.
    pub fn current(&self) -> Option<Arc<Save>> {
        if !self.is_on.load(Ordering::Acquire) {
            return None;
        }
        lock(&self.save).clone()
    }

    /// Says that all shards have written what is theirs.
    pub fn end(&self) {
        self.is_on.store(false, Ordering::Release);
        *lock(&self.save) = None;
    }
}

/// Nothing that is done under these locks can fail half way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
