//! Goes over the elements of a list, from either end.

use super::Side;
use super::node::Run;
use super::quick::{Quick, Spot};
use crate::value::packed::Item;

/// Elements, one after the other.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    run: Run<'a>,
    /// The node that is being gone through; none in a small list.
    place: Option<(&'a Quick, Spot)>,
    from: Side,
    left: usize,
}

impl<'a> Items<'a> {
    pub(super) fn new(
        run: Run<'a>,
        place: Option<(&'a Quick, Spot)>,
        from: Side,
        left: usize,
    ) -> Self {
        Self { run, place, from, left }
    }

    #[cold]
    fn advance(&mut self) -> Option<()> {
        let (quick, spot) = self.place?;
        let spot = quick.following(spot, self.from)?;
        let node = quick.node(spot);
        let offset = if self.from == Side::Left { 0 } else { node.count() - 1 };
        self.run = node.run(offset, self.from);
        self.place = Some((quick, spot));
        Some(())
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        loop {
            if let Some(item) = self.run.next(self.from) {
                self.left -= 1;
                return Some(item);
            }
            self.advance()?;
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Items<'_> {}
