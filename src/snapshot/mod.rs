//! Snapshots: one stock RDB file that every core writes at once.
//!
//! The file is made of units of 4 KiB. Who has a chunk full takes as many units as it needs from
//! one counter, and writes it there; so the order of chunks is that of chance, and any order is
//! right, since each begins with the database of its keys and holds whole records.
//!
//! ```text
//! offset        what
//! 0             magic, AUX fields, AUX "pinion-index" with the place of the index, AUX fill:
//!               one unit, written last, since the version is known at the end
//! 4096          chunks, each followed by an AUX that fills its last unit
//! n * 4096      AUX "pinion-chunks": the index; END; 8 bytes with the checksum of all before
//! ```
//!
//! The index is
//!
//! ```text
//! 1 byte        its form: 1
//! length        how many chunks there are; then for each, in the order of the file:
//! length        its units
//! length        the shard whose keys it holds
//! 8 bytes       its checksum, little-endian; 0 if the file has none
//! ```
//!
//! So this server loads its own files with all cores, and all others read them from front to end,
//! passing over the AUX fields they do not know.
//!
//! The file comes into being under a temporary name, is synced, gets its name, and its directory is
//! synced. Until then the last good file is what is there.

mod file;
mod index;
pub mod loading;
mod names;
pub mod save;
mod schedule;
mod state;
mod stop;

pub use file::{Finished, Head, Order, Run, Snapshot, Writer};
pub use index::{Chunk, Index, UNIT_BYTES, read_index};
pub use names::{Names, forgotten};
pub use schedule::{SavePoint, Schedule, parse_save_points, show_save_points};
pub use state::{Current, Due, Saves, Status};
pub use stop::Stop;

#[cfg(test)]
mod tests;
