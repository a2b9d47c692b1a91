//! CONFIG: settings asked for and changed while serving.

use super::{Context, Job, Outcome, SessionRow, check_names, write_help};
use crate::config::{self, FLAGS, Flag, SetError, Settings};
use crate::errand::Errand;
use pinion_io::resp::Reply;
use pinion_shards::commands::{Args, Flags, Group, Plan, Row};
use pinion_shards::error::Error;
use pinion_shards::glob;

/// CONFIG GET pattern ...
fn get(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    check_names(args)?;
    // The settings in force, not this core's copy, which may be a tick behind a CONFIG SET.
    let mut settings = Settings::clone(&at.server.config.settings());
    let named = |flag: &'static Flag| flag.config_names().map(move |name| (flag, name));
    let names = FLAGS.iter().flat_map(named);
    let chosen: Vec<_> =
        names.filter_map(|(flag, name)| Some((flag, asked(args, flag, name)?))).collect();
    reply.map(chosen.len());
    for (flag, name) in chosen {
        reply.bulk(name);
        reply.bulk(flag.show(&mut settings).as_bytes());
    }
    Ok(Outcome::Done)
}

/// What to answer for a name, if it is asked for: the client's own word where that is no pattern,
/// in its case.
fn asked<'a>(args: &Args<'a>, flag: &Flag, name: &'static str) -> Option<&'a [u8]> {
    let name = name.as_bytes();
    let is_pattern = |word: &[u8]| word.iter().any(|byte| b"[*?\\".contains(byte));
    let fits =
        |word: &&[u8]| glob::is_match_any_case(word, name) && !(flag.unlisted && is_pattern(word));
    let word = args.from(2).find(fits)?;
    Some(if is_pattern(word) { name } else { word })
}

/// CONFIG SET name value [name value ...]
fn set(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    if !args.len().is_multiple_of(2) {
        return Err(Error::Syntax);
    }
    let words: Vec<String> =
        args.from(2).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let pairs: Vec<(&str, &str)> =
        words.chunks_exact(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
    match at.server.config.set(&pairs, at.session.peer.is_local()) {
        Ok(()) => {
            at.server.acl.follow(&at.server.config.settings());
            if pairs.iter().any(|(name, _)| name.to_ascii_lowercase().starts_with("maxmemory")) {
                for warning in at.server.config.settings().warnings() {
                    tracing::warn!("{warning}");
                }
            }
            reply.ok();
        }
        Err(SetError::Unknown(name)) => {
            let text = "ERR Unknown option or number of arguments for CONFIG SET - ";
            reply.error(format!("{text}'{name}'").as_bytes());
        }
        Err(SetError::Refused(name, refusal)) => {
            let text = "ERR CONFIG SET failed (possibly related to argument ";
            reply.error(format!("{text}'{name}') - {refusal}").as_bytes());
        }
    }
    Ok(Outcome::Done)
}

/// CONFIG REWRITE
fn rewrite(at: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    write_file(at, false, reply)
}

/// Writes the settings into their file; with `all`, those at their defaults as well.
pub(super) fn write_file(
    at: &Context<'_>,
    all: bool,
    reply: &mut Reply<'_>,
) -> Result<Outcome, Error> {
    let settings = at.server.config.settings();
    if settings.config_file.is_empty() {
        return Err(Error::Text("ERR The server is running without a config file"));
    }
    match config::rewrite(&settings, &at.server.acl.users(), all) {
        Ok(()) => {
            tracing::info!("CONFIG REWRITE has written {}", settings.config_file);
            reply.ok();
        }
        Err(error) => {
            tracing::warn!("CONFIG REWRITE of {}: {error}", settings.config_file);
            reply.error(format!("ERR Rewriting config file: {error}").as_bytes());
        }
    }
    Ok(Outcome::Done)
}

/// CONFIG RESETSTAT
fn reset_stats(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    Ok(Outcome::Start(Job::Errand(Errand::ResetStats)))
}

/// CONFIG HELP
fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    write_help(
        reply,
        "CONFIG",
        &[
            "GET <pattern> [<pattern> ...]",
            "    Return the parameters whose names match a glob, and their values.",
            "SET <parameter> <value> [<parameter> <value> ...]",
            "    Change parameters, all or none.",
            "RESETSTAT",
            "    Set the figures of the INFO command back to zero.",
            "REWRITE",
            "    Write the parameters into the file that the server was started with.",
        ],
    );
    Ok(Outcome::Done)
}

/// The container's name never runs alone: its arity asks for a subcommand.
fn alone(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    Err(Error::Arity("config"))
}

const ADMIN: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];

const fn row(name: &'static str, arity: i8, flags: &[Flags]) -> Row {
    Row::new(name, arity, Group::Server, Plan::Session).flags(flags)
}

pub(super) static ROWS: &[SessionRow] = &[SessionRow::container(
    row("config", -2, &[]).about("2.0.0", "A container for commands about the configuration"),
    alone,
    SUBCOMMANDS,
)];

static SUBCOMMANDS: &[SessionRow] = &[
    SessionRow::new(row("config|get", -3, ADMIN).about("2.0.0", "Returns settings"), get),
    SessionRow::new(row("config|set", -4, ADMIN).about("2.0.0", "Changes settings"), set),
    SessionRow::new(
        row("config|resetstat", 2, ADMIN).about("2.0.0", "Sets the figures of INFO to zero"),
        reset_stats,
    ),
    SessionRow::new(
        row("config|rewrite", 2, ADMIN).about("2.8.0", "Writes the settings into their file"),
        rewrite,
    ),
    SessionRow::new(
        row("config|help", 2, &[Flags::LOADING, Flags::STALE])
            .about("5.0.0", "Returns help on the subcommands"),
        help,
    ),
];
