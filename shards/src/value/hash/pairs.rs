//! Fields without expiry in a listpack: each a name and a value.

use super::Pair;
use crate::value::{Item, Listpack, Packed, Pos};

/// Where a field lies.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) name: Pos,
    pub(super) value: Pos,
}

#[inline]
pub(super) fn find(packed: &Listpack, name: &[u8]) -> Option<At> {
    let name = packed.find(packed.first()?, name, 2)?;
    Some(At { name, value: packed.next(name).expect("a name has a value") })
}

/// Gives a field a value; true if it is new.
#[inline]
pub(super) fn set(packed: &mut Packed, name: &[u8], value: &[u8]) -> bool {
    match find(packed, name) {
        Some(at) => {
            packed.replace(at.value, value);
            false
        }
        None => {
            packed.push_back(name);
            packed.push_back(value);
            true
        }
    }
}

/// Removes a field; true if it was there.
pub(super) fn remove(packed: &mut Packed, name: &[u8]) -> bool {
    let Some(at) = find(packed, name) else { return false };
    packed.remove_from(at.name, 2);
    true
}

#[inline]
pub(super) fn each<'a>(packed: &'a Listpack, mut visit: impl FnMut(Pair<'a>)) {
    let mut items = packed.iter();
    while let (Some(name), Some(value)) = (items.next(), items.next()) {
        visit(Pair { name, value, expiry: None });
    }
}

pub(super) fn recount(packed: &Listpack) {
    assert!(packed.count().is_multiple_of(2), "every name has a value");
    let mut names = Vec::new();
    each(packed, |pair| names.push(name_of(pair.name)));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "every name is there once");
}

pub(super) fn name_of(item: Item<'_>) -> Vec<u8> {
    item.text(&mut itoa::Buffer::new()).to_vec()
}
