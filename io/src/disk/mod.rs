//! Files: written and read in aligned blocks, several at once, past the kernel's cache where the
//! file system allows that.
//!
//! ```text
//! create ── write, write, ... (any core, any order) ── sync ── cut ── sync ── rename ── sync
//! a file    its blocks, at offsets that others chose           of the        of the directory
//! ```
//!
//! Two things stand behind `Disk`: `Direct`, which is the kernel, and `Faulty`, a model of a disk
//! that fails where a test says so and shows what is left after the power is gone.
//!
//! A file belongs to the core that opened it. Several cores may each open the same.

mod direct;
mod faulty;

pub use direct::{Block, Direct, DirectFile};
pub use faulty::{Fault, Faulty, FaultyFile, Trouble};

use std::fmt;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// Why something could not be done to a file or directory.
#[derive(Debug)]
pub struct Error {
    /// What was tried: a verb.
    pub doing: &'static str,
    /// What it was tried on.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

impl Error {
    /// Says why something could not be done.
    pub fn new(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self { doing, path: path.into(), source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "cannot {} {}: {}", self.doing, self.path.display(), self.source)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Where files are. Nothing here keeps a core from its other work.
pub trait Disk: Clone {
    /// An open file.
    type File: File;

    /// Creates a file to be written and read; it is an error if there is one of this name.
    fn create(&self, path: &Path) -> impl Future<Output = Result<Self::File, Error>>;

    /// Opens a file that is there, to be read, and written if `writes`.
    fn open(&self, path: &Path, writes: bool) -> impl Future<Output = Result<Self::File, Error>>;

    /// Gives a file another name, in place of what had that name.
    fn rename(&self, from: &Path, to: &Path) -> impl Future<Output = Result<(), Error>>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> impl Future<Output = Result<(), Error>>;

    /// Returns once the names in a directory will outlast a loss of power.
    fn sync_directory(&self, path: &Path) -> impl Future<Output = Result<(), Error>>;

    /// The names in a directory that are text, in order; at most `DIRECTORY_NAMES_MAX`.
    fn list(&self, path: &Path) -> impl Future<Output = Result<Vec<String>, Error>>;

    /// Lets others go first, for whoever computes for long.
    fn pause(&self) -> impl Future<Output = ()>;
}

/// An open file, on the core that opened it.
pub trait File {
    /// Bytes that were read.
    type Block: Deref<Target = [u8]>;

    /// Writes bytes at an offset. Both are multiples of `DISK_BLOCK_BYTES`; several writes may be
    /// under way at once. After an error it is not known what the file holds there.
    ///
    /// # Panics
    /// If one is no such multiple.
    fn write(&self, offset: u64, bytes: &[u8]) -> impl Future<Output = Result<(), Error>>;

    /// Reads so many bytes from an offset, fewer only at the end of the file. Both are multiples of
    /// `DISK_BLOCK_BYTES`.
    ///
    /// # Panics
    /// If one is no such multiple.
    fn read(&self, offset: u64, bytes: usize) -> impl Future<Output = Result<Self::Block, Error>>;

    /// Returns once what was written, by any core, will outlast a loss of power. After an error
    /// the file is lost: a second try may succeed without the bytes of the first.
    fn sync(&self) -> impl Future<Output = Result<(), Error>>;

    /// Makes the file so many bytes long.
    fn cut(&self, bytes: u64) -> impl Future<Output = Result<(), Error>>;

    /// How long the file is, in bytes.
    fn bytes(&self) -> impl Future<Output = Result<u64, Error>>;

    /// True if it goes past the kernel's cache.
    fn is_direct(&self) -> bool;

    /// Closes it.
    fn close(self) -> impl Future<Output = Result<(), Error>>;
}
