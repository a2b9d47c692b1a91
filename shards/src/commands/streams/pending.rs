//! What was delivered and not yet acknowledged: XACK, XPENDING.

use super::{READ, UPDATE, id, interval, no_group, write_id};
use crate::commands::{Args, Flags, Group as Family, Plan, Row};
use crate::error::Error;
use crate::shard::{Millis, Scope};
use crate::value::Stream;
use crate::value::stream::{Group, Id};
use pinion_io::resp::Reply;

/// `XACK key group id [id ...]`.
fn xack(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let key = scope.first(args);
    let Some(mut stream) = scope.keyspace.open::<Stream>(key, scope.now)? else {
        // As in Redis, this counts as a read.
        scope.keyspace.look(key, scope.now);
        reply.int(0);
        return Ok(());
    };
    stream.aside();
    let mut acknowledged = 0;
    let mut bad = None;
    if let Some(mut group) = stream.groups.open(args.at(2)) {
        match args.from(3).map(id).collect::<Result<Vec<Id>, Error>>() {
            Ok(ids) => acknowledged = ids.into_iter().filter(|&id| group.acknowledge(id)).count(),
            Err(error) => bad = Some(error),
        }
    }
    if acknowledged == 0 {
        stream.unchanged();
    }
    if let Some(error) = bad {
        return Err(error);
    }
    reply.int(acknowledged as i64);
    Ok(())
}

/// Which pending entries a client asks for.
struct Question<'a> {
    min_idle: Millis,
    first: Id,
    last: Id,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Question<'a> {
    /// Reads `[IDLE ms] start end count [consumer]`; none if there are no such words.
    fn parse(args: &Args<'a>) -> Result<Option<Self>, Error> {
        if args.len() == 3 {
            return Ok(None);
        }
        if !(6..=9).contains(&args.len()) {
            return Err(Error::Syntax);
        }
        let (mut at, mut min_idle) = (3, 0);
        if args.is(3, "IDLE") {
            min_idle = Millis::try_from(args.int(4)?).unwrap_or(0);
            if args.len() < 8 {
                return Err(Error::Syntax);
            }
            at = 5;
        }
        let count = usize::try_from(args.int(at + 2)?).unwrap_or(0);
        let (first, last) = interval(args.at(at), args.at(at + 1))?;
        Ok(Some(Self { min_idle, first, last, count, consumer: args.try_at(at + 3) }))
    }
}

/// `XPENDING key group [[IDLE ms] start end count [consumer]]`.
fn xpending(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let question = Question::parse(args)?;
    let (key, now) = (scope.first(args), scope.now);
    let stream = scope.keyspace.read::<Stream>(key, now)?;
    let Some(group) = stream.and_then(|stream| stream.groups.find(args.at(2))) else {
        no_group(key.bytes, args.at(2), reply);
        return Ok(());
    };
    match question {
        None => write_summary(group, reply),
        Some(question) => write_pending(group, &question, now, reply),
    }
    Ok(())
}

fn write_summary(group: &Group, reply: &mut Reply<'_>) {
    reply.array(4);
    reply.int(group.pending_len() as i64);
    let mut pending = group.pending(Id::MIN, Id::MAX);
    let (Some((&first, _)), last) = (pending.next(), pending.next_back()) else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    write_id(first, reply);
    write_id(last.map_or(first, |(&last, _)| last), reply);
    let owners = || group.consumers().filter(|consumer| consumer.pending_len() > 0);
    reply.array(owners().count());
    for consumer in owners() {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk_int(consumer.pending_len() as i64);
    }
}

fn write_pending(group: &Group, question: &Question<'_>, now: Millis, reply: &mut Reply<'_>) {
    let (first, last) = (question.first, question.last);
    let consumer = question.consumer.map(|name| group.number(name));
    let (mark, mut written) = (reply.len(), 0);
    let mut write = |id: Id| {
        let Some(pending) = group.pending_at(id).filter(|_| written < question.count) else {
            return false;
        };
        let idle = now.saturating_sub(pending.delivered);
        if idle >= question.min_idle {
            reply.array(4);
            write_id(id, reply);
            reply.bulk(group.by_number(pending.consumer).name());
            reply.int(idle as i64);
            reply.int(pending.count as i64);
            written += 1;
        }
        true
    };
    match consumer {
        _ if first > last => {}
        None => {
            group.pending(first, last).all(|(&id, _)| write(id));
        }
        Some(None) => {}
        Some(Some(number)) => {
            group.by_number(number).pending(first, last).all(&mut write);
        }
    }
    reply.insert(mark, |reply| reply.array(written));
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("xack", -4, Family::Stream, Plan::One(xack))
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(UPDATE)
        .about("5.0.0", "Acknowledges entries for a group"),
    Row::new("xpending", -3, Family::Stream, Plan::One(xpending))
        .flags(&[Flags::READONLY])
        .keys(READ)
        .about("5.0.0", "Tells what a group has not acknowledged"),
];
