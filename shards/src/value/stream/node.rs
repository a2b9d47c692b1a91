//! A node: up to some hundred entries in a listpack, laid out as in Redis's files.
//!
//! ```text
//! head       entries, deleted entries, number of names, the names, 0
//! an entry   flags, ms and seq less those of the node's first id,
//!            then   values, in the order of the head's names     (flag 2: names are the head's)
//!            or     number of fields, then names with values
//!            then   items of this entry so far, to be read backwards
//! ```
//!
//! A deleted entry stays, with flag 1, until no entry of its node is left.

use super::Id;
use crate::value::Packed;
use crate::value::packed::{Item, Iter, Pos};

/// The entry is deleted.
const DELETED: i64 = 1;
/// The names of its fields are those of the head.
const SAME_NAMES: i64 = 2;

/// Items of an entry before its fields: flags, ms and seq.
const ENTRY_HEAD: usize = 3;

/// An entry where it lies.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its id.
    pub id: Id,
    /// How many fields it has.
    pub fields: usize,
    /// The head's names, if they are its own.
    names: Option<Iter<'a>>,
    /// Its names with values, or values alone.
    items: Iter<'a>,
}

impl<'a> Entry<'a> {
    /// Calls `each` with every name and its value.
    #[inline]
    pub fn each(&self, mut each: impl FnMut(Item<'a>, Item<'a>)) {
        let mut items = self.items;
        let mut next = || items.next().expect("an entry has as many items as it says");
        match self.names {
            Some(mut names) => {
                for _ in 0..self.fields {
                    each(names.next().expect("a head has as many names as it says"), next());
                }
            }
            None => (0..self.fields).for_each(|_| {
                let name = next();
                each(name, next());
            }),
        }
    }
}

/// The entries of a node, deleted ones among them, from one of its ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk<'a> {
    master: Id,
    names: Iter<'a>,
    names_len: usize,
    items: Iter<'a>,
    node: &'a Packed,
    /// The last item of the entry that `next_back` reads.
    back: Option<Pos>,
}

/// An entry and whether it is still there.
pub(super) type Found<'a> = (Entry<'a>, bool);

impl<'a> Walk<'a> {
    /// The entries of `node`, whose first id is `master`.
    pub(super) fn new(master: Id, node: &'a Packed) -> Self {
        let mut items = node.iter();
        skip(&mut items, 2);
        let names_len = take_int(&mut items) as usize;
        let names = items;
        skip(&mut items, names_len + 1);
        Self { master, names, names_len, items, node, back: node.last() }
    }

    /// The entries of a node from the one whose flags are at `pos` on.
    fn at(self, pos: Pos) -> Self {
        Self { items: self.node.iter_from(pos), ..self }
    }

    /// The entry before, from the end.
    pub(super) fn next_back(&mut self) -> Option<Found<'a>> {
        let mut pos = self.back?;
        let count = self.node.at(pos).int().expect("an entry ends with its count");
        if count == 0 {
            // The end of the head.
            return None;
        }
        for _ in 0..count {
            pos = self.node.prev(pos).expect("an entry has as many items as it says");
        }
        self.back = self.node.prev(pos);
        let mut walk = self.at(pos);
        let (flags, id) = walk.head().expect("an entry has a head");
        Some((walk.entry(flags, id), flags & DELETED == 0))
    }

    /// Reads the entry at `self.items` up to its fields.
    #[inline]
    fn head(&mut self) -> Option<(i64, Id)> {
        let flags = self.items.next()?.int().expect("an entry begins with its flags");
        Some((flags, id_of(self.master, &mut self.items)))
    }

    #[inline]
    fn entry(&mut self, flags: i64, id: Id) -> Entry<'a> {
        if flags & SAME_NAMES != 0 {
            let names = Some(self.names);
            return Entry { id, fields: self.names_len, names, items: self.items };
        }
        let fields = take_int(&mut self.items) as usize;
        Entry { id, fields, names: None, items: self.items }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Found<'a>;

    #[inline]
    fn next(&mut self) -> Option<Found<'a>> {
        let (flags, id) = self.head()?;
        let entry = self.entry(flags, id);
        let items = entry.fields * if entry.names.is_some() { 1 } else { 2 };
        skip(&mut self.items, items + 1);
        Some((entry, flags & DELETED == 0))
    }
}

/// A node with a head for these names and no entry yet.
pub(super) fn new_node<'f>(names: impl Iterator<Item = &'f [u8]>, room: usize) -> Packed {
    let mut node = Packed::with_room(room);
    node.push_back_int(0);
    node.push_back_int(0);
    let count = node.last().expect("two items are there");
    let mut len = 0;
    node.push_back_int(0);
    let len_at = node.next(count).expect("a third item was added");
    for name in names {
        node.push_back(name);
        len += 1;
    }
    node.replace_int(len_at, len);
    node.push_back_int(0);
    node
}

/// Adds an entry to `node`; `fields` are names and values in turn.
pub(super) fn push<'f>(
    node: &mut Packed,
    master: Id,
    id: Id,
    fields: impl Iterator<Item = &'f [u8]> + Clone,
) {
    let same = has_names(node, fields.clone().step_by(2));
    node.push_back_int(if same { SAME_NAMES } else { 0 });
    node.push_back_int(id.ms.wrapping_sub(master.ms) as i64);
    node.push_back_int(id.seq.wrapping_sub(master.seq) as i64);
    let mut items = ENTRY_HEAD;
    if same {
        for value in fields.skip(1).step_by(2) {
            node.push_back(value);
            items += 1;
        }
    } else {
        node.push_back_int((fields.clone().count() / 2) as i64);
        items += 1;
        for text in fields {
            node.push_back(text);
            items += 1;
        }
    }
    node.push_back_int(items as i64);
    let (live, deleted) = counts(node);
    set_counts(node, live + 1, deleted);
}

/// Checks a node from elsewhere whose first id is `master`: every item, every count, and that ids
/// grow from `before` on, which becomes the last of them. How many entries are not deleted.
pub(super) fn check(master: Id, node: &Packed, before: &mut Option<Id>) -> Option<u64> {
    if before.is_some_and(|before| master <= before) {
        return None;
    }
    let mut items = node.iter();
    let (live, deleted, names_len) =
        (checked_count(&mut items)?, checked_count(&mut items)?, checked_count(&mut items)?);
    for _ in 0..names_len {
        items.next()?;
    }
    if items.next()?.int()? != 0 {
        return None;
    }
    let mut found = (0, 0);
    while let Some(flags) = items.next() {
        let flags = flags.int().filter(|flags| flags & !(DELETED | SAME_NAMES) == 0)?;
        let (ms, seq) = (items.next()?.int()? as u64, items.next()?.int()? as u64);
        let id = Id { ms: master.ms.wrapping_add(ms), seq: master.seq.wrapping_add(seq) };
        if id < master || before.is_some_and(|before| id <= before) {
            return None;
        }
        *before = Some(id);
        let (fields, ahead) = match flags & SAME_NAMES != 0 {
            true => (names_len, ENTRY_HEAD as u64),
            false => (checked_count(&mut items)?.checked_mul(2)?, ENTRY_HEAD as u64 + 1),
        };
        for _ in 0..fields {
            items.next()?;
        }
        if checked_count(&mut items)? != fields.checked_add(ahead)? {
            return None;
        }
        *if flags & DELETED == 0 { &mut found.0 } else { &mut found.1 } += 1;
    }
    (found == (live, deleted)).then_some(live)
}

fn checked_count(items: &mut Iter<'_>) -> Option<u64> {
    u64::try_from(items.next()?.int()?).ok()
}

/// True if the head's names are exactly `names`.
fn has_names<'f>(node: &Packed, mut names: impl Iterator<Item = &'f [u8]>) -> bool {
    let mut items = node.iter();
    skip(&mut items, 2);
    let len = take_int(&mut items);
    (0..len).all(|_| {
        let name = items.next().expect("a head has as many names as it says");
        names.next().is_some_and(|other| name.is(other))
    }) && names.next().is_none()
}

/// Entries of a node, and deleted ones.
#[inline]
pub(super) fn counts(node: &Packed) -> (u64, u64) {
    let mut items = node.iter();
    (take_int(&mut items) as u64, take_int(&mut items) as u64)
}

fn set_counts(node: &mut Packed, live: u64, deleted: u64) {
    let first = node.first().expect("a node has a head");
    node.replace_int(first, live as i64);
    let second = node.next(first).expect("a node has a head");
    node.replace_int(second, deleted as i64);
}

/// Where the flags of entries are, going forward over all of them.
pub(super) struct Marks {
    master: Id,
    names_len: usize,
    at: Option<Pos>,
}

impl Marks {
    /// At the first entry of `node`.
    pub(super) fn new(master: Id, node: &Packed) -> Self {
        let len_at = steps(node, node.first(), 2).expect("a node has a head");
        let names_len = node.at(len_at).int().expect("a head counts its names") as usize;
        Self { master, names_len, at: steps(node, Some(len_at), names_len + 2) }
    }

    /// The next entry: where its flags are, its id, and whether it is still there.
    pub(super) fn next(&mut self, node: &Packed) -> Option<(Pos, Id, bool)> {
        let pos = self.at?;
        let mut items = node.iter_from(pos);
        let flags = take_int(&mut items);
        let id = id_of(self.master, &mut items);
        let rest = if flags & SAME_NAMES != 0 {
            self.names_len + 1
        } else {
            take_int(&mut items) as usize * 2 + 2
        };
        self.at = steps(node, Some(pos), ENTRY_HEAD + rest);
        Some((pos, id, flags & DELETED == 0))
    }
}

/// The item `count` items after this one.
fn steps(node: &Packed, from: Option<Pos>, count: usize) -> Option<Pos> {
    (0..count).try_fold(from?, |pos, _| node.next(pos))
}

/// Marks the entry whose flags are at `pos` as deleted. Its flags keep their length, but the counts
/// in the head may not: say `count_deleted` when all are marked.
pub(super) fn mark_deleted(node: &mut Packed, pos: Pos) {
    let flags = node.at(pos).int().expect("an entry begins with its flags");
    node.replace_int(pos, flags | DELETED);
}

/// Notes in the head that so many entries more are deleted.
pub(super) fn count_deleted(node: &mut Packed, more: u64) {
    let (live, deleted) = counts(node);
    set_counts(node, live - more, deleted + more);
}

/// Reads an id, which is kept as the distance from the node's first.
#[inline]
fn id_of(master: Id, items: &mut Iter<'_>) -> Id {
    let ms = master.ms.wrapping_add(take_int(items) as u64);
    let seq = master.seq.wrapping_add(take_int(items) as u64);
    Id { ms, seq }
}

#[inline]
fn skip(items: &mut Iter<'_>, count: usize) {
    for _ in 0..count {
        items.next();
    }
}

#[inline]
fn take_int(items: &mut Iter<'_>) -> i64 {
    items.next().and_then(Item::int).expect("an integer stands here")
}
