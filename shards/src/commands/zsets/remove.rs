//! Takes members out: ZREM and the ranges of ranks, scores and members.

use super::range::rank_range;
use super::score::{lex_ends, score_ends};
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::Class;
use crate::shard::Scope;
use crate::value::sorted_set::Bounds;
use crate::value::{Kind as _, SortedSet, SortedSetRef};
use pinion_io::resp::Reply;
use std::ops::Range;

/// `ZREM key member...`
fn zrem(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let key = scope.first(args);
    let rules = scope.rules;
    let mut count = 0;
    if let Some(mut set) = scope.keyspace.open::<SortedSet>(key, scope.now)? {
        for member in args.from(2) {
            count += i64::from(set.remove(member, rules).is_some());
            if set.is_empty() {
                break;
            }
        }
        if count == 0 {
            set.unchanged();
        } else {
            set.notify(Class::SORTED_SET, "zrem");
        }
    }
    reply.int(count);
    Ok(())
}

/// `ZREMRANGEBYRANK key start stop`
fn by_rank(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (start, stop) = (args.int(2)?, args.int(3)?);
    let ranks = |set: SortedSetRef<'_>| rank_range(start, stop, set.len());
    remove(scope, args, reply, ranks, "zremrangebyrank")
}

/// `ZREMRANGEBYSCORE key min max`
fn by_score(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (min, max) = score_ends(args.at(2), args.at(3))?;
    let ranks = |set: SortedSetRef<'_>| set.span(&Bounds::Score(min, max));
    remove(scope, args, reply, ranks, "zremrangebyscore")
}

/// `ZREMRANGEBYLEX key min max`
fn by_lex(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (min, max) = lex_ends(args.at(2), args.at(3))?;
    let ranks = |set: SortedSetRef<'_>| set.span(&Bounds::Lex(min, max));
    remove(scope, args, reply, ranks, "zremrangebylex")
}

fn remove(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    ranks: impl FnOnce(SortedSetRef<'_>) -> Range<usize>,
    event: &'static str,
) -> Result<(), Error> {
    let key = scope.first(args);
    let mut count = 0;
    if let Some(mut set) = scope.keyspace.open::<SortedSet>(key, scope.now)? {
        let ranks = ranks(set.view());
        count = set.remove_range(ranks, scope.rules);
        if count == 0 {
            set.unchanged();
        } else {
            set.notify(Class::SORTED_SET, event);
        }
    }
    reply.int(count as i64);
    Ok(())
}

const KEY: &[KeySpec] = &[KeySpec::one(1, &["RW", "DELETE"])];

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("zrem", -3, Group::SortedSet, Plan::One(zrem))
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(KEY)
        .about("1.2.0", "Removes members from a sorted set"),
    Row::new("zremrangebyrank", 4, Group::SortedSet, Plan::One(by_rank))
        .flags(&[Flags::WRITE])
        .keys(KEY)
        .about("2.0.0", "Removes the members whose ranks are between two"),
    Row::new("zremrangebyscore", 4, Group::SortedSet, Plan::One(by_score))
        .flags(&[Flags::WRITE])
        .keys(KEY)
        .about("1.2.0", "Removes the members whose scores are between two"),
    Row::new("zremrangebylex", 4, Group::SortedSet, Plan::One(by_lex))
        .flags(&[Flags::WRITE])
        .keys(KEY)
        .about("2.8.9", "Removes the members between two, where all scores are equal"),
];
