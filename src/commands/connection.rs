//! Commands about the connection itself.

use super::{Context, Outcome, SessionRow};
use pinion_io::resp::Reply;
use pinion_shards::commands::{Args, Flags, Group, Plan, Row};
use pinion_shards::error::Error;

/// PING [message]
fn ping(_: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    match args.len() {
        1 => reply.simple("PONG"),
        2 => reply.bulk(args.at(1)),
        _ => return Err(Error::Arity("ping")),
    }
    Ok(Outcome::Done)
}

pub(super) static ROWS: &[SessionRow] = &[SessionRow::new(
    Row::new("ping", -1, Group::Connection, Plan::Session)
        .flags(&[Flags::FAST])
        .about("1.0.0", "Returns the server's liveliness response."),
    ping,
)];
