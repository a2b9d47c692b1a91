//! Any members of a set: SPOP takes them out, SRANDMEMBER leaves them.

use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::{Class, Key};
use crate::limits::RANDOM_MEMBERS_MAX;
use crate::random::Random;
use crate::reading::{Source, Walk};
use crate::shard::Scope;
use crate::value::{Kind, Set, SetRef};
use pinion_io::resp::Reply;
use std::collections::HashSet;

/// The text of any member.
fn pick(set: SetRef<'_>, random: &mut Random) -> Vec<u8> {
    let member = set.random(|| random.bits()).expect("a set has a member");
    member.text(&mut itoa::Buffer::new()).to_vec()
}

/// `SPOP key [count]`
fn spop(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let count = match args.len() {
        2 => None,
        3 => Some(args.int(2).ok().and_then(|count| usize::try_from(count).ok()).ok_or(POSITIVE)?),
        _ => return Err(Error::Syntax),
    };
    let (key, now) = (scope.first(args), scope.now);
    let mut random = Random(scope.keyspace.random_bits());
    let Some(count) = count else {
        let Some(mut set) = scope.keyspace.open::<Set>(key, now)? else {
            reply.null();
            return Ok(());
        };
        let member = pick(set.view(), &mut random);
        set.remove(scope.rules, &member);
        set.notify(Class::SET, "spop");
        reply.bulk(&member);
        return Ok(());
    };
    let set = scope.keyspace.peek(key, now).map(|record| record.value().of::<Set>());
    let len = set.transpose()?.map_or(0, SetRef::len);
    reply.set(count.min(len));
    if count >= len {
        return pop_all(scope, key, reply);
    }
    if count > 0 {
        pop_some(scope, key, count, &mut random, reply)?;
    }
    Ok(())
}

const POSITIVE: Error = Error::Text("ERR value is out of range, must be positive");

fn pop_all(scope: &mut Scope<'_>, key: Key<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    if let Some(value) = scope.keyspace.view(key) {
        value.of::<Set>()?.iter().for_each(|member| member.write(reply));
        scope.keyspace.notify(Class::SET, "spop", key);
        scope.keyspace.delete(key, scope.now);
    }
    Ok(())
}

/// Takes out fewer than all. Where they are most of the set, those that stay are chosen instead.
fn pop_some(
    scope: &mut Scope<'_>,
    key: Key<'_>,
    count: usize,
    random: &mut Random,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let rules = scope.rules;
    let Some(mut open) = scope.keyspace.open::<Set>(key, scope.now)? else { return Ok(()) };
    open.notify(Class::SET, "spop");
    let set = &mut *open;
    let stay = set.len() - count;
    if count <= stay.saturating_mul(4) {
        for _ in 0..count {
            let member = pick(set.view(), random);
            set.remove(rules, &member);
            reply.bulk(&member);
        }
        return Ok(());
    }
    let mut kept = Set::default();
    while kept.len() < stay {
        let member = pick(set.view(), random);
        if set.remove(rules, &member) {
            kept.add(rules, &member);
        }
    }
    set.view().iter().for_each(|member| member.write(reply));
    *set = kept;
    Ok(())
}

/// `SRANDMEMBER key [count]`
fn srandmember(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    if args.len() > 3 {
        return Err(Error::Syntax);
    }
    let count = if args.len() == 3 { Some(args.int(2)?) } else { None };
    if count == Some(i64::MIN) {
        return Err(Error::BeyondLong);
    }
    if count.is_some_and(|count| count < -(RANDOM_MEMBERS_MAX as i64)) {
        return Err(Error::OutOfRange);
    }
    let (key, now) = (scope.first(args), scope.now);
    let mut random = Random(scope.keyspace.random_bits());
    let Some(set) = scope.keyspace.read::<Set>(key, now)? else {
        if count.is_some() {
            reply.array(0);
        } else {
            reply.null();
        }
        return Ok(());
    };
    let len = set.len();
    match count {
        None => reply.bulk(&pick(set, &mut random)),
        Some(count) if count < 0 => {
            let walk = Walk {
                position: random.0.into(),
                left: count.unsigned_abs() as usize,
                ..Walk::default()
            };
            return write_repeated(scope, key, walk, reply);
        }
        Some(count) if count as usize >= len => {
            reply.array(len);
            set.iter().for_each(|member| member.write(reply));
        }
        Some(count) => {
            let count = count as usize;
            reply.array(count);
            write_distinct(set, count, &mut random, reply);
        }
    }
    Ok(())
}

/// Writes members that may come again, in pieces if they are many.
fn write_repeated(
    scope: &mut Scope<'_>,
    key: Key<'_>,
    mut walk: Walk,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    reply.array(walk.left);
    if scope.is_long(walk.left) {
        scope.read_on(key, step, walk);
    } else if let Some(value) = scope.keyspace.view(key) {
        let source = Source { value, rules: scope.rules, now: scope.now };
        step(&mut walk, &source, usize::MAX, reply);
    }
    Ok(())
}

fn step(walk: &mut Walk, source: &Source<'_>, budget: usize, reply: &mut Reply<'_>) {
    let Ok(set) = source.value.of::<Set>() else { unreachable!("a locked key stays a set") };
    let mut random = Random(walk.position as u64);
    let count = walk.left.min(budget);
    for _ in 0..count {
        set.random(|| random.bits()).expect("a set has a member").write(reply);
    }
    walk.position = random.0.into();
    walk.left -= count;
}

/// Writes `count` different members, fewer than there are.
fn write_distinct(set: SetRef<'_>, count: usize, random: &mut Random, reply: &mut Reply<'_>) {
    let len = set.len();
    if count < len / 3 && set.encoding() == "hashtable" {
        let mut seen = HashSet::with_capacity(count);
        while seen.len() < count {
            let member = pick(set, random);
            if !seen.contains(&member) {
                reply.bulk(&member);
                seen.insert(member);
            }
        }
        return;
    }
    // One pass: each is taken with the chance that what is wanted has among what is left (Knuth,
    // The Art of Computer Programming, volume 2, algorithm S).
    let (mut wanted, mut left) = (count, len);
    for member in set.iter() {
        if random.below(left) < wanted {
            member.write(reply);
            wanted -= 1;
        }
        left -= 1;
    }
}

pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("spop", -2, Group::Set, Plan::One(spop))
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RW", "ACCESS", "DELETE"])])
        .about("1.0.0", "Takes any members out of a set"),
    Row::new("srandmember", -2, Group::Set, Plan::One(srandmember))
        .flags(&[Flags::READONLY])
        .keys(&[KeySpec::one(1, &["RO", "ACCESS"])])
        .about("1.0.0", "Shows any members of a set"),
];
