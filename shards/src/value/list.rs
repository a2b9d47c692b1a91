//! A list: one listpack while it is small, then a row of them.
//!
//! How large the one and each of the row may be is `list-max-listpack-size`. A list that has
//! become half as small as that, in one node, goes back to the small form.

mod items;
mod node;
mod quick;

pub use items::Items;

use super::packed::{Item, Packed};
use super::{Kind, Object, Rules, Value};
use node::{Limits, Node, Run};
use quick::{Quick, Spot};

/// A list.
#[derive(Debug)]
pub struct List {
    form: Form,
}

#[derive(Debug)]
enum Form {
    Packed(Packed),
    Quick(Box<Quick>),
}

/// A node of a list as it lies.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StoredNode<'a> {
    /// Elements in a listpack.
    Packed(&'a Packed),
    /// One element.
    Plain(&'a [u8]),
}

/// An end of a list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// Where index 0 is.
    Left,
    /// Where index -1 is.
    Right,
}

impl List {
    /// How many nodes a long list has, and the bytes of their elements; none for a short one.
    /// Walks them all.
    pub fn nodes(&self) -> Option<(usize, usize)> {
        match &self.form {
            Form::Packed(_) => None,
            Form::Quick(quick) => Some(quick.nodes()),
        }
    }

    /// An empty list in the long form.
    pub(crate) fn long() -> Self {
        let mut list = Self::default();
        list.part();
        list
    }

    /// The node at a place (0 is the first), and the place of the next: what files are made of. A
    /// short list is one node.
    pub(crate) fn node_at(&self, place: u64) -> Option<(StoredNode<'_>, Option<u64>)> {
        let quick = match &self.form {
            Form::Packed(packed) => return Some((StoredNode::Packed(packed), None)),
            Form::Quick(quick) => quick,
        };
        let spot = quick.spot_of(place)?;
        let next = quick.following(spot, Side::Left).map(Spot::place);
        Some((quick.node(spot).stored(), next))
    }

    /// Adds texts at one end, one after the other.
    #[inline]
    pub fn push<'t>(
        &mut self,
        rules: &Rules,
        side: Side,
        texts: impl Iterator<Item = &'t [u8]> + Clone,
    ) {
        let limits = Limits::of(rules);
        self.prepare(limits, texts.clone());
        texts.for_each(|text| self.add(limits, side, text));
    }

    /// Adds elements at the right end that lie in a listpack, which is not empty, as a node.
    pub(crate) fn push_packed(&mut self, rules: &Rules, elements: Packed) {
        let limits = Limits::of(rules);
        match &mut self.form {
            Form::Packed(own) if own.is_empty() => {
                let large = limits.are_exceeded(elements.bytes(), elements.count());
                *own = elements;
                if large {
                    self.part();
                }
            }
            Form::Packed(_) => {
                self.part();
                self.push_packed(rules, elements);
            }
            Form::Quick(quick) => quick.push_node(Side::Right, Node::of_packed(elements)),
        }
    }

    /// Adds an element as it was read from a list. An integer counts for no bytes when room is
    /// asked for, as in Redis.
    pub fn push_item(&mut self, rules: &Rules, side: Side, item: Item<'_>) {
        let limits = Limits::of(rules);
        let counted = match item {
            Item::Int(_) => b"",
            Item::Str(text) => text,
        };
        self.prepare(limits, std::iter::once(counted));
        self.add(limits, side, item.text(&mut itoa::Buffer::new()));
    }

    #[inline]
    fn add(&mut self, limits: Limits, side: Side, text: &[u8]) {
        match (&mut self.form, side) {
            (Form::Packed(packed), Side::Left) => packed.push_front(text),
            (Form::Packed(packed), Side::Right) => packed.push_back(text),
            (Form::Quick(quick), _) => quick.push(side, text, limits),
        }
    }

    /// The element with this index.
    #[inline]
    pub fn at(&self, index: usize) -> Option<Item<'_>> {
        match &self.form {
            Form::Packed(packed) => {
                let index = isize::try_from(index).ok()?;
                packed.seek(index).map(|pos| packed.at(pos))
            }
            Form::Quick(quick) => {
                let (spot, offset) = quick.seek(index)?;
                quick.node(spot).run(offset, Side::Left).next(Side::Left)
            }
        }
    }

    /// The element at one end.
    #[inline]
    pub fn edge(&self, side: Side) -> Option<Item<'_>> {
        let index = if side == Side::Left { 0 } else { self.len().checked_sub(1)? };
        self.at(index)
    }

    /// The elements from `index` on: to the right, or, seen from the right, to the left.
    pub fn items(&self, index: usize, from: Side) -> Items<'_> {
        let len = self.len();
        if index >= len {
            return Items::new(Run::Plain(None), None, from, 0);
        }
        let left = if from == Side::Left { len - index } else { index + 1 };
        match &self.form {
            Form::Packed(packed) => {
                let seek = |index| packed.seek(index as isize);
                let run = match from {
                    Side::Left => seek(index).map(|pos| packed.iter_from(pos)),
                    Side::Right => seek(index + 1).map(|pos| packed.iter_before(pos)),
                };
                let run = run.unwrap_or_else(|| packed.iter());
                Items::new(Run::Packed(run), None, from, left)
            }
            Form::Quick(quick) => {
                let (spot, offset) = quick.seek(index).expect("the index is below the length");
                let run = quick.node(spot).run(offset, from);
                Items::new(run, Some((quick, spot)), from, left)
            }
        }
    }

    /// All elements.
    pub fn iter(&self) -> Items<'_> {
        self.items(0, Side::Left)
    }

    /// Puts a text in the place of the element with this index; false if there is none.
    pub fn set(&mut self, rules: &Rules, index: usize, text: &[u8]) -> bool {
        let limits = Limits::of(rules);
        self.prepare(limits, std::iter::once(text));
        if index >= self.len() {
            return false;
        }
        match &mut self.form {
            Form::Packed(packed) => {
                let pos = packed.seek(index as isize).expect("the index is below the length");
                packed.replace(pos, text);
            }
            Form::Quick(quick) => {
                let (spot, offset) = quick.seek(index).expect("the index is below the length");
                quick.replace(spot, offset, text, limits);
            }
        }
        self.lessen(limits);
        true
    }

    /// Adds a text beside the first element that is `pivot`, on its left or on its right; false if
    /// there is none.
    pub fn insert(&mut self, rules: &Rules, side: Side, pivot: &[u8], text: &[u8]) -> bool {
        let limits = Limits::of(rules);
        self.prepare(limits, std::iter::once(text));
        match &mut self.form {
            Form::Packed(packed) => {
                let Some(pos) = packed.first().and_then(|first| packed.find(first, pivot, 1))
                else {
                    return false;
                };
                match side {
                    Side::Left => packed.insert_before(pos, text),
                    Side::Right => packed.insert_after(pos, text),
                }
            }
            Form::Quick(quick) => {
                let Some(place) = quick.find(pivot) else { return false };
                quick.insert(place, side, text, limits);
            }
        }
        true
    }

    /// Removes `count` elements from `index` on, or as many as there are.
    pub fn remove_range(&mut self, rules: &Rules, index: usize, count: usize) {
        self.cut(index, count);
        self.lessen(Limits::of(rules));
    }

    fn cut(&mut self, index: usize, count: usize) {
        match &mut self.form {
            Form::Packed(packed) => {
                if let Ok(index) = isize::try_from(index) {
                    packed.remove_range(index, count);
                }
            }
            Form::Quick(quick) => quick.remove_range(index, count),
        }
    }

    /// Removes `count` elements at one end, or as many as there are.
    #[inline]
    pub fn remove_at(&mut self, rules: &Rules, side: Side, count: usize) {
        let index = if side == Side::Left { 0 } else { self.len().saturating_sub(count) };
        self.remove_range(rules, index, count);
    }

    /// Moves the element at one end to an end.
    pub fn rotate(&mut self, rules: &Rules, from: Side, to: Side) {
        let Some(item) = self.edge(from) else { return };
        let mut text = Vec::new();
        let item = item.copied(&mut text);
        let index = if from == Side::Left { 0 } else { self.len() - 1 };
        self.cut(index, 1);
        self.push_item(rules, to, item);
        self.lessen(Limits::of(rules));
    }

    /// Removes elements that are `text`, `limit` at most, beginning at one end; returns how many.
    pub fn remove_equal(&mut self, rules: &Rules, text: &[u8], from: Side, limit: usize) -> usize {
        let removed = match &mut self.form {
            Form::Packed(packed) => node::remove_equal(packed, text, from, limit),
            Form::Quick(quick) => quick.remove_equal(text, from, limit),
        };
        if removed > 0 {
            self.lessen(Limits::of(rules));
        }
        removed
    }

    /// Leaves the small form if the texts that come are too much for it.
    #[inline]
    fn prepare<'t>(&mut self, limits: Limits, texts: impl Iterator<Item = &'t [u8]>) {
        let Form::Packed(packed) = &mut self.form else { return };
        let (mut bytes, mut count) = (packed.bytes(), packed.count());
        for text in texts {
            bytes += text.len();
            count += 1;
        }
        if limits.are_exceeded(bytes, count) {
            self.part();
        }
    }

    /// Leaves the small form.
    fn part(&mut self) {
        let Form::Packed(packed) = &mut self.form else { return };
        let packed = std::mem::take(packed);
        let mut quick = Box::<Quick>::default();
        if !packed.is_empty() {
            quick.push_node(Side::Left, Node::of_packed(packed));
        }
        self.form = Form::Quick(quick);
    }

    /// Goes back to the small form if little is left.
    #[inline]
    fn lessen(&mut self, limits: Limits) {
        let Form::Quick(quick) = &mut self.form else { return };
        let Some(packed) = quick.only_node().and_then(Node::packed) else { return };
        if limits.are_half_free(packed.bytes(), packed.count())
            && let Some(packed) = quick.take_first_node().and_then(Node::into_packed)
        {
            self.form = Form::Packed(packed);
        }
    }
}

impl Default for List {
    fn default() -> Self {
        Self { form: Form::Packed(Packed::new()) }
    }
}

impl Kind for List {
    type Ref<'a> = &'a Self;

    fn held(object: &Object) -> Option<&Self> {
        if let Object::List(it) = object { Some(it) } else { None }
    }

    fn of(value: Value<'_>) -> Option<&Self> {
        if let Value::List(it) = value { Some(it) } else { None }
    }

    fn of_mut(object: &mut Object) -> Option<&mut Self> {
        if let Object::List(it) = object { Some(it) } else { None }
    }

    fn into_object(self) -> Object {
        Object::List(self)
    }

    #[inline]
    fn len(&self) -> usize {
        match &self.form {
            Form::Packed(packed) => packed.count(),
            Form::Quick(quick) => quick.len(),
        }
    }

    #[inline]
    fn bytes(&self) -> usize {
        match &self.form {
            Form::Packed(packed) => packed.heap_bytes(),
            Form::Quick(quick) => size_of::<Quick>() + quick.bytes(),
        }
    }

    fn encoding(&self) -> &'static str {
        match &self.form {
            Form::Packed(_) => "listpack",
            Form::Quick(_) => "quicklist",
        }
    }

    fn duplicate(&self) -> Self {
        let form = match &self.form {
            Form::Packed(packed) => Form::Packed(packed.clone()),
            Form::Quick(quick) => Form::Quick(Box::new(quick.duplicate())),
        };
        Self { form }
    }

    fn free_some(&mut self, budget: usize) -> bool {
        match &mut self.form {
            Form::Packed(_) => false,
            Form::Quick(quick) => quick.free_some(budget),
        }
    }

    fn recount(&self) {
        match &self.form {
            Form::Packed(packed) => assert_eq!(packed.iter().count(), packed.count()),
            Form::Quick(quick) => quick.recount(),
        }
    }
}

#[cfg(test)]
mod tests;
