//! Asks for fields by name: HGET, HMGET, HEXISTS, HSTRLEN, HLEN.

use super::read;
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::limits::COUNT_PARTS_MAX;
use crate::shard::Scope;
use crate::value::Pair;
use pinion_io::resp::Reply;

/// The field that word 2 names.
#[inline]
fn field<'a>(scope: &'a mut Scope<'_>, args: &Args<'_>) -> Result<Option<Pair<'a>>, Error> {
    let (rules, now) = (scope.rules, scope.now);
    Ok(read(scope, args)?.and_then(|hash| hash.find(rules, now, args.at(2))))
}

/// `HGET key field`
fn hget(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    match field(scope, args)? {
        Some(pair) => pair.value.write(reply),
        None => reply.null(),
    }
    Ok(())
}

/// `HMGET key field...`
fn hmget(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (rules, now) = (scope.rules, scope.now);
    let hash = read(scope, args)?;
    reply.array(args.len() - 2);
    for name in args.from(2) {
        match hash.and_then(|hash| hash.find(rules, now, name)) {
            Some(pair) => pair.value.write(reply),
            None => reply.null(),
        }
    }
    Ok(())
}

/// `HEXISTS key field`
fn hexists(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let found = field(scope, args)?.is_some();
    reply.int(i64::from(found));
    Ok(())
}

/// `HSTRLEN key field`
fn hstrlen(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let len = field(scope, args)?.map_or(0, |pair| pair.value.len());
    reply.int(len as i64);
    Ok(())
}

/// `HLEN key`. Fields that are due do not count, unless `COUNT_PARTS_MAX` others are not yet
/// removed either; all of them count in Redis.
fn hlen(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let now = scope.now;
    let len = read(scope, args)?.map_or(0, |hash| {
        let due = if hash.has_due(now) { hash.due(now, COUNT_PARTS_MAX) } else { 0 };
        hash.len() - due
    });
    reply.int(len as i64);
    Ok(())
}

const KEY: &[KeySpec] = &[KeySpec::one(1, &["RO", "ACCESS"])];
const KEY_ONLY: &[KeySpec] = &[KeySpec::one(1, &["RO"])];
const FAST: &[Flags] = &[Flags::READONLY, Flags::FAST];

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("hget", 3, Group::Hash, Plan::One(hget))
        .flags(FAST)
        .keys(KEY)
        .about("2.0.0", "Tells the value of a field"),
    Row::new("hmget", -3, Group::Hash, Plan::One(hmget))
        .flags(FAST)
        .keys(KEY)
        .about("2.0.0", "Tells the values of several fields"),
    Row::new("hexists", 3, Group::Hash, Plan::One(hexists))
        .flags(FAST)
        .keys(KEY_ONLY)
        .about("2.0.0", "Tells whether a hash has a field"),
    Row::new("hstrlen", 3, Group::Hash, Plan::One(hstrlen))
        .flags(FAST)
        .keys(KEY_ONLY)
        .about("3.2.0", "Answers how many bytes the value of a field has"),
    Row::new("hlen", 2, Group::Hash, Plan::One(hlen))
        .flags(FAST)
        .keys(KEY_ONLY)
        .about("2.0.0", "Counts the fields of a hash"),
];
