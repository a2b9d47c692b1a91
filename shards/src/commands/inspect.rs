//! How a key is held: MEMORY USAGE and DEBUG OBJECT. The rest of both families is the server's.

use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::Key;
use crate::shard::Scope;
use crate::value::Value;
use pinion_io::resp::Reply;

/// The key that stands behind the subcommand.
fn key<'k>(scope: &Scope<'_>, args: &Args<'k>) -> Key<'k> {
    Key { db: scope.db, hash: scope.hash, bytes: args.at(2) }
}

/// `MEMORY USAGE key [SAMPLES count]`: the count is read and not needed, since bytes are counted.
fn memory_usage(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let mut index = 3;
    while index < args.len() {
        if !args.is(index, "SAMPLES") || index + 1 == args.len() || args.int(index + 1)? < 0 {
            return Err(Error::Syntax);
        }
        index += 2;
    }
    match scope.keyspace.peek(key(scope, args), scope.now) {
        Some(record) => reply.int(record.bytes() as i64),
        None => reply.null(),
    }
    Ok(())
}

/// `DEBUG OBJECT key`: in Redis's words, with the shard in place of an address.
fn debug_object(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let key = key(scope, args);
    let record = scope.keyspace.peek(key, scope.now).ok_or(Error::NoSuchKey)?;
    let idle = record.idle_seconds(scope.now);
    let used = ((scope.now / 1000) as u32).wrapping_sub(idle) & 0xff_ffff;
    reply.simple(&format!(
        "Value at:shard{} refcount:1 encoding:{} serializedlength:{} lru:{used} \
         lru_seconds_idle:{idle}",
        scope.shard,
        record.encoding(),
        serialized_len(record.value()),
    ));
    Ok(())
}

/// Bytes of the value in an RDB file, where it is not compressed: a length or an encoding, then
/// the text or the integer.
fn serialized_len(value: Value<'_>) -> usize {
    match value {
        Value::Int(value) if i8::try_from(value).is_ok() => 2,
        Value::Int(value) if i16::try_from(value).is_ok() => 3,
        Value::Int(value) if i32::try_from(value).is_ok() => 5,
        Value::Int(value) => text_len(value.to_string().len()),
        Value::Str(bytes) => text_len(bytes.len()),
    }
}

fn text_len(len: usize) -> usize {
    len + match len {
        0..64 => 1,
        64..16_384 => 2,
        _ => 5,
    }
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("memory", -2, Group::Server, Plan::Container(MEMORY))
        .about("4.0.0", "A container for commands about memory"),
    Row::new("debug", -2, Group::Server, Plan::Container(DEBUG))
        .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE])
        .about("1.0.0", "A container for commands that help to test"),
];

const MEMORY: &[Row] = &[Row::new("memory|usage", -3, Group::Server, Plan::One(memory_usage))
    .flags(&[Flags::READONLY])
    .keys(&[KeySpec::one(2, &["RO"])])
    .about("4.0.0", "Returns the bytes that a key and its value take")];

const DEBUG: &[Row] = &[Row::new("debug|object", 3, Group::Server, Plan::One(debug_object))
    .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE])
    .keys(&[KeySpec::one(2, &["RO"])])
    .about("1.0.0", "Returns how a value is held")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_in_a_file() {
        for (value, len) in [(5, 2), (-128, 2), (128, 3), (40_000, 5), (3_000_000_000, 11)] {
            assert_eq!(serialized_len(Value::Int(value)), len, "{value}");
        }
        assert_eq!(serialized_len(Value::Str(b"hello")), 6);
        assert_eq!(text_len(64), 66);
        assert_eq!(text_len(16_384), 16_389);
    }
}
