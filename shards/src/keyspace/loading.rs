//! Values that come from outside whole: from a file, or from RESTORE.

use super::{Change, Class, Key, Keyspace};
use crate::shard::Millis;
use crate::snapshot::Decoded;
use crate::table::{Entry, Heap};
use crate::value::{Content, Object};

/// What is known of a key beside its value.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Aside {
    /// When it expires, in milliseconds since the Unix epoch.
    pub expiry: Option<Millis>,
    /// For how many seconds it was not used.
    pub idle_seconds: u64,
    /// How often it was used, on a logarithmic scale.
    pub frequency: Option<u8>,
}

impl Keyspace {
    /// Puts what a file holds for a key in; false if the key is there already. It is no change that
    /// anybody is told of, nor counted.
    pub(crate) fn load(
        &mut self,
        key: Key<'_>,
        now: Millis,
        value: Decoded<'_>,
        aside: Aside,
    ) -> bool {
        let table = &mut self.databases[usize::from(key.db)];
        if table.find(key.hash, key.bytes).is_some() {
            return false;
        }
        let used = self.uses.told(now, aside.idle_seconds, aside.frequency);
        if let Some(entry) = entry(&self.heap, key, (used, value, aside.expiry)) {
            self.due.moved(key, None, entry.object().and_then(Object::next_due));
            self.insert(key, entry);
        }
        true
    }

    /// Gives a key a value that came from elsewhere, whatever it had, and notes that as `restore`.
    pub(crate) fn restore(&mut self, key: Key<'_>, now: Millis, value: Decoded<'_>, aside: Aside) {
        self.remove(key, now);
        let used = self.uses.told(now, aside.idle_seconds, aside.frequency);
        let Some(entry) = entry(&self.heap, key, (used, value, aside.expiry)) else { return };
        self.due.moved(key, None, entry.object().and_then(Object::next_due));
        self.insert(key, entry);
        self.touched(key.db, key.bytes, Change::Value);
        self.notify(Class::NEW, "new", key);
        self.notify(Class::GENERIC, "restore", key);
    }
}

fn entry(
    heap: &Heap,
    key: Key<'_>,
    (used, value, expiry): (u32, Decoded<'_>, Option<Millis>),
) -> Option<Entry> {
    let name = (key.hash, key.bytes);
    match value {
        Decoded::Text(text) => Some(Entry::new(heap, name, Content::of(text), expiry, used)),
        Decoded::Object(object) => Some(Entry::of_object(heap, name, object, expiry, used)),
        Decoded::Nothing => None,
    }
}
