//! Listpacks: edits against a plain list, and bytes that are nearly a listpack.

use super::source::Source;
use pinion_shards::value::{Item, Packed};

fn text(source: &mut Source) -> Vec<u8> {
    match source.below(6) {
        0 => source.bytes(6),
        1 => source.bytes(5000),
        2 => vec![b'x'; *source.one_of(&[&62, &63, &64, &126, &127, &128, &4095, &4096, &16_400])],
        3 => source
            .one_of(&["0", "-0", "127", "128", "-4096", "4095", "99999999999999999999"])
            .into(),
        _ => {
            let bits = source.below(64);
            let value = (source.below(usize::MAX) as i64) >> bits;
            (if source.once_in(2) { value } else { -value }).to_string().into_bytes()
        }
    }
}

fn contents(packed: &Packed) -> Vec<Vec<u8>> {
    let text = |item: Item<'_>| match item {
        Item::Int(value) => value.to_string().into_bytes(),
        Item::Str(text) => text.to_vec(),
    };
    packed.iter().map(text).collect()
}

/// One change to both.
fn edit(source: &mut Source, packed: &mut Packed, model: &mut Vec<Vec<u8>>) {
    let text = text(source);
    let index = source.below(model.len() + 1);
    let Some(pos) = packed.seek(index as isize) else {
        packed.push_back(&text);
        return model.push(text);
    };
    match source.below(8) {
        0 => {
            packed.insert_before(pos, &text);
            model.insert(index, text);
        }
        1 => {
            packed.insert_after(pos, &text);
            model.insert(index + 1, text);
        }
        2 => {
            packed.replace(pos, &text);
            model[index] = text;
        }
        3 => {
            packed.push_front(&text);
            model.insert(0, text);
        }
        4 => {
            packed.remove(pos);
            model.remove(index);
        }
        5 => {
            let count = source.below(4);
            packed.remove_range(index as isize, count);
            model.drain(index..model.len().min(index + count));
        }
        6 => {
            let found = packed.find(pos, &text, 1).map(|pos| packed.iter_before(pos).count());
            let wanted = model[index..].iter().position(|other| *other == text);
            assert_eq!(found, wanted.map(|at| at + index));
        }
        _ => {
            let taken = packed.split_off(pos);
            assert_eq!(contents(&taken), model[index..]);
            packed.append(&taken);
        }
    }
}

#[test]
fn edits_and_damage() {
    let mut source = Source::new("packed");
    while source.goes_on() {
        let (mut packed, mut model) = (Packed::new(), Vec::new());
        for _ in 0..source.below(60) {
            edit(&mut source, &mut packed, &mut model);
        }
        assert_eq!(contents(&packed), model);
        let mut bytes = Vec::new();
        packed.write_to(&mut bytes);
        assert!(Packed::from_bytes(bytes.clone()).is_some(), "its own bytes are a listpack");
        source.mutate(&mut bytes);
        if let Some(mut packed) = Packed::from_bytes(bytes) {
            let mut model = contents(&packed);
            assert_eq!((packed.iter().rev().count(), packed.count()), (model.len(), model.len()));
            for _ in 0..4 {
                edit(&mut source, &mut packed, &mut model);
            }
            assert_eq!(contents(&packed).len(), model.len());
        }
    }
}
