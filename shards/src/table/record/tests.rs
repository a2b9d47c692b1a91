//! Every edit of a record against a plain model of what it should then hold.

use super::*;
use crate::table::{Hasher, Heap};

/// A small generator: the tests print its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % bound
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Model {
    key: Vec<u8>,
    text: Vec<u8>,
    expiry: Option<Millis>,
}

fn check(entry: &Entry, model: &Model) {
    assert_eq!(entry.key(), model.key);
    assert_eq!(entry.expiry(), model.expiry);
    assert_eq!(entry.expires(), model.expiry.is_some());
    let mut digits = itoa::Buffer::new();
    assert_eq!(entry.value().text(&mut digits).unwrap(), model.text);
    let header = 8 + if model.key.len() > 65535 { 8 } else { 0 } + 8 * usize::from(entry.expires());
    assert!(entry.bytes() >= header + model.key.len());
}

#[test]
fn every_edit_keeps_what_it_should() {
    let heap = Heap::default();
    for seed in 0..20 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let hasher = Hasher::new(seed);
        let lens = [0, 1, 7, 8, 9, 32, 44, 45, 1023, 1024, 1025, 5000];
        let len = |random: &mut Random| lens[random.below(lens.len() as u64) as usize];
        let key_of = |random: &mut Random, len: usize| {
            let len = if random.below(20) == 0 { 70_000 } else { len };
            vec![b'a' + random.below(20) as u8; len]
        };
        let first = len(&mut random);
        let key = key_of(&mut random, first);
        let mut entry = Entry::new(&heap, (hasher.hash(&key), &key), Content::Str(b"x"), None, 1);
        let mut model = Model { key, text: b"x".to_vec(), expiry: None };
        for step in 0..200 {
            check(&entry, &model);
            match random.below(7) {
                0 => {
                    model.text = vec![random.below(256) as u8; len(&mut random)];
                    model.expiry = (random.below(2) == 0).then_some(step);
                    entry.replace(&heap, Content::Str(&model.text), model.expiry, step as u32);
                }
                1 => {
                    let value = random.below(1 << 40) as i64 - (1 << 39);
                    model.text = value.to_string().into_bytes();
                    entry.replace(&heap, Content::Int(value), model.expiry, 3);
                }
                2 => {
                    model.expiry = (random.below(2) == 0).then_some(step);
                    entry.set_expiry(&heap, model.expiry);
                }
                3 => {
                    let added = len(&mut random);
                    let text = entry.grow(&heap, model.text.len() + added);
                    assert_eq!(text.len(), model.text.len() + added);
                    text[model.text.len()..].fill(7);
                    model.text.resize(model.text.len() + added, 7);
                    assert!(entry.is_raw());
                }
                4 => {
                    let text = entry.grow(&heap, 0);
                    if let Some(byte) = text.first_mut() {
                        *byte = b'!';
                        model.text[0] = b'!';
                    }
                }
                5 => {
                    let next = len(&mut random);
                    model.key = key_of(&mut random, next);
                    entry = entry.rename(&heap, hasher.hash(&model.key), &model.key);
                }
                _ => {
                    let raw = entry.is_raw();
                    let hash = hasher.hash(&model.key);
                    let copy = entry.duplicate(&heap, (hash, &model.key), 9);
                    check(&entry, &model);
                    assert_eq!(copy.is_raw(), raw);
                    entry = copy;
                }
            }
            if model.text.len() > 20_000 {
                model.text = b"short".to_vec();
                entry.replace(&heap, Content::Str(b"short"), model.expiry, 0);
            }
        }
    }
}

#[test]
fn a_small_record_wastes_nothing() {
    let heap = Heap::default();
    let entry = Entry::new(&heap, (0, &[b'k'; 16]), Content::Str(&[b'v'; 32]), None, 0);
    assert_eq!(entry.bytes(), 56);
    let entry = Entry::new(&heap, (0, &[b'k'; 16]), Content::Str(&[b'v'; 32]), Some(1), 0);
    assert_eq!(entry.bytes(), 64);
    let entry = Entry::new(&heap, (0, &[b'k'; 16]), Content::Int(-5), None, 0);
    assert_eq!(entry.bytes(), 32);
}

#[test]
fn a_value_of_the_same_size_stays_where_it_is() {
    let heap = Heap::default();
    let mut entry = Entry::new(&heap, (0, b"key"), Content::Str(b"before"), None, 0);
    let address = entry.address();
    entry.replace(&heap, Content::Str(b"after!"), None, 1);
    assert_eq!((entry.address(), entry.value()), (address, Value::Str(b"after!")));
    entry.replace(&heap, Content::Str(&[1; 3000]), None, 1);
    let Value::Str(text) = entry.value() else { panic!() };
    let buffer = text.as_ptr();
    entry.replace(&heap, Content::Str(&[2; 2000]), None, 1);
    let Value::Str(text) = entry.value() else { panic!() };
    assert_eq!((text.as_ptr(), text.len(), text[0]), (buffer, 2000, 2));
}

#[test]
fn the_word_keeps_the_top_bits_of_the_hash() {
    let heap = Heap::default();
    for seed in 0..200 {
        let hash = Hasher::new(seed).hash(b"key");
        let mut entry = Entry::new(&heap, (hash, b"key"), Content::Int(1), Some(5), 0);
        entry.set_displaced(true);
        entry.set_expiry(&heap, None);
        entry.set_expiry(&heap, Some(6));
        assert!(entry.displaced() && entry.expires());
        for bit in 0..TAG_BITS {
            assert_eq!(entry.hash_bit(bit), hash >> (63 - bit) & 1 == 1, "bit {bit}");
        }
        assert!(entry.matches(tag(hash)));
        assert!(!entry.matches(tag(hash ^ 1 << 48)));
        assert!(!Entry::EMPTY.matches(0));
    }
}

#[test]
fn access_times_are_24_bits_of_seconds() {
    let heap = Heap::default();
    let mut entry = Entry::new(&heap, (0, b"k"), Content::Int(1), None, 0x1234_5678);
    assert_eq!(entry.seconds(), 0x34_5678);
    entry.touch(9);
    assert_eq!((entry.seconds(), entry.value()), (9, Value::Int(1)));
}
