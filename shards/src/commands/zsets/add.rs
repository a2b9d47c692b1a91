//! Gives members scores: ZADD, ZINCRBY.

use super::score::score;
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::Class;
use crate::shard::Scope;
use crate::value::SortedSet;
use crate::value::sorted_set::Changed;
use pinion_io::resp::Reply;

/// Which changes ZADD makes, and what it answers.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::commands) struct Options {
    /// NX: only members that are new.
    pub(in crate::commands) new_only: bool,
    /// XX: only members that are there.
    pub(in crate::commands) old_only: bool,
    /// GT: a member that is there only gets a greater score.
    greater: bool,
    /// LT: a member that is there only gets a lower score.
    less: bool,
    /// CH: counts changed members as well as new ones.
    pub(in crate::commands) count_changed: bool,
    /// INCR: adds to the score.
    increment: bool,
}

impl Options {
    /// Reads options from argument 2 on; where the first pair stands.
    fn parse(args: &Args<'_>) -> (Self, usize) {
        let mut options = Self::default();
        let mut at = 2;
        loop {
            let option = if args.is(at, "NX") {
                &mut options.new_only
            } else if args.is(at, "XX") {
                &mut options.old_only
            } else if args.is(at, "GT") {
                &mut options.greater
            } else if args.is(at, "LT") {
                &mut options.less
            } else if args.is(at, "CH") {
                &mut options.count_changed
            } else if args.is(at, "INCR") {
                &mut options.increment
            } else {
                return (options, at);
            };
            *option = true;
            at += 1;
        }
    }

    fn check(&self, pairs: usize) -> Result<(), Error> {
        if self.new_only && self.old_only {
            return Err(Error::Text("ERR XX and NX options at the same time are not compatible"));
        }
        let one_of = [self.greater, self.less, self.new_only];
        if one_of.iter().filter(|&&given| given).count() > 1 {
            return Err(Error::Text(
                "ERR GT, LT, and/or NX options at the same time are not compatible",
            ));
        }
        if self.increment && pairs > 1 {
            return Err(Error::Text("ERR INCR option supports a single increment-element pair"));
        }
        Ok(())
    }

    /// The score that a member gets; none if it stays as it is.
    fn decide(&self, old: Option<f64>, given: f64) -> Result<Option<f64>, Error> {
        let Some(old) = old else { return Ok((!self.old_only).then_some(given)) };
        if self.new_only {
            return Ok(None);
        }
        let new = if self.increment { old + given } else { given };
        if new.is_nan() {
            return Err(Error::Text("ERR resulting score is not a number (NaN)"));
        }
        let refused = (self.greater && new <= old) || (self.less && new >= old);
        Ok((!refused).then_some(new))
    }
}

/// `ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member...`
fn zadd(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (options, first) = Options::parse(args);
    let words = args.len() - first;
    if words == 0 || !words.is_multiple_of(2) {
        return Err(Error::Syntax);
    }
    options.check(words / 2)?;
    let texts = args.from(first).step_by(2).map(score);
    let members = args.from(first + 1).step_by(2);
    let pairs = texts.zip(members).map(|(score, member)| Ok((score?, member)));
    add(scope, args, options, &pairs.collect::<Result<Vec<_>, _>>()?, reply)
}

/// `ZINCRBY key increment member`
fn zincrby(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    // As in Redis, an option of ZADD in the place of the score is taken for that.
    if Options::parse(args).1 != 2 {
        return Err(Error::Syntax);
    }
    let options = Options { increment: true, ..Options::default() };
    let pair = (score(args.at(2))?, args.at(3));
    add(scope, args, options, &[pair], reply)
}

/// Gives members scores, at least one, and answers as ZADD does.
pub(in crate::commands) fn add(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    options: Options,
    pairs: &[(f64, &[u8])],
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let key = scope.first(args);
    let rules = scope.rules;
    let mut set = if options.old_only {
        let Some(set) = scope.keyspace.open::<SortedSet>(key, scope.now)? else {
            if options.increment {
                reply.null();
            } else {
                reply.int(0);
            }
            return Ok(());
        };
        set
    } else {
        scope.keyspace.open_or_new::<SortedSet>(key, scope.now)?
    };
    let (mut added, mut changed) = (0, 0);
    let mut last = None;
    if set.is_new() {
        // The first member alone decides on the form of a new set, as in Redis.
        let len = pairs.first().map_or(0, |(_, member)| member.len());
        *set = SortedSet::with_room(pairs.len(), len, rules);
    } else {
        set.make_room(pairs.len(), rules);
    }
    for &(given, member) in pairs {
        let decide = |old| {
            last = options.decide(old, given)?;
            Ok(last)
        };
        match set.change(member, rules, decide) {
            Ok(Changed { old, new }) => {
                added += i64::from(old.is_none() && new.is_some());
                changed += i64::from(old.is_some() && old != new);
            }
            Err(error) => {
                set.unchanged();
                return Err(error);
            }
        }
    }
    if added + changed == 0 {
        set.unchanged();
    } else {
        set.notify(Class::SORTED_SET, if options.increment { "zincr" } else { "zadd" });
    }
    if !options.increment {
        reply.int(if options.count_changed { added + changed } else { added });
    } else if let Some(score) = last {
        reply.double(score);
    } else {
        reply.null();
    }
    Ok(())
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("zadd", -4, Group::SortedSet, Plan::One(zadd))
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RW", "UPDATE"])])
        .about("1.2.0", "Gives members of a sorted set their scores, adding those that are new"),
    Row::new("zincrby", 4, Group::SortedSet, Plan::One(zincrby))
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RW", "ACCESS", "UPDATE"])])
        .about("1.2.0", "Adds to the score of a member, which begins at 0"),
];
