//! PUBLISH and SPUBLISH, at the owner of the channel.

use super::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::shard::Scope;
use pinion_io::resp::Reply;

fn publish(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let count = scope.channels.publish(false, args.at(1), args.at(2));
    reply.int(count as i64);
    Ok(())
}

fn spublish(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let count = scope.channels.publish(true, args.at(1), args.at(2));
    reply.int(count as i64);
    Ok(())
}

const FLAGS: &[Flags] = &[Flags::PUBSUB, Flags::LOADING, Flags::STALE, Flags::FAST];

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("publish", 3, Group::PubSub, Plan::Channel(publish))
        .flags(FLAGS)
        .about("2.0.0", "Sends a message to the subscribers of a channel"),
    Row::new("spublish", 3, Group::PubSub, Plan::Channel(spublish))
        .flags(FLAGS)
        .keys(&[KeySpec::one(1, &["NOT_KEY"])])
        .about("7.0.0", "Sends a message to the subscribers of a sharded channel"),
];
