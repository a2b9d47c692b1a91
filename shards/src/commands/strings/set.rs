//! Writes one string whole.

use super::test::Test;
use super::{set_string, write_string};
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::Expiry;
use crate::shard::{Millis, Scope};
use crate::value::Content;
use pinion_io::resp::Reply;

/// How a time is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unit {
    /// `EX`: seconds from now.
    Seconds,
    /// `PX`: milliseconds from now.
    Millis,
    /// `EXAT`: seconds since the Unix epoch.
    AtSeconds,
    /// `PXAT`: milliseconds since the Unix epoch.
    AtMillis,
}

/// Which keys SET and MSETEX may write.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Condition {
    #[default]
    Always,
    Missing,
    Present,
    /// Those whose string passes.
    If(Test),
}

/// The options of SET, MSETEX and GETEX.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    pub(super) condition: Condition,
    get: bool,
    keep: bool,
    pub(super) persist: bool,
    /// The unit, and the index of the number.
    pub(super) expire: Option<(Unit, usize)>,
}

impl Options {
    /// Those of GETEX, from argument 2 on.
    pub(super) fn of_getex(args: &Args<'_>) -> Result<Self, Error> {
        let mut options = Self::default();
        let mut index = 2;
        while index < args.len() {
            if args.is(index, "PERSIST") && options.expire.is_none() {
                options.persist = true;
                index += 1;
            } else {
                index = options.time(args, index)?;
            }
        }
        Ok(options)
    }

    /// Those of SET, from argument 3 on.
    fn of_set(args: &Args<'_>) -> Result<Self, Error> {
        let mut options = Self::default();
        let mut index = 3;
        while index < args.len() {
            let test = Test::at(args, index);
            if let Some(test) = test.filter(|_| options.condition == Condition::Always) {
                options.condition = Condition::If(test);
                index += 2;
            } else if args.is(index, "GET") {
                options.get = true;
                index += 1;
            } else {
                index = options.write(args, index)?;
            }
        }
        Ok(options)
    }

    /// Those of MSETEX, from argument `index` on.
    pub(super) fn of_msetex(args: &Args<'_>, mut index: usize) -> Result<Self, Error> {
        let mut options = Self::default();
        while index < args.len() {
            index = options.write(args, index)?;
        }
        Ok(options)
    }

    /// One that all writes of strings have.
    fn write(&mut self, args: &Args<'_>, index: usize) -> Result<usize, Error> {
        let may_be =
            |condition| matches!(self.condition, Condition::Always) || self.condition == condition;
        if args.is(index, "NX") && may_be(Condition::Missing) {
            self.condition = Condition::Missing;
        } else if args.is(index, "XX") && may_be(Condition::Present) {
            self.condition = Condition::Present;
        } else if args.is(index, "KEEPTTL") && self.expire.is_none() {
            self.keep = true;
        } else {
            return self.time(args, index);
        }
        Ok(index + 1)
    }

    /// What becomes of the expiry of a key that the command `name` writes.
    ///
    /// # Errors
    /// As `deadline`, or a number that is none.
    pub(super) fn expiry(
        &self,
        args: &Args<'_>,
        now: Millis,
        name: &'static str,
    ) -> Result<Expiry, Error> {
        Ok(match self.expire {
            Some((unit, index)) => Expiry::At(deadline(unit, args.int(index)?, now, name)?),
            None if self.keep => Expiry::Keep,
            None => Expiry::Clear,
        })
    }

    /// A time at `index`; the same unit may come again, and the last one counts.
    fn time(&mut self, args: &Args<'_>, index: usize) -> Result<usize, Error> {
        let units = [
            ("EX", Unit::Seconds),
            ("PX", Unit::Millis),
            ("EXAT", Unit::AtSeconds),
            ("PXAT", Unit::AtMillis),
        ];
        let unit = units.iter().find(|(word, _)| args.is(index, word)).ok_or(Error::Syntax)?.1;
        let other = self.expire.is_some_and(|(earlier, _)| earlier != unit);
        if self.keep || self.persist || other || index + 1 == args.len() {
            return Err(Error::Syntax);
        }
        self.expire = Some((unit, index + 1));
        Ok(index + 2)
    }
}

/// The instant that `number` names, in milliseconds since the Unix epoch.
///
/// # Errors
/// A number that is not positive, or an instant beyond 64 bits, for the command `name`.
pub(super) fn deadline(
    unit: Unit,
    number: i64,
    now: Millis,
    name: &'static str,
) -> Result<Millis, Error> {
    let millis = match unit {
        Unit::Seconds | Unit::AtSeconds => number.checked_mul(1000),
        Unit::Millis | Unit::AtMillis => Some(number),
    };
    let at = match unit {
        Unit::Seconds | Unit::Millis => millis.and_then(|left| left.checked_add_unsigned(now)),
        Unit::AtSeconds | Unit::AtMillis => millis,
    };
    at.filter(|_| number > 0).and_then(|at| u64::try_from(at).ok()).ok_or(Error::ExpireTime(name))
}

/// `SET key value [NX | XX | IFEQ value | IFNE value | IFDEQ digest | IFDNE digest] [GET]
/// [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]`
fn set(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let key = scope.first(args);
    let content = Content::of(args.at(2));
    if args.len() == 3 {
        set_string(scope, key, content, Expiry::Clear);
        reply.ok();
        return Ok(());
    }
    let options = Options::of_set(args)?;
    let expiry = options.expiry(args, scope.now, "set")?;
    if options.get {
        write_string(scope.keyspace.get(key, scope.now), reply)?;
    }
    let wanted = match options.condition {
        Condition::Always => true,
        Condition::Missing => !scope.keyspace.contains(key, scope.now),
        Condition::Present => scope.keyspace.contains(key, scope.now),
        Condition::If(test) => match scope.keyspace.peek(key, scope.now) {
            Some(record) => test.accepts(record.value().text(&mut itoa::Buffer::new())?, args)?,
            None => test.accepts_none(),
        },
    };
    if wanted {
        set_string(scope, key, content, expiry);
    }
    match (options.get, wanted) {
        (true, _) => {}
        (false, true) => reply.ok(),
        (false, false) => reply.null(),
    }
    Ok(())
}

fn setnx(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let key = scope.first(args);
    let missing = !scope.keyspace.contains(key, scope.now);
    if missing {
        set_string(scope, key, Content::of(args.at(2)), Expiry::Clear);
    }
    reply.int(i64::from(missing));
    Ok(())
}

fn setex(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    set_with_time(scope, args, Unit::Seconds, "setex")?;
    reply.ok();
    Ok(())
}

fn psetex(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    set_with_time(scope, args, Unit::Millis, "psetex")?;
    reply.ok();
    Ok(())
}

fn set_with_time(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    unit: Unit,
    name: &'static str,
) -> Result<(), Error> {
    let at = deadline(unit, args.int(2)?, scope.now, name)?;
    let key = scope.first(args);
    set_string(scope, key, Content::of(args.at(3)), Expiry::At(at));
    Ok(())
}

fn getset(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let key = scope.first(args);
    write_string(scope.keyspace.get(key, scope.now), reply)?;
    set_string(scope, key, Content::of(args.at(2)), Expiry::Clear);
    Ok(())
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("set", -3, Group::String, Plan::One(set))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[KeySpec::one(1, &["RW", "ACCESS", "UPDATE", "VARIABLE_FLAGS"])])
        .about("1.0.0", "Gives a key a string, whatever it held"),
    Row::new("setnx", 3, Group::String, Plan::One(setnx))
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
        .keys(&[KeySpec::one(1, &["OW", "INSERT"])])
        .about("1.0.0", "Gives a key a string if there is no such key"),
    Row::new("setex", 4, Group::String, Plan::One(setex))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[KeySpec::one(1, &["OW", "UPDATE"])])
        .about("2.0.0", "Gives a key a string and seconds to live"),
    Row::new("psetex", 4, Group::String, Plan::One(psetex))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[KeySpec::one(1, &["OW", "UPDATE"])])
        .about("2.6.0", "Gives a key a string and milliseconds to live"),
    Row::new("getset", 3, Group::String, Plan::One(getset))
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RW", "ACCESS", "UPDATE"])])
        .about("1.0.0", "Gives a key a string and answers the one before"),
];
