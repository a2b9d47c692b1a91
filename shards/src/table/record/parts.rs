//! The parts of a record as they are written, and what they own.

use super::header::{HASH, Header, INT, LONG, OBJECT, SET, SORTED_SET, TEXT};
use crate::limits::{INLINE_BYTES_MAX, SPARE_BYTES_MAX};
use crate::shard::Millis;
use crate::value::{Content, Object, Packed};
use std::ptr::{copy_nonoverlapping, with_exposed_provenance_mut};

/// A value's part of a record, ready to be copied in.
pub(super) enum Payload<'a> {
    Text(&'a [u8]),
    Int([u8; 8]),
    Object(Box<Object>),
    /// A listpack, with the kind that it is all there is of.
    Packed(u64, &'a [u8]),
}

impl<'a> Payload<'a> {
    pub(super) fn of(content: Content<'a>) -> (Self, bool) {
        let raw = matches!(content, Content::Raw(_));
        match content {
            Content::Int(value) => (Self::Int(value.to_ne_bytes()), raw),
            Content::Str(bytes) | Content::Raw(bytes) if bytes.len() > INLINE_BYTES_MAX => {
                (Self::Object(Box::new(Object::Str(bytes.to_vec()))), raw)
            }
            Content::Str(bytes) | Content::Raw(bytes) => (Self::Text(bytes), raw),
        }
    }

    /// An object as it lies in a record: itself, if it is small, else its address. What is left of
    /// a small one comes back.
    pub(super) fn with_object<T>(
        object: Object,
        put: impl FnOnce(Payload<'_>) -> T,
    ) -> (T, Option<Packed>) {
        match object.listpack() {
            Some(listpack) if listpack.kept().len() <= INLINE_BYTES_MAX => {
                let kind = match object {
                    Object::Hash(_) => HASH,
                    Object::Set(_) => SET,
                    Object::SortedSet(_) => SORTED_SET,
                    _ => unreachable!("of no other type is a listpack all there is"),
                };
                let done = put(Payload::Packed(kind, listpack.kept()));
                (done, object.into_packed())
            }
            _ => (put(Payload::Object(Box::new(object))), None),
        }
    }

    pub(super) fn kind(&self) -> u64 {
        match self {
            Self::Text(_) => TEXT,
            Self::Int(_) => INT,
            Self::Object(_) => OBJECT,
            Self::Packed(kind, _) => *kind,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(bytes) | Self::Packed(_, bytes) => bytes.len(),
            Self::Int(_) | Self::Object(_) => 8,
        }
    }
}

/// Grows `text` to `len` bytes with zeros, with spare room as Redis leaves it: as much again, up
/// to a bound.
pub(super) fn grow_text(text: &mut Vec<u8>, len: usize) {
    if len <= text.len() {
        return;
    }
    if len > text.capacity() {
        text.reserve_exact(len - text.len() + len.min(SPARE_BYTES_MAX));
    }
    text.resize(len, 0);
}

/// Writes what stands before the key.
///
/// # Safety
/// `record` must be as long as `header` says.
#[inline]
pub(super) unsafe fn write_head(record: *mut u8, header: Header, expiry: Option<Millis>) {
    // SAFETY: the caller's promise; the fields are aligned to 8.
    unsafe {
        record.cast::<u64>().write(header.bits);
        if header.bits & LONG != 0 {
            record.cast::<u64>().add(1).write(header.key_len as u64);
        }
        if let Some(expiry) = expiry {
            record.add(header.expiry_at()).cast::<Millis>().write(expiry);
        }
    }
}

/// Writes a value, whose objects from then on belong to the record.
///
/// # Safety
/// `record` must be as long as `header` says, and `header` be made for this payload.
#[inline]
pub(super) unsafe fn write_payload(record: *mut u8, header: Header, payload: Payload<'_>) {
    // SAFETY: the caller's promise; the value may be at any address, hence copies of bytes.
    unsafe {
        let place = record.add(header.value_at());
        match payload {
            Payload::Text(bytes) | Payload::Packed(_, bytes) => {
                copy_nonoverlapping(bytes.as_ptr(), place, bytes.len());
            }
            Payload::Int(bytes) => copy_nonoverlapping(bytes.as_ptr(), place, 8),
            Payload::Object(object) => {
                let address = Box::into_raw(object).expose_provenance();
                place.cast::<usize>().write_unaligned(address);
            }
        }
    }
}

/// # Safety
/// The address of a live object must stand at `place`.
#[inline]
pub(super) unsafe fn read_object(place: *const u8) -> *mut Object {
    // SAFETY: the caller's promise.
    with_exposed_provenance_mut(unsafe { place.cast::<usize>().read_unaligned() })
}

/// Drops the object of a record, if it has one.
///
/// # Safety
/// `header` must be the record's, and its value not be used again.
#[inline]
pub(super) unsafe fn drop_object(record: *mut u8, header: Header) {
    if header.kind() == OBJECT {
        // SAFETY: the caller's promise; the object was boxed when the record was written.
        drop(unsafe { Box::from_raw(read_object(record.add(header.value_at()))) });
    }
}
