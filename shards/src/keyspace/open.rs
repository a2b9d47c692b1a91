//! Values of the richer types: read, opened for change, replaced.

use super::{Change, Class, Expiry, Key, Keyspace};
use crate::error::Error;
use crate::limits::INLINE_BYTES_MAX;
use crate::shard::Millis;
use crate::table::{Entry, Place};
use crate::value::{Content, Kind, Listpack, Object, Packed, Value};
use std::ops::{Deref, DerefMut};

impl Keyspace {
    /// The value of a key as `T`, to be read by a client: counts a hit or a miss, and an access.
    ///
    /// # Errors
    /// `WrongType` if it is something else.
    #[inline]
    pub fn read<T: Kind>(
        &mut self,
        key: Key<'_>,
        now: Millis,
    ) -> Result<Option<T::Ref<'_>>, Error> {
        self.get(key, now).map(Value::of::<T>).transpose()
    }

    /// The value of a key by itself: no time passes, nothing is counted, so that several may be
    /// looked at together. Read or open them first.
    pub fn view(&self, key: Key<'_>) -> Option<Value<'_>> {
        let table = &self.databases[usize::from(key.db)];
        Some(table.entry(table.find(key.hash, key.bytes)?).value())
    }

    /// The value of a key as `T`, to be changed.
    ///
    /// # Errors
    /// `WrongType` if it is something else.
    #[inline]
    pub fn open<'a, T: Kind>(
        &'a mut self,
        key: Key<'a>,
        now: Millis,
    ) -> Result<Option<Open<'a, T>>, Error> {
        let Some(place) = self.live(key, now) else { return Ok(None) };
        self.open_at(key, now, place, false).map(Some)
    }

    /// The same; a key that is not there begins empty, and is not there still if that is how the
    /// value stays.
    ///
    /// # Errors
    /// `WrongType` if it is something else.
    #[inline]
    pub fn open_or_new<'a, T: Kind>(
        &'a mut self,
        key: Key<'a>,
        now: Millis,
    ) -> Result<Open<'a, T>, Error> {
        if let Some(place) = self.live(key, now) {
            return self.open_at(key, now, place, false);
        }
        let (object, used) = (T::default().into_object(), self.new_use(key.hash, now));
        let entry = self.of_object(key, object, None, used);
        self.insert(key, entry);
        let table = &mut self.databases[usize::from(key.db)];
        let place = table.find(key.hash, key.bytes).expect("what was put in is found");
        self.open_at(key, now, place, true)
    }

    #[inline]
    fn open_at<'a, T: Kind>(
        &'a mut self,
        key: Key<'a>,
        now: Millis,
        place: Place,
        new: bool,
    ) -> Result<Open<'a, T>, Error> {
        if T::of(self.databases[usize::from(key.db)].entry(place).value()).is_none() {
            return Err(Error::WrongType);
        }
        self.before_change(key.db, place);
        let used =
            if new { self.new_use(key.hash, now) } else { self.used_by_change(key.db, place, now) };
        let entry = self.databases[usize::from(key.db)].entry_mut(place);
        let before = entry.bytes();
        entry.touch(used);
        let lifted = entry.listpack().and_then(|listpack| {
            let buffer = std::mem::take(&mut self.buffer);
            T::of_listpack(Packed::in_buffer(listpack, buffer))
        });
        let due = entry.object().and_then(Object::next_due);
        Ok(Open {
            keyspace: self,
            key,
            place,
            lifted,
            before,
            due,
            new,
            changed: true,
            aside: false,
            told: false,
            quiet: false,
        })
    }

    /// Gives a key a value, whatever it had, without expiry; an empty value only removes the key.
    /// Notes that as the event `name` of `class`, or as `del`.
    pub fn store<T: Kind>(
        &mut self,
        key: Key<'_>,
        now: Millis,
        value: T,
        (class, name): (Class, &'static str),
    ) {
        if value.is_empty() && !T::STAYS_EMPTY {
            self.delete(key, now);
        } else {
            let object = value.into_object();
            self.overwrites(key, now, object.value().type_name());
            self.put_object(key, now, object, None);
            self.notify(class, name, key);
        }
    }

    /// Removes a key and notes that; true if it was there.
    pub fn delete(&mut self, key: Key<'_>, now: Millis) -> bool {
        let had = self.remove(key, now);
        if had {
            self.notify(Class::GENERIC, "del", key);
        }
        had
    }

    /// Gives a key a string that came from an edit, whatever it had, without expiry; an empty one
    /// only removes the key. A long one is not copied. Notes that as `set`, or as `del`.
    pub fn store_text(&mut self, key: Key<'_>, now: Millis, bytes: Vec<u8>) {
        if bytes.is_empty() {
            self.delete(key, now);
            return;
        }
        self.overwrites(key, now, "string");
        if bytes.len() <= INLINE_BYTES_MAX {
            self.set(key, now, Content::Raw(&bytes), Expiry::Clear);
        } else {
            let object = Object::Str(bytes);
            let used = self.new_use(key.hash, now);
            let entry = self.of_object(key, object, None, used);
            self.put_entry(key, now, entry);
        }
        self.notify(Class::STRING, "set", key);
    }

    /// Takes a key out with its value and expiry, if it is there.
    pub fn take_out(&mut self, key: Key<'_>, now: Millis) -> Option<(Object, Option<Millis>)> {
        let place = self.live(key, now)?;
        let entry = self.take(key, place);
        self.touched(key.db, key.bytes, Change::Removed);
        let expiry = entry.expiry();
        let object = match entry.value() {
            Value::Int(_) | Value::Str(_) => entry.value().duplicate(),
            rich if entry.object().is_none() => rich.duplicate(),
            _ => *entry.into_object().expect("what is no string is an object"),
        };
        Some((object, expiry))
    }

    /// Gives a key an object and an expiry, whatever it had. A string is kept as SET keeps it.
    pub fn put_object(
        &mut self,
        key: Key<'_>,
        now: Millis,
        object: Object,
        expiry: Option<Millis>,
    ) {
        if let Object::Str(bytes) = &object {
            let expiry = expiry.map_or(Expiry::Clear, Expiry::At);
            return self.set(key, now, Content::of(bytes), expiry);
        }
        let used = self.new_use(key.hash, now);
        let entry = self.of_object(key, object, expiry, used);
        self.put_entry(key, now, entry);
    }

    /// An entry of this key that holds an object.
    fn of_object(
        &self,
        key: Key<'_>,
        object: Object,
        expiry: Option<Millis>,
        seconds: u32,
    ) -> Entry {
        Entry::of_object(&self.heap, (key.hash, key.bytes), object, expiry, seconds)
    }

    /// Puts an entry in; a key that was not there is new.
    fn put_entry(&mut self, key: Key<'_>, now: Millis, entry: Entry) {
        if !self.put(key, now, entry) {
            self.notify(Class::NEW, "new", key);
        }
    }
}

/// A value opened for change. When it is dropped its memory is counted, an empty value is removed,
/// and the change is noted, unless `unchanged` was called.
pub struct Open<'a, T: Kind> {
    keyspace: &'a mut Keyspace,
    key: Key<'a>,
    place: Place,
    /// A value that the record itself holds, taken out for as long as it may change.
    lifted: Option<T>,
    /// Bytes of the entry when it was opened.
    before: usize,
    due: Option<Millis>,
    /// It was not there before.
    new: bool,
    changed: bool,
    /// What changed is not what is read.
    aside: bool,
    /// That it is new has been noted, or is not to be.
    told: bool,
    /// Nor that it goes.
    quiet: bool,
}

impl<T: Kind> Open<'_, T> {
    /// Says that nothing was changed after all.
    pub fn unchanged(&mut self) {
        self.changed = false;
    }

    /// Says that what is changed stands beside what is read, as the groups of a stream: to clients
    /// that watch the key it is as it was, unless it is new.
    pub fn aside(&mut self) {
        self.aside = true;
    }

    /// Notes what is done to the key, if somebody listens for that. What follows from it, as that
    /// the key goes since its value is empty, is noted when this is dropped.
    #[inline]
    pub fn notify(&mut self, class: Class, name: &'static str) {
        if self.keyspace.is_heard() {
            self.tell_new();
            self.keyspace.notify(class, name, self.key);
        }
    }

    /// Notes that the key is new, if it is, once.
    #[inline]
    fn tell_new(&mut self) {
        if self.new && !self.told {
            self.told = true;
            self.keyspace.notify(Class::NEW, "new", self.key);
        }
    }

    /// Says that the key comes or goes only on the way to something else: that is not noted.
    pub fn quiet(&mut self) {
        (self.told, self.quiet) = (true, true);
    }

    /// True if the key was not there before.
    pub fn is_new(&self) -> bool {
        self.new
    }

    /// Puts a value that was taken out back in.
    fn put_back(&mut self) {
        let Some(value) = self.lifted.take() else { return };
        let is_long = |listpack: &Listpack| listpack.kept().len() > INLINE_BYTES_MAX;
        let value = match value.listpack().is_some_and(is_long) {
            true => value.into_packed().map(Packed::fitting).and_then(T::of_listpack),
            false => Some(value),
        };
        let value = value.expect("what a listpack is all there is of is of that again");
        let Keyspace { databases, heap, buffer, .. } = &mut *self.keyspace;
        let entry = databases[usize::from(self.key.db)].entry_mut(self.place);
        if let Some(packed) = entry.put_back(heap, value.into_object()) {
            *buffer = packed.into_buffer();
        }
    }
}

impl<T: Kind> Deref for Open<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        if let Some(lifted) = &self.lifted {
            return lifted;
        }
        let entry = self.keyspace.databases[usize::from(self.key.db)].entry(self.place);
        entry.object().and_then(T::held).expect("an opened value is of its type")
    }
}

impl<T: Kind> DerefMut for Open<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        if let Some(lifted) = &mut self.lifted {
            return lifted;
        }
        let table = &mut self.keyspace.databases[usize::from(self.key.db)];
        let object = table.entry_mut(self.place).object_mut();
        object.and_then(T::of_mut).expect("an opened value is of its type")
    }
}

impl<T: Kind> Drop for Open<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let empty = !T::STAYS_EMPTY && self.is_empty();
        self.put_back();
        let table = &mut self.keyspace.databases[usize::from(self.key.db)];
        table.resized(self.place, self.before);
        let due = table.entry(self.place).object().and_then(Object::next_due);
        self.keyspace.due.moved(self.key, self.due, due);
        if empty || self.new && !self.changed {
            self.keyspace.bury(self.key, self.place);
            if !self.quiet && (self.told || !self.new) {
                self.keyspace.notify(Class::GENERIC, "del", self.key);
            }
            if self.new {
                return;
            }
        } else {
            self.tell_new();
        }
        if self.changed || empty {
            let change = match self.aside && !self.new {
                _ if empty => Change::Removed,
                true => Change::Aside,
                false => Change::Value,
            };
            self.keyspace.touched(self.key.db, self.key.bytes, change);
        }
    }
}

impl<T: Kind> std::fmt::Debug for Open<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open").field("key", &self.key).finish_non_exhaustive()
    }
}
