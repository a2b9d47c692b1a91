//! A list against a plain one, in both forms and with nodes of every size.

use super::*;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

type Model = Vec<Vec<u8>>;

fn owned(item: Item<'_>) -> Vec<u8> {
    item.text(&mut itoa::Buffer::new()).to_vec()
}

fn rules(size: i32) -> Rules {
    let mut rules = Rules::new(1);
    rules.encodings.list_max_listpack_size = size;
    rules
}

fn check(list: &List, model: &Model, random: &mut Random) {
    list.recount();
    assert_eq!((list.len(), list.is_empty()), (model.len(), model.is_empty()));
    assert!(list.iter().map(owned).eq(model.iter().cloned()));
    assert_eq!(list.iter().len(), model.len());
    let index = random.below(model.len() + 1);
    assert_eq!(list.at(index).map(owned), model.get(index).cloned());
    assert!(list.items(index, Side::Left).map(owned).eq(model[index..].iter().cloned()));
    if index < model.len() {
        let back = list.items(index, Side::Right);
        assert_eq!(back.len(), index + 1);
        assert!(back.map(owned).eq(model[..=index].iter().rev().cloned()));
    }
    let copy = list.duplicate();
    copy.recount();
    assert!(copy.iter().map(owned).eq(model.iter().cloned()));
}

fn text(random: &mut Random) -> Vec<u8> {
    match random.below(12) {
        0 => vec![b'x'; random.below(9000)],
        1 => vec![b'y'; random.below(300)],
        2..=5 => random.below(10).to_string().into_bytes(),
        _ => random.below(1 << 20).to_string().into_bytes(),
    }
}

/// One random change to both.
fn change(list: &mut List, model: &mut Model, rules: &Rules, random: &mut Random, grow: bool) {
    let text = text(random);
    let index = random.below(model.len() + 1);
    let side = [Side::Left, Side::Right][random.below(2)];
    match random.below(if grow { 10 } else { 13 }) {
        0..=4 => {
            let texts = vec![text; 1 + random.below(4)];
            list.push(rules, side, texts.iter().map(Vec::as_slice));
            let at = if side == Side::Left { 0 } else { model.len() };
            model.splice(at..at, texts);
        }
        5 | 6 => {
            let old = model.get(index).cloned().unwrap_or_default();
            let found = model.iter().position(|other| *other == old);
            assert_eq!(list.insert(rules, side, &old, &text), found.is_some());
            if let Some(found) = found {
                model.insert(found + usize::from(side == Side::Right), text);
            }
        }
        7 | 8 => {
            assert_eq!(list.set(rules, index, &text), index < model.len());
            if let Some(old) = model.get_mut(index) {
                *old = text;
            }
        }
        9 | 10 => {
            let count = random.below(3);
            list.remove_at(rules, side, count);
            let count = count.min(model.len());
            let at = if side == Side::Left { 0 } else { model.len() - count };
            model.drain(at..at + count);
        }
        11 => {
            let old = model.get(index).cloned().unwrap_or_default();
            let limit = [1, 2, usize::MAX][random.below(3)];
            let mut places: Vec<usize> =
                (0..model.len()).filter(|&place| model[place] == old).collect();
            if side == Side::Right {
                places.reverse();
            }
            places.truncate(limit);
            assert_eq!(list.remove_equal(rules, &old, side, limit), places.len());
            places.sort_unstable_by(|one, other| other.cmp(one));
            places.iter().for_each(|&place| drop(model.remove(place)));
        }
        _ => {
            let count = random.below(model.len() / 8 + 2);
            list.remove_range(rules, index, count);
            model.drain(index..model.len().min(index + count));
        }
    }
}

#[test]
fn changes_agree_with_a_plain_list() {
    for (seed, size) in [-2, 1, 2, 3, 0, 128, -1, -5, -9, 2].into_iter().enumerate() {
        println!("seed {seed}");
        let (rules, mut random) = (rules(size), Random(seed as u64 + 1));
        let (mut list, mut model) = (List::default(), Model::new());
        for step in 0..3000 {
            change(&mut list, &mut model, &rules, &mut random, step < 1500);
            if step % 16 == 0 || model.len() < 4 {
                check(&list, &model, &mut random);
            }
        }
        let count = random.below(model.len() + 1);
        list.remove_range(&rules, 1, count);
        model.drain(1..model.len().min(1 + count));
        check(&list, &model, &mut random);
        while list.free_some(3) {
            list.recount();
        }
    }
}

#[test]
fn many_nodes_keep_their_order() {
    let rules = rules(1);
    let (mut list, mut random) = (List::default(), Random(5));
    let mut model: Model = Vec::new();
    for value in 0..2000 {
        let text = value.to_string().into_bytes();
        list.push(&rules, Side::Right, std::iter::once(text.as_slice()));
        model.push(text);
    }
    for value in 0..1000 {
        let index = random.below(model.len());
        let (pivot, text) = (model[index].clone(), format!("n{value}").into_bytes());
        assert!(list.insert(&rules, Side::Left, &pivot, &text));
        model.insert(index, text);
    }
    check(&list, &model, &mut random);
    list.remove_range(&rules, 100, 2500);
    model.drain(100..2600);
    check(&list, &model, &mut random);
    assert_eq!(list.encoding(), "quicklist");
    list.remove_range(&rules, 1, usize::MAX);
    model.truncate(1);
    check(&list, &model, &mut random);
    list.remove_range(&rules, 0, usize::MAX);
    assert!(list.is_empty());
}

#[test]
fn forms_change_at_their_bounds() {
    let rules = rules(4);
    let mut list = List::default();
    let texts = [&b"a"[..]; 5];
    list.push(&rules, Side::Right, texts[..4].iter().copied());
    assert_eq!(list.encoding(), "listpack");
    list.push(&rules, Side::Right, texts[..1].iter().copied());
    assert_eq!(list.encoding(), "quicklist");
    list.remove_at(&rules, Side::Right, 2);
    assert_eq!((list.len(), list.encoding()), (3, "quicklist"));
    list.remove_at(&rules, Side::Left, 1);
    assert_eq!((list.len(), list.encoding()), (2, "listpack"));
    list.push(&rules, Side::Left, std::iter::once(&[b'x'; 8193][..]));
    assert_eq!(list.encoding(), "quicklist");
    assert!(list.set(&rules, 0, b"small"));
    assert!(list.iter().map(owned).eq([b"small".to_vec(), b"a".to_vec(), b"a".to_vec()]));
}

#[test]
fn small_elements_take_few_bytes() {
    let rules = rules(-2);
    let mut list = List::default();
    for value in 0..200_000 {
        let text = format!("value:{value:06}");
        list.push(&rules, Side::Right, std::iter::once(text.as_bytes()));
    }
    let each = list.bytes() as f64 / list.len() as f64;
    assert!(each < 14.2, "{each} bytes an element of 12");
}
