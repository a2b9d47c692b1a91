//! The guards between a parsed request and its run, in Redis's order.

use crate::acl::{Denied, Directory, User};
use crate::commands::{FindError, Found};
use crate::config::SnapshotSettings;
use crate::server::Server;
use crate::session::Session;
use pinion_io::resp::Reply;
use pinion_shards::commands::{Args, Flags, Row};

/// Why a request is refused before it runs.
#[derive(Clone, Copy, Debug)]
pub enum Refusal {
    /// No such command or subcommand.
    Unknown(FindError),
    /// Too few or too many words.
    Arity(&'static Row),
    /// The client has not authenticated.
    Auth(&'static Row),
    /// Its user may not do this.
    Denied(&'static Row, Denied),
    /// Its user may not have SORT read all keys, as this option does.
    Sort(&'static Row, &'static str),
    /// It may need memory, and there is none.
    Memory(&'static Row),
    /// What it would change could not be saved.
    Unsaved(&'static Row),
    /// The client subscribes, in a protocol that allows nothing else meanwhile.
    Listening(&'static Row),
    /// The client watches what others ask.
    Monitor(&'static Row),
}

/// Passes a request, or says why not.
///
/// # Errors
/// The refusal, to be written in place of a reply.
#[inline]
pub fn guard(
    found: Result<Found, FindError>,
    args: &Args<'_>,
    session: &Session,
    (server, settings): (&Server, &SnapshotSettings),
) -> Result<Found, Refusal> {
    let found = found.map_err(Refusal::Unknown)?;
    let row = found.row();
    if !row.accepts(args.len()) {
        return Err(Refusal::Arity(row));
    }
    if session.login.is_limited() {
        check(row, args, session)?;
    }
    if server.ledger.refuses() && needs_memory(row, session) {
        return Err(Refusal::Memory(row));
    }
    if server.saves.has_failed() && is_unsaved(row, settings) {
        return Err(Refusal::Unsaved(row));
    }
    if session.is_bound() {
        check_bound(row, session)?;
    }
    Ok(found)
}

/// What is said where there is no memory, in Redis's words, which its clients know.
pub const NO_MEMORY: &str = "OOM command not allowed when used memory > 'maxmemory'.";

/// What follows `MISCONF` where nothing may be written, in Redis's words, which its clients know.
pub const UNSAVED: &str = "MISCONF Redis is configured to save RDB snapshots, but it's currently \
    unable to persist to disk. Commands that may modify the data set are disabled, because this \
    instance is configured to report errors during writes if RDB snapshotting fails \
    (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB \
    error.";

/// True if a request may need memory, or what it has run.
#[cold]
fn needs_memory(row: &'static Row, session: &Session) -> bool {
    row.flags.has(Flags::DENYOOM) || row.name == "exec" && session.queues(Flags::DENYOOM)
}

/// True if a command is refused while the last snapshot has failed. PING tells those who look after
/// the server.
#[cold]
pub fn is_unsaved(row: &Row, settings: &SnapshotSettings) -> bool {
    let changes = row.flags.has(Flags::WRITE) || row.name == "ping";
    settings.refuse_unsaved() && changes
}

/// Looks at the request of a client that hears what is no reply to it.
#[cold]
fn check_bound(row: &'static Row, session: &Session) -> Result<(), Refusal> {
    let of_keys = row.flags.has(Flags::READONLY) || row.flags.has(Flags::WRITE);
    if session.is_listening() && !listens(row) {
        Err(Refusal::Listening(row))
    } else if session.is_monitor && of_keys {
        Err(Refusal::Monitor(row))
    } else {
        Ok(())
    }
}

/// Looks at the request of a client who may not do everything.
#[cold]
fn check(row: &'static Row, args: &Args<'_>, session: &Session) -> Result<(), Refusal> {
    if session.login.is_locked_out() && !row.flags.has(Flags::NO_AUTH) {
        return Err(Refusal::Auth(row));
    }
    let user = session.login.user();
    user.check(row, args).map_err(|denied| Refusal::Denied(row, denied))?;
    match denied_option(user, row, args) {
        Some(option) => Err(Refusal::Sort(row, option)),
        None => Ok(()),
    }
}

/// The option of a SORT that reads keys by a pattern, if the user may not read all there are.
pub fn denied_option(user: &User, row: &'static Row, args: &Args<'_>) -> Option<&'static str> {
    reads_others(row, args).filter(|_| !user.may_read_all(row, args))
}

/// The option of a SORT that names keys by a pattern.
fn reads_others(row: &Row, args: &Args<'_>) -> Option<&'static str> {
    if !matches!(row.name, "sort" | "sort_ro") {
        return None;
    }
    let mut index = 2;
    while index < args.len() {
        let word = args.try_at(index + 1);
        index += match word {
            Some(pattern) if args.is(index, "BY") => {
                if pattern.contains(&b'*') {
                    return Some("BY");
                }
                2
            }
            Some(_) if args.is(index, "GET") => return Some("GET"),
            _ if args.is(index, "LIMIT") => 3,
            _ if args.is(index, "STORE") => 2,
            _ => 1,
        };
    }
    None
}

/// True if a command may run between messages in RESP2.
fn listens(row: &Row) -> bool {
    const NAMES: [&str; 9] = [
        "subscribe",
        "unsubscribe",
        "psubscribe",
        "punsubscribe",
        "ssubscribe",
        "sunsubscribe",
        "ping",
        "quit",
        "reset",
    ];
    NAMES.contains(&row.name)
}

/// True if a command waits for EXEC between MULTI and that.
pub fn is_queued(found: Found) -> bool {
    let at_once = ["exec", "discard", "multi", "quit", "reset"];
    !at_once.contains(&found.row().name)
}

impl Refusal {
    /// The row that was refused, if there was one.
    pub fn row(self) -> Option<&'static Row> {
        match self {
            Self::Unknown(_) => None,
            Self::Arity(row) | Self::Auth(row) | Self::Listening(row) | Self::Monitor(row) => {
                Some(row)
            }
            Self::Denied(row, _) | Self::Sort(row, _) => Some(row),
            Self::Memory(row) | Self::Unsaved(row) => Some(row),
        }
    }

    /// True for the words that begin lines of HTTP and are no command: a web page that a browser
    /// shows on this machine may have it send them, with commands behind.
    pub fn is_attack(self, args: &Args<'_>) -> bool {
        matches!(self, Self::Unknown(FindError::UnknownCommand))
            && (args.is(0, "POST") || args.is(0, "HOST:"))
    }

    /// Writes the error, for a client of the user of this name.
    pub fn write(self, args: &Args<'_>, user: &[u8], reply: &mut Reply<'_>) {
        match self {
            Self::Unknown(error) => error.write(args, reply),
            Self::Arity(row) => {
                let error = pinion_shards::error::Error::Arity(row.name);
                reply.error(error.text().as_bytes());
            }
            Self::Memory(_) => reply.error(NO_MEMORY.as_bytes()),
            Self::Unsaved(_) => reply.error(UNSAVED.as_bytes()),
            Self::Monitor(_) => reply.error(b"ERR Replica can't interact with the keyspace"),
            Self::Listening(row) => {
                let name = row.name;
                let text = format!(
                    "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / \
                     QUIT / RESET are allowed in this context"
                );
                reply.error(text.as_bytes());
            }
            Self::Auth(_) => reply.error(b"NOAUTH Authentication required."),
            Self::Denied(row, Denied::Command) => {
                let name = Directory::here().name(row).as_bytes();
                let parts: [&[u8]; 5] = [
                    b"NOPERM User ",
                    user,
                    b" has no permissions to run the '",
                    name,
                    b"' command",
                ];
                reply.error(&parts.concat());
            }
            Self::Denied(_, Denied::Key(_)) => {
                reply.error(b"NOPERM No permissions to access a key");
            }
            Self::Denied(_, Denied::Channel(_)) => {
                reply.error(b"NOPERM No permissions to access a channel");
            }
            Self::Sort(_, option) => {
                let rest = "option of SORT denied due to insufficient ACL permissions.";
                reply.error(format!("ERR {option} {rest}").as_bytes());
            }
        }
    }
}
