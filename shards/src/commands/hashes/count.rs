//! Numbers in fields: HINCRBY, HINCRBYFLOAT. A field keeps its expiry.

use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::Class;
use crate::shard::Scope;
use crate::value::{Extended, Hash, Pair};
use pinion_io::resp::Reply;

/// Gives the field that word 2 names what `change` makes of it, and returns that.
fn change(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    event: &'static str,
    change: impl FnOnce(Option<Pair<'_>>) -> Result<Vec<u8>, Error>,
) -> Result<Vec<u8>, Error> {
    let (rules, now, name) = (scope.rules, scope.now, args.at(2));
    let mut open = scope.keyspace.open_or_new::<Hash>(scope.first(args), now)?;
    match change(open.view().find(rules, now, name)) {
        Ok(value) => {
            open.set(rules, now, (name, &value), true);
            open.notify(Class::HASH, event);
            Ok(value)
        }
        Err(error) => {
            open.unchanged();
            Err(error)
        }
    }
}

/// `HINCRBY key field increment`
fn hincrby(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let step = args.int(3)?;
    let mut sum = 0;
    change(scope, args, "hincrby", |field| {
        let old = field.map_or(Some(0), |field| field.value.int());
        let old = old.ok_or(Error::Text("ERR hash value is not an integer"))?;
        sum = old.checked_add(step).ok_or(Error::Overflow)?;
        Ok(itoa::Buffer::new().format(sum).as_bytes().to_vec())
    })?;
    reply.int(sum);
    Ok(())
}

/// `HINCRBYFLOAT key field increment`
fn hincrbyfloat(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let step = Extended::parse(args.at(3)).ok_or(Error::NotFloat)?;
    if !step.is_finite() {
        return Err(Error::Text("ERR value is NaN or Infinity"));
    }
    let text = change(scope, args, "hincrbyfloat", |field| {
        let mut digits = itoa::Buffer::new();
        let old = match &field {
            Some(field) => Extended::parse(field.value.text(&mut digits)),
            None => Some(Extended::ZERO),
        };
        let old = old.ok_or(Error::Text("ERR hash value is not a float"))?;
        let sum = old.plus(step).filter(|sum| sum.is_finite());
        let sum = sum.ok_or(Error::Text("ERR increment would produce NaN or Infinity"))?;
        let mut text = Vec::new();
        sum.write(&mut text);
        Ok(text)
    })?;
    reply.bulk(&text);
    Ok(())
}

const COUNTER: &[KeySpec] = &[KeySpec::one(1, &["RW", "ACCESS", "UPDATE"])];
const FLAGS: &[Flags] = &[Flags::WRITE, Flags::DENYOOM, Flags::FAST];

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("hincrby", 4, Group::Hash, Plan::One(hincrby))
        .flags(FLAGS)
        .keys(COUNTER)
        .about("2.0.0", "Adds to an integer in a field, which begins at 0"),
    Row::new("hincrbyfloat", 4, Group::Hash, Plan::One(hincrbyfloat))
        .flags(FLAGS)
        .keys(COUNTER)
        .about("2.6.0", "Adds to a number with a fraction in a field, which begins at 0"),
];
