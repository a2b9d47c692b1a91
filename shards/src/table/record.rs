//! One key and its value in one allocation, and the tagged word that owns it.
//!
//! The word (`Entry`); 0 is an empty place:
//!
//! | bits | what |
//! |---|---|
//! | 0 | which cut it has been saved for, or was made after (`Entry::epoch`) |
//! | 1-2 | hash bits 48-49 |
//! | 3-47 | address of the record, a multiple of 8 |
//! | 48-61 | hash bits 50-63 |
//! | 62 | displaced: lies in the bucket after its home |
//! | 63 | has an expiry |
//!
//! What the record holds, byte by byte, says `header`.

mod header;
mod parts;

use super::slab::{Heap, release, taken};
use crate::limits::INLINE_BYTES_MAX;
use crate::shard::Millis;
use crate::value::{Content, HashRef, Listpack, Object, Packed, SetRef, SortedSetRef, Value};
use header::{
    EXPIRY, HASH, Header, INT, LONG, OBJECT, RAW, SECONDS_MASK, SECONDS_SHIFT, SET, SORTED_SET,
    TEXT,
};
use parts::{Payload, drop_object, grow_text, read_object, write_head, write_payload};
use std::ptr::{copy_nonoverlapping, with_exposed_provenance_mut};

/// A place of the table: empty, or the owner of a record. Its hash bits and marks can be read
/// without touching the record.
pub(crate) struct Entry(u64);

const _: () = assert!(size_of::<Entry>() == 8, "a table slot is one word");

/// Hash bits that a word keeps.
pub(crate) const TAG_BITS: u8 = 16;

const TAG_MASK: u64 = (0x3fff << 48) | 6;
const EPOCH: u64 = 1;
const ADDRESS_MASK: u64 = (1 << 48) - 8;
const DISPLACED: u64 = 1 << 62;
const EXPIRES: u64 = 1 << 63;

/// The hash bits of `hash` as they stand in a word.
#[inline]
pub(crate) fn tag(hash: u64) -> u64 {
    ((hash >> 50) << 48) | ((hash >> 47) & 6)
}

impl Entry {
    /// A place without a record.
    pub(crate) const EMPTY: Self = Self(0);

    /// A record of `key`, tagged with the bits of its `hash`.
    pub(crate) fn new(
        heap: &Heap,
        (hash, key): (u64, &[u8]),
        content: Content<'_>,
        expiry: Option<Millis>,
        seconds: u32,
    ) -> Self {
        let (payload, raw) = Payload::of(content);
        Self::build(heap, (hash, key), (payload, raw), expiry, seconds)
    }

    /// A record of `key` that holds an object.
    pub(crate) fn of_object(
        heap: &Heap,
        (hash, key): (u64, &[u8]),
        object: Object,
        expiry: Option<Millis>,
        seconds: u32,
    ) -> Self {
        let build =
            |payload: Payload<'_>| Self::build(heap, (hash, key), (payload, true), expiry, seconds);
        Payload::with_object(object, build).0
    }

    fn build(
        heap: &Heap,
        (hash, key): (u64, &[u8]),
        (payload, raw): (Payload<'_>, bool),
        expiry: Option<Millis>,
        seconds: u32,
    ) -> Self {
        let header = Header::new(payload.kind(), key.len(), payload.len())
            .with(RAW, raw)
            .with(EXPIRY, expiry.is_some())
            .with_seconds(seconds);
        let record = heap.allocate(header.total());
        // SAFETY: `record` is new and as long as `header` says.
        unsafe {
            write_head(record, header, expiry);
            copy_nonoverlapping(key.as_ptr(), record.add(header.key_at()), key.len());
            write_payload(record, header, payload);
        }
        Self::owning(record, tag(hash), expiry.is_some())
    }

    /// The object of a record that has one, without key and record.
    pub(crate) fn into_object(mut self) -> Option<Box<Object>> {
        let header = self.header();
        if header.kind() != OBJECT {
            return None;
        }
        let record = self.record();
        // SAFETY: the record owned the object, which the box owns from here on; the record is
        // freed once, and `self` forgets it.
        let object = unsafe {
            let object = Box::from_raw(read_object(record.add(header.value_at())));
            release(record, header.total());
            object
        };
        self.0 = 0;
        Some(object)
    }

    fn owning(record: *mut u8, marks: u64, expires: bool) -> Self {
        let address = record.expose_provenance() as u64;
        assert!(address & !ADDRESS_MASK == 0, "an address has 48 bits and is a multiple of 8");
        Self(address | marks | if expires { EXPIRES } else { 0 })
    }

    /// True if there is no record.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// True if there is a record whose word has the hash bits `tag`.
    #[inline]
    pub(crate) fn matches(&self, tag: u64) -> bool {
        self.0 != 0 && (self.0 ^ tag) & TAG_MASK == 0
    }

    /// The hash bit `bit`, counted from the top, 0 being the highest; `bit` is below `TAG_BITS`.
    #[inline]
    pub(crate) fn hash_bit(&self, bit: u8) -> bool {
        debug_assert!(bit < TAG_BITS, "the word keeps so many bits");
        let place = if bit < 14 { 61 - bit } else { 16 - bit };
        self.0 >> place & 1 == 1
    }

    /// True if it lies in the bucket after its home.
    #[inline]
    pub(crate) fn displaced(&self) -> bool {
        self.0 & DISPLACED != 0
    }

    /// Marks where it lies.
    #[inline]
    pub(crate) fn set_displaced(&mut self, displaced: bool) {
        self.0 = if displaced { self.0 | DISPLACED } else { self.0 & !DISPLACED };
    }

    /// The mark that tells, while a snapshot is taken, what is saved from what is not yet.
    #[inline]
    pub(crate) fn epoch(&self) -> bool {
        self.0 & EPOCH != 0
    }

    /// Sets that mark.
    #[inline]
    pub(crate) fn set_epoch(&mut self, epoch: bool) {
        self.0 = if epoch { self.0 | EPOCH } else { self.0 & !EPOCH };
    }

    /// True if it has an expiry; known without the record.
    #[inline]
    pub(crate) fn expires(&self) -> bool {
        self.0 & EXPIRES != 0
    }

    /// Where the record lies, to be prefetched.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        (self.0 & ADDRESS_MASK) as usize
    }

    #[inline]
    fn record(&self) -> *mut u8 {
        assert!(self.0 != 0, "an empty place has no record");
        with_exposed_provenance_mut(self.address())
    }

    #[inline]
    fn header(&self) -> Header {
        let record = self.record();
        // SAFETY: a record begins with 8 aligned bytes; with LONG set 8 more follow.
        unsafe {
            let bits = record.cast::<u64>().read();
            let key_len = if bits & LONG == 0 {
                (bits >> 48) as usize
            } else {
                record.cast::<u64>().add(1).read() as usize
            };
            Header { bits, key_len }
        }
    }

    /// The key.
    #[inline]
    pub(crate) fn key(&self) -> &[u8] {
        let header = self.header();
        // SAFETY: the header says where the key lies; the record lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.record().add(header.key_at()), header.key_len) }
    }

    /// The value.
    #[inline]
    pub(crate) fn value(&self) -> Value<'_> {
        let header = self.header();
        // SAFETY: the header says where the value lies and of what kind it is; the record, and an
        // object it points to, live as long as `self` and change only through `&mut self`.
        unsafe {
            let place = self.record().add(header.value_at());
            match header.kind() {
                TEXT => Value::Str(std::slice::from_raw_parts(place, header.value_len())),
                INT => Value::Int(place.cast::<i64>().read_unaligned()),
                OBJECT => (*read_object(place)).value(),
                kind => {
                    let bytes = std::slice::from_raw_parts(place, header.value_len());
                    packed_value(kind, Listpack::of_sound(bytes))
                }
            }
        }
    }

    /// True if the value is a string that came from an edit.
    pub(crate) fn is_raw(&self) -> bool {
        self.header().bits & RAW != 0
    }

    /// When it expires, in milliseconds since the Unix epoch.
    #[inline]
    pub(crate) fn expiry(&self) -> Option<Millis> {
        if !self.expires() {
            return None;
        }
        let header = self.header();
        debug_assert!(header.bits & EXPIRY != 0, "word and record agree");
        // SAFETY: with EXPIRY set, 8 aligned bytes stand there.
        Some(unsafe { self.record().add(header.expiry_at()).cast::<Millis>().read() })
    }

    /// True if its time has passed at `now`: as with Redis, a key is there in the very millisecond
    /// in which it expires, so that one millisecond to live is never none.
    #[inline]
    pub(crate) fn is_due(&self, now: Millis) -> bool {
        self.expiry().is_some_and(|at| at < now)
    }

    /// Second of the last access, modulo 2^24.
    pub(crate) fn seconds(&self) -> u32 {
        ((self.header().bits & SECONDS_MASK) >> SECONDS_SHIFT) as u32
    }

    /// Notes an access; writes only in a new second, so that reads leave the cache line clean.
    #[inline]
    pub(crate) fn touch(&mut self, seconds: u32) {
        let header = self.header();
        let touched = header.with_seconds(seconds);
        if touched.bits != header.bits {
            // SAFETY: a record begins with 8 aligned bytes.
            unsafe { self.record().cast::<u64>().write(touched.bits) };
        }
    }

    /// Bytes allocated for the record and its object.
    pub(crate) fn bytes(&self) -> usize {
        let header = self.header();
        taken(header.total()) + self.object().map_or(0, Object::bytes)
    }

    /// The object that the record points at, if it does.
    #[inline]
    pub(crate) fn object(&self) -> Option<&Object> {
        let header = self.header();
        if header.kind() != OBJECT {
            return None;
        }
        // SAFETY: of that kind, the value is the address of a boxed object that the record owns.
        Some(unsafe { &*read_object(self.record().add(header.value_at())) })
    }

    /// The same, to be changed.
    #[inline]
    pub(crate) fn object_mut(&mut self) -> Option<&mut Object> {
        let header = self.header();
        if header.kind() != OBJECT {
            return None;
        }
        // SAFETY: as in `object`, and `&mut self` makes the reference the only one.
        Some(unsafe { &mut *read_object(self.record().add(header.value_at())) })
    }

    /// The listpack that is all there is of the value, if the record holds one.
    #[inline]
    pub(crate) fn listpack(&self) -> Option<&Listpack> {
        let header = self.header();
        // SAFETY: the header says where the value lies and what it is.
        matches!(header.kind(), HASH | SET | SORTED_SET).then(|| unsafe {
            let place = self.record().add(header.value_at());
            Listpack::of_sound(std::slice::from_raw_parts(place, header.value_len()))
        })
    }

    /// Puts an object in the place of a listpack, with the same expiry; what is left of an object
    /// that the record holds itself comes back.
    pub(crate) fn put_back(&mut self, heap: &Heap, object: Object) -> Option<Packed> {
        let (expiry, seconds) = (self.expiry(), self.seconds());
        let put = |payload: Payload<'_>| self.overwrite(heap, (payload, true), expiry, seconds);
        Payload::with_object(object, put).1
    }

    /// Puts another value in. What is of the same size is overwritten where it lies.
    pub(crate) fn replace(
        &mut self,
        heap: &Heap,
        content: Content<'_>,
        expiry: Option<Millis>,
        seconds: u32,
    ) {
        if self.refill(content) {
            self.set_expiry(heap, expiry);
            return self.touch(seconds);
        }
        self.overwrite(heap, Payload::of(content), expiry, seconds);
    }

    fn overwrite(
        &mut self,
        heap: &Heap,
        (payload, raw): (Payload<'_>, bool),
        expiry: Option<Millis>,
        seconds: u32,
    ) {
        let old = self.header();
        let header = Header::new(payload.kind(), old.key_len, payload.len())
            .with(RAW, raw)
            .with(EXPIRY, expiry.is_some())
            .with_seconds(seconds);
        let record = self.record();
        if taken(header.total()) == taken(old.total()) && header.key_at() == old.key_at() {
            // SAFETY: key and sizes stay as they are, so `header` describes this record; what the
            // old value owned is dropped before its address is overwritten.
            unsafe {
                drop_object(record, old);
                write_head(record, header, expiry);
                write_payload(record, header, payload);
            }
            self.mark_expiry(expiry.is_some());
            return;
        }
        let moved = heap.allocate(header.total());
        // SAFETY: `moved` is new and as long as `header` says; the old record is freed once, by
        // its own layout, and `self` forgets it.
        unsafe {
            write_head(moved, header, expiry);
            let key = record.add(old.key_at());
            copy_nonoverlapping(key, moved.add(header.key_at()), old.key_len);
            write_payload(moved, header, payload);
            drop_object(record, old);
            release(record, old.total());
        }
        self.own(moved, expiry.is_some());
    }

    /// Reuses the buffer of a large string for another large string that about fills it.
    fn refill(&mut self, content: Content<'_>) -> bool {
        let Content::Str(bytes) = content else { return false };
        if bytes.len() <= INLINE_BYTES_MAX || self.is_raw() {
            return false;
        }
        match self.object_mut() {
            Some(Object::Str(text))
                if text.capacity() >= bytes.len() && text.capacity() / 2 <= bytes.len() =>
            {
                text.clear();
                text.extend_from_slice(bytes);
                true
            }
            _ => false,
        }
    }

    fn own(&mut self, record: *mut u8, expires: bool) {
        let marks = self.0 & (TAG_MASK | DISPLACED | EPOCH);
        // The old word is forgotten, not dropped: its record is gone or is `record` itself.
        self.0 = 0;
        *self = Self::owning(record, marks, expires);
    }

    fn mark_expiry(&mut self, expires: bool) {
        self.0 = if expires { self.0 | EXPIRES } else { self.0 & !EXPIRES };
    }

    /// Sets or clears when it expires.
    pub(crate) fn set_expiry(&mut self, heap: &Heap, expiry: Option<Millis>) {
        let old = self.header();
        let header = old.with(EXPIRY, expiry.is_some());
        let record = self.record();
        if header.bits == old.bits {
            // SAFETY: nothing moves: `header` is this record's own.
            return unsafe { write_head(record, header, expiry) };
        }
        let moved = heap.allocate(header.total());
        // SAFETY: key and value lie together and are copied as they are, so what the value owns
        // now belongs to `moved`; the old record is freed without dropping that.
        unsafe {
            write_head(moved, header, expiry);
            let rest = old.key_len + old.value_len();
            copy_nonoverlapping(record.add(old.key_at()), moved.add(header.key_at()), rest);
            release(record, old.total());
        }
        self.own(moved, expiry.is_some());
    }

    /// Makes a string at least `len` bytes long, filling with zeros, and hands out all its bytes.
    /// From then on its encoding is `raw`.
    ///
    /// # Panics
    /// If the value is no string: the caller has looked.
    pub(crate) fn grow(&mut self, heap: &Heap, len: usize) -> &mut [u8] {
        let old = self.header();
        if let Value::Int(value) = self.value() {
            let mut digits = itoa::Buffer::new();
            let text = Content::Raw(digits.format(value).as_bytes());
            self.replace(heap, text, self.expiry(), self.seconds());
        } else if old.bits & RAW == 0 {
            // SAFETY: a record begins with 8 aligned bytes; the flag moves nothing.
            unsafe { self.record().cast::<u64>().write(old.bits | RAW) };
        }
        self.grow_inline(heap, len);
        let (record, header) = (self.record(), self.header());
        match self.object_mut() {
            Some(Object::Str(text)) => {
                grow_text(text, len);
                text
            }
            Some(_) => unreachable!("the caller has looked: it is a string"),
            // SAFETY: the value of a record without object, no longer an integer, is text; it is
            // lent out as long as `self` is.
            None => unsafe {
                let place = record.add(header.value_at());
                std::slice::from_raw_parts_mut(place, header.value_len())
            },
        }
    }

    /// Lengthens text in the record, or moves it to an object where it no longer fits.
    fn grow_inline(&mut self, heap: &Heap, len: usize) {
        let old = self.header();
        if old.kind() != TEXT || len <= old.value_len() {
            return;
        }
        if len > INLINE_BYTES_MAX {
            let Value::Str(bytes) = self.value() else { return };
            // Zeroed by the allocator, which for a large gap costs no time and no memory yet.
            let mut text = vec![0; len];
            text[..bytes.len()].copy_from_slice(bytes);
            let object = Payload::Object(Box::new(Object::Str(text)));
            return self.put_object(heap, object);
        }
        let header = Header::new(TEXT, old.key_len, len);
        let kept = old.bits & (EXPIRY | RAW | SECONDS_MASK);
        let header = Header { bits: header.bits | kept, ..header };
        let moved = match taken(header.total()) == taken(old.total()) {
            true => self.record(),
            false => heap.allocate(header.total()),
        };
        // SAFETY: `moved` is as long as `header` says, and is the record itself or new: then it
        // gets what that held, and the old one, whose text owns nothing, is freed once. The bytes
        // added are filled before they can be read.
        unsafe {
            if moved != self.record() {
                copy_nonoverlapping(self.record(), moved, old.total());
                release(self.record(), old.total());
            }
            moved.cast::<u64>().write(header.bits);
            let added = moved.add(header.value_at() + old.value_len());
            added.write_bytes(0, len - old.value_len());
        }
        self.own(moved, header.bits & EXPIRY != 0);
    }

    /// Swaps text in the record for an object, keeping all else.
    fn put_object(&mut self, heap: &Heap, object: Payload<'_>) {
        let old = self.header();
        let header = Header::new(OBJECT, old.key_len, object.len());
        let kept = old.bits & (EXPIRY | RAW | SECONDS_MASK);
        let header = Header { bits: header.bits | kept, ..header };
        let record = heap.allocate(header.total());
        // SAFETY: `record` is new and as long as `header` says; the old one held text, which owns
        // nothing, and is freed once.
        unsafe {
            write_head(record, header, self.expiry());
            let key = self.record().add(old.key_at());
            copy_nonoverlapping(key, record.add(header.key_at()), old.key_len);
            write_payload(record, header, object);
            release(self.record(), old.total());
        }
        self.own(record, header.bits & EXPIRY != 0);
    }

    /// The same value under another key; objects move without being copied.
    pub(crate) fn rename(mut self, heap: &Heap, hash: u64, key: &[u8]) -> Self {
        let old = self.header();
        let header = Header::new(old.kind(), key.len(), old.value_len());
        let kept = old.bits & (EXPIRY | RAW | SECONDS_MASK);
        let header = Header { bits: header.bits | kept, ..header };
        let expiry = self.expiry();
        let moved = heap.allocate(header.total());
        // SAFETY: the value's bytes are copied as they are, so what they own now belongs to
        // `moved`; the old record is freed without dropping that, and `self` forgets it.
        unsafe {
            let record = self.record();
            write_head(moved, header, expiry);
            copy_nonoverlapping(key.as_ptr(), moved.add(header.key_at()), key.len());
            let value = record.add(old.value_at());
            copy_nonoverlapping(value, moved.add(header.value_at()), old.value_len());
            release(record, old.total());
        }
        self.0 = 0;
        Self::owning(moved, tag(hash), expiry.is_some())
    }

    /// A copy of the value under another key, with the same expiry.
    pub(crate) fn duplicate(&self, heap: &Heap, (hash, key): (u64, &[u8]), seconds: u32) -> Self {
        let content = match self.value() {
            Value::Int(value) => Content::Int(value),
            Value::Str(bytes) if self.is_raw() => Content::Raw(bytes),
            Value::Str(bytes) => Content::Str(bytes),
            rich => {
                let object = rich.duplicate();
                return Self::of_object(heap, (hash, key), object, self.expiry(), seconds);
            }
        };
        Self::new(heap, (hash, key), content, self.expiry(), seconds)
    }
}

/// What a listpack is all there is of.
#[inline]
fn packed_value(kind: u64, listpack: &Listpack) -> Value<'_> {
    match kind {
        HASH => Value::Hash(HashRef::of_pairs(listpack)),
        SET => Value::Set(SetRef::of_packed(listpack)),
        SORTED_SET => Value::SortedSet(SortedSetRef::of_packed(listpack)),
        _ => unreachable!("a record says what it holds"),
    }
}

impl Drop for Entry {
    #[inline]
    fn drop(&mut self) {
        if self.is_empty() {
            return;
        }
        let header = self.header();
        // SAFETY: the entry owns the record and is gone after this.
        unsafe {
            drop_object(self.record(), header);
            release(self.record(), header.total());
        }
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_empty() {
            return f.write_str("Empty");
        }
        f.debug_struct("Entry").field("key", &self.key()).field("value", &self.value()).finish()
    }
}

#[cfg(test)]
mod tests;
