//! Several strings at once.

use super::write_string;
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::fold::Fold;
use crate::keyspace::Expiry;
use crate::shard::Scope;
use crate::value::Content;
use pinion_io::resp::Reply;

/// A value that is no string reads as none.
fn mget(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    reply.array(args.len() - 1);
    for name in args.from(1) {
        let key = scope.key(name);
        let value = scope.keyspace.get(key, scope.now);
        let string = value.filter(|value| value.is_string());
        write_string(string, reply)?;
    }
    Ok(())
}

fn mset(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    check_pairs(args, "mset")?;
    set_pairs(scope, args);
    reply.ok();
    Ok(())
}

fn msetnx(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    check_pairs(args, "msetnx")?;
    let mut names = args.from(1).step_by(2);
    let missing = names.all(|name| {
        let key = scope.key(name);
        !scope.keyspace.contains(key, scope.now)
    });
    if missing {
        set_pairs(scope, args);
    }
    reply.int(i64::from(missing));
    Ok(())
}

fn check_pairs(args: &Args<'_>, name: &'static str) -> Result<(), Error> {
    if args.len().is_multiple_of(2) { Err(Error::Arity(name)) } else { Ok(()) }
}

fn set_pairs(scope: &mut Scope<'_>, args: &Args<'_>) {
    for (name, value) in args.from(1).step_by(2).zip(args.from(2).step_by(2)) {
        let key = scope.key(name);
        scope.keyspace.set(key, scope.now, Content::of(value), Expiry::Clear);
    }
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("mget", -2, Group::String, Plan::Each { run: mget, fold: Fold::Interleave })
        .flags(&[Flags::READONLY, Flags::FAST])
        .keys(&[KeySpec::rest(1, 1, &["RO", "ACCESS"])])
        .about("1.0.0", "Reads several strings"),
    Row::new("mset", -3, Group::String, Plan::Each { run: mset, fold: Fold::Ok })
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[KeySpec::rest(1, 2, &["OW", "UPDATE"])])
        .about("1.0.1", "Gives several keys a string each, whatever they held"),
    Row::new("msetnx", -3, Group::String, Plan::One(msetnx))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[KeySpec::rest(1, 2, &["OW", "INSERT"])])
        .about("1.0.1", "Gives several keys a string each if none of them is there"),
];
