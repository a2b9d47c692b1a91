//! What happens to keys, noted for those who listen (`notify-keyspace-events`).
//!
//! Commands say what they did in Redis's words, at once and in its order; the keyspace itself says
//! what follows from that: `new`, `expired`, `keymiss`, and `del` where a value became empty. As
//! long as nobody listens, a note costs one comparison. Who runs the shard takes what was noted
//! when a command has run, and sends it out.

use super::{Key, Keyspace};
use crate::shard::Millis;

/// A set of classes of events; an event is of one of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Class(u32);

/// Something that happened to a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// Of which class.
    pub class: Class,
    /// What happened, in Redis's word for it.
    pub name: &'static str,
    /// In which database.
    pub db: u16,
    /// To which key.
    pub key: Box<[u8]>,
}

/// What is listened for, and what has been noted since it was taken last.
#[derive(Debug, Default)]
pub(super) struct Events {
    classes: Class,
    noted: Vec<Event>,
}

impl Class {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// To be sent to `__keyspace@<db>__:<key>`.
    pub const KEYSPACE: Self = Self(1);
    /// To be sent to `__keyevent@<db>__:<event>`.
    pub const KEYEVENT: Self = Self(1 << 1);
    /// Of keys whatever they hold: `del`, `expire`, `rename_from`.
    pub const GENERIC: Self = Self(1 << 2);
    /// Of strings.
    pub const STRING: Self = Self(1 << 3);
    /// Of lists.
    pub const LIST: Self = Self(1 << 4);
    /// Of sets.
    pub const SET: Self = Self(1 << 5);
    /// Of hashes.
    pub const HASH: Self = Self(1 << 6);
    /// Of sorted sets.
    pub const SORTED_SET: Self = Self(1 << 7);
    /// A key's time has come.
    pub const EXPIRED: Self = Self(1 << 8);
    /// A key had to go for want of memory.
    pub const EVICTED: Self = Self(1 << 9);
    /// Of streams.
    pub const STREAM: Self = Self(1 << 10);
    /// Of modules, which do not exist.
    pub const MODULE: Self = Self(1 << 11);
    /// A key was asked for that is not there.
    pub const MISS: Self = Self(1 << 12);
    /// A key is new.
    pub const NEW: Self = Self(1 << 13);
    /// A key was given a value in place of another.
    pub const OVERWRITTEN: Self = Self(1 << 14);
    /// The same, with a value of another type.
    pub const TYPE_CHANGED: Self = Self(1 << 15);

    /// All that the letter `A` stands for.
    const ALL: Self = Self(
        Self::GENERIC.0
            | Self::STRING.0
            | Self::LIST.0
            | Self::SET.0
            | Self::HASH.0
            | Self::SORTED_SET.0
            | Self::EXPIRED.0
            | Self::EVICTED.0
            | Self::STREAM.0
            | Self::MODULE.0,
    );

    /// The letters of classes, in the order in which they are shown.
    const LETTERS: [(char, Self); 16] = [
        ('g', Self::GENERIC),
        ('$', Self::STRING),
        ('l', Self::LIST),
        ('s', Self::SET),
        ('h', Self::HASH),
        ('z', Self::SORTED_SET),
        ('x', Self::EXPIRED),
        ('e', Self::EVICTED),
        ('t', Self::STREAM),
        ('d', Self::MODULE),
        ('n', Self::NEW),
        ('o', Self::OVERWRITTEN),
        ('c', Self::TYPE_CHANGED),
        ('K', Self::KEYSPACE),
        ('E', Self::KEYEVENT),
        ('m', Self::MISS),
    ];

    /// The classes that letters name, as `notify-keyspace-events` has them; none if one of them
    /// names nothing.
    pub fn parse(letters: &str) -> Option<Self> {
        let class = |letter| match letter {
            'A' => Some(Self::ALL),
            _ => Self::LETTERS.iter().find(|(its, _)| *its == letter).map(|(_, class)| *class),
        };
        letters.chars().try_fold(Self::NONE, |all, letter| Some(all.and(class(letter)?)))
    }

    /// The letters that name these classes, as few as there can be.
    pub fn letters(self) -> String {
        let all = self.0 & Self::ALL.0 == Self::ALL.0;
        // As in Redis, those about values that come anew are not shown beside `A`.
        let hidden = Self::ALL.and(Self::NEW).and(Self::OVERWRITTEN).and(Self::TYPE_CHANGED);
        let shown = |class: Self| self.has(class) && !(all && hidden.has(class));
        let letters = Self::LETTERS.iter().filter(|(_, class)| shown(*class));
        all.then_some('A').into_iter().chain(letters.map(|(letter, _)| *letter)).collect()
    }

    /// These and others.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True if one of `other` is among them.
    #[inline]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// True if these classes ask for events at all: for some, and for a way to send them.
    const fn listens(self) -> bool {
        let ways = Self::KEYSPACE.0 | Self::KEYEVENT.0;
        self.0 & ways != 0 && self.0 & !ways != 0
    }
}

impl Keyspace {
    /// Notes something that happened to a key, if somebody listens for that.
    #[inline]
    pub fn notify(&mut self, class: Class, name: &'static str, key: Key<'_>) {
        if self.is_heard() {
            self.note(class, name, key);
        }
    }

    /// True if somebody listens for events.
    #[inline]
    pub(crate) fn is_heard(&self) -> bool {
        self.events.classes != Class::NONE
    }

    /// Notes that a key is about to be given a value of type `kind` in place of what it has, if
    /// that is something.
    #[inline]
    pub(crate) fn overwrites(&mut self, key: Key<'_>, now: Millis, kind: &'static str) {
        if self.is_heard() {
            self.note_overwritten(key, now, kind);
        }
    }

    #[cold]
    fn note_overwritten(&mut self, key: Key<'_>, now: Millis, kind: &'static str) {
        let Some(old) = self.peek(key, now).map(|record| record.value().type_name()) else {
            return;
        };
        self.note(Class::OVERWRITTEN, "overwritten", key);
        if old != kind {
            self.note(Class::TYPE_CHANGED, "type_changed", key);
        }
    }

    #[cold]
    fn note(&mut self, class: Class, name: &'static str, key: Key<'_>) {
        if self.events.classes.has(class) {
            let key_bytes = Box::from(key.bytes);
            self.events.noted.push(Event { class, name, db: key.db, key: key_bytes });
        }
    }

    /// Notes the events of these classes from now on, if they name a way to send them.
    pub(crate) fn set_notify(&mut self, classes: Class) {
        self.events.classes = if classes.listens() { classes } else { Class::NONE };
    }

    /// True if events are to be sent this way, `Class::KEYSPACE` or `Class::KEYEVENT`.
    pub(crate) fn sends(&self, way: Class) -> bool {
        self.events.classes.has(way)
    }

    /// True if something was noted since the last call of `take_events`.
    #[inline]
    pub fn has_events(&self) -> bool {
        !self.events.noted.is_empty()
    }

    /// What has happened since the last call, in its order.
    #[inline]
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events.noted)
    }
}

#[cfg(test)]
mod tests {
    use super::Class;

    #[test]
    fn letters_come_back_as_redis_shows_them() {
        for (given, shown) in [
            ("", ""),
            ("KEA", "AKE"),
            ("AKEmn", "AKEm"),
            ("KEn", "nKE"),
            ("Ex", "xE"),
            ("g$lshzxetdKE", "AKE"),
            ("g$lshzxetKE", "g$lshzxetKE"),
            ("mEKg", "gKEm"),
        ] {
            assert_eq!(Class::parse(given).map(Class::letters).as_deref(), Some(shown), "{given}");
        }
        assert_eq!(Class::parse("KEb"), None);
        assert_eq!(Class::parse("a"), None);
    }

    #[test]
    fn without_a_way_nothing_is_noted() {
        for (letters, listens) in
            [("", false), ("A", false), ("K", false), ("KE", false), ("Kg", true), ("Em", true)]
        {
            assert_eq!(Class::parse(letters).unwrap().listens(), listens, "{letters}");
        }
    }
}
