//! The tree beside a sorted vector, and the way random changes leave it.

use super::*;

/// A xorshift generator.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// The tree, what it should hold, and the members that handles stand for.
struct Both {
    tree: Ranked<u64>,
    model: Vec<(f64, u64)>,
    members: Vec<Vec<u8>>,
}

impl Both {
    fn new(members: usize, random: &mut Random) -> Self {
        // Neither in the order of their handles, nor of one length.
        let members =
            (0..members).map(|index| format!("{:x}-{index}", random.below(1000)).into_bytes());
        Self { tree: Ranked::new(), model: Vec::new(), members: members.collect() }
    }

    fn place(&self, score: f64, handle: u64) -> Result<usize, usize> {
        let key = |&(score, handle): &(f64, u64)| (score, &self.members[handle as usize]);
        let wanted = (score, &self.members[handle as usize]);
        self.model.binary_search_by(|pair| key(pair).partial_cmp(&wanted).unwrap())
    }

    fn insert(&mut self, score: f64, handle: u64) {
        let place = self.place(score, handle).unwrap_err();
        self.model.insert(place, (score, handle));
        self.tree.insert(score, handle, |handle| &self.members[handle as usize]);
    }

    fn remove(&mut self, rank: usize) {
        let (score, handle) = self.model.remove(rank);
        self.tree.remove(score, handle, |handle| &self.members[handle as usize]);
    }

    fn remove_range(&mut self, ranks: Range<usize>) {
        let mut gone = Vec::new();
        self.tree.remove_range(ranks.clone(), |pair| gone.push((pair.score, pair.handle)));
        let end = ranks.end.min(self.model.len());
        let wanted: Vec<_> = self.model.drain(ranks.start.min(end)..end).collect();
        assert_eq!(gone, wanted);
    }

    fn check(&self, random: &mut Random) {
        let member = |handle: u64| -> &[u8] { &self.members[handle as usize] };
        assert_eq!(self.tree.recount(member), self.tree.bytes());
        assert_eq!(self.tree.len(), self.model.len());
        let pairs = |pair: Pair<u64>| (pair.score, pair.handle);
        let all = self.tree.range(0..usize::MAX).map(pairs);
        assert!(all.eq(self.model.iter().copied()));
        let len = self.model.len() as u64 + 1;
        let (one, other) = (random.below(len) as usize, random.below(len) as usize);
        let range = one.min(other)..one.max(other);
        assert_eq!(self.tree.range(range.clone()).len(), range.len());
        let back = self.tree.range(range.clone()).rev().map(pairs);
        assert!(back.eq(self.model[range.clone()].iter().rev().copied()));
        let mut both = self.tree.range(range.clone());
        let mut wanted = self.model[range].iter().copied();
        while let Some(pair) = wanted.next() {
            assert_eq!(both.next().map(pairs), Some(pair));
            assert_eq!(both.next_back().map(pairs), wanted.next_back());
        }
        assert!(both.next().is_none() && both.next_back().is_none());
        for (rank, &(score, handle)) in self.model.iter().enumerate() {
            assert_eq!(self.tree.rank(score, member(handle), member), rank);
        }
        for score in -1..12 {
            let score = f64::from(score);
            let below = self.model.partition_point(|pair| pair.0 < score);
            let until = self.model.partition_point(|pair| pair.0 <= score);
            assert_eq!(self.tree.count_before(|pair| pair.score < score), below);
            assert_eq!(self.tree.count_before(|pair| pair.score <= score), until);
        }
    }
}

/// `scores` different ones, with `members` members that come and go.
fn random_changes(seed: u64, scores: u64, members: usize, changes: usize) {
    let mut random = Random(seed);
    let mut both = Both::new(members, &mut random);
    let mut free: Vec<u64> = (0..members as u64).collect();
    for change in 0..changes {
        // First more come than go, then more go than come.
        let growing = change < changes / 2;
        match random.below(20) {
            0 if !growing || random.below(20) == 0 => {
                let len = both.model.len() as u64;
                let start = random.below(len + 1) as usize;
                let count = random.below(len / 8 + 2) as usize;
                free.extend(both.model.iter().skip(start).take(count).map(|pair| pair.1));
                both.remove_range(start..start + count);
            }
            1 => {
                let member = |handle: u64| -> &[u8] { &both.members[handle as usize] };
                let len = both.model.len();
                if let Some(&(old, handle)) = both.model.get(random.below(len as u64 + 1) as usize)
                {
                    let new = random.below(scores) as f64;
                    both.tree.update(old, new, handle, member);
                    both.model.retain(|pair| pair.1 != handle);
                    let place = both.place(new, handle).unwrap_err();
                    both.model.insert(place, (new, handle));
                }
            }
            2 => {
                let last = if change % 2 == 0 { 0 } else { both.model.len().saturating_sub(1) };
                let popped = both.model.get(last).copied();
                both.remove_range(last..last + 1);
                free.extend(popped.map(|pair| pair.1));
            }
            turn if (turn < 16) == growing && !free.is_empty() => {
                let place = random.below(free.len() as u64) as usize;
                let handle = free.swap_remove(place);
                both.insert(random.below(scores) as f64, handle);
            }
            _ if !both.model.is_empty() => {
                let rank = random.below(both.model.len() as u64) as usize;
                free.push(both.model[rank].1);
                both.remove(rank);
            }
            _ => {}
        }
        if change % (changes / 12) == 0 {
            both.check(&mut random);
        }
    }
    both.check(&mut random);
    while both.tree.free_some(1000) {
        both.model.truncate(both.tree.len());
        both.check(&mut random);
    }
    assert_eq!((both.tree.len(), both.tree.bytes()), (0, 0));
}

#[test]
fn many_different_scores() {
    random_changes(0x9e37_79b9, 1 << 30, 6000, 24_000);
}

#[test]
fn many_equal_scores() {
    random_changes(0x1234_5678, 10, 6000, 24_000);
}

#[test]
fn one_score_for_all() {
    random_changes(0x0bad_cafe, 1, 3000, 12_000);
}

#[test]
fn few_pairs() {
    (1..200).for_each(|seed| random_changes(seed, 4, 90, 300));
}

#[test]
fn in_order_and_against_it() {
    let mut random = Random(7);
    for ascending in [true, false] {
        let mut both = Both::new(20_000, &mut random);
        for index in 0..20_000u64 {
            let score = if ascending { index as f64 } else { -(index as f64) };
            both.insert(score, index);
        }
        both.check(&mut random);
        assert!(both.tree.bytes() < 20_000 * 20, "{}", both.tree.bytes());
        both.remove_range(10..19_990);
        both.check(&mut random);
        both.remove_range(0..20);
        assert_eq!((both.tree.len(), both.tree.bytes()), (0, 0));
    }
}

#[test]
fn every_range_of_a_few_hundred() {
    let mut random = Random(3);
    for start in (0..400).step_by(37) {
        for end in (start..400).step_by(29) {
            let mut both = Both::new(400, &mut random);
            (0..400).for_each(|index| both.insert((index * 7 % 400) as f64, index));
            both.remove_range(start..end);
            both.check(&mut random);
        }
    }
}

#[test]
fn memory_of_a_pair() {
    let mut random = Random(5);
    let mut both = Both::new(50_000, &mut random);
    for index in 0..50_000 {
        let score = random.below(1 << 40) as f64;
        both.tree.insert(score, index, |handle| &both.members[handle as usize]);
    }
    assert!(both.tree.bytes() < 50_000 * 20, "{}", both.tree.bytes() / 500);
    both.members.clear();
}
