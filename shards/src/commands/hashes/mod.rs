//! Hashes: fields with values under one key.

pub(super) mod count;
pub(super) mod expire;
pub(super) mod random;
pub(super) mod read;
pub(super) mod tell;
pub(super) mod timed;
pub(super) mod walk;
pub(super) mod write;

use crate::commands::Args;
use crate::error::Error;
use crate::shard::Scope;
use crate::value::{Hash, HashRef};

/// The hash of the command's first key, to be read.
#[inline]
fn read<'a>(scope: &'a mut Scope<'_>, args: &Args<'_>) -> Result<Option<HashRef<'a>>, Error> {
    let (key, now) = (scope.first(args), scope.now);
    scope.keyspace.read::<Hash>(key, now)
}

/// Refuses a key of another type before anything else is looked at, as the commands on the
/// expiry of fields do.
fn check_type(scope: &mut Scope<'_>, args: &Args<'_>) -> Result<(), Error> {
    let key = scope.first(args);
    if let Some(record) = scope.keyspace.peek(key, scope.now) {
        record.value().of::<Hash>()?;
    }
    Ok(())
}

const NO_FIELDS: Error =
    Error::Text("ERR Mandatory argument FIELDS is missing or not at the right position");
const NOT_POSITIVE: Error = Error::Text("ERR Number of fields must be a positive integer");
const MISCOUNTED: Error =
    Error::Text("ERR The `numfields` parameter must match the number of arguments");

/// Reads `FIELDS numfields`, which begin at word `at` and end the command with so many names;
/// returns where these begin. `bad_count` refuses a number that is none.
fn names_from(args: &Args<'_>, at: usize, bad_count: Error) -> Result<usize, Error> {
    if !args.is(at, "FIELDS") {
        return Err(NO_FIELDS);
    }
    let count = args.try_at(at + 1).and_then(crate::commands::parse_int);
    let count = count.filter(|&count| count > 0).ok_or(bad_count)?;
    if usize::try_from(count) != Ok(args.len() - (at + 2)) {
        return Err(MISCOUNTED);
    }
    Ok(at + 2)
}
