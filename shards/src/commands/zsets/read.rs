//! Asks for scores, ranks and counts, and lists a set a few members at a time.

use super::score::{lex_ends, score_ends};
use crate::commands::scanning::{Scanned, Scanning, position, write_scanned};
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::shard::Scope;
use crate::value::sorted_set::Bounds;
use crate::value::{SortedSet, SortedSetRef};
use pinion_io::resp::{Protocol, Reply};

/// The sorted set of the command's first key.
#[inline]
fn read<'a>(scope: &'a mut Scope<'_>, args: &Args<'_>) -> Result<Option<SortedSetRef<'a>>, Error> {
    let key = scope.first(args);
    scope.keyspace.read::<SortedSet>(key, scope.now)
}

/// `ZCARD key`
fn zcard(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    reply.int(read(scope, args)?.map_or(0, |set| set.len() as i64));
    Ok(())
}

fn write_score(score: Option<f64>, reply: &mut Reply<'_>) {
    match score {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
}

/// `ZSCORE key member`
fn zscore(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let rules = scope.rules;
    let set = read(scope, args)?;
    write_score(set.and_then(|set| set.score(args.at(2), rules)), reply);
    Ok(())
}

/// `ZMSCORE key member...`
fn zmscore(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let rules = scope.rules;
    let set = read(scope, args)?;
    reply.array(args.len() - 2);
    for member in args.from(2) {
        write_score(set.and_then(|set| set.score(member, rules)), reply);
    }
    Ok(())
}

/// `ZRANK key member [WITHSCORE]`
fn zrank(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    rank(scope, args, reply, "zrank", |rank, _| rank)
}

/// `ZREVRANK key member [WITHSCORE]`
fn zrevrank(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    rank(scope, args, reply, "zrevrank", |rank, len| len - 1 - rank)
}

fn rank(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    name: &'static str,
    counted: impl Fn(usize, usize) -> usize,
) -> Result<(), Error> {
    let with_score = args.len() > 3;
    if args.len() > 4 {
        return Err(Error::Arity(name));
    }
    if with_score && !args.is(3, "WITHSCORE") {
        return Err(Error::Syntax);
    }
    let rules = scope.rules;
    let set = read(scope, args)?;
    let found = set.and_then(|set| Some((set.rank(args.at(2), rules)?, set.len())));
    match (found, with_score) {
        (None, false) => reply.null(),
        (None, true) => reply.null_array(),
        (Some(((rank, _), len)), false) => reply.int(counted(rank, len) as i64),
        (Some(((rank, score), len)), true) => {
            reply.array(2);
            reply.int(counted(rank, len) as i64);
            reply.double(score);
        }
    }
    Ok(())
}

/// `ZCOUNT key min max`
fn zcount(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (min, max) = score_ends(args.at(2), args.at(3))?;
    count(scope, args, &Bounds::Score(min, max), reply)
}

/// `ZLEXCOUNT key min max`
fn zlexcount(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (min, max) = lex_ends(args.at(2), args.at(3))?;
    count(scope, args, &Bounds::Lex(min, max), reply)
}

fn count(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    bounds: &Bounds<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    reply.int(read(scope, args)?.map_or(0, |set| set.span(bounds).len() as i64));
    Ok(())
}

/// `ZSCAN key cursor [MATCH pattern] [COUNT count]`
fn zscan(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let position = position(args)?;
    let rules = scope.rules;
    let Some(set) = read(scope, args)? else {
        write_scanned(None, 0, &[], reply);
        return Ok(());
    };
    let scanning = Scanning::read(args, Scanned::Members)?;
    // How many there are is known only at the end. Bulk strings are the same in both protocols,
    // and scores are bulk strings here.
    let (mut found, mut values) = (Vec::new(), 0);
    let next = set.scan(position, scanning.count, rules, |member, score| {
        let mut digits = itoa::Buffer::new();
        let text = member.text(&mut digits);
        if scanning.wants(text) {
            let mut found = Reply::new(&mut found, Protocol::Resp2);
            found.bulk(text);
            found.double(score);
            values += 2;
        }
    });
    write_scanned(next, values, &found, reply);
    Ok(())
}

const KEY: &[KeySpec] = &[KeySpec::one(1, &["RO", "ACCESS"])];
const FAST: &[Flags] = &[Flags::READONLY, Flags::FAST];

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("zcard", 2, Group::SortedSet, Plan::One(zcard))
        .flags(FAST)
        .keys(&[KeySpec::one(1, &["RO"])])
        .about("1.2.0", "Counts the members of a sorted set"),
    Row::new("zscore", 3, Group::SortedSet, Plan::One(zscore))
        .flags(FAST)
        .keys(KEY)
        .about("1.2.0", "Tells a member's score"),
    Row::new("zmscore", -3, Group::SortedSet, Plan::One(zmscore))
        .flags(FAST)
        .keys(KEY)
        .about("6.2.0", "Tells the scores of several members"),
    Row::new("zrank", -3, Group::SortedSet, Plan::One(zrank))
        .flags(FAST)
        .keys(KEY)
        .about("2.0.0", "Counts the members that stand before a member"),
    Row::new("zrevrank", -3, Group::SortedSet, Plan::One(zrevrank))
        .flags(FAST)
        .keys(KEY)
        .about("2.0.0", "Counts the members that stand after a member"),
    Row::new("zcount", 4, Group::SortedSet, Plan::One(zcount))
        .flags(FAST)
        .keys(KEY)
        .about("2.0.0", "Counts the members with a score between two"),
    Row::new("zlexcount", 4, Group::SortedSet, Plan::One(zlexcount))
        .flags(FAST)
        .keys(KEY)
        .about("2.8.9", "Counts the members between two, where all scores are equal"),
    Row::new("zscan", -3, Group::SortedSet, Plan::One(zscan))
        .flags(&[Flags::READONLY])
        .keys(KEY)
        .about("2.8.0", "Lists the members of a sorted set with their scores, a few at a time"),
];
