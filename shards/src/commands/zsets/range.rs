//! Reads or copies a range of members: ZRANGE and those it took the place of.
//!
//! Whatever a range is given by, it is found as a range of ranks; LIMIT takes a part of that.

use super::score::{lex_ends, score_ends};
use super::write_members;
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::Class;
use crate::shard::Scope;
use crate::value::sorted_set::Bounds;
use crate::value::{Item, Kind as _, SortedSet, SortedSetRef};
use pinion_io::resp::Reply;
use std::ops::Range;

/// What the ends of a range are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// What a command's name leaves to its options.
#[derive(Clone, Copy, Debug, Default)]
struct Form {
    by: Option<By>,
    backwards: Option<bool>,
    /// Members are copied, so that scores go without saying.
    store: bool,
}

/// A range as a client asks for it.
#[derive(Clone, Copy, Debug)]
struct Asked<'a> {
    ends: Ends<'a>,
    backwards: bool,
    with_scores: bool,
    /// How many to pass over, and how many to take.
    limit: Option<(i64, i64)>,
}

#[derive(Clone, Copy, Debug)]
enum Ends<'a> {
    Ranks(i64, i64),
    Bounds(Bounds<'a>),
}

impl<'a> Asked<'a> {
    /// Reads a range, whose ends stand at `first`, and the options behind it.
    fn parse(args: &Args<'a>, first: usize, form: Form) -> Result<Self, Error> {
        let (mut by, mut backwards) = (form.by, form.backwards);
        let (mut with_scores, mut limit) = (false, None);
        let mut at = first + 2;
        while at < args.len() {
            if !form.store && args.is(at, "WITHSCORES") {
                with_scores = true;
            } else if args.is(at, "LIMIT") && at + 2 < args.len() {
                limit = Some((args.int(at + 1)?, args.int(at + 2)?));
                at += 2;
            } else if backwards.is_none() && args.is(at, "REV") {
                backwards = Some(true);
            } else if by.is_none() && args.is(at, "BYLEX") {
                by = Some(By::Lex);
            } else if by.is_none() && args.is(at, "BYSCORE") {
                by = Some(By::Score);
            } else {
                return Err(Error::Syntax);
            }
            at += 1;
        }
        let by = by.unwrap_or(By::Rank);
        let backwards = backwards.unwrap_or(false);
        if limit.is_some_and(|(_, count)| count != -1) && by == By::Rank {
            return Err(Error::Text(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE \
                 or BYLEX",
            ));
        }
        if with_scores && by == By::Lex {
            return Err(Error::Text(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        let (min, max) = if backwards && by != By::Rank {
            (args.at(first + 1), args.at(first))
        } else {
            (args.at(first), args.at(first + 1))
        };
        let ends = match by {
            By::Rank => Ends::Ranks(args.int(first)?, args.int(first + 1)?),
            By::Score => {
                score_ends(min, max).map(|(min, max)| Bounds::Score(min, max)).map(Ends::Bounds)?
            }
            By::Lex => {
                lex_ends(min, max).map(|(min, max)| Bounds::Lex(min, max)).map(Ends::Bounds)?
            }
        };
        Ok(Self { ends, backwards, with_scores, limit })
    }

    /// The ranks asked for.
    fn ranks(&self, set: SortedSetRef<'_>) -> Range<usize> {
        let len = set.len();
        let bounds = match self.ends {
            Ends::Ranks(start, stop) => {
                let ranks = rank_range(start, stop, len);
                return if self.backwards { len - ranks.end..len - ranks.start } else { ranks };
            }
            Ends::Bounds(bounds) => bounds,
        };
        let Range { start, end } = set.span(&bounds);
        let Some((offset, count)) = self.limit else { return start..end };
        let offset = match usize::try_from(offset) {
            Ok(offset) => offset.min(end - start),
            // Counted from the end in Redis's skiplist; beyond all members in its listpack.
            Err(_) if set.is_packed() => end - start,
            Err(_) => {
                let from_end = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
                (end - start).checked_sub(from_end).unwrap_or(end - start)
            }
        };
        // A negative count is no limit.
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(end - start - offset);
        if self.backwards {
            let end = end - offset;
            end - count..end
        } else {
            start + offset..start + offset + count
        }
    }
}

/// The ranks from `start` to `stop`, both included, negative ones counted from the end.
pub(super) fn rank_range(start: i64, stop: i64, len: usize) -> Range<usize> {
    let len = len as i64;
    let from_start = |rank: i64| if rank < 0 { rank.saturating_add(len) } else { rank };
    let start = from_start(start).max(0);
    let end = from_start(stop).min(len - 1) + 1;
    if start >= end { 0..0 } else { start as usize..end as usize }
}

fn answer(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    form: Form,
) -> Result<(), Error> {
    let asked = Asked::parse(args, 2, form)?;
    let key = scope.first(args);
    let Some(set) = scope.keyspace.read::<SortedSet>(key, scope.now)? else {
        reply.array(0);
        return Ok(());
    };
    let members = set.range(asked.ranks(set));
    if asked.backwards {
        write_members(members.rev(), asked.with_scores, reply);
    } else {
        write_members(members, asked.with_scores, reply);
    }
    Ok(())
}

/// `ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]`
fn zrange(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    answer(scope, args, reply, Form::default())
}

/// `ZREVRANGE key start stop [WITHSCORES]`
fn zrevrange(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    fixed(scope, args, reply, By::Rank, true)
}

/// `ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]`
fn zrangebyscore(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    fixed(scope, args, reply, By::Score, false)
}

/// `ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]`
fn zrevrangebyscore(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    fixed(scope, args, reply, By::Score, true)
}

/// `ZRANGEBYLEX key min max [LIMIT offset count]`
fn zrangebylex(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    fixed(scope, args, reply, By::Lex, false)
}

/// `ZREVRANGEBYLEX key max min [LIMIT offset count]`
fn zrevrangebylex(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    fixed(scope, args, reply, By::Lex, true)
}

fn fixed(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    by: By,
    backwards: bool,
) -> Result<(), Error> {
    answer(scope, args, reply, Form { by: Some(by), backwards: Some(backwards), store: false })
}

/// `ZRANGESTORE destination source start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count]`
fn zrangestore(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let asked = Asked::parse(args, 3, Form { store: true, ..Form::default() })?;
    let rules = scope.rules;
    let mut copy = SortedSet::default();
    if let Some(set) = scope.sources_of::<SortedSet>(args, 2..=2)?[0] {
        let ranks = asked.ranks(set);
        // In the order, and with the foresight, that decide on the form in Redis.
        if matches!(asked.ends, Ends::Ranks(..)) {
            copy.make_room(ranks.len(), rules);
        }
        let mut digits = itoa::Buffer::new();
        let mut put = |(member, score): (Item<'_>, f64)| {
            copy.put(member.text(&mut digits), score, rules);
        };
        if asked.backwards {
            set.range(ranks).rev().for_each(put);
        } else {
            set.range(ranks).for_each(&mut put);
        }
    }
    reply.int(copy.len() as i64);
    let key = scope.first(args);
    scope.keyspace.store(key, scope.now, copy, (Class::SORTED_SET, "zrangestore"));
    Ok(())
}

const KEY: &[KeySpec] = &[KeySpec::one(1, &["RO", "ACCESS"])];
const READONLY: &[Flags] = &[Flags::READONLY];

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("zrange", -4, Group::SortedSet, Plan::One(zrange))
        .flags(READONLY)
        .keys(KEY)
        .about("1.2.0", "Reads the members between two ranks, scores or members"),
    Row::new("zrevrange", -4, Group::SortedSet, Plan::One(zrevrange))
        .flags(READONLY)
        .keys(KEY)
        .about("1.2.0", "Reads the members between two ranks, the last first"),
    Row::new("zrangebyscore", -4, Group::SortedSet, Plan::One(zrangebyscore))
        .flags(READONLY)
        .keys(KEY)
        .about("1.0.5", "Reads the members with scores between two"),
    Row::new("zrevrangebyscore", -4, Group::SortedSet, Plan::One(zrevrangebyscore))
        .flags(READONLY)
        .keys(KEY)
        .about("2.2.0", "Reads the members with scores between two, the last first"),
    Row::new("zrangebylex", -4, Group::SortedSet, Plan::One(zrangebylex))
        .flags(READONLY)
        .keys(KEY)
        .about("2.8.9", "Reads the members between two, where all scores are equal"),
    Row::new("zrevrangebylex", -4, Group::SortedSet, Plan::One(zrevrangebylex))
        .flags(READONLY)
        .keys(KEY)
        .about("2.8.9", "Reads the members between two, the last first, of equal scores"),
    Row::new("zrangestore", -5, Group::SortedSet, Plan::gather(zrangestore))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[KeySpec::one(1, &["OW", "UPDATE"]), KeySpec::one(2, &["RO", "ACCESS"])])
        .about("6.2.0", "Copies a range of members to another sorted set"),
];

#[cfg(test)]
mod tests {
    use super::rank_range;

    #[test]
    fn ranks_from_either_end() {
        for (start, stop, len, range) in [
            (0, -1, 5, 0..5),
            (1, 2, 5, 1..3),
            (-2, -1, 5, 3..5),
            (-100, 100, 5, 0..5),
            (3, 1, 5, 0..0),
            (5, 9, 5, 0..0),
            (0, -6, 5, 0..0),
            (i64::MIN, i64::MAX, 5, 0..5),
            (i64::MAX, i64::MIN, 5, 0..0),
            (0, -1, 0, 0..0),
        ] {
            assert_eq!(rank_range(start, stop, len), range, "{start} {stop} of {len}");
        }
    }
}
