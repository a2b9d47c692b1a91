//! Circles and boxes on the globe, and the cells that cover them.

use super::hash::{Cell, Point, STEPS_MAX};

/// What a search looks into.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) center: Point,
    pub(super) shape: Shape,
}

/// Sizes in meters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shape {
    Circle { radius: f64 },
    Box { width: f64, height: f64 },
}

/// Half of the equator on the Mercator map, in meters.
const MERCATOR_MAX: f64 = 20_037_726.37;

impl Area {
    /// The distance of a point inside from the center, in meters.
    pub(super) fn distance_inside(&self, point: Point) -> Option<f64> {
        let distance = || self.center.distance(point);
        match self.shape {
            Shape::Circle { radius } => Some(distance()).filter(|&distance| distance <= radius),
            Shape::Box { width, height } => {
                let meridian = Point { longitude: self.center.longitude, ..point };
                let inside = self.center.distance_north(point) <= height / 2.0
                    && point.distance(meridian) <= width / 2.0;
                inside.then(distance)
            }
        }
    }

    /// Half the width, half the height, and the distance of the farthest point, in meters.
    fn reach(&self) -> (f64, f64, f64) {
        match self.shape {
            Shape::Circle { radius } => (radius, radius, radius),
            Shape::Box { width, height } => {
                let (width, height) = (width / 2.0, height / 2.0);
                (width, height, (width * width + height * height).sqrt())
            }
        }
    }

    /// The cells that cover it, up to nine, as large as they must be for that: the one around the
    /// center, then those in the north, south, east and west, then those at the corners. Some may
    /// be the same where cells are large. Cells that lie outside are left out.
    pub(super) fn cells(&self) -> impl Iterator<Item = Cell> {
        let (half_width, half_height, farthest) = self.reach();
        let Point { longitude, latitude } = self.center;
        let up = Point::degrees_north(half_height);
        let (south, north) = (latitude - up, latitude + up);
        // The box is widest, in degrees, where it is nearest to a pole.
        let nearest = if latitude < 0.0 { south } else { north };
        let aside = Point::degrees_east(half_width, nearest);
        let (west, east) = (longitude - aside, longitude + aside);

        let mut cell = Cell::around(self.center, steps(farthest, latitude));
        let falls_short = |cell: Cell| {
            cell.beside(0, 1).edges().north < north
                || cell.beside(0, -1).edges().south > south
                || cell.beside(1, 0).edges().east < east
                || cell.beside(-1, 0).edges().west > west
        };
        if cell.steps() > 1 && falls_short(cell) {
            cell = Cell::around(self.center, cell.steps() - 1);
        }
        let edges = cell.edges();
        let few = cell.steps() < 2;
        let is_needed = move |&(columns, rows): &(i32, i32)| {
            few || !((rows < 0 && edges.south < south)
                || (rows > 0 && edges.north > north)
                || (columns < 0 && edges.west < west)
                || (columns > 0 && edges.east > east))
        };
        let around = [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];
        let needed = around.into_iter().filter(is_needed);
        needed.map(move |(columns, rows)| cell.beside(columns, rows))
    }
}

/// How many halvings leave cells of about the size of an area that reaches so many meters; near
/// the poles cells are narrow, and so fewer.
fn steps(mut meters: f64, latitude: f64) -> u32 {
    if meters == 0.0 {
        return STEPS_MAX;
    }
    let mut steps = 1;
    while meters < MERCATOR_MAX && steps < 64 {
        meters *= 2.0;
        steps += 1;
    }
    let near_pole = u32::from(latitude.abs() > 66.0) + u32::from(latitude.abs() > 80.0);
    let steps: u32 = steps;
    steps.saturating_sub(2 + near_pole).clamp(1, STEPS_MAX)
}
