//! Loading a snapshot: each core reads its parts of the file and gives every record to the owner
//! of its key.
//!
//! Blocks are read beside the loop, a few ahead of what is taken apart. The loop takes records out
//! of them, a bounded number a turn, and serves clients meanwhile, who mostly hear that the server
//! is loading.

use super::{Core, Work};
use crate::config::Settings;
use crate::hop::Ticket;
use crate::process::used_memory;
use crate::scripts::Meet;
use crate::snapshot::loading::{Loading, Part};
use crate::snapshot::{Chunk, read_index};
use pinion_io::disk::{Direct, Disk as _, Error, File as _};
use pinion_io::limits::DISK_BLOCK_BYTES;
use pinion_io::resp::Protocol;
use pinion_io::runtime;
use pinion_rdb::{Checksum, Item, Origin, Parser, Record, Version, crc};
use pinion_shards::batch::{Order, Outcome};
use pinion_shards::commands::Words;
use pinion_shards::limits::EVICT_PER_TURN;
use pinion_shards::snapshot::{Head, Loaded, Loader};
use pinion_shards::{Millis, Task};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Bytes that are read at a time.
const READ_BYTES: usize = 1 << 20;
/// Blocks that are read ahead.
const READ_AHEAD: usize = 3;
/// How long a reader waits that is far enough ahead.
const READER_SLEEP: Duration = Duration::from_micros(200);
/// Records that a turn of the loop takes.
const TURN_RECORDS_MAX: usize = 2048;
/// The same where keys are evicted for it: fewer than a turn evicts.
const TURN_RECORDS_TIGHT: usize = EVICT_PER_TURN / 4;
/// Records that may be on their way to other owners.
const RECORDS_OUT_MAX: u64 = 64 * 1024;

const _: () = assert!(READ_BYTES.is_multiple_of(DISK_BLOCK_BYTES), "reads are aligned");

/// This core's share of a load.
#[derive(Debug)]
pub(super) struct Load {
    loading: Arc<Loading>,
    blocks: Rc<RefCell<Blocks>>,
    /// What is being taken apart.
    now: Option<Open>,
    loader: Loader,
    origin: Origin,
    /// Records that other owners have not answered for.
    out: u64,
    /// Keys that this core's shard had evicted before.
    evicted_before: u64,
}

/// What the reader has read, in order.
#[derive(Debug, Default)]
struct Blocks {
    ready: VecDeque<Block>,
    /// Nothing more comes.
    done: bool,
}

#[derive(Debug)]
struct Block {
    bytes: Vec<u8>,
    /// The part that begins with it.
    begins: Option<Part>,
    /// It ends its part.
    last: bool,
}

/// How far a part was taken apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Taken {
    /// To its end.
    Whole,
    /// To the end of its block.
    Block,
    /// As far as is good for one turn.
    Enough,
}

/// A part of the file that is being taken apart.
#[derive(Debug)]
struct Open {
    part: Part,
    parser: Parser,
    db: u16,
    sum: u64,
    /// All its blocks have come.
    whole: bool,
}

impl Core {
    /// Begins this core's share of a load, if there is one, or notes that all is loaded.
    pub(super) fn begin_load(&mut self) {
        self.work.is_loading = self.work.server.loading.is_loading();
        let Some(loading) = self.work.server.loading.current() else { return };
        if std::mem::replace(&mut self.work.loads, loading.id()) == loading.id() {
            return;
        }
        let parts: Vec<_> = loading.parts_of(self.work.index).collect();
        let blocks = Rc::new(RefCell::new(Blocks::default()));
        let origin = loading.version().map_or(Origin::Redis, |version| version.origin);
        let reader = read(Arc::clone(&loading), parts, Rc::clone(&blocks));
        self.background.spawn(reader);
        let loader = Loader::new(origin);
        let evicted_before = self.work.owner.value().stats().evicted_keys;
        self.work.load =
            Some(Load { loading, blocks, now: None, loader, origin, out: 0, evicted_before });
    }
}

/// Reads parts of the file, block by block.
async fn read(loading: Arc<Loading>, parts: Vec<Part>, blocks: Rc<RefCell<Blocks>>) {
    if !parts.is_empty()
        && let Err(error) = read_parts(&loading, parts, &blocks).await
    {
        loading.fail(error.to_string());
    }
    blocks.borrow_mut().done = true;
}

async fn read_parts(
    loading: &Loading,
    parts: Vec<Part>,
    blocks: &RefCell<Blocks>,
) -> Result<(), Error> {
    let file = Direct.open(loading.path(), false).await?;
    for part in parts {
        let mut begins = Some(part);
        let mut done = 0;
        while done < part.bytes && !loading.has_failed() {
            while blocks.borrow().ready.len() >= READ_AHEAD && !loading.has_failed() {
                runtime::sleep(READER_SLEEP).await;
            }
            let left = part.bytes - done;
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(READ_BYTES);
            let read = file.read(part.offset + done, want.next_multiple_of(DISK_BLOCK_BYTES));
            let block = read.await?;
            let bytes = block[..block.len().min(want)].to_vec();
            // A file that has become shorter ends early, which the parser sees.
            let last = bytes.len() < want || done + bytes.len() as u64 == part.bytes;
            done += bytes.len() as u64;
            let begins = begins.take();
            blocks.borrow_mut().ready.push_back(Block { bytes, begins, last });
            if last {
                break;
            }
        }
    }
    file.close().await
}

impl Work {
    /// Takes records out of what was read and has their owners put them in; true while there may
    /// be more to do.
    pub(super) fn load_on(&mut self) -> bool {
        let Some(mut load) = self.load.take() else { return false };
        let busy = match self.load_some(&mut load) {
            Ok(busy) => busy,
            Err(error) => {
                load.loading.fail(error);
                false
            }
        };
        let read = load.blocks.borrow().done && load.blocks.borrow().ready.is_empty();
        if load.loading.has_failed() || read && load.now.is_none() && load.out == 0 {
            let evicted = self.owner.value().stats().evicted_keys;
            load.loading.end_share(evicted.saturating_sub(load.evicted_before));
        } else {
            self.load = Some(load);
        }
        busy
    }

    fn load_some(&mut self, load: &mut Load) -> Result<bool, String> {
        let mut records = 0;
        loop {
            if let Some(mut open) = load.now.take() {
                match self.load_items(load, &mut open, &mut records)? {
                    Taken::Whole => load.loading.check(&open.part, open.sum)?,
                    Taken::Block => load.now = Some(open),
                    Taken::Enough => {
                        load.now = Some(open);
                        return Ok(true);
                    }
                }
            }
            let block = load.blocks.borrow_mut().ready.pop_front();
            let Some(block) = block else { return Ok(records > 0) };
            load.take_block(&block);
        }
    }

    /// Takes items of a part as long as there are whole ones, and room for them.
    fn load_items(
        &mut self,
        load: &mut Load,
        open: &mut Open,
        records: &mut usize,
    ) -> Result<Taken, String> {
        loop {
            let is_tight = self.server.ledger.evicts();
            let (turn_max, out_max) = match is_tight {
                true => (TURN_RECORDS_TIGHT, TURN_RECORDS_TIGHT as u64),
                false => (TURN_RECORDS_MAX, RECORDS_OUT_MAX),
            };
            let full = *records >= turn_max || load.out >= out_max;
            if full || self.full_lane().is_some() {
                return Ok(Taken::Enough);
            }
            if open.whole && open.parser.is_between() && !open.part.is_file {
                return Ok(Taken::Whole);
            }
            let item = open.parser.next().map_err(|error| error.to_string())?;
            match item {
                None if open.whole => return Err(open.parser.cut().to_string()),
                None => return Ok(Taken::Block),
                Some(Item::Version(version)) => {
                    load.origin = version.origin;
                    load.loader = Loader::new(version.origin);
                }
                Some(Item::Database(number)) => {
                    if u64::from(number) >= self.settings.databases {
                        let count = self.settings.databases;
                        return Err(format!("it has a database {number}, and there are {count}"));
                    }
                    open.db = number as u16;
                }
                Some(Item::Aux { name, value }) => load.loading.note(name, value),
                Some(Item::Sizes { .. } | Item::ModuleAux(_)) => {}
                Some(Item::Function(code)) => {
                    let added = self.server.scripts.add_libraries(&[code], Meet::Replace);
                    added.map_err(|text| String::from_utf8_lossy(&text).into_owned())?;
                }
                Some(Item::Record(record)) => {
                    *records += 1;
                    self.load_record(load, open.db, &record)?;
                }
                Some(Item::End(Checksum::Wrong { told, found })) => {
                    return Err(format!("its checksum is {told:016x}, and should be {found:016x}"));
                }
                Some(Item::End(_)) => return Ok(Taken::Whole),
            }
        }
    }

    fn load_record(&mut self, load: &mut Load, db: u16, record: &Record<'_>) -> Result<(), String> {
        let owner = self.route.owner(record.key);
        if owner == self.index {
            let shard = self.owner.value();
            let loaded = load.loader.load(shard, db, record, self.now);
            let loaded =
                loaded.map_err(|fault| pinion_rdb::Error { at: record.at, fault }.to_string())?;
            load.loading.count(loaded);
            return Ok(());
        }
        let task = Task::Load(load.origin);
        let (protocol, tag) = (Protocol::default(), Ticket::Load);
        let order = Order { task, hash: 0, db, protocol, speaker: None, tag };
        let head = Head::of(record).bytes();
        let mut words = Words::default();
        words.extend([record.key, &head, record.object]);
        let args = words.args();
        let (bytes, ranges) = args.parts();
        self.hops.push(owner, &order, bytes, ranges.iter().copied());
        load.out += 1;
        Ok(())
    }

    /// Takes another owner's word of a record.
    pub(super) fn hear_loaded(&mut self, outcome: &Outcome<'_>) {
        let Some(load) = &mut self.load else { return };
        load.out -= 1;
        match outcome.reply {
            [b'-', text @ ..] => load.loading.fail(String::from_utf8_lossy(text).trim().to_owned()),
            b":0\r\n" => load.loading.count(Loaded::In),
            b":1\r\n" => load.loading.count(Loaded::Expired),
            _ => load.loading.count(Loaded::Empty),
        }
    }
}

impl Load {
    /// Takes the next block to the parser of its part. What stands behind the end of a file is
    /// passed over.
    fn take_block(&mut self, block: &Block) {
        self.loading.read(block.bytes.len() as u64);
        if let Some(part) = block.begins {
            let version = self.loading.version().unwrap_or(Version::redis(11));
            let parser = match part.is_file {
                false => Parser::inside(version, part.offset, part.bytes),
                true => Parser::new(Some(part.bytes)),
            };
            let parser = if self.loading.is_checked() { parser } else { parser.unchecked() };
            self.now = Some(Open { part, parser, db: 0, sum: 0, whole: false });
        }
        let Some(open) = self.now.as_mut() else { return };
        if !open.part.is_file && self.loading.is_checked() {
            let sum = crc::crc(&block.bytes);
            open.sum = crc::combine(open.sum, sum, block.bytes.len() as u64);
        }
        open.parser.feed(&block.bytes);
        open.whole |= block.last;
    }
}

/// What a load begins with.
pub(super) type Plan = Rc<RefCell<Option<Result<Option<Arc<Loading>>, String>>>>;

impl Core {
    /// Looks for a snapshot to load, on the core that begins with that.
    pub(super) fn find_load(&mut self) {
        self.work.tends_load = true;
        let plan = Plan::default();
        let (left, settings) = (Rc::clone(&plan), Arc::clone(&self.work.settings));
        let (cores, now) =
            (self.work.hops.cores(), self.work.clock.wall_ms(self.work.clock.steady()));
        self.background.spawn(async move {
            let found = found(&settings, (cores, now)).await;
            *left.borrow_mut() = Some(found.map_err(|error| error.to_string()));
        });
        self.plan = Some(plan);
    }

    /// Goes on with the load that this core has begun.
    pub(super) fn tend_load(&mut self) {
        let planned = self.plan.as_ref().and_then(|plan| plan.borrow_mut().take());
        match planned {
            Some(Ok(Some(loading))) => {
                self.plan = None;
                let (bytes, path) = (loading.bytes().0, loading.path().display());
                tracing::info!("loading {path} ({bytes} bytes)");
                self.work.server.loading.begin(loading);
                return self.tell_all();
            }
            Some(Ok(None)) => {
                self.plan = None;
                return self.end_load();
            }
            Some(Err(error)) => return self.fail_load(&error),
            None if self.plan.is_some() => return,
            None => {}
        }
        let Some(loading) = self.work.server.loading.current() else { return };
        if !loading.is_done() {
            return;
        }
        if let Some(error) = loading.failure() {
            self.fail_load(&format!("cannot load {}: {error}", loading.path().display()));
        } else {
            let counts = loading.counts();
            tracing::info!(
                "loaded {} keys ({} expired, {} empty) in {:.1?}",
                counts.loaded,
                counts.expired,
                counts.empty,
                Duration::from_millis(self.work.now.saturating_sub(loading.began))
            );
            if let Some(warning) = too_large(&loading, &self.work.settings) {
                tracing::warn!("{warning}");
            }
            self.work.server.saves.note_loaded(counts.loaded, counts.expired);
            self.end_load();
        }
    }

    fn end_load(&mut self) {
        self.work.tends_load = false;
        self.work.server.loading.end();
        self.tell_all();
    }

    /// Ends the process: what it was to serve cannot be read. A reload only fails.
    fn fail_load(&mut self, error: &str) {
        tracing::error!("{error}");
        if self.reload.is_some() {
            self.plan = None;
            self.work.server.loading_failed.store(true, Ordering::Relaxed);
            return self.end_load();
        }
        tracing::error!("not serving without the data: move the file away to begin without it");
        std::process::exit(1);
    }
}

/// What to say of a file that holds more than `maxmemory` has room for.
fn too_large(loading: &Loading, settings: &Settings) -> Option<String> {
    let (limit, evicted, used) = (settings.memory_bytes_max, loading.evicted(), used_memory());
    if limit == 0 || evicted == 0 && used <= limit {
        return None;
    }
    let file = loading.path().display();
    Some(match evicted {
        0 => format!(
            "{file} is for more memory than maxmemory: {used} bytes are used, {limit} may be; \
             writes that need memory are refused"
        ),
        _ => format!(
            "{file} is for more memory than maxmemory, {limit} bytes: at least {evicted} keys were \
             evicted while it was loaded"
        ),
    })
}

/// The load of the snapshot that the settings name, if it is there.
async fn found(
    settings: &Settings,
    (cores, began): (usize, Millis),
) -> Result<Option<Arc<Loading>>, Error> {
    let Some(names) = settings.snapshots.names() else { return Ok(None) };
    let directory = settings.snapshots.directory();
    let listed = Direct.list(&directory).await?;
    let Some(name) = names.newest(&listed) else { return Ok(None) };
    let path = directory.join(name);
    let file = Direct.open(&path, false).await?;
    let bytes = file.bytes().await?;
    let index = read_index(&Direct, &file, &path).await?;
    file.close().await?;
    let (parts, version) = match &index {
        None => {
            let whole = Part { offset: 0, bytes, sum: None, is_file: true, core: 0 };
            (vec![whole], None)
        }
        Some(index) => {
            let part = |chunk: &Chunk| Part {
                offset: chunk.offset(),
                bytes: chunk.bytes(),
                sum: index.is_summed.then_some(chunk.sum),
                is_file: false,
                core: chunk.shard as usize % cores,
            };
            (index.chunks.iter().map(part).collect(), Some(index.version))
        }
    };
    let is_checked = settings.snapshots.checksum;
    let loading = Loading::new((path, bytes), (parts, version), is_checked, (cores, began));
    Ok(Some(Arc::new(loading)))
}
