//! Every database of a shard; the only way to a value.
//!
//! Callers name a key by database, bytes and hash (`Key`), and say what time it is; a key that is
//! due at that time is removed before anything else is done with it. Every change passes
//! `touched`, so that there is one place to hang on to what changes.
//!
//! A database is a `table::Table`; `sweep` removes what is due, `walk` goes over all keys.

mod awaited;
mod compact;
mod cursor;
mod due;
mod events;
mod evict;
mod ghosts;
mod graves;
mod loading;
mod locks;
mod marks;
mod open;
mod saving;
mod strings;
mod sweep;
mod uses;
mod walk;
mod watches;
mod whole;

pub use cursor::Cursor;
pub use events::{Class, Event};
pub use evict::{Choice, Policy};
pub use loading::Aside;
pub use open::Open;
pub(crate) use saving::Step;
pub use sweep::Swept;

use crate::limits::DATABASES_MAX;
use crate::random::Random;
use crate::shard::Millis;
use crate::table::{Entry, Hasher, Heap, Place, Table, prefetch};
use crate::value::{Content, Kind, Object, Value};
use awaited::Awaited;
use compact::Compact;
use due::Due;
use events::Events;
use evict::Evictor;
use ghosts::Ghosts;
use graves::Graves;
use marks::Marks;
use saving::Saving;
use sweep::Sweep;
use uses::{Uses, idle_seconds};
use watches::Watches;

/// The databases of one shard.
pub struct Keyspace {
    hasher: Hasher,
    databases: Vec<Table>,
    /// Where the records of all databases lie.
    heap: Heap,
    /// Where values that lie in records are changed.
    buffer: Vec<u8>,
    compact: Compact,
    graves: Graves,
    sweep: Sweep,
    due: Due,
    awaited: Awaited,
    watches: Watches,
    marks: Marks,
    events: Events,
    changes: Changes,
    /// Hashes of keys that must stay as they are, in whatever database.
    locks: Vec<u64>,
    /// The mark of entries that need not be saved any more, or not yet again.
    epoch: bool,
    saving: Option<Box<Saving>>,
    /// What is due stays where it is, and counts as gone.
    still: bool,
    /// Reads do not count as use of a key.
    silent: bool,
    random: Random,
    uses: Uses,
    evictor: Evictor,
    ghosts: Ghosts,
    counters: Counters,
}

/// Keys that have changed, as long as somebody wants to know.
#[derive(Debug, Default)]
struct Changes {
    wanted: bool,
    keys: Vec<Box<[u8]>>,
    /// A database was emptied.
    flushed: bool,
}

/// What has happened since the start, or since it was last reset.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Changes to keys.
    pub changes: u64,
    /// Keys removed because their time had come.
    pub expired_keys: u64,
    /// Parts of values (fields of hashes) removed because their time had come, by sweeps.
    pub expired_parts: u64,
    /// Keys removed for want of memory.
    pub evicted_keys: u64,
    /// Reads that found their key.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
}

/// A key in a database, with its hash.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// The database, below `Keyspace::databases`.
    pub db: u16,
    /// `Keyspace::hash` of the bytes.
    pub hash: u64,
    /// The key's name.
    pub bytes: &'a [u8],
}

/// What a write does to a key's expiry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expiry {
    /// Leaves it; a new key has none.
    Keep,
    /// Takes it away.
    Clear,
    /// Sets it to this time, in milliseconds since the Unix epoch.
    At(Millis),
}

/// What happened to a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Change {
    /// It has another value, or is new.
    Value,
    /// It has another expiry, or none any more.
    Expiry,
    /// It has changed, but not in what is read.
    Aside,
    /// It is gone, by command.
    Removed,
    /// It is gone, by time.
    Expired,
}

/// A key and all that is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    entry: &'a Entry,
}

impl<'a> Record<'a> {
    /// Its name.
    pub fn key(self) -> &'a [u8] {
        self.entry.key()
    }

    /// Its value.
    pub fn value(self) -> Value<'a> {
        self.entry.value()
    }

    /// When it expires, in milliseconds since the Unix epoch.
    pub fn expiry(self) -> Option<Millis> {
        self.entry.expiry()
    }

    /// Seconds since it was last used, modulo 194 days.
    pub fn idle_seconds(self, now: Millis) -> u32 {
        idle_seconds(self.entry.seconds(), now)
    }

    /// The name OBJECT ENCODING gives to how it is kept.
    pub fn encoding(self) -> &'static str {
        match self.entry.value() {
            Value::Int(_) => "int",
            Value::Str(bytes) if bytes.len() <= EMBSTR_BYTES_MAX && !self.entry.is_raw() => {
                "embstr"
            }
            Value::Str(_) => "raw",
            Value::List(list) => list.encoding(),
            Value::Set(set) => set.encoding(),
            Value::Hash(hash) => hash.encoding(),
            Value::SortedSet(set) => set.encoding(),
            Value::Stream(stream) => stream.encoding(),
        }
    }

    /// Bytes of memory for key and value, and its word in the table.
    pub fn bytes(self) -> usize {
        self.entry.bytes() + size_of::<Entry>()
    }
}

/// Longest string that Redis calls `embstr`.
const EMBSTR_BYTES_MAX: usize = 44;

impl Keyspace {
    /// Empty databases, hashing with `seed`.
    ///
    /// # Panics
    /// If `databases` is 0 or more than `DATABASES_MAX`.
    pub fn new(databases: u16, seed: u64) -> Self {
        assert!(databases > 0, "a server has a database");
        assert!(databases <= DATABASES_MAX, "databases are bounded");
        Self {
            hasher: Hasher::new(seed),
            databases: (0..databases).map(|_| Table::default()).collect(),
            heap: Heap::default(),
            buffer: Vec::new(),
            compact: Compact::default(),
            graves: Graves::default(),
            sweep: Sweep::default(),
            due: Due::new(databases),
            awaited: Awaited::new(databases),
            watches: Watches::default(),
            marks: Marks::default(),
            events: Events::default(),
            changes: Changes::default(),
            locks: Vec::new(),
            epoch: false,
            saving: None,
            still: false,
            silent: false,
            random: Random(seed),
            uses: Uses::new(!seed),
            evictor: Evictor::default(),
            ghosts: Ghosts::default(),
            counters: Counters::default(),
        }
    }

    /// How many databases there are.
    pub fn databases(&self) -> u16 {
        self.databases.len() as u16
    }

    /// What hashes keys.
    pub(crate) fn hasher(&self) -> Hasher {
        self.hasher.clone()
    }

    /// The hash of a key, the same on every shard of a server.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash(key)
    }

    /// Begins to load the table's line for a key that will be looked up soon.
    #[inline]
    pub fn prefetch_bucket(&self, db: u16, hash: u64) {
        if let Some(address) = self.databases[usize::from(db)].bucket_address(hash) {
            prefetch::line(address);
        }
    }

    /// Begins to load the record of a key that will be looked up soon, once its bucket is there.
    #[inline]
    pub fn prefetch_record(&self, db: u16, hash: u64) {
        if let Some(address) = self.databases[usize::from(db)].record_address(hash) {
            prefetch::line(address);
        }
    }

    /// The value of a key, to be read by a client: counts a hit or a miss, and an access.
    #[inline]
    pub fn get(&mut self, key: Key<'_>, now: Millis) -> Option<Value<'_>> {
        let Some(place) = self.live(key, now) else {
            self.missed(key);
            return None;
        };
        self.counters.hits += 1;
        self.note_read(key.db, place, now);
        Some(self.databases[usize::from(key.db)].entry(place).value())
    }

    /// What is known of a key a client asks about: counts a hit or a miss, but no access.
    pub fn look(&mut self, key: Key<'_>, now: Millis) -> Option<Record<'_>> {
        let place = self.live(key, now);
        match place {
            Some(_) => self.counters.hits += 1,
            None => self.missed(key),
        }
        Some(Record { entry: self.databases[usize::from(key.db)].entry(place?) })
    }

    /// Counts a read of a key that is not there.
    #[inline]
    fn missed(&mut self, key: Key<'_>) {
        self.counters.misses += 1;
        self.notify(Class::MISS, "keymiss", key);
    }

    /// What is known of a key, counting nothing.
    pub fn peek(&mut self, key: Key<'_>, now: Millis) -> Option<Record<'_>> {
        let place = self.live(key, now)?;
        Some(Record { entry: self.databases[usize::from(key.db)].entry(place) })
    }

    /// True if the key is there, counting nothing.
    #[inline]
    pub fn contains(&mut self, key: Key<'_>, now: Millis) -> bool {
        self.live(key, now).is_some()
    }

    /// Notes an access; true if the key is there. Counts a hit or a miss.
    pub fn touch(&mut self, key: Key<'_>, now: Millis) -> bool {
        self.get(key, now).is_some()
    }

    /// Gives a key a value, whatever it had.
    #[inline]
    pub fn set(&mut self, key: Key<'_>, now: Millis, content: Content<'_>, expiry: Expiry) {
        let table = &mut self.databases[usize::from(key.db)];
        let Some(place) = table.find(key.hash, key.bytes) else {
            return self.add_new(key, now, content, expiry);
        };
        if table.entry(place).is_due(now) {
            self.expire(key.db, place);
            return self.add_new(key, now, content, expiry);
        }
        let expiry = expiry.over(table.entry(place).expiry());
        if table.entry(place).object().is_some_and(|object| !object.value().is_string()) {
            self.bury(key, place);
            return self.add_entry(key, now, content, expiry);
        }
        self.before_change(key.db, place);
        let used = self.used_by_change(key.db, place, now);
        let (table, heap) = (&mut self.databases[usize::from(key.db)], &self.heap);
        table.edit(place, |entry| entry.replace(heap, content, expiry, used));
        self.touched(key.db, key.bytes, Change::Value);
    }

    fn add_new(&mut self, key: Key<'_>, now: Millis, content: Content<'_>, expiry: Expiry) {
        self.add_entry(key, now, content, expiry.over(None));
        self.notify(Class::NEW, "new", key);
    }

    fn add_entry(
        &mut self,
        key: Key<'_>,
        now: Millis,
        content: Content<'_>,
        expiry: Option<Millis>,
    ) {
        let (name, used) = ((key.hash, key.bytes), self.new_use(key.hash, now));
        self.insert(key, Entry::new(&self.heap, name, content, expiry, used));
        self.touched(key.db, key.bytes, Change::Value);
    }

    /// Adds an entry whose key is not there. It is newer than any snapshot under way.
    #[inline]
    fn insert(&mut self, key: Key<'_>, mut entry: Entry) {
        entry.set_epoch(self.epoch);
        self.databases[usize::from(key.db)].insert(key.hash, entry, &self.hasher);
    }

    /// Removes a key; true if it was there.
    pub fn remove(&mut self, key: Key<'_>, now: Millis) -> bool {
        let Some(place) = self.live(key, now) else { return false };
        self.bury(key, place);
        self.touched(key.db, key.bytes, Change::Removed);
        true
    }

    /// Sets when a key expires, or that it does not; true if the key was there. A time that has
    /// come removes the key.
    pub fn set_expiry(&mut self, key: Key<'_>, now: Millis, expiry: Option<Millis>) -> bool {
        let Some(place) = self.live(key, now) else { return false };
        if expiry.is_some_and(|at| at <= now) {
            return self.remove(key, now);
        }
        self.before_change(key.db, place);
        let used = self.used_by_change(key.db, place, now);
        let (table, heap) = (&mut self.databases[usize::from(key.db)], &self.heap);
        table.edit(place, |entry| {
            entry.touch(used);
            entry.set_expiry(heap, expiry);
        });
        self.touched(key.db, key.bytes, Change::Expiry);
        true
    }

    /// Gives the value and expiry of `from` to `to`, whatever that had, and removes `from`. The
    /// two may be in different databases. False if `from` is not there.
    pub fn rename(&mut self, from: Key<'_>, to: Key<'_>, now: Millis) -> bool {
        let Some(place) = self.live(from, now) else { return false };
        if from.db == to.db && from.bytes == to.bytes {
            return true;
        }
        let entry = self.take(from, place);
        self.touched(from.db, from.bytes, Change::Removed);
        let mut renamed = entry.rename(&self.heap, to.hash, to.bytes);
        renamed.touch(self.new_use(to.hash, now));
        self.put(to, now, renamed);
        self.notify(Class::NEW, "new", to);
        true
    }

    /// Gives a copy of the value and expiry of `from` to `to`, whatever that had. The two may be
    /// in different databases. False if `from` is not there.
    pub fn copy(&mut self, from: Key<'_>, to: Key<'_>, now: Millis) -> bool {
        let Some(place) = self.live(from, now) else {
            self.missed(from);
            return false;
        };
        if from.db == to.db && from.bytes == to.bytes {
            return true;
        }
        self.note_read(from.db, place, now);
        let used = self.new_use(to.hash, now);
        let entry = self.databases[usize::from(from.db)].entry(place);
        let copy = entry.duplicate(&self.heap, (to.hash, to.bytes), used);
        self.put(to, now, copy);
        self.notify(Class::NEW, "new", to);
        true
    }

    /// Puts an entry in, in place of what its key had; true if that was something.
    fn put(&mut self, key: Key<'_>, now: Millis, entry: Entry) -> bool {
        let had = self.remove(key, now);
        self.due.moved(key, None, entry.object().and_then(Object::next_due));
        self.insert(key, entry);
        self.touched(key.db, key.bytes, Change::Value);
        had
    }

    /// Takes an entry out whole.
    fn take(&mut self, key: Key<'_>, place: Place) -> Entry {
        self.before_change(key.db, place);
        let entry = self.databases[usize::from(key.db)].take(place, key.hash);
        self.due.moved(key, entry.object().and_then(Object::next_due), None);
        entry
    }

    /// Takes an entry out for good.
    fn bury(&mut self, key: Key<'_>, place: Place) {
        let entry = self.take(key, place);
        self.graves.bury(entry);
    }

    /// Keys in a database, those that are due but not yet removed among them.
    pub fn len(&self, db: u16) -> usize {
        self.databases[usize::from(db)].len()
    }

    /// True if the database holds no key.
    pub fn is_empty(&self, db: u16) -> bool {
        self.len(db) == 0
    }

    /// Keys with an expiry in a database.
    pub fn expires(&self, db: u16) -> usize {
        self.databases[usize::from(db)].expires()
    }

    /// What has happened since the start or the last reset.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Starts counting anew, as CONFIG RESETSTAT does; changes are not forgotten.
    pub fn reset_counters(&mut self) {
        self.counters = Counters { changes: self.counters.changes, ..Counters::default() };
        self.graves.reset_freed();
    }

    /// Does not count the last change: it and another, here or on another shard, are one.
    pub(crate) fn count_as_one(&mut self) {
        self.counters.changes -= 1;
    }

    /// Bytes of memory in records, objects and tables, those being freed among them.
    pub fn memory_bytes(&self) -> usize {
        let used = self.databases.iter().filter(|table| table.segments() > 0);
        let tables: usize = used.map(|table| table.sums().bytes).sum();
        tables + self.graves.bytes() + self.retired_bytes() + self.ghosts.bytes()
    }

    /// Where a key lies, unless its time has come: then it is removed.
    #[inline]
    fn live(&mut self, key: Key<'_>, now: Millis) -> Option<Place> {
        debug_assert_eq!(key.hash, self.hash(key.bytes), "a key comes with its own hash");
        let table = &self.databases[usize::from(key.db)];
        let place = table.find(key.hash, key.bytes)?;
        if table.entry(place).is_due(now) {
            self.expire(key.db, place);
            return None;
        }
        Some(place)
    }

    /// Has reads count as use of a key, or not.
    #[inline]
    pub(crate) fn set_silent(&mut self, silent: bool) {
        self.silent = silent;
    }

    /// Has what is due stay where it is from now on, or go again. While it stays, nothing may be
    /// put under a key that counts as gone.
    pub(crate) fn set_still(&mut self, still: bool) {
        self.still = still;
    }

    /// Removes a key whose time has come.
    #[cold]
    fn expire(&mut self, db: u16, place: Place) {
        if self.still {
            return;
        }
        let bytes = self.databases[usize::from(db)].entry(place).key().to_vec();
        let key = Key { db, hash: self.hasher.hash(&bytes), bytes: &bytes };
        if self.is_locked(key.hash) {
            return;
        }
        self.bury(key, place);
        self.counters.expired_keys += 1;
        self.touched(db, &bytes, Change::Expired);
        self.notify(Class::EXPIRED, "expired", key);
    }

    /// The one place that every change of a key passes.
    #[inline]
    fn touched(&mut self, db: u16, key: &[u8], change: Change) {
        self.counters.changes += 1;
        let unseen = self.awaited.is_empty() & self.watches.is_empty() & self.marks.is_empty();
        if !(unseen & !self.changes.wanted) {
            self.tell(db, key, change);
        }
    }

    /// Tells of a change those whom it may concern.
    #[cold]
    fn tell(&mut self, db: u16, key: &[u8], change: Change) {
        if !self.awaited.is_empty() && change != Change::Expiry {
            self.awaited.changed(db, key);
        }
        if !self.watches.is_empty() && change != Change::Aside {
            self.watches.changed(db, key);
        }
        if !matches!(change, Change::Expiry | Change::Aside) {
            self.marks.changed(db, key);
        }
        if self.changes.wanted && change != Change::Aside {
            self.changes.keys.push(key.into());
        }
    }

    /// Notes every key that changes from now on, or none.
    pub(crate) fn note_changes(&mut self, wanted: bool) {
        self.changes.wanted = wanted;
    }

    /// True if a key has changed since the last call of `take_changed`, or all have.
    #[inline]
    pub(crate) fn has_changed(&self) -> bool {
        !self.changes.keys.is_empty() | self.changes.flushed
    }

    /// The keys that have changed since the last call, and whether a database was emptied.
    pub(crate) fn take_changed(&mut self) -> (Vec<Box<[u8]>>, bool) {
        (std::mem::take(&mut self.changes.keys), std::mem::take(&mut self.changes.flushed))
    }
}

impl Expiry {
    /// What becomes of the expiry `old`.
    #[inline]
    fn over(self, old: Option<Millis>) -> Option<Millis> {
        match self {
            Self::Keep => old,
            Self::Clear => None,
            Self::At(at) => Some(at),
        }
    }
}

impl std::fmt::Debug for Keyspace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyspace").field("counters", &self.counters).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
