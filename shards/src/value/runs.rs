//! Runs of bytes that grow and shrink, side by side in one allocation.
//!
//! What a run has to spare lies behind it. One that needs more than that takes it from the nearest
//! that have some, so that those in between move; where all together have too little, the allocation
//! grows by a class, and the spare bytes are spread evenly. Alone, each run would pass through all
//! sizes that the allocator knows, at its own time, and leave holes among those of each: so many runs
//! at once are all about as large as those of their neighbours, and few sizes are in use.

use super::growth::size_class;

/// How many runs lie together.
pub(super) const RUNS: usize = 16;

/// Where a run lies.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    start: u32,
    len: u32,
}

impl Place {
    fn end(self) -> usize {
        (self.start + self.len) as usize
    }
}

/// Some runs.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// All of them, and what they have to spare: as long as its capacity.
    bytes: Vec<u8>,
    places: [Place; RUNS],
    /// Bytes of all runs.
    len: u32,
}

impl Runs {
    /// Copies of these.
    pub(super) fn of<'a>(runs: impl Iterator<Item = &'a [u8]> + Clone) -> Self {
        let len: usize = runs.clone().map(<[u8]>::len).sum();
        let mut all = Self::default();
        all.allocate(len);
        for (place, run) in all.places.iter_mut().zip(runs) {
            let start = all.len as usize;
            all.bytes[start..start + run.len()].copy_from_slice(run);
            *place = Place { start: all.len, len: run.len() as u32 };
            all.len += run.len() as u32;
        }
        all.spread(None);
        all
    }

    /// A copy with as much memory, so that what counts one counts the other.
    pub(super) fn duplicate(&self) -> Self {
        let mut bytes = Vec::with_capacity(self.bytes.capacity());
        bytes.extend_from_slice(&self.bytes);
        Self { bytes, ..*self }
    }

    /// Bytes of memory taken.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.bytes.capacity()
    }

    #[inline]
    pub(super) fn run(&self, index: usize) -> &[u8] {
        let place = self.places[index];
        &self.bytes[place.start as usize..place.end()]
    }

    /// A run whose bytes may be changed, but not how many they are.
    #[inline]
    pub(super) fn run_mut(&mut self, index: usize) -> &mut [u8] {
        let place = self.places[index];
        &mut self.bytes[place.start as usize..place.end()]
    }

    /// Puts other bytes in the place of a run.
    pub(super) fn put(&mut self, index: usize, run: &[u8]) {
        self.len = self.len - self.places[index].len + run.len() as u32;
        // What is overwritten need not move.
        self.places[index].len = 0;
        if run.len() > self.spare(index) {
            self.make_room(index, run.len());
        }
        self.places[index].len = run.len() as u32;
        self.run_mut(index).copy_from_slice(run);
        if (self.len as usize) < self.bytes.len() / 2 {
            self.gather();
            self.bytes.truncate(self.len as usize);
            self.bytes.shrink_to(size_class(self.len as usize));
            self.bytes.resize(self.bytes.capacity(), 0);
            self.spread(None);
        }
    }

    /// Takes memory for `len` bytes at least.
    fn allocate(&mut self, len: usize) {
        if len > self.bytes.len() {
            self.bytes.reserve_exact(size_class(len) - self.bytes.len());
            self.bytes.resize(self.bytes.capacity(), 0);
        }
    }

    /// Spare bytes behind a run.
    #[inline]
    fn spare(&self, index: usize) -> usize {
        let next = self.places.get(index + 1).map_or(self.bytes.len(), |next| next.start as usize);
        next - self.places[index].end()
    }

    /// Makes room for `len` bytes where an empty run lies; `self.len` counts them already.
    fn make_room(&mut self, index: usize, len: usize) {
        let need = len - self.spare(index);
        let (left, right) = (self.reach_left(index, need), self.reach_right(index, need));
        match (left, right) {
            (Some((moved, first)), other) if other.is_none_or(|other| moved <= other.0) => {
                self.shift_left(first, index, need);
            }
            (_, Some((_, last))) => self.shift_right(index, last, need),
            _ => {
                self.gather();
                self.allocate(self.len as usize);
                self.spread(Some((index, len)));
            }
        }
    }

    /// The nearest run to the left that must lose what it has to spare, so that there is enough,
    /// and how many bytes move then.
    fn reach_left(&self, index: usize, need: usize) -> Option<(usize, usize)> {
        let (mut gained, mut moved) = (0, 0);
        for first in (0..index).rev() {
            gained += self.spare(first);
            if gained >= need {
                return Some((moved, first));
            }
            moved += self.places[first].len as usize;
        }
        None
    }

    /// The same to the right.
    fn reach_right(&self, index: usize, need: usize) -> Option<(usize, usize)> {
        let (mut gained, mut moved) = (0, 0);
        for last in index + 1..RUNS {
            gained += self.spare(last);
            moved += self.places[last].len as usize;
            if gained >= need {
                return Some((moved, last));
            }
        }
        None
    }

    /// Moves the runs behind `first`, up to an empty one, so that this begins `need` bytes before.
    fn shift_left(&mut self, first: usize, index: usize, need: usize) {
        let mut shifts = [0; RUNS];
        let mut shift = need;
        for run in (first + 1..=index).rev() {
            shifts[run] = shift;
            shift = shift.saturating_sub(self.spare(run - 1));
        }
        for (run, shift) in shifts.into_iter().enumerate().take(index + 1).skip(first + 1) {
            self.shift(run, self.places[run].start as usize - shift);
        }
    }

    /// Moves the runs behind an empty one, up to `last`, so that the next begins `need` bytes later.
    fn shift_right(&mut self, index: usize, last: usize, need: usize) {
        let mut shifts = [0; RUNS];
        let mut shift = need;
        for run in index + 1..=last {
            shifts[run] = shift;
            shift = shift.saturating_sub(self.spare(run));
        }
        for run in (index + 1..=last).rev() {
            self.shift(run, self.places[run].start as usize + shifts[run]);
        }
    }

    /// Moves a run.
    #[inline]
    fn shift(&mut self, run: usize, to: usize) {
        let place = self.places[run];
        if place.start as usize != to {
            self.bytes.copy_within(place.start as usize..place.end(), to);
            self.places[run].start = to as u32;
        }
    }

    /// Moves all runs to the front, one behind the other.
    fn gather(&mut self) {
        let mut end = 0;
        for run in 0..RUNS {
            self.shift(run, end);
            end = self.places[run].end();
        }
    }

    /// Spreads runs that lie at the front, so that all have about as much to spare; one of them
    /// as if it had so many bytes.
    fn spread(&mut self, grown: Option<(usize, usize)>) {
        let spare = self.bytes.len() - self.len as usize;
        let mut end = self.bytes.len() - spare % RUNS;
        for run in (0..RUNS).rev() {
            let len = match grown {
                Some((index, len)) if index == run => len,
                _ => self.places[run].len as usize,
            };
            end -= spare / RUNS + len;
            self.shift(run, end);
        }
    }

    /// Compares what is kept with what is there.
    ///
    /// # Panics
    /// If anything differs.
    pub(super) fn recount(&self) {
        let len: u32 = self.places.iter().map(|place| place.len).sum();
        assert_eq!(len, self.len, "bytes counted are bytes recounted");
        assert_eq!(self.bytes.len(), self.bytes.capacity(), "all memory is for runs");
        assert_eq!(self.places[0].start, 0, "the first run lies at the front");
        (0..RUNS).for_each(|run| _ = self.spare(run));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_those_of_a_model() {
        for seed in 1..30_u64 {
            println!("seed {seed}");
            let mut state = seed;
            let mut random = |bound: u64| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 33) % bound
            };
            let mut model: Vec<Vec<u8>> = (0..RUNS).map(|_| vec![7; random(30) as usize]).collect();
            let mut runs = Runs::of(model.iter().map(Vec::as_slice));
            for step in 0..3000 {
                let index = random(RUNS as u64) as usize;
                let run = &mut model[index];
                let most = [4, 40, 300][random(3) as usize];
                let by = 1 + random(most) as usize;
                if random(10) < if step < 1500 { 7 } else { 3 } {
                    run.resize(run.len() + by, random(256) as u8);
                } else {
                    run.truncate(run.len().saturating_sub(by));
                }
                runs.put(index, run);
                runs.recount();
                assert!((0..RUNS).all(|index| runs.run(index) == model[index]));
            }
            let len: usize = model.iter().map(Vec::len).sum();
            assert!(runs.bytes() <= 2 * len + 1024, "memory is given back");
            let (copy, again) = (runs.duplicate(), Runs::of(model.iter().map(Vec::as_slice)));
            assert_eq!(copy.bytes(), runs.bytes());
            assert!((0..RUNS).all(|index| copy.run(index) == again.run(index)));
        }
    }
}
