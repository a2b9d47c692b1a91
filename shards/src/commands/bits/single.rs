//! One bit of a string.

use super::{bit_offset, read};
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::Class;
use crate::shard::Scope;
use pinion_io::resp::Reply;

/// `SETBIT key offset 0|1`: the string grows as far as it must, whatever the bit is.
fn setbit(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let offset = bit_offset(args.at(2))? as usize;
    let bit = match args.at(3) {
        b"0" => false,
        b"1" => true,
        _ => return Err(Error::Text("ERR bit is not an integer or out of range")),
    };
    let key = scope.first(args);
    let (was, changed) = scope.keyspace.edit(key, scope.now, offset / 8 + 1, |text| {
        let (byte, mask) = (&mut text[offset / 8], mask(offset));
        let was = *byte & mask != 0;
        *byte = if bit { *byte | mask } else { *byte & !mask };
        (was, was != bit)
    })?;
    if changed {
        scope.keyspace.notify(Class::STRING, "setbit", key);
    }
    reply.int(i64::from(was));
    Ok(())
}

fn getbit(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let offset = bit_offset(args.at(2))? as usize;
    let text = read(scope, args)?.unwrap_or_default();
    let is_set = text.get(offset / 8).is_some_and(|byte| byte & mask(offset) != 0);
    reply.int(i64::from(is_set));
    Ok(())
}

/// The bit's place in its byte.
fn mask(offset: usize) -> u8 {
    0x80 >> (offset % 8)
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("setbit", 4, Group::Bitmap, Plan::One(setbit))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[KeySpec::one(1, &["RW", "ACCESS", "UPDATE"])])
        .about("2.2.0", "Sets or clears one bit of a string and answers what it was"),
    Row::new("getbit", 3, Group::Bitmap, Plan::One(getbit))
        .flags(&[Flags::READONLY, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RO", "ACCESS"])])
        .about("2.2.0", "Reads one bit of a string"),
];
