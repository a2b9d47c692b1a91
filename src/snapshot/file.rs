//! A snapshot on its way to the disk: shared by the cores, each of which writes its chunks.

use super::index::{self, Chunk, UNIT_BYTES};
use super::names::{Names, temporary};
use pinion_io::disk::{Disk, Error, File};
use pinion_rdb::{crc, write};
use pinion_shards::Millis;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Bytes that are filled or written at once where there is much.
const PIECE_BYTES_MAX: usize = 1 << 20;
/// Temporary names that are tried: others may have left some.
const TEMPORARY_TRIES: usize = 1000;

/// What is to be written, and where.
#[derive(Clone, Debug)]
pub struct Order {
    /// The directory, as an absolute path.
    pub directory: PathBuf,
    /// How snapshots are called.
    pub names: Names,
    /// When the snapshot is taken: its time if its name has one.
    pub now: Millis,
    /// True if the file is to have a checksum.
    pub is_summed: bool,
    /// How many snapshots with times in their names are kept; 0 for all.
    pub keep: usize,
}

/// What is known of a snapshot once its chunks are written.
#[derive(Clone, Debug)]
pub struct Head {
    /// The version of the format that its records need.
    pub version: u32,
    /// When it was taken.
    pub created: Millis,
    /// Memory in use then, in bytes.
    pub used_memory: u64,
    /// The version of Redis that is told.
    pub redis_version: &'static str,
}

/// What became of a snapshot.
#[derive(Debug)]
pub struct Finished {
    /// The file.
    pub path: PathBuf,
    /// How long it is, in bytes.
    pub bytes: u64,
    /// What went wrong with older ones that were to be removed: nothing that matters to this one.
    pub warnings: Vec<Error>,
}

/// A snapshot under way.
#[derive(Debug)]
pub struct Snapshot<D> {
    disk: D,
    order: Order,
    name: String,
    temporary: PathBuf,
    /// The first unit that nobody has taken.
    next: AtomicU64,
    written: AtomicU64,
    chunks: Mutex<Vec<Chunk>>,
    failure: OnceLock<String>,
}

/// A core's hold on the file.
#[derive(Debug)]
pub struct Writer<D: Disk> {
    snapshot: Arc<Snapshot<D>>,
    file: D::File,
}

/// Units that were taken for a record longer than a chunk, and how far they are written.
#[derive(Debug)]
pub struct Run {
    chunk: Chunk,
    /// Bytes that are written, or on their way.
    done: u64,
    crc: crc::Crc,
}

/// As many units as these bytes need.
fn units_of(bytes: u64) -> u64 {
    bytes.div_ceil(UNIT_BYTES as u64)
}

/// Fills the last unit of what is in `out`.
fn fill_unit(out: &mut Vec<u8>) {
    let mut gap = out.len().next_multiple_of(UNIT_BYTES) - out.len();
    if (1..write::FILL_BYTES_MIN).contains(&gap) {
        gap += UNIT_BYTES;
    }
    if gap > 0 {
        write::fill(out, gap);
    }
}

impl<D: Disk> Snapshot<D> {
    /// Creates the file under a temporary name.
    ///
    /// # Errors
    /// It cannot be created.
    pub async fn begin(disk: D, order: Order) -> Result<Writer<D>, Error> {
        let mut tries = 0;
        let (temporary, file) = loop {
            let path = order.directory.join(temporary());
            match disk.create(&path).await {
                Ok(file) => break (path, file),
                Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => {
                    tries += 1;
                    if tries == TEMPORARY_TRIES {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        };
        let snapshot = Arc::new(Self {
            name: order.names.at(order.now),
            order,
            disk,
            temporary,
            next: AtomicU64::new(1),
            written: AtomicU64::new(0),
            chunks: Mutex::default(),
            failure: OnceLock::new(),
        });
        Ok(Writer { snapshot, file })
    }

    /// Opens the file on another core.
    ///
    /// # Errors
    /// It cannot be opened; the snapshot has failed.
    pub async fn writer(self: &Arc<Self>) -> Result<Writer<D>, Error> {
        let opened = self.disk.open(&self.temporary, true).await;
        let file = self.note(opened)?;
        Ok(Writer { snapshot: Arc::clone(self), file })
    }

    /// Where it will be.
    pub fn path(&self) -> PathBuf {
        self.order.directory.join(&self.name)
    }

    /// Where it is until then.
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Bytes that are written so far.
    pub fn bytes_written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Gives it up for a reason that has nothing to do with the disk; the first reason counts.
    pub fn fail(&self, why: impl Display) {
        let _ = self.failure.set(why.to_string());
    }

    /// Why it has failed, if it has: no core needs to go on.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(|why| &**why)
    }

    /// Remembers an error.
    fn note<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        outcome.inspect_err(|error| self.fail(error))
    }

    fn chunks(&self) -> MutexGuard<'_, Vec<Chunk>> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes units that nobody else will have; returns the first.
    fn take(&self, units: u64) -> u64 {
        self.next.fetch_add(units, Ordering::Relaxed)
    }

    /// The error of a snapshot that cannot be finished.
    fn unfit(&self, why: impl Display) -> Error {
        Error::new("finish", &self.temporary, io::Error::other(why.to_string()))
    }

    /// All chunks in the order of the file.
    fn in_order(&self) -> Result<Vec<Chunk>, Error> {
        if let Some(why) = self.failure() {
            return Err(self.unfit(why));
        }
        let mut chunks = std::mem::take(&mut *self.chunks());
        chunks.sort_unstable();
        let mut unit = 1;
        for chunk in &chunks {
            if chunk.unit != unit {
                return Err(self.unfit("a part of it was never written"));
            }
            unit += chunk.units;
        }
        if unit == self.next.load(Ordering::Relaxed) {
            Ok(chunks)
        } else {
            Err(self.unfit("its last part was never written"))
        }
    }

    /// Removes older snapshots than are to be kept.
    async fn remove_outdated(&self) -> Vec<Error> {
        let Order { directory, names, keep, .. } = &self.order;
        if *keep == 0 || !names.have_times() {
            return Vec::new();
        }
        let listed = match self.disk.list(directory).await {
            Ok(listed) => listed,
            Err(error) => return vec![error],
        };
        let mut warnings = Vec::new();
        for name in names.outdated(&listed, *keep, &self.name) {
            warnings.extend(self.disk.remove(&directory.join(name)).await.err());
        }
        warnings
    }
}

impl<D: Disk> Writer<D> {
    /// The snapshot, for other cores.
    pub fn snapshot(&self) -> &Arc<Snapshot<D>> {
        &self.snapshot
    }

    /// True if the file goes past the kernel's cache.
    pub fn is_direct(&self) -> bool {
        self.file.is_direct()
    }

    fn sum_of(&self, bytes: &[u8]) -> u64 {
        if self.snapshot.order.is_summed { crc::crc(bytes) } else { 0 }
    }

    /// Writes a chunk: the database of its keys and whole records of a shard. The end of its last
    /// unit is filled in `bytes`. Several may be under way at once.
    ///
    /// # Errors
    /// It cannot be written; the snapshot has failed.
    pub async fn write_chunk(&self, bytes: &mut Vec<u8>, shard: usize) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        fill_unit(bytes);
        let units = units_of(bytes.len() as u64);
        let unit = self.snapshot.take(units);
        let chunk = Chunk { unit, units, shard: shard as u64, sum: self.sum_of(bytes) };
        self.put(chunk.offset(), bytes).await?;
        self.snapshot.chunks().push(chunk);
        Ok(())
    }

    async fn put(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let written = self.file.write(offset, bytes).await;
        self.snapshot.note(written)?;
        self.snapshot.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Takes the units for a long record of so many bytes, with all that stands before it, which
    /// is written piece by piece: `write_run`, in order, and `end_run`.
    pub fn begin_run(&self, bytes: u64, shard: usize) -> Run {
        // What a gap of one or two bytes takes more.
        let units = units_of(bytes + write::FILL_BYTES_MIN as u64 - 1).max(1);
        let unit = self.snapshot.take(units);
        let chunk = Chunk { unit, units, shard: shard as u64, sum: 0 };
        Run { chunk, done: 0, crc: crc::Crc::new() }
    }

    /// Writes the next piece of a run: whole units, or its last bytes.
    ///
    /// # Errors
    /// It cannot be written, or it is more than was counted; the snapshot has failed.
    ///
    /// # Panics
    /// If the piece before was not whole units.
    pub async fn write_run(&self, run: &mut Run, bytes: &mut Vec<u8>) -> Result<(), Error> {
        assert!(run.done.is_multiple_of(UNIT_BYTES as u64), "only the last piece is not whole");
        fill_unit(bytes);
        if run.done + bytes.len() as u64 > run.chunk.bytes() {
            let error = self.snapshot.unfit("a record is longer than was counted");
            return self.snapshot.note(Err(error));
        }
        let offset = run.chunk.offset() + run.done;
        run.done += bytes.len() as u64;
        if self.snapshot.order.is_summed {
            run.crc.update(bytes);
        }
        self.put(offset, bytes).await
    }

    /// Ends a run; if it came to less than was counted, the rest is filled.
    ///
    /// # Errors
    /// The rest cannot be written; the snapshot has failed.
    pub async fn end_run(&self, mut run: Run) -> Result<(), Error> {
        while run.done < run.chunk.bytes() {
            let gap = (run.chunk.bytes() - run.done).min(PIECE_BYTES_MAX as u64);
            let mut piece = Vec::with_capacity(gap as usize);
            write::fill(&mut piece, gap as usize);
            self.write_run(&mut run, &mut piece).await?;
        }
        let sum = if self.snapshot.order.is_summed { run.crc.sum() } else { 0 };
        self.snapshot.chunks().push(Chunk { sum, ..run.chunk });
        Ok(())
    }

    /// Lets go of the file, on a core that has no more to write.
    ///
    /// # Errors
    /// It cannot be closed; the snapshot has failed.
    pub async fn close(self) -> Result<(), Error> {
        let Self { snapshot, file } = self;
        snapshot.note(file.close().await)
    }

    /// Writes the index and the head, and gives the file its name, once all cores have closed it;
    /// for the core that began it. Removes what is older than is to be kept.
    ///
    /// # Errors
    /// What went wrong here or before; the last good file is what it was, and nothing else is left
    /// if the disk allows.
    pub async fn finish(self, head: Head) -> Result<Finished, Error> {
        match self.complete(&head).await {
            Ok(bytes) => {
                let Self { snapshot, file } = self;
                // It has its name and is on the disk: what may go wrong now does not matter to it.
                let mut warnings: Vec<_> = file.close().await.err().into_iter().collect();
                warnings.extend(snapshot.remove_outdated().await);
                Ok(Finished { path: snapshot.path(), bytes, warnings })
            }
            Err(error) => {
                self.snapshot.fail(&error);
                self.give_up().await;
                Err(error)
            }
        }
    }

    /// The steps up to a file that has its name for good; returns how long it is.
    async fn complete(&self, head: &Head) -> Result<u64, Error> {
        let Self { snapshot, file } = self;
        let chunks = snapshot.in_order()?;
        let offset = snapshot.next.load(Ordering::Relaxed) * UNIT_BYTES as u64;
        let mut tail = index::write_index(&chunks);
        let first = index::write_head(head, (offset, tail.len() as u64));
        if snapshot.order.is_summed {
            let sum = index::total(&snapshot.disk, crc::crc(&first), &chunks).await;
            let sum = crc::combine(sum, crc::crc(&tail), tail.len() as u64);
            write::end(&mut tail, sum);
        } else {
            write::end_unchecked(&mut tail);
        }
        let bytes = offset + tail.len() as u64;
        tail.resize(tail.len().next_multiple_of(UNIT_BYTES), 0);
        for (index, piece) in tail.chunks(PIECE_BYTES_MAX).enumerate() {
            self.put(offset + (index * PIECE_BYTES_MAX) as u64, piece).await?;
        }
        self.put(0, &first).await?;
        file.cut(bytes).await?;
        file.sync().await?;
        let target = snapshot.path();
        snapshot.disk.rename(&snapshot.temporary, &target).await?;
        snapshot.disk.sync_directory(&snapshot.order.directory).await?;
        Ok(bytes)
    }

    /// Closes and removes the file, once all other cores have closed it.
    pub async fn give_up(self) {
        let Self { snapshot, file } = self;
        snapshot.fail("it was given up");
        // Nothing can be done about what fails here: the next start removes it.
        let _ = file.close().await;
        let _ = snapshot.disk.remove(&snapshot.temporary).await;
    }
}
