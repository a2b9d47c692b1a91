//! Puts places into a set and asks where they are: GEOADD, GEODIST, GEOHASH, GEOPOS.

use super::hash::Point;
use super::{point, unit, write_distance, write_point};
use crate::commands::zsets::add::{Options, add};
use crate::commands::{Args, Flags, Group, KeySpec, Plan, Row};
use crate::error::Error;
use crate::shard::Scope;
use crate::value::SortedSet;
use pinion_io::resp::Reply;

/// `GEOADD key [NX | XX] [CH] longitude latitude member...`
fn geoadd(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let mut options = Options::default();
    let mut first = 2;
    loop {
        let option = if args.is(first, "NX") {
            &mut options.new_only
        } else if args.is(first, "XX") {
            &mut options.old_only
        } else if args.is(first, "CH") {
            &mut options.count_changed
        } else {
            break;
        };
        *option = true;
        first += 1;
    }
    let words = args.len() - first;
    if !words.is_multiple_of(3) || words == 0 || (options.new_only && options.old_only) {
        return Err(Error::Syntax);
    }
    let places = (first..args.len()).step_by(3);
    let pairs = places.map(|at| Ok((point(args, at)?.score(), args.at(at + 2))));
    add(scope, args, options, &pairs.collect::<Result<Vec<_>, _>>()?, reply)
}

/// The points of members, in the order of their names.
fn points<'a>(
    scope: &'a mut Scope<'_>,
    args: &'a Args<'_>,
    first: usize,
    last: usize,
) -> Result<impl Iterator<Item = Option<Point>> + 'a, Error> {
    let key = scope.first(args);
    let rules = scope.rules;
    let set = scope.keyspace.read::<SortedSet>(key, scope.now)?;
    Ok((first..last).map(move |at| set?.score(args.at(at), rules).map(Point::of_score)))
}

/// `GEODIST key member1 member2 [M | KM | FT | MI]`
fn geodist(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    let meters = match args.len() {
        4 => 1.0,
        5 => unit(args, 4)?,
        _ => return Err(Error::Syntax),
    };
    let mut points = points(scope, args, 2, 4)?;
    match (points.next().flatten(), points.next().flatten()) {
        (Some(one), Some(other)) => write_distance(one.distance(other) / meters, reply),
        _ => reply.null(),
    }
    Ok(())
}

/// `GEOHASH key [member...]`
fn geohash(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    reply.array(args.len() - 2);
    for point in points(scope, args, 2, args.len())? {
        match point {
            Some(point) => reply.bulk(&point.letters()),
            None => reply.null(),
        }
    }
    Ok(())
}

/// `GEOPOS key [member...]`
fn geopos(scope: &mut Scope<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), Error> {
    reply.array(args.len() - 2);
    for point in points(scope, args, 2, args.len())? {
        match point {
            Some(point) => write_point(point, reply),
            None => reply.null_array(),
        }
    }
    Ok(())
}

const KEY: &[KeySpec] = &[KeySpec::one(1, &["RO", "ACCESS"])];

/// The rows.
pub(in crate::commands) const ROWS: &[Row] = &[
    Row::new("geoadd", -5, Group::Geo, Plan::One(geoadd))
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[KeySpec::one(1, &["RW", "UPDATE"])])
        .about("3.2.0", "Gives members of a sorted set a place on the globe"),
    Row::new("geodist", -4, Group::Geo, Plan::One(geodist))
        .flags(&[Flags::READONLY])
        .keys(KEY)
        .about("3.2.0", "Tells how far two members are from each other"),
    Row::new("geohash", -2, Group::Geo, Plan::One(geohash))
        .flags(&[Flags::READONLY])
        .keys(KEY)
        .about("3.2.0", "Tells the geohashes of members, as other software writes them"),
    Row::new("geopos", -2, Group::Geo, Plan::One(geopos))
        .flags(&[Flags::READONLY])
        .keys(KEY)
        .about("3.2.0", "Tells the longitudes and latitudes of members"),
];
