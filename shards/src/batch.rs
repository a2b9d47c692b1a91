//! What goes from one core to another: a tick's commands for one owner, and their replies.
//!
//! The words of each command are copied once into the batch's arena with their ranges, so the
//! owner does not parse again. It runs them in order, writes the replies into the same batch, and
//! the batch goes home, where each reply is put in its place by its tag. A batch is used again
//! for ever; it allocates only to grow.

use crate::carried::Carried;
use crate::commands::Args;
use crate::limits::{BATCH_BYTES_MAX, BATCH_COMMANDS_MAX, BATCH_KEEP_BYTES_MAX, PREFETCH_DEPTH};
use crate::shard::{Call, Millis, Ran, Sender, Shard, Task};
use pinion_io::resp::{Protocol, Range, Reply};

/// Commands for one owner, each with a tag `T` that says at home whose reply it is.
#[derive(Debug)]
pub struct Batch<T> {
    entries: Vec<Entry<T>>,
    ranges: Vec<Range>,
    arena: Vec<u8>,
    replies: Vec<u8>,
    /// Values that go with commands, and come home with replies, by the index of the command.
    out: Vec<(u32, Vec<Carried>)>,
    home: Vec<(u32, Vec<Carried>)>,
    /// Commands that have not replied, and why.
    unfinished: Vec<(u32, Ran)>,
}

#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    task: Task,
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

/// What became of a command on its owner.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// Its reply; nothing if it has not replied.
    pub reply: &'a [u8],
    /// Values that came with it.
    pub carried: Vec<Carried>,
    /// Whether it has replied.
    pub ran: Ran,
}

/// A command to be added to a batch.
#[derive(Clone, Copy, Debug)]
pub struct Order<T> {
    /// What to do.
    pub task: Task,
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
        Self {
            entries: Vec::new(),
            ranges: Vec::new(),
            arena: Vec::new(),
            replies: Vec::new(),
            out: Vec::new(),
            home: Vec::new(),
            unfinished: Vec::new(),
        }
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
            task: order.task,
            hash: order.hash,
            first: first as u32,
            words: (self.ranges.len() - first) as u32,
            reply_end: 0,
            db: order.db,
            protocol: order.protocol,
            tag: order.tag,
        });
    }

    /// Sends values along with the command added last.
    pub fn carry(&mut self, carried: Vec<Carried>) {
        debug_assert!(!self.entries.is_empty(), "values go with a command");
        self.out.push((self.entries.len() as u32 - 1, carried));
    }

    /// Runs every command on its owner, in order, a few looked up at a time. `sender` is home.
    pub fn run(&mut self, shard: &mut Shard, now: Millis, sender: Sender) {
        let mut out = self.out.drain(..).peekable();
        let mut index = 0;
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
                    task: entry.task,
                    sender,
                    db: entry.db,
                    hash: entry.hash,
                    args: Args::new(&self.arena, words),
                };
                let own = out.next_if(|(command, _)| *command == index);
                let mut incoming = own.map(|(_, carried)| carried).unwrap_or_default();
                let mut reply = Reply::new(&mut self.replies, entry.protocol);
                let ran = shard.run_with(now, &call, &mut incoming, &mut reply);
                if ran != Ran::Done {
                    self.unfinished.push((index, ran));
                }
                entry.reply_end = self.replies.len();
                let outgoing = shard.take_outgoing();
                if !outgoing.is_empty() {
                    self.home.push((index, outgoing));
                }
                index += 1;
            }
        }
    }

    /// After `run`: gives away each command's tag and what became of it, in order.
    pub fn finish(&mut self, mut see: impl FnMut(T, Outcome<'_>)) {
        let mut start = 0;
        let mut home = self.home.drain(..).peekable();
        let mut unfinished = self.unfinished.drain(..).peekable();
        for (index, entry) in self.entries.iter().enumerate() {
            let own = |(command, _): &(u32, _)| *command == index as u32;
            let carried = home.next_if(own).map(|(_, carried)| carried).unwrap_or_default();
            let own = unfinished.next_if(|(command, _)| *command == index as u32);
            let ran = own.map_or(Ran::Done, |(_, ran)| ran);
            let reply = &self.replies[start..entry.reply_end];
            start = entry.reply_end;
            see(entry.tag, Outcome { reply, carried, ran });
        }
    }

    /// Empties it for use again, keeping its memory unless a giant passed through.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.out.clear();
        self.home.clear();
        self.unfinished.clear();
        self.ranges.clear();
        self.ranges.shrink_to(BATCH_KEEP_BYTES_MAX / size_of::<Range>());
        for bytes in [&mut self.arena, &mut self.replies] {
            bytes.clear();
            bytes.shrink_to(BATCH_KEEP_BYTES_MAX);
        }
    }
}
