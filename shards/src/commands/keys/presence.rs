//! Whether keys are there, of which type, and their end: DEL, UNLINK, EXISTS, TOUCH, TYPE.

use crate::commands::{Args, Flags, Group, KEYSPACE, KeySpec, Plan, Row};
use crate::error::Error;
use crate::fold::Fold;
use crate::keyspace::Key;
use crate::shard::Scope;
use pinion_io::resp::Reply;

/// Runs `each` on every key; answers for how many it was true.
fn count(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    mut each: impl FnMut(&mut Scope<'_>, Key<'_>) -> bool,
) {
    let mut count = 0;
    for bytes in args.from(1) {
        let key = scope.key(bytes);
        count += i64::from(each(scope, key));
    }
    reply.int(count);
}

/// `DEL key...` and `UNLINK key...`: the memory of large values is given back later in both.
fn delete(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    count(scope, args, reply, |scope, key| scope.keyspace.delete(key, scope.now));
    Ok(())
}

/// `EXISTS key...`: a key that is named twice counts twice.
fn exists(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    count(scope, args, reply, |scope, key| scope.keyspace.look(key, scope.now).is_some());
    Ok(())
}

/// `TOUCH key...`.
fn touch(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    count(scope, args, reply, |scope, key| scope.keyspace.touch(key, scope.now));
    Ok(())
}

/// `TYPE key`.
fn type_of(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let record = scope.keyspace.look(scope.first(args), scope.now);
    reply.simple(record.map_or("none", |record| record.value().type_name()));
    Ok(())
}

pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("del", -2, Group::Generic, Plan::each(delete, Fold::Sum))
        .flags(&[Flags::WRITE])
        .categories(KEYSPACE)
        .keys(&[KeySpec::rest(1, 1, &["RM", "delete"])])
        .about("1.0.0", "Deletes keys and counts those that were there"),
    Row::new("unlink", -2, Group::Generic, Plan::each(delete, Fold::Sum))
        .flags(&[Flags::WRITE, Flags::FAST])
        .categories(KEYSPACE)
        .keys(&[KeySpec::rest(1, 1, &["RM", "delete"])])
        .about("4.0.0", "Deletes keys, giving their memory back later"),
    Row::new("exists", -2, Group::Generic, Plan::each(exists, Fold::Sum))
        .flags(&[Flags::READONLY, Flags::FAST])
        .categories(KEYSPACE)
        .keys(&[KeySpec::rest(1, 1, &["RO"])])
        .about("1.0.0", "Counts which of the keys are there"),
    Row::new("touch", -2, Group::Generic, Plan::each(touch, Fold::Sum))
        .flags(&[Flags::READONLY, Flags::FAST])
        .categories(KEYSPACE)
        .keys(&[KeySpec::rest(1, 1, &["RO"])])
        .about("3.2.1", "Notes an access to keys and counts those that are there"),
    Row::new("type", 2, Group::Generic, Plan::One(type_of))
        .flags(&[Flags::READONLY, Flags::FAST])
        .categories(KEYSPACE)
        .keys(&[KeySpec::one(1, &["RO"])])
        .about("1.0.0", "Names the type of what a key holds"),
];
