//! A disk in memory that fails where a test says so, and knows what would be left if the power
//! went: of what was not synced, any part, torn where sectors meet; of names, the first changes.

use super::{Disk, Error, File};
use crate::limits::DISK_BLOCK_BYTES;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

/// What a real disk writes whole or not at all, in bytes.
const SECTOR_BYTES: usize = 512;

/// What goes wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// An operation fails, and has done nothing.
    Refuse,
    /// A write is done in part, and fails; another operation only fails.
    Tear,
    /// The next sync of a file fails, and forgets what was to be synced: the one after succeeds.
    LoseSync,
    /// There is no room any more until a file is removed.
    Full,
    /// Everything fails from then on, until `restart`.
    PowerOff,
}

/// What goes wrong, and at which operation, counted from 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The number of the operation.
    pub operation: u64,
    /// What happens to it.
    pub trouble: Trouble,
}

/// The disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct Faulty(Arc<Mutex<Model>>);

/// An open file of it.
#[derive(Debug)]
pub struct FaultyFile {
    disk: Faulty,
    path: PathBuf,
    inode: usize,
}

#[derive(Debug)]
struct Model {
    random: u64,
    operations: u64,
    fault: Option<Fault>,
    is_off: bool,
    is_full: bool,
    open: usize,
    files: Vec<Inode>,
    /// Names as they are seen.
    names: BTreeMap<PathBuf, usize>,
    /// Names as they are on the disk, and what is to be done to them there, in order.
    durable: BTreeMap<PathBuf, usize>,
    pending: Vec<Naming>,
}

/// A file: as it is seen, as it is on the disk, and what is to be done to it there, in any order.
#[derive(Debug, Default)]
struct Inode {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Cut(usize),
}

#[derive(Clone, Debug)]
enum Naming {
    Link(PathBuf, usize),
    Unlink(PathBuf),
    Move(PathBuf, PathBuf),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, text) => {
                let end = offset + text.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[*offset..end].copy_from_slice(text);
            }
            Self::Cut(len) => bytes.resize(*len, 0),
        }
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Link(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            Self::Unlink(path) => {
                names.remove(path);
            }
            Self::Move(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
        }
    }
}

/// What an operation is, for the faults that look at it.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Step {
    Write,
    Create,
    Sync,
    Other,
}

fn failure() -> io::Error {
    io::Error::from_raw_os_error(nix::libc::EIO)
}

fn full() -> io::Error {
    io::Error::from_raw_os_error(nix::libc::ENOSPC)
}

impl Model {
    /// A number below `bound`, of a sequence that the seed gives (xorshift).
    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % bound.max(1) as u64) as usize
    }

    /// Counts an operation; says what goes wrong with it, if that is not simply an error.
    fn begin(&mut self, step: Step) -> io::Result<Option<Trouble>> {
        self.operations += 1;
        if self.is_off {
            return Err(failure());
        }
        let due = self.fault.filter(|fault| self.operations >= fault.operation);
        let Some(Fault { trouble, .. }) = due else {
            return if self.is_full && matches!(step, Step::Write | Step::Create) {
                Err(full())
            } else {
                Ok(None)
            };
        };
        if trouble == Trouble::LoseSync && step != Step::Sync {
            return Ok(None);
        }
        self.fault = None;
        match trouble {
            Trouble::LoseSync => Ok(Some(trouble)),
            Trouble::Tear if step == Step::Write => Ok(Some(trouble)),
            Trouble::Full => {
                self.is_full = true;
                if matches!(step, Step::Write | Step::Create) { Err(full()) } else { Ok(None) }
            }
            Trouble::PowerOff => {
                self.is_off = true;
                Err(failure())
            }
            Trouble::Refuse | Trouble::Tear => Err(failure()),
        }
    }

    fn change(&mut self, inode: usize, change: Change) {
        let file = &mut self.files[inode];
        change.apply(&mut file.bytes);
        file.pending.push(change);
    }

    fn name(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        self.pending.push(naming);
    }

    /// Makes of a file what the power that goes leaves of it.
    fn leave(&mut self, inode: usize) {
        let mut bytes = std::mem::take(&mut self.files[inode].durable);
        for change in std::mem::take(&mut self.files[inode].pending) {
            match (self.below(3), change) {
                (0, _) => {}
                (1, Change::Write(offset, text)) => {
                    let sectors = self.below(text.len() / SECTOR_BYTES + 1);
                    let part = text[..sectors * SECTOR_BYTES].to_vec();
                    Change::Write(offset, part).apply(&mut bytes);
                }
                (_, change) => change.apply(&mut bytes),
            }
        }
        self.files[inode].bytes.clone_from(&bytes);
        self.files[inode].durable = bytes;
    }
}

impl Faulty {
    /// A disk without faults whose chances come from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Model {
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            operations: 0,
            fault: None,
            is_off: false,
            is_full: false,
            open: 0,
            files: Vec::new(),
            names: BTreeMap::new(),
            durable: BTreeMap::new(),
            pending: Vec::new(),
        })))
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to count operations anew, and has one of them fail, or none.
    pub fn fail(&self, fault: Option<Fault>) {
        let mut model = self.model();
        (model.operations, model.fault, model.is_full) = (0, fault, false);
    }

    /// Operations since then.
    pub fn operations(&self) -> u64 {
        self.model().operations
    }

    /// Files that are open.
    pub fn open_files(&self) -> usize {
        self.model().open
    }

    /// Puts a file there that outlasts everything.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut model = self.model();
        let inode = model.files.len();
        let file = Inode { bytes: bytes.into(), durable: bytes.into(), pending: Vec::new() };
        model.files.push(file);
        model.names.insert(path.into(), inode);
        model.durable.insert(path.into(), inode);
    }

    /// What a file holds, as it is seen.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let model = self.model();
        model.names.get(path).map(|&inode| model.files[inode].bytes.clone())
    }

    /// The names of all files.
    pub fn names(&self) -> Vec<PathBuf> {
        self.model().names.keys().cloned().collect()
    }

    /// Switches the power off, if it is not, and on again: what was not synced is there in part.
    pub fn restart(&self) {
        let mut model = self.model();
        for inode in 0..model.files.len() {
            model.leave(inode);
        }
        let pending = std::mem::take(&mut model.pending);
        let kept = model.below(pending.len() + 1);
        for naming in &pending[..kept] {
            naming.apply(&mut model.durable);
        }
        model.names = model.durable.clone();
        (model.is_off, model.is_full, model.open, model.fault) = (false, false, 0, None);
    }

    /// Lets others go first, at times, and begins an operation.
    async fn begin(
        &self,
        (doing, step): (&'static str, Step),
        path: &Path,
    ) -> Result<Option<Trouble>, Error> {
        let turns = self.model().below(3);
        wait_turns(turns).await;
        self.model().begin(step).map_err(|error| Error::new(doing, path, error))
    }

    fn file(&self, path: &Path, inode: usize) -> FaultyFile {
        self.model().open += 1;
        FaultyFile { disk: self.clone(), path: path.into(), inode }
    }
}

/// Is ready when it has been asked so many times before.
async fn wait_turns(mut turns: usize) {
    poll_fn(|context| {
        if turns == 0 {
            return Poll::Ready(());
        }
        turns -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Disk for Faulty {
    type File = FaultyFile;

    async fn create(&self, path: &Path) -> Result<FaultyFile, Error> {
        self.begin(("create", Step::Create), path).await?;
        let inode = {
            let mut model = self.model();
            if model.names.contains_key(path) {
                let error = io::ErrorKind::AlreadyExists.into();
                return Err(Error::new("create", path, error));
            }
            let inode = model.files.len();
            model.files.push(Inode::default());
            model.name(Naming::Link(path.into(), inode));
            inode
        };
        Ok(self.file(path, inode))
    }

    async fn open(&self, path: &Path, _: bool) -> Result<FaultyFile, Error> {
        self.begin(("open", Step::Other), path).await?;
        let found = self.model().names.get(path).copied();
        let missing = || Error::new("open", path, io::ErrorKind::NotFound.into());
        Ok(self.file(path, found.ok_or_else(missing)?))
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<(), Error> {
        self.begin(("rename", Step::Other), from).await?;
        let mut model = self.model();
        if !model.names.contains_key(from) {
            return Err(Error::new("rename", from, io::ErrorKind::NotFound.into()));
        }
        model.name(Naming::Move(from.into(), to.into()));
        Ok(())
    }

    async fn remove(&self, path: &Path) -> Result<(), Error> {
        self.begin(("remove", Step::Other), path).await?;
        let mut model = self.model();
        if !model.names.contains_key(path) {
            return Err(Error::new("remove", path, io::ErrorKind::NotFound.into()));
        }
        model.name(Naming::Unlink(path.into()));
        model.is_full = false;
        Ok(())
    }

    async fn sync_directory(&self, path: &Path) -> Result<(), Error> {
        self.begin(("sync directory", Step::Other), path).await?;
        let mut model = self.model();
        model.pending.clear();
        model.durable = model.names.clone();
        Ok(())
    }

    async fn list(&self, path: &Path) -> Result<Vec<String>, Error> {
        self.begin(("list", Step::Other), path).await?;
        let model = self.model();
        let within = model.names.keys().filter(|name| name.parent() == Some(path));
        let names = within.filter_map(|name| Some(name.file_name()?.to_str()?.to_owned()));
        Ok(names.collect())
    }

    async fn pause(&self) {
        wait_turns(1).await;
    }
}

impl File for FaultyFile {
    type Block = Vec<u8>;

    async fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        assert!(offset.is_multiple_of(DISK_BLOCK_BYTES as u64), "{offset} is no block's offset");
        assert!(bytes.len().is_multiple_of(DISK_BLOCK_BYTES), "{} bytes", bytes.len());
        let trouble = self.disk.begin(("write to", Step::Write), &self.path).await?;
        let mut model = self.disk.model();
        if trouble.is_some() {
            let sectors = model.below(bytes.len() / SECTOR_BYTES);
            let part = bytes[..sectors * SECTOR_BYTES].to_vec();
            model.change(self.inode, Change::Write(offset as usize, part));
            return Err(Error::new("write to", &self.path, failure()));
        }
        model.change(self.inode, Change::Write(offset as usize, bytes.into()));
        Ok(())
    }

    async fn read(&self, offset: u64, bytes: usize) -> Result<Vec<u8>, Error> {
        assert!(offset.is_multiple_of(DISK_BLOCK_BYTES as u64), "{offset} is no block's offset");
        assert!(bytes.is_multiple_of(DISK_BLOCK_BYTES), "{bytes} bytes are no blocks");
        self.disk.begin(("read", Step::Other), &self.path).await?;
        let model = self.disk.model();
        let whole = &model.files[self.inode].bytes;
        let begin = whole.len().min(offset as usize);
        let end = whole.len().min(begin + bytes);
        Ok(whole[begin..end].to_vec())
    }

    async fn sync(&self) -> Result<(), Error> {
        let trouble = self.disk.begin(("sync", Step::Sync), &self.path).await?;
        let mut model = self.disk.model();
        let file = &mut model.files[self.inode];
        let pending = std::mem::take(&mut file.pending);
        if trouble.is_some() {
            return Err(Error::new("sync", &self.path, failure()));
        }
        pending.iter().for_each(|change| change.apply(&mut file.durable));
        Ok(())
    }

    async fn cut(&self, bytes: u64) -> Result<(), Error> {
        self.disk.begin(("cut", Step::Other), &self.path).await?;
        self.disk.model().change(self.inode, Change::Cut(bytes as usize));
        Ok(())
    }

    async fn bytes(&self) -> Result<u64, Error> {
        self.disk.begin(("look at", Step::Other), &self.path).await?;
        Ok(self.disk.model().files[self.inode].bytes.len() as u64)
    }

    fn is_direct(&self) -> bool {
        true
    }

    async fn close(self) -> Result<(), Error> {
        self.disk.begin(("close", Step::Other), &self.path).await?;
        Ok(())
    }
}

impl Drop for FaultyFile {
    fn drop(&mut self) {
        let mut model = self.disk.model();
        model.open = model.open.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Waker};

    fn wait<T>(future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
                return done;
            }
        }
    }

    #[test]
    fn what_is_synced_outlasts_the_power() {
        let path = Path::new("/d/a");
        let old = vec![7; 4096];
        let mut seen = [false; 2];
        for seed in 0..200 {
            let disk = Faulty::new(seed);
            disk.put(path, &old);
            wait(async {
                let file = disk.create(Path::new("/d/t")).await.unwrap();
                file.write(4096, &[1; 8192]).await.unwrap();
                file.write(0, &[2; 4096]).await.unwrap();
                file.sync().await.unwrap();
                file.write(0, &[3; 4096]).await.unwrap();
                file.close().await.unwrap();
                disk.rename(Path::new("/d/t"), path).await.unwrap();
            });
            disk.restart();
            let left = disk.contents(path).unwrap();
            seen[usize::from(left == old)] = true;
            if left != old {
                assert_eq!(left[4096..], [1; 8192]);
                assert!(left[..4096].iter().all(|&byte| byte == 2 || byte == 3));
            }
            assert_eq!(disk.open_files(), 0);
        }
        assert_eq!(seen, [true; 2], "a name changes, or does not");
    }

    #[test]
    fn a_sync_that_fails_forgets() {
        let disk = Faulty::new(1);
        wait(async {
            let file = disk.create(Path::new("/d/t")).await.unwrap();
            disk.sync_directory(Path::new("/d")).await.unwrap();
            disk.fail(Some(Fault { operation: 1, trouble: Trouble::LoseSync }));
            file.write(0, &[1; 4096]).await.unwrap();
            assert!(file.sync().await.is_err());
            assert!(file.sync().await.is_ok());
        });
        disk.restart();
        assert_eq!(disk.contents(Path::new("/d/t")), Some(Vec::new()));
    }

    #[test]
    fn no_room_until_something_is_removed() {
        let disk = Faulty::new(1);
        wait(async {
            let (a, b) = (Path::new("/d/a"), Path::new("/d/b"));
            let file = disk.create(a).await.unwrap();
            disk.fail(Some(Fault { operation: 2, trouble: Trouble::Full }));
            file.write(0, &[1; 4096]).await.unwrap();
            let error = file.write(4096, &[1; 4096]).await.unwrap_err();
            assert_eq!(error.source.kind(), io::ErrorKind::StorageFull);
            assert_eq!(disk.create(b).await.unwrap_err().doing, "create");
            disk.remove(a).await.unwrap();
            disk.create(b).await.unwrap();
            assert_eq!(disk.list(Path::new("/d")).await.unwrap(), ["b"]);
        });
    }
}
