//! Takes over what other consumers have not acknowledged: XCLAIM, XAUTOCLAIM.

use super::{CONSUMER_CREATED, DELETE, UPDATE, id, no_group, start, write_entry, write_id};
use crate::commands::{Args, Flags, Group as Family, Plan, Row, parse_int};
use crate::error::Error;
use crate::keyspace::Class;
use crate::limits::STREAM_CLAIM_MAX;
use crate::shard::{Millis, Scope};
use crate::value::Stream;
use crate::value::stream::{Group, Id, Log, Pending};
use pinion_io::resp::Reply;

/// Who claims, and what becomes of what is claimed.
struct Claim {
    consumer: u32,
    now: Millis,
    min_idle: Millis,
    /// The new time of delivery.
    delivered: Millis,
    /// The new number of deliveries; one more where none is given.
    count: Option<u64>,
    /// Ids are told, without their entries, and deliveries are not counted.
    just_id: bool,
}

impl Claim {
    /// Takes over one pending entry and writes it; false if it is not idle enough.
    fn take(
        &self,
        group: &mut Group,
        log: &Log,
        (id, old): (Id, Option<Pending>),
        reply: &mut Reply<'_>,
    ) -> bool {
        if old.is_some_and(|old| self.now.saturating_sub(old.delivered) < self.min_idle) {
            return false;
        }
        let before = old.map_or(1, |old| old.count);
        let more = u64::from(!self.just_id);
        let count = self.count.unwrap_or(before.wrapping_add(more));
        let (delivered, consumer) = (self.delivered, self.consumer);
        group.deliver(id, Pending { delivered, count, consumer });
        group.by_number_mut(consumer).active = Some(self.now);
        match log.entry(id).filter(|_| !self.just_id) {
            Some(entry) => write_entry(&entry, reply),
            None => write_id(id, reply),
        }
        true
    }
}

/// The options of XCLAIM.
#[derive(Default)]
struct Options {
    /// IDLE or TIME: the time of delivery.
    delivered: Option<i64>,
    count: Option<u64>,
    force: bool,
    just_id: bool,
    last: Id,
}

impl Options {
    /// Reads `[IDLE ms] [TIME ms] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID id]` from `at` on;
    /// with the word that is none of them.
    fn parse<'k>(args: &Args<'k>, mut at: usize, now: Millis) -> Result<Self, Refused<'k>> {
        let mut options = Self::default();
        let int = |at: usize, text| parse_int(args.at(at)).ok_or(Refused::As(Error::Text(text)));
        while at < args.len() {
            let more = at + 1 < args.len();
            at += 1;
            if args.is(at - 1, "FORCE") {
                options.force = true;
                continue;
            }
            if args.is(at - 1, "JUSTID") {
                options.just_id = true;
                continue;
            }
            if args.is(at - 1, "IDLE") && more {
                let idle = int(at, "ERR Invalid IDLE option argument for XCLAIM")?;
                options.delivered = Some((now as i64).wrapping_sub(idle));
            } else if args.is(at - 1, "TIME") && more {
                options.delivered = Some(int(at, "ERR Invalid TIME option argument for XCLAIM")?);
            } else if args.is(at - 1, "RETRYCOUNT") && more {
                let count = int(at, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
                options.count = u64::try_from(count).ok();
            } else if args.is(at - 1, "LASTID") && more {
                options.last = id(args.at(at)).map_err(Refused::As)?;
            } else {
                return Err(Refused::Unknown(args.at(at - 1)));
            }
            at += 1;
        }
        Ok(options)
    }

    /// When the entries count as delivered: not before the epoch, nor after now.
    fn delivered(&self, now: Millis) -> Millis {
        let given = self.delivered.and_then(|at| Millis::try_from(at).ok());
        given.filter(|&at| at <= now).unwrap_or(now)
    }
}

/// Why options are refused.
enum Refused<'k> {
    /// So.
    As(Error),
    /// This word is no option.
    Unknown(&'k [u8]),
}

fn min_idle(text: &[u8], error: &'static str) -> Result<Millis, Error> {
    let ms = parse_int(text).ok_or(Error::Text(error))?;
    Ok(Millis::try_from(ms).unwrap_or(0))
}

/// `XCLAIM key group consumer min-idle-ms id [id ...] [IDLE ms] [TIME ms] [RETRYCOUNT count]
/// [FORCE] [JUSTID] [LASTID id]`
fn xclaim(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (key, now) = (scope.first(args), scope.now);
    let stream = scope.keyspace.read::<Stream>(key, now)?;
    if stream.is_none_or(|stream| stream.groups.find(args.at(2)).is_none()) {
        no_group(key.bytes, args.at(2), reply);
        return Ok(());
    }
    let min_idle = min_idle(args.at(4), "ERR Invalid min-idle-time argument for XCLAIM")?;
    let ids: Vec<Id> = args.from(5).map_while(|text| id(text).ok()).collect();
    let options = match Options::parse(args, 5 + ids.len(), now) {
        Ok(options) => options,
        Err(Refused::As(error)) => return Err(error),
        Err(Refused::Unknown(word)) => {
            reply.error(&[b"ERR Unrecognized XCLAIM option '", word, b"'"].concat());
            return Ok(());
        }
    };
    let Some(mut stream) = scope.keyspace.open::<Stream>(key, now)? else { return Ok(()) };
    stream.aside();
    let Stream { log, groups } = &mut *stream;
    let Some(mut group) = groups.open(args.at(2)) else { return Ok(()) };
    let mut changed = options.last > group.last;
    group.last = group.last.max(options.last);
    let (consumer, new) = group.number_or_new(args.at(3), now);
    group.by_number_mut(consumer).seen = now;
    changed |= new;
    let delivered = options.delivered(now);
    let (count, just_id) = (options.count, options.just_id);
    let claim = Claim { consumer, now, min_idle, delivered, count, just_id };
    let (mark, mut written) = (reply.len(), 0);
    for id in ids {
        let old = group.pending_at(id);
        if !log.contains(id) {
            changed |= group.acknowledge(id);
        } else if old.is_some() || options.force {
            written += usize::from(claim.take(&mut group, log, (id, old), reply));
        }
    }
    reply.insert(mark, |reply| reply.array(written));
    drop(group);
    if new {
        stream.notify(Class::STREAM, CONSUMER_CREATED);
    }
    if !changed && written == 0 {
        stream.unchanged();
    }
    Ok(())
}

/// Pending entries that XAUTOCLAIM looks at for each that it may claim.
const LOOKS_PER_CLAIM: usize = 10;

/// `[COUNT count] [JUSTID]` of XAUTOCLAIM.
fn auto_options(args: &Args<'_>) -> Result<(usize, bool), Error> {
    let (mut count, mut just_id, mut at) = (100, false, 6);
    while at < args.len() {
        if args.is(at, "COUNT") && at + 1 < args.len() {
            let given = parse_int(args.at(at + 1)).and_then(|count| usize::try_from(count).ok());
            count = given
                .filter(|count| (1..=STREAM_CLAIM_MAX).contains(count))
                .ok_or(Error::Text("ERR COUNT must be > 0"))?;
            at += 2;
        } else if args.is(at, "JUSTID") {
            just_id = true;
            at += 1;
        } else {
            return Err(Error::Syntax);
        }
    }
    Ok((count, just_id))
}

/// `XAUTOCLAIM key group consumer min-idle-ms start [COUNT count] [JUSTID]`.
fn xautoclaim(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let min_idle = min_idle(args.at(4), "ERR Invalid min-idle-time argument for XAUTOCLAIM")?;
    let from = start(args.at(5))?;
    let (count, just_id) = auto_options(args)?;
    let (key, now) = (scope.first(args), scope.now);
    let stream = scope.keyspace.read::<Stream>(key, now)?;
    if stream.is_none_or(|stream| stream.groups.find(args.at(2)).is_none()) {
        no_group(key.bytes, args.at(2), reply);
        return Ok(());
    }
    let Some(mut stream) = scope.keyspace.open::<Stream>(key, now)? else { return Ok(()) };
    stream.aside();
    let Stream { log, groups } = &mut *stream;
    let Some(mut group) = groups.open(args.at(2)) else { return Ok(()) };
    let (consumer, new) = group.number_or_new(args.at(3), now);
    group.by_number_mut(consumer).seen = now;
    let claim = Claim { consumer, now, min_idle, delivered: now, count: None, just_id };
    let (mark, mut claimed, mut deleted) = (reply.len(), 0, Vec::new());
    let (mut looks, mut next) = (count.saturating_mul(LOOKS_PER_CLAIM), Some(from));
    while let Some(at) = next {
        let found = group.pending(at, Id::MAX).next().map(|(&id, &old)| (id, old));
        next = found.map(|(id, _)| id);
        let Some((id, old)) = found else { break };
        if looks == 0 || claimed + deleted.len() == count {
            break;
        }
        looks -= 1;
        if log.contains(id) {
            claimed += usize::from(claim.take(&mut group, log, (id, Some(old)), reply));
        } else {
            group.acknowledge(id);
            deleted.push(id);
        }
        next = id.next();
    }
    reply.insert(mark, |reply| {
        reply.array(3);
        write_id(next.unwrap_or(Id::MIN), reply);
        reply.array(claimed);
    });
    reply.array(deleted.len());
    deleted.iter().for_each(|&id| write_id(id, reply));
    drop(group);
    if new {
        stream.notify(Class::STREAM, CONSUMER_CREATED);
    }
    if !new && claimed == 0 && deleted.is_empty() {
        stream.unchanged();
    }
    Ok(())
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("xclaim", -6, Family::Stream, Plan::One(xclaim))
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(UPDATE)
        .about("5.0.0", "Gives unacknowledged entries to another consumer"),
    Row::new("xautoclaim", -6, Family::Stream, Plan::One(xautoclaim))
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(DELETE)
        .about("6.2.0", "Gives entries that are unacknowledged for long to another consumer"),
];
