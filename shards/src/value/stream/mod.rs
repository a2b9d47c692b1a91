//! A stream: a place for it.

use crate::value::{Kind, Object, Value};

/// A stream.
#[derive(Debug, Default)]
pub struct Stream {}

impl Kind for Stream {
    const STAYS_EMPTY: bool = true;

    fn of(value: Value<'_>) -> Option<&Self> {
        if let Value::Stream(it) = value { Some(it) } else { None }
    }

    fn of_mut(object: &mut Object) -> Option<&mut Self> {
        if let Object::Stream(it) = object { Some(it) } else { None }
    }

    fn into_object(self) -> Object {
        Object::Stream(Box::new(self))
    }

    fn len(&self) -> usize {
        0
    }

    fn bytes(&self) -> usize {
        0
    }

    fn encoding(&self) -> &'static str {
        "stream"
    }

    fn duplicate(&self) -> Self {
        Self {}
    }

    fn free_some(&mut self, _budget: usize) -> bool {
        false
    }

    fn recount(&self) {}
}
