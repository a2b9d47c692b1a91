//! The entries of a stream, in nodes by their first ids.

use super::node::{self, Entry, Marks, Walk};
use super::{Id, Seq};
use crate::limits::PACKED_BYTES_MAX;
use crate::shard::Millis;
use crate::value::{Encodings, Packed};
use std::collections::{BTreeMap, btree_map};

/// What a client wants as the id of a new entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NewId {
    /// Whatever comes next.
    Auto,
    /// This time, and the next number in it.
    Time(u64),
    /// Exactly this.
    Exact(Id),
}

/// Why an entry is not added.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// Its id is not above the last one.
    NotAbove,
    /// The last id there can be is taken.
    Exhausted,
    /// It is larger than a node can be.
    TooLarge,
}

/// The entries, and what is kept about those that were.
#[derive(Clone, Debug, Default)]
pub struct Log {
    nodes: BTreeMap<Id, Packed>,
    len: u64,
    first: Id,
    last: Id,
    max_deleted: Id,
    added: u64,
    bytes: usize,
}

/// Bytes of a node beside its listpack: its share of the tree.
const NODE_BYTES: usize = (size_of::<Id>() + size_of::<Packed>()) * 3 / 2;
/// Bytes a new node has room for at first.
const NODE_BYTES_FIRST: usize = 256;

impl Log {
    /// Entries.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The id of the first entry; `Id::MIN` where there is none.
    pub fn first(&self) -> Id {
        self.first
    }

    /// The largest id ever given.
    pub fn last(&self) -> Id {
        self.last
    }

    /// The largest id ever deleted one by one; what was trimmed does not count.
    pub fn max_deleted(&self) -> Id {
        self.max_deleted
    }

    /// Entries ever added.
    pub fn added(&self) -> u64 {
        self.added
    }

    /// Nodes.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Bytes of memory it owns.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Sets what XSETID sets; the caller has checked them against each other.
    pub fn set_ids(&mut self, last: Id, added: Option<u64>, max_deleted: Option<Id>) {
        self.last = last;
        self.added = added.unwrap_or(self.added);
        self.max_deleted = max_deleted.unwrap_or(self.max_deleted);
    }

    /// The id that a new entry would get.
    ///
    /// # Errors
    /// `Exhausted`, `NotAbove`.
    pub fn next_id(&self, wish: NewId, now: Millis) -> Result<Id, Refused> {
        if self.last == Id::MAX {
            return Err(Refused::Exhausted);
        }
        let id = match wish {
            NewId::Exact(id) => id,
            NewId::Time(ms) if ms == self.last.ms => {
                Id::new(ms, self.last.seq.checked_add(1).ok_or(Refused::NotAbove)?)
            }
            NewId::Time(ms) => Id::new(ms, 0),
            NewId::Auto if now > self.last.ms => Id::new(now, 0),
            NewId::Auto => self.last.next().ok_or(Refused::Exhausted)?,
        };
        if id > self.last { Ok(id) } else { Err(Refused::NotAbove) }
    }

    /// Adds an entry at the end; `fields` are names and values in turn.
    ///
    /// # Errors
    /// `TooLarge`, or what `next_id` says; nothing has changed then.
    pub fn push<'f>(
        &mut self,
        wish: NewId,
        now: Millis,
        fields: impl Iterator<Item = &'f [u8]> + Clone,
        rules: &Encodings,
    ) -> Result<Id, Refused> {
        let id = self.next_id(wish, now)?;
        let size = Size::of(fields.clone());
        if size.packed > PACKED_BYTES_MAX {
            return Err(Refused::TooLarge);
        }
        match self.nodes.last_entry() {
            Some(mut last) if has_room(last.get(), size, rules) => {
                let master = *last.key();
                let node = last.get_mut();
                let before = node.heap_bytes();
                node::push(node, master, id, fields);
                self.bytes = self.bytes - before + node.heap_bytes();
            }
            _ => {
                let mut node = node::new_node(fields.clone().step_by(2), NODE_BYTES_FIRST);
                node::push(&mut node, id, id, fields);
                self.bytes += NODE_BYTES + node.heap_bytes();
                self.nodes.insert(id, node);
            }
        }
        self.len += 1;
        self.added = self.added.wrapping_add(1);
        self.last = id;
        if self.len == 1 {
            self.first = id;
        }
        Ok(id)
    }

    /// Entries in nodes from elsewhere: none if they do not agree with themselves, with each other,
    /// or with what is told of them. Nodes of which every entry is deleted are left out.
    pub(crate) fn of_nodes(
        nodes: impl Iterator<Item = (Id, Packed)>,
        (len, last, max_deleted, added): (u64, Id, Id, u64),
    ) -> Option<Self> {
        let mut log = Self { last, max_deleted, added, ..Self::default() };
        let mut before = None;
        for (master, node) in nodes {
            let live = node::check(master, &node, &mut before)?;
            log.len += live;
            if live > 0 {
                log.bytes += NODE_BYTES + node.heap_bytes();
                log.nodes.insert(master, node);
            }
        }
        if log.len != len || before.is_some_and(|before| before > last) {
            return None;
        }
        log.find_first();
        Some(log)
    }

    /// Entries with ids from `start` to `end`, both included, in order.
    pub fn range(&self, start: Id, end: Id) -> Range<'_> {
        let nodes = if start > end {
            self.nodes.range(Id::MAX..Id::MAX)
        } else {
            let from = self.nodes.range(..=start).next_back().map_or(start, |(&id, _)| id);
            self.nodes.range(from..=end)
        };
        Range { nodes, front: None, back: None, start, end }
    }

    /// The nodes from this first id on, as they lie: what files are made of.
    pub(crate) fn nodes_from(&self, from: Id) -> impl Iterator<Item = (Id, &Packed)> {
        self.nodes.range(from..).map(|(&id, node)| (id, node))
    }

    /// How many entries have ids from `start` to `end`. Looks into the first and the last node
    /// only; the others know.
    pub fn count(&self, start: Id, end: Id) -> u64 {
        let mut nodes = self.range(start, end).nodes;
        let inside = |node: Option<(&Id, &Packed)>| {
            let (&master, node) = node?;
            let within =
                |(entry, live): &node::Found<'_>| *live && (start..=end).contains(&entry.id);
            Some(Walk::new(master, node).filter(within).count() as u64)
        };
        let edges = [inside(nodes.next()), inside(nodes.next_back())];
        let between = nodes.map(|(_, node)| node::counts(node).0);
        edges.into_iter().flatten().sum::<u64>() + between.sum::<u64>()
    }

    /// The entry with this id.
    pub fn entry(&self, id: Id) -> Option<Entry<'_>> {
        let (&master, node) = self.nodes.range(..=id).next_back()?;
        let (entry, live) = Walk::new(master, node).find(|(entry, _)| entry.id >= id)?;
        (entry.id == id && live).then_some(entry)
    }

    /// True if there is an entry with this id.
    pub fn contains(&self, id: Id) -> bool {
        self.entry(id).is_some()
    }

    /// Deletes an entry; true if it was there.
    pub fn delete(&mut self, id: Id) -> bool {
        let Some((&master, node)) = self.nodes.range_mut(..=id).next_back() else { return false };
        let mut marks = Marks::new(master, node);
        let pos = loop {
            match marks.next(node) {
                Some((_, other, _)) if other < id => {}
                Some((pos, other, true)) if other == id => break pos,
                _ => return false,
            }
        };
        if node::counts(node).0 == 1 {
            self.remove_node(master);
        } else {
            node::mark_deleted(node, pos);
            let before = node.heap_bytes();
            node::count_deleted(node, 1);
            self.bytes = self.bytes - before + node.heap_bytes();
        }
        self.len -= 1;
        self.max_deleted = self.max_deleted.max(id);
        if id == self.first {
            self.find_first();
        }
        true
    }

    fn remove_node(&mut self, master: Id) {
        let node = self.nodes.remove(&master).expect("a node lies at its first id");
        self.bytes -= NODE_BYTES + node.heap_bytes();
    }

    /// Looks for the first entry anew.
    fn find_first(&mut self) {
        self.first = self.range(Id::MIN, Id::MAX).next().map_or(Id::MIN, |entry| entry.id);
    }

    /// The first node whose first id is `from` or above: that id, its entries, and the id of its
    /// last one, deleted or not.
    pub(super) fn node_from(&self, from: Id) -> Option<(Id, u64, Id)> {
        let (&master, node) = self.nodes.range(from..).next()?;
        let last = Walk::new(master, node).next_back().map_or(master, |(entry, _)| entry.id);
        Some((master, node::counts(node).0, last))
    }

    /// Takes a node out whole. Say `trimmed` at the end.
    pub(super) fn drop_node(&mut self, master: Id) -> u64 {
        let live = node::counts(&self.nodes[&master]).0;
        self.remove_node(master);
        self.len -= live;
        live
    }

    /// Deletes entries of a node, in order, as long as `verdict` says; returns how many. The node
    /// goes with its last entry (Redis leaves it there, and XREAD with `+` then fails). Say
    /// `trimmed` at the end.
    pub(super) fn thin_node(
        &mut self,
        master: Id,
        mut verdict: impl FnMut(Id, u64) -> Verdict,
    ) -> u64 {
        let node = self.nodes.get_mut(&master).expect("a node lies at its first id");
        let mut marks = Marks::new(master, node);
        let mut deleted = 0;
        while let Some((pos, id, live)) = marks.next(node) {
            if !live {
                continue;
            }
            match verdict(id, self.len - deleted) {
                Verdict::Stop => break,
                Verdict::Keep => {}
                Verdict::Delete => {
                    node::mark_deleted(node, pos);
                    deleted += 1;
                }
            }
        }
        if node::counts(node).0 == deleted {
            return self.drop_node(master);
        }
        if deleted > 0 {
            let before = node.heap_bytes();
            node::count_deleted(node, deleted);
            self.bytes = self.bytes - before + node.heap_bytes();
        }
        self.len -= deleted;
        deleted
    }

    /// Notes that entries were trimmed.
    pub(super) fn trimmed(&mut self) {
        self.find_first();
    }

    /// True if all entries added after `id` are still there or were trimmed from the front, so
    /// that they can be counted on from there.
    fn is_whole_after(&self, id: Id) -> bool {
        self.len > 0 && id >= self.first && id.max(self.first) > self.max_deleted
    }

    /// How many entries a group has read, where that is known, once it has read the one at `id` as
    /// well; before it has read `read`, up to `last`.
    pub fn count_read(&self, read: Option<u64>, last: Id, id: Id) -> Option<u64> {
        match read {
            Some(read) if self.is_whole_after(last) => Some(read.wrapping_add(1)),
            _ if self.added == 0 => read,
            _ => self.rank(id),
        }
    }

    /// How many entries a group that has read `read`, up to `last`, has still to read, where that
    /// is known.
    pub fn lag(&self, read: Option<u64>, last: Id) -> Option<i64> {
        let read = match read {
            _ if self.added == 0 => return Some(0),
            Some(read) if self.is_whole_after(last) => read,
            _ => self.rank(last)?,
        };
        Some(self.added.wrapping_sub(read) as i64)
    }

    /// How many entries were ever added up to `id`, as far as that is known.
    pub fn rank(&self, id: Id) -> Option<u64> {
        if self.added == 0 {
            return Some(0);
        }
        if self.len == 0 {
            return Some(self.added);
        }
        if id >= self.last {
            return (id == self.last).then_some(self.added);
        }
        if self.max_deleted == Id::MIN || self.max_deleted < self.first {
            if id < self.first {
                return Some(self.added.wrapping_sub(self.len));
            }
            if id == self.first {
                return Some(self.added.wrapping_sub(self.len).wrapping_add(1));
            }
        }
        None
    }

    /// Drops nodes of a log that nobody uses any more, up to about `budget` entries; returns how
    /// many entries went.
    pub(super) fn free_some(&mut self, budget: usize) -> usize {
        let mut freed = 0;
        while freed < budget
            && let Some((_, node)) = self.nodes.pop_first()
        {
            let (live, deleted) = node::counts(&node);
            self.bytes -= NODE_BYTES + node.heap_bytes();
            self.len -= live;
            freed += (live + deleted) as usize;
        }
        freed
    }

    #[cfg(test)]
    pub(super) fn only_node(&self) -> (Id, &Packed) {
        assert_eq!(self.nodes.len(), 1);
        let (&id, node) = self.nodes.first_key_value().expect("there is one");
        (id, node)
    }

    /// Counts anew and compares.
    ///
    /// # Panics
    /// If anything differs.
    pub(super) fn recount(&self) {
        let bytes: usize = self.nodes.values().map(|node| NODE_BYTES + node.heap_bytes()).sum();
        assert_eq!(self.bytes, bytes, "bytes of the nodes");
        let mut len = 0;
        let mut before = Id::MIN;
        for (&master, node) in &self.nodes {
            let (live, deleted) = node::counts(node);
            assert!(live > 0, "a node without entries is removed");
            let mut here = (0, 0);
            for (entry, live) in Walk::new(master, node) {
                assert!(entry.id > before || before == Id::MIN, "ids grow");
                assert!(entry.id >= master && entry.id <= self.last, "ids are in their bounds");
                before = entry.id;
                *if live { &mut here.0 } else { &mut here.1 } += 1;
            }
            assert_eq!(here, (live, deleted), "entries of a node");
            len += live;
        }
        assert_eq!(self.len, len, "entries");
        let first = self.range(Id::MIN, Id::MAX).next().map_or(Id::MIN, |entry| entry.id);
        assert_eq!(self.first, first, "the first id");
    }
}

/// What becomes of an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// It and all after it stay.
    Stop,
    /// It stays.
    Keep,
    /// It goes.
    Delete,
}

/// How large the fields of an entry are.
#[derive(Clone, Copy)]
struct Size {
    /// Bytes of their texts.
    texts: usize,
    /// Bytes they take in a listpack, with the head of the entry or of its node, at most.
    packed: usize,
}

impl Size {
    #[inline]
    fn of<'f>(fields: impl Iterator<Item = &'f [u8]>) -> Self {
        let mut size = Self { texts: 0, packed: ITEM_BYTES_MAX * 12 };
        for field in fields {
            size.texts += field.len();
            size.packed += field.len() + ITEM_BYTES_MAX;
        }
        size
    }
}

/// Bytes of an item of a listpack beside its text, and of any integer, at most.
const ITEM_BYTES_MAX: usize = 10;

/// True if an entry still goes into the last node.
#[inline]
fn has_room(node: &Packed, size: Size, rules: &Encodings) -> bool {
    let max = match rules.stream_node_max_bytes {
        0 => PACKED_BYTES_MAX,
        max => max,
    };
    if node.bytes() + size.texts >= max || node.bytes() + size.packed > PACKED_BYTES_MAX {
        return false;
    }
    let (live, deleted) = node::counts(node);
    rules.stream_node_max_entries == 0 || live + deleted < rules.stream_node_max_entries as u64
}

impl From<Id> for NewId {
    fn from(id: Id) -> Self {
        Self::Exact(id)
    }
}

impl NewId {
    /// The wish behind an id as it was written.
    pub fn of(ms: u64, seq: Seq) -> Self {
        match seq {
            Seq::Given(seq) => Self::Exact(Id { ms, seq }),
            Seq::Missing => Self::Exact(Id { ms, seq: 0 }),
            Seq::Next => Self::Time(ms),
        }
    }
}

/// Entries in order, from either end.
#[derive(Clone, Debug)]
pub struct Range<'a> {
    nodes: btree_map::Range<'a, Id, Packed>,
    front: Option<Walk<'a>>,
    back: Option<Walk<'a>>,
    start: Id,
    end: Id,
}

impl<'a> Iterator for Range<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let Some(walk) = &mut self.front else {
                let (&master, node) = self.nodes.next()?;
                self.front = Some(Walk::new(master, node));
                continue;
            };
            match walk.next() {
                None => self.front = None,
                Some((entry, _)) if entry.id < self.start => {}
                Some((entry, _)) if entry.id > self.end => return None,
                Some((_, false)) => {}
                Some((entry, true)) => return Some(entry),
            }
        }
    }
}

impl<'a> Range<'a> {
    /// The next entry from the end. A range is gone through from one end only.
    pub fn next_back(&mut self) -> Option<Entry<'a>> {
        loop {
            let Some(walk) = &mut self.back else {
                let (&master, node) = self.nodes.next_back()?;
                self.back = Some(Walk::new(master, node));
                continue;
            };
            match walk.next_back() {
                None => self.back = None,
                Some((entry, _)) if entry.id > self.end => {}
                Some((entry, _)) if entry.id < self.start => return None,
                Some((_, false)) => {}
                Some((entry, true)) => return Some(entry),
            }
        }
    }
}
