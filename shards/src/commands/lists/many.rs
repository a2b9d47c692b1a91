//! Takes from the first of several lists that has elements: LMPOP, BLMPOP.

use super::pop::take_many;
use super::side;
use crate::commands::timeout;
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row, Spread};
use crate::error::Error;
use crate::shard::Scope;
use crate::value::{List, Side};
use crate::waiting::Wait;
use pinion_io::resp::Reply;
use std::ops::Range;

/// `numkeys key [key ...] LEFT | RIGHT [COUNT count]`.
struct Wanted {
    keys: Range<usize>,
    side: Side,
    count: usize,
}

impl Wanted {
    /// Reads the words from `index` on.
    fn read(args: &Args<'_>, index: usize) -> Result<Self, Error> {
        let natural = |at, error| {
            let value = args.int(at).ok().and_then(|value| usize::try_from(value).ok());
            value.filter(|&value| value > 0).ok_or(Error::Text(error))
        };
        let number = natural(index, "ERR numkeys should be greater than 0")?;
        let end = (index + 1).checked_add(number).filter(|&end| end < args.len());
        let end = end.ok_or(Error::Syntax)?;
        let side = side(args, end)?;
        let count = match args.len() - end {
            1 => 1,
            3.. if args.is(end + 1, "COUNT") => {
                let count = natural(end + 2, "ERR count should be greater than 0")?;
                if args.len() - end > 3 {
                    return Err(Error::Syntax);
                }
                count
            }
            _ => return Err(Error::Syntax),
        };
        Ok(Self { keys: index + 1..end, side, count })
    }

    /// False if all the lists are empty.
    fn pop(
        &self,
        scope: &mut Scope<'_>,
        args: &Args<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<bool, Error> {
        for index in self.keys.clone() {
            let key = scope.key(args.at(index));
            if let Some(mut open) = scope.keyspace.open::<List>(key, scope.now)? {
                reply.array(2);
                reply.bulk(key.bytes);
                take_many(&mut open, scope.rules, self.side, self.count, reply);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// `LMPOP numkeys key [key ...] LEFT | RIGHT [COUNT count]`.
fn lmpop(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    if !Wanted::read(args, 1)?.pop(scope, args, reply)? {
        reply.null_array();
    }
    Ok(())
}

/// `BLMPOP timeout numkeys key [key ...] LEFT | RIGHT [COUNT count]`.
fn blmpop(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Option<Wait>, Error> {
    let wanted = Wanted::read(args, 2)?;
    let wait = timeout::wait(args, 1, scope.now)?;
    let done = wanted.pop(scope, args, reply)?;
    Ok((!done).then_some(wait))
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("lmpop", -4, Group::List, Plan::First(lmpop))
        .flags(&[Flags::WRITE, Flags::MOVABLEKEYS])
        .keys(&[KeySpec::counted(1, 1, &["RW", "access", "delete"])])
        .about("7.0.0", "Takes elements from the first of several lists that has some"),
    Row::new("blmpop", -5, Group::List, Plan::Wait(blmpop, Spread::First))
        .flags(&[Flags::WRITE, Flags::BLOCKING, Flags::MOVABLEKEYS])
        .keys(&[KeySpec::counted(2, 1, &["RW", "access", "delete"])])
        .about("7.0.0", "Takes elements from the first list that has some, and waits for them"),
];
