//! Parts of a string: its length, its end, a range of it.

use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::{Class, Expiry};
use crate::shard::Scope;
use crate::value::Content;
use pinion_io::resp::Reply;

fn append(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let key = scope.first(args);
    let bytes = args.at(2);
    let len = if scope.keyspace.contains(key, scope.now) {
        scope.keyspace.write(key, scope.now, None, bytes)?
    } else {
        scope.keyspace.set(key, scope.now, Content::of(bytes), Expiry::Clear);
        bytes.len()
    };
    scope.keyspace.notify(Class::STRING, "append", key);
    reply.int(len as i64);
    Ok(())
}

fn strlen(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let key = scope.first(args);
    let mut digits = itoa::Buffer::new();
    let len = match scope.keyspace.get(key, scope.now) {
        Some(value) => value.text(&mut digits)?.len(),
        None => 0,
    };
    reply.int(len as i64);
    Ok(())
}

fn setrange(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let offset =
        usize::try_from(args.int(2)?).map_err(|_| Error::Text("ERR offset is out of range"))?;
    let bytes = args.at(3);
    if bytes.is_empty() {
        return strlen_unread(scope, args, reply);
    }
    let key = scope.first(args);
    let len = scope.keyspace.write(key, scope.now, Some(offset), bytes)?;
    scope.keyspace.notify(Class::STRING, "setrange", key);
    reply.int(len as i64);
    Ok(())
}

/// The length as a write that writes nothing answers it: no hit, no miss.
fn strlen_unread(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let key = scope.first(args);
    let mut digits = itoa::Buffer::new();
    let len = match scope.keyspace.peek(key, scope.now) {
        Some(record) => record.value().text(&mut digits)?.len(),
        None => 0,
    };
    reply.int(len as i64);
    Ok(())
}

/// `GETRANGE key start end`: both included, negative ones from the end.
fn getrange(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (start, end) = (args.int(2)?, args.int(3)?);
    let key = scope.first(args);
    let mut digits = itoa::Buffer::new();
    let text = match scope.keyspace.get(key, scope.now) {
        Some(value) => value.text(&mut digits)?,
        None => b"",
    };
    reply.bulk(part(text, start, end));
    Ok(())
}

/// The bytes of `text` from `start` to `end`, both included; negative ones count from the end.
fn part(text: &[u8], start: i64, end: i64) -> &[u8] {
    let len = text.len() as i64;
    let from_front = |index: i64| if index < 0 { index.saturating_add(len).max(0) } else { index };
    if start < 0 && end < 0 && start > end {
        return b"";
    }
    let (start, end) = (from_front(start), from_front(end).min(len - 1));
    if start > end { b"" } else { &text[start as usize..=end as usize] }
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("append", 3, Group::String, Plan::One(append))
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RW", "INSERT"])])
        .about("2.0.0", "Adds to the end of a string, which begins empty"),
    Row::new("strlen", 2, Group::String, Plan::One(strlen))
        .flags(&[Flags::READONLY, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RO"])])
        .about("2.2.0", "Answers how many bytes a string has"),
    Row::new("setrange", 4, Group::String, Plan::One(setrange))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[KeySpec::one(1, &["RW", "UPDATE"])])
        .about("2.2.0", "Overwrites a part of a string, filling a gap with zeros"),
    Row::new("getrange", 4, Group::String, Plan::One(getrange))
        .flags(&[Flags::READONLY])
        .keys(&[KeySpec::one(1, &["RO", "ACCESS"])])
        .about("2.4.0", "Reads a part of a string"),
    Row::new("substr", 4, Group::String, Plan::One(getrange))
        .flags(&[Flags::READONLY])
        .keys(&[KeySpec::one(1, &["RO", "ACCESS"])])
        .about("1.0.0", "Reads a part of a string; the old name of GETRANGE"),
];

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn ranges_at_their_edges() {
        for (start, end, wanted) in [
            (0, -1, "abcde"),
            (1, 2, "bc"),
            (-2, -1, "de"),
            (-1, -2, ""),
            (3, 1, ""),
            (5, 9, ""),
            (-99, 0, "a"),
            (-99, -98, "a"),
            (0, i64::MAX, "abcde"),
            (i64::MIN, i64::MAX, "abcde"),
            (i64::MAX, i64::MAX, ""),
            (0, i64::MIN, "a"),
        ] {
            assert_eq!(part(b"abcde", start, end), wanted.as_bytes(), "{start} {end}");
            assert_eq!(part(b"", start, end), b"");
        }
    }
}
