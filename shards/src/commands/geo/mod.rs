//! Places on the globe, kept as sorted sets whose scores are geohashes.

mod area;
mod hash;
pub(super) mod places;
mod query;
pub(super) mod search;

use crate::commands::Args;
use crate::commands::zsets::score::parse;
use crate::error::Error;
use hash::Point;
use pinion_io::resp::Reply;

/// Meters in the unit at this argument.
fn unit(args: &Args<'_>, at: usize) -> Result<f64, Error> {
    if args.is(at, "M") {
        Ok(1.0)
    } else if args.is(at, "KM") {
        Ok(1000.0)
    } else if args.is(at, "FT") {
        Ok(0.3048)
    } else if args.is(at, "MI") {
        Ok(1609.34)
    } else {
        Err(Error::Text("ERR unsupported unit provided. please use M, KM, FT, MI"))
    }
}

/// The longitude at this argument, and the latitude behind it.
fn point(args: &Args<'_>, at: usize) -> Result<Point, Error> {
    let number = |at| parse(args.at(at)).ok_or(Error::NotFloat);
    let point = Point { longitude: number(at)?, latitude: number(at + 1)? };
    let (longitude, latitude) = (point.longitude.to_bits(), point.latitude.to_bits());
    if point.is_in_range() { Ok(point) } else { Err(Error::Coordinates { longitude, latitude }) }
}

/// Writes a distance with four digits after the point.
fn write_distance(distance: f64, reply: &mut Reply<'_>) {
    reply.bulk(format!("{distance:.4}").as_bytes());
}

/// Writes a longitude and a latitude.
fn write_point(point: Point, reply: &mut Reply<'_>) {
    reply.array(2);
    reply.double(point.longitude);
    reply.double(point.latitude);
}
