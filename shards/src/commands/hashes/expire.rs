//! When fields end: HEXPIRE and its kin set it, HPERSIST takes it away.

use super::{NOT_POSITIVE, check_type, names_from};
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::{Class, Open};
use crate::limits::FIELD_EXPIRY_MAX;
use crate::shard::{Millis, Scope};
use crate::value::{Hash, Rules};
use pinion_io::resp::Reply;

/// How a command gives a time.
#[derive(Clone, Copy)]
pub(super) struct Form {
    /// Milliseconds in its unit.
    pub(super) unit: u64,
    /// True if it counts from now.
    pub(super) relative: bool,
}

impl Form {
    /// The form that the word at `at` names in HGETEX and HSETEX.
    pub(super) fn named(args: &Args<'_>, at: usize) -> Option<Self> {
        let forms =
            [("EX", 1000, true), ("PX", 1, true), ("EXAT", 1000, false), ("PXAT", 1, false)];
        let (_, unit, relative) = forms.into_iter().find(|(name, ..)| args.is(at, name))?;
        Some(Self { unit, relative })
    }

    /// The time in word `at`, in milliseconds since the Unix epoch; `name` is the command's.
    pub(super) fn read(
        self,
        args: &Args<'_>,
        at: usize,
        now: Millis,
        name: &'static str,
    ) -> Result<Millis, Error> {
        let time = u64::try_from(args.int(at)?);
        let time = time.map_err(|_| Error::Text("ERR invalid expire time, must be >= 0"))?;
        let start = if self.relative { now } else { 0 };
        let ms = time.checked_mul(self.unit).and_then(|ms| ms.checked_add(start));
        ms.filter(|&ms| ms <= FIELD_EXPIRY_MAX).ok_or(Error::ExpireTime(name))
    }
}

/// When an expiry is set, by what the field has.
#[derive(Clone, Copy)]
enum Condition {
    Always,
    /// If it has none.
    None,
    /// If it has one.
    Some,
    /// If the new one is later; none is later than any.
    Later,
    /// If the new one is earlier.
    Earlier,
}

impl Condition {
    /// The condition that word 3 names, if it names one.
    fn read(args: &Args<'_>) -> Self {
        let names =
            [("NX", Self::None), ("XX", Self::Some), ("GT", Self::Later), ("LT", Self::Earlier)];
        let found = names.into_iter().find(|(name, _)| args.is(3, name));
        found.map_or(Self::Always, |(_, condition)| condition)
    }

    fn allows(self, old: Option<Millis>, new: Millis) -> bool {
        match self {
            Self::Always => true,
            Self::None => old.is_none(),
            Self::Some => old.is_some(),
            Self::Later => old.is_some_and(|old| new > old),
            Self::Earlier => old.is_none_or(|old| new < old),
        }
    }
}

const NOT_ABOVE_ZERO: Error = Error::Text("ERR Parameter `numFields` should be greater than 0");

/// What became of a field, as HEXPIRE and HPERSIST tell it.
const NO_SUCH_FIELD: i64 = -2;
const NO_EXPIRY: i64 = -1;
const REFUSED: i64 = 0;
const CHANGED: i64 = 1;
pub(super) const REMOVED: i64 = 2;

fn set(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    (form, name): (Form, &'static str),
) -> Result<(), Error> {
    check_type(scope, args)?;
    let (rules, now) = (scope.rules, scope.now);
    let at = form.read(args, 2, now, name)?;
    let condition = Condition::read(args);
    let fields_at = if matches!(condition, Condition::Always) { 3 } else { 4 };
    let names = names_from(args, fields_at, NOT_ABOVE_ZERO)?;
    reply.array(args.len() - names);
    let Some(mut open) = scope.keyspace.open::<Hash>(scope.first(args), now)? else {
        args.from(names).for_each(|_| reply.int(NO_SUCH_FIELD));
        return Ok(());
    };
    let hash = &mut *open;
    hash.prepare_expiry();
    let (mut ended, mut removed) = (false, false);
    for name in args.from(names) {
        let done = match hash.view().find(rules, now, name) {
            None => NO_SUCH_FIELD,
            Some(field) if !condition.allows(field.expiry, at) => REFUSED,
            Some(_) => set_or_remove(hash, (rules, now), name, at),
        };
        ended |= done == CHANGED;
        removed |= done == REMOVED;
        reply.int(done);
    }
    note_ends(&mut open, ended, removed);
    Ok(())
}

/// Notes that fields have another end, or that they are removed since that has come; or that
/// nothing was changed.
pub(super) fn note_ends(open: &mut Open<'_, Hash>, ended: bool, removed: bool) {
    if !ended && !removed {
        open.unchanged();
    }
    if removed {
        open.notify(Class::HASH, "hdel");
    }
    if ended {
        open.notify(Class::HASH, "hexpire");
    }
}

/// Sets when a field that is there ends, or removes it if that time has come.
pub(super) fn set_or_remove(
    hash: &mut Hash,
    (rules, now): (&Rules, Millis),
    name: &[u8],
    at: Millis,
) -> i64 {
    if at <= now {
        hash.remove(rules, now, name);
        REMOVED
    } else {
        hash.set_expiry(rules, now, name, Some(at));
        CHANGED
    }
}

/// `HEXPIRE key seconds [NX | XX | GT | LT] FIELDS numfields field...`
fn hexpire(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    set(scope, args, reply, (Form { unit: 1000, relative: true }, "hexpire"))
}

/// `HPEXPIRE key milliseconds [NX | XX | GT | LT] FIELDS numfields field...`
fn hpexpire(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    set(scope, args, reply, (Form { unit: 1, relative: true }, "hpexpire"))
}

/// `HEXPIREAT key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field...`
fn hexpireat(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    set(scope, args, reply, (Form { unit: 1000, relative: false }, "hexpireat"))
}

/// `HPEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field...`
fn hpexpireat(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    set(scope, args, reply, (Form { unit: 1, relative: false }, "hpexpireat"))
}

/// `HPERSIST key FIELDS numfields field...`
fn hpersist(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    check_type(scope, args)?;
    let names = names_from(args, 2, NOT_POSITIVE)?;
    let (rules, now) = (scope.rules, scope.now);
    reply.array(args.len() - names);
    let Some(mut open) = scope.keyspace.open::<Hash>(scope.first(args), now)? else {
        args.from(names).for_each(|_| reply.int(NO_SUCH_FIELD));
        return Ok(());
    };
    let mut changed = false;
    for name in args.from(names) {
        let done = match open.view().find(rules, now, name).map(|field| field.expiry) {
            None => NO_SUCH_FIELD,
            Some(None) => NO_EXPIRY,
            Some(Some(_)) => {
                open.set_expiry(rules, now, name, None);
                CHANGED
            }
        };
        changed |= done == CHANGED;
        reply.int(done);
    }
    if changed {
        open.notify(Class::HASH, "hpersist");
    } else {
        open.unchanged();
    }
    Ok(())
}

const UPDATED: &[KeySpec] = &[KeySpec::one(1, &["RW", "UPDATE"])];
const FLAGS: &[Flags] = &[Flags::WRITE, Flags::FAST];

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("hexpire", -6, Group::Hash, Plan::One(hexpire))
        .flags(FLAGS)
        .keys(UPDATED)
        .about("7.4.0", "Lets fields end after so many seconds"),
    Row::new("hpexpire", -6, Group::Hash, Plan::One(hpexpire))
        .flags(FLAGS)
        .keys(UPDATED)
        .about("7.4.0", "Lets fields end after so many milliseconds"),
    Row::new("hexpireat", -6, Group::Hash, Plan::One(hexpireat))
        .flags(FLAGS)
        .keys(UPDATED)
        .about("7.4.0", "Lets fields end at a Unix time in seconds"),
    Row::new("hpexpireat", -6, Group::Hash, Plan::One(hpexpireat))
        .flags(FLAGS)
        .keys(UPDATED)
        .about("7.4.0", "Lets fields end at a Unix time in milliseconds"),
    Row::new("hpersist", -5, Group::Hash, Plan::One(hpersist))
        .flags(FLAGS)
        .keys(UPDATED)
        .about("7.4.0", "Takes away the end of fields"),
];
