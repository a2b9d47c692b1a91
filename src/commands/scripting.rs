//! SCRIPT: what scripts are known, and the end of one that takes too long.

use super::{Context, Outcome, SessionRow, write_help};
use crate::scripts::{NotKilled, new_script};
use pinion_io::resp::Reply;
use pinion_lua::Interpreter;
use pinion_shards::commands::{Args, Flags, Group, Plan, Row};
use pinion_shards::error::Error;
use pinion_shards::scripts::{Library as _, digest};

/// SCRIPT LOAD script
fn load(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let (name, source) = (digest(args.at(2)), args.at(2));
    let scripts = &at.server.scripts;
    // One that is known was compiled before; from now on it stays.
    let flags = match scripts.script(&name, false) {
        Some(script) => Ok(script.flags),
        None => Interpreter::new().load(&name, source),
    };
    match flags {
        Ok(flags) => {
            scripts.add(new_script(&name, source.into(), None, flags), true);
            reply.bulk(&name);
        }
        Err(text) => reply.error(&text),
    }
    Ok(Outcome::Done)
}

/// SCRIPT EXISTS sha1 [sha1 ...]
fn exists(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    reply.array(args.len() - 2);
    for name in args.from(2) {
        let script = at.server.scripts.script(&name.to_ascii_lowercase(), false);
        reply.int(script.is_some().into());
    }
    Ok(Outcome::Done)
}

/// SCRIPT FLUSH [ASYNC | SYNC]
fn flush(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    if args.len() > 3 || args.len() == 3 && !args.is(2, "ASYNC") && !args.is(2, "SYNC") {
        return Err(Error::Text("ERR SCRIPT FLUSH only support SYNC|ASYNC option"));
    }
    at.server.scripts.flush();
    reply.ok();
    Ok(Outcome::Done)
}

/// SCRIPT KILL
fn kill(at: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    at.server.scripts.kill(false).map_err(kill_text)?;
    reply.ok();
    Ok(Outcome::Done)
}

/// What is said where nothing was ended, in Redis's words, which its clients know.
pub(super) fn kill_text(why: NotKilled) -> Error {
    Error::Text(match why {
        NotKilled::NotBusy => "NOTBUSY No scripts in execution right now.",
        NotKilled::Unkillable => {
            "UNKILLABLE Sorry the script already executed write commands against the dataset. You \
             can either wait the script termination or kill the server in a hard way using the \
             SHUTDOWN NOSAVE command."
        }
    })
}

/// SCRIPT DEBUG YES | SYNC | NO
fn debug(_: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    if args.is(2, "NO") {
        reply.ok();
        return Ok(Outcome::Done);
    }
    Err(Error::Text(if args.is(2, "YES") || args.is(2, "SYNC") {
        "ERR there is no debugger for scripts here"
    } else {
        "ERR Use SCRIPT DEBUG YES/SYNC/NO"
    }))
}

/// SCRIPT HELP
fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    write_help(
        reply,
        "SCRIPT",
        &[
            "EXISTS <sha1> [<sha1> ...]",
            "    Return which scripts are known.",
            "FLUSH [ASYNC|SYNC]",
            "    Forget all scripts.",
            "KILL",
            "    End the script that takes long, unless it has written.",
            "LOAD <script>",
            "    Keep a script, to be run by EVALSHA; return its digest.",
        ],
    );
    Ok(Outcome::Done)
}

/// The container's name never runs alone: its arity asks for a subcommand.
fn alone(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    Err(Error::Arity("script"))
}

const fn row(name: &'static str, arity: i8, flags: &[Flags]) -> Row {
    Row::new(name, arity, Group::Scripting, Plan::Session).flags(flags)
}

const PLAIN: &[Flags] = &[Flags::NOSCRIPT];

pub(super) static ROWS: &[SessionRow] = &[SessionRow::container(
    row("script", -2, &[]).about("2.6.0", "A container for commands about scripts"),
    alone,
    &[
        SessionRow::new(
            row("script|load", 3, &[Flags::NOSCRIPT, Flags::STALE])
                .about("2.6.0", "Keeps a script, to be run by its digest"),
            load,
        ),
        SessionRow::new(
            row("script|exists", -3, PLAIN).about("2.6.0", "Returns which scripts are known"),
            exists,
        ),
        SessionRow::new(
            row("script|flush", -2, PLAIN).about("2.6.0", "Forgets all scripts"),
            flush,
        ),
        SessionRow::new(
            row("script|kill", 2, &[Flags::NOSCRIPT, Flags::ALLOW_BUSY])
                .about("2.6.0", "Ends the script that takes long"),
            kill,
        ),
        SessionRow::new(
            row("script|debug", 3, PLAIN).about("3.2.0", "Sets how scripts are debugged"),
            debug,
        ),
        SessionRow::new(
            row("script|help", 2, &[Flags::LOADING, Flags::STALE])
                .about("5.0.0", "Returns help on the subcommands"),
            help,
        ),
    ],
)];
