//! What a transaction sends to one owner in one round, and what comes back in the same box.

use super::locks::Wanted;
use crate::carried::Carried;
use crate::commands::{Args, Words};
use crate::limits::BATCH_KEEP_BYTES_MAX;
use crate::shard::{Ran, Task};
use crate::tracking::Speaker;
use pinion_io::resp::Protocol;

/// Pieces of which an empty message keeps the memory.
const PIECES_KEPT_MAX: usize = 256;

/// A transaction: unique on a server.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct TransactionId {
    /// The core that coordinates it.
    pub home: u16,
    /// Its number there.
    pub number: u64,
}

impl TransactionId {
    /// Its place at its core.
    pub(super) fn key(self) -> usize {
        self.number as u32 as usize
    }
}

/// A client that watches keys, by the number of its session, which is unique on a server.
pub type Watcher = u64;

/// What an owner is asked before anything else of a transaction.
#[derive(Debug)]
pub struct Begin {
    /// Its place among all that have tickets for this owner; none where it needs no other.
    pub sequence: Option<u64>,
    /// What it locks here.
    pub wanted: Wanted,
    /// Whose watched keys must not have changed.
    pub watcher: Option<Watcher>,
}

/// One message of a transaction to an owner: commands to be run without a break.
#[derive(Debug, Default)]
pub struct Part {
    /// Of this transaction.
    pub id: TransactionId,
    /// In the first message to this owner.
    pub begin: Option<Begin>,
    /// What to run.
    pub pieces: Vec<Piece>,
    /// The locks go once that is done.
    pub release: bool,
    /// Whose watch is looked at before it runs.
    pub(crate) watcher: Option<Watcher>,
    /// The client, if it caches what it reads; what it reads is remembered by pieces of its own.
    pub speaker: Option<Speaker>,
    /// In the answer: a watched key has changed, and nothing was run.
    pub refused: bool,
    /// The words of all pieces.
    pub words: Words,
    /// The replies of all pieces, one after the other.
    pub replies: Vec<u8>,
}

/// One command, or the part of one, that an owner runs.
#[derive(Debug)]
pub struct Piece {
    /// What to do.
    pub task: Task,
    /// The client's database.
    pub db: u16,
    /// The client's protocol.
    pub protocol: Protocol,
    /// The hash of its first key, or 0.
    pub hash: u64,
    /// Where its words begin, and how many they are.
    pub words: (u32, u32),
    /// Which step of the transaction it is.
    pub step: u32,
    /// Values that came for it, and in the answer, values that it sends.
    pub carried: Vec<Carried>,
    /// In the answer: whether it replied, or waits for a key.
    pub ran: Ran,
    /// In the answer: where its reply ends, in `Part::replies`.
    pub reply_end: usize,
    /// In the answer: how long it ran, in nanoseconds.
    pub took: u64,
}

impl Part {
    /// The words of a piece.
    pub(crate) fn args(&self, piece: usize) -> Args<'_> {
        let (first, count) = self.pieces[piece].words;
        self.words.some(first as usize..(first + count) as usize)
    }

    /// Empties it for use again.
    pub(crate) fn clear(&mut self) {
        self.begin = None;
        self.pieces.clear();
        self.pieces.shrink_to(PIECES_KEPT_MAX);
        (self.release, self.refused, self.speaker) = (false, false, None);
        self.words.clear(BATCH_KEEP_BYTES_MAX);
        self.replies.clear();
        self.replies.shrink_to(BATCH_KEEP_BYTES_MAX);
    }
}
