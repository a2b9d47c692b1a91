//! Names, each with a small content: the large form of hashes, sets and sorted sets.
//!
//! A few lie in one vector, whose words are compared by their hash bits; more lie in a table of
//! the same make as a database, which grows a segment at a time and is walked by a position. Each
//! name is a record of its own with its content, and may have an expiry.

use super::{Content, Rules, Value};
use crate::limits::{FIELDS_FEW_MAX, RANDOM_PICKS_MAX};
use crate::shard::Millis;
use crate::table::{Entry, Handle, Place, Position, Table, tag};

/// A set of names with their contents.
#[derive(Debug)]
pub struct Fields {
    form: Form,
    /// Bytes of the records while they are few; a table counts its own.
    few_bytes: usize,
    /// Of the few, those with an expiry.
    few_expires: usize,
}

#[derive(Debug)]
enum Form {
    Few(Vec<Entry>),
    Many(Box<Table>),
}

/// Where a name lies, until its `Fields` is changed.
#[derive(Clone, Copy, Debug)]
enum At {
    Few(usize),
    Many(Place),
}

/// A name and what stands with it.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    entry: &'a Entry,
}

impl<'a> Field<'a> {
    /// The name.
    #[inline]
    pub fn name(self) -> &'a [u8] {
        self.entry.key()
    }

    /// What stands with it.
    #[inline]
    pub fn value(self) -> Value<'a> {
        self.entry.value()
    }

    /// When it expires, in milliseconds since the Unix epoch.
    #[inline]
    pub fn expiry(self) -> Option<Millis> {
        self.entry.expiry()
    }

    /// A word by which the record is known as long as its name is not removed.
    #[inline]
    pub(crate) fn handle(self) -> Handle {
        self.entry.handle()
    }
}

impl Default for Fields {
    fn default() -> Self {
        Self { form: Form::Few(Vec::new()), few_bytes: 0, few_expires: 0 }
    }
}

impl Fields {
    /// How many names.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.form {
            Form::Few(entries) => entries.len(),
            Form::Many(table) => table.len(),
        }
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Names with an expiry.
    pub fn expires(&self) -> usize {
        match &self.form {
            Form::Few(_) => self.few_expires,
            Form::Many(table) => table.expires(),
        }
    }

    /// Bytes of memory that it owns.
    #[inline]
    pub fn bytes(&self) -> usize {
        match &self.form {
            Form::Few(entries) => self.few_bytes + entries.capacity() * size_of::<Entry>(),
            Form::Many(table) => table.sums().bytes + size_of::<Table>(),
        }
    }

    #[inline]
    fn locate(&self, hash: u64, name: &[u8]) -> Option<At> {
        match &self.form {
            Form::Few(entries) => {
                let tag = tag(hash);
                let found = |entry: &Entry| entry.matches(tag) && entry.key() == name;
                entries.iter().position(found).map(At::Few)
            }
            Form::Many(table) => table.find(hash, name).map(At::Many),
        }
    }

    #[inline]
    fn entry(&self, at: At) -> &Entry {
        match (&self.form, at) {
            (Form::Few(entries), At::Few(index)) => &entries[index],
            (Form::Many(table), At::Many(place)) => table.entry(place),
            _ => unreachable!("a place is of the form it was found in"),
        }
    }

    /// A name that is there.
    #[inline]
    pub fn find(&self, rules: &Rules, name: &[u8]) -> Option<Field<'_>> {
        let at = self.locate(rules.hasher.hash(name), name)?;
        Some(Field { entry: self.entry(at) })
    }

    /// Gives a name its content and expiry, whatever it had; true if it is new.
    #[inline]
    pub fn insert(
        &mut self,
        rules: &Rules,
        name: &[u8],
        content: Content<'_>,
        expiry: Option<Millis>,
    ) -> bool {
        let hash = rules.hasher.hash(name);
        if let Some(at) = self.locate(hash, name) {
            self.edit(at, |entry| entry.replace(content, expiry, 0));
            return false;
        }
        self.add(rules, hash, Entry::new(hash, name, content, expiry, 0));
        true
    }

    /// The same for a name that is known not to be there; the handle of its record.
    #[inline]
    pub(crate) fn insert_new(
        &mut self,
        rules: &Rules,
        name: &[u8],
        content: Content<'_>,
    ) -> Handle {
        let hash = rules.hasher.hash(name);
        debug_assert!(self.locate(hash, name).is_none(), "the name is new");
        let entry = Entry::new(hash, name, content, None, 0);
        let handle = entry.handle();
        self.add(rules, hash, entry);
        handle
    }

    fn add(&mut self, rules: &Rules, hash: u64, entry: Entry) {
        if self.len() == FIELDS_FEW_MAX
            && let Form::Few(entries) = &mut self.form
        {
            let mut table = Table::default();
            for old in entries.drain(..) {
                table.insert(rules.hasher.hash(old.key()), old, &rules.hasher);
            }
            *self = Self { form: Form::Many(Box::new(table)), few_bytes: 0, few_expires: 0 };
        }
        match &mut self.form {
            Form::Few(entries) => {
                self.few_bytes += entry.bytes();
                self.few_expires += usize::from(entry.expires());
                entries.push(entry);
            }
            Form::Many(table) => table.insert(hash, entry, &rules.hasher),
        }
    }

    fn edit<T>(&mut self, at: At, change: impl FnOnce(&mut Entry) -> T) -> T {
        match (&mut self.form, at) {
            (Form::Few(entries), At::Few(index)) => {
                let entry = &mut entries[index];
                let (bytes, expires) = (entry.bytes(), entry.expires());
                let result = change(entry);
                self.few_bytes = self.few_bytes - bytes + entry.bytes();
                self.few_expires -= usize::from(expires);
                self.few_expires += usize::from(entry.expires());
                result
            }
            (Form::Many(table), At::Many(place)) => table.edit(place, change),
            _ => unreachable!("a place is of the form it was found in"),
        }
    }

    /// Changes when a name expires; true if it is there.
    pub fn set_expiry(&mut self, rules: &Rules, name: &[u8], expiry: Option<Millis>) -> bool {
        let Some(at) = self.locate(rules.hasher.hash(name), name) else { return false };
        self.edit(at, |entry| entry.set_expiry(expiry));
        true
    }

    /// Removes a name; true if it was there.
    #[inline]
    pub fn remove(&mut self, rules: &Rules, name: &[u8]) -> bool {
        let hash = rules.hasher.hash(name);
        let at = self.locate(hash, name);
        at.map(|at| self.remove_at(at, hash)).is_some()
    }

    fn remove_at(&mut self, at: At, hash: u64) {
        match (&mut self.form, at) {
            (Form::Few(entries), At::Few(index)) => {
                let entry = entries.swap_remove(index);
                self.few_bytes -= entry.bytes();
                self.few_expires -= usize::from(entry.expires());
            }
            (Form::Many(table), At::Many(place)) => {
                drop(table.take(place, hash));
                self.lessen();
            }
            _ => unreachable!("a place is of the form it was found in"),
        }
    }

    /// A name known by its hash and its expiry alone.
    fn locate_timed(&self, rules: &Rules, hash: u64, expiry: Millis) -> Option<At> {
        let found = |entry: &Entry| {
            entry.expiry() == Some(expiry) && rules.hasher.hash(entry.key()) == hash
        };
        match &self.form {
            Form::Few(entries) => {
                let tag = tag(hash);
                entries.iter().position(|entry| entry.matches(tag) && found(entry)).map(At::Few)
            }
            Form::Many(table) => table.find_where(hash, &found).map(At::Many),
        }
    }

    /// True if there is a name with this hash and this expiry.
    pub(super) fn has_timed(&self, rules: &Rules, hash: u64, expiry: Millis) -> bool {
        self.locate_timed(rules, hash, expiry).is_some()
    }

    /// Removes a name with this hash and this expiry; true if there was one.
    pub(super) fn remove_timed(&mut self, rules: &Rules, hash: u64, expiry: Millis) -> bool {
        let at = self.locate_timed(rules, hash, expiry);
        at.map(|at| self.remove_at(at, hash)).is_some()
    }

    /// Goes back to the small form once little is left: a table itself never shrinks.
    fn lessen(&mut self) {
        let Form::Many(table) = &mut self.form else { return };
        if table.len() > FIELDS_FEW_MAX / 4 {
            return;
        }
        let mut few = Self::default();
        let Form::Few(entries) = &mut few.form else { return };
        while table.free_some(usize::MAX, &mut |entry| {
            few.few_bytes += entry.bytes();
            few.few_expires += usize::from(entry.expires());
            entries.push(entry);
        }) {}
        *self = few;
    }

    /// Every name, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        let (few, many) = match &self.form {
            Form::Few(entries) => (Some(entries.iter()), None),
            Form::Many(table) => (None, Some(table.iter())),
        };
        let entries = few.into_iter().flatten().chain(many.into_iter().flatten());
        entries.map(|entry| Field { entry })
    }

    /// Shows the names from `position` on (0 is the start) until about `count` have been seen, and
    /// returns where to go on, or none at the end. Every name that is there from the first call to
    /// the last is shown, some perhaps twice. A few names are all shown at once.
    pub fn scan(
        &self,
        rules: &Rules,
        position: u64,
        count: usize,
        mut visit: impl FnMut(Field<'_>),
    ) -> Option<u64> {
        match &self.form {
            Form::Few(entries) => {
                entries.iter().for_each(|entry| visit(Field { entry }));
                None
            }
            Form::Many(table) => {
                let position = Position::decode(position);
                let mut visit = |entry: &Entry| visit(Field { entry });
                let next = table.scan(position, count.max(1), &rules.hasher, &mut visit)?;
                Some(next.encode())
            }
        }
    }

    /// Any name, each as likely as any other while the table is not nearly empty; `random` gives
    /// 64 random bits at a time.
    pub fn random(&self, mut random: impl FnMut() -> u64) -> Option<Field<'_>> {
        match &self.form {
            Form::Few(entries) => {
                let index = ((random() >> 32) * entries.len() as u64) >> 32;
                entries.get(index as usize).map(|entry| Field { entry })
            }
            Form::Many(table) => {
                for _ in 0..RANDOM_PICKS_MAX {
                    let place = table.any_place(random())?;
                    if !table.entry(place).is_empty() {
                        return Some(Field { entry: table.entry(place) });
                    }
                }
                let place = table.occupied_from(table.any_place(random())?)?;
                Some(Field { entry: table.entry(place) })
            }
        }
    }

    /// A copy that shares nothing.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let form = match &self.form {
            Form::Few(entries) => Form::Few(entries.iter().map(Entry::twin).collect()),
            Form::Many(table) => Form::Many(Box::new(table.duplicate())),
        };
        Self { form, ..*self }
    }

    /// Drops about `budget` names of many that nobody uses any more; true while some are left.
    pub fn free_some(&mut self, budget: usize) -> bool {
        match &mut self.form {
            Form::Few(_) => {
                *self = Self::default();
                false
            }
            Form::Many(table) => table.free_some((budget / 256).max(1), &mut drop),
        }
    }

    /// Counts everything anew and compares with what is kept.
    ///
    /// # Panics
    /// If anything differs.
    pub fn recount(&self) {
        match &self.form {
            Form::Few(entries) => {
                assert!(entries.len() <= FIELDS_FEW_MAX, "few are few");
                let bytes: usize = entries.iter().map(Entry::bytes).sum();
                assert_eq!(bytes, self.few_bytes, "bytes counted are bytes recounted");
                let expires = entries.iter().filter(|entry| entry.expires()).count();
                assert_eq!(expires, self.few_expires, "expiries counted are those recounted");
            }
            Form::Many(table) => assert_eq!(table.recount(), table.sums()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn random(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        *state >> 20
    }

    fn text(value: Value<'_>) -> Vec<u8> {
        value.text(&mut itoa::Buffer::new()).unwrap().to_vec()
    }

    #[test]
    fn fields_and_map_agree() {
        for seed in 0..6 {
            println!("seed {seed}");
            let (rules, mut state) = (Rules::new(seed), seed);
            let (mut fields, mut model) = (Fields::default(), BTreeMap::new());
            let names = [40, 200, 3000][seed as usize % 3];
            for step in 0..20_000u64 {
                // The second half removes more than it adds, so that the table empties.
                let add = if step < 10_000 { 7 } else { 3 };
                let name = format!("f{}", random(&mut state) % names).into_bytes();
                if random(&mut state) % 10 < add {
                    let value = vec![b'v'; (random(&mut state) % 90) as usize];
                    let expiry = random(&mut state).is_multiple_of(3).then_some(step);
                    let new = fields.insert(&rules, &name, Content::Str(&value), expiry);
                    assert_eq!(new, model.insert(name, (value, expiry)).is_none());
                } else {
                    assert_eq!(fields.remove(&rules, &name), model.remove(&name).is_some());
                }
                assert_eq!(fields.len(), model.len());
                if step % 1000 == 0 {
                    check(&fields, &rules, &model);
                    check(&fields.duplicate(), &rules, &model);
                }
            }
            while fields.free_some(512) {}
        }
    }

    type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<Millis>)>;

    fn check(fields: &Fields, rules: &Rules, model: &Model) {
        fields.recount();
        let all: Model =
            fields.iter().map(|f| (f.name().to_vec(), (text(f.value()), f.expiry()))).collect();
        assert_eq!(&all, model);
        assert_eq!(fields.expires(), model.values().filter(|(_, at)| at.is_some()).count());
        let (mut scanned, mut next) = (BTreeSet::new(), Some(0));
        while let Some(position) = next {
            next = fields.scan(rules, position, 10, |field| {
                scanned.insert(field.name().to_vec());
            });
        }
        assert!(scanned.iter().eq(model.keys()));
        for name in model.keys().take(20) {
            assert_eq!(fields.find(rules, name).unwrap().name(), name);
        }
        assert_eq!(fields.random(|| 7 << 40).is_some(), !model.is_empty());
    }
}
