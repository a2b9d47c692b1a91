//! DEBUG: the few tricks that test suites of clients need.

use super::{Context, Job, Outcome, SessionRow, refuse_words, write_help};
use crate::config::{Settings, parse_bytes};
use crate::errand::Errand;
use crate::session::Session;
use pinion_io::resp::{Protocol, Reply};
use pinion_shards::commands::{Args, Flags, Group, Plan, Row, parse_int};
use pinion_shards::error::Error;
use pinion_shards::limits::STRING_BYTES_MAX;
use std::time::Duration;

/// What DEBUG QUICKLIST-PACKED-THRESHOLD takes at most: 1 MiB less than 4 GiB, as in Redis.
const PLAIN_BYTES_MAX: u64 = (1 << 32) - (1 << 20);

/// Longest sleep of DEBUG SLEEP, in seconds.
const SLEEP_SECONDS_MAX: f64 = 3600.0;

/// Refuses DEBUG to those who may not use it (`enable-debug-command`), wherever it runs.
pub(crate) fn check_allowed(session: &Session, settings: &Settings) -> Result<(), Error> {
    if settings.debug_command.allows(session.peer.is_local()) {
        return Ok(());
    }
    Err(Error::Text(
        "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", \
         you can run it from a local connection, otherwise you need to set this option in the \
         configuration file, and then restart the server.",
    ))
}

/// DEBUG subcommand ...; those that ask for keys run on the shards instead.
fn debug(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, Error> {
    check_allowed(context.session, context.settings)?;
    if args.len() == 2 && args.is(1, "HELP") {
        write_help(reply, "DEBUG", HELP);
    } else if args.len() == 3 && args.is(1, "SLEEP") {
        return Ok(Outcome::Start(Job::Sleep(seconds(args.at(2)))));
    } else if args.len() == 3 && args.is(1, "SET-ACTIVE-EXPIRE") {
        let enabled = args.int(2).is_ok_and(|word| word != 0);
        return Ok(Outcome::Start(Job::Errand(Errand::SetActiveExpiry(enabled))));
    } else if args.len() == 3 && args.is(1, "PROTOCOL") {
        write_sample(args, reply)?;
    } else if args.len() == 3 && args.is(1, "ERROR") {
        reply.error(args.at(2));
    } else if args.len() == 3 && args.is(1, "QUICKLIST-PACKED-THRESHOLD") {
        set_plain_bytes(context, args.at(2))?;
        reply.ok();
    } else if args.len() == 2 && args.is(1, "CONFIG-REWRITE-FORCE-ALL") {
        return super::config::write_file(context, true, reply);
    } else if args.len() == 2 && args.is(1, "CLIENT-EVICTION") {
        write_client_memory(context, reply)?;
    } else if is_nothing(args) {
        reply.ok();
    } else if args.is(1, "RELOAD") {
        check_alone(context)?;
        return reload(args);
    } else if (3..=5).contains(&args.len()) && args.is(1, "POPULATE") {
        check_alone(context)?;
        return populate(args);
    } else if (3..=4).contains(&args.len()) && args.is(1, "HTSTATS") {
        write_tables(context, args, reply)?;
    } else if args.len() == 2 && args.is(1, "LOADAOF") {
        return Err(Error::Text("ERR this server has no append-only file yet"));
    } else if args.len() == 3 && args.is(1, "LOG") {
        tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(args.at(2)));
        reply.ok();
    } else {
        return Ok(refuse_words("DEBUG", args, reply));
    }
    Ok(Outcome::Done)
}

/// Refuses in EXEC what needs all keys for itself: EXEC holds some.
fn check_alone(context: &Context<'_>) -> Result<(), Error> {
    if context.session.is_in_exec() { Err(IN_EXEC) } else { Ok(()) }
}

const IN_EXEC: Error = Error::Text("ERR this is not supported inside MULTI by this server");

/// Keys to be made.
#[derive(Clone, Debug)]
pub struct Population {
    /// How many.
    pub keys: u64,
    /// What their names begin with, before `:` and a number.
    pub prefix: Vec<u8>,
    /// Bytes of each value; 0 for as many as there is to say.
    pub size: u64,
}

/// DEBUG POPULATE count [prefix] [size]
fn populate(args: &Args<'_>) -> Result<Outcome, Error> {
    let number = |index, max| match args.try_at(index).map(parse_int) {
        None => Ok(0),
        Some(Some(number)) if (0..=max).contains(&number) => Ok(number as u64),
        _ => Err(Error::Text("ERR value is out of range, must be positive")),
    };
    let (keys, size) = (number(2, i64::MAX)?, number(4, STRING_BYTES_MAX as i64)?);
    let prefix = args.try_at(3).unwrap_or(b"key").to_vec();
    Ok(Outcome::Start(Job::Populate(Population { keys, prefix, size })))
}

/// DEBUG HTSTATS db [FULL]
fn write_tables(
    context: &Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let db = args.int(2)?;
    if !u64::try_from(db).is_ok_and(|db| db < context.settings.databases) {
        return Err(Error::Text("ERR Out of range database"));
    }
    let text =
        "[Dictionary HT]\nTables grow by segments, and none is ever rehashed.\n[Expires HT]\n";
    reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

/// DEBUG RELOAD [NOSAVE] [NOFLUSH] [MERGE]
fn reload(args: &Args<'_>) -> Result<Outcome, Error> {
    let (mut save, mut flush) = (true, true);
    for index in 2..args.len() {
        match () {
            () if args.is(index, "NOSAVE") => save = false,
            () if args.is(index, "NOFLUSH") => flush = false,
            () if args.is(index, "MERGE") => {
                return Err(Error::Text(
                    "ERR MERGE is not there: a key that comes twice is an error",
                ));
            }
            () => {
                let text = "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.";
                return Err(Error::Text(text));
            }
        }
    }
    Ok(Outcome::Start(Job::Reload { save, flush }))
}

/// True for what tunes parts of Redis that are not here, and has nothing to do.
fn is_nothing(args: &Args<'_>) -> bool {
    let is_number = |index| args.int(index).is_ok();
    match args.len() {
        2 => args.is(1, "CHANGE-REPL-ID"),
        3 => {
            let switches = ["PAUSE-CRON", "DICT-RESIZING", "SET-DISABLE-DENY-SCRIPTS"];
            switches.iter().any(|name| args.is(1, name)) && is_number(2)
        }
        4 => {
            args.is(1, "REPLYBUFFER")
                && (args.is(2, "PEAK-RESET-TIME")
                    && (args.is(3, "NEVER") || args.is(3, "RESET") || is_number(3))
                    || args.is(2, "RESIZING") && is_number(3))
        }
        _ => false,
    }
}

/// Tells how much memory clients may take.
fn write_client_memory(context: &Context<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let limit = context.settings.clients_bytes_max();
    let limit = limit.ok_or(Error::Text("ERR maxmemory-clients is disabled."))?;
    let all = context.server.client_bytes();
    reply.verbatim(b"txt", format!("maxmemory-clients: {limit}\nclients: {all}\n").as_bytes());
    Ok(())
}

/// Sets from how many bytes on an element of a long list stands alone; 0 for where it does by
/// itself.
fn set_plain_bytes(context: &Context<'_>, word: &[u8]) -> Result<(), Error> {
    let text = std::str::from_utf8(word).ok();
    let bytes = text.and_then(parse_bytes).filter(|&bytes| bytes <= PLAIN_BYTES_MAX);
    let bytes = bytes.ok_or(Error::Text(
        "ERR argument must be a memory value bigger than 1 and smaller than 4gb",
    ))?;
    let min = if bytes == 0 { usize::MAX } else { bytes as usize };
    context.server.config.update(|settings| settings.encodings.list_plain_bytes_min = min);
    Ok(())
}

/// A number of seconds as C reads one: what is no number is none.
fn seconds(word: &[u8]) -> Duration {
    let seconds: f64 = std::str::from_utf8(word).ok().and_then(|w| w.parse().ok()).unwrap_or(0.0);
    let bounded = if seconds.is_nan() { 0.0 } else { seconds.clamp(0.0, SLEEP_SECONDS_MAX) };
    Duration::from_secs_f64(bounded)
}

/// Writes a reply of the type that is asked for, the same that Redis writes.
fn write_sample(args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let is = |word| args.is(2, word);
    let three = reply.protocol() == Protocol::Resp3;
    if is("STRING") {
        reply.bulk(b"Hello World");
    } else if is("INTEGER") {
        reply.int(12_345);
    } else if is("DOUBLE") {
        // Redis's sample is not the number pi cut short, and the lint would have it so.
        reply.double(3141.0 / 1000.0);
    } else if is("NULL") {
        reply.null();
    } else if is("ARRAY") {
        reply.array(3);
        (0..3).for_each(|value| reply.int(value));
    } else if is("SET") {
        reply.set(3);
        (0..3).for_each(|value| reply.int(value));
    } else if is("MAP") {
        reply.map(3);
        for value in 0..3 {
            reply.int(value);
            reply.bool(value == 1);
        }
    } else if is("ATTRIB") {
        if three {
            reply.raw(b"|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n");
        }
        reply.bulk(b"Some real reply following the attribute");
    } else if is("PUSH") {
        if !three {
            return Err(Error::Text("ERR RESP2 is not supported by this command"));
        }
        reply.bulk(b"Some real reply following the push reply");
        reply.push(2);
        reply.bulk(b"server-cpu-usage");
        reply.int(42);
    } else if is("VERBATIM") {
        reply.verbatim(b"txt", b"This is a verbatim\nstring");
    } else if is("TRUE") || is("FALSE") {
        reply.bool(is("TRUE"));
    } else if is("BIGNUM") {
        reply.big_number("1234567999999999999999999999999999999");
    } else {
        return Err(Error::Text(
            "ERR Wrong protocol type name. Please use one of the following: string|integer|\
             double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
        ));
    }
    Ok(())
}

const HELP: &[&str] = &[
    "CHANGE-REPL-ID",
    "    Accepted, and nothing changes: there is no replication.",
    "CLIENT-EVICTION",
    "    Show what clients take together, and what they may.",
    "CONFIG-REWRITE-FORCE-ALL",
    "    As CONFIG REWRITE, with every parameter.",
    "DICT-RESIZING (0|1)",
    "    Accepted, and nothing changes: tables grow by segments.",
    "PAUSE-CRON (0|1)",
    "    Accepted, and nothing changes.",
    "REPLYBUFFER (PEAK-RESET-TIME|RESIZING) <value>",
    "    Accepted, and nothing changes: an idle client holds no buffer.",
    "DIGEST",
    "    Digest all keys with their values: equal for equal contents, however they are held.",
    "DIGEST-VALUE <key> [<key> ...]",
    "    Digest the value of each key.",
    "ERROR <string>",
    "    Answer this error.",
    "HTSTATS <db> [FULL]",
    "    Say that there are no tables of the kind that this is about.",
    "LOG <message>",
    "    Write <message> to the server's log.",
    "OBJECT <key>",
    "    Show how a value is held.",
    "POPULATE <count> [<prefix>] [<size>]",
    "    Make keys <prefix>:<number> that are not there, with values of so many bytes.",
    "PROTOCOL <type>",
    "    Answer a sample: string, integer, double, bignum, null, array, set, map, attrib, push,",
    "    verbatim, true, false.",
    "QUICKLIST-PACKED-THRESHOLD <size>",
    "    Let elements of long lists stand alone from so many bytes on; 0 for the usual size.",
    "SET-ACTIVE-EXPIRE (0|1)",
    "    Stop or start removing keys at their time though nobody asks for them.",
    "SLEEP <seconds>",
    "    Answer after so long; other clients are served meanwhile. Decimals are allowed.",
];

pub(super) static ROWS: &[SessionRow] = &[SessionRow::new(
    Row::new("debug", -2, Group::Server, Plan::Session)
        .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE])
        .about("1.0.0", "A container for commands that help to test"),
    debug,
)];

#[cfg(test)]
mod tests {
    use super::seconds;
    use std::time::Duration;

    #[test]
    fn any_word_is_a_bounded_time() {
        for (word, millis) in
            [("0.1", 100), ("0", 0), ("x", 0), ("-1", 0), ("nan", 0), ("inf", 3_600_000)]
        {
            assert_eq!(seconds(word.as_bytes()), Duration::from_millis(millis), "{word}");
        }
    }
}
