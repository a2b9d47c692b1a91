//! HyperLogLogs: counting what is different, roughly.

use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::{Class, Expiry, Key};
use crate::shard::Scope;
use crate::value::hyperloglog::{Draft, HyperLogLog, Mark, Registers, keep_estimate, raise_dense};
use crate::value::{Content, Value};
use pinion_io::resp::Reply;

/// Elements that PFSELFTEST counts: enough for both forms, some milliseconds.
const SELF_TEST_ELEMENTS: u64 = 2048;
/// Bytes of an unknown subcommand that are shown again.
const SHOWN_MAX: usize = 128;

/// `PFADD key [element ...]`
fn pfadd(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let key = scope.first(args);
    let sparse_max = scope.rules.hll_sparse_max_bytes;
    let mut marks = args.from(2).map(Mark::of);
    let record = scope.keyspace.peek(key, scope.now);
    let Some(old) = record.map(|record| of_value(record.value())).transpose()? else {
        let mut draft = Draft::default();
        for mark in marks {
            draft.raise(mark, sparse_max)?;
        }
        keep(scope, key, &draft);
        scope.keyspace.notify(Class::STRING, "pfadd", key);
        reply.int(1);
        return Ok(());
    };
    // Most elements raise nothing: only from the first that does on, there is something to write.
    let mut first = None;
    for mark in marks.by_ref() {
        if old.lacks(mark)? {
            first = Some(mark);
            break;
        }
    }
    let Some(first) = first else {
        leave_raw(scope, key)?;
        reply.int(0);
        return Ok(());
    };
    let marks = std::iter::once(first).chain(marks);
    if old.is_dense() {
        scope.keyspace.edit(key, scope.now, 0, |bytes| (raise_dense(bytes, marks), true))?;
    } else {
        let mut draft = Draft::of(old);
        for mark in marks {
            draft.raise(mark, sparse_max)?;
        }
        keep(scope, key, &draft);
    }
    scope.keyspace.notify(Class::STRING, "pfadd", key);
    reply.int(1);
    Ok(())
}

/// `PFCOUNT key [key ...]`: of one key the estimate is kept beside its registers.
fn pfcount(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    if args.len() == 2 {
        return count_one(scope, args, reply);
    }
    let mut registers = Registers::default();
    for value in scope.sources(args, 1..args.len()).into_iter().flatten() {
        registers.merge(of_value(value)?)?;
    }
    reply.int(registers.estimate() as i64);
    Ok(())
}

fn count_one(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let key = scope.first(args);
    let Some(value) = scope.keyspace.get(key, scope.now) else {
        reply.int(0);
        return Ok(());
    };
    let log = of_value(value)?;
    let estimate = match log.known_estimate() {
        Some(estimate) => {
            leave_raw(scope, key)?;
            estimate
        }
        None => {
            let estimate = log.estimate()?;
            scope
                .keyspace
                .edit(key, scope.now, 0, |bytes| (keep_estimate(bytes, estimate), true))?;
            estimate
        }
    };
    reply.int(estimate as i64);
    Ok(())
}

/// `PFMERGE target [source ...]`: the target is one of the sources.
fn pfmerge(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let sparse_max = scope.rules.hll_sparse_max_bytes;
    let mut registers = Registers::default();
    let mut dense = false;
    let values = scope.sources(args, 1..args.len());
    let logs = values.iter().map(|value| value.map(of_value).transpose());
    for log in logs.clone() {
        let Some(log) = log? else { continue };
        registers.merge(log)?;
        dense |= log.is_dense();
    }
    let target = logs.into_iter().next().transpose()?.flatten();
    let mut draft = target.map_or_else(Draft::default, Draft::of);
    if dense {
        draft.make_dense()?;
    }
    draft.raise_all(&registers, sparse_max)?;
    let key = scope.first(args);
    keep(scope, key, &draft);
    scope.keyspace.notify(Class::STRING, "pfadd", key);
    reply.ok();
    Ok(())
}

/// `PFDEBUG GETREG | DECODE | ENCODING | TODENSE key`
fn pfdebug(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    if args.is(1, "SIMD") {
        return simd(args, reply);
    }
    let key = scope.key(args.at(2));
    let record = scope.keyspace.peek(key, scope.now);
    let record = record.ok_or(Error::Text("ERR The specified key does not exist"))?;
    let log = of_value(record.value())?;
    if args.is(1, "ENCODING") {
        reply.simple(if log.is_dense() { "dense" } else { "sparse" });
        leave_raw(scope, key)?;
    } else if args.is(1, "DECODE") {
        let text = log.runs_text().ok_or(Error::Text("ERR HLL encoding is not sparse"))?;
        reply.bulk(text.as_bytes());
        leave_raw(scope, key)?;
    } else if args.is(1, "TODENSE") {
        let dense = log.to_dense()?;
        reply.int(i64::from(dense.is_some()));
        if let Some(draft) = dense {
            keep(scope, key, &draft);
        }
    } else if args.is(1, "GETREG") {
        let (registers, dense) = (log.registers()?, log.to_dense()?);
        reply.array(registers.ranks().count());
        registers.ranks().for_each(|rank| reply.int(i64::from(rank)));
        if let Some(draft) = dense {
            keep(scope, key, &draft);
        }
    } else {
        let word = args.at(1);
        let word = &word[..word.len().min(SHOWN_MAX)];
        reply.error(&[b"ERR Unknown PFDEBUG subcommand '", word, b"'"].concat());
    }
    Ok(())
}

/// `PFDEBUG SIMD ON | OFF`: where Redis chooses between two ways to compute the same, there is one.
fn simd(args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    if args.is(2, "ON") {
        reply.simple("enabled");
    } else if args.is(2, "OFF") {
        reply.simple("disabled");
    } else {
        return Err(Error::Text("ERR Argument must be ON or OFF"));
    }
    Ok(())
}

/// `PFSELFTEST`: compares the two forms, and the estimates with what was counted.
fn pfselftest(_: &mut Scope<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let (mut sparse, mut dense) = (Draft::default(), Draft::default());
    dense.make_dense()?;
    for element in 1..=SELF_TEST_ELEMENTS {
        let mark = Mark::of(&element.to_le_bytes());
        let raised = sparse.raise(mark, usize::MAX)?;
        if raised != dense.raise(mark, usize::MAX)? {
            return Err(Error::Text("ERR TESTFAILED The sparse and the dense form differ"));
        }
        if element.is_power_of_two() {
            let (one, other) = (sparse.view().estimate()?, dense.view().estimate()?);
            // Five times the standard error, and one more where few are counted.
            if one != other || one.abs_diff(element) > element / 24 + 1 {
                return Err(Error::Text("ERR TESTFAILED The estimate is too far from the count"));
            }
        }
    }
    reply.ok();
    Ok(())
}

/// The HyperLogLog that a value is.
fn of_value(value: Value<'_>) -> Result<HyperLogLog<'_>, Error> {
    match value {
        // No HyperLogLog is so short as an integer is.
        Value::Int(_) => HyperLogLog::of(&[]),
        Value::Str(bytes) => HyperLogLog::of(bytes),
        _ => Err(Error::WrongType),
    }
}

/// Notes an access to a HyperLogLog that stays as it is. As in Redis, a string that SET wrote is
/// `raw` from then on.
fn leave_raw(scope: &mut Scope<'_>, key: Key<'_>) -> Result<(), Error> {
    scope.keyspace.edit(key, scope.now, 0, |_| ((), false))?;
    Ok(())
}

/// Gives a key the HyperLogLog that it has become; its expiry stays.
fn keep(scope: &mut Scope<'_>, key: Key<'_>, draft: &Draft) {
    scope.keyspace.set(key, scope.now, Content::Raw(draft.as_bytes()), Expiry::Keep);
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("pfadd", -2, Group::HyperLogLog, Plan::One(pfadd))
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RW", "INSERT"])])
        .about("2.8.9", "Lets a HyperLogLog see elements"),
    Row::new("pfcount", -2, Group::HyperLogLog, Plan::gather(pfcount))
        .flags(&[Flags::READONLY])
        .keys(&[KeySpec::rest(1, 1, &["RW", "ACCESS"])])
        .about("2.8.9", "Estimates how many different elements HyperLogLogs have seen together"),
    Row::new("pfmerge", -2, Group::HyperLogLog, Plan::gather(pfmerge))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[
            KeySpec::one(1, &["RW", "ACCESS", "INSERT"]),
            KeySpec::rest(2, 1, &["RO", "ACCESS"]),
        ])
        .about("2.8.9", "Lets a HyperLogLog see all that others have seen"),
    Row::new("pfdebug", 3, Group::HyperLogLog, Plan::One(pfdebug))
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::ADMIN])
        .keys(&[KeySpec::one(2, &["RW", "ACCESS"])])
        .about("2.8.9", "Shows the registers of a HyperLogLog and how they are kept"),
    Row::new("pfselftest", 1, Group::HyperLogLog, Plan::One(pfselftest))
        .flags(&[Flags::ADMIN])
        .about("2.8.9", "Tests whether HyperLogLogs count right"),
];
