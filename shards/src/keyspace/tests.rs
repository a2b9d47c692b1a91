//! The keyspace against a map, under seeds: inserts, removals, expiry and scans while it grows.

use super::*;
use crate::commands::parse_int;
use std::collections::{HashMap, HashSet};
use std::time::Instant;

type Model = HashMap<Vec<u8>, (Vec<u8>, Option<Millis>)>;

fn named<'a>(keyspace: &Keyspace, db: u16, bytes: &'a [u8]) -> Key<'a> {
    Key { db, hash: keyspace.hash(bytes), bytes }
}

fn text(value: Value<'_>) -> Vec<u8> {
    value.text(&mut itoa::Buffer::new()).unwrap().to_vec()
}

/// One random step on both.
fn step(keyspace: &mut Keyspace, model: &mut Model, now: Millis, keys: u64) {
    let name = format!("key:{}", keyspace.random_bits() % keys).into_bytes();
    let key = named(keyspace, 0, &name);
    let random = keyspace.random_bits() >> 8;
    model.retain(|_, (_, expiry)| expiry.is_none_or(|at| at >= now));
    match random % 10 {
        0..=3 => {
            let value = vec![b'a'; (random >> 8) as usize % 70];
            let (expiry, at) = match random >> 40 & 3 {
                0 => {
                    (Expiry::At(now + 1 + (random >> 44) % 50), Some(now + 1 + (random >> 44) % 50))
                }
                1 => (Expiry::Keep, model.get(&name).and_then(|old| old.1)),
                _ => (Expiry::Clear, None),
            };
            keyspace.set(key, now, Content::of(&value), expiry);
            model.insert(name, (value, at));
        }
        4 => {
            let sum = keyspace.add(key, now, 7);
            let old = model.get(&name).map_or(Ok(0), |(old, _)| parse_int(old).ok_or(()));
            assert_eq!(sum.ok(), old.ok().map(|old| old + 7));
            if let Ok(sum) = sum {
                let at = model.get(&name).and_then(|old| old.1);
                model.insert(name, (sum.to_string().into_bytes(), at));
            }
        }
        5 => assert_eq!(keyspace.remove(key, now), model.remove(&name).is_some()),
        6 => {
            let found = keyspace.get(key, now).map(text);
            assert_eq!(found.as_ref(), model.get(&name).map(|(value, _)| value));
        }
        7 => {
            let at = (random & 256 == 0).then_some(now + 20);
            assert_eq!(keyspace.set_expiry(key, now, at), model.contains_key(&name));
            if let Some(held) = model.get_mut(&name) {
                held.1 = at;
            }
        }
        8 => {
            let other = format!("key:{}", (random >> 8) % keys).into_bytes();
            let to = named(keyspace, 0, &other);
            assert_eq!(keyspace.rename(key, to, now), model.contains_key(&name));
            if let Some(held) = model.remove(&name) {
                model.insert(other, held);
            }
        }
        _ => {
            if let Some((value, _)) = model.get_mut(&name) {
                let len = keyspace.write(key, now, None, b"more").unwrap();
                value.extend_from_slice(b"more");
                assert_eq!(len, value.len());
            }
        }
    }
}

#[test]
fn keyspace_and_map_agree() {
    for seed in 1..=6 {
        println!("seed {seed}");
        let (mut keyspace, mut model) = (Keyspace::new(2, seed), Model::new());
        for now in 0..4000 {
            step(&mut keyspace, &mut model, now / 4, 10 + 300 * seed);
            if now % 500 == 0 {
                keyspace.sweep(now / 4);
                keyspace.recount();
            }
        }
        let now = 1000;
        model.retain(|_, (_, expiry)| expiry.is_none_or(|at| at >= now));
        let mut seen = Model::new();
        keyspace.each(0, now, |record| {
            seen.insert(record.key().to_vec(), (text(record.value()), record.expiry()));
        });
        assert_eq!(seen, model);
        keyspace.recount();
        while keyspace.sweep(now).removed > 0 {}
        assert_eq!(keyspace.len(0), model.len());
        keyspace.recount();
    }
}

fn fill(keyspace: &mut Keyspace, from: u32, to: u32) {
    for number in from..to {
        let name = number.to_string();
        let key = named(keyspace, 0, name.as_bytes());
        keyspace.set(key, 0, Content::Int(i64::from(number)), Expiry::Clear);
    }
}

#[test]
fn a_scan_misses_nothing_while_the_table_grows() {
    for seed in 1..=4 {
        let mut keyspace = Keyspace::new(1, seed);
        fill(&mut keyspace, 0, 3000);
        let (mut seen, mut shown, mut position, mut steps) = (HashSet::new(), 0, 0, 0);
        loop {
            let next = keyspace.scan(0, position, 10, 0, |record, _| {
                seen.insert(record.key().to_vec());
                shown += 1;
                false
            });
            steps += 1;
            fill(&mut keyspace, 3000 + steps * 50, 3050 + steps * 50);
            // Keys come and go meanwhile.
            for number in 3000..3000 + steps {
                let name = number.to_string();
                let key = named(&keyspace, 0, name.as_bytes());
                keyspace.remove(key, 0);
            }
            let Some(next) = next else { break };
            assert_ne!(next, 0, "0 is the start only");
            position = next;
        }
        for number in 0..3000 {
            assert!(seen.contains(number.to_string().as_bytes()), "seed {seed}: {number}");
        }
        assert!(shown < keyspace.len(0) * 2, "few are shown twice");
        keyspace.recount();
    }
}

#[test]
fn a_scan_removes_the_due_keys_it_is_told_to() {
    let mut keyspace = Keyspace::new(1, 1);
    for (name, expiry) in [(&b"goes"[..], 5), (b"keeps", 5), (b"lives", 50)] {
        let key = named(&keyspace, 0, name);
        keyspace.set(key, 0, Content::Int(1), Expiry::At(expiry));
    }
    let mut due = 0;
    keyspace.scan(0, 0, 10, 9, |record, is_due| {
        due += usize::from(is_due);
        record.key() != b"keeps"
    });
    assert_eq!((due, keyspace.len(0), keyspace.counters().expired_keys), (2, 2, 1));
    keyspace.recount();
}

#[test]
fn made_up_positions_end() {
    let mut keyspace = Keyspace::new(1, 1);
    assert_eq!(keyspace.scan(0, 77, 10, 0, |_, _| false), None);
    fill(&mut keyspace, 0, 2000);
    for position in [1, 63, 62, u64::MAX, 1 << 34, (1 << 34) - 1, 12_345_678_901] {
        let (mut position, mut steps) = (position, 0);
        while let Some(next) = keyspace.scan(0, position, 100, 0, |_, _| false) {
            // One that is made up may tell of a segment that never was.
            assert!(next > position || steps == 0, "a scan goes forward");
            position = next;
            steps += 1;
            assert!(steps < 10_000);
        }
    }
}

#[test]
fn due_keys_are_swept_without_being_read() {
    let mut keyspace = Keyspace::new(3, 5);
    for db in [0, 2] {
        for number in 0..5000u32 {
            let name = number.to_string();
            let key = named(&keyspace, db, name.as_bytes());
            let expiry = if number % 2 == 0 { Expiry::At(10) } else { Expiry::Clear };
            keyspace.set(key, 0, Content::Int(1), expiry);
        }
    }
    assert_eq!(keyspace.sweep(5).removed, 0);
    assert!(keyspace.ttl_ms_mean(0) > 0);
    let (mut removed, mut sweeps) = (0, 0);
    loop {
        let swept = keyspace.sweep(11);
        removed += swept.removed;
        sweeps += 1;
        assert!(swept.removed < 4096 + 448, "a sweep is bounded");
        if keyspace.expires(0) + keyspace.expires(2) == 0 {
            break;
        }
        assert!(sweeps < 100);
    }
    assert_eq!((removed, keyspace.counters().expired_keys), (5000, 5000));
    assert_eq!((keyspace.len(0), keyspace.len(2)), (2500, 2500));
    assert_eq!(keyspace.sweep(11), Swept::default());
    keyspace.recount();
    keyspace.set_active_expiry(false);
    let key = named(&keyspace, 1, b"a");
    keyspace.set(key, 10, Content::Int(1), Expiry::At(11));
    assert_eq!(keyspace.sweep(20), Swept::default());
    assert_eq!((keyspace.len(1), keyspace.get(key, 20)), (1, None));
}

#[test]
fn a_flush_frees_in_steps_and_counts_all_the_while() {
    let mut keyspace = Keyspace::new(2, 9);
    let empty = keyspace.memory_bytes();
    fill(&mut keyspace, 0, 20_000);
    keyspace.flush(0);
    assert!(keyspace.is_empty(0));
    let mut steps = 0;
    while keyspace.free_some() {
        keyspace.recount();
        steps += 1;
    }
    assert!(steps > 5);
    assert_eq!(keyspace.memory_bytes(), empty);
    fill(&mut keyspace, 0, 10);
    keyspace.swap(0, 1, 0);
    assert_eq!((keyspace.len(0), keyspace.len(1)), (0, 10));
    keyspace.flush_all();
    assert_eq!(keyspace.len(1), 0);
}

#[test]
fn random_keys_are_about_equally_likely() {
    let mut keyspace = Keyspace::new(1, 3);
    assert!(keyspace.random(0, 0).is_none());
    fill(&mut keyspace, 0, 1000);
    let mut counts = HashMap::<Vec<u8>, u32>::new();
    for _ in 0..100_000 {
        *counts.entry(keyspace.random(0, 0).unwrap().key().to_vec()).or_default() += 1;
    }
    assert_eq!(counts.len(), 1000);
    assert!(counts.values().all(|&count| (40..200).contains(&count)));
    let key = named(&keyspace, 0, b"7");
    for number in 0..1000 {
        let name = number.to_string();
        let other = named(&keyspace, 0, name.as_bytes());
        if number != 7 {
            keyspace.remove(other, 0);
        }
    }
    assert_eq!(keyspace.random(0, 0).unwrap().key(), b"7");
    keyspace.set_expiry(key, 0, Some(5));
    assert!(keyspace.random(0, 6).is_none());
}

#[test]
fn copies_and_moves_keep_value_and_expiry() {
    let mut keyspace = Keyspace::new(2, 11);
    let (a, b) = (named(&keyspace, 0, b"a"), named(&keyspace, 1, b"b"));
    let long = vec![b'x'; 5000];
    keyspace.set(a, 0, Content::Str(&long), Expiry::At(100));
    keyspace.set(b, 0, Content::Int(5), Expiry::Clear);
    assert!(keyspace.copy(a, b, 1));
    assert_eq!(keyspace.get(b, 1), Some(Value::Str(&long)));
    assert_eq!(keyspace.peek(b, 1).unwrap().expiry(), Some(100));
    assert!(keyspace.remove(a, 1));
    assert!(!keyspace.rename(a, b, 1));
    assert!(keyspace.rename(b, a, 1));
    assert_eq!(keyspace.peek(a, 1).unwrap().encoding(), "raw");
    assert!(keyspace.rename(a, a, 1) && keyspace.copy(a, a, 1));
    assert!(!keyspace.contains(b, 1) && keyspace.contains(a, 100) && !keyspace.contains(a, 101));
    keyspace.recount();
}

/// What the design promises of the table, over a whole cycle of splits: see DESIGN, section 5.
#[test]
fn the_table_is_well_filled() {
    let mut keyspace = Keyspace::new(1, 21);
    let (mut worst, mut sum, mut samples) = (0.0f64, 0.0, 0);
    for thousand in 0..400 {
        fill(&mut keyspace, thousand * 1000, thousand * 1000 + 1000);
        if thousand >= 200 && thousand % 10 == 0 {
            let records: usize = {
                let mut bytes = 0;
                keyspace.databases[0].each(|entry| bytes += entry.bytes());
                bytes
            };
            let per_key = (keyspace.memory_bytes() - records) as f64 / keyspace.len(0) as f64;
            worst = worst.max(per_key);
            sum += per_key;
            samples += 1;
        }
    }
    let mean = sum / f64::from(samples);
    println!("table bytes per key: mean {mean:.1}, worst {worst:.1}");
    assert!(mean < 15.5 && worst < 21.0, "mean {mean:.1}, worst {worst:.1}");
}

/// Ten million keys: prints what insertions and reads cost. Run it alone, with
/// `cargo test --release -p pinion-shards ten_million -- --ignored --nocapture`.
#[test]
#[ignore = "takes a gigabyte and some seconds"]
fn ten_million_keys() {
    const KEYS: usize = 10_000_000;
    let mut keyspace = Keyspace::new(1, 1);
    let mut times = Vec::with_capacity(KEYS);
    for number in 0..KEYS {
        let name = format!("key:{number:012}");
        let started = Instant::now();
        let key = named(&keyspace, 0, name.as_bytes());
        keyspace.set(key, 0, Content::Str(&[b'v'; 32]), Expiry::Clear);
        times.push((started.elapsed().as_nanos() as u64, number));
    }
    let mean = times.iter().map(|time| time.0).sum::<u64>() / KEYS as u64;
    times.sort_unstable();
    println!("insert: mean {mean} ns, 99.99% {} ns", times[KEYS - KEYS / 10_000].0);
    println!("slowest (ns, key): {:?}", &times[KEYS - 8..]);
    println!("bytes per key {:.1}", keyspace.memory_bytes() as f64 / KEYS as f64);
    let mut names = || format!("key:{:012}", keyspace.random_bits() as usize % KEYS);
    let names: Vec<String> = (0..2_000_000).map(|_| names()).collect();
    let started = Instant::now();
    for name in &names {
        let key = named(&keyspace, 0, name.as_bytes());
        assert!(keyspace.get(key, 0).is_some());
    }
    println!("get: {} ns", started.elapsed().as_nanos() / names.len() as u128);
    let started = Instant::now();
    for names in names.chunks(16) {
        let keys: Vec<_> = names.iter().map(|name| named(&keyspace, 0, name.as_bytes())).collect();
        keys.iter().for_each(|key| keyspace.prefetch_bucket(0, key.hash));
        keys.iter().for_each(|key| keyspace.prefetch_record(0, key.hash));
        assert!(keys.iter().all(|&key| keyspace.get(key, 0).is_some()));
    }
    println!("get in batches of 16: {} ns", started.elapsed().as_nanos() / names.len() as u128);
    keyspace.recount();
}

#[test]
fn what_removed_keys_leave_is_given_back_and_scans_miss_nothing() {
    for seed in 0..3 {
        println!("seed {seed}");
        let mut keyspace = Keyspace::new(1, seed);
        fill(&mut keyspace, 0, 100_000);
        let segments = keyspace.databases[0].segments();
        for number in (0..100_000).filter(|number| number % 5 != 0) {
            let name = number.to_string();
            let key = named(&keyspace, 0, name.as_bytes());
            assert!(keyspace.remove(key, 0));
        }
        let idle = keyspace.idle_bytes();
        // A scan goes on while segments join under it.
        let mut seen = std::collections::BTreeSet::new();
        let (mut position, mut steps) = (Some(0), 0);
        while let Some(from) = position {
            position = keyspace.scan(0, from, 10, 0, |record, _| {
                seen.insert(record.key().to_vec());
                false
            });
            if steps % 4 == seed {
                keyspace.compact();
            }
            steps += 1;
        }
        assert_eq!(seen.len(), 20_000);
        while keyspace.compact() {}
        keyspace.recount();
        assert!(keyspace.databases[0].segments() * 3 < segments * 2, "segments have joined");
        assert!(keyspace.idle_bytes() * 2 < idle, "{} of {idle}", keyspace.idle_bytes());
        assert!(!keyspace.wants_compaction() && keyspace.is_still());
        for number in 0..100_000 {
            let name = number.to_string();
            let key = named(&keyspace, 0, name.as_bytes());
            assert_eq!(keyspace.contains(key, 0), number % 5 == 0);
        }
        fill(&mut keyspace, 0, 100_000);
        keyspace.recount();
        assert_eq!(keyspace.len(0), 100_000);
    }
}
