//! Deletes entries by their ids, and sets a stream's own: XDEL, XDELEX, XACKDEL, XSETID.

use super::add::references;
use super::{DELETE, UPDATE, id};
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row, parse_int};
use crate::error::Error;
use crate::keyspace::{Class, Open};
use crate::shard::Scope;
use crate::value::Stream;
use crate::value::stream::{Id, Log, References};
use pinion_io::resp::Reply;

/// `XDEL key id [id ...]`.
fn xdel(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let key = scope.first(args);
    let Some(mut stream) = scope.keyspace.open::<Stream>(key, scope.now)? else {
        reply.int(0);
        return Ok(());
    };
    let ids: Result<Vec<Id>, Error> = args.from(2).map(id).collect();
    let ids = ids.inspect_err(|_| stream.unchanged())?;
    let deleted = ids.into_iter().filter(|&id| stream.log.delete(id)).count();
    if deleted == 0 {
        stream.unchanged();
    } else {
        stream.notify(Class::STREAM, "xdel");
    }
    reply.int(deleted as i64);
    Ok(())
}

/// What became of an id of XDELEX or XACKDEL.
#[derive(Clone, Copy)]
enum Fate {
    Missing = -1,
    Deleted = 1,
    Kept = 2,
}

/// `[KEEPREF | DELREF | ACKED] IDS numids id [id ...]` from `from` on, in any order.
fn parse_ids(args: &Args<'_>, from: usize) -> Result<(References, Vec<Id>), Error> {
    let (mut chosen, mut ids, mut at) = (None, None, from);
    while at < args.len() {
        if let Some(references) = references(args, at) {
            if chosen.replace(references).is_some() {
                return Err(Error::Syntax);
            }
            at += 1;
        } else if args.is(at, "IDS") && ids.is_none() && at + 1 < args.len() {
            let count = parse_int(args.at(at + 1)).and_then(|count| usize::try_from(count).ok());
            let count = count
                .filter(|&count| count > 0)
                .ok_or(Error::Text("ERR Number of IDs must be a positive integer"))?;
            at += 2;
            if count > args.len() - at {
                return Err(Error::Text(
                    "ERR The `numids` parameter must match the number of arguments",
                ));
            }
            ids = Some(at..at + count);
            at += count;
        } else {
            return Err(Error::Syntax);
        }
    }
    let ids = ids.ok_or(Error::Syntax)?;
    let ids = ids.map(|index| id(args.at(index))).collect::<Result<_, _>>()?;
    Ok((chosen.unwrap_or_default(), ids))
}

/// Deletes an entry as far as references to it allow.
fn delete(stream: &mut Stream, id: Id, references: References) -> Fate {
    if references == References::Delete {
        stream.groups.forget(id);
    }
    if !stream.log.contains(id) {
        return Fate::Missing;
    }
    if references == References::Acked && stream.groups.refer_to(id) {
        return Fate::Kept;
    }
    stream.log.delete(id);
    Fate::Deleted
}

/// Notes that entries were deleted, if one was.
fn note_deleted(stream: &mut Open<'_, Stream>, fates: &[Fate]) {
    if fates.iter().any(|fate| matches!(fate, Fate::Deleted)) {
        stream.notify(Class::STREAM, "xdel");
    }
}

fn write_fates(fates: &[Fate], reply: &mut Reply<'_>) {
    reply.array(fates.len());
    fates.iter().for_each(|&fate| reply.int(fate as i64));
}

/// `XDELEX key [KEEPREF | DELREF | ACKED] IDS numids id [id ...]`.
fn xdelex(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (references, ids) = parse_ids(args, 2)?;
    let key = scope.first(args);
    let Some(mut stream) = scope.keyspace.open::<Stream>(key, scope.now)? else {
        write_fates(&vec![Fate::Missing; ids.len()], reply);
        return Ok(());
    };
    let fate = |id| {
        // Nobody has acknowledged what nobody reads.
        if references == References::Acked && stream.groups.is_empty() && stream.log.contains(id) {
            return Fate::Kept;
        }
        delete(&mut stream, id, references)
    };
    let fates: Vec<Fate> = ids.into_iter().map(fate).collect();
    note_deleted(&mut stream, &fates);
    write_fates(&fates, reply);
    Ok(())
}

/// `XACKDEL key group [KEEPREF | DELREF | ACKED] IDS numids id [id ...]`.
fn xackdel(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (references, ids) = parse_ids(args, 3)?;
    let key = scope.first(args);
    let Some(mut stream) = scope.keyspace.open::<Stream>(key, scope.now)? else {
        write_fates(&vec![Fate::Missing; ids.len()], reply);
        return Ok(());
    };
    let group = args.at(2);
    let mut fates = vec![Fate::Missing; ids.len()];
    if stream.groups.find(group).is_none() {
        stream.unchanged();
        write_fates(&fates, reply);
        return Ok(());
    }
    for (fate, id) in fates.iter_mut().zip(ids) {
        let acknowledged = stream.groups.open(group).is_some_and(|mut group| group.acknowledge(id));
        if acknowledged {
            *fate = delete(&mut stream, id, references);
        } else if references == References::Delete {
            stream.groups.forget(id);
        }
    }
    note_deleted(&mut stream, &fates);
    write_fates(&fates, reply);
    Ok(())
}

const BELOW_TOP: Error =
    Error::Text("ERR The ID specified in XSETID is smaller than the target stream top item");
const BELOW_LEN: Error = Error::Text(
    "ERR The entries_added specified in XSETID is smaller than the target stream length",
);
const BELOW_DELETED: Error =
    Error::Text("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id");
const BELOW_GIVEN: Error =
    Error::Text("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id");

/// `XSETID key last-id [ENTRIESADDED count] [MAXDELETEDID id]`.
fn xsetid(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let last = id(args.at(2))?;
    let (mut added, mut max_deleted, mut at) = (None, None, 3);
    while at < args.len() {
        if args.is(at, "ENTRIESADDED") && at + 1 < args.len() {
            let negative = Error::Text("ERR entries_added must be positive");
            added = Some(u64::try_from(args.int(at + 1)?).map_err(|_| negative)?);
        } else if args.is(at, "MAXDELETEDID") && at + 1 < args.len() {
            let max = id(args.at(at + 1))?;
            if last < max {
                return Err(BELOW_GIVEN);
            }
            // As in Redis, 0-0 leaves it as it is.
            max_deleted = Some(max).filter(|&max| max != Id::MIN);
        } else {
            return Err(Error::Syntax);
        }
        at += 2;
    }
    let key = scope.first(args);
    let mut stream = scope.keyspace.open::<Stream>(key, scope.now)?.ok_or(Error::NoSuchKey)?;
    stream.aside();
    check_ids(&stream.log, last, added).inspect_err(|_| stream.unchanged())?;
    stream.log.set_ids(last, added, max_deleted);
    stream.notify(Class::STREAM, "xsetid");
    reply.ok();
    Ok(())
}

/// Refuses a last id, or a count of entries ever added, below what the stream has.
fn check_ids(log: &Log, last: Id, added: Option<u64>) -> Result<(), Error> {
    if last < log.max_deleted() {
        return Err(BELOW_DELETED);
    }
    if let Some(top) = log.range(Id::MIN, Id::MAX).next_back() {
        if last < top.id {
            return Err(BELOW_TOP);
        }
        if added.is_some_and(|added| added < log.len()) {
            return Err(BELOW_LEN);
        }
    }
    Ok(())
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("xdel", -3, Group::Stream, Plan::One(xdel))
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(DELETE)
        .about("5.0.0", "Deletes entries by their ids"),
    Row::new("xdelex", -5, Group::Stream, Plan::One(xdelex))
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(DELETE)
        .about("8.2.0", "Deletes entries by their ids, minding the groups that refer to them"),
    Row::new("xackdel", -6, Group::Stream, Plan::One(xackdel))
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RW", "UPDATE", "DELETE"])])
        .about("8.2.0", "Acknowledges entries for a group and deletes them"),
    Row::new("xsetid", -3, Group::Stream, Plan::One(xsetid))
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
        .keys(UPDATE)
        .about("5.0.0", "Sets the last id of a stream and what is counted of it"),
];
