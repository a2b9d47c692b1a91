//! Looks at a list: LLEN, LINDEX, LRANGE, LPOS.

use super::{place, signed, span};
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::limits::READ_AT_ONCE_MAX;
use crate::reading::{Source, Walk};
use crate::shard::Scope;
use crate::value::{Kind, List, Needle, Side, Value};
use pinion_io::resp::Reply;

fn llen(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let list = scope.keyspace.read::<List>(scope.first(args), scope.now)?;
    reply.int(list.map_or(0, List::len) as i64);
    Ok(())
}

fn lindex(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let Some(list) = scope.keyspace.read::<List>(scope.first(args), scope.now)? else {
        reply.null();
        return Ok(());
    };
    match place(args.int(2)?, list.len()).and_then(|index| list.at(index)) {
        Some(item) => item.write(reply),
        None => reply.null(),
    }
    Ok(())
}

fn lrange(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (start, end) = (args.int(2)?, args.int(3)?);
    let key = scope.first(args);
    let Some(list) = scope.keyspace.read::<List>(key, scope.now)? else {
        reply.array(0);
        return Ok(());
    };
    let (start, count) = span(start, end, list.len());
    reply.array(count);
    if count <= READ_AT_ONCE_MAX {
        write_items(list, start, count, reply);
        return Ok(());
    }
    let mut walk = Walk { position: start as u128, left: count, options: 0 };
    if scope.is_long(count) {
        scope.read_on(key, write_some, walk);
    } else if let Some(value) = scope.keyspace.view(key) {
        let source = Source { value, rules: scope.rules, now: scope.now };
        write_some(&mut walk, &source, usize::MAX, reply);
    }
    Ok(())
}

#[inline]
fn write_items(list: &List, start: usize, count: usize, reply: &mut Reply<'_>) {
    for item in list.items(start, Side::Left).take(count) {
        item.write(reply);
    }
}

/// Writes a piece of a long reply: the position is an index.
fn write_some(walk: &mut Walk, source: &Source<'_>, budget: usize, reply: &mut Reply<'_>) {
    let Value::List(list) = source.value else { return };
    let count = budget.min(walk.left);
    write_items(list, walk.position as usize, count, reply);
    walk.position += count as u128;
    walk.left -= count;
}

/// What LPOS looks for beside the element.
struct Search {
    from: Side,
    /// Matches to pass over.
    skip: u64,
    /// Matches to answer, 0 for all; none for the one match that is no array.
    count: Option<usize>,
    /// Elements to compare, at most.
    compared: usize,
}

impl Search {
    /// Reads the options after the element.
    fn read(args: &Args<'_>) -> Result<Self, Error> {
        let mut search = Self { from: Side::Left, skip: 0, count: None, compared: usize::MAX };
        let natural = |at, error| {
            let value = args.int(at).ok().and_then(|value| usize::try_from(value).ok());
            value.ok_or(Error::Text(error))
        };
        let mut at = 3;
        while at < args.len() {
            let has_value = at + 1 < args.len();
            if args.is(at, "RANK") && has_value {
                match signed(args, at + 1)? {
                    0 => return Err(RANK_ZERO),
                    rank => {
                        search.from = if rank < 0 { Side::Right } else { Side::Left };
                        search.skip = rank.unsigned_abs() - 1;
                    }
                }
            } else if args.is(at, "COUNT") && has_value {
                search.count = Some(natural(at + 1, "ERR COUNT can't be negative")?);
            } else if args.is(at, "MAXLEN") && has_value {
                search.compared = match natural(at + 1, "ERR MAXLEN can't be negative")? {
                    0 => usize::MAX,
                    most => most,
                };
            } else {
                return Err(Error::Syntax);
            }
            at += 2;
        }
        Ok(search)
    }

    /// Indexes of the elements that are `element`.
    fn places(&self, list: &List, element: &[u8]) -> Vec<i64> {
        let needle = Needle::new(element);
        let len = list.len();
        let wanted = match self.count {
            None => 1,
            Some(0) => usize::MAX,
            Some(count) => count,
        };
        let start = if self.from == Side::Left { 0 } else { len - 1 };
        let items = list.items(start, self.from).take(self.compared).enumerate();
        let (mut found, mut skip) = (Vec::new(), self.skip);
        for (step, _) in items.filter(|&(_, item)| needle.is(item)) {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let index = if self.from == Side::Left { step } else { len - 1 - step };
            found.push(index as i64);
            if found.len() == wanted {
                break;
            }
        }
        found
    }
}

const RANK_ZERO: Error = Error::Text(
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... \
     or use negative to start from the end of the list",
);
/// `LPOS key element [RANK rank] [COUNT count] [MAXLEN len]`.
fn lpos(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let search = Search::read(args)?;
    let list = scope.keyspace.read::<List>(scope.first(args), scope.now)?;
    let found = list.map_or_else(Vec::new, |list| search.places(list, args.at(2)));
    match (search.count, found.first()) {
        (Some(_), _) => {
            reply.array(found.len());
            found.iter().for_each(|&index| reply.int(index));
        }
        (None, Some(&index)) => reply.int(index),
        (None, None) => reply.null(),
    }
    Ok(())
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("llen", 2, Group::List, Plan::One(llen))
        .flags(&[Flags::READONLY, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RO"])])
        .about("1.0.0", "Counts the elements of a list"),
    Row::new("lindex", 3, Group::List, Plan::One(lindex))
        .flags(&[Flags::READONLY])
        .keys(&[KeySpec::one(1, &["RO", "access"])])
        .about("1.0.0", "Reads the element of a list that has an index"),
    Row::new("lrange", 4, Group::List, Plan::One(lrange))
        .flags(&[Flags::READONLY])
        .keys(&[KeySpec::one(1, &["RO", "access"])])
        .about("1.0.0", "Reads the elements of a list from one index to another"),
    Row::new("lpos", -3, Group::List, Plan::One(lpos))
        .flags(&[Flags::READONLY])
        .keys(&[KeySpec::one(1, &["RO", "access"])])
        .about("6.0.6", "Finds the indexes of an element in a list"),
];
