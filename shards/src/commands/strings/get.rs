//! Reads one string, perhaps with an effect on its key.

use super::set::{Options, deadline};
use super::write_string;
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::keyspace::Class;
use crate::shard::Scope;
use pinion_io::resp::Reply;

fn get(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let key = scope.first(args);
    write_string(scope.keyspace.get(key, scope.now), reply)
}

fn getdel(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let key = scope.first(args);
    write_string(scope.keyspace.get(key, scope.now), reply)?;
    scope.keyspace.delete(key, scope.now);
    Ok(())
}

/// `GETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST]`
fn getex(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let options = Options::of_getex(args)?;
    let key = scope.first(args);
    let Some(value) = scope.keyspace.get(key, scope.now) else {
        reply.null();
        return Ok(());
    };
    write_string(Some(value), reply)?;
    if let Some((unit, index)) = options.expire {
        let at = deadline(unit, args.int(index)?, scope.now, "getex")?;
        scope.keyspace.set_expiry(key, scope.now, Some(at));
        let name = if at <= scope.now { "del" } else { "expire" };
        scope.keyspace.notify(Class::GENERIC, name, key);
    } else if options.persist {
        let expires = scope.keyspace.peek(key, scope.now).and_then(|record| record.expiry());
        if expires.is_some() {
            scope.keyspace.set_expiry(key, scope.now, None);
            scope.keyspace.notify(Class::GENERIC, "persist", key);
        }
    }
    Ok(())
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("get", 2, Group::String, Plan::One(get))
        .flags(&[Flags::READONLY, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RO", "ACCESS"])])
        .about("1.0.0", "Reads a string"),
    Row::new("getdel", 2, Group::String, Plan::One(getdel))
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RW", "ACCESS", "DELETE"])])
        .about("6.2.0", "Reads a string and removes its key"),
    Row::new("getex", -2, Group::String, Plan::One(getex))
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(&[KeySpec::one(1, &["RW", "ACCESS", "UPDATE"])])
        .about("6.2.0", "Reads a string and sets or clears when its key expires"),
];
