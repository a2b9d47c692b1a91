//! What is known of a stream and its groups: XINFO.

use super::{no_such_group, second, write_entry, write_id};
use crate::commands::{Args, Flags, Group as Family, KeySpec, Plan, Row};
use crate::error::Error;
use crate::shard::{Millis, Scope};
use crate::value::Stream;
use crate::value::stream::{Consumer, Entry, Group, Id, Log};
use pinion_io::resp::Reply;

/// The stream of the key after the subcommand.
fn stream<'a>(scope: &'a mut Scope<'_>, args: &Args<'_>) -> Result<&'a Stream, Error> {
    let (key, now) = (second(scope, args), scope.now);
    scope.keyspace.read::<Stream>(key, now)?.ok_or(Error::NoSuchKey)
}

/// `XINFO STREAM key [FULL [COUNT count]]`.
fn info_stream(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let stream = stream(scope, args)?;
    let count = match args.len() {
        3 => None,
        4 if args.is(3, "FULL") => Some(FULL_COUNT),
        6 if args.is(3, "FULL") && args.is(4, "COUNT") => match args.int(5)? {
            0 => Some(usize::MAX),
            count => Some(usize::try_from(count).unwrap_or(FULL_COUNT)),
        },
        _ => {
            return Err(Error::Text(
                "ERR unknown subcommand or wrong number of arguments for 'stream'. \
                 Try XINFO HELP.",
            ));
        }
    };
    let log = &stream.log;
    reply.map(if count.is_some() { 9 } else { 10 });
    write_log(log, reply);
    let Some(count) = count else {
        pair(reply, "groups", stream.groups.len() as i64);
        let mut all = log.range(Id::MIN, Id::MAX);
        write_end("first-entry", all.next(), reply);
        write_end("last-entry", log.range(Id::MIN, Id::MAX).next_back(), reply);
        return Ok(());
    };
    reply.bulk(b"entries");
    let entries = log.range(Id::MIN, Id::MAX).take(count);
    reply.array(count.min(log.len() as usize));
    entries.for_each(|entry| write_entry(&entry, reply));
    reply.bulk(b"groups");
    reply.array(stream.groups.len());
    for (name, group) in stream.groups.iter() {
        write_full_group(name, group, log, count, reply);
    }
    Ok(())
}

/// Entries that FULL shows, if no count is given.
const FULL_COUNT: usize = 10;

fn write_log(log: &Log, reply: &mut Reply<'_>) {
    pair(reply, "length", log.len() as i64);
    // Redis keeps its nodes in a radix tree; here a tree of as many leaves and a root stands for it.
    pair(reply, "radix-tree-keys", log.nodes() as i64);
    pair(reply, "radix-tree-nodes", log.nodes() as i64 + 1);
    pair_id(reply, "last-generated-id", log.last());
    pair_id(reply, "max-deleted-entry-id", log.max_deleted());
    pair(reply, "entries-added", log.added() as i64);
    pair_id(reply, "recorded-first-entry-id", log.first());
}

fn pair(reply: &mut Reply<'_>, name: &str, value: i64) {
    reply.bulk(name.as_bytes());
    reply.int(value);
}

fn pair_id(reply: &mut Reply<'_>, name: &str, id: Id) {
    reply.bulk(name.as_bytes());
    write_id(id, reply);
}

fn write_end(name: &str, entry: Option<Entry<'_>>, reply: &mut Reply<'_>) {
    reply.bulk(name.as_bytes());
    match entry {
        Some(entry) => write_entry(&entry, reply),
        None => reply.null(),
    }
}

/// Writes how far a group has read.
fn write_progress(group: &Group, log: &Log, reply: &mut Reply<'_>) {
    pair_id(reply, "last-delivered-id", group.last);
    let lag = log.lag(group.read, group.last);
    for (name, value) in [("entries-read", group.read.map(|read| read as i64)), ("lag", lag)] {
        reply.bulk(name.as_bytes());
        match value {
            Some(value) => reply.int(value),
            None => reply.null(),
        }
    }
}

fn write_full_group(name: &[u8], group: &Group, log: &Log, count: usize, reply: &mut Reply<'_>) {
    reply.map(7);
    reply.bulk(b"name");
    reply.bulk(name);
    write_progress(group, log, reply);
    pair(reply, "pel-count", group.pending_len() as i64);
    reply.bulk(b"pending");
    reply.array(count.min(group.pending_len()));
    for (&id, pending) in group.pending(Id::MIN, Id::MAX).take(count) {
        reply.array(4);
        write_id(id, reply);
        reply.bulk(group.by_number(pending.consumer).name());
        reply.int(pending.delivered as i64);
        reply.int(pending.count as i64);
    }
    reply.bulk(b"consumers");
    reply.array(group.consumers_len());
    for consumer in group.consumers() {
        write_full_consumer(consumer, group, count, reply);
    }
}

fn write_full_consumer(consumer: &Consumer, group: &Group, count: usize, reply: &mut Reply<'_>) {
    reply.map(5);
    reply.bulk(b"name");
    reply.bulk(consumer.name());
    pair(reply, "seen-time", consumer.seen as i64);
    pair(reply, "active-time", consumer.active.map_or(-1, |at| at as i64));
    pair(reply, "pel-count", consumer.pending_len() as i64);
    reply.bulk(b"pending");
    reply.array(count.min(consumer.pending_len()));
    for id in consumer.pending(Id::MIN, Id::MAX).take(count) {
        reply.array(3);
        write_id(id, reply);
        let pending = group.pending_at(id);
        reply.int(pending.map_or(0, |pending| pending.delivered as i64));
        reply.int(pending.map_or(0, |pending| pending.count as i64));
    }
}

/// `XINFO GROUPS key`.
fn info_groups(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let stream = stream(scope, args)?;
    reply.array(stream.groups.len());
    for (name, group) in stream.groups.iter() {
        reply.map(6);
        reply.bulk(b"name");
        reply.bulk(name);
        pair(reply, "consumers", group.consumers_len() as i64);
        pair(reply, "pending", group.pending_len() as i64);
        write_progress(group, &stream.log, reply);
    }
    Ok(())
}

/// `XINFO CONSUMERS key group`.
fn info_consumers(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let now = scope.now;
    let stream = stream(scope, args)?;
    let Some(group) = stream.groups.find(args.at(3)) else {
        no_such_group(args.at(2), args.at(3), reply);
        return Ok(());
    };
    reply.array(group.consumers_len());
    for consumer in group.consumers() {
        let since = |at: Millis| now.saturating_sub(at) as i64;
        reply.map(4);
        reply.bulk(b"name");
        reply.bulk(consumer.name());
        pair(reply, "pending", consumer.pending_len() as i64);
        pair(reply, "idle", since(consumer.seen));
        pair(reply, "inactive", consumer.active.map_or(-1, since));
    }
    Ok(())
}

/// `XINFO HELP`.
fn help(_: &mut Scope<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    const LINES: &[&str] = &[
        "XINFO <subcommand> [<arg> ...]. Subcommands are:",
        "CONSUMERS <key> <group>",
        "    The consumers of a group.",
        "GROUPS <key>",
        "    The groups of a stream.",
        "STREAM <key> [FULL [COUNT <count>]]",
        "    The stream itself; FULL adds entries, groups and consumers, 10 of each list or",
        "    as many as COUNT says, 0 being all.",
        "HELP",
        "    These lines.",
    ];
    reply.array(LINES.len());
    LINES.iter().for_each(|line| reply.simple(line));
    Ok(())
}

const KEY: &[KeySpec] = &[KeySpec::one(2, &["RO", "ACCESS"])];

const XINFO: &[Row] = &[
    Row::new("xinfo|consumers", 4, Family::Stream, Plan::One(info_consumers))
        .flags(&[Flags::READONLY])
        .keys(KEY)
        .about("5.0.0", "Tells what is known of a group's consumers"),
    Row::new("xinfo|groups", 3, Family::Stream, Plan::One(info_groups))
        .flags(&[Flags::READONLY])
        .keys(KEY)
        .about("5.0.0", "Tells what is known of a stream's groups"),
    Row::new("xinfo|help", 2, Family::Stream, Plan::One(help))
        .flags(&[Flags::LOADING, Flags::STALE])
        .about("5.0.0", "Explains the subcommands"),
    Row::new("xinfo|stream", -3, Family::Stream, Plan::One(info_stream))
        .flags(&[Flags::READONLY])
        .keys(KEY)
        .about("5.0.0", "Tells what is known of a stream"),
];

/// The rows.
pub(in crate::commands) const ROWS: &[Row] =
    &[Row::new("xinfo", -2, Family::Stream, Plan::Container(XINFO))
        .about("5.0.0", "Tells what is known of streams, groups and consumers")];
