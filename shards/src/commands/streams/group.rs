//! Groups of consumers, made and removed: XGROUP.

use super::{CONSUMER_CREATED, id, no_such_form, no_such_group, second};
use crate::commands::{Args, Flags, Group as Family, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::{Class, Open};
use crate::shard::Scope;
use crate::value::Stream;
use crate::value::stream::{Group, Id, Log};
use pinion_io::resp::Reply;

const NO_KEY: Error = Error::Text(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to \
     use the MKSTREAM option to create an empty stream automatically.",
);
const BUSY: Error = Error::Text("BUSYGROUP Consumer Group name already exists");
const NEGATIVE_READ: Error = Error::Text("ERR value for ENTRIESREAD must be positive or -1");

/// What may stand after the id.
#[derive(Default)]
struct Options {
    make: bool,
    read: Option<u64>,
}

impl Options {
    /// Reads `[MKSTREAM] [ENTRIESREAD count]`; MKSTREAM only where `make` says so. None if a word
    /// fits nothing.
    fn parse(args: &Args<'_>, make: bool) -> Result<Option<Self>, Error> {
        let (mut options, mut at) = (Self::default(), 5);
        while at < args.len() {
            if make && args.is(at, "MKSTREAM") {
                options.make = true;
                at += 1;
            } else if args.is(at, "ENTRIESREAD") && at + 1 < args.len() {
                let read = args.int(at + 1)?;
                if read < -1 {
                    return Err(NEGATIVE_READ);
                }
                options.read = u64::try_from(read).ok();
                at += 2;
            } else {
                return Ok(None);
            }
        }
        Ok(Some(options))
    }
}

/// Words of XGROUP CREATE and SETID, at most: options may be repeated only as far as that.
const CREATE_WORDS_MAX: usize = 8;
const SET_ID_WORDS_MAX: usize = 7;

/// An id, or `$`: the last one of the stream.
fn last_or_id(log: &Log, text: &[u8]) -> Result<Id, Error> {
    if text == b"$" { Ok(log.last()) } else { id(text) }
}

/// Opens a stream that must be there.
fn open<'a>(scope: &'a mut Scope<'_>, args: &Args<'a>) -> Result<Open<'a, Stream>, Error> {
    let (key, now) = (second(scope, args), scope.now);
    let mut stream = scope.keyspace.open::<Stream>(key, now)?.ok_or(NO_KEY)?;
    stream.aside();
    Ok(stream)
}

/// Opens a stream that must be there and have the group named in the words; says so if it has not.
fn open_with_group<'a>(
    scope: &'a mut Scope<'_>,
    args: &Args<'a>,
    reply: &mut Reply<'_>,
) -> Result<Option<Open<'a, Stream>>, Error> {
    let mut stream = open(scope, args)?;
    if stream.groups.find(args.at(3)).is_some() {
        return Ok(Some(stream));
    }
    stream.unchanged();
    no_such_group(args.at(2), args.at(3), reply);
    Ok(None)
}

/// `XGROUP CREATE key group id | $ [MKSTREAM] [ENTRIESREAD count]`.
fn create(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let Some(options) = Options::parse(args, true)? else {
        no_such_form("XGROUP", args, reply);
        return Ok(());
    };
    let mut stream = if options.make {
        let (key, now) = (second(scope, args), scope.now);
        let mut stream = scope.keyspace.open_or_new::<Stream>(key, now)?;
        stream.aside();
        stream
    } else {
        open(scope, args)?
    };
    if args.len() > CREATE_WORDS_MAX {
        stream.unchanged();
        no_such_form("XGROUP", args, reply);
        return Ok(());
    }
    let last = last_or_id(&stream.log, args.at(4)).inspect_err(|_| stream.unchanged())?;
    if !stream.groups.add(args.at(3), Group::new(last, options.read)) {
        stream.unchanged();
        return Err(BUSY);
    }
    stream.notify(Class::STREAM, "xgroup-create");
    reply.ok();
    Ok(())
}

/// `XGROUP SETID key group id | $ [ENTRIESREAD count]`.
fn set_id(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let Some(options) = Options::parse(args, false)? else {
        no_such_form("XGROUP", args, reply);
        return Ok(());
    };
    let Some(mut stream) = open_with_group(scope, args, reply)? else { return Ok(()) };
    if args.len() > SET_ID_WORDS_MAX {
        stream.unchanged();
        no_such_form("XGROUP", args, reply);
        return Ok(());
    }
    let last = match args.at(4) {
        // Unlike CREATE, it takes the ends of intervals as well.
        b"-" => Ok(Id::MIN),
        b"+" => Ok(Id::MAX),
        text => last_or_id(&stream.log, text),
    };
    let last = last.inspect_err(|_| stream.unchanged())?;
    if let Some(mut group) = stream.groups.open(args.at(3)) {
        group.last = last;
        group.read = options.read;
    }
    stream.notify(Class::STREAM, "xgroup-setid");
    reply.ok();
    Ok(())
}

/// `XGROUP DESTROY key group`.
fn destroy(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let mut stream = open(scope, args)?;
    let removed = stream.groups.remove(args.at(3));
    if removed {
        stream.notify(Class::STREAM, "xgroup-destroy");
    } else {
        stream.unchanged();
    }
    reply.int(i64::from(removed));
    Ok(())
}

/// `XGROUP CREATECONSUMER key group consumer`.
fn create_consumer(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let now = scope.now;
    let Some(mut stream) = open_with_group(scope, args, reply)? else { return Ok(()) };
    let group = stream.groups.open(args.at(3));
    let new = group.is_some_and(|mut group| group.number_or_new(args.at(4), now).1);
    if new {
        stream.notify(Class::STREAM, CONSUMER_CREATED);
    } else {
        stream.unchanged();
    }
    reply.int(i64::from(new));
    Ok(())
}

/// `XGROUP DELCONSUMER key group consumer`.
fn delete_consumer(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let Some(mut stream) = open_with_group(scope, args, reply)? else { return Ok(()) };
    let group = stream.groups.open(args.at(3));
    let pending = group.and_then(|mut group| group.remove_consumer(args.at(4)));
    if pending.is_some() {
        stream.notify(Class::STREAM, "xgroup-delconsumer");
    } else {
        stream.unchanged();
    }
    reply.int(pending.unwrap_or(0) as i64);
    Ok(())
}

/// `XGROUP HELP`.
fn help(_: &mut Scope<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    const LINES: &[&str] = &[
        "XGROUP <subcommand> [<arg> ...]. Subcommands are:",
        "CREATE <key> <group> <id | $> [MKSTREAM] [ENTRIESREAD <count>]",
        "    Adds a group that reads entries after the id; $ is the last one there is.",
        "    MKSTREAM adds the stream where there is none; ENTRIESREAD says how many",
        "    entries were ever added up to the id.",
        "CREATECONSUMER <key> <group> <consumer>",
        "    Adds a consumer to a group.",
        "DELCONSUMER <key> <group> <consumer>",
        "    Removes a consumer and what it has not acknowledged.",
        "DESTROY <key> <group>",
        "    Removes a group.",
        "SETID <key> <group> <id | $> [ENTRIESREAD <count>]",
        "    Has a group read the entries after the id next.",
        "HELP",
        "    These lines.",
    ];
    reply.array(LINES.len());
    LINES.iter().for_each(|line| reply.simple(line));
    Ok(())
}

const INSERT: &[KeySpec] = &[KeySpec::one(2, &["RW", "INSERT"])];
const UPDATE: &[KeySpec] = &[KeySpec::one(2, &["RW", "UPDATE"])];
const DELETE: &[KeySpec] = &[KeySpec::one(2, &["RW", "DELETE"])];

const XGROUP: &[Row] = &[
    Row::new("xgroup|create", -5, Family::Stream, Plan::One(create))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(INSERT)
        .about("5.0.0", "Adds a group of consumers to a stream"),
    Row::new("xgroup|createconsumer", 5, Family::Stream, Plan::One(create_consumer))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(INSERT)
        .about("6.2.0", "Adds a consumer to a group"),
    Row::new("xgroup|delconsumer", 5, Family::Stream, Plan::One(delete_consumer))
        .flags(&[Flags::WRITE])
        .keys(DELETE)
        .about("5.0.0", "Removes a consumer from a group"),
    Row::new("xgroup|destroy", 4, Family::Stream, Plan::One(destroy))
        .flags(&[Flags::WRITE])
        .keys(DELETE)
        .about("5.0.0", "Removes a group of consumers"),
    Row::new("xgroup|help", 2, Family::Stream, Plan::One(help))
        .flags(&[Flags::LOADING, Flags::STALE])
        .about("5.0.0", "Explains the subcommands"),
    Row::new("xgroup|setid", -5, Family::Stream, Plan::One(set_id))
        .flags(&[Flags::WRITE])
        .keys(UPDATE)
        .about("5.0.0", "Sets the id after which a group reads next"),
];

/// The rows.
pub(in crate::commands) const ROWS: &[Row] =
    &[Row::new("xgroup", -2, Family::Stream, Plan::Container(XGROUP))
        .about("5.0.0", "Adds, changes and removes groups of consumers")];
