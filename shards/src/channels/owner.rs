//! What a shard knows of subscriptions: how many each core has, by name.

use super::Kind;
use crate::glob;
use crate::tracking::Changed;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Something that is published.
#[derive(Debug, Eq, PartialEq)]
pub struct Message {
    /// To subscribers of its channel by SSUBSCRIBE, or to all others.
    pub is_sharded: bool,
    /// Its channel.
    pub channel: Box<[u8]>,
    /// What it says.
    pub payload: Box<[u8]>,
}

/// What a shard tells a core that asked for it earlier.
#[derive(Clone, Debug)]
pub enum News {
    /// To be handed to the subscribers there.
    Message(Arc<Message>),
    /// A key is not any more what clients of that core have read.
    Stale {
        /// The key.
        key: Arc<[u8]>,
        /// The clients, by number.
        clients: Vec<u64>,
        /// Who changed it, or 0.
        writer: u64,
    },
    /// Keys have changed that begin with a prefix of which clients of that core want to hear.
    Broadcast {
        /// The prefix.
        prefix: Box<[u8]>,
        /// The keys, each once for each client that changed it.
        changed: Arc<[Changed]>,
    },
}

/// Subscribers by core, each with how many.
type Counts = Vec<(u16, u32)>;

/// The subscriptions that a shard knows of.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    names: [HashMap<Box<[u8]>, Counts>; 4],
    /// What is to be sent, and to which core.
    said: Vec<(u16, News)>,
    /// How much each core has been sent.
    numbers: Vec<u64>,
}

impl Channels {
    /// Counts one more subscriber on `core`, or one less.
    pub(crate) fn count(&mut self, kind: Kind, name: &[u8], core: u16, joins: bool) {
        let names = &mut self.names[kind as usize];
        if joins {
            let counts = match names.get_mut(name) {
                Some(counts) => counts,
                None => names.entry(name.into()).or_default(),
            };
            match counts.iter_mut().find(|(its, _)| *its == core) {
                Some((_, count)) => *count += 1,
                None => counts.push((core, 1)),
            }
            return;
        }
        let Some(counts) = names.get_mut(name) else { return };
        if let Some(at) = counts.iter().position(|(its, _)| *its == core) {
            counts[at].1 -= 1;
            if counts[at].1 == 0 {
                counts.swap_remove(at);
            }
        }
        if counts.is_empty() {
            names.remove(name);
        }
    }

    /// Sends a message to every core with a subscriber; returns how many subscriptions fit it.
    pub(crate) fn publish(&mut self, is_sharded: bool, channel: &[u8], payload: &[u8]) -> u64 {
        let [channels, patterns, sharded, _] = &self.names;
        let own = if is_sharded { sharded } else { channels };
        let mut cores = own.get(channel).cloned().unwrap_or_default();
        let mut count: u64 = cores.iter().map(|(_, count)| u64::from(*count)).sum();
        for (pattern, counts) in patterns.iter().filter(|_| !is_sharded) {
            if glob::is_match(pattern, channel) {
                count += counts.iter().map(|(_, count)| u64::from(*count)).sum::<u64>();
                let more = counts.iter().filter(|(core, _)| cores.iter().all(|own| own.0 != *core));
                let more: Vec<_> = more.copied().collect();
                cores.extend(more);
            }
        }
        if !cores.is_empty() {
            let (channel, payload) = (channel.into(), payload.into());
            let message = Arc::new(Message { is_sharded, channel, payload });
            let news = |(core, _)| (core, News::Message(Arc::clone(&message)));
            self.said.extend(cores.into_iter().map(news));
        }
        count
    }

    /// Names of a kind with subscribers.
    pub(crate) fn names(&self, kind: Kind) -> impl Iterator<Item = &[u8]> {
        self.names[kind as usize].keys().map(|name| &**name)
    }

    /// How many subscribe to a name.
    pub(crate) fn subscribers(&self, kind: Kind, name: &[u8]) -> u64 {
        let counts = self.names[kind as usize].get(name);
        counts.into_iter().flatten().map(|(_, count)| u64::from(*count)).sum()
    }

    /// True if some name of a kind has subscribers.
    pub(crate) fn has(&self, kind: Kind) -> bool {
        !self.names[kind as usize].is_empty()
    }

    /// The cores with subscribers to a name.
    pub(crate) fn cores(&self, kind: Kind, name: &[u8]) -> Vec<u16> {
        let counts = self.names[kind as usize].get(name);
        counts.into_iter().flatten().map(|(core, _)| *core).collect()
    }

    /// Tells a core something.
    pub(crate) fn say(&mut self, core: u16, news: News) {
        self.said.push((core, news));
    }

    /// True if there is something to be sent.
    #[inline]
    pub(crate) fn has_said(&self) -> bool {
        !self.said.is_empty()
    }

    /// What is to be sent: the core, the number of it among what that core is sent, and it.
    pub(crate) fn take_said(&mut self) -> impl Iterator<Item = (u16, u64, News)> {
        let numbers = &mut self.numbers;
        self.said.drain(..).map(|(core, news)| {
            let at = usize::from(core);
            if numbers.len() <= at {
                numbers.resize(at + 1, 0);
            }
            let number = numbers[at];
            numbers[at] += 1;
            (core, number, news)
        })
    }
}

/// News from one shard, put back in its order.
#[derive(Debug, Default)]
pub struct Inbound {
    next: u64,
    early: BTreeMap<u64, News>,
}

impl Inbound {
    /// Takes one, and gives `see` all that are next in order.
    pub fn take(&mut self, number: u64, news: News, mut see: impl FnMut(News)) {
        debug_assert!(number >= self.next, "news come once");
        if number != self.next {
            self.early.insert(number, news);
            return;
        }
        see(news);
        self.next += 1;
        while let Some(entry) = self.early.first_entry()
            && *entry.key() == self.next
        {
            see(entry.remove());
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(channels: &mut Channels) -> Vec<(u16, u64)> {
        channels.take_said().map(|(core, number, _)| (core, number)).collect()
    }

    #[test]
    fn a_message_goes_once_to_each_core() {
        let mut channels = Channels::default();
        for (kind, name, core) in [
            (Kind::Channel, "news", 1),
            (Kind::Channel, "news", 1),
            (Kind::Channel, "news", 3),
            (Kind::Pattern, "n*", 3),
            (Kind::Pattern, "n?ws", 0),
            (Kind::Pattern, "x*", 2),
            (Kind::Sharded, "news", 2),
        ] {
            channels.count(kind, name.as_bytes(), core, true);
        }
        assert_eq!(channels.publish(false, b"news", b"1"), 5);
        let mut cores = sent(&mut channels);
        cores.sort_unstable();
        assert_eq!(cores, [(0, 0), (1, 0), (3, 0)]);
        assert_eq!(channels.publish(true, b"news", b"1"), 1);
        assert_eq!(sent(&mut channels), [(2, 0)]);
        channels.count(Kind::Channel, b"news", 1, false);
        assert_eq!(channels.publish(false, b"news", b"2"), 4);
        assert_eq!(sent(&mut channels).len(), 3);
        channels.count(Kind::Channel, b"news", 1, false);
        channels.count(Kind::Channel, b"news", 3, false);
        channels.count(Kind::Channel, b"never", 3, false);
        assert_eq!(channels.names(Kind::Channel).count(), 0);
        assert_eq!(channels.publish(false, b"news", b"3"), 2);
        assert_eq!(channels.publish(false, b"other", b"3"), 0);
    }

    #[test]
    fn news_are_taken_in_their_order() {
        let (mut inbound, mut seen) = (Inbound::default(), Vec::new());
        for number in [0, 3, 2, 1, 5, 4] {
            let payload = vec![number as u8].into();
            let message = Message { is_sharded: false, channel: Box::default(), payload };
            inbound.take(number, News::Message(Arc::new(message)), |news| {
                let News::Message(message) = news else { unreachable!("it is a message") };
                seen.push(message.payload[0]);
            });
        }
        assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
    }
}
