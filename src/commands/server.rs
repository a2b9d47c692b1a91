//! Commands about the server as a whole that have no family of their own.

use super::{Context, Outcome, SessionRow};
use crate::server::REDIS_VERSION;
use pinion_io::resp::Reply;
use pinion_shards::commands::{Args, Flags, Group, Plan, Row};
use pinion_shards::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

/// TIME
fn time(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    // Not the tick's instant, which has no microseconds.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    reply.array(2);
    reply.bulk_int(now.as_secs() as i64);
    reply.bulk_int(i64::from(now.subsec_micros()));
    Ok(Outcome::Done)
}

/// LOLWUT [VERSION version]
fn lolwut(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let ours = env!("CARGO_PKG_VERSION");
    let text = format!("{DRAWING}\nPinion ver. {ours}, Redis ver. {REDIS_VERSION}\n");
    reply.verbatim(b"txt", text.as_bytes());
    Ok(Outcome::Done)
}

/// Two wheels that mesh: a pinion and what it drives.
const DRAWING: &str = r"
        _   _
      _| |_| |_          _  _  _  _
     |_   _   _|       _| || || || |_
      _| | | | |_     |_   ______   _|
     |_  | o |  _|_ _ _| |      |  |_
      _| |___| |_| | | | |  o   |   _|
     |_         _|     |_|______|  |_
       |_|-|_|-|       |_   _  _   _|
                         |_||_||_||
";

const fn row(name: &'static str, arity: i8, group: Group, flags: &[Flags]) -> Row {
    Row::new(name, arity, group, Plan::Session).flags(flags)
}

const QUICK: &[Flags] = &[Flags::LOADING, Flags::STALE, Flags::FAST];

pub(super) static ROWS: &[SessionRow] = &[
    SessionRow::new(
        row("time", 1, Group::Server, QUICK)
            .about("2.6.0", "Returns the server's time in seconds and microseconds"),
        time,
    ),
    SessionRow::new(
        row("lolwut", -1, Group::Server, &[Flags::READONLY, Flags::FAST])
            .about("5.0.0", "Returns a drawing and the version"),
        lolwut,
    ),
];
