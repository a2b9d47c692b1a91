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

use crate::glob;
use crate::shard::Shard;
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

impl Shard {
    /// The channels of a kind with subscribers, those that fit `pattern` if there is one. Some are
    /// known to every shard.
    pub fn channels(&self, kind: Kind, pattern: Option<&[u8]>) -> Vec<Box<[u8]>> {
        let fits = |name: &&[u8]| pattern.is_none_or(|pattern| glob::is_match(pattern, name));
        self.channels.names(kind).filter(fits).map(Box::from).collect()
    }

    /// How many subscribe to a name, as far as this shard knows: its owner knows all.
    pub fn subscribers(&self, kind: Kind, name: &[u8]) -> u64 {
        self.channels.subscribers(kind, name)
    }

    /// Names of a kind with subscribers: all patterns and prefixes, and the channels that this
    /// shard owns.
    pub fn subscribed(&self, kind: Kind) -> u64 {
        let owned = |name: &&[u8]| match kind {
            Kind::Pattern | Kind::Prefix => true,
            _ => self.route().owner(name) == self.index(),
        };
        self.channels.names(kind).filter(owned).count() as u64
    }
}
