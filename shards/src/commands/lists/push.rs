//! Adds to an end of a list: LPUSH, RPUSH, LPUSHX, RPUSHX.

use super::pushed;
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::{Class, Open};
use crate::shard::Scope;
use crate::value::{Kind, List, Rules, Side};
use pinion_io::resp::Reply;

fn push(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    side: Side,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let mut open = scope.keyspace.open_or_new::<List>(scope.first(args), scope.now)?;
    add(&mut open, scope.rules, args, side, reply);
    Ok(())
}

fn push_if_there(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    side: Side,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let Some(mut open) = scope.keyspace.open::<List>(scope.first(args), scope.now)? else {
        reply.int(0);
        return Ok(());
    };
    add(&mut open, scope.rules, args, side, reply);
    Ok(())
}

fn add(
    open: &mut Open<'_, List>,
    rules: &Rules,
    args: &Args<'_>,
    side: Side,
    reply: &mut Reply<'_>,
) {
    let list: &mut List = open;
    list.push(rules, side, args.from(2));
    reply.int(list.len() as i64);
    open.notify(Class::LIST, pushed(side));
}

fn lpush(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    push(scope, args, Side::Left, reply)
}

fn rpush(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    push(scope, args, Side::Right, reply)
}

fn lpushx(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    push_if_there(scope, args, Side::Left, reply)
}

fn rpushx(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    push_if_there(scope, args, Side::Right, reply)
}

const FLAGS: &[Flags] = &[Flags::WRITE, Flags::DENYOOM, Flags::FAST];
const KEYS: &[KeySpec] = &[KeySpec::one(1, &["RW", "insert"])];

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("lpush", -3, Group::List, Plan::One(lpush))
        .flags(FLAGS)
        .keys(KEYS)
        .about("1.0.0", "Adds elements at the left end of a list, which begins empty"),
    Row::new("rpush", -3, Group::List, Plan::One(rpush))
        .flags(FLAGS)
        .keys(KEYS)
        .about("1.0.0", "Adds elements at the right end of a list, which begins empty"),
    Row::new("lpushx", -3, Group::List, Plan::One(lpushx))
        .flags(FLAGS)
        .keys(KEYS)
        .about("2.2.0", "Adds elements at the left end of a list that is there"),
    Row::new("rpushx", -3, Group::List, Plan::One(rpushx))
        .flags(FLAGS)
        .keys(KEYS)
        .about("2.2.0", "Adds elements at the right end of a list that is there"),
];
