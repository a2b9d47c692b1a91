//! Records of files are put where they belong, on the shard that owns their keys.
//!
//! The core that reads a file knows its records by their bounds only (`pinion_rdb::Parser`); it
//! sends key and object as they stand in the file, with a `Head`, and the owner looks into them.
//!
//! As Redis does it: a key whose time has come is left out, and so is a value without elements; a
//! key that comes twice makes the file one that cannot be loaded.

use super::{Decoded, Decoder};
use crate::keyspace::{Aside, Key};
use crate::limits::KEY_BYTES_MAX;
use crate::shard::{Call, Millis, Shard};
use pinion_io::resp::Reply;
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

/// What is said of a record, as it travels to the owner of its key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    kind: u8,
    expiry: Option<i64>,
    idle: Option<u64>,
    frequency: Option<u8>,
    at: u64,
}

impl Head {
    /// Bytes of one.
    pub const BYTES: usize = 27;

    /// That of a record.
    pub fn of(record: &Record<'_>) -> Self {
        let Record { at, kind, expiry, idle, frequency, .. } = *record;
        Self { kind, expiry, idle, frequency, at }
    }

    /// As bytes: the type, which of the three numbers there are, and these, and the offset.
    pub fn bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[0] = self.kind;
        bytes[1] = u8::from(self.expiry.is_some()) | u8::from(self.idle.is_some()) << 1;
        bytes[1] |= u8::from(self.frequency.is_some()) << 2;
        bytes[2..10].copy_from_slice(&self.expiry.unwrap_or(0).to_le_bytes());
        bytes[10..18].copy_from_slice(&self.idle.unwrap_or(0).to_le_bytes());
        bytes[18..26].copy_from_slice(&self.at.to_le_bytes());
        bytes[26] = self.frequency.unwrap_or(0);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let number = |at: usize| {
            let bytes = bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            u64::from_le_bytes(bytes.expect("a head has all its numbers"))
        };
        let has = |bit: u8| bytes[1] & bit != 0;
        Self {
            kind: bytes[0],
            expiry: has(1).then(|| number(2) as i64),
            idle: has(2).then(|| number(10)),
            frequency: has(4).then(|| bytes[26]),
            at: number(18),
        }
    }
}

impl Shard {
    /// Puts a record in that travelled here: replies with what became of it, or with what is wrong
    /// and where.
    #[cold]
    pub(crate) fn load(
        &mut self,
        now: Millis,
        origin: Origin,
        call: &Call<'_>,
        reply: &mut Reply<'_>,
    ) {
        let head = Head::from_bytes(call.args.at(1));
        let mut loader = match self.loader.take() {
            Some(loader) if loader.origin == origin => loader,
            _ => Box::new(Loader::new(origin)),
        };
        let (key, object) = (call.args.at(0), call.args.at(2));
        let Head { kind, expiry, idle, frequency, at } = head;
        let record = Record { at, key, kind, object, expiry, idle, frequency, next_key: None };
        match loader.load(self, call.db, &record, now) {
            Ok(Loaded::In) => reply.int(0),
            Ok(Loaded::Expired) => reply.int(1),
            Ok(Loaded::Empty) => reply.int(2),
            Err(fault) => {
                let text = pinion_rdb::Error { at, fault }.to_string();
                reply.error(text.as_bytes());
            }
        }
        self.loader = Some(loader);
    }
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
        if let Some(next) = record.next_key {
            // By the time it is put in, its line of the table is there.
            shard.keyspace.prefetch_bucket(db, shard.keyspace.hash(next));
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
        let (idle_seconds, frequency) = (record.idle.unwrap_or(0), record.frequency);
        let aside = Aside { expiry, idle_seconds, frequency };
        let new = shard.keyspace.load(key, now, value, aside);
        if new { Ok(Loaded::In) } else { Err(Fault::KeyTwice) }
    }
}
