//! ACL: users, what they may do, and what they were refused.

use super::{Context, FindError, Job, Outcome, SessionRow, write_help};
use crate::acl::{
    CATEGORIES, Denied, Directory, SetError, User, category, hex, read_users, write_users,
};
use crate::errand::Errand;
use pinion_io::resp::Reply;
use pinion_shards::commands::{Args, Flags, Group, Plan, Row, parse_int};
use pinion_shards::error::Error;
use std::fs::File;
use std::io::Read as _;

/// Bits of a generated password: where none are asked for, and at most.
const PASSWORD_BITS: i64 = 256;
const PASSWORD_BITS_MAX: i64 = 4096;
/// Entries of the log that are shown, where no number is asked for.
const LOG_SHOWN: usize = 10;

const NO_FILE: Error = Error::Text(
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users \
     via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis \
     configuration file set) in order to store users in the Redis configuration.",
);

/// The reply comes once every core has seen to its clients.
fn see_users(deleted: Option<usize>) -> Outcome {
    Outcome::Start(Job::Errand(Errand::SeeUsers(deleted)))
}

/// ACL SETUSER name [rule ...]
fn setuser(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let words: Vec<&[u8]> = args.from(3).collect();
    let set = at.server.acl.change().set(args.at(2), &words, at.settings.acl_channels());
    let text = match set {
        Ok(()) => return Ok(see_users(None)),
        Err(SetError::Name) => b"ERR Usernames can't contain spaces or null characters".to_vec(),
        Err(SetError::Parenthesis(index)) => {
            let start = b"ERR Unmatched parenthesis in acl selector starting at '";
            [&start[..], words[index], b"'."].concat()
        }
        Err(SetError::Rule(rule, error)) => {
            let (start, text) = (b"ERR Error in ACL SETUSER modifier '", error.text().as_bytes());
            // Redis tells it up to its first zero byte.
            let rule = rule.split(|&byte| byte == 0).next().unwrap_or_default();
            [&start[..], rule, b"': ", text].concat()
        }
    };
    reply.error(&text);
    Ok(Outcome::Done)
}

/// ACL DELUSER name [name ...]
fn deluser(at: &mut Context<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    if args.from(2).any(|name| name == crate::acl::DEFAULT) {
        return Err(Error::Text("ERR The 'default' user cannot be removed"));
    }
    let mut users = at.server.acl.change();
    let deleted = args.from(2).filter(|name| users.delete(name)).count();
    drop(users);
    Ok(see_users(Some(deleted)))
}

/// ACL GETUSER name
fn getuser(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let user = at.server.acl.users().find(args.at(2)).cloned();
    match user {
        Some(user) => write_user(&user, reply),
        None => reply.null(),
    }
    Ok(Outcome::Done)
}

fn write_user(user: &User, reply: &mut Reply<'_>) {
    reply.map(6);
    reply.bulk(b"flags");
    let flags = user.flags();
    reply.set(flags.len());
    for flag in flags {
        reply.bulk(flag.as_bytes());
    }
    reply.bulk(b"passwords");
    reply.array(user.passwords().len());
    for hash in user.passwords() {
        reply.bulk(hash.text().as_bytes());
    }
    let (own, others) = user.selectors().split_first().expect("a user has rules of its own");
    let write = |selector: &crate::acl::Selector, reply: &mut Reply<'_>| {
        for (name, text) in [
            ("commands", selector.commands_text()),
            ("keys", selector.keys_text()),
            ("channels", selector.channels_text()),
        ] {
            reply.bulk(name.as_bytes());
            reply.bulk(&text);
        }
    };
    write(own, reply);
    reply.bulk(b"selectors");
    reply.array(others.len());
    for selector in others {
        reply.map(3);
        write(selector, reply);
    }
}

/// ACL LIST
fn list(at: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let users = at.server.acl.users();
    reply.array(users.iter().len());
    for user in users.iter() {
        reply.bulk(&[b"user ", user.name(), b" ", &user.text()].concat());
    }
    Ok(Outcome::Done)
}

/// ACL USERS
fn users(at: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let users = at.server.acl.users();
    reply.array(users.iter().len());
    for user in users.iter() {
        reply.bulk(user.name());
    }
    Ok(Outcome::Done)
}

/// ACL WHOAMI
fn whoami(at: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    reply.bulk(at.session.login.user().name());
    Ok(Outcome::Done)
}

/// ACL CAT [category]
fn cat(_: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    if args.len() > 3 {
        return Ok(write_wrong(args, reply));
    }
    let Some(name) = args.try_at(2) else {
        reply.array(CATEGORIES.len());
        for name in CATEGORIES {
            reply.bulk(name.as_bytes());
        }
        return Ok(Outcome::Done);
    };
    let Some(place) = category(name) else {
        reply.error(&[b"ERR Unknown category '", name, b"'"].concat());
        return Ok(Outcome::Done);
    };
    let directory = Directory::here();
    let ids: Vec<_> = directory.in_category(place).collect();
    reply.array(ids.len());
    for id in ids {
        reply.bulk(directory.command(id).row.name.as_bytes());
    }
    Ok(Outcome::Done)
}

/// What is said of a subcommand that counts its words itself.
fn write_wrong(args: &Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let start = b"ERR unknown subcommand or wrong number of arguments for '";
    let word = &args.at(1)[..args.at(1).len().min(128)];
    reply.error(&[&start[..], word, b"'. Try ACL HELP."].concat());
    Outcome::Done
}

/// ACL GENPASS [bits]
fn genpass(_: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    if args.len() > 3 {
        return Ok(write_wrong(args, reply));
    }
    let bits = args.try_at(2).map_or(Some(PASSWORD_BITS), parse_int);
    let bits = bits.ok_or(Error::NotInteger)?;
    if !(1..=PASSWORD_BITS_MAX).contains(&bits) {
        return Err(Error::Text(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a \
             positive number up to 4096",
        ));
    }
    let digits = (bits as usize).div_ceil(4);
    let mut random = vec![0; digits.div_ceil(2)];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .map_err(|_| Error::Text("ERR there is no randomness to be had"))?;
    reply.bulk(&hex(&random).as_bytes()[..digits]);
    Ok(Outcome::Done)
}

/// ACL DRYRUN name command [argument ...]
fn dryrun(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let Some(user) = at.server.acl.users().find(args.at(2)).cloned() else {
        reply.error(&[b"ERR User '", args.at(2), b"' not found"].concat());
        return Ok(Outcome::Done);
    };
    let (bytes, ranges) = args.parts();
    let inner = Args::new(bytes, &ranges[3..]);
    let row = match at.settings.find(&inner) {
        Ok(found) => found.row(),
        Err(FindError::SubcommandMissing(name)) => return Err(Error::Arity(name)),
        Err(_) => {
            reply.error(&[b"ERR Command '", inner.at(0), b"' not found"].concat());
            return Ok(Outcome::Done);
        }
    };
    if !row.accepts(inner.len()) {
        return Err(Error::Arity(row.name));
    }
    let name = user.name();
    let (what, object, end): (&[u8], &[u8], &[u8]) = match user.check(row, &inner) {
        Ok(()) => {
            reply.ok();
            return Ok(Outcome::Done);
        }
        Err(Denied::Command) => {
            (b"run the '", Directory::here().name(row).as_bytes(), b"' command")
        }
        Err(Denied::Key(index)) => (b"access the '", inner.at(index), b"' key"),
        Err(Denied::Channel(index)) => (b"access the '", inner.at(index), b"' channel"),
    };
    reply.bulk(&[b"User ", name, b" has no permissions to ", what, object, end].concat());
    Ok(Outcome::Done)
}

/// ACL LOG [count | RESET]
fn log(at: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    if args.len() > 3 {
        return Ok(write_wrong(args, reply));
    }
    if args.is(2, "RESET") {
        at.server.acl.log().clear();
        reply.ok();
        return Ok(Outcome::Done);
    }
    let count = match args.try_at(2) {
        None => LOG_SHOWN,
        Some(_) => usize::try_from(args.int(2)?.max(0)).unwrap_or(usize::MAX),
    };
    let log = at.server.acl.log();
    let shown = log.entries().len().min(count);
    reply.array(shown);
    for entry in log.entries().take(shown) {
        reply.map(10);
        reply.bulk(b"count");
        reply.int(entry.count as i64);
        for (name, text) in [
            ("reason", entry.reason.name().as_bytes()),
            ("context", entry.context.as_bytes()),
            ("object", &entry.object),
            ("username", &entry.user),
        ] {
            reply.bulk(name.as_bytes());
            reply.bulk(text);
        }
        reply.bulk(b"age-seconds");
        reply.double(at.now.saturating_sub(entry.updated) as f64 / 1000.0);
        reply.bulk(b"client-info");
        reply.bulk(entry.client.trim_end().as_bytes());
        for (name, number) in [
            ("entry-id", entry.id),
            ("timestamp-created", entry.created),
            ("timestamp-last-updated", entry.updated),
        ] {
            reply.bulk(name.as_bytes());
            reply.int(number as i64);
        }
    }
    Ok(Outcome::Done)
}

/// ACL LOAD
fn load(at: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    if at.settings.acl_file.is_empty() {
        return Err(NO_FILE);
    }
    match read_users(&at.settings.acl_file, at.settings.acl_channels()) {
        Ok(users) => {
            at.server.acl.change().replace(users);
            Ok(see_users(None))
        }
        Err(text) => {
            reply.error(format!("ERR {text}").as_bytes());
            Ok(Outcome::Done)
        }
    }
}

/// ACL SAVE
fn save(at: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    if at.settings.acl_file.is_empty() {
        return Err(NO_FILE);
    }
    if let Err(text) = write_users(&at.settings.acl_file, &at.server.acl.users()) {
        tracing::error!("{text}");
        return Err(Error::Text(
            "ERR There was an error trying to save the ACLs. Please check the server logs for \
             more information",
        ));
    }
    reply.ok();
    Ok(Outcome::Done)
}

/// ACL HELP
fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    write_help(
        reply,
        "ACL",
        &[
            "CAT [<category>]",
            "    Return all categories, or the commands of one.",
            "DELUSER <username> [<username> ...]",
            "    Delete users, and close their connections.",
            "DRYRUN <username> <command> [<arg> ...]",
            "    Return whether a user may run a command, without running it.",
            "GETUSER <username>",
            "    Return all about a user.",
            "GENPASS [<bits>]",
            "    Return a random password of so many bits (default: 256).",
            "LIST",
            "    Return the rules of every user, as they stand in a file.",
            "LOAD",
            "    Read the users of the ACL file again.",
            "LOG [<count>|RESET]",
            "    Return the latest refusals, or forget them.",
            "SAVE",
            "    Write the users to the ACL file.",
            "SETUSER <username> <rule> [<rule> ...]",
            "    Make a user, or change what one may do.",
            "USERS",
            "    Return the names of all users.",
            "WHOAMI",
            "    Return the name of the user of this connection.",
        ],
    );
    Ok(Outcome::Done)
}

const ADMIN: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];
const USUAL: &[Flags] = &[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];

const fn row(name: &'static str, arity: i8, flags: &[Flags]) -> Row {
    Row::new(name, arity, Group::Server, Plan::Session).flags(flags)
}

/// The container's name never runs alone: its arity asks for a subcommand.
fn alone(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    Err(Error::Arity("acl"))
}

pub(super) static ROWS: &[SessionRow] = &[SessionRow::container(
    row("acl", -2, &[]).about("6.0.0", "A container for commands about users and their rights"),
    alone,
    SUBCOMMANDS,
)];

static SUBCOMMANDS: &[SessionRow] = &[
    SessionRow::new(
        row("acl|cat", -2, USUAL).about("6.0.0", "Returns categories, or the commands of one"),
        cat,
    ),
    SessionRow::new(row("acl|deluser", -3, ADMIN).about("6.0.0", "Deletes users"), deluser),
    SessionRow::new(
        row("acl|dryrun", -4, ADMIN).about("7.0.0", "Says whether a user may run a command"),
        dryrun,
    ),
    SessionRow::new(
        row("acl|genpass", -2, USUAL).about("6.0.0", "Returns a random password"),
        genpass,
    ),
    SessionRow::new(row("acl|getuser", 3, ADMIN).about("6.0.0", "Returns all of a user"), getuser),
    SessionRow::new(row("acl|list", 2, ADMIN).about("6.0.0", "Returns all users' rules"), list),
    SessionRow::new(row("acl|load", 2, ADMIN).about("6.0.0", "Reads the file of users"), load),
    SessionRow::new(row("acl|log", -2, ADMIN).about("6.0.0", "Returns the latest refusals"), log),
    SessionRow::new(row("acl|save", 2, ADMIN).about("6.0.0", "Writes the file of users"), save),
    SessionRow::new(
        row("acl|setuser", -3, ADMIN).about("6.0.0", "Makes a user, or changes one"),
        setuser,
    ),
    SessionRow::new(
        row("acl|users", 2, ADMIN).about("6.0.0", "Returns the names of all users"),
        users,
    ),
    SessionRow::new(
        row("acl|whoami", 2, USUAL).about("6.0.0", "Returns the name of the client's user"),
        whoami,
    ),
    SessionRow::new(
        row("acl|help", 2, &[Flags::LOADING, Flags::STALE])
            .about("6.0.0", "Returns help on the subcommands"),
        help,
    ),
];
