//! Commands on whole databases: DBSIZE, KEYS, RANDOMKEY, SCAN, FLUSHDB, FLUSHALL, SWAPDB.

use crate::commands::scanning::{Scanned, Scanning};
use crate::commands::{Args, DANGEROUS, Flags, Group, KEYSPACE, Plan, Row};
use crate::error::Error;
use crate::fold::Fold;
use crate::glob;
use crate::keyspace::Cursor;
use crate::shard::Scope;
use pinion_io::resp::{Protocol, Reply};

/// `DBSIZE`.
fn dbsize(scope: &mut Scope<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    reply.int(scope.keyspace.len(scope.db) as i64);
    Ok(())
}

/// Names of keys, encoded as they are found: how many there are is known only at the end.
#[derive(Default)]
struct Found {
    bytes: Vec<u8>,
    count: usize,
}

impl Found {
    fn add(&mut self, key: &[u8]) {
        // A bulk string is the same in both protocols.
        Reply::new(&mut self.bytes, Protocol::Resp2).bulk(key);
        self.count += 1;
    }

    fn write(&self, reply: &mut Reply<'_>) {
        reply.array(self.count);
        reply.raw(&self.bytes);
    }
}

/// `KEYS pattern`.
fn keys(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let pattern = args.at(1);
    let mut found = Found::default();
    scope.keyspace.each(scope.db, scope.now, |record| {
        if glob::shows(pattern, record.key()) {
            found.add(record.key());
        }
    });
    found.write(reply);
    Ok(())
}

/// `RANDOMKEY`: an array of this shard's weight and its candidate, for the fold.
fn randomkey(scope: &mut Scope<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let weight = scope.keyspace.len(scope.db) as i64;
    let record = scope.keyspace.random(scope.db, scope.now);
    reply.array(2);
    reply.int(if record.is_some() { weight } else { 0 });
    match record {
        Some(record) => reply.bulk(record.key()),
        None => reply.null(),
    }
    Ok(())
}

/// `SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]`.
fn scan(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let cursor = Cursor::parse(args.at(1), scope.route.shards())?;
    let scanning = Scanning::read(args, Scanned::Keys)?;
    let mut found = Found::default();
    let (position, count) = (cursor.position, scanning.count);
    let next = scope.keyspace.scan(scope.db, position, count, scope.now, |record, is_due| {
        let fits = scanning.wants(record.key());
        if fits && scanning.wants_type(record.value().type_name()) && !is_due {
            found.add(record.key());
        }
        // What is due goes whatever its type.
        fits
    });
    reply.array(2);
    reply.bulk(cursor.next(next, scope.route.shards()).to_string().as_bytes());
    found.write(reply);
    Ok(())
}

/// `[ASYNC | SYNC]`: both mean the same here, the keys go at once and their memory a little later.
fn check_flush_options(args: &Args<'_>) -> Result<(), Error> {
    match args.len() {
        1 => Ok(()),
        2 if args.is(1, "ASYNC") || args.is(1, "SYNC") => Ok(()),
        _ => Err(Error::Syntax),
    }
}

/// `FLUSHDB [ASYNC | SYNC]`.
fn flushdb(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    check_flush_options(args)?;
    scope.keyspace.flush(scope.db);
    reply.ok();
    Ok(())
}

/// `FLUSHALL [ASYNC | SYNC]`.
fn flushall(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    check_flush_options(args)?;
    scope.keyspace.flush_all();
    reply.ok();
    Ok(())
}

/// `SWAPDB index1 index2`.
fn swapdb(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let number = |index, invalid| match args.int(index).map(i32::try_from) {
        Ok(Ok(number)) => Ok(number),
        _ => Err(invalid),
    };
    let one = number(1, Error::Text("ERR invalid first DB index"))?;
    let other = number(2, Error::Text("ERR invalid second DB index"))?;
    let database = |number| {
        let db = u16::try_from(number).ok().filter(|&db| db < scope.keyspace.databases());
        db.ok_or(Error::DatabaseIndex)
    };
    let (one, other) = (database(one)?, database(other)?);
    scope.keyspace.swap(one, other, scope.now);
    reply.ok();
    Ok(())
}

pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("dbsize", 1, Group::Server, Plan::Every { run: dbsize, fold: Fold::Sum })
        .flags(&[Flags::READONLY, Flags::FAST])
        .categories(KEYSPACE)
        .about("1.0.0", "Counts the keys of the database"),
    Row::new("keys", 2, Group::Generic, Plan::Every { run: keys, fold: Fold::Concat })
        .flags(&[Flags::READONLY])
        .categories(KEYSPACE | DANGEROUS)
        .about("1.0.0", "Lists all keys whose name is as a pattern says"),
    Row::new("randomkey", 1, Group::Generic, Plan::Every { run: randomkey, fold: Fold::Pick })
        .flags(&[Flags::READONLY])
        .categories(KEYSPACE)
        .about("1.0.0", "Names any one key of the database"),
    Row::new("scan", -2, Group::Generic, Plan::Scan(scan))
        .flags(&[Flags::READONLY])
        .categories(KEYSPACE)
        .about("2.8.0", "Lists the keys of the database a few at a time"),
    Row::new("flushdb", -1, Group::Server, Plan::Every { run: flushdb, fold: Fold::Ok })
        .flags(&[Flags::WRITE])
        .categories(KEYSPACE | DANGEROUS)
        .about("1.0.0", "Removes all keys of the database"),
    Row::new("flushall", -1, Group::Server, Plan::Every { run: flushall, fold: Fold::Ok })
        .flags(&[Flags::WRITE])
        .categories(KEYSPACE | DANGEROUS)
        .about("1.0.0", "Removes all keys of all databases"),
    Row::new("swapdb", 3, Group::Server, Plan::Every { run: swapdb, fold: Fold::Ok })
        .flags(&[Flags::WRITE, Flags::FAST])
        .categories(KEYSPACE | DANGEROUS)
        .about("4.0.0", "Lets two databases change places"),
];
