//! Subscriptions of this core's clients: told to the owners, and served with what these say.

use super::Work;
use crate::hop::Ticket;
use pinion_io::resp::{Protocol, Reply};
use pinion_io::ring::SocketId;
use pinion_shards::Task;
use pinion_shards::channels::{Change, Effect, Inbound, Kind, Message, News, Subscriptions};
use pinion_shards::commands::Words;
use slab::Slab;

/// What this core knows of subscriptions.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) subscriptions: Subscriptions<SocketId>,
    joins: Slab<Join>,
    /// What each shard tells.
    inbound: Vec<Inbound>,
}

/// A change that owners have to hear of before the client is told.
#[derive(Debug)]
struct Join {
    socket: SocketId,
    sequence: u32,
    /// What the client will be told.
    text: Vec<u8>,
    /// Owners that have not answered.
    left: usize,
}

impl Listeners {
    /// Shows each client that subscribes to a name.
    pub(super) fn each_of(&self, kind: Kind, name: &[u8], see: impl FnMut(SocketId)) {
        self.subscriptions.each_of(kind, name, see);
    }

    pub(super) fn new(shards: usize) -> Self {
        let mut inbound = Vec::new();
        inbound.resize_with(shards, Inbound::default);
        Self { subscriptions: Subscriptions::default(), joins: Slab::new(), inbound }
    }
}

impl Work {
    /// Begins or ends subscriptions of a client, which stands still until they are in force; what
    /// it is told then has the place `sequence`.
    pub(super) fn subscribe(&mut self, socket: SocketId, sequence: u32, change: &Change) {
        let Some(connection) = self.connection(socket) else { return };
        connection.begin_job();
        connection.joining += 1;
        let protocol = connection.session.protocol;
        let effects = self.channels.subscriptions.change(socket, change);
        let mut text = Vec::new();
        if change.kind == Kind::Prefix {
            self.note_caching(socket);
            text.extend_from_slice(b"+OK\r\n");
        } else {
            effects.iter().for_each(|effect| confirm(change, effect, protocol, &mut text));
        }
        self.note_subscriptions(socket);
        let left = 1;
        let id = self.channels.joins.insert(Join { socket, sequence, text, left });
        self.tell_owners(change, &effects, Some(id));
        self.join_answered(id);
    }

    /// Shows the session what the client subscribes to.
    fn note_subscriptions(&mut self, socket: SocketId) {
        let counts = self.channels.subscriptions.counts(socket);
        let bytes = self.channels.subscriptions.bytes(socket);
        if let Some(connection) = self.connection(socket) {
            connection.session.subscriptions = counts;
            connection.session.subscription_bytes = bytes;
        }
    }

    /// Tells the owners of the names what has changed; they answer a join if there is one.
    fn tell_owners(&mut self, change: &Change, effects: &[Effect], join: Option<usize>) {
        let cores = self.hops.cores();
        let mut words: Vec<Words> = Vec::new();
        words.resize_with(cores, Words::default);
        for effect in effects.iter().filter(|effect| effect.changed) {
            let Some(name) = effect.name.as_deref() else { continue };
            if change.kind.is_everywhere(name) {
                words.iter_mut().for_each(|words| words.extend(std::iter::once(name)));
            } else {
                words[self.route.owner(name)].extend(std::iter::once(name));
            }
        }
        let task = Task::Listen(change.kind, change.joins);
        for (owner, words) in words.iter().enumerate().filter(|(_, words)| !words.is_empty()) {
            let tag = join.map_or(Ticket::Nobody, |id| Ticket::Subscription { id });
            if let Some(id) = join.filter(|_| owner != self.index) {
                self.channels.joins[id].left += 1;
            }
            self.send_words(owner, task, &words.args(), tag);
        }
    }

    /// Notes that an owner has heard of a change; tells the client once all have.
    pub(super) fn join_answered(&mut self, id: usize) {
        let join = &mut self.channels.joins[id];
        join.left -= 1;
        if join.left > 0 {
            return;
        }
        let Join { socket, sequence, text, .. } = self.channels.joins.remove(id);
        self.fill(socket, sequence, &text);
        let Some(connection) = self.connection(socket) else { return };
        connection.joining -= 1;
        if connection.joining == 0 {
            let kept = std::mem::take(&mut connection.kept);
            connection.push(&kept);
        }
        if connection.end_job() {
            self.go_on(socket);
        }
    }

    /// Ends all subscriptions of a client without a word to it.
    pub(super) fn leave_channels(&mut self, socket: SocketId) {
        let Some(connection) = self.connection(socket) else { return };
        if connection.session.subscriptions == [0; 4] {
            return;
        }
        for kind in Kind::ALL {
            let change = Change { kind, joins: false, names: Vec::new() };
            let effects = self.channels.subscriptions.change(socket, &change);
            self.tell_owners(&change, &effects, None);
        }
        self.note_subscriptions(socket);
    }

    /// Takes what a shard tells this core, in its order.
    pub(super) fn take_news(&mut self, shard: usize, number: u64, news: News) {
        let mut inbound = std::mem::take(&mut self.channels.inbound[shard]);
        inbound.take(number, news, |news| match news {
            News::Message(message) => self.hand_out(&message),
            News::Stale { key, clients, writer } => self.tell_stale(&key, &clients, writer),
            News::Broadcast { prefix, changed } => self.tell_broadcast(&prefix, &changed),
        });
        self.channels.inbound[shard] = inbound;
    }

    /// Hands a message to every subscriber here. It is written once for each protocol.
    fn hand_out(&mut self, message: &Message) {
        let (connections, dirty) = (&mut self.connections, &mut self.dirty);
        let spare = &mut self.spare;
        let mut written: [Vec<u8>; 2] = Default::default();
        let mut last: Option<Box<[u8]>> = None;
        self.channels.subscriptions.each(message, |socket, pattern| {
            let connection = connections.get_mut(socket.index as usize).and_then(Option::as_mut);
            let Some(connection) = connection.filter(|connection| connection.socket == socket)
            else {
                return;
            };
            if pattern != last.as_deref() {
                written.iter_mut().for_each(Vec::clear);
                last = pattern.map(Box::from);
            }
            let protocol = connection.session.protocol;
            let text = &mut written[usize::from(protocol == Protocol::Resp3)];
            if text.is_empty() {
                write(message, pattern, &mut Reply::new(text, protocol));
            }
            connection.pipeline.lend(|| spare.pop().unwrap_or_default());
            connection.push(text);
            connection.mark(dirty);
        });
    }
}

/// Writes a message as its subscribers get it.
fn write(message: &Message, pattern: Option<&[u8]>, reply: &mut Reply<'_>) {
    let kind: &[u8] = match pattern {
        Some(_) => b"pmessage",
        None if message.is_sharded => b"smessage",
        None => b"message",
    };
    reply.push(if pattern.is_some() { 4 } else { 3 });
    reply.bulk(kind);
    if let Some(pattern) = pattern {
        reply.bulk(pattern);
    }
    reply.bulk(&message.channel);
    reply.bulk(&message.payload);
}

/// Writes what became of one name of a change.
fn confirm(change: &Change, effect: &Effect, protocol: Protocol, text: &mut Vec<u8>) {
    let word: &[u8] = match (change.kind, change.joins) {
        (Kind::Channel, true) => b"subscribe",
        (Kind::Channel, false) => b"unsubscribe",
        (Kind::Pattern, true) => b"psubscribe",
        (Kind::Pattern, false) => b"punsubscribe",
        (Kind::Sharded, true) => b"ssubscribe",
        (Kind::Sharded, false) => b"sunsubscribe",
        (Kind::Prefix, _) => unreachable!("a prefix is confirmed by OK"),
    };
    let mut reply = Reply::new(text, protocol);
    reply.push(3);
    reply.bulk(word);
    match &effect.name {
        Some(name) => reply.bulk(name),
        None => reply.null(),
    }
    reply.int(i64::from(effect.count));
}
