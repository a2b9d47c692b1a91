//! Lists: texts in an order, added and taken at both ends.

pub(super) mod edit;
pub(super) mod many;
pub(super) mod moving;
pub(super) mod pop;
pub(super) mod push;
pub(super) mod read;
pub(super) mod wait;

use super::Args;
use crate::error::Error;
use crate::value::Side;

/// The side that the word at `index` names.
fn side(args: &Args<'_>, index: usize) -> Result<Side, Error> {
    if args.is(index, "LEFT") {
        Ok(Side::Left)
    } else if args.is(index, "RIGHT") {
        Ok(Side::Right)
    } else {
        Err(Error::Syntax)
    }
}

/// The event of an element that was added at this side.
fn pushed(side: Side) -> &'static str {
    match side {
        Side::Left => "lpush",
        Side::Right => "rpush",
    }
}

/// The event of an element that was taken from this side.
fn popped(side: Side) -> &'static str {
    match side {
        Side::Left => "lpop",
        Side::Right => "rpop",
    }
}

/// An integer that can be negated.
fn signed(args: &Args<'_>, index: usize) -> Result<i64, Error> {
    match args.int(index)? {
        i64::MIN => Err(Error::Text(
            "ERR value is out of range, value must between \
             -9223372036854775807 and 9223372036854775807",
        )),
        value => Ok(value),
    }
}

/// The place of an index that counts from the end where it is negative; none before the start.
/// It may be beyond the end.
fn place(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 { index.saturating_add_unsigned(len as u64) } else { index };
    usize::try_from(index).ok()
}

/// The start and count of what lies from `start` to `end`, both included, of `len` elements;
/// negative ones count from the end.
fn span(start: i64, end: i64, len: usize) -> (usize, usize) {
    let start = place(start, len).unwrap_or(0);
    let end = place(end, len).map_or(0, |end| end.saturating_add(1).min(len));
    (start, end.saturating_sub(start))
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans_at_their_edges() {
        for (start, end, wanted) in [
            (0, -1, (0, 5)),
            (1, 2, (1, 2)),
            (-2, -1, (3, 2)),
            (-99, 0, (0, 1)),
            (-99, -98, (0, 0)),
            (3, 1, (3, 0)),
            (4, 99, (4, 1)),
            (i64::MIN, i64::MAX, (0, 5)),
            (0, i64::MIN, (0, 0)),
        ] {
            assert_eq!(span(start, end, 5), wanted, "{start} {end}");
            assert_eq!(span(start, end, 0).1, 0);
        }
        assert_eq!(span(i64::MAX, i64::MAX, 5).1, 0);
    }
}
