//! Every bound of an interpreter.

/// Bytes that the values of an interpreter may take, garbage included.
pub const HEAP_BYTES_MAX: usize = 512 << 20;
/// Bytes beyond that which are lent for the words of an error.
pub const HEAP_BYTES_SPARE: usize = 1 << 20;
/// Bytes of values from which on the garbage of a run is collected as it ends, at least.
pub const HEAP_BYTES_TIDY: usize = 32 << 20;
/// Bytes of what a function makes in one piece: a reply, an encoded value.
pub const TEXT_BYTES_MAX: usize = 512 << 20;
/// Bytes of a reply, after which an error takes its place.
pub const REPLY_BYTES_MAX: usize = 1 << 30;
/// Bytes of the words of a command that a script calls.
pub const WORDS_BYTES_MAX: usize = 1 << 30;
/// Bytes of what a script says to the log at once.
pub const LOG_BYTES_MAX: usize = 1024;
/// Bytes of buffers that are kept from one call to the next.
pub const BUFFER_BYTES_KEPT: usize = 64 << 10;
/// Bytes of the stack that a run has: 200 nested C calls (Lua's own bound), each with one of
/// Lua's buffers of 8 KiB, and room for the rest. Pages are used as they are touched.
pub const STACK_BYTES: usize = 8 << 20;
/// Instructions between two looks at the time; some microseconds, unless they do much each.
pub const INSTRUCTIONS_PER_LOOK: i32 = 1_000;
/// Bytes that are much for one instruction: after so many the next looks at the time.
pub const INSTRUCTION_BYTES_MAX: usize = 32 << 10;
/// How long a run goes on before others have their turn, in nanoseconds.
pub const SLICE_NANOSECONDS: u64 = 1_000_000;
/// Instructions that a library may take to load.
pub const LOAD_INSTRUCTIONS_MAX: u32 = 50_000_000;
/// How deep tables within tables may lie in a reply.
pub const REPLY_DEPTH_MAX: usize = 7_995;
/// How deep arrays within arrays may lie in what a command replied.
pub const CALLED_DEPTH_MAX: usize = 128;
/// Parts of a pattern that are matched by recursion, in one pattern.
pub const PATTERN_PARTS_MAX: usize = 8_000;
/// Levels of what cmsgpack packs; deeper ones become nil.
pub const PACK_DEPTH_MAX: usize = 16;
/// Levels that JSON has unless a script says otherwise.
pub const JSON_DEPTH: usize = 1_000;
/// Levels that a script may ask for in JSON.
pub const JSON_DEPTH_MAX: usize = 16_000;

const _: () = assert!(STACK_BYTES >= 200 * (8 << 10) * 4, "nested C calls fit the stack");
const _: () = assert!(HEAP_BYTES_TIDY < HEAP_BYTES_MAX);
const _: () = assert!(WORDS_BYTES_MAX + HEAP_BYTES_MAX < u32::MAX as usize, "a word has 32 bits");
