//! What a shard says to a core later than the call that it belongs to.

use crate::channels::News;
use crate::commands::{Row, Words};
use crate::shard::{Ran, Sender};
use crate::transaction::Part;
use crate::waiting::Waiter;

/// Something that a shard says to a core after the call it belongs to.
#[derive(Debug)]
pub struct Late {
    /// To which core.
    pub to: Sender,
    /// Of which call.
    pub call: LateCall,
    /// The reply, or a piece of it, in the client's protocol.
    pub reply: Vec<u8>,
    /// True if another piece follows.
    pub more: bool,
    /// Whether it has replied, or waits for a key now.
    pub ran: Ran,
    /// A message of a transaction that had to wait for its locks.
    pub part: Option<Box<Part>>,
    /// What the core asked to be told.
    pub news: Option<News>,
    /// What the command cost that replies.
    pub cost: Cost,
}

/// What a command cost that had to wait.
#[derive(Clone, Debug, Default)]
pub struct Cost {
    /// Which it was, where the shard knows.
    pub row: Option<&'static Row>,
    /// Its words.
    pub words: Words,
    /// How long it ran at last, in nanoseconds; how long it waited is not counted.
    pub took: u64,
}

/// The call that a late reply belongs to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LateCall {
    /// One that waited for a key, by the number it was given at home.
    Waited(u64),
    /// One that this shard put off, by the number that it was given there (`Ran::Later`).
    Later(u16, u64),
    /// One that waits on several shards, by the number it was given at home: this shard may have
    /// something for it.
    Offered(u16, u64),
    /// A message of a transaction: it is `Late::part`.
    Part,
    /// None: it is `Late::news`, with its number among what this shard tells the core.
    News(u16, u64),
}

impl Late {
    pub(crate) fn waited(waiter: Waiter, reply: Vec<u8>, cost: Cost) -> Self {
        Self { reply, cost, ..Self::empty(Sender(waiter.home), LateCall::Waited(waiter.id)) }
    }

    pub(crate) fn later(sender: Sender, shard: usize, number: u64) -> Self {
        Self::empty(sender, LateCall::Later(shard as u16, number))
    }

    /// What says that shard `shard` may have something for a waiter.
    pub(crate) fn offered(waiter: Waiter, shard: usize) -> Self {
        Self::empty(Sender(waiter.home), LateCall::Offered(shard as u16, waiter.id))
    }

    pub(crate) fn part(part: Box<Part>) -> Self {
        let late = Self::empty(Sender(part.id.home), LateCall::Part);
        Self { part: Some(part), ..late }
    }

    pub(crate) fn news(to: u16, shard: usize, number: u64, news: News) -> Self {
        let late = Self::empty(Sender(to), LateCall::News(shard as u16, number));
        Self { news: Some(news), ..late }
    }

    fn empty(to: Sender, call: LateCall) -> Self {
        let (part, news, cost) = (None, None, Cost::default());
        Self { to, call, reply: Vec::new(), more: false, ran: Ran::Done, part, news, cost }
    }
}
