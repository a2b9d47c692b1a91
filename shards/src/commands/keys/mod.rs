//! Commands on keys of any type.

pub(super) mod debug;
pub(super) mod dump;
pub(super) mod migrate;
pub(super) mod moving;
pub(super) mod object;
pub(super) mod populate;
pub(super) mod presence;
pub(super) mod watch;
pub(super) mod whole;

use crate::commands::Args;
use crate::error::Error;
use crate::keyspace::Keyspace;

/// The word at `index` as the number of a database.
///
/// # Errors
/// `NotInteger`, or what says that it is too large for a number or for a database.
fn database(keyspace: &Keyspace, args: &Args<'_>, index: usize) -> Result<u16, Error> {
    let number = i32::try_from(args.int(index)?).map_err(|_| Error::BeyondInt)?;
    match u16::try_from(number) {
        Ok(db) if db < keyspace.databases() => Ok(db),
        _ => Err(Error::DatabaseIndex),
    }
}

/// COPY or MOVE of a key to itself.
const SAME_KEY: Error = Error::Text("ERR source and destination objects are the same");
