//! Sets and removes fields: HSET, HMSET, HSETNX, HDEL.

use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::Class;
use crate::shard::Scope;
use crate::value::Hash;
use pinion_io::resp::Reply;

/// Sets the fields that words 2 and on name, each followed by its value; returns how many are new.
#[inline]
fn set_all(scope: &mut Scope<'_>, args: &Args<'_>, name: &'static str) -> Result<usize, Error> {
    if !args.len().is_multiple_of(2) {
        return Err(Error::Arity(name));
    }
    let (rules, now) = (scope.rules, scope.now);
    let mut open = scope.keyspace.open_or_new::<Hash>(scope.first(args), now)?;
    let hash = &mut *open;
    let longest = args.from(2).map(<[u8]>::len).max().unwrap_or(0);
    hash.prepare(rules, args.len() / 2 - 1, longest);
    let mut words = args.from(2);
    let mut new = 0;
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        new += usize::from(hash.set(rules, now, (name, value), false));
    }
    open.notify(Class::HASH, "hset");
    Ok(new)
}

/// `HSET key field value...`
fn hset(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    reply.int(set_all(scope, args, "hset")? as i64);
    Ok(())
}

/// `HMSET key field value...`
fn hmset(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    set_all(scope, args, "hmset")?;
    reply.ok();
    Ok(())
}

/// `HSETNX key field value`
fn hsetnx(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (rules, now) = (scope.rules, scope.now);
    let (name, value) = (args.at(2), args.at(3));
    let mut open = scope.keyspace.open_or_new::<Hash>(scope.first(args), now)?;
    let new = open.view().find(rules, now, name).is_none();
    if new {
        open.set(rules, now, (name, value), false);
        open.notify(Class::HASH, "hset");
    } else {
        open.unchanged();
    }
    reply.int(i64::from(new));
    Ok(())
}

/// `HDEL key field...`
fn hdel(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (rules, now) = (scope.rules, scope.now);
    let mut removed = 0;
    if let Some(mut open) = scope.keyspace.open::<Hash>(scope.first(args), now)? {
        let hash = &mut *open;
        removed = args.from(2).filter(|name| hash.remove(rules, now, name)).count();
        if removed == 0 {
            open.unchanged();
        } else {
            open.notify(Class::HASH, "hdel");
        }
    }
    reply.int(removed as i64);
    Ok(())
}

const UPDATED: &[KeySpec] = &[KeySpec::one(1, &["RW", "UPDATE"])];
const FLAGS: &[Flags] = &[Flags::WRITE, Flags::DENYOOM, Flags::FAST];

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("hset", -4, Group::Hash, Plan::One(hset))
        .flags(FLAGS)
        .keys(UPDATED)
        .about("2.0.0", "Gives fields of a hash their values"),
    Row::new("hmset", -4, Group::Hash, Plan::One(hmset))
        .flags(FLAGS)
        .keys(UPDATED)
        .about("2.0.0", "Gives fields of a hash their values, and answers OK"),
    Row::new("hsetnx", 4, Group::Hash, Plan::One(hsetnx))
        .flags(FLAGS)
        .keys(&[KeySpec::one(1, &["RW", "INSERT"])])
        .about("2.0.0", "Gives a field its value if it is not there yet"),
    Row::new("hdel", -3, Group::Hash, Plan::One(hdel))
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RW", "DELETE"])])
        .about("2.0.0", "Removes fields of a hash"),
];
