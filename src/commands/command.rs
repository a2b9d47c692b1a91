//! COMMAND: what the server can do, told from the rows.

use super::command_rows::{categories, write_access};
use super::{Context, Outcome, SessionRow, check_names, write_help};
use crate::acl::accesses;
use crate::config::Settings;
use pinion_io::resp::Reply;
use pinion_shards::commands::{Access, Args, CONNECTION, Flags, Group, Plan, Row};
use pinion_shards::error::Error;
use pinion_shards::glob;

/// COMMAND, and COMMAND INFO [name ...]
fn info(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let renames = &at.settings.renames;
    if args.len() <= 2 {
        let entries: Vec<_> = renames.entries().collect();
        reply.array(entries.len());
        entries.iter().for_each(|entry| entry.write_info(reply));
        return Ok(Outcome::Done);
    }
    check_names(args)?;
    reply.array(args.len() - 2);
    for name in args.from(2) {
        match renames.entry(name) {
            Some(entry) => entry.write_info(reply),
            None => reply.null(),
        }
    }
    Ok(Outcome::Done)
}

/// COMMAND DOCS [name ...]
fn docs(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    check_names(args)?;
    let renames = &at.settings.renames;
    let entries: Vec<_> = if args.len() == 2 {
        renames.entries().collect()
    } else {
        args.from(2).filter_map(|name| renames.entry(name)).collect()
    };
    reply.map(entries.len());
    for entry in entries {
        reply.bulk(entry.row.name.as_bytes());
        entry.write_docs(reply);
    }
    Ok(Outcome::Done)
}

/// COMMAND COUNT
fn count(at: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    reply.int(at.settings.renames.entries().count() as i64);
    Ok(Outcome::Done)
}

/// COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern]
fn list(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let word = args.try_at(4).unwrap_or_default();
    let fits: &dyn Fn(&Row) -> bool = if args.len() == 2 {
        &|_| true
    } else if args.len() != 5 || !args.is(2, "FILTERBY") {
        return Err(Error::Syntax);
    } else if args.is(3, "MODULE") {
        &|_| false
    } else if args.is(3, "ACLCAT") {
        &|row| {
            let word = String::from_utf8_lossy(word).to_lowercase();
            categories(row).iter().any(|category| category[1..] == word)
        }
    } else if args.is(3, "PATTERN") {
        &|row| glob::is_match_any_case(word, row.name.as_bytes())
    } else {
        return Err(Error::Syntax);
    };
    let entries = at.settings.renames.entries();
    let all = entries.flat_map(|entry| std::iter::once(entry.row).chain(entry.subcommands));
    let names: Vec<&str> = all.filter(|row| fits(row)).map(|row| row.name).collect();
    reply.array(names.len());
    for name in names {
        reply.bulk(name.as_bytes());
    }
    Ok(Outcome::Done)
}

/// COMMAND GETKEYS command [argument ...]
fn getkeys(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let keys = keys(at.settings, args)?;
    reply.array(keys.len());
    for (key, _) in keys {
        reply.bulk(key);
    }
    Ok(Outcome::Done)
}

/// COMMAND GETKEYSANDFLAGS command [argument ...]
fn getkeys_flags(
    at: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, Error> {
    let keys = keys(at.settings, args)?;
    reply.array(keys.len());
    for (key, access) in keys {
        reply.array(2);
        reply.bulk(key);
        write_access(access, reply);
    }
    Ok(Outcome::Done)
}

/// A key, and what its command does with it.
type KeyAccess<'a> = (&'a [u8], Access);

/// The keys of the command that stands after the first two words.
fn keys<'a>(settings: &Settings, args: &Args<'a>) -> Result<Vec<KeyAccess<'a>>, Error> {
    let (bytes, ranges) = args.parts();
    let inner = Args::new(bytes, &ranges[2..]);
    let row =
        settings.find(&inner).map_err(|_| Error::Text("ERR Invalid command specified"))?.row();
    if row.keys.is_empty() {
        return Err(Error::Text("ERR The command has no key arguments"));
    }
    if !row.accepts(inner.len()) {
        return Err(Error::Text("ERR Invalid number of arguments specified for command"));
    }
    let mut keys = Vec::new();
    for spec in row.keys {
        let access = accesses(row, spec.access, &inner);
        keys.extend(spec.indexes(&inner).map(|index| (inner.at(index), access)));
    }
    Ok(keys)
}

/// COMMAND HELP
fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    write_help(
        reply,
        "COMMAND",
        &[
            "(no subcommand)",
            "    Return details about all commands.",
            "COUNT",
            "    Return how many commands there are.",
            "LIST [FILTERBY (MODULE <module-name>|ACLCAT <category>|PATTERN <pattern>)]",
            "    Return the names of all commands, or of those that a filter lets through.",
            "INFO [<command-name> ...]",
            "    Return details about the commands given, or about all.",
            "DOCS [<command-name> ...]",
            "    Return documentation of the commands given, or of all.",
            "GETKEYS <full-command>",
            "    Return the keys in a whole command.",
            "GETKEYSANDFLAGS <full-command>",
            "    Return the keys in a whole command, and what it does with each.",
        ],
    );
    Ok(Outcome::Done)
}

const fn row(name: &'static str, arity: i8, since: &'static str, summary: &'static str) -> Row {
    Row::new(name, arity, Group::Server, Plan::Session)
        .flags(&[Flags::LOADING, Flags::STALE])
        .categories(CONNECTION)
        .about(since, summary)
}

pub(super) static ROWS: &[SessionRow] = &[SessionRow::container(
    row("command", -1, "2.8.13", "Returns details about all commands"),
    info,
    SUBCOMMANDS,
)];

static SUBCOMMANDS: &[SessionRow] = &[
    SessionRow::new(row("command|info", -2, "2.8.13", "Returns details about commands"), info),
    SessionRow::new(row("command|docs", -2, "7.0.0", "Returns documentation of commands"), docs),
    SessionRow::new(row("command|count", 2, "2.8.13", "Returns how many commands exist"), count),
    SessionRow::new(row("command|list", -2, "7.0.0", "Returns the names of commands"), list),
    SessionRow::new(
        row("command|getkeys", -3, "2.8.13", "Returns the keys in a whole command"),
        getkeys,
    ),
    SessionRow::new(
        row("command|getkeysandflags", -3, "7.0.0", "Returns keys and what is done with them"),
        getkeys_flags,
    ),
    SessionRow::new(row("command|help", 2, "5.0.0", "Returns help on the subcommands"), help),
];
