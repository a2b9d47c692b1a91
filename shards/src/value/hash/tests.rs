//! Hashes against a model, in all their forms.

use super::*;
use std::collections::{BTreeMap, BTreeSet};

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    *state >> 20
}

fn text(item: Item<'_>) -> Vec<u8> {
    item.text(&mut itoa::Buffer::new()).to_vec()
}

type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<Millis>)>;

fn live(model: &Model, now: Millis) -> Model {
    model
        .iter()
        .filter(|(_, (_, at))| !is_due(*at, now))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

fn check(hash: &Hash, model: &Model, now: Millis) {
    hash.recount();
    let model = live(model, now);
    assert_eq!(hash.view().live(now), model.len());
    assert_eq!(hash.len() - hash.view().due(now, usize::MAX), model.len());
    let mut all = Model::new();
    hash.view().each(now, |pair| {
        assert!(all.insert(text(pair.name), (text(pair.value), pair.expiry)).is_none());
    });
    assert_eq!(all, model);
    let (mut scanned, mut next) = (BTreeSet::new(), Some(0));
    while let Some(position) = next {
        next = hash.view().scan(now, (position, 7), |pair| {
            assert!(scanned.insert(text(pair.name)), "shown once while nothing changes");
        });
    }
    assert!(scanned.iter().eq(model.keys()));
    let mut state = now;
    match hash.view().random(now, || random(&mut state) << 24) {
        Some(pair) => assert!(model.contains_key(&text(pair.name))),
        None => assert!(model.is_empty()),
    }
    let first = model.values().filter_map(|(_, at)| *at).min();
    assert!(first.is_none() || hash.next_due().is_some_and(|at| Some(at) <= first));
}

/// One random change, to both.
fn change(hash: &mut Hash, rules: &Rules, model: &mut Model, now: Millis, state: &mut u64) {
    let name = match random(state) % 3 {
        0 => (random(state) % 60).to_string().into_bytes(),
        _ => format!("f{}", random(state) % 60).into_bytes(),
    };
    let there = model.get(&name).is_some_and(|(_, at)| !is_due(*at, now));
    match random(state) % 10 {
        0..=3 => {
            let value = match random(state) % 2 {
                0 => (random(state) >> (random(state) % 40)).to_string().into_bytes(),
                _ => vec![b'v'; (random(state) % 30) as usize],
            };
            let keep = random(state).is_multiple_of(2);
            assert_eq!(hash.set(rules, now, (&name, &value), keep), !there);
            let old = model.get(&name).and_then(|(_, at)| *at).filter(|_| keep && there);
            model.insert(name, (value, old));
        }
        4..=6 => {
            let at = (!random(state).is_multiple_of(4)).then(|| now + random(state) % 400);
            assert_eq!(hash.set_expiry(rules, now, &name, at), there);
            if there {
                model.get_mut(&name).unwrap().1 = at;
            }
        }
        7 => {
            assert_eq!(hash.remove(rules, now, &name), there);
            model.remove(&name);
        }
        8 => {
            let due = hash.view().due(now, usize::MAX);
            let budget = (random(state) % 5) as usize + 1;
            assert_eq!(hash.sweep(rules, now, budget), due.min(budget));
        }
        _ => {
            let found =
                hash.view().find(rules, now, &name).map(|pair| (text(pair.value), pair.expiry));
            assert_eq!(found, model.get(&name).filter(|_| there).cloned());
        }
    }
}

#[test]
fn hash_and_map_agree() {
    for seed in 0..8 {
        println!("seed {seed}");
        let (mut rules, mut state) = (Rules::new(seed), seed);
        rules.encodings.hash_max_listpack_entries = [512, 20, 40, 0][seed as usize % 4];
        let (mut hash, mut model) = (Hash::default(), Model::new());
        for step in 0..6000 {
            let now = 1000 + step / 4;
            change(&mut hash, &rules, &mut model, now, &mut state);
            if step % 50 == 0 {
                check(&hash, &model, now);
                check(&hash.duplicate(), &model, now);
            }
        }
        while hash.free_some(16) {}
    }
}

#[test]
fn forms_are_those_of_redis() {
    let rules = Rules::new(1);
    let mut hash = Hash::default();
    for i in 0..512 {
        hash.set(&rules, 0, (format!("f{i}").as_bytes(), b"v"), false);
    }
    assert_eq!((hash.encoding(), hash.len()), ("listpack", 512));
    hash.set_expiry(&rules, 0, b"f7", Some(9));
    assert_eq!((hash.encoding(), hash.next_due()), ("listpackex", Some(9)));
    hash.set(&rules, 0, (b"more", b"v"), false);
    assert_eq!((hash.encoding(), hash.len(), hash.next_due()), ("hashtable", 513, Some(9)));
    assert!(
        hash.view().find(&rules, 9, b"f7").is_some()
            && hash.view().find(&rules, 10, b"f7").is_none()
    );
    hash.recount();
    let mut hash = Hash::default();
    hash.set(&rules, 0, (b"f", &[b'v'; 64]), false);
    assert_eq!(hash.encoding(), "listpack");
    hash.set(&rules, 0, (&[b'f'; 65], b"v"), false);
    assert_eq!(hash.encoding(), "hashtable");
}

#[test]
fn a_large_hash_is_swept_and_freed_in_steps() {
    let rules = Rules::new(5);
    let mut hash = Hash::default();
    for i in 0..20_000u64 {
        let name = format!("field {i}");
        hash.set(&rules, 0, (name.as_bytes(), b"v"), false);
        hash.set_expiry(&rules, 0, name.as_bytes(), (i % 2 == 0).then_some(1 + i));
    }
    let bytes = hash.bytes();
    let mut removed = 0;
    while hash.view().has_due(10_000) {
        assert_eq!(hash.view().live(10_000), 15_000);
        removed += hash.sweep(&rules, 10_000, 64);
    }
    assert_eq!((removed, hash.len(), hash.next_due()), (5000, 15_000, Some(10_001)));
    assert!(hash.bytes() < bytes);
    hash.recount();
    let mut steps = 0;
    while hash.free_some(1000) {
        steps += 1;
    }
    assert!(steps > 5, "{steps}");
}
