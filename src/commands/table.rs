//! Finds the row of a request, here or among the shards' rows.

use super::{
    SessionRow, acl, client, cluster, command, config, connection, debug, functions, info, latency,
    memory, migrate, monitor, persistence, pubsub, replication, scripting, server, slowlog,
    transaction,
};
use pinion_io::resp::Reply;
use pinion_shards::commands::{Args, Plan, Row};

/// The families of this package, each a table of rows.
static FAMILIES: &[&[SessionRow]] = &[
    connection::ROWS,
    client::ROWS,
    cluster::ROWS,
    acl::ROWS,
    command::ROWS,
    config::ROWS,
    info::ROWS,
    server::ROWS,
    persistence::ROWS,
    debug::ROWS,
    transaction::ROWS,
    monitor::ROWS,
    pubsub::ROWS,
    slowlog::ROWS,
    latency::ROWS,
    memory::ROWS,
    migrate::ROWS,
    replication::ROWS,
    scripting::ROWS,
    functions::ROWS,
];

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
    find_named(args.at(0), args)
}

/// The row of a request whose command is the one of this name.
#[inline]
pub(super) fn find_named(name: &[u8], args: &Args<'_>) -> Result<Found, FindError> {
    let shard = pinion_shards::commands::find(name);
    if let Some(row) = shard
        && !matches!(row.plan, Plan::Container(_))
    {
        return Ok(Found::Shard(row));
    }
    find_here(name, args.try_at(1), shard, Some(args.len()))
}

/// The row of a command and perhaps its subcommand, as `find` does of a whole request.
pub(super) fn find_word(name: &[u8], word: Option<&[u8]>) -> Result<Found, FindError> {
    find_here(name, word, pinion_shards::commands::find(name), None)
}

/// A row of this package, or a subcommand of a request with `argc` words; a container may have some
/// of its subcommands here and some among the shards' rows.
fn find_here(
    name: &[u8],
    word: Option<&[u8]>,
    shard: Option<&'static Row>,
    argc: Option<usize>,
) -> Result<Found, FindError> {
    let session = find_session(name);
    // DEBUG tells itself what is wrong with the number of words.
    let tells_itself = session.is_some_and(|session| session.subcommands.is_empty());
    if let (Some(word), Some(shard)) = (word, shard)
        && let Some(found) = shard.subcommand(word)
        && (!tells_itself || argc.is_none_or(|argc| found.accepts(argc)))
    {
        return Ok(Found::Shard(found));
    }
    let container = match (session, shard) {
        (Some(session), _) if session.subcommands.is_empty() => return Ok(Found::Session(session)),
        (Some(session), _) => session.row.name,
        (None, Some(shard)) => shard.name,
        (None, None) => return Err(FindError::UnknownCommand),
    };
    let subcommands = session.map_or(&[][..], |session| session.subcommands);
    match (word, session) {
        (None, Some(session)) if session.row.accepts(1) => Ok(Found::Session(session)),
        (None, _) => Err(FindError::SubcommandMissing(container)),
        (Some(word), _) => subcommands
            .iter()
            .find(|row| subcommand_name(&row.row).as_bytes().eq_ignore_ascii_case(word))
            .map(Found::Session)
            .ok_or(FindError::UnknownSubcommand(container)),
    }
}

/// A subcommand's own name, without its container's.
pub(super) fn subcommand_name(row: &Row) -> &'static str {
    row.name.split_once('|').map_or(row.name, |(_, name)| name)
}

/// The row of this package with this name, in any case.
pub(super) fn find_session(name: &[u8]) -> Option<&'static SessionRow> {
    let mut place = hash(name) % INDEX_LEN;
    loop {
        let (family, row) = INDEX[place]?;
        let row = &FAMILIES[usize::from(family)][usize::from(row)];
        if row.row.name.as_bytes().eq_ignore_ascii_case(name) {
            return Some(row);
        }
        place = (place + 1) % INDEX_LEN;
    }
}

/// Places of the index: a power of two, at least four times the rows.
const INDEX_LEN: usize = 256;

/// Where the rows are, by the hash of their names: family and row. Built by the compiler.
static INDEX: [Option<(u8, u8)>; INDEX_LEN] = index(FAMILIES);

const fn index(families: &[&[SessionRow]]) -> [Option<(u8, u8)>; INDEX_LEN] {
    let mut index = [None; INDEX_LEN];
    let mut count = 0;
    let mut family = 0;
    while family < families.len() {
        let mut row = 0;
        while row < families[family].len() {
            let mut place = hash(families[family][row].row.name.as_bytes()) % INDEX_LEN;
            while index[place].is_some() {
                place = (place + 1) % INDEX_LEN;
            }
            index[place] = Some((family as u8, row as u8));
            count += 1;
            row += 1;
        }
        family += 1;
    }
    assert!(count <= INDEX_LEN / 4, "a search for a name that is not there ends soon");
    index
}

/// A hash of a name that is the same in any case: FNV-1a over its first bytes, and its length.
const fn hash(name: &[u8]) -> usize {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ name.len() as u64;
    let mut i = 0;
    while i < name.len() && i < 12 {
        hash = (hash ^ (name[i] | 0x20) as u64).wrapping_mul(0x0100_0000_01b3);
        i += 1;
    }
    (hash >> 20) as usize
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
            Self::UnknownSubcommand(_) => {
                text.extend_from_slice(b"ERR unknown subcommand '");
                text.extend_from_slice(cut(args.at(1), QUOTE_BYTES_MAX));
                text.extend_from_slice(b"'. Try ");
                // By the name that the client knows it by.
                text.extend_from_slice(&cut(args.at(0), QUOTE_BYTES_MAX).to_ascii_uppercase());
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

/// What an error shows of a word: up to its first zero byte, as Redis does.
fn cut(word: &[u8], len_max: usize) -> &[u8] {
    let len = word.iter().position(|byte| *byte == 0).unwrap_or(word.len());
    &word[..len.min(len_max)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinion_io::resp::{Parser, Protocol, Step};

    fn found(request: &str) -> Result<Found, String> {
        let line = format!("{request}\r\n");
        let mut parser = Parser::default();
        let step = parser.next(line.as_bytes(), 0, &Default::default()).unwrap();
        assert!(matches!(step, Step::Request { .. }), "{step:?}");
        let args = Args::new(line.as_bytes(), parser.args());
        find(&args).map_err(|error| {
            let mut out = Vec::new();
            error.write(&args, &mut Reply::new(&mut out, Protocol::Resp2));
            String::from_utf8(out).unwrap()
        })
    }

    #[test]
    fn every_row_is_found_in_any_case_and_says_what_it_must() {
        for session in session_rows() {
            let row = &session.row;
            assert!(!row.summary.is_empty() && !row.summary.ends_with('.'), "{}", row.name);
            assert_eq!(row.name, row.name.to_lowercase());
            let subcommands = session.subcommands;
            assert!(subcommands.is_empty() || matches!(row.plan, Plan::Session), "{}", row.name);
            for inner in subcommands {
                assert!(!inner.row.summary.is_empty(), "{}", inner.row.name);
                let request = inner.row.name.replace('|', " ").to_uppercase();
                assert!(std::ptr::eq(found(&request).unwrap().row(), &inner.row), "{request}");
            }
            if subcommands.is_empty() {
                assert!(std::ptr::eq(found(row.name).unwrap().row(), row), "{}", row.name);
            }
        }
    }

    #[test]
    fn what_is_not_found_is_told_as_redis_tells_it() {
        for (request, text) in [
            ("Foo", "-ERR unknown command 'Foo', with args beginning with: \r\n"),
            ("foo a b", "-ERR unknown command 'foo', with args beginning with: 'a' 'b' \r\n"),
            ("client foo", "-ERR unknown subcommand 'foo'. Try CLIENT HELP.\r\n"),
            ("client", "-ERR wrong number of arguments for 'client' command\r\n"),
        ] {
            assert_eq!(found(request).unwrap_err(), text);
        }
        let long = found(&format!("x {}", "y".repeat(500))).unwrap_err();
        assert_eq!(
            long.len(),
            "-ERR unknown command 'x', with args beginning with: \r\n".len() + 131
        );
    }
}
