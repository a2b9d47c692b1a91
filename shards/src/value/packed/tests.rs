//! A listpack against a plain list of texts, and against bytes as Redis writes them.

use super::*;

/// Numbers at the edges of the forms, and texts around the lengths where they change.
fn texts() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = vec![b"".to_vec(), b"-0".to_vec(), b"01".to_vec(), b"+1".to_vec()];
    for bits in [0, 7, 12, 13, 15, 16, 23, 24, 31, 32, 63] {
        for step in [-1i128, 0, 1] {
            let value = (1i128 << bits) + step;
            all.push(value.to_string().into_bytes());
            all.push((-value).to_string().into_bytes());
        }
    }
    for len in [1, 62, 63, 64, 125, 126, 127, 4095, 4096, 16_377, 16_378, 16_379, 16_384] {
        all.push(vec![b'x'; len]);
    }
    all
}

/// A listpack as it stands in files.
fn filed(packed: &Packed) -> Vec<u8> {
    let mut bytes = Vec::new();
    packed.write_to(&mut bytes);
    assert_eq!(bytes.len(), packed.bytes());
    bytes
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

fn contents(packed: &Packed) -> Vec<Vec<u8>> {
    packed.iter().map(|item| item.text(&mut itoa::Buffer::new()).to_vec()).collect()
}

fn check(packed: &Packed, model: &[Vec<u8>]) {
    assert_eq!(contents(packed), model);
    let mut backwards: Vec<_> = packed.iter().rev().collect();
    backwards.reverse();
    assert_eq!(backwards, packed.iter().collect::<Vec<_>>());
    assert_eq!((packed.count(), packed.is_empty()), (model.len(), model.is_empty()));
    assert!(packed.heap_bytes() >= packed.kept().len());
    assert!(packed.heap_bytes() <= 2 * packed.bytes() + 32, "memory is given back");
    let again = Packed::from_bytes(filed(packed));
    assert_eq!(again.as_ref(), Some(packed), "its own bytes are a listpack");
    for index in [0, 1, model.len() / 2, model.len()] {
        let pos = packed.seek(index as isize);
        assert_eq!(pos.map(|pos| packed.at(pos).is(&model[index])), model.get(index).map(|_| true));
        let back = packed.seek(index as isize - model.len() as isize);
        assert_eq!(back, if index < model.len() { pos } else { packed.first() });
    }
    assert_eq!(packed.seek(-1), packed.last());
    assert_eq!(packed.seek(-1 - model.len() as isize), None);
    assert_eq!((packed.seek(isize::MIN), packed.seek(isize::MAX)), (None, None));
}

#[test]
fn every_form_is_read_as_it_was_written() {
    let mut packed = Packed::new();
    let all = texts();
    for text in &all {
        packed.push_back(text);
        let last = packed.at(packed.last().unwrap());
        assert!(last.is(text), "{}", text.escape_ascii());
        assert_eq!(last.len(), text.len());
        let value: Option<i64> = String::from_utf8_lossy(text).parse().ok();
        let canonical = value.filter(|value| value.to_string().as_bytes() == text);
        assert_eq!(last.int(), canonical);
        assert_eq!(matches!(last, Item::Int(_)), canonical.is_some());
    }
    check(&packed, &all);
    for (index, text) in all.iter().enumerate() {
        let found = packed.find(packed.first().unwrap(), text, 1).unwrap();
        let first = all.iter().position(|other| other == text).unwrap();
        assert_eq!(Some(found), packed.seek(first as isize), "{index}");
        assert_eq!(packed.find(found, b"nosuch", 1), None);
    }
}

#[test]
fn bytes_are_those_of_redis() {
    let mut packed = Packed::new();
    for text in [&b"1"[..], b"-1", b"hello", b"4096", b"-8388608", b"2147483648"] {
        packed.push_back(text);
    }
    let items: &[&[u8]] = &[
        &[0x01, 1],
        &[0xdf, 0xff, 2],
        b"\x85hello\x06",
        &[0xf1, 0x00, 0x10, 3],
        &[0xf2, 0x00, 0x00, 0x80, 4],
        &[0xf4, 0, 0, 0, 0x80, 0, 0, 0, 0, 9],
    ];
    let body = items.concat();
    let mut wanted = vec![body.len() as u8 + 7, 0, 0, 0, 6, 0];
    wanted.extend_from_slice(&body);
    wanted.push(0xff);
    assert_eq!(filed(&packed), wanted);
    let mut long = Packed::new();
    long.push_back(&[b'y'; 300]);
    assert_eq!(&filed(&long)[6..8], &[0xe1, 0x2c]);
    assert_eq!(&filed(&long)[308..], &[2, 0x80 | 46, 0xff]);
}

#[test]
fn edits_agree_with_a_plain_list() {
    let all = texts();
    for seed in 1..=40 {
        let mut random = Random(seed * 0x9e37_79b9);
        let (mut packed, mut model) = (Packed::new(), Vec::new());
        for _ in 0..300 {
            edit(&mut packed, &mut model, &all[random.below(all.len())], &mut random);
        }
        check(&packed, &model);
        while !model.is_empty() {
            let count = 1 + random.below(model.len());
            let index = random.below(model.len());
            packed.remove_range(index as isize, count);
            model.drain(index..model.len().min(index + count));
            check(&packed, &model);
        }
        assert_eq!(packed, Packed::new());
    }
}

/// One random change to both.
fn edit(packed: &mut Packed, model: &mut Vec<Vec<u8>>, text: &[u8], random: &mut Random) {
    let index = random.below(model.len() + 1);
    let Some(pos) = packed.seek(index as isize) else {
        if random.below(2) == 0 {
            packed.push_back(text);
            model.push(text.to_vec());
        } else {
            packed.push_front(text);
            model.insert(0, text.to_vec());
        }
        return;
    };
    match random.below(9) {
        0 | 1 => {
            packed.insert_before(pos, text);
            model.insert(index, text.to_vec());
        }
        2 | 3 => {
            packed.insert_after(pos, text);
            model.insert(index + 1, text.to_vec());
        }
        4 => {
            packed.replace(pos, text);
            model[index] = text.to_vec();
        }
        5 => {
            packed.replace_int(pos, -77);
            model[index] = b"-77".to_vec();
        }
        6 => {
            let next = packed.remove(pos);
            model.remove(index);
            assert_eq!(next, packed.seek(index as isize));
        }
        7 => {
            let next = packed.next(pos);
            assert_eq!(next, packed.seek(index as isize + 1));
            assert_eq!(next.and_then(|next| packed.prev(next)), next.map(|_| pos));
        }
        _ => {
            let taken = packed.split_off(pos);
            check(&taken, &model[index..]);
            check(packed, &model[..index]);
            packed.append(&taken);
        }
    }
}

#[test]
fn a_stride_passes_over_values() {
    let mut packed = Packed::new();
    for text in ["a", "b", "b", "c", "3", "3", "d"] {
        packed.push_back(text.as_bytes());
    }
    let first = packed.first().unwrap();
    assert_eq!(packed.find(first, b"b", 2), packed.seek(2));
    assert_eq!(packed.find(first, b"3", 2), packed.seek(4));
    assert_eq!(packed.find(first, b"c", 2), None);
    assert_eq!(packed.find(packed.seek(1).unwrap(), b"c", 2), packed.seek(3));
    assert_eq!(packed.find(first, b"d", 3), packed.seek(6));
}

#[test]
fn more_items_than_the_count_has_room_for() {
    let mut packed = Packed::new();
    for value in 0..70_000 {
        packed.push_back_int(value);
    }
    assert_eq!(packed.count(), 70_000);
    assert!(packed.at(packed.seek(-1).unwrap()).is(b"69999"));
    assert!(Packed::from_bytes(filed(&packed)).is_some());
    packed.remove_range(10, 69_000);
    assert_eq!(packed.count(), 1000);
    packed.remove_range(0, usize::MAX);
    assert_eq!(packed, Packed::new());
}

#[test]
fn damaged_bytes_are_refused_or_harmless() {
    let mut packed = Packed::new();
    for text in ["1", "-300", "hello", "123456789012"] {
        packed.push_back(text.as_bytes());
    }
    packed.push_back(&[b'z'; 200]);
    let whole = filed(&packed);
    for len in 0..whole.len() {
        assert_eq!(Packed::from_bytes(whole[..len].to_vec()), None);
    }
    for at in 0..whole.len() {
        for value in 0..=255 {
            let mut bytes = whole.to_vec();
            bytes[at] = value;
            if let Some(packed) = Packed::from_bytes(bytes) {
                assert_eq!(packed.iter().count(), packed.count());
                assert_eq!(packed.iter().rev().count(), packed.count());
            }
        }
    }
}
