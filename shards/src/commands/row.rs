//! What is said about a command, once: its row.

use crate::carried::copy_out;
use crate::commands::{Args, KeySpec};
use crate::error::Error;
use crate::fold::Fold;
use crate::shard::Scope;
use crate::waiting::Wait;
use pinion_io::resp::Reply;

/// Runs a command on the shard that owns its keys and writes its reply. After an error nothing has
/// changed; what was written to the reply by then is taken back by the caller.
pub type Run = fn(&mut Scope<'_>, &Args<'_>, &mut Reply<'_>) -> Result<(), Error>;

/// Runs a command that may wait: as `Run` does where it finds what it is for, and with what it
/// waits for where there is nothing. A command that finds nothing and does not wait replies so.
pub type Try = fn(&mut Scope<'_>, &Args<'_>, &mut Reply<'_>) -> Result<Option<Wait>, Error>;

/// How a command of several keys is laid over their owners: with copies of the others brought to
/// one of them, where it is run.
#[derive(Clone, Copy, Debug)]
pub struct Move {
    /// The run of keys, in `Row::keys`, on whose first key's owner it is run; if a request has
    /// none there, the next run.
    pub to: u8,
    /// Runs on the owner of other keys, and sends a value along for each of them, in order. The
    /// words are the name and that owner's keys; with `settle` or `back`, all the words.
    pub take: Run,
    /// Runs with what was brought (`Scope::sources`), or where all keys live together.
    pub put: Run,
    /// Then runs on the owners of the other keys, with all the words, if what `put` replied is not
    /// an error, a null or 0: takes away what was moved.
    pub settle: Option<Run>,
    /// Runs on the owners of the other keys, with all the words, if `put` sent values back that
    /// `take` had taken out: gives them back.
    pub back: Option<Run>,
    /// Keys that only the values name.
    pub ask: Option<Ask>,
}

/// How keys are read that only taken values name, wherever they live.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// True if a request may name such keys, so that every shard is to be asked.
    pub is_needed: fn(&Args<'_>) -> bool,
    /// Runs on every shard, with all the words and what `Move::take` sent, and sends one value
    /// along: what it knows. `Move::put` finds them by `Scope::told`.
    pub run: Run,
}

/// How a command that may wait is laid over several owners.
#[derive(Clone, Copy, Debug)]
pub enum Spread {
    /// As `Plan::First`.
    First,
    /// On each owner of a key, once for each key; the arrays or maps of all are one.
    Merged {
        /// Runs before that for each key; an error is the reply of the whole.
        check: Option<Run>,
    },
    /// As `Plan::Move`; it waits where the first key lives if `put` replies a null.
    Move(Move),
}

/// How a command's work is laid over the shards.
#[derive(Clone, Copy, Debug)]
pub enum Plan {
    /// Whole, on the one owner of its keys.
    One(Run),
    /// On each owner with its own keys; the parts' replies are folded into one.
    Each {
        /// Runs on one owner: the arguments are the name (with the subcommand's, where it has
        /// one) and that owner's keys (with their values, where the key step is more than 1).
        run: Run,
        /// How the parts become one reply.
        fold: Fold,
        /// Runs before that on each owner, as `run` does; unless all reply 0, that is all, and the
        /// reply is 0.
        check: Option<Run>,
    },
    /// On one owner, with values from the others.
    Move(Move),
    /// On the owner of the first of its keys that is there, or of the first where none is. It
    /// needs no other then.
    First(Run),
    /// On the owner of its keys, where it may wait until one of them changes.
    Wait(Try, Spread),
    /// On each owner with its own keys, which the client watches from then on.
    Watch,
    /// On all shards, each with all the arguments.
    Every {
        /// Runs on one shard.
        run: Run,
        /// How the parts become one reply.
        fold: Fold,
    },
    /// On the owner of the channel in argument 1, which is no key.
    Channel(Run),
    /// On the one shard that the cursor in argument 1 names (`keyspace::Cursor`).
    Scan(Run),
    /// A script, on the owner of its keys where that is enough (`scripts`).
    Script,
    /// A family of subcommands, found by the second word.
    Container(&'static [Row]),
    /// Not on a shard at all: the server runs it, in the session.
    Session,
}

/// One command. Build with `Row::new` and the `const` setters, so that a row reads as a sentence.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Lower case; a subcommand is `container|name`.
    pub name: &'static str,
    /// Words with the name: exactly n, or at least -n.
    pub arity: i8,
    /// What it does and where it may run.
    pub flags: Flags,
    /// The group of Redis's documentation, which is an ACL category as well.
    pub group: Group,
    /// ACL categories that neither flags nor group imply (`@dangerous`, `@keyspace`), in bits.
    pub categories: u32,
    /// Where its keys stand.
    pub keys: &'static [KeySpec],
    /// The Redis version that brought it.
    pub since: &'static str,
    /// One line, without a full stop.
    pub summary: &'static str,
    /// How its work is laid over the shards.
    pub plan: Plan,
}

/// The ACL category `@dangerous`, in `Row::categories`.
pub const DANGEROUS: u32 = 1;
/// The ACL category `@keyspace`, in `Row::categories`.
pub const KEYSPACE: u32 = 2;
/// The ACL category `@connection`, in `Row::categories`, for commands of another group.
pub const CONNECTION: u32 = 4;
/// The ACL categories `@set`, `@sortedset` and `@list`, in `Row::categories`: for what works on
/// elements of all three.
pub const ELEMENTS: u32 = 8;
/// The ACL category `@admin`, in `Row::categories`, for commands without that flag.
pub const ADMINISTRATION: u32 = 16;

/// The group of a command in Redis's documentation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Group {
    /// Strings.
    String,
    /// Bits of strings.
    Bitmap,
    /// HyperLogLogs.
    HyperLogLog,
    /// Lists.
    List,
    /// Sets.
    Set,
    /// Hashes.
    Hash,
    /// Sorted sets.
    SortedSet,
    /// Places on the globe, in sorted sets.
    Geo,
    /// Streams.
    Stream,
    /// Keys of any type.
    Generic,
    /// The connection itself.
    Connection,
    /// The server.
    Server,
    /// A cluster of servers.
    Cluster,
    /// Several commands as one.
    Transactions,
    /// Channels.
    PubSub,
    /// Scripts and functions.
    Scripting,
}

/// A set of command flags, under Redis's names.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Flags(pub u32);

impl Group {
    /// Its name in COMMAND DOCS.
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Bitmap => "bitmap",
            Self::HyperLogLog => "hyperloglog",
            Self::List => "list",
            Self::Set => "set",
            Self::Hash => "hash",
            Self::SortedSet => "sorted-set",
            Self::Geo => "geo",
            Self::Stream => "stream",
            Self::Generic => "generic",
            Self::Connection => "connection",
            Self::Server => "server",
            Self::Cluster => "cluster",
            Self::PubSub => "pubsub",
            Self::Transactions => "transactions",
            Self::Scripting => "scripting",
        }
    }
}

impl Plan {
    /// On each owner with its own keys, whatever the others have.
    pub const fn each(run: Run, fold: Fold) -> Self {
        Self::Each { run, fold, check: None }
    }

    /// On the owner of the first key, with copies of all others.
    pub const fn gather(put: Run) -> Self {
        Self::Move(Move { to: 0, take: copy_out, put, settle: None, back: None, ask: None })
    }
}

impl Flags {
    /// May change data.
    pub const WRITE: Self = Self(1);
    /// Only reads data.
    pub const READONLY: Self = Self(1 << 1);
    /// May need memory: refused when there is none.
    pub const DENYOOM: Self = Self(1 << 2);
    /// For administrators.
    pub const ADMIN: Self = Self(1 << 3);
    /// Not in scripts.
    pub const NOSCRIPT: Self = Self(1 << 4);
    /// May wait.
    pub const BLOCKING: Self = Self(1 << 5);
    /// Allowed while loading.
    pub const LOADING: Self = Self(1 << 6);
    /// Allowed on a stale replica.
    pub const STALE: Self = Self(1 << 7);
    /// Constant or logarithmic time.
    pub const FAST: Self = Self(1 << 8);
    /// Allowed before authentication.
    pub const NO_AUTH: Self = Self(1 << 9);
    /// Allowed while a script is busy.
    pub const ALLOW_BUSY: Self = Self(1 << 10);
    /// Pub/sub.
    pub const PUBSUB: Self = Self(1 << 11);
    /// Not listed by MONITOR.
    pub const SKIP_MONITOR: Self = Self(1 << 12);
    /// Not listed in the slow log.
    pub const SKIP_SLOWLOG: Self = Self(1 << 13);
    /// Keys must be found by reading the arguments.
    pub const MOVABLEKEYS: Self = Self(1 << 14);
    /// Not inside MULTI.
    pub const NO_MULTI: Self = Self(1 << 15);
    /// It may be asked without a key, though it has a place for some.
    pub const NO_MANDATORY_KEYS: Self = Self(1 << 16);

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True if every flag of `other` is in `self`.
    #[inline]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl Row {
    /// A row without flags, keys or extra categories; say the rest with the setters.
    pub const fn new(name: &'static str, arity: i8, group: Group, plan: Plan) -> Self {
        Self {
            name,
            arity,
            flags: Flags(0),
            group,
            categories: 0,
            keys: &[],
            since: "1.0.0",
            summary: "",
            plan,
        }
    }

    /// Adds flags.
    #[must_use]
    pub const fn flags(mut self, flags: &[Flags]) -> Self {
        let mut i = 0;
        while i < flags.len() {
            self.flags = self.flags.and(flags[i]);
            i += 1;
        }
        self
    }

    /// Adds ACL categories.
    #[must_use]
    pub const fn categories(mut self, categories: u32) -> Self {
        self.categories |= categories;
        self
    }

    /// Says where the keys are.
    #[must_use]
    pub const fn keys(mut self, keys: &'static [KeySpec]) -> Self {
        self.keys = keys;
        self
    }

    /// Says since when, and what it is for.
    #[must_use]
    pub const fn about(mut self, since: &'static str, summary: &'static str) -> Self {
        self.since = since;
        self.summary = summary;
        self
    }

    /// True if it is cheap by nature, so that its time may be told as the mean of several.
    #[inline]
    pub fn is_cheap(&self) -> bool {
        self.flags.has(Flags::FAST) || self.name == "set"
    }

    /// True if it may change a key, or call what does.
    #[inline]
    pub fn may_write(&self) -> bool {
        let runs = matches!(self.plan, Plan::Script) && !self.flags.has(Flags::READONLY);
        runs || self.flags.has(Flags::WRITE)
    }

    /// The row of a subcommand of this container, by its second word in any case.
    pub fn subcommand(&self, word: &[u8]) -> Option<&'static Self> {
        let Plan::Container(rows) = self.plan else { return None };
        let own = self.name.len() + 1;
        rows.iter().find(|row| row.name.as_bytes()[own..].eq_ignore_ascii_case(word))
    }

    /// Indexes of all keys of a request, run by run.
    pub fn key_indexes(&self, args: &Args<'_>) -> impl Iterator<Item = usize> {
        self.keys.iter().flat_map(move |keys| keys.indexes(args))
    }

    /// Index of the first key of a request, if it has one.
    #[inline]
    pub fn first_key(&self, args: &Args<'_>) -> Option<usize> {
        match self.keys {
            [] => None,
            [first, ..] if first.is_one() => Some(first.begins()).filter(|&at| at < args.len()),
            all => all.iter().find_map(|keys| keys.indexes(args).next()),
        }
    }

    /// What asks every shard in this request, if something does.
    pub(crate) fn ask(&self, args: &Args<'_>) -> Option<Run> {
        let Plan::Move(Move { ask: Some(ask), .. }) = self.plan else { return None };
        (ask.is_needed)(args).then_some(ask.run)
    }

    /// True if every shard must be asked in this request, wherever its keys live.
    #[inline]
    pub fn asks_all(&self, args: &Args<'_>) -> bool {
        matches!(self.plan, Plan::Move(Move { ask: Some(_), .. })) && self.ask(args).is_some()
    }

    /// True if in this request no key of the first run lacks what goes with it.
    pub fn has_whole_steps(&self, args: &Args<'_>) -> bool {
        self.keys.first().is_none_or(|keys| {
            let step = usize::from(keys.step());
            keys.indexes(args).next_back().is_none_or(|last| last + step <= args.len())
        })
    }

    /// True if a request of `argc` words, the name among them, has the right length.
    #[inline]
    pub const fn accepts(&self, argc: usize) -> bool {
        if self.arity >= 0 { argc == self.arity as usize } else { argc >= -self.arity as usize }
    }
}
