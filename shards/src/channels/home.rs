//! What a core knows of its clients' subscriptions.

use super::{Kind, Message};
use crate::glob;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::rc::Rc;

type Name = Rc<[u8]>;

/// The subscriptions of a core's clients, each known as a `C`.
#[derive(Debug)]
pub struct Subscriptions<C> {
    names: [HashMap<Name, HashSet<C>>; 4],
    clients: HashMap<C, [HashSet<Name>; 4]>,
    /// Bytes of each client's names.
    bytes: HashMap<C, usize>,
}

/// Bytes that a subscription takes besides its name: two counters, and entries in four tables.
const ENTRY_BYTES: usize = 128;

/// What a client wants to begin or to end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// What the names stand for.
    pub kind: Kind,
    /// It begins to subscribe, or ends.
    pub joins: bool,
    /// The names; where there is none, it ends all that it has of the kind.
    pub names: Vec<Box<[u8]>>,
}

/// What became of one name of a change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Effect {
    /// The name; none if there was nothing to end.
    pub name: Option<Rc<[u8]>>,
    /// Something changed, of which its owner must hear.
    pub changed: bool,
    /// How many of its names the client subscribes to now: channels and patterns together, or
    /// sharded channels.
    pub count: u32,
}

impl<C> Default for Subscriptions<C> {
    fn default() -> Self {
        Self { names: Default::default(), clients: HashMap::new(), bytes: HashMap::new() }
    }
}

impl<C: Copy + Eq + Hash> Subscriptions<C> {
    /// Makes a change for a client, name by name.
    pub fn change(&mut self, client: C, change: &Change) -> Vec<Effect> {
        let kind = change.kind as usize;
        let mut names: Vec<Name> = change.names.iter().map(|name| (&**name).into()).collect();
        if names.is_empty() && !change.joins {
            let own = self.clients.get(&client).into_iter().flat_map(|own| &own[kind]);
            names = own.cloned().collect();
            names.sort_unstable();
            if names.is_empty() {
                let count = self.shown(client, change.kind);
                return vec![Effect { name: None, changed: false, count }];
            }
        }
        let mut effects = Vec::with_capacity(names.len());
        for name in names {
            let changed = if change.joins {
                self.join(client, kind, Rc::clone(&name))
            } else {
                self.leave(client, kind, &name)
            };
            let count = self.shown(client, change.kind);
            effects.push(Effect { name: Some(name), changed, count });
        }
        if self.clients.get(&client).is_some_and(|own| own.iter().all(HashSet::is_empty)) {
            self.clients.remove(&client);
            self.bytes.remove(&client);
        }
        effects
    }

    fn join(&mut self, client: C, kind: usize, name: Name) -> bool {
        let new = self.clients.entry(client).or_default()[kind].insert(Rc::clone(&name));
        if new {
            *self.bytes.entry(client).or_default() += name.len() + ENTRY_BYTES;
            self.names[kind].entry(name).or_default().insert(client);
        }
        new
    }

    fn leave(&mut self, client: C, kind: usize, name: &Name) -> bool {
        let own = self.clients.get_mut(&client);
        let was = own.is_some_and(|own| own[kind].remove(name));
        if was {
            let clients = self.names[kind].get_mut(name).expect("what one subscribes to is known");
            clients.remove(&client);
            if clients.is_empty() {
                self.names[kind].remove(name);
            }
            let bytes = self.bytes.get_mut(&client).expect("what one subscribes to is counted");
            *bytes -= name.len() + ENTRY_BYTES;
        }
        was
    }

    /// How many names of each kind a client subscribes to.
    pub fn counts(&self, client: C) -> [u32; 4] {
        let own = self.clients.get(&client);
        own.map_or([0; 4], |own| [0, 1, 2, 3].map(|kind: usize| own[kind].len() as u32))
    }

    /// Bytes that a client's subscriptions take.
    pub fn bytes(&self, client: C) -> usize {
        self.bytes.get(&client).copied().unwrap_or(0)
    }

    /// The names of a kind that a client subscribes to, in no order.
    pub fn names(&self, client: C, kind: Kind) -> impl Iterator<Item = &[u8]> {
        let own = self.clients.get(&client);
        own.into_iter().flat_map(move |own| own[kind as usize].iter().map(|name| &**name))
    }

    fn shown(&self, client: C, kind: Kind) -> u32 {
        let [channels, patterns, sharded, prefixes] = self.counts(client);
        match kind {
            Kind::Channel | Kind::Pattern => channels + patterns,
            Kind::Sharded => sharded,
            Kind::Prefix => prefixes,
        }
    }

    /// Shows each client that subscribes to a name.
    pub fn each_of(&self, kind: Kind, name: &[u8], see: impl FnMut(C)) {
        let clients = self.names[kind as usize].get(name);
        clients.into_iter().flatten().copied().for_each(see);
    }

    /// Shows each client that a message is for, by its channel first and then by patterns, each
    /// with the pattern.
    pub fn each(&self, message: &Message, mut see: impl FnMut(C, Option<&[u8]>)) {
        let [channels, patterns, sharded, _] = &self.names;
        let own = if message.is_sharded { sharded } else { channels };
        for client in own.get(&*message.channel).into_iter().flatten() {
            see(*client, None);
        }
        for (pattern, clients) in patterns.iter().filter(|_| !message.is_sharded) {
            if glob::is_match(pattern, &message.channel) {
                clients.iter().for_each(|client| see(*client, Some(pattern)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(kind: Kind, joins: bool, names: &[&str]) -> Change {
        Change { kind, joins, names: names.iter().map(|name| name.as_bytes().into()).collect() }
    }

    fn counts(effects: &[Effect]) -> Vec<(bool, u32)> {
        effects.iter().map(|effect| (effect.changed, effect.count)).collect()
    }

    #[test]
    fn counts_are_of_channels_and_patterns_or_of_sharded_channels() {
        let mut subscriptions = Subscriptions::default();
        let mut change =
            |kind, joins, names: &[&str]| subscriptions.change(7, &change(kind, joins, names));
        let all = change(Kind::Channel, true, &["a", "b", "a"]);
        assert_eq!(counts(&all), [(true, 1), (true, 2), (false, 2)]);
        assert_eq!(counts(&change(Kind::Pattern, true, &["a*"])), [(true, 3)]);
        assert_eq!(counts(&change(Kind::Sharded, true, &["a"])), [(true, 1)]);
        assert_eq!(counts(&change(Kind::Channel, false, &["x"])), [(false, 3)]);
        let ended = change(Kind::Channel, false, &[]);
        assert_eq!(counts(&ended), [(true, 2), (true, 1)]);
        let nothing = change(Kind::Channel, false, &[]);
        assert_eq!((nothing[0].name.is_none(), counts(&nothing)), (true, vec![(false, 1)]));
        change(Kind::Pattern, false, &[]);
        change(Kind::Sharded, false, &["a"]);
        assert!(subscriptions.clients.is_empty() && subscriptions.bytes.is_empty());
        assert!(subscriptions.names.iter().all(HashMap::is_empty));
    }

    #[test]
    fn a_client_hears_a_message_for_each_fitting_subscription() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.change(1, &change(Kind::Channel, true, &["news"]));
        subscriptions.change(1, &change(Kind::Pattern, true, &["n*", "x*"]));
        subscriptions.change(2, &change(Kind::Sharded, true, &["news"]));
        let heard = |is_sharded| {
            let message =
                Message { is_sharded, channel: (*b"news").into(), payload: (*b"!").into() };
            let mut heard = Vec::new();
            subscriptions.each(&message, |client, pattern| {
                heard.push((client, pattern.map(<[u8]>::to_vec)));
            });
            heard
        };
        assert_eq!(heard(false), [(1, None), (1, Some(b"n*".to_vec()))]);
        assert_eq!(heard(true), [(2, None)]);
    }
}
