//! Takes members out from either end: ZPOPMIN, ZPOPMAX, ZMPOP, and those that wait for some.

use super::write_members;
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row, Spread, parse_int, timeout};
use crate::error::Error;
use crate::keyspace::Class;
use crate::shard::Scope;
use crate::value::{Item, Kind as _, SortedSet};
use crate::waiting::Wait;
use pinion_io::resp::Reply;

/// From which end members are taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Min,
    Max,
}

/// How members are answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shape {
    /// All in one array, members and scores in turn.
    Flat,
    /// As other commands answer members with scores.
    Usual,
    /// The key, and an array of pairs.
    KeyAndPairs,
    /// The key, the one member, and its score.
    KeyAndOne,
}

impl End {
    /// MIN or MAX at this argument.
    fn parse(args: &Args<'_>, at: usize) -> Result<Self, Error> {
        if args.is(at, "MIN") {
            Ok(Self::Min)
        } else if args.is(at, "MAX") {
            Ok(Self::Max)
        } else {
            Err(Error::Syntax)
        }
    }
}

/// Takes up to `count` members from an end of the sorted set of `key` and answers them; false,
/// without an answer, if there is none.
fn take(
    scope: &mut Scope<'_>,
    key: &[u8],
    end: End,
    count: usize,
    shape: Shape,
    reply: &mut Reply<'_>,
) -> Result<bool, Error> {
    let named = scope.key(key);
    let Some(mut set) = scope.keyspace.open::<SortedSet>(named, scope.now)? else {
        return Ok(false);
    };
    let (len, count) = (set.len(), count.min(set.len()));
    let ranks = if end == End::Min { 0..count } else { len - count..len };
    let members = set.view().range(ranks.clone());
    if end == End::Min {
        write(members, key, shape, reply);
    } else {
        write(members.rev(), key, shape, reply);
    }
    if set.remove_range(ranks, scope.rules) == 0 {
        set.unchanged();
    } else {
        set.notify(Class::SORTED_SET, if end == End::Min { "zpopmin" } else { "zpopmax" });
    }
    Ok(true)
}

fn write<'a>(
    members: impl ExactSizeIterator<Item = (Item<'a>, f64)>,
    key: &[u8],
    shape: Shape,
    reply: &mut Reply<'_>,
) {
    match shape {
        Shape::Usual => return write_members(members, true, reply),
        Shape::Flat => reply.array(members.len() * 2),
        Shape::KeyAndPairs => {
            reply.array(2);
            reply.bulk(key);
            reply.array(members.len());
        }
        Shape::KeyAndOne => {
            reply.array(3);
            reply.bulk(key);
        }
    }
    for (member, score) in members {
        if shape == Shape::KeyAndPairs {
            reply.array(2);
        }
        member.write(reply);
        reply.double(score);
    }
}

/// `ZPOPMIN key [count]`
fn zpopmin(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    pop(scope, args, End::Min, reply)
}

/// `ZPOPMAX key [count]`
fn zpopmax(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    pop(scope, args, End::Max, reply)
}

fn pop(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    end: End,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    if args.len() > 3 {
        return Err(Error::Syntax);
    }
    let (count, shape) = match args.try_at(2) {
        None => (1, Shape::Flat),
        Some(text) => {
            let count = parse_int(text).and_then(|count| usize::try_from(count).ok());
            let refused = Error::Text("ERR value is out of range, must be positive");
            (count.ok_or(refused)?, Shape::Usual)
        }
    };
    if !take(scope, args.at(1), end, count, shape, reply)? {
        reply.array(0);
    }
    Ok(())
}

/// What ZMPOP and BZMPOP take, and where their keys stand.
struct Many {
    first_key: usize,
    keys: usize,
    end: End,
    count: usize,
}

impl Many {
    /// Reads `numkeys key... MIN | MAX [COUNT count]`, the number at argument `at`.
    fn parse(args: &Args<'_>, at: usize) -> Result<Self, Error> {
        let positive = |at, error| {
            let number = parse_int(args.at(at)).and_then(|number| usize::try_from(number).ok());
            number.filter(|&number| number > 0).ok_or(error)
        };
        let keys = positive(at, Error::Text("ERR numkeys should be greater than 0"))?;
        let mut next = at.saturating_add(keys).saturating_add(1);
        if next >= args.len() {
            return Err(Error::Syntax);
        }
        let end = End::parse(args, next)?;
        let mut count = None;
        next += 1;
        while next < args.len() {
            if count.is_some() || !args.is(next, "COUNT") || next + 1 == args.len() {
                return Err(Error::Syntax);
            }
            count = Some(positive(next + 1, Error::Text("ERR count should be greater than 0"))?);
            next += 2;
        }
        Ok(Self { first_key: at + 1, keys, end, count: count.unwrap_or(1) })
    }

    /// Takes from the first key that has members; false if none has.
    fn take(
        &self,
        scope: &mut Scope<'_>,
        args: &Args<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<bool, Error> {
        for key in args.from(self.first_key).take(self.keys) {
            if take(scope, key, self.end, self.count, Shape::KeyAndPairs, reply)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// `ZMPOP numkeys key... MIN | MAX [COUNT count]`
fn zmpop(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let many = Many::parse(args, 1)?;
    if !many.take(scope, args, reply)? {
        reply.null_array();
    }
    Ok(())
}

/// `BZPOPMIN key... timeout`
fn bzpopmin(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Option<Wait>, Error> {
    pop_or_wait(scope, args, End::Min, reply)
}

/// `BZPOPMAX key... timeout`
fn bzpopmax(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Option<Wait>, Error> {
    pop_or_wait(scope, args, End::Max, reply)
}

fn pop_or_wait(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    end: End,
    reply: &mut Reply<'_>,
) -> Result<Option<Wait>, Error> {
    let wait = timeout::wait(args, args.len() - 1, scope.now)?;
    for key in args.from(1).take(args.len() - 2) {
        if take(scope, key, end, 1, Shape::KeyAndOne, reply)? {
            return Ok(None);
        }
    }
    Ok(Some(wait))
}

/// `BZMPOP timeout numkeys key... MIN | MAX [COUNT count]`
fn bzmpop(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Option<Wait>, Error> {
    let wait = timeout::wait(args, 1, scope.now)?;
    let many = Many::parse(args, 2)?;
    Ok(if many.take(scope, args, reply)? { None } else { Some(wait) })
}

const POP: &[KeySpec] = &[KeySpec::one(1, &["RW", "ACCESS", "DELETE"])];
const WAIT: &[KeySpec] = &[KeySpec::range(1, -2, 1, &["RW", "ACCESS", "DELETE"])];

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("zpopmin", -2, Group::SortedSet, Plan::One(zpopmin))
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(POP)
        .about("5.0.0", "Takes out the members with the lowest scores"),
    Row::new("zpopmax", -2, Group::SortedSet, Plan::One(zpopmax))
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(POP)
        .about("5.0.0", "Takes out the members with the highest scores"),
    Row::new("zmpop", -4, Group::SortedSet, Plan::First(zmpop))
        .flags(&[Flags::WRITE, Flags::MOVABLEKEYS])
        .keys(&[KeySpec::counted(1, 1, &["RW", "ACCESS", "DELETE"])])
        .about("7.0.0", "Takes members out of the first of several sorted sets that has some"),
    Row::new("bzpopmin", -3, Group::SortedSet, Plan::Wait(bzpopmin, Spread::First))
        .flags(&[Flags::WRITE, Flags::BLOCKING, Flags::FAST])
        .keys(WAIT)
        .about("5.0.0", "Takes out the member with the lowest score, or waits for one"),
    Row::new("bzpopmax", -3, Group::SortedSet, Plan::Wait(bzpopmax, Spread::First))
        .flags(&[Flags::WRITE, Flags::BLOCKING, Flags::FAST])
        .keys(WAIT)
        .about("5.0.0", "Takes out the member with the highest score, or waits for one"),
    Row::new("bzmpop", -5, Group::SortedSet, Plan::Wait(bzmpop, Spread::First))
        .flags(&[Flags::WRITE, Flags::BLOCKING, Flags::MOVABLEKEYS])
        .keys(&[KeySpec::counted(2, 1, &["RW", "ACCESS", "DELETE"])])
        .about("7.0.0", "Takes members out of the first set that has some, or waits for them"),
];
