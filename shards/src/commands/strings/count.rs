//! Numbers in strings.

use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::{Class, Expiry};
use crate::shard::Scope;
use crate::value::{Content, Extended};
use pinion_io::resp::Reply;

fn incr(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    add(scope, args, 1, reply)
}

fn decr(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    add(scope, args, -1, reply)
}

fn incrby(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    add(scope, args, args.int(2)?, reply)
}

fn decrby(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let step = args.int(2)?.checked_neg().ok_or(Error::Text("ERR decrement would overflow"))?;
    add(scope, args, step, reply)
}

#[inline]
fn add(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    step: i64,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let key = scope.first(args);
    reply.int(scope.keyspace.add(key, scope.now, step)?);
    scope.keyspace.notify(Class::STRING, "incrby", key);
    Ok(())
}

/// The sum is kept as text, whose encoding is that of a string even where it is whole.
fn incrbyfloat(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let key = scope.first(args);
    let mut digits = itoa::Buffer::new();
    let old = match scope.keyspace.peek(key, scope.now) {
        Some(record) => Extended::parse(record.value().text(&mut digits)?),
        None => Some(Extended::ZERO),
    };
    let old = old.ok_or(Error::NotFloat)?;
    let step = Extended::parse(args.at(2)).ok_or(Error::NotFloat)?;
    let sum = old.plus(step).filter(|sum| sum.is_finite());
    let sum = sum.ok_or(Error::Text("ERR increment would produce NaN or Infinity"))?;
    let mut text = Vec::new();
    sum.write(&mut text);
    scope.keyspace.set(key, scope.now, Content::Str(&text), Expiry::Keep);
    scope.keyspace.notify(Class::STRING, "incrbyfloat", key);
    reply.bulk(&text);
    Ok(())
}

const COUNTER: &[KeySpec] = &[KeySpec::one(1, &["RW", "ACCESS", "UPDATE"])];
const COUNTER_FLAGS: &[Flags] = &[Flags::WRITE, Flags::DENYOOM, Flags::FAST];

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("incr", 2, Group::String, Plan::One(incr))
        .flags(COUNTER_FLAGS)
        .keys(COUNTER)
        .about("1.0.0", "Adds one to an integer, which begins at 0"),
    Row::new("decr", 2, Group::String, Plan::One(decr))
        .flags(COUNTER_FLAGS)
        .keys(COUNTER)
        .about("1.0.0", "Takes one from an integer, which begins at 0"),
    Row::new("incrby", 3, Group::String, Plan::One(incrby))
        .flags(COUNTER_FLAGS)
        .keys(COUNTER)
        .about("1.0.0", "Adds to an integer, which begins at 0"),
    Row::new("decrby", 3, Group::String, Plan::One(decrby))
        .flags(COUNTER_FLAGS)
        .keys(COUNTER)
        .about("1.0.0", "Takes from an integer, which begins at 0"),
    Row::new("incrbyfloat", 3, Group::String, Plan::One(incrbyfloat))
        .flags(COUNTER_FLAGS)
        .keys(COUNTER)
        .about("2.6.0", "Adds to a number with a fraction, which begins at 0"),
];
