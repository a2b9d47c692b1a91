//! Reads: get, gets, gat, gats. One key each; a request of several is several of these.

use super::{End, READ, UPDATE, has_string, set_end};
use crate::commands::{Args, Flags, Group, Plan, Row};
use crate::error::Error;
use crate::shard::Scope;
use pinion_io::resp::Reply;

fn get(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    write(scope, args, false, reply);
    Ok(())
}

fn gets(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    write(scope, args, true, reply);
    Ok(())
}

fn gat(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    write(scope, args, false, reply);
    touch(scope, args);
    Ok(())
}

fn gats(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    write(scope, args, true, reply);
    touch(scope, args);
    Ok(())
}

fn touch(scope: &mut Scope<'_>, args: &Args<'_>) {
    let key = scope.first(args);
    if has_string(scope, key) {
        let end = End::read(args, 2, scope.now);
        set_end(scope, key, end);
    }
}

/// Writes `VALUE key flags bytes [unique]` and the value, or nothing where there is none.
fn write(scope: &mut Scope<'_>, args: &Args<'_>, unique: bool, reply: &mut Reply<'_>) {
    let (key, now) = (scope.first(args), scope.now);
    let flags = scope.keyspace.flags(key);
    // Before the value is read: it may be a key of another type, which has none.
    let there = unique && has_string(scope, key);
    let token = there.then(|| scope.keyspace.token(key, now));
    let mut digits = itoa::Buffer::new();
    let value = scope.keyspace.get(key, now);
    let Some(Ok(text)) = value.map(|value| value.text(&mut digits)) else { return };
    let mut number = itoa::Buffer::new();
    reply.raw(b"VALUE ");
    reply.raw(key.bytes);
    reply.raw(b" ");
    reply.raw(number.format(flags).as_bytes());
    reply.raw(b" ");
    reply.raw(number.format(text.len()).as_bytes());
    if let Some(token) = token {
        reply.raw(b" ");
        reply.raw(number.format(token).as_bytes());
    }
    reply.raw(b"\r\n");
    reply.raw(text);
    reply.raw(b"\r\n");
}

pub(super) static ROWS: &[Row] = &[
    Row::new("memcached|get", 2, Group::String, Plan::One(get))
        .flags(&[Flags::READONLY, Flags::FAST])
        .keys(READ)
        .about("1.0.0", "Reads a value and its flags"),
    Row::new("memcached|gets", 2, Group::String, Plan::One(gets))
        .flags(&[Flags::READONLY, Flags::FAST])
        .keys(READ)
        .about("1.0.0", "Reads a value, its flags, and the number of its state"),
    Row::new("memcached|gat", 3, Group::String, Plan::One(gat))
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(UPDATE)
        .about("1.0.0", "Reads a value and says when it ends"),
    Row::new("memcached|gats", 3, Group::String, Plan::One(gats))
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(UPDATE)
        .about("1.0.0", "Reads a value with its number, and says when it ends"),
];
