//! Values as they stand in files and in DUMP: written, read, and put where they belong.
//!
//! The format itself is `pinion_rdb`. Here is what our values become in it (`encode`) and what
//! becomes of those of others (`decode`), each as Redis 8 does it, so that either side's bytes are
//! read by the other.
//!
//! | value | in the file |
//! |---|---|
//! | string | its bytes, compressed where that is shorter; an integer of 32 bits as such |
//! | list | its nodes: listpacks, and long elements by themselves |
//! | set | its integers, its listpack, or its members |
//! | hash | its listpack, with or without times, or its fields, with times if one has a time |
//! | sorted set | its listpack, or its members with their scores, the highest first |
//! | stream | its nodes as they are, its counts, its groups with what is pending |
//!
//! What is due stays where it is in a value, and is written with its time: the counts at the head
//! must be right, and who loads it leaves it out.

mod cut;
mod decode;
mod encode;
mod load;

pub(crate) use cut::{Cut, Long};
pub use cut::{Piece, Saved};
pub use decode::{Decoded, Decoder};
pub use encode::{Encoder, Purpose, Rest};
pub use load::{Head, Loaded, Loader};

use pinion_rdb::{Origin, Version, crc, kind};

/// Bytes of the checksum at the end of a payload of DUMP.
const SUM_BYTES: usize = 8;

/// Ends what a DUMP replies: the version of the format, and the checksum of all before.
pub fn seal(payload: &mut Vec<u8>) {
    payload.extend_from_slice(&(kind::VERSION_REDIS_8 as u16).to_le_bytes());
    let sum = crc::crc(payload);
    payload.extend_from_slice(&sum.to_le_bytes());
}

/// What such a payload holds, and who has made it; none if its checksum is not right, or if its
/// version is not known.
pub fn unsealed(payload: &[u8]) -> Option<(Origin, &[u8])> {
    let (summed, sum) = payload.split_last_chunk::<SUM_BYTES>()?;
    if u64::from_le_bytes(*sum) != crc::crc(summed) {
        return None;
    }
    let (held, version) = summed.split_last_chunk()?;
    let version = Version::of_number(u32::from(u16::from_le_bytes(*version))).ok()?;
    Some((version.origin, held))
}

/// The type and the object of a payload that DUMP made; none if its checksum is not right, or if
/// its version is not known.
pub fn opened(payload: &[u8]) -> Option<((Origin, u8), &[u8])> {
    let (origin, value) = unsealed(payload)?;
    let (&kind, object) = value.split_first()?;
    Some(((origin, kind), object))
}

#[cfg(test)]
mod tests;
