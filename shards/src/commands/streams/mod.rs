//! Streams: entries added at the end, read by ids or by groups of consumers.

pub(super) mod add;
pub(super) mod claim;
pub(super) mod delete;
pub(super) mod group;
pub(super) mod info;
pub(super) mod pending;
pub(super) mod range;
pub(super) mod read;
pub(super) mod read_group;

use crate::commands::{Args, KeySpec};
use crate::error::Error;
use crate::keyspace::Key;
use crate::shard::Scope;
use crate::value::stream::{Entry, Id, IdText, Seq};
use pinion_io::resp::Reply;

/// The event of a consumer that was not known before, whichever command named it.
const CONSUMER_CREATED: &str = "xgroup-createconsumer";

const BAD_ID: Error = Error::Text("ERR Invalid stream ID specified as stream command argument");

const READ: &[KeySpec] = &[KeySpec::one(1, &["RO", "ACCESS"])];
const UPDATE: &[KeySpec] = &[KeySpec::one(1, &["RW", "UPDATE"])];
const DELETE: &[KeySpec] = &[KeySpec::one(1, &["RW", "DELETE"])];

/// The key after the subcommand of a container.
fn second<'k>(scope: &Scope<'_>, args: &Args<'k>) -> Key<'k> {
    Key { db: scope.db, hash: scope.hash, bytes: args.at(2) }
}

/// An id that names one entry; where the sequence number is missing it is `seq`.
fn id_or(text: &[u8], seq: u64) -> Result<Id, Error> {
    match Id::parse(text).ok_or(BAD_ID)? {
        (ms, Seq::Given(seq)) => Ok(Id { ms, seq }),
        (ms, Seq::Missing) => Ok(Id { ms, seq }),
        (_, Seq::Next) => Err(BAD_ID),
    }
}

/// An id that names one entry.
fn id(text: &[u8]) -> Result<Id, Error> {
    id_or(text, 0)
}

/// An end of an interval: `-`, `+`, an id, or `(` and an id that is not in it itself.
fn bound(text: &[u8], seq: u64) -> Result<(Id, bool), Error> {
    match text {
        b"-" => Ok((Id::MIN, false)),
        b"+" => Ok((Id::MAX, false)),
        [b'(', text @ ..] if !text.is_empty() => Ok((id_or(text, seq)?, true)),
        text => Ok((id_or(text, seq)?, false)),
    }
}

/// The first id of an interval.
fn start(text: &[u8]) -> Result<Id, Error> {
    let (id, open) = bound(text, 0)?;
    let first = if open { id.next() } else { Some(id) };
    first.ok_or(Error::Text("ERR invalid start ID for the interval"))
}

/// The last id of an interval.
fn end(text: &[u8]) -> Result<Id, Error> {
    let (id, open) = bound(text, u64::MAX)?;
    let last = if open { id.prev() } else { Some(id) };
    last.ok_or(Error::Text("ERR invalid end ID for the interval"))
}

/// Both ends of an interval.
fn interval(first: &[u8], last: &[u8]) -> Result<(Id, Id), Error> {
    Ok((start(first)?, end(last)?))
}

fn write_id(id: Id, reply: &mut Reply<'_>) {
    reply.bulk(id.text(&mut IdText::default()));
}

/// Writes an entry: its id, and its names with values.
#[inline]
fn write_entry(entry: &Entry<'_>, reply: &mut Reply<'_>) {
    reply.array(2);
    write_fields(entry, reply);
}

/// Writes the two parts of an entry.
#[inline]
fn write_fields(entry: &Entry<'_>, reply: &mut Reply<'_>) {
    write_id(entry.id, reply);
    reply.array(entry.fields * 2);
    entry.each(|name, value| {
        name.write(reply);
        value.write(reply);
    });
}

/// Refuses a command whose group, or whose key, is not there.
fn no_group(key: &[u8], group: &[u8], reply: &mut Reply<'_>) {
    reply.error(&[b"NOGROUP No such key '", key, b"' or consumer group '", group, b"'"].concat());
}

/// The same, in the words of XGROUP and XINFO, which look for the key first.
fn no_such_group(key: &[u8], group: &[u8], reply: &mut Reply<'_>) {
    let text = [b"NOGROUP No such consumer group '", group, b"' for key name '", key, b"'"];
    reply.error(&text.concat());
}

/// Refuses the words of a subcommand that fit none of its forms; its name is quoted as it came.
fn no_such_form(container: &str, args: &Args<'_>, reply: &mut Reply<'_>) {
    let name = args.at(1);
    let name = &name[..name.len().min(SUBCOMMAND_QUOTE_MAX)];
    let text = [
        b"ERR unknown subcommand or wrong number of arguments for '",
        name,
        b"'. Try ",
        container.as_bytes(),
        b" HELP.",
    ];
    reply.error(&text.concat());
}

/// Bytes of a subcommand's name that an error quotes.
const SUBCOMMAND_QUOTE_MAX: usize = 128;
