//! Stores: set, add, replace, append, prepend, cas.

use super::{End, UPDATE, expiry, has_string};
use crate::commands::{Args, Flags, Group, Plan, Row};
use crate::error::Error;
use crate::keyspace::{Class, Expiry, Key};
use crate::limits::MEMCACHED_VALUE_BYTES_MAX;
use crate::shard::Scope;
use crate::value::Content;
use pinion_io::resp::Reply;

const STORED: &[u8] = b"STORED\r\n";
const NOT_STORED: &[u8] = b"NOT_STORED\r\n";

/// `set key flags exptime data`
fn set(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    put(scope, args);
    reply.raw(STORED);
    Ok(())
}

fn add(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let there = scope.keyspace.contains(scope.first(args), scope.now);
    put_if(scope, args, !there, reply);
    Ok(())
}

fn replace(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let there = scope.keyspace.contains(scope.first(args), scope.now);
    put_if(scope, args, there, reply);
    Ok(())
}

fn put_if(scope: &mut Scope<'_>, args: &Args<'_>, wanted: bool, reply: &mut Reply<'_>) {
    if wanted {
        put(scope, args);
    }
    reply.raw(if wanted { STORED } else { NOT_STORED });
}

/// `cas key flags exptime data unique`
fn cas(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let key = scope.first(args);
    let token = std::str::from_utf8(args.at(5)).ok().and_then(|text| text.parse().ok());
    let answer: &[u8] = if !has_string(scope, key) {
        b"NOT_FOUND\r\n"
    } else if token.is_some_and(|token| scope.keyspace.has_token(key, token)) {
        put(scope, args);
        STORED
    } else {
        b"EXISTS\r\n"
    };
    reply.raw(answer);
    Ok(())
}

/// Gives the key its value, flags and end.
fn put(scope: &mut Scope<'_>, args: &Args<'_>) {
    let key = scope.first(args);
    let end = End::read(args, 3, scope.now);
    if end == End::Past {
        scope.keyspace.delete(key, scope.now);
        return;
    }
    scope.keyspace.overwrites(key, scope.now, "string");
    write(scope, key, Content::of(args.at(4)), expiry(end), flags(args));
    scope.keyspace.notify(Class::STRING, "set", key);
    if let End::At(_) = end {
        scope.keyspace.notify(Class::GENERIC, "expire", key);
    }
}

fn flags(args: &Args<'_>) -> u32 {
    args.int(2).ok().and_then(|flags| u32::try_from(flags).ok()).unwrap_or(0)
}

fn write(scope: &mut Scope<'_>, key: Key<'_>, content: Content<'_>, expiry: Expiry, flags: u32) {
    scope.keyspace.set(key, scope.now, content, expiry);
    scope.keyspace.set_flags(key, flags);
}

/// `append key flags exptime data`: flags and end are those that the value has.
fn append(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    join(scope, args, |old, new| [old, new].concat(), reply);
    Ok(())
}

fn prepend(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    join(scope, args, |old, new| [new, old].concat(), reply);
    Ok(())
}

fn join(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    join: impl FnOnce(&[u8], &[u8]) -> Vec<u8>,
    reply: &mut Reply<'_>,
) {
    let (key, new) = (scope.first(args), args.at(4));
    let flags = scope.keyspace.flags(key);
    let mut digits = itoa::Buffer::new();
    let record = scope.keyspace.peek(key, scope.now);
    let Some(Ok(old)) = record.map(|record| record.value().text(&mut digits)) else {
        return reply.raw(NOT_STORED);
    };
    if old.len() + new.len() > MEMCACHED_VALUE_BYTES_MAX {
        return reply.raw(b"SERVER_ERROR out of memory storing object\r\n");
    }
    let text = join(old, new);
    write(scope, key, Content::Raw(&text), Expiry::Keep, flags);
    scope.keyspace.notify(Class::STRING, "append", key);
    reply.raw(STORED);
}

const FLAGS: &[Flags] = &[Flags::WRITE, Flags::DENYOOM, Flags::FAST];

pub(super) static ROWS: &[Row] = &[
    Row::new("memcached|set", 5, Group::String, Plan::One(set))
        .flags(FLAGS)
        .keys(UPDATE)
        .about("1.0.0", "Stores a value"),
    Row::new("memcached|add", 5, Group::String, Plan::One(add))
        .flags(FLAGS)
        .keys(UPDATE)
        .about("1.0.0", "Stores a value if there is none"),
    Row::new("memcached|replace", 5, Group::String, Plan::One(replace))
        .flags(FLAGS)
        .keys(UPDATE)
        .about("1.0.0", "Stores a value if there is one"),
    Row::new("memcached|append", 5, Group::String, Plan::One(append))
        .flags(FLAGS)
        .keys(UPDATE)
        .about("1.0.0", "Adds to the end of a value"),
    Row::new("memcached|prepend", 5, Group::String, Plan::One(prepend))
        .flags(FLAGS)
        .keys(UPDATE)
        .about("1.0.0", "Adds to the beginning of a value"),
    Row::new("memcached|cas", 6, Group::String, Plan::One(cas))
        .flags(FLAGS)
        .keys(UPDATE)
        .about("1.0.0", "Stores a value if it is still in the state of a number"),
];
