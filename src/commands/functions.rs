//! FUNCTION: libraries of functions, and the end of a function that takes too long.

use super::scripting::kill_text;
use super::{Context, Outcome, SessionRow, write_help};
use crate::scripts::Meet;
use pinion_io::resp::Reply;
use pinion_rdb::Reader;
use pinion_rdb::write;
use pinion_shards::commands::{Args, Flags, Group, Plan, Row};
use pinion_shards::error::Error;
use pinion_shards::glob;
use pinion_shards::snapshot::{seal, unsealed};

/// What stands before each library in a dump: the opcode of snapshots.
const LIBRARY: u8 = 245;

/// FUNCTION LOAD [REPLACE] code
fn load(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let code = args.at(args.len() - 1);
    let mut meet = Meet::Refuse;
    for option in args.from(2).take(args.len() - 3) {
        if !option.eq_ignore_ascii_case(b"REPLACE") {
            reply.error(&[b"ERR Unknown option given: ", option].concat());
            return Ok(Outcome::Done);
        }
        meet = Meet::Replace;
    }
    match at.server.scripts.add_libraries(&[code], meet) {
        Ok(name) => reply.bulk(&name),
        Err(text) => reply.error(&text),
    }
    at.server.saves.note_change();
    Ok(Outcome::Done)
}

/// FUNCTION DELETE library-name
fn delete(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    if !at.server.scripts.drop_library(args.at(2)) {
        return Err(Error::Text("ERR Library not found"));
    }
    at.server.saves.note_change();
    reply.ok();
    Ok(Outcome::Done)
}

/// FUNCTION FLUSH [ASYNC | SYNC]
fn flush(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    if args.len() > 3 || args.len() == 3 && !args.is(2, "ASYNC") && !args.is(2, "SYNC") {
        return Err(Error::Text("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"));
    }
    at.server.scripts.flush_libraries();
    at.server.saves.note_change();
    reply.ok();
    Ok(Outcome::Done)
}

/// FUNCTION LIST [LIBRARYNAME pattern] [WITHCODE]
fn list(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let (mut pattern, mut with_code, mut index) = (None, false, 2);
    while index < args.len() {
        if !with_code && args.is(index, "WITHCODE") {
            with_code = true;
        } else if pattern.is_none() && args.is(index, "LIBRARYNAME") {
            index += 1;
            let none = Error::Text("ERR library name argument was not given");
            pattern = Some(args.try_at(index).ok_or(none)?);
        } else {
            reply.error(&[b"ERR Unknown argument ", args.at(index)].concat());
            return Ok(Outcome::Done);
        }
        index += 1;
    }
    let mut libraries = at.server.scripts.libraries();
    libraries.retain(|library| {
        pattern.is_none_or(|pattern| glob::is_match(pattern, &library.library.name))
    });
    reply.array(libraries.len());
    for library in &libraries {
        reply.map(if with_code { 4 } else { 3 });
        reply.bulk(b"library_name");
        reply.bulk(&library.library.name);
        reply.bulk(b"engine");
        reply.bulk(b"LUA");
        reply.bulk(b"functions");
        reply.array(library.library.functions.len());
        for function in &library.library.functions {
            reply.map(3);
            reply.bulk(b"name");
            reply.bulk(&function.name);
            reply.bulk(b"description");
            match &function.description {
                Some(description) => reply.bulk(description),
                None => reply.null(),
            }
            reply.bulk(b"flags");
            let flags: Vec<_> = function.flags.names().collect();
            reply.set(flags.len());
            flags.iter().for_each(|flag| reply.simple(flag));
        }
        if with_code {
            reply.bulk(b"library_code");
            reply.bulk(&library.source);
        }
    }
    Ok(Outcome::Done)
}

/// FUNCTION STATS
fn stats(at: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let libraries = at.server.scripts.libraries();
    let functions: usize = libraries.iter().map(|library| library.library.functions.len()).sum();
    reply.map(2);
    reply.bulk(b"running_script");
    match at.server.scripts.slowest() {
        Some(tempo) => {
            reply.map(3);
            reply.bulk(b"name");
            reply.bulk(&tempo.script.name);
            reply.bulk(b"command");
            reply.array(tempo.words.len());
            tempo.words.args().from(0).for_each(|word| reply.bulk(word));
            reply.bulk(b"duration_ms");
            reply.int(at.now.saturating_sub(tempo.began) as i64);
        }
        None => reply.null(),
    }
    reply.bulk(b"engines");
    reply.map(1);
    reply.bulk(b"LUA");
    reply.map(2);
    reply.bulk(b"libraries_count");
    reply.int(libraries.len() as i64);
    reply.bulk(b"functions_count");
    reply.int(functions as i64);
    Ok(Outcome::Done)
}

/// FUNCTION KILL
fn kill(at: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    at.server.scripts.kill(true).map_err(kill_text)?;
    reply.ok();
    Ok(Outcome::Done)
}

/// FUNCTION DUMP
fn dump(at: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let mut payload = Vec::new();
    for library in at.server.scripts.libraries() {
        write::function(&mut payload, &mut write::Texts::compressed(), &library.source);
    }
    seal(&mut payload);
    reply.bulk(&payload);
    Ok(Outcome::Done)
}

/// FUNCTION RESTORE payload [FLUSH | APPEND | REPLACE]
fn restore(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let meet = match args.len() {
        3 => Meet::Refuse,
        4 if args.is(3, "APPEND") => Meet::Refuse,
        4 if args.is(3, "REPLACE") => Meet::Replace,
        4 if args.is(3, "FLUSH") => Meet::Flush,
        4 => {
            let text = "ERR Wrong restore policy given, value should be either FLUSH, APPEND or \
                        REPLACE.";
            return Err(Error::Text(text));
        }
        _ => return Err(Error::Arity("function|restore")),
    };
    let broken = Error::Text("ERR DUMP payload version or checksum are wrong");
    let payload = unsealed(args.at(2)).ok_or(broken)?.1;
    let mut reader = Reader::new(payload);
    let mut sources = Vec::new();
    while !reader.rest().is_empty() {
        let given = Error::Text("ERR given type is not a function");
        if reader.byte() != Ok(LIBRARY) {
            return Err(given);
        }
        let failed = Error::Text("ERR failed loading functions payload");
        sources.push(reader.own_text().map_err(|_| failed)?);
    }
    let sources: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
    match at.server.scripts.add_libraries(&sources, meet) {
        Ok(_) => reply.ok(),
        Err(text) => reply.error(&text),
    }
    at.server.saves.note_change();
    Ok(Outcome::Done)
}

/// FUNCTION HELP
fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    write_help(
        reply,
        "FUNCTION",
        &[
            "LOAD [REPLACE] <code>",
            "    Keep a library, or put it in the place of the one that has its name.",
            "DELETE <library>",
            "    Forget a library.",
            "LIST [LIBRARYNAME <pattern>] [WITHCODE]",
            "    Return the libraries, and their functions.",
            "STATS",
            "    Return the function that takes long, and how many there are.",
            "KILL",
            "    End the function that takes long, unless it has written.",
            "FLUSH [ASYNC|SYNC]",
            "    Forget all libraries.",
            "DUMP",
            "    Return all libraries, for FUNCTION RESTORE.",
            "RESTORE <payload> [FLUSH|APPEND|REPLACE]",
            "    Keep the libraries of a payload: in the place of all, beside those there are,",
            "    or in the place of those that have their names.",
        ],
    );
    Ok(Outcome::Done)
}

/// The container's name never runs alone: its arity asks for a subcommand.
fn alone(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    Err(Error::Arity("function"))
}

const fn row(name: &'static str, arity: i8, flags: &[Flags]) -> Row {
    Row::new(name, arity, Group::Scripting, Plan::Session).flags(flags)
}

const READ: &[Flags] = &[Flags::NOSCRIPT];
const BUSY: &[Flags] = &[Flags::NOSCRIPT, Flags::ALLOW_BUSY];
const WRITE: &[Flags] = &[Flags::WRITE, Flags::NOSCRIPT];
const ADD: &[Flags] = &[Flags::WRITE, Flags::DENYOOM, Flags::NOSCRIPT];

pub(super) static ROWS: &[SessionRow] = &[SessionRow::container(
    row("function", -2, &[]).about("7.0.0", "A container for commands about functions"),
    alone,
    &[
        SessionRow::new(row("function|load", -3, ADD).about("7.0.0", "Keeps a library"), load),
        SessionRow::new(
            row("function|delete", 3, WRITE).about("7.0.0", "Forgets a library"),
            delete,
        ),
        SessionRow::new(
            row("function|flush", -2, WRITE).about("7.0.0", "Forgets all libraries"),
            flush,
        ),
        SessionRow::new(
            row("function|list", -2, READ).about("7.0.0", "Returns the libraries there are"),
            list,
        ),
        SessionRow::new(
            row("function|stats", 2, BUSY).about("7.0.0", "Returns what runs, and what there is"),
            stats,
        ),
        SessionRow::new(
            row("function|kill", 2, BUSY).about("7.0.0", "Ends the function that takes long"),
            kill,
        ),
        SessionRow::new(
            row("function|dump", 2, READ).about("7.0.0", "Returns all libraries as bytes"),
            dump,
        ),
        SessionRow::new(
            row("function|restore", -3, ADD).about("7.0.0", "Keeps libraries from such bytes"),
            restore,
        ),
        SessionRow::new(
            row("function|help", 2, &[Flags::LOADING, Flags::STALE])
                .about("7.0.0", "Returns help on the subcommands"),
            help,
        ),
    ],
)];
