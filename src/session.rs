//! One client's state, as commands may see it: plain data, small enough for a hundred thousand.

use crate::acl::{Acl, Denied, Login};
use crate::commands::Found;
use pinion_io::resp::Protocol;
use pinion_shards::commands::{Args, Flags, Row, Words};
use pinion_shards::{Millis, Speaker};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// An end of a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Peer {
    /// A TCP address, shown as `127.0.0.1:5555` or `[::1]:5555`.
    Tcp(SocketAddr),
    /// The unix socket at this path, shown as `/path:0`.
    Unix(Arc<str>),
}

impl Peer {
    /// True for a unix socket, and for a TCP address of this machine's loopback.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(out),
            Self::Unix(path) => write!(out, "{path}:0"),
        }
    }
}

/// Which replies a client gets (CLIENT REPLY).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ReplyMode {
    /// Every reply.
    #[default]
    On,
    /// None.
    Off,
    /// None to the command under way nor to the next: CLIENT REPLY SKIP has just run.
    SkipNext,
    /// None to the command under way.
    Skip,
}

impl ReplyMode {
    /// True if the command that just ran is to be answered.
    #[inline]
    pub fn answers(self) -> bool {
        self == Self::On
    }

    /// The mode of the next command, once one has run.
    #[inline]
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::On | Self::Skip => Self::On,
            Self::Off => Self::Off,
            Self::SkipNext => Self::Skip,
        }
    }
}

/// One client. The loop keeps the addresses and counters; commands change the rest.
#[derive(Clone, Debug)]
pub struct Session {
    /// Unique in this server's life, rising from 1.
    pub id: u64,
    /// When it connected.
    pub created: Millis,
    /// When its last command arrived.
    pub last_active: Millis,
    /// The client's end.
    pub peer: Peer,
    /// Our end.
    pub local: Peer,
    /// Its name, empty where it gave none.
    pub name: Box<[u8]>,
    /// The client library's name and version, as CLIENT SETINFO gave them.
    pub library: Option<Box<(String, String)>>,
    /// The row of the last command it sent.
    pub last_command: Option<&'static Row>,
    /// Bytes read from it.
    pub input_bytes_total: u64,
    /// Bytes written to it.
    pub output_bytes_total: u64,
    /// Commands it has sent.
    pub commands_total: u64,
    /// As whom it came in.
    pub login: Login,
    /// Its descriptor, for CLIENT LIST.
    pub fd: i32,
    /// Its database.
    pub db: u16,
    /// The core that serves it.
    pub core: u16,
    /// The protocol it speaks.
    pub protocol: Protocol,
    /// Which replies it gets.
    pub reply_mode: ReplyMode,
    /// Not to be closed when client memory runs short.
    pub no_evict: bool,
    /// Its reads do not count as use of a key.
    pub no_touch: bool,
    /// It watches what all clients ask (MONITOR).
    pub is_monitor: bool,
    /// To be closed once the replies so far are sent.
    pub closing: bool,
    /// How many channels, patterns and sharded channels it subscribes to.
    pub subscriptions: [u32; 4],
    /// Bytes that these take.
    pub subscription_bytes: usize,
    /// What it wants to hear of changed keys, if it caches any.
    pub tracking: Option<Box<Tracking>>,
    /// What it has queued and watches; nothing for most.
    transaction: Option<Box<Transaction>>,
}

/// What a client that caches wants to hear (CLIENT TRACKING).
#[derive(Clone, Debug, Default)]
pub struct Tracking {
    /// The client that hears it instead.
    pub redirect: Option<u64>,
    /// That one is gone, and it was told.
    pub is_broken: bool,
    /// Of all keys with its prefixes, whether it has read them or not.
    pub broadcast: bool,
    /// Of what it reads right after CLIENT CACHING YES.
    pub opt_in: bool,
    /// Not of what it reads right after CLIENT CACHING NO.
    pub opt_out: bool,
    /// Not of what it changes itself.
    pub no_loop: bool,
    /// What it has said of its next command.
    pub caching: Option<bool>,
    /// The prefixes, in order.
    pub prefixes: Vec<Box<[u8]>>,
}

/// What a client has of a transaction before EXEC.
#[derive(Clone, Debug, Default)]
struct Transaction {
    /// Commands queued since MULTI, if it said so.
    queue: Option<Vec<Queued>>,
    /// Bytes that they cost.
    bytes: usize,
    /// One of them was refused.
    spoiled: bool,
    /// How many commands an EXEC runs, while it does.
    running: Option<usize>,
    /// Keys it watches: their shards, and the sums of their hashes and databases.
    watched: Vec<(u16, u64)>,
}

/// A command that waits for EXEC.
#[derive(Clone, Debug)]
pub struct Queued {
    /// Its row.
    pub found: Found,
    /// Its words.
    pub words: Words,
    /// Why EXEC does not run it, if its user lost the permission meanwhile.
    pub denied: Option<Denied>,
}

/// Bytes that a queued command costs besides its words.
const QUEUED_BYTES: usize = 2 * size_of::<Queued>();
/// Bytes that one client may queue: what is said of words has 32 bits.
const QUEUE_BYTES_MAX: usize = 1 << 30;

const _: () = assert!(size_of::<Session>() <= 256, "an idle client must be cheap");

impl Session {
    /// A client that has just connected.
    pub fn new(id: u64, ends: (Peer, Peer), fd: i32, core: u16, now: Millis, acl: &Acl) -> Self {
        let (peer, local) = ends;
        Self {
            id,
            created: now,
            last_active: now,
            peer,
            local,
            name: Box::default(),
            library: None,
            last_command: None,
            input_bytes_total: 0,
            output_bytes_total: 0,
            commands_total: 0,
            login: Login::new(acl),
            fd,
            db: 0,
            core,
            protocol: Protocol::Resp2,
            reply_mode: ReplyMode::On,
            no_evict: false,
            no_touch: false,
            is_monitor: false,
            closing: false,
            subscriptions: [0; 4],
            subscription_bytes: 0,
            tracking: None,
            transaction: None,
        }
    }

    /// True if it subscribes to anything.
    #[inline]
    pub fn is_subscriber(&self) -> bool {
        self.subscriptions[..3] != [0; 3]
    }

    /// True if it can do no more than listen: a subscriber whose protocol cannot tell a message
    /// from a reply.
    #[inline]
    pub fn is_listening(&self) -> bool {
        self.is_subscriber() && self.protocol == Protocol::Resp2
    }

    /// Its name on the command that it runs now, if it caches what it reads. What it has said of
    /// that command is forgotten.
    #[inline]
    pub fn speaker(&mut self) -> Option<Speaker> {
        if self.tracking.is_none() && !self.no_touch { None } else { self.name_command() }
    }

    #[cold]
    fn name_command(&mut self) -> Option<Speaker> {
        let (id, core) = (self.id, self.core);
        let remembers =
            self.tracking.as_mut().is_some_and(|tracking| match tracking.caching.take() {
                _ if tracking.broadcast => false,
                Some(said) => said,
                None => !tracking.opt_in,
            });
        let speaker = Speaker::new(id, core, remembers);
        Some(if self.no_touch { speaker.silent() } else { speaker })
    }

    /// Forgets what it has said of the command that has just run, unless that was said by it.
    pub fn end_caching(&mut self, row: &Row) {
        if !row.name.starts_with("client|")
            && !self.is_queuing()
            && let Some(tracking) = &mut self.tracking
        {
            tracking.caching = None;
        }
    }

    /// True if it hears what is no reply to it, and may not do everything meanwhile.
    #[inline]
    pub fn is_bound(&self) -> bool {
        self.is_monitor | self.is_subscriber()
    }

    /// True between MULTI and EXEC or DISCARD.
    #[inline]
    pub fn is_queuing(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.queue.is_some())
    }

    /// Begins to queue.
    pub fn open_queue(&mut self) {
        self.transaction.get_or_insert_default().queue = Some(Vec::new());
    }

    /// Queues a command; false if that would be too much.
    pub fn queue(&mut self, found: Found, args: &Args<'_>) -> bool {
        let Some(transaction) = &mut self.transaction else { return false };
        let Some(queue) = &mut transaction.queue else { return false };
        let words = Words::of(args);
        transaction.bytes += words.bytes() + QUEUED_BYTES + words.len() * size_of::<u64>();
        let fits = transaction.bytes <= QUEUE_BYTES_MAX;
        if fits {
            queue.push(Queued { found, words, denied: None });
        }
        fits
    }

    /// Notes that a command was refused, if it would have been queued.
    pub fn spoil_queue(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.spoiled = transaction.queue.is_some();
        }
    }

    /// True if EXEC can only refuse.
    pub fn is_spoiled(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.spoiled)
    }

    /// True if a queued command writes.
    pub fn queues_write(&self) -> bool {
        let queue = self.transaction.as_ref().and_then(|transaction| transaction.queue.as_ref());
        let mut rows = queue.into_iter().flatten().map(|queued| queued.found.row());
        rows.any(|row| row.flags.has(Flags::WRITE) || row.name == "pfcount")
    }

    /// True if a queued command has one of these flags.
    pub fn queues(&self, flags: Flags) -> bool {
        let queue = self.transaction.as_ref().and_then(|transaction| transaction.queue.as_ref());
        queue.into_iter().flatten().any(|queued| queued.found.row().flags.has(flags))
    }

    /// Ends the queuing, and gives what was queued.
    pub fn take_queue(&mut self) -> Vec<Queued> {
        let Some(transaction) = &mut self.transaction else { return Vec::new() };
        (transaction.bytes, transaction.spoiled) = (0, false);
        let queue = transaction.queue.take().unwrap_or_default();
        self.forget_transaction();
        queue
    }

    /// Commands queued, if it queues, and bytes that they cost.
    pub fn queued(&self) -> (Option<usize>, usize) {
        let transaction = self.transaction.as_ref();
        let queue = transaction.and_then(|transaction| transaction.queue.as_ref());
        let running = transaction.and_then(|transaction| transaction.running);
        let bytes = transaction.map_or(0, |transaction| transaction.bytes);
        (running.or(queue.map(Vec::len)), bytes)
    }

    /// True while an EXEC of it runs.
    pub fn is_in_exec(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.running.is_some())
    }

    /// Notes that an EXEC runs so many commands, or none any more.
    pub fn note_running(&mut self, commands: Option<usize>) {
        self.transaction.get_or_insert_default().running = commands;
        self.forget_transaction();
    }

    fn forget_transaction(&mut self) {
        let none = |it: &mut Box<Transaction>| {
            it.queue.is_none() && it.watched.is_empty() && it.running.is_none()
        };
        if self.transaction.as_mut().is_some_and(none) {
            self.transaction = None;
        }
    }

    /// Notes the keys that it watches, by shard and hash.
    pub fn watch(&mut self, keys: impl IntoIterator<Item = (u16, u64)>) {
        let db = u64::from(self.db);
        let keys = keys.into_iter().map(|(owner, hash)| (owner, hash.wrapping_add(db)));
        let watched = &mut self.transaction.get_or_insert_default().watched;
        watched.extend(keys);
        watched.sort_unstable();
        watched.dedup();
    }

    /// Where it watched keys; from now on it does not.
    pub fn take_watched(&mut self) -> Vec<u16> {
        let Some(transaction) = &mut self.transaction else { return Vec::new() };
        let watched = std::mem::take(&mut transaction.watched);
        self.forget_transaction();
        let mut owners: Vec<_> = watched.into_iter().map(|(owner, _)| owner).collect();
        owners.dedup();
        owners
    }

    /// Keys that it watches.
    pub fn watching(&self) -> usize {
        self.transaction.as_ref().map_or(0, |transaction| transaction.watched.len())
    }

    /// Counts a command by CLIENT REPLY's rules: whether the client wants its reply.
    #[inline]
    pub fn takes_reply(&mut self) -> bool {
        let answers = self.reply_mode.answers();
        self.reply_mode = self.reply_mode.next();
        answers
    }

    /// RESET: as if it had just connected.
    /// The library's name and the no-evict mark stay, as in Redis.
    pub fn reset(&mut self, acl: &Acl) {
        self.db = 0;
        self.protocol = Protocol::Resp2;
        self.reply_mode = ReplyMode::On;
        self.login = Login::new(acl);
        self.name = Box::default();
        self.no_touch = false;
        self.tracking = None;
        self.is_monitor = false;
        self.take_queue();
    }

    /// Bytes that it takes: itself, and what it has queued, watches and subscribes to.
    pub fn bytes(&self) -> usize {
        let (_, queued) = self.queued();
        let watched = self.watching() * size_of::<(u16, u64)>();
        let (library, version) = self.library();
        let names = self.name.len() + library.len() + version.len();
        size_of::<Self>() + queued + watched + self.subscription_bytes + names
    }

    /// The library's name and version, empty where it told none.
    pub fn library(&self) -> (&str, &str) {
        self.library.as_deref().map_or(("", ""), |(name, version)| (name, version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_show_as_redis_shows_them() {
        let tcp = Peer::Tcp("127.0.0.1:5555".parse().unwrap());
        assert_eq!(tcp.to_string(), "127.0.0.1:5555");
        assert!(tcp.is_local());
        assert!(!Peer::Tcp("10.0.0.1:1".parse().unwrap()).is_local());
        assert!(Peer::Tcp("[::ffff:127.0.0.1]:1".parse().unwrap()).is_local());
        assert_eq!(Peer::Tcp("[::1]:5".parse().unwrap()).to_string(), "[::1]:5");
        assert_eq!(Peer::Unix("/run/pinion".into()).to_string(), "/run/pinion:0");
    }

    #[test]
    fn skip_leaves_out_one_reply_after_its_own() {
        let mode = ReplyMode::SkipNext;
        assert!(!mode.answers());
        let mode = mode.next();
        assert!(!mode.answers());
        assert!(mode.next().answers());
        assert_eq!(ReplyMode::Off.next(), ReplyMode::Off);
    }
}
