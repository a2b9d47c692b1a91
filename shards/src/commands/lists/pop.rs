//! Takes from an end of a list: LPOP, RPOP.

use super::popped;
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::{Class, Open};
use crate::shard::Scope;
use crate::value::{Kind, List, Rules, Side};
use pinion_io::resp::Reply;

/// `LPOP key [count]`, `RPOP key [count]`.
fn pop(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    side: Side,
    names: &'static str,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let count = match args.len() {
        2 => None,
        3 => Some(args.int(2).ok().and_then(|count| usize::try_from(count).ok()).ok_or(RANGE)?),
        _ => return Err(Error::Arity(names)),
    };
    let Some(mut open) = scope.keyspace.open::<List>(scope.first(args), scope.now)? else {
        match count {
            Some(_) => reply.null_array(),
            None => reply.null(),
        }
        return Ok(());
    };
    match count {
        Some(0) => {
            open.unchanged();
            reply.array(0);
        }
        Some(count) => take_many(&mut open, scope.rules, side, count, reply),
        None => take(&mut open, scope.rules, side, reply),
    }
    Ok(())
}

const RANGE: Error = Error::Text("ERR value is out of range, must be positive");

/// Moves the element at one end to the reply.
#[inline]
pub(super) fn take(list: &mut Open<'_, List>, rules: &Rules, side: Side, reply: &mut Reply<'_>) {
    list.edge(side).expect("a list that is there is not empty").write(reply);
    list.remove_at(rules, side, 1);
    list.notify(Class::LIST, popped(side));
}

/// Moves up to `count` elements from one end to the reply, as an array.
pub(super) fn take_many(
    list: &mut Open<'_, List>,
    rules: &Rules,
    side: Side,
    count: usize,
    reply: &mut Reply<'_>,
) {
    let count = count.min(list.len());
    let index = if side == Side::Left { 0 } else { list.len() - 1 };
    reply.array(count);
    list.items(index, side).take(count).for_each(|item| item.write(reply));
    list.remove_at(rules, side, count);
    list.notify(Class::LIST, popped(side));
}

fn lpop(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    pop(scope, args, Side::Left, "lpop", reply)
}

fn rpop(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    pop(scope, args, Side::Right, "rpop", reply)
}

const KEYS: &[KeySpec] = &[KeySpec::one(1, &["RW", "access", "delete"])];

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("lpop", -2, Group::List, Plan::One(lpop))
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(KEYS)
        .about("1.0.0", "Takes elements from the left end of a list"),
    Row::new("rpop", -2, Group::List, Plan::One(rpop))
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(KEYS)
        .about("1.0.0", "Takes elements from the right end of a list"),
];
