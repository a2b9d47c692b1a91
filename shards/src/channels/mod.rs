//! Publish and subscribe over the cores.
//!
//! A channel has an owner, as a key has: the shard of its name's slot. Every core that has
//! subscribers to it says so there, with each that comes or goes, so the owner knows how many there
//! are on which core and nothing else. PUBLISH runs at the owner: it counts them for its reply, and
//! sends each of these cores one message, whose bytes they share. A core hands it to its own
//! subscribers. What concerns names unknown beforehand is with every shard: patterns, and the
//! channels of keyspace events, which a shard publishes itself.
//!
//! **One order.** The owner numbers what it sends to each core, and the core takes it in that
//! order, whoever brought it: the shard's own thread, or one that had borrowed it. So all
//! subscribers of a channel see one order, which is that of the owner's commands. Of two channels
//! nothing is promised unless their names have one hash tag.
//!
//! **Nothing is missed.** A client is entered at home before the owner hears of it, and it is told
//! that it subscribes only once every owner has answered. Messages that come between are kept until
//! then. One that leaves is struck out at home first.
//!
//! `events` publishes what happens to keys. `owner` is what a shard knows; `home` what a core
//! knows of its clients.

mod events;
mod home;
mod owner;

pub use home::{Change, Effect, Subscriptions};
pub(crate) use owner::Channels;
pub use owner::{Inbound, Message, News};

/// What a name stands for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// A channel.
    Channel,
    /// Every channel that fits.
    Pattern,
    /// A channel of SPUBLISH.
    Sharded,
    /// No channel at all: every key that begins so, to clients that cache.
    Prefix,
}

/// Begins the names of channels that carry what happens to keys.
pub const EVENTS_PREFIX: &[u8] = b"__key";

impl Kind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Channel, Self::Pattern, Self::Sharded, Self::Prefix];

    /// True if every shard must know of subscriptions to `name`, and not its owner alone.
    pub fn is_everywhere(self, name: &[u8]) -> bool {
        match self {
            Self::Pattern | Self::Prefix => true,
            Self::Channel => name.starts_with(EVENTS_PREFIX),
            Self::Sharded => false,
        }
    }
}
