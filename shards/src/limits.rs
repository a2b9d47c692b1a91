//! Every bound of this package, each checked against the ones it depends on.

/// Databases a server may have (`databases`), at most.
pub const DATABASES_MAX: u16 = 1024;
/// Longest string value, in bytes (Redis: 512 MiB, `proto-max-bulk-len`).
pub const STRING_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = STRING_BYTES_MAX;
/// Slots of the keyspace, as in Redis Cluster.
pub const SLOT_COUNT: u16 = 16_384;
/// Shards of a server, at most: one a core.
pub const SHARDS_MAX: usize = 256;
/// Commands looked up together: deep enough to hide a cache miss, shallow enough for the cache.
pub const PREFETCH_DEPTH: usize = 16;
/// Commands in one batch between cores; more wait for the next.
pub const BATCH_COMMANDS_MAX: usize = 1024;
/// Argument bytes in one batch, beyond which no further command is added.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;

const _: () = assert!(SHARDS_MAX <= SLOT_COUNT as usize, "each shard owns a slot at least");
const _: () = assert!(PREFETCH_DEPTH <= BATCH_COMMANDS_MAX);
