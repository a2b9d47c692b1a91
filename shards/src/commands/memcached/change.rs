//! Changes without a value of their own: incr, decr, delete, touch.

use super::{DELETE, End, UPDATE, has_string, set_end};
use crate::commands::{Args, Flags, Group, Plan, Row};
use crate::error::Error;
use crate::keyspace::{Class, Expiry};
use crate::shard::Scope;
use crate::value::Content;
use pinion_io::resp::Reply;

const NOT_FOUND: &[u8] = b"NOT_FOUND\r\n";

/// `incr key delta`: 64 bits, which begin at 0 again behind their end.
fn incr(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    count(scope, args, u64::wrapping_add, reply);
    Ok(())
}

/// `decr key delta`: not below 0.
fn decr(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    count(scope, args, u64::saturating_sub, reply);
    Ok(())
}

fn count(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    count: impl FnOnce(u64, u64) -> u64,
    reply: &mut Reply<'_>,
) {
    let key = scope.first(args);
    let flags = scope.keyspace.flags(key);
    let mut digits = itoa::Buffer::new();
    let record = scope.keyspace.peek(key, scope.now);
    let Some(Ok(old)) = record.map(|record| record.value().text(&mut digits)) else {
        return reply.raw(NOT_FOUND);
    };
    let (Some(old), Some(delta)) = (number(old), number(args.at(2))) else {
        return reply.raw(b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
    };
    let mut digits = itoa::Buffer::new();
    let text = digits.format(count(old, delta)).as_bytes();
    scope.keyspace.set(key, scope.now, Content::of(text), Expiry::Keep);
    scope.keyspace.set_flags(key, flags);
    scope.keyspace.notify(Class::STRING, "incrby", key);
    reply.raw(text);
    reply.raw(b"\r\n");
}

/// A number of 64 bits; spaces may follow it, as memcached itself leaves some.
fn number(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text.trim_ascii_end()).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// `delete key`
fn delete(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let key = scope.first(args);
    let there = has_string(scope, key) && scope.keyspace.delete(key, scope.now);
    reply.raw(if there { b"DELETED\r\n" } else { NOT_FOUND });
    Ok(())
}

/// `touch key exptime`
fn touch(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let key = scope.first(args);
    let there = has_string(scope, key);
    if there {
        let end = End::read(args, 2, scope.now);
        set_end(scope, key, end);
    }
    reply.raw(if there { b"TOUCHED\r\n" } else { NOT_FOUND });
    Ok(())
}

const FLAGS: &[Flags] = &[Flags::WRITE, Flags::FAST];

pub(super) static ROWS: &[Row] = &[
    Row::new("memcached|incr", 3, Group::String, Plan::One(incr))
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
        .keys(UPDATE)
        .about("1.0.0", "Adds to a number"),
    Row::new("memcached|decr", 3, Group::String, Plan::One(decr))
        .flags(FLAGS)
        .keys(UPDATE)
        .about("1.0.0", "Takes from a number"),
    Row::new("memcached|delete", 2, Group::String, Plan::One(delete))
        .flags(FLAGS)
        .keys(DELETE)
        .about("1.0.0", "Removes a value"),
    Row::new("memcached|touch", 3, Group::String, Plan::One(touch))
        .flags(FLAGS)
        .keys(UPDATE)
        .about("1.0.0", "Says when a value ends"),
];
