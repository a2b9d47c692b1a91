//! The digest of a string, and removing a string that is as expected.

use super::test::{Test, digest};
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::shard::Scope;
use pinion_io::resp::Reply;

fn write_digest(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let key = scope.first(args);
    let mut digits = itoa::Buffer::new();
    match scope.keyspace.get(key, scope.now) {
        Some(value) => reply.bulk(&digest(value.text(&mut digits)?)),
        None => reply.null(),
    }
    Ok(())
}

/// `DELEX key [IFEQ value | IFNE value | IFDEQ digest | IFDNE digest]`
fn delex(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    if args.len() != 2 && args.len() != 4 {
        return Err(Error::Arity("delex"));
    }
    let key = scope.first(args);
    let passes = match scope.keyspace.peek(key, scope.now) {
        None => false,
        Some(_) if args.len() == 2 => true,
        Some(record) => {
            let mut digits = itoa::Buffer::new();
            let text = record.value().text(&mut digits).map_err(|_| {
                Error::Text("ERR Key should be of string type if conditions are specified")
            })?;
            let test = Test::at(args, 2)
                .ok_or(Error::Text("ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"))?;
            test.accepts(text, args)?
        }
    };
    reply.int(i64::from(passes && scope.keyspace.delete(key, scope.now)));
    Ok(())
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("digest", 2, Group::String, Plan::One(write_digest))
        .flags(&[Flags::READONLY, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RO", "ACCESS"])])
        .about("8.4.0", "Reads a digest of a string"),
    Row::new("delex", -2, Group::String, Plan::One(delex))
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RW", "DELETE", "VARIABLE_FLAGS"])])
        .about("8.4.0", "Removes a key if its string, or the digest of that, is as expected"),
];
