//! The settings: one table of flags, read at start and partly changeable while serving.

mod settings;

pub use settings::{BufferLimit, Pin, Settings};

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The settings in force, and their version: a core keeps a copy and takes a new one when the
/// version has changed.
#[derive(Debug)]
pub struct Config {
    version: AtomicU64,
    current: Mutex<Arc<Settings>>,
}

impl Config {
    /// Begins with `settings`.
    pub fn new(settings: Settings) -> Self {
        Self { version: AtomicU64::new(1), current: Mutex::new(Arc::new(settings)) }
    }

    /// Rises with every change.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
