//! Finds the row of a request, here or among the shards' rows.

use super::{SessionRow, connection};
use pinion_io::resp::Reply;
use pinion_shards::commands::{Args, Plan, Row, rows};

/// The families of this package, each a table of rows.
static FAMILIES: &[&[SessionRow]] = &[connection::ROWS];

/// Longest part of a client's words that an error quotes, in bytes (Redis: 128).
const QUOTE_BYTES_MAX: usize = 128;

/// Where a command runs.
#[derive(Clone, Copy, Debug)]
pub enum Found {
    /// On a shard, or several.
    Shard(&'static Row),
    /// In the session.
    Session(&'static SessionRow),
}

impl Found {
    /// What is said about the command.
    #[inline]
    pub fn row(&self) -> &'static Row {
        match self {
            Self::Shard(row) => row,
            Self::Session(session) => &session.row,
        }
    }
}

/// Why a request has no row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FindError {
    /// No such command.
    UnknownCommand,
    /// No such subcommand of this container.
    UnknownSubcommand(&'static str),
    /// The container's name stands alone.
    SubcommandMissing(&'static str),
}

/// Every row of this package, families in order, without the subcommands.
pub fn session_rows() -> impl Iterator<Item = &'static SessionRow> {
    FAMILIES.iter().flat_map(|family| family.iter())
}

/// The row of a request, that of the subcommand where the first word is a container's name.
///
/// # Errors
/// There is none; the error knows the text to answer.
#[inline]
pub fn find(args: &Args<'_>) -> Result<Found, FindError> {
    let name = args.at(0);
    let shard = rows().find(|row| name.eq_ignore_ascii_case(row.name.as_bytes()));
    if let Some(row) = shard
        && !matches!(row.plan, Plan::Container(_))
    {
        return Ok(Found::Shard(row));
    }
    let session = session_rows().find(|row| name.eq_ignore_ascii_case(row.row.name.as_bytes()));
    if let Some(row) = session
        && (row.subcommands.is_empty() || args.len() == 1 && row.row.accepts(1))
    {
        return Ok(Found::Session(row));
    }
    find_subcommand(args, shard, session)
}

/// The row of a subcommand; a container may have some here and some among the shards' rows.
fn find_subcommand(
    args: &Args<'_>,
    shard: Option<&'static Row>,
    session: Option<&'static SessionRow>,
) -> Result<Found, FindError> {
    let Some(container) = session.map(|session| session.row.name).or(shard.map(|row| row.name))
    else {
        return Err(FindError::UnknownCommand);
    };
    let Some(word) = args.try_at(1) else {
        return Err(FindError::SubcommandMissing(container));
    };
    let is = |row: &Row| {
        let name = row.name.split_once('|').map_or(row.name, |(_, name)| name);
        word.eq_ignore_ascii_case(name.as_bytes())
    };
    if let Some(session) = session
        && let Some(found) = session.subcommands.iter().find(|found| is(&found.row))
    {
        return Ok(Found::Session(found));
    }
    if let Some(Plan::Container(rows)) = shard.map(|row| row.plan)
        && let Some(found) = rows.iter().find(|row| is(row))
    {
        return Ok(Found::Shard(found));
    }
    Err(FindError::UnknownSubcommand(container))
}

impl FindError {
    /// Writes the error as Redis words it.
    pub fn write(self, args: &Args<'_>, reply: &mut Reply<'_>) {
        let mut text = Vec::with_capacity(QUOTE_BYTES_MAX * 2);
        match self {
            Self::UnknownCommand => {
                text.extend_from_slice(b"ERR unknown command '");
                text.extend_from_slice(cut(args.at(0), QUOTE_BYTES_MAX));
                text.extend_from_slice(b"', with args beginning with: ");
                let mark = text.len();
                for word in args.from(1) {
                    let used = text.len() - mark;
                    if used >= QUOTE_BYTES_MAX {
                        break;
                    }
                    text.push(b'\'');
                    text.extend_from_slice(cut(word, QUOTE_BYTES_MAX - used));
                    text.extend_from_slice(b"' ");
                }
            }
            Self::UnknownSubcommand(container) => {
                text.extend_from_slice(b"ERR unknown subcommand '");
                text.extend_from_slice(cut(args.at(1), QUOTE_BYTES_MAX));
                text.extend_from_slice(b"'. Try ");
                text.extend_from_slice(container.to_ascii_uppercase().as_bytes());
                text.extend_from_slice(b" HELP.");
            }
            Self::SubcommandMissing(container) => {
                text.extend_from_slice(b"ERR wrong number of arguments for '");
                text.extend_from_slice(container.as_bytes());
                text.extend_from_slice(b"' command");
            }
        }
        reply.error(&text);
    }
}

fn cut(word: &[u8], len_max: usize) -> &[u8] {
    &word[..word.len().min(len_max)]
}
