//! A list: a place for it.

use super::{Kind, Object, Value};

/// A list.
#[derive(Debug, Default)]
pub struct List {}

impl Kind for List {
    fn of(value: Value<'_>) -> Option<&Self> {
        if let Value::List(it) = value { Some(it) } else { None }
    }

    fn of_mut(object: &mut Object) -> Option<&mut Self> {
        if let Object::List(it) = object { Some(it) } else { None }
    }

    fn into_object(self) -> Object {
        Object::List(self)
    }

    fn len(&self) -> usize {
        0
    }

    fn bytes(&self) -> usize {
        0
    }

    fn encoding(&self) -> &'static str {
        "listpack"
    }

    fn duplicate(&self) -> Self {
        Self {}
    }

    fn free_some(&mut self, _budget: usize) -> bool {
        false
    }

    fn recount(&self) {}
}
