//! The kernel's files, through glommio: past its cache, or through it where a file system has no
//! other way.

use super::{Disk, Error, File};
use crate::limits::{DIRECTORY_NAMES_MAX, DISK_BLOCK_BYTES, DISK_SPARE_BUFFERS_MAX};
use glommio::GlommioError;
use glommio::io::{BufferedFile, Directory, DmaBuffer, DmaFile, OpenOptions, ReadResult};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::cell::{Cell, RefCell};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// How long a pause is: others run until there are none.
const PAUSE: Duration = Duration::from_micros(1);

/// The files of the kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Direct;

/// One of them, open on this core.
#[derive(Debug)]
pub struct DirectFile {
    file: Kind,
    path: PathBuf,
    is_direct: Cell<bool>,
    /// Aligned memory that no write uses.
    spare: RefCell<Vec<Rc<DmaBuffer>>>,
}

/// How glommio has it.
#[derive(Debug)]
enum Kind {
    /// Past the cache.
    Dma(DmaFile),
    /// Through it, because the file system refused the other.
    Buffered(BufferedFile),
}

/// Bytes that were read.
#[derive(Debug)]
pub struct Block(Read);

#[derive(Debug)]
enum Read {
    /// All in one.
    Whole(ReadResult),
    /// In several, because the kernel gave some at a time.
    Joined(Vec<u8>),
}

impl std::ops::Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Read::Whole(result) => result,
            Read::Joined(bytes) => bytes,
        }
    }
}

type Outcome<T> = Result<T, GlommioError<()>>;

/// What the kernel said, without the words around it.
fn plain(error: GlommioError<()>) -> io::Error {
    match error {
        GlommioError::EnhancedIoError { source, .. } | GlommioError::IoError(source) => source,
        error => io::Error::other(error.to_string()),
    }
}

fn said<T>(doing: &'static str, path: &Path, outcome: Outcome<T>) -> Result<T, Error> {
    outcome.map_err(|error| Error::new(doing, path, plain(error)))
}

/// Names are told to the kernel whole: relative ones would make glommio ask for the directory.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.into())
}

impl Direct {
    async fn open_with(path: &Path, doing: &'static str, new: bool) -> Result<DirectFile, Error> {
        let path = absolute(path);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(new).mode(0o644);
        Self::open_so(path, doing, options).await
    }

    async fn open_so(
        path: PathBuf,
        doing: &'static str,
        mut options: OpenOptions,
    ) -> Result<DirectFile, Error> {
        let file = match options.dma_open(&path).await.map_err(plain) {
            Ok(file) => Kind::Dma(file),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                // It is created by now, if it was to be.
                options.create_new(false);
                let buffered = options.buffered_open(&path).await;
                Kind::Buffered(said(doing, &path, buffered)?)
            }
            Err(error) => return Err(Error::new(doing, &path, error)),
        };
        let is_direct = match &file {
            Kind::Dma(file) => flags(file).is_ok_and(|flags| flags.contains(OFlag::O_DIRECT)),
            Kind::Buffered(_) => false,
        };
        let (is_direct, spare) = (Cell::new(is_direct), RefCell::default());
        Ok(DirectFile { file, path, is_direct, spare })
    }
}

/// How a file is open.
fn flags(file: &DmaFile) -> nix::Result<OFlag> {
    fcntl(file, FcntlArg::F_GETFL).map(OFlag::from_bits_truncate)
}

impl Disk for Direct {
    type File = DirectFile;

    async fn create(&self, path: &Path) -> Result<DirectFile, Error> {
        Self::open_with(path, "create", true).await
    }

    async fn open(&self, path: &Path, writes: bool) -> Result<DirectFile, Error> {
        if writes {
            return Self::open_with(path, "open", false).await;
        }
        let mut options = OpenOptions::new();
        options.read(true);
        Self::open_so(absolute(path), "open", options).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<(), Error> {
        said("rename", from, glommio::io::rename(absolute(from), absolute(to)).await)
    }

    async fn remove(&self, path: &Path) -> Result<(), Error> {
        said("remove", path, glommio::io::remove(absolute(path)).await)
    }

    async fn sync_directory(&self, path: &Path) -> Result<(), Error> {
        let directory = said("open directory", path, Directory::open(absolute(path)).await)?;
        said("sync directory", path, directory.sync().await)?;
        said("close directory", path, directory.close().await)
    }

    async fn list(&self, path: &Path) -> Result<Vec<String>, Error> {
        let directory = path.to_owned();
        let listed = glommio::executor().spawn_blocking(move || {
            let mut names = Vec::new();
            for entry in std::fs::read_dir(directory)?.take(DIRECTORY_NAMES_MAX) {
                names.extend(entry?.file_name().into_string().ok());
            }
            names.sort_unstable();
            Ok(names)
        });
        listed.await.map_err(|error| Error::new("list", path, error))
    }

    async fn pause(&self) {
        glommio::timer::sleep(PAUSE).await;
    }
}

/// Panics unless both are multiples of a block.
fn check_aligned(offset: u64, bytes: usize) {
    assert!(offset.is_multiple_of(DISK_BLOCK_BYTES as u64), "{offset} is no block's offset");
    assert!(bytes.is_multiple_of(DISK_BLOCK_BYTES), "{bytes} bytes are no blocks");
}

impl DirectFile {
    /// Aligned memory with these bytes.
    fn buffer(&self, file: &DmaFile, bytes: &[u8]) -> Rc<DmaBuffer> {
        let mut spare = self.spare.borrow_mut();
        let fits = |buffer: &Rc<DmaBuffer>| buffer.len() == bytes.len();
        let found = spare.iter().position(fits).map(|at| spare.swap_remove(at));
        let mut buffer = found.unwrap_or_else(|| Rc::new(file.alloc_dma_buffer(bytes.len())));
        match Rc::get_mut(&mut buffer) {
            Some(own) => own.as_bytes_mut().copy_from_slice(bytes),
            None => {
                let mut own = file.alloc_dma_buffer(bytes.len());
                own.as_bytes_mut().copy_from_slice(bytes);
                buffer = Rc::new(own);
            }
        }
        buffer
    }

    fn take_back(&self, buffer: Rc<DmaBuffer>) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < DISK_SPARE_BUFFERS_MAX {
            spare.push(buffer);
        }
    }

    /// Writes what the kernel takes at once; returns how many bytes it took.
    async fn write_some(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let file = match &self.file {
            Kind::Dma(file) => file,
            Kind::Buffered(file) => {
                return file.write_at(bytes.to_vec(), offset).await.map_err(plain);
            }
        };
        let buffer = self.buffer(file, bytes);
        let mut written = file.write_rc_at(Rc::clone(&buffer), offset).await.map_err(plain);
        if let Err(error) = &written
            && error.kind() == io::ErrorKind::InvalidInput
            && self.leave_direct(file).is_ok()
        {
            written = file.write_rc_at(Rc::clone(&buffer), offset).await.map_err(plain);
        }
        self.take_back(buffer);
        written
    }

    /// Goes through the cache from now on: some file systems take the wish and refuse the deed.
    fn leave_direct(&self, file: &DmaFile) -> nix::Result<()> {
        let direct = flags(file)?;
        if !direct.contains(OFlag::O_DIRECT) {
            return Err(nix::errno::Errno::EINVAL);
        }
        fcntl(file, FcntlArg::F_SETFL(direct.difference(OFlag::O_DIRECT)))?;
        self.is_direct.set(false);
        Ok(())
    }

    async fn read_some(&self, offset: u64, bytes: usize) -> io::Result<ReadResult> {
        match &self.file {
            Kind::Dma(file) => {
                let read = file.read_at_aligned(offset, bytes).await.map_err(plain);
                match read {
                    Err(error)
                        if error.kind() == io::ErrorKind::InvalidInput
                            && self.leave_direct(file).is_ok() =>
                    {
                        file.read_at_aligned(offset, bytes).await.map_err(plain)
                    }
                    read => read,
                }
            }
            Kind::Buffered(file) => file.read_at(offset, bytes).await.map_err(plain),
        }
    }

    fn said<T>(&self, doing: &'static str, outcome: Outcome<T>) -> Result<T, Error> {
        said(doing, &self.path, outcome)
    }
}

impl File for DirectFile {
    type Block = Block;

    async fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        check_aligned(offset, bytes.len());
        let mut done = 0;
        while done < bytes.len() {
            let written = self.write_some(offset + done as u64, &bytes[done..]).await;
            let written = written.map_err(|error| Error::new("write to", &self.path, error))?;
            // What is left of a block is written again.
            let whole = written / DISK_BLOCK_BYTES * DISK_BLOCK_BYTES;
            if whole == 0 {
                // No room: the next try would say so, or take nothing for ever.
                let full = io::Error::from_raw_os_error(nix::libc::ENOSPC);
                return Err(Error::new("write to", &self.path, full));
            }
            done += whole;
        }
        Ok(())
    }

    async fn read(&self, offset: u64, bytes: usize) -> Result<Block, Error> {
        check_aligned(offset, bytes);
        let failed = |error| Error::new("read", &self.path, error);
        let first = self.read_some(offset, bytes).await.map_err(failed)?;
        if first.len() == bytes || first.is_empty() || !first.len().is_multiple_of(DISK_BLOCK_BYTES)
        {
            return Ok(Block(Read::Whole(first)));
        }
        let mut joined = first.to_vec();
        while joined.len() < bytes && joined.len().is_multiple_of(DISK_BLOCK_BYTES) {
            let at = offset + joined.len() as u64;
            let more = self.read_some(at, bytes - joined.len()).await.map_err(failed)?;
            if more.is_empty() {
                break;
            }
            joined.extend_from_slice(&more);
        }
        Ok(Block(Read::Joined(joined)))
    }

    async fn sync(&self) -> Result<(), Error> {
        let synced = match &self.file {
            Kind::Dma(file) => file.fdatasync().await,
            Kind::Buffered(file) => file.fdatasync().await,
        };
        self.said("sync", synced)
    }

    async fn cut(&self, bytes: u64) -> Result<(), Error> {
        let cut = match &self.file {
            Kind::Dma(file) => file.truncate(bytes).await,
            Kind::Buffered(file) => file.truncate(bytes).await,
        };
        self.said("cut", cut)
    }

    async fn bytes(&self) -> Result<u64, Error> {
        let bytes = match &self.file {
            Kind::Dma(file) => file.file_size().await,
            Kind::Buffered(file) => file.file_size().await,
        };
        self.said("look at", bytes)
    }

    fn is_direct(&self) -> bool {
        self.is_direct.get()
    }

    async fn close(self) -> Result<(), Error> {
        let closed = match self.file {
            Kind::Dma(file) => file.close().await,
            Kind::Buffered(file) => file.close().await,
        };
        said("close", &self.path, closed)
    }
}

#[cfg(test)]
mod tests;
