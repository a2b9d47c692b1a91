//! The groups of a stream, by name.

use super::{Group, Id};
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

/// The groups of a stream.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    by_name: BTreeMap<Box<[u8]>, Group>,
    bytes: usize,
}

/// Bytes of a group beside its name and what it owns.
const GROUP_BYTES: usize = size_of::<(Box<[u8]>, Group)>() * 3 / 2;

impl Groups {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Bytes of memory they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Group)> {
        self.by_name.iter().map(|(name, group)| (&**name, group))
    }

    /// The group of this name.
    pub fn find(&self, name: &[u8]) -> Option<&Group> {
        self.by_name.get(name)
    }

    /// The group of this name, to be changed.
    pub fn open(&mut self, name: &[u8]) -> Option<OpenGroup<'_>> {
        let group = self.by_name.get_mut(name)?;
        Some(OpenGroup { before: group.bytes(), group, bytes: &mut self.bytes })
    }

    /// Adds a group; false if there is one of this name.
    pub fn add(&mut self, name: &[u8], group: Group) -> bool {
        if self.by_name.contains_key(name) {
            return false;
        }
        self.bytes += GROUP_BYTES + name.len() + group.bytes();
        self.by_name.insert(name.into(), group);
        true
    }

    /// Removes a group; true if it was there.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        let Some(group) = self.by_name.remove(name) else { return false };
        self.bytes -= GROUP_BYTES + name.len() + group.bytes();
        true
    }

    /// True if a group has this entry among its unacknowledged ones, or has not come to it yet.
    pub fn refer_to(&self, id: Id) -> bool {
        self.by_name.values().any(|group| group.last < id || group.pending_at(id).is_some())
    }

    /// Takes an entry from the unacknowledged ones of all groups.
    pub fn forget(&mut self, id: Id) {
        for group in self.by_name.values_mut() {
            let before = group.bytes();
            group.acknowledge(id);
            self.bytes = self.bytes - before + group.bytes();
        }
    }

    /// Drops parts of groups that nobody uses any more, up to about `budget`; true while some are
    /// left.
    pub(super) fn free_some(&mut self, budget: usize) -> bool {
        let mut freed = 0;
        while freed < budget
            && let Some(mut first) = self.by_name.first_entry()
        {
            let before = first.get().bytes();
            freed += 1 + first.get_mut().free_some(budget - freed);
            self.bytes = self.bytes - before + first.get().bytes();
            if first.get().is_drained() {
                let (name, group) = first.remove_entry();
                self.bytes -= GROUP_BYTES + name.len() + group.bytes();
            }
        }
        !self.by_name.is_empty()
    }

    /// Counts anew and compares.
    ///
    /// # Panics
    /// If anything differs.
    pub(super) fn recount(&self) {
        let bytes = |(name, group): (&[u8], &Group)| GROUP_BYTES + name.len() + group.bytes();
        assert_eq!(self.bytes, self.iter().map(bytes).sum::<usize>(), "bytes of groups");
        self.by_name.values().for_each(Group::recount);
    }
}

/// A group opened for change; its memory is counted when this is dropped.
#[derive(Debug)]
pub struct OpenGroup<'a> {
    group: &'a mut Group,
    bytes: &'a mut usize,
    before: usize,
}

impl Deref for OpenGroup<'_> {
    type Target = Group;

    fn deref(&self) -> &Group {
        self.group
    }
}

impl DerefMut for OpenGroup<'_> {
    fn deref_mut(&mut self) -> &mut Group {
        self.group
    }
}

impl Drop for OpenGroup<'_> {
    fn drop(&mut self) {
        *self.bytes = *self.bytes - self.before + self.group.bytes();
    }
}
