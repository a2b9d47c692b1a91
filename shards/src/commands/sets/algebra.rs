//! Several sets: what all have, what any has, what the first has alone; shown, counted, stored.

use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::Class;
use crate::shard::Scope;
use crate::value::{Item, Kind, Rules, Set, SetRef};
use pinion_io::resp::Reply;

/// What becomes of several sets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operation {
    /// What all have.
    Inter,
    /// What any has.
    Union,
    /// What the first has and no other.
    Diff,
}

/// Sets by the order of their keys; none where there is no such key.
type Sources<'a> = [Option<SetRef<'a>>];

/// The members that all sets have, from the smallest set on, `limit` at most.
fn inter<'a>(rules: &Rules, sources: &Sources<'a>, limit: usize) -> Vec<Item<'a>> {
    let Some(mut sets) = sources.iter().copied().collect::<Option<Vec<_>>>() else {
        return Vec::new();
    };
    sets.sort_by_key(|set| set.len());
    let Some((smallest, others)) = sets.split_first() else { return Vec::new() };
    let all = |member: &Item<'_>| others.iter().all(|set| set.contains_item(rules, *member));
    smallest.iter().filter(all).take(limit).collect()
}

/// The members that the first set has and no other.
fn diff<'a>(rules: &Rules, sources: &Sources<'a>) -> Vec<Item<'a>> {
    let Some((Some(first), others)) = sources.split_first() else { return Vec::new() };
    let mut others: Vec<SetRef<'_>> = others.iter().copied().flatten().collect();
    if others.iter().any(|other| other.is_same(*first)) {
        return Vec::new();
    }
    // The largest is the likeliest to have a member.
    others.sort_by_key(|set| std::cmp::Reverse(set.len()));
    let none = |member: &Item<'_>| !others.iter().any(|set| set.contains_item(rules, *member));
    first.iter().filter(none).collect()
}

/// The members that any set has.
fn union(rules: &Rules, sources: &Sources<'_>) -> Set {
    let mut result = Set::default();
    for set in sources.iter().copied().flatten() {
        set.iter().for_each(|member| {
            result.add_item(rules, member);
        });
    }
    result
}

/// A set of these members, in the form that Redis gives a stored result.
fn collect(rules: &Rules, members: &[Item<'_>]) -> Set {
    let mut set = Set::default();
    for member in members {
        set.add_item(rules, *member);
    }
    set
}

fn show(
    operation: Operation,
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let rules = scope.rules;
    let sources = scope.sources_of::<Set>(args, 1..args.len())?;
    let members = match operation {
        Operation::Inter => inter(rules, &sources, usize::MAX),
        Operation::Diff => diff(rules, &sources),
        Operation::Union => {
            let result = union(rules, &sources);
            reply.set(result.len());
            result.view().iter().for_each(|member| member.write(reply));
            return Ok(());
        }
    };
    reply.set(members.len());
    members.into_iter().for_each(|member| member.write(reply));
    Ok(())
}

fn store(
    operation: Operation,
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let rules = scope.rules;
    let sources = scope.sources_of::<Set>(args, 2..args.len())?;
    let result = match operation {
        Operation::Inter => {
            let mut result = collect(rules, &inter(rules, &sources, usize::MAX));
            result.settle(rules);
            result
        }
        Operation::Diff => collect(rules, &diff(rules, &sources)),
        Operation::Union => union(rules, &sources),
    };
    reply.int(result.len() as i64);
    let name = match operation {
        Operation::Inter => "sinterstore",
        Operation::Diff => "sdiffstore",
        Operation::Union => "sunionstore",
    };
    scope.keyspace.store(scope.first(args), scope.now, result, (Class::SET, name));
    Ok(())
}

/// `SINTER key...`
fn sinter(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    show(Operation::Inter, scope, args, reply)
}

/// `SUNION key...`
fn sunion(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    show(Operation::Union, scope, args, reply)
}

/// `SDIFF key...`
fn sdiff(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    show(Operation::Diff, scope, args, reply)
}

/// `SINTERSTORE destination key...`
fn sinterstore(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    store(Operation::Inter, scope, args, reply)
}

/// `SUNIONSTORE destination key...`
fn sunionstore(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    store(Operation::Union, scope, args, reply)
}

/// `SDIFFSTORE destination key...`
fn sdiffstore(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    store(Operation::Diff, scope, args, reply)
}

/// `SINTERCARD numkeys key... [LIMIT limit]`
fn sintercard(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let count = args.int(1).ok().filter(|count| *count > 0);
    let count = count.ok_or(Error::Text("ERR numkeys should be greater than 0"))?;
    let rest = args.len() - 2;
    let count = usize::try_from(count).ok().filter(|count| *count <= rest);
    let count =
        count.ok_or(Error::Text("ERR Number of keys can't be greater than number of args"))?;
    let mut limit = 0;
    let mut at = 2 + count;
    while at < args.len() {
        if !args.is(at, "LIMIT") || at + 1 == args.len() {
            return Err(Error::Syntax);
        }
        let number = args.int(at + 1).ok().and_then(|limit| usize::try_from(limit).ok());
        limit = number.ok_or(Error::Text("ERR LIMIT can't be negative"))?;
        at += 2;
    }
    let limit = if limit == 0 { usize::MAX } else { limit };
    let rules = scope.rules;
    let sources = scope.sources_of::<Set>(args, 2..2 + count)?;
    reply.int(inter(rules, &sources, limit).len() as i64);
    Ok(())
}

const READ: &[KeySpec] = &[KeySpec::rest(1, 1, &["RO", "ACCESS"])];
const STORED: &[KeySpec] =
    &[KeySpec::one(1, &["OW", "UPDATE"]), KeySpec::rest(2, 1, &["RO", "ACCESS"])];

pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("sinter", -2, Group::Set, Plan::gather(sinter))
        .flags(&[Flags::READONLY])
        .keys(READ)
        .about("1.0.0", "Shows the members that all of several sets have"),
    Row::new("sunion", -2, Group::Set, Plan::gather(sunion))
        .flags(&[Flags::READONLY])
        .keys(READ)
        .about("1.0.0", "Shows the members that any of several sets has"),
    Row::new("sdiff", -2, Group::Set, Plan::gather(sdiff))
        .flags(&[Flags::READONLY])
        .keys(READ)
        .about("1.0.0", "Shows the members of a set that no other set has"),
    Row::new("sintercard", -3, Group::Set, Plan::gather(sintercard))
        .flags(&[Flags::READONLY, Flags::MOVABLEKEYS])
        .keys(&[KeySpec::counted(1, 1, &["RO", "ACCESS"])])
        .about("7.0.0", "Counts the members that all of several sets have"),
    Row::new("sinterstore", -3, Group::Set, Plan::gather(sinterstore))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(STORED)
        .about("1.0.0", "Stores the members that all of several sets have"),
    Row::new("sunionstore", -3, Group::Set, Plan::gather(sunionstore))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(STORED)
        .about("1.0.0", "Stores the members that any of several sets has"),
    Row::new("sdiffstore", -3, Group::Set, Plan::gather(sdiffstore))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(STORED)
        .about("1.0.0", "Stores the members of a set that no other set has"),
];
