//! A shard: one core's slice of the keyspace, and the running of commands on it.

use crate::carried::Carried;
use crate::channels::{self, Channels};
use crate::commands::{Args, Flags, Row, Run, Try};
use crate::error::Error;
use crate::keyspace::{Class, Key, Keyspace};
use crate::reading::{self, Readings};
use crate::room::Room;
use crate::route::Route;
use crate::saving::Saves;
use crate::scripts::Scripts;
use crate::snapshot::Loader;
use crate::tracking::{Speaker, Tracking};
use crate::transaction::{Coordinator, TransactionId, Turns, Watcher};
use crate::value::{Encodings, Rules};
use crate::waiting::{Parking, Retire, Waiter, Waits};
use pinion_io::resp::Reply;
use pinion_rdb::Origin;

/// Milliseconds since the Unix epoch.
pub type Millis = u64;

/// What a command may touch while it runs.
#[derive(Debug)]
pub struct Scope<'a> {
    /// Every database of this shard.
    pub keyspace: &'a mut Keyspace,
    /// How values are kept.
    pub rules: &'a Rules,
    /// The instant of this tick.
    pub now: Millis,
    /// The client's database.
    pub db: u16,
    /// The hash of the command's first key (`Shard::hash`), or 0 where it has none.
    pub hash: u64,
    /// Which shard this is.
    pub shard: usize,
    /// Where every key is.
    pub route: &'a Route,
    /// Who subscribes to what this shard owns.
    pub(crate) channels: &'a mut Channels,
    /// Values that came from other shards for this command, by the index of their words.
    pub(crate) incoming: &'a mut Vec<Carried>,
    /// Values that go home with the reply.
    pub(crate) outgoing: &'a mut Vec<Carried>,
    /// True if a long reply may be written in pieces.
    pub(crate) may_read_on: bool,
    /// The long reply that the command asks for.
    pub(crate) reading: &'a mut Option<reading::Plan>,
}

impl Scope<'_> {
    /// The command's first key, which stands at argument 1; its hash came with the call.
    #[inline]
    pub fn first<'k>(&self, args: &Args<'k>) -> Key<'k> {
        Key { db: self.db, hash: self.hash, bytes: args.at(1) }
    }

    /// Any other key, in the client's database.
    #[inline]
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        Key { db: self.db, hash: self.keyspace.hash(bytes), bytes }
    }
}

/// One core's slice of the keyspace.
#[derive(Debug)]
pub struct Shard {
    pub(crate) keyspace: Keyspace,
    pub(crate) waits: Waits,
    pub(crate) readings: Readings,
    pub(crate) saves: Saves,
    pub(crate) scripts: Scripts,
    pub(crate) loader: Option<Box<Loader>>,
    pub(crate) turns: Turns,
    pub(crate) channels: Channels,
    pub(crate) tracking: Tracking,
    /// Commands of a transaction run: nobody is served between them.
    pub(crate) in_part: bool,
    pub(crate) rules: Rules,
    pub(crate) room: Room,
    reading: Option<reading::Plan>,
    outgoing: Vec<Carried>,
    meter: Meter,
    /// Time stands still for keys: only commands that write remove what is due.
    paused: bool,
    index: usize,
    route: Route,
}

/// Nanoseconds since any fixed instant, by which a shard tells how long its commands take. It comes
/// from outside, as time does; nothing but figures depends on it.
pub type Meter = fn() -> u64;

/// What became of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ran {
    /// It replied.
    Done,
    /// It waits, until this time if there is one, and will reply late.
    Parked(Option<Millis>),
    /// It replies later, perhaps in pieces, under this number.
    Later(u64),
    /// It did nothing: a script that needs more than this shard.
    Strayed,
}

/// Figures of a shard, for INFO and metrics.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ShardStats {
    /// Of each database.
    pub databases: Vec<DatabaseStats>,
    /// Changes to keys since the start.
    pub changes: u64,
    /// Keys removed because their time had come.
    pub expired_keys: u64,
    /// Fields of hashes removed because their time had come.
    pub expired_fields: u64,
    /// Keys removed for want of memory.
    pub evicted_keys: u64,
    /// Reads that found their key.
    pub keyspace_hits: u64,
    /// Reads that did not.
    pub keyspace_misses: u64,
    /// Bytes in records, tables and large values.
    pub memory_bytes: u64,
    /// Keys of flushed databases and large values that wait to be freed.
    pub freeing: u64,
    /// How many of these have been freed.
    pub freed: u64,
    /// Commands that wait for a key.
    pub waiting: u64,
    /// Keys that commands wait for.
    pub awaited_keys: u64,
    /// Those of them for which a command waits only as long as they are there.
    pub needed_keys: u64,
    /// Bytes of its interpreters that run nothing.
    pub script_bytes: u64,
    /// Keys that clients watch.
    pub watched_keys: u64,
    /// Keys that caching clients have read.
    pub tracked_keys: u64,
    /// Those, each as often as clients have read it.
    pub tracked_items: u64,
    /// Names with subscribers that this shard owns, by kind (`channels::Kind`); all patterns and
    /// prefixes, which are the same on every shard.
    pub subscribed: [u64; 4],
}

/// Figures of a database of a shard.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DatabaseStats {
    /// Keys.
    pub keys: u64,
    /// Keys with an expiry.
    pub expires: u64,
    /// Estimated mean of their remaining milliseconds.
    pub ttl_ms_mean: u64,
    /// Hashes of which a field has an expiry.
    pub field_expires: u64,
}

impl Shard {
    /// An empty shard: number `index` of `shards`, with `databases` databases, hashing with `seed`
    /// (the same for all shards of a server).
    pub fn new(index: usize, shards: usize, databases: u16, seed: u64) -> Self {
        Self {
            keyspace: Keyspace::new(databases, seed),
            waits: Waits::default(),
            readings: Readings::default(),
            saves: Saves::default(),
            scripts: Scripts::default(),
            loader: None,
            turns: Turns::default(),
            channels: Channels::default(),
            tracking: Tracking::default(),
            in_part: false,
            reading: None,
            rules: Rules::new(seed),
            room: Room::default(),
            outgoing: Vec::new(),
            meter: || 0,
            paused: false,
            index,
            route: Route::new(shards),
        }
    }

    /// Has keys be where `route` says, of as many shards.
    pub fn set_route(&mut self, route: Route) {
        assert_eq!(route.shards(), self.route.shards(), "a server has its shards");
        self.route = route;
    }

    /// Has keys that are due stay until `false`, as CLIENT PAUSE does.
    pub fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
        self.keyspace.set_still(paused);
    }

    /// While keys stand still: has them go for a command that writes, or is served late.
    #[cold]
    pub(crate) fn set_still_for(&mut self, row: Option<&Row>) {
        self.keyspace.set_still(row.is_some_and(|row| !row.flags.has(Flags::WRITE)));
    }

    #[inline]
    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Measures commands from now on.
    pub fn set_meter(&mut self, meter: Meter) {
        self.meter = meter;
    }

    pub(crate) fn meter(&self) -> Meter {
        self.meter
    }

    /// What the meter shows.
    #[inline]
    pub(crate) fn instant(&self) -> u64 {
        (self.meter)()
    }

    /// A coordinator of transactions for the core of this shard.
    pub fn coordinator<C: Copy>(&self, route: Route) -> Coordinator<C> {
        Coordinator::new(self.index, route, self.keyspace.hasher())
    }

    /// The hash of a key, the same on every shard of a server.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.keyspace.hash(key)
    }

    /// First pass over commands that will run soon: begins to load the table's line for the key
    /// with this hash.
    #[inline]
    pub fn prefetch_bucket(&self, db: u16, hash: u64) {
        self.keyspace.prefetch_bucket(db, hash);
    }

    /// Second pass: begins to load the record itself.
    #[inline]
    pub fn prefetch_record(&self, db: u16, hash: u64) {
        self.keyspace.prefetch_record(db, hash);
    }

    /// Runs a command and writes its reply, or its error instead.
    #[inline]
    pub fn run(&mut self, now: Millis, call: &Call<'_>, reply: &mut Reply<'_>) -> Ran {
        self.make_room_for(call.task.row(), now);
        if self.keyspace.is_saving() {
            self.save_before_call(call);
        }
        if !self.turns.is_empty()
            && let Some(number) = self.hold_back(call, reply.protocol())
        {
            return Ran::Later(number);
        }
        let ran = self.run_one(now, call, &mut Vec::new(), reply);
        if self.keyspace.has_ready() {
            self.serve_waits(now);
        }
        ran
    }

    /// The same with nothing in its way, with values that came from other shards, and before
    /// anybody is served that waits for what it does.
    #[inline]
    pub(crate) fn run_one(
        &mut self,
        now: Millis,
        call: &Call<'_>,
        incoming: &mut Vec<Carried>,
        reply: &mut Reply<'_>,
    ) -> Ran {
        if self.paused {
            self.set_still_for(call.task.row());
        }
        let silent = call.speaker.is_some_and(Speaker::is_silent) && is_silenced(call.task.row());
        self.keyspace.set_silent(silent);
        let mark = reply.len();
        let mut ran = Ran::Done;
        let result = match call.task {
            Task::Run(_, run) => {
                run(&mut self.scope(now, call.db, call.hash, incoming), &call.args, reply)
            }
            _ => self.run_other(now, call, incoming, reply).map(|waits| ran = waits),
        };
        if let Err(error) = result {
            reply.truncate(mark);
            reply.error(error.text().as_bytes());
        }
        if self.keyspace.has_changed() {
            self.tell_changes(call.speaker);
        }
        if self.keyspace.has_events() {
            self.publish_events();
        }
        if call.speaker.is_some() && ran == Ran::Done {
            self.remember(call, call.task.row());
        }
        if let Some(plan) = self.reading.take() {
            let head = reply.take_from(mark);
            ran = self.begin_reading(plan, (call.sender, reply.protocol()), now, head);
        }
        ran
    }

    /// Runs what is not simply a command's function; whether it replied or waits.
    fn run_other(
        &mut self,
        now: Millis,
        call: &Call<'_>,
        incoming: &mut Vec<Carried>,
        reply: &mut Reply<'_>,
    ) -> Result<Ran, Error> {
        match call.task {
            Task::Try(row, try_run, waiter) | Task::Park(row, try_run, waiter) => {
                let mut scope = self.scope(now, call.db, call.hash, incoming);
                let Some(wait) = try_run(&mut scope, &call.args, reply)? else {
                    return Ok(Ran::Done);
                };
                let (db, protocol, args) = (call.db, reply.protocol(), call.args);
                let spread = matches!(call.task, Task::Park(..));
                if let Some(words) = wait.words.as_ref().filter(|_| spread) {
                    // Home tries it again with these.
                    reply.array(words.len());
                    words.iter().for_each(|word| reply.bulk(word));
                }
                let speaker = call.speaker;
                let parking = Parking { waiter, row, try_run, db, protocol, args, spread, speaker };
                self.park(&parking, &wait);
                return Ok(Ran::Parked(wait.until));
            }
            Task::Once(_, try_run) => {
                let mut scope = self.scope(now, call.db, call.hash, incoming);
                if let Some(wait) = try_run(&mut scope, &call.args, reply)? {
                    wait.null.write(reply);
                    return Ok(Ran::Parked(None));
                }
            }
            Task::Watch(_, watcher) => {
                self.watch(watcher, call.db, &call.args, now);
                reply.ok();
            }
            Task::Listen(kind, joins) => self.listen(kind, joins, call),
            Task::Remember(speaker) => self.remember_own(&call.args, speaker),
            Task::Load(origin) => self.load(now, origin, call, reply),
            Task::Retire(waiter, why) => self.retire(waiter, why),
            Task::Stay(waiter) => self.stay(waiter),
            Task::Script(_) => return self.run_script(now, call, reply),
            Task::Release(id) => self.release(id, now),
            Task::Unwatch(watcher) => {
                self.keyspace.unwatch(watcher, now);
            }
            Task::Run(..) => unreachable!("a command's function is run at once"),
        }
        Ok(Ran::Done)
    }

    /// Notes that a core has a subscriber more, or less, to each of the words.
    #[cold]
    fn listen(&mut self, kind: channels::Kind, joins: bool, call: &Call<'_>) {
        for name in call.args.from(0) {
            self.channels.count(kind, name, call.sender.0, joins);
        }
        self.look_after_changes();
    }

    #[inline]
    pub(crate) fn scope<'a>(
        &'a mut self,
        now: Millis,
        db: u16,
        hash: u64,
        incoming: &'a mut Vec<Carried>,
    ) -> Scope<'a> {
        Scope {
            keyspace: &mut self.keyspace,
            rules: &self.rules,
            now,
            db,
            hash,
            shard: self.index,
            route: &self.route,
            channels: &mut self.channels,
            incoming,
            outgoing: &mut self.outgoing,
            may_read_on: !self.in_part,
            reading: &mut self.reading,
        }
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn shards(&self) -> usize {
        self.route.shards()
    }

    pub(crate) fn route(&self) -> &Route {
        &self.route
    }

    /// The values that the last command sends along with its reply.
    #[inline]
    pub(crate) fn take_outgoing(&mut self) -> Vec<Carried> {
        std::mem::take(&mut self.outgoing)
    }

    /// Work that no command asks for, bounded: removes keys due at `now` and frees what was
    /// flushed. Call it about `TICKS_PER_SECOND` times a second; when it answers true, there is
    /// more to do, and the next call should come as soon as clients leave time.
    pub fn tick(&mut self, now: Millis) -> bool {
        let freeing = self.keyspace.free_some() | self.tracking.free_some();
        self.keep_tracked_bound();
        if self.paused {
            return freeing;
        }
        let sweeping = self.keyspace.sweep_parts(&self.rules, now);
        let compacting = self.keyspace.compact();
        let more = self.keyspace.sweep(now).more || sweeping || freeing || compacting;
        self.serve_put_off(now);
        more
    }

    /// True if `tick` has nothing to wait for: no key here will ever be due, and nothing waits to
    /// be freed.
    pub fn is_idle(&self) -> bool {
        self.keyspace.is_still()
    }

    /// Changes to its keys since the start.
    pub fn changes(&self) -> u64 {
        self.keyspace.counters().changes
    }

    /// Bytes that it holds ready for records to come: no record lies there now.
    pub fn idle_bytes(&self) -> usize {
        self.keyspace.idle_bytes()
    }

    /// Keys of all its databases.
    pub fn keys(&self) -> u64 {
        (0..self.keyspace.databases()).map(|db| self.keyspace.len(db) as u64).sum()
    }

    /// Figures, for INFO and metrics.
    pub fn stats(&self) -> ShardStats {
        let counters = self.keyspace.counters();
        let (freeing, freed) = self.keyspace.freeing();
        let figures = |db| DatabaseStats {
            keys: self.keyspace.len(db) as u64,
            expires: self.keyspace.expires(db) as u64,
            ttl_ms_mean: self.keyspace.ttl_ms_mean(db),
            field_expires: self.keyspace.keys_with_due(db) as u64,
        };
        ShardStats {
            databases: (0..self.keyspace.databases()).map(figures).collect(),
            changes: counters.changes,
            expired_keys: counters.expired_keys,
            expired_fields: counters.expired_parts,
            evicted_keys: counters.evicted_keys,
            keyspace_hits: counters.hits,
            keyspace_misses: counters.misses,
            memory_bytes: self.keyspace.memory_bytes() as u64,
            freeing: freeing as u64,
            freed,
            waiting: self.waits.len() as u64,
            awaited_keys: self.keyspace.awaited_keys() as u64,
            script_bytes: self.scripts.bytes() as u64,
            watched_keys: self.keyspace.watched_keys() as u64,
            needed_keys: self.waits.needed_keys() as u64,
            tracked_keys: self.tracking.len().0 as u64,
            tracked_items: self.tracking.len().1 as u64,
            subscribed: channels::Kind::ALL.map(|kind| self.subscribed(kind)),
        }
    }

    /// Counts hits, misses and expired keys anew, as CONFIG RESETSTAT does.
    pub fn reset_stats(&mut self) {
        self.keyspace.reset_counters();
    }

    /// Switches the active removal of due keys, as DEBUG SET-ACTIVE-EXPIRE does.
    pub fn set_active_expiry(&mut self, enabled: bool) {
        self.keyspace.set_active_expiry(enabled);
    }

    /// Sets the bounds of the compact forms of values, as CONFIG SET does.
    pub fn set_encodings(&mut self, encodings: &Encodings) {
        self.rules.encodings = *encodings;
    }

    /// Sets which events are noted (`Keyspace::take_events`), as CONFIG SET does.
    pub fn set_notify(&mut self, classes: Class) {
        self.keyspace.set_notify(classes);
    }

    /// The keyspace, for questions that are no command.
    pub fn keyspace(&mut self) -> &mut Keyspace {
        &mut self.keyspace
    }
}

// A shard may be run by any one core at a time.
const fn assert_send<T: Send>() {}
const _: () = assert_send::<Shard>();

/// One command to run.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What to do.
    pub task: Task,
    /// Who asks.
    pub sender: Sender,
    /// The client's database.
    pub db: u16,
    /// The hash of its first key, or 0.
    pub hash: u64,
    /// The client, if it caches what it reads.
    pub speaker: Option<Speaker>,
    /// Its words.
    pub args: Args<'a>,
}

/// The core that a call comes from, and that hears what comes of it late.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sender(pub u16);

impl Task {
    /// The row of a command.
    #[inline]
    pub fn row(&self) -> Option<&'static Row> {
        match *self {
            Self::Run(row, _) | Self::Once(row, _) => Some(row),
            Self::Try(row, ..) | Self::Park(row, ..) | Self::Watch(row, _) => Some(row),
            Self::Script(row) => Some(row),
            Self::Retire(..) | Self::Stay(_) | Self::Release(_) => None,
            Self::Unwatch(_) | Self::Listen(..) | Self::Remember(_) | Self::Load(_) => None,
        }
    }
}

/// What a call does.
#[derive(Clone, Copy, Debug)]
pub enum Task {
    /// Runs a command's function.
    Run(&'static Row, Run),
    /// Tries a command that may wait.
    Try(&'static Row, Try, Waiter),
    /// The same for a command whose keys live on several shards: here it waits, and whatever
    /// happens to its keys is only said to its home.
    Park(&'static Row, Try, Waiter),
    /// Tries a command that does not wait, though it might elsewhere.
    Once(&'static Row, Try),
    /// Ends a wait; its late reply, if there is one, is what is heard of it.
    Retire(Waiter, Retire),
    /// Has a wait go on whose home was told that there was something for it.
    Stay(Waiter),
    /// Gives back the locks of a transaction.
    Release(TransactionId),
    /// Has a client watch keys.
    Watch(&'static Row, Watcher),
    /// Has a client watch nothing any more.
    Unwatch(Watcher),
    /// Runs a script whose keys are all on the shard.
    Script(&'static Row),
    /// Counts a subscriber more on the sender's core to each of the words, or one less.
    Listen(channels::Kind, bool),
    /// Remembers who has read those of the words that are keys of this shard.
    Remember(Speaker),
    /// Puts a record of a file in: its key, what is said of it (`snapshot::Head`), its object.
    Load(Origin),
}

/// True if a command counts as use of its keys only where its client wants that: all but TOUCH.
#[cold]
fn is_silenced(row: Option<&Row>) -> bool {
    row.is_none_or(|row| row.name != "touch")
}
