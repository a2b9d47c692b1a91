//! Moves an element from list to list: LMOVE, RPOPLPUSH, BLMOVE, BRPOPLPUSH.

use super::side;
use crate::commands::waiting::{Tried, deadline};
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::shard::Scope;
use crate::value::{Kind, List, Side};
use pinion_io::resp::Reply;

/// Moves an element from an end of the list at argument 1 to an end of that at argument 2.
fn try_shift(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    from: Side,
    to: Side,
    reply: &mut Reply<'_>,
) -> Result<Tried, Error> {
    let (source, target) = (scope.first(args), scope.key(args.at(2)));
    let (now, rules) = (scope.now, scope.rules);
    let Some(mut open) = scope.keyspace.open::<List>(source, now)? else {
        return Ok(Tried::Empty);
    };
    let index = if from == Side::Left { 0 } else { open.len() - 1 };
    let item = open.at(index).expect("a list that is there is not empty");
    if source.bytes == target.bytes {
        item.write(reply);
        open.rotate(rules, from, to);
        return Ok(Tried::Done);
    }
    let element = item.text(&mut itoa::Buffer::new()).to_vec();
    open.unchanged();
    drop(open);
    let mut open = scope.keyspace.open_or_new::<List>(target, now)?;
    open.push(rules, to, std::iter::once(element.as_slice()));
    drop(open);
    if let Some(mut open) = scope.keyspace.open::<List>(source, now)? {
        open.remove_at(rules, from, 1);
    }
    reply.bulk(&element);
    Ok(Tried::Done)
}

fn null_if_empty(tried: Tried, reply: &mut Reply<'_>) {
    if tried == Tried::Empty {
        reply.null();
    }
}

/// `LMOVE source destination LEFT | RIGHT LEFT | RIGHT`.
fn lmove(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (from, to) = (side(args, 3)?, side(args, 4)?);
    null_if_empty(try_shift(scope, args, from, to, reply)?, reply);
    Ok(())
}

/// `RPOPLPUSH source destination`.
fn rpoplpush(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    null_if_empty(try_shift(scope, args, Side::Right, Side::Left, reply)?, reply);
    Ok(())
}

/// `BLMOVE source destination LEFT | RIGHT LEFT | RIGHT timeout`.
pub(super) fn try_blmove(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Tried, Error> {
    let (from, to) = (side(args, 3)?, side(args, 4)?);
    deadline(args, 5, scope.now)?;
    try_shift(scope, args, from, to, reply)
}

/// `BRPOPLPUSH source destination timeout`.
pub(super) fn try_brpoplpush(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Tried, Error> {
    deadline(args, 3, scope.now)?;
    try_shift(scope, args, Side::Right, Side::Left, reply)
}

fn blmove(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    null_if_empty(try_blmove(scope, args, reply)?, reply);
    Ok(())
}

fn brpoplpush(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    null_if_empty(try_brpoplpush(scope, args, reply)?, reply);
    Ok(())
}

const KEYS: &[KeySpec] =
    &[KeySpec::one(1, &["RW", "access", "delete"]), KeySpec::one(2, &["RW", "insert"])];

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("lmove", 5, Group::List, Plan::One(lmove))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(KEYS)
        .about("6.2.0", "Moves an element from an end of a list to an end of another"),
    Row::new("rpoplpush", 3, Group::List, Plan::One(rpoplpush))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(KEYS)
        .about("1.2.0", "Moves an element from the right of a list to the left of another"),
    Row::new("blmove", 6, Group::List, Plan::One(blmove))
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::BLOCKING])
        .keys(KEYS)
        .about("6.2.0", "Moves an element from list to list, and waits for one if need be"),
    Row::new("brpoplpush", 4, Group::List, Plan::One(brpoplpush))
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::BLOCKING])
        .keys(KEYS)
        .about("2.2.0", "Moves an element from right to left of another list, and waits for one"),
];
