//! What is known of a key besides its value: OBJECT, MEMORY USAGE.

use crate::commands::{Args, Flags, Group, KEYSPACE, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::{Key, Record};
use crate::shard::Scope;
use pinion_io::resp::Reply;

const NO_FREQUENCY: Error = Error::Text(
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that \
     when switching between policies at runtime LRU and LFU data will take some time to adjust.",
);

const NO_IDLE_TIME: Error = Error::Text(
    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when \
     switching between policies at runtime LRU and LFU data will take some time to adjust.",
);

/// The key after the subcommand, looked at without an access; a null is answered for none.
pub(super) fn look<'a>(
    scope: &'a mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Option<Record<'a>> {
    let key = Key { db: scope.db, hash: scope.hash, bytes: args.at(2) };
    let record = scope.keyspace.peek(key, scope.now);
    if record.is_none() {
        reply.null();
    }
    record
}

/// `OBJECT ENCODING key`.
fn encoding(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    if let Some(record) = look(scope, args, reply) {
        reply.bulk(record.encoding().as_bytes());
    }
    Ok(())
}

/// `OBJECT FREQ key`.
fn freq(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    if look(scope, args, reply).is_none() {
        return Ok(());
    }
    if !scope.keyspace.counts_uses() {
        return Err(NO_FREQUENCY);
    }
    let key = Key { db: scope.db, hash: scope.hash, bytes: args.at(2) };
    let frequency = scope.keyspace.frequency(key, scope.now);
    reply.int(frequency.unwrap_or(0).into());
    Ok(())
}

/// `OBJECT IDLETIME key`.
fn idletime(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (now, counts) = (scope.now, scope.keyspace.counts_uses());
    if let Some(record) = look(scope, args, reply) {
        if counts {
            return Err(NO_IDLE_TIME);
        }
        reply.int(i64::from(record.idle_seconds(now)));
    }
    Ok(())
}

/// `OBJECT REFCOUNT key`: a record is referred to from one place.
fn refcount(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    if look(scope, args, reply).is_some() {
        reply.int(1);
    }
    Ok(())
}

/// `OBJECT HELP`.
fn help(_: &mut Scope<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    const LINES: &[&str] = &[
        "OBJECT <subcommand> [<arg> ...]. Subcommands are:",
        "ENCODING <key>",
        "    The name of how the key's value is kept.",
        "FREQ <key>",
        "    How often the key is used, where the eviction policy counts it.",
        "IDLETIME <key>",
        "    Seconds since the key was last used.",
        "REFCOUNT <key>",
        "    From how many places the value is referred to.",
        "HELP",
        "    These lines.",
    ];
    reply.array(LINES.len());
    LINES.iter().for_each(|line| reply.simple(line));
    Ok(())
}

/// `MEMORY USAGE key [SAMPLES count]`: nothing is estimated, so the count changes nothing.
fn usage(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let mut at = 3;
    while at < args.len() {
        if !args.is(at, "SAMPLES") || at + 1 == args.len() {
            return Err(Error::Syntax);
        }
        if args.int(at + 1)? < 0 {
            return Err(Error::Syntax);
        }
        at += 2;
    }
    if let Some(record) = look(scope, args, reply) {
        reply.int(record.bytes() as i64);
    }
    Ok(())
}

/// The clock of accesses has 24 bits.
pub(super) const LRU_CLOCK_MASK: u64 = (1 << 24) - 1;

const KEY: &[KeySpec] = &[KeySpec::one(2, &["RO"])];

const OBJECT: &[Row] = &[
    Row::new("object|encoding", 3, Group::Generic, Plan::One(encoding))
        .flags(&[Flags::READONLY])
        .categories(KEYSPACE)
        .keys(KEY)
        .about("2.2.3", "Names how a key's value is kept"),
    Row::new("object|freq", 3, Group::Generic, Plan::One(freq))
        .flags(&[Flags::READONLY])
        .categories(KEYSPACE)
        .keys(KEY)
        .about("4.0.0", "Tells how often a key is used, on a logarithmic scale"),
    Row::new("object|help", 2, Group::Generic, Plan::One(help))
        .flags(&[Flags::LOADING, Flags::STALE])
        .categories(KEYSPACE)
        .about("6.2.0", "Explains the subcommands"),
    Row::new("object|idletime", 3, Group::Generic, Plan::One(idletime))
        .flags(&[Flags::READONLY])
        .categories(KEYSPACE)
        .keys(KEY)
        .about("2.2.3", "Tells how many seconds ago a key was last used"),
    Row::new("object|refcount", 3, Group::Generic, Plan::One(refcount))
        .flags(&[Flags::READONLY])
        .categories(KEYSPACE)
        .keys(KEY)
        .about("2.2.3", "Counts the references to a key's value"),
];

const MEMORY: &[Row] = &[Row::new("memory|usage", -3, Group::Server, Plan::One(usage))
    .flags(&[Flags::READONLY])
    .keys(KEY)
    .about("4.0.0", "Counts the bytes that a key and its value take")];

/// MEMORY has more subcommands, which run in the session: this one needs the key's shard.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("object", -2, Group::Generic, Plan::Container(OBJECT))
        .about("2.2.3", "Tells what is known of a key besides its value"),
    Row::new("memory", -2, Group::Server, Plan::Container(MEMORY))
        .about("4.0.0", "Tells where memory goes"),
];
