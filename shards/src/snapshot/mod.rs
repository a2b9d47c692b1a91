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

mod decode;
mod encode;

pub use decode::{Decoded, Decoder};
pub use encode::{Encoder, Purpose, Rest};
