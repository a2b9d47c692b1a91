//! Records of files are put where they belong, on the shard that owns their keys.
//!
//! As Redis does it: a key whose time has come is left out, and so is a value without elements; a
//! key that comes twice makes the file one that cannot be loaded.

use super::{Decoded, Decoder};
use crate::keyspace::{Aside, Key};
use crate::limits::KEY_BYTES_MAX;
use crate::shard::{Millis, Shard};
use pinion_rdb::{Fault, Origin, Record, kind};

/// Puts records of one file in; keeps memory from one to the next.
#[derive(Debug)]
pub struct Loader {
    decoder: Decoder,
    origin: Origin,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Loaded {
    /// It is in.
    In,
    /// Its time had come.
    Expired,
    /// There was nothing in it.
    Empty,
}

impl Loader {
    /// Loads from a file of this origin.
    pub fn new(origin: Origin) -> Self {
        Self { decoder: Decoder::default(), origin }
    }

    /// Puts a record in, if this shard has the database, which the caller makes sure, as it does
    /// that the key is this shard's. Nobody is told of a change, and none is counted.
    ///
    /// # Errors
    /// What is wrong with the object; `KeyTwice` if the key is there already.
    pub fn load(
        &mut self,
        shard: &mut Shard,
        db: u16,
        record: &Record<'_>,
        now: Millis,
    ) -> Result<Loaded, Fault> {
        if record.key.len() > KEY_BYTES_MAX {
            return Err(Fault::TooLarge);
        }
        // A value is looked at even if its time has come: damage is damage.
        let what = (self.origin, record.kind);
        let value = match self.decoder.decode(what, record.object, &shard.rules, now) {
            Ok(value) => value,
            Err(Fault::Empty) if record.kind != kind::STRING => return Ok(Loaded::Empty),
            Err(fault) => return Err(fault),
        };
        let expiry = record.expiry.map(|at| Millis::try_from(at).unwrap_or(0));
        if matches!(value, Decoded::Nothing) || expiry.is_some_and(|at| at < now) {
            return Ok(Loaded::Expired);
        }
        let key = Key { db, hash: shard.keyspace.hash(record.key), bytes: record.key };
        let aside = Aside { expiry, idle_seconds: record.idle.unwrap_or(0) };
        let new = shard.keyspace.load(key, now, value, aside);
        if new { Ok(Loaded::In) } else { Err(Fault::KeyTwice) }
    }
}
