//! MONITOR: begins to show a client what all clients ask; the core does the rest.

use super::{Context, Outcome, SessionRow};
use pinion_io::resp::Reply;
use pinion_shards::commands::{Args, Flags, Group, Plan, Row};
use pinion_shards::error::Error;

/// MONITOR
fn monitor(at: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    at.session.is_monitor = true;
    reply.ok();
    Ok(Outcome::Monitor)
}

const FLAGS: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];

pub(super) static ROWS: &[SessionRow] = &[SessionRow::new(
    Row::new("monitor", 1, Group::Server, Plan::Session)
        .flags(FLAGS)
        .about("1.0.0", "Shows what all clients ask, as they do"),
    monitor,
)];
