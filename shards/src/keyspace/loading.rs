//! Values that come from outside whole: from a file, or from RESTORE.

use super::{Change, Class, Key, Keyspace, seconds};
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
        if let Some(entry) = entry(&self.heap, key, (now, value, aside)) {
            self.due.moved(key, None, entry.object().and_then(Object::next_due));
            self.insert(key, entry);
        }
        true
    }

    /// Gives a key a value that came from elsewhere, whatever it had, and notes that as `restore`.
    pub(crate) fn restore(&mut self, key: Key<'_>, now: Millis, value: Decoded<'_>, aside: Aside) {
        self.remove(key, now);
        let Some(entry) = entry(&self.heap, key, (now, value, aside)) else { return };
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
    (now, value, aside): (Millis, Decoded<'_>, Aside),
) -> Option<Entry> {
    let Aside { expiry, idle_seconds } = aside;
    // The clock of accesses goes round after 194 days.
    let used = seconds(now).wrapping_sub(idle_seconds.min(IDLE_SECONDS_MAX) as u32);
    let name = (key.hash, key.bytes);
    match value {
        Decoded::Text(text) => Some(Entry::new(heap, name, Content::of(text), expiry, used)),
        Decoded::Object(object) => Some(Entry::of_object(heap, name, object, expiry, used)),
        Decoded::Nothing => None,
    }
}

/// The longest time without use that can be told.
const IDLE_SECONDS_MAX: u64 = 0xff_ffff;
