//! Commands about snapshots, and about the end of the server, before which one may be taken.

use super::{Context, Job, Outcome, SessionRow};
use crate::snapshot::Stop;
use pinion_io::resp::Reply;
use pinion_shards::commands::{ADMINISTRATION, Args, DANGEROUS, Flags, Group, Plan, Row};
use pinion_shards::error::Error;

const UNDER_WAY: Error = Error::Text("ERR Background save already in progress");
const NO_NAME: Error = Error::Text("ERR dbfilename is empty: there is no file to save to");
const NO_JOURNAL: Error = Error::Text("ERR this server has no append-only file yet");

/// Takes the right to save; the job that has it gives it back.
fn begin(at: &Context<'_>, in_background: bool) -> Result<Outcome, Error> {
    if at.settings.snapshots.names().is_none() {
        return Err(NO_NAME);
    }
    if at.server.saves.begin(at.now, in_background) {
        Ok(Outcome::Start(Job::Save { in_background }))
    } else {
        Err(UNDER_WAY)
    }
}

/// SAVE
fn save(at: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    begin(at, false)
}

/// BGSAVE [SCHEDULE]
fn bgsave(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    if args.len() > 1 && !(args.len() == 2 && args.is(1, "SCHEDULE")) {
        return Err(Error::Syntax);
    }
    if !at.session.is_in_exec() {
        return begin(at, true);
    }
    if at.server.saves.is_under_way() {
        return Err(UNDER_WAY);
    }
    // The snapshot is a transaction of its own, which comes behind the one that asks for it.
    at.server.saves.schedule();
    reply.simple("Background saving scheduled");
    Ok(Outcome::Done)
}

/// BGREWRITEAOF
fn bgrewriteaof(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    Err(NO_JOURNAL)
}

/// LASTSAVE
fn lastsave(at: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    reply.int((at.server.saves.status().last / 1000) as i64);
    Ok(Outcome::Done)
}

/// SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT]
fn shutdown(_: &mut Context<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    let (mut save, mut nosave, mut abort) = (false, false, false);
    let mut stop = Stop::default();
    for index in 1..args.len() {
        match () {
            () if args.is(index, "SAVE") => save = true,
            () if args.is(index, "NOSAVE") => nosave = true,
            () if args.is(index, "NOW") => stop.now = true,
            () if args.is(index, "FORCE") => stop.force = true,
            () if args.is(index, "ABORT") => abort = true,
            () => return Err(Error::Syntax),
        }
    }
    if save && nosave || abort && (save || nosave || stop != Stop::default()) {
        return Err(Error::Syntax);
    }
    if abort {
        // A stop waits for no replica, and cannot be called back.
        return Err(Error::Text("ERR No shutdown in progress."));
    }
    stop.save = (save || nosave).then_some(save);
    Ok(Outcome::Start(Job::Stop(stop)))
}

const fn row(name: &'static str, arity: i8, flags: &[Flags]) -> Row {
    Row::new(name, arity, Group::Server, Plan::Session).flags(flags)
}

const WRITE: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT];

pub(super) static ROWS: &[SessionRow] = &[
    SessionRow::new(
        row("save", 1, &[Flags::ADMIN, Flags::NOSCRIPT, Flags::NO_MULTI])
            .about("1.0.0", "Writes a snapshot before it answers"),
        save,
    ),
    SessionRow::new(row("bgsave", -1, WRITE).about("1.0.0", "Has a snapshot written"), bgsave),
    SessionRow::new(
        row("bgrewriteaof", 1, WRITE).about("1.0.0", "Has the append-only file written anew"),
        bgrewriteaof,
    ),
    SessionRow::new(
        row("lastsave", 1, &[Flags::LOADING, Flags::STALE, Flags::FAST])
            .categories(ADMINISTRATION | DANGEROUS)
            .about("1.0.0", "Returns when a snapshot was last written"),
        lastsave,
    ),
    SessionRow::new(
        row(
            "shutdown",
            -1,
            &[
                Flags::ADMIN,
                Flags::NOSCRIPT,
                Flags::LOADING,
                Flags::STALE,
                Flags::NO_MULTI,
                Flags::ALLOW_BUSY,
            ],
        )
        .about("1.0.0", "Stops the server"),
        shutdown,
    ),
];
