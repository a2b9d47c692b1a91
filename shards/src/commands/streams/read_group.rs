//! Reads as a consumer of a group, which remembers what it was given: XREADGROUP.

use super::read::{Options, streams, write_head, write_stream};
use super::{CONSUMER_CREATED, id, write_entry, write_fields, write_id};
use crate::commands::{Args, Flags, Group as Family, Plan, Row, Spread};
use crate::error::Error;
use crate::keyspace::Class;
use crate::shard::{Millis, Scope};
use crate::value::Stream;
use crate::value::stream::{Group, Id, Log, Pending};
use crate::waiting::Wait;
use pinion_io::resp::Reply;

const LAST: Error = Error::Text(
    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of \
     this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would \
     just return an empty result set.",
);
const TOP: Error = Error::Text(
    "ERR The + ID is meaningless in the context of XREADGROUP: you want to read the history of \
     this consumer by specifying a proper ID, or use the > ID to get new messages. The + ID would \
     just return an empty result set.",
);

/// A consumer that reads a stream.
struct Reader<'a> {
    log: &'a Log,
    group: &'a mut Group,
    consumer: u32,
    now: Millis,
}

/// `XREADGROUP GROUP group consumer [COUNT count] [BLOCK ms] [CLAIM ms] [NOACK]
/// STREAMS key [key ...] id [id ...]`
fn xreadgroup(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Option<Wait>, Error> {
    let options = Options::parse(args, true, scope.now)?;
    let names = options.group.unwrap_or_default();
    let (group, consumer) = (args.at(names), args.at(names + 1));
    let Some(after) = read_ids(scope, args, &options, reply)? else { return Ok(None) };
    let (now, mark, mut streams) = (scope.now, reply.len(), 0);
    for (index, after) in after.into_iter().enumerate() {
        let key = scope.key(options.key(args, index));
        let Some(mut open) = scope.keyspace.open::<Stream>(key, now)? else { continue };
        open.aside();
        let Stream { log, groups } = &mut *open;
        let Some(mut opened) = groups.open(group) else { continue };
        let (consumer, new) = opened.number_or_new(consumer, now);
        opened.by_number_mut(consumer).seen = now;
        let mut reader = Reader { log, group: &mut opened, consumer, now };
        let read = match after {
            None => reader.write_new(key.bytes, &options, reply),
            Some(id) => {
                write_stream(key.bytes, reply, |reply| reader.write_own(id, options.count, reply));
                true
            }
        };
        streams += usize::from(read);
        drop(opened);
        if new {
            open.notify(Class::STREAM, CONSUMER_CREATED);
        }
        if !read && !new {
            open.unchanged();
        }
    }
    if streams > 0 {
        write_head(streams, mark, reply);
        return Ok(None);
    }
    Ok(options.nothing(None, reply))
}

/// After which entry each stream is read, or none for what nobody has got; nothing where an error
/// is written, since a stream or its group is not there.
fn read_ids(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    options: &Options,
    reply: &mut Reply<'_>,
) -> Result<Option<Vec<Option<Id>>>, Error> {
    let group = args.at(options.group.unwrap_or_default());
    let mut after = Vec::with_capacity(options.streams);
    for index in 0..options.streams {
        let key = scope.key(options.key(args, index));
        let stream = scope.keyspace.read::<Stream>(key, scope.now)?;
        if stream.is_none_or(|stream| stream.groups.find(group).is_none()) {
            no_group(key.bytes, group, reply);
            return Ok(None);
        }
        after.push(match options.id(args, index) {
            b"$" => return Err(LAST),
            b"+" => return Err(TOP),
            b">" => None,
            // To Redis the largest id is `>`.
            text => Some(id(text)?).filter(|&id| id != Id::MAX),
        });
    }
    Ok(Some(after))
}

/// Replies 0 if XREADGROUP finds all streams and groups.
fn check_groups(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let options = Options::parse(args, true, scope.now)?;
    if read_ids(scope, args, &options, reply)?.is_some() {
        reply.int(0);
    }
    Ok(())
}

fn no_group(key: &[u8], group: &[u8], reply: &mut Reply<'_>) {
    let text = [
        b"NOGROUP No such key '",
        key,
        b"' or consumer group '",
        group,
        b"' in XREADGROUP with GROUP option",
    ];
    reply.error(&text.concat());
}

impl Reader<'_> {
    /// Writes what the group has not given to anybody yet, and before that what is claimed; false
    /// if there is nothing.
    fn write_new(&mut self, key: &[u8], options: &Options, reply: &mut Reply<'_>) -> bool {
        let count = options.count.unwrap_or(usize::MAX);
        let start = reply.len();
        let mut written = 0;
        write_stream(key, reply, |reply| {
            let mark = reply.len();
            if let Some(min_idle) = options.claim {
                written = self.claim(min_idle, count, reply);
            }
            written += self.deliver(count - written, options.no_ack, reply);
            reply.insert(mark, |reply| reply.array(written));
        });
        if written == 0 {
            reply.truncate(start);
            return false;
        }
        true
    }

    /// Writes up to `count` entries that nobody got yet; returns how many.
    fn deliver(&mut self, count: usize, no_ack: bool, reply: &mut Reply<'_>) -> usize {
        let Some(first) = self.group.last.next() else { return 0 };
        let mut written = 0;
        for entry in self.log.range(first, Id::MAX).take(count) {
            write_entry(&entry, reply);
            written += 1;
            let (read, last) = (self.group.read, self.group.last);
            self.group.read = self.log.count_read(read, last, entry.id);
            self.group.last = entry.id;
            if !no_ack {
                let (delivered, consumer) = (self.now, self.consumer);
                self.group.deliver(entry.id, Pending { delivered, count: 1, consumer });
                self.group.by_number_mut(consumer).active = Some(delivered);
            }
        }
        written
    }

    /// Takes over and writes up to `count` entries delivered `min_idle` or longer ago, oldest
    /// first; returns how many. Those that are deleted are forgotten instead.
    fn claim(&mut self, min_idle: Millis, count: usize, reply: &mut Reply<'_>) -> usize {
        let Some(latest) = self.now.checked_sub(min_idle) else { return 0 };
        let (mut written, mut deleted) = (0, Vec::new());
        let is_there = |id: &Id| {
            let there = self.log.contains(*id);
            if !there {
                deleted.push(*id);
            }
            there
        };
        let ids: Vec<Id> = self.group.oldest(latest).filter(is_there).take(count).collect();
        for id in deleted {
            self.group.acknowledge(id);
        }
        for id in ids {
            let Some(entry) = self.log.entry(id) else { continue };
            let Some(old) = self.group.pending_at(id) else { continue };
            reply.array(4);
            write_fields(&entry, reply);
            reply.int(self.now.saturating_sub(old.delivered) as i64);
            reply.int(old.count as i64);
            written += 1;
            let (count, consumer) = (old.count.wrapping_add(1), self.consumer);
            self.group.deliver(id, Pending { delivered: self.now, count, consumer });
            self.group.by_number_mut(consumer).active = Some(self.now);
        }
        written
    }

    /// Writes again up to `count` entries after `id` that the consumer has not acknowledged.
    fn write_own(&mut self, id: Id, count: Option<usize>, reply: &mut Reply<'_>) {
        let own = self.group.by_number(self.consumer);
        let first = id.next().unwrap_or(Id::MAX);
        let ids: Vec<Id> = own.pending(first, Id::MAX).take(count.unwrap_or(usize::MAX)).collect();
        reply.array(ids.len());
        for id in ids {
            let Some(entry) = self.log.entry(id) else {
                reply.array(2);
                write_id(id, reply);
                reply.null_array();
                continue;
            };
            write_entry(&entry, reply);
            if let Some(pending) = self.group.pending_at(id) {
                let count = pending.count.wrapping_add(1);
                self.group.deliver(id, Pending { delivered: self.now, count, ..pending });
            }
        }
    }
}

const SPREAD: Spread = Spread::Merged { check: Some(check_groups) };

/// The rows.
pub(in crate::commands) const ROWS: &[Row] =
    &[Row::new("xreadgroup", -7, Family::Stream, Plan::Wait(xreadgroup, SPREAD))
        .flags(&[Flags::WRITE, Flags::BLOCKING, Flags::MOVABLEKEYS])
        .keys(&[streams(4)])
        .about("5.0.0", "Reads entries as a consumer of a group, or waits for them")];
