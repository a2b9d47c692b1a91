//! A set: a place for it.

use super::{Kind, Object, Value};

/// A set.
#[derive(Debug, Default)]
pub struct Set {}

impl Kind for Set {
    fn of(value: Value<'_>) -> Option<&Self> {
        if let Value::Set(it) = value { Some(it) } else { None }
    }

    fn of_mut(object: &mut Object) -> Option<&mut Self> {
        if let Object::Set(it) = object { Some(it) } else { None }
    }

    fn into_object(self) -> Object {
        Object::Set(self)
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
