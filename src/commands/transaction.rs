//! MULTI, EXEC, DISCARD and UNWATCH, as far as they concern the session; what EXEC runs is up to
//! the core. WATCH is a row of the shards.

use super::{Context, Outcome, SessionRow};
use crate::dispatch::UNSAVED;
use pinion_io::resp::Reply;
use pinion_shards::commands::{Args, Flags, Group, Plan, Row};
use pinion_shards::error::Error;

/// MULTI
fn multi(at: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    if at.session.is_queuing() {
        return Err(Error::Text("ERR MULTI calls can not be nested"));
    }
    at.session.open_queue();
    reply.ok();
    Ok(Outcome::Done)
}

/// EXEC
fn exec(at: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    if !at.session.is_queuing() {
        return Err(Error::Text("ERR EXEC without MULTI"));
    }
    if at.session.is_spoiled() {
        at.session.take_queue();
        reply.error(b"EXECABORT Transaction discarded because of previous errors.");
        return Ok(Outcome::Unwatch);
    }
    let unsaved = at.server.saves.has_failed() && at.settings.snapshots.refuse_unsaved();
    if unsaved && at.session.queues_write() {
        at.session.take_queue();
        reply.error(format!("EXECABORT Transaction discarded because of: {UNSAVED}").as_bytes());
        return Ok(Outcome::Unwatch);
    }
    Ok(Outcome::Exec)
}

/// DISCARD
fn discard(at: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    if !at.session.is_queuing() {
        return Err(Error::Text("ERR DISCARD without MULTI"));
    }
    at.session.take_queue();
    reply.ok();
    Ok(Outcome::Unwatch)
}

/// UNWATCH
fn unwatch(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    reply.ok();
    Ok(Outcome::Unwatch)
}

const BASE: &[Flags] =
    &[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::FAST, Flags::ALLOW_BUSY];

const fn row(name: &'static str, flags: &[Flags]) -> Row {
    Row::new(name, 1, Group::Transactions, Plan::Session).flags(flags)
}

pub(super) static ROWS: &[SessionRow] = &[
    SessionRow::new(
        row("multi", BASE).about("1.2.0", "Begins to queue commands that EXEC runs as one"),
        multi,
    ),
    SessionRow::new(
        row("exec", &[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::SKIP_SLOWLOG])
            .about("1.2.0", "Runs all queued commands, with none of anybody else's between them"),
        exec,
    ),
    SessionRow::new(row("discard", BASE).about("2.0.0", "Forgets all queued commands"), discard),
    SessionRow::new(row("unwatch", BASE).about("2.2.0", "Forgets all watched keys"), unwatch),
];
