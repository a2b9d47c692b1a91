//! A group of consumers: what it has read, and what was delivered but not yet acknowledged.

use super::Id;
use crate::shard::Millis;
use std::collections::{BTreeMap, BTreeSet, btree_map};

/// An entry that was delivered and not yet acknowledged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pending {
    /// When it was delivered last.
    pub delivered: Millis,
    /// How often it was delivered.
    pub count: u64,
    /// To whom: see `Group::by_number`.
    pub consumer: u32,
}

/// A consumer of a group.
#[derive(Clone, Debug)]
pub struct Consumer {
    name: Box<[u8]>,
    /// When it last asked for anything.
    pub seen: Millis,
    /// When it last got anything.
    pub active: Option<Millis>,
    pending: BTreeSet<Id>,
}

/// A group of consumers.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The last id delivered to any of its consumers.
    pub last: Id,
    /// How many entries up to that id were ever added, where that is known.
    pub read: Option<u64>,
    pending: BTreeMap<Id, Pending>,
    /// The same by age; made when it is first asked for.
    by_age: Option<BTreeSet<(Millis, Id)>>,
    numbers: BTreeMap<Box<[u8]>, u32>,
    /// By number; a number is used again when its consumer is gone.
    consumers: Vec<Option<Consumer>>,
    free: Vec<u32>,
    bytes: usize,
}

/// Bytes of a pending entry in the group's tree and in its consumer's.
const PENDING_BYTES: usize = (size_of::<(Id, Pending)>() + size_of::<Id>()) * 3 / 2;
/// Bytes of a pending entry in the order of age.
const AGE_BYTES: usize = size_of::<(Millis, Id)>() * 3 / 2;
/// Bytes of a consumer beside its name, which is kept twice.
const CONSUMER_BYTES: usize = size_of::<Option<Consumer>>() + 4 + size_of::<(Box<[u8]>, u32)>() * 2;

impl Consumer {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// How many entries it has not acknowledged.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// The ids it has not acknowledged, from `start` to `end`, both included.
    pub fn pending(&self, start: Id, end: Id) -> impl Iterator<Item = Id> {
        // A tree refuses a range that ends before it begins.
        let end = end.max(start);
        self.pending.range(start..=end).copied()
    }
}

impl Group {
    /// A group that has read up to `last`.
    pub fn new(last: Id, read: Option<u64>) -> Self {
        Self { last, read, ..Self::default() }
    }

    /// Bytes of memory it owns.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many consumers there are.
    pub fn consumers_len(&self) -> usize {
        self.numbers.len()
    }

    /// Its consumers by name.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.numbers.values().map(|&number| self.by_number(number))
    }

    /// The number of a consumer.
    pub fn number(&self, name: &[u8]) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// The consumer with this number.
    ///
    /// # Panics
    /// If there is none: numbers come from this group.
    pub fn by_number(&self, number: u32) -> &Consumer {
        self.consumers[number as usize].as_ref().expect("a number is that of a consumer")
    }

    /// The same, to be changed.
    ///
    /// # Panics
    /// If there is none.
    pub fn by_number_mut(&mut self, number: u32) -> &mut Consumer {
        self.consumers[number as usize].as_mut().expect("a number is that of a consumer")
    }

    /// The number of a consumer, who is added if not there: see the flag.
    pub fn number_or_new(&mut self, name: &[u8], now: Millis) -> (u32, bool) {
        if let Some(number) = self.number(name) {
            return (number, false);
        }
        let consumer =
            Consumer { name: name.into(), seen: now, active: None, pending: BTreeSet::new() };
        let number = self.free.pop().unwrap_or(self.consumers.len() as u32);
        if number as usize == self.consumers.len() {
            self.consumers.push(None);
        }
        self.consumers[number as usize] = Some(consumer);
        self.numbers.insert(name.into(), number);
        self.bytes += CONSUMER_BYTES + name.len() * 2;
        (number, true)
    }

    /// Removes a consumer and all it has not acknowledged; how many entries those were, if there
    /// was such a consumer.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let number = self.numbers.remove(name)?;
        let consumer = self.consumers[number as usize].take();
        let consumer = consumer.expect("a number is that of a consumer");
        for id in &consumer.pending {
            let pending = self.pending.remove(id).expect("a consumer's entry is the group's");
            self.forget_age(*id, pending.delivered);
        }
        self.free.push(number);
        self.bytes -= CONSUMER_BYTES + name.len() * 2 + consumer.pending.len() * PENDING_BYTES;
        Some(consumer.pending.len())
    }

    /// How many entries are not acknowledged.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// Entries that are not acknowledged, from `start` to `end`, both included.
    pub fn pending(&self, start: Id, end: Id) -> btree_map::Range<'_, Id, Pending> {
        let end = end.max(start);
        self.pending.range(start..=end)
    }

    /// What is known of an entry that is not acknowledged.
    pub fn pending_at(&self, id: Id) -> Option<Pending> {
        self.pending.get(&id).copied()
    }

    /// Notes that an entry is delivered to a consumer and not acknowledged, whoever had it before.
    pub fn deliver(&mut self, id: Id, new: Pending) {
        match self.pending.insert(id, new) {
            Some(old) => {
                if old.consumer != new.consumer {
                    self.by_number_mut(old.consumer).pending.remove(&id);
                    self.by_number_mut(new.consumer).pending.insert(id);
                }
                if let Some(by_age) = &mut self.by_age {
                    by_age.remove(&(old.delivered, id));
                    by_age.insert((new.delivered, id));
                }
            }
            None => {
                self.by_number_mut(new.consumer).pending.insert(id);
                self.bytes += PENDING_BYTES;
                if let Some(by_age) = &mut self.by_age {
                    by_age.insert((new.delivered, id));
                    self.bytes += AGE_BYTES;
                }
            }
        }
    }

    /// Acknowledges an entry; true if it was not acknowledged before.
    pub fn acknowledge(&mut self, id: Id) -> bool {
        let Some(pending) = self.pending.remove(&id) else { return false };
        self.by_number_mut(pending.consumer).pending.remove(&id);
        self.bytes -= PENDING_BYTES;
        self.forget_age(id, pending.delivered);
        true
    }

    fn forget_age(&mut self, id: Id, delivered: Millis) {
        if let Some(by_age) = &mut self.by_age {
            by_age.remove(&(delivered, id));
            self.bytes -= AGE_BYTES;
        }
    }

    /// Up to `count` entries not acknowledged and delivered at `latest` or before, those delivered
    /// longest ago first. The first call makes an order by age of all that there are, which is
    /// kept from then on.
    pub fn oldest(&mut self, latest: Millis, count: usize) -> Vec<Id> {
        if self.by_age.is_none() {
            self.bytes += self.pending.len() * AGE_BYTES;
        }
        let by_age = self.by_age.get_or_insert_with(|| {
            self.pending.iter().map(|(&id, pending)| (pending.delivered, id)).collect()
        });
        by_age.range(..=(latest, Id::MAX)).take(count).map(|&(_, id)| id).collect()
    }

    /// Drops pending entries of a group that nobody uses any more, up to `budget`; returns how many
    /// went. The group is not to be used afterwards.
    pub(super) fn free_some(&mut self, budget: usize) -> usize {
        let mut freed = 0;
        if let Some(by_age) = &mut self.by_age {
            while freed < budget && by_age.pop_first().is_some() {
                freed += 1;
                self.bytes -= AGE_BYTES;
            }
        }
        while freed < budget
            && let Some((id, pending)) = self.pending.pop_first()
        {
            self.by_number_mut(pending.consumer).pending.remove(&id);
            self.bytes -= PENDING_BYTES;
            freed += 1;
        }
        freed
    }

    /// True if nothing but consumers and names are left of a group being freed.
    pub(super) fn is_drained(&self) -> bool {
        self.pending.is_empty() && self.by_age.as_ref().is_none_or(BTreeSet::is_empty)
    }

    /// Counts anew and compares.
    ///
    /// # Panics
    /// If anything differs.
    pub(super) fn recount(&self) {
        let names: usize = self.numbers.keys().map(|name| CONSUMER_BYTES + name.len() * 2).sum();
        let ages = self.by_age.as_ref().map_or(0, |by_age| by_age.len() * AGE_BYTES);
        assert_eq!(self.bytes, names + ages + self.pending.len() * PENDING_BYTES, "bytes");
        let owned: usize = self.consumers().map(Consumer::pending_len).sum();
        assert_eq!(owned, self.pending.len(), "every pending entry has one owner");
        for (id, pending) in &self.pending {
            assert!(self.by_number(pending.consumer).pending.contains(id), "its owner knows it");
            let aged = |by_age: &BTreeSet<_>| by_age.contains(&(pending.delivered, *id));
            assert!(self.by_age.as_ref().is_none_or(aged), "its age is known");
        }
        assert!(ages == 0 || ages == self.pending.len() * AGE_BYTES, "no age is left over");
        let live = self.consumers.iter().flatten().count();
        assert_eq!(live, self.numbers.len(), "every consumer has a name");
        assert_eq!(live + self.free.len(), self.consumers.len(), "every other number is free");
    }
}
