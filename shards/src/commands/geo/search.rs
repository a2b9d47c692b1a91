//! Searches in circles and boxes: GEOSEARCH, GEOSEARCHSTORE, and the GEORADIUS they replace.

use super::query::{Form, Found, Query, Store};
use super::{write_distance, write_point};
use crate::carried::copy_out;
use crate::commands::{Args, Flags, Group, KeySpec, Move, Others, Plan, Row, Run};
use crate::error::Error;
use crate::keyspace::Class;
use crate::shard::Scope;
use crate::value::{Rules, SortedSet};
use pinion_io::resp::Reply;

/// `GEOSEARCH key FROMMEMBER member | FROMLONLAT longitude latitude
/// BYRADIUS radius unit | BYBOX width height unit [ASC | DESC] [COUNT count [ANY]]
/// [WITHCOORD] [WITHDIST] [WITHHASH]`
fn geosearch(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    search(scope, args, reply, Form::Search { source: 1 })
}

/// `GEORADIUS key longitude latitude radius unit` and options, among them STORE and STOREDIST.
fn georadius(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    search(scope, args, reply, Form::Radius { by_member: false, stores: true })
}

/// `GEORADIUS_RO key longitude latitude radius unit` and options.
fn georadius_ro(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    search(scope, args, reply, Form::Radius { by_member: false, stores: false })
}

/// `GEORADIUSBYMEMBER key member radius unit` and options, among them STORE and STOREDIST.
fn by_member(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    search(scope, args, reply, Form::Radius { by_member: true, stores: true })
}

/// `GEORADIUSBYMEMBER_RO key member radius unit` and options.
fn by_member_ro(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    search(scope, args, reply, Form::Radius { by_member: true, stores: false })
}

fn search(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    form: Form,
) -> Result<(), Error> {
    let rules = scope.rules;
    let set = scope.sources_of::<SortedSet>(args, 1..=1)?[0];
    let query = Query::parse(args, form, set, rules)?;
    let found = query.find(set);
    let Some(store) = query.store else {
        write(&query, &found, reply);
        return Ok(());
    };
    let kept = kept(&query, store, &found, rules);
    reply.int(found.len() as i64);
    // With both STORE and STOREDIST the last counts; it is run where the first is.
    if !scope.is_here(store.key) {
        return Err(Error::CrossShard);
    }
    let key = scope.key(args.at(store.key));
    scope.keyspace.store(key, scope.now, kept, (Class::SORTED_SET, "georadiusstore"));
    Ok(())
}

/// `GEOSEARCHSTORE destination source` and the words of GEOSEARCH, and `[STOREDIST]`.
fn geosearchstore(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let rules = scope.rules;
    let set = scope.sources_of::<SortedSet>(args, 2..=2)?[0];
    let query = Query::parse(args, Form::Search { source: 2 }, set, rules)?;
    let found = query.find(set);
    let store = query.store.expect("the form stores");
    let kept = kept(&query, store, &found, rules);
    reply.int(found.len() as i64);
    let key = scope.first(args);
    scope.keyspace.store(key, scope.now, kept, (Class::SORTED_SET, "geosearchstore"));
    Ok(())
}

/// A sorted set of what was found.
fn kept(query: &Query, store: Store, found: &[Found<'_>], rules: &Rules) -> SortedSet {
    let mut digits = itoa::Buffer::new();
    let longest = found.iter().map(|found| found.member.len()).max().unwrap_or(0);
    let mut set = SortedSet::with_room(found.len(), longest, rules);
    for found in found {
        let score = if store.distances { found.distance / query.unit } else { found.score };
        set.put(found.member.text(&mut digits), score, rules);
    }
    set
}

fn write(query: &Query, found: &[Found<'_>], reply: &mut Reply<'_>) {
    let asked = [query.with_distance, query.with_hash, query.with_point];
    let extras = asked.into_iter().filter(|&asked| asked).count();
    reply.array(found.len());
    for found in found {
        if extras > 0 {
            reply.array(extras + 1);
        }
        found.member.write(reply);
        if query.with_distance {
            write_distance(found.distance / query.unit, reply);
        }
        if query.with_hash {
            reply.int(found.score as i64);
        }
        if query.with_point {
            write_point(found.point, reply);
        }
    }
}

const KEY: &[KeySpec] = &[KeySpec::one(1, &["RO", "ACCESS"])];
const READ: &[Flags] = &[Flags::READONLY];
const WRITE: &[Flags] = &[Flags::WRITE, Flags::DENYOOM];
/// The options that take words, which say what they like.
const BESIDE_STORE: Others = &[("STOREDIST", 1), ("COUNT", 1)];
const BESIDE_STOREDIST: Others = &[("STORE", 1), ("COUNT", 1)];
const MOVABLE: &[Flags] = &[Flags::WRITE, Flags::DENYOOM, Flags::MOVABLEKEYS];

/// Where the result is to be; without STORE and STOREDIST, where the one key is.
const fn stored(put: Run) -> Plan {
    Plan::Move(Move { to: 1, take: copy_out, put, settle: None, back: None, ask: None })
}

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("geosearch", -7, Group::Geo, Plan::One(geosearch))
        .flags(READ)
        .keys(KEY)
        .about("6.2.0", "Finds members in a circle or box"),
    Row::new("geosearchstore", -8, Group::Geo, Plan::gather(geosearchstore))
        .flags(WRITE)
        .keys(&[KeySpec::one(1, &["OW", "UPDATE"]), KeySpec::one(2, &["RO", "ACCESS"])])
        .about("6.2.0", "Keeps the members in a circle or box"),
    Row::new("georadius", -6, Group::Geo, stored(georadius))
        .flags(MOVABLE)
        .keys(&[
            KeySpec::one(1, &["RO", "ACCESS"]),
            KeySpec::after_last("STORE", 6, BESIDE_STORE, &["OW", "UPDATE"]),
            KeySpec::after_last("STOREDIST", 6, BESIDE_STOREDIST, &["OW", "UPDATE"]),
        ])
        .about("3.2.0", "Finds members in a circle around a place, or keeps them"),
    Row::new("georadius_ro", -6, Group::Geo, Plan::One(georadius_ro))
        .flags(READ)
        .keys(KEY)
        .about("3.2.10", "Finds members in a circle around a place"),
    Row::new("georadiusbymember", -5, Group::Geo, stored(by_member))
        .flags(MOVABLE)
        .keys(&[
            KeySpec::one(1, &["RO", "ACCESS"]),
            KeySpec::after_last("STORE", 5, BESIDE_STORE, &["OW", "UPDATE"]),
            KeySpec::after_last("STOREDIST", 5, BESIDE_STOREDIST, &["OW", "UPDATE"]),
        ])
        .about("3.2.0", "Finds members in a circle around a member, or keeps them"),
    Row::new("georadiusbymember_ro", -5, Group::Geo, Plan::One(by_member_ro))
        .flags(READ)
        .keys(KEY)
        .about("3.2.10", "Finds members in a circle around a member"),
];
