//! Strings: text and integers.

pub(super) mod count;
pub(super) mod digest;
pub(super) mod get;
pub(super) mod lcs;
pub(super) mod many;
pub(super) mod range;
pub(super) mod set;
mod test;

use crate::error::Error;
use crate::keyspace::{Class, Expiry, Key};
use crate::shard::Scope;
use crate::value::{Content, Value};
use pinion_io::resp::Reply;

/// Gives a key a string, whatever it had, and notes that.
#[inline]
fn set_string(scope: &mut Scope<'_>, key: Key<'_>, content: Content<'_>, expiry: Expiry) {
    // One look for all that is said before and after.
    let heard = scope.keyspace.is_heard();
    if heard {
        scope.keyspace.overwrites(key, scope.now, "string");
    }
    scope.keyspace.set(key, scope.now, content, expiry);
    if heard {
        tell_set(scope, key, expiry);
    }
}

#[cold]
fn tell_set(scope: &mut Scope<'_>, key: Key<'_>, expiry: Expiry) {
    scope.keyspace.notify(Class::STRING, "set", key);
    if let Expiry::At(_) = expiry {
        scope.keyspace.notify(Class::GENERIC, "expire", key);
    }
}

/// Writes a string, or null where there is none.
#[inline]
fn write_string(value: Option<Value<'_>>, reply: &mut Reply<'_>) -> Result<(), Error> {
    match value {
        None => reply.null(),
        Some(Value::Int(value)) => reply.bulk_int(value),
        Some(Value::Str(bytes)) => reply.bulk(bytes),
        Some(_) => return Err(Error::WrongType),
    }
    Ok(())
}
