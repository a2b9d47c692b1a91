//! What one shard says of a snapshot: records, in chunks for a file.
//!
//! A chunk is whole records behind the database that they are of, so that chunks may stand in any
//! order in the file, and be read by themselves. A record that is larger than memory should hold
//! goes as a `Run`: its length first, which takes writing it twice, then its bytes in parts.

use super::{Encoder, Purpose, Rest};
use crate::limits::{SAVE_CHUNK_BYTES, SAVE_CHUNK_FILL_BYTES, SAVE_RECORD_BYTES_MAX};
use crate::table::Entry;
use crate::value::Value;
use pinion_rdb::write;
use std::collections::VecDeque;

/// Bytes of a chunk from which it is closed.
const CHUNK_BYTES: usize = SAVE_CHUNK_BYTES - SAVE_CHUNK_FILL_BYTES;

/// A part of a snapshot's file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Piece {
    /// A chunk.
    Chunk(Vec<u8>),
    /// A chunk of so many bytes begins, which come in parts.
    Run(u64),
    /// The next part of it: `SAVE_CHUNK_BYTES`, but for the last.
    Part(Vec<u8>),
}

/// What a shard has said, in the end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Saved {
    /// Keys.
    pub keys: u64,
    /// The lowest version of Redis's format that has all of them.
    pub version: u32,
    /// Changes to keys of the shard, from the start to the cut.
    pub changes: u64,
}

/// What is to be said of one snapshot.
#[derive(Debug)]
pub(crate) struct Cut {
    encoder: Encoder,
    open: Vec<u8>,
    /// The database of the last record in `open`.
    open_db: Option<u16>,
    pieces: VecDeque<Piece>,
    pieces_bytes: usize,
    bytes: u64,
    keys: u64,
    /// Changes up to the cut.
    changes: u64,
    /// Nobody wants it any more: entries are only marked.
    given_up: bool,
}

/// A record that is written in steps.
#[derive(Debug)]
pub(crate) struct Long {
    /// The database it is of, in the file.
    db: u16,
    stage: Stage,
    buffer: Vec<u8>,
    /// Bytes of the run so far, to be compared with what was promised.
    sent: u64,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Fresh,
    /// What is written is kept.
    Kept(Rest),
    /// What is written is only counted: the rest is as long as this, and begins there.
    Counted {
        from: Rest,
        at: Rest,
        bytes: u64,
    },
    /// It is sent, and is so long in all.
    Sent(Rest, u64),
}

impl Cut {
    pub(crate) fn new(compress: bool, changes: u64) -> Self {
        Self {
            encoder: Encoder::new(Purpose::File, compress),
            open: Vec::new(),
            open_db: None,
            pieces: VecDeque::new(),
            pieces_bytes: 0,
            bytes: 0,
            keys: 0,
            changes,
            given_up: false,
        }
    }

    /// Writes a record of a database; false if that takes steps (`Long`), and nothing is written.
    #[inline]
    pub(crate) fn save(&mut self, db: u16, entry: &Entry) -> bool {
        if self.given_up {
            return true;
        }
        let start = self.begin_record(db);
        let rest = self.encoder.record(record(entry), &mut self.open);
        if rest.is_some() {
            self.open.truncate(start);
            return false;
        }
        self.end_record(db, start);
        true
    }

    /// Writes a record whole, however long.
    #[cold]
    pub(crate) fn save_whole(&mut self, db: u16, entry: &Entry) {
        let start = self.begin_record(db);
        let mut rest = self.encoder.record(record(entry), &mut self.open);
        while let Some(left) = &mut rest {
            let open = &mut self.open;
            if self.encoder.go_on(left, entry.value(), usize::MAX, open) {
                rest = None;
            }
        }
        self.end_record(db, start);
    }

    #[inline]
    fn begin_record(&mut self, db: u16) -> usize {
        if self.open_db != Some(db) {
            write::database(&mut self.open, u64::from(db));
            self.open_db = Some(db);
        }
        self.open.len()
    }

    #[inline]
    fn end_record(&mut self, db: u16, start: usize) {
        self.keys += 1;
        self.bytes += (self.open.len() - start) as u64;
        if self.open.len() > CHUNK_BYTES {
            self.close(db, start);
        }
    }

    /// Closes the chunk before its last record, which begins at `start`, or behind that if it
    /// would fill another.
    #[cold]
    fn close(&mut self, db: u16, start: usize) {
        let mut next = Vec::with_capacity(SAVE_CHUNK_BYTES);
        write::database(&mut next, u64::from(db));
        if start > next.len() && self.open.len() - start < CHUNK_BYTES {
            next.extend_from_slice(&self.open[start..]);
            self.open.truncate(start);
            let chunk = std::mem::replace(&mut self.open, next);
            return self.push(Piece::Chunk(chunk));
        }
        self.open_db = None;
        let chunk = std::mem::take(&mut self.open);
        self.push(Piece::Chunk(chunk));
    }

    fn push(&mut self, piece: Piece) {
        self.pieces_bytes += bytes_of(&piece);
        self.pieces.push_back(piece);
    }

    /// The next piece for the file.
    pub(crate) fn take_piece(&mut self) -> Option<Piece> {
        let piece = self.pieces.pop_front()?;
        self.pieces_bytes -= bytes_of(&piece);
        Some(piece)
    }

    /// Bytes that wait to be taken.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.pieces_bytes
    }

    /// Bytes of records written so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Has nothing be written any more.
    pub(crate) fn give_up(&mut self) {
        self.given_up = true;
        self.open = Vec::new();
        self.pieces.clear();
        self.pieces_bytes = 0;
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up
    }

    /// Ends it: the last chunk is among the pieces.
    pub(crate) fn finish(&mut self) {
        let open = std::mem::take(&mut self.open);
        if !open.is_empty() && !self.given_up {
            self.push(Piece::Chunk(open));
        }
    }

    pub(crate) fn saved(&self) -> Saved {
        let (keys, version, changes) = (self.keys, self.encoder.version(), self.changes);
        Saved { keys, version, changes }
    }

    /// Writes about `budget` elements more of a long record, whose entry has not changed since the
    /// last step; true when it is whole.
    pub(crate) fn go_on(&mut self, long: &mut Long, entry: &Entry, budget: usize) -> bool {
        if self.given_up {
            return true;
        }
        let done = match long.stage {
            Stage::Fresh => self.begin_long(long, entry),
            Stage::Kept(mut rest) => {
                let value = entry.value();
                let done = self.encoder.go_on(&mut rest, value, budget, &mut long.buffer);
                long.stage = Stage::Kept(rest);
                if !done && long.buffer.len() > SAVE_RECORD_BYTES_MAX {
                    long.stage = Stage::Counted { from: rest, at: rest, bytes: 0 };
                }
                if done {
                    self.push(Piece::Chunk(std::mem::take(&mut long.buffer)));
                }
                done
            }
            Stage::Counted { .. } => {
                self.count(long, entry.value(), budget);
                false
            }
            Stage::Sent(..) => self.send(long, entry.value(), budget),
        };
        if done {
            self.keys += 1;
        }
        done
    }

    fn begin_long(&mut self, long: &mut Long, entry: &Entry) -> bool {
        write::database(&mut long.buffer, u64::from(long.db));
        match self.encoder.record(record(entry), &mut long.buffer) {
            Some(rest) => long.stage = Stage::Kept(rest),
            None => {
                self.push(Piece::Chunk(std::mem::take(&mut long.buffer)));
                return true;
            }
        }
        false
    }

    /// Counts what a part of the rest will take.
    fn count(&mut self, long: &mut Long, value: Value<'_>, budget: usize) {
        let Stage::Counted { from, mut at, mut bytes } = long.stage else {
            unreachable!("it is counted")
        };
        let mut scratch = Vec::new();
        let done = self.encoder.go_on(&mut at, value, budget, &mut scratch);
        bytes += scratch.len() as u64;
        if done {
            let total = long.buffer.len() as u64 + bytes;
            self.push(Piece::Run(total));
            long.stage = Stage::Sent(from, total);
            self.send_parts(long);
        } else {
            long.stage = Stage::Counted { from, at, bytes };
        }
    }

    /// Sends a part of the rest; true when that was the last.
    fn send(&mut self, long: &mut Long, value: Value<'_>, budget: usize) -> bool {
        let Stage::Sent(mut rest, total) = long.stage else { unreachable!("it is sent") };
        let done = self.encoder.go_on(&mut rest, value, budget, &mut long.buffer);
        long.stage = Stage::Sent(rest, total);
        self.send_parts(long);
        if done {
            let last = std::mem::take(&mut long.buffer);
            long.sent += last.len() as u64;
            // The file's offsets were given out for what was promised.
            assert_eq!(long.sent, total, "a record is as long as it was");
            if !last.is_empty() {
                self.push(Piece::Part(last));
            }
        }
        done
    }

    fn send_parts(&mut self, long: &mut Long) {
        while long.buffer.len() >= SAVE_CHUNK_BYTES {
            let rest = long.buffer.split_off(SAVE_CHUNK_BYTES);
            let part = std::mem::replace(&mut long.buffer, rest);
            long.sent += part.len() as u64;
            self.push(Piece::Part(part));
        }
    }
}

impl Long {
    /// A record of this database that is not yet begun.
    pub(crate) fn new(db: u16) -> Self {
        Self { db, stage: Stage::Fresh, buffer: Vec::new(), sent: 0 }
    }
}

fn record(entry: &Entry) -> (&[u8], Value<'_>, Option<u64>) {
    (entry.key(), entry.value(), entry.expiry())
}

fn bytes_of(piece: &Piece) -> usize {
    match piece {
        Piece::Chunk(bytes) | Piece::Part(bytes) => bytes.len(),
        Piece::Run(_) => 0,
    }
}
