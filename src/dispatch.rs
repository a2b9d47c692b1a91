//! The guards between a parsed request and its run, in Redis's order.

use crate::commands::{FindError, Found};
use crate::config::Settings;
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
    /// The client subscribes, in a protocol that allows nothing else meanwhile.
    Listening(&'static Row),
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
    settings: &Settings,
) -> Result<Found, Refusal> {
    let found = found.map_err(Refusal::Unknown)?;
    let row = found.row();
    if !row.accepts(args.len()) {
        return Err(Refusal::Arity(row));
    }
    if session.is_locked_out(settings) && !row.flags.has(Flags::NO_AUTH) {
        return Err(Refusal::Auth(row));
    }
    if session.is_listening() && !listens(row) {
        return Err(Refusal::Listening(row));
    }
    Ok(found)
}

/// True if a command may run between messages in RESP2.
#[cold]
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
            Self::Arity(row) | Self::Auth(row) | Self::Listening(row) => Some(row),
        }
    }

    /// True for the words that begin lines of HTTP and are no command: a web page that a browser
    /// shows on this machine may have it send them, with commands behind.
    pub fn is_attack(self, args: &Args<'_>) -> bool {
        matches!(self, Self::Unknown(FindError::UnknownCommand))
            && (args.is(0, "POST") || args.is(0, "HOST:"))
    }

    /// Writes the error.
    pub fn write(self, args: &Args<'_>, reply: &mut Reply<'_>) {
        match self {
            Self::Unknown(error) => error.write(args, reply),
            Self::Arity(row) => {
                let error = pinion_shards::error::Error::Arity(row.name);
                reply.error(error.text().as_bytes());
            }
            Self::Listening(row) => {
                let name = row.name;
                let text = format!(
                    "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / \
                     QUIT / RESET are allowed in this context"
                );
                reply.error(text.as_bytes());
            }
            Self::Auth(_) => reply.error(b"NOAUTH Authentication required."),
        }
    }
}
