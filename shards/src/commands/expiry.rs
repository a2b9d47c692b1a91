//! When keys end: EXPIRE and its kin set it, TTL and its kin tell it, PERSIST takes it away.

use crate::commands::{Args, Flags, Group, KEYSPACE, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::{Class, Record};
use crate::shard::{Millis, Scope};
use pinion_io::resp::Reply;

/// How a command gives a time.
#[derive(Clone, Copy)]
struct Form {
    /// Milliseconds in its unit.
    unit: i64,
    /// True if it counts from now.
    relative: bool,
    /// The refusal of a time that 64 bits of milliseconds cannot hold.
    invalid: Error,
}

const EXPIRE: Form = Form {
    unit: 1000,
    relative: true,
    invalid: Error::Text("ERR invalid expire time in 'expire' command"),
};
const PEXPIRE: Form = Form {
    unit: 1,
    relative: true,
    invalid: Error::Text("ERR invalid expire time in 'pexpire' command"),
};
const EXPIREAT: Form = Form {
    unit: 1000,
    relative: false,
    invalid: Error::Text("ERR invalid expire time in 'expireat' command"),
};
const PEXPIREAT: Form = Form {
    unit: 1,
    relative: false,
    invalid: Error::Text("ERR invalid expire time in 'pexpireat' command"),
};

impl Form {
    /// `value` as milliseconds since the Unix epoch.
    fn deadline(self, value: i64, now: Millis) -> Result<i64, Error> {
        let start = if self.relative { now as i64 } else { 0 };
        let ms = value.checked_mul(self.unit).and_then(|ms| ms.checked_add(start));
        ms.ok_or(self.invalid)
    }
}

/// When an expiry is set, by what the key has.
#[derive(Clone, Copy, Default)]
struct Conditions {
    /// If it has none.
    nx: bool,
    /// If it has one.
    xx: bool,
    /// If the new one is later; none is later than any.
    gt: bool,
    /// If the new one is earlier.
    lt: bool,
}

impl Conditions {
    /// Reads the words after the time; answers the index of a word it does not know.
    fn read(args: &Args<'_>) -> Result<Result<Self, usize>, Error> {
        let mut read = Self::default();
        for at in 3..args.len() {
            let flag = if args.is(at, "NX") {
                &mut read.nx
            } else if args.is(at, "XX") {
                &mut read.xx
            } else if args.is(at, "GT") {
                &mut read.gt
            } else if args.is(at, "LT") {
                &mut read.lt
            } else {
                return Ok(Err(at));
            };
            *flag = true;
        }
        if read.nx && (read.xx || read.gt || read.lt) {
            let text = "ERR NX and XX, GT or LT options at the same time are not compatible";
            return Err(Error::Text(text));
        }
        if read.gt && read.lt {
            let text = "ERR GT and LT options at the same time are not compatible";
            return Err(Error::Text(text));
        }
        Ok(Ok(read))
    }

    /// True if `new` may take the place of `old`.
    fn allow(self, old: Option<Millis>, new: i64) -> bool {
        let later = old.is_some_and(|old| i128::from(new) > i128::from(old));
        let earlier = old.is_none_or(|old| i128::from(new) < i128::from(old));
        !(self.nx && old.is_some()
            || self.xx && old.is_none()
            || self.gt && !later
            || self.lt && !earlier)
    }
}

fn set(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    form: Form,
) -> Result<(), Error> {
    let conditions = match Conditions::read(args)? {
        Ok(conditions) => conditions,
        Err(unknown) => {
            reply.error(&[b"ERR Unsupported option ", args.at(unknown)].concat());
            return Ok(());
        }
    };
    let deadline = form.deadline(args.int(2)?, scope.now)?;
    let key = scope.first(args);
    let Some(record) = scope.keyspace.peek(key, scope.now) else {
        reply.int(0);
        return Ok(());
    };
    let allowed = conditions.allow(record.expiry(), deadline);
    if allowed {
        // Before the epoch is long ago: the key goes at once.
        let deadline = Millis::try_from(deadline).unwrap_or(0);
        scope.keyspace.set_expiry(key, scope.now, Some(deadline));
        let name = if deadline <= scope.now { "del" } else { "expire" };
        scope.keyspace.notify(Class::GENERIC, name, key);
    }
    reply.int(i64::from(allowed));
    Ok(())
}

/// `EXPIRE key seconds [NX | XX | GT | LT]`.
fn expire(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    set(scope, args, reply, EXPIRE)
}

/// `PEXPIRE key milliseconds [NX | XX | GT | LT]`.
fn pexpire(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    set(scope, args, reply, PEXPIRE)
}

/// `EXPIREAT key unix-time-seconds [NX | XX | GT | LT]`.
fn expireat(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    set(scope, args, reply, EXPIREAT)
}

/// `PEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT]`.
fn pexpireat(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    set(scope, args, reply, PEXPIREAT)
}

/// Answers -2 for no key, -1 for no expiry, else what `tell` makes of it.
fn tell(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    tell: impl Fn(Millis, Millis) -> Millis,
) {
    let now = scope.now;
    let record = scope.keyspace.look(scope.first(args), now);
    reply.int(match record.map(Record::expiry) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => tell(at, now) as i64,
    });
}

/// The nearest second.
fn rounded(ms: Millis) -> u64 {
    ms.saturating_add(500) / 1000
}

/// `TTL key`.
fn ttl(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    tell(scope, args, reply, |at, now| rounded(at.saturating_sub(now)));
    Ok(())
}

/// `PTTL key`.
fn pttl(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    tell(scope, args, reply, Millis::saturating_sub);
    Ok(())
}

/// `EXPIRETIME key`.
fn expiretime(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    tell(scope, args, reply, |at, _| rounded(at));
    Ok(())
}

/// `PEXPIRETIME key`.
fn pexpiretime(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    tell(scope, args, reply, |at, _| at);
    Ok(())
}

/// `PERSIST key`.
fn persist(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let key = scope.first(args);
    let expiry = scope.keyspace.peek(key, scope.now).and_then(Record::expiry);
    if expiry.is_some() {
        scope.keyspace.set_expiry(key, scope.now, None);
        scope.keyspace.notify(Class::GENERIC, "persist", key);
    }
    reply.int(i64::from(expiry.is_some()));
    Ok(())
}

const UPDATED: &[KeySpec] = &[KeySpec::one(1, &["RW", "update"])];
const READ: &[KeySpec] = &[KeySpec::one(1, &["RO", "access"])];

pub(super) const ROWS: &[Row] = &[
    Row::new("expire", -3, Group::Generic, Plan::One(expire))
        .flags(&[Flags::WRITE, Flags::FAST])
        .categories(KEYSPACE)
        .keys(UPDATED)
        .about("1.0.0", "Lets a key end after so many seconds"),
    Row::new("pexpire", -3, Group::Generic, Plan::One(pexpire))
        .flags(&[Flags::WRITE, Flags::FAST])
        .categories(KEYSPACE)
        .keys(UPDATED)
        .about("2.6.0", "Lets a key end after so many milliseconds"),
    Row::new("expireat", -3, Group::Generic, Plan::One(expireat))
        .flags(&[Flags::WRITE, Flags::FAST])
        .categories(KEYSPACE)
        .keys(UPDATED)
        .about("1.2.0", "Lets a key end at a Unix time in seconds"),
    Row::new("pexpireat", -3, Group::Generic, Plan::One(pexpireat))
        .flags(&[Flags::WRITE, Flags::FAST])
        .categories(KEYSPACE)
        .keys(UPDATED)
        .about("2.6.0", "Lets a key end at a Unix time in milliseconds"),
    Row::new("ttl", 2, Group::Generic, Plan::One(ttl))
        .flags(&[Flags::READONLY, Flags::FAST])
        .categories(KEYSPACE)
        .keys(READ)
        .about("1.0.0", "Tells how many seconds a key has left"),
    Row::new("pttl", 2, Group::Generic, Plan::One(pttl))
        .flags(&[Flags::READONLY, Flags::FAST])
        .categories(KEYSPACE)
        .keys(READ)
        .about("2.6.0", "Tells how many milliseconds a key has left"),
    Row::new("expiretime", 2, Group::Generic, Plan::One(expiretime))
        .flags(&[Flags::READONLY, Flags::FAST])
        .categories(KEYSPACE)
        .keys(READ)
        .about("7.0.0", "Tells at which Unix time in seconds a key ends"),
    Row::new("pexpiretime", 2, Group::Generic, Plan::One(pexpiretime))
        .flags(&[Flags::READONLY, Flags::FAST])
        .categories(KEYSPACE)
        .keys(READ)
        .about("7.0.0", "Tells at which Unix time in milliseconds a key ends"),
    Row::new("persist", 2, Group::Generic, Plan::One(persist))
        .flags(&[Flags::WRITE, Flags::FAST])
        .categories(KEYSPACE)
        .keys(UPDATED)
        .about("2.2.0", "Takes away a key's end"),
];
