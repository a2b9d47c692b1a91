//! Commands about the connection itself: who speaks, in which protocol, to which database.

use super::client::own_line;
use super::{Context, Outcome, SessionRow, client};
use crate::acl::{self, Reason, Refused};
use crate::server::REDIS_VERSION;
use pinion_io::resp::{Protocol, Reply};
use pinion_shards::commands::{Args, Flags, Group, Plan, Row, parse_int};
use pinion_shards::error::Error;

/// PING [message]
fn ping(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    match args.len() {
        1 | 2 if at.session.is_listening() => {
            reply.array(2);
            reply.bulk(b"pong");
            reply.bulk(args.try_at(1).unwrap_or_default());
        }
        1 => reply.simple("PONG"),
        2 => reply.bulk(args.at(1)),
        _ => return Err(Error::Arity("ping")),
    }
    Ok(Outcome::Done)
}

/// ECHO message
fn echo(_: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    reply.bulk(args.at(1));
    Ok(Outcome::Done)
}

/// SELECT index
fn select(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let db = args.int(1)?;
    if i32::try_from(db).is_err() {
        return Err(Error::Text(
            "ERR value is out of range, value must between -2147483648 and 2147483647",
        ));
    }
    if !u64::try_from(db).is_ok_and(|db| db < at.settings.databases) {
        return Err(Error::DatabaseIndex);
    }
    at.session.db = db as u16;
    reply.ok();
    Ok(Outcome::Done)
}

/// QUIT
fn quit(at: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    at.session.closing = true;
    reply.ok();
    Ok(Outcome::Done)
}

/// RESET
fn reset(at: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    at.session.reset(&at.server.acl);
    reply.simple("RESET");
    Ok(Outcome::Reset)
}

/// AUTH [username] password
fn auth(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let (user, password) = match args.len() {
        2 if at.server.acl.users().default_user().has_no_password() => {
            return Err(Error::Text(
                "ERR AUTH <password> called without any password configured for the default \
                 user. Are you sure your configuration is correct?",
            ));
        }
        2 => (acl::DEFAULT, args.at(1)),
        3 => (args.at(1), args.at(2)),
        _ => return Err(Error::Syntax),
    };
    authenticate(at, args, user, password)?;
    reply.ok();
    Ok(Outcome::Done)
}

/// Lets the client in as this user if the password is right and the user is on.
fn authenticate(
    at: &mut Context<'_>,
    args: &Args<'_>,
    user: &[u8],
    password: &[u8],
) -> Result<(), Error> {
    let known = at.server.acl.users().find(user).cloned();
    if let Some(known) = known.filter(|known| known.lets_in(password)) {
        at.session.login.enter(known);
        return Ok(());
    }
    let context = if at.session.is_queuing() { "multi" } else { "toplevel" };
    let client = own_line(at);
    let refused = Refused { reason: Reason::Auth, context, object: args.at(0), user, client };
    at.server.acl.refuse(refused, at.now, at.settings);
    Err(Error::Text("WRONGPASS invalid username-password pair or user is disabled."))
}

/// HELLO [protocol [AUTH username password] [SETNAME name]]
fn hello(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let protocol = match args.try_at(1).map(parse_int) {
        None => at.session.protocol,
        Some(Some(2)) => Protocol::Resp2,
        Some(Some(3)) => Protocol::Resp3,
        Some(Some(_)) => return Err(Error::Text("NOPROTO unsupported protocol version")),
        Some(None) => {
            return Err(Error::Text("ERR Protocol version is not an integer or out of range"));
        }
    };
    let (mut login, mut name) = (None, None);
    let mut index = 2;
    while index < args.len() {
        let more = args.len() - 1 - index;
        if args.is(index, "AUTH") && more >= 2 {
            login = Some((args.at(index + 1), args.at(index + 2)));
            index += 3;
        } else if args.is(index, "SETNAME") && more >= 1 {
            name = Some(client::check_name(args.at(index + 1))?);
            index += 2;
        } else {
            let text = [b"ERR Syntax error in HELLO option '", args.at(index), b"'"].concat();
            reply.error(&text);
            return Ok(Outcome::Done);
        }
    }
    if let Some((user, password)) = login {
        authenticate(at, args, user, password)?;
    }
    if at.session.login.is_locked_out() {
        return Err(Error::Text(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the \
             HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and \
             select the RESP protocol version at the same time",
        ));
    }
    if let Some(name) = name {
        at.session.name = name.into();
    }
    at.session.protocol = protocol;
    write_hello(at, reply);
    Ok(Outcome::Done)
}

/// Writes the answer to HELLO, already in the protocol that it brings.
fn write_hello(at: &Context<'_>, reply: &mut Reply<'_>) {
    let protocol = at.session.protocol;
    let mut out = Vec::with_capacity(160);
    let mut hello = Reply::new(&mut out, protocol);
    hello.map(7);
    for (key, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        hello.bulk(key.as_bytes());
        hello.bulk(value.as_bytes());
    }
    hello.bulk(b"proto");
    hello.int(if protocol == Protocol::Resp3 { 3 } else { 2 });
    hello.bulk(b"id");
    hello.int(at.session.id as i64);
    for (key, value) in [("mode", "standalone"), ("role", "master")] {
        hello.bulk(key.as_bytes());
        hello.bulk(value.as_bytes());
    }
    hello.bulk(b"modules");
    hello.array(0);
    reply.raw(&out);
}

const ENTRY: &[Flags] = &[
    Flags::NOSCRIPT,
    Flags::LOADING,
    Flags::STALE,
    Flags::FAST,
    Flags::NO_AUTH,
    Flags::ALLOW_BUSY,
];
const QUICK: &[Flags] = &[Flags::LOADING, Flags::STALE, Flags::FAST];

const fn row(name: &'static str, arity: i8, flags: &[Flags]) -> Row {
    Row::new(name, arity, Group::Connection, Plan::Session).flags(flags)
}

pub(super) static ROWS: &[SessionRow] = &[
    SessionRow::new(
        row("ping", -1, &[Flags::FAST]).about("1.0.0", "Answers, to show that the server lives"),
        ping,
    ),
    SessionRow::new(row("echo", 2, QUICK).about("1.0.0", "Returns the given string"), echo),
    SessionRow::new(row("select", 2, QUICK).about("1.0.0", "Changes the database"), select),
    SessionRow::new(row("quit", -1, ENTRY).about("1.0.0", "Closes the connection"), quit),
    SessionRow::new(
        row("reset", 1, ENTRY).about("6.2.0", "Makes the connection as if it were new"),
        reset,
    ),
    SessionRow::new(row("auth", -2, ENTRY).about("1.0.0", "Authenticates the connection"), auth),
    SessionRow::new(
        row("hello", -1, ENTRY).about("6.0.0", "Agrees on a protocol, and tells of the server"),
        hello,
    ),
];
