//! Reads entries between two ids: XRANGE, XREVRANGE; and counts them: XLEN.

use super::{READ, end, start, write_entry};
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::shard::Scope;
use crate::value::Stream;
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
    let mut entries = stream.log.range(first, last);
    let (mark, mut written) = (reply.len(), 0);
    while count.is_none_or(|count| written < count) {
        let entry = if back { entries.next_back() } else { entries.next() };
        let Some(entry) = entry else { break };
        write_entry(&entry, reply);
        written += 1;
    }
    reply.insert(mark, |reply| reply.array(written));
    Ok(())
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
