//! Several strings at once.

use super::set::{Condition, Options};
use super::write_string;
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row, parse_int};
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
    set_pairs(scope, args.from(1), Expiry::Clear);
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
        set_pairs(scope, args.from(1), Expiry::Clear);
    }
    reply.int(i64::from(missing));
    Ok(())
}

/// `MSETEX numkeys key value [key value ...] [NX | XX]
/// [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]`
fn msetex(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let count = parse_int(args.at(1)).and_then(|count| i32::try_from(count).ok());
    let count = count.filter(|count| *count > 0);
    let count = count.ok_or(Error::Text("ERR invalid numkeys value"))? as usize;
    if count > (args.len() - 2) / 2 {
        return Err(Error::Text("ERR wrong number of key-value pairs"));
    }
    let options = Options::of_msetex(args, 2 + 2 * count)?;
    let expiry = options.expiry(args, scope.now, "msetex")?;
    let words = args.from(2).take(2 * count);
    let mut present = words.clone().step_by(2).map(|name| {
        let key = scope.key(name);
        scope.keyspace.contains(key, scope.now)
    });
    let wanted = match options.condition {
        Condition::Missing => !present.any(|present| present),
        Condition::Present => present.all(|present| present),
        Condition::Always | Condition::If(_) => true,
    };
    if wanted {
        set_pairs(scope, words, expiry);
    }
    reply.int(i64::from(wanted));
    Ok(())
}

fn check_pairs(args: &Args<'_>, name: &'static str) -> Result<(), Error> {
    if args.len().is_multiple_of(2) { Err(Error::Arity(name)) } else { Ok(()) }
}

/// Sets keys, each followed by its string.
fn set_pairs<'a>(scope: &mut Scope<'_>, mut words: impl Iterator<Item = &'a [u8]>, expiry: Expiry) {
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        let key = scope.key(name);
        scope.keyspace.set(key, scope.now, Content::of(value), expiry);
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
    Row::new("msetex", -4, Group::String, Plan::One(msetex))
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::MOVABLEKEYS])
        .keys(&[KeySpec::counted(1, 2, &["OW", "UPDATE"])])
        .about("8.4.0", "Gives several keys a string each, and one time to live for all"),
];
