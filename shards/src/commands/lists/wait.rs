//! Takes an element from one of several lists, and waits for it: BLPOP, BRPOP.

use super::pop::take;
use crate::commands::timeout;
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row, Spread};
use crate::error::Error;
use crate::shard::Scope;
use crate::value::{List, Side};
use crate::waiting::Wait;
use pinion_io::resp::Reply;

/// `key [key ...] timeout`.
fn try_pop(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    side: Side,
    reply: &mut Reply<'_>,
) -> Result<Option<Wait>, Error> {
    let last = args.len() - 1;
    let wait = timeout::wait(args, last, scope.now)?;
    for index in 1..last {
        let key = scope.key(args.at(index));
        if let Some(mut open) = scope.keyspace.open::<List>(key, scope.now)? {
            reply.array(2);
            reply.bulk(key.bytes);
            take(&mut open, scope.rules, side, reply);
            return Ok(None);
        }
    }
    Ok(Some(wait))
}

/// `BLPOP key [key ...] timeout`.
fn blpop(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Option<Wait>, Error> {
    try_pop(scope, args, Side::Left, reply)
}

/// `BRPOP key [key ...] timeout`.
fn brpop(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Option<Wait>, Error> {
    try_pop(scope, args, Side::Right, reply)
}

const KEYS: &[KeySpec] = &[KeySpec::range(1, -2, 1, &["RW", "access", "delete"])];

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("blpop", -3, Group::List, Plan::Wait(blpop, Spread::First))
        .flags(&[Flags::WRITE, Flags::BLOCKING])
        .keys(KEYS)
        .about("2.0.0", "Takes the left element of the first list that has one, and waits for it"),
    Row::new("brpop", -3, Group::List, Plan::Wait(brpop, Spread::First))
        .flags(&[Flags::WRITE, Flags::BLOCKING])
        .keys(KEYS)
        .about("2.0.0", "Takes the right element of the first list that has one, and waits for it"),
];
