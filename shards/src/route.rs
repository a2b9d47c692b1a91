//! From a key to the shard that owns it: CRC16 of the hash tag, a slot, an owner.
//!
//! Source: the public Redis Cluster specification (CRC16-XMODEM, 16384 slots, `{tag}`).

use crate::limits::{SHARDS_MAX, SLOT_COUNT};
use std::sync::Arc;

/// The owner of every slot.
#[derive(Clone, Debug)]
pub struct Route {
    owners: Arc<[u8; SLOT_COUNT as usize]>,
    shards: usize,
    /// What keys without a tag may begin with, to have it as their tag.
    prefixes: Arc<[Prefix]>,
}

/// A pattern of the first bytes of keys that belong together, such as `bull:{queue}:`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Prefix {
    /// The key begins with this.
    head: Box<[u8]>,
    /// After at least one byte more comes this, for the first time; none where the pattern is only
    /// a head.
    end: Option<Box<[u8]>>,
}

impl Prefix {
    /// Reads a pattern: bytes as they are, and at most one name in braces, which stands for any
    /// bytes up to what follows it. Nothing if it is none.
    pub fn parse(pattern: &str) -> Option<Self> {
        let Some((head, rest)) = pattern.split_once('{') else {
            let head = (!pattern.is_empty()).then_some(pattern)?;
            return Some(Self { head: head.as_bytes().into(), end: None });
        };
        let (_, end) = rest.split_once('}')?;
        if end.is_empty() || end.contains(['{', '}']) {
            return None;
        }
        Some(Self { head: head.as_bytes().into(), end: Some(end.as_bytes().into()) })
    }

    /// The bytes of `key` that fit.
    fn of<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        let rest = key.strip_prefix(&*self.head)?;
        let Some(end) = &self.end else { return Some(&key[..self.head.len()]) };
        let name = memchr::memmem::find(rest, end).filter(|len| *len > 0)?;
        Some(&key[..self.head.len() + name + end.len()])
    }
}

const _: () = assert!(SHARDS_MAX - 1 <= u8::MAX as usize, "an owner is one byte");

impl Route {
    /// Spreads the slots over `shards` shards in equal runs.
    ///
    /// # Panics
    /// If `shards` is 0 or more than `SHARDS_MAX`.
    pub fn new(shards: usize) -> Self {
        Self::with_prefixes(shards, Arc::default())
    }

    /// The same, where keys without a tag that begin with one of `prefixes` have that as their tag.
    ///
    /// # Panics
    /// As `new`.
    pub fn with_prefixes(shards: usize, prefixes: Arc<[Prefix]>) -> Self {
        assert!(shards > 0, "a server has a shard");
        assert!(shards <= SHARDS_MAX, "shards are bounded");
        let mut owners = [0; SLOT_COUNT as usize];
        for (slot, owner) in owners.iter_mut().enumerate() {
            *owner = owner_of(slot, shards) as u8;
        }
        Self { owners: Arc::new(owners), shards, prefixes }
    }

    /// How many shards there are.
    #[inline]
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// The shard that owns `key`.
    #[inline]
    pub fn owner(&self, key: &[u8]) -> usize {
        if self.shards == 1 {
            return 0;
        }
        let slot = if self.prefixes.is_empty() { slot(key) } else { self.slot_by_prefix(key) };
        usize::from(self.owners[usize::from(slot)])
    }

    /// True if `key` says with which others it belongs: it has a tag, or begins as those do.
    pub fn is_tied(&self, key: &[u8]) -> bool {
        has_tag(key) || self.prefixes.iter().any(|prefix| prefix.of(key).is_some())
    }

    #[cold]
    fn slot_by_prefix(&self, key: &[u8]) -> u16 {
        if has_tag(key) {
            return slot(key);
        }
        let prefix = self.prefixes.iter().find_map(|prefix| prefix.of(key));
        crc16(prefix.unwrap_or(key)) % SLOT_COUNT
    }
}

/// The slots lie in equal runs.
fn owner_of(slot: usize, shards: usize) -> usize {
    slot * shards / SLOT_COUNT as usize
}

/// The slot of `key`: only the bytes of its hash tag count, where it has one.
#[inline]
pub fn slot(key: &[u8]) -> u16 {
    crc16(tag(key)) % SLOT_COUNT
}

/// True if `key` has a hash tag, so that nothing else in it or after it counts.
pub fn has_tag(key: &[u8]) -> bool {
    tag(key).len() < key.len()
}

/// The bytes between the first `{` and the next `}`, if there are any; else the whole key.
#[inline]
fn tag(key: &[u8]) -> &[u8] {
    let Some(open) = memchr::memchr(b'{', key) else { return key };
    let rest = &key[open + 1..];
    match memchr::memchr(b'}', rest) {
        Some(len) if len > 0 => &rest[..len],
        _ => key,
    }
}

/// CRC16-XMODEM: polynomial 0x1021, start 0, not reflected. Eight tables, eight bytes a step.
#[inline]
fn crc16(bytes: &[u8]) -> u16 {
    let mut crc: u16 = 0;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let first = usize::from(chunk[0] ^ (crc >> 8) as u8);
        let second = usize::from(chunk[1] ^ crc as u8);
        crc = TABLES[7][first]
            ^ TABLES[6][second]
            ^ TABLES[5][usize::from(chunk[2])]
            ^ TABLES[4][usize::from(chunk[3])]
            ^ TABLES[3][usize::from(chunk[4])]
            ^ TABLES[2][usize::from(chunk[5])]
            ^ TABLES[1][usize::from(chunk[6])]
            ^ TABLES[0][usize::from(chunk[7])];
    }
    for &byte in chunks.remainder() {
        crc = (crc << 8) ^ TABLES[0][usize::from((crc >> 8) as u8 ^ byte)];
    }
    crc
}

/// `TABLES[n][byte]` is the CRC of `byte` followed by `n` zero bytes.
static TABLES: [[u16; 256]; 8] = tables();

const fn tables() -> [[u16; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 { (crc << 1) ^ 0x1021 } else { crc << 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut n = 1;
    while n < 8 {
        let mut byte = 0;
        while byte < 256 {
            let crc: u16 = tables[n - 1][byte];
            tables[n][byte] = (crc << 8) ^ tables[0][(crc >> 8) as usize];
            byte += 1;
        }
        n += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_matches_its_check_value() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(crc16(b""), 0);
        let long: Vec<u8> = (0..100).collect();
        for len in 0..long.len() {
            let slow = long[..len]
                .iter()
                .fold(0u16, |crc, &b| (crc << 8) ^ TABLES[0][usize::from((crc >> 8) as u8 ^ b)]);
            assert_eq!(crc16(&long[..len]), slow);
        }
    }

    #[test]
    fn slots_of_the_specification() {
        assert_eq!(slot(b"foo"), 12182);
        assert_eq!(slot(b"{user1000}.following"), slot(b"{user1000}.followers"));
        assert_eq!(slot(b"foo{}{bar}"), crc16(b"foo{}{bar}") % SLOT_COUNT);
        assert_eq!(slot(b"foo{{bar}}zap"), crc16(b"{bar") % SLOT_COUNT);
        assert_eq!(slot(b"foo{bar}{zap}"), crc16(b"bar") % SLOT_COUNT);
    }

    #[test]
    fn every_shard_owns_about_its_share() {
        for shards in [1, 2, 7, 64] {
            let route = Route::new(shards);
            let mut counts = vec![0usize; shards];
            for &owner in route.owners.iter() {
                counts[usize::from(owner)] += 1;
            }
            let share = usize::from(SLOT_COUNT) / shards;
            assert!(counts.iter().all(|&n| n == share || n == share + 1), "{counts:?}");
        }
    }
}
