//! A bucket: names with their contents one after the other in a single run of bytes.
//!
//! ```text
//! entries     one behind the other
//! slots       for each entry: where it begins (2 bytes, little-endian), a byte of its hash
//! last byte   how many entries
//!
//! an entry    head: kind of content (bits 0-1), whether it expires (2), length of the name (3-7)
//!             where the name has 31 bytes or more: how many more, as a varint
//!             where it expires: when, 6 bytes, in milliseconds since the Unix epoch
//!             TEXT: the length of the value, as a varint; INT: 8 bytes; APART: 1 byte
//!             the name, and the text; of what lies apart, neither
//! ```
//!
//! Long names and values lie in blocks of their own, apart, so that no change moves many bytes.

use super::super::extendible::{Bucket, top};
use super::super::growth::{reserve, shrink, size_class};
use super::Field;
use crate::limits::FIELD_INLINE_BYTES_MAX;
use crate::shard::Millis;
use crate::table::Hasher;
use crate::value::{Content, Value};

/// Nothing stands with the name.
const EMPTY: u8 = 0;
const TEXT: u8 = 1;
const INT: u8 = 2;
/// Name and text are in a block of their own.
const APART: u8 = 3;
const EXPIRES: u8 = 4;
/// Where the head says this of a name's length, more follows.
const NAME_LONG: usize = 31;
const EXPIRY_BYTES: usize = 6;
const SLOT_BYTES: usize = 3;
/// Entries of a bucket: far more than come together by chance.
const ENTRIES_MAX: usize = 255;

const _: () = assert!(
    ENTRIES_MAX * (FIELD_INLINE_BYTES_MAX + 32) <= u16::MAX as usize,
    "16 bits say where an entry begins"
);

/// The byte of a hash that stands beside an entry: of those that choose no bucket.
#[inline]
pub(super) fn mark(hash: u64) -> u8 {
    hash as u8
}

/// Names, each with a small content and perhaps an expiry.
#[derive(Debug, Default)]
pub(super) struct Names {
    bytes: Vec<u8>,
    apart: Option<Box<Apart>>,
}

/// The same, to be read, wherever they lie.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    bytes: &'a [u8],
    apart: Option<&'a Apart>,
}

/// Long names with their texts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Apart {
    blocks: Vec<Box<[u8]>>,
}

/// What an entry says, and where.
struct Read<'a> {
    kind: u8,
    expiry: Option<Millis>,
    name_len: usize,
    /// Where the content stands: the text's length, the integer, or the number of the block.
    number: u64,
    /// From here on the name, and the text.
    rest: &'a [u8],
    /// Bytes of the entry before that.
    head: usize,
}

impl Read<'_> {
    fn len(&self) -> usize {
        self.head
            + match self.kind {
                EMPTY | INT => self.name_len,
                TEXT => self.name_len + self.number as usize,
                _ => 0,
            }
    }
}

/// Reads a number of seven bits a byte, lowest first; how many bytes it takes.
#[inline]
fn varint(bytes: &[u8]) -> (usize, usize) {
    let (mut number, mut at) = (0, 0);
    loop {
        let byte = bytes[at];
        number |= usize::from(byte & 0x7f) << (7 * at);
        at += 1;
        if byte < 0x80 {
            return (number, at);
        }
    }
}

fn varint_len(number: usize) -> usize {
    (usize::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
}

/// Writes to the front of `out`, and leaves the rest of it there.
fn put(out: &mut &mut [u8], bytes: &[u8]) {
    let (front, rest) = std::mem::take(out).split_at_mut(bytes.len());
    front.copy_from_slice(bytes);
    *out = rest;
}

fn put_varint(out: &mut &mut [u8], mut number: usize) {
    while number >= 0x80 {
        put(out, &[number as u8 | 0x80]);
        number >>= 7;
    }
    put(out, &[number as u8]);
}

/// A name with its content, about to be written.
#[derive(Clone, Copy)]
struct New<'a> {
    name: &'a [u8],
    content: Written<'a>,
    expiry: Option<Millis>,
}

#[derive(Clone, Copy)]
enum Written<'a> {
    Text(&'a [u8]),
    Int(i64),
    /// The number of the block.
    Apart(u8),
}

impl New<'_> {
    fn len(&self) -> usize {
        let name_head = match self.name.len() {
            len if len >= NAME_LONG => varint_len(len - NAME_LONG),
            _ => 0,
        };
        let head = 1 + name_head + if self.expiry.is_some() { EXPIRY_BYTES } else { 0 };
        head + match self.content {
            Written::Text([]) => self.name.len(),
            Written::Text(text) => varint_len(text.len()) + self.name.len() + text.len(),
            Written::Int(_) => 8 + self.name.len(),
            Written::Apart(_) => 1,
        }
    }

    fn write(&self, mut out: &mut [u8]) {
        let kind = match self.content {
            Written::Text([]) => EMPTY,
            Written::Text(_) => TEXT,
            Written::Int(_) => INT,
            Written::Apart(_) => APART,
        };
        let expires = if self.expiry.is_some() { EXPIRES } else { 0 };
        let name_len = self.name.len().min(NAME_LONG);
        put(&mut out, &[kind | expires | (name_len as u8) << 3]);
        if name_len == NAME_LONG {
            put_varint(&mut out, self.name.len() - NAME_LONG);
        }
        if let Some(at) = self.expiry {
            put(&mut out, &at.to_le_bytes()[..EXPIRY_BYTES]);
        }
        match self.content {
            Written::Text([]) => put(&mut out, self.name),
            Written::Text(text) => {
                put_varint(&mut out, text.len());
                put(&mut out, self.name);
                put(&mut out, text);
            }
            Written::Int(value) => {
                put(&mut out, &value.to_le_bytes());
                put(&mut out, self.name);
            }
            Written::Apart(block) => put(&mut out, &[block]),
        }
    }
}

impl<'a> View<'a> {
    fn count(self) -> usize {
        self.bytes.last().map_or(0, |&count| usize::from(count))
    }

    /// Where the slots begin.
    fn slots_at(self) -> usize {
        self.bytes.len().saturating_sub(1) - self.count() * SLOT_BYTES
    }

    /// Where each entry begins, and the byte of its hash.
    #[inline]
    fn slots(self) -> &'a [[u8; SLOT_BYTES]] {
        let end = self.bytes.len().saturating_sub(1);
        self.bytes[self.slots_at()..end].as_chunks().0
    }

    #[inline]
    fn start(self, index: usize) -> usize {
        let [low, high, _] = self.slots()[index];
        usize::from(u16::from_le_bytes([low, high]))
    }

    #[inline]
    fn read(self, index: usize) -> Read<'a> {
        let bytes = &self.bytes[self.start(index)..];
        let head = bytes[0];
        let (mut name_len, mut at) = (usize::from(head >> 3), 1);
        if name_len == NAME_LONG {
            let (more, len) = varint(&bytes[at..]);
            name_len += more;
            at += len;
        }
        let expiry = (head & EXPIRES != 0).then(|| {
            let mut millis = [0; 8];
            millis[..EXPIRY_BYTES].copy_from_slice(&bytes[at..at + EXPIRY_BYTES]);
            at += EXPIRY_BYTES;
            Millis::from_le_bytes(millis)
        });
        let kind = head & 3;
        let number = match kind {
            EMPTY => 0,
            TEXT => {
                let (len, taken) = varint(&bytes[at..]);
                at += taken;
                len as u64
            }
            INT => {
                let value = bytes[at..at + 8].try_into().expect("8 bytes are 8 bytes");
                at += 8;
                u64::from_le_bytes(value)
            }
            _ => {
                at += 1;
                u64::from(bytes[at - 1])
            }
        };
        Read { kind, expiry, name_len, number, rest: &bytes[at..], head: at }
    }

    /// The entry `index`.
    #[inline]
    pub(super) fn field(self, index: usize) -> Field<'a> {
        let Read { kind, expiry, name_len, number, rest, .. } = self.read(index);
        let (name, value) = match kind {
            EMPTY => (&rest[..name_len], Value::Str(b"")),
            INT => (&rest[..name_len], Value::Int(number.cast_signed())),
            TEXT => {
                let (name, rest) = rest.split_at(name_len);
                (name, Value::Str(&rest[..number as usize]))
            }
            _ => {
                let apart = self.apart.expect("a block is apart");
                let (name, text) = apart.blocks[number as usize].split_at(name_len);
                (name, Value::Str(text))
            }
        };
        Field { name, value, expiry }
    }

    /// The entry `index`, if there are so many.
    pub(super) fn at(self, index: usize) -> Option<Field<'a>> {
        (index < self.count()).then(|| self.field(index))
    }

    /// The entry whose hash has this mark, and of which `is` is true.
    #[inline]
    pub(super) fn find(self, mark: u8, is: impl Fn(&Field<'_>) -> bool) -> Option<usize> {
        let slots = self.slots().iter().enumerate();
        { slots }.find(|(index, slot)| slot[2] == mark && is(&self.field(*index))).map(|it| it.0)
    }

    /// Every entry.
    pub(super) fn iter(self) -> impl Iterator<Item = Field<'a>> {
        (0..self.count()).map(move |index| self.field(index))
    }
}

impl Names {
    #[inline]
    fn view(&self) -> View<'_> {
        View { bytes: &self.bytes, apart: self.apart.as_deref() }
    }

    fn count(&self) -> usize {
        self.view().count()
    }

    fn slots_at(&self) -> usize {
        self.view().slots_at()
    }

    fn start(&self, index: usize) -> usize {
        self.view().start(index)
    }

    fn read(&self, index: usize) -> Read<'_> {
        self.view().read(index)
    }

    fn field(&self, index: usize) -> Field<'_> {
        self.view().field(index)
    }

    /// Adds a name that is not there.
    pub(super) fn add(
        &mut self,
        mark: u8,
        name: &[u8],
        content: Content<'_>,
        expiry: Option<Millis>,
    ) {
        let content = self.set_apart(name, content);
        self.push(mark, New { name, content, expiry });
    }

    fn push(&mut self, mark: u8, new: New<'_>) {
        let (count, at, len) = (self.count(), self.slots_at(), new.len());
        assert!(count < ENTRIES_MAX, "names spread over buckets");
        let old = self.bytes.len().max(1);
        let more = old + len + SLOT_BYTES - self.bytes.len();
        reserve(&mut self.bytes, more);
        self.bytes.resize(old + len + SLOT_BYTES, 0);
        self.bytes.copy_within(at..old - 1, at + len);
        new.write(&mut self.bytes[at..at + len]);
        let [low, high] = (at as u16).to_le_bytes();
        self.bytes[old + len - 1..].copy_from_slice(&[low, high, mark, count as u8 + 1]);
    }

    /// What is written of a content: long ones go to a block.
    fn set_apart<'a>(&mut self, name: &[u8], content: Content<'a>) -> Written<'a> {
        let text = match content {
            Content::Int(value) if name.len() <= FIELD_INLINE_BYTES_MAX => {
                return Written::Int(value);
            }
            Content::Int(value) => return self.block(name, itoa::Buffer::new().format(value)),
            Content::Str(text) | Content::Raw(text) => text,
        };
        if name.len() + text.len() <= FIELD_INLINE_BYTES_MAX {
            return Written::Text(text);
        }
        self.block(name, text)
    }

    fn block<'a>(&mut self, name: &[u8], text: impl AsRef<[u8]>) -> Written<'a> {
        let blocks = &mut self.apart.get_or_insert_default().blocks;
        blocks.reserve_exact(1);
        blocks.push([name, text.as_ref()].concat().into());
        Written::Apart(blocks.len() as u8 - 1)
    }

    /// Gives an entry another content and expiry.
    pub(super) fn replace(
        &mut self,
        index: usize,
        name: &[u8],
        content: Content<'_>,
        expiry: Option<Millis>,
    ) {
        self.drop_block(index);
        let content = self.set_apart(name, content);
        self.overwrite(index, New { name, content, expiry });
    }

    /// Puts another entry in the place of one, whose block is its concern.
    fn overwrite(&mut self, index: usize, new: New<'_>) {
        let (start, len) = (self.start(index), self.read(index).len());
        self.resize(start, len, new.len());
        new.write(&mut self.bytes[start..start + new.len()]);
    }

    /// Changes when an entry expires.
    pub(super) fn set_expiry(&mut self, index: usize, expiry: Option<Millis>) {
        let read = self.read(index);
        if let (APART, number) = (read.kind, read.number) {
            // The name's length stands here, the name in the block.
            let blocks = &self.apart.as_ref().expect("a block is apart").blocks;
            let name = blocks[number as usize][..read.name_len].to_vec();
            let content = Written::Apart(number as u8);
            return self.overwrite(index, New { name: &name, content, expiry });
        }
        let Field { name, value, .. } = self.field(index);
        let (name, value) = (name.to_vec(), owned(value));
        self.replace(index, &name, value.content(), expiry);
    }

    /// Makes an entry at `start` longer or shorter.
    fn resize(&mut self, start: usize, old: usize, new: usize) {
        let len = self.bytes.len();
        if new > old {
            reserve(&mut self.bytes, new - old);
            self.bytes.resize(len + new - old, 0);
            self.bytes.copy_within(start + old..len, start + new);
        } else {
            self.bytes.copy_within(start + old..len, start + new);
            self.bytes.truncate(len - (old - new));
            shrink(&mut self.bytes);
        }
        let (slots, end) = (self.slots_at(), self.bytes.len() - 1);
        for slot in self.bytes[slots..end].as_chunks_mut::<SLOT_BYTES>().0 {
            let at = usize::from(u16::from_le_bytes([slot[0], slot[1]]));
            if at > start {
                slot[..2].copy_from_slice(&((at + new - old) as u16).to_le_bytes());
            }
        }
    }

    /// Frees the block of an entry, if it has one; the entry is about to be overwritten.
    fn drop_block(&mut self, index: usize) {
        let read = self.read(index);
        let (APART, number) = (read.kind, read.number) else { return };
        let blocks = &mut self.apart.as_mut().expect("a block is apart").blocks;
        blocks.swap_remove(number as usize);
        let moved = blocks.len() as u64;
        if blocks.is_empty() {
            self.apart = None;
        }
        if moved == number {
            return;
        }
        // The last block has the number of the one that went.
        let entry = (0..self.count()).find(|&other| {
            let read = self.read(other);
            other != index && read.kind == APART && read.number == moved
        });
        let entry = entry.expect("a block has its entry");
        let at = self.start(entry) + self.read(entry).head - 1;
        self.bytes[at] = number as u8;
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, index: usize) {
        self.drop_block(index);
        let (start, len, count) = (self.start(index), self.read(index).len(), self.count());
        if count == 1 {
            self.bytes = Vec::new();
            return;
        }
        let slot = self.slots_at() + index * SLOT_BYTES;
        self.bytes.drain(slot..slot + SLOT_BYTES);
        *self.bytes.last_mut().expect("there is a count") = count as u8 - 1;
        self.resize(start, len, 0);
    }
}

/// A value that is its own.
enum Owned {
    Text(Vec<u8>),
    Int(i64),
}

fn owned(value: Value<'_>) -> Owned {
    match value {
        Value::Int(value) => Owned::Int(value),
        Value::Str(text) => Owned::Text(text.to_vec()),
        _ => unreachable!("what stands with a name is a text"),
    }
}

impl Owned {
    fn content(&self) -> Content<'_> {
        match self {
            Self::Text(text) => Content::Str(text),
            Self::Int(value) => Content::Int(*value),
        }
    }
}

impl Bucket for Names {
    const FULL: usize = 24;
    type Hashing<'h> = &'h Hasher;
    type Apart = Option<Box<Apart>>;
    type View<'a> = View<'a>;

    #[inline]
    fn view<'a>(bytes: &'a [u8], apart: &'a Self::Apart) -> View<'a> {
        View { bytes, apart: apart.as_deref() }
    }

    #[inline]
    fn len(bytes: &[u8]) -> usize {
        bytes.last().map_or(0, |&count| usize::from(count))
    }

    #[inline]
    fn apart_bytes(apart: &Self::Apart) -> usize {
        apart.as_ref().map_or(0, |apart| {
            let blocks: usize = apart.blocks.iter().map(|block| block.len()).sum();
            size_of::<Apart>() + apart.blocks.capacity() * size_of::<Box<[u8]>>() + blocks
        })
    }

    #[inline]
    fn own(bytes: Vec<u8>, apart: Self::Apart) -> Self {
        Self { bytes, apart }
    }

    #[inline]
    fn into_parts(self) -> (Vec<u8>, Self::Apart) {
        (self.bytes, self.apart)
    }

    fn split(self, hasher: &Hasher, moves: impl Fn(u32) -> bool) -> (Self, Self) {
        let (mut old, mut kept, mut moved) = (self, Self::default(), Self::default());
        let half = size_class(old.bytes.len() / 2);
        for index in 0..old.count() {
            let field = old.field(index);
            let hash = hasher.hash(field.name);
            let goes = moves(top(hash));
            let to = if goes { &mut moved } else { &mut kept };
            if to.bytes.capacity() == 0 {
                to.bytes.reserve_exact(half);
            }
            let read = old.read(index);
            if read.kind != APART {
                let content = match field.value {
                    Value::Int(value) => Written::Int(value),
                    Value::Str(text) => Written::Text(text),
                    _ => unreachable!("what stands with a name is a text"),
                };
                to.push(mark(hash), New { name: field.name, content, expiry: field.expiry });
                continue;
            }
            let blocks = &mut to.apart.get_or_insert_default().blocks;
            blocks.reserve_exact(1);
            let (number, name, expiry) = (blocks.len() as u8, field.name.to_vec(), field.expiry);
            let block = read.number as usize;
            let from = &mut old.apart.as_mut().expect("a block is apart").blocks;
            blocks.push(std::mem::take(&mut from[block]));
            to.push(mark(hash), New { name: &name, content: Written::Apart(number), expiry });
        }
        (kept, moved)
    }

    fn append(&mut self, other: View<'_>) {
        for (field, slot) in other.iter().zip(other.slots()) {
            let content = owned(field.value);
            self.add(slot[2], field.name, content.content(), field.expiry);
        }
    }
}
