//! How large a value may grow before it is kept in another form, under Redis's names.

use crate::table::Hasher;
use std::ops::Deref;

/// The bounds of the compact forms, as CONFIG gives them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Encodings {
    /// Fields of a packed hash, at most.
    pub hash_max_listpack_entries: usize,
    /// Bytes of a field or value of a packed hash, at most.
    pub hash_max_listpack_value: usize,
    /// Size of a node of a list: elements where positive; -1 to -5 are 4, 8, 16, 32 and 64 KiB.
    pub list_max_listpack_size: i32,
    /// Bytes from which on an element of a long list has a node of its own, where a whole node may
    /// be larger. For tests: DEBUG QUICKLIST-PACKED-THRESHOLD lowers it.
    pub list_plain_bytes_min: usize,
    /// Nodes at each end of a list that are not compressed; accepted, nothing is compressed.
    pub list_compress_depth: usize,
    /// Members of a set of integers kept as such, at most.
    pub set_max_intset_entries: usize,
    /// Members of a packed set, at most.
    pub set_max_listpack_entries: usize,
    /// Bytes of a member of a packed set, at most.
    pub set_max_listpack_value: usize,
    /// Members of a packed sorted set, at most.
    pub zset_max_listpack_entries: usize,
    /// Bytes of a member of a packed sorted set, at most.
    pub zset_max_listpack_value: usize,
    /// Bytes of a node of a stream, at most; 0 is no bound.
    pub stream_node_max_bytes: usize,
    /// Entries of a node of a stream, at most; 0 is no bound.
    pub stream_node_max_entries: usize,
    /// Bytes of a sparse HyperLogLog, its header among them, at most.
    pub hll_sparse_max_bytes: usize,
    /// Strings in DUMP and in files are compressed.
    pub rdb_compression: bool,
}

impl Default for Encodings {
    fn default() -> Self {
        Self {
            hash_max_listpack_entries: 512,
            hash_max_listpack_value: 64,
            list_max_listpack_size: -2,
            list_plain_bytes_min: usize::MAX,
            list_compress_depth: 0,
            set_max_intset_entries: 512,
            set_max_listpack_entries: 128,
            set_max_listpack_value: 64,
            zset_max_listpack_entries: 128,
            zset_max_listpack_value: 64,
            stream_node_max_bytes: 4096,
            stream_node_max_entries: 100,
            hll_sparse_max_bytes: 3000,
            rdb_compression: true,
        }
    }
}

/// What values need to know of their server: the bounds of encodings, and how names are hashed.
#[derive(Clone)]
pub struct Rules {
    /// The bounds.
    pub encodings: Encodings,
    pub(crate) hasher: Hasher,
}

impl Rules {
    /// The default bounds, hashing with `seed`.
    pub fn new(seed: u64) -> Self {
        Self { encodings: Encodings::default(), hasher: Hasher::new(seed) }
    }
}

impl Deref for Rules {
    type Target = Encodings;

    #[inline]
    fn deref(&self) -> &Encodings {
        &self.encodings
    }
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The seed is unknown to clients, and so it stays.
        f.debug_struct("Rules").field("encodings", &self.encodings).finish_non_exhaustive()
    }
}
