//! Names, each with a small content: the large form of hashes and sets.
//!
//! They lie in buckets by the hash of the name, each a single run of bytes, which are split as they
//! fill: a name takes hardly more memory than its bytes.

mod names;

use super::extendible::{Extendible, top};
use super::{Content, Rules, Value};
use crate::limits::RANDOM_PICKS_MAX;
use crate::shard::Millis;
use names::{Names, View, mark};

/// A set of names with their contents.
#[derive(Debug, Default)]
pub struct Fields {
    table: Extendible<Names>,
    expires: usize,
}

/// A name and what stands with it.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    name: &'a [u8],
    value: Value<'a>,
    expiry: Option<Millis>,
}

impl<'a> Field<'a> {
    /// The name.
    #[inline]
    pub fn name(self) -> &'a [u8] {
        self.name
    }

    /// What stands with it.
    #[inline]
    pub fn value(self) -> Value<'a> {
        self.value
    }

    /// When it expires, in milliseconds since the Unix epoch.
    #[inline]
    pub fn expiry(self) -> Option<Millis> {
        self.expiry
    }

    /// True if nothing stands with the name, not even an expiry.
    #[inline]
    fn is_bare(self) -> bool {
        matches!(self.value, Value::Str(b"")) && self.expiry.is_none()
    }
}

/// Places in a bucket among which a random name is sought: few buckets hold more.
const RANDOM_PLACES: u64 = 64;

impl Fields {
    /// How many names.
    #[inline]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Names with an expiry.
    pub fn expires(&self) -> usize {
        self.expires
    }

    /// Bytes of memory that it owns.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.table.bytes()
    }

    /// A name that is there.
    #[inline]
    pub fn find(&self, rules: &Rules, name: &[u8]) -> Option<Field<'_>> {
        let hash = rules.hasher.hash(name);
        let bucket = self.table.bucket(top(hash));
        let index = bucket.find(mark(hash), |field| field.name == name)?;
        Some(bucket.field(index))
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
        let bucket = self.table.bucket(top(hash));
        let index = bucket.find(mark(hash), |field| field.name == name);
        let old = index.map(|index| bucket.field(index));
        if old.is_some_and(|old| old.is_bare()) && content == Content::Str(b"") && expiry.is_none()
        {
            return false;
        }
        let old = old.map(|old| old.expiry.is_some());
        self.table.edit(top(hash), &rules.hasher, |bucket| match index {
            Some(index) => bucket.replace(index, name, content, expiry),
            None => bucket.add(mark(hash), name, content, expiry),
        });
        self.expires -= usize::from(old == Some(true));
        self.expires += usize::from(expiry.is_some());
        old.is_none()
    }

    /// The same for a name that is known not to be there, and does not expire.
    #[inline]
    pub(crate) fn insert_new(&mut self, rules: &Rules, name: &[u8], content: Content<'_>) {
        debug_assert!(self.find(rules, name).is_none(), "the name is new");
        let hash = rules.hasher.hash(name);
        self.table.edit(top(hash), &rules.hasher, |bucket| {
            bucket.add(mark(hash), name, content, None);
        });
    }

    /// Changes when a name expires; true if it is there.
    pub fn set_expiry(&mut self, rules: &Rules, name: &[u8], expiry: Option<Millis>) -> bool {
        let hash = rules.hasher.hash(name);
        let bucket = self.table.bucket(top(hash));
        let Some(index) = bucket.find(mark(hash), |field| field.name == name) else { return false };
        self.expires -= usize::from(bucket.field(index).expiry.is_some());
        self.expires += usize::from(expiry.is_some());
        self.table.edit(top(hash), &rules.hasher, |bucket| bucket.set_expiry(index, expiry));
        true
    }

    /// Removes a name; true if it was there.
    #[inline]
    pub fn remove(&mut self, rules: &Rules, name: &[u8]) -> bool {
        self.remove_where(rules, rules.hasher.hash(name), |field| field.name == name)
    }

    fn remove_where(&mut self, rules: &Rules, hash: u64, is: impl Fn(&Field<'_>) -> bool) -> bool {
        let bucket = self.table.bucket(top(hash));
        let Some(index) = bucket.find(mark(hash), is) else { return false };
        self.expires -= usize::from(bucket.field(index).expiry.is_some());
        self.table.edit(top(hash), &rules.hasher, |bucket| bucket.remove(index));
        true
    }

    /// True if there is a name with this hash and this expiry.
    pub(super) fn has_timed(&self, rules: &Rules, hash: u64, expiry: Millis) -> bool {
        let is = is_timed(rules, hash, expiry);
        self.table.bucket(top(hash)).find(mark(hash), is).is_some()
    }

    /// Removes a name with this hash and this expiry; true if there was one.
    pub(super) fn remove_timed(&mut self, rules: &Rules, hash: u64, expiry: Millis) -> bool {
        self.remove_where(rules, hash, is_timed(rules, hash, expiry))
    }

    /// Every name, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.table.views().flat_map(View::iter)
    }

    /// Shows the names from `position` on (0 is the start) until about `count` have been seen, and
    /// returns where to go on, or none at the end. Every name that is there from the first call to
    /// the last is shown, some perhaps twice. A few names are all shown at once.
    pub fn scan(
        &self,
        position: u64,
        count: usize,
        mut visit: impl FnMut(Field<'_>),
    ) -> Option<u64> {
        self.table.scan(position, count.max(1), |bucket| bucket.iter().for_each(&mut visit))
    }

    /// Any name, each as likely as any other while the table is not nearly empty; `random` gives
    /// 64 random bits at a time.
    pub fn random(&self, mut random: impl FnMut() -> u64) -> Option<Field<'_>> {
        for _ in 0..RANDOM_PICKS_MAX {
            let bits = random();
            let bucket = self.table.any(bits);
            let place = (u64::from(bits as u32) * RANDOM_PLACES) >> 32;
            if let Some(field) = bucket.at(place as usize) {
                return Some(field);
            }
        }
        self.iter().next()
    }

    /// A copy that shares nothing.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self { table: self.table.duplicate(), expires: self.expires }
    }

    /// Drops about `budget` names of many that nobody uses any more; true while some are left.
    pub fn free_some(&mut self, budget: usize) -> bool {
        self.table.free_some(budget)
    }

    /// Counts everything anew and compares with what is kept.
    ///
    /// # Panics
    /// If anything differs.
    pub fn recount(&self) {
        self.table.recount();
        let expires = self.iter().filter(|field| field.expiry.is_some()).count();
        assert_eq!(expires, self.expires, "expiries counted are those recounted");
    }
}

/// Says of a field whether it has this hash and this expiry.
fn is_timed(rules: &Rules, hash: u64, expiry: Millis) -> impl Fn(&Field<'_>) -> bool {
    move |field| field.expiry == Some(expiry) && rules.hasher.hash(field.name) == hash
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
                let number = random(&mut state) % names;
                let long = if number.is_multiple_of(5) { 150 } else { number as usize % 60 };
                let name = format!("f{number}{}", "x".repeat(long)).into_bytes();
                if random(&mut state) % 10 < add {
                    let value = vec![b'v'; (random(&mut state) % 200) as usize];
                    let expiry = random(&mut state).is_multiple_of(3).then_some(step);
                    let new = fields.insert(&rules, &name, Content::Str(&value), expiry);
                    assert_eq!(new, model.insert(name, (value, expiry)).is_none());
                } else if random(&mut state).is_multiple_of(4) {
                    let expiry = random(&mut state).is_multiple_of(2).then_some(step);
                    let there = model.get_mut(&name).map(|field| field.1 = expiry).is_some();
                    assert_eq!(fields.set_expiry(&rules, &name, expiry), there);
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
            next = fields.scan(position, 10, |field| {
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
