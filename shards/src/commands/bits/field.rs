//! BITFIELD: reads, writes and counts integers among the bits of a string.

use super::integer::{Integer, Overflow};
use super::{bit_offset, read};
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row, parse_int};
use crate::error::Error;
use crate::keyspace::Class;
use crate::limits::BITS_MAX;
use crate::shard::Scope;
use pinion_io::resp::Reply;

/// One of a command's operations.
#[derive(Clone, Copy, Debug)]
struct Operation {
    integer: Integer,
    offset: u64,
    action: Action,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Get,
    Set(i64, Overflow),
    Add(i64, Overflow),
}

const OFFSET: Error = Error::Text("ERR bit offset is not an integer or out of range");

/// The operations of a command, from word 2 on.
fn parse(args: &Args<'_>) -> Result<Vec<Operation>, Error> {
    let mut operations = Vec::new();
    let mut overflow = Overflow::Wrap;
    let mut index = 2;
    while index < args.len() {
        let left = args.len() - index - 1;
        if args.is(index, "OVERFLOW") && left >= 1 {
            overflow = parse_overflow(args, index + 1)?;
            index += 2;
            continue;
        }
        let (is_set, is_add) = (args.is(index, "SET"), args.is(index, "INCRBY"));
        let is_get = args.is(index, "GET") && left >= 2;
        if !is_get && (!is_set && !is_add || left < 3) {
            return Err(Error::Syntax);
        }
        let integer = Integer::parse(args.at(index + 1)).ok_or(Error::Text(
            "ERR Invalid bitfield type. Use something like i16 u8. \
             Note that u64 is not supported but i64 is.",
        ))?;
        let offset = parse_offset(args.at(index + 2), integer)?;
        let action = match is_get {
            true => Action::Get,
            false if is_set => Action::Set(args.int(index + 3)?, overflow),
            false => Action::Add(args.int(index + 3)?, overflow),
        };
        // A string is not made longer than it may be; reading behind its end is harmless.
        if !is_get && offset + integer.bits() > BITS_MAX {
            return Err(OFFSET);
        }
        operations.push(Operation { integer, offset, action });
        index += if is_get { 3 } else { 4 };
    }
    Ok(operations)
}

fn parse_overflow(args: &Args<'_>, index: usize) -> Result<Overflow, Error> {
    match () {
        () if args.is(index, "WRAP") => Ok(Overflow::Wrap),
        () if args.is(index, "SAT") => Ok(Overflow::Saturate),
        () if args.is(index, "FAIL") => Ok(Overflow::Fail),
        () => Err(Error::Text("ERR Invalid OVERFLOW type specified")),
    }
}

/// A place in bits or, with a `#` before it, in integers of this type.
fn parse_offset(word: &[u8], integer: Integer) -> Result<u64, Error> {
    let Some(number) = word.strip_prefix(b"#") else { return bit_offset(word) };
    let index = parse_int(number).and_then(|index| u64::try_from(index).ok());
    let offset = index.and_then(|index| index.checked_mul(integer.bits()));
    offset.filter(|&offset| offset < BITS_MAX).ok_or(OFFSET)
}

/// `BITFIELD key [GET type offset | [OVERFLOW WRAP | SAT | FAIL] SET type offset value |
/// INCRBY type offset step] ...`
fn bitfield(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let operations = parse(args)?;
    let written = operations.iter().filter(|operation| !matches!(operation.action, Action::Get));
    let end = written.map(|operation| operation.offset + operation.integer.bits()).max();
    let Some(end) = end else { return read_all(&operations, scope, args, reply) };
    let key = scope.first(args);
    let ((), changed) = scope.keyspace.edit(key, scope.now, end.div_ceil(8) as usize, |text| {
        let mut changed = false;
        reply.array(operations.len());
        for operation in &operations {
            match operation.run(text) {
                Some((value, written)) => {
                    reply.int(value);
                    changed |= written;
                }
                None => reply.null(),
            }
        }
        ((), changed)
    })?;
    if changed {
        scope.keyspace.notify(Class::STRING, "setbit", key);
    }
    Ok(())
}

/// The same, with no operation but GET.
fn bitfield_ro(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let operations = parse(args)?;
    if operations.iter().any(|operation| !matches!(operation.action, Action::Get)) {
        return Err(Error::Text("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    read_all(&operations, scope, args, reply)
}

fn read_all(
    operations: &[Operation],
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let text = read(scope, args)?.unwrap_or_default();
    reply.array(operations.len());
    for operation in operations {
        reply.int(operation.integer.read(&text, operation.offset));
    }
    Ok(())
}

impl Operation {
    /// Runs on a string that is long enough to be written to: what it answers, and whether it
    /// wrote; none where the value does not fit and nothing may be written then.
    fn run(&self, text: &mut [u8]) -> Option<(i64, bool)> {
        let old = self.integer.read(text, self.offset);
        let (answer, new) = match self.action {
            Action::Get => return Some((old, false)),
            Action::Set(value, overflow) => (old, self.integer.fit(value, overflow)?),
            Action::Add(step, overflow) => {
                let new = self.integer.add(old, step, overflow)?;
                (new, new)
            }
        };
        self.integer.write(text, self.offset, new);
        Some((answer, new != old))
    }
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("bitfield", -2, Group::Bitmap, Plan::One(bitfield))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[KeySpec::one(1, &["RW", "ACCESS", "UPDATE", "VARIABLE_FLAGS"])])
        .about("3.2.0", "Reads, sets and counts integers of any width in a string"),
    Row::new("bitfield_ro", -2, Group::Bitmap, Plan::One(bitfield_ro))
        .flags(&[Flags::READONLY, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RO", "ACCESS"])])
        .about("6.0.0", "Reads integers of any width in a string"),
];
