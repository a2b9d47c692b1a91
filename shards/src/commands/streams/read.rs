//! Reads what comes after given ids in several streams, and waits for it: XREAD.

use super::{id, write_entry};
use crate::commands::{Args, Find, Flags, Group, KeySpec, Others, Plan, Row, Spread, parse_int};
use crate::error::Error;
use crate::shard::{Millis, Scope};
use crate::value::Stream;
use crate::value::stream::{Id, IdText, Log};
use crate::waiting::{Null, Wait};
use pinion_io::resp::{Protocol, Reply};

/// The words of XREAD and XREADGROUP before the ids.
#[derive(Default)]
pub(super) struct Options {
    /// Entries of each stream, at most.
    pub(super) count: Option<usize>,
    /// Waits until this time, or for ever.
    block: Option<Option<Millis>>,
    /// Where the names of the group and the consumer stand.
    pub(super) group: Option<usize>,
    pub(super) no_ack: bool,
    /// Claims entries that were delivered so many milliseconds ago, too.
    pub(super) claim: Option<Millis>,
    /// Where the first key stands.
    first: usize,
    /// How many keys there are; as many ids follow.
    pub(super) streams: usize,
}

impl Options {
    /// Reads the words; `groups` for XREADGROUP.
    pub(super) fn parse(args: &Args<'_>, groups: bool, now: Millis) -> Result<Self, Error> {
        let (mut options, mut at) = (Self::default(), 1);
        while at < args.len() {
            let more = args.len() - at - 1;
            if args.is(at, "BLOCK") && more > 0 {
                options.block = Some(deadline(args.at(at + 1), now)?);
                at += 2;
            } else if args.is(at, "COUNT") && more > 0 {
                let count = args.int(at + 1)?;
                options.count = usize::try_from(count).ok().filter(|&count| count > 0);
                at += 2;
            } else if args.is(at, "STREAMS") && more > 0 {
                options.first = at + 1;
                break;
            } else if args.is(at, "GROUP") && more >= 2 {
                only_in_groups(groups, ONLY_GROUP)?;
                options.group = Some(at + 1);
                at += 3;
            } else if args.is(at, "NOACK") {
                only_in_groups(groups, ONLY_NOACK)?;
                options.no_ack = true;
                at += 1;
            } else if args.is(at, "CLAIM") && more > 0 {
                only_in_groups(groups, ONLY_CLAIM)?;
                options.claim = Some(min_idle(args.at(at + 1))?);
                at += 2;
            } else {
                return Err(Error::Syntax);
            }
        }
        options.count_streams(args, groups)?;
        Ok(options)
    }

    fn count_streams(&mut self, args: &Args<'_>, groups: bool) -> Result<(), Error> {
        let words = match self.first {
            0 => return Err(Error::Syntax),
            first => args.len() - first,
        };
        if !words.is_multiple_of(2) {
            return Err(if groups { UNBALANCED_GROUP } else { UNBALANCED });
        }
        if groups && self.group.is_none() {
            return Err(Error::Text("ERR Missing GROUP option for XREADGROUP"));
        }
        self.streams = words / 2;
        Ok(())
    }

    /// The key of a stream.
    pub(super) fn key<'k>(&self, args: &Args<'k>, index: usize) -> &'k [u8] {
        args.at(self.first + index)
    }

    /// The id that goes with it, as it is written.
    pub(super) fn id<'k>(&self, args: &Args<'k>, index: usize) -> &'k [u8] {
        args.at(self.first + self.streams + index)
    }

    /// Ends a command that found nothing: with what it waits for, if it does, or with a null.
    pub(super) fn nothing(
        &self,
        words: Option<Vec<Vec<u8>>>,
        reply: &mut Reply<'_>,
    ) -> Option<Wait> {
        let Some(until) = self.block else {
            reply.null_array();
            return None;
        };
        Some(Wait { until, null: Null::Array, words, until_gone: self.group.is_some() })
    }
}

const ONLY_GROUP: &str =
    "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.";
const ONLY_NOACK: &str =
    "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.";
const ONLY_CLAIM: &str =
    "ERR The CLAIM option is only supported by XREADGROUP. You called XREAD instead.";
const UNBALANCED: Error = Error::Text(
    "ERR Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must be \
     specified.",
);
const UNBALANCED_GROUP: Error = Error::Text(
    "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be \
     specified.",
);

fn only_in_groups(groups: bool, text: &'static str) -> Result<(), Error> {
    if groups { Ok(()) } else { Err(Error::Text(text)) }
}

/// The time that a wait of so many milliseconds ends; 0 is for ever.
fn deadline(text: &[u8], now: Millis) -> Result<Option<Millis>, Error> {
    let ms = parse_int(text).ok_or(Error::Text("ERR timeout is not an integer or out of range"))?;
    let ms = Millis::try_from(ms).map_err(|_| Error::Text("ERR timeout is negative"))?;
    if ms > i64::MAX as u64 - now {
        return Err(Error::Text("ERR timeout is out of range"));
    }
    Ok((ms > 0).then_some(now + ms))
}

fn min_idle(text: &[u8]) -> Result<Millis, Error> {
    let ms = parse_int(text)
        .ok_or(Error::Text("ERR min-idle-time is not an integer or out of range"))?;
    Millis::try_from(ms).map_err(|_| Error::Text("ERR min-idle-time must be a positive integer"))
}

/// Writes what one stream of several has, its key first.
pub(super) fn write_stream(
    key: &[u8],
    reply: &mut Reply<'_>,
    entries: impl FnOnce(&mut Reply<'_>),
) {
    if reply.protocol() == Protocol::Resp2 {
        reply.array(2);
    }
    reply.bulk(key);
    entries(reply);
}

/// Puts the head before what `streams` streams have.
pub(super) fn write_head(streams: usize, mark: usize, reply: &mut Reply<'_>) {
    reply.insert(mark, |reply| match reply.protocol() {
        Protocol::Resp2 => reply.array(streams),
        Protocol::Resp3 => reply.map(streams),
    });
}

/// After which id XREAD reads.
fn after(log: Option<&Log>, text: &[u8]) -> Result<Id, Error> {
    let last = log.map_or(Id::MIN, Log::last);
    match text {
        b"$" => Ok(last),
        b"+" => {
            // Right before the last entry there is; none will do where there is none.
            let top = log.and_then(|log| log.range(Id::MIN, Id::MAX).next_back());
            Ok(top.and_then(|entry| entry.id.prev()).unwrap_or(last))
        }
        b">" => Err(Error::Text(
            "ERR The > ID can be specified only when calling XREADGROUP using the \
             GROUP <group> <consumer> option.",
        )),
        text => id(text),
    }
}

/// `XREAD [COUNT count] [BLOCK ms] STREAMS key [key ...] id [id ...]`.
fn xread(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Option<Wait>, Error> {
    let options = Options::parse(args, false, scope.now)?;
    let mut ids = Vec::with_capacity(options.streams);
    for index in 0..options.streams {
        let key = scope.key(options.key(args, index));
        let stream = scope.keyspace.read::<Stream>(key, scope.now)?;
        ids.push(after(stream.map(|stream| &stream.log), options.id(args, index))?);
    }
    let (mark, mut streams) = (reply.len(), 0);
    for (index, &id) in ids.iter().enumerate() {
        let key = scope.key(options.key(args, index));
        // A hit or a miss again, as Redis counts it, which looks for the id first as well.
        let stream = scope.keyspace.read::<Stream>(key, scope.now)?;
        if let Some(stream) = stream
            && let Some(first) = id.next()
        {
            let (log, count) = (&stream.log, options.count);
            streams += usize::from(write_after(log, key.bytes, first, count, reply));
        }
    }
    if streams > 0 {
        write_head(streams, mark, reply);
        return Ok(None);
    }
    // A command tried again looks for what came since it first did.
    let words = options.block.is_some().then(|| {
        let mut words: Vec<Vec<u8>> = args.from(0).map(<[u8]>::to_vec).collect();
        let written = words.len() - ids.len();
        for (word, id) in words[written..].iter_mut().zip(&ids) {
            *word = id.text(&mut IdText::default()).to_vec();
        }
        words
    });
    Ok(options.nothing(words, reply))
}

/// Writes what a stream has from `first` on; false if that is nothing.
fn write_after(
    log: &Log,
    key: &[u8],
    first: Id,
    count: Option<usize>,
    reply: &mut Reply<'_>,
) -> bool {
    let mut entries = log.range(first, Id::MAX).take(count.unwrap_or(usize::MAX)).peekable();
    if entries.peek().is_none() {
        return false;
    }
    write_stream(key, reply, |reply| {
        let (mark, mut written) = (reply.len(), 0);
        for entry in entries {
            write_entry(&entry, reply);
            written += 1;
        }
        reply.insert(mark, |reply| reply.array(written));
    });
    true
}

/// The keys of the first half of the words after STREAMS, which clients may look for from index
/// `from` on.
pub(super) const fn streams(from: u8) -> KeySpec {
    const OTHERS: Others = &[("GROUP", 2), ("COUNT", 1), ("BLOCK", 1), ("CLAIM", 1)];
    let find = Find::Range { last: -1, step: 1, limit: 2 };
    KeySpec::after("STREAMS", (from, OTHERS), find, &["RO", "ACCESS"])
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] =
    &[Row::new("xread", -4, Group::Stream, Plan::Wait(xread, Spread::Merged { check: None }))
        .flags(&[Flags::READONLY, Flags::BLOCKING, Flags::MOVABLEKEYS])
        .keys(&[streams(1)])
        .about("5.0.0", "Reads entries after given ids of several streams, or waits for them")];
