//! Places on the globe as scores of sorted sets.
//!
//! A geohash halves the ranges of longitude and latitude in turn (Niemeyer, 2008). 26 halvings of
//! each give 52 bits, which a double holds whole: bits of the longitude stand in odd places, of
//! the latitude in even ones, so that a score range is a cell of the globe. Latitudes end where
//! the square Mercator map does (EPSG:3857).
//!
//! The very last longitude and latitude fall into a cell of their own behind the last, whose score
//! has more than 52 bits. So it is in Redis, whose scores these must be.

/// Degrees east and north.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) longitude: f64,
    pub(super) latitude: f64,
}

/// The largest longitude; the smallest is its opposite.
pub(super) const LONGITUDE_MAX: f64 = 180.0;
/// The largest latitude; the smallest is its opposite.
pub(super) const LATITUDE_MAX: f64 = 85.051_128_78;
/// Halvings of each range in a score.
pub(super) const STEPS_MAX: u32 = 26;
/// As the haversine formula takes it, in meters.
const EARTH_RADIUS: f64 = 6_372_797.560_856;

/// Of a degree.
const RADIANS: f64 = std::f64::consts::PI / 180.0;

/// One of the cells that so many halvings leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Cell {
    /// Column from the west, 2^steps at most.
    column: u32,
    /// Row from the south, 2^steps at most.
    row: u32,
    steps: u32,
}

/// The edges of a cell, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Edges {
    pub(super) west: f64,
    pub(super) east: f64,
    pub(super) south: f64,
    pub(super) north: f64,
}

impl Cell {
    /// The cell around a point, whose coordinates are in range.
    pub(super) fn around(point: Point, steps: u32) -> Self {
        Self::within(point, LATITUDE_MAX, steps)
    }

    fn within(point: Point, latitude_max: f64, steps: u32) -> Self {
        let index = |value: f64, max: f64| {
            let share = (value + max) / (max + max);
            (share * f64::from(1_u32 << steps)) as u32
        };
        Self {
            column: index(point.longitude, LONGITUDE_MAX),
            row: index(point.latitude, latitude_max),
            steps,
        }
    }

    /// The cell that a score names. Any number is a score; one that is no cell's is taken for the
    /// bits that x86-64 makes of it, as Redis does there.
    pub(super) fn of_score(score: f64) -> Self {
        const HIGH: f64 = (1_u64 << 63) as f64;
        let bits = match score - HIGH {
            below if below < 0.0 => (score as i64).cast_unsigned(),
            above if above < HIGH => above as u64 | 1 << 63,
            _ => 0,
        };
        Self { column: gathered(bits >> 1), row: gathered(bits), steps: STEPS_MAX }
    }

    /// How many halvings it is the outcome of.
    pub(super) fn steps(self) -> u32 {
        self.steps
    }

    /// The bits of both, in turn.
    fn bits(self) -> u64 {
        (spread(self.column) << 1) | spread(self.row)
    }

    /// The first score inside, and the first behind.
    pub(super) fn scores(self) -> (f64, f64) {
        let shift = 2 * (STEPS_MAX - self.steps);
        let bits = self.bits();
        ((bits << shift) as f64, ((bits + 1) << shift) as f64)
    }

    /// The cell so many columns to the east and rows to the north, round the globe.
    pub(super) fn beside(self, east: i32, north: i32) -> Self {
        let mask = (1 << self.steps) - 1;
        let moved = |index: u32, by: i32| match by {
            0 => index,
            _ => index.wrapping_add_signed(by) & mask,
        };
        Self { column: moved(self.column, east), row: moved(self.row, north), ..self }
    }

    pub(super) fn edges(self) -> Edges {
        let at =
            |index: f64, max: f64| -max + (index / f64::from(1_u32 << self.steps)) * (max + max);
        let (column, row) = (f64::from(self.column), f64::from(self.row));
        Edges {
            west: at(column, LONGITUDE_MAX),
            east: at(column + 1.0, LONGITUDE_MAX),
            south: at(row, LATITUDE_MAX),
            north: at(row + 1.0, LATITUDE_MAX),
        }
    }

    /// Its middle.
    pub(super) fn center(self) -> Point {
        let edges = self.edges();
        let middle = |one: f64, other: f64, max: f64| ((one + other) / 2.0).clamp(-max, max);
        Point {
            longitude: middle(edges.west, edges.east, LONGITUDE_MAX),
            latitude: middle(edges.south, edges.north, LATITUDE_MAX),
        }
    }
}

/// The bits of `value`, with a zero before each.
fn spread(value: u32) -> u64 {
    let mut bits = u64::from(value);
    bits = (bits | (bits << 16)) & 0x0000_ffff_0000_ffff;
    bits = (bits | (bits << 8)) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | (bits << 4)) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | (bits << 2)) & 0x3333_3333_3333_3333;
    (bits | (bits << 1)) & 0x5555_5555_5555_5555
}

/// Every second bit, from the lowest.
fn gathered(bits: u64) -> u32 {
    let mut bits = bits & 0x5555_5555_5555_5555;
    bits = (bits | (bits >> 1)) & 0x3333_3333_3333_3333;
    bits = (bits | (bits >> 2)) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | (bits >> 4)) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | (bits >> 8)) & 0x0000_ffff_0000_ffff;
    (bits | (bits >> 16)) as u32
}

impl Point {
    /// The score of a sorted set that stands for it.
    pub(super) fn score(self) -> f64 {
        Cell::around(self, STEPS_MAX).bits() as f64
    }

    /// The point that a score stands for.
    pub(super) fn of_score(score: f64) -> Self {
        Cell::of_score(score).center()
    }

    /// True if a score can stand for it.
    pub(super) fn is_in_range(self) -> bool {
        self.longitude.abs() <= LONGITUDE_MAX && self.latitude.abs() <= LATITUDE_MAX
    }

    /// Meters on the great circle: the haversine formula.
    pub(super) fn distance(self, other: Self) -> f64 {
        let half_east = ((other.longitude.to_radians() - self.longitude.to_radians()) / 2.0).sin();
        if half_east == 0.0 {
            return self.distance_north(other);
        }
        let (one, two) = (self.latitude.to_radians(), other.latitude.to_radians());
        let half_north = ((two - one) / 2.0).sin();
        let chord = half_north * half_north + one.cos() * two.cos() * half_east * half_east;
        2.0 * EARTH_RADIUS * chord.sqrt().asin()
    }

    /// Meters along the meridian.
    pub(super) fn distance_north(self, other: Self) -> f64 {
        EARTH_RADIUS * (other.latitude.to_radians() - self.latitude.to_radians()).abs()
    }

    /// Degrees of latitude in so many meters.
    pub(super) fn degrees_north(meters: f64) -> f64 {
        meters / EARTH_RADIUS / RADIANS
    }

    /// Degrees of longitude in so many meters at a latitude.
    pub(super) fn degrees_east(meters: f64, latitude: f64) -> f64 {
        meters / EARTH_RADIUS / latitude.to_radians().cos() / RADIANS
    }

    /// The geohash that other software reads, of eleven letters, the last of them always `0`: its
    /// latitudes go up to the poles, and 52 bits fill ten letters and a part of one.
    pub(super) fn letters(self) -> [u8; 11] {
        const LETTERS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        let bits = Cell::within(self, 90.0, STEPS_MAX).bits();
        let mut text = [b'0'; 11];
        for (index, letter) in text[..10].iter_mut().enumerate() {
            *letter = LETTERS[(bits >> (47 - 5 * index)) as usize & 31];
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_score_is_a_place() {
        let last = Point { longitude: 180.0, latitude: LATITUDE_MAX };
        assert_eq!(last.score(), (3_u64 << 52) as f64);
        assert_eq!(Point::of_score(last.score()), last);
        let first = Point::of_score(0.0);
        assert_eq!(first.longitude, -179.999_997_317_790_99);
        for (score, point) in [
            (1e17, last),
            (-5.0, last),
            (f64::INFINITY, first),
            (f64::NEG_INFINITY, Point { longitude: 180.0, ..first }),
        ] {
            assert_eq!(Point::of_score(score), point, "{score}");
        }
    }

    #[test]
    fn the_example_of_the_manual() {
        let palermo = Point { longitude: 13.361389, latitude: 38.115556 };
        let catania = Point { longitude: 15.087269, latitude: 37.502669 };
        assert_eq!(palermo.score(), 3_479_099_956_230_698.0);
        assert_eq!(catania.score(), 3_479_447_370_796_909.0);
        let (palermo, catania) =
            (Point::of_score(palermo.score()), Point::of_score(catania.score()));
        assert_eq!(palermo.longitude, 13.361_389_338_970_184);
        assert_eq!(&palermo.letters(), b"sqc8b49rny0");
        assert_eq!(format!("{:.4}", palermo.distance(catania)), "166274.1516");
    }

    #[test]
    fn cells_go_round_the_globe() {
        let corner = Point { longitude: 179.999_999, latitude: 85.051 };
        let cell = Cell::around(corner, 3);
        assert_eq!(cell.beside(1, 1).scores().0, 0.0);
        assert_eq!(cell.beside(1, 1).beside(-1, -1), cell);
        assert_eq!(Cell::of_score(cell.scores().1 - 1.0).steps, STEPS_MAX);
        for value in [0, 1, 0x5555, 0x3ff_ffff, 0x155_aa33] {
            assert_eq!(gathered(spread(value)), value);
        }
    }
}
