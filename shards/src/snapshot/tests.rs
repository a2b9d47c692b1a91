//! Tests of `snapshot`: what is written is read back the same, and damage is refused.

use super::*;
use crate::digest::Digest;
use crate::keyspace::{Aside, Key, Keyspace};
use crate::random::Random;
use crate::value::stream::{Group, NewId, Pending};
use crate::value::{
    Content, Hash, Kind as _, List, Object, Rules, Set, Side, SortedSet, Stream, Value,
};
use pinion_rdb::{Fault, Item, Parser, kind, write};

const NOW: u64 = 1_700_000_000_000;

/// What may be told of a value: its digest, its encoding, its expiry.
fn told(value: Decoded<'_>, rules: &Rules) -> (String, &'static str) {
    if let Decoded::Object(object) = &value {
        object.recount();
    }
    let mut keyspace = Keyspace::new(1, 7);
    let key = Key { db: 0, hash: keyspace.hash(b"k"), bytes: b"k" };
    assert!(keyspace.load(key, NOW, value, Aside::default()));
    let record = keyspace.peek(key, NOW).expect("it was put in");
    let _ = rules;
    (Digest::of_value(record, NOW).to_string(), record.encoding())
}

/// The record of a value as a file has it, written in steps of `budget`.
fn written(value: Value<'_>, encoder: &mut Encoder, budget: usize) -> Vec<u8> {
    let mut out = Vec::new();
    write::magic(&mut out, 12);
    let mut rest = encoder.record((b"key", value, Some(NOW + 5)), &mut out);
    while let Some(left) = &mut rest {
        if encoder.go_on(left, value, budget, &mut out) {
            rest = None;
        }
    }
    write::end_unchecked(&mut out);
    out
}

/// Writes a value in every way, reads it back and compares.
fn round_trip(object: &Object, rules: &Rules) {
    let value = object.value();
    let mut decoder = Decoder::default();
    let as_it_is = match value {
        Value::Str(text) => told(Decoded::Text(text), rules),
        _ => told(Decoded::Object(value.duplicate()), rules),
    };
    for compress in [false, true] {
        let mut encoder = Encoder::new(Purpose::Dump, compress);
        let payload = encoder.dump(value);
        let (what, bytes) = opened(&payload).expect("a sound payload");
        let decoded = decoder.decode(what, bytes, rules, NOW).expect("a sound object");
        assert_eq!(told(decoded, rules), as_it_is);
        for budget in [1, 10, usize::MAX] {
            let mut encoder = Encoder::new(Purpose::File, compress);
            let file = written(value, &mut encoder, budget);
            let mut parser = Parser::new(Some(file.len() as u64));
            parser.feed(&file);
            assert!(matches!(parser.next(), Ok(Some(Item::Version(_)))));
            let Ok(Some(Item::Record(record))) = parser.next() else { panic!("a record") };
            assert_eq!((record.key, record.expiry), (&b"key"[..], Some(NOW as i64 + 5)));
            let what = (Origin::Redis, record.kind);
            let decoded = decoder.decode(what, record.object, rules, NOW).expect("a sound object");
            assert_eq!(told(decoded, rules).0, as_it_is.0);
            assert!(matches!(parser.next(), Ok(Some(Item::End(_)))));
        }
    }
}

fn text(random: &mut Random, long: bool) -> Vec<u8> {
    match random.bits() % 6 {
        0 => (random.bits() as i64 >> (random.bits() % 64)).to_string().into_bytes(),
        1 => Vec::new(),
        2 if long => vec![b'x'; (random.bits() % 9000) as usize],
        3 => format!("{:x}", random.bits()).repeat(3).into_bytes(),
        _ => format!("text {}", random.bits() % 1000).into_bytes(),
    }
}

fn rules_of(seed: u64) -> Rules {
    let mut rules = Rules::new(seed);
    if seed.is_multiple_of(3) {
        rules.encodings.list_max_listpack_size = 5;
        rules.encodings.hash_max_listpack_entries = 20;
        rules.encodings.set_max_listpack_entries = 10;
        rules.encodings.set_max_intset_entries = 10;
        rules.encodings.zset_max_listpack_entries = 10;
        rules.encodings.stream_node_max_entries = 10;
    }
    rules
}

#[test]
fn strings_come_back() {
    let (rules, mut random) = (Rules::new(1), Random(1));
    for _ in 0..200 {
        round_trip(&Object::Str(text(&mut random, true)), &rules);
    }
    round_trip(&Object::Str(b"ab".repeat(400_000)), &rules);
    let mut out = Vec::new();
    let mut encoder = Encoder::new(Purpose::File, true);
    for number in [0, -1, 127, -129, 70_000, i64::MAX, i64::MIN] {
        out.clear();
        encoder.object(Value::Int(number), &mut out);
        let mut decoder = Decoder::default();
        let text = decoder.decode((Origin::Redis, kind::STRING), &out, &rules, NOW);
        let Ok(Decoded::Text(text)) = text else { panic!("a string") };
        assert_eq!(Content::of(text), Content::Int(number));
    }
}

#[test]
fn lists_and_sets_come_back() {
    for seed in 0..60 {
        println!("seed {seed}");
        let (rules, mut random) = (rules_of(seed), Random(seed));
        let count = [1, 8, 200, 3000][seed as usize % 4];
        let mut list = List::default();
        let (mut set, mut ints) = (Set::default(), Set::default());
        for _ in 0..count {
            let text = text(&mut random, seed % 2 == 0);
            list.push(&rules, Side::Right, std::iter::once(&text[..]));
            set.add(&rules, &text);
            ints.add(&rules, (random.bits() as i32).to_string().as_bytes());
        }
        round_trip(&list.into_object(), &rules);
        round_trip(&set.into_object(), &rules);
        round_trip(&ints.into_object(), &rules);
    }
}

#[test]
fn sorted_sets_come_back() {
    for seed in 0..40 {
        println!("seed {seed}");
        let (rules, mut random) = (rules_of(seed), Random(seed));
        let mut set = SortedSet::default();
        for _ in 0..[1, 8, 100, 3000][seed as usize % 4] {
            let score = match random.bits() % 5 {
                0 => f64::INFINITY,
                1 => f64::NEG_INFINITY,
                2 => random.bits() as f64 / 1e19,
                _ => (random.bits() % 10) as f64,
            };
            set.put(&text(&mut random, false), score, &rules);
        }
        round_trip(&set.into_object(), &rules);
    }
}

#[test]
fn hashes_come_back_with_their_times() {
    for seed in 0..60 {
        println!("seed {seed}");
        let (rules, mut random) = (rules_of(seed), Random(seed));
        let mut hash = Hash::default();
        for _ in 0..[1, 8, 100, 3000][seed as usize % 4] {
            let (name, value) = (text(&mut random, false), text(&mut random, seed % 5 == 0));
            hash.set(&rules, NOW, (&name, &value), false);
            if seed % 2 == 0 && random.bits().is_multiple_of(3) {
                let at = NOW + random.bits() % 100;
                hash.set_expiry(&rules, NOW, &name, Some(at));
                if random.bits().is_multiple_of(3) {
                    hash.set_expiry(&rules, NOW, &name, None);
                }
            }
        }
        round_trip(&hash.into_object(), &rules);
    }
}

#[test]
fn streams_come_back() {
    for seed in 0..30 {
        println!("seed {seed}");
        let (rules, mut random) = (rules_of(seed), Random(seed));
        let mut stream = Stream::default();
        let mut ids = Vec::new();
        for _ in 0..[0, 3, 250, 1000][seed as usize % 4] {
            let names: [&[u8]; 2] =
                if random.bits() % 4 == 0 { [b"a", b"1"] } else { [b"b", b"2"] };
            let value = text(&mut random, false);
            let fields = [names[0], &value, names[1], b"5"].into_iter();
            let id = stream.log.push(NewId::Auto, NOW + random.bits() % 3, fields, &rules);
            ids.push(id.expect("ids grow"));
        }
        for id in &ids {
            if random.bits().is_multiple_of(4) {
                stream.log.delete(*id);
            }
        }
        for name in ["one", "two", "three"] {
            let mut group = Group::new(stream.log.last(), (random.bits() % 2 == 0).then_some(3));
            for consumer in ["c", "d", "7"] {
                let (number, _) = group.number_or_new(consumer.as_bytes(), NOW - 10);
                let entry = group.by_number_mut(number);
                entry.active = (random.bits() % 2 == 0).then_some(NOW - 5);
                for id in &ids {
                    if random.bits().is_multiple_of(3) {
                        let count = random.bits() % 100;
                        group.deliver(*id, Pending { delivered: NOW - 7, count, consumer: number });
                    }
                }
            }
            stream.groups.add(name.as_bytes(), group);
        }
        let payload =
            |stream: &Stream| Encoder::new(Purpose::Dump, false).dump(Value::Stream(stream));
        let first = payload(&stream);
        let (what, bytes) = opened(&first).expect("a sound payload");
        let mut decoder = Decoder::default();
        let Ok(Decoded::Object(Object::Stream(again))) = decoder.decode(what, bytes, &rules, NOW)
        else {
            panic!("a stream")
        };
        assert!(payload(&again) == first, "groups and all");
        round_trip(&stream.into_object(), &rules);
    }
}

#[test]
fn what_is_due_is_left_out() {
    let rules = Rules::new(1);
    for count in [3, 1000] {
        let mut hash = Hash::default();
        for name in 0..count {
            let name = format!("field {name}").into_bytes();
            hash.set(&rules, NOW - 10, (&name, b"v"), false);
            hash.set_expiry(&rules, NOW - 10, &name, Some(NOW - 5));
        }
        hash.set(&rules, NOW - 10, (b"stays", b"v"), false);
        let payload = Encoder::new(Purpose::Dump, true).dump(Value::Hash(hash.view()));
        let (what, bytes) = opened(&payload).expect("a sound payload");
        let mut decoder = Decoder::default();
        let Ok(Decoded::Object(Object::Hash(hash))) = decoder.decode(what, bytes, &rules, NOW)
        else {
            panic!("a hash")
        };
        assert_eq!(hash.len(), 1);
        let earlier = decoder.decode(what, bytes, &rules, NOW - 6);
        assert!(matches!(earlier, Ok(Decoded::Object(object)) if object.len() == count + 1));
    }
}

#[test]
fn objects_cut_short_or_changed_never_do_harm() {
    let (rules, mut random) = (rules_of(3), Random(5));
    let mut decoder = Decoder::default();
    for object in samples(&rules) {
        for compress in [false, true] {
            let encoder = &mut Encoder::new(Purpose::Dump, compress);
            let number = encoder.kind(object.value());
            let mut bytes = Vec::new();
            encoder.object(object.value(), &mut bytes);
            let what = (Origin::Redis, number);
            for len in 0..bytes.len() {
                assert!(decoder.decode(what, &bytes[..len], &rules, NOW).is_err());
            }
            for _ in 0..3000 {
                let mut changed = bytes.clone();
                for _ in 0..=random.bits() % 3 {
                    let at = (random.bits() % changed.len() as u64) as usize;
                    changed[at] = random.bits() as u8;
                }
                let number = if random.bits() % 4 == 0 { random.bits() as u8 % 26 } else { number };
                let what = (Origin::Redis, number);
                if let Ok(Decoded::Object(object)) = decoder.decode(what, &changed, &rules, NOW) {
                    object.recount();
                    assert!(
                        object.len() > 0
                            || number == kind::STREAM_LISTPACKS_3
                            || matches!(object, Object::Stream(_))
                    );
                }
            }
            bytes.push(0);
            let trailing = decoder.decode(what, &bytes, &rules, NOW).err();
            assert_eq!(trailing, Some(Fault::Trailing));
        }
    }
}

/// One value of every type and encoding.
fn samples(rules: &Rules) -> Vec<Object> {
    let mut samples = Vec::new();
    for count in [4u64, 40] {
        let (mut list, mut set, mut ints) = (List::default(), Set::default(), Set::default());
        let (mut hash, mut timed) = (Hash::default(), Hash::default());
        let (mut sorted, mut stream) = (SortedSet::default(), Stream::default());
        for number in 0..count {
            let name = format!("name {number}").into_bytes();
            list.push(rules, Side::Right, std::iter::once(&name[..]));
            set.add(rules, &name);
            ints.add(rules, number.to_string().as_bytes());
            hash.set(rules, NOW, (&name, b"17"), false);
            timed.set(rules, NOW, (&name, b"value"), false);
            timed.set_expiry(rules, NOW, &name, (number % 2 == 0).then_some(NOW + number));
            sorted.put(&name, number as f64 / 4.0, rules);
            let fields = [&b"f"[..], &name].into_iter();
            stream.log.push(NewId::Auto, NOW, fields, rules).expect("ids grow");
        }
        let mut group = Group::new(stream.log.first(), None);
        let (consumer, _) = group.number_or_new(b"consumer", NOW);
        group.deliver(stream.log.first(), Pending { delivered: NOW, count: 1, consumer });
        stream.groups.add(b"group", group);
        samples.extend([
            list.into_object(),
            set.into_object(),
            ints.into_object(),
            hash.into_object(),
            timed.into_object(),
            sorted.into_object(),
            stream.into_object(),
        ]);
    }
    samples
}

#[test]
fn a_negative_zero_keeps_its_sign_in_the_large_form() {
    let rules = Rules::new(1);
    let mut set = SortedSet::default();
    set.put(&[b'x'; 100], 1.0, &rules);
    set.put(b"zero", -0.0, &rules);
    let mut out = Vec::new();
    Encoder::new(Purpose::Dump, true).object(Value::SortedSet(set.view()), &mut out);
    let mut decoder = Decoder::default();
    let decoded = decoder.decode((Origin::Redis, kind::ZSET_2), &out, &rules, NOW);
    let Ok(Decoded::Object(Object::SortedSet(set))) = decoded else { panic!("a sorted set") };
    assert_eq!(set.view().score(b"zero", &rules).map(f64::to_bits), Some((-0.0f64).to_bits()));
}
