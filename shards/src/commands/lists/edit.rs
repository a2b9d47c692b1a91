//! Changes the inside of a list: LSET, LINSERT, LREM, LTRIM.

use super::{place, signed, span};
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::Class;
use crate::shard::Scope;
use crate::value::{Kind, List, Side};
use pinion_io::resp::Reply;

/// `LSET key index element`.
fn lset(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let open = scope.keyspace.open::<List>(scope.first(args), scope.now)?;
    let mut open = open.ok_or(Error::NoSuchKey)?;
    let index = args.int(2).map(|index| place(index, open.len()).unwrap_or(usize::MAX));
    let index = index.inspect_err(|_| open.unchanged())?;
    if !open.set(scope.rules, index, args.at(3)) {
        open.unchanged();
        return Err(Error::Text("ERR index out of range"));
    }
    open.notify(Class::LIST, "lset");
    reply.ok();
    Ok(())
}

/// `LINSERT key BEFORE | AFTER pivot element`.
fn linsert(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let side = if args.is(2, "BEFORE") {
        Side::Left
    } else if args.is(2, "AFTER") {
        Side::Right
    } else {
        return Err(Error::Syntax);
    };
    let Some(mut open) = scope.keyspace.open::<List>(scope.first(args), scope.now)? else {
        reply.int(0);
        return Ok(());
    };
    if open.insert(scope.rules, side, args.at(3), args.at(4)) {
        reply.int(open.len() as i64);
        open.notify(Class::LIST, "linsert");
    } else {
        open.unchanged();
        reply.int(-1);
    }
    Ok(())
}

/// `LREM key count element`: from the right where `count` is negative, all where it is 0.
fn lrem(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let count = signed(args, 2)?;
    let Some(mut open) = scope.keyspace.open::<List>(scope.first(args), scope.now)? else {
        reply.int(0);
        return Ok(());
    };
    let from = if count < 0 { Side::Right } else { Side::Left };
    let limit = match count {
        0 => usize::MAX,
        _ => count.unsigned_abs() as usize,
    };
    let removed = open.remove_equal(scope.rules, args.at(3), from, limit);
    if removed == 0 {
        open.unchanged();
    } else {
        open.notify(Class::LIST, "lrem");
    }
    reply.int(removed as i64);
    Ok(())
}

/// `LTRIM key start end`: keeps these, both included.
fn ltrim(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (start, end) = (args.int(2)?, args.int(3)?);
    if let Some(mut open) = scope.keyspace.open::<List>(scope.first(args), scope.now)? {
        let list: &mut List = &mut open;
        let (start, count) = span(start, end, list.len());
        if count == 0 {
            list.remove_range(scope.rules, 0, usize::MAX);
        } else {
            list.remove_range(scope.rules, start + count, usize::MAX);
            list.remove_range(scope.rules, 0, start);
        }
        open.notify(Class::LIST, "ltrim");
    }
    reply.ok();
    Ok(())
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("lset", 4, Group::List, Plan::One(lset))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[KeySpec::one(1, &["RW", "update"])])
        .about("1.0.0", "Puts an element in the place of another, by its index"),
    Row::new("linsert", 5, Group::List, Plan::One(linsert))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[KeySpec::one(1, &["RW", "insert"])])
        .about("2.2.0", "Adds an element beside another one of a list"),
    Row::new("lrem", 4, Group::List, Plan::One(lrem))
        .flags(&[Flags::WRITE])
        .keys(&[KeySpec::one(1, &["RW", "delete"])])
        .about("1.0.0", "Removes elements of a list that are as given"),
    Row::new("ltrim", 4, Group::List, Plan::One(ltrim))
        .flags(&[Flags::WRITE])
        .keys(&[KeySpec::one(1, &["RW", "delete"])])
        .about("1.0.0", "Removes all of a list but what lies between two indexes"),
];
