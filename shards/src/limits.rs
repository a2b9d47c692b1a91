//! Every bound of this package, each checked against the ones it depends on.

/// Databases a server may have (`databases`), at most.
pub const DATABASES_MAX: u16 = 1024;
/// Longest string value, in bytes (Redis: 512 MiB, `proto-max-bulk-len`).
pub const STRING_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Bits that a string may have: the place of one is below that.
pub const BITS_MAX: u64 = STRING_BYTES_MAX as u64 * 8;
/// Bytes of the result that BITOP works on at once, so that they stay in the nearest cache.
pub const BITOP_BLOCK_BYTES: usize = 8 * 1024;
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
/// Longest string kept in its key's record; a longer one has an allocation of its own.
pub const INLINE_BYTES_MAX: usize = 1024;
/// Bytes of a slab of records of one size.
pub const SLAB_BYTES: usize = 32 * 1024;
/// Longest record that lies in a slab; a longer one has an allocation of its own.
pub const SLAB_BLOCK_BYTES_MAX: usize = 1024;
/// Empty slabs that a shard keeps.
pub const SLABS_SPARE_MAX: usize = 8;
/// Idle bytes in a shard's slabs below which records are not moved.
pub const COMPACT_IDLE_BYTES_MIN: usize = 2 * 1024 * 1024;
/// Segments that one tick joins or looks through for records to move: some hundred microseconds.
pub const COMPACT_SEGMENTS_PER_TICK: usize = 3;
/// Changes from a pass that gained little to the next, at least.
pub const COMPACT_CHANGES_MIN: u64 = 10_000;
/// Longest listpack, in bytes: Redis's own bound, well within the 32 bits of its head.
pub const PACKED_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Nodes of a long list that are counted together: a search by index passes over so many.
pub const LIST_CHUNK_NODES_MAX: usize = 64;
/// Spare bytes a growing string is given, at most: appending stays linear, waste bounded.
pub const SPARE_BYTES_MAX: usize = 1024 * 1024;
/// Doublings of a directory of segments: some 10^11 keys.
pub const DIRECTORY_DEPTH_MAX: u8 = 28;
/// Calls of `Shard::tick` a second, where it does not ask for more.
pub const TICKS_PER_SECOND: u32 = 10;
/// Keys with an expiry that one sweep looks at, before it stops at the next segment's end, as long
/// as few are found due.
pub const SWEEP_KEYS_MIN: usize = 512;
/// The most of that: some hundred microseconds.
pub const SWEEP_KEYS_MAX: usize = 4096;
/// Segments that one sweep passes over because nothing in them expires.
pub const SWEEP_SEGMENTS_MAX: usize = 4096;
/// Keys of which it is remembered, from one eviction to the next, that they might go.
pub const EVICT_CANDIDATES: usize = 16;
/// Looks at some keys for one that can go, before it is said that there is none.
pub const EVICT_LOOKS_MAX: usize = 16;
/// Bytes in which a shard remembers evicted keys in cache mode, at least.
pub const GHOSTS_MIN: usize = 1024;
/// Keys that one command evicts before it runs, at the usual tenacity.
pub const EVICT_PER_COMMAND: usize = 64;
/// Keys that one turn of the loop evicts besides.
pub const EVICT_PER_TURN: usize = 256;
/// Segments of a flushed database that one tick frees, with the records in them.
pub const FREE_SEGMENTS_PER_TICK: usize = 4;
/// Elements of a value that is freed in the command that removes it; more are freed in steps.
pub const FREE_AT_ONCE_MAX: usize = 64;
/// Elements of removed values that one tick frees: some hundred microseconds.
pub const FREE_ELEMENTS_PER_TICK: usize = 2048;
/// Latest time at which a field of a hash may expire, in milliseconds since the Unix epoch, as in
/// Redis: in the year 4199.
pub const FIELD_EXPIRY_MAX: u64 = (1 << 46) - 1;
/// Parts of values (fields of hashes) that one tick removes because they are due.
pub const SWEEP_PARTS_MAX: usize = 2048;
/// Elements that a reply holds at most to be written at once; a longer one is written in pieces.
pub const READ_AT_ONCE_MAX: usize = 8192;
/// Elements that one step writes of all long replies together: some hundred microseconds.
pub const READ_ELEMENTS_PER_STEP: usize = 2048;
/// Long replies that one step goes on with.
pub const READINGS_PER_STEP: usize = 4;
/// Due fields, not yet removed, that HLEN counts to leave them out: some hundred microseconds.
pub const COUNT_PARTS_MAX: usize = 1 << 17;
/// Names that lie in one bucket inside a value, before they are spread over many.
pub const FIELDS_FEW_MAX: usize = 48;
/// Bytes of a name and its content that lie in a bucket; longer ones lie apart.
pub const FIELD_INLINE_BYTES_MAX: usize = 128;
/// Splits of a value's table by one bit more: some 10^11 names.
pub const FIELDS_SPLITS_MAX: u8 = 28;
/// Members of a leaf of a sorted set, at most.
pub const LEAF_MEMBERS_MAX: usize = 64;
/// Bytes of their names, at most, but for a name that is longer by itself.
pub const LEAF_NAME_BYTES_MAX: usize = 4096;
/// Leaves of a sorted set that are counted together: a search passes over so many.
pub const CHUNK_LEAVES_MAX: usize = 256;
/// Entries that a coarse trimming deletes, if no LIMIT is given (Redis has the same bound).
pub const STREAM_TRIM_MAX: u64 = 1_000_000;
/// COUNT of XAUTOCLAIM, at most (Redis has the same bound, that of a table of ids in memory).
pub const STREAM_CLAIM_MAX: usize = i64::MAX as usize / 16;
/// Cells of the table with which LCS compares two strings. Redis holds 4 bytes for each and takes
/// at most as many as a string may have; ours takes less, but some 0.2 s of one core as well.
pub const LCS_CELLS_MAX: usize = STRING_BYTES_MAX / 4;
/// Registers of a HyperLogLog: what its error of 0.8 % and its bytes come from.
pub const HLL_REGISTERS: usize = 16_384;
/// Stars of a pattern, those in a row counted once; Redis has the same bound.
pub const GLOB_STARS_MAX: usize = 1000;
/// Blind picks before RANDOMKEY walks to the next key instead.
pub const RANDOM_PICKS_MAX: usize = 100;
/// Members that one SRANDMEMBER or ZRANDMEMBER picks where the same may come twice.
pub const RANDOM_MEMBERS_MAX: usize = 1 << 24;
/// Longest value that memcached's clients may store, in bytes, as in memcached itself.
pub const MEMCACHED_VALUE_BYTES_MAX: usize = 1024 * 1024;
/// States of values whose numbers a shard keeps for memcached's `cas`; the oldest go first.
pub const MEMCACHED_TOKENS_MAX: usize = 1 << 16;
/// Keys that one SCAN looks at, whatever count the client asks for.
pub const SCAN_COUNT_MAX: usize = 10_000;

/// Bytes of options, once for each key, of a command that is run key by key on several shards.
pub const MERGED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Empty messages of transactions that a core keeps for use again.
pub const TRANSACTIONS_KEPT_MAX: usize = 256;

const _: () = assert!(INLINE_BYTES_MAX <= u16::MAX as usize, "a record's header has 16 bits");
const _: () = assert!(DIRECTORY_DEPTH_MAX < 32, "the directory holds 32-bit indexes");
const _: () = assert!(SHARDS_MAX <= SLOT_COUNT as usize, "each shard owns a slot at least");
const _: () = assert!(PREFETCH_DEPTH <= BATCH_COMMANDS_MAX);
/// Bytes an idle batch keeps for its next use, in each of its buffers.
pub const BATCH_KEEP_BYTES_MAX: usize = 256 * 1024;

const _: () = assert!(BATCH_KEEP_BYTES_MAX <= BATCH_BYTES_MAX);
const _: () = assert!(READINGS_PER_STEP <= READ_ELEMENTS_PER_STEP, "a step writes something");
/// Keys of caching clients that are forgotten at a time where there are too many.
pub const TRACKED_DROP_MAX: usize = 100;
/// Forgotten keys of caching clients that are freed in one tick.
pub const TRACKED_FREE_MAX: usize = 10_000;

/// Elements of a value that a snapshot writes at once; more are written in steps.
pub const ENCODE_AT_ONCE_MAX: usize = 4096;
/// Steps of a stream that a snapshot takes at once, each of a part of the elements.
pub const ENCODE_STREAM_STEPS_MAX: usize = 8;
/// Bytes of a string that counts as one element of what a snapshot writes in a step.
pub const ENCODE_TEXT_STEP_BYTES: usize = 64;
/// Longest string that a snapshot compresses: half a millisecond of one core.
pub const ENCODE_COMPRESS_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a chunk of a snapshot's file; the last of a shard is shorter, and one may be longer
/// that is a single record.
pub const SAVE_CHUNK_BYTES: usize = 1 << 20;
/// Bytes of a chunk that are left for what fills it up.
pub const SAVE_CHUNK_FILL_BYTES: usize = 64;
/// Bytes of a record that a snapshot keeps in memory; of a longer one, what comes then is written
/// twice.
pub const SAVE_RECORD_BYTES_MAX: usize = 4 << 20;
/// Segments of a table that one step of a snapshot goes through, at most.
pub const SAVE_SEGMENTS_PER_STEP: usize = 4;
/// Bytes that one step of a snapshot writes, about.
pub const SAVE_BYTES_PER_STEP: u64 = 16 * 1024;
/// Elements of a long value that one step of a snapshot writes.
pub const SAVE_ELEMENTS_PER_STEP: usize = 1024;
/// Elements as which a node of a stream counts in a step.
pub const ENCODE_NODE_COST: usize = 64;

/// Interpreters without work that a shard keeps.
pub const INTERPRETERS_KEPT_MAX: usize = 4;
/// Scripts that an interpreter keeps compiled.
pub const SCRIPTS_COMPILED_MAX: usize = 1024;
