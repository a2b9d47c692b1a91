//! What goes from one core to another: a tick's commands for one owner, and their replies.
//!
//! The words of each command are copied once into the batch's arena with their ranges, so the
//! owner does not parse again. It runs them in order, writes the replies into the same batch, and
//! the batch goes home, where each reply is put in its place by its tag. A batch is used again
//! for ever; it allocates only to grow.

use crate::commands::{Args, Run};
use crate::limits::{BATCH_BYTES_MAX, BATCH_COMMANDS_MAX, BATCH_KEEP_BYTES_MAX, PREFETCH_DEPTH};
use crate::shard::{Call, Millis, Shard};
use pinion_io::resp::{Protocol, Range, Reply};

/// Commands for one owner, each with a tag `T` that says at home whose reply it is.
#[derive(Debug)]
pub struct Batch<T> {
    entries: Vec<Entry<T>>,
    ranges: Vec<Range>,
    arena: Vec<u8>,
    replies: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    run: Run,
    hash: u64,
    /// Of its first word, in `ranges`.
    first: u32,
    words: u32,
    /// Where its reply ends, in `replies`.
    reply_end: usize,
    db: u16,
    protocol: Protocol,
    tag: T,
}

/// A command to be added to a batch.
#[derive(Clone, Copy, Debug)]
pub struct Order<T> {
    /// Its function.
    pub run: Run,
    /// The hash of its first key, or 0.
    pub hash: u64,
    /// The client's database.
    pub db: u16,
    /// The client's protocol.
    pub protocol: Protocol,
    /// Whose it is.
    pub tag: T,
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), ranges: Vec::new(), arena: Vec::new(), replies: Vec::new() }
    }
}

impl<T: Copy> Batch<T> {
    /// How many commands.
    #[inline]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there is no command.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// True if it must be sent before another command is added.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.entries.len() >= BATCH_COMMANDS_MAX || self.arena.len() >= BATCH_BYTES_MAX
    }

    /// Adds a command whose words are `ranges` of `bytes`.
    pub fn push(&mut self, order: &Order<T>, bytes: &[u8], ranges: impl Iterator<Item = Range>) {
        debug_assert!(!self.is_full(), "the caller sends a full batch first");
        let first = self.ranges.len();
        for range in ranges {
            let start = self.arena.len() as u32;
            self.arena.extend_from_slice(range.of(bytes));
            self.ranges.push(Range { start, len: range.len });
        }
        self.entries.push(Entry {
            run: order.run,
            hash: order.hash,
            first: first as u32,
            words: (self.ranges.len() - first) as u32,
            reply_end: 0,
            db: order.db,
            protocol: order.protocol,
            tag: order.tag,
        });
    }

    /// Runs every command on its owner, in order, a few looked up at a time.
    pub fn run(&mut self, shard: &mut Shard, now: Millis) {
        for chunk in self.entries.chunks_mut(PREFETCH_DEPTH) {
            for entry in chunk.iter().filter(|entry| entry.hash != 0) {
                shard.prefetch_bucket(entry.db, entry.hash);
            }
            for entry in chunk.iter().filter(|entry| entry.hash != 0) {
                shard.prefetch_record(entry.db, entry.hash);
            }
            for entry in chunk {
                let first = entry.first as usize;
                let words = &self.ranges[first..first + entry.words as usize];
                let call = Call {
                    run: entry.run,
                    db: entry.db,
                    hash: entry.hash,
                    args: Args::new(&self.arena, words),
                };
                shard.run(now, &call, &mut Reply::new(&mut self.replies, entry.protocol));
                entry.reply_end = self.replies.len();
            }
        }
    }

    /// After `run`: each command's tag and reply, in order.
    pub fn replies(&self) -> impl Iterator<Item = (T, &[u8])> {
        let mut start = 0;
        self.entries.iter().map(move |entry| {
            let reply = &self.replies[start..entry.reply_end];
            start = entry.reply_end;
            (entry.tag, reply)
        })
    }

    /// Empties it for use again, keeping its memory unless a giant passed through.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.ranges.clear();
        self.ranges.shrink_to(BATCH_KEEP_BYTES_MAX / size_of::<Range>());
        for bytes in [&mut self.arena, &mut self.replies] {
            bytes.clear();
            bytes.shrink_to(BATCH_KEEP_BYTES_MAX);
        }
    }
}
