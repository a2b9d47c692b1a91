//! Keys that go elsewhere: RENAME, RENAMENX, COPY, MOVE.

use super::{SAME_KEY, database};
use crate::commands::{Args, Flags, Group, KEYSPACE, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::Key;
use crate::shard::Scope;
use pinion_io::resp::Reply;

/// `RENAME key newkey`.
fn rename(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let to = scope.key(args.at(2));
    if !scope.keyspace.rename(scope.first(args), to, scope.now) {
        return Err(Error::NoSuchKey);
    }
    reply.ok();
    Ok(())
}

/// `RENAMENX key newkey`.
fn renamenx(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (from, to) = (scope.first(args), scope.key(args.at(2)));
    if !scope.keyspace.contains(from, scope.now) {
        return Err(Error::NoSuchKey);
    }
    let free = !scope.keyspace.contains(to, scope.now);
    reply.int(i64::from(free && scope.keyspace.rename(from, to, scope.now)));
    Ok(())
}

/// `COPY source destination [DB number] [REPLACE]`.
fn copy(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (mut db, mut replace) = (scope.db, false);
    let mut at = 3;
    while at < args.len() {
        if args.is(at, "REPLACE") {
            replace = true;
            at += 1;
        } else if args.is(at, "DB") && at + 1 < args.len() {
            db = database(scope.keyspace, args, at + 1)?;
            at += 2;
        } else {
            return Err(Error::Syntax);
        }
    }
    let from = scope.first(args);
    let to = Key { db, ..scope.key(args.at(2)) };
    if from.db == to.db && from.bytes == to.bytes {
        return Err(SAME_KEY);
    }
    let free = replace || !scope.keyspace.contains(to, scope.now);
    reply.int(i64::from(free && scope.keyspace.copy(from, to, scope.now)));
    Ok(())
}

/// `MOVE key db`.
fn move_key(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let from = scope.first(args);
    let to = Key { db: database(scope.keyspace, args, 2)?, ..from };
    if from.db == to.db {
        return Err(SAME_KEY);
    }
    let free = !scope.keyspace.contains(to, scope.now);
    reply.int(i64::from(free && scope.keyspace.rename(from, to, scope.now)));
    Ok(())
}

pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("rename", 3, Group::Generic, Plan::One(rename))
        .flags(&[Flags::WRITE])
        .categories(KEYSPACE)
        .keys(&[KeySpec::one(1, &["RW", "access", "delete"]), KeySpec::one(2, &["OW", "update"])])
        .about("1.0.0", "Gives a key another name, in place of what had it"),
    Row::new("renamenx", 3, Group::Generic, Plan::One(renamenx))
        .flags(&[Flags::WRITE, Flags::FAST])
        .categories(KEYSPACE)
        .keys(&[KeySpec::one(1, &["RW", "access", "delete"]), KeySpec::one(2, &["OW", "insert"])])
        .about("1.0.0", "Gives a key another name, unless that is taken"),
    Row::new("copy", -3, Group::Generic, Plan::One(copy))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .categories(KEYSPACE)
        .keys(&[KeySpec::one(1, &["RO", "access"]), KeySpec::one(2, &["OW", "update"])])
        .about("6.2.0", "Copies a value and its expiry to another key"),
    Row::new("move", 3, Group::Generic, Plan::One(move_key))
        .flags(&[Flags::WRITE, Flags::FAST])
        .categories(KEYSPACE)
        .keys(&[KeySpec::one(1, &["RW", "access", "update"])])
        .about("1.0.0", "Moves a key to another database, unless it is there already"),
];
