//! Keys that go elsewhere: RENAME, RENAMENX, COPY, MOVE.

use super::{SAME_KEY, database};
use crate::carried::copy_out;
use crate::commands::{Args, Flags, Group, KEYSPACE, KeySpec, Move, Plan, Row, Run};
use crate::error::Error;
use crate::keyspace::{Class, Key};
use crate::shard::Scope;
use pinion_io::resp::Reply;

/// Sends the value of the first key along, for a command of two keys.
fn take_first(scope: &mut Scope<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<(), Error> {
    let record = scope.keyspace.peek(scope.first(args), scope.now);
    let expiry = record.and_then(|record| record.expiry());
    let object = record.map(|record| record.value().duplicate());
    scope.carry(object, expiry);
    Ok(())
}

/// Takes the value of the first key out and sends it along.
fn take_out(scope: &mut Scope<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<(), Error> {
    let taken = scope.keyspace.take_out(scope.key(args.at(1)), scope.now);
    let (object, expiry) = taken.map_or((None, None), |(object, expiry)| (Some(object), expiry));
    scope.carry(object, expiry);
    Ok(())
}

/// Removes the first key, whose value has gone elsewhere.
fn drop_first(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    scope.keyspace.remove(scope.first(args), scope.now);
    reply.ok();
    Ok(())
}

/// Gives `to` what was carried here for the first key; false if that is not there.
fn put_carried(scope: &mut Scope<'_>, to: Key<'_>) -> bool {
    let Some(carried) = scope.carried(1) else { return false };
    let (object, expiry) = (carried.object.take(), carried.expiry);
    object.is_some_and(|object| {
        let had = scope.keyspace.contains(to, scope.now);
        scope.keyspace.put_object(to, scope.now, object, expiry);
        if had {
            // What it had is gone first, as Redis does it.
            scope.keyspace.notify(Class::NEW, "new", to);
        }
        true
    })
}

/// True if the first key is there, wherever it lives.
fn has_first(scope: &mut Scope<'_>, args: &Args<'_>) -> bool {
    match scope.carried(1) {
        Some(carried) => carried.object.is_some(),
        None => scope.keyspace.contains(scope.first(args), scope.now),
    }
}

/// `RENAME key newkey`.
fn rename(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    if !move_first(scope, args) {
        return Err(Error::NoSuchKey);
    }
    reply.ok();
    Ok(())
}

/// Gives the second key what the first has, or had where that lives; false if that is not there.
fn move_first(scope: &mut Scope<'_>, args: &Args<'_>) -> bool {
    let (from, to) = (scope.key(args.at(1)), scope.key(args.at(2)));
    let old = scope.keyspace.kind_if_heard(to, scope.now);
    let moved = if scope.is_here(1) {
        scope.keyspace.rename(from, to, scope.now)
    } else {
        put_carried(scope, to)
    };
    if moved && from.bytes != to.bytes {
        note_moved(scope, (from, "rename_from"), (to, "rename_to"));
        // Said last here and by COPY, and first by what only stores.
        scope.keyspace.overwrote(to, scope.now, old);
    }
    moved
}

/// Notes that a key went from one name or database to another. That is done where it went, so that
/// who listens hears it in Redis's order, wherever it came from.
fn note_moved(
    scope: &mut Scope<'_>,
    (from, left): (Key<'_>, &'static str),
    (to, came): (Key<'_>, &'static str),
) {
    scope.keyspace.notify(Class::GENERIC, left, from);
    scope.keyspace.notify(Class::GENERIC, came, to);
}

/// `RENAMENX key newkey`.
fn renamenx(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    if !has_first(scope, args) {
        return Err(Error::NoSuchKey);
    }
    let to = scope.key(args.at(2));
    let free = !scope.keyspace.contains(to, scope.now);
    reply.int(i64::from(free && move_first(scope, args)));
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
    let old = scope.keyspace.kind_if_heard(to, scope.now);
    let copied = if scope.is_here(1) {
        free && scope.keyspace.copy(from, to, scope.now)
    } else {
        free && put_carried(scope, to)
    };
    if copied {
        scope.keyspace.notify(Class::GENERIC, "copy_to", to);
        scope.keyspace.overwrote(to, scope.now, old);
    }
    reply.int(i64::from(copied));
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
    let moved = free && scope.keyspace.rename(from, to, scope.now);
    if moved {
        note_moved(scope, (from, "move_from"), (to, "move_to"));
    }
    reply.int(i64::from(moved));
    Ok(())
}

/// To the owner of the second key, and gone from that of the first.
const fn moves(put: Run) -> Plan {
    Plan::Move(Move {
        to: 1,
        take: take_first,
        put,
        settle: Some(drop_first),
        back: None,
        ask: None,
    })
}

/// The value itself goes over; nothing of it is copied, and no write to it can be lost.
const RENAME: Move =
    Move { to: 1, take: take_out, put: rename, settle: None, back: None, ask: None };

const COPY: Move = Move { to: 1, take: copy_out, put: copy, settle: None, back: None, ask: None };

pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("rename", 3, Group::Generic, Plan::Move(RENAME))
        .flags(&[Flags::WRITE])
        .categories(KEYSPACE)
        .keys(&[KeySpec::one(1, &["RW", "access", "delete"]), KeySpec::one(2, &["OW", "update"])])
        .about("1.0.0", "Gives a key another name, in place of what had it"),
    Row::new("renamenx", 3, Group::Generic, moves(renamenx))
        .flags(&[Flags::WRITE, Flags::FAST])
        .categories(KEYSPACE)
        .keys(&[KeySpec::one(1, &["RW", "access", "delete"]), KeySpec::one(2, &["OW", "insert"])])
        .about("1.0.0", "Gives a key another name, unless that is taken"),
    Row::new("copy", -3, Group::Generic, Plan::Move(COPY))
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
