//! A shard: one core's slice of the keyspace, and the running of commands on it.

use crate::commands::Args;
use crate::keyspace::{Key, Keyspace};
use crate::value::{Encodings, Rules};
use pinion_io::resp::Reply;

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
    /// How many shards there are.
    pub shards: usize,
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
    keyspace: Keyspace,
    rules: Rules,
    index: usize,
    shards: usize,
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
    /// Reads that found their key.
    pub keyspace_hits: u64,
    /// Reads that did not.
    pub keyspace_misses: u64,
    /// Bytes in records, tables and large values.
    pub memory_bytes: u64,
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
}

impl Shard {
    /// An empty shard: number `index` of `shards`, with `databases` databases, hashing with `seed`
    /// (the same for all shards of a server).
    pub fn new(index: usize, shards: usize, databases: u16, seed: u64) -> Self {
        Self { keyspace: Keyspace::new(databases, seed), rules: Rules::new(seed), index, shards }
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

    /// Runs a command's function and writes its reply, or its error instead.
    /// `hash` is that of its first key (`Keyspace::hash`), or 0.
    #[inline]
    pub fn run(&mut self, now: Millis, call: &Call<'_>, reply: &mut Reply<'_>) {
        let mark = reply.len();
        let mut scope = Scope {
            keyspace: &mut self.keyspace,
            rules: &self.rules,
            now,
            db: call.db,
            hash: call.hash,
            shard: self.index,
            shards: self.shards,
        };
        if let Err(error) = (call.run)(&mut scope, &call.args, reply) {
            reply.truncate(mark);
            reply.error(error.text().as_bytes());
        }
    }

    /// Work that no command asks for, bounded: removes keys due at `now` and frees what was
    /// flushed. Call it about `TICKS_PER_SECOND` times a second; when it answers true, there is
    /// more to do, and the next call should come as soon as clients leave time.
    pub fn tick(&mut self, now: Millis) -> bool {
        let freeing = self.keyspace.free_some();
        let sweeping = self.keyspace.sweep_parts(&self.rules, now);
        self.keyspace.sweep(now).more || sweeping || freeing
    }

    /// True if `tick` has nothing to wait for: no key here will ever be due, and nothing waits to
    /// be freed.
    pub fn is_idle(&self) -> bool {
        self.keyspace.is_still()
    }

    /// Figures, for INFO and metrics.
    pub fn stats(&self) -> ShardStats {
        let counters = self.keyspace.counters();
        let figures = |db| DatabaseStats {
            keys: self.keyspace.len(db) as u64,
            expires: self.keyspace.expires(db) as u64,
            ttl_ms_mean: self.keyspace.ttl_ms_mean(db),
        };
        ShardStats {
            databases: (0..self.keyspace.databases()).map(figures).collect(),
            changes: counters.changes,
            expired_keys: counters.expired_keys,
            keyspace_hits: counters.hits,
            keyspace_misses: counters.misses,
            memory_bytes: self.keyspace.memory_bytes() as u64,
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
    /// Its function.
    pub run: crate::commands::Run,
    /// The client's database.
    pub db: u16,
    /// The hash of its first key, or 0.
    pub hash: u64,
    /// Its words.
    pub args: Args<'a>,
}
