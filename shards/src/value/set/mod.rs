//! Sets: sorted integers, else a listpack, else a table. When which is used is Redis's own choice.

mod view;

pub use view::SetRef;

use super::{Content, Fields, IntSet, Item, Kind, Listpack, Object, Packed, Rules, Value};
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
    /// The set, to be read.
    #[inline]
    pub fn view(&self) -> SetRef<'_> {
        match &self.0 {
            Form::Ints(ints) => SetRef::of_ints(ints),
            Form::Packed(packed) => SetRef::of_packed(packed),
            Form::Table(table) => SetRef::of_table(table),
        }
    }

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
        for member in self.view().iter() {
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
    type Ref<'a> = SetRef<'a>;

    fn held(object: &Object) -> Option<&Self> {
        if let Object::Set(it) = object { Some(it) } else { None }
    }

    fn of(value: Value<'_>) -> Option<SetRef<'_>> {
        if let Value::Set(set) = value { Some(set) } else { None }
    }

    fn of_mut(object: &mut Object) -> Option<&mut Self> {
        if let Object::Set(set) = object { Some(set) } else { None }
    }

    fn into_object(self) -> Object {
        Object::Set(self)
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
            Form::Ints(ints) => ints.heap_bytes(),
            Form::Packed(packed) => packed.heap_bytes(),
            Form::Table(table) => table.bytes() + size_of::<Fields>(),
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
        set.view().iter().map(|member| member.text(&mut itoa::Buffer::new()).to_vec()).collect()
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
                    (set.len(), set.view().contains(&rules, member)),
                    (model.len(), model.contains(member))
                );
                if step % 100 == 0 {
                    set.recount();
                    assert_eq!(texts(&set), model);
                    assert_eq!(texts(&set.duplicate()), model);
                    let any = set
                        .view()
                        .random(&mut random)
                        .map(|m| m.text(&mut itoa::Buffer::new()).to_vec());
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
