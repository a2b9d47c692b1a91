//! What memcached's clients know of a key of database 0 besides its value: the flags that one of
//! them gave it, and a number for the state it was read in (`cas unique`).
//!
//! Both are forgotten when the value changes by any other way than theirs, and so they cost nothing
//! to a key that no such client has marked. A number that is forgotten for want of room only makes
//! a `cas` fail that might have passed.

use super::{Key, Keyspace};
use crate::limits::MEMCACHED_TOKENS_MAX;
use crate::shard::Millis;
use std::collections::{HashMap, VecDeque};

/// The database that memcached's clients see.
pub(super) const DB: u16 = 0;

/// Numbers a millisecond, so that none comes again after a restart.
const TOKENS_PER_MS: u64 = 1024;

/// What is known of keys.
#[derive(Debug, Default)]
pub(super) struct Marks {
    flags: HashMap<Box<[u8]>, u32>,
    tokens: HashMap<Box<[u8]>, u64>,
    /// The numbers as they were given, the oldest first; some are forgotten already.
    given: VecDeque<(Box<[u8]>, u64)>,
    last: u64,
}

impl Marks {
    /// True if nothing is known of any key.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.flags.is_empty() & self.tokens.is_empty()
    }

    /// Forgets what is known of a key.
    #[cold]
    pub(super) fn changed(&mut self, db: u16, key: &[u8]) {
        if db == DB {
            self.flags.remove(key);
            self.tokens.remove(key);
        }
    }

    /// Forgets all that is known of a database's keys.
    pub(super) fn all_changed(&mut self, db: u16) {
        if db == DB {
            let last = self.last;
            *self = Self { last, ..Self::default() };
        }
    }
}

impl Keyspace {
    /// The flags of a key of database 0.
    pub(crate) fn flags(&self, key: Key<'_>) -> u32 {
        debug_assert_eq!(key.db, DB, "flags are for keys of one database");
        self.marks.flags.get(key.bytes).copied().unwrap_or(0)
    }

    /// Gives a key of database 0 flags, until it changes.
    pub(crate) fn set_flags(&mut self, key: Key<'_>, flags: u32) {
        debug_assert_eq!(key.db, DB, "flags are for keys of one database");
        if flags != 0 {
            self.marks.flags.insert(key.bytes.into(), flags);
        }
    }

    /// The number of the state that a key of database 0 is in: another for each state.
    pub(crate) fn token(&mut self, key: Key<'_>, now: Millis) -> u64 {
        debug_assert_eq!(key.db, DB, "numbers are for keys of one database");
        if let Some(token) = self.marks.tokens.get(key.bytes) {
            return *token;
        }
        let marks = &mut self.marks;
        marks.last = (marks.last + 1).max(now.saturating_mul(TOKENS_PER_MS));
        let token = marks.last;
        while marks.given.len() >= MEMCACHED_TOKENS_MAX
            && let Some((oldest, given)) = marks.given.pop_front()
        {
            if marks.tokens.get(&oldest) == Some(&given) {
                marks.tokens.remove(&oldest);
            }
        }
        marks.tokens.insert(key.bytes.into(), token);
        marks.given.push_back((key.bytes.into(), token));
        token
    }

    /// True if a key of database 0 is still in the state of this number.
    pub(crate) fn has_token(&self, key: Key<'_>, token: u64) -> bool {
        self.marks.tokens.get(key.bytes) == Some(&token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::Expiry;
    use crate::value::Content;

    #[test]
    fn marks_go_with_the_value() {
        let mut keyspace = Keyspace::new(2, 7);
        let hash = keyspace.hash(b"key");
        let key = Key { db: 0, hash, bytes: b"key" };
        let other = Key { db: 1, ..key };
        keyspace.set(key, 1, Content::of(b"v"), Expiry::Clear);
        keyspace.set_flags(key, 5);
        let token = keyspace.token(key, 1);
        assert_eq!((keyspace.flags(key), keyspace.token(key, 2)), (5, token));
        keyspace.set(other, 1, Content::of(b"v"), Expiry::Clear);
        keyspace.set_expiry(key, 1, Some(9));
        assert!(keyspace.has_token(key, token) && keyspace.flags(key) == 5);
        keyspace.set(key, 1, Content::of(b"v"), Expiry::At(9));
        assert!(!keyspace.has_token(key, token) && keyspace.flags(key) == 0);
        let again = keyspace.token(key, 1);
        assert!(again > token);
        keyspace.set_flags(key, 5);
        assert!(!keyspace.contains(key, 10), "its time has come");
        assert!(!keyspace.has_token(key, again) && keyspace.flags(key) == 0);
        keyspace.set(key, 1, Content::of(b"v"), Expiry::Clear);
        let last = keyspace.token(key, 1);
        keyspace.flush(0);
        assert!(!keyspace.has_token(key, last) && keyspace.marks.is_empty());
    }

    #[test]
    fn numbers_are_bounded() {
        let mut keyspace = Keyspace::new(1, 7);
        let name = |index: usize| index.to_string().into_bytes();
        for index in 0..MEMCACHED_TOKENS_MAX + 10 {
            let bytes = name(index);
            let key = Key { db: 0, hash: keyspace.hash(&bytes), bytes: &bytes };
            keyspace.token(key, 1);
        }
        assert_eq!(keyspace.marks.tokens.len(), MEMCACHED_TOKENS_MAX);
        assert_eq!(keyspace.marks.given.len(), MEMCACHED_TOKENS_MAX);
    }
}
