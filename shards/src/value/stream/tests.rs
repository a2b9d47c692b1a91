//! Streams against a naive model: a list of entries, and a map for every group.

use super::*;
use crate::value::Encodings;
use std::collections::BTreeMap;

/// Numbers that look random and come again with the seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }
}

type Model = Vec<(Id, Vec<Vec<u8>>)>;

fn texts(entry: &Entry<'_>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    entry.each(|name, value| {
        for item in [name, value] {
            all.push(item.text(&mut itoa::Buffer::new()).to_vec());
        }
    });
    all
}

fn forward(stream: &Stream, start: Id, end: Id) -> Model {
    stream.log.range(start, end).map(|entry| (entry.id, texts(&entry))).collect()
}

fn backward(stream: &Stream, start: Id, end: Id) -> Model {
    let mut range = stream.log.range(start, end);
    let mut all = Model::new();
    while let Some(entry) = range.next_back() {
        all.push((entry.id, texts(&entry)));
    }
    all.reverse();
    all
}

fn fields(random: &mut Random) -> Vec<Vec<u8>> {
    let names: &[&[u8]] = &[b"a", b"temperature", b"7", b""];
    let count = 1 + random.below(3) as usize;
    let mut all = Vec::new();
    let shift = if random.below(8) == 0 { random.below(4) as usize } else { 0 };
    for i in 0..count {
        all.push(names[(i + shift) % names.len()].to_vec());
        all.push(match random.below(4) {
            0 => random.below(1 << 40).to_string().into_bytes(),
            1 => format!("-{}", random.below(100)).into_bytes(),
            2 => vec![b'x'; random.below(200) as usize],
            _ => b"value".to_vec(),
        });
    }
    all
}

fn push(stream: &mut Stream, id: Id, texts: &[Vec<u8>], rules: &Encodings) {
    let fields = texts.iter().map(Vec::as_slice);
    assert_eq!(stream.log.push(NewId::Exact(id), 0, fields, rules), Ok(id));
}

#[test]
fn entries_are_those_of_a_model() {
    let seed = 0x5eed_0001;
    println!("seed {seed}");
    let mut random = Random(seed);
    for round in 0..30 {
        let rules = Encodings {
            stream_node_max_bytes: [0, 200, 4096][round % 3],
            stream_node_max_entries: [0, 3, 100][round / 3 % 3],
            ..Encodings::default()
        };
        let (mut stream, mut model) = (Stream::default(), Model::new());
        for step in 0..1500 {
            match random.below(12) {
                0..=6 => {
                    let last = stream.log.last();
                    let id = match random.below(20) {
                        0 => Id::new(last.ms + 1 + random.below(1 << 30), random.below(1 << 50)),
                        1..=5 => Id::new(last.ms + 1, 0),
                        _ => last.next().unwrap(),
                    };
                    let texts = fields(&mut random);
                    push(&mut stream, id, &texts, &rules);
                    model.push((id, texts));
                }
                7 | 8 if !model.is_empty() => {
                    let at = random.below(model.len() as u64) as usize;
                    let (id, _) = model.remove(at);
                    assert!(stream.log.delete(id) && !stream.log.delete(id));
                    assert!(!stream.log.contains(id));
                }
                9 if random.below(6) == 0 => {
                    let max = random.below(model.len() as u64 + 2);
                    trim(&mut stream, &mut model, TrimTo::Len(max), random.below(2) == 0);
                }
                10 if random.below(6) == 0 => {
                    let at = random.below(model.len() as u64 + 1) as usize;
                    let id = model.get(at).map_or(Id::MAX, |(id, _)| *id);
                    trim(&mut stream, &mut model, TrimTo::From(id), random.below(2) == 0);
                }
                _ if !model.is_empty() => {
                    let mut at = || model[random.below(model.len() as u64) as usize].0;
                    let (start, end) = (at(), at().next().unwrap());
                    let within = model.iter().filter(|(id, _)| (start..=end).contains(id));
                    let wanted: Model = within.cloned().collect();
                    assert_eq!(forward(&stream, start, end), wanted);
                    assert_eq!(stream.log.count(start, end), wanted.len() as u64);
                    assert_eq!(backward(&stream, start, end), wanted);
                    let entry = stream.log.entry(start).unwrap();
                    assert_eq!(
                        texts(&entry),
                        model[model.iter().position(|e| e.0 == start).unwrap()].1
                    );
                }
                _ => {}
            }
            assert_eq!(stream.log.len(), model.len() as u64);
            assert_eq!(stream.log.first(), model.first().map_or(Id::MIN, |(id, _)| *id));
            if step % 100 == 0 {
                stream.recount();
            }
        }
        assert_eq!(forward(&stream, Id::MIN, Id::MAX), model);
        assert_eq!(backward(&stream, Id::MIN, Id::MAX), model);
        stream.recount();
        let copy = stream.duplicate();
        assert_eq!(forward(&copy, Id::MIN, Id::MAX), model);
        assert_eq!(copy.bytes(), stream.bytes());
    }
}

fn trim(stream: &mut Stream, model: &mut Model, to: TrimTo, coarse: bool) {
    let trim = Trim { to, coarse, limit: 0, references: References::Keep };
    let before = model.len();
    let most = match to {
        TrimTo::Len(max) => before.saturating_sub(max as usize),
        TrimTo::From(from) => model.iter().take_while(|(id, _)| *id < from).count(),
    };
    let deleted = stream.trim(&trim) as usize;
    assert!(if coarse { deleted <= most } else { deleted == most });
    model.drain(..deleted);
    stream.recount();
}

#[test]
fn a_limit_stops_at_a_node() {
    let rules = Encodings { stream_node_max_entries: 10, ..Encodings::default() };
    let mut stream = Stream::default();
    for ms in 1..=100 {
        push(&mut stream, Id::new(ms, 0), &[b"a".to_vec(), b"b".to_vec()], &rules);
    }
    assert_eq!(stream.log.nodes(), 10);
    let to = TrimTo::Len(5);
    let mut trim = Trim { to, coarse: true, limit: 25, references: References::Keep };
    assert_eq!(stream.trim(&trim), 20);
    trim.limit = 9;
    assert_eq!(stream.trim(&trim), 0);
    trim.limit = 0;
    assert_eq!(stream.trim(&trim), 70);
    assert_eq!((stream.log.len(), stream.log.first()), (10, Id::new(91, 0)));
    trim.coarse = false;
    assert_eq!(stream.trim(&trim), 5);
    assert_eq!(stream.log.first(), Id::new(96, 0));
    stream.recount();
}

#[test]
fn references_go_with_their_entries_or_keep_them() {
    let rules = Encodings { stream_node_max_entries: 4, ..Encodings::default() };
    let mut stream = Stream::default();
    let mut group = Group::new(Id::new(9, 0), None);
    let (consumer, _) = group.number_or_new(b"c", 1);
    for ms in 1..=12 {
        push(&mut stream, Id::new(ms, 0), &[b"a".to_vec(), b"b".to_vec()], &rules);
        if ms % 3 == 0 && ms < 10 {
            group.deliver(Id::new(ms, 0), Pending { delivered: 1, count: 1, consumer });
        }
    }
    assert!(stream.groups.add(b"g", group) && !stream.groups.add(b"g", Group::default()));
    let ids = |stream: &Stream| -> Vec<u64> {
        stream.log.range(Id::MIN, Id::MAX).map(|entry| entry.id.ms).collect()
    };
    let acked = References::Acked;
    let mut trim = Trim { to: TrimTo::Len(8), coarse: false, limit: 0, references: acked };
    assert_eq!(stream.trim(&trim), 4);
    assert_eq!(ids(&stream), [3, 6, 7, 8, 9, 10, 11, 12]);
    trim.to = TrimTo::Len(0);
    assert_eq!(stream.trim(&trim), 2);
    assert_eq!(ids(&stream), [3, 6, 9, 10, 11, 12]);
    stream.recount();
    trim.references = References::Delete;
    trim.to = TrimTo::From(Id::new(7, 0));
    assert_eq!(stream.trim(&trim), 2);
    assert_eq!(stream.groups.find(b"g").unwrap().pending_len(), 1);
    trim.to = TrimTo::Len(0);
    assert_eq!(stream.trim(&trim), 4);
    assert_eq!(stream.groups.find(b"g").unwrap().pending_len(), 0);
    assert_eq!((stream.log.nodes(), stream.log.bytes()), (0, 0));
    stream.recount();
}

#[test]
fn groups_are_those_of_a_model() {
    let seed = 0x5eed_0002;
    println!("seed {seed}");
    let mut random = Random(seed);
    for round in 0..20 {
        let mut groups = Groups::default();
        assert!(groups.add(b"g", Group::new(Id::MIN, Some(0))));
        let mut model: BTreeMap<Id, (u64, String)> = BTreeMap::new();
        for now in 1..2000 {
            let mut group = groups.open(b"g").unwrap();
            let id = Id::new(random.below(200), 0);
            let name = format!("consumer {}", random.below(5));
            match random.below(10) {
                0..=5 => {
                    let (consumer, _) = group.number_or_new(name.as_bytes(), now);
                    group.deliver(id, Pending { delivered: now, count: 1, consumer });
                    model.insert(id, (now, name));
                }
                6 | 7 => assert_eq!(group.acknowledge(id), model.remove(&id).is_some()),
                8 if random.below(20) == 0 => {
                    let before = model.len();
                    model.retain(|_, (_, owner)| *owner != name);
                    let removed = group.remove_consumer(name.as_bytes());
                    assert_eq!(removed.unwrap_or(0), before - model.len());
                }
                _ if round % 2 == 0 => {
                    let latest = random.below(now + 1);
                    let mut ages: Vec<_> = model.iter().map(|(id, (at, _))| (*at, *id)).collect();
                    ages.retain(|(at, _)| *at <= latest);
                    ages.sort_unstable();
                    let oldest: Vec<Id> = ages.into_iter().map(|(_, id)| id).take(7).collect();
                    assert!(group.oldest(latest).take(7).eq(oldest));
                }
                _ => {}
            }
            let pending = group.pending(Id::MIN, Id::MAX).map(|(id, pending)| {
                let owner = group.by_number(pending.consumer).name();
                (*id, (pending.delivered, String::from_utf8(owner.to_vec()).unwrap()))
            });
            if now % 100 == 0 {
                assert!(pending.eq(model.clone()));
                drop(group);
                groups.recount();
            }
        }
        assert!(groups.remove(b"g") && !groups.remove(b"g"));
        assert_eq!(groups.bytes(), 0);
    }
}

#[test]
fn a_large_stream_is_freed_in_steps() {
    let mut stream = Stream::default();
    for name in [&b"g"[..], b"h"] {
        let mut group = Group::new(Id::MIN, None);
        let (consumer, _) = group.number_or_new(b"c", 1);
        for ms in 1..=1000 {
            group.deliver(Id::new(ms, 0), Pending { delivered: ms, count: 1, consumer });
        }
        assert_eq!(group.oldest(1).count(), 1);
        stream.groups.add(name, group);
    }
    for ms in 1..=1000 {
        let texts = [b"a".to_vec(), b"b".to_vec()];
        push(&mut stream, Id::new(ms, 0), &texts, &Encodings::default());
    }
    let mut steps = 0;
    while stream.free_some(100) {
        steps += 1;
    }
    assert!((45..60).contains(&steps), "{steps} steps");
    assert_eq!(stream.bytes(), size_of::<Stream>());
}

#[test]
fn ids_are_given_in_order() {
    let mut log = Log::default();
    let rules = Encodings::default();
    let mut push = |wish, now| log.push(wish, now, [&b"a"[..], b"b"].into_iter(), &rules);
    assert_eq!(push(NewId::Exact(Id::MIN), 5), Err(Refused::NotAbove));
    assert_eq!(push(NewId::Time(0), 5), Ok(Id::new(0, 1)));
    assert_eq!(push(NewId::Auto, 5), Ok(Id::new(5, 0)));
    assert_eq!(push(NewId::Auto, 5), Ok(Id::new(5, 1)));
    assert_eq!(push(NewId::Auto, 3), Ok(Id::new(5, 2)));
    assert_eq!(push(NewId::Time(5), 3), Ok(Id::new(5, 3)));
    assert_eq!(push(NewId::Time(4), 3), Err(Refused::NotAbove));
    assert_eq!(push(NewId::Time(9), 3), Ok(Id::new(9, 0)));
    let id = Id::new(9, u64::MAX);
    assert_eq!(push(NewId::Exact(id), 3), Ok(id));
    assert_eq!(push(NewId::Time(9), 3), Err(Refused::NotAbove));
    assert_eq!(push(NewId::Auto, 3), Ok(Id::new(10, 0)));
    assert_eq!(push(NewId::Exact(Id::MAX), 3), Ok(Id::MAX));
    for wish in [NewId::Auto, NewId::Exact(Id::MAX), NewId::Time(u64::MAX), NewId::Time(3)] {
        assert_eq!(push(wish, 3), Err(Refused::Exhausted));
    }
}

#[test]
fn a_node_is_laid_out_as_in_the_files() {
    let mut log = Log::default();
    let rules = Encodings::default();
    let one = [&b"f"[..], b"1", b"g", b"x"];
    log.push(NewId::Exact(Id::new(10, 5)), 0, one.into_iter(), &rules).unwrap();
    log.push(NewId::Exact(Id::new(12, 3)), 0, one.into_iter(), &rules).unwrap();
    log.push(NewId::Exact(Id::new(12, 4)), 0, [&b"f"[..], b"2"].into_iter(), &rules).unwrap();
    log.delete(Id::new(12, 3));
    let (master, node) = log.only_node();
    assert_eq!(master, Id::new(10, 5));
    let items: Vec<String> = node
        .iter()
        .map(|item| String::from_utf8(item.text(&mut itoa::Buffer::new()).to_vec()).unwrap())
        .collect();
    let head = "2 1 2 f g 0";
    let entries = "2 0 0 1 x 5  3 2 -2 1 x 5  0 2 -1 1 f 2 6";
    let wanted = format!("{head} {entries}");
    assert_eq!(items, wanted.split_whitespace().collect::<Vec<_>>());
}
