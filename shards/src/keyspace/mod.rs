//! Every database of a shard; the only way to a value.

/// The databases of one shard.
#[derive(Debug)]
pub struct Keyspace {
    seed: u64,
    databases: u16,
}

impl Keyspace {
    /// Empty databases, hashing with `seed`.
    pub fn new(databases: u16, seed: u64) -> Self {
        Self { seed, databases }
    }
}
