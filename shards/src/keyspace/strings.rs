//! Strings that are changed where they are: counted up, written into, edited.

use super::{Change, Class, Expiry, Key, Keyspace};
use crate::commands::parse_int;
use crate::error::Error;
use crate::limits::STRING_BYTES_MAX;
use crate::shard::Millis;
use crate::table::Entry;
use crate::value::{Content, Value};

impl Keyspace {
    /// Adds `step` to an integer, 0 where there is no key, and returns the sum.
    ///
    /// # Errors
    /// `Overflow`, `NotInteger`, `WrongType`; nothing has changed then.
    #[inline]
    pub fn add(&mut self, key: Key<'_>, now: Millis, step: i64) -> Result<i64, Error> {
        let Some(place) = self.live(key, now) else {
            self.add_new(key, now, Content::Int(step), Expiry::Keep);
            return Ok(step);
        };
        let table = &mut self.databases[usize::from(key.db)];
        let old = match table.entry(place).value() {
            Value::Int(value) => value,
            Value::Str(bytes) => parse_int(bytes).ok_or(Error::NotInteger)?,
            _ => return Err(Error::WrongType),
        };
        let new = old.checked_add(step).ok_or(Error::Overflow)?;
        self.before_change(key.db, place);
        let used = self.used_by_change(key.db, place, now);
        let (table, heap) = (&mut self.databases[usize::from(key.db)], &self.heap);
        table.edit(place, |entry| {
            entry.replace(heap, Content::Int(new), entry.expiry(), used);
        });
        self.touched(key.db, key.bytes, Change::Value);
        Ok(new)
    }

    /// Writes `bytes` into a string at `offset`, or at its end where that is none, filling any gap
    /// with zeros, and returns how long it is now. A key that is not there begins empty.
    ///
    /// # Errors
    /// `WrongType`, `StringTooLong`; nothing has changed then.
    pub fn write(
        &mut self,
        key: Key<'_>,
        now: Millis,
        offset: Option<usize>,
        bytes: &[u8],
    ) -> Result<usize, Error> {
        let offset = match (offset, self.live(key, now)) {
            (Some(offset), _) => offset,
            (None, None) => 0,
            (None, Some(place)) => {
                let table = &self.databases[usize::from(key.db)];
                table.entry(place).value().text(&mut itoa::Buffer::new())?.len()
            }
        };
        let end = offset.checked_add(bytes.len()).ok_or(Error::StringTooLong)?;
        let (len, _) = self.edit(key, now, end, |text| {
            text[offset..end].copy_from_slice(bytes);
            (text.len(), true)
        })?;
        Ok(len)
    }

    /// Edits the bytes of a string in place, made `len` long at least with zeros. A key that is
    /// not there begins empty. `edit` returns what comes back, and whether it changed a byte; what
    /// comes back stands beside whether the string has changed.
    ///
    /// # Errors
    /// `WrongType`, `StringTooLong`; nothing has changed then.
    pub fn edit<T>(
        &mut self,
        key: Key<'_>,
        now: Millis,
        len: usize,
        edit: impl FnOnce(&mut [u8]) -> (T, bool),
    ) -> Result<(T, bool), Error> {
        let place = self.live(key, now);
        let table = &mut self.databases[usize::from(key.db)];
        let old = match place {
            Some(place) => table.entry(place).value().text(&mut itoa::Buffer::new())?.len(),
            None => 0,
        };
        if len > STRING_BYTES_MAX {
            return Err(Error::StringTooLong);
        }
        let new = place.is_none();
        let place = place.unwrap_or_else(|| {
            let (text, used) = (Content::Raw(b""), self.new_use(key.hash, now));
            self.insert(key, Entry::new(&self.heap, (key.hash, key.bytes), text, None, used));
            let table = &self.databases[usize::from(key.db)];
            table.find(key.hash, key.bytes).expect("what was put in is found")
        });
        self.before_change(key.db, place);
        let used =
            if new { self.new_use(key.hash, now) } else { self.used_by_change(key.db, place, now) };
        let (table, heap) = (&mut self.databases[usize::from(key.db)], &self.heap);
        let (outcome, changed) = table.edit(place, |entry| {
            entry.touch(used);
            edit(entry.grow(heap, len))
        });
        let changed = changed || len > old;
        if changed {
            self.touched(key.db, key.bytes, Change::Value);
        }
        if new {
            self.notify(Class::NEW, "new", key);
        }
        Ok((outcome, changed))
    }
}
