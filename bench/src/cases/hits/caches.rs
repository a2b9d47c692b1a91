//! Caches as they are described, and the one that Pinion is in cache mode, without any server.
//!
//! Sampled ones look at some random keys and let the best candidate go, as Redis does; what they
//! know of a key are a few bits beside it. SIEVE (Zhang and others, 2024), S3-FIFO (Yang and
//! others, 2023), 2Q (Johnson and Shasha, 1994) and W-TinyLFU (Einziger and others, 2017) keep
//! queues.

use super::traces::Random;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// A cache of a fixed number of keys.
pub(super) trait Cache {
    /// Asks for a key, and puts it in if it is not there; true if it was.
    fn ask(&mut self, key: u64) -> bool;
}

/// Makes a cache of so many keys.
pub(super) type Make = fn(usize) -> Box<dyn Cache>;

/// All of them.
pub(super) const ALL: &[(&str, Make)] = &[
    ("lru, 5 samples", |size| Box::new(Sampled::new(size, 5, Kind::Lru))),
    ("lfu, 5 samples", |size| Box::new(Sampled::new(size, 5, Kind::Lfu))),
    ("cache mode", |size| Box::new(Sampled::new(size, 8, Kind::Turns))),
    ("sieve", |size| Box::new(Sieve { size, ..Sieve::default() })),
    ("s3-fifo", |size| Box::new(S3Fifo { size, ..S3Fifo::default() })),
    ("2q", |size| Box::new(TwoQ { size, ..TwoQ::default() })),
    ("w-tinylfu", |size| Box::new(Tiny::new(size))),
];

/// What a sampled cache goes by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Lru,
    Lfu,
    Turns,
}

/// What is known of a key: when it was used last, and how often.
#[derive(Clone, Copy, Debug)]
struct Known {
    key: u64,
    at: u64,
    count: u64,
}

struct Sampled {
    size: usize,
    samples: usize,
    kind: Kind,
    random: Random,
    places: HashMap<u64, usize>,
    keys: Vec<Known>,
    candidates: Vec<(u64, u64)>,
    /// Requests, or turns of a 128th of the keys.
    now: u64,
    new: usize,
    /// A byte for each key: five bits of its hash, three of its count.
    ghosts: Vec<u8>,
}

const CANDIDATES: usize = 16;
const TURNS_HALVING: u64 = 1280;
const COUNTS: [u64; 8] = [0, 1, 2, 3, 5, 7, 11, 15];

impl Sampled {
    fn new(size: usize, samples: usize, kind: Kind) -> Self {
        Self {
            size,
            samples,
            kind,
            random: Random(9),
            places: HashMap::new(),
            keys: Vec::new(),
            candidates: Vec::new(),
            now: 0,
            new: 0,
            ghosts: vec![0; size],
        }
    }

    fn count(&self, known: &Known) -> u64 {
        match self.kind {
            Kind::Turns => known.count >> ((self.now - known.at) / TURNS_HALVING).min(31),
            Kind::Lru | Kind::Lfu => known.count,
        }
    }

    fn score(&self, known: &Known) -> u64 {
        match self.kind {
            Kind::Lru => self.now - known.at,
            Kind::Lfu => 255 - known.count,
            Kind::Turns if self.now == known.at => 0,
            Kind::Turns => (255 - self.count(known)) << 16 | (self.now - known.at).min(0xffff),
        }
    }

    fn ghost(&self, key: u64) -> (usize, u8) {
        let hash = Random(key).bits();
        (((u128::from(hash) * self.size as u128) >> 64) as usize, hash as u8 >> 3)
    }

    fn evict(&mut self) {
        loop {
            for _ in 0..self.samples {
                let known = self.keys[self.random.below(self.keys.len())];
                let score = self.score(&known);
                if self.candidates.iter().any(|(_, key)| *key == known.key) {
                    continue;
                }
                let at = self.candidates.partition_point(|(its, _)| *its < score);
                self.candidates.insert(at, (score, known.key));
                if self.candidates.len() > CANDIDATES {
                    self.candidates.remove(0);
                }
            }
            while let Some((score, key)) = self.candidates.pop() {
                let Some(&place) = self.places.get(&key) else { continue };
                if self.score(&self.keys[place]) >= score {
                    return self.remove(place);
                }
            }
        }
    }

    fn remove(&mut self, place: usize) {
        let known = self.keys.swap_remove(place);
        self.places.remove(&known.key);
        if let Some(moved) = self.keys.get(place) {
            self.places.insert(moved.key, place);
        }
        let (ghost, mark) = self.ghost(known.key);
        let count = self.count(&known);
        let code = COUNTS.iter().rposition(|its| *its <= count).unwrap_or(0) as u8;
        let old = self.ghosts[ghost];
        if old >> 3 == mark || old & 7 <= code {
            self.ghosts[ghost] = mark << 3 | code;
        } else if self.random.below(2) == 0 {
            self.ghosts[ghost] -= 1;
        }
    }

    fn used(&mut self, place: usize) {
        let (count, now) = (self.count(&self.keys[place]), self.now);
        let luck = match self.kind {
            // The scale of Redis, at its factor of 10.
            Kind::Lfu => self.random.below(count.saturating_sub(5) as usize * 10 + 1) == 0,
            Kind::Lru | Kind::Turns => true,
        };
        let known = &mut self.keys[place];
        (known.at, known.count) = (now, (count + u64::from(luck)).min(255));
    }
}

impl Cache for Sampled {
    fn ask(&mut self, key: u64) -> bool {
        self.now += u64::from(self.kind != Kind::Turns);
        if let Some(&place) = self.places.get(&key) {
            self.used(place);
            return true;
        }
        if self.keys.len() >= self.size {
            self.evict();
        }
        self.new += 1;
        if self.kind == Kind::Turns && self.new >= self.size / 128 {
            (self.new, self.now) = (0, self.now + 1);
        }
        let (ghost, mark) = self.ghost(key);
        let known = self.ghosts[ghost];
        let count = match self.kind {
            Kind::Turns if known >> 3 == mark => COUNTS[usize::from(known & 7)] + 1,
            Kind::Turns => 1,
            Kind::Lru | Kind::Lfu => 5,
        };
        self.places.insert(key, self.keys.len());
        self.keys.push(Known { key, at: self.now, count });
        false
    }
}

/// Keys in the order of their last use.
#[derive(Default)]
struct Recent {
    times: HashMap<u64, u64>,
    keys: BTreeMap<u64, u64>,
    now: u64,
}

impl Recent {
    fn has(&self, key: u64) -> bool {
        self.times.contains_key(&key)
    }

    fn use_key(&mut self, key: u64) {
        self.now += 1;
        if let Some(old) = self.times.insert(key, self.now) {
            self.keys.remove(&old);
        }
        self.keys.insert(self.now, key);
    }

    fn remove(&mut self, key: u64) {
        if let Some(time) = self.times.remove(&key) {
            self.keys.remove(&time);
        }
    }

    fn first(&self) -> Option<u64> {
        self.keys.first_key_value().map(|(_, key)| *key)
    }

    fn pop(&mut self) -> Option<u64> {
        let first = self.first()?;
        self.remove(first);
        Some(first)
    }

    fn len(&self) -> usize {
        self.times.len()
    }
}

/// A queue with a hand that goes from old to new and lets what was used stay where it is.
#[derive(Default)]
struct Sieve {
    size: usize,
    /// By the number of its arrival, a key and whether it was used.
    queue: BTreeMap<u64, (u64, bool)>,
    numbers: HashMap<u64, u64>,
    next: u64,
    hand: u64,
}

impl Cache for Sieve {
    fn ask(&mut self, key: u64) -> bool {
        if let Some(number) = self.numbers.get(&key) {
            if let Some(entry) = self.queue.get_mut(number) {
                entry.1 = true;
            }
            return true;
        }
        while self.numbers.len() >= self.size {
            let Some((&number, entry)) = self.queue.range_mut(self.hand..).next() else {
                self.hand = 0;
                continue;
            };
            self.hand = number + 1;
            if !std::mem::take(&mut entry.1) {
                let gone = entry.0;
                self.queue.remove(&number);
                self.numbers.remove(&gone);
            }
        }
        self.queue.insert(self.next, (key, false));
        self.numbers.insert(key, self.next);
        self.next += 1;
        false
    }
}

/// Keys that are gone, of which only so many are remembered.
#[derive(Default)]
struct Gone {
    order: VecDeque<u64>,
    counts: HashMap<u64, u32>,
}

impl Gone {
    fn add(&mut self, key: u64, most: usize) {
        self.order.push_back(key);
        *self.counts.entry(key).or_default() += 1;
        if self.order.len() > most
            && let Some(old) = self.order.pop_front()
            && let Some(count) = self.counts.get_mut(&old)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&old);
            }
        }
    }

    fn has(&self, key: u64) -> bool {
        self.counts.contains_key(&key)
    }
}

/// A small queue for what is new, a large one for what was used meanwhile.
#[derive(Default)]
struct S3Fifo {
    size: usize,
    small: VecDeque<u64>,
    large: VecDeque<u64>,
    gone: Gone,
    used: HashMap<u64, u8>,
}

impl S3Fifo {
    fn evict(&mut self) {
        loop {
            let from_small = self.small.len() >= self.size / 10 || self.large.is_empty();
            let queue = if from_small { &mut self.small } else { &mut self.large };
            let Some(key) = queue.pop_front() else { continue };
            let used = self.used.get(&key).copied().unwrap_or(0);
            let stays = if from_small { used > 1 } else { used > 0 };
            if !stays {
                self.used.remove(&key);
                if from_small {
                    self.gone.add(key, self.size * 9 / 10);
                }
                return;
            }
            self.used.insert(key, if from_small { 0 } else { used - 1 });
            self.large.push_back(key);
        }
    }
}

impl Cache for S3Fifo {
    fn ask(&mut self, key: u64) -> bool {
        if let Some(used) = self.used.get_mut(&key) {
            *used = (*used + 1).min(3);
            return true;
        }
        if self.used.len() >= self.size {
            self.evict();
        }
        self.used.insert(key, 0);
        if self.gone.has(key) {
            self.large.push_back(key);
        } else {
            self.small.push_back(key);
        }
        false
    }
}

/// A queue for what is new, and the most recent of what came again after it had left that.
#[derive(Default)]
struct TwoQ {
    size: usize,
    new: VecDeque<u64>,
    fresh: HashMap<u64, ()>,
    known: Recent,
    gone: Gone,
}

impl Cache for TwoQ {
    fn ask(&mut self, key: u64) -> bool {
        if self.known.has(key) {
            self.known.use_key(key);
            return true;
        }
        if self.fresh.contains_key(&key) {
            return true;
        }
        if self.new.len() + self.known.len() >= self.size {
            if self.new.len() > self.size / 4 || self.known.len() == 0 {
                if let Some(old) = self.new.pop_front() {
                    self.fresh.remove(&old);
                    self.gone.add(old, self.size / 2);
                }
            } else {
                self.known.pop();
            }
        }
        if self.gone.has(key) {
            self.known.use_key(key);
        } else {
            self.new.push_back(key);
            self.fresh.insert(key, ());
        }
        false
    }
}

/// A window for what is new, and behind it only what is used more often than what it would replace.
struct Tiny {
    size: usize,
    window: Recent,
    trial: Recent,
    safe: Recent,
    /// Four rows of counts up to 15, four counts for each key.
    sketch: Vec<u8>,
    added: usize,
}

impl Tiny {
    fn new(size: usize) -> Self {
        let sketch = vec![0; (4 * size).next_power_of_two()];
        let (window, trial, safe) = (Recent::default(), Recent::default(), Recent::default());
        Self { size, window, trial, safe, sketch, added: 0 }
    }

    fn rows(&self, key: u64) -> [usize; 4] {
        let hash = Random(key).bits();
        [0, 16, 32, 48].map(|turn| hash.rotate_left(turn) as usize & (self.sketch.len() - 1))
    }

    fn count(&self, key: u64) -> u8 {
        self.rows(key).map(|row| self.sketch[row]).into_iter().min().unwrap_or(0)
    }

    fn note(&mut self, key: u64) {
        let count = self.count(key);
        for row in self.rows(key) {
            if self.sketch[row] == count && count < 15 {
                self.sketch[row] += 1;
            }
        }
        self.added += 1;
        if self.added >= 10 * self.size {
            self.added /= 2;
            self.sketch.iter_mut().for_each(|count| *count /= 2);
        }
    }
}

impl Cache for Tiny {
    fn ask(&mut self, key: u64) -> bool {
        self.note(key);
        for part in [&mut self.window, &mut self.safe] {
            if part.has(key) {
                part.use_key(key);
                return true;
            }
        }
        if self.trial.has(key) {
            self.trial.remove(key);
            self.safe.use_key(key);
            if self.safe.len() > self.size * 79 / 100
                && let Some(old) = self.safe.pop()
            {
                self.trial.use_key(old);
            }
            return true;
        }
        self.window.use_key(key);
        if self.window.len() <= (self.size / 100).max(1) {
            return false;
        }
        let Some(candidate) = self.window.pop() else { return false };
        if self.trial.len() + self.safe.len() < self.size * 99 / 100 {
            self.trial.use_key(candidate);
        } else if let Some(victim) = self.trial.first().or_else(|| self.safe.first())
            && self.count(candidate) > self.count(victim)
        {
            self.trial.remove(victim);
            self.safe.remove(victim);
            self.trial.use_key(candidate);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::hits::traces;

    #[test]
    fn caches_hit_what_they_hold() {
        for (name, make) in ALL {
            let mut cache = make(100);
            assert!((0..50).all(|key| !cache.ask(key)), "{name}");
            let again = (0..50).filter(|key| cache.ask(*key)).count();
            assert!(again >= 49, "{name}: {again}");
        }
    }

    /// All three sample. In a loop, where what was evicted comes back in order, counts that fade
    /// hit a little less than those that stay.
    #[test]
    fn cache_mode_is_about_as_good_as_the_better_of_lru_and_lfu() {
        for (trace, make) in traces::ALL.iter().take(4) {
            let requests = make(20_000, 200_000);
            let rate = |at: usize| {
                let mut cache = ALL[at].1(2_000);
                requests.iter().filter(|key| cache.ask(**key)).count() as f64
            };
            let (lru, lfu, own) = (rate(0), rate(1), rate(2));
            assert!(own > lru.max(lfu) * 0.98, "{trace}: {own}, lru {lru}, lfu {lfu}");
        }
    }
}
