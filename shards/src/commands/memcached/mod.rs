//! What memcached's text protocol asks of keys, in database 0.
//!
//! These rows stand in no family: nobody finds them by their names but the server, on the port of
//! that protocol. Their words are checked by then, and their replies are that protocol's lines. A
//! value is a string like any other; one of another type is not there for these clients.

mod change;
mod read;
mod store;

use super::{Args, KeySpec, Row};
use crate::keyspace::{Class, Expiry, Key};
use crate::shard::{Millis, Scope};

/// The row that runs the command of this name, which is in lower case.
pub fn find(name: &[u8]) -> Option<&'static Row> {
    let rows = read::ROWS.iter().chain(store::ROWS).chain(change::ROWS);
    let mut rows = rows.filter(|row| row.name.as_bytes().strip_prefix(b"memcached|") == Some(name));
    rows.next()
}

/// Longest time to live that is given in seconds from now; a larger number is a Unix time.
const RELATIVE_SECONDS_MAX: u64 = 60 * 60 * 24 * 30;

/// The instant that a client means by a number of seconds.
pub fn instant(seconds: u64, now: Millis) -> Millis {
    let start = if seconds <= RELATIVE_SECONDS_MAX { now } else { 0 };
    seconds.saturating_mul(1000).saturating_add(start)
}

/// When a value is to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Never,
    At(Millis),
    /// It has ended already.
    Past,
}

impl End {
    /// As the number in word `index` says.
    fn read(args: &Args<'_>, index: usize, now: Millis) -> Self {
        let Ok(seconds) = args.int(index) else { return Self::Past };
        let Ok(seconds) = u64::try_from(seconds) else { return Self::Past };
        match instant(seconds, now) {
            _ if seconds == 0 => Self::Never,
            at if at <= now => Self::Past,
            // As far as a key's expiry goes.
            at => Self::At(at.min(i64::MAX as u64)),
        }
    }
}

/// Has a key that is there end as said.
fn set_end(scope: &mut Scope<'_>, key: Key<'_>, end: End) {
    let (keyspace, now) = (&mut *scope.keyspace, scope.now);
    match end {
        End::Past => {
            keyspace.delete(key, now);
        }
        End::At(at) => {
            keyspace.set_expiry(key, now, Some(at));
            keyspace.notify(Class::GENERIC, "expire", key);
        }
        End::Never => {
            let had = keyspace.peek(key, now).is_some_and(|record| record.expiry().is_some());
            if had {
                keyspace.set_expiry(key, now, None);
                keyspace.notify(Class::GENERIC, "persist", key);
            }
        }
    }
}

/// True if a key holds a string.
fn has_string(scope: &mut Scope<'_>, key: Key<'_>) -> bool {
    scope.keyspace.peek(key, scope.now).is_some_and(|record| record.value().is_string())
}

/// What becomes of an expiry.
fn expiry(end: End) -> Expiry {
    match end {
        End::At(at) => Expiry::At(at),
        End::Never | End::Past => Expiry::Clear,
    }
}

const READ: &[KeySpec] = &[KeySpec::one(1, &["RO", "ACCESS"])];
const UPDATE: &[KeySpec] = &[KeySpec::one(1, &["RW", "UPDATE"])];
const DELETE: &[KeySpec] = &[KeySpec::one(1, &["RW", "DELETE"])];

#[cfg(test)]
mod tests;
