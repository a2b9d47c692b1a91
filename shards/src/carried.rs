//! Values that a command of several shards carries from their owners to where it runs.

use crate::commands::Args;
use crate::error::Error;
use crate::keyspace::Key;
use crate::shard::{Millis, Scope};
use crate::value::{Kind, Object, Value};
use pinion_io::resp::Reply;

/// A copy of what a key holds on another shard.
#[derive(Debug)]
pub struct Carried {
    /// Index of the key among the command's words where it runs; given by the carrier.
    pub index: u32,
    /// The value, if there is such a key.
    pub object: Option<Object>,
    /// When it expires, in milliseconds since the Unix epoch.
    pub expiry: Option<Millis>,
    /// It was all that its key held, which is gone.
    pub emptied: bool,
}

/// Index from which on values are what shards know (`Ask`), one behind the other.
pub(crate) const TOLD: u32 = u32::MAX - u16::MAX as u32;

impl Carried {
    /// A copy, for another shard.
    pub(crate) fn copy(&self) -> Self {
        let object = self.object.as_ref().map(|object| object.value().duplicate());
        Self { object, ..*self }
    }
}

/// Copies every key of this part whole, for the shard where the command runs.
///
/// # Errors
/// None.
pub(crate) fn copy_out(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    _: &mut Reply<'_>,
) -> Result<(), Error> {
    for bytes in args.from(1) {
        let key = scope.key(bytes);
        let record = scope.keyspace.look(key, scope.now);
        let expiry = record.and_then(|record| record.expiry());
        let object = record.map(|record| record.value().duplicate());
        scope.carry(object, expiry);
    }
    Ok(())
}

/// Replies which of the keys of this part is the first that is there, from 1, or 0.
///
/// # Errors
/// None.
pub(crate) fn first_there(
    scope: &mut Scope<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Error> {
    let place = args.from(1).position(|bytes| {
        let key = scope.key(bytes);
        scope.keyspace.contains(key, scope.now)
    });
    reply.int(place.map_or(0, |place| place as i64 + 1));
    Ok(())
}

impl<'a> Scope<'a> {
    /// Sends a value along with the reply: one for each key of this part, in order.
    pub fn carry(&mut self, object: Option<Object>, expiry: Option<Millis>) {
        self.outgoing.push(Carried { index: 0, object, expiry, emptied: false });
    }

    /// The same of a part of what the key held; of all of it if it `emptied` that.
    pub fn carry_part(&mut self, object: Option<Object>, emptied: bool) {
        self.outgoing.push(Carried { index: 0, object, expiry: None, emptied });
    }

    /// What was carried here for the key at word `index`, if that lives elsewhere.
    pub fn carried(&mut self, index: usize) -> Option<&mut Carried> {
        let at = self.incoming.binary_search_by_key(&(index as u32), |carried| carried.index);
        at.ok().map(|at| &mut self.incoming[at])
    }

    /// True if the key at word `index` lives on this shard.
    pub fn is_here(&mut self, index: usize) -> bool {
        self.carried(index).is_none()
    }

    /// What a shard said that it knows; nothing where none was asked.
    pub fn told(&self, shard: usize) -> Option<Value<'_>> {
        let index = TOLD + shard as u32;
        let at = self.incoming.binary_search_by_key(&index, |carried| carried.index);
        at.ok().and_then(|at| self.incoming[at].object.as_ref()).map(Object::value)
    }

    /// The values of the keys at these words together, wherever they live; none where there is no
    /// such key. Counts hits and misses, and accesses.
    pub fn sources(
        &mut self,
        args: &Args<'_>,
        indexes: impl Iterator<Item = usize> + Clone,
    ) -> Vec<Option<Value<'_>>> {
        for index in indexes.clone() {
            if self.is_here(index) {
                let key = self.key(args.at(index));
                self.keyspace.get(key, self.now);
            }
        }
        let (incoming, keyspace) = (&*self.incoming, &*self.keyspace);
        let value = |index: usize| match incoming
            .binary_search_by_key(&(index as u32), |carried| carried.index)
        {
            Ok(at) => incoming[at].object.as_ref().map(Object::value),
            Err(_) => {
                let bytes = args.at(index);
                let hash = keyspace.hash(bytes);
                keyspace.view(Key { db: self.db, hash, bytes })
            }
        };
        indexes.map(value).collect()
    }

    /// The same, all of one type.
    ///
    /// # Errors
    /// `WrongType` if one is of another.
    pub fn sources_of<T: Kind + 'a>(
        &mut self,
        args: &Args<'_>,
        indexes: impl Iterator<Item = usize> + Clone,
    ) -> Result<Vec<Option<T::Ref<'_>>>, Error> {
        let values = self.sources(args, indexes);
        values.into_iter().map(|value| value.map(Value::of::<T>).transpose()).collect()
    }
}
