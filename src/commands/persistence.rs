//! Temporary.

use super::{Context, Job, Outcome, SessionRow};
use pinion_io::resp::Reply;
use pinion_shards::commands::{Args, Group, Plan, Row};
use pinion_shards::error::Error;

fn save(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    Ok(Outcome::Start(Job::Save { wait: true, scheduled: false }))
}
fn bgsave(_: &mut Context<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    Ok(Outcome::Start(Job::Save { wait: false, scheduled: args.len() > 1 }))
}

pub(super) const ROWS: &[SessionRow] = &[
    SessionRow::new(Row::new("save", 1, Group::Server, Plan::Session), save),
    SessionRow::new(Row::new("bgsave", -1, Group::Server, Plan::Session), bgsave),
];
