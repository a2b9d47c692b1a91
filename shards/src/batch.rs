//! What goes from one core to another: a tick's commands for one owner, and their replies.
//!
//! The words of each command are copied once into the batch's arena with their ranges, so the
//! owner does not parse again. It runs them in order, writes the replies into the same batch, and
//! the batch goes home, where each reply is put in its place by its tag. A batch is used again
//! for ever; it allocates only to grow.

use crate::commands::{Args, Row};
use crate::limits::{BATCH_BYTES_MAX, BATCH_COMMANDS_MAX, BATCH_KEEP_BYTES_MAX, PREFETCH_DEPTH};
use crate::shard::{Call, Millis, Ran, Sender, Shard, Task};
use crate::tracking::Speaker;
use crate::transaction::Part;
use pinion_io::resp::{Protocol, Range, Reply};

/// Commands for one owner, each with a tag `T` that says at home whose reply it is.
#[derive(Debug)]
pub struct Batch<T> {
    entries: Vec<Entry<T>>,
    ranges: Vec<Range>,
    arena: Vec<u8>,
    replies: Vec<u8>,
    /// Commands that have not replied, and why.
    unfinished: Vec<(u32, Ran)>,
    /// Messages of transactions, by how many commands go before each; then their answers.
    parts: Vec<(u32, Box<Part>)>,
    #[expect(clippy::vec_box, reason = "what came in a box goes out in it")]
    answers: Vec<Box<Part>>,
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
    speaker: Option<Speaker>,
    /// How long it ran, in nanoseconds: if it is cheap, the mean of those beside it.
    took: u32,
    tag: T,
}

/// What became of a command on its owner.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// Its reply; nothing if it has not replied.
    pub reply: &'a [u8],
    /// Whether it has replied.
    pub ran: Ran,
    /// Which command it was, if it was one.
    pub row: Option<&'static Row>,
    /// Its words; none where they are not known any more.
    pub args: Args<'a>,
    /// How long it ran, in nanoseconds.
    pub took: u64,
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
    /// The client, if it caches what it reads.
    pub speaker: Option<Speaker>,
    /// Whose it is.
    pub tag: T,
}

/// Notes that these commands took the time from `before` to `after` together; returns the latter.
#[inline]
fn charge<T>(entries: &mut [Entry<T>], before: u64, after: u64) -> u64 {
    let each = after.saturating_sub(before) / (entries.len() as u64).max(1);
    let took = u32::try_from(each).unwrap_or(u32::MAX);
    entries.iter_mut().for_each(|entry| entry.took = took);
    after
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            ranges: Vec::new(),
            arena: Vec::new(),
            replies: Vec::new(),
            unfinished: Vec::new(),
            parts: Vec::new(),
            answers: Vec::new(),
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
        self.entries.is_empty() && self.parts.is_empty()
    }

    /// True if it must be sent before another command is added.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.entries.len() + self.parts.len() >= BATCH_COMMANDS_MAX
            || self.arena.len() >= BATCH_BYTES_MAX
    }

    /// Adds a command whose words are `ranges` of `bytes`.
    pub fn push(&mut self, order: &Order<T>, bytes: &[u8], ranges: impl Iterator<Item = Range>) {
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
            speaker: order.speaker,
            took: 0,
            tag: order.tag,
        });
    }

    /// Adds a message of a transaction.
    pub fn push_part(&mut self, part: Box<Part>) {
        self.parts.push((self.entries.len() as u32, part));
    }

    /// Runs every command on its owner, in order, a few looked up at a time. `sender` is home.
    pub fn run(&mut self, shard: &mut Shard, now: Millis, sender: Sender) {
        let mut parts = self.parts.drain(..).peekable();
        let answers = &mut self.answers;
        let mut index = 0;
        let mut before = shard.instant();
        for chunk in self.entries.chunks_mut(PREFETCH_DEPTH) {
            for entry in chunk.iter().filter(|entry| entry.hash != 0) {
                shard.prefetch_bucket(entry.db, entry.hash);
            }
            for entry in chunk.iter().filter(|entry| entry.hash != 0) {
                shard.prefetch_record(entry.db, entry.hash);
            }
            // Cheap commands that ran last and are not charged yet.
            let mut cheap = 0;
            for at in 0..chunk.len() {
                while let Some((_, part)) = parts.next_if(|(before, _)| *before == index) {
                    answers.extend(shard.take_part(now, part));
                    before = shard.instant();
                }
                let is_cheap = chunk[at].task.row().is_some_and(Row::is_cheap);
                if !is_cheap && cheap > 0 {
                    before = charge(&mut chunk[at - cheap..at], before, shard.instant());
                    cheap = 0;
                }
                let entry = &mut chunk[at];
                let first = entry.first as usize;
                let words = &self.ranges[first..first + entry.words as usize];
                let call = Call {
                    task: entry.task,
                    sender,
                    db: entry.db,
                    hash: entry.hash,
                    speaker: entry.speaker,
                    args: Args::new(&self.arena, words),
                };
                let mut reply = Reply::new(&mut self.replies, entry.protocol);
                let ran = shard.run(now, &call, &mut reply);
                if ran != Ran::Done {
                    self.unfinished.push((index, ran));
                }
                entry.reply_end = self.replies.len();
                if is_cheap {
                    cheap += 1;
                } else {
                    before = charge(&mut chunk[at..=at], before, shard.instant());
                }
                index += 1;
            }
            if cheap > 0 {
                let from = chunk.len() - cheap;
                before = charge(&mut chunk[from..], before, shard.instant());
            }
        }
        for (_, part) in parts {
            answers.extend(shard.take_part(now, part));
        }
    }

    /// After `run`: the answers of transactions' messages, but for those that wait.
    pub fn take_answers(&mut self) -> impl Iterator<Item = Box<Part>> {
        self.answers.drain(..)
    }

    /// After `run`: gives away each command's tag and what became of it, in order.
    pub fn finish(&mut self, mut see: impl FnMut(T, Outcome<'_>)) {
        let mut start = 0;
        let mut unfinished = self.unfinished.drain(..).peekable();
        for (index, entry) in self.entries.iter().enumerate() {
            let own = unfinished.next_if(|(command, _)| *command == index as u32);
            let ran = own.map_or(Ran::Done, |(_, ran)| ran);
            let reply = &self.replies[start..entry.reply_end];
            start = entry.reply_end;
            let first = entry.first as usize;
            let words = &self.ranges[first..first + entry.words as usize];
            let (row, args) = (entry.task.row(), Args::new(&self.arena, words));
            see(entry.tag, Outcome { reply, ran, row, args, took: entry.took.into() });
        }
    }

    /// Empties it for use again, keeping its memory unless a giant passed through.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.unfinished.clear();
        self.parts.clear();
        self.answers.clear();
        self.ranges.clear();
        self.ranges.shrink_to(BATCH_KEEP_BYTES_MAX / size_of::<Range>());
        for bytes in [&mut self.arena, &mut self.replies] {
            bytes.clear();
            bytes.shrink_to(BATCH_KEEP_BYTES_MAX);
        }
    }
}
