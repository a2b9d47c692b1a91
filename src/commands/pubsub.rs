//! SUBSCRIBE and its kin, which change what a client hears, and PUBSUB, which tells who listens.
//! PUBLISH is a row of the shards.

use super::{Context, Job, Outcome, SessionRow, check_names, write_help};
use crate::errand::Errand;
use pinion_io::resp::Reply;
use pinion_shards::channels::{Change, Kind};
use pinion_shards::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use pinion_shards::error::Error;

fn change(args: &Args<'_>, kind: Kind, joins: bool) -> Result<Outcome, Error> {
    let names = args.from(1).map(Box::from).collect();
    Ok(Outcome::Subscribe(Change { kind, joins, names }))
}

/// SUBSCRIBE channel ...
fn subscribe(_: &mut Context<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    change(args, Kind::Channel, true)
}

/// UNSUBSCRIBE [channel ...]
fn unsubscribe(_: &mut Context<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    change(args, Kind::Channel, false)
}

/// PSUBSCRIBE pattern ...
fn psubscribe(_: &mut Context<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    change(args, Kind::Pattern, true)
}

/// PUNSUBSCRIBE [pattern ...]
fn punsubscribe(_: &mut Context<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    change(args, Kind::Pattern, false)
}

/// SSUBSCRIBE channel ...
fn ssubscribe(_: &mut Context<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    change(args, Kind::Sharded, true)
}

/// SUNSUBSCRIBE [channel ...]
fn sunsubscribe(_: &mut Context<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    change(args, Kind::Sharded, false)
}

fn ask(errand: Errand) -> Result<Outcome, Error> {
    Ok(Outcome::Start(Job::Errand(errand)))
}

fn list(args: &Args<'_>, kind: Kind, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    if args.len() > 3 {
        let text = b"ERR unknown subcommand or wrong number of arguments for '";
        reply.error(&[&text[..], args.at(1), b"'. Try PUBSUB HELP."].concat());
        return Ok(Outcome::Done);
    }
    ask(Errand::Channels(kind, args.try_at(2).map(Box::from)))
}

fn count(args: &Args<'_>, kind: Kind) -> Result<Outcome, Error> {
    check_names(args)?;
    ask(Errand::Subscribers(kind, args.from(2).map(Box::from).collect()))
}

/// PUBSUB CHANNELS [pattern]
fn channels(_: &mut Context<'_>, args: &Args<'_>, out: &mut Reply<'_>) -> Result<Outcome, Error> {
    list(args, Kind::Channel, out)
}

/// PUBSUB SHARDCHANNELS [pattern]
fn shard_channels(
    _: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, Error> {
    list(args, Kind::Sharded, reply)
}

/// PUBSUB NUMSUB [channel ...]
fn numsub(_: &mut Context<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    count(args, Kind::Channel)
}

/// PUBSUB SHARDNUMSUB [channel ...]
fn shard_numsub(_: &mut Context<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    count(args, Kind::Sharded)
}

/// PUBSUB NUMPAT
fn numpat(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    ask(Errand::Patterns)
}

/// PUBSUB HELP
fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    write_help(reply, "PUBSUB", HELP);
    Ok(Outcome::Done)
}

const HELP: &[&str] = &[
    "CHANNELS [<pattern>]",
    "    Return the channels that somebody subscribes to and that fit <pattern>.",
    "NUMPAT",
    "    Return how many patterns somebody subscribes to.",
    "NUMSUB [<channel> ...]",
    "    Return how many clients subscribe to each channel, not by patterns.",
    "SHARDCHANNELS [<pattern>]",
    "    Return the sharded channels that somebody subscribes to and that fit <pattern>.",
    "SHARDNUMSUB [<shardchannel> ...]",
    "    Return how many clients subscribe to each sharded channel.",
];

/// The container's name never runs alone: its arity asks for a subcommand.
fn alone(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    Err(Error::Arity("pubsub"))
}

const LISTENS: &[Flags] = &[Flags::PUBSUB, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];
const TELLS: &[Flags] = &[Flags::PUBSUB, Flags::LOADING, Flags::STALE];
/// A sharded channel is routed as a key is.
const SHARDED: &[KeySpec] = &[KeySpec::range(1, -1, 1, &["NOT_KEY"])];

const fn row(name: &'static str, arity: i8, flags: &[Flags]) -> Row {
    Row::new(name, arity, Group::PubSub, Plan::Session).flags(flags)
}

pub(super) static ROWS: &[SessionRow] = &[
    SessionRow::new(
        row("subscribe", -2, LISTENS).about("2.0.0", "Begins to hear what channels say"),
        subscribe,
    ),
    SessionRow::new(
        row("unsubscribe", -1, LISTENS).about("2.0.0", "Ends hearing what channels say"),
        unsubscribe,
    ),
    SessionRow::new(
        row("psubscribe", -2, LISTENS).about("2.0.0", "Begins to hear all channels that fit"),
        psubscribe,
    ),
    SessionRow::new(
        row("punsubscribe", -1, LISTENS).about("2.0.0", "Ends hearing all channels that fit"),
        punsubscribe,
    ),
    SessionRow::new(
        row("ssubscribe", -2, LISTENS)
            .keys(SHARDED)
            .about("7.0.0", "Begins to hear what sharded channels say"),
        ssubscribe,
    ),
    SessionRow::new(
        row("sunsubscribe", -1, LISTENS)
            .keys(SHARDED)
            .about("7.0.0", "Ends hearing what sharded channels say"),
        sunsubscribe,
    ),
    SessionRow::container(
        row("pubsub", -2, &[]).about("2.8.0", "A container for questions about channels"),
        alone,
        SUBCOMMANDS,
    ),
];

static SUBCOMMANDS: &[SessionRow] = &[
    SessionRow::new(
        row("pubsub|channels", -2, TELLS).about("2.8.0", "Returns the channels with subscribers"),
        channels,
    ),
    SessionRow::new(
        row("pubsub|numsub", -2, TELLS).about("2.8.0", "Returns how many subscribe to channels"),
        numsub,
    ),
    SessionRow::new(
        row("pubsub|numpat", 2, TELLS).about("2.8.0", "Returns how many patterns are subscribed"),
        numpat,
    ),
    SessionRow::new(
        row("pubsub|shardchannels", -2, TELLS)
            .about("7.0.0", "Returns the sharded channels with subscribers"),
        shard_channels,
    ),
    SessionRow::new(
        row("pubsub|shardnumsub", -2, TELLS)
            .about("7.0.0", "Returns how many subscribe to sharded channels"),
        shard_numsub,
    ),
    SessionRow::new(
        row("pubsub|help", 2, &[Flags::LOADING, Flags::STALE])
            .about("6.2.0", "Returns help on the subcommands"),
        help,
    ),
];
