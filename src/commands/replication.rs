//! Commands about replicas, of which there are none: what can be said of that.

use super::{Context, Outcome, SessionRow};
use pinion_io::resp::Reply;
use pinion_shards::commands::{
    ADMINISTRATION, Args, CONNECTION, DANGEROUS, Flags, Group, Plan, Row, parse_int,
};
use pinion_shards::error::Error;

/// What is answered to those who would have this server follow another, or follow it.
const NOT_YET: Error = Error::Text("ERR replication is not supported by this server yet");

/// REPLICAOF host port | NO ONE, and SLAVEOF
fn replicaof(
    _: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, Error> {
    if args.is(1, "NO") && args.is(2, "ONE") {
        // It follows nobody as it is.
        reply.ok();
        return Ok(Outcome::Done);
    }
    match parse_int(args.at(2)) {
        Some(0..=65_535) => Err(NOT_YET),
        _ => Err(Error::Text("ERR Invalid master port")),
    }
}

/// FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]
fn failover(_: &mut Context<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    let mut index = 1;
    while index < args.len() {
        let more = args.len() - 1 - index;
        if args.is(index, "TO") && more >= 2 {
            args.int(index + 2)?;
            index += 3;
        } else if args.is(index, "TIMEOUT") && more >= 1 {
            if args.int(index + 1)? <= 0 {
                return Err(Error::Text("ERR FAILOVER timeout must be greater than 0"));
            }
            index += 2;
        } else if args.is(index, "ABORT") && args.len() == 2 {
            return Err(Error::Text("ERR No failover in progress."));
        } else if args.is(index, "FORCE") {
            index += 1;
        } else {
            return Err(Error::Syntax);
        }
    }
    Err(Error::Text("ERR FAILOVER requires connected replicas."))
}

/// ROLE
fn role(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    reply.array(3);
    reply.bulk(b"master");
    reply.int(0);
    reply.array(0);
    Ok(Outcome::Done)
}

/// A time to wait, in milliseconds.
fn timeout(args: &Args<'_>, index: usize) -> Result<(), Error> {
    let refusal = Error::Text("ERR timeout is not an integer or out of range");
    match parse_int(args.at(index)).ok_or(refusal)? {
        ..0 => Err(Error::Text("ERR timeout is negative")),
        _ => Ok(()),
    }
}

/// WAIT replicas milliseconds: there are none, and nobody waits for what cannot come.
fn wait(_: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    args.int(1)?;
    timeout(args, 2)?;
    reply.int(0);
    Ok(Outcome::Done)
}

/// WAITAOF local replicas milliseconds
fn waitaof(_: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let local = args.int(1)?;
    if !(0..=1).contains(&local) {
        return Err(Error::Text("ERR value is out of range, value must between 0 and 1"));
    }
    if parse_int(args.at(2)).is_none_or(|replicas| replicas < 0) {
        return Err(Error::Text("ERR value is out of range, must be positive"));
    }
    timeout(args, 3)?;
    if local > 0 {
        return Err(Error::Text(
            "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
        ));
    }
    reply.array(2);
    reply.int(0);
    reply.int(0);
    Ok(Outcome::Done)
}

/// REPLCONF option value ...: what a replica tells of itself.
fn replconf(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    Err(NOT_YET)
}

/// PSYNC replicationid offset, and SYNC
fn psync(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    Err(NOT_YET)
}

const fn row(name: &'static str, arity: i8, flags: &[Flags]) -> Row {
    Row::new(name, arity, Group::Server, Plan::Session).flags(flags)
}

const fn waits(name: &'static str, arity: i8) -> Row {
    Row::new(name, arity, Group::Generic, Plan::Session)
        .flags(&[Flags::BLOCKING])
        .categories(CONNECTION)
}

const FOLLOW: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT, Flags::STALE];
const STREAM: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT, Flags::NO_MULTI];

pub(super) static ROWS: &[SessionRow] = &[
    SessionRow::new(
        row("replicaof", 3, FOLLOW).about("5.0.0", "Has the server follow another, or none"),
        replicaof,
    ),
    SessionRow::new(
        row("slaveof", 3, FOLLOW).about("1.0.0", "Has the server follow another, or none"),
        replicaof,
    ),
    SessionRow::new(
        row("failover", -1, FOLLOW).about("6.2.0", "Hands over to a replica"),
        failover,
    ),
    SessionRow::new(
        row("role", 1, &[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::FAST])
            .categories(ADMINISTRATION | DANGEROUS)
            .about("2.8.12", "Returns whether the server leads or follows"),
        role,
    ),
    SessionRow::new(
        waits("wait", 3).about("3.0.0", "Waits until replicas have what was written"),
        wait,
    ),
    SessionRow::new(
        waits("waitaof", 4).about("7.2.0", "Waits until what was written is on disk"),
        waitaof,
    ),
    SessionRow::new(
        row(
            "replconf",
            -1,
            &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::ALLOW_BUSY],
        )
        .about("3.0.0", "Tells of a replica"),
        replconf,
    ),
    SessionRow::new(row("psync", -3, STREAM).about("2.8.0", "Asks for what was written"), psync),
    SessionRow::new(row("sync", 1, STREAM).about("1.0.0", "Asks for everything"), psync),
];
