//! Several strings at once.

use super::set::{Condition, Options};
use super::{set_string, write_string};
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
    let missing = count_there(scope, args.from(1)) == 0;
    if missing {
        set_pairs(scope, args.from(1), Expiry::Clear);
    }
    reply.int(i64::from(missing));
    Ok(())
}

/// Replies whether there is one of the keys.
fn any_there(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let count = count_there(scope, args.from(1));
    reply.int(i64::from(count > 0));
    Ok(())
}

/// How many of the keys are there, each of which is followed by its string.
fn count_there<'a>(scope: &mut Scope<'_>, words: impl Iterator<Item = &'a [u8]>) -> usize {
    let names = words.step_by(2);
    let there = names.filter(|name| {
        let key = scope.key(name);
        scope.keyspace.contains(key, scope.now)
    });
    there.count()
}

/// `MSETEX numkeys key value [key value ...] [NX | XX]
/// [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]`
fn msetex(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (count, expiry, wanted) = read_msetex(scope, args)?;
    if wanted {
        set_pairs(scope, args.from(2).take(2 * count), expiry);
    }
    reply.int(i64::from(wanted));
    Ok(())
}

/// Replies 0 if MSETEX may set these keys, as far as they go.
fn bars_msetex(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (_, _, wanted) = read_msetex(scope, args)?;
    reply.int(i64::from(!wanted));
    Ok(())
}

/// How many keys MSETEX names, when they expire, and whether its condition holds for them.
fn read_msetex(scope: &mut Scope<'_>, args: &Args<'_>) -> Result<(usize, Expiry, bool), Error> {
    let count = parse_int(args.at(1)).and_then(|count| i32::try_from(count).ok());
    let count = count.filter(|count| *count > 0);
    let count = count.ok_or(Error::Text("ERR invalid numkeys value"))? as usize;
    if count > (args.len() - 2) / 2 {
        return Err(Error::Text("ERR wrong number of key-value pairs"));
    }
    let options = Options::of_msetex(args, 2 + 2 * count)?;
    let expiry = options.expiry(args, scope.now, "msetex")?;
    let there = count_there(scope, args.from(2).take(2 * count));
    let wanted = match options.condition {
        Condition::Missing => there == 0,
        Condition::Present => there == count,
        Condition::Always | Condition::If(_) => true,
    };
    Ok((count, expiry, wanted))
}

fn check_pairs(args: &Args<'_>, name: &'static str) -> Result<(), Error> {
    if args.len().is_multiple_of(2) { Err(Error::Arity(name)) } else { Ok(()) }
}

/// Sets keys, each followed by its string.
fn set_pairs<'a>(scope: &mut Scope<'_>, mut words: impl Iterator<Item = &'a [u8]>, expiry: Expiry) {
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        let key = scope.key(name);
        set_string(scope, key, Content::of(value), expiry);
    }
}

const MSETNX: Plan = Plan::Each { run: msetnx, fold: Fold::Same, check: Some(any_there) };
const MSETEX: Plan = Plan::Each { run: msetex, fold: Fold::Same, check: Some(bars_msetex) };

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("mget", -2, Group::String, Plan::each(mget, Fold::Interleave))
        .flags(&[Flags::READONLY, Flags::FAST])
        .keys(&[KeySpec::rest(1, 1, &["RO", "ACCESS"])])
        .about("1.0.0", "Reads several strings"),
    Row::new("mset", -3, Group::String, Plan::each(mset, Fold::Ok))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[KeySpec::rest(1, 2, &["OW", "UPDATE"])])
        .about("1.0.1", "Gives several keys a string each, whatever they held"),
    Row::new("msetnx", -3, Group::String, MSETNX)
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[KeySpec::rest(1, 2, &["OW", "INSERT"])])
        .about("1.0.1", "Gives several keys a string each if none of them is there"),
    Row::new("msetex", -4, Group::String, MSETEX)
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::MOVABLEKEYS])
        .keys(&[KeySpec::counted(1, 2, &["OW", "UPDATE"])])
        .about("8.4.0", "Gives several keys a string each, and one time to live for all"),
];
