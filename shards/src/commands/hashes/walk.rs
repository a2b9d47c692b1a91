//! Shows all fields of a hash: HGETALL, HKEYS, HVALS, and HSCAN a few at a time.

use super::read;
use crate::commands::scanning::{Scanned, Scanning, position, write_scanned};
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::limits::READ_AT_ONCE_MAX;
use crate::reading::{Source, Step, Walk};
use crate::shard::Scope;
use crate::value::{Hash, Pair};
use pinion_io::resp::{Protocol, Reply};

/// `HGETALL key`
fn hgetall(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    show(scope, args, reply, |reply, len| reply.map(len), write_both, step_both)
}

/// `HKEYS key`
fn hkeys(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    show(scope, args, reply, |reply, len| reply.array(len), write_name, step_names)
}

/// `HVALS key`
fn hvals(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    show(scope, args, reply, |reply, len| reply.array(len), write_value, step_values)
}

#[inline]
fn write_both(pair: Pair<'_>, reply: &mut Reply<'_>) {
    pair.name.write(reply);
    pair.value.write(reply);
}

#[inline]
fn write_name(pair: Pair<'_>, reply: &mut Reply<'_>) {
    pair.name.write(reply);
}

#[inline]
fn write_value(pair: Pair<'_>, reply: &mut Reply<'_>) {
    pair.value.write(reply);
}

/// Writes all fields, or has them written in pieces.
#[inline]
fn show(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    head: fn(&mut Reply<'_>, usize),
    write: impl Fn(Pair<'_>, &mut Reply<'_>),
    step: Step,
) -> Result<(), Error> {
    let (now, may_be_long) = (scope.now, scope.is_long(usize::MAX));
    let Some(hash) = read(scope, args)? else {
        head(reply, 0);
        return Ok(());
    };
    let live = hash.live(now);
    head(reply, live);
    if !may_be_long || live <= READ_AT_ONCE_MAX {
        hash.each(now, |pair| write(pair, reply));
        return Ok(());
    }
    let walk = Walk { left: live, ..Walk::default() };
    scope.read_on(scope.first(args), step, walk);
    Ok(())
}

fn step_both(walk: &mut Walk, source: &Source<'_>, budget: usize, reply: &mut Reply<'_>) {
    step(walk, source, budget, |pair| write_both(pair, reply));
}

fn step_names(walk: &mut Walk, source: &Source<'_>, budget: usize, reply: &mut Reply<'_>) {
    step(walk, source, budget, |pair| write_name(pair, reply));
}

fn step_values(walk: &mut Walk, source: &Source<'_>, budget: usize, reply: &mut Reply<'_>) {
    step(walk, source, budget, |pair| write_value(pair, reply));
}

/// Shows some fields of a hash that stands still. What is due is passed over, and of the rest at
/// least one is shown.
fn step(walk: &mut Walk, source: &Source<'_>, budget: usize, mut write: impl FnMut(Pair<'_>)) {
    let Ok(hash) = source.value.of::<Hash>() else { unreachable!("a locked key stays a hash") };
    let mut shown = 0;
    while shown == 0 {
        let from = (walk.position as u64, budget);
        let next = hash.scan(source.now, from, |pair| {
            write(pair);
            shown += 1;
        });
        let Some(next) = next else {
            walk.left = 0;
            return;
        };
        walk.position = next.into();
    }
    walk.left -= shown;
}

/// `HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES]`
fn hscan(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let position = position(args)?;
    let now = scope.now;
    let Some(hash) = read(scope, args)? else {
        write_scanned(None, 0, &[], reply);
        return Ok(());
    };
    let scanning = Scanning::read(args, Scanned::Fields)?;
    // How many there are is known only at the end; bulk strings are the same in both protocols.
    let (mut found, mut values) = (Vec::new(), 0);
    let next = hash.scan(now, (position, scanning.count), |pair| {
        let mut digits = itoa::Buffer::new();
        if scanning.wants(pair.name.text(&mut digits)) {
            let mut found = Reply::new(&mut found, Protocol::Resp2);
            pair.name.write(&mut found);
            values += 1;
            if !scanning.names_only {
                pair.value.write(&mut found);
                values += 1;
            }
        }
    });
    write_scanned(next, values, &found, reply);
    Ok(())
}

const KEY: &[KeySpec] = &[KeySpec::one(1, &["RO", "ACCESS"])];

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("hgetall", 2, Group::Hash, Plan::One(hgetall))
        .flags(&[Flags::READONLY])
        .keys(KEY)
        .about("2.0.0", "Shows all fields of a hash with their values"),
    Row::new("hkeys", 2, Group::Hash, Plan::One(hkeys))
        .flags(&[Flags::READONLY])
        .keys(KEY)
        .about("2.0.0", "Shows the names of all fields of a hash"),
    Row::new("hvals", 2, Group::Hash, Plan::One(hvals))
        .flags(&[Flags::READONLY])
        .keys(KEY)
        .about("2.0.0", "Shows the values of all fields of a hash"),
    Row::new("hscan", -3, Group::Hash, Plan::One(hscan))
        .flags(&[Flags::READONLY])
        .keys(KEY)
        .about("2.8.0", "Lists the fields of a hash with their values, a few at a time"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Kind as _, Rules, Value};

    #[test]
    fn a_hash_is_shown_in_pieces_without_what_is_due() {
        let rules = Rules::new(7);
        let mut hash = Hash::default();
        for i in 0..5000u64 {
            let name = format!("field {i}");
            hash.set(&rules, 0, (name.as_bytes(), b"v"), false);
            // Of ten, nine are due: many a look finds nothing to show.
            let end = if i % 10 == 3 { 1000 } else { 5 };
            hash.set_expiry(&rules, 0, name.as_bytes(), Some(end));
        }
        assert_eq!((hash.len(), hash.view().live(6)), (5000, 500));
        let source = Source { value: Value::Hash(hash.view()), rules: &rules, now: 6 };
        let mut walk = Walk { left: hash.view().live(6), ..Walk::default() };
        let mut out = Vec::new();
        let mut pieces = 0;
        while walk.left > 0 {
            let left = walk.left;
            step_names(&mut walk, &source, 10, &mut Reply::new(&mut out, Protocol::Resp2));
            assert!(walk.left < left, "every piece shows something");
            pieces += 1;
        }
        let mut names: Vec<_> =
            out.split(|&byte| byte == b'\n').filter(|line| line.starts_with(b"field")).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 500);
        assert!(pieces > 50, "{pieces}");
    }
}
