//! Sets: sorted integers, else a listpack, else a table. When which is used is Redis's own choice.

use super::{Content, Fields, IntSet, Item, Kind, Object, Packed, Rules, Stored, Value};
use crate::commands::parse_int;

/// A set of texts.
#[derive(Debug)]
pub struct Set(Form);

#[derive(Debug)]
enum Form {
    Ints(IntSet),
    Packed(Packed),
    Table(Box<Fields>),
}

/// Most integers that are kept sorted, whatever the settings say: adding one moves the rest.
const INTS_MAX: usize = 1 << 30;

impl Default for Set {
    fn default() -> Self {
        Self(Form::Ints(IntSet::new()))
    }
}

impl Set {
    /// An empty set for about `count` members, of which `first` is one.
    pub fn with_room(rules: &Rules, first: &[u8], count: usize) -> Self {
        Self(if parse_int(first).is_some() && count <= rules.set_max_intset_entries {
            Form::Ints(IntSet::new())
        } else if count <= rules.set_max_listpack_entries {
            Form::Packed(Packed::new())
        } else {
            Form::Table(Box::default())
        })
    }

    /// Takes the form that suits about `count` members more than any now, before they are added.
    pub fn make_room(&mut self, rules: &Rules, count: usize) {
        let large = match &self.0 {
            Form::Ints(_) => count > rules.set_max_intset_entries,
            Form::Packed(_) => count > rules.set_max_listpack_entries,
            Form::Table(_) => false,
        };
        if large {
            self.grow(rules);
        }
    }

    /// Puts every member into a table.
    fn grow(&mut self, rules: &Rules) {
        let mut table = Box::<Fields>::default();
        let mut digits = itoa::Buffer::new();
        for member in self.iter() {
            table.insert_new(rules, member.text(&mut digits), Content::Str(b""));
        }
        self.0 = Form::Table(table);
    }

    /// Adds a member; true if it was not there.
    #[inline]
    pub fn add(&mut self, rules: &Rules, member: &[u8]) -> bool {
        match &mut self.0 {
            Form::Table(table) => table.insert(rules, member, Content::Str(b""), None),
            Form::Ints(_) => match parse_int(member) {
                Some(value) => self.add_int(rules, value),
                None => self.add_text(rules, member),
            },
            Form::Packed(packed) => {
                if packed.first().is_some_and(|first| packed.find(first, member, 1).is_some()) {
                    return false;
                }
                if packed.count() < rules.set_max_listpack_entries && fits(rules, packed, member) {
                    packed.push_back(member);
                    return true;
                }
                self.grow(rules);
                self.add(rules, member)
            }
        }
    }

    /// Adds an integer to a set of integers.
    fn add_int(&mut self, rules: &Rules, value: i64) -> bool {
        let Form::Ints(ints) = &mut self.0 else { unreachable!("asked for a set of integers") };
        let new = ints.insert(value);
        if ints.len() > rules.set_max_intset_entries.min(INTS_MAX) {
            self.grow(rules);
        }
        new
    }

    /// Adds the first member that is no integer to a set of integers.
    fn add_text(&mut self, rules: &Rules, member: &[u8]) -> bool {
        let Form::Ints(ints) = &self.0 else { unreachable!("asked for a set of integers") };
        let widest = [ints.min(), ints.max()].into_iter().flatten();
        let widest = widest.map(|value| Item::Int(value).len()).max().unwrap_or(0);
        if ints.len() < rules.set_max_listpack_entries && widest <= rules.set_max_listpack_value {
            let mut packed = Packed::new();
            ints.iter().for_each(|value| packed.push_back_int(value));
            self.0 = Form::Packed(packed);
        } else {
            self.grow(rules);
        }
        self.add(rules, member)
    }

    /// Adds a member of another set; true if it was not there.
    pub fn add_item(&mut self, rules: &Rules, member: Item<'_>) -> bool {
        if let (Form::Ints(_), Item::Int(value)) = (&self.0, member) {
            return self.add_int(rules, value);
        }
        self.add(rules, member.text(&mut itoa::Buffer::new()))
    }

    /// Removes a member; true if it was there.
    #[inline]
    pub fn remove(&mut self, rules: &Rules, member: &[u8]) -> bool {
        match &mut self.0 {
            Form::Ints(ints) => parse_int(member).is_some_and(|value| ints.remove(value)),
            Form::Table(table) => table.remove(rules, member),
            Form::Packed(packed) => {
                let Some(first) = packed.first() else { return false };
                let Some(at) = packed.find(first, member, 1) else { return false };
                packed.remove(at);
                true
            }
        }
    }

    /// True if it holds `member`.
    #[inline]
    pub fn contains(&self, rules: &Rules, member: &[u8]) -> bool {
        match &self.0 {
            Form::Ints(ints) => parse_int(member).is_some_and(|value| ints.contains(value)),
            Form::Table(table) => table.find(rules, member).is_some(),
            Form::Packed(packed) => {
                packed.first().is_some_and(|first| packed.find(first, member, 1).is_some())
            }
        }
    }

    /// True if it holds a member of another set.
    #[inline]
    pub fn contains_item(&self, rules: &Rules, member: Item<'_>) -> bool {
        match (&self.0, member) {
            (Form::Ints(ints), Item::Int(value)) => ints.contains(value),
            _ => self.contains(rules, member.text(&mut itoa::Buffer::new())),
        }
    }

    /// Every member: integers in order, others in none.
    pub fn iter(&self) -> impl Iterator<Item = Item<'_>> {
        let (mut ints, mut packed, mut table) = (None, None, None);
        match &self.0 {
            Form::Ints(own) => ints = Some(own.iter().map(Item::Int)),
            Form::Packed(own) => packed = Some(own.iter()),
            Form::Table(own) => table = Some(own.iter().map(|field| Item::Str(field.name()))),
        }
        let ints = ints.into_iter().flatten();
        ints.chain(packed.into_iter().flatten()).chain(table.into_iter().flatten())
    }

    /// Shows members from `position` on (0 is the start), about `count` or all of a compact set;
    /// where to go on, or none at the end.
    pub fn scan(
        &self,
        position: u64,
        count: usize,
        mut visit: impl FnMut(Item<'_>),
    ) -> Option<u64> {
        if let Form::Table(table) = &self.0 {
            return table.scan(position, count, |field| visit(Item::Str(field.name())));
        }
        self.iter().for_each(visit);
        None
    }

    /// Any member, each as likely as any other; `random` gives 64 random bits at a time.
    pub fn random(&self, mut random: impl FnMut() -> u64) -> Option<Item<'_>> {
        let mut below = |count: usize| (((random() >> 32) * count as u64) >> 32) as usize;
        match &self.0 {
            Form::Ints(ints) if ints.is_empty() => None,
            Form::Ints(ints) => Some(Item::Int(ints.at(below(ints.len())))),
            Form::Packed(packed) => {
                let at = packed.seek(below(packed.count()) as isize)?;
                Some(packed.at(at))
            }
            Form::Table(table) => Some(Item::Str(table.random(random)?.name())),
        }
    }

    /// A set of these integers.
    pub(crate) fn of_ints(ints: IntSet, rules: &Rules) -> Self {
        let count = ints.len();
        let mut set = Self(Form::Ints(ints));
        set.make_room(rules, count);
        set
    }

    /// A set of these members, each of which is there once.
    pub(crate) fn of_packed(members: Packed, rules: &Rules) -> Self {
        let count = members.count();
        let mut set = Self(Form::Packed(members));
        set.make_room(rules, count);
        set
    }

    /// How it lies, for whoever writes it to a file.
    pub(crate) fn stored(&self) -> Stored<'_> {
        match &self.0 {
            Form::Ints(ints) => Stored::Ints(ints),
            Form::Packed(packed) => Stored::Packed(packed),
            Form::Table(_) => Stored::Large,
        }
    }

    /// Goes back to sorted integers where all members are such: a result of other sets does.
    pub fn settle(&mut self, rules: &Rules) {
        let Form::Packed(packed) = &self.0 else { return };
        if packed.count() > rules.set_max_intset_entries {
            return;
        }
        let mut ints = IntSet::new();
        for member in packed.iter() {
            let Item::Int(value) = member else { return };
            ints.insert(value);
        }
        self.0 = Form::Ints(ints);
    }
}

/// True if a packed set may take one more member of this size.
fn fits(rules: &Rules, packed: &Packed, member: &[u8]) -> bool {
    member.len() <= rules.set_max_listpack_value && packed.has_room(member.len())
}

impl Kind for Set {
    fn of(value: Value<'_>) -> Option<&Self> {
        if let Value::Set(set) = value { Some(set) } else { None }
    }

    fn of_mut(object: &mut Object) -> Option<&mut Self> {
        if let Object::Set(set) = object { Some(set) } else { None }
    }

    fn into_object(self) -> Object {
        Object::Set(self)
    }

    fn len(&self) -> usize {
        match &self.0 {
            Form::Ints(ints) => ints.len(),
            Form::Packed(packed) => packed.count(),
            Form::Table(table) => table.len(),
        }
    }

    fn bytes(&self) -> usize {
        match &self.0 {
            Form::Ints(ints) => ints.heap_bytes(),
            Form::Packed(packed) => packed.heap_bytes(),
            Form::Table(table) => table.bytes() + size_of::<Fields>(),
        }
    }

    fn encoding(&self) -> &'static str {
        match &self.0 {
            Form::Ints(_) => "intset",
            Form::Packed(_) => "listpack",
            Form::Table(_) => "hashtable",
        }
    }

    fn duplicate(&self) -> Self {
        Self(match &self.0 {
            Form::Ints(ints) => Form::Ints(ints.clone()),
            Form::Packed(packed) => Form::Packed(packed.clone()),
            Form::Table(table) => Form::Table(Box::new(table.duplicate())),
        })
    }

    fn free_some(&mut self, budget: usize) -> bool {
        match &mut self.0 {
            Form::Table(table) => table.free_some(budget),
            Form::Ints(_) | Form::Packed(_) => false,
        }
    }

    fn recount(&self) {
        if let Form::Table(table) = &self.0 {
            table.recount();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn texts(set: &Set) -> BTreeSet<Vec<u8>> {
        set.iter().map(|member| member.text(&mut itoa::Buffer::new()).to_vec()).collect()
    }

    #[test]
    fn sets_and_model_agree_in_every_form() {
        for seed in 0..9u64 {
            println!("seed {seed}");
            let (mut rules, mut state) = (Rules::new(seed), seed);
            rules.encodings.set_max_listpack_entries = 20;
            rules.encodings.set_max_intset_entries = 30;
            let mut random = || {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                state >> 20
            };
            let (mut set, mut model) = (Set::default(), BTreeSet::new());
            for step in 0..4000 {
                let number = random() % [15, 50, 400][seed as usize % 3];
                let text = match random() % 40 {
                    0 if step > 500 => format!("text{number}"),
                    1 if step > 1000 => "x".repeat(60 + number as usize % 10),
                    _ => (number as i64 - 5).to_string(),
                };
                let member = text.as_bytes();
                if random().is_multiple_of(3) {
                    assert_eq!(set.remove(&rules, member), model.remove(member), "{text}");
                } else {
                    assert_eq!(set.add(&rules, member), model.insert(member.to_vec()), "{text}");
                }
                assert_eq!(
                    (set.len(), set.contains(&rules, member)),
                    (model.len(), model.contains(member))
                );
                if step % 100 == 0 {
                    set.recount();
                    assert_eq!(texts(&set), model);
                    assert_eq!(texts(&set.duplicate()), model);
                    let any =
                        set.random(&mut random).map(|m| m.text(&mut itoa::Buffer::new()).to_vec());
                    assert_eq!(any.is_some(), any.is_some_and(|any| model.contains(&any)));
                }
            }
        }
    }

    #[test]
    fn forms_change_as_in_redis() {
        let mut rules = Rules::new(1);
        rules.encodings.set_max_listpack_entries = 3;
        let mut set = Set::with_room(&rules, b"1", 1);
        set.add(&rules, b"1");
        assert_eq!(set.encoding(), "intset");
        set.add(&rules, b"a");
        assert_eq!(set.encoding(), "listpack");
        set.remove(&rules, b"a");
        assert_eq!(set.encoding(), "listpack");
        set.settle(&rules);
        assert_eq!(set.encoding(), "intset");
        set.add(&rules, &[b'x'; 65]);
        assert_eq!(set.encoding(), "hashtable");
        let mut many = Set::with_room(&rules, b"1", 600);
        many.add(&rules, b"1");
        assert_eq!(many.encoding(), "hashtable");
    }
}
