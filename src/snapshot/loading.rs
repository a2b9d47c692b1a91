//! A load under way, as all cores see it: what is to be read by whom, how far it is, what failed.

use pinion_rdb::Version;
use pinion_shards::Millis;
use pinion_shards::snapshot::Loaded;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A part of a file that one core reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Part {
    /// Where it begins: a multiple of a disk's block.
    pub offset: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Its checksum, if that is known and to be checked.
    pub sum: Option<u64>,
    /// It is a whole file, with its beginning and end.
    pub is_file: bool,
    /// The core that reads it.
    pub core: usize,
}

/// What was loaded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Keys that are there now.
    pub loaded: u64,
    /// Keys whose time had come.
    pub expired: u64,
    /// Keys without a value.
    pub empty: u64,
}

/// One load.
#[derive(Debug)]
pub struct Loading {
    id: u64,
    path: PathBuf,
    parts: Vec<Part>,
    version: Option<Version>,
    is_checked: bool,
    bytes: u64,
    /// When it began.
    pub began: Millis,
    done_bytes: AtomicU64,
    loaded: AtomicU64,
    expired: AtomicU64,
    empty: AtomicU64,
    /// Cores that have not come to an end.
    left: AtomicUsize,
    has_failed: AtomicBool,
    failure: Mutex<Option<String>>,
    evicted: AtomicU64,
    notes: Mutex<Vec<(String, String)>>,
}

impl Loading {
    /// A load of a file of so many bytes in these parts, by `cores` cores.
    pub fn new(
        (path, bytes): (PathBuf, u64),
        (parts, version): (Vec<Part>, Option<Version>),
        is_checked: bool,
        (cores, began): (usize, Millis),
    ) -> Self {
        static LOADS: AtomicU64 = AtomicU64::new(1);
        Self {
            id: LOADS.fetch_add(1, Ordering::Relaxed),
            path,
            parts,
            version,
            is_checked,
            bytes,
            began,
            done_bytes: AtomicU64::new(0),
            loaded: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            empty: AtomicU64::new(0),
            left: AtomicUsize::new(cores),
            has_failed: AtomicBool::new(false),
            failure: Mutex::default(),
            evicted: AtomicU64::new(0),
            notes: Mutex::default(),
        }
    }

    /// Its number in the process's life, from 1.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's version, where the parts do not tell themselves.
    pub fn version(&self) -> Option<Version> {
        self.version
    }

    /// True if checksums are compared.
    pub fn is_checked(&self) -> bool {
        self.is_checked
    }

    /// The parts that a core reads.
    pub fn parts_of(&self, core: usize) -> impl Iterator<Item = Part> {
        self.parts.iter().filter(move |part| part.core == core).copied()
    }

    /// Bytes of the file, and how many have been taken apart.
    pub fn bytes(&self) -> (u64, u64) {
        (self.bytes, self.done_bytes.load(Ordering::Relaxed).min(self.bytes))
    }

    /// Counts bytes that were taken apart.
    pub fn read(&self, bytes: u64) {
        self.done_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What was loaded so far.
    pub fn counts(&self) -> Counts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts { loaded: of(&self.loaded), expired: of(&self.expired), empty: of(&self.empty) }
    }

    /// Counts a record.
    #[inline]
    pub fn count(&self, loaded: Loaded) {
        let count = match loaded {
            Loaded::In => &self.loaded,
            Loaded::Expired => &self.expired,
            Loaded::Empty => &self.empty,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Compares the checksum of a part.
    ///
    /// # Errors
    /// A sentence if it is another.
    pub fn check(&self, part: &Part, sum: u64) -> Result<(), String> {
        match part.sum.filter(|_| self.is_checked && !part.is_file) {
            Some(told) if told != sum => {
                Err(format!("the checksum of the chunk at byte {} is wrong", part.offset))
            }
            _ => Ok(()),
        }
    }

    /// Gives the load up; the first reason counts.
    pub fn fail(&self, reason: String) {
        lock(&self.failure).get_or_insert(reason);
        self.has_failed.store(true, Ordering::Release);
    }

    /// True if it was given up.
    pub fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }

    /// Why it was given up.
    pub fn failure(&self) -> Option<String> {
        lock(&self.failure).clone()
    }

    /// Keeps what a file says about itself.
    pub fn note(&self, name: &[u8], value: &[u8]) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(64)]).into();
        let mut notes = lock(&self.notes);
        if notes.len() < NOTES_MAX && !name.is_empty() {
            notes.push((text(name), text(value)));
        }
    }

    /// What the file says about itself.
    pub fn notes(&self) -> Vec<(String, String)> {
        lock(&self.notes).clone()
    }

    /// Keys that shards had to evict before they came to the end of their shares.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Says that a core has come to the end of its share, and how many keys its shard has evicted
    /// since it began.
    pub fn end_share(&self, evicted: u64) {
        self.evicted.fetch_add(evicted, Ordering::Relaxed);
        self.left.fetch_sub(1, Ordering::AcqRel);
    }

    /// True once all cores have come to their end.
    pub fn is_done(&self) -> bool {
        self.left.load(Ordering::Acquire) == 0
    }
}

/// What a file says about itself that is kept, at most.
const NOTES_MAX: usize = 64;

/// The load of a server, if one is under way.
#[derive(Debug, Default)]
pub struct Current {
    is_loading: AtomicBool,
    current: Mutex<Option<Arc<Loading>>>,
}

impl Current {
    /// True while a load is under way.
    #[inline]
    pub fn is_loading(&self) -> bool {
        self.is_loading.load(Ordering::Acquire)
    }

    /// The load under way.
    pub fn current(&self) -> Option<Arc<Loading>> {
        lock(&self.current).clone()
    }

    /// Says that a load is about to begin.
    pub fn announce(&self) {
        self.is_loading.store(true, Ordering::Release);
    }

    /// Begins a load.
    pub fn begin(&self, loading: Arc<Loading>) {
        *lock(&self.current) = Some(loading);
        self.is_loading.store(true, Ordering::Release);
    }

    /// Ends it.
    pub fn end(&self) {
        self.is_loading.store(false, Ordering::Release);
        *lock(&self.current) = None;
    }
}

/// Nothing that is done under these locks can fail half way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
