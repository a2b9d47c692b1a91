//! A save under way, as all cores see it: the file, what each shard said in the end, and whether
//! one is under way at all.

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
        all.version = all.version.max(saved.version);
        drop(all);
        self.left.fetch_sub(1, Ordering::AcqRel);
    }

    /// What all shards have saved, once they have.
    pub fn saved(&self) -> Option<Saved> {
        (self.left.load(Ordering::Acquire) == 0).then(|| *lock(&self.saved))
    }
}

/// The save of a server, if one is under way.
#[derive(Debug, Default)]
pub struct Saves {
    /// Somebody has begun one, and it has not come to its end.
    is_begun: AtomicBool,
    is_scheduled: AtomicBool,
    /// The cut is made, and shards are writing.
    is_writing: AtomicBool,
    save: Mutex<Option<Arc<Save>>>,
}

impl Saves {
    /// Begins a save; false if one is under way.
    pub fn begin(&self) -> bool {
        !self.is_begun.swap(true, Ordering::AcqRel)
    }

    /// True if one is under way.
    pub fn is_begun(&self) -> bool {
        self.is_begun.load(Ordering::Acquire)
    }

    /// Has all cores write.
    pub fn write(&self, save: Arc<Save>) {
        *lock(&self.save) = Some(save);
        self.is_writing.store(true, Ordering::Release);
    }

    /// What all cores write, if they do.
    #[inline]
    pub fn current(&self) -> Option<Arc<Save>> {
        if !self.is_writing.load(Ordering::Acquire) {
            return None;
        }
        lock(&self.save).clone()
    }

    /// Says that all shards have written what is theirs.
    pub fn end_writing(&self) {
        self.is_writing.store(false, Ordering::Release);
        *lock(&self.save) = None;
    }

    /// Has a save begin once the one under way has ended.
    pub fn schedule(&self) {
        self.is_scheduled.store(true, Ordering::Release);
    }

    /// True, once, if one was scheduled.
    pub fn take_scheduled(&self) -> bool {
        self.is_scheduled.swap(false, Ordering::AcqRel)
    }

    /// Ends the save.
    pub fn end(&self) {
        self.is_begun.store(false, Ordering::Release);
    }
}

/// Nothing that is done under these locks can fail half way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
