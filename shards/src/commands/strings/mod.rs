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
use crate::value::Value;
use pinion_io::resp::Reply;

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
