//! Objects of files become values, in the form that our settings choose.
//!
//! Nothing in an object is believed: what lies in listpacks, old lists and sets of integers is
//! checked to the last byte, and so is every count against what is there. Nothing is allocated
//! that the object itself could not fill, but for compressed strings, of which a byte gives 88 at
//! most.

mod hashes;
mod lists;
mod sets;
mod streams;

use crate::commands::parse_int;
use crate::limits::{PACKED_BYTES_MAX, STRING_BYTES_MAX};
use crate::shard::Millis;
use crate::value::{Item, Kind, Object, Packed, Rules};
use pinion_rdb::old::{Element, Ziplist};
use pinion_rdb::{Fault, Origin, Reader, kind};

/// Reads objects; keeps memory from one to the next.
#[derive(Debug, Default)]
pub struct Decoder {
    room: Vec<u8>,
    hashes: Vec<u64>,
}

/// What an object is.
#[derive(Debug)]
pub enum Decoded<'a> {
    /// A string.
    Text(&'a [u8]),
    /// Any other value.
    Object(Object),
    /// A hash of which every field is due.
    Nothing,
}

/// What is read with.
struct Source<'a, 'd> {
    reader: Reader<'a>,
    origin: Origin,
    rules: &'a Rules,
    now: Millis,
    decoder: &'d mut Decoder,
}

impl Decoder {
    /// The value of an object of this type, all of whose bytes are it.
    ///
    /// # Errors
    /// What is wrong with it. `Empty` for a value without elements, which Redis leaves out of what
    /// it loads, and refuses from RESTORE.
    #[inline]
    pub fn decode<'d>(
        &'d mut self,
        (origin, number): (Origin, u8),
        object: &'d [u8],
        rules: &'d Rules,
        now: Millis,
    ) -> Result<Decoded<'d>, Fault> {
        if number == kind::STRING {
            let mut reader = Reader::new(object);
            let text = reader.text(&mut self.room)?;
            reader.end()?;
            let fits = text.len() <= STRING_BYTES_MAX;
            return if fits { Ok(Decoded::Text(text)) } else { Err(Fault::TooLarge) };
        }
        let mut source = Source { reader: Reader::new(object), origin, rules, now, decoder: self };
        let object = source.object(number)?;
        source.reader.end()?;
        Ok(object.map_or(Decoded::Nothing, Decoded::Object))
    }

    /// True if a text comes twice among these.
    fn has_twins<'t>(
        &mut self,
        rules: &Rules,
        names: impl Iterator<Item = Item<'t>> + Clone,
    ) -> bool {
        let mut digits = itoa::Buffer::new();
        self.hashes.clear();
        for name in names.clone() {
            self.hashes.push(rules.hasher.hash(name.text(&mut digits)));
        }
        self.hashes.sort_unstable();
        if self.hashes.windows(2).all(|pair| pair[0] != pair[1]) {
            return false;
        }
        let mut texts: Vec<_> = names.map(|name| name.text(&mut digits).to_vec()).collect();
        texts.sort_unstable();
        texts.windows(2).any(|pair| pair[0] == pair[1])
    }
}

impl Source<'_, '_> {
    /// The value; none if all of it is due.
    fn object(&mut self, number: u8) -> Result<Option<Object>, Fault> {
        if self.origin == Origin::Valkey && number == kind::VALKEY_HASH_2 {
            return self.fields(hashes::Times::Behind);
        }
        match number {
            kind::LIST | kind::LIST_ZIPLIST | kind::LIST_QUICKLIST | kind::LIST_QUICKLIST_2 => {
                let list = self.list(number)?;
                full(list)
            }
            kind::SET | kind::SET_INTSET | kind::SET_LISTPACK => {
                let set = self.set(number)?;
                full(set)
            }
            kind::ZSET | kind::ZSET_2 | kind::ZSET_ZIPLIST | kind::ZSET_LISTPACK => {
                let set = self.sorted_set(number)?;
                full(set)
            }
            kind::HASH => self.fields(hashes::Times::None),
            kind::HASH_METADATA => self.fields(hashes::Times::SinceFirst),
            kind::HASH_METADATA_OLD => self.fields(hashes::Times::Absolute),
            kind::HASH_ZIPMAP | kind::HASH_ZIPLIST | kind::HASH_LISTPACK => self.pairs(number),
            kind::HASH_LISTPACK_EX | kind::HASH_LISTPACK_EX_OLD => self.timed(number),
            kind::STREAM_LISTPACKS
            | kind::STREAM_LISTPACKS_2
            | kind::STREAM_LISTPACKS_3
            | kind::STREAM_LISTPACKS_4
            | kind::STREAM_LISTPACKS_5 => Ok(Some(self.stream(number)?.into_object())),
            kind::MODULE | kind::MODULE_2 => Err(Fault::Module),
            _ => Err(Fault::Type(number)),
        }
    }

    /// A string, in memory that is used again.
    fn with_text<T>(&mut self, take: impl FnOnce(&[u8]) -> Result<T, Fault>) -> Result<T, Fault> {
        let text = self.reader.text(&mut self.decoder.room)?;
        if text.len() > STRING_BYTES_MAX {
            return Err(Fault::TooLarge);
        }
        take(text)
    }

    /// A listpack whose items come in groups of so many, and not without any.
    fn packed(&mut self, stride: usize) -> Result<Packed, Fault> {
        let bytes = self.reader.own_text()?;
        let packed = Packed::from_bytes(bytes).ok_or(Fault::Listpack)?.settled();
        match packed.count() {
            0 => Err(Fault::Empty),
            count if count.is_multiple_of(stride) => Ok(packed),
            _ => Err(Fault::Listpack),
        }
    }

    /// The entries of an old list as a listpack, in groups of so many.
    fn ziplist(&mut self, stride: usize) -> Result<Packed, Fault> {
        let mut packed = Packed::new();
        let room = &mut self.decoder.room;
        let mut list = Ziplist::new(self.reader.text(room)?)?;
        while let Some(element) = list.next()? {
            push(&mut packed, element)?;
        }
        if packed.count().is_multiple_of(stride) { Ok(packed) } else { Err(Fault::Ziplist) }
    }
}

/// Adds an element to a listpack, if it has room.
fn push(packed: &mut Packed, element: Element<'_>) -> Result<(), Fault> {
    match element {
        Element::Int(value) => packed.push_back_int(value),
        Element::Text(text) if packed.has_room(text.len()) => packed.push_back(text),
        Element::Text(_) => return Err(Fault::TooLarge),
    }
    if packed.bytes() < PACKED_BYTES_MAX { Ok(()) } else { Err(Fault::TooLarge) }
}

/// The value, if it has elements.
fn full<T: Kind>(value: T) -> Result<Option<Object>, Fault> {
    if value.is_empty() { Err(Fault::Empty) } else { Ok(Some(value.into_object())) }
}

/// What an integer or a text of an old list is as an item.
fn item(element: Element<'_>) -> Item<'_> {
    match element {
        Element::Int(value) => Item::Int(value),
        Element::Text(text) => parse_int(text).map_or(Item::Str(text), Item::Int),
    }
}
