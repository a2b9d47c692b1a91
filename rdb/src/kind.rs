//! The numbers of types and opcodes, and what lies in an object of each type.

use crate::fault::Fault;

/// Who writes a version of the format; the same numbers may say different things.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Redis, and all that keep to its versions.
    Redis,
    /// Valkey from 9 on.
    Valkey,
}

/// A version of the format.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Version {
    /// Whose.
    pub origin: Origin,
    /// Its number.
    pub number: u32,
}

/// Redis 7.2's version, which all loaders of the last years know.
pub const VERSION_REDIS_7_2: u32 = 11;
/// The version of Redis 7.4 and 8.0, the first with fields that expire.
pub const VERSION_REDIS_8: u32 = 12;
/// The newest version of Redis whose files may be read, as far as their types are known.
const VERSION_REDIS_MAX: u32 = 15;
/// Valkey 9's version.
pub const VERSION_VALKEY_9: u32 = 80;
/// The first version whose files end with a checksum.
pub(crate) const VERSION_CHECKSUM: u32 = 5;

impl Version {
    /// The version of Redis with this number.
    pub const fn redis(number: u32) -> Self {
        Self { origin: Origin::Redis, number }
    }

    /// The version that a number by itself means, as at the end of DUMP.
    ///
    /// # Errors
    /// `Version` if it is not known.
    pub fn of_number(number: u32) -> Result<Self, Fault> {
        match number {
            1..=VERSION_REDIS_MAX => Ok(Self { origin: Origin::Redis, number }),
            VERSION_VALKEY_9 => Ok(Self { origin: Origin::Valkey, number }),
            _ => Err(Fault::Version(number)),
        }
    }
}

/// A string.
pub const STRING: u8 = 0;
/// A list, element by element.
pub const LIST: u8 = 1;
/// A set, member by member.
pub const SET: u8 = 2;
/// A sorted set with scores as text.
pub const ZSET: u8 = 3;
/// A hash, field by field.
pub const HASH: u8 = 4;
/// A sorted set with scores in 8 bytes.
pub const ZSET_2: u8 = 5;
/// A value of a module, from before Redis 4.0 was released.
pub const MODULE: u8 = 6;
/// A value of a module.
pub const MODULE_2: u8 = 7;
/// A hash in a zipmap.
pub const HASH_ZIPMAP: u8 = 9;
/// A list in a ziplist.
pub const LIST_ZIPLIST: u8 = 10;
/// A set of integers.
pub const SET_INTSET: u8 = 11;
/// A sorted set in a ziplist.
pub const ZSET_ZIPLIST: u8 = 12;
/// A hash in a ziplist.
pub const HASH_ZIPLIST: u8 = 13;
/// A list of ziplists.
pub const LIST_QUICKLIST: u8 = 14;
/// A stream.
pub const STREAM_LISTPACKS: u8 = 15;
/// A hash in a listpack.
pub const HASH_LISTPACK: u8 = 16;
/// A sorted set in a listpack.
pub const ZSET_LISTPACK: u8 = 17;
/// A list of listpacks and long elements.
pub const LIST_QUICKLIST_2: u8 = 18;
/// A stream with counts of what was ever added.
pub const STREAM_LISTPACKS_2: u8 = 19;
/// A set in a listpack.
pub const SET_LISTPACK: u8 = 20;
/// A stream whose consumers have two times.
pub const STREAM_LISTPACKS_3: u8 = 21;
/// A hash with times of fields, as Redis 7.4 had it before its release.
pub const HASH_METADATA_OLD: u8 = 22;
/// The same in a listpack.
pub const HASH_LISTPACK_EX_OLD: u8 = 23;
/// A hash with times of fields.
pub const HASH_METADATA: u8 = 24;
/// A hash with times of fields in a listpack.
pub const HASH_LISTPACK_EX: u8 = 25;
/// A stream that knows what its producers have sent (Redis 8.6).
pub const STREAM_LISTPACKS_4: u8 = 26;
/// A stream with entries that were given back (Redis 8.8).
pub const STREAM_LISTPACKS_5: u8 = 27;
/// A hash with times of fields, in Valkey.
pub const VALKEY_HASH_2: u8 = 22;

/// How many keys of a slot follow.
pub const SLOT_INFO: u8 = 244;
/// A library of functions.
pub const FUNCTION: u8 = 245;
/// The same, from before Redis 7.0 was released.
pub const FUNCTION_OLD: u8 = 246;
/// What a module keeps beside keys.
pub const MODULE_AUX: u8 = 247;
/// How long the next key was not used, in seconds.
pub const IDLE: u8 = 248;
/// How often the next key was used.
pub const FREQ: u8 = 249;
/// A name and a value that say something about the file.
pub const AUX: u8 = 250;
/// How many keys follow, and how many of them expire.
pub const SIZES: u8 = 251;
/// When the next key expires, in milliseconds.
pub const EXPIRY_MS: u8 = 252;
/// When the next key expires, in seconds.
pub const EXPIRY_SECONDS: u8 = 253;
/// The database of the keys that follow.
pub const DATABASE: u8 = 254;
/// The end.
pub const END: u8 = 255;

/// What a type of object is called.
pub fn name(origin: Origin, kind: u8) -> &'static str {
    match (origin, kind) {
        (Origin::Valkey, VALKEY_HASH_2) => "hash, with times of fields",
        (_, STRING) => "string",
        (_, LIST) => "list",
        (_, SET) => "set",
        (_, ZSET | ZSET_2) => "sorted set",
        (_, HASH) => "hash",
        (_, MODULE | MODULE_2) => "value of a module",
        (_, HASH_ZIPMAP) => "hash in a zipmap",
        (_, LIST_ZIPLIST) => "list in a ziplist",
        (_, SET_INTSET) => "set of integers",
        (_, ZSET_ZIPLIST) => "sorted set in a ziplist",
        (_, HASH_ZIPLIST) => "hash in a ziplist",
        (_, LIST_QUICKLIST) => "list in ziplists",
        (_, STREAM_LISTPACKS | STREAM_LISTPACKS_2 | STREAM_LISTPACKS_3) => "stream",
        (_, STREAM_LISTPACKS_4 | STREAM_LISTPACKS_5) => "stream",
        (_, HASH_LISTPACK) => "hash in a listpack",
        (_, ZSET_LISTPACK) => "sorted set in a listpack",
        (_, LIST_QUICKLIST_2) => "list in listpacks",
        (_, SET_LISTPACK) => "set in a listpack",
        (_, HASH_METADATA | HASH_METADATA_OLD) => "hash, with times of fields",
        (_, HASH_LISTPACK_EX | HASH_LISTPACK_EX_OLD) => "hash in a listpack, with times of fields",
        _ => "not known",
    }
}

/// In a list: the next node is one element.
pub const NODE_PLAIN: u64 = 1;
/// In a list: the next node is a listpack.
pub const NODE_PACKED: u64 = 2;

/// A part of an object.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// A length, or any number written as one.
    Length,
    /// A string.
    Text,
    /// So many bytes.
    Bytes(u8),
    /// A score as text.
    Score,
    /// A length, and as many times these parts.
    Each(&'static [Part]),
    /// Values of a module up to their end.
    Module,
}

/// Most `Each` within each other, the object itself counted.
pub(crate) const DEPTH_MAX: usize = 4;

use Part::{Bytes, Each, Length, Module, Score, Text};

const PENDING_OWNED: Part = Each(&[Bytes(16)]);
const PENDING: Part = Each(&[Bytes(16), Bytes(8), Length]);
const NODES: Part = Each(&[Text, Text]);
const GROUP_1: Part =
    Each(&[Text, Length, Length, PENDING, Each(&[Text, Bytes(8), PENDING_OWNED])]);
const GROUP_2: Part =
    Each(&[Text, Length, Length, Length, PENDING, Each(&[Text, Bytes(8), PENDING_OWNED])]);
const GROUP_3: Part =
    Each(&[Text, Length, Length, Length, PENDING, Each(&[Text, Bytes(16), PENDING_OWNED])]);

const GROUP_5: Part = Each(&[
    Text,
    Length,
    Length,
    Length,
    PENDING,
    Each(&[Text, Bytes(16), PENDING_OWNED]),
    PENDING_OWNED,
]);
const PRODUCERS: Part = Each(&[Text, Each(&[Text, Length, Length])]);

/// What an object of a type is made of.
///
/// # Errors
/// `Type` for a type that is not known.
pub(crate) fn parts(origin: Origin, kind: u8) -> Result<&'static [Part], Fault> {
    if origin == Origin::Valkey && kind >= VALKEY_HASH_2 {
        return match kind {
            VALKEY_HASH_2 => Ok(&[Each(&[Text, Text, Bytes(8)])]),
            _ => Err(Fault::Type(kind)),
        };
    }
    Ok(match kind {
        STRING => &[Text],
        LIST | SET | LIST_QUICKLIST => &[Each(&[Text])],
        ZSET => &[Each(&[Text, Score])],
        ZSET_2 => &[Each(&[Text, Bytes(8)])],
        HASH => &[Each(&[Text, Text])],
        HASH_ZIPMAP | LIST_ZIPLIST | SET_INTSET | ZSET_ZIPLIST | HASH_ZIPLIST => &[Text],
        HASH_LISTPACK | ZSET_LISTPACK | SET_LISTPACK | HASH_LISTPACK_EX_OLD => &[Text],
        LIST_QUICKLIST_2 => &[Each(&[Length, Text])],
        STREAM_LISTPACKS => &[NODES, Length, Length, Length, GROUP_1],
        STREAM_LISTPACKS_2 => {
            &[NODES, Length, Length, Length, Length, Length, Length, Length, Length, GROUP_2]
        }
        STREAM_LISTPACKS_3 => {
            &[NODES, Length, Length, Length, Length, Length, Length, Length, Length, GROUP_3]
        }
        STREAM_LISTPACKS_4 => &[
            NODES, Length, Length, Length, Length, Length, Length, Length, Length, GROUP_3, Length,
            Length, PRODUCERS, Length, Length,
        ],
        STREAM_LISTPACKS_5 => &[
            NODES, Length, Length, Length, Length, Length, Length, Length, Length, GROUP_5, Length,
            Length, PRODUCERS, Length, Length,
        ],
        HASH_METADATA_OLD => &[Each(&[Length, Text, Text])],
        HASH_METADATA => &[Bytes(8), Each(&[Length, Text, Text])],
        HASH_LISTPACK_EX => &[Bytes(8), Text],
        MODULE => return Err(Fault::Module),
        MODULE_2 => &[Length, Module],
        _ => return Err(Fault::Type(kind)),
    })
}

/// What follows an opcode in a file of this version.
///
/// # Errors
/// `Type` for an opcode that is not known.
pub(crate) fn special_parts(version: u32, opcode: u8) -> Result<&'static [Part], Fault> {
    Ok(match opcode {
        SLOT_INFO => &[Length, Length, Length],
        FUNCTION => &[Text],
        FUNCTION_OLD => return Err(Fault::OldFunction),
        MODULE_AUX => &[Length, Length, Length, Module],
        IDLE | DATABASE => &[Length],
        FREQ => &[Bytes(1)],
        AUX => &[Text, Text],
        SIZES => &[Length, Length],
        EXPIRY_MS => &[Bytes(8)],
        EXPIRY_SECONDS => &[Bytes(4)],
        END if version < VERSION_CHECKSUM => &[],
        END => &[Bytes(8)],
        _ => return Err(Fault::Type(opcode)),
    })
}
