//! Reads or writes fields and changes their end at once: HGETEX, HSETEX, HGETDEL.

use super::expire::{Form, REMOVED, note_ends, set_or_remove};
use super::{NOT_POSITIVE, check_type, names_from};
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row, parse_int};
use crate::error::Error;
use crate::keyspace::Class;
use crate::shard::{Millis, Scope};
use crate::value::{Hash, Pair};
use pinion_io::resp::Reply;

/// What becomes of the expiry of the fields.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Stay,
    Clear,
    At(Millis),
}

fn write_value(field: Option<Pair<'_>>, reply: &mut Reply<'_>) {
    match field {
        Some(field) => field.value.write(reply),
        None => reply.null(),
    }
}

/// `HGETEX key [EX seconds | PX milliseconds | EXAT unix-time-seconds |
/// PXAT unix-time-milliseconds | PERSIST] FIELDS numfields field...`
fn hgetex(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    check_type(scope, args)?;
    let (rules, now) = (scope.rules, scope.now);
    let (end, fields_at) = match Form::named(args, 2) {
        Some(form) => (End::At(form.read(args, 3, now, "hgetex")?), 4),
        None if args.is(2, "PERSIST") => (End::Clear, 3),
        None => (End::Stay, 2),
    };
    let names = names_from(args, fields_at, NOT_POSITIVE)?;
    reply.array(args.len() - names);
    let Some(mut open) = scope.keyspace.open::<Hash>(scope.first(args), now)? else {
        args.from(names).for_each(|_| reply.null());
        return Ok(());
    };
    let hash = &mut *open;
    if end != End::Stay {
        hash.prepare_expiry();
    }
    let (mut ended, mut cleared, mut removed) = (false, false, false);
    for name in args.from(names) {
        let field = hash.view().find(rules, now, name);
        let expiry = field.map(|field| field.expiry);
        write_value(field, reply);
        match (expiry, end) {
            (Some(_), End::At(at)) => {
                let gone = set_or_remove(hash, (rules, now), name, at) == REMOVED;
                removed |= gone;
                ended |= !gone;
            }
            (Some(Some(_)), End::Clear) => {
                hash.set_expiry(rules, now, name, None);
                cleared = true;
            }
            _ => {}
        }
    }
    if cleared {
        open.notify(Class::HASH, "hpersist");
    } else {
        note_ends(&mut open, ended, removed);
    }
    Ok(())
}

/// `HGETDEL key FIELDS numfields field...`
fn hgetdel(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    check_type(scope, args)?;
    let names = names_from(args, 2, NOT_POSITIVE)?;
    let (rules, now) = (scope.rules, scope.now);
    reply.array(args.len() - names);
    let Some(mut open) = scope.keyspace.open::<Hash>(scope.first(args), now)? else {
        args.from(names).for_each(|_| reply.null());
        return Ok(());
    };
    let mut changed = false;
    for name in args.from(names) {
        write_value(open.view().find(rules, now, name), reply);
        changed |= open.remove(rules, now, name);
    }
    if changed {
        open.notify(Class::HASH, "hdel");
    } else {
        open.unchanged();
    }
    Ok(())
}

/// What HSETEX is told.
struct Setting {
    /// Set only if all fields are there (true), or none is (false).
    only_if: Option<bool>,
    end: End,
    /// Index of the first name.
    names: usize,
}

impl Setting {
    /// Reads the words before the names. Left is what is wrong with a word, beside that word.
    fn read<'a>(args: &Args<'a>, now: Millis) -> Result<Result<Self, &'a [u8]>, Error> {
        let mut setting = Self { only_if: None, end: End::Clear, names: 0 };
        let mut has_end = false;
        let mut at = 2;
        while at < args.len() {
            let form = Form::named(args, at);
            if args.is(at, "FIELDS") && at + 1 < args.len() {
                setting.names = at + 2;
                check_count(args, at)?;
                return Ok(Ok(setting));
            } else if args.is(at, "FNX") || args.is(at, "FXX") {
                if setting.only_if.is_some() {
                    let text = "ERR Only one of FXX or FNX arguments can be specified";
                    return Err(Error::Text(text));
                }
                setting.only_if = Some(args.is(at, "FXX"));
            } else if form.is_some() || args.is(at, "KEEPTTL") {
                if has_end {
                    let text = "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be \
                                specified";
                    return Err(Error::Text(text));
                }
                has_end = true;
                setting.end = End::Stay;
                if let Some(form) = form {
                    at += 1;
                    if at == args.len() {
                        return Err(Error::Arity("hsetex"));
                    }
                    setting.end = End::At(form.read(args, at, now, "hsetex")?);
                }
            } else if args.is(at, "FIELDS") {
                break;
            } else {
                return Ok(Err(args.at(at)));
            }
            at += 1;
        }
        Err(Error::Arity("hsetex"))
    }

    /// True if the fields are there, or are not, as was asked.
    fn allows(&self, scope: &mut Scope<'_>, args: &Args<'_>) -> Result<bool, Error> {
        let Some(there) = self.only_if else { return Ok(true) };
        let (rules, now) = (scope.rules, scope.now);
        let key = scope.first(args);
        let record = scope.keyspace.peek(key, now);
        let hash = record.map(|record| record.value().of::<Hash>()).transpose()?;
        let has = |name: &[u8]| hash.is_some_and(|hash| hash.find(rules, now, name).is_some());
        Ok(args.from(self.names).step_by(2).all(|name| has(name) == there))
    }
}

/// Refuses a wrong number of names and values after the word FIELDS, which stands at `at`.
fn check_count(args: &Args<'_>, at: usize) -> Result<(), Error> {
    let count = parse_int(args.at(at + 1)).filter(|&count| count > 0);
    let count = count.and_then(|count| i32::try_from(count).ok());
    let count = count.ok_or(Error::Text("ERR invalid number of fields"))?;
    if (args.len() - (at + 2)) as u64 == 2 * u64::from(count.unsigned_abs()) {
        Ok(())
    } else {
        Err(Error::Arity("hsetex"))
    }
}

/// `HSETEX key [FNX | FXX] [EX seconds | PX milliseconds | EXAT unix-time-seconds |
/// PXAT unix-time-milliseconds | KEEPTTL] FIELDS numfields field value...`
fn hsetex(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (rules, now) = (scope.rules, scope.now);
    let setting = match Setting::read(args, now)? {
        Ok(setting) => setting,
        Err(unknown) => {
            reply.error(&[b"ERR unknown argument: ", unknown].concat());
            return Ok(());
        }
    };
    if !setting.allows(scope, args)? {
        reply.int(0);
        return Ok(());
    }
    let mut open = scope.keyspace.open_or_new::<Hash>(scope.first(args), now)?;
    let hash = &mut *open;
    let longest = args.from(setting.names).map(<[u8]>::len).max().unwrap_or(0);
    hash.prepare(rules, (args.len() - setting.names) / 2, longest);
    if matches!(setting.end, End::At(_)) {
        hash.prepare_expiry();
    }
    let (mut ended, mut removed) = (false, false);
    let mut words = args.from(setting.names);
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        hash.set(rules, now, (name, value), setting.end == End::Stay);
        if let End::At(at) = setting.end {
            let gone = set_or_remove(hash, (rules, now), name, at) == REMOVED;
            removed |= gone;
            ended |= !gone;
        }
    }
    open.notify(Class::HASH, "hset");
    if ended || removed {
        note_ends(&mut open, ended, removed);
    }
    reply.int(1);
    Ok(())
}

const FLAGS: &[Flags] = &[Flags::WRITE, Flags::FAST];

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("hgetex", -5, Group::Hash, Plan::One(hgetex))
        .flags(FLAGS)
        .keys(&[KeySpec::one(1, &["RW", "ACCESS", "UPDATE"])])
        .about("8.0.0", "Tells the values of fields and changes when they end"),
    Row::new("hsetex", -6, Group::Hash, Plan::One(hsetex))
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RW", "UPDATE"])])
        .about("8.0.0", "Gives fields their values and says when they end"),
    Row::new("hgetdel", -5, Group::Hash, Plan::One(hgetdel))
        .flags(FLAGS)
        .keys(&[KeySpec::one(1, &["RW", "ACCESS", "DELETE"])])
        .about("8.0.0", "Tells the values of fields and removes them"),
];
