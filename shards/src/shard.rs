//! A shard: one core's slice of the keyspace, and the running of commands on it.

use crate::commands::Args;
use crate::keyspace::Keyspace;
use pinion_io::resp::Reply;

/// Milliseconds since the Unix epoch.
pub type Millis = u64;

/// What a command may touch while it runs.
#[derive(Debug)]
pub struct Scope<'a> {
    /// Every database of this shard.
    pub keyspace: &'a mut Keyspace,
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

/// One core's slice of the keyspace.
#[derive(Debug)]
pub struct Shard {
    keyspace: Keyspace,
    index: usize,
    shards: usize,
}

/// Figures of a shard, for INFO and metrics.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ShardStats {
    /// Of each database: keys, keys with an expiry, sum of their remaining milliseconds.
    pub databases: Vec<DatabaseStats>,
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
        Self { keyspace: Keyspace::new(databases, seed), index, shards }
    }

    /// Runs a command's function and writes its reply, or its error instead.
    /// `hash` is that of its first key (`Keyspace::hash`), or 0.
    #[inline]
    pub fn run(&mut self, now: Millis, call: &Call<'_>, reply: &mut Reply<'_>) {
        let mark = reply.len();
        let mut scope = Scope {
            keyspace: &mut self.keyspace,
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
}

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
