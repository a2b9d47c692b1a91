//! MIGRATE: its words; what it does is `core::migrate`'s.

use super::{Context, Job, Outcome, SessionRow};
use pinion_io::resp::{Protocol, Reply};
use pinion_shards::commands::{
    Args, DANGEROUS, Flags, Group, KEYSPACE, KeySpec, Others, Plan, Row,
};
use pinion_shards::error::Error;
use std::ops::Range;
use std::time::Duration;

/// Keys on their way to another server.
#[derive(Clone, Debug)]
pub struct Migration {
    /// The other server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Patience with it, each time that it is waited for.
    pub timeout: Duration,
    /// Keys stay here as well.
    pub copies: bool,
    /// What the other server has under these names gives way.
    pub replaces: bool,
    /// Requests that come before all others: who asks, and for which database.
    pub greeting: Vec<Vec<u8>>,
    /// Which of the words are keys.
    pub keys: Range<usize>,
}

/// Where the options begin.
const OPTIONS: usize = 6;
/// Patience where none or less is asked for, in milliseconds.
const TIMEOUT_MS: u64 = 1000;
/// The most, in milliseconds: a day.
const TIMEOUT_MS_MAX: u64 = 24 * 60 * 60 * 1000;
const KEYS_AND_KEY: Error = Error::Text(
    "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
);
const IN_EXEC: Error = Error::Text("ERR MIGRATE inside MULTI is not supported by this server");

/// A request as it goes over the wire.
fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut request = Reply::new(&mut bytes, Protocol::Resp2);
    request.array(words.len());
    words.iter().for_each(|word| request.bulk(word));
    bytes
}

impl Migration {
    fn of(args: &Args<'_>) -> Result<Self, Error> {
        let (mut copies, mut replaces, mut keys) = (false, false, 3..4);
        let mut greeting = Vec::new();
        let mut index = OPTIONS;
        while index < args.len() {
            let more = args.len() - 1 - index;
            if args.is(index, "COPY") {
                copies = true;
            } else if args.is(index, "REPLACE") {
                replaces = true;
            } else if args.is(index, "AUTH") && more >= 1 {
                greeting = vec![request(&[b"AUTH", args.at(index + 1)])];
                index += 1;
            } else if args.is(index, "AUTH2") && more >= 2 {
                greeting = vec![request(&[b"AUTH", args.at(index + 1), args.at(index + 2)])];
                index += 2;
            } else if args.is(index, "KEYS") {
                if !args.at(3).is_empty() {
                    return Err(KEYS_AND_KEY);
                }
                keys = index + 1..args.len();
                break;
            } else {
                return Err(Error::Syntax);
            }
            index += 1;
        }
        let timeout = u64::try_from(args.int(5)?).unwrap_or(0);
        let timeout = if timeout == 0 { TIMEOUT_MS } else { timeout.min(TIMEOUT_MS_MAX) };
        let db = args.int(4)?;
        greeting.push(request(&[b"SELECT", db.to_string().as_bytes()]));
        let port = std::str::from_utf8(args.at(2)).ok().and_then(|port| port.parse().ok());
        Ok(Self {
            host: String::from_utf8_lossy(args.at(1)).into_owned(),
            // Nobody listens on port 0.
            port: port.unwrap_or(0),
            timeout: Duration::from_millis(timeout),
            copies,
            replaces,
            greeting,
            keys,
        })
    }
}

/// MIGRATE host port key db timeout [COPY] [REPLACE] [AUTH password | AUTH2 user password]
/// [KEYS key ...]
fn migrate(at: &mut Context<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    let migration = Migration::of(args)?;
    if at.session.is_in_exec() {
        // It locks its keys for itself, and EXEC may have locked them already.
        return Err(IN_EXEC);
    }
    Ok(Outcome::Start(Job::Migrate(Box::new(migration))))
}

const OTHERS: Others = &[("AUTH", 1), ("AUTH2", 2)];
const KEYS: (&str, u8, Others) = ("KEYS", OPTIONS as u8, OTHERS);
const ACCESS: &[&str] = &["RW", "access", "delete"];

pub(super) static ROWS: &[SessionRow] = &[SessionRow::new(
    Row::new("migrate", -6, Group::Generic, Plan::Session)
        .flags(&[Flags::WRITE, Flags::MOVABLEKEYS])
        .categories(KEYSPACE | DANGEROUS)
        .keys(&[
            KeySpec::unless(3, KEYS, ACCESS),
            KeySpec::tail(KEYS, &["RW", "access", "delete", "incomplete"]),
        ])
        .about("2.6.0", "Moves keys to another server"),
    migrate,
)];
