//! Takes an element from one of several lists, and waits for it: BLPOP, BRPOP.

use super::pop::take;
use crate::commands::waiting::{Tried, deadline};
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::shard::Scope;
use crate::value::{List, Side};
use pinion_io::resp::Reply;

/// `key [key ...] timeout`.
fn try_pop(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    side: Side,
    reply: &mut Reply<'_>,
) -> Result<Tried, Error> {
    let last = args.len() - 1;
    deadline(args, last, scope.now)?;
    for index in 1..last {
        let key = scope.key(args.at(index));
        if let Some(mut open) = scope.keyspace.open::<List>(key, scope.now)? {
            reply.array(2);
            reply.bulk(key.bytes);
            take(&mut open, scope.rules, side, reply);
            return Ok(Tried::Done);
        }
    }
    Ok(Tried::Empty)
}

/// `BLPOP key [key ...] timeout`.
pub(super) fn try_blpop(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Tried, Error> {
    try_pop(scope, args, Side::Left, reply)
}

/// `BRPOP key [key ...] timeout`.
pub(super) fn try_brpop(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Tried, Error> {
    try_pop(scope, args, Side::Right, reply)
}

fn blpop(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    if try_blpop(scope, args, reply)? == Tried::Empty {
        reply.null_array();
    }
    Ok(())
}

fn brpop(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    if try_brpop(scope, args, reply)? == Tried::Empty {
        reply.null_array();
    }
    Ok(())
}

const KEYS: &[KeySpec] = &[KeySpec::range(1, -2, 1, &["RW", "access", "delete"])];

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("blpop", -3, Group::List, Plan::One(blpop))
        .flags(&[Flags::WRITE, Flags::BLOCKING])
        .keys(KEYS)
        .about("2.0.0", "Takes the left element of the first list that has one, and waits for it"),
    Row::new("brpop", -3, Group::List, Plan::One(brpop))
        .flags(&[Flags::WRITE, Flags::BLOCKING])
        .keys(KEYS)
        .about("2.0.0", "Takes the right element of the first list that has one, and waits for it"),
];
