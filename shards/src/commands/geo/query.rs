//! What a search asks for, as its words say, and what it finds.

use super::area::{Area, Shape};
use super::hash::{Cell, Point};
use super::{point, unit};
use crate::commands::Args;
use crate::commands::zsets::score::parse;
use crate::error::Error;
use crate::value::sorted_set::{Bounds, ScoreEnd};
use crate::value::{Item, Rules, SortedSetRef};

/// A form of words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// GEOSEARCH, whose source stands at argument 1, and GEOSEARCHSTORE, where it is at 2.
    Search { source: usize },
    /// GEORADIUS and GEORADIUSBYMEMBER, which may store.
    Radius { by_member: bool, stores: bool },
}

/// In which order members are answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Order {
    Ascending,
    Descending,
}

/// Where a search keeps what it finds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Store {
    /// The argument with the key.
    pub(super) key: usize,
    /// Distances are the scores, not places.
    pub(super) distances: bool,
}

/// What a search asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Query {
    center: Option<Point>,
    shape: Option<Shape>,
    /// Meters in the unit of distances.
    pub(super) unit: f64,
    order: Option<Order>,
    count: Option<usize>,
    any: bool,
    pub(super) with_distance: bool,
    pub(super) with_hash: bool,
    pub(super) with_point: bool,
    pub(super) store: Option<Store>,
}

/// A member inside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub(super) member: Item<'a>,
    pub(super) score: f64,
    pub(super) point: Point,
    /// From the center, in meters.
    pub(super) distance: f64,
}

/// Which of the words that exclude each other were given.
#[derive(Clone, Copy, Debug, Default)]
struct Given {
    member: bool,
    place: bool,
    circle: bool,
    rectangle: bool,
}

impl Query {
    /// Reads the words of a command on `set`, if that is there.
    pub(super) fn parse(
        args: &Args<'_>,
        form: Form,
        set: Option<SortedSetRef<'_>>,
        rules: &Rules,
    ) -> Result<Self, Error> {
        let mut query = Self { unit: 1.0, ..Self::default() };
        let mut given = Given::default();
        let mut at = match form {
            Form::Search { source } => {
                query.store = (source > 1).then_some(Store { key: 1, distances: false });
                source + 1
            }
            Form::Radius { by_member: false, .. } => {
                query.center = Some(point(args, 2)?);
                query.read_circle(args, 4)?;
                6
            }
            Form::Radius { by_member: true, .. } => {
                if let Some(set) = set {
                    query.center = Some(place_of(args.at(2), set, rules)?);
                    query.read_circle(args, 3)?;
                }
                5
            }
        };
        while at < args.len() {
            let read = match form {
                Form::Search { .. } => query.read_area(args, at, &mut given, set, rules)?,
                Form::Radius { stores, .. } => query.read_store(args, at, stores),
            };
            at += match read {
                0 => query.read_option(args, at)?,
                words => words,
            };
        }
        query.check(args, form, given)?;
        Ok(query)
    }

    /// Reads an option that all forms have; how many words it takes.
    fn read_option(&mut self, args: &Args<'_>, at: usize) -> Result<usize, Error> {
        if args.is(at, "WITHDIST") {
            self.with_distance = true;
        } else if args.is(at, "WITHHASH") {
            self.with_hash = true;
        } else if args.is(at, "WITHCOORD") {
            self.with_point = true;
        } else if args.is(at, "ANY") {
            self.any = true;
        } else if args.is(at, "ASC") {
            self.order = Some(Order::Ascending);
        } else if args.is(at, "DESC") {
            self.order = Some(Order::Descending);
        } else if args.is(at, "COUNT") && at + 1 < args.len() {
            let count = usize::try_from(args.int(at + 1)?).ok().filter(|&count| count > 0);
            self.count = Some(count.ok_or(Error::Text("ERR COUNT must be > 0"))?);
            return Ok(2);
        } else {
            return Err(Error::Syntax);
        }
        Ok(1)
    }

    /// Reads where GEORADIUS stores, if it is that; how many words it takes.
    fn read_store(&mut self, args: &Args<'_>, at: usize, stores: bool) -> usize {
        let distances = args.is(at, "STOREDIST");
        if !stores || at + 1 >= args.len() || !(distances || args.is(at, "STORE")) {
            return 0;
        }
        self.store = Some(Store { key: at + 1, distances });
        2
    }

    /// Reads what GEOSEARCH says of its area, if it is that; how many words it takes.
    fn read_area(
        &mut self,
        args: &Args<'_>,
        at: usize,
        given: &mut Given,
        set: Option<SortedSetRef<'_>>,
        rules: &Rules,
    ) -> Result<usize, Error> {
        let behind = args.len() - at - 1;
        if args.is(at, "FROMMEMBER") && behind >= 1 && !given.place {
            given.member = true;
            if let Some(set) = set {
                self.center = Some(place_of(args.at(at + 1), set, rules)?);
            }
            Ok(2)
        } else if args.is(at, "FROMLONLAT") && behind >= 2 && !given.member {
            given.place = true;
            self.center = Some(point(args, at + 1)?);
            Ok(3)
        } else if args.is(at, "BYRADIUS") && behind >= 2 && !given.rectangle {
            given.circle = true;
            self.read_circle(args, at + 1)?;
            Ok(3)
        } else if args.is(at, "BYBOX") && behind >= 3 && !given.circle {
            given.rectangle = true;
            self.read_box(args, at + 1)?;
            Ok(4)
        } else if args.is(at, "STOREDIST")
            && let Some(store) = &mut self.store
        {
            store.distances = true;
            Ok(1)
        } else {
            Ok(0)
        }
    }

    fn read_circle(&mut self, args: &Args<'_>, at: usize) -> Result<(), Error> {
        let radius = parse(args.at(at)).ok_or(Error::Text("ERR need numeric radius"))?;
        if radius < 0.0 {
            return Err(Error::Text("ERR radius cannot be negative"));
        }
        self.unit = unit(args, at + 1)?;
        self.shape = Some(Shape::Circle { radius: radius * self.unit });
        Ok(())
    }

    fn read_box(&mut self, args: &Args<'_>, at: usize) -> Result<(), Error> {
        let width = parse(args.at(at)).ok_or(Error::Text("ERR need numeric width"))?;
        let height = parse(args.at(at + 1)).ok_or(Error::Text("ERR need numeric height"))?;
        if width < 0.0 || height < 0.0 {
            return Err(Error::Text("ERR height or width cannot be negative"));
        }
        self.unit = unit(args, at + 2)?;
        self.shape = Some(Shape::Box { width: width * self.unit, height: height * self.unit });
        Ok(())
    }

    /// Checks what the words say together.
    fn check(&self, args: &Args<'_>, form: Form, given: Given) -> Result<(), Error> {
        if self.store.is_some() && (self.with_distance || self.with_hash || self.with_point) {
            return Err(Error::Text(match form {
                Form::Search { .. } => {
                    "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD \
                     options"
                }
                Form::Radius { .. } => {
                    "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and \
                     WITHCOORD options"
                }
            }));
        }
        if let Form::Search { source } = form {
            let name = match (source, args.at(0).first()) {
                (1, Some(b'g')) => "geosearch",
                (1, _) => "GEOSEARCH",
                (_, Some(b'g')) => "geosearchstore",
                _ => "GEOSEARCHSTORE",
            };
            if !given.member && !given.place {
                return Err(Error::ExactlyOne { of: "FROMMEMBER or FROMLONLAT", name });
            }
            if !given.circle && !given.rectangle {
                return Err(Error::ExactlyOne { of: "BYRADIUS and BYBOX", name });
            }
        }
        if self.any && self.count.is_none() {
            return Err(Error::Text("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    /// The members of `set` that are asked for, in the order in which they are answered.
    pub(super) fn find<'a>(&self, set: Option<SortedSetRef<'a>>) -> Vec<Found<'a>> {
        let (Some(set), Some(center), Some(shape)) = (set, self.center, self.shape) else {
            return Vec::new();
        };
        let area = Area { center, shape };
        let enough = if self.any { self.count.unwrap_or(usize::MAX) } else { usize::MAX };
        let mut found = Vec::new();
        let mut last: Option<Cell> = None;
        for cell in area.cells() {
            // Of cells as large as a quarter of the globe, neighbours are the same.
            if last.replace(cell) == Some(cell) {
                continue;
            }
            let (start, end) = cell.scores();
            let start = ScoreEnd { score: start, open: false };
            let end = ScoreEnd { score: end, open: true };
            for (member, score) in set.range(set.span(&Bounds::Score(start, end))) {
                if found.len() >= enough {
                    break;
                }
                let point = Point::of_score(score);
                if let Some(distance) = area.distance_inside(point) {
                    found.push(Found { member, score, point, distance });
                }
            }
        }
        // The nearest ones are asked for, unless any will do.
        let order = match self.order {
            None if self.count.is_some() && !self.any => Some(Order::Ascending),
            order => order,
        };
        match order {
            Some(Order::Ascending) => found.sort_by(|a, b| a.distance.total_cmp(&b.distance)),
            Some(Order::Descending) => found.sort_by(|a, b| b.distance.total_cmp(&a.distance)),
            None => {}
        }
        found.truncate(self.count.unwrap_or(usize::MAX));
        found
    }
}

fn place_of(member: &[u8], set: SortedSetRef<'_>, rules: &Rules) -> Result<Point, Error> {
    let score = set.score(member, rules);
    score.map(Point::of_score).ok_or(Error::Text("ERR could not decode requested zset member"))
}
