//! A few entries from anywhere in a table, for who must choose one to go.

use super::segment::{PLACES, Segment};
use super::{Entry, Place, Table, prefetch};

/// Segments that are passed over at most because nothing in them is asked for.
const SEGMENTS_PASSED_MAX: usize = 4096;
/// Buckets that are loaded ahead, each a line: most samples lie in two.
const LINES_AHEAD: usize = 2;
const LINE_BYTES: usize = 64;
const SPOTS_A_LINE: usize = 7;

impl Table {
    /// A place from which to sample, any as likely as any other, or the next one behind it in whose
    /// segment something is asked for; what lies there is on its way from memory. None if too much
    /// was passed over.
    pub(crate) fn sample_place(&self, random: u64, expiring: bool) -> Option<Place> {
        let count = self.segments.len();
        let start = (((random >> 32) * count as u64) >> 32) as usize;
        let is_asked = |segment: &usize| {
            let counts = self.counts[*segment];
            if expiring { counts.expires > 0 } else { counts.keys > 0 }
        };
        let round = (start..count).chain(0..start).take(SEGMENTS_PASSED_MAX);
        let segment = { round }.find(is_asked)?;
        let index = (((random & 0xffff_ffff) * PLACES as u64) >> 32) as usize;
        let place = Place { segment: segment as u32, spot: Segment::line_spot(index) };
        let address = std::ptr::from_ref(self.entry(place)).addr();
        (0..LINES_AHEAD).for_each(|line| prefetch::line(address + line * LINE_BYTES));
        Some(place)
    }

    /// Begins to load what the first `count` entries from such a place on point at.
    pub(crate) fn prefetch_sample(&self, place: Place, count: usize) {
        let Some(segment) = self.segments.get(place.segment as usize) else { return };
        let spots = segment.spots_from(place.spot).take(LINES_AHEAD * SPOTS_A_LINE);
        let entries = spots.map(|spot| segment.entry(spot)).filter(|entry| !entry.is_empty());
        entries.take(count).for_each(|entry| prefetch::line(entry.address()));
    }

    /// Shows up to `count` entries from a place on, as far as its segment goes, round; only those
    /// with an expiry where `expiring`.
    pub(crate) fn sample(
        &self,
        place: Place,
        count: usize,
        expiring: bool,
        visit: &mut dyn FnMut(&Entry),
    ) {
        let Some(segment) = self.segments.get(place.segment as usize) else { return };
        let entries = segment.spots_from(place.spot).map(|spot| segment.entry(spot));
        let asked = entries.filter(|entry| !entry.is_empty() && (!expiring || entry.expires()));
        asked.take(count).for_each(visit);
    }
}
