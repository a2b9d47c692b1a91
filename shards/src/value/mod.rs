//! What a key holds: the forms it is read in, written in, and kept in.
//!
//! A new type is a variant of `Object` (how it is kept) and one of `Value` (how it is read), and a
//! `Kind`. Small strings and integers never become an `Object`: they lie in the key's own record.

mod encodings;
mod extended;
mod extendible;
mod fields;
mod growth;
mod hash;
pub mod hyperloglog;
mod intset;
mod kind;
mod list;
mod packed;
mod pool;
mod runs;
mod set;
pub mod sorted_set;
pub mod stream;

pub use encodings::{Encodings, Rules};
pub use extended::Extended;
pub use fields::{Field, Fields};
pub use hash::{Hash, HashRef, Pair};
pub use intset::IntSet;
pub use kind::Kind;
pub(crate) use list::StoredNode;
pub use list::{Items, List, Side};
pub(crate) use packed::Needle;
pub use packed::{Item, Iter as PackedIter, Listpack, Packed, Pos};
pub use set::{Set, SetRef};
pub use sorted_set::{SortedSet, SortedSetRef};
pub use stream::Stream;

use crate::error::Error;
use crate::shard::Millis;

/// A value as a command reads it.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// A string that is an integer in its one decimal form.
    Int(i64),
    /// Any other string.
    Str(&'a [u8]),
    /// A list.
    List(&'a List),
    /// A set.
    Set(SetRef<'a>),
    /// A hash.
    Hash(HashRef<'a>),
    /// A sorted set.
    SortedSet(SortedSetRef<'a>),
    /// A stream.
    Stream(&'a Stream),
}

/// How a value lies, for whoever writes it to a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stored<'a> {
    /// As integers in order.
    Ints(&'a IntSet),
    /// As a listpack.
    Packed(&'a Listpack),
    /// As a listpack of fields, values and times.
    Timed(&'a Listpack),
    /// In some form that files do not know.
    Large,
}

/// A value as a command writes it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Content<'a> {
    /// An integer.
    Int(i64),
    /// A string.
    Str(&'a [u8]),
    /// A string that came from an edit, which OBJECT ENCODING calls `raw` whatever its length.
    Raw(&'a [u8]),
}

/// A value too large or too rich for its key's record; the record points at it.
#[derive(Debug)]
pub enum Object {
    /// A string; of more than `INLINE_BYTES_MAX` bytes where a record points at it.
    Str(Vec<u8>),
    /// A list.
    List(List),
    /// A set.
    Set(Set),
    /// A hash.
    Hash(Hash),
    /// A sorted set.
    SortedSet(SortedSet),
    /// A stream.
    Stream(Box<Stream>),
}

const _: () = assert!(size_of::<Object>() <= 32, "what is large in a type stands in a box");

impl<'a> Value<'a> {
    /// The name TYPE gives it.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Int(_) | Self::Str(_) => "string",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::Hash(_) => "hash",
            Self::SortedSet(_) => "zset",
            Self::Stream(_) => "stream",
        }
    }

    /// True for a string of either form.
    pub fn is_string(self) -> bool {
        matches!(self, Self::Int(_) | Self::Str(_))
    }

    /// The bytes of a string; those of an integer are written into `digits`.
    ///
    /// # Errors
    /// `Error::WrongType` for anything but a string.
    #[inline]
    pub fn text<'b>(self, digits: &'b mut itoa::Buffer) -> Result<&'b [u8], Error>
    where
        'a: 'b,
    {
        match self {
            Self::Int(value) => Ok(digits.format(value).as_bytes()),
            Self::Str(bytes) => Ok(bytes),
            _ => Err(Error::WrongType),
        }
    }

    /// The value as a list, a set, or whatever `T` is.
    ///
    /// # Errors
    /// `Error::WrongType` if it is something else.
    #[inline]
    pub fn of<T: Kind>(self) -> Result<T::Ref<'a>, Error> {
        T::of(self).ok_or(Error::WrongType)
    }

    /// A copy that shares nothing.
    pub fn duplicate(self) -> Object {
        match self {
            Self::Int(value) => Object::Str(value.to_string().into_bytes()),
            Self::Str(bytes) => Object::Str(bytes.to_vec()),
            Self::List(list) => list.duplicate().into_object(),
            Self::Set(set) => set.duplicate().into_object(),
            Self::Hash(hash) => hash.duplicate().into_object(),
            Self::SortedSet(set) => set.duplicate().into_object(),
            Self::Stream(stream) => stream.duplicate().into_object(),
        }
    }
}

impl<'a> Content<'a> {
    /// `bytes` as SET keeps them: as an integer where they are one in its one form.
    #[inline]
    pub fn of(bytes: &'a [u8]) -> Self {
        match crate::commands::parse_int(bytes) {
            Some(value) => Self::Int(value),
            None => Self::Str(bytes),
        }
    }
}

impl Object {
    /// The value, to be read.
    #[inline]
    pub fn value(&self) -> Value<'_> {
        match self {
            Self::Str(bytes) => Value::Str(bytes),
            Self::List(list) => Value::List(list),
            Self::Set(set) => Value::Set(set.view()),
            Self::Hash(hash) => Value::Hash(hash.view()),
            Self::SortedSet(set) => Value::SortedSet(set.view()),
            Self::Stream(stream) => Value::Stream(stream),
        }
    }

    /// The listpack that is all there is of it, if its key's record may hold that instead.
    pub(crate) fn listpack(&self) -> Option<&Listpack> {
        match self {
            Self::Hash(hash) => hash.listpack(),
            Self::Set(set) => set.listpack(),
            Self::SortedSet(set) => set.listpack(),
            _ => None,
        }
    }

    /// That listpack.
    pub(crate) fn into_packed(self) -> Option<Packed> {
        match self {
            Self::Hash(hash) => hash.into_packed(),
            Self::Set(set) => set.into_packed(),
            Self::SortedSet(set) => set.into_packed(),
            _ => None,
        }
    }

    /// Bytes of memory it takes, its own place among them.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Str(bytes) => bytes.capacity(),
                Self::List(list) => list.bytes(),
                Self::Set(set) => set.bytes(),
                Self::Hash(hash) => hash.bytes(),
                Self::SortedSet(set) => set.bytes(),
                Self::Stream(stream) => stream.bytes(),
            }
    }

    /// Elements, fields, members or entries; 1 for a string. What freeing it costs.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Str(_) => 1,
            Self::List(list) => list.len(),
            Self::Set(set) => set.len(),
            Self::Hash(hash) => hash.len(),
            Self::SortedSet(set) => set.len(),
            Self::Stream(stream) => stream.len(),
        }
    }

    /// Drops about `budget` elements of a value that nobody uses any more; true while some are
    /// left.
    pub(crate) fn free_some(&mut self, budget: usize) -> bool {
        match self {
            Self::Str(_) => false,
            Self::List(list) => list.free_some(budget),
            Self::Set(set) => set.free_some(budget),
            Self::Hash(hash) => hash.free_some(budget),
            Self::SortedSet(set) => set.free_some(budget),
            Self::Stream(stream) => stream.free_some(budget),
        }
    }

    /// When the first of its parts is due, in milliseconds since the Unix epoch.
    pub(crate) fn next_due(&self) -> Option<Millis> {
        match self {
            Self::Hash(hash) => hash.next_due(),
            _ => None,
        }
    }

    /// Counts its memory and elements anew and compares.
    ///
    /// # Panics
    /// If anything differs from what is kept.
    pub(crate) fn recount(&self) {
        match self {
            Self::Str(_) => {}
            Self::List(list) => list.recount(),
            Self::Set(set) => set.recount(),
            Self::Hash(hash) => hash.recount(),
            Self::SortedSet(set) => set.recount(),
            Self::Stream(stream) => stream.recount(),
        }
    }
}

#[cfg(test)]
impl PartialEq for Value<'_> {
    /// Strings by their bytes; nothing else is equal.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Int(one), Self::Int(other)) => one == other,
            (Self::Str(one), Self::Str(other)) => one == other,
            _ => false,
        }
    }
}
