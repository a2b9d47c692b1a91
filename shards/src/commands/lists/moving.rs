//! Moves an element from list to list: LMOVE, RPOPLPUSH, BLMOVE, BRPOPLPUSH.

use super::{popped, pushed, side};
use crate::commands::{Args, Flags, Group, KeySpec, Move, Plan, Row, Run, Spread, timeout};
use crate::error::Error;
use crate::keyspace::Class;
use crate::shard::Scope;
use crate::value::{Kind, List, Object, Side, Value};
use crate::waiting::{Null, Wait};
use pinion_io::resp::Reply;

/// From which side to which.
#[derive(Clone, Copy)]
struct Way {
    from: Side,
    to: Side,
}

const RIGHT_TO_LEFT: Way = Way { from: Side::Right, to: Side::Left };

impl Way {
    /// As the words of LMOVE say.
    fn read(args: &Args<'_>) -> Result<Self, Error> {
        Ok(Self { from: side(args, 3)?, to: side(args, 4)? })
    }
}

/// Moves an element from the list at word 1 to that at word 2; false if there is none.
fn shift(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    way: Way,
    reply: &mut Reply<'_>,
) -> Result<bool, Error> {
    if !scope.is_here(1) {
        return shift_carried(scope, args, way, reply);
    }
    let (source, target) = (scope.first(args), scope.key(args.at(2)));
    let (now, rules) = (scope.now, scope.rules);
    let Some(mut open) = scope.keyspace.open::<List>(source, now)? else { return Ok(false) };
    let item = open.edge(way.from).expect("a list that is there is not empty");
    if source.bytes == target.bytes {
        item.write(reply);
        open.rotate(rules, way.from, way.to);
        open.notify(Class::LIST, pushed(way.to));
        open.notify(Class::LIST, popped(way.from));
        return Ok(true);
    }
    let mut text = Vec::new();
    let item = item.copied(&mut text);
    open.unchanged();
    drop(open);
    let mut open = scope.keyspace.open_or_new::<List>(target, now)?;
    open.push_item(rules, way.to, item);
    open.notify(Class::LIST, pushed(way.to));
    drop(open);
    if let Some(mut open) = scope.keyspace.open::<List>(source, now)? {
        open.remove_at(rules, way.from, 1);
        open.notify(Class::LIST, popped(way.from));
    }
    scope.keyspace.count_as_one();
    item.write(reply);
    Ok(true)
}

/// The same with an element that was carried here from where the first key lives.
fn shift_carried(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    way: Way,
    reply: &mut Reply<'_>,
) -> Result<bool, Error> {
    let (object, emptied) = take_carried(scope);
    let list = match object.as_ref().map(Object::value) {
        Some(Value::List(list)) => list,
        _ => return Ok(false),
    };
    let target = scope.key(args.at(2));
    let old = scope.keyspace.peek(target, scope.now).map(|record| record.value().of::<List>());
    if let Some(Err(error)) = old {
        scope.carry_part(object, emptied);
        return Err(error);
    }
    let mut open = scope.keyspace.open_or_new::<List>(target, scope.now)?;
    for item in list.iter() {
        open.push_item(scope.rules, way.to, item);
        item.write(reply);
    }
    open.notify(Class::LIST, pushed(way.to));
    drop(open);
    // Noted here, so that who listens hears all of it in Redis's order, and nothing if the element
    // went back.
    let source = scope.key(args.at(1));
    scope.keyspace.notify(Class::LIST, popped(way.from), source);
    if emptied {
        scope.keyspace.notify(Class::GENERIC, "del", source);
    }
    Ok(true)
}

/// The element that was carried here, as a list, and whether it was the last of its own.
fn take_carried(scope: &mut Scope<'_>) -> (Option<Object>, bool) {
    let Some(carried) = scope.carried(1) else { return (None, false) };
    (carried.object.take(), carried.emptied)
}

/// Takes the element out that is to be moved, and sends it along as a list.
fn take_edge(scope: &mut Scope<'_>, args: &Args<'_>, from: Side) -> Result<(), Error> {
    let list = scope.keyspace.open::<List>(scope.first(args), scope.now)?;
    let mut emptied = false;
    let taken = list.map(|mut list| {
        let mut taken = List::default();
        if let Some(item) = list.edge(from) {
            taken.push_item(scope.rules, Side::Left, item);
        }
        list.remove_at(scope.rules, from, 1);
        emptied = list.is_empty();
        list.quiet();
        taken.into_object()
    });
    scope.carry_part(taken, emptied);
    Ok(())
}

/// Puts an element back that could not be moved.
fn put_back(scope: &mut Scope<'_>, args: &Args<'_>, from: Side) -> Result<(), Error> {
    let object = scope.carried(1).and_then(|carried| carried.object.take());
    let Some(Value::List(list)) = object.as_ref().map(Object::value) else { return Ok(()) };
    let mut open = scope.keyspace.open_or_new::<List>(scope.first(args), scope.now)?;
    open.quiet();
    list.iter().for_each(|item| open.push_item(scope.rules, from, item));
    Ok(())
}

/// `LMOVE source destination LEFT | RIGHT LEFT | RIGHT`.
fn lmove(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    if !shift(scope, args, Way::read(args)?, reply)? {
        reply.null();
    }
    Ok(())
}

fn take_lmove(scope: &mut Scope<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<(), Error> {
    take_edge(scope, args, Way::read(args)?.from)
}

fn lmove_back(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    reply.ok();
    put_back(scope, args, Way::read(args)?.from)
}

/// `RPOPLPUSH source destination`.
fn rpoplpush(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    if !shift(scope, args, RIGHT_TO_LEFT, reply)? {
        reply.null();
    }
    Ok(())
}

fn take_last(scope: &mut Scope<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<(), Error> {
    take_edge(scope, args, Side::Right)
}

fn last_back(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    reply.ok();
    put_back(scope, args, Side::Right)
}

/// `BLMOVE source destination LEFT | RIGHT LEFT | RIGHT timeout`.
fn blmove(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Option<Wait>, Error> {
    let way = Way::read(args)?;
    let wait = timeout::wait(args, 5, scope.now)?;
    let done = shift(scope, args, way, reply)?;
    Ok((!done).then_some(Wait { null: Null::Bulk, ..wait }))
}

/// The same where the element came from another shard, or did not.
fn blmove_put(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    timeout::wait(args, 5, scope.now)?;
    lmove(scope, args, reply)
}

fn take_blmove(scope: &mut Scope<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<(), Error> {
    let way = Way::read(args)?;
    timeout::wait(args, 5, scope.now)?;
    take_edge(scope, args, way.from)
}

/// `BRPOPLPUSH source destination timeout`.
fn brpoplpush(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Option<Wait>, Error> {
    let wait = timeout::wait(args, 3, scope.now)?;
    let done = shift(scope, args, RIGHT_TO_LEFT, reply)?;
    Ok((!done).then_some(Wait { null: Null::Bulk, ..wait }))
}

fn brpoplpush_put(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    timeout::wait(args, 3, scope.now)?;
    rpoplpush(scope, args, reply)
}

fn take_brpoplpush(scope: &mut Scope<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<(), Error> {
    timeout::wait(args, 3, scope.now)?;
    take_edge(scope, args, Side::Right)
}

/// Out of the list of the first key, and to the owner of the second; back if that refuses it.
const fn moves(take: Run, put: Run, back: Run) -> Move {
    Move { to: 1, take, put, settle: None, back: Some(back), ask: None }
}

const LMOVE: Move = moves(take_lmove, lmove, lmove_back);
const RPOPLPUSH: Move = moves(take_last, rpoplpush, last_back);
const BLMOVE: Spread = Spread::Move(moves(take_blmove, blmove_put, lmove_back));
const BRPOPLPUSH: Spread = Spread::Move(moves(take_brpoplpush, brpoplpush_put, last_back));

const KEYS: &[KeySpec] =
    &[KeySpec::one(1, &["RW", "access", "delete"]), KeySpec::one(2, &["RW", "insert"])];

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("lmove", 5, Group::List, Plan::Move(LMOVE))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(KEYS)
        .about("6.2.0", "Moves an element from an end of a list to an end of another"),
    Row::new("rpoplpush", 3, Group::List, Plan::Move(RPOPLPUSH))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(KEYS)
        .about("1.2.0", "Moves an element from the right of a list to the left of another"),
    Row::new("blmove", 6, Group::List, Plan::Wait(blmove, BLMOVE))
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::BLOCKING])
        .keys(KEYS)
        .about("6.2.0", "Moves an element from list to list, and waits for one if need be"),
    Row::new("brpoplpush", 4, Group::List, Plan::Wait(brpoplpush, BRPOPLPUSH))
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::BLOCKING])
        .keys(KEYS)
        .about("2.2.0", "Moves an element from right to left of another list, and waits for one"),
];
