//! A few entries from anywhere in a table, for who must choose one to go.

use super::segment::{PLACES, Segment};
use super::{Entry, Place, Table, prefetch};

/// Segments that are passed over at most because nothing in them is asked for.
const SEGMENTS_PASSED_MAX: usize = 4096;

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
        prefetch::line(std::ptr::from_ref(self.entry(place)).addr());
        Some(place)
    }

    /// Begins to load what entries at such a place, and right behind it, point at.
    pub(crate) fn prefetch_sample(&self, place: Place) {
        let Some(segment) = self.segments.get(place.segment as usize) else { return };
        for spot in segment.spots_from(place.spot).take(SPOTS_AHEAD) {
            let entry = segment.entry(spot);
            if !entry.is_empty() {
                prefetch::line(entry.address());
            }
        }
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

/// Places of which the records are loaded ahead: one bucket.
const SPOTS_AHEAD: usize = 7;
