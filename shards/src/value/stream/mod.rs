//! A stream: entries that are only ever added at the end, and the groups that read them.
//!
//! Entries lie in nodes, each a listpack laid out as in Redis's files (`node`), in a tree by their
//! first ids (`log`). A group keeps what was delivered to its consumers until they acknowledge it
//! (`group`).

mod group;
mod groups;
mod id;
mod log;
mod node;
mod trim;

pub use group::{Consumer, Group, Pending};
pub use groups::{Groups, OpenGroup};
pub use id::{Id, IdText, Seq};
pub use log::{Log, NewId, Range, Refused};
pub use node::Entry;
pub use trim::{References, Trim, TrimTo};

use crate::value::{Kind, Object, Value};

/// A stream. Its two parts are changed side by side: a group is written while entries are read.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// The entries.
    pub log: Log,
    /// Who reads them.
    pub groups: Groups,
}

impl Kind for Stream {
    const STAYS_EMPTY: bool = true;

    type Ref<'a> = &'a Self;

    fn held(object: &Object) -> Option<&Self> {
        if let Object::Stream(it) = object { Some(it) } else { None }
    }

    fn of(value: Value<'_>) -> Option<&Self> {
        if let Value::Stream(it) = value { Some(it) } else { None }
    }

    fn of_mut(object: &mut Object) -> Option<&mut Self> {
        if let Object::Stream(it) = object { Some(it) } else { None }
    }

    fn into_object(self) -> Object {
        Object::Stream(Box::new(self))
    }

    /// Entries, and what is unacknowledged: freeing it takes as long.
    fn len(&self) -> usize {
        self.log.len() as usize + self.groups.iter().map(|(_, it)| it.pending_len()).sum::<usize>()
    }

    fn bytes(&self) -> usize {
        // Where it stands is a box of its own.
        size_of::<Self>() + self.log.bytes() + self.groups.bytes()
    }

    fn encoding(&self) -> &'static str {
        "stream"
    }

    fn duplicate(&self) -> Self {
        self.clone()
    }

    fn free_some(&mut self, budget: usize) -> bool {
        let freed = self.log.free_some(budget);
        freed >= budget || self.groups.free_some(budget - freed)
    }

    fn recount(&self) {
        self.log.recount();
        self.groups.recount();
    }
}

#[cfg(test)]
mod tests;
