//! What lies where in a record.
//!
//! The bytes of a record. The first four fields are one 64-bit number, low bits first:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | kind (bits 0-3), EXPIRY, RAW, LONG |
//! | 3 | second of the last access, modulo 2^24 |
//! | 2 | bytes of the value's part of the record |
//! | 2 | bytes of the key; 0 with LONG |
//! | 8 | with LONG only: bytes of the key |
//! | 8 | with EXPIRY only: when, in milliseconds since the Unix epoch |
//! | n | the key |
//! | n | the value: text, an integer's 8 bytes, a listpack, or the 8 of an `Object`'s address |

use crate::limits::INLINE_BYTES_MAX;

const KIND_MASK: u64 = 15;
pub(crate) const TEXT: u64 = 0;
pub(crate) const INT: u64 = 1;
pub(crate) const OBJECT: u64 = 2;
/// A listpack that is all there is of a hash.
pub(crate) const HASH: u64 = 3;
/// The same of a set.
pub(crate) const SET: u64 = 4;
/// The same of a sorted set.
pub(crate) const SORTED_SET: u64 = 5;
pub(crate) const EXPIRY: u64 = 1 << 4;
pub(crate) const RAW: u64 = 1 << 5;
pub(crate) const LONG: u64 = 1 << 6;
pub(crate) const SECONDS_SHIFT: u32 = 8;
pub(crate) const SECONDS_MASK: u64 = 0xff_ffff << SECONDS_SHIFT;

/// The first 8 bytes of a record, and the sizes that follow from them.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    pub(crate) bits: u64,
    pub(crate) key_len: usize,
}

impl Header {
    pub(crate) fn new(kind: u64, key_len: usize, value_len: usize) -> Self {
        debug_assert!(value_len <= INLINE_BYTES_MAX, "longer values are objects");
        let long = key_len > usize::from(u16::MAX);
        let packed = if long { 0 } else { key_len as u64 };
        let flags = kind | if long { LONG } else { 0 };
        Self { bits: flags | ((value_len as u64) << 32) | (packed << 48), key_len }
    }

    pub(crate) fn with(self, flag: u64, on: bool) -> Self {
        Self { bits: if on { self.bits | flag } else { self.bits & !flag }, ..self }
    }

    pub(crate) fn with_seconds(self, seconds: u32) -> Self {
        let bits = (u64::from(seconds) << SECONDS_SHIFT) & SECONDS_MASK;
        Self { bits: (self.bits & !SECONDS_MASK) | bits, ..self }
    }

    #[inline]
    pub(crate) fn kind(self) -> u64 {
        self.bits & KIND_MASK
    }

    #[inline]
    pub(crate) fn expiry_at(self) -> usize {
        8 + ((self.bits & LONG) >> 3) as usize
    }

    #[inline]
    pub(crate) fn key_at(self) -> usize {
        self.expiry_at() + ((self.bits & EXPIRY) >> 1) as usize
    }

    #[inline]
    pub(crate) fn value_at(self) -> usize {
        self.key_at() + self.key_len
    }

    #[inline]
    pub(crate) fn value_len(self) -> usize {
        usize::from((self.bits >> 32) as u16)
    }

    pub(crate) fn total(self) -> usize {
        self.value_at() + self.value_len()
    }
}

const _: () = assert!(LONG >> 3 == 8 && EXPIRY >> 1 == 8, "the flags say 8 bytes by a shift");
