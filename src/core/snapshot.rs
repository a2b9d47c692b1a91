//! A save: begun on the core that was asked, written by all.
//!
//! ```text
//! home      creates the file, then cuts: a transaction over all shards     begin, cut
//! each      steps through its shard, hands pieces to its writers           save_on
//! writers   beside the loop: chunks in any order, a run's parts in order   write_chunks, write_run
//! home      once all cores have closed it: index, head, sync, name         finish
//! ```
//!
//! A core steps only while little waits to be written, so that a slow disk costs time, not memory.

use super::jobs::{Command, Place};
use super::transact::Client;
use super::{Core, Work};
use crate::hop::Parcel;
use crate::process::used_memory;
use crate::scripts::Functions;
use crate::server::REDIS_VERSION;
use crate::snapshot::save::Save;
use crate::snapshot::{Finished, Head, Order, Snapshot, Writer};
use pinion_io::clock::nanos;
use pinion_io::disk::{Direct, Error};
use pinion_io::resp::Protocol;
use pinion_io::ring::SocketId;
use pinion_io::runtime::{self, Background};
use pinion_rdb::write as rdb;
use pinion_shards::commands::Words;
use pinion_shards::snapshot::{Piece, Saved};
use pinion_shards::transaction::{self, Asked};
use pinion_shards::{CUT, Shard};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Once};
use std::time::Duration;

/// Bytes that wait to be written, from which on a core writes no more of its own accord.
const WAITING_BYTES_MAX: usize = 4 << 20;
/// The same, from which on it runs no more commands: each may have something saved before.
const WAITING_BYTES_FULL: usize = 32 << 20;
/// Chunks that a core writes at once.
const WRITERS: usize = 3;
/// Of its time, a core that is asked for other things gives a save one part in so many.
const PACE: u64 = 8;
/// How late a step may be before a core does it though there is something else to do.
const LATE_NS: u64 = 2_000_000;
/// How long after it was last asked a core gives a save all its time.
const CALM_NS: u64 = 10_000_000;
/// How long a writer sleeps that finds nothing.
const WRITER_SLEEP: Duration = Duration::from_micros(200);

/// This core's share of a save.
#[derive(Debug)]
pub(super) struct Share {
    save: Arc<Save>,
    queue: Rc<Queue>,
    pace: Pace,
    /// Keys that it has counted.
    keys: u64,
    /// What the shard said, once all its pieces are in the queue.
    saved: Option<Saved>,
}

/// When a core steps, so that those who ask for other things hardly notice. In nanoseconds.
#[derive(Debug, Default)]
struct Pace {
    /// When it was last asked for something else.
    asked: u64,
    /// The next step comes then, if it is still asked.
    next: u64,
}

/// Pieces on their way to the file.
#[derive(Debug, Default)]
struct Queue {
    chunks: RefCell<VecDeque<Vec<u8>>>,
    /// Runs and their parts.
    parts: RefCell<VecDeque<Piece>>,
    bytes: Cell<usize>,
    /// Nothing more comes.
    closed: Cell<bool>,
    /// Writers that have not come to an end.
    writers: Cell<usize>,
}

/// Who has asked for a save.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) socket: SocketId,
    pub(super) place: Place,
    pub(super) command: Command,
    /// Until its end.
    pub(super) waits: bool,
}

/// The save that this core has begun.
#[derive(Debug)]
pub(super) struct Home {
    /// What happens beside the loop leaves this.
    news: Rc<RefCell<Option<News>>>,
    stage: Stage,
    asker: Option<Asker>,
    began: Duration,
    /// The libraries of functions, as they were at the cut.
    libraries: Vec<Arc<Functions>>,
}

#[derive(Debug)]
enum News {
    Created(Result<Writer<Direct>, Error>),
    Finished(Result<Finished, Error>),
}

#[derive(Debug)]
enum Stage {
    Creating,
    /// The file is there; the cut waits for room in the lanes.
    Ready(Writer<Direct>),
    Cutting(Writer<Direct>),
    Writing(Writer<Direct>, Arc<Save>),
    Finishing(Saved),
}

impl Core {
    /// Begins a save, for a client if one has asked; whoever calls has the right to, from
    /// `Saves::begin`.
    pub(super) fn begin_save(&mut self, asker: Option<Asker>) {
        let began = self.work.steady;
        let Some(order) = self.work.order() else {
            let why = Error::new("save to", Path::new(""), io::ErrorKind::InvalidFilename.into());
            return self.end_save(asker, began, Err(why));
        };
        let news = Rc::new(RefCell::new(None));
        let left = Rc::clone(&news);
        self.background.spawn(async move {
            let created = Snapshot::begin(Direct, order).await;
            *left.borrow_mut() = Some(News::Created(created));
        });
        let libraries = Vec::new();
        self.home = Some(Home { news, stage: Stage::Creating, asker, began, libraries });
    }

    /// Begins a save if one is due; on the core that looks after that.
    pub(super) fn save_when_due(&mut self) {
        let (server, now) = (&self.work.server, self.work.now);
        let last = std::mem::replace(&mut self.work.last_due, now);
        if self.work.is_loading || self.work.is_quiet {
            return;
        }
        let Some(due) = server.saves.due(&self.work.settings.snapshots, last, now) else { return };
        if self.home.is_none() && server.saves.begin(now, true) {
            tracing::info!("saving: {due}");
            self.begin_save(None);
        }
    }

    /// Tells a client that a save has begun, if that is what it waits for.
    fn tell_begun(&mut self, asker: &mut Option<Asker>) {
        if let Some(asker) = asker.take_if(|asker| !asker.waits) {
            let text = b"+Background saving started\r\n";
            self.finish(asker.socket, asker.place, text, Some(&asker.command));
        }
    }

    fn end_save(
        &mut self,
        mut asker: Option<Asker>,
        began: Duration,
        ended: Result<(Finished, Saved), Error>,
    ) {
        let time = self.work.steady.saturating_sub(began);
        let saves = &self.work.server.saves;
        match &ended {
            Ok((_, saved)) => saves.succeed(self.work.now, saved.changes),
            Err(error) => saves.fail(self.work.now, error.to_string()),
        }
        self.tell_begun(&mut asker);
        let reply = match ended {
            Ok((finished, saved)) => {
                tracing::info!(
                    "saved {} keys to {} ({} bytes) in {time:.1?}",
                    saved.keys,
                    finished.path.display(),
                    finished.bytes
                );
                for warning in finished.warnings {
                    tracing::warn!("{warning}");
                }
                "+OK\r\n".to_owned()
            }
            Err(error) => {
                tracing::error!("the snapshot has failed: {error}");
                format!("-ERR {error}\r\n")
            }
        };
        if let Some(asker) = asker {
            self.finish(asker.socket, asker.place, reply.as_bytes(), Some(&asker.command));
        }
    }

    /// Looks at what all cores share: a save or a load may have begun.
    pub(super) fn look(&mut self) {
        self.begin_load();
        self.work.look_quiet();
        if self.work.share.is_none()
            && let Some(save) = self.work.server.writing.current()
            && self.work.owner.value().is_saving()
        {
            self.work.server.saves.add_keys(self.work.owner.value().keys());
            self.work.share = Some(Share::begin(save, self.work.index, &self.background));
        }
    }

    /// Has every core look.
    pub(super) fn tell_all(&mut self) {
        for core in (0..self.work.hops.cores()).filter(|&core| core != self.work.index) {
            self.work.hops.send(core, Parcel::Look, &mut self.work.stats);
        }
        self.look();
    }

    /// Goes on with the save that this core has begun.
    pub(super) fn tend_save(&mut self) {
        let Some(mut home) = self.home.take() else { return };
        let news = home.news.borrow_mut().take();
        home.stage = match (home.stage, news) {
            (Stage::Creating, Some(News::Created(Ok(writer)))) => {
                tell_if_cached(&writer);
                self.begin_cut(writer)
            }
            (Stage::Creating, Some(News::Created(Err(error)))) => {
                return self.end_save(home.asker, home.began, Err(error));
            }
            (Stage::Creating, Some(_)) => unreachable!("it is not yet cut"),
            (Stage::Ready(writer), _) => self.begin_cut(writer),
            (Stage::Cutting(writer), _) => match self.work.is_cut.take() {
                Some(true) => {
                    home.libraries = self.work.server.scripts.libraries();
                    let snapshot = Arc::clone(writer.snapshot());
                    let cores = self.work.hops.cores();
                    let save = Arc::new(Save::new(snapshot, (self.work.index, cores)));
                    self.work.server.writing.begin(Arc::clone(&save));
                    self.tell_all();
                    self.tell_begun(&mut home.asker);
                    Stage::Writing(writer, save)
                }
                Some(false) => unreachable!("a save ends before the next begins"),
                None => Stage::Cutting(writer),
            },
            (Stage::Writing(writer, save), _) => match save.saved() {
                Some(saved) => {
                    self.work.server.writing.end();
                    let libraries = std::mem::take(&mut home.libraries);
                    self.finish_save(&home.news, writer, (saved, libraries));
                    Stage::Finishing(saved)
                }
                None => Stage::Writing(writer, save),
            },
            (Stage::Finishing(saved), Some(News::Finished(finished))) => {
                let ended = finished.map(|finished| (finished, saved));
                return self.end_save(home.asker, home.began, ended);
            }
            (Stage::Finishing(saved), _) => Stage::Finishing(saved),
            (Stage::Creating, None) => Stage::Creating,
        };
        self.home = Some(home);
    }

    fn begin_cut(&mut self, writer: Writer<Direct>) -> Stage {
        if self.work.cut() { Stage::Cutting(writer) } else { Stage::Ready(writer) }
    }

    fn finish_save(
        &self,
        news: &Rc<RefCell<Option<News>>>,
        writer: Writer<Direct>,
        (saved, libraries): (Saved, Vec<Arc<Functions>>),
    ) {
        let (left, now, shard) = (Rc::clone(news), self.work.now, self.work.index);
        let head = Head {
            version: saved.version,
            created: now,
            used_memory: used_memory(),
            redis_version: REDIS_VERSION,
        };
        self.background.spawn(async move {
            let finished = match writer.snapshot().failure() {
                Some(why) => {
                    let source = io::Error::other(why.to_owned());
                    let error = Error::new("save to", &writer.snapshot().path(), source);
                    writer.give_up().await;
                    Err(error)
                }
                None => match write_libraries(&writer, shard, &libraries).await {
                    Ok(()) => writer.finish(head).await,
                    Err(error) => {
                        writer.give_up().await;
                        Err(error)
                    }
                },
            };
            *left.borrow_mut() = Some(News::Finished(finished));
        });
    }
}

/// Writes the libraries of functions, in a chunk of their own.
async fn write_libraries(
    writer: &Writer<Direct>,
    shard: usize,
    libraries: &[Arc<Functions>],
) -> Result<(), Error> {
    if libraries.is_empty() {
        return Ok(());
    }
    let (mut bytes, mut texts) = (Vec::new(), rdb::Texts::plain());
    for library in libraries {
        rdb::function(&mut bytes, &mut texts, &library.source);
    }
    writer.write_chunk(&mut bytes, shard).await
}

/// Says, once, that snapshots go through the kernel's cache.
fn tell_if_cached(writer: &Writer<Direct>) {
    static TOLD: Once = Once::new();
    if !writer.is_direct() {
        TOLD.call_once(|| {
            tracing::info!(
                "the file system of {} has no direct I/O: snapshots go through the kernel's cache",
                writer.snapshot().path().display()
            );
        });
    }
}

impl Work {
    /// What is to be saved where, by the settings; nothing if there is no name.
    fn order(&self) -> Option<Order> {
        let settings = &self.settings.snapshots;
        Some(Order {
            directory: settings.directory(),
            names: settings.names()?,
            now: self.now,
            is_summed: settings.checksum,
            keep: settings.keep as usize,
        })
    }

    /// Begins the cut; false if a lane is full.
    fn cut(&mut self) -> bool {
        if self.full_lane().is_some() {
            return false;
        }
        let mut words = Words::default();
        let compress = if self.settings.encodings.rdb_compression { "yes" } else { "no" };
        words.extend([CUT.name, compress].map(str::as_bytes));
        let (protocol, client) = (Protocol::default(), Client::Cut);
        let asked = transaction::Request { client, protocol, watcher: 0, speaker: None };
        let command = Asked::Shard(&CUT, 0, words);
        let mut tickets = &self.server.tickets;
        self.coordinator.begin(&asked, &[], std::iter::once(command), &mut tickets);
        self.pump();
        true
    }

    /// Steps through this core's shard as far as is good for one turn; true while there is more.
    pub(super) fn save_on(&mut self, busy: bool) -> bool {
        let Some(mut share) = self.share.take() else { return false };
        let began = nanos();
        let shard = self.owner.value();
        if share.save.snapshot.failure().is_some() {
            share.queue.clear();
            if share.saved.is_none() && !shard.has_given_up_saving() {
                shard.give_up_saving();
            }
        }
        share.queue.take_from(shard);
        let mut more = false;
        let goes = share.pace.goes(began, busy);
        if goes && share.saved.is_none() && share.queue.bytes.get() < WAITING_BYTES_MAX {
            more = shard.save_on(self.now);
            share.queue.take_from(shard);
            let keys = shard.keys_saved();
            self.server.saves.count_saved(keys - std::mem::replace(&mut share.keys, keys));
            if shard.is_saved() {
                share.saved = Some(shard.end_saving());
                share.queue.closed.set(true);
            }
            self.bring_late();
            share.pace.stepped(began, nanos());
            more &= share.pace.goes(nanos(), false);
        }
        if let Some(saved) = share.saved
            && share.queue.writers.get() == 0
        {
            let home = share.save.home();
            share.save.end_share(saved);
            if home != self.index {
                self.hops.send(home, Parcel::Look, &mut self.stats);
            }
            return true;
        }
        self.share = Some(share);
        more
    }

    /// True if so much waits to be written that no command should run that may add to it.
    #[inline]
    pub(super) fn is_save_behind(&self) -> bool {
        self.share.as_ref().is_some_and(|share| share.queue.bytes.get() > WAITING_BYTES_FULL)
    }
}

impl Share {
    fn begin(save: Arc<Save>, shard: usize, background: &Background) -> Self {
        let queue = Rc::new(Queue::default());
        queue.writers.set(WRITERS + 1);
        for _ in 0..WRITERS {
            background.spawn(write(Arc::clone(&save), Rc::clone(&queue), shard, false));
        }
        background.spawn(write(Arc::clone(&save), Rc::clone(&queue), shard, true));
        Self { save, queue, pace: Pace::default(), keys: 0, saved: None }
    }
}

impl Pace {
    /// True if a step is due, and what else there is to do is done first.
    fn goes(&mut self, now: u64, busy: bool) -> bool {
        if busy {
            self.asked = now;
        }
        let late = now.saturating_sub(self.next);
        now.saturating_sub(self.asked) > CALM_NS || late > if busy { LATE_NS } else { 0 }
    }

    /// Notes a step.
    fn stepped(&mut self, began: u64, now: u64) {
        self.next = now + now.saturating_sub(began) * (PACE - 1);
    }
}

impl Queue {
    /// Takes the pieces that a shard has ready.
    fn take_from(&self, shard: &mut Shard) {
        while let Some(piece) = shard.take_piece() {
            match piece {
                Piece::Chunk(bytes) => {
                    self.bytes.set(self.bytes.get() + bytes.len());
                    self.chunks.borrow_mut().push_back(bytes);
                }
                Piece::Part(ref bytes) => {
                    self.bytes.set(self.bytes.get() + bytes.len());
                    self.parts.borrow_mut().push_back(piece);
                }
                Piece::Run(_) => self.parts.borrow_mut().push_back(piece),
            }
        }
    }

    fn clear(&self) {
        self.chunks.borrow_mut().clear();
        self.parts.borrow_mut().clear();
        self.bytes.set(0);
    }

    fn wrote(&self, bytes: usize) {
        self.bytes.set(self.bytes.get().saturating_sub(bytes));
    }
}

/// Writes chunks, or runs, until no more comes or the snapshot has failed.
async fn write(save: Arc<Save>, queue: Rc<Queue>, shard: usize, runs: bool) {
    if let Ok(writer) = save.snapshot.writer().await {
        // What goes wrong is known to the snapshot.
        let _ = if runs {
            write_runs(&save, &queue, &writer, shard).await
        } else {
            write_chunks(&save, &queue, &writer, shard).await
        };
        let _ = writer.close().await;
    }
    queue.writers.set(queue.writers.get() - 1);
}

async fn write_chunks(
    save: &Save,
    queue: &Queue,
    writer: &Writer<Direct>,
    shard: usize,
) -> Result<(), Error> {
    while save.snapshot.failure().is_none() {
        let chunk = queue.chunks.borrow_mut().pop_front();
        match chunk {
            Some(mut chunk) => {
                let bytes = chunk.len();
                writer.write_chunk(&mut chunk, shard).await?;
                queue.wrote(bytes);
            }
            None if queue.closed.get() => break,
            None => runtime::sleep(WRITER_SLEEP).await,
        }
    }
    Ok(())
}

async fn write_runs(
    save: &Save,
    queue: &Queue,
    writer: &Writer<Direct>,
    shard: usize,
) -> Result<(), Error> {
    let mut open = None;
    while save.snapshot.failure().is_none() {
        let piece = queue.parts.borrow_mut().pop_front();
        match (piece, &mut open) {
            (Some(Piece::Run(bytes)), None) => open = Some((writer.begin_run(bytes, shard), bytes)),
            (Some(Piece::Part(mut part)), Some((run, left))) => {
                let bytes = part.len();
                writer.write_run(run, &mut part).await?;
                queue.wrote(bytes);
                *left -= bytes as u64;
                if *left == 0
                    && let Some((run, _)) = open.take()
                {
                    writer.end_run(run).await?;
                }
            }
            (Some(_), _) => unreachable!("a run begins, and its parts follow"),
            (None, None) if queue.closed.get() => break,
            (None, _) => runtime::sleep(WRITER_SLEEP).await,
        }
    }
    Ok(())
}
