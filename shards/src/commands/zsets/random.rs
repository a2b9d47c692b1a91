//! Picks members at random: ZRANDMEMBER.

use super::{write_head, write_member};
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::limits::RANDOM_MEMBERS_MAX;
use crate::random::Random;
use crate::shard::Scope;
use crate::value::SortedSet;
use pinion_io::resp::Reply;
use std::collections::BTreeSet;

/// `ZRANDMEMBER key [count [WITHSCORES]]`
fn zrandmember(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let key = scope.first(args);
    if args.len() == 2 {
        let mut random = Random(scope.keyspace.random_bits());
        match scope.keyspace.read::<SortedSet>(key, scope.now)? {
            Some(set) => {
                let rank = random.below(set.len());
                let (member, _) = set.range(rank..rank + 1).next().expect("a rank below the end");
                member.write(reply);
            }
            None => reply.null(),
        }
        return Ok(());
    }
    let count = args.int(2)?;
    if count == i64::MIN {
        return Err(Error::BeyondLong);
    }
    let with_scores = args.len() == 4 && args.is(3, "WITHSCORES");
    if args.len() > 3 && !with_scores {
        return Err(Error::Syntax);
    }
    if with_scores && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(Error::OutOfRange);
    }
    let mut random = Random(scope.keyspace.random_bits());
    let Some(set) = scope.keyspace.read::<SortedSet>(key, scope.now)? else {
        reply.array(0);
        return Ok(());
    };
    let write = |rank: usize, reply: &mut Reply<'_>| {
        let (member, score) = set.range(rank..rank + 1).next().expect("a rank below the end");
        write_member(member, score, with_scores, reply);
    };
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count >= 0 {
        let ranks = ranks(wanted, set.len(), &mut random);
        write_head(ranks.len(), with_scores, reply);
        ranks.into_iter().for_each(|rank| write(rank, reply));
    } else {
        if wanted > RANDOM_MEMBERS_MAX {
            return Err(Error::OutOfRange);
        }
        write_head(wanted, with_scores, reply);
        (0..wanted).for_each(|_| write(random.below(set.len()), reply));
    }
    Ok(())
}

/// `wanted` different ranks below `len`, or all, the last first, where there are no more.
fn ranks(wanted: usize, len: usize, random: &mut Random) -> Vec<usize> {
    if wanted >= len {
        return (0..len).rev().collect();
    }
    // A few picks out of many seldom meet; else the beginning of a shuffle of all.
    if wanted > len / 3 {
        let mut ranks: Vec<usize> = (0..len).collect();
        for place in 0..wanted {
            let other = place + random.below(len - place);
            ranks.swap(place, other);
        }
        ranks.truncate(wanted);
        return ranks;
    }
    let mut seen = BTreeSet::new();
    let mut ranks = Vec::with_capacity(wanted);
    while ranks.len() < wanted {
        let rank = random.below(len);
        if seen.insert(rank) {
            ranks.push(rank);
        }
    }
    ranks
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] =
    &[Row::new("zrandmember", -2, Group::SortedSet, Plan::One(zrandmember))
        .flags(&[Flags::READONLY])
        .keys(&[KeySpec::one(1, &["RO", "ACCESS"])])
        .about("6.2.0", "Picks members of a sorted set at random")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_are_different() {
        let mut random = Random(9);
        for (wanted, len) in [(1, 1), (5, 10), (2, 100), (99, 100), (34, 100), (7, 3), (0, 3)] {
            let mut picks = ranks(wanted, len, &mut random);
            assert_eq!(picks.len(), len.min(wanted));
            picks.sort_unstable();
            picks.dedup();
            assert_eq!(picks.len(), len.min(wanted));
            assert!(picks.iter().all(|&rank| rank < len));
        }
    }

    #[test]
    fn every_member_is_picked_about_equally_often() {
        let mut random = Random(1);
        let mut counts = [0; 10];
        for _ in 0..2000 {
            ranks(3, 10, &mut random).into_iter().for_each(|rank| counts[rank] += 1);
            ranks(5, 10, &mut random).into_iter().for_each(|rank| counts[rank] += 1);
        }
        assert!(counts.iter().all(|count| (1400..1800).contains(count)), "{counts:?}");
    }
}
