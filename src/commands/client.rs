//! CLIENT: what a client tells of itself, and what it may ask about others.

use super::client_list::{Filter, KillReply, line, parse_kill, parse_list};
use super::{
    CLIENT_NAME_BYTES_MAX, Context, Job, Outcome, SessionRow, refuse_words, tracking, write_help,
};
use crate::errand::{ClientView, Errand};
use crate::session::ReplyMode;
use pinion_io::resp::Reply;
use pinion_shards::Retire;
use pinion_shards::commands::{Args, Flags, Group, Plan, Row, parse_int};
use pinion_shards::error::Error;

/// A name of a client, if it is one: printable, and without spaces.
pub(super) fn check_name(name: &[u8]) -> Result<&[u8], Error> {
    if name.len() > CLIENT_NAME_BYTES_MAX {
        Err(Error::Text("ERR Client names cannot be longer than 64 KiB."))
    } else if name.iter().all(u8::is_ascii_graphic) {
        Ok(name)
    } else {
        Err(Error::Text("ERR Client names cannot contain spaces, newlines or special characters."))
    }
}

/// CLIENT ID
fn id(at: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    reply.int(at.session.id as i64);
    Ok(Outcome::Done)
}

/// CLIENT INFO
fn info(at: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    reply.verbatim(b"txt", own_line(at).as_bytes());
    Ok(Outcome::Done)
}

/// The line about the client that asks.
pub(super) fn own_line(at: &mut Context<'_>) -> String {
    let now = at.now;
    let (mut kill, mut unblock) = (false, None);
    let view = ClientView {
        session: at.session,
        input_bytes: 0,
        output_bytes: 0,
        kill: &mut kill,
        is_blocked: false,
        is_postponed: false,
        unblock: &mut unblock,
    };
    line(&view, now)
}

/// CLIENT LIST [TYPE type | ID id ... | filter value ...]
fn list(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    match parse_list(args, at.session.id, &at.server.acl)? {
        Ok(filter) => Ok(Outcome::Start(Job::Errand(Errand::ClientList(filter)))),
        Err(text) => {
            reply.error(&text);
            Ok(Outcome::Done)
        }
    }
}

/// CLIENT KILL address | filter value ...
fn kill(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    if args.len() == 3 {
        let address = String::from_utf8_lossy(args.at(2)).into_owned();
        let filter = Filter { address: Some(address), ..Filter::default() };
        let kill = Errand::ClientKill(filter, KillReply::Ok);
        return Ok(Outcome::Start(Job::Errand(kill)));
    }
    match parse_kill(args, at.session.id, &at.server.acl)? {
        Ok(filter) => {
            let kill = Errand::ClientKill(filter, KillReply::Count);
            Ok(Outcome::Start(Job::Errand(kill)))
        }
        Err(text) => {
            reply.error(&text);
            Ok(Outcome::Done)
        }
    }
}

/// Longest pause, in milliseconds: beyond it the sum with the clock has no meaning.
const PAUSE_MS_MAX: i64 = i64::MAX / 2;

/// CLIENT PAUSE milliseconds [WRITE | ALL]
fn pause(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let all = match args.len() {
        3 => true,
        4 if args.is(3, "WRITE") => false,
        4 if args.is(3, "ALL") => true,
        4 => return Err(Error::Text("ERR CLIENT PAUSE mode must be WRITE or ALL")),
        _ => return Ok(refuse_words("CLIENT", args, reply)),
    };
    let ms = parse_int(args.at(2))
        .ok_or(Error::Text("ERR timeout is not an integer or out of range"))?;
    if ms < 0 {
        return Err(Error::Text("ERR timeout is negative"));
    }
    if ms > PAUSE_MS_MAX {
        return Err(Error::Text("ERR timeout is out of range"));
    }
    Ok(Outcome::Start(Job::Errand(Errand::Pause(at.now + ms as u64, all))))
}

/// CLIENT UNPAUSE
fn unpause(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    Ok(Outcome::Start(Job::Errand(Errand::Unpause)))
}

/// CLIENT UNBLOCK id [TIMEOUT | ERROR]
fn unblock(_: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let why = match args.len() {
        3 => Retire::TimedOut,
        4 if args.is(3, "TIMEOUT") => Retire::TimedOut,
        4 if args.is(3, "ERROR") => Retire::Unblocked,
        4 => return Err(Error::Text("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
        _ => return Ok(refuse_words("CLIENT", args, reply)),
    };
    let Ok(id) = u64::try_from(args.int(2)?) else {
        reply.int(0);
        return Ok(Outcome::Done);
    };
    Ok(Outcome::Start(Job::Errand(Errand::ClientUnblock(id, why))))
}

/// CLIENT SETNAME name
fn setname(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    at.session.name = check_name(args.at(2))?.into();
    reply.ok();
    Ok(Outcome::Done)
}

/// CLIENT GETNAME
fn getname(at: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    if at.session.name.is_empty() {
        reply.null();
    } else {
        reply.bulk(&at.session.name);
    }
    Ok(Outcome::Done)
}

/// CLIENT SETINFO LIB-NAME name | LIB-VER version
fn setinfo(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let is_name = args.is(2, "LIB-NAME");
    if !is_name && !args.is(2, "LIB-VER") {
        reply.error(&[b"ERR Unrecognized option '", args.at(2), b"'"].concat());
        return Ok(Outcome::Done);
    }
    let text = args.at(3);
    if text.len() > CLIENT_NAME_BYTES_MAX {
        return Err(Error::Text("ERR Client attributes cannot be longer than 64 KiB."));
    }
    if !text.iter().all(u8::is_ascii_graphic) {
        let rest = b" cannot contain spaces, newlines or special characters.";
        reply.error(&[b"ERR ", args.at(2), rest.as_slice()].concat());
        return Ok(Outcome::Done);
    }
    let text = String::from_utf8_lossy(text).into_owned();
    let library = at.session.library.get_or_insert_default();
    if is_name {
        library.0 = text;
    } else {
        library.1 = text;
    }
    reply.ok();
    Ok(Outcome::Done)
}

/// CLIENT NO-EVICT ON | OFF
fn no_evict(
    at: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, Error> {
    at.session.no_evict = on_or_off(args)?;
    reply.ok();
    Ok(Outcome::Done)
}

/// CLIENT NO-TOUCH ON | OFF
fn no_touch(
    at: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, Error> {
    at.session.no_touch = on_or_off(args)?;
    reply.ok();
    Ok(Outcome::Done)
}

fn on_or_off(args: &Args<'_>) -> Result<bool, Error> {
    if args.is(2, "ON") {
        Ok(true)
    } else if args.is(2, "OFF") {
        Ok(false)
    } else {
        Err(Error::Syntax)
    }
}

/// CLIENT REPLY ON | OFF | SKIP
fn reply_mode(
    at: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, Error> {
    if args.is(2, "ON") {
        at.session.reply_mode = ReplyMode::On;
        reply.ok();
    } else if args.is(2, "OFF") {
        at.session.reply_mode = ReplyMode::Off;
    } else if args.is(2, "SKIP") {
        if at.session.reply_mode != ReplyMode::Off {
            at.session.reply_mode = ReplyMode::SkipNext;
        }
    } else {
        return Err(Error::Syntax);
    }
    Ok(Outcome::Done)
}

/// CLIENT HELP
fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    write_help(reply, "CLIENT", HELP);
    Ok(Outcome::Done)
}

const HELP: &[&str] = &[
    "GETNAME",
    "    Return the name of this connection.",
    "ID",
    "    Return the id of this connection.",
    "INFO",
    "    Return a line about this connection.",
    "KILL <ip:port>",
    "    Close the connection made from <ip:port>.",
    "KILL <option> <value> [<option> <value> [...]]",
    "    Close connections. Options are:",
    "    * ADDR (<ip:port>|<unixsocket>:0)",
    "      The client's end.",
    "    * LADDR (<ip:port>|<unixsocket>:0)",
    "      The server's end.",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      What the client is.",
    "    * USER <username>",
    "      The user it authenticated as.",
    "    * SKIPME (YES|NO)",
    "      Leave this connection out (default: yes).",
    "    * ID <client-id> [<client-id> ...]",
    "      Its id is one of these.",
    "    * MAXAGE <maxage>",
    "      Connected for at least this many seconds.",
    "LIST [options ...]",
    "    Return a line about each connection. Options are:",
    "    * those of KILL; SKIPME is NO if not given.",
    "CACHING (YES|NO)",
    "    Say whether the keys of the next command will be cached (OPTIN or OPTOUT).",
    "GETREDIR",
    "    Return the id of the client that hears what this connection caches.",
    "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
    "         [OPTIN] [OPTOUT] [NOLOOP]",
    "    Tell this connection when keys change that it has read.",
    "TRACKINGINFO",
    "    Return what this connection is told of changed keys.",
    "NO-EVICT (ON|OFF)",
    "    Keep this connection when client memory runs short.",
    "NO-TOUCH (ON|OFF)",
    "    Do not count this connection's reads as use of a key.",
    "PAUSE <timeout> [WRITE|ALL]",
    "    Have commands wait for so many milliseconds: those that write, or all.",
    "REPLY (ON|OFF|SKIP)",
    "    Choose which replies this connection gets.",
    "SETINFO <option> <value>",
    "    Tell of the client library. Options are:",
    "    * LIB-NAME: its name.",
    "    * LIB-VER: its version.",
    "SETNAME <name>",
    "    Name this connection.",
    "UNBLOCK <clientid> [TIMEOUT|ERROR]",
    "    End the wait of a connection whose command waits for a key.",
    "UNPAUSE",
    "    End what PAUSE began.",
];

const USUAL: &[Flags] = &[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];
const ADMIN: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];

const fn row(name: &'static str, arity: i8, flags: &[Flags]) -> Row {
    Row::new(name, arity, Group::Connection, Plan::Session).flags(flags)
}

/// The container's name never runs alone: its arity asks for a subcommand.
fn alone(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    Err(Error::Arity("client"))
}

pub(super) static ROWS: &[SessionRow] = &[SessionRow::container(
    row("client", -2, &[]).about("2.4.0", "A container for commands about connections"),
    alone,
    SUBCOMMANDS,
)];

static SUBCOMMANDS: &[SessionRow] = &[
    SessionRow::new(row("client|id", 2, USUAL).about("5.0.0", "Returns the connection's id"), id),
    SessionRow::new(
        row("client|info", 2, USUAL).about("6.2.0", "Returns a line about the connection"),
        info,
    ),
    SessionRow::new(
        row("client|list", -2, ADMIN).about("2.4.0", "Returns a line about each connection"),
        list,
    ),
    SessionRow::new(row("client|kill", -3, ADMIN).about("2.4.0", "Closes connections"), kill),
    SessionRow::new(
        row("client|setname", 3, USUAL).about("2.6.9", "Names the connection"),
        setname,
    ),
    SessionRow::new(
        row("client|getname", 2, USUAL).about("2.6.9", "Returns the connection's name"),
        getname,
    ),
    SessionRow::new(
        row("client|setinfo", 4, USUAL).about("7.2.0", "Tells of the client's library"),
        setinfo,
    ),
    SessionRow::new(
        row("client|no-evict", 3, ADMIN)
            .about("7.0.0", "Keeps the connection when client memory runs short"),
        no_evict,
    ),
    SessionRow::new(
        row("client|no-touch", 3, USUAL)
            .about("7.2.0", "Stops counting the connection's reads as use of a key"),
        no_touch,
    ),
    SessionRow::new(
        row("client|reply", 3, USUAL).about("3.2.0", "Chooses which replies the connection gets"),
        reply_mode,
    ),
    SessionRow::new(
        row("client|unblock", -3, ADMIN).about("5.0.0", "Ends the wait of another connection"),
        unblock,
    ),
    SessionRow::new(
        row("client|pause", -3, ADMIN).about("3.0.0", "Has commands wait for a time"),
        pause,
    ),
    SessionRow::new(
        row("client|unpause", 2, ADMIN).about("6.2.0", "Ends the pause of commands"),
        unpause,
    ),
    SessionRow::new(
        row("client|tracking", -3, USUAL)
            .about("6.0.0", "Tells the connection of changes to keys that it caches"),
        tracking::tracking,
    ),
    SessionRow::new(
        row("client|caching", 3, USUAL)
            .about("6.0.0", "Says whether the next command's keys will be cached"),
        tracking::caching,
    ),
    SessionRow::new(
        row("client|getredir", 2, USUAL)
            .about("6.0.0", "Returns which client hears what the connection caches"),
        tracking::getredir,
    ),
    SessionRow::new(
        row("client|trackinginfo", 2, USUAL)
            .about("6.2.0", "Returns what the connection is told of changed keys"),
        tracking::trackinginfo,
    ),
    SessionRow::new(
        row("client|help", 2, &[Flags::LOADING, Flags::STALE])
            .about("5.0.0", "Returns help on the subcommands"),
        help,
    ),
];
