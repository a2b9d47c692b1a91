//! Picks fields at random: HRANDFIELD.

use super::read;
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::limits::{RANDOM_MEMBERS_MAX, READ_AT_ONCE_MAX};
use crate::random::Random;
use crate::reading::{Source, Walk};
use crate::shard::{Millis, Scope};
use crate::value::{Hash, HashRef, Item, Pair};
use pinion_io::resp::{Protocol, Reply};
use std::collections::HashSet;

/// `HRANDFIELD key [count [WITHVALUES]]`
fn hrandfield(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let now = scope.now;
    if args.len() == 2 {
        let mut random = Random(scope.keyspace.random_bits());
        match read(scope, args)?.and_then(|hash| hash.random(now, || random.bits())) {
            Some(pair) => pair.name.write(reply),
            None => reply.null(),
        }
        return Ok(());
    }
    let (count, with_values) = options(args)?;
    let mut random = Random(scope.keyspace.random_bits());
    let may_be_long = scope.is_long(usize::MAX);
    let Some(hash) = read(scope, args)?.filter(|hash| count != 0 && hash.live(now) > 0) else {
        reply.array(0);
        return Ok(());
    };
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count > 0 {
        write_distinct(hash, now, wanted, &mut random, with_values, reply);
        return Ok(());
    }
    write_head(wanted, with_values, reply);
    let mut walk = Walk { position: random.0.into(), left: wanted, options: with_values.into() };
    if may_be_long && wanted > READ_AT_ONCE_MAX {
        scope.read_on(scope.first(args), step, walk);
    } else if let Some(value) = scope.keyspace.view(scope.first(args)) {
        let source = Source { value, rules: scope.rules, now };
        step(&mut walk, &source, usize::MAX, reply);
    }
    Ok(())
}

/// How many fields, below 0 where they may come again; and whether with their values.
fn options(args: &Args<'_>) -> Result<(i64, bool), Error> {
    let count = args.int(2)?;
    if count == i64::MIN {
        return Err(Error::BeyondLong);
    }
    let with_values = args.len() == 4 && args.is(3, "WITHVALUES");
    if args.len() > 3 && !with_values {
        return Err(Error::Syntax);
    }
    if with_values && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(Error::OutOfRange);
    }
    // Redis tries to make a reply of any length; one this long is no use to anybody.
    if count < -(RANDOM_MEMBERS_MAX as i64) {
        return Err(Error::OutOfRange);
    }
    Ok((count, with_values))
}

/// Writes the head of so many fields: with values, each a pair of its own in RESP3 and two values
/// in RESP2.
fn write_head(count: usize, with_values: bool, reply: &mut Reply<'_>) {
    let flat = with_values && reply.protocol() == Protocol::Resp2;
    reply.array(if flat { count * 2 } else { count });
}

/// Writes one of the fields that a head announced.
fn write_field(pair: Pair<'_>, with_values: bool, reply: &mut Reply<'_>) {
    if !with_values {
        return pair.name.write(reply);
    }
    if reply.protocol() == Protocol::Resp3 {
        reply.array(2);
    }
    pair.name.write(reply);
    pair.value.write(reply);
}

/// Writes fields that may come again.
fn step(walk: &mut Walk, source: &Source<'_>, budget: usize, reply: &mut Reply<'_>) {
    let Ok(hash) = source.value.of::<Hash>() else { unreachable!("a locked key stays a hash") };
    let mut random = Random(walk.position as u64);
    let count = walk.left.min(budget);
    let with_values = walk.options != 0;
    // A packed hash, and one of which most is due, is read once and not at each pick.
    let listed = hash.live(source.now) < hash.len() / 2 || !hash.is_large();
    let all = if listed { hash.all(source.now) } else { Vec::new() };
    for _ in 0..count {
        let pair = if all.is_empty() {
            hash.random(source.now, || random.bits()).expect("the hash has a field")
        } else {
            all[random.below(all.len())]
        };
        write_field(pair, with_values, reply);
    }
    walk.position = random.0.into();
    walk.left -= count;
}

/// Writes `wanted` different fields, or all there are.
fn write_distinct(
    hash: HashRef<'_>,
    now: Millis,
    wanted: usize,
    random: &mut Random,
    with_values: bool,
    reply: &mut Reply<'_>,
) {
    let live = hash.live(now);
    let wanted = wanted.min(live);
    write_head(wanted, with_values, reply);
    // A few picks out of many seldom meet.
    if wanted < live / 3 && live > hash.len() / 2 && hash.is_large() {
        let mut seen = HashSet::with_capacity(wanted);
        while seen.len() < wanted {
            let pair = hash.random(now, || random.bits()).expect("the hash has a field");
            let Item::Str(name) = pair.name else { unreachable!("a large hash's names are texts") };
            if seen.insert(name) {
                write_field(pair, with_values, reply);
            }
        }
        return;
    }
    // One pass: each is taken with the chance that what is wanted has among what is left (Knuth,
    // The Art of Computer Programming, volume 2, algorithm S).
    let (mut wanted, mut left) = (wanted, live);
    hash.each(now, |pair| {
        if random.below(left) < wanted {
            write_field(pair, with_values, reply);
            wanted -= 1;
        }
        left -= 1;
    });
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] =
    &[Row::new("hrandfield", -2, Group::Hash, Plan::One(hrandfield))
        .flags(&[Flags::READONLY])
        .keys(&[KeySpec::one(1, &["RO", "ACCESS"])])
        .about("6.2.0", "Picks fields of a hash at random")];
