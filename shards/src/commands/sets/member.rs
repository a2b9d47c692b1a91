//! Members of one set: SADD, SREM, SISMEMBER, SMISMEMBER, SCARD, SMEMBERS, SSCAN; and SMOVE.

use crate::commands::scanning::{Scanned, Scanning, position, write_scanned};
use crate::commands::{Args, Flags, Group, KeySpec, Move, Plan, Row};
use crate::error::Error;
use crate::keyspace::Class;
use crate::reading::{Source, Walk};
use crate::shard::Scope;
use crate::value::{Kind, Object, Set, SetRef, Value};
use pinion_io::resp::{Protocol, Reply};

/// `SADD key member...`
fn sadd(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let rules = scope.rules;
    let mut open = scope.keyspace.open_or_new::<Set>(scope.first(args), scope.now)?;
    let count = args.len() - 2;
    let new = open.is_new();
    let set = &mut *open;
    if new {
        *set = Set::with_room(rules, args.at(2), count);
    } else {
        set.make_room(rules, count);
    }
    let added = args.from(2).filter(|member| set.add(rules, member)).count();
    if added == 0 {
        open.unchanged();
    } else {
        open.notify(Class::SET, "sadd");
    }
    reply.int(added as i64);
    Ok(())
}

/// `SREM key member...`
fn srem(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let rules = scope.rules;
    let mut removed = 0;
    if let Some(mut open) = scope.keyspace.open::<Set>(scope.first(args), scope.now)? {
        let set = &mut *open;
        removed = args.from(2).filter(|member| set.remove(rules, member)).count();
        if removed == 0 {
            open.unchanged();
        } else {
            open.notify(Class::SET, "srem");
        }
    }
    reply.int(removed as i64);
    Ok(())
}

/// The set of the first key, to be read.
fn read<'a>(scope: &'a mut Scope<'_>, args: &Args<'_>) -> Result<Option<SetRef<'a>>, Error> {
    let (key, now) = (scope.first(args), scope.now);
    scope.keyspace.read::<Set>(key, now)
}

/// `SISMEMBER key member`
fn sismember(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let rules = scope.rules;
    let set = read(scope, args)?;
    reply.int(i64::from(set.is_some_and(|set| set.contains(rules, args.at(2)))));
    Ok(())
}

/// `SMISMEMBER key member...`
fn smismember(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let rules = scope.rules;
    let set = read(scope, args)?;
    reply.array(args.len() - 2);
    for member in args.from(2) {
        reply.int(i64::from(set.is_some_and(|set| set.contains(rules, member))));
    }
    Ok(())
}

/// `SCARD key`
fn scard(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    reply.int(read(scope, args)?.map_or(0, |set| set.len() as i64));
    Ok(())
}

/// `SMEMBERS key`
fn smembers(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let len = read(scope, args)?.map_or(0, SetRef::len);
    reply.set(len);
    if scope.is_long(len) {
        let walk = Walk { left: len, ..Walk::default() };
        scope.read_on(scope.first(args), write_members, walk);
        return Ok(());
    }
    // Looked up again, since how long the reply is had to be known first.
    if let Some(value) = scope.keyspace.view(scope.first(args)) {
        value.of::<Set>()?.iter().for_each(|member| member.write(reply));
    }
    Ok(())
}

/// Writes about `budget` members of a large set.
fn write_members(walk: &mut Walk, source: &Source<'_>, budget: usize, reply: &mut Reply<'_>) {
    let Ok(set) = source.value.of::<Set>() else { unreachable!("a locked key stays a set") };
    let mut written = 0;
    let next = set.scan(walk.position as u64, budget, |member| {
        member.write(reply);
        written += 1;
    });
    walk.position = next.unwrap_or(0).into();
    walk.left = if next.is_some() { walk.left - written } else { 0 };
}

/// `SSCAN key cursor [MATCH pattern] [COUNT count]`
fn sscan(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let position = position(args)?;
    let set = read(scope, args)?;
    let Some(set) = set else {
        write_scanned(None, 0, &[], reply);
        return Ok(());
    };
    let scanning = Scanning::read(args, Scanned::Members)?;
    // How many there are is known only at the end; bulk strings are the same in both protocols.
    let (mut found, mut values) = (Vec::new(), 0);
    let next = set.scan(position, scanning.count, |member| {
        let mut digits = itoa::Buffer::new();
        let text = member.text(&mut digits);
        if scanning.wants(text) {
            Reply::new(&mut found, Protocol::Resp2).bulk(text);
            values += 1;
        }
    });
    write_scanned(next, values, &found, reply);
    Ok(())
}

/// Sends along whether the first key's set has the member, as a set of that.
fn take_member(scope: &mut Scope<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<(), Error> {
    let rules = scope.rules;
    let mut emptied = false;
    let record = scope.keyspace.peek(scope.first(args), scope.now);
    let set = record.map(|record| record.value().of::<Set>()).transpose()?;
    let taken = set.map(|set| {
        let mut taken = Set::default();
        if set.contains(rules, args.at(3)) {
            taken.add(rules, args.at(3));
            emptied = set.len() == 1;
        }
        taken.into_object()
    });
    scope.carry_part(taken, emptied);
    Ok(())
}

/// `SMOVE source destination member`
fn smove(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (rules, member) = (scope.rules, args.at(3));
    let (from, to) = (scope.key(args.at(1)), scope.key(args.at(2)));
    let has = |value: Value<'_>| Ok(value.of::<Set>()?.contains(rules, member));
    let has: Option<Result<bool, Error>> = match scope.carried(1) {
        Some(carried) => carried.object.as_ref().map(Object::value).map(has),
        None => scope.keyspace.peek(from, scope.now).map(|record| has(record.value())),
    };
    let Some(has) = has.transpose()? else {
        reply.int(0);
        return Ok(());
    };
    let old = scope.keyspace.peek(to, scope.now).map(|record| record.value().of::<Set>());
    old.transpose()?;
    if from.bytes == to.bytes || !has {
        reply.int(i64::from(has));
        return Ok(());
    }
    if let Some(carried) = scope.carried(1) {
        // Noted here, so that who listens hears all of it in Redis's order.
        let emptied = carried.emptied;
        scope.keyspace.notify(Class::SET, "srem", from);
        if emptied {
            scope.keyspace.notify(Class::GENERIC, "del", from);
        }
    } else if let Some(mut source) = scope.keyspace.open::<Set>(from, scope.now)? {
        source.remove(rules, member);
        source.notify(Class::SET, "srem");
    }
    let mut open = scope.keyspace.open_or_new::<Set>(to, scope.now)?;
    if open.is_new() {
        *open = Set::with_room(rules, member, 1);
    }
    if open.add(rules, member) {
        open.notify(Class::SET, "sadd");
    } else {
        open.unchanged();
    }
    reply.int(1);
    Ok(())
}

/// Removes the member that has gone elsewhere.
fn drop_member(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let rules = scope.rules;
    if let Some(mut set) = scope.keyspace.open::<Set>(scope.first(args), scope.now)? {
        set.remove(rules, args.at(3));
        set.quiet();
    }
    reply.ok();
    Ok(())
}

const SMOVE: Move =
    Move { to: 1, take: take_member, put: smove, settle: Some(drop_member), back: None, ask: None };

pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("sadd", -3, Group::Set, Plan::One(sadd))
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RW", "INSERT"])])
        .about("1.0.0", "Adds members to a set and counts the new ones"),
    Row::new("srem", -3, Group::Set, Plan::One(srem))
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RW", "DELETE"])])
        .about("1.0.0", "Removes members from a set and counts those that were in it"),
    Row::new("sismember", 3, Group::Set, Plan::One(sismember))
        .flags(&[Flags::READONLY, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RO"])])
        .about("1.0.0", "Tells whether a set has a member"),
    Row::new("smismember", -3, Group::Set, Plan::One(smismember))
        .flags(&[Flags::READONLY, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RO", "ACCESS"])])
        .about("6.2.0", "Tells of several members whether a set has them"),
    Row::new("scard", 2, Group::Set, Plan::One(scard))
        .flags(&[Flags::READONLY, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RO"])])
        .about("1.0.0", "Counts the members of a set"),
    Row::new("smembers", 2, Group::Set, Plan::One(smembers))
        .flags(&[Flags::READONLY])
        .keys(&[KeySpec::one(1, &["RO", "ACCESS"])])
        .about("1.0.0", "Lists all members of a set"),
    Row::new("sscan", -3, Group::Set, Plan::One(sscan))
        .flags(&[Flags::READONLY])
        .keys(&[KeySpec::one(1, &["RO", "ACCESS"])])
        .about("2.8.0", "Lists the members of a set a few at a time"),
    Row::new("smove", 4, Group::Set, Plan::Move(SMOVE))
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RW", "ACCESS", "DELETE"]), KeySpec::one(2, &["RW", "INSERT"])])
        .about("1.0.0", "Moves a member from one set to another"),
];
