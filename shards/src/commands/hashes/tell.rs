//! Tells when fields end: HTTL, HPTTL, HEXPIRETIME, HPEXPIRETIME.

use super::{NOT_POSITIVE, names_from, read};
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::shard::{Millis, Scope};
use pinion_io::resp::Reply;

/// Answers for each field -2 if it is not there, -1 if it has no expiry, else what `tell` makes of
/// that and of now.
fn tell_all(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    tell: impl Fn(Millis, Millis) -> Millis,
) -> Result<(), Error> {
    let (rules, now) = (scope.rules, scope.now);
    let hash = read(scope, args)?;
    let names = names_from(args, 2, NOT_POSITIVE)?;
    reply.array(args.len() - names);
    for name in args.from(names) {
        let field = hash.and_then(|hash| hash.find(rules, now, name));
        reply.int(match field.map(|field| field.expiry) {
            None => -2,
            Some(None) => -1,
            Some(Some(at)) => tell(at, now) as i64,
        });
    }
    Ok(())
}

/// `HTTL key FIELDS numfields field...`
fn httl(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    tell_all(scope, args, reply, |at, now| at.saturating_sub(now).div_ceil(1000))
}

/// `HPTTL key FIELDS numfields field...`
fn hpttl(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    tell_all(scope, args, reply, Millis::saturating_sub)
}

/// `HEXPIRETIME key FIELDS numfields field...`
fn hexpiretime(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    tell_all(scope, args, reply, |at, _| at.div_ceil(1000))
}

/// `HPEXPIRETIME key FIELDS numfields field...`
fn hpexpiretime(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    tell_all(scope, args, reply, |at, _| at)
}

const KEY: &[KeySpec] = &[KeySpec::one(1, &["RO", "ACCESS"])];
const FLAGS: &[Flags] = &[Flags::READONLY, Flags::FAST];

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("httl", -5, Group::Hash, Plan::One(httl))
        .flags(FLAGS)
        .keys(KEY)
        .about("7.4.0", "Tells how many seconds fields have left"),
    Row::new("hpttl", -5, Group::Hash, Plan::One(hpttl))
        .flags(FLAGS)
        .keys(KEY)
        .about("7.4.0", "Tells how many milliseconds fields have left"),
    Row::new("hexpiretime", -5, Group::Hash, Plan::One(hexpiretime))
        .flags(FLAGS)
        .keys(KEY)
        .about("7.4.0", "Tells at which Unix time in seconds fields end"),
    Row::new("hpexpiretime", -5, Group::Hash, Plan::One(hpexpiretime))
        .flags(FLAGS)
        .keys(KEY)
        .about("7.4.0", "Tells at which Unix time in milliseconds fields end"),
];
