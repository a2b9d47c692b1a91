//! Every bound of this package, each checked against the ones it depends on.

use std::time::Duration;

/// Longest inline request, and longest count line of a request, in bytes (Redis: 64 KiB).
pub const INLINE_BYTES_MAX: usize = 64 * 1024;
/// Most arguments of one request (Redis: the largest 32-bit integer; memory bounds it first).
pub const ARGS_MAX: i64 = i32::MAX as i64;
/// Arguments that an idle parser keeps room for.
pub const ARGS_KEPT_MAX: usize = 64;
/// Most arguments of a request before the client has authenticated.
pub const ARGS_UNAUTHENTICATED_MAX: i64 = 10;
/// Longest argument before the client has authenticated, in bytes.
pub const BULK_UNAUTHENTICATED_BYTES_MAX: i64 = 16 * 1024;
/// Default longest argument, in bytes (`proto-max-bulk-len`).
pub const BULK_BYTES_MAX: i64 = 512 * 1024 * 1024;
/// Values within values that a reply may hold; its reader goes one call deeper for each.
pub const REPLY_DEPTH_MAX: usize = 64;
/// Longest line of a reply: a simple string, an error, a number, a length.
pub const REPLY_LINE_BYTES_MAX: usize = 1024 * 1024;

const _: () = assert!(ARGS_UNAUTHENTICATED_MAX < ARGS_MAX);
const _: () = assert!(BULK_UNAUTHENTICATED_BYTES_MAX < BULK_BYTES_MAX);

/// Entries of a core's submission queue; more wait in memory for the next call.
pub const SUBMISSION_ENTRIES: u32 = 1024;
/// Entries of a core's completion queue.
pub const COMPLETION_ENTRIES: u32 = 8 * SUBMISSION_ENTRIES;
/// Size of a provided receive buffer, in bytes.
pub const BUFFER_BYTES: usize = 16 * 1024;
/// Provided receive buffers of a core.
pub const BUFFER_COUNT: u16 = 256;
/// Parcels in one lane between two cores.
pub const LANE_LEN: usize = 64;
/// Most open sockets of one core.
pub const SOCKETS_MAX: usize = 1 << 24;

/// From one heartbeat of a ring to the next: the longest sleep of a core.
pub const HEARTBEAT: Duration = Duration::from_millis(100);
/// Sockets of a core that the kernel finds without a look-up; others work as well.
pub const FILES_MAX: u32 = 16 * 1024;

const _: () = assert!(COMPLETION_ENTRIES as usize > BUFFER_COUNT as usize);

/// Longest record of TLS, in bytes: header, what it carries, and what may be around it.
pub const TLS_RECORD_BYTES_MAX: usize = 5 + 16 * 1024 + 2 * 1024;
/// Bytes of a TLS connection that may wait until a record, or a message of a handshake in several
/// records, is whole. Chains of certificates are the longest of these.
pub const TLS_WAITING_BYTES_MAX: usize = 16 * 1024 + TLS_RECORD_BYTES_MAX;
/// Longest file of certificates or keys, in bytes.
pub const TLS_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most files in a directory of certificates.
pub const TLS_FILES_MAX: usize = 4096;

/// What files are written and read in, in bytes: what any disk takes past the kernel's cache.
pub const DISK_BLOCK_BYTES: usize = 4096;
/// Aligned buffers that an open file keeps for the next write.
pub const DISK_SPARE_BUFFERS_MAX: usize = 2;
/// Names of a directory that are looked at, at most.
pub const DIRECTORY_NAMES_MAX: usize = 1 << 20;

const _: () = assert!(DISK_BLOCK_BYTES.is_power_of_two());

/// Bytes of requests to another server that wait to be written, from which on none should come.
pub const OUTGOING_BYTES_MAX: usize = 1024 * 1024;
/// Requests to another server that may go unanswered while more are written.
pub const OUTGOING_UNANSWERED_MAX: usize = 128;
/// Longest answer of another server, in bytes.
pub const OUTGOING_LINE_BYTES_MAX: usize = 4096;
