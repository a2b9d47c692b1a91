//! Streams. The form is described where they are written.
//!
//! Newer ones say behind their groups for how long, and how many, ids of producers are remembered,
//! and which these are; that is read and left aside. Entries that were given back, which the newest
//! have at the end of each group, are refused: here an entry is pending for somebody.

use super::{Fault, Packed, Source};
use crate::value::Stream;
use crate::value::stream::{Group, Id, Log, Pending};
use pinion_rdb::kind;
use std::collections::BTreeMap;

/// What is pending in a group, by id: when it was delivered, and how often.
type Delivered = BTreeMap<Id, (u64, u64)>;

impl Source<'_, '_> {
    pub(super) fn stream(&mut self, number: u8) -> Result<Stream, Fault> {
        let mut nodes = Vec::new();
        for _ in 0..self.reader.count(2)? {
            let master = self.with_text(|text| {
                let number = text.try_into().map_err(|_| Fault::Stream)?;
                Ok(Id::of_number(u128::from_be_bytes(number)))
            })?;
            let bytes = self.reader.own_text()?;
            let node = Packed::from_bytes(bytes).ok_or(Fault::Listpack)?;
            nodes.push((master, node));
        }
        let len = self.reader.length()?;
        let last = self.length_id()?;
        let (max_deleted, added) = match number {
            kind::STREAM_LISTPACKS => (Id::MIN, len),
            _ => {
                // The first id follows from the entries.
                self.length_id()?;
                (self.length_id()?, self.reader.length()?)
            }
        };
        let told = (len, last, max_deleted, added);
        let log = Log::of_nodes(nodes.into_iter(), told).ok_or(Fault::Stream)?;
        let mut stream = Stream { log, ..Stream::default() };
        for _ in 0..self.reader.count(6)? {
            let name = self.reader.own_text()?;
            let group = self.group(&stream, number)?;
            if !stream.groups.add(&name, group) {
                return Err(Fault::Twice);
            }
        }
        if number >= kind::STREAM_LISTPACKS_4 {
            self.producers()?;
        }
        Ok(stream)
    }

    /// Passes over what is known of producers.
    fn producers(&mut self) -> Result<(), Fault> {
        self.length_id()?;
        for _ in 0..self.reader.count(2)? {
            self.reader.own_text()?;
            for _ in 0..self.reader.count(3)? {
                self.reader.own_text()?;
                self.length_id()?;
            }
        }
        self.length_id()?;
        Ok(())
    }

    fn group(&mut self, stream: &Stream, number: u8) -> Result<Group, Fault> {
        let last = self.length_id()?;
        let read = match number {
            kind::STREAM_LISTPACKS => stream.log.rank(last),
            _ => Some(self.reader.length()?).filter(|&read| read != u64::MAX),
        };
        let mut group = Group::new(last, read);
        let mut delivered = Delivered::new();
        for _ in 0..self.reader.count(25)? {
            let id = self.id()?;
            let time = self.past()?;
            if delivered.insert(id, (time, self.reader.length()?)).is_some() {
                return Err(Fault::Twice);
            }
        }
        for _ in 0..self.reader.count(10)? {
            self.consumer(&mut group, &mut delivered, number)?;
        }
        if number == kind::STREAM_LISTPACKS_5 && self.reader.count(16)? > 0 {
            return Err(Fault::GivenBack);
        }
        // Whatever is pending is pending for somebody.
        if delivered.is_empty() { Ok(group) } else { Err(Fault::Stream) }
    }

    fn consumer(
        &mut self,
        group: &mut Group,
        delivered: &mut Delivered,
        number: u8,
    ) -> Result<(), Fault> {
        let name = self.reader.own_text()?;
        let (consumer, new) = group.number_or_new(&name, 0);
        if !new {
            return Err(Fault::Twice);
        }
        let seen = self.past()?;
        let active = match number {
            kind::STREAM_LISTPACKS | kind::STREAM_LISTPACKS_2 => Some(seen),
            _ => u64::try_from(self.reader.int()?).ok(),
        };
        let entry = group.by_number_mut(consumer);
        (entry.seen, entry.active) = (seen, active);
        for _ in 0..self.reader.count(16)? {
            let id = self.id()?;
            let (delivered, count) = delivered.remove(&id).ok_or(Fault::Stream)?;
            group.deliver(id, Pending { delivered, count, consumer });
        }
        Ok(())
    }

    /// A time that was; one before all times counts as the first.
    fn past(&mut self) -> Result<u64, Fault> {
        Ok(u64::try_from(self.reader.int()?).unwrap_or(0))
    }

    fn id(&mut self) -> Result<Id, Fault> {
        self.reader.array().map(|bytes| Id::of_number(u128::from_be_bytes(bytes)))
    }

    fn length_id(&mut self) -> Result<Id, Fault> {
        Ok(Id::new(self.reader.length()?, self.reader.length()?))
    }
}
