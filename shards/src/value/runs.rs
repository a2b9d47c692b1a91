//! Runs of bytes that grow and shrink, side by side in one slot of memory.
//!
//! What a run has to spare lies behind it. One that needs more than that takes it from the nearest
//! that have some, so that those in between move; where all together have too little, they need
//! another slot, in which the spare bytes are spread evenly. Alone, each run would pass through all
//! sizes that the allocator knows, at its own time, and leave holes among those of each.

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

/// Where some runs lie in a slot, which the caller has.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    places: [Place; RUNS],
    /// Bytes of all runs.
    len: u32,
}

impl Runs {
    /// Bytes of all runs.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// The same with so many bytes in the place of one run.
    #[inline]
    pub(super) fn len_with(&self, index: usize, bytes: usize) -> usize {
        self.len() - self.places[index].len as usize + bytes
    }

    /// Puts runs, which lie one behind the other, into a slot that has room for them.
    pub(super) fn lay(slot: &mut [u8], runs: &[u8], lens: [usize; RUNS]) -> Self {
        let mut laid = Self { len: runs.len() as u32, ..Self::default() };
        slot[..runs.len()].copy_from_slice(runs);
        let mut start = 0;
        for (place, len) in laid.places.iter_mut().zip(lens) {
            *place = Place { start, len: len as u32 };
            start += len as u32;
        }
        assert_eq!(start, laid.len, "the runs are as long as they are said to be");
        laid.spread(slot, None);
        laid
    }

    /// The same runs in another slot, with other bytes in the place of one of them. What is spare
    /// there is spread.
    pub(super) fn moved(&self, from: &[u8], to: &mut [u8], index: usize, run: &[u8]) -> Self {
        let len = self.len_with(index, run.len());
        let share = (to.len() - len) / RUNS;
        let mut moved = Self { len: len as u32, ..Self::default() };
        let mut start = 0;
        for at in 0..RUNS {
            let run = if at == index { run } else { self.run(from, at) };
            to[start..start + run.len()].copy_from_slice(run);
            moved.places[at] = Place { start: start as u32, len: run.len() as u32 };
            start += run.len() + share;
        }
        moved
    }

    #[inline]
    pub(super) fn run<'s>(&self, slot: &'s [u8], index: usize) -> &'s [u8] {
        let place = self.places[index];
        &slot[place.start as usize..place.end()]
    }

    /// A run whose bytes may be changed, but not how many they are.
    #[inline]
    pub(super) fn run_mut<'s>(&self, slot: &'s mut [u8], index: usize) -> &'s mut [u8] {
        let place = self.places[index];
        &mut slot[place.start as usize..place.end()]
    }

    /// Puts other bytes in the place of a run; false if there is too little room for that.
    pub(super) fn put(&mut self, slot: &mut [u8], index: usize, run: &[u8]) -> bool {
        let len = self.len_with(index, run.len());
        if len > slot.len() {
            return false;
        }
        self.len = len as u32;
        // What is overwritten need not move.
        self.places[index].len = 0;
        if run.len() > self.spare(slot, index) {
            self.make_room(slot, index, run.len());
        }
        self.places[index].len = run.len() as u32;
        self.run_mut(slot, index).copy_from_slice(run);
        true
    }

    /// Spare bytes behind a run.
    #[inline]
    fn spare(&self, slot: &[u8], index: usize) -> usize {
        let next = self.places.get(index + 1).map_or(slot.len(), |next| next.start as usize);
        next - self.places[index].end()
    }

    /// Makes room for `len` bytes where an empty run lies; `self.len` counts them already.
    fn make_room(&mut self, slot: &mut [u8], index: usize, len: usize) {
        let need = len - self.spare(slot, index);
        let (left, right) =
            (self.reach_left(slot, index, need), self.reach_right(slot, index, need));
        match (left, right) {
            (Some((moved, first)), other) if other.is_none_or(|other| moved <= other.0) => {
                self.shift_left(slot, first, index, need);
            }
            (_, Some((_, last))) => self.shift_right(slot, index, last, need),
            _ => {
                self.gather(slot);
                self.spread(slot, Some((index, len)));
            }
        }
    }

    /// The nearest run to the left that must lose what it has to spare, so that there is enough,
    /// and how many bytes move then.
    fn reach_left(&self, slot: &[u8], index: usize, need: usize) -> Option<(usize, usize)> {
        let (mut gained, mut moved) = (0, 0);
        for first in (0..index).rev() {
            gained += self.spare(slot, first);
            if gained >= need {
                return Some((moved, first));
            }
            moved += self.places[first].len as usize;
        }
        None
    }

    /// The same to the right.
    fn reach_right(&self, slot: &[u8], index: usize, need: usize) -> Option<(usize, usize)> {
        let (mut gained, mut moved) = (0, 0);
        for last in index + 1..RUNS {
            gained += self.spare(slot, last);
            moved += self.places[last].len as usize;
            if gained >= need {
                return Some((moved, last));
            }
        }
        None
    }

    /// Moves the runs behind `first`, up to an empty one, so that this begins `need` bytes before.
    fn shift_left(&mut self, slot: &mut [u8], first: usize, index: usize, need: usize) {
        let mut shifts = [0; RUNS];
        let mut shift = need;
        for run in (first + 1..=index).rev() {
            shifts[run] = shift;
            shift = shift.saturating_sub(self.spare(slot, run - 1));
        }
        for (run, shift) in shifts.into_iter().enumerate().take(index + 1).skip(first + 1) {
            self.shift(slot, run, self.places[run].start as usize - shift);
        }
    }

    /// Moves the runs behind an empty one, up to `last`, so that the next begins `need` bytes
    /// later.
    fn shift_right(&mut self, slot: &mut [u8], index: usize, last: usize, need: usize) {
        let mut shifts = [0; RUNS];
        let mut shift = need;
        let runs = index + 1..last + 1;
        for (by, run) in shifts[runs.clone()].iter_mut().zip(runs.clone()) {
            *by = shift;
            shift = shift.saturating_sub(self.spare(slot, run));
        }
        for run in runs.rev() {
            self.shift(slot, run, self.places[run].start as usize + shifts[run]);
        }
    }

    /// Moves a run.
    #[inline]
    fn shift(&mut self, slot: &mut [u8], run: usize, to: usize) {
        let place = self.places[run];
        if place.start as usize != to {
            slot.copy_within(place.start as usize..place.end(), to);
            self.places[run].start = to as u32;
        }
    }

    /// Moves all runs to the front, one behind the other.
    fn gather(&mut self, slot: &mut [u8]) {
        let mut end = 0;
        for run in 0..RUNS {
            self.shift(slot, run, end);
            end = self.places[run].end();
        }
    }

    /// Spreads runs that lie at the front, so that all have about as much to spare; one of them
    /// as if it had so many bytes.
    fn spread(&mut self, slot: &mut [u8], grown: Option<(usize, usize)>) {
        let spare = slot.len() - self.len as usize;
        let mut end = slot.len() - spare % RUNS;
        for run in (0..RUNS).rev() {
            let len = match grown {
                Some((index, len)) if index == run => len,
                _ => self.places[run].len as usize,
            };
            end -= spare / RUNS + len;
            self.shift(slot, run, end);
        }
    }

    /// Compares what is kept with what is there.
    ///
    /// # Panics
    /// If anything differs.
    pub(super) fn recount(&self, slot: &[u8]) {
        let len: u32 = self.places.iter().map(|place| place.len).sum();
        assert_eq!(len, self.len, "bytes counted are bytes recounted");
        assert_eq!(self.places[0].start, 0, "the first run lies at the front");
        (0..RUNS).for_each(|run| _ = self.spare(slot, run));
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
            let mut model: [Vec<u8>; RUNS] = std::array::from_fn(|_| vec![7; random(30) as usize]);
            let mut slot = vec![0; 600];
            let lens = std::array::from_fn(|index| model[index].len());
            let mut runs = Runs::lay(&mut slot, &model.concat(), lens);
            for step in 0..3000 {
                let index = random(RUNS as u64) as usize;
                let mut run = model[index].clone();
                let most = [4, 40, 300][random(3) as usize];
                let by = 1 + random(most) as usize;
                if random(10) < if step < 1500 { 7 } else { 3 } {
                    run.resize(run.len() + by, random(256) as u8);
                } else {
                    run.truncate(run.len().saturating_sub(by));
                }
                let len = model.concat().len() - model[index].len() + run.len();
                assert_eq!(runs.put(&mut slot, index, &run), len <= slot.len());
                if len > slot.len() {
                    let mut other = vec![0; len + random(200) as usize];
                    runs = runs.moved(&slot, &mut other, index, &run);
                    slot = other;
                }
                model[index] = run;
                runs.recount(&slot);
                assert_eq!(runs.len(), len);
                assert!((0..RUNS).all(|index| runs.run(&slot, index) == model[index]));
            }
        }
    }
}
