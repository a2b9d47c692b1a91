//! Reads entries between two ids: XRANGE, XREVRANGE; and counts them: XLEN.

use super::{READ, end, start, write_entry};
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::limits::READ_AT_ONCE_MAX;
use crate::reading::{Source, Walk};
use crate::shard::Scope;
use crate::value::stream::{Id, Log};
use crate::value::{Stream, Value};
use pinion_io::resp::Reply;

/// `XLEN key`.
fn xlen(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let key = scope.first(args);
    let stream = scope.keyspace.read::<Stream>(key, scope.now)?;
    reply.int(stream.map_or(0, |stream| stream.log.len() as i64));
    Ok(())
}

/// `XRANGE key start end [COUNT count]`.
fn xrange(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    range(scope, args, reply, false)
}

/// `XREVRANGE key end start [COUNT count]`.
fn xrevrange(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    range(scope, args, reply, true)
}

fn range(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    back: bool,
) -> Result<(), Error> {
    let (first, last) = if back { (3, 2) } else { (2, 3) };
    let (first, last) = (start(args.at(first))?, end(args.at(last))?);
    let count = count(args)?;
    let key = scope.first(args);
    let Some(stream) = scope.keyspace.read::<Stream>(key, scope.now)? else {
        reply.array(0);
        return Ok(());
    };
    if count == Some(0) {
        reply.null_array();
        return Ok(());
    }
    let count = count.unwrap_or(usize::MAX);
    if count.min(stream.log.len() as usize) > READ_AT_ONCE_MAX {
        let count = count.min(stream.log.count(first, last) as usize);
        let position = if back { last.number() } else { first.number() };
        let mut walk = Walk { position, left: count, options: u64::from(back) };
        reply.array(count);
        if scope.is_long(count) {
            scope.read_on(key, write_some, walk);
        } else if let Some(value) = scope.keyspace.view(key) {
            let source = Source { value, rules: scope.rules, now: scope.now };
            write_some(&mut walk, &source, usize::MAX, reply);
        }
        return Ok(());
    }
    let mark = reply.len();
    let (written, _) = write_entries(&stream.log, (first, last), back, count, reply);
    reply.insert(mark, |reply| reply.array(written));
    Ok(())
}

/// Writes up to `count` entries; how many they were, and the last of them.
fn write_entries(
    log: &Log,
    (first, last): (Id, Id),
    back: bool,
    count: usize,
    reply: &mut Reply<'_>,
) -> (usize, Id) {
    let mut entries = log.range(first, last);
    let (mut written, mut at) = (0, Id::MIN);
    while written < count {
        let entry = if back { entries.next_back() } else { entries.next() };
        let Some(entry) = entry else { break };
        write_entry(&entry, reply);
        (written, at) = (written + 1, entry.id);
    }
    (written, at)
}

/// Writes a piece of a long reply: the position is the number of the next id; the option says that
/// it goes backward.
fn write_some(walk: &mut Walk, source: &Source<'_>, budget: usize, reply: &mut Reply<'_>) {
    let Value::Stream(stream) = source.value else { return };
    let (back, next) = (walk.options != 0, Id::of_number(walk.position));
    let span = if back { (Id::MIN, next) } else { (next, Id::MAX) };
    let (written, at) = write_entries(&stream.log, span, back, budget.min(walk.left), reply);
    walk.left -= written;
    let next = if back { at.prev() } else { at.next() };
    walk.position = next.map_or(0, Id::number);
}

/// `[COUNT count]`, the last one of several; a negative count is none at all.
fn count(args: &Args<'_>) -> Result<Option<usize>, Error> {
    let (mut at, mut count) = (4, None);
    while at < args.len() {
        if !args.is(at, "COUNT") || at + 1 == args.len() {
            return Err(Error::Syntax);
        }
        count = Some(usize::try_from(args.int(at + 1)?).unwrap_or(0));
        at += 2;
    }
    Ok(count)
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("xlen", 2, Group::Stream, Plan::One(xlen))
        .flags(&[Flags::READONLY, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RO"])])
        .about("5.0.0", "Counts the entries of a stream"),
    Row::new("xrange", -4, Group::Stream, Plan::One(xrange))
        .flags(&[Flags::READONLY])
        .keys(READ)
        .about("5.0.0", "Reads the entries with ids from one to another"),
    Row::new("xrevrange", -4, Group::Stream, Plan::One(xrevrange))
        .flags(&[Flags::READONLY])
        .keys(READ)
        .about("5.0.0", "Reads the entries with ids from one down to another"),
];
