//! Both forms beside a sorted vector.

use super::*;
use crate::value::Rules;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

type Model = Vec<(f64, Vec<u8>)>;

fn members(set: &SortedSet, ranks: Range<usize>) -> Model {
    let pairs = set.view().range(ranks);
    pairs.map(|(item, score)| (score, item.text(&mut itoa::Buffer::new()).to_vec())).collect()
}

fn check(set: &SortedSet, model: &Model, rules: &Rules, random: &mut Random) {
    set.recount();
    assert_eq!(set.len(), model.len());
    assert_eq!(members(set, 0..usize::MAX), *model);
    let len = model.len() as u64 + 1;
    let (one, other) = (random.below(len) as usize, random.below(len) as usize);
    let ranks = one.min(other)..one.max(other);
    assert_eq!(set.view().range(ranks.clone()).len(), ranks.len());
    let mut back: Model = model[ranks.clone()].to_vec();
    back.reverse();
    let pairs = set.view().range(ranks).rev();
    let found: Model =
        pairs.map(|(item, score)| (score, item.text(&mut itoa::Buffer::new()).to_vec())).collect();
    assert_eq!(found, back);
    for (rank, (score, member)) in model.iter().enumerate() {
        assert_eq!(set.view().rank(member, rules), Some((rank, *score)));
        assert_eq!(set.view().score(member, rules), Some(*score));
    }
    assert_eq!(set.view().score(b"nobody", rules), None);
    assert_eq!(set.view().rank(b"nobody", rules), None);
    for _ in 0..20 {
        let mut end =
            || ScoreEnd { score: random.below(12) as f64 / 2.0 - 1.0, open: random.below(2) == 1 };
        let (min, max) = (end(), end());
        let inside = |score: f64| {
            (score > min.score || (!min.open && score == min.score))
                && (score < max.score || (!max.open && score == max.score))
        };
        let wanted: Model = model.iter().filter(|pair| inside(pair.0)).cloned().collect();
        let span = set.view().span(&Bounds::Score(min, max));
        assert_eq!(members(set, span), wanted, "{min:?} {max:?}");
    }
    let mut seen = 0;
    let mut position = 0;
    while let Some(next) = set.view().scan(position, 10, rules, |_, _| seen += 1) {
        position = next;
    }
    assert_eq!(seen, set.len());
}

fn random_changes(seed: u64, entries: usize, names: u64, changes: usize) {
    let mut random = Random(seed);
    let mut rules = Rules::new(seed);
    rules.encodings.zset_max_listpack_entries = entries;
    let (mut set, mut model) = (SortedSet::default(), Model::new());
    for change in 0..changes {
        let name = random.below(names);
        // Some members are integers, some are long.
        let member = match name % 3 {
            0 => name.to_string(),
            1 => format!("m{name}"),
            _ => format!("{name}{}", "x".repeat(40)),
        };
        let member = member.into_bytes();
        let score = match random.below(8) {
            0 => random.below(10) as f64 / 4.0,
            1 => f64::INFINITY,
            2 => -(random.below(10) as f64),
            _ => random.below(5) as f64,
        };
        let old = model.iter().position(|pair| pair.1 == member).map(|at| model.remove(at));
        let old = old.map(|pair| pair.0);
        if random.below(3) > 0 {
            assert_eq!(set.put(&member, score, &rules), old);
            let key = (score, member);
            let at = model.partition_point(|pair| *pair < key);
            model.insert(at, key);
        } else {
            assert_eq!(set.remove(&member, &rules), old);
        }
        if random.below(40) == 0 {
            let start = random.below(model.len() as u64 + 1) as usize;
            let end = (start + random.below(4) as usize).min(model.len());
            assert_eq!(set.remove_range(start..end, &rules), end - start);
            model.drain(start..end);
        }
        if change % 16 == 0 {
            check(&set, &model, &rules, &mut random);
        }
        if change % 200 == 0 {
            check(&set.duplicate(), &model, &rules, &mut random);
        }
    }
    check(&set.duplicate(), &model, &rules, &mut random);
    while set.free_some(5) {}
}

#[test]
fn packed_and_large() {
    for seed in 1..12 {
        random_changes(seed, 1000, 60, 600);
        random_changes(seed, 0, 60, 600);
        random_changes(seed, 30, 90, 600);
        random_changes(seed, 0, 2000, 1600);
    }
}

#[test]
fn a_packed_set_grows_at_its_bounds() {
    let rules = Rules::new(1);
    let mut set = SortedSet::default();
    for index in 0..128_u32 {
        set.put(&index.to_le_bytes(), 1.0, &rules);
    }
    assert_eq!(set.encoding(), "listpack");
    assert_eq!(set.put(b"one more", 1.0, &rules), None);
    assert_eq!((set.encoding(), set.len()), ("skiplist", 129));
    let mut set = SortedSet::default();
    assert_eq!(set.put(&[b'x'; 64], 1.0, &rules), None);
    assert_eq!(set.encoding(), "listpack");
    assert_eq!(set.put(&[b'x'; 65], 1.0, &rules), None);
    assert_eq!(set.encoding(), "skiplist");
}

#[test]
fn members_of_one_score_have_ranges() {
    let mut rules = Rules::new(1);
    for entries in [0, 1000] {
        rules.encodings.zset_max_listpack_entries = entries;
        let mut set = SortedSet::default();
        for member in ["a", "b", "ba", "c", "d", "10", "9"] {
            set.put(member.as_bytes(), 0.0, &rules);
        }
        for (min, max, span) in [
            (LexEnd::Least, LexEnd::Greatest, 0..7),
            (LexEnd::Greatest, LexEnd::Least, 0..0),
            (LexEnd::Least, LexEnd::Open(b"b"), 0..3),
            (LexEnd::Closed(b"9"), LexEnd::Closed(b"b"), 1..4),
            (LexEnd::Open(b"9"), LexEnd::Greatest, 2..7),
            (LexEnd::Open(b"b"), LexEnd::Open(b"b"), 0..0),
            (LexEnd::Closed(b"b"), LexEnd::Closed(b"b"), 3..4),
            (LexEnd::Closed(b"x"), LexEnd::Greatest, 7..7),
        ] {
            assert_eq!(set.view().span(&Bounds::Lex(min, max)), span, "{min:?} {max:?}");
        }
    }
}

#[test]
fn names_of_any_length_stand_in_leaves() {
    for seed in 1..4 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let mut rules = Rules::new(seed);
        rules.encodings.zset_max_listpack_entries = 0;
        let (mut set, mut model) = (SortedSet::default(), Model::new());
        for _ in 0..1500 {
            let name = random.below(400);
            let len = [3, 60, 700, 5000, 70_000][(name % 13).min(4) as usize];
            let member = format!("{name}{}", "x".repeat(len)).into_bytes();
            let old = model.iter().position(|pair| pair.1 == member);
            if let Some(old) = old.filter(|_| random.below(3) == 0) {
                assert_eq!(set.remove(&member, &rules), Some(model.remove(old).0));
                continue;
            }
            let score = random.below(5) as f64;
            assert_eq!(set.put(&member, score, &rules), old.map(|old| model.remove(old).0));
            let at = model.partition_point(|pair| (pair.0, &pair.1) < (score, &member));
            model.insert(at, (score, member));
            set.recount();
            assert_eq!(set.len(), model.len());
        }
        check(&set, &model, &rules, &mut random);
        check(&set.duplicate(), &model, &rules, &mut random);
        while !model.is_empty() {
            let start = random.below(model.len() as u64) as usize;
            let end = (start + random.below(60) as usize).min(model.len());
            set.remove_range(start..end, &rules);
            model.drain(start..end);
            set.recount();
        }
        assert_eq!(set.len(), 0);
    }
}
