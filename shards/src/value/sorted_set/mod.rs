//! A sorted set: members, each with a score, in the order of scores.
//!
//! A small one is packed, members and scores in turn. A large one has leaves of members in order,
//! and an index from member to leaf; OBJECT ENCODING calls it by the name of what Redis has there.
//! Every range, whether of ranks, of scores or of members, is a range of ranks.

mod bounds;
mod index;
mod large;
mod leaf;
mod members;
mod order;
mod pairs;
#[cfg(test)]
mod tests;
mod view;

pub use bounds::{Bounds, LexEnd, ScoreEnd};
pub use members::Members;
pub use view::SortedSetRef;

use super::{Kind, Listpack, Object, Packed, Rules, Value};
use large::{Gathered, Large};
use std::ops::Range;

/// A sorted set.
#[derive(Debug)]
pub struct SortedSet(Form);

#[derive(Debug)]
enum Form {
    Packed(Packed),
    Large(Box<Large>),
}

/// A member's score before a change, and after it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Changed {
    /// None if it was not a member.
    pub old: Option<f64>,
    /// None if it is not one.
    pub new: Option<f64>,
}

impl SortedSet {
    /// The set, to be read.
    #[inline]
    pub fn view(&self) -> SortedSetRef<'_> {
        match &self.0 {
            Form::Packed(packed) => SortedSetRef::of_packed(packed),
            Form::Large(large) => SortedSetRef::of_large(large),
        }
    }

    /// An empty one, in the form that suits so many members of so many bytes.
    pub fn with_room(count: usize, member_len: usize, rules: &Rules) -> Self {
        if count <= rules.zset_max_listpack_entries && member_len <= rules.zset_max_listpack_value {
            Self::default()
        } else {
            Self(Form::Large(Box::default()))
        }
    }

    /// Turns a packed one into a large one, if so many members are too many for a packed one.
    pub fn make_room(&mut self, count: usize, rules: &Rules) {
        if count > rules.zset_max_listpack_entries {
            self.grow(rules);
        }
    }

    /// A sorted set of these members and scores in turn, which are checked; none if the scores are
    /// no numbers. The members are in order or are put in order; each is there once.
    pub(crate) fn of_packed(packed: Packed, rules: &Rules) -> Option<Self> {
        let (count, sorted) = (packed.count() / 2, pairs::are_sorted(&packed)?);
        let mut set = Self(Form::Packed(packed));
        if !sorted {
            let mut other = Self::with_room(count, 0, rules);
            for (member, score) in set.view().iter() {
                other.put(member.text(&mut itoa::Buffer::new()), score, rules);
            }
            set = other;
        }
        set.make_room(count, rules);
        Some(set)
    }

    /// A sorted set of `count` members that `next` gives one after the other, each with its score;
    /// none if one comes twice.
    ///
    /// # Errors
    /// Those of `next`.
    pub(crate) fn gather<E>(
        count: usize,
        rules: &Rules,
        mut next: impl FnMut(&mut Vec<u8>) -> Result<f64, E>,
    ) -> Result<Option<Self>, E> {
        let (mut member, mut longest, mut bytes) = (Vec::new(), 0, 0);
        let mut gathered = Gathered::default();
        for _ in 0..count {
            member.clear();
            let score = next(&mut member)?;
            gathered.add(&member, score);
            longest = longest.max(member.len());
            bytes += member.len() + pairs::PAIR_BYTES_MORE;
        }
        // As Redis: which form it has is settled at the end, so that a negative zero keeps its
        // sign where the large form is what it comes to.
        let Some(large) = gathered.settle(rules) else { return Ok(None) };
        let mut set = Self::with_room(count, longest, rules);
        match &mut set.0 {
            Form::Packed(packed) if packed.has_room(bytes) => {
                large.range(0..count).for_each(|(member, score)| {
                    pairs::push(packed, member.text(&mut itoa::Buffer::new()), score);
                });
            }
            form => *form = Form::Large(Box::new(large)),
        }
        Ok(Some(set))
    }

    /// Asks `decide` for a member's new score, given its old one, and gives it that; none leaves
    /// everything as it is.
    ///
    /// # Errors
    /// What `decide` refuses.
    pub fn change<E>(
        &mut self,
        member: &[u8],
        rules: &Rules,
        decide: impl FnOnce(Option<f64>) -> Result<Option<f64>, E>,
    ) -> Result<Changed, E> {
        let packed = match &mut self.0 {
            Form::Packed(packed) => packed,
            Form::Large(large) => return large.change(member, rules, decide),
        };
        let place = pairs::place(packed, member);
        let old = place.map(|pos| pairs::pair(packed, pos).1);
        let new = decide(old)?;
        let Some(score) = new else { return Ok(Changed { old, new: old }) };
        if old == new {
            return Ok(Changed { old, new });
        }
        let outgrown = packed.count() / 2 >= rules.zset_max_listpack_entries
            || member.len() > rules.zset_max_listpack_value;
        if (old.is_none() && outgrown) || !packed.has_room(member.len() + pairs::SCORE_BYTES_MAX) {
            self.grow(rules);
            self.put(member, score, rules);
            return Ok(Changed { old, new });
        }
        if let Some(place) = place {
            packed.remove_from(place, 2);
        }
        pairs::insert(packed, member, score);
        Ok(Changed { old, new })
    }

    /// Gives a member a score; the one it had.
    pub fn put(&mut self, member: &[u8], score: f64, rules: &Rules) -> Option<f64> {
        let sure = |_| Ok::<_, std::convert::Infallible>(Some(score));
        match self.change(member, rules, sure) {
            Ok(changed) => changed.old,
        }
    }

    /// Takes out a member; the score it had.
    pub fn remove(&mut self, member: &[u8], rules: &Rules) -> Option<f64> {
        match &mut self.0 {
            Form::Packed(packed) => {
                let pos = pairs::place(packed, member)?;
                let (_, score) = pairs::pair(packed, pos);
                packed.remove_from(pos, 2);
                Some(score)
            }
            Form::Large(large) => large.remove(member, rules),
        }
    }

    /// Takes out the members of these ranks; how many they were.
    pub fn remove_range(&mut self, ranks: Range<usize>, rules: &Rules) -> usize {
        let ranks = ranks.start.min(self.len())..ranks.end.min(self.len());
        match &mut self.0 {
            Form::Packed(packed) => packed.remove_range(2 * ranks.start as isize, 2 * ranks.len()),
            Form::Large(large) => large.remove_range(ranks.clone(), rules),
        }
        ranks.len()
    }

    fn grow(&mut self, rules: &Rules) {
        let Form::Packed(packed) = &self.0 else { return };
        let mut large = Box::<Large>::default();
        let mut digits = itoa::Buffer::new();
        for (_, _, member, score) in pairs::each(packed) {
            large.insert(member.text(&mut digits), score, rules);
        }
        self.0 = Form::Large(large);
    }
}

impl Default for SortedSet {
    fn default() -> Self {
        Self(Form::Packed(Packed::new()))
    }
}

impl Kind for SortedSet {
    type Ref<'a> = SortedSetRef<'a>;

    fn held(object: &Object) -> Option<&Self> {
        if let Object::SortedSet(it) = object { Some(it) } else { None }
    }

    fn of(value: Value<'_>) -> Option<SortedSetRef<'_>> {
        if let Value::SortedSet(set) = value { Some(set) } else { None }
    }

    fn of_mut(object: &mut Object) -> Option<&mut Self> {
        if let Object::SortedSet(set) = object { Some(set) } else { None }
    }

    fn into_object(self) -> Object {
        Object::SortedSet(self)
    }

    #[inline]
    fn listpack(&self) -> Option<&Listpack> {
        if let Form::Packed(packed) = &self.0 { Some(packed) } else { None }
    }

    #[inline]
    fn of_listpack(packed: Packed) -> Option<Self> {
        Some(Self(Form::Packed(packed)))
    }

    #[inline]
    fn into_packed(self) -> Option<Packed> {
        if let Form::Packed(packed) = self.0 { Some(packed) } else { None }
    }

    #[inline]
    fn len(&self) -> usize {
        self.view().len()
    }

    fn bytes(&self) -> usize {
        match &self.0 {
            Form::Packed(packed) => packed.heap_bytes(),
            Form::Large(large) => size_of::<Large>() + large.bytes(),
        }
    }

    fn encoding(&self) -> &'static str {
        self.view().encoding()
    }

    fn duplicate(&self) -> Self {
        self.view().duplicate()
    }

    fn free_some(&mut self, budget: usize) -> bool {
        match &mut self.0 {
            Form::Packed(_) => false,
            Form::Large(large) => large.free_some(budget),
        }
    }

    fn recount(&self) {
        if let Form::Large(large) = &self.0 {
            large.recount();
        }
    }
}
