//! SLOWLOG and COMMANDLOG: commands that took long, and those of large requests and replies.

use super::{Context, Job, Outcome, SessionRow, refuse_words, write_help};
use crate::errand::Errand;
use crate::slow::{Entry, Kind};
use pinion_io::resp::Reply;
use pinion_shards::commands::{Args, Flags, Group, Plan, Row};
use pinion_shards::error::Error;

/// Entries that SLOWLOG GET answers where it is not told how many.
const COUNT_USUAL: usize = 10;

/// How many entries are asked for; -1 asks for all.
fn count(args: &Args<'_>, index: usize) -> Result<usize, Error> {
    let count = args.int(index).unwrap_or(-2);
    if count == -1 {
        return Ok(usize::MAX);
    }
    let refusal = Error::Text("ERR count should be greater than or equal to -1");
    usize::try_from(count).map_err(|_| refusal)
}

fn kind(args: &Args<'_>, index: usize) -> Result<Kind, Error> {
    Kind::parse(args.at(index)).ok_or(Error::Text(
        "ERR type should be one of the following: slow, large-request, large-reply",
    ))
}

const fn ask(errand: Errand) -> Result<Outcome, Error> {
    Ok(Outcome::Start(Job::Errand(errand)))
}

/// SLOWLOG GET [count]
fn slow_get(_: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let count = match args.len() {
        2 => COUNT_USUAL,
        3 => count(args, 2)?,
        _ => return Ok(refuse_words("SLOWLOG", args, reply)),
    };
    ask(Errand::Log(Kind::Slow, count))
}

/// SLOWLOG LEN
fn slow_len(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    ask(Errand::LogLen(Kind::Slow))
}

/// SLOWLOG RESET
fn slow_reset(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    ask(Errand::LogReset(Kind::Slow))
}

/// COMMANDLOG GET count type
fn get(_: &mut Context<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    let count = count(args, 2)?;
    ask(Errand::Log(kind(args, 3)?, count))
}

/// COMMANDLOG LEN type
fn len(_: &mut Context<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    ask(Errand::LogLen(kind(args, 2)?))
}

/// COMMANDLOG RESET type
fn reset(_: &mut Context<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    ask(Errand::LogReset(kind(args, 2)?))
}

/// Writes what the cores have of a log: the newest of all, in order.
pub(crate) fn write_log(mut entries: Vec<Entry>, count: usize, reply: &mut Reply<'_>) {
    entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.id));
    entries.truncate(count);
    reply.array(entries.len());
    for entry in entries {
        reply.array(6);
        reply.int(entry.id as i64);
        reply.int((entry.at / 1000) as i64);
        reply.int(i64::try_from(entry.value).unwrap_or(i64::MAX));
        reply.array(entry.words.len());
        entry.words.iter().for_each(|word| reply.bulk(word));
        reply.bulk(entry.peer.as_bytes());
        reply.bulk(&entry.name);
    }
}

/// SLOWLOG HELP
fn slow_help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    write_help(
        reply,
        "SLOWLOG",
        &[
            "GET [<count>]",
            "    Return the newest entries, 10 of them if <count> is not given, all for -1.",
            "    An entry is: its id, when, the microseconds it took, the words, the client's",
            "    address, its name.",
            "LEN",
            "    Return how many entries there are.",
            "RESET",
            "    Forget all entries.",
        ],
    );
    Ok(Outcome::Done)
}

/// COMMANDLOG HELP
fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    write_help(
        reply,
        "COMMANDLOG",
        &[
            "GET <count> <type>",
            "    Return the newest entries of a log (slow, large-request, large-reply), all for",
            "    a count of -1. An entry is: its id, when, microseconds or bytes, the words, the",
            "    client's address, its name.",
            "LEN <type>",
            "    Return how many entries a log has.",
            "RESET <type>",
            "    Forget the entries of a log.",
        ],
    );
    Ok(Outcome::Done)
}

/// The container's name never runs alone: its arity asks for a subcommand.
fn alone(_: &mut Context<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    Err(Error::Arity(if args.is(0, "SLOWLOG") { "slowlog" } else { "commandlog" }))
}

const ADMIN: &[Flags] = &[Flags::ADMIN, Flags::LOADING, Flags::STALE];

const fn row(name: &'static str, arity: i8, flags: &[Flags]) -> Row {
    Row::new(name, arity, Group::Server, Plan::Session).flags(flags)
}

const fn help_row(name: &'static str, since: &'static str) -> Row {
    row(name, 2, &[Flags::LOADING, Flags::STALE]).about(since, "Returns help on the subcommands")
}

pub(super) static ROWS: &[SessionRow] = &[
    SessionRow::container(
        row("slowlog", -2, &[]).about("2.2.12", "A container for commands about slow commands"),
        alone,
        &[
            SessionRow::new(
                row("slowlog|get", -2, ADMIN).about("2.2.12", "Returns the slow log's entries"),
                slow_get,
            ),
            SessionRow::new(
                row("slowlog|len", 2, ADMIN).about("2.2.12", "Returns the length of the slow log"),
                slow_len,
            ),
            SessionRow::new(
                row("slowlog|reset", 2, ADMIN).about("2.2.12", "Forgets the slow log's entries"),
                slow_reset,
            ),
            SessionRow::new(help_row("slowlog|help", "6.2.0"), slow_help),
        ],
    ),
    SessionRow::container(
        row("commandlog", -2, &[])
            .about("8.1.0", "A container for commands about slow and large commands"),
        alone,
        &[
            SessionRow::new(
                row("commandlog|get", 4, ADMIN).about("8.1.0", "Returns the entries of a log"),
                get,
            ),
            SessionRow::new(
                row("commandlog|len", 3, ADMIN).about("8.1.0", "Returns the length of a log"),
                len,
            ),
            SessionRow::new(
                row("commandlog|reset", 3, ADMIN).about("8.1.0", "Forgets the entries of a log"),
                reset,
            ),
            SessionRow::new(help_row("commandlog|help", "8.1.0"), help),
        ],
    ),
];
