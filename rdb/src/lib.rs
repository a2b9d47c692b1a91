//! The format of RDB files: what Redis and Valkey write to disk, send to replicas, and give to
//! DUMP. Knows: bytes. Never knows: how a value is kept, where a file lies.
//!
//! ```text
//! file       magic, items, END
//! magic      "REDIS" and four digits, or "VALKEY" and three: the version
//! item       opcode and what belongs to it, or a record
//! record     type (1 byte), key (a string), object
//! END        0xff, and from version 5 on 8 bytes: the checksum of all before, 0 for none
//!
//! opcode                        is followed by
//! 244 slot                      number, keys, keys that expire: three lengths
//! 245 functions                 the code of a library: a string
//! 247 module                    which, when (two numbers): three lengths, and values
//! 248 idle                      seconds since the next record was used: a length
//! 249 frequency                 how often the next record was used: a byte
//! 250 aux                       name and value: two strings
//! 251 sizes                     keys of this database, those that expire: two lengths
//! 252 expiry                    of the next record, in milliseconds: 8 bytes
//! 253 expiry                    of the next record, in seconds: 4 bytes
//! 254 database                  its number: a length
//!
//! a length begins with          and is
//! 00xxxxxx                      below 64
//! 01xxxxxx xxxxxxxx             below 16384
//! 10000000 and 4 bytes          below 2^32 (big-endian)
//! 10000001 and 8 bytes          any other (big-endian)
//!
//! a string begins with          and is
//! a length                      as many bytes
//! 11000000, 01, 10              an integer of 1, 2 or 4 bytes (little-endian)
//! 11000011                      a length, another, and as many bytes as the first says, which
//!                               are compressed (`lzf`) from as many as the second says
//! ```
//!
//! What an object is made of stands in a table, `kind::parts`. Numbers that are not lengths are
//! little-endian. The payload of DUMP is a type, an object, 2 bytes with the version and 8 with
//! the checksum of all before.

pub mod crc;
mod fault;
pub mod kind;
pub mod lzf;
pub mod old;
mod parse;
mod read;
mod skip;
pub mod write;

pub use fault::{Error, Fault};
pub use kind::{Origin, Version};
pub use parse::{Checksum, Item, Parser, Record};
pub use read::Reader;
